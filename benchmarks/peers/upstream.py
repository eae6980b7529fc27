"""pydantic-graph with its own executor, which keeps nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.graphs import Builder, declare
from benchmarks.jobs import Job
from benchmarks.peers.peer import Once, Peer
from milepost.engine.typed import GraphBuilder


@asynccontextmanager
async def _ready(job: Job, folder: Path) -> AsyncGenerator[Once]:
    builder: Builder = GraphBuilder(name="job", input_type=int, output_type=int)
    declare(builder, job)
    graph = builder.build()

    async def once() -> int:
        return await graph.run(inputs=0)

    yield once


PEERS = {"pydantic-graph": Peer("pydantic-graph", ("pydantic-graph",), _ready)}
