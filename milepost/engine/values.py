"""The values that flow through a run: live Python objects without a store, their JSON text with one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from milepost.engine.codec import ATOMS, Codec, split_array

NOT_LOADED: Final = object()
PLAIN: Final = (int, bool)


class Value:
    """One value that a record holds.

    tag: names its declared type: "input", "out:NODE", "in:NODE", "list:NODE" (of what a node takes), "item:TAG" and
    "items:TAG" (an item of another, and a list of them) or "edge:N:NODE" (of what transforms make). text: its JSON
    text, None without a store. live: the object, handed out once if it can be changed, or NOT_LOADED. parts: the texts
    of a list's items, once they were asked for.
    """

    __slots__ = ("live", "parts", "tag", "text")

    def __init__(self, tag: str, text: str | None, live: object) -> None:
        self.tag = tag
        self.text = text
        self.live = live
        self.parts: list[str] | None = None


class Ref:
    """Points at a value: record `seq`, `slot` within it, and `index` for one item of a stored list, else -1.

    value is the thing itself where this process has it; it does not count when references are compared.
    """

    __slots__ = ("index", "seq", "slot", "value")

    def __init__(self, seq: int, slot: int, index: int = -1, value: Value | None = None) -> None:
        self.seq = seq
        self.slot = slot
        self.index = index
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and self.place == other.place

    def __hash__(self) -> int:
        return hash(self.place)

    def __repr__(self) -> str:
        return f"Ref{self.place}"

    @property
    def place(self) -> tuple[int, int, int]:
        """The reference as it is stored."""
        return self.seq, self.slot, self.index


class Values(Protocol):
    """Keeps values and hands them out."""

    storing: bool

    def keep(self, tag: str, value: Any, path: str) -> Value:
        """Take a value in. Raises NotStorable when it would not come back as it is."""
        ...

    def load(self, ref: Ref) -> Any:
        """Return the value behind a reference, one that nobody else holds when values are stored."""
        ...

    def peek(self, value: Value) -> Any:
        """Return the value for reading by an edge's own code."""
        ...

    def summary(self, ref: Ref) -> str:
        """Return the value as short text for people."""
        ...


class LiveValues:
    """Values of a run without a store: the objects themselves, shared as in pydantic-graph."""

    storing = False

    def keep(self, tag: str, value: Any, path: str) -> Value:
        return Value(tag, None, value)

    def load(self, ref: Ref) -> Any:
        value = ref.value
        assert value is not None
        live: Any = value.live
        return live if ref.index < 0 else live[ref.index]

    def peek(self, value: Value) -> Any:
        return value.live

    def summary(self, ref: Ref) -> str:
        return shortened(self.load(ref))


class StoredValues:
    """Values of a run with a store: encoded when they are kept, loaded afresh for everyone who takes them.

    type_of: the declared type that a tag names.
    """

    storing = True

    def __init__(self, codec: Codec, type_of: Callable[[str], object]) -> None:
        self.codec = codec
        self._type_of = type_of
        self._types: dict[str, object] = {}

    def type_of(self, tag: str) -> object:
        """Return the declared type that a tag names; worked out once."""
        try:
            return self._types[tag]
        except KeyError:
            found = self._types[tag] = self._type_of(tag)
            return found

    def keep(self, tag: str, value: Any, path: str) -> Value:
        text, loaded = self.codec.encode(value, self.type_of(tag), path)
        return Value(tag, text, loaded)

    def load(self, ref: Ref) -> Any:
        value = ref.value
        assert value is not None, f"{ref} was not fetched from the store"
        if ref.index >= 0:
            return self.codec.decode(self.parts(value)[ref.index], self.type_of(f"item:{value.tag}"), value.tag)
        live = value.live
        if live is NOT_LOADED:
            return self.decode(value)
        if not isinstance(live, ATOMS):
            value.live = NOT_LOADED
        return live

    def peek(self, value: Value) -> Any:
        if isinstance(value.live, ATOMS):
            return value.live
        return self.decode(value)

    def summary(self, ref: Ref) -> str:
        return shortened(self.text(ref))

    def text(self, ref: Ref) -> str:
        """Return the stored text behind a reference."""
        assert ref.value is not None
        assert ref.value.text is not None
        return ref.value.text if ref.index < 0 else self.parts(ref.value)[ref.index]

    def decode(self, value: Value) -> Any:
        """Return a new object from the stored text."""
        assert value.text is not None
        return self.codec.decode(value.text, self.type_of(value.tag), value.tag)

    def parts(self, value: Value) -> list[str]:
        """Return the texts of the items of a stored list; cut once."""
        if value.parts is None:
            assert value.text is not None
            value.parts = split_array(value.text)
        return value.parts


def shortened(value: object, most: int = 60) -> str:
    """Return a value as short text for people."""
    text = value if isinstance(value, str) else repr(value)
    if type(value) not in PLAIN:  # else nothing in it is a space, or cannot be printed
        text = " ".join(text.encode("utf-8", "replace").decode().split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
