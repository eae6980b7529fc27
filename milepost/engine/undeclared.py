"""Values of undeclared type: plain JSON, or instances of registered types, stored with the name of their type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, cast

from milepost.engine.union import TAG, VALUE

PLAIN: Final = frozenset({str, int, float, bool, type(None)})
ESCAPED: Final = "dict"
"""The tag of a plain dict that has a key "$type" of its own."""


class Registered:
    """The types whose values may stand where no type is declared. No other class can come out of a store there.

    write(value, type) gives the JSON tree of a value, read(tree, type) the value again.
    """

    def __init__(
        self, types: Iterable[type], write: Callable[[object, type], object], read: Callable[[object, type], object]
    ) -> None:
        kinds = tuple(dict.fromkeys(types))
        counts = Counter(kind.__name__ for kind in (*kinds, dict))
        self.names: dict[object, str] = {
            kind: kind.__name__ if counts[kind.__name__] == 1 else f"{kind.__module__}.{kind.__qualname__}"
            for kind in kinds
        }
        self.types = {self.names[kind]: kind for kind in kinds}
        self._write = write
        self._read = read

    def pack(self, value: object) -> object:
        """Return what is written for a value. What is neither plain nor registered is left for pydantic to refuse."""
        kind = type(value)
        if kind in PLAIN:
            return value
        if kind is list:
            return [self.pack(part) for part in cast("list[object]", value)]
        if kind is dict:
            parts = {key: self.pack(part) for key, part in cast("dict[object, object]", value).items()}
            return {TAG: ESCAPED, VALUE: parts} if TAG in parts else parts
        name = self.names.get(kind)
        return value if name is None else {TAG: name, VALUE: self._write(value, kind)}

    def unpack(self, tree: object) -> object:
        """Return the value for a JSON tree. Raises ValueError for a name that is not registered."""
        kind = type(tree)
        if kind is list:
            return [self.unpack(part) for part in cast("list[object]", tree)]
        if kind is not dict:
            return tree
        parts = cast("dict[str, object]", tree)
        name = parts.get(TAG)
        if name is None:
            return {key: self.unpack(part) for key, part in parts.items()}
        inner = parts.get(VALUE)
        if name == ESCAPED and isinstance(inner, dict):
            return {key: self.unpack(part) for key, part in cast("dict[str, object]", inner).items()}
        if not isinstance(name, str) or name not in self.types or VALUE not in parts:
            raise ValueError(f"no type named {name!r} is registered with the workflow")
        return self._read(inner, self.types[name])
