"""The time axis: straight where something ran, folded where nothing did."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.visualize.axis import END, MOST_FOLDS, Axis, fold_idle

_STRETCHES = st.lists(
    st.tuples(st.floats(0, 10**6), st.floats(0, 10**5)).map(lambda one: (one[0], one[0] + one[1])), max_size=30
)


def shown_seconds(axis: Axis) -> float:
    """Return the seconds that are not folded."""
    return axis.length - sum(gap.seconds for gap in axis.gaps)


def test_without_idle_time_the_axis_is_straight() -> None:
    axis = fold_idle(10.0, [(0.0, 6.0), (5.0, 10.0)])
    assert axis.gaps == ()
    assert [axis.place(at) for at in (-1.0, 0.0, 5.0, 10.0, 11.0)] == [0.0, 0.0, END / 2, END, END]


def test_a_night_in_which_nothing_ran_is_folded() -> None:
    axis = fold_idle(28_820.0, [(0.0, 10.0), (28_810.0, 28_820.0)])
    (gap,) = axis.gaps
    assert (gap.start, gap.stop, gap.seconds) == (10.0, 28_810.0, 28_800.0)
    assert gap.right - gap.left == pytest.approx(0.04)
    assert axis.place(10.0) == pytest.approx(END - axis.place(28_810.0))


def test_ten_nights_are_all_folded_and_days_are_not() -> None:
    days = [(day * 24.0, day * 24.0 + 8.0) for day in range(11)]
    axis = fold_idle(days[-1][1], days)
    assert [gap.seconds for gap in axis.gaps] == [16.0] * 10


def test_a_short_pause_is_not_worth_a_fold() -> None:
    assert fold_idle(12.0, [(0.0, 5.0), (7.0, 12.0)]).gaps == ()


def test_beside_a_night_a_moment_is_not_folded() -> None:
    axis = fold_idle(28_800.3, [(0.1, 0.2), (28_800.2, 28_800.3)])
    assert [round(gap.seconds) for gap in axis.gaps] == [28_800]


def test_the_waits_of_a_run_that_mostly_waits_have_most_of_the_picture() -> None:
    week = 604_800.0
    axis = fold_idle(5 * week, [(number * week, number * week + 0.4) for number in range(5)])
    assert len(axis.gaps) == 5
    assert sum(gap.right - gap.left for gap in axis.gaps) == pytest.approx(0.72)
    (only,) = fold_idle(10_000.1, [(0.0, 0.05), (10_000.05, 10_000.1)]).gaps
    assert only.right - only.left == pytest.approx(0.4)


def test_a_stretch_behind_a_fold_in_which_no_time_is_round_is_marked_where_it_begins() -> None:
    week = 604_800.0
    axis = fold_idle(5 * week, [(number * week, number * week + 0.4) for number in range(5)])
    assert [tick.label for tick in axis.ticks()] == ["0", "7 d", "14 d", "21 d", "28 d"]
    assert [tick.place for tick in axis.ticks()[1:]] == pytest.approx([gap.right for gap in axis.gaps[:-1]])


def test_moments_behind_a_fold_are_counted_from_its_end() -> None:
    axis = fold_idle(11_040.5, [(0.0, 0.1), (11_040.0, 11_040.5)])
    assert [tick.label for tick in axis.ticks()] == ["0", "3 h 4 min", "+200 ms", "+400 ms"]


def test_where_there_is_no_room_to_mark_the_end_of_a_fold_moments_are_times_of_the_run() -> None:
    axis = fold_idle(3_602.0, [(0.0, 0.01), (3_600.0, 3_602.0)])
    assert [tick.label for tick in axis.ticks()[:3]] == ["0", "1:00:00.5", "1:00:01.0"]


def test_seconds_behind_a_fold_are_times_of_the_run() -> None:
    axis = fold_idle(11_052.0, [(0.0, 4.0), (11_042.5, 11_052.0)])
    assert [tick.label for tick in axis.ticks()] == [
        "0",
        "2 s",
        "4 s",
        "3:04:04",
        "3:04:06",
        "3:04:08",
        "3:04:10",
        "3:04:12",
    ]


def test_moments_are_not_folded_whatever_they_are_of_the_run() -> None:
    assert fold_idle(0.9, [(0.4, 0.401)]).gaps == ()
    assert len(fold_idle(2.4, [(1.2, 1.201)]).gaps) == 2


def test_where_nothing_ran_at_all_nothing_is_folded() -> None:
    assert fold_idle(86_400.0, []).gaps == ()
    assert fold_idle(86_400.0, [(5.0, 5.0)]).gaps == ()


def test_what_was_waited_for_at_the_beginning_and_at_the_end_is_folded_too() -> None:
    axis = fold_idle(1_000.0, [(490.0, 510.0)])
    assert [(gap.start, gap.stop) for gap in axis.gaps] == [(0.0, 490.0), (510.0, 1_000.0)]
    assert [axis.gaps[0].left, axis.gaps[1].right] == pytest.approx([0.0, END])


def test_a_run_of_no_length_has_an_axis() -> None:
    axis = fold_idle(0.0, [(0.0, 0.0)])
    assert axis.length > 0
    assert axis.place(0.0) == 0.0
    assert axis.ticks()


@given(st.floats(1e-3, 10**6), _STRETCHES)
def test_time_never_runs_backwards_and_what_ran_is_never_folded(length: float, busy: list[tuple[float, float]]) -> None:
    axis = fold_idle(length, busy)
    assert len(axis.gaps) <= MOST_FOLDS
    moments = sorted({0.0, length, *(min(end, length) for stretch in busy for end in stretch)})
    places = [axis.place(moment) for moment in moments]
    assert places == sorted(places)
    assert [places[0], places[-1]] == pytest.approx([0.0, END])
    for gap in axis.gaps:
        assert 0 <= gap.start < gap.stop <= length
        assert axis.place(gap.start) == pytest.approx(gap.left)
        assert axis.place(gap.stop) == pytest.approx(gap.right)
        assert not any(start < gap.stop and min(stop, length) > gap.start and start < stop for start, stop in busy)


@given(st.floats(1e-3, 10**6), _STRETCHES)
def test_what_is_not_folded_has_one_scale_and_what_is_folded_is_drawn_shorter(
    length: float, busy: list[tuple[float, float]]
) -> None:
    axis = fold_idle(length, busy)
    folded = sum(gap.right - gap.left for gap in axis.gaps)
    scale = (END - folded) / shown_seconds(axis)
    ends = [0.0, *(end for gap in axis.gaps for end in (gap.start, gap.stop)), axis.length]
    for start, stop in list(pairwise(ends))[::2]:
        assert axis.place(stop) - axis.place(start) == pytest.approx((stop - start) * scale, abs=1e-6)
    for gap in axis.gaps:
        assert gap.seconds * scale >= 1.9 * (gap.right - gap.left)
    assert sum(gap.seconds for gap in axis.gaps) + shown_seconds(axis) == pytest.approx(axis.length)


@given(st.floats(1e-3, 10**7), _STRETCHES)
def test_ticks_are_in_order_apart_and_outside_folds(length: float, busy: list[tuple[float, float]]) -> None:
    axis = fold_idle(length, busy)
    ticks = axis.ticks(10)
    assert all(after.place - before.place >= 0.05 for before, after in pairwise(ticks))
    for tick in ticks:
        assert tick.label
        assert axis.place(tick.at) == tick.place
        assert not any(gap.start < tick.at < gap.stop for gap in axis.gaps)
