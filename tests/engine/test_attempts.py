"""Retries, time limits, threads, and what a body can ask about itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from milepost.engine.current import current, report_usage
from milepost.engine.engine import Engine
from milepost.engine.errors import NodeError
from milepost.engine.policy import Retry
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.trace import Usage
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN

pytestmark = pytest.mark.anyio

Ctx = StepContext[None, None, list[int]]
Body = Callable[[Ctx], Any]
stores = pytest.mark.parametrize("store", [None, "memory:"])


def one(body: Body, **policy: Any) -> Workflow[None, None, list[int], int]:
    """Build a workflow of one node with a policy."""
    wf = WorkflowBuilder(name="one", input_type=list[int], output_type=int)
    step: Any = wf.function(node_id="work", **policy)(body)
    wf.edge(wf.start_node, step)
    wf.edge(step, wf.end_node)
    return wf.build()


def failing(times: int, error: type[Exception] = ValueError) -> tuple[Body, list[int]]:
    """Return a body that fails so many times, and the numbers of the attempts that it saw."""
    seen: list[int] = []

    async def work(ctx: StepContext[None, None, list[int]]) -> int:
        seen.append(current().attempt)
        if len(seen) <= times:
            raise error(f"try {len(seen)}")
        return len(seen)

    return work, seen


@stores
async def test_a_node_is_tried_again_as_often_as_its_policy_says(store: str | None) -> None:
    work, seen = failing(2)

    assert await one(work, retry=Retry(attempts=3)).run(inputs=[], store=store) == 3
    assert seen == [1, 2, 3]


@stores
async def test_the_last_failure_is_the_cause_when_the_policy_is_used_up(store: str | None) -> None:
    work, seen = failing(9)

    with pytest.raises(NodeError, match="Node 'work' failed on all 3 attempts: ValueError: try 3") as raised:
        await one(work, retry=Retry(attempts=3)).run(inputs=[], store=store)

    assert seen == [1, 2, 3]
    assert raised.value.attempt == 3
    assert isinstance(raised.value.__cause__, ValueError)


async def test_a_failure_of_another_kind_is_not_tried_again() -> None:
    work, seen = failing(9, KeyError)

    with pytest.raises(NodeError, match="on its only attempt: KeyError"):
        await one(work, retry=Retry(attempts=3, on=(ValueError,))).run(inputs=[])
    assert seen == [1]


async def test_every_attempt_gets_its_inputs_afresh() -> None:
    seen: list[list[int]] = []

    async def work(ctx: StepContext[None, None, list[int]]) -> int:
        seen.append(list(ctx.inputs))
        ctx.inputs.append(99)
        if len(seen) < 3:
            raise ValueError("again")
        return 1

    await one(work, retry=Retry(attempts=3)).run(inputs=[1], store="memory:")

    assert seen == [[1], [1], [1]]


async def test_every_attempt_gets_the_committed_state() -> None:
    class Tally(BaseModel):
        count: int = 0

    wf = WorkflowBuilder(name="state", state_type=Tally, output_type=int)
    seen: list[int] = []

    @wf.function(retry=Retry(attempts=3))
    async def work(ctx: StepContext[Tally, None, None]) -> int:
        ctx.state.count += 1
        seen.append(ctx.state.count)
        if len(seen) < 3:
            raise ValueError("again")
        return ctx.state.count

    wf.edge(wf.start_node, work)
    wf.edge(work, wf.end_node)
    given = Tally()

    assert await wf.build().run(state=given, store="memory:") == 1
    assert (seen, given.count) == ([1, 1, 1], 1)


@stores
async def test_a_body_that_takes_too_long_fails(store: str | None) -> None:
    async def work(ctx: StepContext[None, None, list[int]]) -> int:
        await anyio.sleep_forever()
        return 1

    with pytest.raises(NodeError, match="Node 'work' failed on its only attempt") as raised:
        await one(work, timeout=0.001).run(inputs=[], store=store)

    assert isinstance(raised.value.__cause__, TimeoutError)
    assert "0.001" in str(raised.value)


async def test_a_time_limit_holds_for_one_attempt() -> None:
    seen: list[int] = []

    async def work(ctx: StepContext[None, None, list[int]]) -> int:
        seen.append(1)
        if len(seen) < 3:
            await anyio.sleep_forever()
        return len(seen)

    assert await one(work, timeout=0.001, retry=Retry(attempts=3)).run(inputs=[]) == 3


async def test_a_failed_task_has_all_its_attempts_again_after_a_resume() -> None:
    journals = Journals()
    work, seen = failing(3)
    workflow = one(work, retry=Retry(attempts=2))
    with pytest.raises(NodeError):
        await workflow.run(inputs=[], store=MemoryStore(journals), run_id=RUN)

    assert await workflow.run(inputs=[], store=MemoryStore(journals), run_id=RUN) == 4
    assert seen == [1, 2, 1, 2]
    async with Engine(MemoryStore(journals)) as engine:
        task = (await engine.trace(RUN)).tasks[0]
    assert (task.status, task.attempts) == ("completed", 4)


async def test_a_body_knows_its_run_its_node_and_a_key_that_stays() -> None:
    keys: list[str] = []

    async def work(ctx: StepContext[None, None, list[int]]) -> int:
        this = current()
        assert (this.run_id, this.node) == (RUN, "work")
        keys.append(this.idempotency_key)
        if len(keys) in (1, 2):
            raise ValueError("again")
        return 1

    workflow, journals = one(work, retry=Retry(attempts=2)), Journals()
    with pytest.raises(NodeError):
        await workflow.run(inputs=[], store=MemoryStore(journals), run_id=RUN)
    await workflow.run(inputs=[], store=MemoryStore(journals), run_id=RUN)
    await workflow.run(inputs=[], store="memory:", run_id=RUN)

    assert len(keys) == 4
    assert len(set(keys)) == 1


def test_outside_of_a_node_there_is_no_current_attempt() -> None:
    with pytest.raises(LookupError):
        current()
    report_usage(Usage(requests=1))


async def test_what_a_body_reports_is_in_the_trace_of_all_attempts_together() -> None:
    tries: list[int] = []

    async def work(ctx: StepContext[None, None, list[int]]) -> int:
        tries.append(1)
        report_usage(Usage(requests=1, input_tokens=10, output_tokens=5, cost=0.5))
        report_usage(Usage(requests=1, input_tokens=1))
        if len(tries) == 1:
            raise ValueError("again")
        return 1

    async with Engine("memory:") as engine:
        run = await engine.start(one(work, retry=Retry(attempts=2)), inputs=[], run_id=RUN)
        await run.result()
        task = (await engine.trace(RUN)).tasks[0]

    assert task.usage == Usage(requests=4, input_tokens=22, output_tokens=10, cost=1.0)


async def test_a_synchronous_function_can_run_in_a_thread_of_its_own() -> None:
    threads: list[int] = []

    def work(ctx: StepContext[None, None, list[int]]) -> int:
        threads.append(threading.get_ident())
        return current().attempt

    assert await one(work, thread=True).run(inputs=[]) == 1
    assert await one(work).run(inputs=[]) == 1
    assert threads[0] != threading.get_ident()
    assert threads[1] == threading.get_ident()
