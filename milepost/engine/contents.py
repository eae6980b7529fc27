"""The contents of a state object: whether they can change, and reading, setting and replacing them in place."""

from __future__ import annotations

import dataclasses
from collections import deque
from enum import Enum
from typing import Any, Final, cast

from milepost.engine.fields import WHOLE, key_of
from milepost.engine.parts import HELD_APART, slots_of

CONTAINERS: Final = (dict, list, set, deque, bytearray)
FIXED: Final = (str, int, float, complex, bytes, tuple, frozenset, Enum, type)
ABSENT: Final = object()


def is_model(value: Any) -> bool:
    """Tell whether an object is a pydantic model."""
    return hasattr(value.__class__, "__pydantic_private__")


def is_mutable(value: Any) -> bool:
    """Tell whether an object can be made equal to another in place, frozen or not."""
    if isinstance(value, CONTAINERS):
        return True
    if isinstance(value, FIXED):
        return False
    return dataclasses.is_dataclass(value) or hasattr(value, "__dict__")


def is_constant(value: Any) -> bool:
    """Tell whether nothing in an object can change, so that every task may look at the same one."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def make_equal(target: Any, source: Any) -> bool:
    """Give `target` the contents of `source`, frozen or not. Returns whether that was possible."""
    kind: type = target.__class__
    if kind is not source.__class__ or not is_mutable(target):
        return False
    _refill(target, source)
    names = slots_of(kind)
    for name in (*names, "__pydantic_fields_set__", *HELD_APART) if is_model(target) else names:
        value = getattr(source, name, ABSENT)
        if value is not ABSENT:
            object.__setattr__(target, name, value)
        elif hasattr(target, name):
            object.__delattr__(target, name)
    if hasattr(target, "__dict__"):
        target.__dict__.clear()
        target.__dict__.update(source.__dict__)
    return True


def _refill(target: Any, source: Any) -> None:
    """Give a container the items of another."""
    kind: type = target.__class__
    if issubclass(kind, list | bytearray):
        target[:] = source
    elif issubclass(kind, set | dict):
        target.clear()
        target.update(source)
    elif issubclass(kind, deque):
        target.clear()
        target.extend(source)


def value_of(state: Any, name: str) -> Any:
    """Return one field of a state, ABSENT where it has none of that name."""
    if _is_root(state):
        return state.root if name == WHOLE else value_of(state.root, name)
    if name == WHOLE:
        return state
    return cast("Any", state).get(key_of(name), ABSENT) if isinstance(state, dict) else getattr(state, name, ABSENT)


def with_value(state: Any, name: str, value: Any) -> Any:
    """Return a state with one field set, or taken out where the value is ABSENT; the same object wherever it can be."""
    if _is_root(state):
        object.__setattr__(state, "root", with_value(state.root, name, value))
        return state
    if name == WHOLE:
        return value
    members = _members(state, name)
    if members is None:
        object.__setattr__(state, name, value)
    elif value is ABSENT:
        members.pop(key_of(name), None)
    else:
        members[key_of(name)] = value
    return state


def _members(state: Any, name: str) -> dict[str, Any] | None:
    """Return the dict in which a state holds a field by its key, None when the field is an attribute."""
    if isinstance(state, dict):
        return cast("dict[str, Any]", state)
    extra: dict[str, Any] | None = getattr(state, "__pydantic_extra__", None)
    return extra if extra is not None and name not in state.__class__.__pydantic_fields__ else None


def _is_root(state: Any) -> bool:
    return bool(getattr(state.__class__, "__pydantic_root_model__", False))
