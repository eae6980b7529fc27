"""Who carries out the bodies of tasks: one task of the process while none of them waits, more as soon as one does."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
import pytest
from anyio.lowlevel import checkpoint

from milepost.engine.engine import Engine
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]

ITEMS = 30


@dataclass
class Seen:
    """Which tasks of the process the bodies ran in, how many were under way at once, and how many tasks there were."""

    hosts: list[int] = field(default_factory=list[int])
    inside: int = 0
    most: int = 0
    tasks: int = 0

    async def visit(self, *, waits: bool) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.tasks = max(self.tasks, len(anyio.get_running_tasks()))
        host = anyio.get_current_task().id
        if waits:
            await checkpoint()
            await checkpoint()
        assert anyio.get_current_task().id == host
        self.hosts.append(host)
        self.inside -= 1


def mapping(*, waits: bool) -> Workflow[None, Seen, int, list[int]]:
    wf = WorkflowBuilder(name="mapping", deps_type=Seen, input_type=int, output_type=list[int])

    @wf.function()
    async def split(ctx: StepContext[None, Seen, int]) -> list[int]:
        return list(range(ctx.inputs))

    @wf.function()
    async def visit(ctx: StepContext[None, Seen, int]) -> int:
        await ctx.deps.visit(waits=waits)
        return ctx.inputs

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, split)
    wf.edge(split, wf.each(visit, join=collect))
    wf.edge(collect, wf.end_node)
    return wf.build()


def looping() -> Workflow[None, Seen, int, int]:
    wf = WorkflowBuilder(name="looping", deps_type=Seen, input_type=int, output_type=int)

    @wf.function()
    async def count(ctx: StepContext[None, Seen, int]) -> int:
        await ctx.deps.visit(waits=True)
        return ctx.inputs - 1

    wf.edge(wf.start_node, count)
    wf.edge(count, wf.end_node, when=lambda left: left == 0)
    wf.edge(count, count, otherwise=True)
    return wf.build()


STORES = pytest.mark.parametrize("store", [None, "memory:"])


@STORES
async def test_bodies_that_never_wait_are_carried_out_one_after_the_other_in_one_task(store: str | None) -> None:
    seen = Seen()
    async with Engine(store) as engine:
        run = await engine.start(mapping(waits=False), inputs=ITEMS, deps=seen)
        assert await run.result() == list(range(ITEMS))
    assert len(seen.hosts) == ITEMS
    assert len(set(seen.hosts)) == 1
    assert seen.most == 1


@STORES
async def test_bodies_that_wait_are_under_way_at_the_same_time(store: str | None) -> None:
    seen = Seen()
    async with Engine(store) as engine:
        run = await engine.start(mapping(waits=True), inputs=ITEMS, deps=seen)
        assert sorted(await run.result()) == list(range(ITEMS))
    assert len(seen.hosts) == ITEMS
    assert seen.most > 1


@STORES
async def test_a_loop_whose_node_waits_takes_no_more_tasks_the_longer_it_is(store: str | None) -> None:
    most: list[int] = []
    for steps in (3, ITEMS):
        seen = Seen()
        async with Engine(store) as engine:
            run = await engine.start(looping(), inputs=steps, deps=seen)
            assert await run.result() == 0
        most.append(seen.tasks)
    assert most[0] == most[1]
