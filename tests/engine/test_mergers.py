"""Mergers: (base, committed, mine) to what a field becomes."""

from __future__ import annotations

import pydoc
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import milepost
from milepost.engine.errors import WorkflowError
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
        (deque([1]), deque([1, 2], maxlen=3), deque([1, 3]), deque([1, 2, 3], maxlen=3)),
        (b"a", b"ab", b"ac", b"abc"),
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


@pytest.mark.parametrize(
    ("base", "committed", "mine", "merged"),
    [
        (Decimal("0.1"), Decimal("0.3"), Decimal("0.2"), Decimal("0.4")),
        (timedelta(1), timedelta(2), timedelta(3), timedelta(4)),
        (datetime(2024, 1, 1), datetime(2024, 1, 2), datetime(2024, 1, 3), datetime(2024, 1, 4)),
    ],
)
def test_all_that_has_a_difference_adds_up(base: Any, committed: Any, mine: Any, merged: Any) -> None:
    assert add.merge(base, committed, mine) == merged


@pytest.mark.parametrize(
    "kind", [dict[str, int], Counter[str], OrderedDict[str, int], partial(defaultdict[str, int], int)]
)
def test_a_merged_dict_is_of_the_kind_it_was(kind: Any) -> None:
    committed = kind({"a": 1})
    merged = union.merge(kind(), committed, kind({"b": 2}))

    assert type(merged) is type(committed)
    assert merged == {"a": 1, "b": 2}
    assert committed == {"a": 1}


def test_the_last_one_wins() -> None:
    assert last.merge("base", "committed", "mine") == "mine"


def test_a_function_becomes_a_merger_with_its_name() -> None:
    def smallest(base: int, committed: int, mine: int) -> int:
        return min(committed, mine)

    made = merger(smallest)

    assert (type(made), made.name, made.merge(0, 3, 2)) == (Merger, "smallest", 2)


@pytest.mark.parametrize("name", ["append", "union", "add", "last"])
def test_help_tells_of_each_merger_what_it_does(name: str) -> None:
    given: Merger = getattr(milepost, name)
    text = pydoc.plain(pydoc.render_doc(given))

    assert repr(given) == name
    assert given.__doc__ != Merger.__doc__
    assert (given.__doc__ or "").splitlines()[0] in text


def two(base: int, committed: int) -> int:
    return base


def keyword(base: int, committed: int, *, mine: int) -> int:
    return mine


async def slow(base: int, committed: int, mine: int) -> int:
    return mine


@pytest.mark.parametrize("function", [two, keyword, "append", int.__add__])
def test_a_function_that_cannot_take_three_values_is_refused_by_name(function: Any) -> None:
    with pytest.raises(WorkflowError) as raised:
        merger(function)

    name = getattr(function, "__name__", "str")
    assert str(raised.value) == (
        f"Merger {name!r} cannot be called with three values. Give it the parameters (base, committed, mine): what the "
        "field was, what another task made it, and what this one would."
    )


def test_an_asynchronous_function_is_refused_by_name() -> None:
    with pytest.raises(WorkflowError, match="Merger 'slow' is asynchronous, and nothing can wait for it"):
        merger(slow)


def whatever(*values: int) -> int:
    return values[0]


def biggest(*values: int) -> int:
    return max(values)


@pytest.mark.parametrize("function", [max, whatever, biggest, partial(whatever, 1)])
def test_whatever_can_take_three_values_is_a_merger(function: Any) -> None:
    assert merger(function).merge(1, 1, 1) == 1


def partial_of_two() -> Any:
    return partial(two, 1)


def test_a_partial_without_a_name_is_refused_by_its_kind() -> None:
    with pytest.raises(WorkflowError, match="Merger 'partial' cannot be called with three values"):
        merger(partial_of_two())
