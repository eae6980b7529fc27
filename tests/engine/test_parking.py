"""Runs that wait, where the store or the author's code fails as they go on: their engine and its other runs live."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import StoreError
from milepost.engine.run import Run
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Message, RunRow
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.testing.clock import FakeClock
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio


class Moody(MemoryStore):
    """A store in which some things cannot be read for a while.

    unread: runs whose inbox cannot, and how often it can before. away: runs that cannot themselves.
    """

    def __init__(self, journals: Journals | None = None) -> None:
        super().__init__(journals)
        self.unread: dict[str, int] = {}
        self.away: set[str] = set()

    async def inbox(self, run_id: str) -> Sequence[Message]:
        if run_id in self.unread:
            self.unread[run_id] -= 1
            if self.unread[run_id] < 0:
                raise StoreError("The inbox cannot be read just now.")
        return await super().inbox(run_id)

    async def row(self, run_id: str) -> RunRow | None:
        if run_id in self.away:
            raise StoreError("The run cannot be read just now.")
        return await super().row(run_id)


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
