"""Graphs that fail: the same exception as pydantic-graph's leaves `Graph.run`, with the same text and causes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from pydantic_graph import BaseNode, End, GraphRunContext

from milepost.engine.errors import MilepostError, NodeError, WorkflowError
from milepost.engine.install import install
from milepost.engine.typed import Graph, GraphBuilder, StepContext, reduce_sum
from tests.conformance.ways import Expression, Ways, told

pytestmark = pytest.mark.anyio

Number = StepContext[None, None, int]


class Refused(Exception):
    """What the nodes of this module fail with."""


class Quit(BaseException):
    """An exception that programs are not meant to catch."""


@dataclass
class Stranger(BaseNode[None, None, int]):
    """A node that is in no graph."""

    async def run(self, ctx: GraphRunContext[None, None]) -> End[int]:
        return End(1)


@dataclass
class Astray(BaseNode[None, None, int]):
    """A node that goes where it did not say it would."""

    async def run(self, ctx: GraphRunContext[None, None]) -> Astray | End[int]:
        return Stranger()  # type: ignore[return-value]  # the fault  # pyright: ignore[reportReturnType]


def plain() -> None:
    raise Refused("no", 7)


def caused() -> None:
    raise Refused("no") from KeyError("because")


def while_handling() -> None:
    try:
        raise KeyError("first")
    except KeyError:
        raise Refused("then")  # noqa: B904  (an exception without a cause but with a context)


def grouped() -> None:
    raise ExceptionGroup("several", [Refused("one"), Refused("two")])


def failing(fault: Callable[[], None]) -> Graph[None, None, int, int]:
    """Build a graph whose only step does what `fault` does."""
    g = GraphBuilder[None, None, int, int](name="failing", input_type=int, output_type=int)

    @g.step
    async def step(ctx: Number) -> int:
        fault()
        return ctx.inputs

    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.end_node))
    return g.build()


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [(plain, Refused, r"\('no', 7\)"), (caused, Refused, "no"), (while_handling, Refused, "then")],
)
async def test_a_step_s_own_exception_is_raised_with_its_causes(
    ways: Ways, fault: Callable[[], None], error: type[Exception], text: str
) -> None:
    await ways.fail(failing(fault), error, text, node="step", inputs=1)


async def test_a_group_of_exceptions_stays_the_group_that_it_was(ways: Ways) -> None:
    await ways.fail(failing(grouped), ExceptionGroup, "several", node="step", inputs=1)


async def test_an_error_of_milepost_s_own_that_a_step_raises_is_not_taken_apart() -> None:
    inner = NodeError("inner", "key", 1, ValueError("the cause of another run"))

    def fault() -> None:
        raise inner

    with install(), pytest.raises(NodeError) as raised:
        await failing(fault).run(inputs=1)

    assert raised.value is inner


async def test_a_workflow_error_that_a_step_raises_is_not_translated() -> None:
    def fault() -> None:
        raise WorkflowError("from elsewhere")

    with install(), pytest.raises(WorkflowError, match="from elsewhere"):
        await failing(fault).run(inputs=1)


async def test_an_exception_beyond_exception_stops_the_run_too() -> None:
    def fault() -> None:
        raise Quit("at once")

    graph = failing(fault)
    with pytest.raises(Quit, match="at once"):
        await graph.run(inputs=1)
    with install(), pytest.raises(Quit, match="at once"):
        await graph.run(inputs=1)


async def test_the_failure_of_one_branch_cancels_the_others(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, int](name="branches", input_type=int, output_type=int)
    begun: list[str] = []
    cancelled: list[str] = []

    @g.step
    async def refuses(ctx: Number) -> int:
        while len(begun) == len(cancelled):
            await anyio.lowlevel.checkpoint()
        raise Refused("one of two")

    @g.step
    async def waits(ctx: Number) -> int:
        begun.append("waits")
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append("waits")
        return 1

    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).to(refuses, waits),
        g.edge_from(refuses, waits).to(total),
        g.edge_from(total).to(g.end_node),
    )

    await ways.fail(g.build(), Refused, "one of two", node="refuses", inputs=1)

    assert cancelled == ["waits"] * 4


async def test_the_exception_of_an_edge_is_raised_as_it_is(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, int](name="edge", input_type=int, output_type=int)

    @g.step
    async def step(ctx: Number) -> int:
        return ctx.inputs

    def fails(ctx: Number) -> int:
        raise Refused("on the way")

    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).transform(fails).to(g.end_node))

    await ways.fail(g.build(), Refused, "on the way", node=None, inputs=1)


async def test_the_exception_of_a_reducer_is_raised_as_it_is(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, int](name="reducer", input_type=int, output_type=int)

    @g.step
    async def step(ctx: Number) -> int:
        return ctx.inputs

    def fails(current: int, inputs: int) -> int:
        raise Refused("does not add up")

    total = g.join(fails, initial=0)
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(total), g.edge_from(total).to(g.end_node))

    await ways.fail(g.build(), Refused, "does not add up", node=None, inputs=1)


async def test_the_exception_of_a_condition_is_raised_as_it_is(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, int](name="condition", input_type=int, output_type=int)

    @g.step
    async def step(ctx: Number) -> int:
        return ctx.inputs

    def fails(value: int) -> bool:
        raise Refused("undecided")

    g.add(
        g.edge_from(g.start_node).to(step),
        g.edge_from(step).to(g.decision().branch(g.match(int, matches=fails).to(g.end_node))),
    )

    await ways.fail(g.build(), Refused, "undecided", node=None, inputs=1)


async def test_the_exception_of_a_stream_is_raised_as_it_is(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, int](name="stream", input_type=int, output_type=int)

    @g.stream
    async def items(ctx: Number) -> AsyncIterator[int]:
        yield ctx.inputs
        raise Refused("run dry")

    @g.step
    async def step(ctx: Number) -> int:
        return ctx.inputs

    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).to(items),
        g.edge_from(items).map().to(step),
        g.edge_from(step).to(total),
        g.edge_from(total).to(g.end_node),
    )

    await ways.fail(g.build(), Refused, "run dry", node="items", inputs=1)


async def test_a_value_that_no_branch_takes_is_an_error(ways: Ways) -> None:
    g = GraphBuilder[None, None, Any, Any](name="undecided", input_type=Expression[Any], output_type=Expression[Any])

    @g.step
    async def step(ctx: StepContext[None, None, Any]) -> Any:
        return ctx.inputs

    choice = g.decision(node_id="choice").branch(g.match(str).to(g.end_node))
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(choice))

    text = r"No branch matched inputs 5 for decision node Decision\(id='choice'"
    await ways.fail(g.build(), RuntimeError, text, node=None, inputs=5)


async def test_a_branch_for_what_is_no_class_is_an_error(ways: Ways) -> None:
    g = GraphBuilder[None, None, Any, Any](name="no class", input_type=Expression[Any], output_type=Expression[Any])

    @g.step
    async def step(ctx: StepContext[None, None, Any]) -> Any:
        return ctx.inputs

    choice = g.decision(node_id="choice").branch(g.match(Expression[list[int]]).to(g.end_node))
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(choice))

    text = r"Decision branch source list\[int\] is not a valid type"
    await ways.fail(g.build(), RuntimeError, text, node=None, inputs=5)


async def test_a_value_that_cannot_be_mapped_is_an_error(ways: Ways) -> None:
    g = GraphBuilder[None, None, Any, int](name="not iterable", input_type=Expression[Any], output_type=int)

    @g.step
    async def step(ctx: StepContext[None, None, Any]) -> Any:
        return ctx.inputs

    @g.step
    async def each(ctx: Number) -> int:
        return ctx.inputs

    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).map().to(each), g.edge_from(each).to(g.end_node))

    await ways.fail(g.build(), RuntimeError, "Cannot map non-iterable value: 5", node=None, inputs=5)


async def test_a_map_over_nothing_that_names_no_join_leaves_the_graph_without_a_result(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[int], int](name="nothing", input_type=list[int], output_type=int)

    @g.step
    async def each(ctx: Number) -> int:
        return ctx.inputs

    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).map().to(each),
        g.edge_from(each).to(total),
        g.edge_from(total).to(g.end_node),
    )

    await ways.fail(g.build(), RuntimeError, "Graph run completed, but no result", node=None, inputs=[])


async def test_a_node_that_is_in_no_graph_cannot_be_returned(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, int](name="astray", input_type=int, output_type=int)

    def first(ctx: Number) -> Astray:
        return Astray()

    g.add(g.node(Astray), g.edge_from(g.start_node).transform(first).to(Astray))

    await ways.fail(g.build(), KeyError, "'Stranger'", node=None, inputs=1)


async def test_being_cancelled_from_outside_is_not_an_error_of_the_graph() -> None:
    stopped: list[str] = []

    g = GraphBuilder[None, None, None, None](name="endless")

    @g.step
    async def waits(ctx: StepContext[None, None, None]) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append("waits")

    g.add(g.edge_from(g.start_node).to(waits), g.edge_from(waits).to(g.end_node))
    graph = g.build()

    with install():
        async with anyio.create_task_group() as group:
            group.start_soon(graph.run)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert stopped == ["waits"]


async def test_what_a_failing_run_is_told_by_is_the_same_inside_the_handling_of_another_error() -> None:
    async def caught() -> BaseException:
        try:
            raise LookupError("of the caller")
        except LookupError:
            with pytest.raises(Refused) as raised:
                await failing(plain).run(inputs=1)
            return raised.value

    theirs = await caught()
    with install():
        ours = await caught()

    assert told(ours) == told(theirs)
    assert not isinstance(ours, MilepostError)
