"""Multiple instances of one node: patterns 12 to 15 of the workflow patterns of van der Aalst and others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from milepost import StepContext, Workflow, WorkflowBuilder, reduce_list_append
from tests.patterns.harness import Way, every_way
from tests.patterns.life import Life

pytestmark = pytest.mark.anyio

JURY = ["ann", "bob", "eve"]


def without_synchronization() -> Workflow[None, Life, list[str], list[str]]:
    """12, Multiple Instances without Synchronization: instances run side by side, and what follows does not wait."""
    wf = WorkflowBuilder(name="without synchronization", deps_type=Life, input_type=list[str], output_type=list[str])

    @wf.function
    async def address(ctx: StepContext[None, Life, list[str]]) -> list[str]:
        await ctx.deps.work()
        return ctx.inputs

    @wf.function
    async def send(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"sent to {ctx.inputs}"

    @wf.function
    async def bill(ctx: StepContext[None, Life, list[str]]) -> str:
        await ctx.deps.work()
        return f"billed {len(ctx.inputs)}"

    over = wf.join(reduce_list_append, initial_factory=list[str], node_id="over")
    wf.edge(wf.start_node, address)
    wf.edge(address, wf.each(send))
    wf.edge(address, bill)
    wf.edge(send, over)
    wf.edge(bill, over)
    wf.edge(over, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_12_multiple_instances_without_synchronization(way: Way) -> None:
    for found in await way.of(without_synchronization(), JURY):
        assert sorted(found.output) == ["billed 3", "sent to ann", "sent to bob", "sent to eve"]
        assert ("address", ["send", "send", "send", "bill"]) in found.steps


def known_when_designed() -> Workflow[None, Life, str, int]:
    """13, Multiple Instances with a Priori Design-Time Knowledge: as many instances as the workflow says.

    What follows waits for all of them.
    """
    wf = WorkflowBuilder(name="known when designed", deps_type=Life, input_type=str, output_type=int)

    @wf.function
    async def submit(ctx: StepContext[None, Life, str]) -> list[str]:
        await ctx.deps.work()
        return [f"{ctx.inputs} for {name}" for name in JURY]

    @wf.function
    async def vote(ctx: StepContext[None, Life, str]) -> bool:
        await ctx.deps.work()
        return "bob" not in ctx.inputs

    @wf.function
    async def count(ctx: StepContext[None, Life, list[bool]]) -> int:
        await ctx.deps.work()
        return sum(ctx.inputs)

    votes = wf.join(reduce_list_append, initial_factory=list[bool], node_id="votes")
    wf.edge(wf.start_node, submit)
    wf.edge(submit, wf.each(vote, join=votes))
    wf.edge(votes, count)
    wf.edge(count, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_13_multiple_instances_with_a_priori_design_time_knowledge(way: Way) -> None:
    for found in await way.of(known_when_designed(), "a book"):
        assert found.output == 2
        assert found.order == ["submit", "vote", "vote", "vote", "count"]


def known_when_begun() -> Workflow[None, Life, list[int], int]:
    """14, Multiple Instances with a Priori Run-Time Knowledge: as many instances as the run says when they begin.

    What follows waits for all of them, also when there are none.
    """
    wf = WorkflowBuilder(name="known when begun", deps_type=Life, input_type=list[int], output_type=int)

    @wf.function
    async def open_order(ctx: StepContext[None, Life, list[int]]) -> list[int]:
        await ctx.deps.work()
        return ctx.inputs

    @wf.function
    async def price(ctx: StepContext[None, Life, int]) -> int:
        await ctx.deps.work()
        return ctx.inputs * 10

    @wf.function
    async def total(ctx: StepContext[None, Life, list[int]]) -> int:
        await ctx.deps.work()
        return sum(ctx.inputs)

    prices = wf.join(reduce_list_append, initial_factory=list[int], node_id="prices")
    wf.edge(wf.start_node, open_order)
    wf.edge(open_order, wf.each(price, join=prices))
    wf.edge(prices, total)
    wf.edge(total, wf.end_node)
    return wf.build()


@every_way
@pytest.mark.parametrize("lines", [[], [3], [1, 2, 3, 4]])
async def test_pattern_14_multiple_instances_with_a_priori_run_time_knowledge(way: Way, lines: list[int]) -> None:
    for found in await way.of(known_when_begun(), lines):
        assert found.output == sum(lines) * 10
        assert found.order == ["open_order", *("price" for _ in lines), "total"]


def known_at_the_end() -> Workflow[None, Life, int, list[str]]:
    """15, Multiple Instances without a Priori Run-Time Knowledge: more instances may begin while others run.

    Here a stream gives them as it finds them. What follows waits for all of them.
    """
    wf = WorkflowBuilder(name="known at the end", deps_type=Life, input_type=int, output_type=list[str])

    @wf.stream
    async def unload(ctx: StepContext[None, Life, int]) -> AsyncIterator[str]:
        for number in range(ctx.inputs):
            await ctx.deps.work()
            yield f"box {number}"

    @wf.function
    async def check(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"checked {ctx.inputs}"

    @wf.function
    async def sign(ctx: StepContext[None, Life, list[str]]) -> list[str]:
        await ctx.deps.work()
        return sorted(ctx.inputs)

    checked = wf.join(reduce_list_append, initial_factory=list[str], node_id="checked")
    wf.edge(wf.start_node, unload)
    wf.edge(unload, wf.each(check, join=checked))
    wf.edge(checked, sign)
    wf.edge(sign, wf.end_node)
    return wf.build()


@every_way
@pytest.mark.parametrize("boxes", [0, 1, 3])
async def test_pattern_15_multiple_instances_without_a_priori_run_time_knowledge(way: Way, boxes: int) -> None:
    for found in await way.of(known_at_the_end(), boxes):
        assert found.output == [f"checked box {number}" for number in range(boxes)]
        assert found.causes("check") == ["unload"] * boxes
        assert found.order[-1] == "sign"
        assert found.completed["sign"] == 1


def known_by_the_instances() -> Workflow[None, Life, str, list[str]]:
    """15 again: an instance finds out that there are more."""
    wf = WorkflowBuilder(name="known by the instances", deps_type=Life, input_type=str, output_type=list[str])

    @wf.function
    async def unpack(ctx: StepContext[None, Life, str]) -> list[str]:
        await ctx.deps.work()
        return {"crate": ["box", "bag"], "box": ["tin", "jar"]}.get(ctx.inputs, [])

    @wf.function
    async def sort(ctx: StepContext[None, Life, list[list[str]]]) -> list[str]:
        await ctx.deps.work()
        return sorted(name for names in ctx.inputs for name in names)

    unpacked = wf.join(reduce_list_append, initial_factory=list[list[str]], node_id="unpacked")
    wf.edge(wf.start_node, unpack)
    wf.edge(unpack, wf.each(unpack))
    wf.edge(unpack, unpacked)
    wf.edge(unpacked, sort)
    wf.edge(sort, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_15_where_instances_start_instances(way: Way) -> None:
    for found in await way.of(known_by_the_instances(), "crate"):
        assert found.output == ["bag", "box", "jar", "tin"]
        assert found.order == ["unpack"] * 5 + ["sort"]
        assert found.causes("unpack") == ["__start__", "unpack", "unpack", "unpack", "unpack"]
