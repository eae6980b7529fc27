"""How two single values are compared exactly, and what is said when they differ."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, tzinfo
from decimal import Decimal
from enum import Enum
from math import copysign
from typing import Any, TypeAlias

from milepost.engine.parts import PLAIN_BASES, described, short

Difference: TypeAlias = list[str]
"""What differs: the reason, then the steps of the path to it, innermost first."""

Comparison: TypeAlias = Callable[[Any, Any], "Difference | None"]


def changed(value: object, loaded: object) -> Difference:
    """Say that another value would come back."""
    if type(value) is type(loaded):
        return [f"it is {described(value)}, but would come back as {short(loaded)}."]
    reason = (
        f"it is {described(value)}, but would come back as {described(loaded)}. Declare its exact type there, "
        "or, where the type is meant to stay open, register it with the workflow."
    )
    return [reason]


def missing(value: object) -> Difference:
    """Say that a part would not come back."""
    reason = (
        f"it is {described(value)}, but would not come back: "
        "what is no field of the declared type, or is excluded, is not stored."
    )
    return [reason]


def unlike(value: object, loaded: object) -> Difference:
    """Say that two values differ, without a reason."""
    return []


def by_rule(same: Callable[[Any, Any], bool]) -> Comparison:
    """Return the comparison by a rule that tells whether two values are the same."""
    return lambda value, loaded: None if same(value, loaded) else changed(value, loaded)


def plain_rule(kind: type) -> Callable[[Any, Any], bool]:
    """Return the rule for a class made from a simple type, like a subclass of str."""
    base = next(base for base in PLAIN_BASES if issubclass(kind, base))
    if base is float:
        return lambda value, loaded: same_float(float(value), float(loaded)) is None
    return lambda value, loaded: bool(base.__eq__(value, loaded))


def same_exactly(value: object, loaded: object) -> Difference | None:
    """Compare values of a type whose `==` is exact."""
    return None if value == loaded else changed(value, loaded)


def same_float(value: float, loaded: float) -> Difference | None:
    """Compare floats: the sign of zero counts, and NaN is equal to NaN."""
    if value == loaded:
        return None if value or copysign(1.0, value) == copysign(1.0, loaded) else changed(value, loaded)
    return None if value != value and loaded != loaded else changed(value, loaded)


def same_complex(value: complex, loaded: complex) -> Difference | None:
    """Compare complex numbers, part by part."""
    found = same_float(value.real, loaded.real) or same_float(value.imag, loaded.imag)
    return None if found is None else changed(value, loaded)


def same_decimal(value: Decimal, loaded: Decimal) -> Difference | None:
    """Compare decimals digit by digit: 1.0 is not 1.00."""
    return None if value.as_tuple() == loaded.as_tuple() else changed(value, loaded)


def same_datetime(value: datetime, loaded: datetime) -> Difference | None:
    """Compare what the clock shows, the fold, and the offset of the zone."""
    # By parts: `==` of two aware times asks both zones for their offset, which takes ten times as long.
    if value.date() != loaded.date() or value.time() != loaded.time() or value.fold != loaded.fold:
        return changed(value, loaded)
    return _zones_differ(value.tzinfo, loaded.tzinfo)


def same_time(value: time, loaded: time) -> Difference | None:
    """Compare times of the day as times of a date are compared."""
    if value.replace(tzinfo=None) != loaded.replace(tzinfo=None) or value.fold != loaded.fold:
        return changed(value, loaded)
    return _zones_differ(value.tzinfo, loaded.tzinfo)


def _zones_differ(zone: tzinfo | None, other: tzinfo | None) -> Difference | None:
    if zone is other or _same_zone(zone, other):
        return None
    reason = (
        f"its time zone is {short(zone)}, but would come back as {short(other)}. Give it a fixed offset "
        "first, e.g. with .astimezone(timezone.utc), and keep the name of the zone beside it."
    )
    return [reason]


def _same_zone(zone: tzinfo | None, other: tzinfo | None) -> bool:
    """Tell whether two zones have the same fixed offset. One whose offset changes has none for None."""
    if zone is None or other is None:
        return False
    offset = zone.utcoffset(None)
    return offset is not None and offset == other.utcoffset(None)


def same_member(value: Enum, loaded: Enum) -> Difference | None:
    """Compare members of an enum."""
    return None if value is loaded else changed(value, loaded)


def same_object(value: object, loaded: object) -> Difference | None:
    """Compare objects of which nothing but their identity can be seen."""
    if value is loaded:
        return None
    reason = (
        f"it is {described(value)}, and nothing tells whether what would come back is the same. "
        "Register an equality for its type."
    )
    return [reason]


def by_own_rule(value: object, loaded: object) -> Difference | None:
    """Compare with the type's own `==`, which may fail or answer with something that is neither true nor false."""
    try:
        return None if value == loaded else changed(value, loaded)
    except RecursionError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".rstrip(".")
        reason = (
            f"it is {described(value)}, and comparing it with what would come back fails with {reason}. "
            "Register an equality for its type."
        )
        return [reason]
