"""A run unrolled: one box for each visit and attempt."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings

from milepost.engine.errors import InputError
from milepost.engine.trace import AttemptTrace, TaskTrace, Trace
from milepost.visualize.diagram import Diagram, DrawnEdge, DrawnNode
from milepost.visualize.dot import dot
from milepost.visualize.mermaid import mermaid
from milepost.visualize.palette import Status
from milepost.visualize.render import picture, render
from milepost.visualize.steps import MAX_STEPS, stepped
from tests.visualize.conftest import Dot, Mermaid
from tests.visualize.subjects import CLAIMS, COMPLETED, RESCUED, START, hostile_traces, task
from tests.work import calls_of


def caused(tasks: tuple[TaskTrace, ...], causes: dict[str, str | None]) -> tuple[TaskTrace, ...]:
    """Say of each task which one caused it, and number them as they finished."""
    return tuple(
        replace(one, cause=causes.get(one.key), seq=number if one.finished else None)
        for number, one in enumerate(tasks, 2)
    )


_CAUSES: dict[str, str | None] = {
    "analyse 1": "prepare 1",
    "triage 1": "analyse 1",
    "analyse 2": "triage 1",
    "triage 2": "analyse 2",
    "high_risk 1": "triage 2",
    "gather 1": "high_risk 1",
    "review 1": "gather 1",
    "review 2": "gather 1",
    "review 3": "gather 1",
    "score 1": "review 3",
    "accept 1": "score 1",
}
RUN = replace(COMPLETED, tasks=caused(COMPLETED.tasks, _CAUSES))


def tried(one: TaskTrace, *errors: str | None) -> TaskTrace:
    """Give a task attempts of a second each; None: one that did not fail."""
    attempts = tuple(
        AttemptTrace(
            started=START + timedelta(seconds=2 * number),
            finished=START + timedelta(seconds=2 * number + 1),
            error=error,
        )
        for number, error in enumerate(errors)
    )
    return replace(one, attempts=len(attempts), tried=attempts)


def many(count: int, *, failed: tuple[int, ...] = ()) -> Trace:
    """A run with so many items in its map."""
    items = tuple(
        replace(
            task("review", (24, 25 + number % 100), visit=number + 1, index=number),
            cause="gather 1",
            seq=100 + number,
            status="failed" if number in failed else "completed",
            error="builtins.ValueError: no weight" if number in failed else None,
        )
        for number in range(count)
    )
    before, after = RUN.tasks[:7], (replace(RUN.tasks[-2], cause=items[-1].key, seq=10**6),)
    return replace(RUN, tasks=(*before, *items, *after), status="running")


def box(diagram: Diagram, title: str) -> DrawnNode:
    return next(item for item in diagram.nodes if f"{item.title} {item.times}".strip() == title)


def arrows(diagram: Diagram, target: DrawnNode) -> list[DrawnEdge]:
    return [item for item in diagram.edges if item.target == target.id]


def ways(diagram: Diagram) -> list[tuple[str, str, str]]:
    names = {item.id: item.title for item in diagram.nodes}
    return [(names[item.source], names[item.target], " · ".join(item.lines)) for item in diagram.edges]


def test_every_visit_is_a_box_in_the_order_they_came() -> None:
    assert [item.title for item in stepped(RUN).nodes] == [
        "start",
        "1 prepare",
        "2 analyse",
        "3 triage",
        "4 analyse",
        "5 triage",
        "6 high_risk",
        "7 gather",
        "8 review[0]",
        "8 review[1]",
        "8 review[2]",
        "collect",
        "9 score",
        "10 accept",
        "end",
    ]


def test_arrows_say_what_led_to_what_and_why() -> None:
    found = ways(stepped(RUN))
    assert ("start", "1 prepare", "") in found
    assert ("3 triage", "4 analyse", "unclear") in found
    assert ("5 triage", "6 high_risk", "high") in found
    assert ("9 score", "10 accept", "otherwise · was Score(value=0.83)") in found
    assert ("10 accept", "end", "") in found


def test_a_join_is_drawn_where_it_fired_with_what_came_into_it() -> None:
    found = ways(stepped(RUN))
    assert [way for way in found if way[1] == "collect"] == [(f"8 review[{n}]", "collect", "") for n in range(3)]
    assert ("collect", "9 score", "") in found


def test_a_join_that_fires_twice_is_drawn_twice_each_with_its_own_items() -> None:
    tasks = (
        *RUN.tasks[:9],
        replace(task("score", (31, 32)), cause="review 2", seq=12),
        replace(RUN.tasks[9], seq=13),
        replace(task("score", (33, 34), visit=2), cause="review 3", seq=14),
    )
    diagram = stepped(replace(RUN, tasks=tasks))
    first, second = (item for item in diagram.nodes if item.kind == "join")
    assert [len(arrows(diagram, item)) for item in (first, second)] == [2, 1]


def test_items_of_another_fork_do_not_come_into_a_join() -> None:
    other = replace(task("review", (24, 25), visit=9, index=0), key="other", cause="triage 1", seq=9)
    diagram = stepped(replace(RUN, tasks=(*RUN.tasks[:8], other, *RUN.tasks[8:])))
    (join,) = (item for item in diagram.nodes if item.kind == "join")
    assert len(arrows(diagram, join)) == 3


def test_attempts_stand_in_a_row_each_with_how_it_ended() -> None:
    tasks = (tried(RUN.tasks[0], "pkg.Odd: first\nmore", "TimeoutError: slow", None), *RUN.tasks[1:])
    diagram = stepped(replace(RUN, tasks=tasks))
    first, second, third = (box(diagram, f"1 prepare try {number}") for number in (1, 2, 3))
    assert (first.status, first.detail) == (Status.FAILED, "1.0 s\nOdd: first")
    assert (second.status, second.detail) == (Status.FAILED, "1.0 s\nTimeoutError: slow")
    assert (third.status, third.detail) == (Status.DONE, "1.0 s")
    assert [item.lines for item in arrows(diagram, second)] == [("↻ retry",)]
    assert [item.source for item in arrows(diagram, box(diagram, "2 analyse"))] == [third.id]


def test_attempts_of_which_nothing_is_known_are_counted() -> None:
    assert box(stepped(RUN), "2 analyse").detail == "↻ 1 retry · 12.0 s · 6.0k tok · $0.06"
    assert box(stepped(RUN), "2 analyse").status is Status.RETRIED


def test_what_failed_for_good_shows_the_first_line_of_its_error() -> None:
    failed = replace(RUN.tasks[-1], status="failed", error="builtins.ValueError: no\nTraceback")
    diagram = stepped(replace(RUN, status="failed", tasks=(*RUN.tasks[:-1], failed)))
    assert box(diagram, "10 accept").detail == "500 ms\nValueError: no"
    assert not [item for item in diagram.nodes if item.kind == "end"]


def test_an_error_edge_that_was_taken_is_drawn_as_one() -> None:
    tasks = caused(RESCUED.tasks, {**{f"charge {n}": "split 1" for n in (1, 2, 3)}, "refund 1": "charge 2"})
    diagram = stepped(replace(RESCUED, tasks=tasks))
    (arrow,) = arrows(diagram, box(diagram, "3 refund"))
    assert (arrow.error, arrow.lines) == (True, ("TimeoutError",))


def test_what_was_there_already_says_from_where() -> None:
    tasks = (replace(RUN.tasks[0], cached=True), *RUN.tasks[1:])
    diagram = stepped(replace(RUN, tasks=tasks, forked_from=("before", 3)))
    assert (box(diagram, "1 prepare").status, box(diagram, "1 prepare").detail) == (
        Status.REUSED,
        "from the cache · 300 ms",
    )
    assert box(diagram, "2 analyse").detail.startswith("from the run before · ")
    assert box(diagram, "3 triage").status is Status.DONE
    assert "forked from before" in diagram.facts


def test_many_items_are_one_box_with_percentiles() -> None:
    diagram = stepped(many(10_000, failed=(17,)))
    group = box(diagram, "8 review × 10000")
    assert (group.kind, group.status) == ("map", Status.FAILED)
    assert group.detail.split("\n") == [
        "9999 of 10000 done · 1 failed",
        "p50 50.0 s · p95 1 min 35 s · max 1 min 40 s",
        "ValueError: no weight",
    ]
    assert [item.lines for item in arrows(diagram, group)] == [("× 10000",)]
    assert len(diagram.nodes) == 11


@pytest.mark.parametrize("kind", ["overlay", "steps"])
def test_ten_times_as_many_tasks_are_ten_times_the_work(kind: str) -> None:
    def draw(trace: Trace) -> None:
        drawn = stepped(trace) if kind == "steps" else picture(trace)
        mermaid(drawn)
        dot(drawn)

    draw(many(20))  # loads what is loaded late
    work = calls_of(lambda: draw(many(1_000)))
    assert calls_of(lambda: draw(many(10_000))) < 12 * work


def test_the_middle_of_a_long_loop_is_folded_but_not_what_failed() -> None:
    tasks = tuple(
        replace(
            task("analyse" if number % 2 else "triage", (number, number + 1), visit=number),
            key=f"{number}",
            cause=f"{number - 1}" if number else None,
            seq=number + 2,
            status="failed" if number == 4_000 else "completed",
        )
        for number in range(10_000)
    )
    diagram = stepped(replace(RUN, tasks=tasks, status="running"))
    assert len(diagram.nodes) < MAX_STEPS
    folds = [item for item in diagram.nodes if item.kind == "fold"]
    assert [item.title for item in folds] == ["14 analyse … 4000 analyse", "4002 analyse … 9980 analyse"]
    assert folds[0].detail == "3987 steps"
    assert box(diagram, "4001 triage").status is Status.FAILED
    assert diagram.facts[-1] == "9966 steps folded"


def test_a_run_that_has_not_begun_is_a_start_that_was_not_reached() -> None:
    diagram = stepped(
        Trace(run_id="r", status="running", definition=CLAIMS, created=START, updated=START, tasks=(), taken={})
    )
    assert [(item.title, item.status) for item in diagram.nodes] == [("start", Status.UNREACHED)]


def test_steps_are_asked_for_by_kind_and_can_be_picked_by_the_name_of_a_node() -> None:
    assert picture(RUN, kind="steps") == stepped(RUN)
    assert [item.title for item in picture(RUN, kind="steps", only=["analyse"]).nodes] == ["2 analyse", "4 analyse"]
    assert "4 analyse" in render(RUN, "text", kind="steps")


def test_a_workflow_has_no_steps() -> None:
    with pytest.raises(InputError, match=r"^Steps are drawn of a run; a workflow has none\."):
        render(CLAIMS, kind="steps")


@given(trace=hostile_traces())
@settings(max_examples=25, deadline=None)
def test_the_steps_of_any_run_can_be_drawn(mermaid_js: Mermaid, dot_program: Dot, trace: Trace) -> None:
    causes = [None, *(one.key for one in trace.tasks)]
    tasks = tuple(replace(one, cause=causes[number // 2]) for number, one in enumerate(trace.tasks))
    diagram = stepped(replace(trace, tasks=tasks))
    assert len(mermaid_js.understand(mermaid(diagram, legend=False)).nodes) == len(diagram.nodes)
    assert len(dot_program.texts(dot(diagram, legend=False))) == len(diagram.nodes) + len(diagram.edges)
