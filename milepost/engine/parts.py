"""The parts of any value, with the step of the path to each, and how a value is named in an error."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import cached_property
from reprlib import Repr
from typing import Final, cast

PLAIN_BASES: Final = (str, int, float, complex, bytes, bytearray)
HELD_APART: Final = ("__pydantic_private__", "__pydantic_extra__")
"""Where pydantic's models keep what is not a field."""

NOT_DATA: Final = frozenset({"__dict__", "__weakref__", "__pydantic_fields_set__", *HELD_APART})

_shorten = Repr()
_shorten.maxstring = _shorten.maxother = _shorten.maxlong = 60
_shorten.maxlist = _shorten.maxtuple = _shorten.maxdeque = _shorten.maxdict = 4
_shorten.maxset = _shorten.maxfrozenset = 4


def short(value: object) -> str:
    """Return a short `repr`, also of a value whose own `repr` fails."""
    try:
        return _shorten.repr(value)
    except Exception:  # whatever a user's class raises; a whole number with more digits than Python converts
        return f"<{type(value).__qualname__}>"


def described(value: object) -> str:
    """Name a value for an error: its type and its short `repr`.

    >>> described("5")
    "the str '5'"
    >>> described(None)
    'None'
    """
    text, name = short(value), type(value).__name__
    return text if value is None or name in text[: len(name) + 10] else f"the {type(value).__qualname__} {text}"


def key_step(key: object) -> str:
    """Return the step of a path that goes through a key of a dict."""
    return f"[{short(key)}]"


def attributes_of(value: object) -> Mapping[str, object]:
    """Return what an object holds by name: its `__dict__`, slots, and a model's extra and private attributes."""
    kind = type(value)
    found: dict[str, object] = {}
    for holder in ("__dict__", *HELD_APART):
        found.update(getattr(value, holder, None) or {})
    found.update((name, getattr(value, name)) for name in slots_of(kind) if hasattr(value, name))
    return {name: part for name, part in found.items() if name not in caches_of(kind)}


def parts_of(value: object) -> Iterator[tuple[str, object]]:
    """Yield the parts of a value with the step of the path to each."""
    if isinstance(value, dict):
        for key, part in cast("dict[object, object]", value).items():
            yield key_step(key), part
    elif isinstance(value, list | tuple | deque):
        names: Sequence[str] = getattr(type(cast(object, value)), "_fields", ())
        for index, part in enumerate(cast("Sequence[object]", value)):
            yield f".{names[index]}" if names else f"[{index}]", part
    elif isinstance(value, set | frozenset):
        for part in cast("frozenset[object]", value):
            yield "", part
    elif not isinstance(value, (*PLAIN_BASES, Enum, type)):
        for name, part in attributes_of(value).items():
            yield f".{name}", part


def slots_of(kind: type) -> tuple[str, ...]:
    """Return the names of the slots of a class and its bases in which objects keep data."""
    names: list[str] = []
    for base in kind.__mro__:
        declared = vars(base).get("__slots__", ())
        for name in (declared,) if isinstance(declared, str) else declared:
            hidden = name.startswith("__") and not name.endswith("__")
            names.append(f"_{base.__name__.lstrip('_')}{name}" if hidden else name)
    return tuple(name for name in names if name not in NOT_DATA)


def caches_of(kind: type) -> frozenset[str]:
    """Return the names under which an object keeps what is not data.

    Those are cached properties, computed again when they are asked for, and the alias that it was made by, as in
    `Box[int](1)`.
    """
    cached = (
        name for base in kind.__mro__ for name, member in vars(base).items() if isinstance(member, cached_property)
    )
    return frozenset((*cached, "__orig_class__"))
