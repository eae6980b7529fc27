"""Whether a value of one declared type can be given where another is declared.

Only what is certainly wrong is wrong: an unknown type, a variable, a protocol or a base class given where its subclass
is expected all pass, because a value may well fit. Type checkers are stricter; this is for what they did not see.
"""

from __future__ import annotations

import collections.abc
import inspect
import types
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import (
    Any,
    ForwardRef,
    Literal,
    Never,
    NewType,
    NoReturn,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    is_typeddict,
)

from milepost.engine.hints import strip
from milepost.engine.spec import UNKNOWN

PROMOTED: dict[type, tuple[type, ...]] = {
    int: (float, complex),
    float: (complex,),
    bytearray: (bytes,),
    memoryview: (bytes,),
}
"""What a type checker lets through though it is no subclass (PEP 484, "The numeric tower")."""

OPEN = (UNKNOWN, object, inspect.Parameter.empty, Ellipsis)
"""Types that say nothing about a value."""


def accepts(expected: object, given: object) -> bool:
    """Tell whether a place for `expected` may take every kind of value that `given` allows.

    >>> accepts(str, int), accepts(int | str, int), accepts(list[str], list[int]), accepts(float, bool)
    (False, True, False, True)
    """
    return all(accepts_member(expected, member) for member in members(given))


def accepts_some(expected: object, given: object) -> bool:
    """Tell whether a place for `expected` may take at least one kind of value that `given` allows."""
    return any(accepts_member(expected, member) for member in members(given))


def members(hint: object) -> tuple[object, ...]:
    """Return the alternatives of a union, flat; any other type is its only alternative.

    >>> members(int | (str | None)) == (int, str, type(None))
    True
    """
    return tuple(distinct(walk_members(hint)))


def distinct(hints: Iterable[object]) -> list[object]:
    """Return types without repetition, in order. Compared, not hashed: metadata of Annotated need not be hashable."""
    found: list[object] = []
    for hint in hints:
        if hint not in found:
            found.append(hint)
    return found


def walk_members(hint: object) -> Iterator[object]:
    plain = strip(hint)
    if get_origin(plain) in (Union, types.UnionType):
        for argument in get_args(plain):
            yield from walk_members(argument)
    elif get_origin(plain) is Literal and len(get_args(plain)) > 1:
        for value in get_args(plain):
            yield Literal[value]
    else:
        yield types.NoneType if plain is None else plain


def accepts_member(expected: object, given: object) -> bool:
    return any(fits(option, given) for option in members(expected))


def fits(expected: object, given: object) -> bool:
    """Compare two types that are no unions."""
    expected, given = supertype(expected), supertype(given)
    if says_nothing(expected) or says_nothing(given) or is_empty(given):
        return True
    if get_origin(given) is Literal:
        return literal_fits(expected, get_args(given)[0])
    if get_origin(expected) is Literal:
        value: object = get_args(expected)[0]
        return fits(type(value), given)
    wanted, has = runtime_class(expected), runtime_class(given)
    if wanted is None or has is None:
        return True
    return classes_fit(wanted, has) and arguments_fit(expected, given)


def supertype(hint: object) -> object:
    """Return what a NewType is made of, and any other type as it is."""
    plain = strip(hint)
    while isinstance(plain, NewType):
        plain = strip(plain.__supertype__)
    return plain


def is_empty(hint: object) -> bool:
    """Tell whether there is no value of a type at all."""
    return hint is Never or hint is NoReturn


def says_nothing(hint: object) -> bool:
    """Tell whether a type leaves a value open, as far as this module can read it."""
    return hint in OPEN if isinstance(hint, type) or hint is UNKNOWN else isinstance(hint, TypeVar | ForwardRef | str)


def runtime_class(hint: object) -> type[Any] | None:
    """Return the class that instances of a type have, None when they need not have a certain one."""
    origin: object = get_origin(hint) or hint
    if is_typeddict(origin):
        return dict
    if not isinstance(origin, type) or getattr(origin, "_is_protocol", False) or origin is Protocol:
        return None
    return origin


def literal_fits(expected: object, value: object) -> bool:
    if get_origin(expected) is Literal:
        return any(type(option) is type(value) and option == value for option in get_args(expected))
    return fits(expected, type(value))


def classes_fit(wanted: type, has: type) -> bool:
    """Tell whether an instance of `has` may be one of `wanted`: one class is the other's base, or is promoted to it."""
    try:
        related = issubclass(has, wanted) or issubclass(wanted, has)
    except TypeError:  # a class that cannot be asked
        return True
    return related or any(issubclass(has, source) and wanted in targets for source, targets in PROMOTED.items())


def arguments_fit(expected: object, given: object) -> bool:
    """Compare what is inside two generic types whose classes fit, item by item, as if they could only be read."""
    wanted, has = get_args(expected), get_args(given)
    if not wanted or not has:
        return True
    if get_origin(expected) is tuple and get_origin(given) is tuple:
        return tuples_fit(wanted, has)
    if get_origin(expected) is get_origin(given) or (is_mapping(expected) and is_mapping(given)):
        return len(wanted) != len(has) or all(accepts(one, other) for one, other in zip(wanted, has, strict=True))
    if len(wanted) == 1 and is_iterable(expected) and is_iterable(given):
        return accepts(wanted[0], item_type(given))
    return True


def tuples_fit(wanted: tuple[object, ...], has: tuple[object, ...]) -> bool:
    if Ellipsis in wanted:
        return all(accepts(wanted[0], part) for part in has if part is not Ellipsis)
    if Ellipsis in has:
        return all(accepts(part, has[0]) for part in wanted)
    return len(wanted) == len(has) and all(accepts(one, other) for one, other in zip(wanted, has, strict=True))


def is_mapping(hint: object) -> bool:
    origin = get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, collections.abc.Mapping)


def is_iterable(hint: object) -> bool:
    origin = get_origin(hint) or hint
    return isinstance(origin, type) and hasattr_any(origin, "__iter__", "__aiter__")


def hasattr_any(owner: type, *names: str) -> bool:
    return any(hasattr(owner, name) for name in names)


def item_type(hint: object) -> object:
    """Return the type of one item of something that a map goes over, unknown when its type does not tell.

    >>> item_type(list[int]), item_type(tuple[int, str]) == int | str, item_type(str)
    (<class 'int'>, True, <class 'str'>)
    """
    found = [one_item_type(supertype(member)) for member in members(hint)]
    return union_of(found)


def one_item_type(hint: object) -> object:
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if origin is str:
        return str
    if origin in (bytes, bytearray):
        return int
    if origin is tuple:
        return union_of([argument for argument in arguments if argument is not Ellipsis])
    if isinstance(origin, type) and (origin.__module__ in ("builtins", "collections", "collections.abc")):
        return arguments[0] if arguments else UNKNOWN
    return UNKNOWN


def union_of(types_: Iterable[object]) -> object:
    """Return the union of some types: unknown when one of them is, or when there are none."""
    parts = distinct(types_)
    if not parts or UNKNOWN in parts:
        return UNKNOWN
    unions: Any = Union
    return unions[tuple(parts)]


def is_model(hint: object) -> bool:
    """Tell whether a type is a pydantic model, which can be iterated only by accident: over its fields."""
    origin = get_origin(hint) or hint
    return isinstance(origin, type) and hasattr(origin, "model_fields") and hasattr(origin, "__pydantic_core_schema__")


def may_be_mapped(hint: object) -> bool:
    """Tell whether a map may go over a value of this type."""
    plain = supertype(hint)
    if says_nothing(plain):
        return True
    wanted = runtime_class(plain)
    return wanted is None or hasattr_any(wanted, "__iter__", "__aiter__")


def values_of(hint: object) -> tuple[object, ...] | None:
    """Return every value of a type that has only a few: Literal, Enum, bool, None, and unions of them; else None.

    >>> values_of(Literal["a", "b"]), values_of(bool), values_of(str)
    (('a', 'b'), (True, False), None)
    """
    found: list[object] = []
    for member in members(hint):
        if get_origin(member) is Literal:
            found += get_args(member)
        elif member is types.NoneType:
            found.append(None)
        elif member is bool:
            found += [True, False]
        elif isinstance(member, type) and issubclass(member, Enum):
            found += list(member)
        else:
            return None
    return tuple(found)


def type_name(hint: object) -> str:
    """Return the short name of a type, for people: classes without their modules.

    >>> type_name(dict[str, list[int]]), type_name(int | None)
    ('dict[str, list[int]]', 'int | None')
    """
    plain = strip(hint)
    if plain is UNKNOWN:
        return "Any"
    if plain is types.NoneType:
        return "None"
    if plain is Ellipsis:
        return "..."
    origin, arguments = get_origin(plain), get_args(plain)
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin in (Union, types.UnionType):
        return " | ".join(type_name(member) for member in arguments)
    own: str = getattr(origin or plain, "__name__", None) or str(plain)
    inner = ", ".join(type_name(argument) for argument in arguments if not isinstance(argument, list))
    return f"{own}[{inner}]" if inner else own
