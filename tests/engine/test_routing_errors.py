"""User code on an edge fails after a costly node: its output is kept, and a corrected workflow takes it from there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from milepost.engine.engine import Engine
from milepost.engine.errors import NodeError, RoutingError
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN

pytestmark = pytest.mark.anyio


class Bill(BaseModel):
    paid: list[str] = []


Calls = Counter[str]
Ctx = StepContext[Bill, Calls, int]
Built = Workflow[Bill, Calls, int, int]


def builder() -> WorkflowBuilder[Bill, Calls, int, int]:
    return WorkflowBuilder(name="costly", state_type=Bill, deps_type=Calls, input_type=int, output_type=int)


def body(name: str) -> Callable[[Ctx], Any]:
    async def work(ctx: StepContext[Bill, Calls, int]) -> int:
        ctx.deps[name] += 1
        ctx.state.paid.append(name)
        return ctx.inputs + 1

    return work


def condition(faulty: bool) -> Built:
    """Build a condition after a costly node."""
    wf = builder()
    costly, last = wf.function(node_id="costly")(body("costly")), wf.function(node_id="last")(body("last"))

    def holds(number: int) -> bool:
        if faulty:
            raise ZeroDivisionError("a fault of the condition")
        return True

    wf.edge(wf.start_node, costly)
    wf.edge(costly, last, when=holds)
    wf.edge(costly, wf.end_node, otherwise=True)
    wf.edge(last, wf.end_node)
    return wf.build()


def transform(faulty: bool) -> Built:
    """Build a transform, which changes the state, after a costly node."""
    wf = builder()
    costly, last = wf.function(node_id="costly")(body("costly")), wf.function(node_id="last")(body("last"))

    def change(ctx: StepContext[Bill, Calls, int]) -> int:
        ctx.state.paid.append("transform")
        if faulty:
            raise ZeroDivisionError("a fault of the transform")
        return ctx.inputs

    wf.edge(wf.start_node, costly)
    wf.add(wf.edge_from(costly).transform(change).to(last))
    wf.edge(last, wf.end_node)
    return wf.build()


def reducer(faulty: bool) -> Built:
    """Build a join after costly nodes."""
    wf = builder()
    costly, last = wf.function(node_id="costly")(body("costly")), wf.function(node_id="last")(body("last"))

    def total(current: int, item: int) -> int:
        if faulty:
            raise ZeroDivisionError("a fault of the reducer")
        return current + item

    summed = wf.join(total, initial=0, node_id="summed")
    wf.edge(wf.start_node, costly)
    wf.edge(costly, summed)
    wf.edge(summed, last)
    wf.edge(last, wf.end_node)
    return wf.build()


PLACES = [
    (condition, "a condition of 'costly_decision' failed with ZeroDivisionError: a fault of the condition"),
    (transform, "the transform on the edge to 'last' failed with ZeroDivisionError: a fault of the transform"),
    (reducer, "the reducer of join 'summed' failed with ZeroDivisionError: a fault of the reducer"),
]
everywhere = pytest.mark.parametrize(("made", "message"), PLACES, ids=["condition", "transform", "reducer"])
Made = Callable[[bool], Built]


@everywhere
async def test_the_error_names_the_node_and_what_failed(made: Made, message: str) -> None:
    with pytest.raises(RoutingError) as raised:
        await made(True).run(inputs=1, deps=Calls(), store="memory:")

    assert raised.value.source == "costly"
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert message in str(raised.value)
    assert "The output is kept; correct the edge and resume the run." in str(raised.value)


@everywhere
async def test_a_corrected_workflow_goes_on_and_the_costly_node_does_not_run_again(made: Made, message: str) -> None:
    journals, calls, bill = Journals(), Calls(), Bill()
    for _ in range(2):
        with pytest.raises(RoutingError):
            await made(True).run(inputs=1, deps=calls, store=MemoryStore(journals), run_id=RUN)
    assert journals.rows[RUN].status == "failed"
    assert message in str(journals.rows[RUN].error)

    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.resume(RUN, made(False), deps=calls, state=bill)
        assert await run.result() == 3

    assert calls == {"costly": 1, "last": 1}
    assert bill.paid == (["costly", "transform", "last"] if made is transform else ["costly", "last"])


@everywhere
async def test_the_state_is_as_the_costly_node_left_it(made: Made, message: str) -> None:
    journals, given = Journals(), Bill()
    with pytest.raises(RoutingError):
        await made(True).run(inputs=1, deps=Calls(), state=given, store=MemoryStore(journals), run_id=RUN)

    assert given.paid == ["costly"]


async def test_a_run_whose_first_edge_fails_is_kept_too() -> None:
    def made(faulty: bool) -> Built:
        wf = builder()
        last = wf.function(node_id="last")(body("last"))

        def change(ctx: StepContext[Bill, Calls, int]) -> int:
            return ctx.inputs // (0 if faulty else 1)

        wf.add(wf.edge_from(wf.start_node).transform(change).to(last))
        wf.edge(last, wf.end_node)
        return wf.build()

    journals, calls = Journals(), Calls()
    with pytest.raises(RoutingError, match="the transform on the edge to 'last' failed with ZeroDivisionError"):
        await made(True).run(inputs=1, deps=calls, store=MemoryStore(journals), run_id=RUN)

    assert await made(False).run(inputs=1, deps=calls, store=MemoryStore(journals), run_id=RUN) == 2


async def test_what_a_transform_makes_must_be_storable_and_the_output_before_it_is_kept() -> None:
    def made(faulty: bool) -> Built:
        wf = builder()
        costly, last = wf.function(node_id="costly")(body("costly")), wf.function(node_id="last")(body("last"))

        def change(ctx: StepContext[Bill, Calls, int]) -> int:
            return object() if faulty else 7  # type: ignore[return-value]  # the fault that the test is about

        wf.edge(wf.start_node, costly)
        wf.add(wf.edge_from(costly).transform(change).to(last))
        wf.edge(last, wf.end_node)
        return wf.build()

    journals, calls = Journals(), Calls()
    with pytest.raises(RoutingError, match="what flows to node 'last' cannot be stored"):
        await made(True).run(inputs=1, deps=calls, store=MemoryStore(journals), run_id=RUN)

    assert await made(False).run(inputs=1, deps=calls, store=MemoryStore(journals), run_id=RUN) == 8
    assert calls == {"costly": 1, "last": 1}


async def test_other_branches_that_were_under_way_go_on_after_the_correction() -> None:
    def made(faulty: bool) -> Workflow[None, Calls, None, list[int]]:
        wf = WorkflowBuilder(name="many", deps_type=Calls, output_type=list[int])

        @wf.function
        async def costly(ctx: StepContext[None, Calls, int]) -> int:
            ctx.deps[str(ctx.inputs)] += 1
            return ctx.inputs

        @wf.function
        async def numbers(ctx: StepContext[None, Calls, None]) -> list[int]:
            return [1, 2, 3]

        @wf.function
        async def tidy(ctx: StepContext[None, Calls, list[int]]) -> list[int]:
            return sorted(ctx.inputs)

        def check(ctx: StepContext[None, Calls, int]) -> int:
            if faulty and ctx.inputs == 2:
                raise ValueError("no twos")
            return ctx.inputs * 10

        collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
        wf.edge(wf.start_node, numbers)
        wf.edge(numbers, wf.each(costly))
        wf.add(wf.edge_from(costly).transform(check).to(collect))
        wf.edge(collect, tidy)
        wf.edge(tidy, wf.end_node)
        return wf.build()

    journals, calls = Journals(), Calls()
    with pytest.raises(RoutingError, match="no twos"):
        await made(True).run(deps=calls, store=MemoryStore(journals), run_id=RUN)

    assert await made(False).run(deps=calls, store=MemoryStore(journals), run_id=RUN) == [10, 20, 30]
    assert calls["2"] == 1


async def test_without_a_store_the_error_is_the_same() -> None:
    with pytest.raises(RoutingError, match="a fault of the condition"):
        await condition(True).run(inputs=1, deps=Calls())


async def test_a_value_that_no_branch_takes_is_said() -> None:
    from pydantic_graph import GraphBuilder

    g: Any = GraphBuilder(input_type=int, output_type=int)

    async def same(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    step = g.step(same)
    choice = g.decision().branch(g.match(str).to(g.end_node))
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(choice))
    workflow: Any = Workflow.from_graph(g.build(validate_graph_structure=False), name="choosy")

    with pytest.raises(RoutingError, match="no branch of 'decision' takes 4; add a branch for it or an `otherwise`"):
        await workflow.run(inputs=4, store="memory:")


async def test_a_body_that_fails_is_not_a_routing_error() -> None:
    wf = builder()

    @wf.function
    async def faulty(ctx: StepContext[Bill, Calls, int]) -> int:
        raise ZeroDivisionError("a fault of the body")

    wf.edge(wf.start_node, faulty)
    wf.edge(faulty, wf.end_node)

    with pytest.raises(NodeError, match="ZeroDivisionError: a fault of the body"):
        await wf.build().run(inputs=1, deps=Calls(), store="memory:")
