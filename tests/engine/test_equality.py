"""Whether what came back is what was written."""

from __future__ import annotations

import collections
import datetime as dt
import functools
import threading
import zoneinfo
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from milepost.engine.equality import Equality


class Plain:
    def __init__(self, **attributes: object) -> None:
        vars(self).update(attributes)


class Slotted:
    __slots__ = ("__own", "a")

    def __init__(self, a: object, own: object) -> None:
        self.a = a
        self.__own = own


class Text(str):
    def __new__(cls, text: str, mark: object = None) -> Text:
        made = super().__new__(cls, text)
        made.mark = mark  # type: ignore[attr-defined]  # what is compared
        return made


class Share(float):
    pass


class Numbers(list[int]):
    pass


class Always:
    def __eq__(self, other: object) -> bool:
        return True


class Broken:
    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError("no")


class Pair(NamedTuple):
    a: object
    b: object


class Open(BaseModel, extra="allow"):
    a: int = 0


class Node:
    def __init__(self, name: str) -> None:
        self.name = name
        self.next: Node = self


def ring(*names: str) -> Node:
    nodes = [Node(name) for name in names]
    for node, following in zip(nodes, nodes[1:] + nodes[:1], strict=True):
        node.next = following
    return nodes[0]


def marked(a: object) -> Numbers:
    value = Numbers([1])
    vars(value)["mark"] = a
    return value


NAN = float("nan")
LOCK = threading.Lock()
UTC = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)

SAME: dict[str, tuple[object, object]] = {
    "NaN": (NAN, float("nan")),
    "many numbers": ([1] * 20, [1] * 20),
    "NaN among many": ([NAN] * 20, [NAN] * 20),
    "the order of a dict": ({"a": 1, "b": [2]}, {"b": [2], "a": 1}),
    "sets": ({1, (2, "x")}, {(2, "x"), 1}),
    "objects": (Plain(a=[1]), Plain(a=[1])),
    "slots": (Slotted(1, [2]), Slotted(1, [2])),
    "a str subclass": (Text("a", 1), Text("a", 1)),
    "a float subclass": (Share("nan"), Share("nan")),
    "a type with its own equality": (Always(), Always()),
    "fixed zones with one offset": (UTC, UTC.replace(tzinfo=zoneinfo.ZoneInfo("UTC"))),
    "one lock": (LOCK, LOCK),
    "a function": (len, len),
    "rings": (ring("a", "b"), ring("a", "b")),
}

DIFFERENT: dict[str, tuple[object, object, str]] = {
    "bool and int": ([{"a": (1, True)}], [{"a": (1, 1)}], "[0]['a'][1]"),
    "keys of other types": ({1: "a"}, {True: "a"}, "[1]"),
    "keys of other types, in another order": ({1: "a", 2: "b"}, {2: "b", 1.0: "a"}, "[1]"),
    "values in another order": ({"a": 1, "b": 2}, {"b": 3, "a": 1}, "['b']"),
    "keys inside keys": ({(1, 2): "a"}, {(True, 2): "a"}, "[(1, 2)][0]"),
    "a missing key": ({"a": 1, "b": 2}, {"a": 1, "c": 2}, "['b']"),
    "a key too many": ({"a": 1}, {"a": 1, "c": 2}, ""),
    "a member of a set": ({1, 2}, {1, 3}, ""),
    "a set too large": ({1}, {1, 3}, ""),
    "a member of a set of another type": ({1}, {True}, ""),
    "the length of a list": ([1], [1, 2], ""),
    "one of many": ([1] * 20, [1] * 19 + [True], "[19]"),
    "one of many mixed": ([1, "a"] * 20, [1, "a"] * 19 + [1, "b"], "[39]"),
    "one of many floats": ([0.0] * 20, [0.0] * 19 + [-0.0], "[19]"),
    "the sign of zero": (0.0, -0.0, ""),
    "a part of a complex": (complex(0, 0.0), complex(0, -0.0), ""),
    "digits of a Decimal": (Decimal("1.0"), Decimal("1.00"), ""),
    "a field of a NamedTuple": (Pair(1, 2), Pair(1, 3), ".b"),
    "an attribute": (Plain(a=Plain(b=1)), Plain(a=Plain(b=2)), ".a.b"),
    "a lost attribute": (Plain(a=1, b=2), Plain(a=1), ".b"),
    "a new attribute": (Plain(a=1), Plain(a=1, b=2), ".b"),
    "a slot": (Slotted(1, 2), Slotted(1, 3), "._Slotted__own"),
    "an extra field": (Open.model_validate({"z": 1}), Open.model_validate({"z": 2}), ".z"),
    "a mark on a str": (Text("a", 1), Text("a", 2), ".mark"),
    "a mark on a list": (marked(1), marked(2), ".mark"),
    "a float subclass": (Share(0.0), Share(-0.0), ""),
    "the order of an OrderedDict": (
        collections.OrderedDict(a=1, b=2),
        collections.OrderedDict(b=2, a=1),
        "",
    ),
    "two locks": (threading.Lock(), threading.Lock(), ""),
    "two partials": (functools.partial(int, 1), functools.partial(int, 1), ""),
    "an equality that fails": (Broken(), Broken(), ""),
    "aware and naive": (UTC, UTC.replace(tzinfo=None), ""),
    "a time of the day": (dt.time(1), dt.time(2), ""),
    "a time of the day with a zone": (dt.time(1, tzinfo=dt.UTC), dt.time(1), ""),
    "rings": (ring("a", "b"), ring("a", "c"), ".next.name"),
}


@pytest.mark.parametrize(("value", "loaded"), list(SAME.values()), ids=list(SAME))
def test_these_are_the_same(value: object, loaded: object) -> None:
    assert Equality().difference(value, loaded) is None


@pytest.mark.parametrize(("value", "loaded", "path"), list(DIFFERENT.values()), ids=list(DIFFERENT))
def test_these_differ_and_the_path_says_where(value: object, loaded: object, path: str) -> None:
    found = Equality().difference(value, loaded)
    assert found is not None
    assert "".join(found[:0:-1]) == path
    assert found[0].endswith(".")


def test_a_difference_is_found_again_after_a_ring_was_compared() -> None:
    equality = Equality()
    assert equality.difference(ring("a"), ring("a")) is None
    assert equality.difference(ring("a"), ring("b")) is not None


def test_values_too_deep_to_compare_raise_a_recursion_error() -> None:
    value: list[Any] = []
    other: list[Any] = []
    for _ in range(5000):
        value, other = [value], [other]
    with pytest.raises(RecursionError):
        Equality().difference(value, other)
