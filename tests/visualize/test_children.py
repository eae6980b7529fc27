"""The runs inside a run: whose they are, what they cost, and several of them as one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from milepost.engine.trace import JoinTrace
from milepost.visualize.children import as_of, cause_of, child_of, children_of, failures, merged, usage_of
from milepost.visualize.overlay import facts, traced
from tests.visualize.nests import BROKEN, FAILED_BATCH, GOOD, ODD, RESCUED_BATCH, SUSPECTED, begun, grown
from tests.visualize.subjects import FAILED, START, task


def test_a_task_is_told_from_one_whose_run_was_not_read() -> None:
    assert children_of(FAILED_BATCH.tasks, FAILED_BATCH) == (GOOD, ODD, BROKEN)
    assert child_of(begun(task("check", None), "unread"), FAILED_BATCH) is None
    assert child_of(task("split", None), FAILED_BATCH) is None


def test_what_a_task_cost_is_with_everything_inside_it() -> None:
    cost = usage_of(FAILED_BATCH.tasks, FAILED_BATCH)
    assert cost is not None
    assert (cost.requests, cost.input_tokens) == (3, 6000)
    assert cost.cost == pytest.approx(0.06)
    assert usage_of(FAILED_BATCH.tasks[:1], FAILED_BATCH) is None
    assert facts(FAILED_BATCH)[2:4] == ("6.0k tokens", "$0.06")


def test_a_failure_is_followed_to_where_it_came_from() -> None:
    assert [one.node for one in failures(FAILED_BATCH)] == ["check", "look_up"]
    assert [one.node for one in failures(FAILED)] == ["review"]
    assert failures(GOOD) == ()
    assert traced(FAILED_BATCH).notice == "✗ failed at check[2] › look_up · ConnectionError"


def test_the_cause_is_that_of_the_run_inside_though_the_failure_was_caught() -> None:
    assert cause_of(RESCUED_BATCH.tasks[3], RESCUED_BATCH) == "builtins.ConnectionError: no line"
    alone = replace(FAILED_BATCH, children={})
    assert (cause_of(alone.tasks[3], alone) or "").startswith("NodeError: In run 'ccc")
    assert cause_of(task("split", None), FAILED_BATCH) is None
    timed_out = begun(task("check", None, status="failed", error="TimeoutError"), GOOD.run_id)
    assert cause_of(timed_out, FAILED_BATCH) == "TimeoutError"


def test_runs_of_one_node_are_added_up() -> None:
    one = merged([GOOD, ODD, BROKEN])
    assert one.status == "failed"
    assert [item.node for item in one.tasks].count("look_up") == 3
    assert one.taken["look_up", "rate", 0] == 2
    assert one.taken["__start__", "look_up", 0] == 3
    assert dict(one.children) == {SUSPECTED.run_id: SUSPECTED}
    assert one.checkpoints == 4 + 4 + 2
    assert (one.error, one.output, one.resumes) == (None, None, ())


def test_one_run_alone_stays_what_it_is() -> None:
    assert merged([BROKEN]) is BROKEN


def test_the_worst_status_wins_and_what_lasts_is_from_the_first_to_the_last() -> None:
    late = replace(GOOD, created=START + timedelta(seconds=5), updated=START + timedelta(seconds=90), status="running")
    one = merged([late, GOOD])
    assert (one.status, one.created, one.updated) == ("running", START, START + timedelta(seconds=90))
    assert merged([GOOD, ODD]).status == "completed"


def test_joins_are_added_up_by_node() -> None:
    joined = [replace(GOOD, joins=(JoinTrace(node=name, items=2, fired=1),)) for name in ("a", "b", "a")]
    assert merged(joined).joins == (JoinTrace(node="a", items=4, fired=2), JoinTrace(node="b", items=2, fired=1))


def test_no_number_of_levels_is_too_deep() -> None:
    assert usage_of(grown(2000).tasks, grown(2000)) is None
    assert failures(grown(2000)) == ()


def test_several_runs_are_interrupted_where_nobody_drives_any_of_those_under_way() -> None:
    dead = replace(GOOD, status="running", interrupted=True)
    live = replace(GOOD, status="running")
    assert merged([dead, GOOD, dead]).interrupted
    assert not merged([dead, live]).interrupted
    assert not merged([dead, BROKEN]).interrupted


def test_a_run_that_waits_has_waited_until_the_moment_it_is_looked_at() -> None:
    now = START + timedelta(days=2)
    inner = replace(GOOD, status="waiting")
    around = replace(GOOD, run_id="around", status="running", children={"inner": inner, "done": GOOD})
    told = as_of(around, now)
    assert (told.updated, told.children["inner"].updated, told.children["done"]) == (now, now, GOOD)
    assert as_of(GOOD, now) == GOOD
    left = replace(inner, status="running", interrupted=True)
    assert as_of(left, now) == left
    assert as_of(told, START) == told


def test_runs_of_any_depth_are_told_as_of_a_moment() -> None:
    trace = GOOD
    for _ in range(3000):
        trace = replace(GOOD, status="waiting", children={"one": trace})
    now = START + timedelta(days=2)
    told = as_of(trace, now)
    while "one" in told.children:
        assert told.updated == now
        told = told.children["one"]
