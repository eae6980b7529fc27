"""The workflow that is run: loops, maps, joins, decisions, a state, error edges and runs inside runs."""

from __future__ import annotations

from hashlib import blake2b
from random import random
from typing import Annotated, Literal

import anyio
from pydantic import BaseModel, Field

from milepost import Failure, StepContext, Workflow, WorkflowBuilder, add, append, reduce_list_append

LAPS = 3
SIZE = 4


class Piece(BaseModel):
    lap: int
    index: int
    value: int


class Tally(BaseModel):
    """laps: begun so far. odd: the odd values met, in any order. mended: how often a failure was led to its handler."""

    laps: int = 0
    odd: Annotated[list[int], append] = Field(default_factory=list[int])
    mended: Annotated[int, add] = 0


class Steps(BaseModel):
    steps: int = 0


class Hiccup(Exception):
    """What a node fails with."""


async def work() -> None:
    """Take a moment, another one every time."""
    await anyio.sleep(random() * 0.02)


def number_of(run_id: str) -> int:
    """Return the input of a run, so that whoever resumes or checks it knows it."""
    return int.from_bytes(blake2b(run_id.encode(), digest_size=2).digest())


def dealt(value: int, lap: int) -> list[int]:
    return [(value * 31 + lap * 7 + index * 13) % 997 for index in range(SIZE)]


def halved(value: int) -> int:
    while value > 20:
        value //= 2
    return value


def gathered(values: list[int]) -> int:
    return sum(values) * 17 % 1009


def expected(number: int) -> tuple[int, Tally]:
    """Compute the output and the final state as plain Python would; the order of `odd` is not told."""
    tally = Tally()
    for _ in range(LAPS):
        tally.laps += 1
        found: list[int] = []
        for value in dealt(number, tally.laps):
            if value % 7 == 3:
                tally.mended += 1
                found.append(value + 1000)
            elif value % 2:
                tally.odd.append(value)
                found.append(value)
            else:
                found.append(halved(value))
        number = gathered(found)
    return number, tally


def halving() -> Workflow[Steps, None, int, int]:
    """A loop, for a run inside the run."""
    wf = WorkflowBuilder(name="halving", state_type=Steps, input_type=int, output_type=int)

    @wf.function
    async def look(ctx: StepContext[Steps, None, int]) -> int:
        await work()
        return ctx.inputs

    @wf.decide
    async def small(ctx: StepContext[Steps, None, int]) -> bool:
        return ctx.inputs <= 20

    @wf.function
    async def halve(ctx: StepContext[Steps, None, int]) -> int:
        ctx.state.steps += 1
        await work()
        return ctx.inputs // 2

    wf.edge(wf.start_node, look)
    wf.edge(look, small)
    wf.edge(small, wf.end_node, when=True)
    wf.edge(small, halve, when=False)
    wf.edge(halve, look)
    return wf.build()


def declared() -> Workflow[Tally, None, int, int]:
    """Build the workflow."""
    wf = WorkflowBuilder(name="soak", state_type=Tally, input_type=int, output_type=int)

    @wf.function
    async def deal(ctx: StepContext[Tally, None, int]) -> list[Piece]:
        ctx.state.laps += 1
        await work()
        values = dealt(ctx.inputs, ctx.state.laps)
        return [Piece(lap=ctx.state.laps, index=index, value=value) for index, value in enumerate(values)]

    @wf.function
    async def try_it(ctx: StepContext[Tally, None, Piece]) -> Piece:
        await work()
        if ctx.inputs.value % 7 == 3:
            raise Hiccup(ctx.inputs.value)
        return ctx.inputs

    @wf.function
    async def mend(ctx: StepContext[Tally, None, Failure[Piece]]) -> int:
        ctx.state.mended += 1
        await work()
        return ctx.inputs.inputs.value + 1000

    @wf.decide
    async def parity(ctx: StepContext[Tally, None, Piece]) -> Literal["odd", "even"]:
        return "odd" if ctx.inputs.value % 2 else "even"

    @wf.function
    async def note(ctx: StepContext[Tally, None, Piece]) -> int:
        ctx.state.odd.append(ctx.inputs.value)
        await work()
        return ctx.inputs.value

    def value(ctx: StepContext[Tally, None, Piece]) -> int:
        return ctx.inputs.value

    halve = wf.subworkflow(halving(), inputs=value)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")

    @wf.function
    async def gather(ctx: StepContext[Tally, None, list[int]]) -> int:
        await work()
        return gathered(ctx.inputs)

    @wf.decide
    async def enough(ctx: StepContext[Tally, None, int]) -> bool:
        return ctx.state.laps >= LAPS

    wf.edge(wf.start_node, deal)
    wf.edge(deal, wf.each(try_it))
    wf.edge(try_it, mend, on_error=Hiccup)
    wf.edge(try_it, parity)
    wf.edge(parity, note, when="odd")
    wf.edge(parity, halve, when="even")
    for source in (mend, note, halve):
        wf.edge(source, collect)
    wf.edge(collect, gather)
    wf.edge(gather, enough)
    wf.edge(enough, wf.end_node, when=True)
    wf.edge(enough, deal, when=False)
    return wf.build()


WORKFLOW = declared()
