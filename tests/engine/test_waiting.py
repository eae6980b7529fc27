"""Questions: what is asked, who may answer what, and that nothing that ran before runs again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import anyio
import pytest
from pydantic import BaseModel

from milepost import (
    AlreadyAnswered,
    AnswerError,
    Engine,
    InputError,
    NodeError,
    Question,
    Retry,
    RunCancelled,
    RunWaiting,
    StepContext,
    UnknownQuestion,
    UnknownRun,
    WorkflowBuilder,
    WorkflowError,
)
from milepost.engine.journal import Kind
from milepost.engine.journal_text import from_text
from milepost.engine.typed import reduce_list_append
from tests.engine.waiters import RUN, AnyWorkflow, World, asking, begun, ids, mapped, nested, only, stored, texts, world

__all__ = ["stored", "world"]

pytestmark = pytest.mark.anyio


@dataclass
class Claims:
    limit: int = 100
    asked: list[str] = field(default_factory=list[str])


class Verdict(BaseModel):
    accept: bool
    reason: str = ""
    amount: int = 0


def claims(answer: Any = Verdict) -> AnyWorkflow:
    """Build a question whose text, choices and details come of input and state, and which notes that it was asked."""
    wf = WorkflowBuilder(name="claims", state_type=Claims, input_type=str, output_type=Claims)

    @wf.ask(answer=answer)
    async def approve(ctx: StepContext[Claims, None, str]) -> Question:
        ctx.state.asked.append(ctx.inputs)
        return Question(text=f"Pay {ctx.inputs} up to {ctx.state.limit}?", details=Verdict(accept=True, amount=7))

    @wf.function
    async def keep(ctx: StepContext[Claims, None, Any]) -> Claims:
        ctx.state.asked.append(str(ctx.inputs))
        return ctx.state

    wf.edge(wf.start_node, approve)
    wf.edge(approve, keep)
    wf.edge(keep, wf.end_node)
    return wf.build()


# --- asking -----------------------------------------------------------------------------------------------------------


async def test_a_question_waits_and_its_answer_is_the_output_of_its_node(world: World) -> None:
    async with world.engine() as engine:
        run = await begun(engine, asking(world.ran), 1)
        question = await only(engine)
        assert (question.text, question.node, question.kind) == ("Is it 2?", "approve", "ask")
        assert json.loads(question.schema) == {"type": "integer"}
        assert (question.asked, question.until, question.refused) == (world.clock.now, None, 0)
        await engine.answer(RUN, question.id, 42, by="ann")
        assert await run.result() == "answered 42"
    assert world.ran == ["before", "approve", "after"]


async def test_what_is_asked_comes_of_input_and_state_and_is_committed_with_what_it_changes(stored: World) -> None:
    workflow = claims()
    async with stored.engine() as engine:
        await begun(engine, workflow, "rent", state=Claims(limit=5))
    async with stored.engine() as engine:
        question = await only(engine)
        assert question.text == "Pay rent up to 5?"
        assert json.loads(question.details) == {"accept": True, "reason": "", "amount": 7}
        row = (await engine.at(RUN, 2)).state
        assert row is not None
        assert json.loads(row) == {"limit": 5, "asked": ["rent"]}
        await engine.answer(RUN, "approve", {"accept": False}, by="ann")
        ended: Claims = await (await engine.resume(RUN, workflow)).result()
    assert ended.asked == ["rent", "accept=False reason='' amount=0"]


async def test_a_state_is_changed_by_a_question_without_a_store_too() -> None:
    async with Engine() as engine:
        run = await begun(engine, claims(), "rent")
        await engine.answer(RUN, "approve", Verdict(accept=True))
        assert (await run.result()).asked[0] == "rent"


async def test_the_process_may_end_and_nothing_that_ran_before_runs_again(stored: World) -> None:
    workflow = asking(stored.ran)
    async with stored.engine() as engine:
        run = await begun(engine, workflow, 1)
    with pytest.raises(RunWaiting, match=r"waits for an answer to question \w{16} of node 'approve'\. Answer it"):
        await run.result()
    async with stored.engine() as engine:
        again = await begun(engine, workflow, 1)
        await engine.answer(RUN, "approve", 1)
        assert await again.result() == "answered 1"
    assert stored.ran == ["before", "approve", "after"]


async def test_a_workflow_that_is_run_alone_says_what_it_waits_for() -> None:
    with pytest.raises(RunWaiting, match=r"an answer to question \w{16} of node 'approve'"):
        await asking([]).run(inputs=1)


@pytest.mark.parametrize(("made", "why"), [("", "asks nothing"), (7, "is no question"), ("  ", "asks nothing")])
async def test_what_is_no_question_fails_the_run(world: World, made: Any, why: str) -> None:
    wf = WorkflowBuilder(name="bad", output_type=int)

    @wf.ask(answer=int)
    async def approve(ctx: StepContext[None, None, None]) -> str:
        return made  # type: ignore[no-any-return]  # on purpose

    wf.edge(wf.start_node, approve)
    wf.edge(approve, wf.end_node)
    async with world.engine() as engine:
        with pytest.raises(WorkflowError, match=why):
            await (await engine.start(wf.build())).result()


# --- answers ----------------------------------------------------------------------------------------------------------


async def test_an_answer_of_the_wrong_type_is_refused_with_every_fault_and_changes_nothing(world: World) -> None:
    async with world.engine() as engine:
        run = await begun(engine, claims(), "rent")
        with pytest.raises(AnswerError) as refused:
            await engine.answer(RUN, "approve", {"reason": 4, "amount": "much"})
        assert len(refused.value.faults) == 3
        assert "At 'accept': Field required." in str(refused.value)
        assert "At 'amount'" in str(refused.value)
        assert (await only(engine)).refused == 0
        await engine.answer(RUN, "approve", Verdict(accept=True))
        await run.result()


async def test_a_process_without_the_code_refuses_a_wrong_answer_by_its_schema(stored: World) -> None:
    async with stored.engine() as engine:
        await begun(engine, claims(), "rent")
    async with stored.engine() as engine:
        with pytest.raises(AnswerError, match="accept"):
            await engine.answer(RUN, "approve", {"reason": 4})
        await engine.answer(RUN, "approve", {"accept": True})


async def test_what_is_answered_is_one_of_the_choices(world: World) -> None:
    wf = WorkflowBuilder(name="choices", output_type=str)

    @wf.ask(answer=str)
    async def pick(ctx: StepContext[None, None, None]) -> Question:
        return Question(text="Which?", choices=["red", "blue"])

    wf.edge(wf.start_node, pick)
    wf.edge(pick, wf.end_node)
    async with world.engine() as engine:
        run = await begun(engine, wf.build())
        assert (await only(engine)).choices == ('"red"', '"blue"')
        with pytest.raises(AnswerError, match='none of the choices, which are "red", "blue"'):
            await engine.answer(RUN, "pick", "green")
        await engine.answer(RUN, "pick", "blue")
        assert await run.result() == "blue"


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("answer", "given", "value"),
    [
        (bool, True, True),
        (Literal["yes", "no"], "no", "no"),
        (Colour, Colour.BLUE, Colour.BLUE),
        (Colour, "blue", Colour.BLUE),
        (list[int], (1, 2), [1, 2]),
        (int | None, None, None),
        (tuple[int, str], [1, "a"], (1, "a")),
        (Any, {"a": [1]}, {"a": [1]}),
    ],
)
async def test_answers_are_read_by_the_type(world: World, answer: Any, given: Any, value: Any) -> None:
    wf = WorkflowBuilder(name="typed", output_type=answer)

    @wf.ask(answer=answer)
    async def pick(ctx: StepContext[None, None, None]) -> str:
        return "Which?"

    wf.edge(wf.start_node, pick)
    wf.edge(pick, wf.end_node)
    async with world.engine() as engine:
        run = await begun(engine, wf.build())
        await engine.answer(RUN, "pick", given)
        assert await run.result() == value


async def test_a_second_answer_is_refused_with_who_answered_when(world: World) -> None:
    async with world.engine() as engine:
        run = await begun(engine, mapped(world.ran), [1, 2])
        found = await texts(engine)
        world.clock.advance(60)
        await engine.answer(RUN, found["Rate 1."].id, 5, by="ann")
        for _ in range(2):
            with pytest.raises(AlreadyAnswered, match=r"was answered before by ann at 2026-01-01 00:01:00 UTC"):
                await engine.answer(RUN, found["Rate 1."].id, 6, by="bob")
            await wait_for_questions(engine, 1)
        await engine.answer(RUN, found["Rate 2."].id, 7)
        assert sorted(await run.result()) == [5, 7]


async def wait_for_questions(engine: Engine, count: int) -> None:
    """Wait until so many questions of the run are open."""
    with anyio.fail_after(5):
        while len(await engine.questions(RUN)) != count:
            await anyio.lowlevel.checkpoint()


async def test_of_two_answers_at_the_same_instant_exactly_one_wins(world: World) -> None:
    won, told = list[str](), list[str | None]()

    async def answer(engine: Engine, question: str, by: str) -> None:
        try:
            await engine.answer(RUN, question, len(by), by=by)
        except AlreadyAnswered as error:
            told.append(error.by)
        else:
            won.append(by)

    async with world.engine() as engine:
        run = await begun(engine, asking(world.ran), 1)
        question = await only(engine)
        async with anyio.create_task_group() as group:
            for by in ("ann", "bobby", "cy"):
                group.start_soon(answer, engine, question.id, by)
        assert len(won) == 1
        assert told == won * 2
        assert await run.result() == f"answered {len(won[0])}"


async def test_an_unknown_question_is_refused_with_those_that_are_open(world: World) -> None:
    async with world.engine() as engine:
        run = await begun(engine, mapped(world.ran), [1, 2])
        first, second = await engine.questions(RUN)
        with pytest.raises(UnknownQuestion, match=f"no such open question. Open are: {first.id} .rate., {second.id}"):
            await engine.answer(RUN, "nothing", 1)
        with pytest.raises(UnknownQuestion, match="2 open questions are called so"):
            await engine.answer(RUN, "rate", 1)
        with pytest.raises(UnknownRun):
            await engine.answer("nobody", first.id, 1)
        await engine.answer(RUN, first.id[:8], 1)
        await engine.answer(RUN, second.id, 2)
        assert sorted(await run.result()) == [1, 2]


async def test_an_answer_to_a_cancelled_run_is_refused(stored: World) -> None:
    async with stored.engine() as engine:
        await begun(engine, asking(stored.ran), 1)
        question = await only(engine)
        assert await engine.cancel(RUN) == "cancelled"
        with pytest.raises(RunCancelled):
            await engine.answer(RUN, question.id, 1)
        assert await engine.questions() == []


async def test_an_answer_to_a_question_of_a_completed_run_tells_who_answered(stored: World) -> None:
    async with stored.engine() as engine:
        run = await begun(engine, asking(stored.ran), 1)
        question = await only(engine)
        await engine.answer(RUN, question.id, 1, by="ann")
        await run.result()
        for name in (question.id, "approve"):
            with pytest.raises(AlreadyAnswered, match="by ann"):
                await engine.answer(RUN, name, 2)


async def test_who_answered_is_in_the_trace_and_nothing_was_resumed(stored: World) -> None:
    async with stored.engine() as engine:
        run = await begun(engine, asking(stored.ran), 1)
        stored.clock.advance(3600)
        await engine.answer(RUN, "approve", 4, by="ann")
        await run.result()
        trace = await engine.trace(RUN)
    (task,) = [one for one in trace.tasks if one.node == "approve"]
    assert task.wait is not None
    assert (task.wait.kind, task.wait.how, task.wait.by, task.wait.answer) == ("ask", "answered", "ann", "4")
    assert task.wait.settled is not None
    assert (task.wait.settled - task.wait.asked).total_seconds() == 3600
    assert trace.resumes == ()


# --- ids --------------------------------------------------------------------------------------------------------------


async def test_parallel_questions_have_ids_and_each_branch_goes_on_by_itself(world: World) -> None:
    async with world.engine() as engine:
        run = await begun(engine, mapped(world.ran), [1, 2, 3])
        found = await texts(engine)
        assert len({one.id for one in found.values()}) == 3
        await engine.answer(RUN, found["Rate 2."].id, 20)
        with anyio.fail_after(5):
            while "note 20" not in world.ran:
                await anyio.lowlevel.checkpoint()
        assert len(await engine.questions(RUN)) == 2
        assert sorted(world.ran) == ["note 20", "rate 1", "rate 2", "rate 3"]
        await engine.answer(RUN, found["Rate 1."].id, 10)
        await engine.answer(RUN, found["Rate 3."].id, 30)
        assert sorted(await run.result()) == [10, 20, 30]


def looping(ran: list[str]) -> AnyWorkflow:
    wf = WorkflowBuilder(name="looping", input_type=int, output_type=int)

    @wf.ask(answer=int)
    async def again(ctx: StepContext[None, None, int]) -> str:
        ran.append(f"again {ctx.inputs}")
        return f"After {ctx.inputs}?"

    wf.edge(wf.start_node, again)
    wf.edge(again, again, when=lambda number: number < 3, label="< 3")
    wf.edge(again, wf.end_node, otherwise=True)
    return wf.build()


async def test_a_question_in_a_loop_has_another_id_every_time(world: World) -> None:
    seen: list[str] = []
    async with world.engine() as engine:
        run = await begun(engine, looping(world.ran), 0)
        for number in (1, 2, 3):
            with anyio.fail_after(5):
                while f"After {number - 1}?" not in (found := await texts(engine)):
                    await anyio.lowlevel.checkpoint()
            (question,) = found.values()
            seen.append(question.id)
            await engine.answer(RUN, question.id, number)
        assert await run.result() == 3
    assert len(set(seen)) == 3


async def test_ids_are_the_same_after_a_resume(stored: World) -> None:
    workflow = mapped(stored.ran)
    async with stored.engine() as engine:
        await begun(engine, workflow, [1, 2])
        before = await engine.questions(RUN)
    async with stored.engine() as engine:
        await begun(engine, workflow, [1, 2])
        assert await engine.questions(RUN) == before
    assert sorted(stored.ran) == ["rate 1", "rate 2"]


async def test_a_fork_has_questions_of_its_own_and_asks_nothing_twice(stored: World) -> None:
    workflow = mapped(stored.ran)
    async with stored.engine() as engine:
        run = await begun(engine, workflow, [1, 2])
        fork = await engine.fork(RUN, workflow, run_id="fork")
        other = await engine.fork(RUN, workflow, run_id="other")
        assert await fork.settle() == await other.settle() == "waiting"
        mine, its, others = [await engine.questions(one) for one in (RUN, "fork", "other")]
        assert len({*ids(mine), *ids(its), *ids(others)}) == 6
        assert [one.text for one in mine] == [one.text for one in its] == [one.text for one in others]
        for one in its:
            await engine.answer("fork", one.id, 9)
        assert await fork.result() == [9, 9]
        for one in mine:
            await engine.answer(RUN, one.id, 1)
        assert await run.result() == [1, 1]
        assert [one.text for one in await engine.verify()] == []
    assert sorted(one for one in stored.ran if one.startswith("rate")) == ["rate 1", "rate 2"]


async def test_a_fork_with_another_input_asks_about_that(stored: World) -> None:
    workflow = asking(stored.ran)
    async with stored.engine() as engine:
        await begun(engine, workflow, 1)
        (task,) = (await engine.at(RUN, 3)).tasks
        fork = await engine.fork(RUN, workflow, run_id="fork", inputs={task.key: 7})
        assert await fork.settle() == "waiting"
        assert (await only(engine, "fork")).text == "Is it 7?"


@pytest.mark.parametrize("levels", [1, 3])
async def test_a_question_of_a_run_inside_runs_is_answered_through_the_outermost(world: World, levels: int) -> None:
    async with world.engine() as engine:
        run = await begun(engine, nested(asking(world.ran), levels), 1)
        question = await only(engine)
        assert question.run_id != RUN
        assert question.workflow == "asking"
        await engine.answer(RUN, "approve", 3)
        assert await run.result() == "answered 3"
    assert world.ran == ["before", "approve", "after"]


@pytest.mark.parametrize("levels", [1, 3])
async def test_nothing_inside_runs_again_when_their_process_has_ended(stored: World, levels: int) -> None:
    workflow = nested(asking(stored.ran), levels)
    async with stored.engine() as engine:
        await begun(engine, workflow, 1)
        before = await engine.questions(RUN)
    async with stored.engine() as engine:
        again = await begun(engine, workflow, 1)
        assert await engine.questions(RUN) == before
        await engine.answer(RUN, before[0].id, 3)
        assert await again.result() == "answered 3"
        assert [one.text for one in await engine.verify()] == []
    assert stored.ran == ["before", "approve", "after"]


async def test_questions_of_several_runs_inside_one_have_distinct_ids(world: World) -> None:
    wf = WorkflowBuilder(name="fan", input_type=list[list[int]], output_type=list[list[int]])
    inner: Any = wf.subworkflow(mapped(world.ran), node_id="inner")
    gather = wf.join(reduce_list_append, initial_factory=list[list[int]], node_id="gather")
    wf.edge(wf.start_node, wf.each(inner, join=gather, fork_id="each"))
    wf.edge(gather, wf.end_node)
    async with world.engine() as engine:
        run = await begun(engine, wf.build(), [[1, 2], [3, 4]])
        found = await engine.questions(RUN)
        assert len(set(ids(found))) == 4
        for one in found:
            await engine.answer(RUN, one.id, int(one.text.split()[1].strip(".")))
        assert sorted(map(sorted, await run.result())) == [[1, 2], [3, 4]]


# --- policies ---------------------------------------------------------------------------------------------------------


async def test_the_function_of_a_question_is_tried_again(world: World) -> None:
    wf = WorkflowBuilder(name="retried", output_type=int)

    @wf.ask(answer=int, retry=Retry(attempts=3, wait=0.0))
    async def approve(ctx: StepContext[None, None, None]) -> str:
        world.ran.append("approve")
        if len(world.ran) < 3:
            raise OSError("no line")
        return "Now?"

    wf.edge(wf.start_node, approve)
    wf.edge(approve, wf.end_node)
    async with world.engine() as engine:
        run = await begun(engine, wf.build())
        await engine.answer(RUN, "approve", 1)
        assert await run.result() == 1
    assert world.ran == ["approve"] * 3


@pytest.mark.parametrize("policy", [{"cache": True}, {"at_most_once": True}])
async def test_a_question_can_have_no_cache_and_needs_not_be_asked_at_most_once(policy: Any) -> None:
    wf = WorkflowBuilder(name="refused", output_type=int)
    with pytest.raises((WorkflowError, InputError)):

        @wf.ask(answer=int, **policy)
        async def approve(ctx: StepContext[None, None, None]) -> str:
            return "Now?"


@pytest.mark.parametrize("most", [1, 2])
async def test_who_waits_takes_no_place_in_a_limited_map(world: World, most: int) -> None:
    async with world.engine() as engine:
        run = await begun(engine, mapped(world.ran, max_concurrency=most), [1, 2, 3, 4])
        for one in await engine.questions(RUN):
            await engine.answer(RUN, one.id, 1)
        assert await run.result() == [1, 1, 1, 1]


async def test_a_run_inside_that_waits_takes_no_place_in_a_limited_map(stored: World) -> None:
    wf = WorkflowBuilder(name="fan", input_type=list[int], output_type=list[str])
    inner: Any = wf.subworkflow(asking(stored.ran), node_id="inner")
    gather = wf.join(reduce_list_append, initial_factory=list[str], node_id="gather")
    wf.edge(wf.start_node, wf.each(inner, join=gather, fork_id="each", max_concurrency=1))
    wf.edge(gather, wf.end_node)
    workflow = wf.build()
    async with stored.engine() as engine:
        await begun(engine, workflow, [1, 2, 3])
        assert len(await engine.questions(RUN)) == 3
    async with stored.engine() as engine:
        run = await begun(engine, workflow, [1, 2, 3])
        for one in await engine.questions(RUN):
            await engine.answer(RUN, one.id, 5)
        assert await run.result() == ["answered 5"] * 3
    assert sorted(stored.ran) == sorted(["before", "approve", "after"] * 3)


async def test_an_engine_that_runs_one_task_at_once_asks_every_question(world: World) -> None:
    async with world.engine(max_concurrency=1) as engine:
        run = await begun(engine, mapped(world.ran), [1, 2, 3])
        for one in await engine.questions(RUN):
            await engine.answer(RUN, one.id, 1)
        assert await run.result() == [1, 1, 1]


# --- beside questions -------------------------------------------------------------------------------------------------


def beside(ran: list[str], **options: Any) -> AnyWorkflow:
    """Build a question beside a node that fails until it is told not to."""
    wf = WorkflowBuilder(name="beside", input_type=int, output_type=list[int], **options)

    @wf.ask(answer=int)
    async def approve(ctx: StepContext[None, None, int]) -> str:
        ran.append("approve")
        return "Well?"

    @wf.function
    async def work(ctx: StepContext[None, None, int]) -> int:
        ran.append("work")
        if ran.count("work") == 1:
            raise ValueError("not yet")
        return 10

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, approve)
    wf.edge(wf.start_node, work)
    wf.edge(approve, collect)
    wf.edge(work, collect)
    wf.edge(collect, wf.end_node)
    return wf.build()


@pytest.mark.parametrize("on_failure", ["cancel", "finish"])
async def test_a_failure_beside_an_open_question_leaves_it_open_for_a_resume(stored: World, on_failure: str) -> None:
    workflow = beside(stored.ran, on_failure=on_failure)
    async with stored.engine() as engine:
        run = await engine.start(workflow, inputs=1, run_id=RUN)
        with pytest.raises(NodeError, match="not yet"):
            await run.result()
        again = await engine.resume(RUN, workflow)
        assert await again.settle() == "waiting"
        await engine.answer(RUN, "approve", 5)
        assert sorted(await again.result()) == [5, 10]
    assert stored.ran.count("work") == 2
    assert stored.ran.count("approve") in (1, 2), "it is asked again only where the failure came before its record"


async def test_an_answer_to_a_failed_run_is_there_when_it_is_resumed(stored: World) -> None:
    workflow = beside(stored.ran, on_failure="finish")
    async with stored.engine() as engine:
        with pytest.raises(NodeError):
            await (await engine.start(workflow, inputs=1, run_id=RUN)).result()
        await engine.answer(RUN, "approve", 5, by="ann")
        assert sorted(await (await engine.resume(RUN, workflow)).result()) == [5, 10]


async def test_the_first_end_wins_and_closes_what_is_open(stored: World) -> None:
    wf = WorkflowBuilder(name="first", input_type=int, output_type=int)

    @wf.ask(answer=int)
    async def approve(ctx: StepContext[None, None, int]) -> str:
        return "Well?"

    wait = wf.sleep(60.0, node_id="nap")

    @wf.function
    async def work(ctx: StepContext[None, None, int]) -> int:
        return 10

    wf.edge(wf.start_node, approve)
    wf.edge(wf.start_node, wait)
    wf.edge(wait, work)
    wf.edge(work, wf.end_node)
    wf.edge(approve, wf.end_node)
    workflow = wf.build()
    async with stored.engine() as engine:
        run = await begun(engine, workflow, 1)
        question = await only(engine)
        stored.clock.advance(60)
        await engine.resume(RUN, workflow)
        assert await run.result() == 10
        assert await engine.waits(RUN) == []
        with pytest.raises(UnknownQuestion, match="No question of it is open"):
            await engine.answer(RUN, question.id, 1)
        trace = await engine.trace(RUN)
    assert {one.node: one.status for one in trace.tasks}["approve"] == "cancelled"


async def test_an_answer_whose_routing_fails_is_kept_and_not_asked_for_again(stored: World) -> None:
    wf = WorkflowBuilder(name="faulty", input_type=int, output_type=int)

    @wf.ask(answer=int)
    async def approve(ctx: StepContext[None, None, int]) -> str:
        stored.ran.append("approve")
        return "Well?"

    def is_large(number: int) -> bool:
        stored.ran.append("is large")
        if stored.ran.count("is large") == 1:
            raise ZeroDivisionError("of a condition")
        return number > 3

    @wf.function
    async def other(ctx: StepContext[None, None, int]) -> int:
        return -ctx.inputs

    wf.edge(wf.start_node, approve)
    wf.edge(approve, wf.end_node, when=is_large)
    wf.edge(approve, other, otherwise=True)
    wf.edge(other, wf.end_node)
    workflow = wf.build()
    async with stored.engine() as engine:
        run = await begun(engine, workflow, 1)
        await engine.answer(RUN, "approve", 5, by="ann")
        with pytest.raises(Exception, match="of a condition"):
            await run.result()
        store = stored.store()
        assert store is not None
        await store.open()
        assert await store.inbox(RUN) == []
        assert await (await engine.resume(RUN, workflow)).result() == 5
        records = [from_text(one.seq, one.body, one.content) for one in await store.records(RUN)]
        assert [record.kind for record in records] == [Kind.STARTED, Kind.ASKED, Kind.COMPLETED, Kind.ROUTED]
        await store.close()
        (task,) = (await engine.trace(RUN)).tasks
    assert task.wait is not None
    assert task.wait.by == "ann"
    assert stored.ran == ["approve", "is large", "is large"]
