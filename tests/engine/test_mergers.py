"""Mergers: (base, committed, mine) to what a field becomes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.engine.mergers import Merger, add, append, last, merger, union

sets = st.frozensets(st.integers(0, 5))
dicts = st.dictionaries(st.integers(0, 5), st.integers(0, 2))


@pytest.mark.parametrize(
    ("base", "committed", "mine", "merged"),
    [
        ([1], [1, 2], [1, 3], [1, 2, 3]),
        ((), (1,), (2,), (1, 2)),
        ("a", "ab", "ac", "abc"),
        ([1], [1], [1], [1]),
        ([1], [9], [1, 2], [9, 2]),
    ],
)
def test_append_puts_what_is_new_behind_what_is_committed(base: Any, committed: Any, mine: Any, merged: Any) -> None:
    assert append.merge(base, committed, mine) == merged


@pytest.mark.parametrize("mine", [[], [2], [2, 1], [1]])
def test_append_refuses_a_change_of_what_was_there(mine: list[int]) -> None:
    with pytest.raises(ValueError, match="may only be appended to"):
        append.merge([1, 2], [1, 2, 3], mine)


@given(sets, sets, sets)
def test_a_set_takes_over_what_one_added_and_removed(base: Any, committed: Any, mine: Any) -> None:
    merged = union.merge(base, committed, mine)

    for item in range(6):
        touched = (item in base) != (item in mine)
        assert (item in merged) == (item in (mine if touched else committed))


@given(dicts, dicts, dicts)
def test_a_dict_takes_over_the_keys_that_one_touched(base: Any, committed: Any, mine: Any) -> None:
    merged = union.merge(base, committed, mine)

    for key in range(6):
        touched = base.get(key) != mine.get(key)
        assert merged.get(key) == (mine if touched else committed).get(key)


@given(st.integers(), st.integers(), st.integers())
def test_numbers_add_up(base: int, mine: int, other: int) -> None:
    assert add.merge(base, base + mine, base + other) == base + mine + other


def test_the_last_one_wins() -> None:
    assert last.merge("base", "committed", "mine") == "mine"


def test_a_function_becomes_a_merger_with_its_name() -> None:
    def smallest(base: int, committed: int, mine: int) -> int:
        return min(committed, mine)

    made = merger(smallest)

    assert (type(made), made.name, made.merge(0, 3, 2)) == (Merger, "smallest", 2)
