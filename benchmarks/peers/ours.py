"""Milepost without a store and with SQLite, at both durabilities."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from benchmarks.graphs import declare
from benchmarks.jobs import Job
from benchmarks.peers.peer import NotKept, Once, Peer
from milepost import Engine, WorkflowBuilder


def _ready(name: str, durability: str | None) -> Callable[[Job, Path], AbstractAsyncContextManager[Once]]:
    @asynccontextmanager
    async def ready(job: Job, folder: Path) -> AsyncGenerator[Once]:
        builder = WorkflowBuilder(name="job", input_type=int, output_type=int)
        declare(builder, job)
        workflow = builder.build()
        store = None if durability is None else f"sqlite:///{folder / 'runs.db'}?durability={durability}"
        async with Engine(store) as engine:

            async def once() -> int:
                run = await engine.start(workflow, inputs=0)
                answer: int = await run.result()
                return answer

            yield once
            if durability is not None:
                kept = sum(run.seq for run in await engine.runs())
                if kept < job.units:
                    raise NotKept(name, job, kept)

    return ready


def _peer(name: str, durability: str | None) -> Peer:
    return Peer(name, ("milepost",), _ready(name, durability))


PEERS = {
    "memory": _peer("Milepost, no store", None),
    "process": _peer("Milepost, SQLite, process", "process"),
    "power": _peer("Milepost, SQLite, power", "power"),
}
