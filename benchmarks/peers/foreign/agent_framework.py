"""Microsoft's agent-framework as its documentation shows it: without checkpoints, and with those in files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Never

from agent_framework import Executor, FileCheckpointStorage, WorkflowBuilder, WorkflowContext, handler

from benchmarks.jobs import PAGE, PAGES, RUN_LENGTH, Job, Kind
from benchmarks.peers.peer import KEEPS_NOTHING, NotKept, NotStopped, Once, Peer, Place, Store


class Stopped(Exception):
    """A run of the job "resume" has come to where it is to stop the first time."""


class Gate:
    """Whether the last executor of the job "resume" passes."""

    is_open = False


class Count(Executor):
    """A node that counts."""

    @handler
    async def count(self, value: int, ctx: WorkflowContext[int]) -> None:
        await ctx.send_message(value + 1)


class AddPage(Executor):
    """A node that adds a page to the state of the workflow."""

    @handler
    async def add(self, value: int, ctx: WorkflowContext[int]) -> None:
        pages = [*ctx.get_state("pages", []), PAGE]
        ctx.set_state("pages", pages)
        await ctx.send_message(len(pages))


class CountInBook(Executor):
    """A node that counts in a state that has a mebibyte."""

    @handler
    async def count(self, value: int, ctx: WorkflowContext[int]) -> None:
        if ctx.get_state("pages") is None:
            ctx.set_state("pages", [PAGE] * PAGES)
        counted = ctx.get_state("count", 0) + 1
        ctx.set_state("count", counted)
        await ctx.send_message(counted)


class Last(Executor):
    """The end, behind a gate or not."""

    def __init__(self, id: str, gate: Gate | None = None) -> None:
        super().__init__(id=id)
        self.gate = gate

    @handler
    async def last(self, value: int, ctx: WorkflowContext[Never, int]) -> None:
        if self.gate is not None and not self.gate.is_open:
            raise Stopped
        await ctx.yield_output(value)


class Split(Executor):
    """Sends a message for each item."""

    @handler
    async def split(self, size: int, ctx: WorkflowContext[int]) -> None:
        for item in range(size):
            await ctx.send_message(item)


class Double(Executor):
    """Doubles an item."""

    @handler
    async def double(self, item: int, ctx: WorkflowContext[int]) -> None:
        await ctx.send_message(item * 2)


class Total(Executor):
    """Adds up, and counts by hand whether all items have come."""

    def __init__(self, id: str, size: int) -> None:
        super().__init__(id=id)
        self.size, self.found, self.total = size, 0, 0

    @handler
    async def add(self, value: int, ctx: WorkflowContext[Never, int]) -> None:
        self.found += 1
        self.total += value
        if self.found == self.size:
            await ctx.yield_output(self.total)


def _loop(size: int, body: Executor, last: Executor, **options: Any) -> Any:
    builder = WorkflowBuilder(start_executor=body, max_iterations=size + 10, name="job", **options)
    builder = builder.add_edge(body, body, condition=lambda value: value < size)
    return builder.add_edge(body, last, condition=lambda value: value >= size).build()


def _declare(job: Job, gate: Gate | None = None, **options: Any) -> Any:
    match job.kind:
        case Kind.CHAIN:
            nodes = [Count(id=f"count_{number}") for number in range(job.size)]
            builder = WorkflowBuilder(start_executor=nodes[0], max_iterations=job.size + 10, name="job", **options)
            return builder.add_chain([*nodes, Last("last")]).build()
        case Kind.MAP:
            split, double, total = Split(id="split"), Double(id="double"), Total("total", job.size)
            builder = WorkflowBuilder(start_executor=split, name="job", **options)
            return builder.add_edge(split, double).add_edge(double, total).build()
        case Kind.RUNS:
            return _loop(RUN_LENGTH, Count(id="count"), Last("last"), **options)
        case Kind.GROW:
            return _loop(job.size, AddPage(id="add"), Last("last"), **options)
        case Kind.LARGE:
            return _loop(job.size, CountInBook(id="count"), Last("last"), **options)
        case _:
            return _loop(job.size, Count(id="count"), Last("last", gate), **options)


async def _run(workflow: Any, job: Job) -> int:
    return (await workflow.run(job.size if job.kind is Kind.MAP else 0)).get_outputs()[-1]


def _once(job: Job, options: dict[str, Any]) -> Once:
    prepared = [_declare(job, **options) for _ in range(job.size if job.kind is Kind.RUNS else job.runs)]

    async def one() -> int:
        return await _run(prepared.pop(), job)

    async def many() -> int:
        return sum(await asyncio.gather(*(_run(workflow, job) for workflow in prepared)))

    return many if job.kind is Kind.RUNS else one


@asynccontextmanager
async def _in_memory(job: Job, place: Place) -> AsyncGenerator[Once]:
    yield _once(job, {})


@asynccontextmanager
async def _in_files(job: Job, place: Place) -> AsyncGenerator[Once]:
    storage = FileCheckpointStorage(place.folder)
    if job.kind is Kind.RESUME:
        gate = Gate()
        try:
            await _run(_declare(job, gate, checkpoint_storage=storage), job)
        except Stopped:
            gate.is_open = True
        else:
            raise NotStopped("agent-framework")

        async def again() -> int:
            storage = FileCheckpointStorage(place.folder)
            workflow = _declare(job, gate, checkpoint_storage=storage)
            latest = await storage.get_latest(workflow_name="job")
            return (await workflow.run(checkpoint_id=latest.checkpoint_id)).get_outputs()[-1]

        yield again
        return
    yield _once(job, {"checkpoint_storage": storage})
    kept = len(list(place.folder.glob("*.json")))
    if kept < (1 if job.kind is Kind.MAP else job.units):  # all items of a map are one superstep
        raise NotKept("agent-framework", job, kept)


NO_NEST = {Kind.NEST: "has no join within a map"}
IMPORTS = "from agent_framework import Executor, WorkflowBuilder, WorkflowContext, handler"
PEERS = {
    "agent-framework": Peer(
        "agent-framework",
        Store.NONE,
        ("agent-framework-core",),
        "`WorkflowBuilder` with executors; a map is many messages, and its join is counted by hand.",
        _in_memory,
        package="import agent_framework",
        imports=IMPORTS,
        missing={**KEEPS_NOTHING, **NO_NEST},
    ),
    "agent-framework-files": Peer(
        "agent-framework",
        Store.FILE,
        ("agent-framework-core",),
        "`FileCheckpointStorage`, a file for each superstep (without fsync).",
        _in_files,
        missing=NO_NEST,
    ),
}
