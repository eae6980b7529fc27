"""Reading stored values as the types that a workflow declares now, which may not be the ones they were written by."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any, Final, cast

from milepost.engine.assignability import members
from milepost.engine.codec import Codec
from milepost.engine.errors import MilepostError, NotStorable
from milepost.engine.fields import fields_of, shape_of, whole_of
from milepost.engine.patch import Patch, difference
from milepost.engine.plan import Plan
from milepost.engine.spec import UNKNOWN
from milepost.engine.stored import json_text
from milepost.engine.union import TAG, VALUE
from milepost.engine.unstorable import NotReadable

INPUT: Final = "input"
NESTING: Final = ("item", "items")
"""The kinds of tags that name the type of a part, or of a list, of what another tag names."""


class Rereading:
    """Reads values of a stored run. names: the new ids of nodes, by those that the tags of values still have.

    changed: the definition has changed, so that a value must fit the node that takes it, too, and not only be readable
    as what it was written as.
    """

    def __init__(self, plan: Plan, codec: Codec, names: Mapping[str, str], *, changed: bool) -> None:
        self._plan = plan
        self._codec = codec
        self._names = names
        self._changed = changed

    def read(self, tag: str, text: str, taker: str | None, path: str) -> tuple[str, str]:
        """Return the tag and the text by which a value can be read from now on, the same ones where nothing changed.

        A value is read as what it was written as; else as what its taker takes, or as one member of the union of types
        that its taker takes. taker: the node or join that it is for, None where its output is only routed. path: what
        it is called in an error. Raises NotStorable.
        """
        known = retagged(tag, self._names)
        written = self._type_of(known)
        wanted = None if taker is None else self._type_of(f"in:{taker}")
        fault: NotStorable | None = None
        if written is not None:
            try:
                value = self._decoded(text, written, path)
                if wanted is None or not self._changed or self._takes(wanted, written, value):
                    return known, text
            except NotStorable as error:
                fault = error
        if wanted is None:
            raise fault or NotReadable(path, "the node that it came from is not part of the workflow any more.")
        try:
            self._decoded(text, wanted, path)
            return f"in:{taker}", text
        except NotStorable as error:
            found = self._as_member(text, wanted, path)
            if found is None:
                raise error from None
            return f"in:{taker}", found

    def _type_of(self, tag: str) -> object:
        """Return the type that a tag names, None when it names no node that is there."""
        try:
            return self._plan.type_of(tag)
        except (KeyError, IndexError):
            return None

    def _takes(self, wanted: object, written: object, value: object) -> bool:
        """Tell whether a value of one declared type is one of another."""
        if wanted is UNKNOWN or wanted is object or wanted == written:
            return True
        try:
            self._codec.encode(value, wanted)
        except MilepostError:
            return False
        return True

    def _as_member(self, text: str, wanted: object, path: str) -> str | None:
        """Return how a value is written as a union of types when it was written as one of them, and only one fits.

        And the other way round: of a type that it was one of several with.
        """
        found: list[str] = []
        for member in members(wanted):
            try:
                value = self._decoded(unnamed(text, member), member, path)
                found.append(self._codec.encode(value, wanted, path)[0])
            except NotStorable:
                continue
        return found[0] if len(found) == 1 else None

    def _decoded(self, text: str, type_: object, path: str) -> object:
        return decoded(self._codec, text, type_, path)


def decoded(codec: Codec, text: str, type_: object, path: str) -> object:
    """Read a value. Raises NotStorable, also when the type does not know the name of a type that the text holds.

    A class that ignores what it does not know would otherwise take `{"$type": ..., "value": ...}` for one of its own
    with nothing in it.
    """
    value = codec.decode(text, type_, path)
    if f'"{TAG}"' in text:
        from pydantic_core import from_json

        lost = lost_name(from_json(text, allow_inf_nan=True), from_json(codec.encode(value, type_, path)[0]))
        if lost is not None:
            raise NotReadable(path, f"it was stored as a {lost!r}, and its declared type knows no such names.")
    return value


def unnamed(text: str, type_: object) -> str:
    """Return a value without the name of its type, where that is the name of the only type that it may have now."""
    from pydantic_core import from_json

    if f'"{TAG}"' not in text:
        return text
    parts = parts_of(from_json(text, allow_inf_nan=True))
    return json_text(parts[VALUE]) if is_named(parts) and parts[TAG] == getattr(type_, "__name__", "") else text


def is_named(parts: Mapping[object, object]) -> bool:
    """Tell whether the parts of a JSON tree are a value and the name of its type."""
    return set(parts) == {TAG, VALUE}


def lost_name(old: object, new: object) -> object:
    """Return the name of a type that a JSON tree holds and another has not in its place, None if there is none."""
    parts, others = parts_of(old), parts_of(new)
    if is_named(parts) and others.get(TAG) != parts[TAG]:
        return parts[TAG]
    found = (lost_name(part, others[name]) for name, part in parts.items() if name in others)
    return next((one for one in found if one is not None), None)


def parts_of(tree: object) -> Mapping[object, object]:
    """Return the parts of a JSON tree, by name or by number."""
    if isinstance(tree, dict):
        return cast("dict[object, object]", tree)
    return dict(enumerate(cast("list[object]", tree))) if isinstance(tree, list) else {}


def retagged(tag: str, names: Mapping[str, str]) -> str:
    """Return a tag with the ids that nodes have now.

    >>> retagged("items:edge:2:split", {"split": "cut"})
    'items:edge:2:cut'
    """
    kind, _, rest = tag.partition(":")
    if kind == INPUT:
        return tag
    if kind in NESTING:
        return f"{kind}:{retagged(rest, names)}"
    if kind == "edge":
        number, _, node = rest.partition(":")
        return f"{kind}:{number}:{names.get(node, node)}"
    return f"{kind}:{names.get(rest, rest)}"


def reread_state(fields: Mapping[str, str], text: str | None, type_: Any, codec: Codec) -> Patch:
    """Return what has to change of a stored state, so that it is written as one of a type is.

    fields: as they are stored. text: the whole state as JSON text, as it is to be; None for none. Raises NotStorable:
    it cannot be read as one of the type.
    """
    if type_ in (None, NoneType):
        if text is not None:
            raise NotReadable("state", "the workflow declares no state any more.")
        return difference(fields, {})
    value = decoded(codec, "{}" if text is None else text, type_, "state")
    written, _ = codec.encode(value, type_, "state")
    return difference(fields, fields_of(written, whole=shape_of(type_).whole))


def stored_state(fields: Mapping[str, str]) -> str | None:
    """Return the JSON text of a stored state, None when there is none."""
    return whole_of(fields) if fields else None
