"""What a run tells those who watch it: in order, only what is committed, and without ever waiting for them."""

from __future__ import annotations

from typing import Any, cast

import anyio
import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import MilepostError
from milepost.engine.events import Checkpoint, Event, Events, RunEnded, TaskFailed, TaskFinished, TaskStarted
from milepost.engine.run import Run
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Acknowledge, Entry
from tests.engine.subjects import RUN, Deps, chain

pytestmark = pytest.mark.anyio

TWO = chain(["first", "second"])


async def watched(run: Run[Any], deps: Deps) -> list[Event]:
    """Open the gate of `first` once somebody watches, and return all events."""
    seen: list[Event] = []

    async def read() -> None:
        seen.extend([event async for event in run.events()])

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        deps.gates["first"].set()
    return seen


def shape(events: list[Event]) -> list[object]:
    """Return events as short values."""
    found: list[object] = []
    for event in events:
        match event:
            case Checkpoint(seq=seq):
                found.append(seq)
            case RunEnded(status=status):
                found.append(status)
            case TaskStarted(node=node):
                found.append(f"{node} started")
            case TaskFinished(node=node):
                found.append(f"{node} finished")
            case TaskFailed(node=node):
                found.append(f"{node} failed")
    return found


@pytest.mark.parametrize("store", [None, "memory:"])
async def test_events_come_in_the_order_of_what_happened(store: str | None) -> None:
    deps = Deps().gate("first")
    async with Engine(store) as engine:
        run = await engine.start(TWO, inputs=1, deps=deps)
        await deps.begun["first"].wait()
        events = await watched(run, deps)

    assert shape(events) == ["first finished", 2, "second started", "second finished", 3, "completed"]
    finished = [event for event in events if isinstance(event, TaskFinished)]
    assert all(event.attempts == 1 and event.seconds >= 0 for event in finished)
    assert len({event.task for event in finished}) == 2


async def test_a_failure_is_told_with_its_reason() -> None:
    deps = Deps(faulty={"second"}).gate("first")
    async with Engine("memory:") as engine:
        run = await engine.start(TWO, inputs=1, deps=deps)
        await deps.begun["first"].wait()
        events = await watched(run, deps)

    assert shape(events) == ["first finished", 2, "second started", "second failed", 3, "failed"]
    failed = cast("TaskFailed", events[3])
    assert failed.error == "ValueError: second is faulty"


async def test_a_run_that_is_stopped_says_that_it_is_not_over() -> None:
    deps = Deps().gate("first", "second")
    async with Engine("memory:") as engine:
        run = await engine.start(TWO, inputs=1, deps=deps)
        await deps.begun["first"].wait()
        seen: list[Event] = []

        async def read() -> None:
            seen.extend([event async for event in run.events()])

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            run.stop()

    assert shape(seen) == ["running"]


async def test_a_run_that_is_over_has_no_more_events() -> None:
    async with Engine("memory:") as engine:
        run = await engine.start(TWO, inputs=1, deps=Deps())
        await run.result()
        assert [event async for event in run.events()] == []


async def test_nothing_is_told_of_a_record_that_was_not_committed() -> None:
    class Slow(MemoryStore):
        """A store that commits when it is told to."""

        def __init__(self, journals: Journals) -> None:
            super().__init__(journals)
            self.waiting: list[tuple[Entry, Acknowledge]] = []

        def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
            self.waiting.append((entry, acknowledge))

        def commit(self) -> None:
            for entry, acknowledge in self.waiting:
                super().append(entry, acknowledge)
            self.waiting.clear()

    deps, store, seen = Deps().gate("first"), Slow(Journals()), list[Event]()
    async with Engine(store) as engine, anyio.create_task_group() as group:
        run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)

        async def read() -> None:
            async for event in run.events():
                seen.append(event)

        group.start_soon(read)
        await deps.begun["first"].wait()
        deps.gates["first"].set()
        await anyio.wait_all_tasks_blocked()
        assert (seen, dict(deps.calls)) == ([], {"first": 1})

        store.commit()
        await anyio.wait_all_tasks_blocked()
        assert shape(seen) == ["first finished", 2, "second started"]
        assert deps.calls["second"] == 1
        assert run.status == "running"

        store.commit()
        assert await run.result() == 3


async def test_a_slow_reader_loses_the_oldest_events_and_never_the_end() -> None:
    events = Events(most=3)
    seen: list[Event] = []
    async with anyio.create_task_group() as group:

        async def read() -> None:
            seen.extend([event async for event in events.read()])

        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        assert events.watched
        for seq in range(10):
            events.send(Checkpoint(seq=seq))
        events.send(RunEnded(status="completed"))

    assert shape(seen)[-1] == "completed"
    assert shape(seen)[-3:-1] == [8, 9]
    assert len(seen) <= 4
    assert not events.watched


async def test_every_reader_gets_every_event() -> None:
    events, seen = Events(), [list[Event](), list[Event]()]

    async def read(mine: list[Event]) -> None:
        mine.extend([event async for event in events.read()])

    async with anyio.create_task_group() as group:
        for mine in seen:
            group.start_soon(read, mine)
        await anyio.wait_all_tasks_blocked()
        events.send(Checkpoint(seq=1))
        events.send(RunEnded(status="failed"))

    assert [shape(mine) for mine in seen] == [[1, "failed"], [1, "failed"]]


async def test_a_reader_that_goes_away_holds_nothing_up() -> None:
    deps = Deps().gate("first")
    async with Engine("memory:") as engine:
        run = await engine.start(TWO, inputs=1, deps=deps)
        with anyio.move_on_after(0):
            async for _ in run.events():
                break
        deps.gates["first"].set()
        assert await run.result() == 3


async def test_a_stopped_run_says_how_to_go_on() -> None:
    deps = Deps().gate("first")
    async with Engine("memory:") as engine:
        run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["first"].wait()
        assert repr(run) == "<Run 'r-1', running>"
        run.stop()
        with pytest.raises(MilepostError, match=r"Run 'r-1' was stopped\. Resume it to go on\."):
            await run.result()
