"""The critical path: what the run had to wait for."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given

from milepost.engine.trace import Trace
from milepost.visualize.critical import critical_path
from tests.visualize.timelines import EVENTFUL, did, run, timed_traces


def path(trace: Trace) -> list[str]:
    return [task.key for task in critical_path(trace)]


def test_it_leads_from_the_start_to_the_end_through_what_spawned_each_task() -> None:
    assert path(EVENTFUL) == [
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
    ]


def test_it_ends_with_the_task_that_ended_the_run_not_with_the_one_that_went_on_longest() -> None:
    tasks = [
        did("prepare", 0, (0, 1)),
        did("accept", 1, (1, 2), cause="prepare 1", seq=3),
        did("review", 1, (1, 9), cause="prepare 1", status="cancelled", seq=3),
    ]
    trace = run(tasks, 9)
    assert trace.checkpoints == 4
    assert path(run(tasks[:2], 9)) == ["prepare 1", "accept 1"]
    assert path(run([tasks[0], did("accept", 1, (1, 2), cause="prepare 1", seq=4), tasks[2]], 9)) == [
        "prepare 1",
        "accept 1",
    ]


def test_of_a_failed_run_it_ends_with_the_failure() -> None:
    tasks = [
        did("prepare", 0, (0, 1)),
        did("review", 1, (1, 2, "OSError: no"), cause="prepare 1", status="failed"),
        did("score", 1, (1, 9), cause="prepare 1"),
    ]
    assert path(run(tasks, 9, status="failed")) == ["prepare 1", "review 1"]


def test_of_a_run_that_goes_on_it_ends_with_what_is_not_over() -> None:
    tasks = [
        did("prepare", 0, (0, 1)),
        did("review", 1, (1, 9), cause="prepare 1"),
        did("score", 1, cause="prepare 1", status="running"),
    ]
    assert path(run(tasks, 9, status="running")) == ["prepare 1", "score 1"]


def test_of_two_that_are_not_over_it_ends_with_the_later_one() -> None:
    tasks = [
        did("prepare", 0, (0, 1)),
        did("review", 1, (1, 9), cause="prepare 1"),
        did("score", 1, cause="prepare 1", status="pending"),
        did("accept", 9, cause="review 1", status="running"),
    ]
    assert path(run(tasks, 9, status="running"))[0] == "prepare 1"


def test_a_run_without_tasks_has_none() -> None:
    assert path(run([], 1)) == []


def test_a_chain_of_ten_thousand_is_no_problem() -> None:
    tasks = [did("analyse", n, (n, n + 1), visit=n + 1, cause=f"analyse {n}" if n else None) for n in range(10_000)]
    assert len(path(run(tasks, 10_000))) == 10_000


@given(timed_traces())
def test_each_step_was_spawned_by_the_one_before(trace: Trace) -> None:
    found = critical_path(trace)
    assert bool(found) == bool(trace.tasks)
    order = {task.key: number for number, task in enumerate(trace.tasks)}
    assert all(after.cause == before.key for before, after in pairwise(found))
    assert all(order[before.key] < order[after.key] for before, after in pairwise(found))
