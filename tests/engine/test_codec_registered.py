"""Values of undeclared type, registered types and registered equalities."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any, NewType, Optional

import pytest
from pydantic import BaseModel
from typing_extensions import TypeAliasType

from milepost.engine.codec import Codec, split_array
from milepost.engine.errors import NotStorable


class Base(BaseModel):
    x: int


class Sub(Base):
    y: int = 0


class AnyField(BaseModel):
    value: Any


@dataclass
class Point:
    x: int
    when: dt.datetime | None = None


@dataclass
class Reading:
    share: float
    noise: float = 0.0


def twin() -> type:
    class Point(BaseModel):
        y: int

    return Point


NOON = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
Numbers = NewType("Numbers", list[int])
Aliased = TypeAliasType("Aliased", list[str])

OPEN: dict[str, tuple[object, str]] = {
    "a registered model": (Base(x=1), '{"$type":"Base","value":{"x":1}}'),
    "a registered standard type": (NOON, '{"$type":"datetime","value":"2024-01-01T12:00:00Z"}'),
    "a registered container": (
        (1, NOON),
        '{"$type":"tuple","value":[1,{"$type":"datetime","value":"2024-01-01T12:00:00Z"}]}',
    ),
    "registered types in plain containers": (
        [Base(x=1), {"k": Point(1)}],
        '[{"$type":"Base","value":{"x":1}},{"k":{"$type":"Point","value":{"x":1,"when":null}}}]',
    ),
    "registered types inside one another": (
        AnyField(value=[Point(1, NOON)]),
        '{"$type":"AnyField","value":{"value":[{"$type":"Point","value":{"x":1,"when":"2024-01-01T12:00:00Z"}}]}}',
    ),
    "a dict that looks like a registered type": (
        {"$type": "Base", "value": {"x": 1}},
        '{"$type":"dict","value":{"$type":"Base","value":{"x":1}}}',
    ),
    "a dict with the key alone": ([{"$type": None}], '[{"$type":"dict","value":{"$type":null}}]'),
    "plain JSON": ([1, "a", None, True, 1.5, {"a": []}], '[1,"a",null,true,1.5,{"a":[]}]'),
}


@pytest.mark.parametrize("type_", [Any, object], ids=["Any", "object"])
@pytest.mark.parametrize(("value", "text"), list(OPEN.values()), ids=list(OPEN))
def test_a_registered_type_comes_back_where_no_type_is_declared(value: object, text: str, type_: object) -> None:
    codec = Codec((Base, Point, AnyField, dt.datetime, tuple))
    written, loaded = codec.encode(value, type_)
    assert written == text
    assert loaded == value
    assert type(loaded) is type(value)
    assert codec.decode(written, type_) == value


def test_registered_types_with_one_name_are_stored_by_their_full_names() -> None:
    other = twin()
    codec = Codec((Point, other))
    text, loaded = codec.encode([Point(1), other(y=2)], Any)
    assert f'"$type":"{__name__}.Point"' in text
    assert f'"$type":"{__name__}.twin.<locals>.Point"' in text
    assert [type(item) for item in loaded] == [Point, other]  # type: ignore[attr-defined]  # a list was given


def test_a_subclass_of_a_registered_type_is_refused() -> None:
    with pytest.raises(
        NotStorable, match=r"at out\[0\] cannot be stored: it is Sub\(x=1, y=0\), but would come back as"
    ):
        Codec((Base,)).encode([Sub(x=1)], Any, "out")


def test_a_plain_dict_reads_the_same_before_and_after_a_type_is_registered() -> None:
    text, _ = Codec().encode({"$type": "Base", "value": 1}, Any)
    assert Codec((Base,)).decode(text, Any) == {"$type": "Base", "value": 1}


def test_a_pair_of_types_that_is_registered_as_equivalent_passes() -> None:
    codec = Codec()
    with pytest.raises(NotStorable):
        codec.encode([Sub(x=1)], list[Base])
    codec.register_equal(Sub, lambda value, loaded: value.x == loaded.x, Base)
    text, loaded = codec.encode([Sub(x=1)], list[Base])
    assert (text, loaded) == ('[{"x":1}]', [Base(x=1)])


def test_an_equality_that_is_registered_replaces_the_exact_one() -> None:
    codec = Codec()
    codec.register_equal(Reading, lambda value, loaded: abs(value.share - loaded.share) < 0.1)
    assert codec.encode(Reading(0.5), Reading)[1] == Reading(0.5)
    codec.register_equal(Reading, lambda value, loaded: False)
    with pytest.raises(NotStorable, match="it is Reading"):
        codec.encode(Reading(0.5), Reading)


def test_what_is_read_back_shares_nothing_that_can_change() -> None:
    value = {"a": [Base(x=1)]}
    loaded = Codec().encode(value, dict[str, list[Base]])[1]
    value["a"][0].x = 2
    value["a"].append(Base(x=3))
    assert loaded == {"a": [Base(x=1)]}


ITEMS: dict[str, tuple[object, object]] = {
    "list": (list[int], int),
    "list of a union": (list[int | str], int | str),
    "tuple of any length": (tuple[int, ...], int),
    "tuple of equal types": (tuple[int, int], int),
    "tuple of other types": (tuple[int, str], Any),
    "empty tuple": (tuple[()], Any),
    "optional": (Optional[list[int]], int),  # noqa: UP045  # the older form, which authors still write
    "union of two lists": (list[int] | list[str], Any),
    "annotated": (Annotated[list[int], "kept"], int),
    "new type": (Numbers, int),
    "alias": (Aliased, str),
    "dict": (dict[str, int], Any),
    "bare list": (list, Any),
    "undeclared": (Any, Any),
}


@pytest.mark.parametrize(("type_", "item"), list(ITEMS.values()), ids=list(ITEMS))
def test_the_type_of_items(type_: object, item: object) -> None:
    assert Codec().items(type_) == item


@pytest.mark.parametrize("type_", [list[Base | Sub], tuple[Base | Sub, ...], list[Any], list[Base | Sub] | None])
def test_an_item_of_a_stored_array_can_be_read_alone(type_: object) -> None:
    codec = Codec((Base, Sub))
    values = [Base(x=1), Sub(x=2)]
    text, _ = codec.encode(tuple(values) if "tuple" in repr(type_) else values, type_)
    item = codec.items(type_)
    assert [codec.decode(part, item) for part in split_array(text)] == values


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[]", []),
        (' [ 1 , "a]\\"," ]\n', ["1", '"a]\\","']),
        ('[[1,[2]],{"a":"}"},-1.50e+3,null]', ["[1,[2]]", '{"a":"}"}', "-1.50e+3", "null"]),
        ("[" + "9" * 5000 + "]", ["9" * 5000]),
    ],
)
def test_an_array_is_cut_into_the_exact_texts_of_its_items(text: str, parts: list[str]) -> None:
    assert split_array(text) == parts


@pytest.mark.parametrize("text", ["", "{}", "[1", "[1,]", "[1 2]", "[1]x", "[,1]", "[", "1", "]"])
def test_a_text_that_is_no_array_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"array|Expecting value"):
        split_array(text)
