"""The forks that joins belong to: joins of joins, inner maps, forks by name, and joins in loops."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from milepost.engine.typed import (
    GraphBuilder,
    StepContext,
    reduce_list_append,
    reduce_sum,
)
from tests.conformance.ways import Ways

pytestmark = pytest.mark.anyio


@dataclass
class Shed:
    """The state of a shed: how often something was put into it."""

    filled: int = 0


@dataclass(frozen=True)
class Harvest:
    """What a reducer has so far."""

    baskets: int = 0
    weight: int = 0


async def test_an_item_goes_to_the_join_that_its_kind_leads_to(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[int], Harvest](name="kinds", input_type=list[int], output_type=Harvest)

    @g.step
    async def small(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    @g.step
    async def large(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    def gather(current: Harvest, inputs: int) -> Harvest:
        return Harvest(current.baskets + 1, current.weight + inputs)

    def larger(current: Harvest, inputs: Harvest) -> Harvest:
        return Harvest(max(current.baskets, inputs.baskets), max(current.weight, inputs.weight))

    all_small = g.join(gather, initial_factory=Harvest, node_id="all_small")
    all_large = g.join(gather, initial_factory=Harvest, node_id="all_large")
    best = g.join(larger, initial_factory=Harvest, node_id="best")
    g.add(
        g.edge_from(g.start_node)
        .map()
        .to(
            g.decision()
            .branch(g.match(int, matches=lambda weight: weight < 10).to(small))
            .branch(g.match(int).to(large))
        ),
        g.edge_from(small).to(all_small),
        g.edge_from(large).to(all_large),
        g.edge_from(all_small, all_large).to(best),
        g.edge_from(best).to(g.end_node),
    )

    await ways.agree(g.build(), Harvest(3, 50), inputs=[1, 20, 2, 30, 3])


async def test_the_closest_fork_makes_one_join_run_of_every_inner_map(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[list[int]], list[int]](
        name="closest", input_type=list[list[int]], output_type=list[int]
    )

    @g.step
    async def row(ctx: StepContext[None, None, list[int]]) -> list[int]:
        return ctx.inputs

    @g.step
    async def pick(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    of_the_row = g.join(reduce_sum, initial=0, node_id="of_the_row", preferred_parent_fork="closest")
    of_the_garden = g.join(reduce_list_append, initial_factory=list[int], node_id="of_the_garden")
    g.add(
        g.edge_from(g.start_node).map(fork_id="rows").to(row),
        g.edge_from(row).map(fork_id="plants").to(pick),
        g.edge_from(pick).to(of_the_row),
        g.edge_from(of_the_row).to(of_the_garden),
        g.edge_from(of_the_garden).to(g.end_node),
    )

    await ways.agree(g.build(), [3, 30, 300], inputs=[[1, 2], [10, 20], [100, 200]])


async def test_the_parent_fork_may_be_named(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[list[int]], list[int]](
        name="named fork", input_type=list[list[int]], output_type=list[int]
    )

    @g.step
    async def row(ctx: StepContext[None, None, list[int]]) -> list[int]:
        return ctx.inputs

    @g.step
    async def pick(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    of_the_row = g.join(reduce_sum, initial=0, node_id="of_the_row", parent_fork_id="plants")
    of_the_garden = g.join(reduce_list_append, initial_factory=list[int], node_id="of_the_garden")
    g.add(
        g.edge_from(g.start_node).map(fork_id="rows").to(row),
        g.edge_from(row).map(fork_id="plants").to(pick),
        g.edge_from(pick).to(of_the_row),
        g.edge_from(of_the_row).to(of_the_garden),
        g.edge_from(of_the_garden).to(g.end_node),
    )

    await ways.agree(g.build(), [5, 9], inputs=[[1, 2], [3, 4]])


async def test_a_join_may_stand_in_a_loop(ways: Ways) -> None:
    g = GraphBuilder[Shed, None, int, int](name="seasons", state_type=Shed, input_type=int, output_type=int)

    @g.step
    async def sow(ctx: StepContext[Shed, None, int]) -> list[int]:
        return [ctx.inputs, ctx.inputs]

    @g.step
    async def grow(ctx: StepContext[Shed, None, int]) -> int:
        return ctx.inputs + 1

    @g.step
    async def store(ctx: StepContext[Shed, None, int]) -> int:
        ctx.state.filled += 1
        return ctx.inputs

    season = g.join(reduce_sum, initial=0, node_id="season", preferred_parent_fork="closest")
    enough = (
        g.decision(node_id="enough")
        .branch(g.match(int, matches=lambda weight: weight < 20).to(sow))
        .branch(g.match(int).to(g.end_node))
    )
    g.add(
        g.edge_from(g.start_node).to(sow),
        g.edge_from(sow).map().to(grow),
        g.edge_from(grow).to(season),
        g.edge_from(season).to(store),
        g.edge_from(store).to(enough),
    )

    await ways.agree(g.build(), 22, inputs=1, state=Shed(), final=Shed(filled=3))
