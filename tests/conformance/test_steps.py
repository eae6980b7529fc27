"""Steps: what goes in, what comes out, state, dependencies, ids, labels and chains."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from pydantic import BaseModel

from milepost.engine.typed import GraphBuilder, StepContext
from tests.conformance.ways import Ways

pytestmark = pytest.mark.anyio


@dataclass
class Till:
    """The state of a shop: what was sold, in order, and what it came to."""

    sold: list[str] = field(default_factory=list[str])
    total: int = 0


@dataclass(frozen=True)
class Rates:
    """Dependencies: what the shop looks up."""

    tax: int
    names: tuple[str, ...] = ()


class Order(BaseModel):
    """An input with types that JSON does not have."""

    item: str
    price: Decimal
    tags: frozenset[str] = frozenset()


async def test_a_step_returns_the_output_of_the_graph(ways: Ways) -> None:
    g = GraphBuilder[None, None, None, str](name="greeting", output_type=str)

    @g.step
    async def greet(ctx: StepContext[None, None, None]) -> str:
        return "good morning"

    g.add(g.edge_from(g.start_node).to(greet), g.edge_from(greet).to(g.end_node))

    await ways.agree(g.build(), "good morning")


async def test_a_step_changes_the_state_and_passes_a_number_on(ways: Ways) -> None:
    g = GraphBuilder[Till, None, None, int](name="till", state_type=Till, output_type=int)

    @g.step
    async def sell(ctx: StepContext[Till, None, None]) -> int:
        ctx.state.total += 3
        return ctx.state.total

    @g.step
    async def double(ctx: StepContext[Till, None, int]) -> int:
        return ctx.inputs * 2

    g.add(g.edge_from(g.start_node).to(sell), g.edge_from(sell).to(double), g.edge_from(double).to(g.end_node))

    await ways.agree(g.build(), 6, state=Till(), final=Till(total=3))


async def test_steps_without_output_speak_to_each_other_through_the_state(ways: Ways) -> None:
    g = GraphBuilder[Till, None, None, list[str]](name="counter", state_type=Till, output_type=list[str])

    @g.step
    async def sell_bread(ctx: StepContext[Till, None, None]) -> None:
        ctx.state.sold.append("bread")

    @g.step
    async def sell_milk(ctx: StepContext[Till, None, None]) -> None:
        ctx.state.sold.append("milk")

    @g.step
    async def receipt(ctx: StepContext[Till, None, None]) -> list[str]:
        return ctx.state.sold

    g.add(
        g.edge_from(g.start_node).to(sell_bread),
        g.edge_from(sell_bread).to(sell_milk),
        g.edge_from(sell_milk).to(receipt),
        g.edge_from(receipt).to(g.end_node),
    )

    await ways.agree(g.build(), ["bread", "milk"], state=Till(), final=Till(sold=["bread", "milk"]))


async def test_the_inputs_of_the_graph_are_those_of_its_first_step(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, str](name="price tag", input_type=int, output_type=str)

    @g.step
    async def with_tax(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + ctx.inputs // 10

    @g.step
    async def tag(ctx: StepContext[None, None, int]) -> str:
        return f"{ctx.inputs} coins"

    g.add(g.edge_from(g.start_node).to(with_tax), g.edge_from(with_tax).to(tag), g.edge_from(tag).to(g.end_node))

    await ways.agree(g.build(), "220 coins", inputs=200)


async def test_a_step_is_given_the_dependencies(ways: Ways) -> None:
    g = GraphBuilder[None, Rates, int, int](name="tax", deps_type=Rates, input_type=int, output_type=int)

    @g.step
    async def tax(ctx: StepContext[None, Rates, int]) -> int:
        return ctx.inputs * ctx.deps.tax // 100

    g.add(g.edge_from(g.start_node).to(tax), g.edge_from(tax).to(g.end_node))

    await ways.agree(g.build(), 38, inputs=200, deps=Rates(tax=19))


async def test_a_chain_of_three_steps_keeps_their_order(ways: Ways) -> None:
    g = GraphBuilder[Till, None, int, int](name="chain", state_type=Till, input_type=int, output_type=int)

    @g.step
    async def add_two(ctx: StepContext[Till, None, int]) -> int:
        ctx.state.sold.append("add two")
        return ctx.inputs + 2

    @g.step
    async def triple(ctx: StepContext[Till, None, int]) -> int:
        ctx.state.sold.append("triple")
        return ctx.inputs * 3

    @g.step
    async def take_one(ctx: StepContext[Till, None, int]) -> int:
        ctx.state.sold.append("take one")
        return ctx.inputs - 1

    g.add(
        g.edge_from(g.start_node).to(add_two),
        g.edge_from(add_two).to(triple),
        g.edge_from(triple).to(take_one),
        g.edge_from(take_one).to(g.end_node),
    )

    await ways.agree(g.build(), 20, inputs=5, state=Till(), final=Till(sold=["add two", "triple", "take one"]))


async def test_a_step_may_have_an_id_and_a_label_of_its_own(ways: Ways) -> None:
    g = GraphBuilder[None, None, None, int](name="labelled", output_type=int)

    @g.step(node_id="stock taking", label="Count what is on the shelf")
    async def count(ctx: StepContext[None, None, None]) -> int:
        return 12

    g.add(g.edge_from(g.start_node).to(count), g.edge_from(count).to(g.end_node))
    graph = g.build()

    assert "stock taking" in graph.nodes
    await ways.agree(graph, 12)


async def test_single_edges_are_added_with_and_without_a_label(ways: Ways) -> None:
    g = GraphBuilder[None, None, None, int](name="edges", output_type=int)

    @g.step
    async def seven(ctx: StepContext[None, None, None]) -> int:
        return 7

    @g.step
    async def add_four(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 4

    g.add_edge(g.start_node, seven)
    g.add_edge(seven, add_four, label="still in the morning")
    g.add_edge(add_four, g.end_node)

    await ways.agree(g.build(), 11)


async def test_one_edge_may_lead_from_several_steps(ways: Ways) -> None:
    g = GraphBuilder[Till, None, str, str](name="counters", state_type=Till, input_type=str, output_type=str)

    @g.step
    async def first(ctx: StepContext[Till, None, str]) -> str:
        return f"first {ctx.inputs}"

    @g.step
    async def ring(ctx: StepContext[Till, None, str]) -> str:
        ctx.state.sold.append(ctx.inputs)
        return ctx.inputs

    g.add(g.edge_from(g.start_node).to(first), g.edge_from(first).to(ring), g.edge_from(ring).to(g.end_node))

    await ways.agree(g.build(), "first tea", inputs="tea", state=Till(), final=Till(sold=["first tea"]))


async def test_what_goes_in_may_come_out_as_it_is(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[int], list[int]](name="passage", input_type=list[int], output_type=list[int])
    g.add_edge(g.start_node, g.end_node)

    await ways.agree(g.build(), [3, 1, 2], inputs=[3, 1, 2])


async def test_values_keep_the_types_that_json_does_not_have(ways: Ways) -> None:
    g = GraphBuilder[None, None, Order, tuple[Decimal, frozenset[str]]](
        name="order", input_type=Order, output_type=tuple[Decimal, frozenset[str]]
    )

    @g.step
    async def tagged(ctx: StepContext[None, None, Order]) -> Order:
        return ctx.inputs.model_copy(update={"tags": frozenset({"fresh", ctx.inputs.item})})

    @g.step
    async def priced(ctx: StepContext[None, None, Order]) -> tuple[Decimal, frozenset[str]]:
        return ctx.inputs.price * 2, ctx.inputs.tags

    g.add(g.edge_from(g.start_node).to(tagged), g.edge_from(tagged).to(priced), g.edge_from(priced).to(g.end_node))

    await ways.agree(
        g.build(), (Decimal("2.50"), frozenset({"fresh", "egg"})), inputs=Order(item="egg", price=Decimal("1.25"))
    )


async def test_the_same_step_may_be_run_again_in_a_loop(ways: Ways) -> None:
    g = GraphBuilder[Till, None, int, int](name="stairs", state_type=Till, input_type=int, output_type=int)

    @g.step
    async def climb(ctx: StepContext[Till, None, int]) -> int:
        ctx.state.total += 1
        return ctx.inputs + 3

    enough = (
        g.decision(node_id="enough")
        .branch(g.match(int, matches=lambda height: height < 10).to(climb))
        .branch(g.match(int).to(g.end_node))
    )
    g.add(g.edge_from(g.start_node).to(climb), g.edge_from(climb).to(enough))

    await ways.agree(g.build(), 12, inputs=0, state=Till(), final=Till(total=4))
