"""Runs inside runs whose process is killed: what their bodies leave behind, and how a life of the process goes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import anyio

from milepost import Engine, SqliteStore, StepContext, Workflow, WorkflowBuilder, reduce_sum
from milepost.engine.current import current
from milepost.engine.stores.sqlite_file import Durability
from tests.crash.life import Effects

RUN: Final = "r-1"
LAPS: Final = 60

Tree = list[Any]
"""A list of numbers and trees."""

TREE: Final[Tree] = [3, [4, [5], 6], [7, [8, [9]]]]


async def body(effects: Effects, milliseconds: int) -> None:
    """Say that the running body has begun, then take some time."""
    this = current()
    effects.write(f"{this.run_id} {this.task} {this.node}")
    await anyio.sleep(milliseconds / 1000)


def steps() -> Workflow[None, Effects, int, int]:
    """Build a loop that counts up to LAPS, and returns what it was given."""
    wf = WorkflowBuilder(name="steps", deps_type=Effects, input_type=int, output_type=int)

    @wf.function
    async def step(ctx: StepContext[None, Effects, int]) -> int:
        await body(ctx.deps, 1 + ctx.inputs % 3)
        return ctx.inputs + 1000

    @wf.function
    async def rest(ctx: StepContext[None, Effects, int]) -> int:
        await body(ctx.deps, 1)
        return ctx.inputs % 1000

    wf.edge(wf.start_node, step)
    wf.edge(step, step, when=lambda number: number < LAPS * 1000)
    wf.edge(step, rest, otherwise=True)
    wf.edge(rest, wf.end_node)
    return wf.build()


def adding() -> Workflow[None, Effects, Tree, int]:
    """Build a workflow that adds up a tree: it runs itself for every branch, and `steps` for every number."""
    wf = WorkflowBuilder(name="adding", deps_type=Effects, input_type=list[Any], output_type=int)

    @wf.function
    async def numbers(ctx: StepContext[None, Effects, Tree]) -> list[int]:
        await body(ctx.deps, 2)
        return [part for part in ctx.inputs if isinstance(part, int)]

    @wf.function
    async def branches(ctx: StepContext[None, Effects, Tree]) -> list[Tree]:
        await body(ctx.deps, 3)
        return [part for part in ctx.inputs if isinstance(part, list)]

    def itself() -> Workflow[None, Effects, Tree, int]:
        return ADDING

    below = wf.subworkflow(itself, node_id="below")
    count = wf.subworkflow(steps(), node_id="count")
    total = wf.join(reduce_sum, initial=0, node_id="total", parent_fork_id="__start___broadcast_fork")

    @wf.function
    async def close(ctx: StepContext[None, Effects, int]) -> int:
        await body(ctx.deps, 1)
        return ctx.inputs

    wf.edge(wf.start_node, numbers)
    wf.edge(wf.start_node, branches)
    wf.edge(numbers, wf.each(count, join=total, fork_id="each_number"))
    wf.edge(branches, wf.each(below, join=total, fork_id="each_branch"))
    wf.edge(total, close)
    wf.edge(close, wf.end_node)
    return wf.build()


ADDING = adding()


def live(folder: str, durability: Durability) -> None:
    """Begin or go on with the one run until it ends or this process is killed."""
    place = Path(folder)
    store = SqliteStore(place / "runs.db", durability=durability, max_takeovers=15)

    async def main(effects: Effects) -> None:
        async with Engine(store) as engine:
            found = {row.run_id: row.seq for row in await store.rows()}
            effects.write(f"= {json.dumps(found)}")
            run = await engine.start(ADDING, inputs=TREE, deps=effects, run_id=RUN)
            (place / "output.json").write_text(json.dumps(await run.result()))

    with Effects(place / "effects").open() as effects:
        anyio.run(main, effects)


def warm_up() -> None:
    """Run once in memory, so that a process forked from this one has everything loaded and is soon at work."""

    async def main(effects: Effects) -> None:
        await ADDING.run(inputs=[1, [2]], deps=effects, store="memory:")

    with Effects(Path(os.devnull)).open() as effects:
        anyio.run(main, effects)
