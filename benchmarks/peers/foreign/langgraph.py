"""LangGraph as its documentation shows it: without a checkpointer, and with those for SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from typing import Annotated, Any, TypedDict

from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from benchmarks.jobs import PAGE, RUN_LENGTH, Job, Kind
from benchmarks.peers.peer import KEEPS_NOTHING, NotKept, NotStopped, Once, Peer, Place, Store, hold_pragma


class Counting(TypedDict):
    """The state of a loop or a chain."""

    value: int


class Summing(TypedDict):
    """The state of a map: the items' results are added up as they come."""

    value: Annotated[int, operator.add]
    shelf: int


class Book(TypedDict):
    """The state of the jobs that have one: what a node returns is added to the pages."""

    value: int
    pages: Annotated[list[str], operator.add]


def _extended(pages: list[str], writes: list[list[str]]) -> list[str]:
    return [*pages, *(page for write in writes for page in write)]


class DeltaBook(TypedDict):
    """The same in a channel that is not written whole with every checkpoint."""

    value: int
    pages: Annotated[list[str], DeltaChannel(_extended)]


class Item(TypedDict):
    """What one item of a map is given."""

    item: int


class Stopped(Exception):
    """A run of the job "resume" has come to where it is to stop the first time."""


class Gate:
    """The last node of the job "resume": it fails until the gate is open."""

    is_open = False

    async def passes(self, state: Counting) -> dict[str, int]:
        if not self.is_open:
            raise Stopped
        return {"value": state["value"]}


async def _count(state: Counting) -> Counting:
    return {"value": state["value"] + 1}


async def _add_page(state: Counting) -> dict[str, object]:
    return {"value": state["value"] + 1, "pages": [PAGE]}


async def _double(state: Item) -> dict[str, int]:
    return {"value": state["item"] * 2}


def _loop(size: int, body: Any, schema: Any, gate: Gate | None = None) -> StateGraph:
    graph = StateGraph(schema)
    graph.add_node("count", body)
    graph.add_edge(START, "count")
    last = END
    if gate is not None:
        last = "gate"
        graph.add_node(last, gate.passes)
        graph.add_edge(last, END)

    def again(state: Counting) -> str:
        return "count" if state["value"] < size else last

    graph.add_conditional_edges("count", again, ["count", last])
    return graph


def _chain(size: int) -> StateGraph:
    graph = StateGraph(Counting)
    names = [f"count_{number}" for number in range(size)]
    for name in names:
        graph.add_node(name, _count)
    for source, target in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(source, target)
    return graph


def _map(size: int) -> StateGraph:
    graph = StateGraph(Summing)
    graph.add_node("double", _double)

    def each(state: Summing) -> list[Send]:
        shelf = state.get("shelf", 0)
        return [Send("double", {"item": item}) for item in range(shelf * size, (shelf + 1) * size)]

    graph.add_conditional_edges(START, each, ["double"])
    graph.add_edge("double", END)
    return graph


def _nest(size: int) -> StateGraph:
    graph = StateGraph(Summing)
    inner = _map(size).compile()

    async def shelf(state: Summing) -> dict[str, int]:
        done = await inner.ainvoke({"value": 0, "shelf": state["shelf"]}, {"recursion_limit": 10 * size})
        return {"value": done["value"]}

    def each(_: Summing) -> list[Send]:
        return [Send("shelf", {"value": 0, "shelf": number}) for number in range(size)]

    graph.add_node("shelf", shelf)
    graph.add_conditional_edges(START, each, ["shelf"])
    graph.add_edge("shelf", END)
    return graph


def _declare(job: Job, gate: Gate, book: Any = Book) -> StateGraph:
    match job.kind:
        case Kind.CHAIN:
            return _chain(job.size)
        case Kind.MAP:
            return _map(job.size)
        case Kind.NEST:
            return _nest(job.size)
        case Kind.RUNS:
            return _loop(RUN_LENGTH, _count, Counting)
        case Kind.GROW:
            return _loop(job.size, _add_page, book)
        case Kind.LARGE:
            return _loop(job.size, _count, book)
        case Kind.RESUME:
            return _loop(job.size, _count, Counting, gate)
        case _:
            return _loop(job.size, _count, Counting)


def _config(thread: int, job: Job) -> dict[str, object]:
    return {"configurable": {"thread_id": str(thread)}, "recursion_limit": job.size + RUN_LENGTH + 10}


def _once(compiled: Any, job: Job, options: dict[str, str]) -> Once:
    threads = count()

    async def one() -> int:
        state = await compiled.ainvoke(job.beginning, _config(next(threads), job), **options)
        return len(state["pages"]) if job.kind is Kind.GROW else int(state["value"])

    async def many() -> int:
        return sum(await asyncio.gather(*(one() for _ in range(job.size))))

    return many if job.kind is Kind.RUNS else one


@asynccontextmanager
async def _in_memory(job: Job, place: Place) -> AsyncGenerator[Once]:
    yield _once(_declare(job, Gate()).compile(), job, {})


@asynccontextmanager
async def _sqlite(place: Place, synchronous: str) -> AsyncGenerator[Any]:
    async with AsyncSqliteSaver.from_conn_string(str(place.folder / "checkpoints.db")) as saver:
        await saver.setup()
        await saver.conn.execute(f"PRAGMA synchronous={synchronous}")
        async with saver.conn.execute("PRAGMA synchronous") as cursor:
            hold_pragma("synchronous", synchronous, (await cursor.fetchone())[0])
        yield saver


async def _rows_in_sqlite(saver: Any, table: str) -> int:
    async with saver.conn.execute(f"SELECT count(*) FROM {table}") as cursor:
        return (await cursor.fetchone())[0]


@asynccontextmanager
async def _postgres(place: Place, synchronous: str) -> AsyncGenerator[Any]:
    async with AsyncPostgresSaver.from_conn_string(place.dsn) as saver:
        await saver.setup()
        yield saver


async def _rows_in_postgres(saver: Any, table: str) -> int:
    cursor = await saver.conn.execute(f"SELECT count(*) AS found FROM {table}")
    return (await cursor.fetchone())["found"]


def _durable(store: Store, durability: str, synchronous: str = "FULL", book: Any = Book) -> Any:
    opened = _sqlite if store is Store.SQLITE else _postgres
    rows = _rows_in_sqlite if store is Store.SQLITE else _rows_in_postgres
    options = {"durability": durability}

    @asynccontextmanager
    async def ready(job: Job, place: Place) -> AsyncGenerator[Once]:
        if job.kind is Kind.RESUME:
            async with _stopped(lambda: opened(place, synchronous), job, options) as once:
                yield once
            return
        async with opened(place, synchronous) as saver:
            yield _once(_declare(job, Gate(), book).compile(checkpointer=saver), job, options)
            # all items of a map are one step of LangGraph's
            is_map = job.kind in (Kind.MAP, Kind.NEST)
            kept = await rows(
                saver,
                "checkpoint_writes" if is_map and store is Store.POSTGRES else "writes" if is_map else "checkpoints",
            )
            if kept < (job.size if is_map else job.units):
                raise NotKept("LangGraph", job, kept)

    return ready


@asynccontextmanager
async def _stopped(opened: Any, job: Job, options: dict[str, str]) -> AsyncGenerator[Once]:
    gate = Gate()
    async with opened() as saver:
        try:
            await _declare(job, gate).compile(checkpointer=saver).ainvoke(job.beginning, _config(0, job), **options)
        except Stopped:
            gate.is_open = True
        else:
            raise NotStopped("LangGraph")
    graph = _declare(job, gate)

    async def once() -> int:
        async with opened() as saver:
            state = await graph.compile(checkpointer=saver).ainvoke(None, _config(0, job), **options)
        return int(state["value"])

    yield once


def _peer(
    name: str,
    store: Store,
    configuration: str,
    ready: AbstractAsyncContextManager[Once],
    *more: str,
    first: bool = False,
    missing: Mapping[Kind, str] | None = None,
) -> Peer:
    return Peer(
        name,
        store,
        ("langgraph", *more),
        configuration,
        ready,
        package="import langgraph.graph" if first else None,
        imports="from langgraph.graph import END, START, StateGraph\nfrom langgraph.types import Send"
        if first
        else None,
        missing=missing or {},
    )


DELTA = "the pages in a `DeltaChannel`, which is in beta and not written whole with every checkpoint"
ONLY_STATE = {kind: "" for kind in Kind if kind not in (Kind.GROW, Kind.LARGE)}
ASYNC = '`durability="async"`, the default: a checkpoint is written while the next step runs'
SYNC = '`durability="sync"`: a checkpoint is written before the next step'
IN_SQLITE, IN_POSTGRES = "langgraph-checkpoint-sqlite", "langgraph-checkpoint-postgres"
PEERS = {
    "langgraph": _peer(
        "LangGraph",
        Store.NONE,
        "`StateGraph` without a checkpointer; maps by `Send`.",
        _in_memory,
        first=True,
        missing=KEEPS_NOTHING,
    ),
    "langgraph-sqlite": _peer(
        "LangGraph, async",
        Store.SQLITE,
        f"`AsyncSqliteSaver` as it is (synchronous=FULL), {ASYNC}.",
        _durable(Store.SQLITE, "async"),
        IN_SQLITE,
    ),
    "langgraph-sqlite-normal": _peer(
        "LangGraph, async, NORMAL",
        Store.SQLITE,
        f"`AsyncSqliteSaver` with synchronous=NORMAL, {ASYNC}.",
        _durable(Store.SQLITE, "async", "NORMAL"),
        IN_SQLITE,
    ),
    "langgraph-sqlite-sync": _peer(
        "LangGraph, sync",
        Store.SQLITE,
        f"`AsyncSqliteSaver` as it is (synchronous=FULL), {SYNC}.",
        _durable(Store.SQLITE, "sync"),
        IN_SQLITE,
    ),
    "langgraph-sqlite-delta": _peer(
        "LangGraph, async, delta",
        Store.SQLITE,
        f"`AsyncSqliteSaver` as it is (synchronous=FULL), {ASYNC}; {DELTA}.",
        _durable(Store.SQLITE, "async", book=DeltaBook),
        IN_SQLITE,
        missing=ONLY_STATE,
    ),
    "langgraph-postgres": _peer(
        "LangGraph, async",
        Store.POSTGRES,
        f"`AsyncPostgresSaver.from_conn_string`, {ASYNC}.",
        _durable(Store.POSTGRES, "async"),
        IN_POSTGRES,
    ),
    "langgraph-postgres-sync": _peer(
        "LangGraph, sync",
        Store.POSTGRES,
        f"`AsyncPostgresSaver.from_conn_string`, {SYNC}.",
        _durable(Store.POSTGRES, "sync"),
        IN_POSTGRES,
    ),
    "langgraph-postgres-delta": _peer(
        "LangGraph, async, delta",
        Store.POSTGRES,
        f"`AsyncPostgresSaver.from_conn_string`, {ASYNC}; {DELTA}.",
        _durable(Store.POSTGRES, "async", book=DeltaBook),
        IN_POSTGRES,
        missing=ONLY_STATE,
    ),
}
