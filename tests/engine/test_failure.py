"""The failure of a node is a value: it has a type, and is stored and comes back as it was."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from milepost.engine.assignability import type_name
from milepost.engine.codec import Codec
from milepost.engine.errors import NotStorable
from milepost.engine.failure import FailedWith, Failure, Raised, Succeeded, failure_of


class Order(BaseModel):
    parcels: int
    price: Decimal = Decimal("1.10")


class Gift(Order):
    note: str = ""


@dataclass
class Parcel:
    labels: frozenset[str]
    size: tuple[int, ...]


orders = st.builds(Order, parcels=st.integers(), price=st.decimals(allow_nan=False, allow_infinity=False))
parcels = st.builds(Parcel, st.frozensets(st.text()), st.lists(st.integers()).map(tuple))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)

INPUTS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (None, st.none()),
    (list[str] | None, st.none() | st.lists(st.text())),
    (Order, orders),
    (Parcel, parcels),
    (Order | Parcel, orders | parcels),
    (dict[str, Order], st.dictionaries(st.text(), orders)),
    (Failure[int], st.builds(Failure[int], node=st.text(), task=st.text(), attempts=st.integers(), error=st.text(),
                             message=st.text(), inputs=st.integers())),
    (Any, plain | orders),
]  # fmt: skip
"""Types of what a node is given, and values of them."""


@st.composite
def failures(draw: st.DrawFn) -> tuple[object, Failure[Any]]:
    """A type of failures, and one of them."""
    type_, values = draw(st.sampled_from(INPUTS))
    texts = st.text()
    failure = Failure[Any](
        node=draw(texts),
        task=draw(texts),
        attempts=draw(st.integers(min_value=1)),
        error=draw(texts),
        message=draw(texts),
        inputs=draw(values),
    )
    return failure_of(type_), failure


@given(failures())
def test_a_failure_is_stored_and_comes_back_equal_and_of_the_same_classes(given_: tuple[object, Failure[Any]]) -> None:
    type_, failure = given_
    codec = Codec(registered=(Order,))
    text, loaded = codec.encode(failure, type_)
    again = codec.decode(text, type_)
    for back in (loaded, again):
        assert back == failure
        assert type(back) is Failure
        assert type(vars(back)["inputs"]) is type(failure.inputs)


def test_a_failure_shares_nothing_with_what_it_was_stored_from() -> None:
    failure = Failure[list[int]](node="pay", task="k", attempts=1, error="OSError", message="", inputs=[1])
    _, loaded = Codec().encode(failure, Failure[list[int]])
    assert vars(loaded)["inputs"] == [1]
    assert vars(loaded)["inputs"] is not failure.inputs


def test_inputs_that_would_not_come_back_are_refused_with_their_place() -> None:
    failure = Failure(node="pay", task="k", attempts=1, error="OSError", message="", inputs=Gift(parcels=1))
    with pytest.raises(NotStorable, match=r"The value at failure\.inputs cannot be stored: it is Gift"):
        Codec().encode(failure, Failure[Order], "failure")


@pytest.mark.parametrize(
    ("inputs", "name"),
    [(int, "Failure[int]"), (Any, "Failure[Any]"), (None, "Failure[None]"), (int | None, "Failure[int | None]")],
)
def test_the_type_of_a_failure_has_the_type_of_the_inputs(inputs: Any, name: str) -> None:
    assert type_name(failure_of(inputs)) == name


def test_conditions_tell_what_was_raised_from_what_was_returned() -> None:
    failed, fine = Raised(TimeoutError("late")), TimeoutError("returned")
    assert FailedWith((OSError,))(failed)
    assert not FailedWith((ValueError, KeyError))(failed)
    assert not FailedWith((Exception,))(fine)
    assert (Succeeded()(fine), Succeeded()(None), Succeeded()(failed)) == (True, True, False)
