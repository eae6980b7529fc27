"""Outputs that are kept in the store for other runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import NodeError, WorkflowError
from milepost.engine.policy import Cache
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Calls:
    made: Counter[str] = field(default_factory=Counter[str])


def cached(cache: Cache, version: int = 1) -> Workflow[None, Calls, list[int], int]:
    wf = WorkflowBuilder(name="cached", deps_type=Calls, input_type=list[int], output_type=int, version=version)

    @wf.function(cache=cache)
    async def total(ctx: StepContext[None, Calls, list[int]]) -> int:
        ctx.deps.made["total"] += 1
        return sum(ctx.inputs)

    @wf.decide(cache=cache)
    async def is_big(ctx: StepContext[None, Calls, int]) -> bool:
        ctx.deps.made["is_big"] += 1
        return ctx.inputs > 10

    @wf.function
    async def shrink(ctx: StepContext[None, Calls, int]) -> int:
        return ctx.inputs - 10

    wf.edge(wf.start_node, total)
    wf.edge(total, is_big)
    wf.edge(is_big, shrink, when=True)
    wf.edge(is_big, wf.end_node, when=False)
    wf.edge(shrink, wf.end_node)
    return wf.build()


async def ran(
    workflow: Workflow[None, Calls, list[int], int], inputs: list[int], calls: Calls, journals: Journals, clock: Clock
) -> int:
    async with Engine(MemoryStore(journals, clock=clock), clock=clock) as engine:
        run = await engine.start(workflow, inputs=inputs, deps=calls)
        output: int = await run.result()
        return output


async def test_a_trace_says_what_came_from_the_cache() -> None:
    workflow, calls, journals, clock = cached(Cache()), Calls(), Journals(), Clock()
    async with Engine(MemoryStore(journals, clock=clock), clock=clock) as engine:
        for run_id in ("first", "second"):
            run = await engine.start(workflow, inputs=[9, 9], deps=calls, run_id=run_id)
            await run.result()
        traces = [await engine.trace(run_id) for run_id in ("first", "second")]

    found = [[(task.node, task.cached) for task in trace.tasks] for trace in traces]
    assert found[0] == [("total", False), ("is_big", False), ("shrink", False)]
    assert found[1] == [("total", True), ("is_big", True), ("shrink", False)]


async def test_the_same_inputs_are_not_worked_on_twice() -> None:
    workflow, calls, journals, clock = cached(Cache()), Calls(), Journals(), Clock()

    outputs = [await ran(workflow, inputs, calls, journals, clock) for inputs in ([9, 9], [9, 9], [1], [9, 9], [1])]

    assert outputs == [8, 8, 1, 8, 1]
    assert calls.made == {"total": 2, "is_big": 2}


async def test_what_is_kept_is_good_for_as_long_as_declared() -> None:
    workflow, calls, journals, clock = cached(Cache(ttl=60.0)), Calls(), Journals(), Clock()

    await ran(workflow, [1], calls, journals, clock)
    clock.now += 59
    await ran(workflow, [1], calls, journals, clock)
    assert calls.made["total"] == 1
    clock.now += 2
    await ran(workflow, [1], calls, journals, clock)
    assert calls.made["total"] == 2


async def test_a_key_says_what_the_output_depends_on() -> None:
    workflow, calls, journals, clock = cached(Cache(key=lambda _: "same")), Calls(), Journals(), Clock()

    assert await ran(workflow, [1], calls, journals, clock) == 1
    assert await ran(workflow, [2], calls, journals, clock) == 1


async def test_another_version_of_the_workflow_starts_afresh() -> None:
    calls, journals, clock = Calls(), Journals(), Clock()

    await ran(cached(Cache(), version=1), [1], calls, journals, clock)
    await ran(cached(Cache(), version=2), [1], calls, journals, clock)

    assert calls.made["total"] == 2


async def test_without_a_store_nothing_is_kept() -> None:
    calls = Calls()

    assert [await cached(Cache()).run(inputs=[4], deps=calls) for _ in range(2)] == [4, 4]
    assert calls.made["total"] == 2


async def test_a_cached_node_may_not_change_the_state() -> None:
    wf = WorkflowBuilder(name="changing", state_type=dict[str, int], input_type=int, output_type=int)

    @wf.function(cache=Cache())
    async def count(ctx: StepContext[dict[str, int], None, int]) -> int:
        ctx.state["n"] = ctx.inputs
        return ctx.inputs

    wf.edge(wf.start_node, count)
    wf.edge(count, wf.end_node)

    with pytest.raises(WorkflowError, match="Node 'count' has a cache and changed the state"):
        await wf.build().run(inputs=1, state={}, store=MemoryStore())


async def test_a_key_that_raises_fails_its_node() -> None:
    def broken(inputs: list[int]) -> str:
        raise LookupError("no key")

    with pytest.raises(NodeError, match="Node 'total' failed on its only attempt: LookupError: no key"):
        await ran(cached(Cache(key=broken)), [1], Calls(), Journals(), Clock())
