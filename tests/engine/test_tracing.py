"""A trace tells which edges were passed how often, and how every task and join ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic_graph import BaseNode, End, GraphRunContext

from milepost.engine.current import report_usage
from milepost.engine.engine import Engine
from milepost.engine.errors import MilepostError, NodeError
from milepost.engine.failure import Failure
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.trace import Edge, JoinTrace, Trace, Usage
from milepost.engine.typed import ReduceFirstValue, StepContext, reduce_list_append, reduce_sum
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN, Deps, FullStore, chain

pytestmark = pytest.mark.anyio


async def traced(workflow: Any, **given: Any) -> Trace:
    """Run to the end and return the trace."""
    async with Engine("memory:") as engine:
        run = await engine.start(workflow, run_id=RUN, **given)
        await run.result()
        return await engine.trace(RUN)


def taken(trace: Trace) -> dict[Edge, int]:
    """Return the counts of the edges, each of which is one of the definition."""
    declared = {(edge.source, edge.target, edge.branch) for edge in trace.definition.edges}
    assert set(trace.taken) <= declared
    return dict(trace.taken)


def numbers(name: str, output: Any) -> Any:
    return WorkflowBuilder(name=name, input_type=int, output_type=output)


async def plus_one(ctx: StepContext[None, None, int]) -> int:
    return ctx.inputs + 1


def is_small(number: int) -> bool:
    return number < 4


async def test_a_chain_passes_every_edge_once() -> None:
    trace = await traced(chain(["first", "second"]), inputs=1, deps=Deps())

    assert taken(trace) == {("__start__", "first", 0): 1, ("first", "second", 0): 1, ("second", "__end__", 0): 1}
    assert [(task.node, task.visit, task.status, task.attempts) for task in trace.tasks] == [
        ("first", 1, "completed", 1),
        ("second", 1, "completed", 1),
    ]
    assert (trace.status, trace.output, trace.checkpoints, trace.resumes) == ("completed", "3", 3, ())
    assert all(task.started and task.finished and task.started <= task.finished for task in trace.tasks)


async def test_a_loop_counts_its_rounds_and_numbers_its_visits() -> None:
    wf = numbers("loop", int)
    step = wf.function(plus_one)
    wf.edge(wf.start_node, step)
    wf.edge(step, step, when=is_small)
    wf.edge(step, wf.end_node, otherwise=True)
    trace = await traced(wf.build(), inputs=0)

    assert taken(trace) == {
        ("__start__", "plus_one", 0): 1,
        ("plus_one", "plus_one_decision", 0): 4,
        ("plus_one_decision", "plus_one", 0): 3,
        ("plus_one_decision", "__end__", 1): 1,
    }
    assert [task.visit for task in trace.tasks] == [1, 2, 3, 4]
    assert dict(trace.chosen) == {
        ("plus_one_decision", "plus_one", 0): "3",
        ("plus_one_decision", "__end__", 1): "4",
    }


async def test_a_decision_passes_one_branch_and_tells_what_decided() -> None:
    wf = WorkflowBuilder(name="choice", input_type=int, output_type=int)

    @wf.decide
    async def size(ctx: StepContext[None, None, int]) -> Literal["small", "large"]:
        return "large" if ctx.inputs > 9 else "small"

    low, high = wf.function(node_id="low")(plus_one), wf.function(node_id="high")(plus_one)
    wf.edge(wf.start_node, size)
    wf.edge(size, low, when="small")
    wf.edge(size, high, when="large")
    wf.edge(low, wf.end_node)
    wf.edge(high, wf.end_node)
    trace = await traced(wf.build(), inputs=10)

    assert taken(trace) == {
        ("__start__", "size", 0): 1,
        ("size", "size_choice", 0): 1,
        ("size_choice", "high", 1): 1,
        ("high", "__end__", 0): 1,
    }
    assert dict(trace.chosen) == {("size_choice", "high", 1): "large"}


async def test_a_broadcast_passes_every_branch_once_and_its_own_edge_once() -> None:
    wf = numbers("broadcast", int)
    source, left, right = (wf.function(node_id=name)(plus_one) for name in ("source", "left", "right"))
    total = wf.join(reduce_sum, initial=0, node_id="total")
    wf.edge(wf.start_node, source)
    wf.edge(source, left)
    wf.edge(source, right)
    wf.edge(left, total)
    wf.edge(right, total)
    wf.edge(total, wf.end_node)
    trace = await traced(wf.build(), inputs=1)

    assert taken(trace) == {
        ("__start__", "source", 0): 1,
        ("source", "source_broadcast_fork", 0): 1,
        ("source_broadcast_fork", "left", 0): 1,
        ("source_broadcast_fork", "right", 1): 1,
        ("left", "total", 0): 1,
        ("right", "total", 0): 1,
        ("total", "__end__", 0): 1,
    }
    assert trace.joins == (JoinTrace(node="total", items=2, fired=1),)


async def test_a_map_counts_its_items_on_the_edge_to_the_mapped_node() -> None:
    wf = numbers("map", list[int])

    async def split(ctx: StepContext[None, None, int]) -> list[int]:
        return list(range(ctx.inputs))

    source, each = wf.function(split), wf.function(node_id="each")(plus_one)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, source)
    wf.edge(source, wf.each(each, join=collect))
    wf.edge(collect, wf.end_node)
    trace = await traced(wf.build(), inputs=5)

    assert taken(trace) == {
        ("__start__", "split", 0): 1,
        ("split", "split_each_each", 0): 1,
        ("split_each_each", "each", 0): 5,
        ("each", "collect", 0): 5,
        ("collect", "__end__", 0): 1,
    }
    assert [(task.node, task.index) for task in trace.tasks] == [("split", None), *(("each", n) for n in range(5))]
    assert trace.joins == (JoinTrace(node="collect", items=5, fired=1),)


async def test_a_map_over_nothing_passes_its_join() -> None:
    wf = numbers("nothing", list[int])

    async def split(ctx: StepContext[None, None, int]) -> list[int]:
        return []

    source, each = wf.function(split), wf.function(node_id="each")(plus_one)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, source)
    wf.edge(source, wf.each(each, join=collect))
    wf.edge(collect, wf.end_node)
    trace = await traced(wf.build(), inputs=5)

    assert taken(trace) == {
        ("__start__", "split", 0): 1,
        ("split", "split_each_each", 0): 1,
        ("collect", "__end__", 0): 1,
    }
    assert trace.joins == (JoinTrace(node="collect", items=0, fired=1),)


async def test_a_map_inside_a_map_counts_both() -> None:
    wf = numbers("nested", int)

    async def rows(ctx: StepContext[None, None, int]) -> list[int]:
        return [ctx.inputs] * 2

    async def cells(ctx: StepContext[None, None, int]) -> list[int]:
        return [1] * ctx.inputs

    outer, inner = wf.function(rows), wf.function(cells)
    each = wf.function(node_id="each")(plus_one)
    total = wf.join(reduce_sum, initial=0, node_id="total")
    wf.edge(wf.start_node, outer)
    wf.edge(outer, wf.each(inner))
    wf.edge(inner, wf.each(each))
    wf.edge(each, total)
    wf.edge(total, wf.end_node)
    trace = await traced(wf.build(), inputs=3)

    assert taken(trace) == {
        ("__start__", "rows", 0): 1,
        ("rows", "rows_each_cells", 0): 1,
        ("rows_each_cells", "cells", 0): 2,
        ("cells", "cells_each_each", 0): 2,
        ("cells_each_each", "each", 0): 6,
        ("each", "total", 0): 6,
        ("total", "__end__", 0): 1,
    }


@dataclass
class Count(BaseNode[None, None, int]):
    number: int

    async def run(self, ctx: GraphRunContext[None, None]) -> Count | End[int]:
        return Count(self.number + 1) if self.number < 3 else End(self.number)


async def test_base_nodes_record_where_they_went() -> None:
    wf = numbers("nodes", int)

    async def begin(ctx: StepContext[None, None, int]) -> Count:
        return Count(ctx.inputs)

    first = wf.function(begin)
    wf.add(wf.node(Count), wf.edge_from(wf.start_node).to(first), wf.edge_from(first).to(Count))
    trace = await traced(wf.build(), inputs=1)

    assert [task.node for task in trace.tasks] == ["begin", "Count", "Count", "Count"]
    counts = dict(trace.taken)
    assert (counts["__start__", "begin", 0], counts["begin", "Count", 0]) == (1, 1)
    assert counts["Count", "Count", 0] == 2
    assert counts["Count", "__end__", 0] == 1


async def test_a_cancelling_join_leaves_cancelled_tasks() -> None:
    wf = WorkflowBuilder(name="race", input_type=list[int], output_type=int)

    @wf.function
    async def same(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    winner = wf.join(ReduceFirstValue[int](), initial=0, node_id="winner")
    wf.edge(wf.start_node, wf.each(same))
    wf.edge(same, winner)
    wf.edge(winner, wf.end_node)
    trace = await traced(wf.build(), inputs=[7, 8, 9])

    assert Counter(task.status for task in trace.tasks) == {"completed": 1, "cancelled": 2}
    assert trace.joins == (JoinTrace(node="winner", items=1, fired=1),)
    assert trace.output in ("7", "8", "9")


async def test_the_trace_of_a_failed_run_shows_the_failure_and_goes_on_after_a_resume() -> None:
    journals, deps = Journals(), Deps(faulty={"second"})
    workflow = chain(["first", "second"])
    for _ in range(2):
        with pytest.raises(NodeError):
            await workflow.run(inputs=1, deps=deps, store=MemoryStore(journals), run_id=RUN)
    async with Engine(MemoryStore(journals)) as engine:
        trace = await engine.trace(RUN)
    assert (trace.status, trace.error) == ("failed", "ValueError: second is faulty")
    second = trace.tasks[1]
    assert (second.status, second.attempts, second.error) == ("failed", 2, "ValueError: second is faulty")

    deps.faulty.clear()
    await workflow.run(inputs=1, deps=deps, store=MemoryStore(journals), run_id=RUN)
    async with Engine(MemoryStore(journals)) as engine:
        trace = await engine.trace(RUN)

    assert (trace.status, trace.error) == ("completed", None)
    assert (trace.tasks[1].status, trace.tasks[1].attempts, trace.tasks[1].error) == ("completed", 3, None)
    assert len(trace.resumes) == 2


async def test_what_is_pending_runs_only_while_somebody_drives_the_run() -> None:
    journals, deps = Journals(), Deps().gate("second")
    workflow = chain(["first", "second"])
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(workflow, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["second"].wait()
        assert [task.status for task in (await engine.trace(RUN)).tasks] == ["completed", "running"]
        run.stop()

    async with Engine(MemoryStore(journals)) as engine:
        assert [task.status for task in (await engine.trace(RUN)).tasks] == ["completed", "pending"]


async def test_an_output_that_could_not_be_routed_counts_as_completed_and_passes_its_edges_later() -> None:
    def made(faulty: bool) -> Any:
        wf = numbers("faulty", int)
        step = wf.function(plus_one)

        def holds(number: int) -> bool:
            if faulty:
                raise ValueError("no")
            return True

        wf.edge(wf.start_node, step)
        wf.edge(step, wf.end_node, when=holds)
        wf.edge(step, step, otherwise=True)
        return wf.build()

    journals = Journals()
    with pytest.raises(MilepostError):
        await made(True).run(inputs=1, store=MemoryStore(journals), run_id=RUN)
    async with Engine(MemoryStore(journals)) as engine:
        trace = await engine.trace(RUN)
    assert taken(trace) == {("__start__", "plus_one", 0): 1}
    assert trace.tasks[0].status == "completed"

    await made(False).run(inputs=1, store=MemoryStore(journals), run_id=RUN)
    async with Engine(MemoryStore(journals)) as engine:
        trace = await engine.trace(RUN)
    assert taken(trace) == {
        ("__start__", "plus_one", 0): 1,
        ("plus_one", "plus_one_decision", 0): 1,
        ("plus_one_decision", "__end__", 0): 1,
    }


async def test_a_trace_needs_only_what_is_stored() -> None:
    journals = Journals()
    with pytest.raises(MilepostError, match="The disk is full"):
        await chain(["first", "second"]).run(inputs=1, deps=Deps(), store=FullStore(journals, 2), run_id=RUN)

    async with Engine(MemoryStore(journals)) as engine:
        trace = await engine.trace(RUN)

    assert (trace.definition.name, trace.status) == ("chain", "running")
    assert {node.id for node in trace.definition.nodes} >= {"first", "second"}


async def test_a_stream_behind_error_edges_passes_each_edge_as_often_as_it_gives_items() -> None:
    wf = WorkflowBuilder(name="careful", input_type=int, output_type=list[int])

    @wf.stream
    async def give(ctx: StepContext[None, None, int]) -> AsyncIterator[int]:
        for number in range(ctx.inputs):
            yield number

    @wf.function
    async def rescue(ctx: StepContext[None, None, Failure[int]]) -> list[int]:
        return []

    each = wf.function(node_id="each")(plus_one)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(each, join=collect))
    wf.edge(give, rescue, on_error=True)
    wf.edge(rescue, wf.end_node)
    wf.edge(collect, wf.end_node)
    trace = await traced(wf.build(), inputs=3)

    assert taken(trace) == {
        ("__start__", "give", 0): 1,
        ("give", "give_outcome", 0): 1,
        ("give_outcome", "give_each_each", 1): 1,
        ("give_each_each", "each", 0): 3,
        ("each", "collect", 0): 3,
        ("collect", "__end__", 0): 1,
    }
    assert dict(trace.chosen) == {}
    first = trace.tasks[0]
    assert (first.node, first.status, first.attempts) == ("give", "completed", 1)


async def test_a_node_that_streams_runs_until_its_last_item_is_given() -> None:
    wf = WorkflowBuilder(name="streaming", deps_type=Deps, output_type=int)

    @wf.stream
    async def give(ctx: StepContext[None, Deps, None]) -> AsyncIterator[int]:
        yield 1
        report_usage(Usage(requests=2))
        await ctx.deps.enter("give")
        yield 2

    @wf.function
    async def look(ctx: StepContext[None, Deps, int]) -> int:
        return ctx.inputs

    total = wf.join(reduce_sum, initial=0, node_id="total")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(look, join=total))
    wf.edge(total, wf.end_node)
    deps = Deps().gate("give")
    async with Engine("memory:") as engine:
        run = await engine.start(wf.build(), deps=deps, run_id=RUN)
        await deps.begun["give"].wait()
        assert (await engine.trace(RUN)).tasks[0].status == "running"
        deps.gates["give"].set()
        assert await run.result() == 3
        given, first, second = (await engine.trace(RUN)).tasks

    assert given.status == "completed"
    assert given.usage == Usage(requests=2)
    assert given.started
    assert given.finished
    assert first.finished
    assert given.started <= first.finished < given.finished
    assert second.status == "completed"


async def test_a_stream_that_fails_and_is_resumed_counts_its_attempts() -> None:
    wf = WorkflowBuilder(name="streaming", deps_type=Deps, output_type=int)

    @wf.stream
    async def give(ctx: StepContext[None, Deps, None]) -> AsyncIterator[int]:
        yield 1
        await ctx.deps.enter("give")
        yield 2

    @wf.function
    async def look(ctx: StepContext[None, Deps, int]) -> int:
        return ctx.inputs

    total = wf.join(reduce_sum, initial=0, node_id="total")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(look, join=total))
    wf.edge(total, wf.end_node)
    workflow, journals, deps = wf.build(), Journals(), Deps(faulty={"give"})
    with pytest.raises(NodeError):
        await workflow.run(deps=deps, store=MemoryStore(journals), run_id=RUN)
    async with Engine(MemoryStore(journals)) as engine:
        failed = (await engine.trace(RUN)).tasks[0]
    assert (failed.status, failed.attempts, failed.error) == ("failed", 1, "ValueError: give is faulty")

    deps.faulty.clear()
    assert await workflow.run(deps=deps, store=MemoryStore(journals), run_id=RUN) == 3
    async with Engine(MemoryStore(journals)) as engine:
        done = (await engine.trace(RUN)).tasks[0]
    assert (done.status, done.attempts, done.error) == ("completed", 2, None)


async def test_a_stream_that_a_join_stops_is_cancelled() -> None:
    wf = WorkflowBuilder(name="enough", output_type=int)

    @wf.stream
    async def give(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
        for number in range(100):
            yield number

    @wf.function
    async def look(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    winner = wf.join(ReduceFirstValue[int](), initial=0, node_id="winner")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(look))
    wf.edge(look, winner)
    wf.edge(winner, wf.end_node)
    trace = await traced(wf.build())

    assert trace.tasks[0].status == "cancelled"


async def test_a_failure_that_an_error_edge_takes_is_caught() -> None:
    wf = WorkflowBuilder(name="rescue", input_type=int, output_type=str)

    @wf.function
    async def risky(ctx: StepContext[None, None, int]) -> str:
        raise ValueError("no")

    @wf.function
    async def rescue(ctx: StepContext[None, None, Failure[int]]) -> str:
        return ctx.inputs.message

    wf.edge(wf.start_node, risky)
    wf.edge(risky, rescue, on_error=True)
    wf.edge(risky, wf.end_node)
    wf.edge(rescue, wf.end_node)
    trace = await traced(wf.build(), inputs=1)

    assert [(task.node, task.status, task.error) for task in trace.tasks] == [
        ("risky", "caught", "ValueError: no"),
        ("rescue", "completed", None),
    ]
    assert ("risky_outcome", "rescue", 0) in taken(trace)
