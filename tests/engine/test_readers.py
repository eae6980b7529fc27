"""Readers of a run's events: bounded, whether they lose the oldest or the run waits for them, and never in its way."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from milepost import current
from milepost.engine.engine import Engine
from milepost.engine.errors import InputError, RunCancelled
from milepost.engine.events import Checkpoint, Custom, Dropped, Event, ItemEmitted, RunStopped, TaskFinished
from milepost.engine.readers import Backlog, Reader, Readers
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import Deps, chain

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LONG = chain([f"step_{number}" for number in range(30)])


def number(seq: int) -> Checkpoint:
    return Checkpoint(seq=seq, at=NOON)


def custom(data: object) -> Custom:
    return Custom(node="talk", task="1", data=data)


END = RunStopped(reason="enough")


def reader(readers: Readers, most: int = 3, *, waits: bool = False) -> Reader:
    return Reader(readers, Backlog("wait" if waits else "drop_oldest", most, anyio.get_current_task().id))


async def blocks(readers: Readers) -> bool:
    """Tell whether the run would have to wait."""
    with anyio.move_on_after(0.01):
        await readers.room()
        return False
    return True


# --- losing the oldest ------------------------------------------------------------------------------------------------


async def test_a_slow_reader_loses_the_oldest_events_is_told_how_many_and_gets_the_end() -> None:
    readers = Readers()
    slow = reader(readers, 3)
    for seq in range(10):
        readers.send(number(seq + 1))
    readers.end(END)

    assert [event async for event in slow] == [Dropped(number=7), number(8), number(9), number(10), END]
    assert not readers.watched


async def test_a_reader_that_keeps_up_loses_nothing() -> None:
    readers = Readers()
    quick = reader(readers, 1)
    for seq in range(10):
        readers.send(number(seq + 1))
        assert await anext(quick) == number(seq + 1)
    readers.end(END)

    assert [event async for event in quick] == [END]


async def test_what_is_lost_twice_is_told_twice() -> None:
    readers, found = Readers(), list[Event]()
    slow = reader(readers, 1)
    for first in (1, 4):
        for seq in range(first, first + 3):
            readers.send(number(seq))
        found += [await anext(slow), await anext(slow)]

    assert found == [Dropped(number=2), number(3), Dropped(number=2), number(6)]


async def test_a_reader_that_does_not_wait_never_holds_up_the_run() -> None:
    readers = Readers()
    forgotten = reader(readers, 1)
    for seq in range(5):
        readers.send(number(seq + 1))
        assert not await blocks(readers)
    assert not readers.can_wait
    await forgotten.aclose()


async def test_every_reader_gets_every_event() -> None:
    readers = Readers()
    both = [reader(readers), reader(readers)]
    readers.send(number(1))
    readers.end(END)

    assert [[event async for event in one] for one in both] == [[number(1), END]] * 2


async def test_a_reader_that_comes_late_gets_what_is_told_from_then_on() -> None:
    readers = Readers()
    readers.send(number(1))
    late = reader(readers)
    readers.send(number(2))
    readers.end(END)
    too_late = reader(readers)

    assert [event async for event in late] == [number(2), END]
    assert [event async for event in too_late] == []


# --- having the run wait ----------------------------------------------------------------------------------------------


async def test_the_run_waits_for_a_full_reader_until_it_has_read_one_event() -> None:
    readers, steps = Readers(), list[str]()
    slow = reader(readers, 2, waits=True)
    readers.send(number(1))
    assert not await blocks(readers)
    readers.send(number(2))
    assert await blocks(readers)

    async def run() -> None:
        await readers.room()
        steps.append("goes on")

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        steps.append("reads")
        await anext(slow)
    assert steps == ["reads", "goes on"]


async def test_nothing_committed_is_lost_by_a_reader_that_the_run_waits_for() -> None:
    readers = Readers()
    slow = reader(readers, 1, waits=True)
    for seq in range(5):
        readers.send(number(seq + 1))
    readers.end(END)

    assert [event async for event in slow] == [*(number(seq + 1) for seq in range(5)), END]


async def test_what_a_body_emits_beyond_the_room_is_dropped_where_it_would_have_been() -> None:
    readers = Readers()
    slow = reader(readers, 2, waits=True)
    for data in range(5):
        readers.send(custom(data))
    readers.send(number(1))
    readers.end(number(2))

    assert [event async for event in slow] == [custom(0), custom(1), Dropped(number=3), number(1), number(2)]


async def test_a_reader_that_leaves_its_loop_frees_the_run() -> None:
    readers = Readers()
    readers_gone = False

    async def read() -> None:
        nonlocal readers_gone
        async for _ in reader(readers, 1, waits=True):
            break
        readers_gone = True

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        readers.send(number(1))
        await anyio.wait_all_tasks_blocked()
        readers.send(number(2))
        assert readers_gone
        assert not await blocks(readers)
    assert not readers.watched


async def test_a_reader_that_is_closed_frees_the_run_and_has_nothing_more_to_say() -> None:
    readers = Readers()
    slow = reader(readers, 1, waits=True)
    readers.send(number(1))
    assert await blocks(readers)
    await slow.aclose()

    assert not await blocks(readers)
    assert [event async for event in slow] == []


async def test_a_reader_that_is_collected_in_another_thread_frees_the_run() -> None:
    readers = Readers()
    held = [reader(readers, 1, waits=True)]
    readers.send(number(1))

    async def run() -> None:
        with anyio.fail_after(5):
            await readers.room()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
    assert not readers.watched


async def test_a_reader_that_is_collected_after_its_loop_is_gone_does_no_harm() -> None:
    kept = list[Reader]()

    async def main() -> None:
        kept.append(reader(Readers()))

    thread = threading.Thread(target=lambda: anyio.run(main))
    thread.start()
    thread.join()
    kept.clear()


async def test_a_reader_that_is_cancelled_can_read_on() -> None:
    readers = Readers()
    slow = reader(readers)
    with anyio.move_on_after(0):
        await anext(slow)
    readers.send(number(1))
    assert await anext(slow) == number(1)


async def test_those_who_are_told_are_only_asked_for_when_somebody_is_there() -> None:
    changes: list[tuple[bool, bool]] = []
    readers = Readers(lambda: changes.append((readers.watched, readers.can_wait)))
    first = reader(readers)
    second = reader(readers, waits=True)
    await second.aclose()
    await first.aclose()
    assert changes == [(True, False), (True, True), (True, False), (False, False)]


# --- with a run -------------------------------------------------------------------------------------------------------


async def test_a_run_goes_no_further_than_its_slowest_waiting_reader_allows() -> None:
    deps, ahead = Deps(), list[int]()
    async with Engine() as engine:
        run = await engine.start(LONG, inputs=0, deps=deps)
        slow = run.events(slow="wait", most=8)
        for count in range(20):
            await anext(slow)
            await anyio.wait_all_tasks_blocked()
            ahead.append(deps.calls.total() - count // 5)  # a step of a chain is five events
        finished = [event async for event in slow if isinstance(event, TaskFinished)]
        assert await run.result() == 30
    assert max(ahead) <= 4
    assert finished[-1].node == "step_29"


def wide(size: int) -> Workflow[Any, Deps, None, list[int]]:
    """Build a map over `size` items, whose bodies wait for their gate."""
    wf = WorkflowBuilder(name="wide", deps_type=Deps, output_type=list[int])

    @wf.function
    async def split(ctx: StepContext[None, Deps, None]) -> list[int]:
        return list(range(size))

    @wf.function
    async def each(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("each")
        return ctx.inputs

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, split)
    wf.edge(split, wf.each(each, join=collect))
    wf.edge(collect, wf.end_node)
    return wf.build()


async def test_what_runs_side_by_side_is_handed_over_one_by_one_when_a_reader_is_behind() -> None:
    deps = Deps().gate("each")
    async with Engine(MemoryStore()) as engine:
        run = await engine.start(wide(50), deps=deps)
        slow = run.events(slow="wait", most=5)
        found: list[Event] = []
        while not any(isinstance(event, TaskFinished) and event.node == "each" for event in found):
            found.append(await anext(slow))
            deps.gates["each"].set()
            await anyio.wait_all_tasks_blocked()
        summary = await engine.find(run.id)
        assert summary.seq < 15, "most results wait for the reader before they are committed"
        found += [event async for event in slow]
        assert len([event for event in found if isinstance(event, TaskFinished)]) == 51
        assert sorted(await run.result()) == list(range(50))


async def test_a_stream_gives_no_more_items_than_a_waiting_reader_takes() -> None:
    given: list[int] = []
    wf = WorkflowBuilder(name="streaming", output_type=list[int])

    @wf.stream
    async def give(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
        for item in range(100):
            given.append(item)
            yield item

    @wf.function
    async def look(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(look, join=collect))
    wf.edge(collect, wf.end_node)
    async with Engine() as engine:
        run = await engine.start(wf.build())
        slow = run.events(slow="wait", most=5)
        while not isinstance(await anext(slow), ItemEmitted):
            await anyio.wait_all_tasks_blocked()
        assert len(given) < 10
        await slow.aclose()
        assert len(await run.result()) == 100


async def test_a_reader_that_goes_away_holds_nothing_up() -> None:
    async with Engine("memory://") as engine:
        run = await engine.start(LONG, inputs=0, deps=Deps())
        async for _ in run.events(slow="wait", most=1):
            break
        assert await run.result() == 30


async def test_who_stops_reading_and_waits_for_the_result_is_not_waited_for() -> None:
    async with Engine("memory://") as engine:
        run = await engine.start(LONG, inputs=0, deps=Deps())
        kept = run.events(slow="wait", most=3)
        async for _ in kept:
            break
        with anyio.fail_after(10):
            assert await run.result() == 30
        lost = await anext(kept)
        assert isinstance(lost, Dropped)


async def test_who_stops_waiting_for_the_result_and_reads_on_is_waited_for_again() -> None:
    deps = Deps().gate("step_0")
    async with Engine("memory://") as engine:
        run = await engine.start(LONG, inputs=0, deps=deps)
        kept = run.events(slow="wait", most=3)
        with anyio.move_on_after(0.001):
            await run.result()
        deps.gates["step_0"].set()
        await anyio.wait_all_tasks_blocked()
        assert deps.calls.total() < 3
        await kept.aclose()


async def test_leaving_the_engine_waits_for_the_run_and_not_for_who_has_left_off_reading() -> None:
    with anyio.fail_after(10):
        async with Engine("memory://") as engine:
            run = await engine.start(LONG, inputs=0, deps=Deps())
            kept = run.events(slow="wait", most=3)
            await anext(kept)
    assert run.status == "completed"
    await kept.aclose()


async def test_a_run_that_waits_for_a_reader_can_be_cancelled() -> None:
    async with Engine("memory://") as engine:
        run = await engine.start(LONG, inputs=0, deps=Deps())
        kept = run.events(slow="wait", most=3)
        await anyio.wait_all_tasks_blocked()
        run.cancel()
        with anyio.fail_after(10):
            assert await run.wait() == "cancelled"
        with pytest.raises(RunCancelled):
            await run.result()
        await kept.aclose()


async def test_a_run_that_waits_for_a_reader_can_be_stopped() -> None:
    async with Engine("memory://") as engine:
        run = await engine.start(LONG, inputs=0, deps=Deps())
        kept = run.events(slow="wait", most=3)
        await anyio.wait_all_tasks_blocked()
        run.stop()
        with anyio.fail_after(10):
            assert await run.wait() == "running"
        await kept.aclose()


async def test_a_body_in_a_thread_is_heard_in_the_order_it_speaks() -> None:
    wf = WorkflowBuilder(name="talking", output_type=int)

    @wf.function(thread=True)
    def talk(ctx: StepContext[None, None, None]) -> int:
        for word in range(100):
            current().emit(word)
        return 1

    wf.edge(wf.start_node, talk)
    wf.edge(talk, wf.end_node)
    async with Engine() as engine:
        run = await engine.start(wf.build())
        events = [event async for event in run.events() if isinstance(event, (Custom, TaskFinished))]
    assert [event.data for event in events[:-1] if isinstance(event, Custom)] == list(range(100))
    assert isinstance(events[-1], TaskFinished)


async def test_nothing_is_heard_after_the_end() -> None:
    readers = Readers()
    one = reader(readers)
    readers.end(END)
    readers.send(custom("too late"))
    assert [event async for event in one] == [END]


async def test_a_body_that_says_more_than_there_is_room_for_is_not_held_up() -> None:
    wf = WorkflowBuilder(name="talking", output_type=int)

    @wf.function
    async def talk(ctx: StepContext[None, None, None]) -> int:
        for word in range(1000):
            current().emit(word)
        return 1

    wf.edge(wf.start_node, talk)
    wf.edge(talk, wf.end_node)
    async with Engine() as engine:
        run = await engine.start(wf.build())
        events = [event async for event in run.events(slow="wait", most=100)]
    said = [event for event in events if isinstance(event, Custom)]
    (lost,) = [event for event in events if isinstance(event, Dropped)]
    assert len(said) + lost.number == 1000
    assert [event.data for event in said] == list(range(len(said)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"slow": "stop"}, "slow='stop' is not known. Write 'drop_oldest' or 'wait'."),
        ({"most": 0}, "A reader for which at most 0 events wait could never read any. Give 1 or more."),
        ({"after": -1}, "after=-1 is before the first checkpoint, which is 1. Give 0 for the beginning."),
    ],
)
async def test_an_option_that_makes_no_sense_is_refused(options: dict[str, Any], sentence: str) -> None:
    async with Engine("memory://") as engine:
        run = await engine.start(LONG, inputs=0, deps=Deps())
        with pytest.raises(InputError) as caught:
            run.events(**options)
        assert str(caught.value) == sentence


async def test_a_run_without_a_store_has_no_past_to_read() -> None:
    async with Engine() as engine:
        run = await engine.start(LONG, inputs=0, deps=Deps(), run_id="r-1")
        with pytest.raises(InputError) as caught:
            run.events(after=0)
    assert str(caught.value) == (
        "Run 'r-1' has no store, so what has happened is not kept. Leave `after` out, or give the engine a store: "
        "Engine('sqlite:///runs.db')."
    )
