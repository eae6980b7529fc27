"""Asking for a value on the terminal, part by part, as its JSON schema says."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from milepost.cli.schemas import NOTHING, Schema, value_of

YES: Final = frozenset({"y", "yes", "true", "1"})
NO: Final = frozenset({"n", "no", "false", "0"})
INDENT: Final = "  "
UNFIT: Final = object()
"""Stands for what was written and does not fit, so that it is asked for again."""


class Terminal(Protocol):
    """What a person reads and writes on."""

    def show(self, line: str) -> None:
        """Write a line."""
        ...

    def read(self, prompt: str) -> str:
        """Return the line that is written after a prompt. Raises click.Abort: there will be none."""
        ...


@dataclass(slots=True)
class Form:
    """Asks for one value. level: how far to the right its lines are. is_part: it is a part of another value."""

    terminal: Terminal
    level: int = 0
    is_part: bool = False

    def ask(self, schema: Schema, name: str, choices: Sequence[object] = (), *, optional: bool = False) -> object:
        """Return a value of the schema, asked for as `name`.

        choices: of these values only. optional: it may be left out, which gives NOTHING.
        """
        default = schema.default
        listed = choices or schema.choices
        if "const" in schema.own or schema.type == "null":
            return schema.own.get("const")
        if listed:
            return self._choice(listed, name, default, optional=optional)
        if schema.options:
            return self._one_of(schema, name, optional=optional)
        match schema.type:
            case "object":
                return self._fields(schema, name, optional=optional)
            case "array":
                return self._items(schema, name, optional=optional)
            case _:
                return self._line(schema, name, default, optional=optional)

    # --- one line ----------------------------------------------------------------------------------------------------

    def _read(self, name: str, hint: str, default: object, empty: str) -> str:
        """Ask for a line. empty: what it means to write nothing, where there is no default."""
        parts = [hint] if hint else []
        if default is not NOTHING:
            parts.append(f"empty for {in_words(default)}")
        elif empty:
            parts.append(empty)
        about = f" ({'; '.join(parts)})" if parts else ""
        return self.terminal.read(f"{INDENT * self.level}{name}{about}: ").strip()

    def _until(
        self,
        name: str,
        hint: str,
        default: object,
        read: Callable[[str], object],
        *,
        optional: bool,
        empty: str = "may be left empty",
    ) -> object:
        """Ask for a line until one fits. read: returns what it stands for, UNFIT having said why."""
        while True:
            text = self._read(name, hint, default, empty if optional else "")
            if not text and default is not NOTHING:
                return default
            if not text and optional:
                return NOTHING
            value = read(text)
            if value is not UNFIT:
                return value

    def _refuse(self, why: str) -> object:
        self.terminal.show(f"{INDENT * self.level}{why}")
        return UNFIT

    def _line(
        self, schema: Schema, name: str, default: object, *, optional: bool, empty: str = "may be left empty"
    ) -> object:
        if schema.type == "boolean":
            hint = f"y/n; {schema.description}" if schema.description else "y/n"
        elif schema.description:
            hint = f"{schema.word}; {schema.description}"
        else:
            hint = "" if schema.type == "string" and not schema.format else schema.word

        def read(text: str) -> object:
            value = scalar_of(text, schema)
            if value is UNFIT:
                return self._refuse(f"That is not {schema.word}.")
            faults = schema.faults(value)
            return value if not faults else self._refuse(" ".join(faults))

        return self._until(name, hint, default, read, optional=optional, empty=empty)

    def _choice(self, listed: Sequence[object], name: str, default: object, *, optional: bool) -> object:
        """Have one of several values chosen, by its number or by itself."""
        shown = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in listed]
        for number, text in enumerate(shown, 1):
            self.terminal.show(f"{INDENT * self.level}{number}. {text}")
        values = dict(zip(shown, listed, strict=True))

        def read(text: str) -> object:
            if text in values:
                return values[text]
            fits = [one for one in shown if one.casefold() == text.casefold()]
            if len(fits) == 1:
                return values[fits[0]]
            if text.isdecimal() and 1 <= int(text) <= len(listed):
                return listed[int(text) - 1]
            return self._refuse(f"Write one of them, or its number from 1 to {len(listed)}.")

        return self._until(name, f"1 to {len(listed)}", default, read, optional=optional)

    # --- what has parts ----------------------------------------------------------------------------------------------

    def _inside(self) -> Form:
        return Form(self.terminal, self.level + 1, is_part=True)

    def _one_of(self, schema: Schema, name: str, *, optional: bool) -> object:
        """Ask for a value of one of several schemas."""
        options = [one for one in schema.options if one.type != "null"]
        nullable = len(options) < len(schema.options)
        if options and all(one.is_scalar and not one.choices for one in options):
            return self._scalars(schema, options, name, nullable=nullable, optional=optional)
        if nullable and len(options) == 1:
            return self._inside_or_nothing(schema, options[0], name, optional=optional)
        titles = [one.word for one in options] + (["nothing"] if nullable else [])
        chosen = self._choice(titles, f"{name}: which of them", NOTHING, optional=optional)
        if chosen is NOTHING:
            return NOTHING
        number = titles.index(str(chosen))
        return None if number == len(options) else self.ask(options[number], name)

    def _inside_or_nothing(self, schema: Schema, option: Schema, name: str, *, optional: bool) -> object:
        """Ask for a value that may be none at all."""
        if option.is_scalar:
            default = None if schema.default is NOTHING else schema.default
            return self._choice(option.choices, name, default, optional=optional)
        if self._is_wanted(schema, name):
            return self.ask(option, name)
        return NOTHING if optional or schema.default is not NOTHING else None

    def _scalars(
        self, schema: Schema, options: Sequence[Schema], name: str, *, nullable: bool, optional: bool
    ) -> object:
        """Ask for a line that is of one of several types, the first that fits."""
        default = None if nullable and schema.default is NOTHING else schema.default

        def read(text: str) -> object:
            for one in options:
                value = scalar_of(text, one)
                if value is not UNFIT and not one.faults(value):
                    return value
            return self._refuse(f"That is not {word}.")

        word = schema.word.removesuffix(" or nothing")
        hint = "" if word == "text" else word
        return self._until(name, hint, default, read, optional=optional)

    def _fields(self, schema: Schema, name: str, *, optional: bool) -> object:
        """Ask for an object, field by field."""
        if optional and not self._is_wanted(schema, name):
            return NOTHING
        known = list(schema.fields)
        if not known:
            return self._any_fields(schema, name)
        if self.is_part:
            self.terminal.show(f"{INDENT * self.level}{name}:")
        inside = self._inside() if self.is_part else Form(self.terminal, self.level, is_part=True)
        while True:
            given: dict[str, object] = {}
            for field, part, needed in known:
                value = inside.ask(part, field, optional=not needed)
                if value is not NOTHING:
                    given[field] = value
            faults = schema.faults(given)
            if not faults:
                return given
            self._refuse(" ".join(faults))

    def _is_wanted(self, schema: Schema, name: str) -> bool:
        """Ask whether what may be left out is given."""
        return bool(self.ask(Schema({"type": "boolean", "default": False}, schema.root), f"Give {name}"))

    def _any_fields(self, schema: Schema, name: str) -> object:
        """Ask for an object whose fields may have any name."""
        given: dict[str, object] = {}
        while True:
            field = self._read(f"{name}: name of a field", "", NOTHING, "empty to end")
            if not field:
                return given
            given[field] = self._inside().ask(schema.values, field)

    def _items(self, schema: Schema, name: str, *, optional: bool) -> object:
        """Ask for a list, item by item."""
        if optional and not self._is_wanted(schema, name):
            return NOTHING
        inside = self._inside()
        while True:
            found = [inside.ask(one, f"{name} {number}") for number, one in enumerate(schema.first_items, 1)]
            most = schema.limit("maxItems")
            least = max(schema.limit("minItems") or 0, len(found))
            while most is None or len(found) < most:
                item = inside.item(schema.items, f"{name} {len(found) + 1}", may_end=len(found) >= least)
                if item is NOTHING:
                    break
                found.append(item)
            faults = schema.faults(found)
            if not faults:
                return found
            self._refuse(" ".join(faults))

    def item(self, schema: Schema, name: str, *, may_end: bool) -> object:
        """Ask for one more item of a list; NOTHING where it is at its end."""
        if not may_end:
            return self.ask(schema, name)
        if schema.type in ("string", "integer", "number", "") and not schema.choices and not schema.options:
            return self._line(schema, name, NOTHING, optional=True, empty="empty to end")
        wanted = self.ask(Schema({"type": "boolean", "default": False}, schema.root), f"Add {name}")
        return self.ask(schema, name) if wanted else NOTHING


def in_words(default: object) -> str:
    """Return a default as a prompt says it.

    >>> [in_words(default) for default in (True, None, "van", [])]
    ['yes', 'nothing', 'van', '[]']
    """
    match default:
        case bool():
            return "yes" if default else "no"
        case None | "":
            return "nothing"
        case str():
            return default
        case _:
            return json.dumps(default, ensure_ascii=False)


def scalar_of(text: str, schema: Schema) -> object:
    """Return what a line stands for, UNFIT if it cannot be of the schema's type.

    >>> [scalar_of(text, Schema({"type": "boolean"}, {})) for text in ("Y", "no")]
    [True, False]
    """
    match schema.type:
        case "boolean":
            said = text.casefold()
            return True if said in YES else False if said in NO else UNFIT
        case "integer" | "number":
            kind = int if schema.type == "integer" else float
            try:
                number = kind(text.replace("_", ""))
            except ValueError:
                return UNFIT
            return int(number) if isinstance(number, float) and number.is_integer() else number
        case "string":
            return value_of(text, schema)
        case "null":
            return None if text in ("", "null") else UNFIT
        case _:
            try:
                return value_of(text, schema)
            except ValueError:
                return UNFIT
