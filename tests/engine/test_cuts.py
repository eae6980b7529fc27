"""The text of a state is cut along the state before it into the same fields as when all of it is read."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_core import to_json

from milepost.engine.cuts import cut_like
from milepost.engine.fields import WHOLE, fields_of

keys = st.text(alphabet=',:"1\\é~{}[]', max_size=4)
values = st.recursive(
    st.none() | st.integers(-20, 20) | st.floats(allow_nan=False, allow_infinity=False) | st.text(',:"1\\é{}[]'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)
trees = st.dictionaries(keys, values, max_size=4)


def text_of(tree: object) -> str:
    return to_json(tree).decode()


@given(trees, trees)
@example({"": 1, "b": 2}, {"": ',"b":2', "b": 2})
@example({"a": 1, ",1,": 2}, {"a": [",", 1], ",1,": 2})
def test_what_is_cut_is_what_is_read(old: dict[str, object], new: dict[str, object]) -> None:
    text = text_of(new)

    assert cut_like(text, fields_of(text_of(old))) in (None, fields_of(text))


@given(trees.filter(bool), values, st.data())
def test_a_field_that_changes_leaves_the_others_the_very_same_texts(
    tree: dict[str, object], value: object, data: st.DataObject
) -> None:
    before = fields_of(text_of(tree))
    changed = data.draw(st.sampled_from(list(tree)))

    found = cut_like(text_of({**tree, changed: value}), before)

    assert found is not None
    assert found == fields_of(text_of({**tree, changed: value}))
    assert [name for name, text in found.items() if text is not before[name]] in (
        [],
        [list(before)[[*tree].index(changed)]],
    )


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ('{"a":1,"b":2}', {}),
        ('{"a":1,"b":2}', {WHOLE: '{"a":1,"b":2}'}),
        ('{"a":1,"b":2}', {"b": "2", "a": "1"}),
        ('{"a":1,"b":2}', {"a": "1"}),
        ('{"a":1}', {"a": "1", "b": "2"}),
        ('{"a":5,"c":7,"b":2}', {"a": "1", "b": "2"}),
        ('{"c":1,"b":2}', {"a": "1", "b": "2"}),
        ('{"a":12,"b":2}', {"a": "1", "b": "3", "c": "4"}),
        ("[1]", {"a": "1"}),
    ],
)
def test_a_state_with_other_fields_is_not_cut_along_them(text: str, before: dict[str, str]) -> None:
    assert cut_like(text, before) is None


def test_a_number_that_begins_like_the_one_before_has_changed() -> None:
    assert cut_like('{"a":12,"b":2}', {"a": "1", "b": "2"}) == {"a": "12", "b": "2"}
