"""What waits, what it waited for, and who answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest

from milepost.engine.trace import TaskTrace, Trace, WaitTrace
from milepost.visualize.diagram import DrawnNode, declared
from milepost.visualize.overlay import facts, traced
from milepost.visualize.palette import Status
from milepost.visualize.steps import stepped
from milepost.visualize.waits import busy, outcome, question, waited, working
from tests.visualize.subjects import RUNNING, START, definition, edge, node, task

FLOW = definition([node("approve", "ask")], [edge("__start__", "approve"), edge("approve", "__end__")], "approval")


def asked(
    *,
    settled: float | None = None,
    how: Literal["answered", "received", "elapsed", "expired"] | None = None,
    by: str | None = None,
    index: int | None = None,
    kind: Literal["ask", "event", "time", "race"] = "ask",
    text: str = "Is it\nfine?",
    event: str = "",
    until: float | None = None,
) -> TaskTrace:
    """A task that has asked after a second; settled: when that was over, seconds after the start of the run."""
    wait = WaitTrace(
        kind=kind,
        id="q",
        asked=START + timedelta(seconds=1),
        text=text,
        event=event,
        until=None if until is None else START + timedelta(seconds=until),
        settled=None if settled is None else START + timedelta(seconds=settled),
        how=how,
        by=by,
    )
    over = settled is not None
    plain = task(
        "approve", (0, settled + 2 if settled else None), status="completed" if over else "waiting", index=index
    )
    return replace(plain, wait=wait)


def run(*tasks: TaskTrace) -> Trace:
    ready = all(one.status == "completed" for one in tasks)
    return replace(
        RUNNING,
        definition=FLOW,
        status="completed" if ready else "waiting",
        tasks=tasks,
        taken={("__start__", "approve", 0): 1},
        joins=(),
        chosen={},
        updated=START + timedelta(hours=2, seconds=1),
    )


def box(trace: Trace) -> DrawnNode:
    return next(item for item in traced(trace).nodes if item.id == "approve")


def test_a_question_that_is_open_shows_how_long_it_waits_and_what_is_asked() -> None:
    found = box(run(asked(until=86_400)))
    assert (found.status, found.kind) == (Status.WAITING, "ask")
    assert found.detail == "waiting 2 h\nIs it fine? · until 2026-03-05 12:04 UTC"


def test_a_question_that_was_answered_says_by_whom_and_how_long_that_took() -> None:
    found = box(run(asked(settled=3601, how="answered", by="anna")))
    assert (found.status, found.detail) == (Status.DONE, "answered by anna · waited 1 h")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("received", "received · waited 1 min"),
        ("elapsed", "time is up · waited 1 min"),
        ("expired", "nothing came · waited 1 min"),
    ],
)
def test_an_event_and_a_time_are_told_by_what_came(how: Literal["received", "elapsed", "expired"], words: str) -> None:
    assert box(run(asked(settled=61, how=how, kind="event", text="", event="paid"))).detail == words


def test_an_event_that_is_waited_for_is_named() -> None:
    assert question((asked(kind="event", text="", event="paid"),)) == "paid"
    assert question((asked(settled=5, how="received", kind="event", text="", event="paid"),)) == ""


def test_several_questions_are_counted() -> None:
    tasks = (
        asked(settled=61, how="answered", by="anna", index=0),
        asked(settled=121, how="answered", by="ben", index=1),
        asked(settled=31, how="expired", index=2),
    )
    assert list(outcome(tasks, run(*tasks))) == ["2 answered", "1 nothing came", "waited up to 2 min"]
    assert list(outcome((task("approve", (0, 1)),), run())) == []


def test_waiting_is_no_time_at_work() -> None:
    one = asked(settled=3601, how="answered")
    assert [(stop - start).total_seconds() for start, stop in working(one, run(one))] == [1, 2]
    assert busy((one,), run(one)) == 3
    assert "3.0 s active" in facts(run(one))
    assert list(working(task("approve", None, status="pending"), run())) == []
    still = asked()
    assert [(stop - start).total_seconds() for start, stop in working(still, run(still))] == [1]
    assert still.wait is not None
    assert waited(still.wait, run(still)) == 7200


def test_a_step_says_the_same() -> None:
    answered = run(asked(settled=3601, how="answered", by="anna"))
    assert (
        next(item.detail for item in stepped(answered).nodes if item.own == "approve")
        == "answered by anna · waited 1 h"
    )
    waiting = next(item for item in stepped(run(asked())).nodes if item.own == "approve")
    assert (waiting.status, waiting.detail) == (Status.WAITING, "waiting 2 h\nIs it fine?")


def test_a_node_that_waits_for_an_event_names_it_in_the_picture_of_a_workflow() -> None:
    known = replace(node("pay", "wait"), events=("paid", "refused"))
    details = {item.id: item.detail for item in declared(definition([known, node("any", "wait")], [])).nodes}
    assert (details["pay"], details["any"]) == ("waits for paid, refused", "waits for an event")
