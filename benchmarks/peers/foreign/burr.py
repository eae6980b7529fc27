"""Burr as its documentation shows it: without a persister, and with those for SQLite and PostgreSQL.

Loops and chains use synchronous actions, which are Burr's fastest; what runs side by side uses asynchronous ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count, pairwise
from typing import Any

import asyncpg
from burr.core import ApplicationBuilder, State, action, default, when
from burr.core.graph import Graph, GraphBuilder
from burr.core.parallelism import MapStates, RunnableGraph
from burr.core.persistence import SQLitePersister
from burr.integrations.persisters.b_aiosqlite import AsyncSQLitePersister
from burr.integrations.persisters.b_asyncpg import AsyncPostgreSQLPersister

from benchmarks.jobs import PAGE, RUN_LENGTH, Job, Kind
from benchmarks.peers.peer import KEEPS_NOTHING, NotKept, NotStopped, Once, Peer, Place, Store, hold_pragma

Pragmas = tuple[tuple[str, str], ...]
WAL: Pragmas = (("journal_mode", "wal"), ("synchronous", "NORMAL"))
SIDE_BY_SIDE = (Kind.MAP, Kind.NEST, Kind.RUNS)


class Stopped(Exception):
    """A run of the job "resume" has come to where it is to stop the first time."""


class Gate:
    """Whether the last action of the job "resume" passes."""

    is_open = False


@action(reads=["value"], writes=["value"])
def _count(state: State) -> State:
    return state.update(value=state["value"] + 1)


@action(reads=["value"], writes=["value"])
async def _count_async(state: State) -> State:
    return state.update(value=state["value"] + 1)


@action(reads=["value", "pages"], writes=["value", "pages"])
def _add_page(state: State) -> State:
    return state.append(pages=PAGE).update(value=state["value"] + 1)


@action(reads=["value", "pages"], writes=["value", "pages"])
async def _add_page_async(state: State) -> State:
    return state.append(pages=PAGE).update(value=state["value"] + 1)


@action(reads=["value"], writes=["value"])
def _done(state: State) -> State:
    return state


@action(reads=["value"], writes=["value"])
async def _done_async(state: State) -> State:
    return state


@action(reads=["item"], writes=["value"])
async def _double(state: State) -> State:
    return state.update(value=state["item"] * 2)


def _gate(gate: Gate, is_async: bool) -> Any:
    def passes(state: State) -> State:
        if not gate.is_open:
            raise Stopped
        return state

    async def passes_async(state: State) -> State:
        return passes(state)

    return action(reads=["value"], writes=["value"])(passes_async if is_async else passes)


class _Each(MapStates):
    """The items of a map, or of one shelf."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def is_async(self) -> bool:
        return True

    def action(self, state: State, inputs: dict[str, Any]) -> Any:
        return _double

    def states(self, state: State, context: Any, inputs: dict[str, Any]) -> Any:
        first = state.get("shelf", 0) * self.size
        for item in range(first, first + self.size):
            yield state.update(item=item)

    async def reduce(self, state: State, states: Any) -> State:
        total = 0
        async for one in states:
            total += one["value"]
        return state.update(value=total)

    @property
    def reads(self) -> list[str]:
        return ["value"]

    @property
    def writes(self) -> list[str]:
        return ["value"]


class _Shelves(_Each):
    """The shelves of a nested map, each a graph with a map of its own."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        graph = GraphBuilder().with_actions(each=_Each(size)).build()
        self.shelf = RunnableGraph(graph=graph, entrypoint="each", halt_after=["each"])

    def action(self, state: State, inputs: dict[str, Any]) -> Any:
        return self.shelf

    def states(self, state: State, context: Any, inputs: dict[str, Any]) -> Any:
        for number in range(self.size):
            yield state.update(shelf=number)


Declared = tuple[Graph, str, str]
"""A graph that all runs share, where a run begins, and where it ends."""


def _loop(size: int, body: Any, last: Any) -> Declared:
    transitions = [("count", "last", when(value=size)), ("count", "count", default)]
    return GraphBuilder().with_actions(count=body, last=last).with_transitions(*transitions).build(), "count", "last"


def _declare(job: Job, gate: Gate, is_async: bool) -> Declared:
    body, done = (_count_async, _done_async) if is_async else (_count, _done)
    match job.kind:
        case Kind.CHAIN:
            names = [f"count_{number}" for number in range(job.size)]
            builder = GraphBuilder().with_actions(**dict.fromkeys(names, body))
            return builder.with_transitions(*pairwise(names)).build(), names[0], names[-1]
        case Kind.MAP:
            return GraphBuilder().with_actions(each=_Each(job.size)).build(), "each", "each"
        case Kind.NEST:
            return GraphBuilder().with_actions(each=_Shelves(job.size)).build(), "each", "each"
        case Kind.RUNS:
            return _loop(RUN_LENGTH, body, done)
        case Kind.GROW:
            return _loop(job.size, _add_page_async if is_async else _add_page, done)
        case Kind.RESUME:
            return _loop(job.size, body, _gate(gate, is_async))
        case _:
            return _loop(job.size, body, done)


@asynccontextmanager
async def _persister(store: Store, place: Place, is_async: bool, pragmas: Pragmas) -> AsyncGenerator[Any]:
    file = str(place.folder / "burr.db")
    match store:
        case Store.SQLITE if is_async:
            async with AsyncSQLitePersister.from_values(file) as opened:
                await opened.initialize()
                for name, value in pragmas:
                    async with opened.connection.execute(f"PRAGMA {name}={value}"):
                        pass
                    async with opened.connection.execute(f"PRAGMA {name}") as cursor:
                        hold_pragma(name, value, (await cursor.fetchone())[0])
                yield opened
        case Store.SQLITE:
            with SQLitePersister.from_values(file) as opened:
                opened.initialize()
                for name, value in pragmas:
                    opened.connection.execute(f"PRAGMA {name}={value}")
                    hold_pragma(name, value, opened.connection.execute(f"PRAGMA {name}").fetchone()[0])
                yield opened
        case Store.POSTGRES:
            AsyncPostgreSQLPersister._pool = None  # its class keeps the pool of the database before
            pool = await asyncpg.create_pool(place.dsn, min_size=1, max_size=10)
            opened = AsyncPostgreSQLPersister(connection=None, pool=pool)
            await opened.initialize()
            yield opened
            await pool.close()
        case _:
            yield None


async def _run(job: Job, declared: Declared, persister: Any, is_async: bool, name: str, resumes: bool = False) -> int:
    graph, first, last = declared
    builder = ApplicationBuilder().with_graph(graph).with_identifiers(app_id=name, partition_key="bench")
    if resumes:
        builder = builder.initialize_from(persister, True, {}, first)
    else:
        builder = builder.with_entrypoint(first).with_state(**job.beginning)
    if persister is not None:
        builder = builder.with_state_persister(persister)
    if is_async:
        _, _, state = await (await builder.abuild()).arun(halt_after=[last])
    else:
        _, _, state = builder.build().run(halt_after=[last])
    return len(state["pages"]) if job.kind is Kind.GROW else int(state["value"])


async def _kept(persister: Any, place: Place) -> int:
    if isinstance(persister, SQLitePersister):
        return persister.connection.execute("SELECT count(*) FROM burr_state").fetchone()[0]
    if isinstance(persister, AsyncSQLitePersister):
        cursor = await persister.connection.execute("SELECT count(*) FROM burr_state")
        return (await cursor.fetchone())[0]
    return await persister.pool.fetchval("SELECT count(*) FROM burr_state")


def _ready(store: Store, pragmas: Pragmas = ()) -> Any:
    @asynccontextmanager
    async def ready(job: Job, place: Place) -> AsyncGenerator[Once]:
        is_async = store is Store.POSTGRES or job.kind in SIDE_BY_SIDE
        gate, names = Gate(), count()
        declared = _declare(job, gate, is_async)
        if job.kind is Kind.RESUME:
            async with _persister(store, place, is_async, pragmas) as persister:
                try:
                    await _run(job, declared, persister, is_async, "stopped")
                except Stopped:
                    gate.is_open = True
                else:
                    raise NotStopped("Burr")

            async def again() -> int:
                async with _persister(store, place, is_async, pragmas) as persister:
                    return await _run(job, declared, persister, is_async, "stopped", resumes=True)

            yield again
            return
        async with _persister(store, place, is_async, pragmas) as persister:

            async def one() -> int:
                return await _run(job, declared, persister, is_async, str(next(names)))

            async def many() -> int:
                return sum(await asyncio.gather(*(one() for _ in range(job.size))))

            yield many if job.kind is Kind.RUNS else one
            if persister is not None and (kept := await _kept(persister, place)) < job.units:
                raise NotKept("Burr", job, kept)

    return ready


def _peer(name: str, store: Store, configuration: str, *more: str, pragmas: Pragmas = ()) -> Peer:
    is_first = store is Store.NONE
    return Peer(
        name,
        store,
        ("burr", *more),
        configuration,
        _ready(store, pragmas),
        package="import burr" if is_first else None,
        imports="from burr.core import ApplicationBuilder, State, action, default, when" if is_first else None,
        missing=KEEPS_NOTHING if is_first else {},
    )


PERSISTERS = "`SQLitePersister`, `AsyncSQLitePersister` side by side"
HOW = (
    "one graph for all runs; synchronous actions for loops and chains, asynchronous ones and `MapStates` for what runs "
    "side by side"
)
PEERS = {
    "burr": _peer("Burr", Store.NONE, f"No persister; {HOW}."),
    "burr-sqlite": _peer(
        "Burr",
        Store.SQLITE,
        f"{PERSISTERS}, as they are (a rollback journal, synchronous=FULL); {HOW}.",
        "aiosqlite",
    ),
    "burr-sqlite-normal": _peer(
        "Burr, NORMAL",
        Store.SQLITE,
        f"{PERSISTERS}, whose connections were set to WAL and synchronous=NORMAL; {HOW}.",
        "aiosqlite",
        pragmas=WAL,
    ),
    "burr-postgres": _peer(
        "Burr",
        Store.POSTGRES,
        "`AsyncPostgreSQLPersister` with a pool of 10 connections; one graph for all runs, asynchronous actions.",
        "asyncpg",
    ),
}
