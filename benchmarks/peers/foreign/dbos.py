"""DBOS as its documentation shows it, with SQLite, which is its default for development, and with PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

from dbos import DBOS, SetWorkflowID
from dbos._error import DBOSAwaitedWorkflowCancelledError, DBOSWorkflowCancelledError

from benchmarks.jobs import PAGE, RUN_LENGTH, Job, Kind
from benchmarks.peers.peer import NotKept, Once, Peer, Place, Store


class Gate:
    """Whether the workflow of the job "resume" is to be stopped before its last step."""

    is_open = True


@DBOS.step()
async def add_one(value: int) -> int:
    return value + 1


@DBOS.step()
async def add_page(number: int) -> str:
    return PAGE


@DBOS.step()
async def double(item: int) -> int:
    return item * 2


@DBOS.workflow()
async def loop(size: int) -> int:
    value = 0
    while value < size:
        value = await add_one(value)
    return value


@DBOS.workflow()
async def grow(size: int) -> int:
    return len([await add_page(number) for number in range(size)])


@DBOS.workflow()
async def each(first: int, size: int) -> int:
    return sum(await asyncio.gather(*(double(item) for item in range(first, first + size))))


@DBOS.workflow()
async def nest(size: int) -> int:
    started = [await DBOS.start_workflow_async(each, number * size, size) for number in range(size)]
    return sum([await one.get_result() for one in started])


@DBOS.workflow()
async def stopping(size: int) -> int:
    value = 0
    while value < size:
        if value == size - 1 and not Gate.is_open:
            assert DBOS.workflow_id is not None
            await DBOS.cancel_workflow_async(DBOS.workflow_id)
        value = await add_one(value)
    return value


async def _run(job: Job) -> int:
    match job.kind:
        case Kind.MAP:
            return await each(0, job.size)
        case Kind.NEST:
            return await nest(job.size)
        case Kind.GROW:
            return await grow(job.size)
        case Kind.RUNS:
            started = [await DBOS.start_workflow_async(loop, RUN_LENGTH) for _ in range(job.size)]
            return sum(await asyncio.gather(*(one.get_result() for one in started)))
        case _:
            return await loop(job.size)


def _launch(url: str) -> None:
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url,
            "application_version": "1",
            "executor_id": "bench",
            "log_level": "ERROR",
            "console_log_level": "ERROR",
        }
    )
    DBOS.launch()


def _ready(store: Store) -> Any:
    numbers = count()

    @asynccontextmanager
    async def ready(job: Job, place: Place) -> AsyncGenerator[Once]:
        url = f"sqlite:///{place.folder / 'dbos.sqlite'}" if store is Store.SQLITE else place.dsn
        _launch(url)
        try:
            if job.kind is Kind.RESUME:
                yield await _stopped(job, url, f"stopped-{next(numbers)}")
                return

            async def once() -> int:
                return await _run(job)

            yield once
            steps = 0
            for one in await DBOS.list_workflows_async():
                steps += len(await DBOS.list_workflow_steps_async(one.workflow_id))
            if steps < job.units:
                raise NotKept("DBOS", job, steps)
        finally:
            DBOS.destroy()

    return ready


async def _stopped(job: Job, url: str, name: str) -> Once:
    Gate.is_open = False
    with SetWorkflowID(name), suppress(DBOSAwaitedWorkflowCancelledError, DBOSWorkflowCancelledError):
        await stopping(job.size)
    Gate.is_open = True

    async def once() -> int:
        DBOS.destroy()
        _launch(url)
        resumed = await DBOS.resume_workflow_async(name)
        return int(await resumed.get_result(polling_interval_sec=0.01))

    return once


def _peer(store: Store, configuration: str, is_first: bool, *more: str) -> Peer:
    return Peer(
        "DBOS",
        store,
        ("dbos", *more),
        configuration,
        _ready(store),
        package="import dbos" if is_first else None,
        imports="from dbos import DBOS" if is_first else None,
        missing={Kind.LARGE: "has no state"},
    )


HOW = (
    "asynchronous workflows and steps; maps by `asyncio.gather`, nested ones by child workflows; it has no state, so "
    "the "
    "output of a step is what grows; resumed by `resume_workflow`, through its queue, which "
    "is looked at once a second"
)
PEERS = {
    "dbos-sqlite": _peer(Store.SQLITE, f"SQLite as it is; {HOW}.", True),
    "dbos-postgres": _peer(Store.POSTGRES, f"PostgreSQL as it is; {HOW}.", False),
}
