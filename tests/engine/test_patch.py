"""A state's changes are stored as splices of its text, and applying them gives the new text again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from milepost.engine.patch import (
    Splice,
    chained,
    common_prefix,
    common_suffix,
    difference,
    inverse,
    patched,
    splice,
    spliced,
)

texts = st.text(alphabet='ab"[],é', max_size=30)
fields = st.dictionaries(st.sampled_from(["a", "b", "c"]), texts)


@given(texts, texts)
def test_a_splice_turns_the_old_text_into_the_new(old: str, new: str) -> None:
    assert spliced(old, splice(old, new)) == new


@given(texts, texts)
def test_the_common_prefix_is_as_long_as_can_be(one: str, other: str) -> None:
    length = common_prefix(one, other)

    assert one[:length] == other[:length]
    assert one[length : length + 1] != other[length : length + 1] or length in (len(one), len(other))


@given(texts, texts, st.integers(0, 30))
def test_the_common_suffix_is_as_long_as_can_be(one: str, other: str, most: int) -> None:
    most = min(most, len(one), len(other))
    length = common_suffix(one, other, most)
    more = length + 1

    assert one[len(one) - length :] == other[len(other) - length :]
    assert length == most or one[-more:] != other[-more:]


@given(texts, texts, texts)
def test_what_is_appended_is_all_that_is_stored(old: str, more: str, end: str) -> None:
    _, gone, text = splice(old + end, old + more + end)

    assert (gone, len(text)) == (0, len(more))


@given(fields, fields)
def test_a_difference_tells_what_came_what_went_and_what_changed(old: dict[str, str], new: dict[str, str]) -> None:
    patch = difference(old, new)

    assert patched(old, patch) == new
    assert {name for name in {*old, *new} if old.get(name) != new.get(name)} == set(patch)


@st.composite
def splices(draw: st.DrawFn, text: str) -> Splice:
    """Draw a splice that fits a text."""
    start = draw(st.integers(0, len(text)))
    return start, draw(st.integers(0, len(text) - start)), draw(texts)


@given(st.data(), texts)
def test_a_splice_can_be_taken_back(data: st.DataObject, old: str) -> None:
    change = data.draw(splices(old))

    assert spliced(spliced(old, change), inverse(old, change)) == old


@given(st.data(), texts)
def test_two_splices_in_a_row_are_one(data: st.DataObject, old: str) -> None:
    first = data.draw(splices(old))
    between = spliced(old, first)
    second = data.draw(splices(between))

    assert spliced(old, chained(old, first, second)) == spliced(between, second)
