"""Basic control flow: patterns 1 to 5 of the workflow patterns of van der Aalst and others."""

from __future__ import annotations

from typing import Literal

import pytest

from milepost import StepContext, Workflow, WorkflowBuilder, reduce_list_append
from tests.patterns.harness import Way, every_way
from tests.patterns.life import Life

pytestmark = pytest.mark.anyio


def sequence() -> Workflow[None, Life, str, str]:
    """1, Sequence: a task begins when the one before it has ended."""
    wf = WorkflowBuilder(name="sequence", deps_type=Life, input_type=str, output_type=str)

    @wf.function
    async def pick(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"picked {ctx.inputs}"

    @wf.function
    async def pack(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"packed {ctx.inputs}"

    wf.edge(wf.start_node, pick)
    wf.edge(pick, pack)
    wf.edge(pack, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_1_sequence(way: Way) -> None:
    for found in await way.of(sequence(), "book"):
        assert found.output == "packed picked book"
        assert found.order == ["pick", "pack"]


def parallel_split() -> Workflow[None, Life, str, list[str]]:
    """2, Parallel Split: one branch becomes several, which run side by side."""
    wf = WorkflowBuilder(name="parallel split", deps_type=Life, input_type=str, output_type=list[str])

    @wf.function
    async def confirm(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return ctx.inputs

    @wf.function
    async def pack(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"packed {ctx.inputs}"

    @wf.function
    async def invoice(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"invoiced {ctx.inputs}"

    both = wf.join(reduce_list_append, initial_factory=list[str], node_id="both")
    wf.edge(wf.start_node, confirm)
    wf.edge(confirm, pack)
    wf.edge(confirm, invoice)
    wf.edge(pack, both)
    wf.edge(invoice, both)
    wf.edge(both, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_2_parallel_split(way: Way) -> None:
    for found in await way.of(parallel_split(), "book"):
        assert sorted(found.output) == ["invoiced book", "packed book"]  # in the order they came in
        assert found.steps[:2] == [("__start__", ["confirm"]), ("confirm", ["pack", "invoice"])]


def synchronization() -> Workflow[None, Life, str, str]:
    """3, Synchronization: what follows begins once, when every one of the parallel branches has ended."""
    wf = WorkflowBuilder(name="synchronization", deps_type=Life, input_type=str, output_type=str)

    @wf.function
    async def pack(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"packed {ctx.inputs}"

    @wf.function
    async def invoice(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"invoiced {ctx.inputs}"

    @wf.function
    async def book_van(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"van for {ctx.inputs}"

    @wf.function
    async def ship(ctx: StepContext[None, Life, list[str]]) -> str:
        await ctx.deps.work()
        return ", ".join(sorted(ctx.inputs))

    ready = wf.join(reduce_list_append, initial_factory=list[str], node_id="ready")
    for node in (pack, invoice, book_van):
        wf.edge(wf.start_node, node)
        wf.edge(node, ready)
    wf.edge(ready, ship)
    wf.edge(ship, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_3_synchronization(way: Way) -> None:
    for found in await way.of(synchronization(), "book"):
        assert found.output == "invoiced book, packed book, van for book"
        assert sorted(found.order[:-1]) == ["book_van", "invoice", "pack"]
        assert found.order[-1] == "ship"


def exclusive_choice() -> Workflow[None, Life, int, str]:
    """4, Exclusive Choice: exactly one of several branches is taken."""
    wf = WorkflowBuilder(name="exclusive choice", deps_type=Life, input_type=int, output_type=str)

    @wf.decide
    async def weigh(ctx: StepContext[None, Life, int]) -> Literal["light", "heavy"]:
        await ctx.deps.work()
        return "light" if ctx.inputs < 20 else "heavy"

    @wf.function
    async def post(ctx: StepContext[None, Life, int]) -> str:
        await ctx.deps.work()
        return f"{ctx.inputs} kg by post"

    @wf.function
    async def drive(ctx: StepContext[None, Life, int]) -> str:
        await ctx.deps.work()
        return f"{ctx.inputs} kg by van"

    wf.edge(wf.start_node, weigh)
    wf.edge(weigh, post, when="light")
    wf.edge(weigh, drive, when="heavy")
    wf.edge(post, wf.end_node)
    wf.edge(drive, wf.end_node)
    return wf.build()


@every_way
@pytest.mark.parametrize(("weight", "taken", "output"), [(5, "post", "5 kg by post"), (50, "drive", "50 kg by van")])
async def test_pattern_4_exclusive_choice(way: Way, weight: int, taken: str, output: str) -> None:
    for found in await way.of(exclusive_choice(), weight):
        assert found.output == output
        assert found.begun.keys() == {"weigh", taken}


def simple_merge() -> Workflow[None, Life, int, str]:
    """5, Simple Merge: branches of which only one is ever taken come together, and nothing waits for the others."""
    wf = WorkflowBuilder(name="simple merge", deps_type=Life, input_type=int, output_type=str)

    @wf.decide
    async def weigh(ctx: StepContext[None, Life, int]) -> Literal["light", "heavy"]:
        return "light" if ctx.inputs < 20 else "heavy"

    @wf.function
    async def post(ctx: StepContext[None, Life, int]) -> str:
        await ctx.deps.work()
        return "post"

    @wf.function
    async def drive(ctx: StepContext[None, Life, int]) -> str:
        await ctx.deps.work()
        return "van"

    @wf.function
    async def notify(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"sent by {ctx.inputs}"

    wf.edge(wf.start_node, weigh)
    wf.edge(weigh, post, when="light")
    wf.edge(weigh, drive, when="heavy")
    wf.edge(post, notify)
    wf.edge(drive, notify)
    wf.edge(notify, wf.end_node)
    return wf.build()


@every_way
@pytest.mark.parametrize(("weight", "output"), [(5, "sent by post"), (50, "sent by van")])
async def test_pattern_5_simple_merge(way: Way, weight: int, output: str) -> None:
    for found in await way.of(simple_merge(), weight):
        assert found.output == output
        assert found.completed["notify"] == 1
