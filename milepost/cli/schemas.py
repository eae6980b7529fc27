"""A JSON schema, as the parts that a form has to know: the answers to a question are asked for by it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeGuard, cast

from milepost.engine.errors import AnswerError
from milepost.engine.plainly import check_schema

Members = Mapping[str, object]

NOTHING: Final = object()
"""Stands for a default that there is none of."""
SCALARS: Final = frozenset({"string", "integer", "number", "boolean", "null"})


def _is_members(value: object) -> TypeGuard[Members]:
    return isinstance(value, Mapping)


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list)


@dataclass(frozen=True, slots=True)
class Schema:
    """A JSON schema or a part of one. own: what it says itself. root: the whole, which has what is referred to."""

    own: Members
    root: Members

    @staticmethod
    def read(text: str) -> Schema:
        """Return a schema from its JSON text; "" allows anything."""
        found: object = json.loads(text) if text else {}
        members: Members = found if _is_members(found) else {}
        return Schema(members, members).resolved()

    def part(self, own: object) -> Schema:
        """Return a part of this schema."""
        return Schema(own if _is_members(own) else {}, self.root).resolved()

    def resolved(self) -> Schema:
        """Return what it refers to, with what it says besides."""
        found = self
        for _ in range(10):  # a reference leads to another one at most a few times
            whole = found.own.get("allOf")
            if _is_list(whole) and len(whole) == 1 and _is_members(whole[0]):
                rest = {name: value for name, value in found.own.items() if name != "allOf"}
                found = Schema({**whole[0], **rest}, self.root)
            name = found.own.get("$ref")
            if not isinstance(name, str):
                break
            target: object = self.root
            for step in name.removeprefix("#").strip("/").split("/"):
                target = target.get(step) if _is_members(target) and step else target
            rest = {name: value for name, value in found.own.items() if name != "$ref"}
            found = Schema({**(target if _is_members(target) else {}), **rest}, self.root)
        return found

    def _text(self, name: str) -> str:
        value = self.own.get(name)
        return value if isinstance(value, str) else ""

    @property
    def type(self) -> str:
        """The type that it asks for, "" where it is none or one of several."""
        return self._text("type")

    @property
    def format(self) -> str:
        """What text of it means, e.g. "date"."""
        return self._text("format")

    @property
    def description(self) -> str:
        """What its author says of it, in one line."""
        return " ".join(self._text("description").split())

    @property
    def default(self) -> object:
        """What it is where nobody says it; NOTHING if somebody has to."""
        return self.own.get("default", NOTHING)

    @property
    def choices(self) -> Sequence[object]:
        """The values that it allows, where it lists them."""
        if "const" in self.own:
            return [self.own["const"]]
        listed = self.own.get("enum")
        return listed if _is_list(listed) else []

    @property
    def options(self) -> Sequence[Schema]:
        """The schemas of which one has to hold; none where it is not a choice of several."""
        for name in ("anyOf", "oneOf"):
            listed = self.own.get(name)
            if _is_list(listed):
                return [self.part(one) for one in listed]
        return []

    @property
    def fields(self) -> Iterator[tuple[str, Schema, bool]]:
        """Yield the fields of an object: the name, the schema, and whether it has to be given."""
        listed, needed = self.own.get("properties"), self.own.get("required")
        for name, own in listed.items() if _is_members(listed) else ():
            yield name, self.part(own), _is_list(needed) and name in needed

    @property
    def values(self) -> Schema:
        """The schema of the values of an object whose fields have any name."""
        return self.part(self.own.get("additionalProperties"))

    @property
    def items(self) -> Schema:
        """The schema of each item of a list."""
        return self.part(self.own.get("items"))

    @property
    def first_items(self) -> Sequence[Schema]:
        """The schemas of the first items of a list, one each, as a tuple has them."""
        listed = self.own.get("prefixItems")
        return [self.part(one) for one in listed] if _is_list(listed) else []

    def limit(self, name: str) -> int | None:
        """Return a limit of its length, e.g. "minItems", None for none."""
        value = self.own.get(name)
        return value if isinstance(value, int) else None

    @property
    def is_text(self) -> bool:
        """Whether only text is asked for, so that it needs no quotes."""
        if self.type:
            return self.type == "string"
        return bool(self.choices) and all(isinstance(one, str) for one in self.choices)

    @property
    def is_scalar(self) -> bool:
        """Whether it is one line to write."""
        return self.type in SCALARS or bool(self.choices)

    @property
    def word(self) -> str:
        """What is asked for, in a word or two."""
        if self.options:  # a Decimal is a number, or text of digits: nobody has to know that
            words = dict.fromkeys(one.word for one in self.options if one.format != "decimal")
            return " or ".join(words) or "text"
        plain = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "yes or no"}
        plain |= {"null": "nothing", "array": "a list", "object": self._text("title") or "fields"}
        formats = {
            "date": "a date, e.g. 2026-11-28",
            "date-time": "a time, e.g. 2026-11-28T09:30Z",
            "time": "a time of day, e.g. 09:30",
            "duration": "a duration, e.g. P3DT12H",
            "uuid": "a UUID",
        }
        return formats.get(self.format) or plain.get(self.type, "JSON")

    def faults(self, value: object) -> Sequence[str]:
        """Return what is wrong with a value, a sentence each."""
        whole = {**self.own, **({"$defs": self.root["$defs"]} if "$defs" in self.root else {})}
        try:
            check_schema(json.dumps(value), json.dumps(whole), "it")
        except AnswerError as error:
            return error.faults
        return ()


def value_of(text: str, schema: Schema) -> object:
    """Return what was written on a command line: JSON, or text without quotes where nothing else is asked for.

    Raises ValueError: it is not JSON.

    >>> text = Schema.read('{"type": "string"}')
    >>> value_of("42", text), value_of('"42"', text), value_of("42", Schema.read(""))
    ('42', '42', 42)
    """
    if not schema.is_text:
        return cast("object", json.loads(text))
    try:
        found: object = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, str) else text
