"""llama-index-workflows as its documentation shows it: as it is, and with its context in a file after each step."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from workflows.errors import WorkflowRuntimeError
from workflows.events import Event, StartEvent, StepState, StepStateChanged, StopEvent

from benchmarks.jobs import PAGE, PAGES, RUN_LENGTH, Job, Kind
from benchmarks.peers.peer import KEEPS_NOTHING, NotKept, Once, Peer, Place, Store
from workflows import Context, Workflow, step

KEPT = "context.json"


class Begin(StartEvent):
    """The start of a loop or a chain, or of a map of so many."""

    size: int


class Again(Event):
    """A step of a loop or a chain is next."""

    size: int
    value: int


class Item(Event):
    """An item of a map."""

    item: int


class Doubled(Event):
    """An item's result."""

    value: int


class Shelf(Event):
    """A branch of a nested map."""

    number: int
    size: int


class Part(Event):
    """The sum of a branch."""

    value: int


def _next(size: int, value: int) -> Again | StopEvent:
    return Again(size=size, value=value) if value < size else StopEvent(result=value)


class Loop(Workflow):
    """One step that counts and comes back to itself."""

    @step
    async def count(self, event: Begin | Again) -> Again | StopEvent:
        return _next(event.size, (event.value if isinstance(event, Again) else 0) + 1)


class Growing(Workflow):
    """A step that adds a page to the context's store."""

    @step
    async def add(self, context: Context, event: Begin | Again) -> Again | StopEvent:
        async with context.store.edit_state() as state:
            pages = state.get("pages", [])
            pages.append(PAGE)
            state["pages"] = pages
        return _next(event.size, len(pages))


class Large(Workflow):
    """A step that counts in the context's store, which has a mebibyte."""

    @step
    async def count(self, context: Context, event: Begin | Again) -> Again | StopEvent:
        async with context.store.edit_state() as state:
            if "pages" not in state:
                state["pages"] = [PAGE] * PAGES
            state["count"] = state.get("count", 0) + 1
            counted = state["count"]
        return _next(event.size, counted)


class Map(Workflow):
    """A list of events, a step for each, and one that is given all."""

    @step
    async def split(self, event: Begin) -> list[Item]:
        return [Item(item=item) for item in range(event.size)]

    @step
    async def double(self, event: Item) -> Doubled:
        return Doubled(value=event.item * 2)

    @step
    async def total(self, events: list[Doubled]) -> StopEvent:
        return StopEvent(result=sum(event.value for event in events))


class Nest(Workflow):
    """A map in each branch of a map."""

    @step
    async def shelves(self, event: Begin) -> list[Shelf]:
        return [Shelf(number=number, size=event.size) for number in range(event.size)]

    @step
    async def books(self, event: Shelf) -> list[Item]:
        return [Item(item=item) for item in range(event.number * event.size, (event.number + 1) * event.size)]

    @step
    async def double(self, event: Item) -> Doubled:
        return Doubled(value=event.item * 2)

    @step
    async def part(self, events: list[Doubled]) -> Part:
        return Part(value=sum(event.value for event in events))

    @step
    async def total(self, events: list[Part]) -> StopEvent:
        return StopEvent(result=sum(event.value for event in events))


def _chain(size: int) -> type[Workflow]:
    """Return a workflow of so many steps, each of which takes an event of its own."""
    taken = [Begin, *(type(f"Count{number}", (Again,), {}) for number in range(1, size)), StopEvent]

    def member(number: int) -> Any:
        async def count_one(self: Any, event: Any) -> Any:
            if number == size - 1:
                return StopEvent(result=number + 1)
            return taken[number + 1](size=size, value=number + 1)

        count_one.__annotations__ = {"event": taken[number], "return": taken[number + 1]}
        count_one.__name__, count_one.__qualname__ = f"count_{number}", f"Chain.count_{number}"
        return step(count_one)

    return type("Chain", (Workflow,), {f"count_{number}": member(number) for number in range(size)})


def _declare(job: Job) -> type[Workflow]:
    match job.kind:
        case Kind.CHAIN:
            return _chain(job.size)
        case Kind.MAP:
            return Map
        case Kind.NEST:
            return Nest
        case Kind.GROW:
            return Growing
        case Kind.LARGE:
            return Large
        case _:
            return Loop


def _begin(job: Job) -> Begin:
    return Begin(size=RUN_LENGTH if job.kind is Kind.RUNS else job.size)


def _write(file: Path, context: dict[str, Any]) -> None:
    """Replace what is kept, so that a kill leaves the one or the other."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(context), encoding="utf-8")
    new.replace(file)


def _read(file: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return kept


async def _keep(handler: Any, file: Path, stop_after: int | None = None) -> int:
    """Write the context after every step; return how often. stop_after: end there, as a dead process would."""
    kept = 0
    async for event in handler.stream_events(expose_internal=True):
        if isinstance(event, StepStateChanged) and event.step_state is StepState.NOT_RUNNING:
            _write(file, handler.ctx.to_dict())
            kept += 1
            if kept == stop_after:
                await handler.cancel_run()
                break
    return kept


@asynccontextmanager
async def _in_memory(job: Job, place: Place) -> AsyncGenerator[Once]:
    workflow = _declare(job)(timeout=None)

    async def one() -> int:
        return int(await workflow.run(start_event=_begin(job)))

    async def many() -> int:
        return sum(await asyncio.gather(*(one() for _ in range(job.size))))

    yield many if job.kind is Kind.RUNS else one


@asynccontextmanager
async def _in_files(job: Job, place: Place) -> AsyncGenerator[Once]:
    workflow, numbers, kept = _declare(job)(timeout=None), count(), list[int]()
    if job.kind is Kind.RESUME:
        yield await _stopped(job, place.folder / KEPT)
        return

    async def one() -> int:
        handler = workflow.run(start_event=_begin(job))
        kept.append(await _keep(handler, place.folder / f"{next(numbers)}-{KEPT}"))
        return int(await handler)

    async def many() -> int:
        return sum(await asyncio.gather(*(one() for _ in range(job.size))))

    yield many if job.kind is Kind.RUNS else one
    if sum(kept) < job.units:
        raise NotKept("llama-index-workflows", job, sum(kept))


async def _stopped(job: Job, file: Path) -> Once:
    """Stop a run before its last step, and return what reads its context and finishes it."""
    handler = Loop(timeout=None).run(start_event=_begin(job))
    await _keep(handler, file, stop_after=job.size - 1)
    try:
        await handler
    except (asyncio.CancelledError, WorkflowRuntimeError):
        pass
    except Exception as error:
        if "cancel" not in type(error).__name__.lower():
            raise

    async def once() -> int:
        workflow = Loop(timeout=None)
        context = Context.from_dict(workflow, _read(file))
        handler = workflow.run(ctx=context)
        await _keep(handler, file)
        return int(await handler)

    return once


IMPORTS = "from workflows import Context, Workflow, step\nfrom workflows.events import Event, StartEvent, StopEvent"
PEERS = {
    "llama-index-workflows": Peer(
        "llama-index-workflows",
        Store.NONE,
        ("llama-index-workflows",),
        "One workflow for all runs, with steps that return events; maps by a list of events and a step that takes the "
        "list of their results.",
        _in_memory,
        package="import workflows",
        imports=IMPORTS,
        missing=KEEPS_NOTHING,
    ),
    "llama-index-workflows-files": Peer(
        "llama-index-workflows",
        Store.FILE,
        ("llama-index-workflows",),
        "As its page on durable workflows shows: the events of its steps are followed, and after each step "
        "`ctx.to_dict()` is written over the last in a file, here without fsync, so that no history is kept.",
        _in_files,
    ),
}
