"""What is told of runs that wait, where they are kept sealed, moved, compared and swept, and what a change leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from milepost import AnswerError, Engine, StepContext, WorkflowBuilder
from milepost.engine.events import (
    Event,
    EventKept,
    MessageRefused,
    RunEnded,
    RunWaits,
    TaskCancelled,
    TaskFinished,
    TaskSettled,
    TaskWaiting,
)
from milepost.engine.mailroom import ANSWER
from milepost.engine.stores.encrypted import Encrypted
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Message, Store
from milepost.engine.typed import ReduceFirstValue
from tests.engine.waiters import RUN, AnyWorkflow, World, asking, begun, only, stored

__all__ = ["stored"]

pytestmark = pytest.mark.anyio

TOLD = (TaskWaiting, TaskSettled, TaskFinished, TaskCancelled, EventKept, MessageRefused, RunWaits, RunEnded)


def shape(events: Sequence[Event]) -> list[str]:
    """Return what was told of waiting, in order, with the node it is about."""
    return [f"{type(one).__name__} {getattr(one, 'node', '')}".strip() for one in events if isinstance(one, TOLD)]


def ordering() -> AnyWorkflow:
    """Build a question, and an event that is waited for behind it."""
    wf = WorkflowBuilder(name="ordering", input_type=int, output_type=int)

    @wf.ask(answer=int)
    async def approve(ctx: StepContext[None, None, int]) -> str:
        return "Well?"

    paid: Any = wf.wait_for("paid", int)
    wf.edge(wf.start_node, approve)
    wf.edge(approve, paid)
    wf.edge(paid, wf.end_node)
    return wf.build()


async def test_a_run_that_waits_tells_what_happens_in_order_and_so_does_its_store(stored: World) -> None:
    workflow = ordering()
    live = list[Event]()
    async with stored.engine() as engine:
        run = await engine.start(workflow, inputs=1, run_id=RUN)
        reader = run.events(after=0)

        async def heard(kind: type[Event]) -> None:
            async for event in reader:
                live.append(event)
                if isinstance(event, kind):
                    return

        with anyio.fail_after(5):
            await heard(RunWaits)
            question = await only(engine)
            store = stored.store()
            assert store is not None
            await store.open()
            wrong = f'{{"wait":"{question.id}","value":"much"}}'
            await store.post(Message(RUN, "wrong", ANSWER, wrong, "eve", stored.clock()))
            await store.close()
            await engine.send(RUN, "paid", 4, by="bank")
            await heard(EventKept)
            await engine.answer(RUN, "approve", 3, by="ann")
            await heard(RunEnded)
        assert await run.result() == 4
        followed = [event async for event in engine.follow(RUN, poll=0.001)]
    refused = next(one for one in live if isinstance(one, MessageRefused))
    assert (refused.by, refused.node) == ("eve", "approve")
    assert [one.by for one in live if isinstance(one, TaskSettled)] == ["ann", "bank"]
    told = [one for one in shape(live) if one != "RunWaits"]
    assert shape(live)[:2] == ["TaskWaiting approve", "RunWaits"]
    assert told == [
        "TaskWaiting approve",
        "MessageRefused approve",
        "EventKept",
        "TaskSettled approve",
        "TaskFinished approve",
        "TaskWaiting paid",
        "TaskSettled paid",
        "TaskFinished paid",
        "RunEnded",
    ]
    assert shape(followed) == shape(live)


# --- joins ------------------------------------------------------------------------------------------------------------


async def test_a_join_that_has_enough_closes_the_questions_of_its_other_branches(stored: World) -> None:
    wf = WorkflowBuilder(name="first", input_type=list[int], output_type=int)

    @wf.ask(answer=int)
    async def rate(ctx: StepContext[None, None, int]) -> str:
        return f"Rate {ctx.inputs}."

    @wf.ask(answer=int)
    async def sure(ctx: StepContext[None, None, int]) -> str:
        return f"Sure of {ctx.inputs}?"

    first = wf.join(ReduceFirstValue[int](), initial=0, node_id="first")
    wf.edge(wf.start_node, wf.each(rate, fork_id="each"))
    wf.edge(rate, first)
    wf.edge(first, sure)
    wf.edge(sure, wf.end_node)
    workflow = wf.build()
    async with stored.engine() as engine:
        run = await begun(engine, workflow, [1, 2, 3])
        one, other, _ = await engine.questions(RUN)
        await engine.answer(RUN, one.id, 7)
        with anyio.fail_after(5):
            while not any(wait.node == "sure" for wait in await engine.questions(RUN)):
                await anyio.lowlevel.checkpoint()
        assert (await only(engine)).text == "Sure of 7?"
        with pytest.raises(Exception, match="no such open question"):
            await engine.answer(RUN, other.id, 8)
    async with stored.engine() as engine:
        run = await begun(engine, workflow, [1, 2, 3])
        await engine.answer(RUN, "sure", 9)
        assert await run.result() == 9
        statuses = [task.status for task in (await engine.trace(RUN)).tasks if task.node == "rate"]
        assert sorted(statuses) == ["cancelled", "cancelled", "completed"]
        assert [found.text for found in await engine.verify()] == []


# --- where runs are kept ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_sealed", [True, False])
async def test_a_run_that_waits_in_an_encrypted_store_shows_nothing_and_is_answered(is_sealed: bool) -> None:
    journals, ran = Journals(), list[str]()
    workflow = asking(ran)

    def store() -> Store:
        plain = MemoryStore(journals)
        return Encrypted(plain, [b"k" * 32]) if is_sealed else plain

    async with Engine(store()) as engine:
        await begun(engine, workflow, 1)
    async with Engine(store()) as engine:
        assert (await only(engine)).text == "Is it 2?"
        with pytest.raises(AnswerError):
            await engine.answer(RUN, "approve", "much")
        await engine.answer(RUN, "approve", 271828)
        kept = repr(journals)
        assert ("271828" in kept, "Is it 2?" in kept) == (not is_sealed, not is_sealed)
        assert await (await engine.resume(RUN, workflow)).result() == "answered 271828"
    assert ran == ["before", "approve", "after"]


async def test_what_waits_is_kept_when_runs_are_removed(stored: World) -> None:
    async with stored.engine() as engine:
        await begun(engine, asking(stored.ran), 1)
    stored.clock.advance(1e7)
    async with stored.engine() as engine:
        await engine.gc(older_than=1.0)
        await engine.answer(RUN, (await only(engine)).id, 3)
        assert await (await engine.resume(RUN, asking(stored.ran))).result() == "answered 3"


async def test_two_runs_that_wait_are_compared(stored: World) -> None:
    async with stored.engine() as engine:
        await begun(engine, asking(stored.ran), 1)
        await begun(engine, asking(stored.ran), 2, run_id="other")
        same, differs = await engine.diff(RUN, RUN), await engine.diff(RUN, "other")
    assert same.is_empty
    assert not differs.is_empty
    assert "3" in str(differs)


async def test_a_run_that_waits_is_moved_to_another_store_and_answered_there(stored: World) -> None:
    workflow = asking(stored.ran)
    async with stored.engine() as engine:
        await begun(engine, workflow, 1)
        question = await only(engine)
        lines = [line async for line in engine.export(RUN)]
    async with Engine(MemoryStore(clock=stored.clock), clock=stored.clock) as engine:
        await engine.import_run(lines)
        assert (await only(engine)).id == question.id
        await engine.answer(RUN, question.id, 3, by="ann")
        assert await (await engine.resume(RUN, workflow)).result() == "answered 3"
        assert [one.text for one in await engine.verify()] == []
    assert stored.ran == ["before", "approve", "after"]


# --- changed workflows ------------------------------------------------------------------------------------------------


def changed(node_id: str, event: str, version: int, ran: list[str]) -> AnyWorkflow:
    """Build a question and an event behind it, with an id and a name that a version changes."""
    wf = WorkflowBuilder(name="changed", input_type=int, output_type=int, version=version)

    @wf.ask(answer=int, node_id=node_id)
    async def approve(ctx: StepContext[None, None, int]) -> str:
        ran.append("approve")
        return "Well?"

    paid: Any = wf.wait_for(event, int, node_id="paid")
    wf.edge(wf.start_node, approve)
    wf.edge(approve, paid)
    wf.edge(paid, wf.end_node)
    if version > 1:

        @wf.migrate(from_version=1)
        def later(stored: Any) -> None:
            stored.rename("approve", node_id)

    return wf.build()


async def test_a_question_whose_node_was_renamed_stays_open_and_is_not_asked_again(stored: World) -> None:
    async with stored.engine() as engine:
        await begun(engine, changed("approve", "paid", 1, stored.ran), 1)
        question = await only(engine)
    async with stored.engine() as engine:
        run = await engine.resume(RUN, changed("confirm", "paid", 2, stored.ran))
        assert await run.settle() == "waiting"
        found = await only(engine)
        assert (found.id, found.node) == (question.id, "confirm")
        await engine.send(RUN, "paid", 4)
        await engine.answer(RUN, "confirm", 3)
        assert await run.result() == 4
        assert [one.text for one in await engine.verify()] == []
    assert stored.ran == ["approve"]


async def test_an_early_event_that_nothing_waits_for_after_a_change_is_taken_by_nobody(stored: World) -> None:
    async with stored.engine() as engine:
        await begun(engine, changed("approve", "paid", 1, stored.ran), 1)
        await engine.send(RUN, "paid", 4)
    async with stored.engine() as engine:
        run = await engine.resume(RUN, changed("confirm", "settled", 2, stored.ran))
        await engine.answer(RUN, "confirm", 3)
        with anyio.fail_after(5):
            while not await engine.waits(RUN, kind="event"):
                await anyio.lowlevel.checkpoint()
        await engine.send(RUN, "settled", 5)
        assert await run.result() == 5
        assert [one.text for one in await engine.verify()] == []


# --- races of two -----------------------------------------------------------------------------------------------------

PAIRS = [("ask", "event"), ("event", "ask"), ("ask", "time"), ("time", "ask"), ("event", "time"), ("time", "event")]


@pytest.mark.parametrize("winner", [0, 1])
@pytest.mark.parametrize("kinds", PAIRS)
async def test_each_of_two_may_win_a_race_and_closes_the_other(
    stored: World, kinds: tuple[str, str], winner: int
) -> None:
    wf = WorkflowBuilder(name="racing", output_type=str)

    async def approve(ctx: StepContext[None, None, None]) -> str:
        return "Well?"

    def part(kind: str) -> Any:
        if kind == "ask":
            return wf.ask(answer=int)(approve)
        return wf.wait_for("paid", str) if kind == "event" else wf.sleep(60, node_id="nap")

    first: Any = wf.race(part(kinds[0]), part(kinds[1]), node_id="first")

    @wf.function
    async def told(ctx: StepContext[None, None, Any]) -> str:
        return type(ctx.inputs).__name__

    wf.edge(wf.start_node, first)
    wf.edge(first, told)
    wf.edge(told, wf.end_node)
    workflow = wf.build()
    async with stored.engine() as engine:
        run = await begun(engine, workflow)
        assert [one.kind for one in await engine.waits(RUN)] == list(kinds)
        match kinds[winner]:
            case "ask":
                await engine.answer(RUN, "first", 4)
            case "event":
                await engine.send(RUN, "paid", "x")
            case _:
                stored.clock.advance(60)
                await engine.resume(RUN, workflow)
        assert await run.result() == {"ask": "int", "event": "str", "time": "TimeUp"}[kinds[winner]]
        assert await engine.waits(RUN) == []
        assert [one.text for one in await engine.verify()] == []
