"""Simple values of simple types are written without pydantic, and exactly as pydantic writes and reads them."""

from __future__ import annotations

import json
from enum import IntEnum
from math import copysign
from types import GenericAlias
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from milepost.engine.codec import Codec
from milepost.engine.errors import NotStorable

CODEC = Codec()


class Word(str):
    __slots__ = ()


class Number(int):
    pass


class Share(float):
    pass


class Rank(IntEnum):
    FIRST = 1


@given(
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.integers()
    | st.integers(-(10**2500), 10**2500)
    | st.booleans()
    | st.none()
    | st.floats()
)
def test_a_simple_value_is_written_as_it_is_inside_a_list(value: object) -> None:
    kind = type(value)
    inside, items = CODEC.encode([value], GenericAlias(list, (kind,)))

    text, loaded = CODEC.encode(value, kind)

    assert json.loads(f"[{text}]") == json.loads(inside)
    assert repr([loaded]) == repr(items) == repr([value])
    assert type(loaded) is kind
    assert repr(CODEC.decode(text, kind)) == repr(value)


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (True, int),
        (1, bool),
        (1, float),
        (1.0, int),
        ("1", int),
        (1, str),
        (b"a", str),
        (None, int),
        (Word("a"), str),
        (Number(1), int),
        (Share(1.5), float),
        (Rank.FIRST, int),
        (Word("a"), Any),
        (Number(1), Any),
        (float("inf"), Any),
        pytest.param(10**5000, int, id="5,001 digits"),
        ("\ud800", str),
        ("\ud800", Any),
        (7, Annotated[int, Field(gt=10)]),
        ("a", Annotated[str, Field(min_length=2)]),
        (True, Annotated[int, Field(ge=0)]),
    ],
)
def test_a_value_that_only_looks_like_one_of_its_type_is_refused(value: object, type_: object) -> None:
    with pytest.raises(NotStorable):
        CODEC.encode(value, type_)


def test_the_sign_of_zero_and_what_is_no_number_are_kept() -> None:
    zero, least = (CODEC.encode(value, float) for value in (-0.0, float("-inf")))

    assert zero[0] == "-0.0"
    assert isinstance(zero[1], float)
    assert copysign(1.0, zero[1]) == -1.0
    assert least == ('"-Infinity"', float("-inf"))
