"""Values given on the command line."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from milepost.cli.inputs import WrongValue, parse
from milepost.engine.errors import InputError


class Clause(BaseModel):
    text: str
    weight: int = 1


class Contract(BaseModel):
    clauses: list[Clause]


@dataclass
class Point:
    x: int
    y: int


class NotData:
    pass


def test_a_value_comes_as_json_as_a_file_or_from_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "point.json"
    file.write_text('{"x": 1, "y": 2}')
    monkeypatch.setattr("sys.stdin", io.StringIO('{"x": 3, "y": 4}'))
    assert parse('{"x": 5, "y": 6}', Point, what="input") == Point(5, 6)
    assert parse(f"@{file}", Point, what="input") == Point(1, 2)
    assert parse("@-", Point, what="input") == Point(3, 4)


def test_every_fault_is_named_with_its_place() -> None:
    with pytest.raises(WrongValue) as caught:
        parse('{"clauses": [{}, {"text": "a", "weight": "heavy"}]}', Contract, what="input")
    assert str(caught.value).splitlines() == [
        "The input does not fit 'Contract', with 2 faults:",
        "  clauses.0.text: Field required",
        "  clauses.1.weight: Input should be a valid integer, unable to parse string as an integer",
    ]


def test_a_fault_of_the_whole_value_has_the_name_of_the_option_as_its_place() -> None:
    with pytest.raises(WrongValue, match=r"^The state does not fit 'int': state: Input should be a valid integer"):
        parse('"x"', int, what="state")


def test_what_is_not_json_says_where_it_stops_being_json() -> None:
    with pytest.raises(InputError, match=r"^The input is not JSON: EOF while parsing an object at line 1 column 1\.$"):
        parse("{", Contract, what="input")


def test_a_bare_word_gets_the_hint_to_write_quotes() -> None:
    with pytest.raises(InputError) as caught:
        parse("hello", str, what="input")
    assert str(caught.value).endswith("A text is written with its quotes: --input '\"some text\"'.")


def test_a_missing_value_names_the_type_and_the_option() -> None:
    with pytest.raises(InputError) as caught:
        parse(None, list[Clause], what="input")
    assert str(caught.value) == (
        "This workflow needs an input of type 'list[Clause]'. Give it with --input JSON, or --input @file."
    )


def test_a_missing_value_is_none_where_none_is_allowed() -> None:
    assert parse(None, int | None, what="input") is None
    assert parse(None, Any, what="input") is None


@pytest.mark.parametrize("kind", [None, type(None)])
def test_a_workflow_without_input_takes_null_and_nothing_else(kind: object) -> None:
    assert parse(None, kind, what="input") is None
    assert parse("null", kind, what="input") is None
    with pytest.raises(InputError, match=r"^This workflow takes no input\. Leave --input out\.$"):
        parse("1", kind, what="input")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b'"\xe9"')
    with pytest.raises(InputError, match=r"none\.json' given to --input cannot be read: No such file or directory\."):
        parse(f"@{tmp_path}/none.json", str, what="input")
    with pytest.raises(InputError, match=r"latin\.json' given to --input is not text in UTF-8\."):
        parse(f"@{tmp_path}/latin.json", str, what="input")


def test_a_type_that_json_cannot_give_says_what_to_do() -> None:
    with pytest.raises(InputError, match="has the type 'NotData', which cannot be read from JSON"):
        parse("{}", NotData, what="input")
