"""Speaking to a run by its handle, with a store and without one."""

from __future__ import annotations

import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import AlreadyAnswered, AnswerError, InputError, UnknownQuestion
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio


def workflow() -> Workflow[None, None, None, int]:
    """Build a workflow that asks for a number and then waits for another one."""
    wf = WorkflowBuilder(name="voice", output_type=int)

    @wf.ask(answer=int)
    async def how_many(ctx: StepContext[None, None, None]) -> str:
        return "How many?"

    counted = wf.wait_for("counted", int, key=lambda ctx: "apples")
    wf.edge(wf.start_node, how_many)
    wf.edge(how_many, counted)
    wf.edge(counted, wf.end_node)
    return wf.build()


@pytest.mark.parametrize("stored", [True, False])
async def test_a_run_is_answered_and_told_of_events_by_its_handle(stored: bool) -> None:
    async with Engine(MemoryStore() if stored else None) as engine:
        run = await engine.start(workflow(), run_id="r-1")
        assert await run.settle() == "waiting"
        (question,) = await run.questions()
        assert (question.node, question.text, question.run_id) == ("how_many", "How many?", "r-1")
        assert (await run.answer(question.id, 3, by="Ada")).id == question.id
        assert await run.send("counted", 4, key="apples", id="one", by="the scale") is True
        assert await run.send("counted", 5, key="apples", id="one") is False
        assert await run.result() == 4


@pytest.mark.parametrize("stored", [True, False])
async def test_what_does_not_fit_is_refused_by_the_handle_and_changes_nothing(stored: bool) -> None:
    async with Engine(MemoryStore() if stored else None) as engine:
        run = await engine.start(workflow(), run_id="r-1")
        await run.settle()
        with pytest.raises(AnswerError, match=r"That does not fit question .* of node 'how_many'"):
            await run.answer("how_many", "many")
        with pytest.raises(UnknownQuestion, match="there is no such open question"):
            await run.answer("how_much", 3)
        with pytest.raises(InputError, match=r"never waits for event 'countd'\. Did you mean 'counted'\?"):
            await run.send("countd", 3)
        assert [question.refused for question in await run.questions()] == [0]
        await run.answer("how_many", 3)
        await run.send("counted", 4, key="apples")
        assert await run.result() == 4


async def test_an_answer_that_waits_for_a_process_closes_the_question_for_others() -> None:
    store = MemoryStore()
    async with Engine(store) as engine:
        run = await engine.start(workflow(), run_id="r-1")
        await run.settle()
    async with Engine(store) as engine:
        await engine.answer("r-1", "how_many", 3, by="Ada")
        assert await engine.questions() == []
        (wait,) = await engine.waits("r-1")
        assert (wait.by, wait.answered is None) == ("Ada", False)
        with pytest.raises(AlreadyAnswered, match="answered before by Ada at"):
            await engine.question("r-1", "how_many")


async def test_a_run_settles_only_when_nothing_that_came_before_is_left_to_take() -> None:
    """An event that came early is taken in the record after the one that says that the run waits for it."""
    store = MemoryStore()
    async with Engine(store) as engine:
        run = await engine.start(workflow(), run_id="r-1")
        await run.settle()
    async with Engine(store) as engine:
        await engine.send("r-1", "counted", 4, key="apples")
        await engine.answer("r-1", "how_many", 3)
        run = await engine.resume("r-1", workflow())
        assert await run.settle() == "completed"
