"""What differs between two JSON texts, part by part."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.engine.json_changes import JsonChange, json_changes

LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


def told(one: str | None, other: str | None) -> list[tuple[str, str | None, str | None]]:
    return [(change.path, change.one, change.other) for change in json_changes(one, other)]


@pytest.mark.parametrize(
    ("one", "other", "changes"),
    [
        ("1", "2", [("", "1", "2")]),
        ("1", "1", []),
        ("1", "1.0", [("", "1", "1.0")]),
        ("1", "true", [("", "1", "true")]),
        ("null", None, [("", "null", None)]),
        (None, '{"a":1}', [("", None, '{"a":1}')]),
        (None, None, []),
        ('{"a":1,"b":2}', '{"b":2,"a":1}', []),
        ('{"a":{"b":[1]}}', '{"a":{"b":[2]}}', [("a.b[0]", "1", "2")]),
        ('{"a":1}', '{"b":1}', [("a", "1", None), ("b", None, "1")]),
        ('{"two words":1}', '{"two words":2}', [('["two words"]', "1", "2")]),
        ('{"":1}', '{"":2}', [('[""]', "1", "2")]),
        ('{"a":[1,2,3]}', '{"a":[1,2,3,4]}', [("a[3]", None, "4")]),
        ('["x",1,2,3]', "[1,2,3]", [("[0]", '"x"', None)]),
        ("[1,2,3,9]", "[1,5,6,3,9]", [("[1]", "2", "5"), ("[2]", None, "6")]),
        ("[]", "{}", [("", "[]", "{}")]),
        ('["é"]', '["e"]', [("[0]", '"é"', '"e"')]),
        ('[{"id":1,"text":"a"},{"id":2}]', '[{"id":1,"text":"b"},{"id":2}]', [("[0].text", '"a"', '"b"')]),
    ],
)
def test_each_part_that_differs_is_told_once(
    one: str | None, other: str | None, changes: list[tuple[str, str | None, str | None]]
) -> None:
    assert told(one, other) == changes
    assert sorted(told(other, one)) == sorted((path, after, before) for path, before, after in changes)


def test_what_is_not_json_is_an_error() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        json_changes("1", "nonsense")


@given(TREES)
def test_a_text_does_not_differ_from_itself_however_it_is_laid_out(tree: Any) -> None:
    assert json_changes(json.dumps(tree), json.dumps(tree, indent=2)) == ()


@given(TREES, TREES)
def test_two_texts_differ_where_and_only_where_something_is_told(one: Any, other: Any) -> None:
    changes = json_changes(json.dumps(one), json.dumps(other))
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert bool(changes) != same
    assert len({change.path for change in changes}) == len(changes)


@given(TREES, TREES)
def test_the_other_way_round_the_same_parts_are_told(one: Any, other: Any) -> None:
    there, back = json_changes(json.dumps(one), json.dumps(other)), json_changes(json.dumps(other), json.dumps(one))
    turned = {JsonChange(path=change.path, one=change.other, other=change.one) for change in back}
    assert set(there) == turned
