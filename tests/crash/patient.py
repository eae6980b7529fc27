"""A workflow that waits for a person, an event and a time, and lives of its process that end by a kill."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio
from anyio.abc import TaskStatus

from milepost import (
    Engine,
    PostgresStore,
    Run,
    RunCancelled,
    RunWaiting,
    SqliteStore,
    StepContext,
    Store,
    Workflow,
    WorkflowBuilder,
)
from milepost.engine.stores.store import Acknowledge, Entry
from milepost.engine.typed import reduce_sum
from tests.crash.life import RUN, Effects

WAITS = "~ waits"
"""Written to the effects when the run has come to rest: what it waits for is committed."""

When = Literal["before", "after"]


@dataclass
class Death:
    """When a process dies: before or after the commit of so many records that it makes."""

    when: When
    record: int

    def append(self, store: Any, entry: Entry, acknowledge: Acknowledge) -> None:
        """Have the next record committed by the store, unless the process dies first."""
        self.record -= 1
        if self.record == 0 and self.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        is_last = self.record == 0

        def told(error: BaseException | None) -> None:
            if is_last and error is None:
                os.kill(os.getpid(), signal.SIGKILL)
            acknowledge(error)

        store.append(entry, told)


class MortalFile(SqliteStore):
    """A file whose process dies. death: when, never without one."""

    death: Death | None = None

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        if self.death is None:
            super().append(entry, acknowledge)
        else:
            self.death.append(super(), entry, acknowledge)


class MortalServer(PostgresStore):
    """A server whose client dies. death: when, never without one."""

    death: Death | None = None

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        if self.death is None:
            super().append(entry, acknowledge)
        else:
            self.death.append(super(), entry, acknowledge)


def store_at(place: str, death: Death | None = None) -> Store:
    """Return the store in a folder, or in a schema of a server: `DSN#SCHEMA`."""
    dsn, _, schema = place.partition("#")
    store: MortalFile | MortalServer
    if schema:
        store = MortalServer(dsn, schema=schema, max_takeovers=1000)
    else:
        store = MortalFile(Path(place) / "runs.db", durability="process", max_takeovers=1000)
    store.death = death
    return store


def declared() -> Workflow[None, Effects, int, int]:
    """Build a node, a question and an event side by side with a node behind each, a time, and a node at the end."""
    wf = WorkflowBuilder(name="patient", deps_type=Effects, input_type=int, output_type=int)

    @wf.function
    async def prepare(ctx: StepContext[None, Effects, int]) -> int:
        await ctx.deps.body(0)
        return ctx.inputs

    @wf.ask(answer=int)
    async def approve(ctx: StepContext[None, Effects, int]) -> str:
        await ctx.deps.body(0)
        return f"May {ctx.inputs} be paid?"

    paid: Any = wf.wait_for("paid", int)

    @wf.function
    async def note(ctx: StepContext[None, Effects, int]) -> int:
        await ctx.deps.body(1)
        return ctx.inputs

    @wf.function
    async def book(ctx: StepContext[None, Effects, int]) -> int:
        await ctx.deps.body(1)
        return 10 * ctx.inputs

    nap: Any = wf.sleep(0.005, node_id="nap")
    total = wf.join(reduce_sum, initial=0, node_id="total")

    @wf.function
    async def close(ctx: StepContext[None, Effects, int]) -> int:
        await ctx.deps.body(1)
        return ctx.inputs

    wf.edge(wf.start_node, prepare)
    wf.edge(prepare, approve)
    wf.edge(prepare, paid)
    wf.edge(approve, note)
    wf.edge(paid, book)
    wf.edge(note, total)
    wf.edge(book, total)
    wf.edge(total, nap)
    wf.edge(nap, close)
    wf.edge(close, wf.end_node)
    return wf.build()


WORKFLOW = declared()


async def stopped(run: Run[int], *, task_status: TaskStatus[None]) -> None:
    """Stop a run when this process is asked to end."""
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            run.stop()


def live(folder: str, store_in: str, death: Death | None) -> None:
    """Begin or go on with the one run until it ends or this process dies. store_in: see `store_at`."""
    place = Path(folder)
    store = store_at(store_in, death)

    async def main(effects: Effects) -> None:
        output = ""
        async with Engine(store) as engine:
            row = await store.row(RUN)
            effects.write(f"= {0 if row is None else row.seq}")
            async with anyio.create_task_group() as group:
                try:
                    run = await engine.start(WORKFLOW, inputs=100, deps=effects, run_id=RUN)
                    await group.start(stopped, run)
                    if await run.settle() == "waiting":
                        effects.write(WAITS)
                    output = str(await run.result())
                except RunCancelled:
                    output = "cancelled"
                except RunWaiting:
                    output = "waiting"
                group.cancel_scope.cancel()
            (place / "output").write_text(output)

    with Effects(place / "effects").open() as effects:
        anyio.run(main, effects)


def warm_up() -> None:
    """Run once in memory as far as it goes, so that a process forked from this one has everything loaded."""

    async def main(effects: Effects) -> None:
        async with Engine("memory:") as engine:
            await (await engine.start(WORKFLOW, inputs=1, deps=effects)).settle()

    with Effects(Path(os.devnull)).open() as effects:
        anyio.run(main, effects)
