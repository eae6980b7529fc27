"""Events, times, deadlines, races: what comes first wins, what comes early is kept, what comes late is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from milepost import (
    AnswerError,
    DeadlinePassed,
    Engine,
    IncompatibleWorkflow,
    InputError,
    NodeError,
    Run,
    StepContext,
    TimeUp,
    UnknownQuestion,
    WorkflowBuilder,
    WorkflowError,
)
from milepost.engine.mailroom import ANSWER
from milepost.engine.stores.store import Message
from milepost.engine.typed import reduce_list_append
from tests.engine.waiters import RUN, AnyWorkflow, World, asking, begun, nested, only, stored, world

__all__ = ["stored", "world"]

pytestmark = pytest.mark.anyio


class Payment(BaseModel):
    amount: int


async def after(world: World, engine: Engine, workflow: AnyWorkflow, seconds: float) -> None:
    """Let time pass, and have the run look at the clock where it is stored."""
    world.clock.advance(seconds)
    if world.is_stored:
        await engine.resume(RUN, workflow)


# --- deadlines --------------------------------------------------------------------------------------------------------


async def test_a_default_flows_on_when_the_deadline_passes(world: World) -> None:
    workflow = asking(world.ran, deadline=timedelta(hours=1), default=7)
    async with world.engine() as engine:
        run = await begun(engine, workflow, 1)
        assert (await only(engine)).until == world.clock.now + timedelta(hours=1)
        await after(world, engine, workflow, 3600)
        assert await run.result() == "answered 7"


async def test_without_a_default_the_node_fails_with_what_it_waited_for_and_until_when(world: World) -> None:
    workflow = asking(world.ran, deadline=60)
    async with world.engine() as engine:
        run = await begun(engine, workflow, 1)
        await after(world, engine, workflow, 61)
        with pytest.raises((NodeError, DeadlinePassed), match="by its deadline, 2026-01-01 00:01:00 UTC"):
            await run.result()


async def test_a_run_that_failed_by_a_deadline_asks_anew_when_it_is_tried_again(stored: World) -> None:
    workflow = asking(stored.ran, deadline=60)
    async with stored.engine() as engine:
        run = await begun(engine, workflow, 1)
        await after(stored, engine, workflow, 61)
        with pytest.raises((NodeError, DeadlinePassed)):
            await run.result()
        again = await engine.resume(RUN, workflow)
        assert await again.settle() == "waiting"
        assert (await only(engine)).until == stored.clock.now + timedelta(minutes=1)
        await engine.answer(RUN, "approve", 3)
        assert await again.result() == "answered 3"
        assert [one.text for one in await engine.verify()] == []


@pytest.mark.parametrize("how", [{"on_timeout": True}, {"on_error": TimeoutError}])
async def test_an_edge_takes_a_deadline_that_passed(world: World, how: Any) -> None:
    wf = WorkflowBuilder(name="late", output_type=str)

    @wf.ask(answer=str, deadline=60)
    async def approve(ctx: StepContext[None, None, None]) -> str:
        return "Well?"

    @wf.function
    async def late(ctx: StepContext[None, None, Any]) -> str:
        return f"late at {ctx.inputs.node}"

    wf.edge(wf.start_node, approve)
    wf.edge(approve, wf.end_node)
    wf.edge(approve, late, **how)
    wf.edge(late, wf.end_node)
    workflow = wf.build()
    async with world.engine() as engine:
        run = await begun(engine, workflow)
        await after(world, engine, workflow, 60)
        assert await run.result() == "late at approve"


@pytest.mark.parametrize(("at", "output"), [(60.0, "answered 4"), (60.5, "answered 7")])
async def test_an_answer_counts_by_when_it_was_given_not_by_when_it_is_read(
    stored: World, at: float, output: str
) -> None:
    workflow = asking(stored.ran, deadline=60, default=7)
    async with stored.engine() as engine:
        await begun(engine, workflow, 1)
        question = await only(engine)
    store = stored.store()
    assert store is not None
    await store.open()
    payload = f'{{"wait":"{question.id}","value":4}}'
    await store.post(Message(RUN, "posted", ANSWER, payload, "ann", stored.clock() + at))
    await store.close()
    stored.clock.advance(3600)
    async with stored.engine() as engine:
        assert await (await engine.resume(RUN, workflow)).result() == output


async def test_a_question_whose_deadline_has_passed_takes_no_answer(stored: World) -> None:
    async with stored.engine() as engine:
        await begun(engine, asking(stored.ran, deadline=60, default=7), 1)
    stored.clock.advance(61)
    async with stored.engine() as engine:
        with pytest.raises(UnknownQuestion, match="its deadline was 2026-01-01 00:01:00 UTC"):
            await engine.answer(RUN, "approve", 1)


# --- times ------------------------------------------------------------------------------------------------------------


def sleeping(until: Any) -> AnyWorkflow:
    wf = WorkflowBuilder(name="sleeping", input_type=int, output_type=int)
    nap: Any = wf.sleep(until, node_id="nap")
    wf.edge(wf.start_node, nap)
    wf.edge(nap, wf.end_node)
    return wf.build()


def in_an_hour(ctx: StepContext[None, None, int]) -> timedelta:
    return timedelta(hours=ctx.inputs)


def in_so_long(until: Any) -> Any:
    def tell(ctx: StepContext[None, None, int]) -> Any:
        return until

    return tell


@pytest.mark.parametrize("until", [timedelta(hours=1), 3600, 3600.0, datetime(2026, 1, 1, 1, tzinfo=UTC), in_an_hour])
async def test_a_time_is_waited_for_and_what_came_in_flows_on(world: World, until: Any) -> None:
    workflow = sleeping(until)
    async with world.engine() as engine:
        run = await begun(engine, workflow, 1)
        assert run.due == world.clock() + 3600
        assert (await only(engine, kind="time")).until == datetime(2026, 1, 1, 1, tzinfo=UTC)
        await after(world, engine, workflow, 3599)
        assert await run.settle() == "waiting"
        await after(world, engine, workflow, 1)
        assert await run.result() == 1


@pytest.mark.parametrize("until", [timedelta(hours=-1), 0, -5.0, datetime(1913, 1, 1, tzinfo=UTC), -1e300])
async def test_a_time_in_the_past_is_not_waited_for(world: World, until: Any) -> None:
    async with world.engine() as engine:
        assert await (await engine.start(sleeping(until), inputs=1)).result() == 1


@pytest.mark.parametrize("until", [timedelta.max, 1e12, 1e300])
async def test_a_time_after_the_year_9999_is_refused_where_it_is_made(world: World, until: Any) -> None:
    async with world.engine() as engine:
        with pytest.raises(WorkflowError, match="after the year 9999"):
            await (await engine.start(sleeping(in_so_long(until)), inputs=1)).result()


@pytest.mark.parametrize("until", ["soon", None, True, float("nan"), datetime(2026, 1, 1)])
def test_what_is_no_time_is_refused_at_once(until: Any) -> None:
    with pytest.raises(WorkflowError, match="no time"):
        sleeping(until)


# --- events -----------------------------------------------------------------------------------------------------------


def paid(ran: list[str], **options: Any) -> AnyWorkflow:
    """Build a question, and an event that is waited for behind it."""
    wf = WorkflowBuilder(name="paid", input_type=str, output_type=int)

    @wf.ask(answer=str)
    async def approve(ctx: StepContext[None, None, str]) -> str:
        return "Well?"

    wait: Any = wf.wait_for("paid", Payment, **options)

    @wf.function
    async def total(ctx: StepContext[None, None, Payment]) -> int:
        ran.append(f"total {ctx.inputs.amount}")
        return ctx.inputs.amount

    wf.edge(wf.start_node, approve)
    wf.edge(approve, wait)
    wf.edge(wait, total)
    wf.edge(total, wf.end_node)
    return wf.build()


async def past_the_question(engine: Engine, run: Run[Any]) -> None:
    await engine.answer(RUN, "approve", "a")
    with anyio.fail_after(5):
        while not await engine.waits(RUN, kind="event") and not run.is_over:
            await anyio.lowlevel.checkpoint()


async def test_an_event_is_taken_once_and_by_its_type(world: World) -> None:
    async with world.engine() as engine:
        run = await begun(engine, paid(world.ran), "x")
        await past_the_question(engine, run)
        with pytest.raises(AnswerError, match="amount"):
            await engine.send(RUN, "paid", {"amount": "much"})
        assert await engine.send(RUN, "paid", Payment(amount=3), id="hook-1")
        assert await run.result() == 3


async def test_an_event_of_an_id_that_was_sent_before_is_not_sent_again(world: World) -> None:
    async with world.engine() as engine:
        run = await begun(engine, paid(world.ran), "x")
        assert await engine.send(RUN, "paid", {"amount": 3}, id="hook-1")
        assert not await engine.send(RUN, "paid", {"amount": 4}, id="hook-1")
        await engine.answer(RUN, "approve", "a")
        assert await run.result() == 3


async def test_early_events_are_kept_and_the_oldest_is_taken_first(world: World) -> None:
    async with world.engine() as engine:
        run = await begun(engine, paid(world.ran), "x")
        for amount in (1, 2):
            await engine.send(RUN, "paid", {"amount": amount})
        await engine.answer(RUN, "approve", "a")
        assert await run.result() == 1


async def test_early_events_that_do_not_fit_are_refused_when_they_are_wanted(world: World) -> None:
    async with world.engine() as engine:
        run = await begun(engine, paid(world.ran), "x")
        await engine.send(RUN, "paid", {"amount": "much"})
        await engine.send(RUN, "paid", 17)
        await engine.send(RUN, "paid", {"amount": 2})
        await engine.answer(RUN, "approve", "a")
        assert await run.result() == 2
        if world.is_stored:
            assert [one.text for one in await engine.verify()] == []


async def test_early_events_outlive_their_process(stored: World) -> None:
    workflow = paid(stored.ran)
    async with stored.engine() as engine:
        await begun(engine, workflow, "x")
        await engine.send(RUN, "paid", {"amount": 5}, by="bank")
    async with stored.engine() as engine:
        await engine.answer(RUN, "approve", "a")
        assert await (await engine.resume(RUN, workflow)).result() == 5
        (task,) = [one for one in (await engine.trace(RUN)).tasks if one.node == "paid"]
    assert task.wait is not None
    assert (task.wait.how, task.wait.by) == ("received", "bank")


async def test_an_event_that_nothing_waits_for_is_refused_where_it_was_declared_so(world: World) -> None:
    async with world.engine() as engine:
        run = await begun(engine, paid(world.ran, early="refuse"), "x")
        with pytest.raises(InputError, match="does not wait for event 'paid' now, and its workflow refuses"):
            await engine.send(RUN, "paid", {"amount": 2})
        await past_the_question(engine, run)
        await engine.send(RUN, "paid", {"amount": 2})
        assert await run.result() == 2


async def test_an_event_that_no_node_waits_for_is_refused(world: World) -> None:
    async with world.engine() as engine:
        run = await begun(engine, paid(world.ran), "x")
        with pytest.raises(InputError, match=r"never waits for event 'payed'\. Did you mean 'paid'"):
            await engine.send(RUN, "payed", {"amount": 2})
        run.stop()


async def test_an_event_for_a_run_inside_that_does_not_wait_yet_says_where_to_send_it(world: World) -> None:
    workflow = nested(paid(world.ran), 1, str, int)
    async with world.engine() as engine:
        run = await begun(engine, workflow, "x")
        (question,) = await engine.questions(RUN)
        with pytest.raises(InputError) as refused:
            await engine.send(RUN, "paid", {"amount": 2})
        assert str(refused.value) == (
            f"Run {RUN!r} itself never waits for event 'paid': a run inside it does, at node 'inner', and it does not "
            f"wait for it yet. Send it when it does, or to the run inside, which keeps it: {question.run_id}."
        )
        await engine.send(question.run_id, "paid", {"amount": 2})
        await engine.answer(RUN, "approve", "a")
        assert await run.result() == 2


async def test_an_event_for_what_has_not_begun_inside_is_to_be_sent_later(world: World) -> None:
    wf = WorkflowBuilder(name="around", input_type=str, output_type=int)

    @wf.ask(answer=str)
    async def begin(ctx: StepContext[None, None, str]) -> str:
        return "Begin?"

    inner: Any = wf.subworkflow(nested(paid(world.ran), 1, str, int), node_id="deep")
    wf.edge(wf.start_node, begin)
    wf.edge(begin, inner)
    wf.edge(inner, wf.end_node)
    async with world.engine() as engine:
        run = await begun(engine, wf.build(), "x")
        with pytest.raises(
            InputError, match=r"at node 'deep', and it does not wait for it yet\. Send it when it does\.$"
        ):
            await engine.send(RUN, "paid", {"amount": 2})
        with pytest.raises(InputError, match="It waits for no event at all"):
            await engine.send(RUN, "payed", {"amount": 2})
        run.stop()


async def test_each_of_several_tasks_takes_the_event_about_its_own_key(world: World) -> None:
    wf = WorkflowBuilder(name="keyed", input_type=list[str], output_type=list[int])
    wait: Any = wf.wait_for("paid", int, key=lambda ctx: ctx.inputs)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, wf.each(wait, join=collect, fork_id="each"))
    wf.edge(collect, wf.end_node)
    async with world.engine() as engine:
        run = await begun(engine, wf.build(), ["a", "b"])
        await engine.send(RUN, "paid", 2, key="b")
        await engine.send(RUN, "paid", 9, key="c")
        await engine.send(RUN, "paid", 1, key="a")
        assert sorted(await run.result()) == [1, 2]


# --- races ------------------------------------------------------------------------------------------------------------


def racing() -> AnyWorkflow:
    wf = WorkflowBuilder(name="racing", output_type=str)

    async def approve(ctx: StepContext[None, None, None]) -> str:
        return "Well?"

    first: Any = wf.race(
        wf.ask(answer=int)(approve), wf.wait_for("paid", Payment), wf.sleep(60, node_id="nap"), node_id="first"
    )

    @wf.function
    async def told(ctx: StepContext[None, None, Any]) -> str:
        return type(ctx.inputs).__name__

    wf.edge(wf.start_node, first)
    wf.edge(first, told)
    wf.edge(told, wf.end_node)
    return wf.build()


@pytest.mark.parametrize(("winner", "output"), [("answer", "int"), ("event", "Payment"), ("time", "TimeUp")])
async def test_the_first_to_come_wins_and_closes_the_others_in_the_same_record(
    world: World, winner: str, output: str
) -> None:
    workflow = racing()
    async with world.engine() as engine:
        run = await begun(engine, workflow)
        kinds = [one.kind for one in await engine.waits(RUN)]
        assert kinds == ["ask", "event", "time"]
        question = await only(engine)
        if winner == "answer":
            await engine.answer(RUN, question.id, 4)
        elif winner == "event":
            await engine.send(RUN, "paid", {"amount": 2})
        else:
            await after(world, engine, workflow, 60)
        assert await run.result() == output
        if world.is_stored:
            assert await engine.waits(RUN) == []
            with pytest.raises(Exception, match="answer"):
                await engine.answer(RUN, question.id, 5)
    assert TimeUp(world.clock.now) == TimeUp(world.clock.now)


# --- other code -------------------------------------------------------------------------------------------------------


async def refusal(stored: World, workflow: AnyWorkflow) -> str:
    """Return why a run that waits does not go on with another workflow; it is as it was then."""
    async with stored.engine() as engine:
        (prospect,) = await engine.check(workflow)
        assert prospect.verdict == "refused"
        before = await engine.waits(RUN)
        with pytest.raises(IncompatibleWorkflow) as refused:
            await engine.resume(RUN, workflow)
        assert await engine.waits(RUN) == before
    return str(refused.value)


def other(answer: Any = int, node_id: str = "approve", *, asks: bool = True) -> AnyWorkflow:
    """Build `asking` with another answer, another id, or a node that asks nothing."""
    wf = WorkflowBuilder(name="asking", input_type=int, output_type=str)

    @wf.function
    async def before(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    async def ask(ctx: StepContext[None, None, int]) -> str:
        return "Again?"

    approve: Any = wf.ask(answer=answer, node_id=node_id)(ask) if asks else wf.function(node_id=node_id)(ask)

    @wf.function
    async def after(ctx: StepContext[None, None, Any]) -> str:
        return f"then {ctx.inputs!r}"

    wf.edge(wf.start_node, before)
    wf.edge(before, approve)
    wf.edge(approve, after)
    wf.edge(after, wf.end_node)
    return wf.build()


async def test_a_question_whose_node_is_gone_or_asks_no_more_does_not_go_on(stored: World) -> None:
    async with stored.engine() as engine:
        await begun(engine, asking(stored.ran), 1)
    assert "waits for an answer, and does not any more" in await refusal(stored, other(asks=False))
    assert "'approve'" in await refusal(stored, other(node_id="confirm"))


async def test_a_question_whose_answer_has_another_type_stays_open_and_takes_the_new_one(stored: World) -> None:
    async with stored.engine() as engine:
        await begun(engine, asking(stored.ran), 1)
        question = await only(engine)
    workflow = other(answer=list[str])
    async with stored.engine() as engine:
        run = await engine.resume(RUN, workflow)
        assert await run.settle() == "waiting"
        assert (await only(engine)).id == question.id
        with pytest.raises(AnswerError):
            await engine.answer(RUN, question.id, 4)
        await engine.answer(RUN, question.id, ["a"])
        assert await run.result() == "then ['a']"
    assert stored.ran == ["before", "approve"]
