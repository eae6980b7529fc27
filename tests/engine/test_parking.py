"""Runs that wait, where the store or the author's code fails as they go on: their engine and its other runs live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import StoreError
from milepost.engine.run import Run
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Message, StoredRecord
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.testing.clock import FakeClock
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio


class Moody(MemoryStore):
    """A store in which some things cannot be read for a while.

    unread: runs whose inbox cannot, and how often it can before; closed: the same for their records.
    """

    def __init__(self, journals: Journals | None = None) -> None:
        super().__init__(journals)
        self.unread: dict[str, int] = {}
        self.closed: dict[str, int] = {}

    async def inbox(self, run_id: str) -> Sequence[Message]:
        if run_id in self.unread:
            self.unread[run_id] -= 1
            if self.unread[run_id] < 0:
                raise StoreError("The inbox cannot be read just now.")
        return await super().inbox(run_id)

    async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[StoredRecord]:
        if run_id in self.closed:
            self.closed[run_id] -= 1
            if self.closed[run_id] < 0:
                raise StoreError("The records cannot be read just now.")
        return await super().records(run_id, after=after, limit=limit)


def asking(name: str = "asking") -> Workflow[None, None, None, int]:
    """Build a workflow that asks for a number, within a minute."""
    wf = WorkflowBuilder(name=name, output_type=int)

    @wf.ask(answer=int, deadline=60.0, default=0)
    async def how_many(ctx: StepContext[None, None, None]) -> str:
        return "How many?"

    wf.edge(wf.start_node, how_many)
    wf.edge(how_many, wf.end_node)
    return wf.build()


async def test_a_run_whose_inbox_cannot_be_read_as_it_goes_on_stops_no_other_run() -> None:
    store = Moody()
    async with Engine(store) as engine:
        broken: Run[int] = await engine.start(asking(), run_id="broken")
        sound: Run[int] = await engine.start(asking(), run_id="sound")
        assert await broken.settle() == "waiting"
        assert await sound.settle() == "waiting"
        store.unread["broken"] = 1  # by which it becomes the owner
        await engine.resume("broken", asking())
        await sound.answer("how_many", 3)
        assert await sound.result() == 3
        store.unread.clear()
        await broken.answer("how_many", 4)
        assert await broken.result() == 4


async def test_a_deadline_does_not_pass_by_an_inbox_that_cannot_be_read() -> None:
    """An answer in time may lie in it."""
    clock, journals = FakeClock(), Journals()
    async with Engine(MemoryStore(journals), clock=clock) as engine:
        run: Run[int] = await engine.start(asking(), run_id="r")
        assert await run.settle() == "waiting"
    async with Engine(MemoryStore(journals), clock=clock) as engine:
        await engine.answer("r", "how_many", 3)
    clock.advance(61)
    moody = Moody(journals)
    moody.unread["r"] = 1  # by which it becomes the owner
    async with Engine(moody, clock=clock) as engine:
        run = await engine.resume("r", asking())
        with pytest.raises(StoreError, match="The inbox cannot be read"):
            await run.result()
    async with Engine(MemoryStore(journals), clock=clock) as engine:
        run = await engine.resume("r", asking())
        assert await run.result() == 3


async def test_a_run_inside_a_run_that_could_not_be_read_is_waited_with_when_it_can() -> None:
    wf = WorkflowBuilder(name="outer", output_type=int)
    inside = asking("inner")
    inner = wf.subworkflow(inside, node_id="inner")
    wf.edge(wf.start_node, inner)
    wf.edge(inner, wf.end_node)
    workflow, journals = wf.build(), Journals()
    async with Engine(MemoryStore(journals)) as engine:
        run: Run[int] = await engine.start(workflow, run_id="r")
        assert await run.settle() == "waiting"
    store = Moody(journals)
    (child,) = await store.children("r")
    store.closed[child.run_id] = 1
    async with Engine(store) as engine:
        run = await engine.resume("r", workflow)
        with pytest.raises(StoreError, match="The records cannot be read"):
            await run.result()
        store.closed.clear()
        run = await engine.resume(child.run_id, inside)
        assert await run.settle() == "waiting"
        await run.answer("how_many", 3)
        assert await run.result() == 3
        assert await (await engine.resume("r", workflow)).result() == 3


async def test_a_run_that_could_not_look_into_the_one_inside_it_waits_again_when_it_is_resumed() -> None:
    wf = WorkflowBuilder(name="outer", output_type=int)
    inner = wf.subworkflow(asking("inner"), node_id="inner")
    wf.edge(wf.start_node, inner)
    wf.edge(inner, wf.end_node)
    workflow, journals = wf.build(), Journals()
    async with Engine(MemoryStore(journals)) as engine:
        await (await engine.start(workflow, run_id="r")).settle()
    store = Moody(journals)
    (child,) = await store.children("r")
    store.closed[child.run_id] = 0
    async with Engine(store) as engine:
        with pytest.raises(StoreError, match="The records cannot be read"):
            await (await engine.resume("r", workflow)).result()
        store.closed.clear()
        run: Run[int] = await engine.resume("r", workflow)
        assert await run.settle() == "waiting"
        assert [row.status for row in await store.rows()] == ["waiting", "waiting"]
        await run.answer("how_many", 3)
        assert await run.result() == 3


FAULTS: list[str] = []
"""What makes a state that is made fail, one for each time."""


def counted() -> int:
    if FAULTS:
        raise ValueError(FAULTS.pop())
    return 0


@dataclass
class Count:
    count: int = field(default_factory=counted)


async def test_a_run_that_the_code_of_its_author_keeps_from_going_on_stops_no_other_run() -> None:
    wf = WorkflowBuilder(name="counting", state_type=Count, output_type=int)

    @wf.ask(answer=int)
    async def how_many(ctx: StepContext[Count, None, None]) -> str:
        return "How many?"

    wf.edge(wf.start_node, how_many)
    wf.edge(how_many, wf.end_node)
    workflow = wf.build()
    async with Engine(MemoryStore()) as engine:
        run: Run[int] = await engine.start(workflow, state=Count(), run_id="r")
        other: Run[int] = await engine.start(asking(), run_id="other")
        assert await run.settle() == "waiting"
        assert await other.settle() == "waiting"
        FAULTS.append("no state today")
        await run.answer("how_many", 3)
        with pytest.raises(ValueError, match="no state today"):
            await run.result()
        await other.answer("how_many", 4)
        assert await other.result() == 4
        assert await (await engine.resume("r", workflow)).result() == 3
