"""Values given on the command line, as JSON, against the types that a workflow declares."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import cast

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from milepost.engine.definition import type_name
from milepost.engine.errors import InputError


class WrongValue(InputError):
    """A value does not fit its type.

    what: "input" or "state". faults: one per fault, `place: what is wrong`; never empty.
    """

    def __init__(self, what: str, expected: str, faults: Sequence[str]) -> None:
        self.what = what
        self.faults = tuple(faults)
        if len(self.faults) == 1:
            super().__init__(f"The {what} does not fit {expected}: {self.faults[0]}")
        else:
            lines = "".join(f"\n  {fault}" for fault in self.faults)
            super().__init__(f"The {what} does not fit {expected}, with {len(self.faults)} faults:{lines}")


def read_text(given: str, option: str) -> str:
    """Return the JSON text of an option: itself, the content of `@file`, or of stdin for `@-`.

    Raises InputError: the file cannot be read or is not text.
    """
    if not given.startswith("@"):
        return given
    if given == "@-":
        return sys.stdin.read()
    path = Path(given[1:])
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"The file {str(path)!r} given to {option} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"The file {str(path)!r} given to {option} is not text in UTF-8.") from error


def parse(given: str | None, kind: object, *, what: str) -> object:
    """Return the value that an option gives, validated as `kind`.

    given: JSON, `@file` or `@-`; None when the option was left out, which only fits a type that allows None.
    what: "input" or "state", the name of the option.
    Raises WrongValue: it does not fit; every fault is named with its place. InputError: it is missing or is not JSON.
    """
    if kind is None or kind is NoneType:
        if given is None or read_text(given, f"--{what}").strip() == "null":
            return None
        raise InputError(f"This workflow takes no {what}. Leave --{what} out.")
    adapter = _adapter(kind, what)
    if given is None:
        try:
            return adapter.validate_python(None)
        except ValidationError:
            article = "an" if what == "input" else "a"
            raise InputError(
                f"This workflow needs {article} {what} of type {type_name(kind)!r}. "
                f"Give it with --{what} JSON, or --{what} @file."
            ) from None
    text = read_text(given, f"--{what}")
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        raise _wrong_value(error, kind, what, text) from None


def parse_part(text: str, kind: object, *, of: object, what: str, name: str) -> object:
    """Return the value that JSON text gives to one part of something, validated as `kind`.

    of: the type of the whole. what, name: what the whole and the part are called in an error. Raises WrongValue.
    """
    try:
        return _adapter(kind, what).validate_json(text)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        places = (".".join([name, *map(str, fault["loc"])]) for fault in faults)
        told = [f"{place}: {fault['msg']}" for place, fault in zip(places, faults, strict=True)]
        raise WrongValue(what, repr(type_name(of)), told) from None


def _adapter(kind: object, what: str) -> TypeAdapter[object]:
    try:
        return TypeAdapter(cast("type[object]", kind))  # any type expression, which only a newer Python can say
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise InputError(
            f"The {what} of this workflow has the type {type_name(kind)!r}, which cannot be read from JSON. "
            "Declare a pydantic model or a dataclass, or start the run from Python."
        ) from error


def _wrong_value(error: ValidationError, kind: object, what: str, text: str) -> InputError:
    faults: list[str] = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        if fault["type"] == "json_invalid":
            reason = fault["msg"].removeprefix("Invalid JSON: ")
            hint = "" if text[:1] in '{["' else f" A text is written with its quotes: --{what} '\"some text\"'."
            return InputError(f"The {what} is not JSON: {reason}.{hint}")
        place = ".".join(str(part) for part in fault["loc"])
        faults.append(f"{place or what}: {fault['msg']}")
    return WrongValue(what, repr(type_name(kind)), faults)
