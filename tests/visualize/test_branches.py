"""Which branch of a run each task belongs to."""

from __future__ import annotations

from hypothesis import given

from milepost.engine.trace import Trace
from milepost.visualize.branches import branches
from tests.visualize.subjects import definition, edge, node
from tests.visualize.timelines import EVENTFUL, did, run, timed_traces

FORKED = definition(
    [node("first"), node("left"), node("right"), node("more"), node("both", "join"), node("last")],
    [
        edge("__start__", "first"),
        edge("first", "left", 0),
        edge("first", "right", 1),
        edge("left", "more"),
        edge("more", "both"),
        edge("right", "both"),
        edge("both", "last"),
        edge("last", "__end__"),
    ],
)


def heads(trace: Trace) -> dict[str, str]:
    return {key: head.key for key, head in branches(trace).items()}


def test_a_chain_is_one_branch_and_a_fork_begins_others_until_a_join_takes_them_back() -> None:
    trace = run(
        [
            did("first", 0, (0, 1)),
            did("left", 1, (1, 2), cause="first 1"),
            did("right", 1, (1, 5), cause="first 1"),
            did("more", 2, (2, 3), cause="left 1"),
            did("last", 5, (5, 6), cause="right 1"),
        ],
        6,
        defined=FORKED,
    )
    assert heads(trace) == {
        "first 1": "first 1",
        "left 1": "left 1",
        "right 1": "right 1",
        "more 1": "left 1",
        "last 1": "first 1",
    }


def test_a_loop_and_what_follows_a_decision_stay_in_their_branch_and_items_have_their_own() -> None:
    found = heads(EVENTFUL)
    assert {found[key] for key in ("analyse 1", "triage 1", "analyse 2", "triage 2", "gather 1")} == {"prepare 1"}
    assert [found[f"review {n}"] for n in (1, 2, 3)] == ["review 1", "review 2", "review 3"]
    assert found["score 1"] == "prepare 1"


@given(timed_traces())
def test_every_task_has_a_branch_that_begins_with_one_of_its_own(trace: Trace) -> None:
    found = branches(trace)
    assert set(found) == {task.key for task in trace.tasks}
    assert all(found[head.key] == head for head in found.values())
