"""Whether a value that was read back is the value that was written: equal, and of the same types all the way down.

`==` is too generous for this: 1 == True == 1.0, and a class may say what it likes. So what counts is the exact type of
everything inside, the sign of zero, private attributes and init=False fields. The order of a dict's keys counts only
where `==` says so (OrderedDict); NaN is equal to NaN; time zones with a fixed offset are equal when the offset is.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal
from enum import Enum
from types import FunctionType, NoneType
from typing import Any, Final, cast
from uuid import UUID

from milepost.engine.comparisons import (
    Comparison,
    Difference,
    by_own_rule,
    by_rule,
    changed,
    missing,
    plain_rule,
    same_complex,
    same_datetime,
    same_decimal,
    same_exactly,
    same_float,
    same_member,
    same_object,
    same_time,
    unlike,
)
from milepost.engine.parts import HELD_APART, PLAIN_BASES, caches_of, described, key_step, short, slots_of

EXACT: Final[frozenset[type]] = frozenset({int, str, bool, NoneType, bytes, UUID})
"""Types whose `==` is exact between two values of the type."""

UNSET: Final = object()
NOTHING: Final[Mapping[str, object]] = {}
FEW: Final = 8
"""Sequences of more items than this are first tried as wholes."""


def _bases(kind: type) -> tuple[type, ...]:
    return kind.__mro__[:-1]  # without object


def _is_model(kind: type) -> bool:
    return hasattr(kind, "__pydantic_private__")


def _is_opaque(kind: type) -> bool:
    """Tell whether objects of a type may hold what cannot be seen from Python, like a lock or a `functools.partial`."""
    holds_state = any("__slots__" in vars(base) or "__dict__" in vars(base) for base in kind.__mro__)
    return not holds_state or _reduces_itself(kind)


def _reduces_itself(kind: type) -> bool:
    return any(name in vars(base) for base in _bases(kind) for name in ("__reduce__", "__reduce_ex__"))


class Equality:
    """Compares values deeply. One for each codec, since types can be registered with it.

    Learns a comparison for each type that it meets, so that a comparison costs a dictionary look-up per object.
    """

    def __init__(self) -> None:
        self._registered: dict[tuple[type, type], Callable[[Any, Any], bool]] = {}
        self._by_type: dict[type, Comparison] = {}
        self._seen: set[tuple[int, int]] | None = None
        self._by_type.update(dict.fromkeys(EXACT, same_exactly))
        self._by_type.update({float: same_float, complex: same_complex, Decimal: same_decimal})
        self._by_type.update({datetime: same_datetime, time: same_time})
        self._by_type.update({list: self._sequences, tuple: self._sequences, deque: self._deques})
        self._by_type.update({dict: self._dicts, set: self._sets, frozenset: self._sets})

    def register(self, kind: type, same: Callable[[Any, Any], bool], loaded: type | None = None) -> None:
        """Let `same(value, loaded)` decide for a value of type `kind` that came back as a `loaded`, or a `kind` too."""
        self._registered[kind, loaded or kind] = same
        self._by_type.pop(kind, None)

    def has_rule(self, kind: type) -> bool:
        """Tell whether somebody has said what counts for values of exactly a type, or for what they come back as."""
        return any(kind in pair for pair in self._registered)

    def difference(self, value: object, loaded: object) -> Difference | None:
        """Return what differs first between a value and what came back for it, or None when nothing does.

        Raises RecursionError when they are nested too deeply to compare.

        >>> Equality().difference({"a": [1, 2]}, {"a": [1, 2.0]})[1:]
        ['[1]', "['a']"]
        """
        try:
            return self._compare(value, loaded)
        except RecursionError:
            self._seen = set()  # objects that refer back to themselves: follow each pair once
            try:
                return self._compare(value, loaded)
            finally:
                self._seen = None

    def _compare(self, value: object, loaded: object) -> Difference | None:
        kind: type = type(value)
        if kind is type(loaded):
            return (self._by_type.get(kind) or self._learn(kind))(value, loaded)
        same = self._registered.get((kind, type(loaded)))
        return None if same is not None and same(value, loaded) else changed(value, loaded)

    def _learn(self, kind: type) -> Comparison:
        found = self._comparison_of(kind)
        self._by_type[kind] = found
        return found

    def _comparison_of(self, kind: type) -> Comparison:
        same = self._registered.get((kind, kind))
        if same is not None:
            return by_rule(same)
        if Enum in kind.__mro__:
            return same_member
        for base, compare in self._containers():
            if base in kind.__mro__:
                return self._and_members(kind, compare)
        if _is_model(kind) or hasattr(kind, "__dataclass_fields__"):
            return self._members(kind)
        if not set(PLAIN_BASES).isdisjoint(kind.__mro__):
            return self._and_members(kind, by_rule(plain_rule(kind)))
        if any("__eq__" in vars(base) for base in _bases(kind)):
            return by_own_rule
        is_code = type in kind.__mro__ or kind is FunctionType
        return same_object if is_code or _is_opaque(kind) else self._members(kind)

    def _containers(self) -> tuple[tuple[type, Comparison], ...]:
        return (
            (defaultdict, self._defaultdicts),
            (OrderedDict, self._ordered),
            (dict, self._dicts),
            (list, self._sequences),
            (tuple, self._sequences),
            (set, self._sets),
            (frozenset, self._sets),
            (deque, self._deques),
        )

    def _and_members(self, kind: type, compare: Comparison) -> Comparison:
        members = self._members(kind)
        return lambda value, loaded: compare(value, loaded) or members(value, loaded)

    def _sequences(self, value: Sequence[object], loaded: Sequence[object]) -> Difference | None:
        if len(value) != len(loaded):
            return [f"it has {len(value)} items, but would come back with {len(loaded)}."]
        if len(value) > FEW and self._are_flat(value, loaded):
            return None
        for index, (mine, other) in enumerate(zip(value, loaded, strict=True)):
            kind = type(mine)
            if kind is type(other) and kind in EXACT and mine == other:
                continue
            found = self._compare(mine, other)
            if found is not None:
                names: Sequence[str] = getattr(type(value), "_fields", ())
                found.append(f".{names[index]}" if names else f"[{index}]")
                return found
        return None

    def _are_flat(self, value: Sequence[object], loaded: Sequence[object]) -> bool:
        """Tell whether two sequences hold the same simple values, at the speed of a loop in C."""
        kinds: list[type] = list(map(type, value))
        first = kinds[0]
        if kinds.count(first) < len(kinds) or kinds != list(map(type, loaded)):
            return False
        if first is float:
            return (
                array("d", cast("Sequence[float]", value)).tobytes()
                == array("d", cast("Sequence[float]", loaded)).tobytes()
            )
        return first in EXACT and list(value) == list(loaded)

    def _deques(self, value: deque[object], loaded: deque[object]) -> Difference | None:
        if value.maxlen != loaded.maxlen:
            return [f"its maxlen is {value.maxlen}, but would come back as {loaded.maxlen}."]
        return self._sequences(value, loaded)

    def _dicts(self, value: dict[object, object], loaded: dict[object, object]) -> Difference | None:
        if len(value) != len(loaded):
            return self._keys_differ(value, loaded)
        for (key, mine), (other_key, other) in zip(value.items(), loaded.items(), strict=True):
            if type(key) is not type(other_key) or key != other_key:
                return self._unordered_dicts(value, loaded)
            kind = type(mine)
            found = None if type(key) in EXACT else self._compare(key, other_key)
            if found is None and kind is type(other) and kind in EXACT and mine == other:
                continue
            found = found or self._compare(mine, other)
            if found is not None:
                found.append(key_step(key))
                return found
        return None

    def _unordered_dicts(self, value: dict[object, object], loaded: dict[object, object]) -> Difference | None:
        keys = {key: key for key in loaded}
        for key, mine in value.items():
            other_key = keys.get(key, UNSET)
            if other_key is UNSET:
                return self._keys_differ(value, loaded)
            found = self._compare(key, other_key) or self._compare(mine, loaded[other_key])
            if found is not None:
                found.append(key_step(key))
                return found
        return None

    def _keys_differ(self, value: dict[object, object], loaded: dict[object, object]) -> Difference:
        lost = [key for key in value if key not in loaded]
        if lost:
            return [*missing(value[lost[0]]), key_step(lost[0])]
        extra = [key for key in loaded if key not in value]
        return [f"it has no key {short(extra[0])}, but would come back with it."]

    def _ordered(self, value: dict[object, object], loaded: dict[object, object]) -> Difference | None:
        if list(value) != list(loaded):
            return changed(value, loaded)
        return self._dicts(value, loaded)

    def _defaultdicts(
        self, value: defaultdict[object, object], loaded: defaultdict[object, object]
    ) -> Difference | None:
        if value.default_factory is not loaded.default_factory:
            factories = f"{short(value.default_factory)}, but would come back as {short(loaded.default_factory)}"
            return [f"its default_factory is {factories}. Use a dict and its setdefault()."]
        return self._dicts(value, loaded)

    def _sets(self, value: frozenset[object], loaded: frozenset[object]) -> Difference | None:
        others = {other: other for other in loaded}
        for mine in value:
            other = others.get(mine, UNSET)
            if other is UNSET:
                return [f"it holds {described(mine)}, which would not come back."]
            found = None if type(mine) is type(other) and type(mine) in EXACT else self._compare(mine, other)
            if found is not None:
                return found
        return changed(value, loaded) if len(value) != len(loaded) else None

    def _members(self, kind: type) -> Comparison:
        """Return the comparison of objects by what they hold by name; what one of a pair lacks, its class may have."""
        slots, caches, by_type = slots_of(kind), caches_of(kind), self._by_type

        def compare(value: Any, loaded: Any) -> Difference | None:
            if self._seen is not None and self._is_known((id(value), id(loaded))):
                return None
            for name in slots:
                mine, other = getattr(value, name, UNSET), getattr(loaded, name, UNSET)
                found = None if mine is other else self._pair(mine, other)
                if found is not None:
                    found.append(f".{name}")
                    return found
            return named(getattr(value, "__dict__", NOTHING), getattr(loaded, "__dict__", NOTHING))

        def named(value: Mapping[str, object], loaded: Mapping[str, object]) -> Difference | None:
            for name, mine in value.items():
                other = loaded.get(name, UNSET)
                part = type(mine)
                if part is type(other) and (
                    mine == other if part in EXACT else by_type.get(part, unlike)(mine, other) is None
                ):
                    continue
                if name not in caches:
                    found = self._pair(mine, getattr(kind, name, UNSET) if other is UNSET else other)
                    if found is not None:
                        found.append(f".{name}")
                        return found
            return None if len(value) == len(loaded) else self._more(value, loaded, kind, caches)

        if not _is_model(kind):
            return compare
        return lambda value, loaded: compare(value, loaded) or self._apart(value, loaded, named)

    def _apart(self, value: object, loaded: object, named: Comparison) -> Difference | None:
        """Compare the private attributes and the extra fields of models."""
        for holder in HELD_APART:
            mine: Mapping[str, object] = getattr(value, holder, None) or NOTHING
            other: Mapping[str, object] = getattr(loaded, holder, None) or NOTHING
            found = named(mine, other) if mine or other else None
            if found is not None:
                return found
        return None

    def _is_known(self, pair: tuple[int, int]) -> bool:
        seen = self._seen
        assert seen is not None
        if pair in seen:
            return True
        seen.add(pair)
        return False

    def _pair(self, value: object, loaded: object) -> Difference | None:
        return missing(value) if loaded is UNSET else self._compare(value, loaded)

    def _more(
        self, value: Mapping[str, object], loaded: Mapping[str, object], kind: type, caches: frozenset[str]
    ) -> Difference | None:
        for name, other in loaded.items():
            if (
                name not in value
                and name not in caches
                and self._compare(getattr(kind, name, UNSET), other) is not None
            ):
                return [f"it is not set, but would come back as {described(other)}.", f".{name}"]
        return None
