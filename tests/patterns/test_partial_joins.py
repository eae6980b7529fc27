"""Joins that do not wait for everybody: patterns 9, 29, 30, 32, 34 and 35 of van der Aalst and others."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from milepost import (
    ReduceFirstValue,
    ReducerContext,
    StepContext,
    Workflow,
    WorkflowBuilder,
    append,
    reduce_list_extend,
)
from tests.patterns.harness import Way, every_way
from tests.patterns.life import Life

pytestmark = pytest.mark.anyio

SUPPLIERS = ["ann", "bob", "eve"]


class Asked(BaseModel):
    """The offers that have come in, in that order."""

    offers: Annotated[list[str], append] = Field(default_factory=list[str])


@dataclass(frozen=True)
class Enough:
    """The offer that was waited for, with those before it."""

    offers: list[str]


@dataclass(frozen=True)
class Extra:
    """An offer that nobody waits for."""

    offer: str


def partial_join(enough: int) -> Workflow[Asked, Life, None, list[str]]:
    """9, Structured Discriminator: the first branch that ends starts what follows; the others go on, to no effect.

    30, Structured Partial Join: the same, when a given number of the branches have ended.

    A transform is carried out when an output is committed, one after the other, so that it can count.
    """
    wf = WorkflowBuilder(name="partial join", state_type=Asked, deps_type=Life, output_type=list[str])

    @wf.function
    async def ann(ctx: StepContext[Asked, Life, None]) -> str:
        await ctx.deps.work()
        return "ann"

    @wf.function
    async def bob(ctx: StepContext[Asked, Life, None]) -> str:
        await ctx.deps.work()
        return "bob"

    @wf.function
    async def eve(ctx: StepContext[Asked, Life, None]) -> str:
        await ctx.deps.work()
        return "eve"

    def count(ctx: StepContext[Asked, Life, str]) -> Enough | Extra:
        ctx.state.offers.append(ctx.inputs)
        return Enough(list(ctx.state.offers)) if len(ctx.state.offers) == enough else Extra(ctx.inputs)

    @wf.function
    async def order(ctx: StepContext[Asked, Life, Enough]) -> list[str]:
        await ctx.deps.work()
        return ctx.inputs.offers

    @wf.function
    async def ignore(ctx: StepContext[Asked, Life, Extra]) -> list[str]:
        return []

    everybody = wf.join(reduce_list_extend, initial_factory=list[str], node_id="everybody")
    arrived = wf.decision(node_id="arrived").branch(wf.match(Enough).to(order)).branch(wf.match(Extra).to(ignore))
    for node in (ann, bob, eve):
        wf.edge(wf.start_node, node)
        wf.add(wf.edge_from(node).transform(count).to(arrived))
    wf.edge(order, everybody)
    wf.edge(ignore, everybody)
    wf.edge(everybody, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_9_structured_discriminator(way: Way) -> None:
    for found in await way.of(partial_join(1)):
        offers = [node for node in found.order if node in SUPPLIERS]
        assert found.output == offers[:1]
        assert found.causes("order") == offers[:1]
        assert found.completed == {"ann": 1, "bob": 1, "eve": 1, "order": 1, "ignore": 2}
        assert not found.withdrawn


@every_way
async def test_pattern_30_structured_partial_join(way: Way) -> None:
    for found in await way.of(partial_join(2)):
        offers = [node for node in found.order if node in SUPPLIERS]
        assert found.output == offers[:2]
        assert found.causes("order") == offers[1:2]
        assert sorted(offers) == SUPPLIERS
        assert not found.withdrawn


def cancelling_discriminator() -> Workflow[None, Life, None, str]:
    """29, Cancelling Discriminator: the first branch that ends starts what follows; the others are cancelled."""
    wf = WorkflowBuilder(name="cancelling discriminator", deps_type=Life, output_type=str)

    @wf.function
    async def ann(ctx: StepContext[None, Life, None]) -> str:
        await ctx.deps.work()
        return "ann"

    @wf.function
    async def bob(ctx: StepContext[None, Life, None]) -> str:
        await ctx.deps.work()
        return "bob"

    @wf.function
    async def eve(ctx: StepContext[None, Life, None]) -> str:
        await ctx.deps.work()
        return "eve"

    @wf.function
    async def order(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"ordered from {ctx.inputs}"

    first = wf.join(ReduceFirstValue[str](), initial="", node_id="first")
    for node in (ann, bob, eve):
        wf.edge(wf.start_node, node)
        wf.edge(node, first)
    wf.edge(first, order)
    wf.edge(order, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_29_cancelling_discriminator(way: Way) -> None:
    for found in await way.of(cancelling_discriminator()):
        first = found.order[0]
        assert found.output == f"ordered from {first}"
        assert found.order == [first, "order"]
        assert sorted([first, *found.withdrawn.elements()]) == SUPPLIERS


def two_offers(ctx: ReducerContext[object, object], current: list[str], offer: str) -> list[str]:
    """Collect two offers, and cancel what would give more."""
    current.append(offer)
    if len(current) == 2:
        ctx.cancel_sibling_tasks()
    return current


def cancelling_partial_join() -> Workflow[None, Life, None, list[str]]:
    """32, Cancelling Partial Join: when a given number of branches have ended, what follows starts.

    The other branches are cancelled.
    """
    wf = WorkflowBuilder(name="cancelling partial join", deps_type=Life, output_type=list[str])

    @wf.function
    async def ann(ctx: StepContext[None, Life, None]) -> str:
        await ctx.deps.work()
        return "ann"

    @wf.function
    async def bob(ctx: StepContext[None, Life, None]) -> str:
        await ctx.deps.work()
        return "bob"

    @wf.function
    async def eve(ctx: StepContext[None, Life, None]) -> str:
        await ctx.deps.work()
        return "eve"

    @wf.function
    async def compare(ctx: StepContext[None, Life, list[str]]) -> list[str]:
        await ctx.deps.work()
        return ctx.inputs

    two = wf.join(two_offers, initial_factory=list[str], node_id="two")
    for node in (ann, bob, eve):
        wf.edge(wf.start_node, node)
        wf.edge(node, two)
    wf.edge(two, compare)
    wf.edge(compare, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_32_cancelling_partial_join(way: Way) -> None:
    for found in await way.of(cancelling_partial_join()):
        assert tuple(found.output) in permutations(SUPPLIERS, 2)
        assert found.order == [*found.output, "compare"]
        assert found.withdrawn == {name: 1 for name in SUPPLIERS if name not in found.output}


def partial_join_of_instances() -> Workflow[Asked, Life, list[str], list[str]]:
    """34, Static Partial Join for Multiple Instances: a given number of instances start what follows.

    The other instances go on, to no effect.
    """
    wf = WorkflowBuilder(
        name="partial join of instances",
        state_type=Asked,
        deps_type=Life,
        input_type=list[str],
        output_type=list[str],
    )

    @wf.function
    async def ask(ctx: StepContext[Asked, Life, str]) -> str:
        await ctx.deps.work()
        return ctx.inputs

    def count(ctx: StepContext[Asked, Life, str]) -> Enough | Extra:
        ctx.state.offers.append(ctx.inputs)
        return Enough(list(ctx.state.offers)) if len(ctx.state.offers) == 2 else Extra(ctx.inputs)

    @wf.function
    async def order(ctx: StepContext[Asked, Life, Enough]) -> list[str]:
        await ctx.deps.work()
        return ctx.inputs.offers

    @wf.function
    async def ignore(ctx: StepContext[Asked, Life, Extra]) -> list[str]:
        return []

    everybody = wf.join(reduce_list_extend, initial_factory=list[str], node_id="everybody")
    arrived = wf.decision(node_id="arrived").branch(wf.match(Enough).to(order)).branch(wf.match(Extra).to(ignore))
    wf.edge(wf.start_node, wf.each(ask))
    wf.add(wf.edge_from(ask).transform(count).to(arrived))
    wf.edge(order, everybody)
    wf.edge(ignore, everybody)
    wf.edge(everybody, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_34_static_partial_join_for_multiple_instances(way: Way) -> None:
    suppliers = [*SUPPLIERS, "joe"]
    for found in await way.of(partial_join_of_instances(), suppliers):
        assert tuple(found.output) in permutations(suppliers, 2)
        numbers = [number for number, node in enumerate(found.order) if node == "ask"]
        assert found.order.index("order") > numbers[1]
        assert found.completed == {"ask": 4, "order": 1, "ignore": 3}
        assert not found.withdrawn


def cancelling_partial_join_of_instances() -> Workflow[None, Life, list[str], list[str]]:
    """35, Cancelling Partial Join for Multiple Instances: a given number of instances start what follows.

    The other instances are cancelled.
    """
    wf = WorkflowBuilder(
        name="cancelling partial join of instances", deps_type=Life, input_type=list[str], output_type=list[str]
    )

    @wf.function
    async def ask(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return ctx.inputs

    @wf.function
    async def compare(ctx: StepContext[None, Life, list[str]]) -> list[str]:
        await ctx.deps.work()
        return ctx.inputs

    two = wf.join(two_offers, initial_factory=list[str], node_id="two")
    wf.edge(wf.start_node, wf.each(ask, join=two))
    wf.edge(two, compare)
    wf.edge(compare, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_35_cancelling_partial_join_for_multiple_instances(way: Way) -> None:
    suppliers = [*SUPPLIERS, "joe"]
    for found in await way.of(cancelling_partial_join_of_instances(), suppliers):
        assert tuple(found.output) in permutations(suppliers, 2)
        assert found.order == ["ask", "ask", "compare"]
        assert found.withdrawn == {"ask": 2}
