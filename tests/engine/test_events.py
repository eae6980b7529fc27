"""What a run tells those who watch it: in order, only what is committed, and what happens in between."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import anyio
import pytest

from milepost import current
from milepost.engine.engine import Engine
from milepost.engine.errors import MilepostError, NodeError
from milepost.engine.events import (
    AttemptStarted,
    Checkpoint,
    CircuitChanged,
    Committed,
    Custom,
    EdgeTaken,
    Event,
    ItemEmitted,
    JoinFired,
    RunEnded,
    RunStarted,
    RunStopped,
    TaskCancelled,
    TaskFailed,
    TaskFinished,
    TaskRetried,
    TaskStarted,
    TextDelta,
)
from milepost.engine.failure import Failure
from milepost.engine.policy import Cache, CircuitBreaker, Retry
from milepost.engine.run import Run
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Acknowledge, Entry
from milepost.engine.typed import ReduceFirstValue, StepContext, reduce_list_append
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN, Deps, FullStore, chain

pytestmark = pytest.mark.anyio
both_loops = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])

TWO = chain(["first", "second"])


async def watched(run: Run[Any], deps: Deps) -> list[Event]:
    """Open the gate of `first` once somebody watches, and return all events."""
    reader = run.events()
    await deps.begun["first"].wait()
    deps.gates["first"].set()
    return [event async for event in reader]


async def told(workflow: Any, *, inputs: Any = None, deps: Any = None, store: Any = "memory://") -> list[Event]:
    """Run a workflow and return all of its events, from the first one on."""
    async with Engine(store) as engine:
        run = await engine.start(workflow, inputs=inputs, deps=deps, run_id=RUN)
        return [event async for event in run.events(after=0)]


def shape(events: Sequence[Event]) -> list[object]:
    """Return what happened to tasks, checkpoints as their numbers, and the end as the status."""
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
            case TaskFailed(node=node, caught=caught):
                found.append(f"{node} caught" if caught else f"{node} failed")
            case TaskCancelled(node=node):
                found.append(f"{node} cancelled")
            case RunStopped():
                found.append("stopped")
            case _:
                pass
    return found


def numbers() -> WorkflowBuilder[None, None, int, int]:
    return WorkflowBuilder(name="numbers", input_type=int, output_type=int)


# --- what is committed ------------------------------------------------------------------------------------------------


@both_loops
@pytest.mark.parametrize("store", [None, "memory://"])
async def test_events_come_in_the_order_of_what_happened(store: str | None) -> None:
    deps = Deps().gate("first")
    async with Engine(store) as engine:
        run = await engine.start(TWO, inputs=1, deps=deps)
        events = await watched(run, deps)

    assert shape(events) == ["first finished", "second started", 2, "second finished", 3, "completed"]
    finished = [event for event in events if isinstance(event, TaskFinished)]
    assert all(event.attempts == 1 and event.seconds >= 0 for event in finished)
    assert len({event.task for event in finished}) == 2


@both_loops
async def test_every_committed_event_has_the_number_and_the_time_of_its_record() -> None:
    times = iter(range(100, 200))
    async with Engine("memory://", clock=lambda: float(next(times))) as engine:
        run = await engine.start(TWO, inputs=1, deps=Deps(), run_id=RUN)
        events = [event async for event in run.events(after=0) if isinstance(event, Committed)]

    assert [event.seq for event in events] == sorted(event.seq for event in events)
    at = {event.seq: event.at for event in events}
    assert len(at) == 3
    assert all(moment.tzinfo is UTC for moment in at.values())
    assert all(event.at == at[event.seq] for event in events)
    assert sorted(at.values()) == [at[seq] for seq in sorted(at)]
    assert at[1] == datetime.fromtimestamp(100, UTC)


async def test_a_run_without_a_store_has_times_too() -> None:
    deps = Deps().gate("first")
    async with Engine(clock=lambda: 60.0) as engine:
        run = await engine.start(TWO, inputs=1, deps=deps)
        events = await watched(run, deps)

    committed = [event for event in events if isinstance(event, Committed)]
    assert committed
    assert {event.at for event in committed} == {datetime(1970, 1, 1, 0, 1, tzinfo=UTC)}


async def test_the_first_event_names_the_workflow_and_the_last_one_how_it_ended() -> None:
    events = await told(TWO, inputs=1, deps=Deps())
    first, last = events[0], events[-1]
    assert isinstance(first, RunStarted)
    assert first.workflow == "chain"
    assert isinstance(last, RunEnded)
    assert (last.status, last.error) == ("completed", None)


async def test_a_failure_is_told_with_its_reason() -> None:
    deps = Deps(faulty={"second"}).gate("first")
    async with Engine("memory://") as engine:
        run = await engine.start(TWO, inputs=1, deps=deps)
        events = await watched(run, deps)

    assert shape(events) == ["first finished", "second started", 2, "second failed", 3, "failed"]
    (failed,) = [event for event in events if isinstance(event, TaskFailed)]
    assert (failed.error, failed.attempts, failed.caught) == ("ValueError: second is faulty", 1, False)
    last = events[-1]
    assert isinstance(last, RunEnded)
    assert last.error == "ValueError: second is faulty"


async def test_edges_are_told_with_how_many_values_passed_them() -> None:
    wf = WorkflowBuilder(name="wide", input_type=int, output_type=list[int])

    @wf.function
    async def split(ctx: StepContext[None, None, int]) -> list[int]:
        return list(range(ctx.inputs))

    @wf.function
    async def each(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, split)
    wf.edge(split, wf.each(each, join=collect))
    wf.edge(collect, wf.end_node)
    events = await told(wf.build(), inputs=3)

    assert [
        (event.seq, event.source, event.target, event.times) for event in events if isinstance(event, EdgeTaken)
    ] == [
        (1, "__start__", "split", 1),
        (2, "split", "split_each_each", 1),
        (2, "split_each_each", "each", 3),
        (3, "each", "collect", 1),
        (4, "each", "collect", 1),
        (5, "each", "collect", 1),
        (5, "collect", "__end__", 1),
    ]
    started = [event for event in events if isinstance(event, TaskStarted)]
    assert [(event.node, event.index) for event in started] == [("split", None), ("each", 0), ("each", 1), ("each", 2)]
    (fired,) = [place for place, event in enumerate(events) if isinstance(event, JoinFired)]
    before, after = events[fired - 1], events[fired + 1]
    assert isinstance(before, EdgeTaken)
    assert isinstance(after, EdgeTaken)
    assert (before.target, after.source) == ("collect", "collect"), "it fires between what came in and what goes out"


async def test_a_branch_is_told_by_its_number() -> None:
    wf = numbers()

    @wf.decide
    async def size(ctx: StepContext[None, None, int]) -> Literal["small", "large"]:
        return "large"

    @wf.function
    async def low(ctx: StepContext[None, None, int]) -> int:
        return 1

    @wf.function
    async def high(ctx: StepContext[None, None, int]) -> int:
        return 2

    wf.edge(wf.start_node, size)
    wf.edge(size, low, when="small")
    wf.edge(size, high, when="large")
    wf.edge(low, wf.end_node)
    wf.edge(high, wf.end_node)
    events = await told(wf.build(), inputs=10)

    edges = [(event.source, event.target, event.branch) for event in events if isinstance(event, EdgeTaken)]
    assert ("size_choice", "high", 1) in edges


async def test_what_a_join_stops_is_cancelled_and_what_it_lets_go_on_is_not() -> None:
    wf = WorkflowBuilder(name="race", deps_type=Deps, input_type=list[int], output_type=int)

    @wf.function
    async def first(ctx: StepContext[None, Deps, int]) -> int:
        if ctx.inputs:
            await anyio.sleep_forever()
        return ctx.inputs

    @wf.function
    async def after(ctx: StepContext[None, Deps, int]) -> int:
        return ctx.inputs

    winner = wf.join(ReduceFirstValue[int](), initial=0, node_id="winner")
    wf.edge(wf.start_node, wf.each(first))
    wf.edge(first, winner)
    wf.edge(winner, after)
    wf.edge(after, wf.end_node)
    events = await told(wf.build(), inputs=[0, 7, 8], deps=Deps())

    started = ["first started"] * 3
    assert shape(events) == [
        *(*started, 1),
        *("first finished", "first cancelled", "first cancelled", "after started", 2),
        *("after finished", 3, "completed"),
    ]
    keys = {event.task for event in events if isinstance(event, TaskStarted)}
    assert {event.task for event in events if isinstance(event, TaskCancelled)} < keys


async def test_what_still_runs_at_the_end_is_cancelled() -> None:
    wf = numbers()

    @wf.function
    async def quick(ctx: StepContext[None, None, int]) -> int:
        return 1

    @wf.function
    async def slow(ctx: StepContext[None, None, int]) -> int:
        await anyio.sleep_forever()
        return 2

    for node in (quick, slow):
        wf.edge(wf.start_node, node)
        wf.edge(node, wf.end_node)
    events = await told(wf.build(), inputs=1)

    assert shape(events)[-4:] == ["quick finished", "slow cancelled", 2, "completed"]


async def test_a_failure_that_an_error_edge_takes_is_told_as_caught() -> None:
    wf = WorkflowBuilder(name="rescue", input_type=int, output_type=str)

    @wf.function(retry=Retry(attempts=2))
    async def risky(ctx: StepContext[None, None, int]) -> str:
        raise ValueError("no")

    @wf.function
    async def rescue(ctx: StepContext[None, None, Failure[int]]) -> str:
        return ctx.inputs.message

    wf.edge(wf.start_node, risky)
    wf.edge(risky, rescue, on_error=True)
    wf.edge(risky, wf.end_node)
    wf.edge(rescue, wf.end_node)
    events = await told(wf.build(), inputs=1)

    assert shape(events) == [
        *("risky started", 1),
        *("risky caught", "rescue started", 2),
        *("rescue finished", 3, "completed"),
    ]
    (failed,) = [event for event in events if isinstance(event, TaskFailed)]
    assert (failed.error, failed.attempts) == ("ValueError: no", 2)
    edges = [(event.source, event.target) for event in events if isinstance(event, EdgeTaken) and event.seq == 2]
    assert edges == [("risky", "risky_outcome"), ("risky_outcome", "rescue")]


async def test_the_failures_of_siblings_are_all_told_and_the_run_ends_once() -> None:
    wf = WorkflowBuilder(name="both", input_type=int, output_type=int, on_failure="finish")

    @wf.function
    async def left(ctx: StepContext[None, None, int]) -> int:
        raise ValueError("left")

    @wf.function
    async def right(ctx: StepContext[None, None, int]) -> int:
        raise ValueError("right")

    for node in (left, right):
        wf.edge(wf.start_node, node)
        wf.edge(node, wf.end_node)
    events = await told(wf.build(), inputs=1)

    last = events[-1]
    assert isinstance(last, RunEnded)
    first, other = ("left", "right") if last.error == "ValueError: left" else ("right", "left")
    assert shape(events) == ["left started", "right started", 1, f"{other} failed", 2, f"{first} failed", 3, "failed"]


async def test_an_output_from_the_cache_says_so() -> None:
    wf = numbers()

    @wf.function(cache=Cache())
    async def twice(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 2

    wf.edge(wf.start_node, twice)
    wf.edge(twice, wf.end_node)
    workflow, journals = wf.build(), Journals()
    await workflow.run(inputs=4, store=MemoryStore(journals), run_id="before")
    events = await told(workflow, inputs=4, store=MemoryStore(journals))

    (finished,) = [event for event in events if isinstance(event, TaskFinished)]
    assert (finished.cached, finished.attempts, finished.seconds) == (True, 0, 0.0)


async def test_the_items_of_a_stream_are_told_and_its_task_finishes_with_the_last() -> None:
    wf = WorkflowBuilder(name="streaming", output_type=list[int])

    @wf.stream
    async def give(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
        for number in range(3):
            yield number

    @wf.function
    async def look(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(look, join=collect))
    wf.edge(collect, wf.end_node)
    events = await told(wf.build())

    items = [event for event in events if isinstance(event, ItemEmitted)]
    assert [(event.node, event.number) for event in items] == [("give", 0), ("give", 1), ("give", 2)]
    assert len({event.task for event in items}) == 1
    ends = [place for place, event in enumerate(events) if isinstance(event, TaskFinished) and event.node == "give"]
    assert len(ends) == 1
    assert ends[0] > events.index(items[-1])
    edges = [(event.source, event.target) for event in events if isinstance(event, EdgeTaken)]
    assert edges.count(("give", "give_each_look")) == 1
    assert edges.count(("give_each_look", "look")) == 3


async def test_an_item_that_cannot_be_routed_is_a_failure_of_the_task_that_gave_it() -> None:
    wf = WorkflowBuilder(name="streaming", output_type=list[int])

    @wf.stream
    async def give(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
        yield 1

    @wf.function
    async def look(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    def faulty(number: int) -> bool:
        raise ValueError("no")

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    sort = wf.decision(node_id="sort").branch(wf.match(int, matches=faulty).to(look))
    wf.add(
        wf.edge_from(wf.start_node).to(give),
        wf.edge_from(give).map(downstream_join_id=collect.id).to(sort),
        wf.edge_from(look).to(collect),
        wf.edge_from(collect).to(wf.end_node),
    )
    events = await told(wf.build())

    (started,) = [event for event in events if isinstance(event, TaskStarted)]
    (failed,) = [event for event in events if isinstance(event, TaskFailed)]
    assert (failed.node, failed.task) == ("give", started.task)
    assert shape(events)[-1] == "failed"


async def test_what_is_streamed_into_a_run_is_told_and_no_task_is_made_of_it() -> None:
    wf = WorkflowBuilder(name="fed", deps_type=Deps, input_type=AsyncIterable[int], output_type=int)

    @wf.function
    async def first(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("first")
        return ctx.inputs

    winner = wf.join(ReduceFirstValue[int](), initial=0, node_id="winner")
    wf.edge(wf.start_node, wf.each(first))
    wf.edge(first, winner)
    wf.edge(winner, wf.end_node)

    async def numbers_for_ever() -> AsyncIterator[int]:
        while True:
            yield 7
            await anyio.sleep_forever()

    deps = Deps().gate("first")
    async with Engine() as engine:
        run = await engine.start(wf.build(), inputs=numbers_for_ever(), deps=deps)
        reader = run.events()
        deps.gates["first"].set()
        events = [event async for event in reader]
        assert await run.result() == 7

    assert [(event.node, event.number) for event in events if isinstance(event, ItemEmitted)] == [("__start__", 0)]
    assert shape(events) == ["first started", 2, "first finished", 3, "completed"]


async def test_a_run_whose_store_breaks_down_says_so_and_does_not_end() -> None:
    class Faulty(MemoryStore):
        def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
            raise RuntimeError("a bug")

    async with Engine(Faulty()) as engine:
        run = await engine.start(TWO, inputs=1, deps=Deps(), run_id=RUN)
        reader = run.events()
        await run.wait()
        assert [event async for event in reader if not isinstance(event, AttemptStarted)] == [
            RunStopped(reason=f"Checkpoint 2 of run {RUN!r} could not be written: RuntimeError('a bug')")
        ]


async def test_a_run_that_is_cancelled_says_so_last() -> None:
    deps = Deps().gate("first")
    async with Engine("memory://") as engine:
        run = await engine.start(TWO, inputs=1, deps=deps)
        reader = run.events()
        await deps.begun["first"].wait()
        run.cancel()
        events = [event async for event in reader]

    assert shape(events) == [2, "cancelled"]


async def test_a_run_that_is_stopped_says_that_it_is_not_over() -> None:
    deps = Deps().gate("first")
    async with Engine("memory://") as engine:
        run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
        reader = run.events()
        await deps.begun["first"].wait()
        run.stop()
        events = [event async for event in reader if not isinstance(event, AttemptStarted)]

    assert events == [RunStopped(reason="Run 'r-1' was stopped. Resume it to go on.")]


async def test_a_run_whose_store_fails_says_so_and_does_not_end() -> None:
    deps = Deps()
    async with Engine(FullStore(Journals(), room=1)) as engine:
        run = await engine.start(TWO, inputs=1, deps=deps)
        events = [event async for event in run.events() if not isinstance(event, AttemptStarted)]

    assert events == [RunStopped(reason="The disk is full.")]


async def test_a_run_that_is_over_has_no_more_events() -> None:
    async with Engine("memory://") as engine:
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
        assert (shape(seen), dict(deps.calls)) == ([], {"first": 1})

        store.commit()
        await anyio.wait_all_tasks_blocked()
        assert shape(seen) == ["first finished", "second started", 2]
        assert deps.calls["second"] == 1
        assert run.status == "running"

        store.commit()
        assert await run.result() == 3


async def test_a_stopped_run_says_how_to_go_on() -> None:
    deps = Deps().gate("first")
    async with Engine("memory://") as engine:
        run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["first"].wait()
        assert repr(run) == "<Run 'r-1', running>"
        run.stop()
        with pytest.raises(MilepostError, match=r"Run 'r-1' was stopped\. Resume it to go on\."):
            await run.result()


# --- what happens in between ------------------------------------------------------------------------------------------


@both_loops
@pytest.mark.parametrize("store", [None, "memory://"])
async def test_every_attempt_and_every_retry_is_told_live(store: str | None) -> None:
    wf = WorkflowBuilder(name="stubborn", deps_type=Deps, input_type=int, output_type=int)

    @wf.function(retry=Retry(attempts=3))
    async def first(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("first")
        if ctx.deps.calls["first"] < 3:
            raise ValueError(f"attempt {ctx.deps.calls['first']}")
        return ctx.inputs

    wf.edge(wf.start_node, first)
    wf.edge(first, wf.end_node)
    deps = Deps().gate("first")
    async with Engine(store) as engine:
        run = await engine.start(wf.build(), inputs=1, deps=deps)
        events = await watched(run, deps)

    assert [event for event in events if isinstance(event, (AttemptStarted, TaskRetried))] == [
        AttemptStarted(node="first", task=task_of(events), attempt=1),
        TaskRetried(node="first", task=task_of(events), attempt=1, error="ValueError: attempt 1", wait=0.0),
        AttemptStarted(node="first", task=task_of(events), attempt=2),
        TaskRetried(node="first", task=task_of(events), attempt=2, error="ValueError: attempt 2", wait=0.0),
        AttemptStarted(node="first", task=task_of(events), attempt=3),
    ]
    (finished,) = [event for event in events if isinstance(event, TaskFinished)]
    assert finished.attempts == 3


def task_of(events: Sequence[Event]) -> str:
    """Return the key of the task that finished first."""
    return next(event.task for event in events if isinstance(event, TaskFinished))


@both_loops
async def test_a_body_can_tell_something_of_its_own() -> None:
    wf = WorkflowBuilder(name="talking", deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def first(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("first")
        current().emit({"done": 0.5})
        current().emit_text("Dear")
        return ctx.inputs

    wf.edge(wf.start_node, first)
    wf.edge(first, wf.end_node)
    deps = Deps().gate("first")
    async with Engine() as engine:
        run = await engine.start(wf.build(), inputs=1, deps=deps)
        events = await watched(run, deps)

    key = task_of(events)
    assert [event for event in events if isinstance(event, (Custom, TextDelta, TaskFinished))][:2] == [
        Custom(node="first", task=key, data={"done": 0.5}),
        TextDelta(node="first", task=key, text="Dear"),
    ]


async def test_what_is_told_while_nobody_watches_is_told_to_nobody() -> None:
    wf = numbers()

    @wf.function
    async def mutter(ctx: StepContext[None, None, int]) -> int:
        current().emit("hm")
        return ctx.inputs

    wf.edge(wf.start_node, mutter)
    wf.edge(mutter, wf.end_node)
    async with Engine("memory://") as engine:
        run = await engine.start(wf.build(), inputs=1)
        await run.result()
        assert not [event async for event in run.events(after=0) if not isinstance(event, Committed)]


async def test_every_watched_run_of_the_workflow_is_told_when_a_circuit_changes() -> None:
    wf = WorkflowBuilder(name="fragile", deps_type=Deps, input_type=int, output_type=int)

    @wf.function(circuit_breaker=CircuitBreaker(failures=1, reset=60.0))
    async def first(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("first")
        return ctx.inputs

    wf.edge(wf.start_node, first)
    wf.edge(first, wf.end_node)
    workflow = wf.build()
    deps, calm, other = Deps(faulty={"first"}).gate("first"), Deps().gate("first"), Deps().gate("first")
    async with Engine() as engine:
        run = await engine.start(workflow, inputs=1, deps=deps)
        sibling = await engine.start(workflow, inputs=1, deps=calm)
        stranger = await engine.start(TWO, inputs=1, deps=other)
        readers = [one.events() for one in (run, sibling, stranger)]
        for each in (deps, calm, other):
            await each.begun["first"].wait()
        deps.gates["first"].set()
        with pytest.raises(NodeError):
            await run.result()
        for each in (calm, other):
            each.gates["first"].set()
        found = [[event async for event in reader if isinstance(event, CircuitChanged)] for reader in readers]

    assert [[(event.node, event.state, event.workflow) for event in events] for events in found] == [
        [("first", "open", "fragile")],
        [("first", "open", "fragile")],
        [],
    ]
    assert all(0 < event.seconds <= 60 for events in found for event in events)
