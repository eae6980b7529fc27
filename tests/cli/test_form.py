"""Asking for a value by its schema: what is shown, what is taken, and what is asked for again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from milepost.cli.form import Form
from milepost.cli.schemas import Schema
from milepost.engine.plainly import schema_of


@dataclass
class Script:
    """A terminal on which everything is written in advance. shown: what a person would see."""

    lines: Iterator[str]
    shown: list[str] = field(default_factory=list[str])

    def show(self, line: str) -> None:
        self.shown.append(line)

    def read(self, prompt: str) -> str:
        line = next(self.lines)
        self.shown.append(prompt + line)
        return line


def asked(type_: Any, *lines: str, choices: tuple[object, ...] = ()) -> tuple[Any, list[str]]:
    """Return what a form takes for a value of the type when these lines are written, and what was seen."""
    script = Script(iter(lines))
    value = Form(script).ask(Schema.read(schema_of(type_)), "Answer", choices)
    assert next(script.lines, None) is None, "not every line was asked for"
    return TypeAdapter(type_).validate_json(json.dumps(value)), script.shown


class Kind(Enum):
    CAR = "car"
    TRAIN = "train"


class Stop(BaseModel):
    """A city on the way."""

    city: str
    nights: int = Field(default=1, ge=1, description="that one stays")


class Trip(BaseModel):
    kind: Kind
    day: date
    seats: int = Field(ge=1, le=4)
    window: bool = True
    note: str | None = None
    stops: list[Stop] = []
    home: Stop


class Cash(BaseModel):
    kind: Literal["cash"] = "cash"
    amount: int


class Card(BaseModel):
    kind: Literal["card"] = "card"
    number: str


Payment = Annotated[Cash | Card, Field(discriminator="kind")]


@pytest.mark.parametrize(
    ("type_", "lines", "value", "shown"),
    [
        (str, ["no quotes"], "no quotes", ["Answer: no quotes"]),
        (str, ['"quoted"'], "quoted", ['Answer: "quoted"']),
        (str, ["42"], "42", ["Answer: 42"]),
        (bool, ["maybe", "Yes"], True, ["Answer (y/n): maybe", "That is not yes or no.", "Answer (y/n): Yes"]),
        (int, ["1.5", "1_000"], 1000, ["Answer (a whole number): 1.5", "That is not a whole number."]),
        (float, ["much", "1.5"], 1.5, ["Answer (a number): much", "That is not a number."]),
        (float, ["2"], 2.0, ["Answer (a number): 2"]),
        (Decimal, ["12.50"], Decimal("12.5"), []),
        (int | None, [""], None, ["Answer (a whole number; empty for nothing): "]),
        (str | None, ["text"], "text", ["Answer (empty for nothing): text"]),
        (int | str, ["7"], 7, ["Answer (a whole number or text): 7"]),
        (None, [], None, []),
        (Literal["only"], [], "only", []),
        (dict[str, int], ["a", "x", "1", ""], {"a": 1}, ["Answer: name of a field (empty to end): a"]),
        (date, ["soon", "2026-11-28"], date(2026, 11, 28), ["Answer (a date, e.g. 2026-11-28): soon"]),
        (datetime, ["2026-11-28T09:30Z"], datetime.fromisoformat("2026-11-28T09:30Z"), []),
        (timedelta, ["P1D"], timedelta(days=1), ["Answer (a duration, e.g. P3DT12H): P1D"]),
        (UUID, ["x", "0" * 32], UUID(int=0), ["Answer (a UUID): x", "'x' is not a 'uuid'."]),
        (Any, ["text", "[1]"], [1], ["Answer (JSON): text", "That is not JSON."]),
    ],
    ids=str,
)
def test_a_line_is_read_by_its_type_and_asked_for_again_when_it_does_not_fit(
    type_: Any, lines: list[str], value: object, shown: list[str]
) -> None:
    found, seen = asked(type_, *lines)
    assert (found, type(found)) == (value, type(value))
    assert seen[: len(shown)] == shown


@pytest.mark.parametrize("said", ["2", "train", "TRAIN"])
def test_one_of_several_values_is_chosen_by_its_number_or_by_itself(said: str) -> None:
    value, shown = asked(Kind, "3", said)
    assert value is Kind.TRAIN
    assert shown == [
        "1. car",
        "2. train",
        "Answer (1 to 2): 3",
        "Write one of them, or its number from 1 to 2.",
        f"Answer (1 to 2): {said}",
    ]


def test_the_choices_of_a_question_come_before_its_type() -> None:
    value, shown = asked(int, "3", choices=(3, 30))
    assert (value, shown) == (3, ["1. 3", "2. 30", "Answer (1 to 2): 3"])
    assert asked(int, "1", choices=(3, 30))[0] == 3


def test_an_object_is_asked_for_field_by_field_with_defaults_and_a_check_of_each() -> None:
    value, shown = asked(Trip, "train", "2026-12-24", "5", "2", "", "", "n", "Rome", "")
    assert value == Trip(kind=Kind.TRAIN, day=date(2026, 12, 24), seats=2, home=Stop(city="Rome"))
    assert shown == [
        "1. car",
        "2. train",
        "kind (1 to 2): train",
        "day (a date, e.g. 2026-11-28): 2026-12-24",
        "seats (a whole number): 5",
        "5 is greater than the maximum of 4.",
        "seats (a whole number): 2",
        "window (y/n; empty for yes): ",
        "note (empty for nothing): ",
        "Give stops (y/n; empty for no): n",
        "home:",
        "  city: Rome",
        "  nights (a whole number; that one stays; empty for 1): ",
    ]


def test_a_list_of_objects_is_asked_for_one_by_one() -> None:
    value, shown = asked(list[Stop], "y", "Rome", "2", "yes", "Siena", "", "")
    assert value == [Stop(city="Rome", nights=2), Stop(city="Siena")]
    assert shown[:4] == [
        "  Add Answer 1 (y/n; empty for no): y",
        "  Answer 1:",
        "    city: Rome",
        "    nights (a whole number; that one stays; empty for 1): 2",
    ]


@pytest.mark.parametrize(
    ("type_", "lines", "value"),
    [
        (list[int], ["1", "x", "2", ""], [1, 2]),
        (list[str], [""], []),
        (tuple[int, str], ["3", "x"], (3, "x")),
        (Annotated[list[int], Field(min_length=1, max_length=2)], ["1", "2"], [1, 2]),
        (set[int], ["1", "1", "", "1", "2", ""], {1, 2}),
        (list[Literal["a", "b"]], ["y", "2", "n"], ["b"]),
    ],
    ids=str,
)
def test_a_list_ends_with_an_empty_line_or_when_it_is_full(type_: Any, lines: list[str], value: object) -> None:
    assert asked(type_, *lines)[0] == value


def test_of_several_types_one_is_chosen_first() -> None:
    value, shown = asked(Payment, "2", "4711")
    assert value == Card(number="4711")
    assert shown == ["1. Cash", "2. Card", "Answer: which of them (1 to 2): 2", "number: 4711"]
    assert asked(Cash | Card | None, "3")[0] is None


@pytest.mark.parametrize(("lines", "value"), [(("",), None), (("y", "Rome", "3"), Stop(city="Rome", nights=3))])
def test_an_object_that_may_be_none_is_only_asked_for_when_it_is_wanted(lines: tuple[str, ...], value: object) -> None:
    found, shown = asked(Stop | None, *lines)
    assert (found, shown[0]) == (value, f"Give Answer (y/n; empty for no): {lines[0]}")


def test_a_choice_that_may_be_none_is_none_when_nothing_is_written() -> None:
    assert asked(Kind | None, "")[0] is None
    assert asked(Kind | None, "1")[0] is Kind.CAR


class Loose(BaseModel):
    """What may all be left out."""

    model_config = {"json_schema_extra": {"required": []}}

    stop: Stop = Stop(city="Rome")
    kind: Kind = Kind.CAR
    paid: Payment = Cash(amount=1)


def test_what_has_a_default_is_left_to_the_default() -> None:
    value, _ = asked(Loose, "", "", "")
    assert value == Loose()


class Tree(BaseModel):
    """Something that holds itself."""

    name: str
    parts: list[Tree] = []


def test_a_type_that_refers_to_itself_is_asked_for_as_deep_as_is_wanted() -> None:
    value, _ = asked(Tree, "a", "y", "y", "b", "n", "n")
    assert value == Tree(name="a", parts=[Tree(name="b")])
