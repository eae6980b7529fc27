"""`dataclass` as in the standard library, for classes that are imported sooner and filled faster.

Most of what importing the engine took was compiling six methods for each of its dataclasses, few of which a process
ever calls. Here `__init__` is written when it is first called or looked at, and fills a frozen class with slots through
their descriptors, so that an instance is made in about three quarters of the time. What compares, prints, copies and
refuses is the same code for all classes, which is slower to compare (by a third) and to print: neither is done in every
step. Whatever else a dataclass is, the standard library makes of it; a test holds ours equal to what they would have
been there.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from operator import attrgetter
from reprlib import recursive_repr
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, slots: bool = False, frozen: bool = False, kw_only: bool = False) -> Callable[[type], type]:
        """Make a dataclass of a class."""
        return lambda cls: declared(cls, slots=slots, frozen=frozen, kw_only=kw_only)


MADE: Final[Callable[..., Any]] = dataclasses.dataclass


class Factory:
    """Stands in a signature for a value that is made anew for each instance."""

    def __repr__(self) -> str:
        return "<factory>"


FACTORY: Final = Factory()


class Initializer:
    """The `__init__` of a class until it is first called or looked at, which puts the real one in its place."""

    def __init__(self, cls: type, *, frozen: bool) -> None:
        self.cls = cls
        self.frozen = frozen

    def __get__(self, instance: object, owner: type) -> Callable[..., None]:
        written: Any = initializer(self.cls, frozen=self.frozen)
        type.__setattr__(self.cls, "__init__", written)
        found: Callable[..., None] = written.__get__(instance, owner)
        return found


def declared(cls: type, *, slots: bool, frozen: bool, kw_only: bool) -> type:
    """Make a dataclass of a class, without compiling anything."""
    own = dict(vars(cls))
    made = MADE(cls, init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)
    fields = dataclasses.fields(made)
    methods: dict[str, object] = {"__init__": Initializer(made, frozen=frozen), "__repr__": show}
    methods |= comparing([field.name for field in fields if field.compare], frozen=frozen)
    if frozen:
        methods |= refusing(made, frozenset(field.name for field in fields))
    if frozen and slots:
        methods |= COPYING
    if "__eq__" in own and own["__hash__"] is None:  # Python has said so, not the class
        made.__hash__ = methods["__hash__"]
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    ours: type = made
    return ours


def initializer(cls: Any, *, frozen: bool) -> Callable[..., None]:
    """Write the `__init__` of a dataclass."""
    known: dict[str, object] = {"FACTORY": FACTORY}
    by_position, by_name = ["self"], ["*"]
    lines: list[str] = []
    for field in dataclasses.fields(cls):
        name = value = parameter = field.name
        if field.default_factory is not dataclasses.MISSING:
            known[f"make_{name}"] = field.default_factory
            parameter, value = f"{name}=FACTORY", f"make_{name}() if {name} is FACTORY else {name}"
        elif field.default is not dataclasses.MISSING:
            known[f"default_{name}"] = field.default
            parameter = f"{name}=default_{name}"
        (by_name if field.kw_only else by_position).append(parameter)
        if frozen:
            known[f"set_{name}"] = setter(cls, name)
        lines.append(f"set_{name}(self, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    parameters = ", ".join(by_position + (by_name if len(by_name) > 1 else []))
    body = "; ".join(lines) or "pass"
    text = f"def write({', '.join(known)}):\n def __init__({parameters}):\n  {body}\n return __init__"
    found: dict[str, Any] = {}
    exec(text, vars(sys.modules[cls.__module__]), found)
    written: Any = found["write"](**known)
    written.__qualname__ = f"{cls.__qualname__}.__init__"
    written.__annotations__ = {field.name: field.type for field in dataclasses.fields(cls)} | {"return": None}
    initialize: Callable[..., None] = written
    return initialize


def setter(cls: type, name: str) -> Callable[[object, object], None]:
    """Return what sets a field of a frozen instance: the descriptor of its slot, if it has one."""
    slot = getattr(cls, name, None)
    if isinstance(slot, MemberDescriptorType):
        return slot.__set__
    return lambda self, value: object.__setattr__(self, name, value)


@recursive_repr()
def show(self: Any) -> str:
    """Return what an instance looks like: `Retry(attempts=3)`."""
    shown = [f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def comparing(names: Sequence[str], *, frozen: bool) -> dict[str, object]:
    """Return the methods that compare the instances of one class by these fields; what can be changed has no hash."""
    read: Callable[[object], object] = attrgetter(*names) if names else lambda instance: ()
    contents: Callable[[object], object] = read if len(names) != 1 else lambda instance: (read(instance),)

    def __eq__(self: object, other: object) -> bool:
        return contents(self) == contents(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: object) -> int:
        return hash(contents(self))

    return {"__eq__": __eq__, "__hash__": __hash__ if frozen else None}


def refusing(cls: type, names: frozenset[str]) -> dict[str, object]:
    """Return the methods that refuse to change an instance of a class; a subclass may have more that can be changed."""

    def __setattr__(self: object, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def __delattr__(self: object, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    return {"__setattr__": __setattr__, "__delattr__": __delattr__}


def taken_out(self: Any) -> list[object]:
    """Return what a frozen instance holds, to be copied or pickled."""
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def put_in(self: Any, values: Sequence[object]) -> None:
    """Fill the copy of a frozen instance."""
    for field, value in zip(dataclasses.fields(self), values, strict=True):
        object.__setattr__(self, field.name, value)


COPYING: Final[dict[str, object]] = {"__getstate__": taken_out, "__setstate__": put_in}
