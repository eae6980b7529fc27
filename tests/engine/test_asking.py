"""What the tasks of one run wait for, where what comes, or what waits, is not as the code has it now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import anyio
import pytest
from anyio.lowlevel import checkpoint
from pydantic import AfterValidator

from milepost.engine.engine import Engine
from milepost.engine.errors import (
    AnswerError,
    IncompatibleWorkflow,
    MilepostError,
    NodeError,
    UnknownQuestion,
    UnknownRun,
)
from milepost.engine.plainly import schema_of
from milepost.engine.run import Run
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Message
from milepost.engine.typed import StepContext
from milepost.engine.waits import Dues, Wait, Waiting
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio


def picky(value: int) -> int:
    """A validator with a fault of its own."""
    return {1: 1, 2: 2}[value]


Picky = Annotated[int, AfterValidator(picky)]


def asking() -> Workflow[None, None, None, int]:
    wf = WorkflowBuilder(name="asking", output_type=int)

    @wf.ask(answer=Picky)
    async def how_many(ctx: StepContext[None, None, None]) -> str:
        return "How many?"

    wf.edge(wf.start_node, how_many)
    wf.edge(how_many, wf.end_node)
    return wf.build()


async def test_an_answer_at_which_a_validator_of_the_author_fails_is_refused_with_its_error() -> None:
    async with Engine() as engine:
        run: Run[int] = await engine.start(asking())
        await run.settle()
        with pytest.raises(AnswerError, match="A validator of its type failed: KeyError: 3"):
            await run.answer("how_many", 3)
        await run.answer("how_many", 2)
        assert await run.result() == 2


async def test_an_answer_from_where_the_code_is_not_known_stops_no_other_run() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        await (await engine.start(asking(), run_id="r")).settle()
    async with Engine(MemoryStore(journals)) as elsewhere:
        await elsewhere.answer("r", "how_many", 3)
    async with Engine(MemoryStore(journals)) as engine:
        other: Run[int] = await engine.start(asking(), run_id="other")
        await other.settle()
        run: Run[int] = await engine.resume("r", asking())
        assert await run.settle() == "waiting"
        assert [question.refused for question in await run.questions()] == [1]
        await other.answer("how_many", 1)
        await run.answer("how_many", 2)
        assert (await run.result(), await other.result()) == (2, 1)


@pytest.mark.parametrize("payload", ["NaN", "[]", '{"event":"paid","value":NaN}', "{", '{"event":["paid"],"value":1}'])
@pytest.mark.parametrize("kind", ["event", "answer"])
async def test_a_message_that_is_not_written_as_ours_are_is_taken_in_and_refused(payload: str, kind: str) -> None:
    wf = WorkflowBuilder(name="waiting", output_type=float)
    paid = wf.wait_for("paid", float)
    again = wf.wait_for("paid", float, node_id="again")
    wf.edge(wf.start_node, again)
    wf.edge(again, paid)
    wf.edge(paid, wf.end_node)
    store = MemoryStore()
    async with Engine(store) as engine:
        run: Run[float] = await engine.start(wf.build(), run_id="r")
        await run.settle()
        await store.post(Message("r", "odd", kind, payload, None, 0.0))
        for number in (1.0, 2.0):
            await run.send("paid", number)
        assert await run.result() in (1.0, 2.0)
    assert await store.inbox("r") == []


def first(swapped: bool) -> Workflow[None, None, None, object]:
    """Build a workflow that waits for an answer or an event, in one order or the other."""
    wf = WorkflowBuilder(name="first", output_type=object)

    @wf.ask(answer=int)
    async def how_many(ctx: StepContext[None, None, None]) -> str:
        return "How many?"

    told = wf.wait_for("told", str)
    race = wf.race(told, how_many, node_id="race") if swapped else wf.race(how_many, told, node_id="race")
    wf.edge(wf.start_node, race)
    wf.edge(race, wf.end_node)
    return wf.build()


def alone() -> Workflow[None, None, None, object]:
    """Build the same workflow where it waits only for an event any more."""
    wf = WorkflowBuilder(name="first", output_type=object)
    told = wf.wait_for("told", str, node_id="race")
    wf.edge(wf.start_node, told)
    wf.edge(told, wf.end_node)
    return wf.build()


@pytest.mark.parametrize("changed", [first(True), alone()], ids=["another order", "only one any more"])
async def test_a_node_that_waits_for_something_else_since_does_not_go_on_with_what_was_asked(
    changed: Workflow[None, None, None, object],
) -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        run: Run[object] = await engine.start(first(False), run_id="r")
        assert await run.settle() == "waiting"
    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(IncompatibleWorkflow, match="Node 'race' waits for an answer or event 'told'"):
            await engine.resume("r", changed)
        run = await engine.resume("r", first(False))
        await run.answer("race", 3)
        assert await run.result() == 3


async def test_each_time_of_many_is_looked_at_once_as_it_comes_and_once_as_it_goes() -> None:
    looked = 0

    class Counting(Dues):
        def first(self, holds: Callable[[str, float], bool]) -> tuple[float, str] | None:
            def counted(task: str, until: float) -> bool:
                nonlocal looked
                looked += 1
                return holds(task, until)

            return super().first(counted)

    dues = Counting()
    waiting = {f"task {number}": float(number) for number in range(1000)}
    for task, until in waiting.items():
        dues.add(task, Waiting(waits=(Wait(id="w", kind="time", until=until),), since=0.0))
    while (found := dues.first(lambda task, until: waiting.get(task) == until)) is not None:
        assert found == min((until, task) for task, until in waiting.items())
        del waiting[found[1]]
    assert looked == 2000


def test_the_schema_of_a_type_is_made_once_also_of_one_that_cannot_be_a_key() -> None:
    assert schema_of(list[int]) is schema_of(list[int])
    assert schema_of(Annotated[int, []]) == '{"type":"integer"}'


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_what_does_not_fit_a_question_is_refused_until_the_run_inside_that_asks_it_is_gone(
    anyio_backend: str,
) -> None:
    """Also in the turns of the event loop in which that has failed and the outer run does not know yet."""
    inner = WorkflowBuilder(name="inner", output_type=int)
    go_on = anyio.Event()

    @inner.ask(answer=int)
    async def how_many(ctx: StepContext[None, None, None]) -> str:
        return "How many?"

    @inner.function
    async def fail(ctx: StepContext[None, None, None]) -> int:
        await go_on.wait()
        raise ValueError("no")

    for node in (how_many, fail):
        inner.edge(inner.start_node, node)
        inner.edge(node, inner.end_node)
    outer = WorkflowBuilder(name="outer", output_type=int)
    step = outer.subworkflow(inner.build())
    outer.edge(outer.start_node, step)
    outer.edge(step, outer.end_node)
    refused: list[type[Exception]] = []
    async with Engine() as engine:
        run: Run[int] = await engine.start(outer.build(), run_id="r")
        await anyio.wait_all_tasks_blocked()
        go_on.set()
        while UnknownQuestion not in refused and UnknownRun not in refused:
            with pytest.raises(MilepostError) as caught:
                await engine.answer("r", "how_many", "many")
            refused.append(caught.type)
            await checkpoint()
        assert refused[0] is AnswerError
        with pytest.raises(NodeError, match="no"):
            await run.result()
