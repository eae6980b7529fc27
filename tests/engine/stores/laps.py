"""Fifty runs that count up, by a map and a join in each lap, and what is left of them in a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace

import anyio
import anyio.lowlevel

from milepost.engine.current import current
from milepost.engine.engine import Engine
from milepost.engine.errors import StoreError
from milepost.engine.journal import Kind
from milepost.engine.journal_text import from_text
from milepost.engine.opening import verify
from milepost.engine.run import Run
from milepost.engine.stores.store import Store
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.testing.contract.place import opened
from milepost.workflows.builder import WorkflowBuilder

RUNS = 50
LAPS = 8
WIDTH = 3
TASKS = LAPS * (WIDTH + 3)
NAMES = [f"r-{number}" for number in range(RUNS)]


@dataclass
class Bodies:
    """ran: how often the body of each task has begun, by run and key. begun: so many have."""

    enough: int = 0
    begun: anyio.Event = field(default_factory=anyio.Event)
    ran: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])

    async def begin(self) -> None:
        this = current()
        self.ran[this.run_id, this.task] += 1
        if self.ran.total() == self.enough:
            self.begun.set()
        await anyio.lowlevel.checkpoint()


def laps() -> Workflow[None, Bodies, int, int]:
    """Count up by a map of three and a join in each lap."""
    wf = WorkflowBuilder(name="laps", deps_type=Bodies, input_type=int, output_type=int)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect", preferred_parent_fork="closest")

    @wf.function
    async def spread(ctx: StepContext[None, Bodies, int]) -> list[int]:
        await ctx.deps.begin()
        return [ctx.inputs] * WIDTH

    @wf.function
    async def grow(ctx: StepContext[None, Bodies, int]) -> int:
        await ctx.deps.begin()
        return ctx.inputs + 1

    @wf.function
    async def gather(ctx: StepContext[None, Bodies, list[int]]) -> int:
        await ctx.deps.begin()
        assert len(ctx.inputs) == WIDTH
        return max(ctx.inputs)

    @wf.decide
    async def enough(ctx: StepContext[None, Bodies, int]) -> bool:
        await ctx.deps.begin()
        return ctx.inputs >= LAPS

    wf.edge(wf.start_node, spread)
    wf.edge(spread, wf.each(grow, join=collect))
    wf.edge(collect, gather)
    wf.edge(gather, enough)
    wf.edge(enough, wf.end_node, when=True)
    wf.edge(enough, spread, when=False)
    return wf.build()


WORKFLOW = laps()


async def completed(store: Store, run_id: str) -> set[tuple[str, str]]:
    """The tasks of a run that are committed as completed, in a journal that holds together or is lost as a whole."""
    row = await store.row(run_id)
    if row is None:
        return set()
    stored = await store.records(run_id)
    verify(replace(row, snapshot_seq=0), stored, "")
    records = [from_text(one.seq, one.body, one.content) for one in stored]
    return {(run_id, record.task) for record in records if record.kind is Kind.COMPLETED}


async def kept_by(store: Store) -> set[tuple[str, str]]:
    """What is committed of all runs, when nobody drives them."""
    async with opened(store):
        return set[tuple[str, str]]().union(*[await completed(store, name) for name in NAMES])


async def outcomes(
    store: Store, bodies: Bodies, meanwhile: Callable[[], Coroutine[object, object, None]]
) -> list[int | StoreError]:
    """Drive all runs while something happens; return their results, or why they failed."""
    found: list[int | StoreError] = []
    async with anyio.create_task_group() as tasks, Engine(store) as engine:
        runs: list[Run[int]] = []
        for name in NAMES:
            runs.append(await engine.start(WORKFLOW, inputs=0, deps=bodies, run_id=name))
        tasks.start_soon(meanwhile)
        for run in runs:
            try:
                found.append(await run.result())
            except StoreError as error:
                found.append(error)
    return found


async def nothing() -> None:
    """Let nothing happen meanwhile."""
