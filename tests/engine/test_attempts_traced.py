"""A trace tells of every attempt, of what spawned a task, when, and which record finished it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from milepost.engine.attempts import LONGEST_LINE, MOST_TRIED, Outcome, line_of
from milepost.engine.current import current
from milepost.engine.engine import Engine
from milepost.engine.errors import CircuitOpen, NodeError
from milepost.engine.journal import Timing
from milepost.engine.policy import CircuitBreaker, Retry
from milepost.engine.state import StateView
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.trace import TaskTrace, Trace
from milepost.engine.typed import ReduceFirstValue, StepContext, reduce_sum
from milepost.engine.workflow import Workflow
from milepost.testing.clock import FakeClock
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN, Deps, chain

pytestmark = pytest.mark.anyio

AT_ONCE = Retry(attempts=3, wait=0.0, jitter=0.0)


def flaky(fails: int, *, retry: Retry = AT_ONCE) -> Workflow[None, None, int, int]:
    """Return a workflow of one node whose first attempts fail."""
    wf = WorkflowBuilder(name="flaky", input_type=int, output_type=int)

    @wf.function(retry=retry)
    async def call(ctx: StepContext[None, None, int]) -> int:
        if current().attempt <= fails:
            raise ConnectionError(f"attempt {current().attempt}\nand more")
        return ctx.inputs

    wf.edge(wf.start_node, call)
    wf.edge(call, wf.end_node)
    return wf.build()


async def traced(workflow: Any, journals: Journals, **given: Any) -> Trace:
    """Run to the end, whatever that is, and return what the store tells of it."""
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(workflow, run_id=RUN, **given)
        await run.wait()
        return await engine.trace(RUN)


def errors(task: TaskTrace) -> list[str | None]:
    """Return how the attempts of a task failed, and check that they came one after the other."""
    times = [moment for one in task.tried for moment in (one.started, one.finished)]
    assert times == sorted(times)
    return [one.error for one in task.tried]


async def test_every_attempt_is_told_with_its_times_and_how_it_failed_in_a_line() -> None:
    (task,) = (await traced(flaky(2), Journals(), inputs=1)).tasks

    assert (task.status, task.attempts) == ("completed", 3)
    assert errors(task) == ["ConnectionError: attempt 1", "ConnectionError: attempt 2", None]
    assert (task.started, task.finished) == (task.tried[-1].started, task.tried[-1].finished)


async def test_the_attempts_of_a_failed_task_are_told_and_those_of_its_resume_follow() -> None:
    journals = Journals()
    (task,) = (await traced(flaky(9), journals, inputs=1)).tasks
    assert [(error or "").partition("\n")[0] for error in errors(task)] == [
        f"ConnectionError: attempt {n}" for n in (1, 2, 3)
    ]

    (task,) = (await traced(flaky(1), journals, inputs=1)).tasks
    assert (task.status, task.attempts) == ("completed", 5)
    assert [error is None for error in errors(task)] == [False, False, False, False, True]


async def test_what_a_circuit_did_not_let_through_is_no_attempt() -> None:
    wf = WorkflowBuilder(name="broken", input_type=int, output_type=int)

    @wf.function(retry=AT_ONCE, circuit_breaker=CircuitBreaker(failures=1, reset=60.0))
    async def call(ctx: StepContext[None, None, int]) -> int:
        raise ConnectionError("no")

    wf.edge(wf.start_node, call)
    wf.edge(call, wf.end_node)
    async with Engine(MemoryStore()) as engine:
        run = await engine.start(wf.build(), run_id=RUN, inputs=1)
        with pytest.raises(NodeError) as caught:
            await run.result()
        (task,) = (await engine.trace(RUN)).tasks

    assert isinstance(caught.value.__cause__, CircuitOpen)
    assert task.attempts == len(task.tried) == 1


async def test_a_limit_for_all_attempts_leaves_those_that_were_made() -> None:
    wf = WorkflowBuilder(name="slow", input_type=int, output_type=int)

    @wf.function(retry=Retry(attempts=9, wait=0.0, jitter=0.0), total_timeout=0.02)
    async def call(ctx: StepContext[None, None, int]) -> int:
        if current().attempt > 1:
            await anyio.sleep_forever()
        raise ConnectionError("no")

    wf.edge(wf.start_node, call)
    wf.edge(call, wf.end_node)
    (task,) = (await traced(wf.build(), Journals(), inputs=1)).tasks

    assert errors(task) == [
        "ConnectionError: no",
        "TimeoutError: all attempts together took longer than 0.02 seconds",
    ]


def test_of_very_many_attempts_the_first_ones_are_kept() -> None:
    outcome = Outcome(None, StateView.nothing())
    for number in range(MOST_TRIED + 5):
        outcome.error, outcome.timing = ValueError(str(number)), Timing(number, number + 0.5, number + 1)
        outcome.retried()

    assert len(outcome.tried) == MOST_TRIED
    assert (outcome.tried[0].error, outcome.tried[-1].error) == ("ValueError: 0", f"ValueError: {MOST_TRIED - 1}")


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (Silent(), "Silent"),
        (ValueError("\udcff"), "ValueError: ?"),
        (ValueError("x" * 999), f"ValueError: {'x' * 999}"[:LONGEST_LINE]),
    ],
)
def test_an_error_is_told_in_one_short_line(error: Exception, line: str) -> None:
    assert line_of(error) == line


async def test_each_task_names_the_one_that_spawned_it_and_the_record_that_finished_it() -> None:
    clock = FakeClock()
    async with Engine(MemoryStore(clock=clock), clock=clock) as engine:
        run = await engine.start(chain(["first", "second"]), inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        first, second = (await engine.trace(RUN)).tasks

    assert (first.cause, second.cause) == (None, first.key)
    assert (first.seq, second.seq) == (2, 3)
    assert first.spawned == second.spawned == clock.now


async def test_what_a_join_lets_go_names_the_task_that_completed_the_join() -> None:
    wf = WorkflowBuilder(name="joined", deps_type=Deps, input_type=int, output_type=int)

    def add(node: str) -> Any:
        async def body(ctx: StepContext[None, Deps, int]) -> int:
            await ctx.deps.enter(node)
            return ctx.inputs + 1

        return wf.function(node_id=node)(body)

    quick, slow, last = add("quick"), add("slow"), add("last")
    total = wf.join(reduce_sum, initial=0, node_id="total")
    wf.edge(wf.start_node, quick)
    wf.edge(wf.start_node, slow)
    wf.edge(quick, total)
    wf.edge(slow, total)
    wf.edge(total, last)
    wf.edge(last, wf.end_node)
    deps = Deps().gate("slow", "quick")
    async with Engine(MemoryStore()) as engine:
        run = await engine.start(wf.build(), inputs=1, deps=deps, run_id=RUN)
        await deps.begun["slow"].wait()
        deps.gates["quick"].set()
        async for event in run.events(after=0):
            if type(event).__name__ == "TaskFinished":
                deps.gates["slow"].set()
        tasks = {task.node: task for task in (await engine.trace(RUN)).tasks}

    assert tasks["quick"].seq == 2
    assert tasks["last"].cause == tasks["slow"].key


async def test_the_items_of_a_stream_are_spawned_by_the_task_that_streams() -> None:
    wf = WorkflowBuilder(name="streaming", output_type=int)

    @wf.stream
    async def give(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
        yield 1
        yield 2

    @wf.function
    async def look(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    total = wf.join(reduce_sum, initial=0, node_id="total")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(look, join=total))
    wf.edge(total, wf.end_node)
    given, *looked = (await traced(wf.build(), Journals())).tasks

    assert [task.cause for task in looked] == [given.key, given.key]
    assert len(given.tried) == 1


async def test_a_cancelled_task_ends_when_that_is_committed() -> None:
    wf = WorkflowBuilder(name="race", input_type=list[int], output_type=int)

    @wf.function
    async def same(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    winner = wf.join(ReduceFirstValue[int](), initial=0, node_id="winner")
    wf.edge(wf.start_node, wf.each(same))
    wf.edge(same, winner)
    wf.edge(winner, wf.end_node)
    trace = await traced(wf.build(), Journals(), inputs=[7, 8])
    (won,) = (task for task in trace.tasks if task.status == "completed")
    (lost,) = (task for task in trace.tasks if task.status == "cancelled")

    assert lost.seq == won.seq
    assert (lost.tried, lost.finished) == ((), trace.updated)
