"""A trace tells which edges were passed how often, and how every task and join ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic_graph import BaseNode, End, GraphRunContext

from milepost.engine.engine import Engine
from milepost.engine.errors import MilepostError, NodeError
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.trace import Edge, JoinTrace, Trace
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
    assert trace.output == "7"


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
