"""What differs between two runs, or two checkpoints of one: path, state, output and cost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from milepost.engine.current import report_usage
from milepost.engine.difference import Cost, Difference, OtherChoice, Side, Visit
from milepost.engine.engine import Engine
from milepost.engine.errors import InputError, NodeError, UnknownCheckpoint, UnknownRun
from milepost.engine.failure import Failure
from milepost.engine.json_changes import JsonChange
from milepost.engine.trace import Usage
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.letters import LETTERS, NEWEST, Letter, failed, finished, task_of
from tests.engine.nests import DEEP, OUTER, World
from tests.engine.nests import world as world
from tests.engine.subjects import RUN, Deps, chain

pytestmark = pytest.mark.anyio


def names(visits: tuple[Visit, ...]) -> list[str]:
    return [str(visit) for visit in visits]


# --- two runs ---------------------------------------------------------------------------------------------------------


async def test_a_fork_that_went_another_way_is_told_apart(world: World) -> None:
    async with Engine(world()) as engine:
        await finished(engine, inputs=1)
        key = await task_of(engine, "outline", 1)
        state = Letter(tone="rude")
        fork = await engine.fork(RUN, LETTERS, at=1, state=state, inputs={key: 2}, deps=Deps(), run_id="fork")
        assert await fork.result() == "dropped"
        found = await engine.diff(RUN, "fork")
    assert found.shared == 1
    assert str(found.parted) == "outline#1"
    assert names(found.only_one) == ["send#1"]
    assert names(found.only_other) == ["write#2", "drop#1"] or names(found.only_other) == ["drop#1", "write#2"]
    assert [(str(one.visit), one.one, one.other) for one in found.outcomes] == [
        ("outline#1", "[0]", "[0,1]"),
        ("write#1", '"plain 0"', '"rude 0"'),
        ("judge#1", '"send"', '"drop"'),
    ]
    assert found.choices == (OtherChoice(node="judge", one={"send": 1}, other={"drop": 1}),)
    assert found.state == (
        JsonChange(path="lines[0]", one='"outline 1"', other='"outline 2"'),
        JsonChange(path="lines[1]", one='"sent"', other=None),
        JsonChange(path="tone", one='"plain"', other='"rude"'),
    )
    assert found.output == (JsonChange(path="", one='"plain 0"', other='"dropped"'),)
    assert [edit.inputs for edit in found.other.edits] == [(key,)]
    assert found.one.edits == ()
    assert not found.is_empty


async def test_a_fork_that_came_to_the_same_differs_in_nothing(world: World) -> None:
    async with Engine(world()) as engine:
        await finished(engine)
        fork = await engine.fork(RUN, LETTERS, at=3, deps=Deps(), run_id="fork")
        await fork.result()
        there, back = await engine.diff(RUN, "fork"), await engine.diff("fork", RUN)
        itself = await engine.diff(RUN, RUN)
    assert there.is_empty
    assert back.is_empty
    assert itself.is_empty
    assert (there.shared, there.parted, itself.shared) == (3, None, NEWEST)
    assert there.one.cost.attempts == there.other.cost.attempts == 5


async def test_runs_that_have_nothing_to_do_with_one_another_can_be_compared() -> None:
    async with Engine("memory://") as engine:
        await finished(engine)
        other = await engine.start(chain(["first"]), inputs=1, deps=Deps(), run_id="other")
        await other.result()
        found = await engine.diff(RUN, "other")
    assert found.shared == 0
    assert names(found.only_other) == ["first#1"]
    assert len(found.only_one) == 5
    assert found.state == (JsonChange(path="", one='{"lines":["outline 2","sent"],"tone":"plain"}', other=None),)


async def test_two_forks_of_one_run_share_what_both_share() -> None:
    async with Engine("memory://") as engine:
        await finished(engine)
        for run_id, at in (("early", 2), ("late", 5)):
            fork = await engine.fork(RUN, LETTERS, at=at, deps=Deps(), run_id=run_id)
            await fork.result()
        again = await engine.fork("late", LETTERS, at=6, deps=Deps(), run_id="again")
        await again.result()
        pairs = {("early", "late"): 2, ("late", "early"): 2, ("late", RUN): 5, ("again", "late"): 6, ("again", RUN): 5}
        for (one, other), shared in pairs.items():
            assert (await engine.diff(one, other)).shared == shared


async def test_a_run_that_failed_differs_in_its_status_and_error() -> None:
    async with Engine("memory://") as engine:
        await failed(engine, "send")
        fork = await engine.fork(RUN, LETTERS, deps=Deps(), run_id="fork")
        await fork.result()
        found = await engine.diff(RUN, "fork")
    (outcome,) = found.outcomes
    assert outcome.statuses == ("failed", "completed")
    assert outcome.one is not None
    assert "send is faulty" in outcome.one
    assert outcome.other == '"plain 0, plain 1"'
    assert (found.one.status, found.other.status) == ("failed", "completed")
    assert str(found).startswith(
        "- run r-1, checkpoint 6, failed: ValueError: send is faulty\n+ run fork, checkpoint 8"
    )


async def test_what_a_stream_gave_is_its_outcome() -> None:
    wf = WorkflowBuilder(name="streams", state_type=Letter, input_type=int, output_type=list[str])

    @wf.stream
    async def give(ctx: StepContext[Letter, None, int]) -> AsyncIterator[str]:
        for number in range(ctx.inputs):
            yield f"{ctx.state.tone} {number}"

    @wf.function
    async def take(ctx: StepContext[Letter, None, str]) -> str:
        return ctx.inputs.upper()

    collect = wf.join(reduce_list_append, initial_factory=list[str], node_id="collect")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(take, join=collect))
    wf.edge(collect, wf.end_node)
    workflow = wf.build()
    async with Engine("memory://") as engine:
        for run_id, tone in ((RUN, "plain"), ("other", "kind")):
            run = await engine.start(workflow, inputs=2, state=Letter(tone=tone), run_id=run_id)
            await run.result()
        found = await engine.diff(RUN, "other")
    outcomes = {one.visit.node: (one.one, one.other) for one in found.outcomes}
    assert outcomes["give"] == ('["plain 0","plain 1"]', '["kind 0","kind 1"]')


async def test_a_failure_that_an_edge_took_is_an_outcome() -> None:
    def caring() -> Workflow[None, Deps, int, str]:
        wf = WorkflowBuilder(name="caring", deps_type=Deps, input_type=int, output_type=str)

        @wf.function
        async def work(ctx: StepContext[None, Deps, int]) -> str:
            await ctx.deps.enter("work")
            return "worked"

        @wf.function
        async def help_out(ctx: StepContext[None, Deps, Failure[int]]) -> str:
            return "helped"

        wf.edge(wf.start_node, work)
        wf.edge(work, help_out, on_error=True)
        wf.edge(work, wf.end_node)
        wf.edge(help_out, wf.end_node)
        return wf.build()

    async with Engine("memory://") as engine:
        for run_id, faulty in ((RUN, {"work"}), ("other", set[str]())):
            run = await engine.start(caring(), inputs=2, deps=Deps(faulty=faulty), run_id=run_id)
            await run.result()
        found = await engine.diff(RUN, "other")
    (outcome,) = found.outcomes
    assert outcome.statuses == ("caught", "completed")
    assert names(found.only_one) == ["help_out#1"]
    assert found.choices == (OtherChoice(node="work", one={"help_out": 1}, other={"__end__": 1}),)


# --- two checkpoints --------------------------------------------------------------------------------------------------


async def test_two_checkpoints_of_a_run_differ_in_what_was_done_between_them(world: World) -> None:
    async with Engine(world()) as engine:
        await finished(engine)
        found = await engine.diff(RUN, at=(2, NEWEST))
        back = await engine.diff(RUN, at=(NEWEST, 2))
        newest = await engine.diff(RUN, at=(5, None))
    assert (found.one.seq, found.other.seq, found.shared) == (2, NEWEST, 2)
    assert (found.one.status, found.other.status) == ("running", "completed")
    assert names(found.only_one) == []
    assert sorted(names(found.only_other)) == ["judge#1", "send#1", "write#1", "write#2"]
    assert sorted(names(back.only_one)) == sorted(names(found.only_other))
    assert found.choices == (OtherChoice(node="judge", one={}, other={"send": 1}),)
    assert found.state == (JsonChange(path="lines[1]", one=None, other='"sent"'),)
    assert found.output == (JsonChange(path="", one=None, other='"plain 0, plain 1"'),)
    assert (found.one.cost.attempts, found.other.cost.attempts) == (1, 5)
    assert names(newest.only_other) == ["send#1"]


async def test_two_runs_can_be_compared_at_a_checkpoint_of_each() -> None:
    async with Engine("memory://") as engine:
        await finished(engine)
        fork = await engine.fork(RUN, LETTERS, at=2, state=Letter(tone="kind"), deps=Deps(), run_id="fork")
        await fork.result()
        found = await engine.diff(RUN, "fork", at=(2, 3))
        both = await engine.diff(RUN, "fork", at=2)
    assert (found.only_other, found.only_one, found.outcomes) == ((), (), ())
    assert [change.path for change in found.state] == ["lines[0]", "tone"]
    assert both.is_empty


async def test_a_trace_can_be_read_up_to_a_checkpoint() -> None:
    async with Engine("memory://") as engine:
        await failed(engine, "judge")
        run = await engine.resume(RUN, LETTERS, deps=Deps())
        await run.result()
        early, late = await engine.trace(RUN, until=4), await engine.trace(RUN)
        with pytest.raises(UnknownCheckpoint):
            await engine.trace(RUN, until=99)
    assert (early.checkpoints, early.status, early.resumes, early.output) == (4, "running", (), None)
    assert {task.node: task.status for task in early.tasks} == {
        "outline": "completed",
        "write": "completed",
        "judge": "pending",
    }
    assert (late.status, len(late.resumes)) == ("completed", 1)


# --- runs inside runs -------------------------------------------------------------------------------------------------


async def test_runs_inside_runs_are_compared_where_both_have_them(world: World) -> None:
    async with Engine(world()) as engine:
        run = await engine.start(DEEP, inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        key = await task_of(engine, "before", 1)
        fork = await engine.fork(RUN, DEEP, at=1, inputs={key: 5}, deps=Deps(), run_id="fork")
        await fork.result()
        found = await engine.diff(RUN, "fork")
        flat = await engine.diff(RUN, "fork", depth=0)
        one = await engine.diff(RUN, "fork", depth=1)
        inside = {task.child for task in (await engine.trace(RUN)).tasks if task.child}
    (middle,) = found.children.values()
    (review,) = middle.children.values()
    assert {middle.one.run_id} == inside
    assert [outcome.visit.node for outcome in review.outcomes] == ["parse", "judge"]
    assert review.output == (JsonChange(path="", one="5", other="9"),)
    assert flat.children == {}
    assert [child.children for child in one.children.values()] == [{}]
    assert found.one.cost.attempts > one.one.cost.attempts > flat.one.cost.attempts
    text = str(found)
    assert f"\n  - run {middle.one.run_id}, checkpoint" in text
    assert f"\n    - run {review.one.run_id}, checkpoint" in text


async def test_a_run_inside_that_both_share_is_not_compared_with_itself() -> None:
    async with Engine("memory://") as engine:
        run = await engine.start(OUTER, inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        fork = await engine.fork(RUN, OUTER, at=3, deps=Deps(), run_id="fork")
        await fork.result()
        found = await engine.diff(RUN, "fork")
        assert found.children == {}
        assert found.one.cost.attempts == found.other.cost.attempts == 5
        early = await engine.diff(RUN, at=(2, 3))
    assert (early.one.cost.attempts, early.other.cost.attempts) == (1, 4), "the run inside counts when its task is done"


# --- cost -------------------------------------------------------------------------------------------------------------


def paying() -> Workflow[None, int, str, str]:
    wf = WorkflowBuilder(name="paying", deps_type=int, input_type=str, output_type=str)

    @wf.function
    async def ask(ctx: StepContext[None, int, str]) -> str:
        report_usage(Usage(requests=1, input_tokens=10 * ctx.deps, output_tokens=ctx.deps, cost=0.5 * ctx.deps))
        return ctx.inputs

    @wf.function
    async def answer(ctx: StepContext[None, int, str]) -> str:
        report_usage(Usage(requests=2, input_tokens=1, output_tokens=1))
        return ctx.inputs

    wf.edge(wf.start_node, ask)
    wf.edge(ask, answer)
    wf.edge(answer, wf.end_node)
    return wf.build()


async def test_cost_is_told_in_tokens_money_attempts_and_seconds() -> None:
    async with Engine("memory://") as engine:
        for run_id, deps in ((RUN, 1), ("other", 3)):
            run = await engine.start(paying(), inputs="x", deps=deps, run_id=run_id)
            await run.result()
        found = await engine.diff(RUN, "other")
    one, other = found.one.cost, found.other.cost
    assert (one.requests, one.input_tokens, one.output_tokens, one.money, one.attempts) == (3, 11, 2, 0.5, 2)
    assert (other.requests, other.input_tokens, other.output_tokens, other.money) == (3, 31, 4, 1.5)
    assert one.seconds >= 0
    assert found.is_empty, "what it cost is no difference in what was done"
    text = str(found)
    assert "Nothing differs but what it cost." in text
    assert "Cost:\n  input tokens: 11 → 31\n  output tokens: 2 → 4\n  money: $0.5000 → $1.5000" in text


# --- the text ---------------------------------------------------------------------------------------------------------


def side(run_id: str, **more: Any) -> Side:
    return Side(run_id=run_id, seq=3, status="completed", error=None, edits=(), cost=Cost(**more))


def difference(**more: Any) -> Difference:
    parts: dict[str, Any] = {
        "one": side("a"),
        "other": side("b"),
        "shared": 0,
        "parted": None,
        **dict.fromkeys(("only_one", "only_other", "outcomes", "choices", "state", "output"), ()),
    }
    return Difference(**{**parts, **more})


def test_the_text_of_nothing_is_short() -> None:
    assert str(difference()) == "- run a, checkpoint 3, completed\n+ run b, checkpoint 3, completed\nNothing differs."


def test_the_text_names_each_part_and_shortens_what_is_long() -> None:
    visit = Visit(node="write", visit=2, task="0" * 32)
    changes = tuple(JsonChange(path=f"lines[{number}]", one=None, other='"x"') for number in range(25))
    text = str(
        difference(
            shared=2,
            parted=visit,
            only_one=(visit,),
            choices=(OtherChoice(node="judge", one={"send": 2, "drop": 1}, other={}),),
            state=changes,
            output=(JsonChange(path="", one='"' + "a" * 100 + '"', other=None),),
            other=side("b", money=None, requests=1, seconds=1.5),
        )
    )
    assert text.splitlines()[2:9] == [
        "The first 2 checkpoints are shared.",
        "They part at write#2.",
        "Only one ran:",
        "  - write#2",
        "Other decisions:",
        "  - judge: send ×2, drop",
        "  + judge: not reached",
    ]
    assert '  + lines[19] = "x"\n  ... and 5 more\nOutput:\n  - "' + "a" * 58 + "…" in text
    assert text.endswith("Cost:\n  requests: 0 → 1\n  seconds: 0.000 → 1.500")


# --- what cannot be ---------------------------------------------------------------------------------------------------


async def test_what_does_not_exist_cannot_be_compared() -> None:
    async with Engine("memory://") as engine:
        await finished(engine)
        with pytest.raises(UnknownRun, match="'r-2'"):
            await engine.diff(RUN, "r-2")
        with pytest.raises(UnknownRun, match="'r-2'"):
            await engine.diff("r-2", RUN)
        with pytest.raises(UnknownCheckpoint, match="no checkpoint 7"):
            await engine.diff(RUN, at=(1, 7))
        with pytest.raises(UnknownCheckpoint, match="no checkpoint 0"):
            await engine.diff(RUN, at=(0, 1))
        with pytest.raises(InputError, match="depth=-1"):
            await engine.diff(RUN, RUN, depth=-1)
    async with Engine() as engine:
        with pytest.raises(InputError, match="This engine has no store"):
            await engine.diff(RUN, RUN)


async def test_a_run_that_fails_at_once_can_be_compared() -> None:
    async with Engine("memory://") as engine:
        for run_id in (RUN, "other"):
            run = await engine.start(chain(["a"]), inputs=1, deps=Deps(faulty={"a"}), run_id=run_id)
            with pytest.raises(NodeError):
                await run.result()
        assert (await engine.diff(RUN, "other")).is_empty
