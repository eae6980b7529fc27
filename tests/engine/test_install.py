"""`milepost.install()` puts our executor behind `Graph.run` and changes nothing else for those who call it."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from pydantic_graph import GraphBuilder

from milepost.engine import install as installing
from milepost.engine.current import current
from milepost.engine.install import install
from milepost.engine.typed import Graph, StepContext
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio


@dataclass
class Log:
    lines: list[str] = field(default_factory=list[str])


upstream: Any = Graph


class Sentinel(Exception):
    """What a node of the tests fails with."""


def graph(fails: bool = False) -> Any:
    """Build a graph of one step with pydantic-graph alone; the step says whether it runs on our executor."""
    g: Any = GraphBuilder(name="counting", state_type=Log, input_type=int, output_type=int)

    async def step(ctx: StepContext[Log, None, int]) -> int:
        try:
            ctx.state.lines.append(f"ours {current().node}")
        except LookupError:
            ctx.state.lines.append("theirs")
        if fails:
            raise Sentinel("from the node")
        return ctx.inputs + 1

    node = g.step(step)
    g.add(g.edge_from(g.start_node).to(node), g.edge_from(node).to(g.end_node))
    return g.build()


async def test_graphs_run_on_our_executor_inside_the_block_only() -> None:
    built, log = graph(), Log()

    with install():
        assert await built.run(state=log, inputs=1) == 2
    assert await built.run(state=log, inputs=1) == 2

    assert log.lines == ["ours step", "theirs"]


async def test_uninstalling_gives_the_methods_back() -> None:
    before: Any = (upstream.run, upstream.run_sync, upstream.iter)
    installed = install()
    assert upstream.iter is before[2]
    assert upstream.run is not before[0]

    installed.uninstall()

    assert (upstream.run, upstream.run_sync, upstream.iter) == before


async def test_installing_twice_and_uninstalling_once_gives_the_methods_back() -> None:
    before: Any = upstream.run
    with install():
        install()

    assert upstream.run is before


def test_synchronous_calls_run_on_our_executor_too() -> None:
    log, loop = Log(), asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # pydantic-graph would make one and never close it
    try:
        with install():
            assert graph().run_sync(state=log, inputs=1) == 2
    finally:
        asyncio.set_event_loop(None)
        loop.close()

    assert log.lines == ["ours step"]


async def test_a_node_s_own_exception_is_raised() -> None:
    with install(), pytest.raises(Sentinel, match="from the node") as raised:
        await graph(fails=True).run(state=Log(), inputs=1)

    assert raised.value.__cause__ is None


async def test_the_callers_state_is_shared_by_all_nodes() -> None:
    g: Any = GraphBuilder(state_type=Log, output_type=int)
    log, both = Log(), anyio.Event()
    states: list[object] = []

    async def one(ctx: StepContext[Log, None, None]) -> int:
        states.append(ctx.state)
        await both.wait()
        return 1

    async def two(ctx: StepContext[Log, None, None]) -> int:
        states.append(ctx.state)
        both.set()
        return 2

    def total(current: int, item: int) -> int:
        return current + item

    first, second, join = g.step(one), g.step(two), g.join(total, initial=0)
    g.add(g.edge_from(g.start_node).to(first, second), g.edge_from(first, second).to(join))
    g.add(g.edge_from(join).to(g.end_node))

    with install():
        assert await g.build().run(state=log) == 3

    assert states[0] is states[1] is log


async def test_iter_stays_as_it_is() -> None:
    log = Log()
    with install():
        async with graph().iter(state=log, inputs=1) as run:
            async for _ in run:
                pass

    assert log.lines == ["theirs"]


async def test_a_graph_is_read_once_and_forgotten_with_it() -> None:
    built = graph()
    with install():
        await built.run(state=Log(), inputs=1)
        assert installing.workflow_of(built) is installing.workflow_of(built)
    key = id(built)
    assert key in installing._workflows  # pyright: ignore[reportPrivateUsage]

    del built
    gc.collect()

    assert key not in installing._workflows  # pyright: ignore[reportPrivateUsage]


async def test_a_workflow_keeps_its_own_run() -> None:
    wf = WorkflowBuilder(name="mine", input_type=int, output_type=int)

    @wf.function
    async def same(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    wf.edge(wf.start_node, same)
    wf.edge(same, wf.end_node)

    with install():
        assert await wf.build().run(inputs=4, store="memory:") == 4
