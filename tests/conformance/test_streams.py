"""Streams: steps that give one item after the other, each of which goes its own way as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
import pytest

from milepost.engine.typed import GraphBuilder, StepContext, reduce_list_append, reduce_sum
from tests.conformance.ways import Ways

pytestmark = pytest.mark.anyio


@dataclass
class Pantry:
    """The state of a pantry: how many crates it was given."""

    crates: int = 0


async def test_a_stream_is_mapped_as_its_items_come(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, list[int]](name="stream", input_type=int, output_type=list[int])

    @g.stream
    async def eggs(ctx: StepContext[None, None, int]) -> AsyncIterator[int]:
        for number in range(ctx.inputs):
            await anyio.lowlevel.checkpoint()
            yield number

    @g.step
    async def boil(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 3

    @g.step
    async def in_order(ctx: StepContext[None, None, list[int]]) -> list[int]:
        return sorted(ctx.inputs)

    collect = g.join(reduce_list_append, initial_factory=list[int])
    g.add(
        g.edge_from(g.start_node).to(eggs),
        g.edge_from(eggs).map().to(boil),
        g.edge_from(boil).to(collect),
        g.edge_from(collect).to(in_order),
        g.edge_from(in_order).to(g.end_node),
    )

    await ways.agree(g.build(), [0, 3, 6, 9], inputs=4)


async def test_a_stream_may_have_an_id_a_label_state_and_dependencies(ways: Ways) -> None:
    g = GraphBuilder[Pantry, str, None, int](name="labelled stream", state_type=Pantry, deps_type=str, output_type=int)

    @g.stream(node_id="delivery", label="What the shop brings")
    async def deliver(ctx: StepContext[Pantry, str, None]) -> AsyncIterator[str]:
        ctx.state.crates = len(ctx.deps.split())
        for crate in ctx.deps.split():
            yield crate

    @g.step
    async def unpack(ctx: StepContext[Pantry, str, str]) -> int:
        return len(ctx.inputs)

    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).to(deliver),
        g.edge_from(deliver).map(fork_id="crates").to(unpack),
        g.edge_from(unpack).to(total),
        g.edge_from(total).to(g.end_node),
    )
    graph = g.build()

    assert "delivery" in graph.nodes
    await ways.agree(graph, 12, deps="corn rice bean", state=Pantry(), final=Pantry(crates=3))


async def test_a_stream_without_items_fires_the_join_that_its_map_names(ways: Ways) -> None:
    g = GraphBuilder[None, None, None, list[int]](name="empty stream", output_type=list[int])

    @g.stream
    async def nothing(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
        for number in list[int]():
            yield number

    @g.step
    async def boil(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    collect = g.join(reduce_list_append, initial_factory=list[int])
    g.add(
        g.edge_from(g.start_node).to(nothing),
        g.edge_from(nothing).map(downstream_join_id=collect.id).to(boil),
        g.edge_from(boil).to(collect),
        g.edge_from(collect).to(g.end_node),
    )

    await ways.agree(g.build(), [])


async def test_a_plain_step_may_return_an_async_iterable(ways: Ways) -> None:
    g = GraphBuilder[None, None, None, int](name="made by hand", output_type=int)

    async def count() -> AsyncIterator[int]:
        for number in (1, 2, 3):
            yield number

    @g.step
    async def start(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
        return count()

    @g.step
    async def boil(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).to(start),
        g.edge_from(start).map().to(boil),
        g.edge_from(boil).to(total),
        g.edge_from(total).to(g.end_node),
    )

    await ways.agree(g.build(), 6)
