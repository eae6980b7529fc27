"""Milepost without a store, and with SQLite and PostgreSQL at both durabilities."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from benchmarks.graphs import Book, Gate, declare, state_of
from benchmarks.jobs import Job, Kind
from benchmarks.peers.peer import KEEPS_NOTHING, NotKept, NotStopped, Once, Peer, Place, Store
from benchmarks.slow_disk import MILLISECONDS
from milepost import Engine, NodeError, Workflow, WorkflowBuilder

Built = Workflow[Book | None, None, int, int]


def _url(store: Store, durability: str, place: Place) -> str | None:
    match store:
        case Store.SQLITE:
            return f"sqlite:///{place.folder / 'runs.db'}?durability={durability}"
        case Store.POSTGRES:
            return f"{place.dsn}&durability={durability}"
        case _:
            return None


def _build(job: Job, gate: Gate | None = None) -> Built:
    builder = WorkflowBuilder(name="job", state_type=type(state_of(job)), input_type=int, output_type=int)
    declare(builder, job, gate)
    return builder.build()


async def _run(engine: Engine, workflow: Built, job: Job, run_id: str | None = None) -> int:
    run = await engine.start(workflow, inputs=0, state=state_of(job), run_id=run_id)
    answer: int = await run.result()
    return answer


def _ready(name: str, store: Store, durability: str) -> Callable[[Job, Place], AbstractAsyncContextManager[Once]]:
    @asynccontextmanager
    async def ready(job: Job, place: Place) -> AsyncGenerator[Once]:
        url = _url(store, durability, place)
        if job.kind is Kind.RESUME:
            yield await _stopped(name, _url(store, "process", place), url, job)
            return
        workflow = _build(job)
        async with Engine(url) as engine:

            async def one() -> int:
                return await _run(engine, workflow, job)

            async def many() -> int:
                return sum(await asyncio.gather(*(one() for _ in range(job.size))))

            yield many if job.kind is Kind.RUNS else one
            if url is not None:
                kept = sum(run.seq for run in await engine.runs())
                if kept < job.units:
                    raise NotKept(name, job, kept)

    return ready


async def _stopped(name: str, quick_url: str | None, url: str | None, job: Job) -> Once:
    """Let a run come to its gate, and return what opens the store again and finishes it.

    quick_url: of the same store, at the durability at which the run comes there sooner; its records are the same.
    """
    gate = Gate()
    workflow = _build(job, gate)
    async with Engine(quick_url) as engine:
        try:
            await _run(engine, workflow, job, "stopped")
        except NodeError:
            gate.is_open = True
        else:
            raise NotStopped(name)

    async def once() -> int:
        async with Engine(url) as engine:
            return await _run(engine, workflow, job, "stopped")

    return once


def _peer(
    name: str, store: Store, durability: str, configuration: str, missing: Mapping[Kind, str] | None = None
) -> Peer:
    return Peer(
        name,
        store,
        ("milepost",) if store is not Store.POSTGRES else ("milepost", "psycopg"),
        configuration,
        _ready(name, store, durability),
        package="import milepost" if store is Store.NONE else None,
        imports="from milepost import Engine, StepContext, WorkflowBuilder" if store is Store.NONE else None,
        missing=missing or (KEEPS_NOTHING if store is Store.NONE else {}),
    )


PROCESS, POWER = (
    "every record is committed; survives the death of the process",
    "every record survives the machine's death",
)
PEERS = {
    "milepost": _peer("Milepost", Store.NONE, "", "No store."),
    "milepost-sqlite-none": _peer(
        "Milepost, none",
        Store.SQLITE,
        "none",
        '`durability="none"`: synchronous=OFF, as process; the machine\'s death may damage the file.',
    ),
    "milepost-sqlite-process": _peer(
        "Milepost, process", Store.SQLITE, "process", f'`durability="process"`: synchronous=NORMAL, {PROCESS}.'
    ),
    "milepost-sqlite-power": _peer(
        "Milepost, power",
        Store.SQLITE,
        "power",
        f'`durability="power"`, the default: synchronous=FULL, {POWER}.',
    ),
    "milepost-sqlite-power-slow": _peer(
        "Milepost, power, slow disk",
        Store.SQLITE,
        "power",
        f"The same on a disk that takes {MILLISECONDS} ms longer to sync.",
        {kind: "" for kind in Kind if kind not in (Kind.LOOP, Kind.RUNS)},
    ),
    "milepost-postgres-process": _peer(
        "Milepost, process",
        Store.POSTGRES,
        "process",
        f'`durability="process"`, and "none", which is the same here: synchronous_commit=off, {PROCESS}.',
    ),
    "milepost-postgres-power": _peer(
        "Milepost, power",
        Store.POSTGRES,
        "power",
        f'`durability="power"`, the default: synchronous_commit=on, {POWER}.',
    ),
}
