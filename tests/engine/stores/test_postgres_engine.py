"""Fifty runs whose PostgreSQL is killed in the middle: nothing committed is lost, and nothing committed runs again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field, replace

import anyio
import anyio.lowlevel
import pytest
from anyio.to_thread import run_sync

from milepost.engine.current import current
from milepost.engine.engine import Engine
from milepost.engine.errors import RunBusy, StoreError
from milepost.engine.journal import Kind, from_text
from milepost.engine.opening import verify
from milepost.engine.run import Run
from milepost.engine.stores.postgres import PostgresStore
from milepost.engine.stores.store import Durability, RunRow, Store
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.testing.contract.place import opened
from milepost.workflows.builder import WorkflowBuilder
from tests.loops import asyncio_only
from tests.postgres import Server, running

pytestmark = [pytest.mark.anyio, asyncio_only]

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


class Patient(PostgresStore):
    """A store that waits for the leases of the dead to run out."""

    async def acquire(self, run_id: str) -> RunRow:
        while True:
            try:
                return await super().acquire(run_id)
            except RunBusy:
                await anyio.lowlevel.checkpoint()


@pytest.fixture
def server() -> Generator[Server]:
    with running() as made:
        yield made


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


async def test_runs_wait_for_a_server_that_is_killed_and_comes_back(server: Server) -> None:
    bodies = Bodies(enough=RUNS * TASKS // 3)
    store = PostgresStore(server.dsn)

    async def crash() -> None:
        await bodies.begun.wait()
        server.kill()
        await run_sync(server.start)

    assert await outcomes(store, bodies, crash) == [LAPS] * RUNS
    assert len(bodies.ran) == RUNS * TASKS
    assert set(bodies.ran.values()) == {1}
    assert await kept_by(store) == set(bodies.ran)


@pytest.mark.parametrize("durability", ["power", "process"])
async def test_runs_that_lost_their_server_for_too_long_are_resumed_where_they_stood(
    server: Server, durability: Durability
) -> None:
    bodies = Bodies(enough=RUNS * TASKS // 3)

    async def crash() -> None:
        await bodies.begun.wait()
        server.kill()

    found = await outcomes(PostgresStore(server.dsn, durability=durability, patience=0.5, ttl=0.5), bodies, crash)
    assert sum(isinstance(outcome, StoreError) for outcome in found) >= RUNS // 5
    server.start()
    kept = await kept_by(PostgresStore(server.dsn))
    assert kept <= set(bodies.ran)

    again = Bodies()
    assert await outcomes(Patient(server.dsn, durability=durability), again, nothing) == [LAPS] * RUNS
    assert not kept & set(again.ran), "what was committed has run again"
    assert set(bodies.ran) - kept <= set(again.ran), "what was not committed has not run again"
    assert set(again.ran.values()) == {1}


async def test_runs_of_a_server_that_loses_its_last_second_stop_or_end_right(server: Server) -> None:
    bodies = Bodies(enough=RUNS * TASKS // 3)

    async def crash() -> None:
        await bodies.begun.wait()
        server.kill()
        await run_sync(server.start)

    for outcome in await outcomes(PostgresStore(server.dsn, durability="process", ttl=0.5), bodies, crash):
        assert outcome == LAPS or "has lost the newest checkpoints of run" in str(outcome)
    again = Bodies()
    kept = await kept_by(PostgresStore(server.dsn))
    assert await outcomes(Patient(server.dsn), again, nothing) == [LAPS] * RUNS
    assert not kept & set(again.ran)
