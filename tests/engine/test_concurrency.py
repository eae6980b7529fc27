"""How many tasks run at once: of a node, the items of a map, a run and an engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise

import anyio
import pytest
from anyio.lowlevel import checkpoint

from milepost.engine.engine import Engine
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Acknowledge, Entry
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio

STORES = pytest.mark.parametrize("store", [None, "memory:"])


@dataclass
class Crowd:
    """Counts who is inside at once. faults: items that fail."""

    inside: int = 0
    most: int = 0
    given: int = 0
    behind: int = 0
    faults: set[int] = field(default_factory=set[int])

    async def visit(self, item: int) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            for _ in range(5):
                await checkpoint()
            if item in self.faults:
                raise ValueError(f"{item} is faulty")
        finally:
            self.inside -= 1


def mapping(
    *, node: int | None = None, items: int | None = None, run: int | None = None, steps: int = 1
) -> Workflow[None, Crowd, list[int], list[int]]:
    """Build a map over a row of nodes, with limits."""
    wf = WorkflowBuilder(
        name="mapping", deps_type=Crowd, input_type=list[int], output_type=list[int], max_concurrency=run
    )

    def body(number: int) -> Callable[[StepContext[None, Crowd, int]], Awaitable[int]]:
        async def visit(ctx: StepContext[None, Crowd, int]) -> int:
            await ctx.deps.visit(ctx.inputs)
            return ctx.inputs

        return visit

    row = [wf.function(node_id=f"visit{number}", max_concurrency=node)(body(number)) for number in range(steps)]
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, wf.each(row[0], join=collect, max_concurrency=items))
    for before, after in pairwise(row):
        wf.edge(before, after)
    wf.edge(row[-1], collect)
    wf.edge(collect, wf.end_node)
    return wf.build()


@STORES
@pytest.mark.parametrize("limits", [{"node": 3}, {"items": 3}, {"run": 3}, {"node": 5, "items": 3, "run": 4}])
async def test_no_more_run_at_once_than_declared_and_all_of_them_run(limits: dict[str, int], store: str | None) -> None:
    crowd = Crowd()

    output = await mapping(**limits).run(inputs=list(range(20)), deps=crowd, store=store and MemoryStore())

    assert sorted(output) == list(range(20))
    assert crowd.most == 3


@STORES
async def test_an_item_is_under_way_until_its_last_node_is_done(store: str | None) -> None:
    crowd = Crowd()

    output = await mapping(items=2, steps=3).run(inputs=list(range(9)), deps=crowd, store=store and MemoryStore())

    assert sorted(output) == list(range(9))
    assert crowd.most == 2


@STORES
async def test_an_engine_limits_all_its_runs_together(store: str | None) -> None:
    crowd = Crowd()

    async with Engine(store and MemoryStore(), max_concurrency=4) as engine:
        runs = [await engine.start(mapping(), inputs=list(range(5)), deps=crowd) for _ in range(6)]
        for run in runs:
            assert sorted(await run.result()) == list(range(5))

    assert crowd.most == 4


async def test_a_node_is_limited_over_all_runs_of_an_engine() -> None:
    crowd, workflow = Crowd(), mapping(node=2)

    async with Engine() as engine:
        runs = [await engine.start(workflow, inputs=[1, 2, 3], deps=crowd) for _ in range(4)]
        for run in runs:
            assert sorted(await run.result()) == [1, 2, 3]

    assert crowd.most == 2


async def test_a_run_that_fails_or_stops_gives_back_what_it_held() -> None:
    workflow = mapping(node=1)

    async with Engine(max_concurrency=1) as engine:
        faulty = await engine.start(workflow, inputs=[1, 2, 3], deps=Crowd(faults={2}))
        stopped = await engine.start(workflow, inputs=[1, 2, 3], deps=Crowd())
        stopped.stop()
        healthy = await engine.start(workflow, inputs=[1, 2, 3], deps=Crowd())
        assert sorted(await healthy.result()) == [1, 2, 3]
        with pytest.raises(Exception, match="'visit0'"):
            await faulty.result()


async def test_limits_hold_after_a_resume() -> None:
    workflow, crowd, journals = mapping(items=3, steps=2), Crowd(faults={7}), Journals()
    with pytest.raises(Exception, match="faulty"):
        await workflow.run(inputs=list(range(12)), deps=crowd, store=MemoryStore(journals), run_id="r")
    crowd.faults.clear()
    crowd.most = 0

    output = await workflow.run(inputs=list(range(12)), deps=crowd, store=MemoryStore(journals), run_id="r")

    assert sorted(output) == list(range(12))
    assert crowd.most == 3


@STORES
async def test_a_stream_is_not_asked_for_more_than_the_map_may_take(store: str | None) -> None:
    wf = WorkflowBuilder(name="pressed", deps_type=Crowd, input_type=int, output_type=list[int])

    @wf.stream
    async def give(ctx: StepContext[None, Crowd, int]) -> AsyncIterator[int]:
        for number in range(ctx.inputs):
            ctx.deps.given += 1
            yield number

    @wf.function
    async def take(ctx: StepContext[None, Crowd, int]) -> int:
        await ctx.deps.visit(ctx.inputs)
        ctx.deps.behind = max(ctx.deps.behind, ctx.deps.given - ctx.inputs)
        return ctx.inputs

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(take, join=collect, max_concurrency=2))
    wf.edge(take, collect)
    wf.edge(collect, wf.end_node)
    crowd = Crowd()

    output = await wf.build().run(inputs=30, deps=crowd, store=store and MemoryStore())

    assert sorted(output) == list(range(30))
    assert crowd.most == 2
    assert crowd.behind <= 3


async def test_a_join_that_cancels_gives_back_what_the_cancelled_held() -> None:
    from milepost.engine.typed import ReduceFirstValue

    wf = WorkflowBuilder(name="first", input_type=list[int], output_type=int)
    forever = anyio.Event()

    @wf.function(max_concurrency=2)
    async def wait(ctx: StepContext[None, None, int]) -> int:
        if ctx.inputs:
            await forever.wait()
        return ctx.inputs

    first = wf.join(ReduceFirstValue[int](), initial=0, node_id="first", parent_fork_id="spread")
    wf.edge(wf.start_node, wf.each(wait, fork_id="spread"))
    wf.edge(wait, first)
    wf.edge(first, wf.end_node)
    workflow = wf.build()

    async with Engine() as engine:
        for _ in range(3):
            run = await engine.start(workflow, inputs=[5, 0, 6, 7])
            assert await run.result() == 0


class SlowDisk(MemoryStore):
    """A store that says of the first node's record that it is kept when it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.written = anyio.Event()
        self.tell: Acknowledge | None = None

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        if self.tell is None:
            super().append(entry, lambda _: None)
            self.tell = acknowledge
            self.written.set()
        else:
            super().append(entry, acknowledge)


async def test_a_run_that_is_stopped_before_its_record_is_kept_takes_nothing_when_that_is_done() -> None:
    store, workflow = SlowDisk(), mapping(node=1, steps=2)
    async with Engine(store) as engine:
        stopped = await engine.start(workflow, inputs=[1], deps=Crowd(), run_id="stopped")
        await store.written.wait()
        stopped.stop()
        assert await stopped.wait() == "running"
        assert store.tell is not None
        store.tell(None)

        with anyio.fail_after(5):
            resumed = await engine.start(workflow, inputs=[1], deps=Crowd(), run_id="stopped")
            assert await resumed.result() == [1]
