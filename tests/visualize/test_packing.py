"""Rows of bars in which nothing is hidden."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.engine.trace import Trace
from milepost.visualize.axis import END, RESOLUTION, Axis, fold_idle
from milepost.visualize.packing import SLICES, Work, placed, profile, rows_of, worst
from milepost.visualize.palette import Status
from milepost.visualize.spans import ACTIVE, BarKind, History, moments
from tests.visualize.timelines import crowd, did, run, timed_traces


def works_of(trace: Trace) -> tuple[list[Work], Axis]:
    known = list(moments(trace))
    history = History(min(known), (max(known) - min(known)).total_seconds())
    axis = fold_idle(history.end, history.busy(trace))
    return [
        Work(trace, task, spans, False) for task, spans in zip(trace.tasks, history.spans(trace), strict=True)
    ], axis


def test_what_follows_one_another_shares_a_row_and_what_overlaps_does_not() -> None:
    works, _ = works_of(
        run(
            [
                did("review", 0, (0, 4)),
                did("review", 1, (1, 2), visit=2),
                did("review", 2, (2, 3), visit=3),
                did("review", 4, (4, 5), visit=4),
            ],
            5,
        )
    )
    rows = rows_of(works, 9)
    assert rows is not None
    assert [[work.task.visit for work in row] for row in rows] == [[1, 4], [2, 3]]
    assert rows_of(works, 1) is None


def test_a_bar_too_small_to_be_seen_is_widened_and_moves_what_follows() -> None:
    works, axis = works_of(run([did("a", 0, (0, 0.001)), did("a", 0.001, (0.001, 10), visit=2)], 10))
    small, large = placed(works, axis)
    assert (small.left, small.right) == (0.0, RESOLUTION)
    assert [large.left, large.right] == pytest.approx([RESOLUTION, END])


def test_many_that_are_too_small_become_one_bar_that_says_the_worst() -> None:
    tasks = [did("a", n / 1000, (n / 1000, n / 1000 + 0.001), visit=n + 1) for n in range(9)]
    tasks[4] = did("a", 0.004, (0.004, 0.005, "OSError: no"), visit=5, status="caught")
    works, axis = works_of(run([*tasks, did("b", 1, (1, 100))], 100))
    bars = placed(works[:-1], axis)
    assert len(bars) < 4
    assert sum(len(bar.parts) for bar in bars) == 9
    assert worst(bar.status for bar in bars) is Status.CAUGHT


def test_a_wait_too_short_to_be_seen_is_left_out_unless_the_task_did_nothing_else() -> None:
    works, axis = works_of(run([did("a", 0, (0.001, 10)), did("b", 9.999, status="pending")], 10))
    assert [bar.kind for bar in placed(works[:1], axis)] == [BarKind.RUNNING]
    assert [bar.kind for bar in placed(works[1:], axis)] == [BarKind.WAITING]


@given(timed_traces(), st.integers(1, 12))
def test_no_bar_hides_another_and_every_task_is_seen(trace: Trace, most: int) -> None:
    works, axis = works_of(trace)
    rows = rows_of(works, most)
    if rows is None:
        return
    assert sorted(work.task.key for row in rows for work in row) == sorted(task.key for task in trace.tasks)
    for row in rows:
        assert all(before.stop <= after.start for before, after in pairwise(row))
        bars = placed(row, axis)
        assert {work.task.key for bar in bars for work, _ in bar.parts} == {work.task.key for work in row}
        assert all(bar.left >= 0 and bar.right <= 1 for bar in bars)
        assert all(bar.right - bar.left >= RESOLUTION * 0.999 for bar in bars)
        assert all(before.right <= after.left + 1e-12 for before, after in pairwise(bars))


@given(timed_traces())
def test_no_bar_in_which_something_ran_lies_in_a_fold(trace: Trace) -> None:
    works, axis = works_of(trace)
    for work in works:
        if work.task.child in trace.children:
            continue
        for span in work.spans:
            if span.kind in (BarKind.RUNNING, BarKind.ATTEMPT) and span.start < span.stop:
                assert not any(gap.start < span.stop and span.start < gap.stop for gap in axis.gaps)


def test_a_profile_tells_how_many_ran_at_a_time_and_where_some_failed() -> None:
    works, axis = works_of(crowd(2_000, lines=10, failed=(3,)))
    seen = profile([work for work in works if work.task.node == "review"], axis)
    assert len(seen.running) == len(seen.waiting) == SLICES
    assert 9 < seen.peak <= 10.5
    assert max(seen.waiting) > 1_000
    assert len(seen.failed) == 1


@given(timed_traces())
def test_a_profile_adds_up_to_the_time_that_was_spent(trace: Trace) -> None:
    works, axis = works_of(trace)
    seen = profile(works, axis)
    for heights, ran in ((seen.running, True), (seen.waiting, False)):
        spans = [span for work in works for span in work.spans if (span.kind in ACTIVE) is ran]
        wanted = sum(max(axis.place(span.stop) - axis.place(span.start), 0.02 / SLICES) for span in spans)
        assert sum(heights) / SLICES == pytest.approx(wanted, abs=0.01 * (len(spans) + 1))
        assert all(height >= 0 for height in heights)
