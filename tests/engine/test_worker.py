"""A worker takes up what is ready, lets go of it when it waits or has ended, and what cannot go on holds up nothing."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import (
    IncompatibleWorkflow,
    InputError,
    NodeError,
    OutcomeUnknown,
    StoreError,
)
from milepost.engine.run import Run
from milepost.engine.settlement import Done
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Message, RunRow, StoredRecord
from milepost.engine.typed import StepContext
from milepost.engine.worker_events import RunLeft, RunRefused, RunTaken, StoreAway, WorkerEvent
from milepost.engine.workflow import Workflow
from milepost.testing.clock import FakeClock
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import Deps, chain

pytestmark = pytest.mark.anyio

AnyWorkflow = Workflow[Any, Any, Any, Any]
SOON = 0.005
"""A poll that a test does not have to wait for."""
NEVER = 1000.0
"""A poll that no test lives to see."""


def errand(questions: int = 1, *, seconds: float | None = None, name: str = "errand") -> AnyWorkflow:
    """Build nodes that ask, one after the other, after a time if there is one."""
    wf = WorkflowBuilder(name=name, input_type=int, output_type=int)
    nodes: list[Any] = []
    if seconds is not None:
        nodes.append(wf.sleep(seconds, node_id="nap"))

    def text(ctx: StepContext[None, None, int]) -> str:
        return f"What comes after {ctx.inputs}?"

    nodes += [wf.ask(answer=int, node_id=f"ask-{number}")(text) for number in range(questions)]
    for source, target in zip([wf.start_node, *nodes], [*nodes, wf.end_node], strict=True):
        wf.edge(source, target)
    return wf.build()


def around(child: AnyWorkflow) -> AnyWorkflow:
    wf = WorkflowBuilder(name="outer", input_type=int, output_type=int)
    node = wf.subworkflow(child, node_id="inner")
    wf.edge(wf.start_node, node)
    wf.edge(node, wf.end_node)
    return wf.build()


def lent(workflow: AnyWorkflow, deps: Deps, log: list[str]) -> AnyWorkflow:
    """Have a workflow make its own deps."""

    @asynccontextmanager
    async def lend() -> AsyncGenerator[Deps]:
        log.append("lent")
        try:
            yield deps
        finally:
            log.append("given back")

    workflow.deps_factory = lend
    return workflow


@dataclass
class Ear:
    """Hears what a worker tells, and waits for it."""

    heard: list[WorkerEvent] = field(default_factory=list[WorkerEvent])
    news: anyio.Event = field(default_factory=anyio.Event)

    def tell(self, event: WorkerEvent) -> None:
        self.heard.append(event)
        self.news.set()

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.heard if isinstance(event, kind)]

    async def left(self, status: str, count: int = 1) -> None:
        """Wait until that many runs were let go that stood so."""
        await self.until(RunLeft, count, status)

    async def until(self, kind: type[Any], count: int = 1, status: str | None = None) -> None:
        with anyio.fail_after(20):
            while len([one for one in self.of(kind) if status is None or one.status == status]) < count:
                await self.news.wait()
                self.news = anyio.Event()


@dataclass
class Watched(MemoryStore):
    """A store that counts how often it is asked what is ready. away: for how many times it cannot be read."""

    def __init__(self, journals: Journals | None = None) -> None:
        super().__init__(journals)
        self.limits: list[int] = []
        self.away = 0
        self.asked = anyio.Event()

    async def ready(self, now: float, workflows: Collection[str], *, limit: int) -> Sequence[RunRow]:
        self.limits.append(limit)
        self.asked.set()
        if self.away:
            self.away -= 1
            raise StoreError("The disk is gone.")
        return await super().ready(now, workflows, limit=limit)

    async def looks(self, count: int) -> None:
        """Wait until it was asked so many times more."""
        enough = len(self.limits) + count
        with anyio.fail_after(20):
            while len(self.limits) < enough:
                self.asked = anyio.Event()
                await self.asked.wait()


async def begun(engine: Engine, workflow: AnyWorkflow, *run_ids: str, deps: Any = None) -> None:
    """Begin runs, and wait with them no more."""
    for run_id in run_ids:
        run = await engine.start(workflow, inputs=0, run_id=run_id, deps=deps)
        await run.settle()
        run.stop()
        await run.wait()


@asynccontextmanager
async def serving(engine: Engine, *workflows: AnyWorkflow, **options: Any) -> AsyncGenerator[Ear]:
    """Have a worker serve workflows, and stop it gracefully."""
    ear, stop = Ear(), anyio.Event()

    async def serve() -> None:
        given: dict[str, Any] = {"poll": SOON, **options}
        await engine.serve_waiting(workflows, stop=stop, tell=ear.tell, **given)

    async with anyio.create_task_group() as group:
        group.start_soon(serve)
        yield ear
        stop.set()


async def statuses(engine: Engine) -> dict[str, str]:
    return {run.run_id: run.status for run in await engine.runs()}


async def test_a_run_goes_on_when_its_time_has_come() -> None:
    clock, workflow = FakeClock(), errand(seconds=3600.0)
    async with Engine(MemoryStore(), clock=clock) as engine:
        await begun(engine, workflow, "r")
        async with serving(engine, workflow) as ear:
            clock.advance(3601)
            await ear.left("waiting")
        taken, left = ear.heard
        assert isinstance(taken, RunTaken)
        assert isinstance(left, RunLeft)
        assert (taken.run_id, taken.workflow, taken.seq, taken.at) == ("r", "errand", 2, clock.now)
        assert (left.run_id, left.workflow, left.seq, left.at, left.due) == ("r", "errand", 4, clock.now, None)


async def test_a_time_that_came_while_no_worker_was_there_is_met_by_the_next_one() -> None:
    clock, workflow, journals = FakeClock(), errand(seconds=3600.0), Journals()
    async with Engine(MemoryStore(journals), clock=clock) as engine:
        await begun(engine, workflow, "r")
    clock.advance(86400)
    async with Engine(MemoryStore(journals), clock=clock) as engine:
        ear = Ear()
        await engine.serve_waiting([workflow], once=True, tell=ear.tell)
        assert [type(event) for event in ear.heard] == [RunTaken, RunLeft]


async def test_what_is_answered_in_the_same_engine_is_heard_at_once_however_seldom_the_store_is_asked() -> None:
    workflow = errand()
    async with Engine(MemoryStore()) as engine:
        await begun(engine, workflow, "r")
        async with serving(engine, workflow, poll=NEVER) as ear:
            await engine.answer("r", "ask-0", 5)
            await ear.left("completed")
        assert await (await engine.start(workflow, inputs=0, run_id="r")).result() == 5


async def test_an_answer_from_another_process_is_seen_within_a_poll() -> None:
    journals, workflow = Journals(), errand()
    async with Engine(MemoryStore(journals)) as engine, Engine(MemoryStore(journals)) as elsewhere:
        await begun(engine, workflow, "r")
        async with serving(engine, workflow) as ear:
            await elsewhere.answer("r", "ask-0", 5)
            await ear.left("completed")


async def test_a_run_that_was_stopped_or_whose_owner_died_goes_on() -> None:
    deps, log = Deps().gate("b"), list[str]()
    workflow = lent(chain(["a", "b"]), deps, log)
    async with Engine(MemoryStore()) as engine:
        run = await engine.start(workflow, inputs=0, deps=deps, run_id="r")
        await deps.begun["b"].wait()
        run.stop()
        await run.wait()
        deps.gates["b"].set()
        async with serving(engine, workflow) as ear:
            await ear.left("completed")
    assert deps.calls == Counter(a=1, b=2)


async def test_the_deps_are_made_once_for_all_runs_and_given_back() -> None:
    deps, log = Deps().gate("b"), list[str]()
    workflow = lent(chain(["a", "b"]), deps, log)
    async with Engine(MemoryStore()) as engine:
        for number in range(3):
            run = await engine.start(workflow, inputs=0, deps=deps, run_id=f"r-{number}")
            await deps.begun["b"].wait()
            run.stop()
            await run.wait()
        deps.gates["b"].set()
        async with serving(engine, workflow) as ear:
            await ear.left("completed", 3)
    assert log == ["lent", "given back"]


async def test_no_more_runs_are_under_way_at_once_than_may_be() -> None:
    deps = Deps().gate("b")
    workflow = lent(chain(["a", "b"]), deps, [])
    store = Watched()
    async with Engine(store) as engine:
        for number in range(7):
            run = await engine.start(workflow, inputs=0, deps=deps, run_id=f"r-{number}")
            run.stop()
            await run.wait()
        before = deps.calls["b"]
        async with serving(engine, workflow, max_runs=2) as ear:
            await ear.until(RunTaken, 2)
            await anyio.wait_all_tasks_blocked()
            assert len(ear.of(RunTaken)) == 2
            assert deps.calls["b"] - before <= 2
            deps.gates["b"].set()
            await ear.left("completed", 7)


async def test_a_worker_keeps_nothing_of_the_runs_that_wait_again() -> None:
    clock, workflow = FakeClock(), errand(seconds=60.0)
    async with Engine(MemoryStore(), clock=clock) as engine:
        names = [f"r-{number}" for number in range(30)]
        await begun(engine, workflow, *names)
        gc.collect()
        before = sum(isinstance(one, Run) for one in gc.get_objects())
        clock.advance(61)
        async with serving(engine, workflow) as ear:
            await ear.left("waiting", 30)
            await anyio.wait_all_tasks_blocked()
            gc.collect()
            assert sum(isinstance(one, Run) for one in gc.get_objects()) <= before


async def test_whoever_attaches_to_a_run_that_a_worker_drives_waits_with_it_to_its_end() -> None:
    deps = Deps().gate("b")
    wf = WorkflowBuilder(name="both", deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def b(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("b")
        return ctx.inputs

    @wf.ask(answer=int)
    def ask(ctx: StepContext[None, Deps, int]) -> str:
        return "What then?"

    wf.edge(wf.start_node, b)
    wf.edge(b, ask)
    wf.edge(ask, wf.end_node)
    workflow = lent(wf.build(), deps, [])
    async with Engine(MemoryStore()) as engine:
        run = await engine.start(workflow, inputs=0, deps=deps, run_id="r")
        await deps.begun["b"].wait()
        run.stop()
        await run.wait()
        deps.begun["b"] = anyio.Event()
        async with serving(engine, workflow) as ear:
            await deps.begun["b"].wait()
            mine = await engine.start(workflow, inputs=0, deps=deps, run_id="r")
            deps.gates["b"].set()
            assert await mine.settle() == "waiting"
            await engine.answer("r", "ask", 9)
            assert await mine.result() == 9
            await ear.left("completed")


async def test_a_run_that_fails_is_told_of_and_not_tried_again() -> None:
    deps, store = Deps(faulty={"b"}).gate("b"), Watched()
    workflow = lent(chain(["a", "b"]), deps, [])
    async with Engine(store) as engine:
        run = await engine.start(workflow, inputs=0, deps=deps, run_id="r")
        await deps.begun["b"].wait()
        run.stop()
        await run.wait()
        deps.gates["b"].set()
        async with serving(engine, workflow) as ear:
            await ear.left("failed")
            await store.looks(3)
        assert [event.error for event in ear.of(RunLeft)] == ["ValueError: b is faulty"]
        assert deps.calls["b"] == 2
        with pytest.raises(NodeError):
            await (await engine.resume("r", workflow, deps=deps)).result()


async def test_what_cannot_go_on_is_told_once_and_does_not_hold_up_what_comes_after_it() -> None:
    store = Watched()
    async with Engine(store) as engine:
        for number in range(10):
            await begun(engine, errand(), f"old-{number}")
            await engine.answer(f"old-{number}", "ask-0", 1)
        changed = errand(seconds=None, questions=0, name="errand")
        with pytest.raises(IncompatibleWorkflow):
            await engine.resume("old-0", changed)
        other = errand(name="other")
        await begun(engine, other, "r")
        await engine.answer("r", "ask-0", 1)
        async with serving(engine, changed, other, max_runs=1) as ear:
            await ear.left("completed")
            await ear.until(RunRefused, 10)
            await store.looks(3)
        assert sorted(event.run_id for event in ear.of(RunRefused)) == [f"old-{number}" for number in range(10)]
        assert all(isinstance(event.error, IncompatibleWorkflow) for event in ear.of(RunRefused))
        assert store.limits[-1] == store.limits[0] + 10


async def test_what_could_not_go_on_is_tried_again_when_somebody_has_changed_it() -> None:
    deps, store = Deps().gate("once"), Watched()
    wf = WorkflowBuilder(name="once", deps_type=Deps, input_type=int, output_type=int)

    @wf.function(at_most_once=True)
    async def once(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("once")
        return 1

    @wf.function
    async def after(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("after")
        return ctx.inputs

    wf.edge(wf.start_node, once)
    wf.edge(once, after)
    wf.edge(after, wf.end_node)
    workflow = lent(wf.build(), deps.gate("after"), [])
    async with Engine(store) as engine:
        run = await engine.start(workflow, inputs=0, deps=deps, run_id="r")
        await deps.begun["once"].wait()
        run.stop()
        await run.wait()
        async with serving(engine, workflow) as ear:
            await ear.until(RunRefused)
            await store.looks(3)
            assert [type(event.error) for event in ear.heard if isinstance(event, RunRefused)] == [OutcomeUnknown]
            task = (await engine.trace("r")).tasks[0].key
            settled = await engine.resume("r", workflow, deps=deps, settle={task: Done(7)})
            await deps.begun["after"].wait()
            settled.stop()
            await settled.wait()
            deps.gates["after"].set()
            await ear.left("completed")


async def test_a_run_that_another_process_drives_is_left_alone() -> None:
    journals, deps, store = Journals(), Deps().gate("b"), Watched()
    store = Watched(journals)
    workflow = lent(chain(["a", "b"]), deps, [])
    async with Engine(MemoryStore(journals)) as elsewhere, Engine(store) as engine:
        run = await elsewhere.start(workflow, inputs=0, deps=deps, run_id="r")
        await deps.begun["b"].wait()
        async with serving(engine, workflow) as ear:
            await store.looks(3)
            deps.gates["b"].set()
            await run.result()
            await store.looks(2)
        assert ear.heard == []


async def test_a_run_of_which_nothing_comes_is_not_met_again_at_every_look() -> None:
    store, workflow = Watched(), errand()
    async with Engine(store) as engine:
        await begun(engine, workflow, "r")
        await store.post(Message("r", "x", "from a later version", "{}", None, 0.0))
        async with serving(engine, workflow) as ear:
            await store.looks(40)
        assert 1 <= len(ear.of(RunTaken)) <= 12, "each time after twice as long, so that 12 take more than 10 seconds"


async def test_a_run_inside_a_run_is_answered_many_times_without_waiting_for_a_poll() -> None:
    child = errand(6)
    workflow = around(child)
    async with Engine(MemoryStore()) as engine:
        await begun(engine, workflow, "r")
        async with serving(engine, workflow, poll=NEVER) as ear:
            for number in range(6):
                await engine.answer("r", f"ask-{number}", number)
                await ear.left("completed" if number == 5 else "waiting", 1 if number == 5 else number + 1)
                await anyio.wait_all_tasks_blocked()
        assert await statuses(engine) == {"r": "completed"}


async def test_being_cancelled_stops_what_is_under_way_resumable_and_gives_back_the_deps() -> None:
    deps, log = Deps().gate("b"), list[str]()
    workflow = lent(chain(["a", "b"]), deps, log)
    async with Engine(MemoryStore()) as engine:
        run = await engine.start(workflow, inputs=0, deps=deps, run_id="r")
        await deps.begun["b"].wait()
        run.stop()
        await run.wait()
        ear = Ear()
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: engine.serve_waiting([workflow], poll=SOON, tell=ear.tell))
            await ear.until(RunTaken)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert [event.status for event in ear.of(RunLeft)] == ["running"]
        assert deps.stopped == ["b", "b"]
        assert log == ["lent", "given back"]
        deps.gates["b"].set()
        assert await (await engine.resume("r", workflow, deps=deps)).result() == 2


@pytest.mark.parametrize(("grace", "status"), [(20.0, "completed"), (0.0, "running")])
async def test_a_graceful_stop_lets_runs_end_within_the_grace(grace: float, status: str) -> None:
    deps = Deps().gate("b")
    workflow = lent(chain(["a", "b"]), deps, [])
    async with Engine(MemoryStore()) as engine:
        run = await engine.start(workflow, inputs=0, deps=deps, run_id="r")
        await deps.begun["b"].wait()
        run.stop()
        await run.wait()
        ear, stop = Ear(), anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: engine.serve_waiting([workflow], poll=SOON, grace=grace, stop=stop, tell=ear.tell))
            await ear.until(RunTaken)
            await anyio.wait_all_tasks_blocked()
            stop.set()
            if grace:
                await anyio.wait_all_tasks_blocked()
                deps.gates["b"].set()
        assert [event.status for event in ear.of(RunLeft)] == [status]


async def test_a_run_that_another_worker_goes_on_with_already_was_left_waiting() -> None:
    began, may_end = anyio.Event(), anyio.Event()
    wf = WorkflowBuilder(name="errand", input_type=int, output_type=int)

    def text(ctx: StepContext[None, None, int]) -> str:
        return "How many?"

    nodes: list[Any] = [wf.ask(answer=int, node_id=f"ask-{number}")(text) for number in range(2)]

    @wf.function
    async def last(ctx: StepContext[None, None, int]) -> int:
        began.set()
        await may_end.wait()
        return ctx.inputs

    for source, target in zip([wf.start_node, *nodes, last], [*nodes, last, wf.end_node], strict=True):
        wf.edge(source, target)
    workflow = wf.build()
    journals = Journals()

    class Contested(MemoryStore):
        """A store in which somebody else goes on with a run at once when it was let go."""

        async def release(self, run_id: str, epoch: int) -> None:
            await super().release(run_id, epoch)
            await other.answer(run_id, "ask-1", 2)
            await other.resume(run_id, workflow)
            await began.wait()

    async with Engine(MemoryStore(journals)) as other:
        await begun(other, workflow, "r")
        async with Engine(Contested(journals)) as engine, serving(engine, workflow) as ear:
            await other.answer("r", "ask-0", 1)
            await ear.until(RunLeft)
        assert [event.status for event in ear.of(RunLeft)] == ["waiting"]
        may_end.set()


async def test_leaving_the_engine_ends_its_workers() -> None:
    workflow = errand()
    async with anyio.create_task_group() as group, Engine(MemoryStore()) as engine:
        group.start_soon(lambda: engine.serve_waiting([workflow], poll=NEVER))
        await anyio.wait_all_tasks_blocked()


async def test_a_store_that_is_away_for_a_while_is_told_once_and_asked_again() -> None:
    store, workflow = Watched(), errand()
    async with Engine(store) as engine:
        await begun(engine, workflow, "r")
        await engine.answer("r", "ask-0", 1)
        store.away = 4
        async with serving(engine, workflow) as ear:
            await ear.left("completed")
        assert [str(event.error) for event in ear.of(StoreAway)] == ["The disk is gone."]


async def test_without_somebody_to_tell_what_cannot_go_on_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with Engine(MemoryStore()) as engine:
        await begun(engine, errand(), "r")
        await engine.answer("r", "ask-0", 1)
        with caplog.at_level(logging.WARNING, "milepost.worker"):
            await engine.serve_waiting([errand(0)], once=True, poll=SOON)
    assert caplog.messages[0].startswith("Run 'r' of workflow 'errand' cannot go on: ")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_runs": 0}, "max_runs=0 would never let a run go on. Give 1 or more."),
        ({"poll": 0.0}, "poll=0.0 makes no sense. Give seconds, more than 0."),
        ({"poll": float("inf")}, "poll=inf makes no sense. Give seconds, more than 0."),
        ({"grace": -1.0}, "grace=-1.0 makes no sense. Give seconds, 0 or more."),
    ],
)
async def test_options_that_make_no_sense_are_refused(options: dict[str, Any], sentence: str) -> None:
    async with Engine(MemoryStore()) as engine:
        with pytest.raises(InputError) as caught:
            await engine.serve_waiting([errand()], **options)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("workflows", "sentence"),
    [
        ([], "There is no workflow to serve."),
        ([errand(), errand(2)], "Two workflows are called 'errand', so nobody can tell whose runs are whose."),
        ([chain(["a"])], "Workflow 'chain' needs deps of type 'Deps', and nothing makes them for a worker."),
    ],
)
async def test_workflows_that_cannot_be_served_are_refused(workflows: list[AnyWorkflow], sentence: str) -> None:
    async with Engine(MemoryStore()) as engine:
        with pytest.raises(InputError) as caught:
            await engine.serve_waiting(workflows)
    assert str(caught.value).startswith(sentence)


async def test_an_engine_without_a_store_has_nothing_to_serve() -> None:
    async with Engine() as engine:
        with pytest.raises(InputError, match="This engine has no store"):
            await engine.serve_waiting([errand()])


class Meanwhile(MemoryStore):
    """A store in which something happens between the reading of a run's row and that of its records."""

    happens: Callable[[], Awaitable[None]] | None = None

    async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[StoredRecord]:
        happens, self.happens = self.happens, None
        if happens is not None:
            await happens()
        return await super().records(run_id, after=after, limit=limit)


async def test_what_a_run_waits_for_can_be_read_while_another_process_goes_on_with_it() -> None:
    journals, workflow = Journals(), errand()
    store = Meanwhile(journals)
    async with Engine(MemoryStore(journals)) as elsewhere, Engine(store) as engine:
        run = await elsewhere.start(workflow, inputs=0, run_id="r")
        await run.settle()

        async def answered() -> None:
            await elsewhere.answer("r", "ask-0", 5)
            assert await run.result() == 5

        store.happens = answered
        assert [one.node for one in await engine.waits("r")] == ["ask-0"], "as it was when that was asked"
        assert await engine.waits("r") == []
