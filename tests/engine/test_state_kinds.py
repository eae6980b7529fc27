"""Every kind of state: committed with the output or not at all, and the caller's object equal to what is committed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import anyio
import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import MilepostError, NodeError, StateConflict
from milepost.engine.policy import Retry
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.state_kinds import KINDS, Kind
from tests.engine.subjects import RUN

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())]
asyncio_only = pytest.fixture(lambda: "asyncio", name="anyio_backend")
"""What a state may be has nothing to do with the event loop."""
with_and_without_a_store = pytest.mark.parametrize("store", ["memory:", None], ids=["stored", "in memory"])

AnyContext = StepContext[Any, "Course", Any]
Body = Callable[[AnyContext], Awaitable[int]]


@dataclass
class Course:
    """What bodies do. fails: bodies that raise after they have changed the state. waits: those that never end."""

    fails: list[str] = field(default_factory=list[str])
    waits: list[str] = field(default_factory=list[str])
    waiting: anyio.Event = field(default_factory=anyio.Event)
    turn: anyio.Event = field(default_factory=anyio.Event)

    async def go_on(self, node: str) -> None:
        if node in self.fails:
            self.fails.remove(node)
            raise ValueError(f"{node} is faulty")
        if node in self.waits:
            self.waiting.set()
            await anyio.sleep_forever()


def putting(kind: Kind, node: str, number: int) -> Body:
    """Return a body that puts a number into the state."""

    async def put(ctx: AnyContext) -> int:
        kind.change(ctx.state, number)
        await ctx.deps.go_on(node)
        return number

    return put


@cache
def in_a_row(kind: Kind, *, attempts: int = 1) -> Workflow[Any, Course, None, int]:
    """Build two nodes, one after the other, which put their numbers into the state."""
    wf: Any = WorkflowBuilder(name="row", state_type=kind.type_, deps_type=Course, output_type=int)
    retry = Retry(attempts=attempts) if attempts > 1 else None
    one = wf.function(node_id="one", retry=retry)(putting(kind, "one", 1))
    two = wf.function(node_id="two", retry=retry)(putting(kind, "two", 2))
    wf.edge(wf.start_node, one)
    wf.edge(one, two)
    wf.edge(two, wf.end_node)
    built: Workflow[Any, Course, None, int] = wf.build()
    return built


async def run_in_a_row(
    kind: Kind, given: Any, course: Course, store: MemoryStore | str | None, *, attempts: int = 1
) -> int:
    async with Engine(store) as engine:
        workflow = in_a_row(kind, attempts=attempts)
        run = await engine.start(workflow, state=given, deps=course, run_id=RUN, isolation="task")
        output: int = await run.result()
        return output


@with_and_without_a_store
async def test_what_tasks_change_is_in_the_callers_object(kind: Kind, store: str | None) -> None:
    given = kind.make()

    await run_in_a_row(kind, given, Course(), store)

    assert given == kind.after(1, 2)
    assert type(given) is type(kind.make())


@with_and_without_a_store
async def test_an_attempt_that_fails_is_undone_before_the_next(kind: Kind, store: str | None) -> None:
    given = kind.make()

    await run_in_a_row(kind, given, Course(fails=["one", "two", "two"]), store, attempts=3)

    assert given == kind.after(1, 2)


@with_and_without_a_store
async def test_a_task_that_fails_for_good_is_undone(kind: Kind, store: str | None) -> None:
    given = kind.make()

    with pytest.raises(NodeError, match="two is faulty"):
        await run_in_a_row(kind, given, Course(fails=["two"]), store)

    assert given == kind.after(1)


@with_and_without_a_store
@pytest.mark.parametrize("cancelled", [False, True], ids=["stopped", "cancelled"])
async def test_a_task_that_is_stopped_half_way_is_undone(kind: Kind, store: str | None, cancelled: bool) -> None:
    given, course = kind.make(), Course(waits=["two"])

    async with Engine(store) as engine:
        run = await engine.start(in_a_row(kind), state=given, deps=course, run_id=RUN, isolation="task")
        await course.waiting.wait()
        run.cancel() if cancelled else run.stop()
        with pytest.raises(MilepostError):
            await run.result()

    assert given == kind.after(1)


@with_and_without_a_store
async def test_of_two_changes_that_conflict_the_one_that_was_committed_stays(kind: Kind, store: str | None) -> None:
    wf: Any = WorkflowBuilder(name="conflict", state_type=kind.type_, deps_type=Course, output_type=list[int])

    def body(node: str) -> Body:
        async def put(ctx: AnyContext) -> int:
            state = ctx.state
            if node == "two":
                await ctx.deps.turn.wait()
            kind.change(state, 1)
            return 1

        return put

    async def go_on(ctx: StepContext[Any, Course, int]) -> int:
        ctx.deps.turn.set()
        return ctx.inputs

    release = wf.function(node_id="release")(go_on)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    for node in ("one", "two"):
        step = wf.function(node_id=node)(body(node))
        wf.edge(wf.start_node, step)
        wf.edge(step, release if node == "one" else collect)
    wf.edge(release, collect)
    wf.edge(collect, wf.end_node)
    given = kind.make()

    with pytest.raises(StateConflict) as raised:
        await wf.build().run(state=given, deps=Course(), store=store, isolation="task")

    assert (raised.value.task, raised.value.other) == ("two", "one")
    assert given == kind.after(1)


async def test_the_object_given_to_a_resume_becomes_the_state(kind: Kind) -> None:
    journals = Journals()
    with pytest.raises(NodeError):
        await run_in_a_row(kind, kind.make(), Course(fails=["two"]), MemoryStore(journals))

    for fresh in (kind.make(), kind.after(7)):  # the second time the run is completed
        async with Engine(MemoryStore(journals)) as engine:
            await (await engine.resume(RUN, in_a_row(kind), state=fresh, deps=Course())).result()
        assert fresh == kind.after(1, 2)


async def test_a_start_that_finds_the_run_gives_the_object_its_state(kind: Kind) -> None:
    journals = Journals()
    for _ in range(2):
        given = kind.make()
        await run_in_a_row(kind, given, Course(), MemoryStore(journals))
        assert given == kind.after(1, 2)
