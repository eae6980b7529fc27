"""Loops: patterns 10 and 21 of the workflow patterns of van der Aalst and others."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel

from milepost import StepContext, Workflow, WorkflowBuilder
from tests.patterns.harness import Way, every_way
from tests.patterns.life import Life

pytestmark = pytest.mark.anyio


class Paper(BaseModel):
    quality: int = 0
    rounds: int = 0


def arbitrary_cycles() -> Workflow[None, Life, Paper, str]:
    """10, Arbitrary Cycles: a cycle with more than one way in and more than one way out."""
    wf = WorkflowBuilder(name="arbitrary cycles", deps_type=Life, input_type=Paper, output_type=str)

    @wf.decide
    async def receive(ctx: StepContext[None, Life, Paper]) -> Literal["new", "known"]:
        await ctx.deps.work()
        return "new" if ctx.inputs.rounds == 0 else "known"

    @wf.decide
    async def review(ctx: StepContext[None, Life, Paper]) -> Literal["good", "poor"]:
        await ctx.deps.work()
        return "good" if ctx.inputs.quality >= 3 else "poor"

    @wf.function
    async def revise(ctx: StepContext[None, Life, Paper]) -> Paper:
        await ctx.deps.work()
        return Paper(quality=ctx.inputs.quality + 1, rounds=ctx.inputs.rounds + 1)

    @wf.function
    async def publish(ctx: StepContext[None, Life, Paper]) -> str:
        await ctx.deps.work()
        return f"published after {ctx.inputs.rounds} rounds"

    @wf.function
    async def reject(ctx: StepContext[None, Life, Paper]) -> str:
        await ctx.deps.work()
        return f"rejected after {ctx.inputs.rounds} rounds"

    wf.edge(wf.start_node, receive)
    wf.edge(receive, review, when="new")
    wf.edge(receive, revise, when="known")
    wf.edge(review, publish, when="good")
    wf.edge(review, revise, when="poor")
    wf.edge(revise, reject, when=lambda paper: paper.rounds >= 3)
    wf.edge(revise, review, otherwise=True)
    wf.edge(publish, wf.end_node)
    wf.edge(reject, wf.end_node)
    return wf.build()


@every_way
@pytest.mark.parametrize(
    ("paper", "output", "order"),
    [
        (Paper(quality=3), "published after 0 rounds", ["review", "publish"]),
        (Paper(quality=2), "published after 1 rounds", ["review", "revise", "review", "publish"]),
        (Paper(quality=2, rounds=1), "published after 2 rounds", ["revise", "review", "publish"]),
        (Paper(rounds=1), "rejected after 3 rounds", ["revise", "review", "revise", "reject"]),
    ],
)
async def test_pattern_10_arbitrary_cycles(way: Way, paper: Paper, output: str, order: list[str]) -> None:
    for found in await way.of(arbitrary_cycles(), paper):
        assert found.output == output
        assert found.order == ["receive", *order]


def structured_loop() -> Workflow[None, Life, int, list[str]]:
    """21, Structured Loop: nodes are carried out over and over, while or until something holds.

    One loop of each kind: `hungry` is asked before each turn, `enough` after it.
    """
    wf = WorkflowBuilder(name="structured loop", deps_type=Life, input_type=int, output_type=list[str])

    @wf.function
    async def sit_down(ctx: StepContext[None, Life, int]) -> list[str]:
        await ctx.deps.work()
        return [f"hunger {ctx.inputs}"]

    @wf.decide
    async def hungry(ctx: StepContext[None, Life, list[str]]) -> bool:
        return f"hunger {len(ctx.inputs) - 1}" not in ctx.inputs

    @wf.function
    async def eat(ctx: StepContext[None, Life, list[str]]) -> list[str]:
        await ctx.deps.work()
        return [*ctx.inputs, "bite"]

    @wf.function
    async def wash_up(ctx: StepContext[None, Life, list[str]]) -> list[str]:
        await ctx.deps.work()
        return [*ctx.inputs, "plate"]

    @wf.decide
    async def enough(ctx: StepContext[None, Life, list[str]]) -> bool:
        return ctx.inputs.count("plate") == 2

    wf.edge(wf.start_node, sit_down)
    wf.edge(sit_down, hungry)
    wf.edge(hungry, eat, when=True)
    wf.edge(eat, hungry)
    wf.edge(hungry, wash_up, when=False)
    wf.edge(wash_up, enough)
    wf.edge(enough, wash_up, when=False)
    wf.edge(enough, wf.end_node, when=True)
    return wf.build()


@every_way
@pytest.mark.parametrize("hunger", [0, 1, 3])
async def test_pattern_21_structured_loop(way: Way, hunger: int) -> None:
    for found in await way.of(structured_loop(), hunger):
        assert found.output == [f"hunger {hunger}", *["bite"] * hunger, "plate", "plate"]
        assert found.completed["eat"] == hunger
        assert found.completed["wash_up"] == 2
