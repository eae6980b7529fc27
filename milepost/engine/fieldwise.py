"""Writing a state field by field, where nothing depends on two of them: what is as it was is not written again.

A field is as it was when it holds the very same objects as then, and those cannot change: a simple value, or a list, a
tuple or a dict of them. Its text is then what it was, and so is what would be read back. A list to which simple values
were added is written by what was added. Everything else is written, read back and compared as always.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from operator import is_
from typing import Final, TypeAlias, cast

from milepost.engine.codec import ATOMS, WRITERS, Codec, Coder
from milepost.engine.errors import NotStorable
from milepost.engine.parts import HELD_APART

Items: TypeAlias = "list[object] | dict[object, object]"
UNCHANGING: Final = frozenset(ATOMS)


def is_flat(values: Collection[object]) -> bool:
    """Tell whether nothing can change in any of these values."""
    return UNCHANGING.issuperset(map(type, values))


def is_unchanging(value: object) -> bool:
    """Tell whether nothing can change in a value."""
    return type(value) in UNCHANGING or (type(value) is tuple and is_flat(cast("tuple[object, ...]", value)))


def items_of(value: object) -> Items | None:
    """Return a value that is exactly a list or a dict, None for any other."""
    return cast("Items", value) if type(value) in (list, dict) else None


class Known:
    """A field as it was written last.

    text: its JSON. value: for the next holder: what was read back, or the value itself where nothing in it can change.
    items: a list or dict in which nothing else can change, for nobody to hold.
    """

    __slots__ = ("items", "text", "value")

    def __init__(self, text: str, value: object, items: Items | None = None) -> None:
        self.text = text
        self.value = value
        self.items = items

    @classmethod
    def of(cls, text: str, value: object, read_back: object) -> Known:
        """Return a field that was just written. value: of the state. read_back: equal to it."""
        items = items_of(value)
        if items is not None and is_flat(items) and (isinstance(items, list) or is_flat(items.values())):
            return cls(text, None, items.copy())
        return cls(text, value if is_unchanging(value) else read_back)

    def is_still(self, value: object) -> bool:
        """Tell whether a value is the one that was read back, with nothing in it that can have changed."""
        before = self.items
        if before is None:
            return value is self.value and is_unchanging(value)
        items = items_of(value)
        if items is None or type(items) is not type(before) or len(items) != len(before):
            return False
        if not all(map(is_, items, before)):
            return False
        return not (isinstance(items, dict) and isinstance(before, dict)) or all(
            map(is_, items.values(), before.values())
        )

    def handed_out(self) -> object:
        """Return the value for somebody who may change it."""
        return self.value if self.items is None else self.items.copy()

    def grown(self, value: object, kind: type) -> Known | None:
        """Return the field with what was added to its list, None where it is not that. kind: of the items."""
        items = self.items
        longer = items_of(value)
        if not isinstance(items, list) or not isinstance(longer, list):
            return None
        count = len(items)
        if len(longer) <= count or not all(map(is_, longer, items)):
            return None
        added = longer[count:]
        if any(type(item) is not kind for item in added):
            return None
        write = WRITERS[kind]
        texts = [write(item) for item in added]
        if None in texts:
            return None
        more = ",".join(cast("list[str]", texts))
        return Known(f"{self.text[:-1]},{more}]" if count else f"[{more}]", None, items + added)


class Fieldwise:
    """Writes the states of one type field by field.

    kind: their class. coders: write each field, in order, and read a list of one. growing: the type of the items of
    those that are lists of simple values.
    """

    def __init__(self, codec: Codec, kind: type, coders: Mapping[str, Coder], growing: Mapping[str, type]) -> None:
        self._codec = codec
        self._kind = kind
        self._coders = coders
        self._names = list(coders)
        self._growing = growing
        self._known: dict[str, Known] = {}

    def written(self, state: object) -> tuple[dict[str, str], object] | None:
        """Return the texts of the fields, and what they are read back as: equal, sharing nothing that can change.

        Returns None where the state has to be written as a whole, if only to say what is wrong with it.
        """
        held = self._held(state)
        if held is None or list(held) != self._names:
            return None
        known: dict[str, Known] = {}
        for name, value in held.items():
            found = self._field(name, value)
            if found is None:
                return None
            known[name] = found
        self._known = known
        return {name: one.text for name, one in known.items()}, self._read_back(known)

    def adopted(self, texts: Mapping[str, str], committed: Mapping[str, str]) -> dict[str, str]:
        """Return the texts of a state with those that are committed in the place of equal ones.

        So they are the very same from then on, and need not be compared again.
        """
        found = {name: committed[name] if committed.get(name) == text else text for name, text in texts.items()}
        for name, one in self._known.items():
            if one.text is texts.get(name):
                one.text = found[name]
        return found

    def _field(self, name: str, value: object) -> Known | None:
        before = self._known.get(name)
        if before is not None:
            if before.is_still(value):
                return before
            grown = before.grown(value, self._growing[name]) if name in self._growing else None
            if grown is not None:
                return grown
        coder = self._coders[name]
        try:
            written = coder.write(value)
            (read_back,) = cast("list[object]", coder.read(b"[%b]" % written))  # as deep as it lies in the whole
            return Known.of(written.decode(), value, read_back) if self._codec.is_same(value, read_back) else None
        except Exception:  # it is told by who writes the whole
            return None

    def _held(self, state: object) -> dict[str, object] | None:
        """Return what a state holds by name, None where it may hold more than that."""
        if type(state) is not self._kind:
            return None
        if self._kind is dict:
            return cast("dict[str, object]", state)
        if any(getattr(state, holder, None) for holder in HELD_APART):
            return None
        return vars(state)

    def _read_back(self, known: Mapping[str, Known]) -> object:
        held = {name: one.handed_out() for name, one in known.items()}
        if self._kind is dict:
            return held
        state: object = object.__new__(cast("type[object]", self._kind))
        object.__setattr__(state, "__dict__", held)
        if hasattr(self._kind, "__pydantic_private__"):
            for name, value in (("fields_set", set(self._names)), ("extra", None), ("private", None)):
                object.__setattr__(state, f"__pydantic_{name}__", value)
        return state


def fieldwise(codec: Codec, type_: object) -> Fieldwise | None:
    """Return what writes the states of a type field by field, None where that is not possible."""
    try:
        parts = codec.separate(type_)
    except NotStorable:  # it is told by who writes the first of them
        return None
    return None if parts is None else Fieldwise(codec, parts.kind, parts.coders, parts.growing)
