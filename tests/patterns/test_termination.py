"""How a run ends: patterns 11 and 43 of the workflow patterns of van der Aalst and others."""

from __future__ import annotations

from collections import Counter

import pytest

from milepost import StepContext, Workflow, WorkflowBuilder, reduce_null
from tests.patterns.harness import Way, every_way
from tests.patterns.life import Life

pytestmark = pytest.mark.anyio


def implicit_termination() -> Workflow[None, Life, str, None]:
    """11, Implicit Termination: the run ends when there is nothing left to do, wherever its branches came to."""
    wf = WorkflowBuilder(name="implicit termination", deps_type=Life, input_type=str)

    @wf.function
    async def pack(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return ctx.inputs

    @wf.function
    async def ship(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return ctx.inputs

    @wf.decide
    async def is_new(ctx: StepContext[None, Life, str]) -> bool:
        await ctx.deps.work()
        return ctx.inputs.startswith("new")

    @wf.function
    async def greet(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return ctx.inputs

    nothing_left = wf.join(reduce_null, initial=None, node_id="nothing_left")
    wf.edge(wf.start_node, pack)
    wf.edge(pack, ship)
    wf.edge(ship, nothing_left)
    wf.edge(wf.start_node, is_new)
    wf.edge(is_new, greet, when=True)
    wf.edge(is_new, nothing_left, when=False)
    wf.edge(greet, nothing_left)
    wf.edge(nothing_left, wf.end_node)
    return wf.build()


@every_way
@pytest.mark.parametrize("customer", ["new ann", "bob"])
async def test_pattern_11_implicit_termination(way: Way, customer: str) -> None:
    greeted = {"greet"} if customer.startswith("new") else set[str]()
    for found in await way.of(implicit_termination(), customer):
        assert found.output is None
        assert found.completed == Counter({"pack", "ship", "is_new", *greeted})
        assert not found.withdrawn


def explicit_termination() -> Workflow[None, Life, str, str]:
    """43, Explicit Termination: the run ends when it comes to its end, and what is left to do is cancelled."""
    wf = WorkflowBuilder(name="explicit termination", deps_type=Life, input_type=str, output_type=str)

    @wf.function
    async def search_shelf(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"{ctx.inputs} on the shelf"

    @wf.function
    async def order(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return ctx.inputs

    @wf.function
    async def receive(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"{ctx.inputs} in the post"

    wf.edge(wf.start_node, search_shelf)
    wf.edge(search_shelf, wf.end_node)
    wf.edge(wf.start_node, order)
    wf.edge(order, receive)
    wf.edge(receive, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_43_explicit_termination(way: Way) -> None:
    for found in await way.of(explicit_termination(), "book"):
        assert found.status == "completed"
        if found.output == "book on the shelf":
            assert found.order in (["search_shelf"], ["order", "search_shelf"])
            assert list(found.withdrawn.elements()) == [["order"], ["receive"]][len(found.order) - 1]
        else:
            assert found.output == "book in the post"
            assert found.order == ["order", "receive"]
            assert found.withdrawn == {"search_shelf": 1}


def test_branches_that_race_to_the_end_are_pointed_out() -> None:
    assert any("race to the end" in warning for warning in explicit_termination().warnings)
