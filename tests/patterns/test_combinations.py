"""Patterns inside one another, where the engine has most to get right: races in maps, in loops and over streams."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import pytest
from pydantic import BaseModel

from milepost import (
    ReduceFirstValue,
    ReducerContext,
    StepContext,
    Workflow,
    WorkflowBuilder,
    reduce_list_append,
    reduce_sum,
)
from tests.patterns.harness import Way, every_way
from tests.patterns.life import Life

pytestmark = pytest.mark.anyio


def race_per_item() -> Workflow[None, Life, list[str], list[str]]:
    """14 around 29: each instance is a race of two, which cancels its own loser and nobody else's."""
    wf = WorkflowBuilder(name="race per item", deps_type=Life, input_type=list[str], output_type=list[str])

    @wf.function
    async def want(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return ctx.inputs

    @wf.function
    async def shop(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"{ctx.inputs} bought"

    @wf.function
    async def library(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"{ctx.inputs} borrowed"

    @wf.function
    async def fetch(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return ctx.inputs

    first = wf.join(ReduceFirstValue[str](), initial="", node_id="first", preferred_parent_fork="closest")
    everything = wf.join(reduce_list_append, initial_factory=list[str], node_id="everything")
    wf.edge(wf.start_node, wf.each(want))
    for node in (shop, library):
        wf.edge(want, node)
        wf.edge(node, first)
    wf.edge(first, fetch)
    wf.edge(fetch, everything)
    wf.edge(everything, wf.end_node)
    return wf.build()


@every_way
async def test_races_side_by_side_leave_each_other_alone(way: Way) -> None:
    for found in await way.of(race_per_item(), ["book", "pen", "map"]):
        assert sorted(text.split()[0] for text in found.output) == ["book", "map", "pen"]
        assert found.completed["shop"] + found.completed["library"] == 3
        assert found.withdrawn["shop"] == found.completed["library"]
        assert found.withdrawn["library"] == found.completed["shop"]


class Game(BaseModel):
    rounds: int = 0
    winners: list[str] = []


def race_per_round() -> Workflow[None, Life, Game, Game]:
    """21 around 29: a race in every round of a loop."""
    wf = WorkflowBuilder(name="race per round", deps_type=Life, input_type=Game, output_type=Game)

    @wf.function
    async def deal(ctx: StepContext[None, Life, Game]) -> Game:
        return ctx.inputs

    @wf.function
    async def ann(ctx: StepContext[None, Life, Game]) -> Game:
        await ctx.deps.work()
        return Game(rounds=ctx.inputs.rounds + 1, winners=[*ctx.inputs.winners, "ann"])

    @wf.function
    async def bob(ctx: StepContext[None, Life, Game]) -> Game:
        await ctx.deps.work()
        return Game(rounds=ctx.inputs.rounds + 1, winners=[*ctx.inputs.winners, "bob"])

    @wf.decide
    async def again(ctx: StepContext[None, Life, Game]) -> bool:
        await ctx.deps.work()
        return ctx.inputs.rounds < 3

    first = wf.join(ReduceFirstValue[Game](), initial_factory=Game, node_id="first", preferred_parent_fork="closest")
    wf.edge(wf.start_node, deal)
    for node in (ann, bob):
        wf.edge(deal, node)
        wf.edge(node, first)
    wf.edge(first, again)
    wf.edge(again, deal, when=True)
    wf.edge(again, wf.end_node, when=False)
    return wf.build()


@every_way
async def test_every_round_of_a_loop_has_its_own_race(way: Way) -> None:
    for found in await way.of(race_per_round(), Game()):
        assert found.output.winners == [node for node in found.order if node in ("ann", "bob")]
        assert len(found.output.winners) == 3
        assert found.withdrawn.total() == 3


def two(ctx: ReducerContext[object, object], current: list[str], item: str) -> list[str]:
    """Collect two items, and cancel what would give more."""
    current.append(item)
    if len(current) == 2:
        ctx.cancel_sibling_tasks()
    return current


def race_over_stream() -> Workflow[None, Life, int, list[str]]:
    """15 around 35: enough instances have ended while the stream still gives more. It is closed."""
    wf = WorkflowBuilder(name="race over stream", deps_type=Life, input_type=int, output_type=list[str])

    @wf.stream
    async def ring(ctx: StepContext[None, Life, int]) -> AsyncIterator[int]:
        for number in range(ctx.inputs):
            await ctx.deps.work()
            yield number

    @wf.function
    async def answer(ctx: StepContext[None, Life, int]) -> str:
        await ctx.deps.work()
        return f"answer {ctx.inputs}"

    @wf.function
    async def hang_up(ctx: StepContext[None, Life, list[str]]) -> list[str]:
        await ctx.deps.work()
        return sorted(ctx.inputs)

    enough = wf.join(two, initial_factory=list[str], node_id="enough")
    wf.edge(wf.start_node, ring)
    wf.edge(ring, wf.each(answer, join=enough))
    wf.edge(enough, hang_up)
    wf.edge(hang_up, wf.end_node)
    return wf.build()


@every_way
@pytest.mark.parametrize("calls", [1, 4])
async def test_a_race_closes_the_stream_that_feeds_it(way: Way, calls: int) -> None:
    for found in await way.of(race_over_stream(), calls):
        assert set(found.output) <= {f"answer {number}" for number in range(calls)}
        assert len(found.output) == min(calls, 2)
        assert found.completed["answer"] == len(found.output)
        assert found.completed["hang_up"] == 1


def joins_into_race() -> Workflow[None, Life, list[int], int]:
    """3 into 29: two joins of their own branches race; the loser's branches and its half full join are dropped."""
    wf = WorkflowBuilder(name="joins into race", deps_type=Life, input_type=list[int], output_type=int)

    @wf.function
    async def left(ctx: StepContext[None, Life, int]) -> int:
        await ctx.deps.work()
        return ctx.inputs

    @wf.function
    async def right(ctx: StepContext[None, Life, int]) -> int:
        await ctx.deps.work()
        return ctx.inputs * 100

    @wf.function
    async def report(ctx: StepContext[None, Life, int]) -> int:
        await ctx.deps.work()
        return ctx.inputs

    lefts = wf.join(reduce_sum, initial=0, node_id="lefts")
    rights = wf.join(reduce_sum, initial=0, node_id="rights")
    first = wf.join(ReduceFirstValue[int](), initial=0, node_id="first")
    wf.edge(wf.start_node, wf.each(left, join=lefts))
    wf.edge(wf.start_node, wf.each(right, join=rights))
    wf.edge(lefts, first)
    wf.edge(rights, first)
    wf.edge(first, report)
    wf.edge(report, wf.end_node)
    return wf.build()


@every_way
@pytest.mark.parametrize("numbers", [[1, 2, 3], []])
async def test_joins_may_race(way: Way, numbers: list[int]) -> None:
    for found in await way.of(joins_into_race(), numbers):
        winner, loser = ("left", "right") if found.output == sum(numbers) else ("right", "left")
        assert found.output == sum(numbers) * (1 if winner == "left" else 100)
        assert found.completed[winner] == len(numbers)
        assert found.withdrawn == Counter({loser: len(numbers) - found.completed[loser]})
        assert found.completed["report"] == 1
