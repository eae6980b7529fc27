"""LangGraph as its documentation shows it: without a checkpointer, and with the one for SQLite in asynchronous code.

Nothing of it is tuned: the checkpointer leaves SQLite at `synchronous=FULL`, and the run at `durability="async"`, which
writes a checkpoint while the next step runs.
"""

from __future__ import annotations

import operator
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.constants import END, START
from langgraph.graph.state import StateGraph  # pyright: ignore[reportMissingTypeStubs]  # it has none
from langgraph.types import Send

from benchmarks.jobs import Job, Kind
from benchmarks.peers.peer import NotKept, Once, Peer


class Counting(TypedDict):
    """The state of a loop or a chain."""

    value: int


class Summing(TypedDict):
    """The state of a map: the items' results are added up as they come."""

    value: Annotated[int, operator.add]


class Item(TypedDict):
    """What one item of a map is given."""

    item: int


async def _count(state: Counting) -> Counting:
    return {"value": state["value"] + 1}


async def _double(state: Item) -> Summing:
    return {"value": state["item"] * 2}


def _loop(size: int) -> Any:
    graph: Any = StateGraph(Counting)
    graph.add_node("count", _count)
    graph.add_edge(START, "count")

    def again(state: Counting) -> str:
        return "count" if state["value"] < size else END

    graph.add_conditional_edges("count", again, ["count", END])
    return graph


def _chain(size: int) -> Any:
    graph: Any = StateGraph(Counting)
    names = [f"count_{number}" for number in range(size)]
    for name in names:
        graph.add_node(name, _count)
    for source, target in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(source, target)
    return graph


def _map(size: int) -> Any:
    graph: Any = StateGraph(Summing)
    graph.add_node("double", _double)

    def each(_: Summing) -> list[Send]:
        return [Send("double", {"item": item}) for item in range(size)]

    graph.add_conditional_edges(START, each, ["double"])
    graph.add_edge("double", END)
    return graph


def _declare(job: Job) -> Any:
    match job.kind:
        case Kind.LOOP:
            return _loop(job.size)
        case Kind.CHAIN:
            return _chain(job.size)
        case Kind.MAP:
            return _map(job.size)


def _once(compiled: Any, job: Job) -> Once:
    threads = count()

    async def once() -> int:
        config = {"configurable": {"thread_id": str(next(threads))}, "recursion_limit": job.size + 10}
        state = await compiled.ainvoke({"value": 0}, config)
        return int(state["value"])

    return once


@asynccontextmanager
async def _in_memory(job: Job, folder: Path) -> AsyncGenerator[Once]:
    yield _once(_declare(job).compile(), job)


@asynccontextmanager
async def _in_sqlite(job: Job, folder: Path) -> AsyncGenerator[Once]:
    async with AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints.db")) as saver:
        await saver.setup()
        yield _once(_declare(job).compile(checkpointer=saver), job)
        table = "writes" if job.kind is Kind.MAP else "checkpoints"  # all items of a map are one step of LangGraph's
        async with saver.conn.execute(f"SELECT count(*) FROM {table}") as cursor:
            row = await cursor.fetchone()
        kept = int(row[0]) if row else 0
        if kept < job.units:
            raise NotKept("LangGraph", job, kept)


PEERS = {
    "langgraph": Peer("LangGraph", ("langgraph",), _in_memory),
    "langgraph-sqlite": Peer("LangGraph, SQLite", ("langgraph", "langgraph-checkpoint-sqlite"), _in_sqlite),
}
