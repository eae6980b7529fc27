"""JSON as anybody would write it is held against a schema as it is against the type that the schema was made of."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from milepost.engine.errors import AnswerError
from milepost.engine.plainly import check_schema, read_plain, schema_of


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
