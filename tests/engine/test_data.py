"""A dataclass of ours is in everything what the standard library would have made, only sooner."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
import pickle
import pkgutil
from collections.abc import Callable
from dataclasses import field
from functools import partial
from importlib import import_module
from typing import Any, Generic, TypeVar

import pytest

import milepost
from milepost.engine import data
from milepost.engine.data import dataclass
from milepost.engine.trace import Usage

T = TypeVar("T")
Maker = Callable[..., Any]
WEIGHT = "weight"
MORE = "more"


def positional(make: Maker) -> Any:
    @make
    class Point:
        """A point."""

        x: int
        y: float = 1.5
        seen: list[int] = field(default_factory=list[int])

    return Point


def by_name(make: Maker) -> Any:
    @make
    class Point:
        """A point."""

        seen: list[int] = field(default_factory=list[int], kw_only=True)
        y: float = field(default=1.5, repr=False, kw_only=True)
        x: int = field(compare=False, kw_only=True)

    return Point


def mixed(make: Maker) -> Any:
    @make
    class Point:
        """A point."""

        y: float = field(default=1.5, kw_only=True)
        x: int

    return Point


def empty(make: Maker) -> Any:
    @make
    class Point:
        """A point."""

    return Point


def generic(make: Maker) -> Any:
    @make
    class Point(Generic[T]):
        """A point."""

        x: T

    return Point


def checked(make: Maker) -> Any:
    @make
    class Point:
        """A point."""

        x: int
        made = 3

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError("below zero")

        def twice(self) -> int:
            return self.x * 2

    return Point


def with_its_own_methods(make: Maker) -> Any:
    @make
    class Point:
        """A point."""

        x: int

        def __eq__(self, other: object) -> bool:
            return True

        def __repr__(self) -> str:
            return "a point"

    return Point


def with_its_own_hash(make: Maker) -> Any:
    @make
    class Point:
        """A point."""

        x: int

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 3

    return Point


def derived(make: Maker) -> Any:
    @make
    class Base:
        """What has an x."""

        x: int

    @make
    class Point(Base):
        """A point."""

        y: float = 1.5

    return Point


SHAPES = [positional, by_name, mixed, empty, generic, checked, with_its_own_methods, with_its_own_hash, derived]
KINDS = [
    {"slots": True, "frozen": True},
    {"slots": True, "frozen": True, "kw_only": True},
    {"slots": True},
    {"frozen": True},
    {"kw_only": True},
]
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
EACH_KIND = pytest.mark.parametrize("options", KINDS, ids=str)


def twins(shape: Callable[[Maker], Any], options: dict[str, bool]) -> tuple[Any, Any]:
    return shape(data.dataclass(**options)), shape(dataclasses.dataclass(**options))


def arguments(cls: Any, **given: object) -> dict[str, object]:
    names = {each.name for each in dataclasses.fields(cls)}
    return {name: value for name, value in ({"x": 4} | given).items() if name in names}


def outcome(act: Callable[[], object]) -> object:
    try:
        return act()
    except Exception as error:
        return type(error), str(error)


@EACH_KIND
@EACH_SHAPE
def test_a_class_looks_the_same(shape: Callable[[Maker], Any], options: dict[str, bool]) -> None:
    ours, theirs = twins(shape, options)
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    assert inspect.get_annotations(ours.__init__) == inspect.get_annotations(theirs.__init__)
    assert ours.__init__.__qualname__ == theirs.__init__.__qualname__
    assert [repr(each) for each in dataclasses.fields(ours)] == [repr(each) for each in dataclasses.fields(theirs)]
    assert set(dir(ours)) == set(dir(theirs))
    for name in ("__doc__", "__slots__", "__match_args__", "__module__", "__qualname__"):
        assert getattr(ours, name, None) == getattr(theirs, name, None)


@EACH_KIND
@EACH_SHAPE
def test_an_instance_is_shown_compared_and_hashed_the_same(
    shape: Callable[[Maker], Any], options: dict[str, bool]
) -> None:
    def told(cls: Any) -> list[object]:
        given: list[dict[str, object]] = [{}, {}, {"x": 5, "y": 2}, {"x": math.nan}, {"x": math.nan}]
        instances = [cls(**arguments(cls, **each)) for each in given]
        alike = [one == other for one in instances for other in [*instances, math.nan]]
        return [alike, *map(repr, instances), *(outcome(partial(hash, each)) for each in instances)]

    ours, theirs = twins(shape, options)
    assert told(ours) == told(theirs)


@EACH_KIND
@EACH_SHAPE
def test_an_instance_is_refused_copied_and_changed_the_same(
    shape: Callable[[Maker], Any], options: dict[str, bool]
) -> None:
    def told(cls: Any) -> list[object]:
        one = cls(**arguments(cls))
        copies = [copy.copy(one), copy.deepcopy(one), dataclasses.replace(one)]
        makes: list[Callable[[], object]] = [
            lambda: cls(1, 2, 3, 4, 5),
            lambda: cls(x=1, z=3),
            lambda: cls(),
            lambda: cls(x=-1),
        ]
        changes = [
            change
            for name in arguments(cls)
            for change in (partial(setattr, one, name, 5), partial(repr, one), partial(delattr, one, name))
        ]
        made = [str(outcome(make)) for make in makes]
        return [[dataclasses.asdict(each) for each in copies], made, [outcome(change) for change in changes]]

    ours, theirs = twins(shape, options)
    assert told(ours) == told(theirs)


@dataclass(frozen=True, slots=True)
class Parcel:
    """Something to be sent."""

    weight: float
    labels: tuple[str, ...] = ()


class Marked(Parcel):
    """A parcel with something on it that can be changed."""

    mark = ""

    def __init__(self, weight: float) -> None:
        super().__init__(weight, ("marked",))


def test_an_instance_can_be_pickled() -> None:
    parcel = Parcel(2.5, ("fragile",))
    assert pickle.loads(pickle.dumps(parcel)) == parcel


def test_the_initializer_is_written_when_it_is_first_called_or_looked_at() -> None:
    @dataclass(frozen=True, slots=True)
    class Fresh:
        """A class that nothing has used."""

        x: int

    assert isinstance(vars(Fresh)["__init__"], data.Initializer)
    assert Fresh(3) == Fresh(3)
    assert inspect.isfunction(vars(Fresh)["__init__"])


def test_a_subclass_calls_the_initializer_and_changes_only_what_is_its_own() -> None:
    parcel = Marked(2.5)
    assert (parcel.weight, parcel.labels) == (2.5, ("marked",))
    parcel.mark = "seen"
    del parcel.mark
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'weight'"):
        setattr(parcel, WEIGHT, 3.0)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'weight'"):
        delattr(parcel, WEIGHT)


def test_a_frozen_instance_has_no_place_for_more() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'more'"):
        setattr(Parcel(2.5), MORE, 1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'more'"):
        delattr(Parcel(2.5), MORE)


def test_an_instance_that_holds_itself_is_shown_once() -> None:
    @dataclass(slots=True)
    class Ring:
        """What leads to itself."""

        next: object = None

    ring = Ring()
    ring.next = ring
    assert repr(ring).endswith(".Ring(next=...)")


def classes() -> list[type]:
    modules = [each.name for each in pkgutil.walk_packages(milepost.__path__, "milepost.")]
    rooms = ("milepost.engine.", "milepost.nodes.", "milepost.workflows.draft", "milepost.visualize.")
    found = [value for name in modules if name.startswith(rooms) for value in vars(import_module(name)).values()]
    return list(dict.fromkeys(each for each in found if isinstance(each, type) and dataclasses.is_dataclass(each)))


def test_every_class_of_ours_can_be_written() -> None:
    ours = [each for each in classes() if vars(each).get("__repr__") is data.show]
    assert Usage in ours
    assert len(ours) > 150
    for each in ours:
        fields = dataclasses.fields(each)
        given = inspect.signature(each).parameters
        assert set(given) == {field.name for field in fields}
        assert all(given[field.name].kind is inspect.Parameter.KEYWORD_ONLY for field in fields if field.kw_only)
