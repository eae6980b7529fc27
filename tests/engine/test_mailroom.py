"""Bringing messages to runs, where some of them cannot be read."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import DamagedStore
from milepost.engine.run import Run
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.stores.store import Message
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio


def asking() -> Workflow[None, None, None, int]:
    wf = WorkflowBuilder(name="asking", output_type=int)

    @wf.ask(answer=int)
    async def how_many(ctx: StepContext[None, None, None]) -> str:
        return "How many?"

    wf.edge(wf.start_node, how_many)
    wf.edge(how_many, wf.end_node)
    return wf.build()


async def test_a_message_that_is_damaged_keeps_none_from_other_runs() -> None:
    class Damaged(MemoryStore):
        met = 0

        async def inbox(self, run_id: str) -> Sequence[Message]:
            found = await super().inbox(run_id)
            if run_id == "a" and found:
                self.met += 1
                raise DamagedStore("a message", "it is not as it was written")
            return found

    store = Damaged()
    async with Engine(store) as engine:
        damaged: Run[int] = await engine.start(asking(), run_id="a")
        sound: Run[int] = await engine.start(asking(), run_id="b")
        assert await damaged.settle() == "waiting"
        assert await sound.settle() == "waiting"
        wait = (await sound.questions())[0]
        await store.post(Message("a", "hello", "answer", "{}", None, 0.0))
        await sound.answer(wait.id, 3)
        assert await sound.result() == 3
        assert store.met
        damaged.stop()
