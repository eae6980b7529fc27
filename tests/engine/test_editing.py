"""Editing the state of a run that nobody drives: typed, recorded, and seen by what is pending."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, model_validator

from milepost.engine.engine import Engine
from milepost.engine.errors import (
    EditError,
    IncompatibleWorkflow,
    InputError,
    NodeError,
    RunBusy,
    RunMismatch,
    StateConflict,
    StoreError,
    UnknownRun,
)
from milepost.engine.events import RunEnded, StateEdited
from milepost.engine.journal import Kind
from milepost.engine.journal_text import from_text
from milepost.engine.mergers import append
from milepost.engine.stored import Stored
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import RunRow
from milepost.engine.typed import StepContext, reduce_null
from milepost.engine.workflow import Workflow
from milepost.testing.clock import FakeClock
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.letters import LETTERS, Letter, failed, finished
from tests.engine.nests import World
from tests.engine.nests import world as world
from tests.engine.subjects import RUN, Deps, FullStore, chain
from tests.engine.test_forking import chained

pytestmark = pytest.mark.anyio

OTHER: Workflow[Any, Deps, int, int] = chain(["first"])


def kinder(state: Letter) -> None:
    state.tone = "kind"


# --- what an edit does ------------------------------------------------------------------------------------------------


async def test_the_next_resume_sees_the_edit(world: World) -> None:
    async with Engine(world()) as engine:
        await failed(engine, "write")
    async with Engine(world()) as engine:
        before = await engine.find(RUN)
        assert await engine.edit_state(RUN, LETTERS, kinder) == before.seq + 1
        after = await engine.find(RUN)
        assert (after.status, after.error, after.seq) == ("failed", before.error, before.seq + 1)
        run = await engine.resume(RUN, LETTERS, deps=Deps())
        assert await run.result() == "kind 0, kind 1"
        assert await engine.verify() == []


def remade(state: Letter) -> Letter:
    return Letter(lines=state.lines, tone="kind")


@pytest.mark.parametrize("change", [Letter(lines=["outline 2"], tone="kind"), remade, kinder])
async def test_a_state_is_given_made_or_changed_in_place(change: Letter | Callable[[Letter], Letter | None]) -> None:
    async with Engine("memory://") as engine:
        await failed(engine, "judge")
        seq = await engine.edit_state(RUN, LETTERS, change)
        assert (await engine.at(RUN, seq, workflow=LETTERS)).state == Letter(lines=["outline 2"], tone="kind")


async def test_an_edit_is_a_record_with_what_it_changed() -> None:
    journals, clock = Journals(), FakeClock()
    async with Engine(MemoryStore(journals), clock=clock) as engine:
        await failed(engine, "judge")
        clock.advance(60.0)
        seq = await engine.edit_state(RUN, LETTERS, kinder)
        then = await engine.at(RUN, seq)
        trace = await engine.trace(RUN)
    record = from_text(seq, journals.records[RUN][-1].body, "[]")
    assert (record.kind, list(record.patch or ()), record.task) == (Kind.EDITED, ["tone"], "")
    assert (then.did, then.status, then.at.timestamp()) == ("edited", "failed", clock())
    ((edit,),) = (trace.edits,)
    assert (edit.seq, edit.fields, edit.inputs, edit.at.timestamp()) == (seq, ("tone",), (), clock())
    assert trace.resumes == (), "to edit a run is not to go on with it"
    assert journals.rows[RUN].owner is None
    assert [opening.epoch for opening in journals.openings[RUN]] == [1, 2]


async def test_an_edit_that_changes_nothing_is_no_record() -> None:
    async with Engine("memory://") as engine:
        await failed(engine, "judge")
        before = await engine.find(RUN)
        assert await engine.edit_state(RUN, LETTERS, lambda state: None) == before.seq
        assert await engine.find(RUN) == before


async def test_who_follows_a_run_is_told_of_an_edit() -> None:
    async with Engine("memory://") as engine:
        await failed(engine, "judge")
        seq = await engine.edit_state(RUN, LETTERS, kinder)
        events = [event async for event in engine.follow(RUN, after=seq - 1)]
        run = await engine.resume(RUN, LETTERS, deps=Deps())
        await run.result()
        trace = await engine.trace(RUN)
    assert [type(event).__name__ for event in events] == ["StateEdited", "Checkpoint", "RunEnded"]
    edited, _, ended = events
    assert isinstance(edited, StateEdited)
    assert edited.fields == ("tone",)
    assert isinstance(ended, RunEnded)
    assert ended.status == "failed", "as it did before"
    assert len(trace.resumes) == 1
    assert [task.visit for task in trace.tasks if task.node == "judge"] == [1]


async def test_a_run_can_be_edited_again_and_again() -> None:
    async with Engine("memory://") as engine:
        await failed(engine, "send")
        for tone in ("kind", "cold", "kind"):
            await engine.edit_state(RUN, LETTERS, Letter(lines=["outline 2"], tone=tone))
        trace = await engine.trace(RUN)
        assert [edit.fields for edit in trace.edits] == [("tone",)] * 3
        assert trace.resumes == ()
        run = await engine.resume(RUN, LETTERS, deps=Deps())
        await run.result()
        assert (await engine.at(RUN, (await engine.find(RUN)).seq, workflow=LETTERS)).state.tone == "kind"
        assert await engine.verify() == []


async def test_a_run_that_was_stopped_can_be_edited_and_stays_running() -> None:
    deps = Deps().gate("judge")
    async with Engine("memory://") as engine:
        run = await engine.start(LETTERS, inputs=2, deps=deps, run_id=RUN)
        await deps.begun["judge"].wait()
        run.stop()
        await run.wait()
        seq = await engine.edit_state(RUN, LETTERS, kinder)
        assert (await engine.find(RUN)).status == "running"
        fork = await engine.fork(RUN, LETTERS, at=seq, deps=Deps())
        assert await fork.result() == "plain 0, plain 1"
        assert (await engine.at(fork.id, seq + 1, workflow=LETTERS)).state.tone == "kind"


async def test_a_state_that_is_no_model_can_be_edited() -> None:
    @dataclass(frozen=True)
    class Frozen:
        total: int = 0

    wf = WorkflowBuilder(name="frozen", state_type=Frozen, deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def read(ctx: StepContext[Frozen, Deps, int]) -> int:
        await ctx.deps.enter("read")
        return ctx.state.total

    wf.edge(wf.start_node, read)
    wf.edge(read, wf.end_node)
    workflow = wf.build()
    async with Engine("memory://") as engine:
        run = await engine.start(workflow, inputs=0, deps=Deps(faulty={"read"}), run_id=RUN)
        with pytest.raises(NodeError):
            await run.result()
        await engine.edit_state(RUN, workflow, lambda state: Frozen(state.total + 5))
        run = await engine.resume(RUN, workflow, deps=Deps())
        assert await run.result() == 5


# --- edits and conflicts ----------------------------------------------------------------------------------------------


class Shared(BaseModel):
    title: str = ""
    other: int = 0
    notes: Annotated[list[str], append] = []


def side_by_side() -> Workflow[Shared, Deps, int, None]:
    """Build two tasks that are spawned together and write the same fields."""
    wf = WorkflowBuilder(name="side", state_type=Shared, deps_type=Deps, input_type=int, output_type=None)

    @wf.function
    async def quick(ctx: StepContext[Shared, Deps, int]) -> int:
        await ctx.deps.enter("quick")
        ctx.state.title = "quick"
        ctx.state.notes.append("quick")
        return 1

    @wf.function
    async def slow(ctx: StepContext[Shared, Deps, int]) -> int:
        await ctx.deps.enter("slow")
        ctx.state.title += " and slow"
        ctx.state.notes.append("slow")
        return 2

    both = wf.join(reduce_null, initial=None, node_id="both")
    for node in (quick, slow):
        wf.edge(wf.start_node, node)
        wf.edge(node, both)
    wf.edge(both, wf.end_node)
    return wf.build()


SIDE = side_by_side()


async def conflicting(engine: Engine) -> None:
    """Leave a run in which `slow` has failed, and could only fail with a conflict."""
    deps = Deps().gate("slow")
    run = await engine.start(SIDE, inputs=1, deps=deps, run_id=RUN)
    await deps.begun["slow"].wait()
    while (await engine.find(RUN)).seq < 2:
        async for event in engine.follow(RUN, after=1, poll=0.001):
            assert event.seq == 2
            break
    deps.gates["slow"].set()
    with pytest.raises(StateConflict):
        await run.result()


async def test_what_others_wrote_before_an_edit_is_no_conflict_after_it() -> None:
    """Whoever edits the state sees what is committed; what is pending then begins with just that."""
    async with Engine("memory://") as engine:
        await conflicting(engine)
        run = await engine.resume(RUN, SIDE, deps=Deps())
        with pytest.raises(StateConflict):
            await run.result()
        await engine.edit_state(RUN, SIDE, lambda state: setattr(state, "other", 1))
        run = await engine.resume(RUN, SIDE, deps=Deps())
        await run.result()
        end = await engine.at(RUN, (await engine.find(RUN)).seq, workflow=SIDE)
    assert end.state == Shared(title="quick and slow", other=1, notes=["quick", "slow"])


async def test_two_tasks_that_both_write_after_an_edit_are_a_conflict_as_ever() -> None:
    async with Engine("memory://") as engine:
        run = await engine.start(SIDE, inputs=1, deps=Deps(faulty={"quick", "slow"}), run_id=RUN)
        with pytest.raises(NodeError):
            await run.result()
        await engine.edit_state(RUN, SIDE, lambda state: setattr(state, "title", "edited"))
        run = await engine.resume(RUN, SIDE, deps=Deps())
        with pytest.raises(StateConflict, match="both changed the field 'title'"):
            await run.result()


async def test_a_stream_goes_on_with_what_it_saw_when_it_began() -> None:
    """Its body runs again to get past the items that are committed, so it must see the same state again."""
    wf = WorkflowBuilder(name="streams", state_type=Shared, deps_type=Deps, input_type=int, output_type=None)

    @wf.stream
    async def give(ctx: StepContext[Shared, Deps, int]) -> AsyncIterator[str]:
        title = ctx.state.title
        for number in range(3):
            if number == 2:
                await ctx.deps.enter("give")
            yield f"{title} {number}"

    @wf.function
    async def take(ctx: StepContext[Shared, Deps, str]) -> str:
        ctx.state.notes.append(ctx.inputs)
        return ctx.inputs

    both = wf.join(reduce_null, initial=None, node_id="both")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(take, join=both))
    wf.edge(both, wf.end_node)
    workflow = wf.build()
    async with Engine("memory://") as engine:
        run = await engine.start(
            workflow, inputs=1, state=Shared(title="first"), deps=Deps(faulty={"give"}), run_id=RUN
        )
        with pytest.raises(NodeError):
            await run.result()
        await engine.edit_state(RUN, workflow, lambda state: setattr(state, "title", "second"))
        run = await engine.resume(RUN, workflow, deps=Deps())
        await run.result()
        end = await engine.at(RUN, (await engine.find(RUN)).seq, workflow=workflow)
    assert end.state.title == "second"
    assert sorted(end.state.notes) == ["first 0", "first 1", "first 2"]


# --- what cannot be ---------------------------------------------------------------------------------------------------


class Bounded(BaseModel):
    low: int = 0
    high: int = 9

    @model_validator(mode="after")
    def in_order(self) -> Bounded:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


async def test_a_state_that_does_not_validate_is_refused_and_changes_nothing(world: World) -> None:
    wf = WorkflowBuilder(name="bounded", state_type=Bounded, deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def read(ctx: StepContext[Bounded, Deps, int]) -> int:
        await ctx.deps.enter("read")
        return ctx.state.low

    wf.edge(wf.start_node, read)
    wf.edge(read, wf.end_node)
    workflow = wf.build()
    async with Engine(world()) as engine:
        run = await engine.start(workflow, inputs=0, deps=Deps(faulty={"read"}), run_id=RUN)
        with pytest.raises(NodeError):
            await run.result()
        before = await engine.find(RUN)
        with pytest.raises(EditError, match=r"checkpoint 2 of run 'r-1'(.|\n)*The new state: .* low is above high"):
            await engine.edit_state(RUN, workflow, lambda state: setattr(state, "low", 10))
        with pytest.raises(EditError) as caught:
            await engine.edit_state(RUN, workflow, Bounded.model_construct(low="a", high="b"))
        assert [fault.partition(":")[0] for fault in caught.value.faults] == ["The new state", "The new state"]
        assert await engine.find(RUN) == before
        await engine.edit_state(RUN, workflow, Bounded(low=3))
        run = await engine.resume(RUN, workflow, deps=Deps())
        assert await run.result() == 3


async def test_what_a_change_raises_is_raised_and_changes_nothing() -> None:
    journals = Journals()

    def breaks(state: Letter) -> None:
        state.tone = "lost"
        raise ZeroDivisionError

    async with Engine(MemoryStore(journals)) as engine:
        await failed(engine, "judge")
        before = journals.rows[RUN]
        with pytest.raises(ZeroDivisionError):
            await engine.edit_state(RUN, LETTERS, breaks)
        assert (journals.rows[RUN].seq, journals.rows[RUN].owner) == (before.seq, None)


async def test_a_run_that_is_driven_is_not_edited(world: World) -> None:
    deps = Deps().gate("judge")
    async with Engine(world()) as engine, Engine(world()) as other:
        run = await engine.start(LETTERS, inputs=2, deps=deps, run_id=RUN)
        await deps.begun["judge"].wait()
        for editing in (engine, other):
            with pytest.raises(RunBusy, match="Run 'r-1' is being driven by"):
                await editing.edit_state(RUN, LETTERS, kinder)
        deps.gates["judge"].set()
        assert await run.result() == "plain 0, plain 1"


@pytest.mark.parametrize("status", ["completed", "cancelled"])
async def test_a_run_that_is_over_is_not_edited(status: str) -> None:
    async with Engine("memory://") as engine:
        if status == "completed":
            await finished(engine)
        else:
            await failed(engine, "judge")
            await engine.cancel(RUN)
        with pytest.raises(InputError) as caught:
            await engine.edit_state(RUN, LETTERS, kinder)
        assert (await engine.find(RUN)).status == status
    assert str(caught.value) == (
        f"Run 'r-1' is {status}, so nothing would see another state. Fork it at one of its checkpoints instead."
    )


async def test_a_workflow_without_a_state_has_none_to_edit() -> None:
    workflow: Workflow[Any, Deps, int, int] = OTHER
    async with Engine("memory://") as engine:
        run = await engine.start(workflow, inputs=1, deps=Deps(faulty={"first"}), run_id=RUN)
        with pytest.raises(NodeError):
            await run.result()
        with pytest.raises(EditError, match="Workflow 'chain' declares no state"):
            await engine.edit_state(RUN, workflow, Letter())


async def test_the_run_and_its_workflow_have_to_be_known() -> None:
    async with Engine("memory://") as engine:
        await failed(engine, "judge")
        with pytest.raises(UnknownRun, match="Did you mean 'r-1'"):
            await engine.edit_state("r-2", LETTERS, kinder)
        with pytest.raises(RunMismatch, match="another workflow"):
            await engine.edit_state(RUN, OTHER, kinder)
    async with Engine() as engine:
        with pytest.raises(InputError, match="This engine has no store"):
            await engine.edit_state(RUN, LETTERS, kinder)


async def test_an_edit_that_cannot_be_written_is_an_error_and_lets_the_run_go() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        await failed(engine, "judge")
    async with Engine(FullStore(journals, 0)) as engine:
        with pytest.raises(StoreError, match="The disk is full"):
            await engine.edit_state(RUN, LETTERS, kinder)
        assert journals.rows[RUN].owner is None


async def test_a_run_that_went_on_meanwhile_is_edited_as_it_is_by_then() -> None:
    """Nothing is lost that somebody else has changed after the state was read."""
    journals = Journals()
    seen: list[str] = []

    class Slow(MemoryStore):
        async def acquire(self, run_id: str) -> RunRow:
            if len(seen) == 1:
                async with Engine(MemoryStore(journals)) as other:
                    await other.edit_state(RUN, LETTERS, kinder)
            return await super().acquire(run_id)

    def ruder(state: Letter) -> None:
        seen.append(state.tone)
        state.tone = f"not {state.tone}"

    async with Engine(MemoryStore(journals)) as engine:
        await failed(engine, "judge")
    async with Engine(Slow(journals)) as engine:
        seq = await engine.edit_state(RUN, LETTERS, ruder)
        assert (await engine.at(RUN, seq, workflow=LETTERS)).state.tone == "not kind"
        assert await engine.verify() == []
    assert seen == ["plain", "kind"]


async def test_a_refused_edit_leaves_no_trace() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        await failed(engine, "judge")
        await engine.edit_state(RUN, LETTERS, lambda state: None)
        with pytest.raises(EditError):
            await engine.edit_state(RUN, LETTERS, Letter.model_construct(tone=1))
        assert (await engine.trace(RUN)).resumes == ()
    assert len(journals.openings[RUN]) == 1


# --- a workflow that has changed --------------------------------------------------------------------------------------


async def test_an_edit_takes_up_a_workflow_that_has_changed_in_the_same_record() -> None:
    old, new = chained("first", "second"), chained("first", "another", version=2, renamed=True)
    async with Engine("memory://") as engine:
        run = await engine.start(old, inputs=1, deps=Deps(faulty={"second"}), run_id=RUN)
        with pytest.raises(NodeError):
            await run.result()
        with pytest.raises(IncompatibleWorkflow):
            await engine.edit_state(RUN, chained("first", "third"), kinder)
        seq = await engine.edit_state(RUN, new, lambda state: state.lines.append("edited"))
        then = await engine.at(RUN, seq, workflow=new)
        assert then.state == Letter(lines=["first", "edited"], tone="migrated")
        assert [task.node for task in then.tasks] == ["another"]
        run = await engine.resume(RUN, new, deps=Deps())
        assert await run.result() == 3
        assert await engine.verify() == []
        assert [task.node for task in (await engine.trace(RUN)).tasks] == ["first", "another"]
        with pytest.raises(IncompatibleWorkflow):
            await engine.at(RUN, seq, workflow=old)


class Headed(BaseModel):
    """What `Shared` is in version 2."""

    heading: str
    other: int = 0
    notes: Annotated[list[str], append] = []


def to_headed(stored: Stored) -> None:
    stored.state["heading"] = stored.state.pop("title")


def streaming(state_type: type[Shared] | type[Headed], version: int, seen: list[Any]) -> Workflow[Any, Deps, int, None]:
    """Build a stream whose body notes what it sees of the state, and changes it at its end."""
    wf: Any = WorkflowBuilder(
        name="streams", state_type=state_type, deps_type=Deps, input_type=int, output_type=type(None), version=version
    )

    async def give(ctx: StepContext[Any, Deps, int]) -> AsyncIterator[str]:
        seen.append(ctx.state.model_copy(deep=True))
        for number in range(3):
            if number == 2:
                await ctx.deps.enter("give")
                ctx.state.notes.append("last")
            yield f"item {number}"

    async def take(ctx: StepContext[Any, Deps, str]) -> str:
        ctx.state.notes.append(ctx.inputs)
        return ctx.inputs

    giving, taking = wf.stream(give), wf.function(take)
    both = wf.join(reduce_null, initial=None, node_id="both")
    wf.edge(wf.start_node, giving)
    wf.edge(giving, wf.each(taking, join=both))
    wf.edge(both, wf.end_node)
    if version > 1:
        wf.migrate(from_version=1)(to_headed)
    built: Workflow[Any, Deps, int, None] = wf.build()
    return built


async def left_streaming(engine: Engine) -> None:
    """Leave a run of version 1 whose stream has given two items, and which others have changed the state of since."""
    old = streaming(Shared, 1, [])
    run = await engine.start(old, inputs=1, state=Shared(title="first"), deps=Deps(faulty={"give"}), run_id=RUN)
    with pytest.raises(NodeError):
        await run.result()


async def test_a_stream_sees_what_was_edited_later_in_the_form_that_its_workflow_has_now() -> None:
    """What it saw of a field that was migrated is of a form that it cannot read any more."""
    seen: list[Headed] = []
    new = streaming(Headed, 2, seen)
    async with Engine("memory://") as engine:
        await left_streaming(engine)
        await engine.edit_state(RUN, new, lambda state: setattr(state, "other", 5))
        run = await engine.resume(RUN, new, deps=Deps())
        await run.result()
        end = await engine.at(RUN, (await engine.find(RUN)).seq, workflow=new)
        assert await engine.verify() == []
    assert seen == [Headed(heading="first", other=0)]
    assert (end.state.heading, end.state.other) == ("first", 5)
    assert sorted(end.state.notes) == ["item 0", "item 1", "item 2", "last"]


@pytest.mark.parametrize("given", [None, Headed(heading="second", notes=["given"])])
async def test_a_stream_goes_on_in_a_fork_under_another_form_of_the_state(given: Headed | None) -> None:
    seen: list[Headed] = []
    new = streaming(Headed, 2, seen)
    async with Engine("memory://") as engine:
        await left_streaming(engine)
        fork = await engine.fork(RUN, new, state=given, deps=Deps(), run_id="fork")
        await fork.result()
        end = await engine.at("fork", (await engine.find("fork")).seq, workflow=new)
        assert await engine.verify() == []
    assert [state.heading for state in seen] == ["first" if given is None else "second"]
    assert {"item 2", "last"} < set(end.state.notes)
    assert ("given" in end.state.notes, "item 0" in end.state.notes) == (given is not None, given is None)
