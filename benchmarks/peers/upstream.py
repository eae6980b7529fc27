"""pydantic-graph with its own executor, which keeps nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pydantic_graph

from benchmarks.graphs import declare, state_of
from benchmarks.jobs import Job, Kind
from benchmarks.peers.peer import KEEPS_NOTHING, Once, Peer, Place, Store


@asynccontextmanager
async def _ready(job: Job, place: Place) -> AsyncGenerator[Once]:
    classes: Any = pydantic_graph
    builder = classes.GraphBuilder(name="job", state_type=type(state_of(job)), input_type=int, output_type=int)
    declare(builder, job)
    graph = builder.build()

    async def one() -> int:
        answer: int = await graph.run(inputs=0, state=state_of(job))
        return answer

    async def many() -> int:
        return sum(await asyncio.gather(*(one() for _ in range(job.size))))

    yield many if job.kind is Kind.RUNS else one


PEERS = {
    "pydantic-graph": Peer(
        "pydantic-graph",
        Store.NONE,
        ("pydantic-graph",),
        "GraphBuilder and Graph.run, as its documentation begins; there is nothing to choose.",
        _ready,
        package="import pydantic_graph",
        imports="from pydantic_graph import GraphBuilder, StepContext",
        missing=KEEPS_NOTHING,
    )
}
