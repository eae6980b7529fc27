"""JSON as anybody would write it is held against a schema as it is against the type that the schema was made of."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import pytest
from annotated_types import MultipleOf
from pydantic import BaseModel, Field

from milepost.engine.errors import AnswerError
from milepost.engine.plainly import check_schema, read_plain, schema_of

Price = Annotated[Decimal, Field(gt=0, le=Decimal("9.99"))]
Exact = Annotated[Decimal, Field(ge=Decimal("0.1000000000000000000001"), lt=Decimal("0.3"))]
Coins = Annotated[Decimal, MultipleOf(Decimal("0.05")), Field(max_digits=4, decimal_places=2)]


class Paid(BaseModel):
    price: Price
    tip: Coins | None = None


class Offer(BaseModel):
    price: Decimal
    discount: Decimal | None = None


def fits(text: str, type_: Any) -> tuple[bool, bool]:
    """Tell whether a type takes JSON text, and whether its schema does."""
    taken: list[bool] = []
    for check in (lambda: read_plain(text, type_, "it"), lambda: check_schema(text, schema_of(type_), "it")):
        try:
            check()
        except AnswerError:
            taken.append(False)
        else:
            taken.append(True)
    return taken[0], taken[1]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("12.5", True),
        ("-3", True),
        ('"12.50"', True),
        ('"1e5"', True),
        ('" 3 "', True),
        ('"much"', False),
        ('"1_000"', True),
        ('"NaN"', False),
        ('"Infinity"', False),
        ('""', False),
        ("null", False),
        ("[1]", False),
    ],
)
def test_a_decimal_is_told_by_its_schema_as_by_its_type(text: str, is_one: bool) -> None:
    assert fits(text, Decimal) == (is_one, is_one)
    assert fits(f'{{"price": {text}}}', Offer) == (is_one, is_one)


def test_a_decimal_that_may_be_left_out_is_told_too() -> None:
    assert fits('{"price": 1, "discount": null}', Offer) == (True, True)
    assert fits('{"price": 1, "discount": "none"}', Offer) == (False, False)


def test_what_is_no_decimal_is_told_in_a_sentence() -> None:
    with pytest.raises(AnswerError, match="'much' is not a 'decimal'"):
        check_schema('"much"', schema_of(Decimal), "it")
    with pytest.raises(AnswerError, match=r"At 'price': 'much' is not a 'decimal'"):
        check_schema('{"price": "much"}', schema_of(Offer), "it")


@pytest.mark.parametrize(
    ("text", "type_", "is_one"),
    [
        ('"9.99"', Price, True),
        ('"9.990"', Price, True),
        ('"9.991"', Price, False),
        ("9.991", Price, False),
        ('"1e3"', Price, False),
        ('"0"', Price, False),
        ('" 0.01 "', Price, True),
        ('"0.1000000000000000000001"', Exact, True),
        ('"0.1"', Exact, False),
        ('"0.3"', Exact, False),
        ('"0.15"', Coins, True),
        ('"0.16"', Coins, False),
        ('"100.05"', Coins, False),
        ('"1.050"', Coins, True),
        ('"0.005"', Coins, False),
        ('{"price": "1", "tip": null}', Paid, True),
        ('{"price": "1", "tip": "0.05"}', Paid, True),
        ('{"price": "1", "tip": "0.01"}', Paid, False),
        ('{"price": "12"}', Paid, False),
        ('["5", "12"]', list[Price], False),
        ('["5", "6"]', list[Price], True),
    ],
)
def test_the_limits_of_a_decimal_hold_for_its_text_by_its_schema_as_by_its_type(
    text: str, type_: object, is_one: bool
) -> None:
    assert fits(text, type_) == (is_one, is_one)


def test_a_decimal_beyond_its_limits_is_told_in_a_sentence() -> None:
    with pytest.raises(AnswerError, match=r"it: Input should be less than or equal to 9\.99\.$"):
        check_schema('"12"', schema_of(Price), "it")
    with pytest.raises(
        AnswerError, match=r"At 'price': Input should be greater than 0\.\n.*At 'tip': .* multiple of 0\.05"
    ):
        check_schema('{"price": "-1", "tip": "0.01"}', schema_of(Paid), "it")
    with pytest.raises(AnswerError, match="'much' is not a 'decimal'"):
        check_schema('"much"', schema_of(Price), "it")
