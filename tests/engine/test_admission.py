"""Annotations that cannot be resolved are a warning of the workflow, and refused where a run is to be stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

from milepost.engine.errors import UnsoundWorkflow
from milepost.engine.typed import GraphBuilder, StepContext, reduce_sum
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.loops import asyncio_only

if TYPE_CHECKING:
    from decimal import Decimal as Amount

pytestmark = pytest.mark.anyio

WAY_OUT = "Import or define the name at the top of its module, and not only for type checkers (`if TYPE_CHECKING:`)."
INPUT = f"The annotation of 'context' of node 'double' cannot be resolved: name 'Amount' is not defined. {WAY_OUT}"
OUTPUT = f"The return annotation of node 'double' cannot be resolved: name 'Amount' is not defined. {WAY_OUT}"


def doubling() -> Workflow[None, None, int, int]:
    wf: Any = WorkflowBuilder(name="w", input_type=int, output_type=int)

    @wf.function  # type: ignore[untyped-decorator]  # the builder is Any here
    def double(context: StepContext[None, None, Amount]) -> Amount:
        return context.inputs * 2

    wf.edge(wf.start_node, double)
    wf.edge(double, wf.end_node)
    workflow: Workflow[None, None, int, int] = wf.build()
    return workflow


async def test_without_a_store_they_are_only_warned_of() -> None:
    workflow = doubling()
    assert workflow.warnings == (INPUT, OUTPUT)
    assert await workflow.run(inputs=2) == 4


async def test_with_a_store_they_are_refused() -> None:
    with pytest.raises(UnsoundWorkflow) as refused:
        await doubling().run(inputs=2, store="memory:")
    assert refused.value.faults == (INPUT, OUTPUT)


async def test_an_attribute_that_is_not_there_is_named_too() -> None:
    wf: Any = WorkflowBuilder(name="w", input_type=int, output_type=int)

    def same(ctx: Any) -> Any:
        return ctx.inputs

    same.__annotations__ = {"ctx": "pytest.Missing", "return": int}
    node = wf.function(same)
    wf.edge(wf.start_node, node)
    wf.edge(node, wf.end_node)
    (warning,) = wf.build().warnings
    assert "of node 'same' cannot be resolved: module 'pytest' has no attribute Missing." in warning.replace(
        "'Missing'", "Missing"
    )


@asyncio_only
async def test_what_an_agents_prompt_returns_does_not_flow() -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    wf: Any = WorkflowBuilder(name="w", input_type=int, output_type=str)

    def ask(ctx: Any) -> Any:
        return "what is it?"

    ask.__annotations__ = {"ctx": StepContext[None, None, int], "return": "Prompt"}
    node = wf.agent(Agent(TestModel(custom_output_text="it is")))(ask)
    wf.edge(wf.start_node, node)
    wf.edge(node, wf.end_node)
    assert await wf.build().run(inputs=2, store="memory:") == "it is"


async def test_a_reducer_is_looked_at_too() -> None:
    wf: Any = WorkflowBuilder(name="w", input_type=list[int], output_type=int)

    @wf.function  # type: ignore[untyped-decorator]  # the builder is Any here
    def same(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    def plus(current: int, item: Amount) -> int:
        return current + int(item)

    total = wf.join(plus, initial=0, node_id="total")
    wf.edge(wf.start_node, wf.each(same, join=total, fork_id="items"))
    wf.edge(total, wf.end_node)
    workflow = wf.build()
    assert await workflow.run(inputs=[1, 2]) == 3
    message = "annotation of 'item' of the reducer of join 'total' cannot be resolved: name 'Amount' is not defined"
    with pytest.raises(UnsoundWorkflow, match=message):
        await workflow.run(inputs=[1, 2], store="memory:")


async def test_a_graph_of_pydantic_graphs_own_is_looked_at_too() -> None:
    g: Any = GraphBuilder(name="g", input_type=int, output_type=int)

    @g.stream  # type: ignore[untyped-decorator]  # the builder is Any here
    async def double(context: StepContext[None, None, Amount]) -> AsyncIterator[int]:
        yield int(context.inputs * 2)

    total = g.join(reduce_sum, initial=0, node_id="total")
    g.add(
        g.edge_from(g.start_node).to(double),
        g.edge_from(double).map(fork_id="items").to(total),
        g.edge_from(total).to(g.end_node),
    )
    workflow: Workflow[Any, Any, int, int] = Workflow.from_graph(g.build())
    assert workflow.warnings == (INPUT,)
    assert await workflow.run(inputs=2) == 4
    with pytest.raises(UnsoundWorkflow, match="annotation of 'context' of node 'double' cannot be resolved"):
        await workflow.run(inputs=2, store="memory:")


async def test_names_that_the_author_of_a_graph_could_see_are_found() -> None:
    class Local(int): ...

    g: Any = GraphBuilder(name="g", input_type=int, output_type=int)

    @g.step  # type: ignore[untyped-decorator]  # the builder is Any here
    async def double(context: StepContext[None, None, Local]) -> int:
        return context.inputs * 2

    def plus(current: int, item: Local) -> int:
        return current + item

    total = g.join(plus, initial=0, node_id="total")
    g.add(
        g.edge_from(g.start_node).to(double),
        g.edge_from(double).to(total),
        g.edge_from(total).to(g.end_node),
    )
    specs = Workflow.from_graph(g.build()).specs
    assert (specs["double"].input_type, specs["total"].input_type) == (Local, Local)
    assert [spec.unresolved for spec in specs.values() if spec.unresolved] == []
