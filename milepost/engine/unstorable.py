"""Why a value could not be written or read back, and which part of it is at fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from milepost.engine.errors import MilepostError, NotStorable
from milepost.engine.parts import described, key_step, parts_of
from milepost.engine.union import NOT_A_MEMBER, TAG, VALUE

TOO_DEEP: Final = "it is nested too deeply. Keep it flat, e.g. as a list with references."
ENOUGH: Final = 200
"""How many parts inside one another are looked at to find the one that cannot be written."""


class NotReadable(NotStorable):
    """A stored text does not fit the declared type, which has changed since, or the text is damaged."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        MilepostError.__init__(self, f"The stored value at {path} cannot be read as its declared type: {reason}")


def not_writable(value: object, path: str, error: Exception) -> NotStorable:
    """Return the error for a value that could not be written, with the innermost part that is at fault."""
    outer: list[int] = []
    where = path
    for _ in range(ENOUGH):
        if id(value) in outer:
            return NotStorable(where, "it contains itself. Refer to it by a name or an index.")
        outer.append(id(value))
        faulty = next(((step, part) for step, part in parts_of(value) if _write_fault(part)), None)
        if faulty is None:
            break
        where, value = where + faulty[0], faulty[1]
    fault = (_write_fault(value) or str(error)).removeprefix("Error serializing to JSON: ")
    if len(outer) == ENOUGH or "depth exceeded" in fault:
        return NotStorable(path, TOO_DEEP)
    return NotStorable(where, f"{described(value)} has no JSON form: {fault.rstrip('.')}.")


def _write_fault(value: object) -> str | None:
    from pydantic_core import to_json

    try:
        to_json(value, bytes_mode="base64", inf_nan_mode="strings", by_alias=False, round_trip=True)
    except Exception as error:
        return str(error) or type(error).__name__
    return None


def reading_failed(value: object, path: str, error: Exception) -> tuple[str, str]:
    """Return where reading failed, and why. value: what was written, or its JSON tree."""
    from pydantic import ValidationError

    if isinstance(error, RecursionError):
        return path, TOO_DEEP
    if not isinstance(error, ValidationError):
        return path, f"reading it back fails with {type(error).__name__}: {str(error).rstrip('.')}."
    fault = error.errors(include_url=False)[0]
    if fault["type"] == "missing":
        place, _ = _followed(value, path, fault["loc"][:-1])
        reason = "it is required to read the value back, and is not written, or no longer there."
        return f"{place}.{fault['loc'][-1]}", reason
    if "recursion limit" in fault["msg"]:
        return path, TOO_DEEP
    place, part = _followed(value, path, fault["loc"])
    more = f" ({error.error_count()} faults in all)" if error.error_count() > 1 else ""
    refused = f"it is {described(part)}, which its declared type does not take: {_sentence(fault['msg'])}{more}."
    return place, _tag_fault(part, fault.get("ctx", {})) or refused


def _tag_fault(part: object, context: Mapping[str, object]) -> str | None:
    """Return the reason when a value is of no member of a union, or its text does not say of which."""
    if context.get("discriminator") != repr(TAG):
        return None
    tag = str(context.get("tag", ""))
    if tag.startswith(NOT_A_MEMBER):
        return f"it is {described(part)}, which is of none of the declared types {context['expected_tags']}."
    if tag:
        return f"it was stored as a {tag!r}, which is none of the declared types {context['expected_tags']}."
    return f"it was stored without {TAG!r}, which says of which of the declared types it is."


def _sentence(message: str) -> str:
    return message[:1].lower() + message[1:].rstrip(".")


def _followed(value: object, path: str, location: Sequence[int | str]) -> tuple[str, object]:
    """Follow the location that a validator gives through a value, in which tags of unions do not appear."""
    skipped = False
    for step in location:
        if skipped and step == VALUE:
            value = cast("dict[str, object]", value).get(VALUE) if _is_tagged(value) else value
            skipped = False
            continue
        parts = _names_of(value)
        skipped = step not in parts
        if not skipped:
            written, value = parts[step]
            path += written
    return path, value


def _is_tagged(value: object) -> bool:
    return isinstance(value, dict) and TAG in value


def _names_of(value: object) -> dict[int | str, tuple[str, object]]:
    """Return the parts of a value by the names that a validator gives them."""
    found: dict[int | str, tuple[str, object]] = {}
    if isinstance(value, dict):
        return {str(key): (key_step(key), part) for key, part in cast("dict[object, object]", value).items()}
    for index, (step, part) in enumerate(parts_of(value)):
        found[step[1:] if step.startswith(".") else index] = (step, part)
    return found
