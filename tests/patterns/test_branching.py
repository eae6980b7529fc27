"""Branches that are chosen, and what waits for them: patterns 6, 7, 8 and 37 of van der Aalst and others."""

from __future__ import annotations

from typing import Literal

import pytest

from milepost import StepContext, Workflow, WorkflowBuilder, reduce_list_append
from tests.patterns.harness import Way, every_way
from tests.patterns.life import Life

pytestmark = pytest.mark.anyio

Channel = Literal["email", "letter", "call"]
CHOICES: list[list[Channel]] = [["email"], ["letter", "call"], ["call", "email", "letter"]]


def multi_choice() -> Workflow[None, Life, list[Channel], list[str]]:
    """6, Multi-Choice: one or more of several branches are taken, as the case demands.

    7, Structured Synchronizing Merge: what follows waits for the branches that were taken, and for no other.
    """
    wf = WorkflowBuilder(name="multi-choice", deps_type=Life, input_type=list[Channel], output_type=list[str])

    @wf.function
    async def choose(ctx: StepContext[None, Life, list[Channel]]) -> list[Channel]:
        await ctx.deps.work()
        return ctx.inputs

    @wf.decide
    async def channel(ctx: StepContext[None, Life, Channel]) -> Channel:
        return ctx.inputs

    @wf.function
    async def email(ctx: StepContext[None, Life, Channel]) -> str:
        await ctx.deps.work()
        return "emailed"

    @wf.function
    async def letter(ctx: StepContext[None, Life, Channel]) -> str:
        await ctx.deps.work()
        return "wrote"

    @wf.function
    async def call(ctx: StepContext[None, Life, Channel]) -> str:
        await ctx.deps.work()
        return "called"

    @wf.function
    async def note(ctx: StepContext[None, Life, list[str]]) -> list[str]:
        await ctx.deps.work()
        return sorted(ctx.inputs)

    told = wf.join(reduce_list_append, initial_factory=list[str], node_id="told")
    wf.edge(wf.start_node, choose)
    wf.edge(choose, wf.each(channel, join=told))
    wf.edge(channel, email, when="email")
    wf.edge(channel, letter, when="letter")
    wf.edge(channel, call, when="call")
    for node in (email, letter, call):
        wf.edge(node, told)
    wf.edge(told, note)
    wf.edge(note, wf.end_node)
    return wf.build()


@every_way
@pytest.mark.parametrize("chosen", CHOICES[:2])
async def test_pattern_6_multi_choice(way: Way, chosen: list[Channel]) -> None:
    for found in await way.of(multi_choice(), chosen):
        assert found.begun.keys() == {"choose", "note", *chosen}


@every_way
@pytest.mark.parametrize("chosen", CHOICES)
async def test_pattern_7_structured_synchronizing_merge(way: Way, chosen: list[Channel]) -> None:
    words = {"email": "emailed", "letter": "wrote", "call": "called"}
    for found in await way.of(multi_choice(), chosen):
        assert found.output == sorted(words[one] for one in chosen)
        assert found.order[-1] == "note"


def multi_merge() -> Workflow[None, Life, str, list[str]]:
    """8, Multi-Merge: branches come together, and what follows runs once for every one of them."""
    wf = WorkflowBuilder(name="multi-merge", deps_type=Life, input_type=str, output_type=list[str])

    @wf.function
    async def pack(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"packed {ctx.inputs}"

    @wf.function
    async def invoice(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"invoiced {ctx.inputs}"

    @wf.function
    async def file(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"filed: {ctx.inputs}"

    filed = wf.join(reduce_list_append, initial_factory=list[str], node_id="filed")
    for node in (pack, invoice):
        wf.edge(wf.start_node, node)
        wf.edge(node, file)
    wf.edge(file, filed)
    wf.edge(filed, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_8_multi_merge(way: Way) -> None:
    for found in await way.of(multi_merge(), "book"):
        assert sorted(found.output) == ["filed: invoiced book", "filed: packed book"]
        assert sorted(found.causes("file")) == ["invoice", "pack"]


def local_synchronizing_merge() -> Workflow[None, Life, str, list[str]]:
    """37, Local Synchronizing Merge: branches that parted in different places come together in one.

    What follows waits for those that are under way, which shows only while the run goes on.
    """
    wf = WorkflowBuilder(name="local merge", deps_type=Life, input_type=str, output_type=list[str])

    @wf.decide
    async def inspect(ctx: StepContext[None, Life, str]) -> Literal["whole", "damaged"]:
        await ctx.deps.work()
        return "damaged" if "dent" in ctx.inputs else "whole"

    @wf.decide
    async def interview(ctx: StepContext[None, Life, str]) -> Literal["well", "hurt"]:
        await ctx.deps.work()
        return "hurt" if "bruise" in ctx.inputs else "well"

    @wf.function
    async def tow(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return ctx.inputs

    @wf.function
    async def estimate(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return "estimate"

    @wf.function
    async def photograph(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return "photographs"

    @wf.function
    async def examine(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return "certificate"

    @wf.function
    async def settle(ctx: StepContext[None, Life, list[str]]) -> list[str]:
        await ctx.deps.work()
        return sorted(ctx.inputs)

    papers = wf.join(reduce_list_append, initial_factory=list[str], node_id="papers")
    wf.edge(wf.start_node, inspect)
    wf.edge(wf.start_node, interview)
    wf.edge(inspect, papers, when="whole")
    wf.edge(inspect, tow, when="damaged")
    wf.edge(tow, estimate)
    wf.edge(tow, photograph)
    wf.edge(interview, papers, when="well")
    wf.edge(interview, examine, when="hurt")
    for node in (estimate, photograph, examine):
        wf.edge(node, papers)
    wf.edge(papers, settle)
    wf.edge(settle, wf.end_node)
    return wf.build()


@every_way
@pytest.mark.parametrize(
    ("claim", "papers"),
    [
        ("scare", ["scare", "scare"]),
        ("dent", ["dent", "estimate", "photographs"]),
        ("bruise", ["bruise", "certificate"]),
        ("dent, bruise", ["certificate", "estimate", "photographs"]),
    ],
)
async def test_pattern_37_local_synchronizing_merge(way: Way, claim: str, papers: list[str]) -> None:
    for found in await way.of(local_synchronizing_merge(), claim):
        assert found.output == papers
        assert found.order[-1] == "settle"
        assert found.completed["settle"] == 1
