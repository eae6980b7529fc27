"""For generated types and values: what comes back is equal and of the same types, or was refused."""

from __future__ import annotations

import datetime as dt
import enum
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeVar, Union
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from milepost.engine.codec import Codec, split_array
from milepost.engine.equality import Equality
from milepost.engine.errors import NotStorable

T = TypeVar("T")

Typed = tuple[Any, st.SearchStrategy[Any]]
"""A type, and the values that fit it."""


class Box(BaseModel, Generic[T]):
    content: T
    more: list[T] = []


@dataclass
class Crate(Generic[T]):
    content: T


class Twin(BaseModel):
    content: int = 0


class OtherTwin(BaseModel):
    content: int = 0


@dataclass(frozen=True)
class Frozen:
    a: int
    b: str = ""


class Named(NamedTuple):
    a: int
    b: tuple[str, ...]


class Color(enum.Enum):
    RED = 1
    GREEN = "1"
    BLUE = "blue"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
whole = st.integers(-(2**70), 2**70)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
moments = st.datetimes(timezones=st.none() | offsets).map(lambda moment: moment.replace(fold=0))

HASHABLE: tuple[Typed, ...] = (
    (int, whole),
    (str, texts),
    (bool, st.booleans()),
    (bytes, st.binary(max_size=5)),
    (dt.datetime, moments),
    (dt.date, st.dates()),
    (dt.timedelta, st.timedeltas()),
    (UUID, st.uuids()),
    (Color, st.sampled_from(Color)),
    (Frozen, st.builds(Frozen, whole, texts)),
    (Named, st.builds(Named, whole, st.lists(texts, max_size=3).map(tuple))),
    (tuple[int, ...], st.lists(whole, max_size=3).map(tuple)),
    (tuple[str, bool], st.tuples(texts, st.booleans())),
    (frozenset[str], st.frozensets(texts, max_size=3)),
)
OTHERS: tuple[Typed, ...] = (
    (float, st.floats()),
    (None, st.none()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (Twin, st.builds(Twin, content=whole)),
    (OtherTwin, st.builds(OtherTwin, content=whole)),
)


def of(generic: Any, *arguments: Any) -> Any:
    """Return a generic type with arguments that are only known while the program runs."""
    return generic[arguments] if len(arguments) != 1 else generic[next(iter(arguments))]


def union(members: list[Typed]) -> Typed:
    return of(Union, *(kind for kind, _ in members)), st.one_of(*(values for _, values in members))


def mapping(key: Typed, item: Typed) -> Typed:
    return of(dict, key[0], item[0]), st.dictionaries(key[1], item[1], max_size=3)


def boxed(item: Typed) -> Typed:
    model = of(Box, item[0])
    return model, st.builds(model.model_construct, content=item[1], more=st.lists(item[1], max_size=2))


def holding(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    """Types that hold a value of another generated type."""
    keys = st.sampled_from(HASHABLE)
    mixed = st.lists(keys, min_size=2, max_size=3, unique_by=lambda typed: repr(typed[0])).map(union)
    return st.one_of(
        inner.map(lambda item: (of(list, item[0]), st.lists(item[1], max_size=3))),
        inner.map(lambda item: (of(tuple, item[0], ...), st.lists(item[1], max_size=3).map(tuple))),
        inner.map(boxed),
        inner.map(lambda item: (of(Crate, item[0]), st.builds(Crate, item[1]))),
        st.builds(mapping, keys | mixed, inner),
        (keys | mixed).map(lambda item: (of(set, item[0]), st.sets(item[1], max_size=3))),
        st.lists(inner, min_size=2, max_size=4, unique_by=lambda typed: repr(typed[0])).map(union),
    )


typed = st.recursive(st.sampled_from((*HASHABLE, *OTHERS)), holding, max_leaves=4)
plain = st.recursive(
    st.none() | st.booleans() | whole | texts | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.just("$type"), inner, max_size=3),
    max_leaves=8,
)


@given(st.data(), typed)
def test_a_value_of_its_declared_type_comes_back_as_it_was(data: st.DataObject, kind: Typed) -> None:
    type_, values = kind
    value = data.draw(values, label=repr(type_))
    codec = Codec()
    text, loaded = codec.encode(value, type_)
    json.loads(text, parse_constant=lambda name: AssertionError(f"{name} is no JSON"))
    assert Equality().difference(value, loaded) is None
    assert codec.encode(loaded, type_)[0] == text
    assert Equality().difference(value, codec.decode(text, type_)) is None


@given(st.data(), typed, typed)
def test_a_value_of_any_type_comes_back_as_it_was_or_is_refused(data: st.DataObject, kind: Typed, other: Typed) -> None:
    value = data.draw(other[1], label=repr(kind[0]))
    codec = Codec()
    refusal: NotStorable | None = None
    try:
        text, loaded = codec.encode(value, kind[0], "out")
    except NotStorable as error:
        refusal = error
    else:
        assert Equality().difference(value, loaded) is None
        assert Equality().difference(value, codec.decode(text, kind[0])) is None
    if refusal is not None:
        assert refusal.path.startswith("out")
        assert refusal.reason.endswith(".")


@given(plain)
def test_plain_json_of_undeclared_type_comes_back_as_it_was(value: object) -> None:
    for codec in (Codec(), Codec((Twin, Frozen))):
        text, loaded = codec.encode(value, Any)
        assert Equality().difference(value, loaded) is None
        assert codec.decode(text, Any) == value


@given(st.lists(plain, max_size=5), st.booleans())
def test_cutting_an_array_is_the_inverse_of_joining(values: list[object], spaced: bool) -> None:
    parts = [json.dumps(value, indent=1 if spaced else None) for value in values]
    assert split_array("[" + (" ,\n" if spaced else ",").join(parts) + "]") == parts


@given(st.data(), typed)
def test_the_items_of_a_stored_array_are_those_of_the_value(data: st.DataObject, kind: Typed) -> None:
    values = data.draw(st.lists(kind[1], max_size=3), label=repr(kind[0]))
    codec = Codec()
    text, _ = codec.encode(values, of(list, kind[0]))
    loaded = [codec.decode(part, kind[0]) for part in split_array(text)]
    assert Equality().difference(values, loaded) is None
