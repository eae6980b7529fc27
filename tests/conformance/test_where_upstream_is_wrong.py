"""Graphs for which pydantic-graph has another answer than it should: both answers, side by side.

Should one fail because the two agree, then pydantic-graph was corrected, and the twin belongs elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import pytest
from pydantic_graph import BaseNode, End, GraphRunContext

from milepost.engine.install import install
from milepost.engine.typed import (
    Graph,
    GraphBuilder,
    Join,
    ReduceFirstValue,
    StepContext,
    reduce_list_append,
    reduce_sum,
)
from tests.conformance.ways import Ways

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone, where it is known what happens first."""
    return "asyncio"


@dataclass
class Odd(BaseNode[None, None, str]):
    """Says that a number is odd."""

    number: int

    async def run(self, ctx: GraphRunContext[None, None]) -> End[str]:
        return End(f"{self.number} is odd")


@dataclass
class Even(BaseNode[None, None, str]):
    """Says that a number is even."""

    number: int

    async def run(self, ctx: GraphRunContext[None, None]) -> End[str]:
        return End(f"{self.number} is even")


async def turns(number: int) -> None:
    """Let others run so many times."""
    for _ in range(number):
        await anyio.lowlevel.checkpoint()


async def test_a_join_behind_a_join_waits_for_it_though_an_unrelated_branch_goes_on(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, list[int]](name="chained joins", input_type=int, output_type=list[int])

    @g.step
    async def quick(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    @g.step
    async def after(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 100

    @g.step
    async def unrelated(ctx: StepContext[None, None, int]) -> int:
        await turns(5)
        return ctx.inputs

    @g.step
    async def goes_on(ctx: StepContext[None, None, int]) -> int:
        await turns(5)
        return ctx.inputs

    @g.step
    async def never_ends(ctx: StepContext[None, None, int]) -> list[int]:
        await anyio.sleep_forever()
        return []

    inner = g.join(reduce_sum, initial=0, node_id="inner")
    outer = g.join(reduce_list_append, initial_factory=list[int], node_id="outer")
    g.add(
        g.edge_from(g.start_node).to(quick, unrelated),
        g.edge_from(quick).to(outer, inner),
        g.edge_from(inner).to(after),
        g.edge_from(after).to(outer),
        g.edge_from(unrelated).to(goes_on),
        g.edge_from(goes_on).to(never_ends),
        g.edge_from(outer, never_ends).to(g.end_node),
    )

    await ways.agree(g.build(), [1, 101], inputs=0, theirs=[1])


async def test_what_waits_in_another_join_does_not_overwrite_the_first_value(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, int](name="cancelled", input_type=int, output_type=int)

    @g.step
    async def waits(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    @g.step
    async def wins(ctx: StepContext[None, None, int]) -> int:
        await turns(1)
        return ctx.inputs + 10

    @g.step
    async def never(ctx: StepContext[None, None, int]) -> int:
        await anyio.sleep_forever()
        return ctx.inputs + 100

    middle = g.join(reduce_sum, initial=0, node_id="middle")
    first: Join[None, None, int, int] = g.join(ReduceFirstValue[int](), initial=0, node_id="first")
    g.add(
        g.edge_from(g.start_node).to(waits, wins, never),
        g.edge_from(waits, never).to(middle),
        g.edge_from(middle, wins).to(first),
        g.edge_from(first).to(g.end_node),
    )

    await ways.agree(g.build(), 10, inputs=0, theirs=1)


async def test_what_follows_a_join_begins_as_soon_as_the_join_is_complete(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, list[str]](name="at once", input_type=int, output_type=list[str])

    @g.step
    async def quick(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    @g.step
    async def slow(ctx: StepContext[None, None, int]) -> str:
        await turns(100)
        return "slow"

    @g.step
    async def after(ctx: StepContext[None, None, int]) -> str:
        return "after the join"

    inner = g.join(reduce_sum, initial=0, node_id="inner")
    outer = g.join(reduce_list_append, initial_factory=list[str], node_id="outer")
    g.add(
        g.edge_from(g.start_node).to(quick, slow),
        g.edge_from(quick).to(inner),
        g.edge_from(inner).to(after),
        g.edge_from(slow, after).to(outer),
        g.edge_from(outer).to(g.end_node),
    )

    await ways.agree(g.build(), ["after the join", "slow"], inputs=0, theirs=["slow", "after the join"])


async def test_an_initial_list_is_not_the_same_in_every_run() -> None:
    def build() -> Graph[None, None, list[int], list[int]]:
        g = GraphBuilder[None, None, list[int], list[int]](
            name="shared initial", input_type=list[int], output_type=list[int]
        )

        @g.step
        async def same(ctx: StepContext[None, None, int]) -> int:
            return ctx.inputs

        collect = g.join(reduce_list_append, initial=list[int](), node_id="collect")
        g.add(
            g.edge_from(g.start_node).map().to(same),
            g.edge_from(same).to(collect),
            g.edge_from(collect).to(g.end_node),
        )
        return g.build()

    theirs, ours = build(), build()

    assert list(await theirs.run(inputs=[1, 2])) == [1, 2]
    assert list(await theirs.run(inputs=[3])) == [1, 2, 3]
    with install():
        assert await ours.run(inputs=[1, 2]) == [1, 2]
        assert await ours.run(inputs=[3]) == [3]


async def test_a_step_that_may_return_two_nodes_goes_on_with_the_one_that_it_returns(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, str](name="either", input_type=int, output_type=str)

    @g.step
    async def choose(ctx: StepContext[None, None, int]) -> Odd | Even:
        return Odd(ctx.inputs) if ctx.inputs % 2 else Even(ctx.inputs)

    g.add(g.node(Odd), g.node(Even), g.edge_from(g.start_node).to(choose))
    graph = g.build()

    with pytest.raises(RuntimeError, match="No branch matched inputs"):
        await graph.run(inputs=3)
    with install():
        assert await graph.run(inputs=3) == "3 is odd"
        assert await graph.run(inputs=4) == "4 is even"
