"""Fifty runs whose PostgreSQL is killed in the middle: nothing committed is lost, and nothing committed runs again."""

from __future__ import annotations

from collections.abc import Generator

import anyio.lowlevel
import pytest
from anyio.to_thread import run_sync

from milepost.engine.errors import RunBusy, StoreError
from milepost.engine.stores.postgres import PostgresStore
from milepost.engine.stores.store import Durability, RunRow
from tests.engine.stores.laps import LAPS, RUNS, TASKS, Bodies, kept_by, nothing, outcomes
from tests.loops import asyncio_only
from tests.postgres import Server, running

pytestmark = [pytest.mark.anyio, asyncio_only]


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
