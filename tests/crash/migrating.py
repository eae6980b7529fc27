"""Lives of a process that migrates a run: python -m tests.crash.migrating FOLDER VERSION DEATH.

FOLDER holds the database and what bodies leave behind. VERSION: of the workflow. DEATH: the process kills itself when
it has committed so many records ("5"), right before or right after the record of the migration ("before", "after"), or
not at all ("never"). The output goes to standard output.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
from pydantic import BaseModel

from milepost import (
    Engine,
    SqliteStore,
    StepContext,
    Store,
    Stored,
    Workflow,
    WorkflowBuilder,
    current,
    reduce_list_append,
)
from milepost.engine.stores.store import Acknowledge, Entry
from milepost.testing.mortal import MortalStore

RUN: Final = "r-1"
ITEMS: Final = 4


class Tally(BaseModel):
    seen: int = 0


class Count(BaseModel):
    total: int = 0


class Piece(BaseModel):
    number: int


class Part(BaseModel):
    number: int
    unit: str


def first_version(effects: Path) -> Workflow[Tally, None, int, list[int]]:
    """Build a map over pieces, with a join and a state."""
    wf = WorkflowBuilder(name="migrating", state_type=Tally, input_type=int, output_type=list[int])

    @wf.function
    async def cut(ctx: StepContext[Tally, None, int]) -> list[Piece]:
        ctx.state.seen += 1
        note(effects)
        return [Piece(number=number) for number in range(ctx.inputs)]

    @wf.function
    async def weigh(ctx: StepContext[Tally, None, Piece]) -> Piece:
        note(effects)
        return Piece(number=ctx.inputs.number * 10)

    collect = wf.join(reduce_list_append, initial_factory=list[Piece], node_id="collect", parent_fork_id="pieces")

    @wf.function
    async def report(ctx: StepContext[Tally, None, list[Piece]]) -> list[int]:
        raise AssertionError("the older version never comes so far")

    wf.edge(wf.start_node, cut)
    wf.edge(cut, wf.each(weigh, join=collect, fork_id="pieces"))
    wf.edge(collect, report)
    wf.edge(report, wf.end_node)
    return wf.build()


def second_version(effects: Path) -> Workflow[Count, None, int, list[str]]:
    """Build the same with other names, another state, and parts for pieces."""
    wf = WorkflowBuilder(name="migrating", state_type=Count, input_type=int, output_type=list[str], version=2)

    @wf.function
    async def split(ctx: StepContext[Count, None, int]) -> list[Part]:
        ctx.state.total += 1
        note(effects)
        return [Part(number=number, unit="g") for number in range(ctx.inputs)]

    @wf.function
    async def measure(ctx: StepContext[Count, None, Part]) -> Part:
        note(effects)
        return Part(number=ctx.inputs.number * 10, unit=ctx.inputs.unit)

    collect = wf.join(reduce_list_append, initial_factory=list[Part], node_id="collect", parent_fork_id="parts")

    @wf.function
    async def report(ctx: StepContext[Count, None, list[Part]]) -> list[str]:
        note(effects)
        return [*sorted(f"{part.number} {part.unit}" for part in ctx.inputs), f"total {ctx.state.total}"]

    wf.edge(wf.start_node, split)
    wf.edge(split, wf.each(measure, join=collect, fork_id="parts"))
    wf.edge(collect, report)
    wf.edge(report, wf.end_node)

    @wf.migrate(from_version=1)
    def to_second(stored: Stored) -> None:
        stored.rename("cut", "split")
        stored.rename("weigh", "measure")
        stored.rename("pieces", "parts")
        stored.state = {"total": stored.state["seen"] + 100}
        for one in (*stored.inputs("weigh"), *stored.items("collect")):
            one.value["unit"] = "kg"
        for one in stored.inputs("report"):
            one.value = [{**piece, "unit": "kg"} for piece in one.value]

    return wf.build()


def note(effects: Path) -> None:
    """Leave behind that the running body has begun."""
    with effects.open("a", encoding="utf-8") as file:
        file.write(f"{current().task}\n")


class Dying(SqliteStore):
    """A store whose process is killed right before or right after it has committed a migration."""

    death = ""

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        migrates = entry.fingerprint is not None
        if migrates and self.death == "before":
            os.kill(os.getpid(), signal.SIGKILL)

        def committed(error: BaseException | None) -> None:
            if migrates and self.death == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            acknowledge(error)

        super().append(entry, committed)


async def live(folder: Path, version: int, death: str) -> None:
    inner = Dying(folder / "runs.db", max_takeovers=100)
    inner.death = death
    store: Store = inner
    if death.isdigit():
        kill = partial(os.kill, os.getpid(), signal.SIGKILL)
        store = MortalStore(inner, commits=int(death), die=kill).as_store
    effects = folder / "effects"
    workflow: Workflow[Any, None, int, Any] = first_version(effects) if version == 1 else second_version(effects)
    async with Engine(store) as engine:
        run = await engine.start(workflow, inputs=ITEMS, run_id=RUN)
        print(await run.result())


if __name__ == "__main__":
    anyio.run(live, Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
