"""What a timeline shows: lanes, bars, lines, folds and the critical path."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.engine.errors import InputError
from milepost.engine.trace import Edit, Trace
from milepost.visualize.lanes import Lane
from milepost.visualize.palette import Status
from milepost.visualize.spans import BarKind
from milepost.visualize.timeline import MOST_LANES, Timeline, timeline
from milepost.visualize.timeline_svg import timeline_svg
from tests.visualize.nests import FAILED_BATCH
from tests.visualize.subjects import definition, node
from tests.visualize.timelines import APPROVED, EVENTFUL, NIGHT, at, crowd, did, run, timed_traces, waited
from tests.work import calls_of


def titles(shown: Timeline) -> list[str]:
    return [f"{'  ' * lane.level}{lane.title} {lane.times}".rstrip() for lane in shown.lanes]


def lane(shown: Timeline, title: str) -> Lane:
    return next(one for one in shown.lanes if one.title == title)


def test_there_is_a_lane_per_node_in_the_order_in_which_they_began() -> None:
    assert titles(timeline(EVENTFUL)) == [
        "prepare",
        "analyse × 2",
        "triage × 2",
        "gather",
        "review × 3",
        "score",
        "approve",
        "accept",
    ]


def test_there_is_a_lane_per_branch_when_that_is_asked_for() -> None:
    shown = timeline(EVENTFUL, by="branch")
    assert titles(shown) == ["prepare …", "review[0]", "review[1]", "review[2]"]
    assert [bar.node for row in shown.lanes[0].rows for bar in row if bar.kind is BarKind.PEOPLE] == ["approve"]


def test_items_side_by_side_have_rows_of_their_own() -> None:
    reviews = lane(timeline(EVENTFUL), "review")
    assert [[bar.kind.value for bar in row] for row in reviews.rows] == [
        ["running"],
        ["waiting", "attempt", "waiting", "running"],
        ["waiting", "running"],
    ]


def test_a_person_who_took_the_night_is_a_bar_across_a_fold() -> None:
    shown = timeline(EVENTFUL)
    (bar,) = lane(shown, "approve").rows[0]
    assert (bar.kind, bar.status) == (BarKind.PEOPLE, Status.DONE)
    assert bar.stop - bar.start == NIGHT + 31
    assert any(gap.start <= bar.start and bar.stop <= gap.stop for gap in shown.axis.gaps)


def test_nights_are_folded_and_are_not_when_nobody_wants_that() -> None:
    assert [round(gap.seconds / 3600) for gap in timeline(EVENTFUL).axis.gaps] == [8, 8]
    assert timeline(EVENTFUL, fold=False).axis.gaps == ()


def test_a_resume_is_a_line_and_so_is_the_last_sign_of_life_before_it() -> None:
    stopped, resumed = timeline(EVENTFUL).lines
    assert (stopped.kind, stopped.at) == ("stopped", 28.0)
    assert (resumed.kind, resumed.at) == ("resumed", NIGHT + 26)
    assert "7 h 59 min later" in stopped.tooltip
    assert stopped.place < resumed.place


def test_a_run_that_nobody_drives_any_more_ends_with_its_last_sign_of_life() -> None:
    tasks = [did("prepare", 0, (0, 4)), did("score", 5, status="pending", cause="prepare 1")]
    trace = replace(run(tasks, 5), status="running", interrupted=True)
    shown = timeline(trace, now=at(NIGHT))
    (line,) = shown.lines
    assert (line.kind, line.at, line.tooltip) == (
        "stopped",
        5,
        "Last checkpoint: since then no process has driven the run",
    )
    assert (shown.notice, shown.status, shown.axis.length) == ("… interrupted at score", Status.PENDING, 5)


def test_a_lane_in_which_something_is_still_to_do_is_not_done() -> None:
    tasks = [did("score", 0, (0, 4)), did("score", 0, status="pending", visit=2)]
    trace = replace(run(tasks, 5), status="running", interrupted=True)
    assert lane(timeline(trace), "score").status is Status.PENDING


def test_a_resume_that_committed_nothing_is_not_told_to_have_stopped_before_it_began() -> None:
    tasks = [did("prepare", 0, (0, 4)), did("score", 5, status="pending", cause="prepare 1")]
    trace = replace(run(tasks, 5), status="running", interrupted=True, resumes=(at(9),))
    assert [(line.kind, line.at) for line in timeline(trace).lines] == [("stopped", 5), ("resumed", 9)]


def test_a_fork_and_an_edit_by_hand_are_lines_too() -> None:
    shared, own = did("prepare", -100, (-100, -90)), did("score", 1, (1, 2), cause="prepare 1")
    edit = Edit(seq=3, at=at(1), fields=("notes",))
    trace = replace(run([shared, own], 2), forked_from=("monday", 2), edits=(edit,))
    forked, edited = timeline(trace).lines
    assert (forked.kind, forked.at, forked.tooltip) == ("forked", 100, "Forked at checkpoint 2 of run monday")
    assert (edited.kind, edited.at, edited.tooltip) == ("edited", 101, "Edited by hand: notes")


def test_the_critical_path_is_marked_and_put_into_words() -> None:
    shown = timeline(EVENTFUL)
    marked = {bar.task for one in shown.lanes for row in one.rows for bar in row if bar.critical}
    assert marked == {
        "prepare 1",
        "analyse 1",
        "triage 1",
        "analyse 2",
        "triage 2",
        "gather 1",
        "review 2",
        "score 1",
        "approve 1",
        "accept 1",
    }
    assert shown.path_words == (
        "prepare → analyse → triage → analyse → triage → gather → review[1] → score → approve → accept: 16 h 1 min, "
        "of which it waited 16 h"
    )
    assert sum(step.seconds for step in shown.path) == pytest.approx(2 * NIGHT + 70)


def test_a_long_path_is_cut_in_the_middle_and_a_loop_is_counted() -> None:
    tasks = [did("a", n, (n, n + 1), visit=n + 1, cause=f"a {n}" if n else None) for n in range(30)]
    assert timeline(run(tasks, 30)).path_words == "a × 30: 30.0 s"
    tasks = [did(f"n{n}", n, (n, n + 1), cause=f"n{n - 1} 1" if n else None) for n in range(30)]
    assert timeline(run(tasks, 30)).path_words.startswith("n0 → n1 → n2")
    assert timeline(run(tasks, 30)).path_words.endswith("n9 → … → n29: 30.0 s")


def test_a_run_that_waits_is_drawn_up_to_now() -> None:
    trace = run([did("approve", 1, status="waiting", wait=waited("ask", 1))], 2, defined=APPROVED, status="waiting")
    assert timeline(trace).axis.length == 2
    assert timeline(trace, now=at(500)).axis.length == 500
    assert lane(timeline(trace, now=at(500)), "approve").rows[0][0].stop == 500


def test_now_adds_nothing_to_a_run_that_is_over_and_hides_what_a_fast_clock_says() -> None:
    assert timeline(EVENTFUL, now=at(10**6)).axis.length == 2 * NIGHT + 70
    fast = replace(EVENTFUL.tasks[0], finished=at(10**9))
    assert timeline(replace(EVENTFUL, tasks=(fast,)), now=at(10**6)).axis.length == 2 * NIGHT + 70


def test_runs_inside_a_run_have_lanes_of_their_own_below_the_task_that_drives_them() -> None:
    assert titles(timeline(FAILED_BATCH)) == [
        "split",
        "check × 3",
        "  look_up × 3",
        "  rate × 2",
        "  accept",
        "  fraud",
    ]
    assert titles(timeline(FAILED_BATCH, depth=0)) == ["split", "check × 3"]
    assert titles(timeline(FAILED_BATCH, depth=2))[-2:] == ["    ask", "    weigh"]


def test_bars_of_a_run_inside_a_run_say_whose_they_are() -> None:
    inner = lane(timeline(FAILED_BATCH), "look_up")
    assert {bar.run for row in inner.rows for bar in row} == set(FAILED_BATCH.children)


def test_many_lanes_inside_are_left_out_unless_they_are_asked_for() -> None:
    tasks = [did(f"n{n}", n, (n, n + 1)) for n in range(40)]
    child = run(tasks, 40, run_id="child", defined=definition([node(f"n{n}") for n in range(40)], []))
    outer = run([did("a", 0, (0, 40), child="child")], 40, children=[child])
    assert len(timeline(outer).lanes) == 1
    assert len(timeline(outer, depth=1).lanes) == 41


def test_more_lanes_than_a_picture_can_show_are_counted() -> None:
    tasks = [did(f"n{n}", n, (n, n + 1)) for n in range(MOST_LANES + 7)]
    shown = timeline(run(tasks, 300))
    assert (len(shown.lanes), shown.left_out) == (MOST_LANES, 7)


def test_a_lane_with_too_many_tasks_tells_how_many_ran_and_shows_what_matters() -> None:
    shown = timeline(crowd(300, failed=(17,)))
    reviews = lane(shown, "review")
    assert reviews.profile is not None
    assert reviews.times == "× 300"
    assert reviews.detail.startswith("299 done · p50 ")
    assert {(bar.status, bar.critical) for row in reviews.rows for bar in row if bar.kind is BarKind.RUNNING} == {
        (Status.CAUGHT, False),
        (Status.DONE, True),
    }


def test_as_many_rows_as_are_asked_for_have_bars_of_their_own() -> None:
    trace = run([did("a", 0, (0, n + 1), visit=n + 1) for n in range(20)], 20)
    assert lane(timeline(trace), "a").profile is not None
    assert lane(timeline(trace, rows=20), "a").profile is None


def test_many_branches_that_begin_alike_share_a_lane() -> None:
    shown = timeline(crowd(300), by="branch")
    assert titles(shown) == ["gather …", "review × 300"]


@pytest.mark.parametrize("by", ["node", "branch"])
def test_ten_times_as_many_tasks_are_ten_times_the_work_and_no_larger_picture(by: str) -> None:
    few, many = crowd(1_000, failed=(17, 400)), crowd(10_000, failed=(17, 4_000))
    drawn: list[str] = []

    def draw(trace: Trace) -> None:
        drawn.append(timeline_svg(timeline(trace, by="branch" if by == "branch" else "node")))

    draw(crowd(20))  # loads networkx
    work = calls_of(lambda: draw(few))
    assert calls_of(lambda: draw(many)) < 12 * work
    assert len(drawn[-1]) < 60_000


@pytest.mark.parametrize(("given_", "words"), [({"depth": -1}, "depth=-1"), ({"rows": 0}, "rows=0")])
def test_options_that_make_no_sense_are_refused(given_: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        timeline(EVENTFUL, depth=given_.get("depth"), rows=given_.get("rows", 8))


def test_a_run_that_has_done_nothing_has_an_empty_timeline() -> None:
    shown = timeline(run([], 0, status="running"))
    assert (shown.lanes, shown.lines, shown.path, shown.path_words) == ((), (), (), "")
    assert shown.description.startswith("Timeline of run 8f3a21 of workflow claims, ▸ running.")


@given(timed_traces(), st.sampled_from(["node", "branch"]), st.booleans(), st.integers(1, 4), st.integers(0, 2))
def test_every_bar_is_inside_the_picture_and_in_its_time(
    trace: Trace, by: str, fold: bool, rows: int, depth: int
) -> None:
    shown = timeline(trace, by="branch" if by == "branch" else "node", fold=fold, rows=rows, depth=depth)
    assert sum(one.tasks for one in shown.lanes if not one.level) == len(trace.tasks)
    for one in shown.lanes:
        assert len(one.rows) <= rows
        assert 0 <= one.start <= one.stop <= shown.axis.length
        for row in one.rows:
            assert all(before.right <= after.left + 1e-12 for before, after in pairwise(row))
            for bar in row:
                assert 0 <= bar.left < bar.right <= 1
                assert 0 <= bar.start <= bar.stop <= shown.axis.length
    assert all(0 <= line.place <= 1 for line in shown.lines)
    assert all(step.seconds >= step.waited >= 0 for step in shown.path)
    assert len(shown.lines) >= len(trace.resumes)
