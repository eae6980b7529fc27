"""`milepost.install()` puts our executor behind `Graph.run` and changes nothing else for those who call it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, fields
from inspect import iscoroutinefunction, signature
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


AnyGraph = Graph[Any, Any, Any, Any]
upstream: Any = Graph


class Sentinel(Exception):
    """What a node of the tests fails with."""


def as_a(kind: type[AnyGraph], built: Any) -> Any:
    """Return the same graph as an object of another class."""
    return kind(**{field.name: getattr(built, field.name) for field in fields(built)})


def nameless() -> Any:
    """Build a graph that does nothing and has no name."""
    g: Any = GraphBuilder()
    g.add_edge(g.start_node, g.end_node)
    return g.build()


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


async def test_the_end_of_an_inner_block_leaves_the_outer_one_as_it_is() -> None:
    built, log = graph(), Log()

    with install():
        with install():
            await built.run(state=log, inputs=1)
        await built.run(state=log, inputs=1)
    await built.run(state=log, inputs=1)

    assert log.lines == ["ours step", "ours step", "theirs"]


async def test_uninstalling_undoes_what_was_installed_since() -> None:
    before: Any = upstream.run
    with install():
        forgotten = install()
    assert upstream.run is before

    forgotten.uninstall()

    assert upstream.run is before


async def test_uninstalling_twice_is_no_error() -> None:
    before: Any = upstream.run
    installed = install()
    installed.uninstall()
    with install():
        ours: Any = upstream.run
        installed.uninstall()
        assert upstream.run is ours

    assert upstream.run is before


async def test_what_stands_in_for_the_method_looks_like_it() -> None:
    theirs: Any = upstream.run
    with install():
        ours: Any = upstream.run
        assert ours is not theirs
        assert signature(ours) == signature(theirs)
        assert (ours.__name__, ours.__qualname__, ours.__doc__) == ("run", "Graph.run", theirs.__doc__)
        assert iscoroutinefunction(ours)


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


async def test_a_graph_without_a_name_is_named_after_the_variable_that_holds_it() -> None:
    kept = nameless()
    with install():
        await kept.run()
        await nameless().run()
        other = nameless()
        await other.run(infer_name=False)

    assert kept.name == "kept"
    assert other.name is None


ours_too = None


async def test_a_variable_of_the_module_names_a_graph_too() -> None:
    global ours_too
    ours_too = nameless()
    with install():
        await ours_too.run()

    assert ours_too.name == "ours_too"


async def test_a_graph_that_no_variable_holds_stays_without_a_name() -> None:
    holder = {"graph": nameless()}
    with install():
        await holder["graph"].run()

    assert holder["graph"].name is None


async def test_a_class_with_its_own_iter_is_run_through_it() -> None:
    seen: list[str] = []

    class Watched(AnyGraph):
        @asynccontextmanager
        async def iter(self, **options: Any) -> AsyncGenerator[Any]:
            seen.append("iter")
            async with upstream.iter(self, **options) as run:
                yield run

    log = Log()
    with install():
        assert await as_a(Watched, graph()).run(state=log, inputs=1) == 2

    assert (seen, log.lines) == (["iter"], ["theirs"])


async def test_a_class_that_adds_to_run_is_run_here_all_the_same() -> None:
    class Doubled(AnyGraph):
        async def run(self, **options: Any) -> int:
            return 2 * int(await upstream.run(self, **options))

    log = Log()
    with install():
        assert await as_a(Doubled, graph()).run(state=log, inputs=1) == 4

    assert log.lines == ["ours step"]


async def test_a_span_that_is_given_is_open_while_the_graph_runs() -> None:
    happened: list[str] = []
    log = Log()

    @contextmanager
    def span() -> Generator[None]:
        happened.append(f"opened, {len(log.lines)} nodes done")
        yield
        happened.append(f"closed, {len(log.lines)} nodes done")

    with install():
        await graph().run(state=log, inputs=1, span=span())

    assert happened == ["opened, 0 nodes done", "closed, 1 nodes done"]


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


async def test_a_graph_that_was_renamed_is_read_again() -> None:
    built = graph()
    with install():
        first = installing.workflow_of(built)
        built.name = "renamed"
        second = installing.workflow_of(built)

    assert (first.name, second.name) == ("counting", "renamed")


async def test_a_workflow_keeps_its_own_run() -> None:
    wf = WorkflowBuilder(name="mine", input_type=int, output_type=int)

    @wf.function
    async def same(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    wf.edge(wf.start_node, same)
    wf.edge(same, wf.end_node)

    workflow = wf.build()
    with install():
        assert await workflow.run(inputs=4, store="memory:") == 4
        assert installing.workflow_of(workflow) is workflow
        assert await upstream.run(workflow, inputs=4) == 4
