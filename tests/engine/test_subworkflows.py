"""Runs inside runs: they have journals of their own, a resume goes into them, and their failures come out."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Annotated, Any

import anyio
import pytest
from pydantic import BaseModel, Field

from milepost.engine import driven_runs
from milepost.engine.current import current
from milepost.engine.engine import Engine
from milepost.engine.errors import (
    IncompatibleWorkflow,
    NodeError,
    OutcomeUnknown,
    RoutingError,
    RunMismatch,
    StoreError,
    UnknownRun,
    UnsoundWorkflow,
    WorkflowError,
)
from milepost.engine.failure import Failure
from milepost.engine.keys import child_run
from milepost.engine.mergers import append
from milepost.engine.policy import Cache, Retry
from milepost.engine.settlement import Again
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Acknowledge, Entry, NewRun, RunRow
from milepost.engine.trace import RunStatus
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.nests import CHILD, DEEP, OUTER, Ctx, World, fan, outer, world
from tests.engine.subjects import RUN, Deps, chain

__all__ = ["world"]

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]


async def ran(world: World, workflow: Workflow[Any, Any, Any, Any], deps: Any, inputs: Any = 1) -> Any:
    """Run to the end in an engine of its own, as another process would."""
    async with Engine(world()) as engine:
        return await (await engine.start(workflow, inputs=inputs, deps=deps, run_id=RUN)).result()


async def stopped_in(world: World, node: str, workflow: Workflow[Any, Any, Any, Any], deps: Deps) -> None:
    """Run until a node has begun, and stop there."""
    deps.gate(node)
    async with Engine(world()) as engine:
        run = await engine.start(workflow, inputs=1, deps=deps, run_id=RUN)
        await deps.begun[node].wait()
        run.stop()
    del deps.gates[node]


async def statuses(world: World) -> Counter[tuple[str, RunStatus]]:
    """Return how the runs of each workflow stand. None of them may be owned any more."""
    store = world()
    await store.open()
    rows = await store.rows()
    await store.close()
    assert [row.run_id for row in rows if row.owner is not None] == []
    return Counter((row.workflow, row.status) for row in rows)


# --- a run of its own -------------------------------------------------------------------------------------------------


async def test_without_a_store_the_workflow_just_runs() -> None:
    deps = Deps()
    assert await DEEP.run(inputs=1, deps=deps) == 7
    assert deps.calls == {"before": 2, "parse": 1, "judge": 1, "after": 2}
    async with Engine() as engine:
        assert await (await engine.start(OUTER, inputs=1, deps=Deps())).result() == 5


async def test_every_task_has_a_run_of_its_own_that_knows_its_parent(world: World) -> None:
    assert await ran(world, OUTER, Deps()) == 5
    async with Engine(world()) as engine:
        (child,) = await engine.children(RUN)
        (task,) = [task for task in (await engine.trace(RUN)).tasks if task.node == "inner"]
        assert (child.run_id, child.parent_run, child.parent_task) == (child_run(RUN, task.key), RUN, task.key)
        assert (child.workflow, child.status, child.output, child.seq) == ("review", "completed", "4", 3)
        assert task.child == child.run_id
        assert [task.node for task in (await engine.trace(child.run_id)).tasks] == ["parse", "judge"]
        assert await engine.children(child.run_id) == []


async def test_only_the_outermost_runs_are_listed_unless_all_are_asked_for(world: World) -> None:
    await ran(world, DEEP, Deps())
    async with Engine(world()) as engine:
        assert [run.run_id for run in await engine.runs()] == [RUN]
        assert sorted(run.workflow for run in await engine.runs(nested=True)) == ["deep", "middle", "review"]
        with pytest.raises(UnknownRun, match="no run 'r-2'"):
            await engine.children("r-2")


async def test_bodies_see_the_run_that_they_are_in(world: World) -> None:
    seen: list[str] = []
    wf = WorkflowBuilder(name="seeing", deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def look(ctx: Ctx) -> int:
        seen.append(current().run_id)
        return ctx.inputs

    wf.edge(wf.start_node, look)
    wf.edge(look, wf.end_node)
    await ran(world, outer(wf.build()), Deps())
    async with Engine(world()) as engine:
        assert [child.run_id for child in await engine.children(RUN)] == seen


async def test_a_map_over_a_workflow_has_a_run_for_every_item(world: World) -> None:
    assert await ran(world, fan(), Deps(), [10, 20, 30]) == 66
    assert await statuses(world) == {("fan", "completed"): 1, ("review", "completed"): 3}


async def test_what_a_cache_answers_has_no_run(world: World) -> None:
    deps = Deps()
    workflow = outer(cache=Cache())
    async with Engine(world()) as engine:
        for run_id in ("r-1", "r-2"):
            assert await (await engine.start(workflow, inputs=1, deps=deps, run_id=run_id)).result() == 5
        assert await engine.children("r-2") == []
        tasks = {task.node: task.child for task in (await engine.trace("r-2")).tasks}
    assert tasks == {"before": None, "inner": None, "after": None}
    assert deps.calls["parse"] == 1


# --- its state --------------------------------------------------------------------------------------------------------


class Notes(BaseModel):
    lines: Annotated[list[str], append] = Field(default_factory=list[str])


def noting(name: str) -> tuple[WorkflowBuilder[Notes, None, str, list[str]], Any]:
    wf = WorkflowBuilder(name=name, state_type=Notes, input_type=str, output_type=list[str])

    @wf.function
    async def note(ctx: StepContext[Notes, None, str]) -> str:
        ctx.state.lines.append(f"{name}: {ctx.inputs}")
        return ctx.inputs

    return wf, note


def notes_in_notes(**options: Any) -> Workflow[Notes, None, str, list[str]]:
    """Build a workflow that notes something, runs one that does the same, and returns all the notes it has."""
    inner, note = noting("inner")
    inner.edge(inner.start_node, note)

    @inner.function
    async def told(ctx: StepContext[Notes, None, str]) -> list[str]:
        return ctx.state.lines

    inner.edge(note, told)
    inner.edge(told, inner.end_node)
    wf, before = noting("outer")
    child: Any = wf.subworkflow(inner.build(), node_id="child", **options)

    @wf.function
    async def both(ctx: StepContext[Notes, None, list[str]]) -> list[str]:
        return [*ctx.state.lines, *ctx.inputs]

    wf.edge(wf.start_node, before)
    wf.edge(before, child)
    wf.edge(child, both)
    wf.edge(both, wf.end_node)
    return wf.build()


def as_state(ctx: StepContext[Notes, None, str]) -> Notes:
    return ctx.state


@pytest.mark.parametrize("isolation", ["task", "shared"])
async def test_a_run_inside_shares_no_state_with_the_outer_one(world: World, isolation: Any) -> None:
    for number, workflow in enumerate((notes_in_notes(), notes_in_notes(state=as_state))):
        state = Notes()
        async with Engine(world()) as engine:
            run = await engine.start(workflow, inputs="x", state=state, run_id=f"r-{number}", isolation=isolation)
            told = await run.result()
        assert state.lines == ["outer: x"]
        assert told == ["outer: x", *(["outer: x"] if number else []), "inner: x"]


async def test_it_is_isolated_as_the_outermost_run_was_started(world: World) -> None:
    async with Engine(world()) as engine:
        await (await engine.start(DEEP, inputs=1, deps=Deps(), isolation="shared")).result()
    store = world()
    await store.open()
    assert {row.isolation for row in await store.rows()} == {"shared"}
    await store.close()


async def test_what_makes_its_inputs_must_not_change_the_state(world: World) -> None:
    def inputs(ctx: StepContext[Notes, None, str]) -> str:
        ctx.state.lines.append("sneaky")
        return ctx.inputs

    with pytest.raises(WorkflowError, match="Node 'child' changed the state in inputs=, state= or deps="):
        await ran(world, notes_in_notes(inputs=inputs), None, "x")


# --- going on ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", ["before", "parse", "judge", "after"])
async def test_a_resume_goes_into_the_run_inside_and_runs_nothing_again(world: World, node: str) -> None:
    deps = Deps()
    await stopped_in(world, node, DEEP, deps)
    assert await ran(world, DEEP, deps) == 7
    again = {name: count for name, count in deps.calls.items() if count > (2 if name in ("before", "after") else 1)}
    assert again == {node: deps.calls[node]}
    assert await statuses(world) == {(name, "completed"): 1 for name in ("deep", "middle", "review")}


async def test_inputs_and_state_are_made_once_and_deps_every_time(world: World) -> None:
    made: Counter[str] = Counter()

    def inputs(ctx: Ctx) -> int:
        made["inputs"] += 1
        return ctx.inputs + made["inputs"]

    def own(ctx: Ctx) -> Deps:
        made["deps"] += 1
        return ctx.deps

    deps, workflow = Deps(), outer(inputs=inputs, deps=own)
    await stopped_in(world, "judge", workflow, deps)
    assert await ran(world, workflow, deps) == 6
    assert made == {"inputs": 1, "deps": 2}


class Forgetful(MemoryStore):
    """A store whose disk is full for all records of one run but the first ones."""

    def __init__(self, journals: Journals, room: int) -> None:
        super().__init__(journals)
        self.room = room

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        if entry.run_id == RUN and entry.seq > self.room:
            acknowledge(StoreError("The disk is full."))
        else:
            super().append(entry, acknowledge)


async def test_a_run_inside_that_had_ended_only_gives_its_output() -> None:
    journals, deps = Journals(), Deps()
    with pytest.raises(StoreError, match="disk is full"):
        await ran(lambda: Forgetful(journals, 2), OUTER, deps)
    assert deps.calls == {"before": 1, "parse": 1, "judge": 1}

    assert await ran(lambda: MemoryStore(journals), OUTER, deps) == 5
    assert deps.calls == {"before": 1, "parse": 1, "judge": 1, "after": 1}


class Dying(MemoryStore):
    """A store that has room for so many records of all runs together, and keeps nothing after that."""

    def __init__(self, journals: Journals, room: int) -> None:
        super().__init__(journals)
        self.room = room

    async def create(self, run: NewRun, first: Entry) -> bool:
        self.room -= 1
        if self.room < 0:
            raise StoreError("The disk is full.")
        return await super().create(run, first)

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        self.room -= 1
        if self.room < 0:
            acknowledge(StoreError("The disk is full."))
        else:
            super().append(entry, acknowledge)


@pytest.mark.parametrize("workflow", [DEEP, fan(outer(name="middle"))])
async def test_wherever_it_ends_between_two_records_nothing_committed_runs_again(workflow: Any) -> None:
    inputs, whole = (1 if workflow is DEEP else [1]), Journals()
    expected = await ran(lambda: MemoryStore(whole), workflow, Deps(), inputs)
    records = sum(map(len, whole.records.values()))
    for room in range(1, records):
        journals, deps = Journals(), Deps()
        with pytest.raises(StoreError, match="disk is full"):
            await ran(partial(Dying, journals, room), workflow, deps, inputs)
        assert sum(map(len, journals.records.values())) == room
        assert await ran(partial(MemoryStore, journals), workflow, deps, inputs) == expected
        again = deps.calls - Counter({"before": 2, "after": 2} if workflow is DEEP else {"before": 1, "after": 1})
        again -= Counter({"parse": 1, "judge": 1})
        assert again.total() <= 1, f"after {room} of {records} records {again} ran again"
        assert {run: len(kept) for run, kept in journals.records.items()} == {
            run: len(kept) for run, kept in whole.records.items()
        }


async def test_a_run_inside_can_be_gone_on_with_by_itself(world: World) -> None:
    deps = Deps()
    await stopped_in(world, "judge", OUTER, deps)
    async with Engine(world()) as engine:
        (child,) = await engine.children(RUN)
        assert await (await engine.resume(child.run_id, CHILD, deps=deps)).result() == 4
    assert await ran(world, OUTER, deps) == 5
    assert deps.calls == {"before": 1, "parse": 1, "judge": 2, "after": 1}


async def test_a_run_inside_that_is_driven_by_somebody_else_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driven_runs, "ASK_AGAIN", 0.001)
    journals, deps = Journals(), Deps()

    def world() -> MemoryStore:
        return MemoryStore(journals)

    await stopped_in(world, "judge", OUTER, deps)
    deps.gate("judge")
    async with Engine(world()) as theirs:
        (child,) = await theirs.children(RUN)
        lone = await theirs.resume(child.run_id, CHILD, deps=deps)
        await deps.begun["judge"].wait()
        async with Engine(world()) as ours:
            run = await ours.start(OUTER, inputs=1, deps=deps, run_id=RUN)
            await anyio.wait_all_tasks_blocked()
            assert run.status == "running"
            deps.gates["judge"].set()
            assert (await lone.result(), await run.result()) == (4, 5)
    assert deps.calls == {"before": 1, "parse": 1, "judge": 2, "after": 1}


class Blind(MemoryStore):
    """A store that does not see the run inside when it is first asked for it, as if somebody had just made it."""

    async def row(self, run_id: str) -> RunRow | None:
        seen: set[str] = self.__dict__.setdefault("seen", set[str]())
        if run_id == RUN or run_id in seen:
            return await super().row(run_id)
        seen.add(run_id)
        return None


async def test_a_run_inside_that_somebody_else_has_just_begun_is_gone_on_with() -> None:
    journals, deps = Journals(), Deps()
    await stopped_in(lambda: MemoryStore(journals), "judge", OUTER, deps)
    assert await ran(lambda: Blind(journals), OUTER, deps) == 5
    assert deps.calls == {"before": 1, "parse": 1, "judge": 2, "after": 1}


async def test_a_change_of_the_workflow_inside_is_compared_with_what_is_pending_there(world: World) -> None:
    deps = Deps()
    await stopped_in(world, "judge", OUTER, deps)
    with pytest.raises(IncompatibleWorkflow, match="Node 'judge' has a task waiting") as changed:
        await ran(world, outer(chain(["parse", "decide"], name="review")), deps)
    async with Engine(world()) as engine:
        assert [child.run_id for child in await engine.children(RUN)] == [changed.value.run_id]

    assert await ran(world, OUTER, deps) == 5
    assert deps.calls["parse"] == 1


async def test_another_workflow_in_its_place_is_refused(world: World) -> None:
    deps = Deps()
    await stopped_in(world, "judge", OUTER, deps)
    with pytest.raises(RunMismatch, match="exists with another workflow: it has 'review', this call gives 'audit'"):
        await ran(world, outer(chain(["parse", "judge"], name="audit")), deps)


class Unstorable:
    """What nobody has said how to store."""


async def test_what_could_not_be_stored_inside_is_told_before_anything_runs(world: World) -> None:
    wf = WorkflowBuilder(name="leaky", deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def leak(ctx: Ctx) -> Unstorable:
        return Unstorable()

    @wf.function
    async def close(ctx: StepContext[None, Deps, Unstorable]) -> int:
        return 1

    wf.edge(wf.start_node, leak)
    wf.edge(leak, close)
    wf.edge(close, wf.end_node)
    deps, workflow = Deps(), outer(outer(wf.build(), name="middle"))
    for _ in range(2):
        with pytest.raises(UnsoundWorkflow, match="Workflow 'leaky' has 1 fault"):
            await ran(world, workflow, deps)
    assert deps.calls == {}


# --- failing ----------------------------------------------------------------------------------------------------------


async def test_a_failure_says_through_which_runs_it_came(world: World) -> None:
    with pytest.raises(NodeError) as failed:
        await ran(world, DEEP, Deps(faulty={"judge"}))
    async with Engine(world()) as engine:
        (middle,) = await engine.children(RUN)
        (review,) = await engine.children(middle.run_id)
    middle_error, review_error = failed.value.__cause__, failed.value.__cause__ and failed.value.__cause__.__cause__
    assert isinstance(middle_error, NodeError)
    assert isinstance(review_error, NodeError)
    assert (middle_error.node, middle_error.child_run) == ("inner", middle.run_id)
    assert (review_error.node, review_error.child_run) == ("judge", review.run_id)
    assert str(failed.value) == (
        f"Node 'inner' failed on its only attempt: in run {middle.run_id!r}: Node 'inner' failed on its only attempt: "
        f"in run {review.run_id!r}: Node 'judge' failed on its only attempt: ValueError: judge is faulty"
    )
    assert await statuses(world) == {(name, "failed"): 1 for name in ("deep", "middle", "review")}


async def test_without_a_store_a_failure_comes_out_too() -> None:
    with pytest.raises(NodeError, match=r"Node 'inner' failed .*: in run '\w+': Node 'judge' failed") as failed:
        await OUTER.run(inputs=1, deps=Deps(faulty={"judge"}))
    assert isinstance(failed.value.__cause__, NodeError)


async def test_a_resume_tries_only_the_failed_task_again(world: World) -> None:
    deps = Deps(faulty={"judge"})
    with pytest.raises(NodeError):
        await ran(world, DEEP, deps)
    deps.faulty.clear()
    assert await ran(world, DEEP, deps) == 7
    assert deps.calls == {"before": 2, "parse": 1, "judge": 2, "after": 2}


async def test_a_second_attempt_goes_on_where_the_first_one_failed(world: World) -> None:
    deps = Deps(faulty={"judge"})

    def mend(error: Exception) -> bool:
        deps.faulty.clear()
        return isinstance(error, NodeError)

    assert await ran(world, outer(retry=Retry(on=mend)), deps) == 5
    assert deps.calls == {"before": 1, "parse": 1, "judge": 2, "after": 1}


async def test_a_time_limit_stops_the_run_inside_and_the_next_attempt_goes_on_with_it(world: World) -> None:
    deps = Deps().gate("judge")

    def open_gate(error: Exception) -> bool:
        deps.gates.clear()
        return isinstance(error, TimeoutError)

    assert await ran(world, outer(timeout=0.5, retry=Retry(on=open_gate)), deps) == 5
    assert deps.stopped == ["judge"]
    assert deps.calls == {"before": 1, "parse": 1, "judge": 2, "after": 1}


def forgiving(**options: Any) -> Workflow[None, Deps, int, str]:
    """Build a workflow whose node leads to another when the workflow that it runs fails."""
    wf = WorkflowBuilder(name="forgiving", deps_type=Deps, input_type=int, output_type=str)
    inner = wf.subworkflow(CHILD, node_id="inner", **options)

    @wf.function
    async def shrug(ctx: StepContext[None, Deps, Failure[int]]) -> str:
        return f"{ctx.inputs.inputs} failed after {ctx.inputs.attempts}: {ctx.inputs.error}: {ctx.inputs.message}"

    @wf.function
    async def praise(ctx: Ctx) -> str:
        return f"{ctx.inputs} is fine"

    wf.edge(wf.start_node, inner)
    wf.edge(inner, praise)
    wf.edge(inner, shrug, on_error=(NodeError, TimeoutError))
    wf.edge(praise, wf.end_node)
    wf.edge(shrug, wf.end_node)
    return wf.build()


async def test_an_error_edge_takes_the_failure_of_a_run_inside(world: World) -> None:
    said = await ran(world, forgiving(), Deps(faulty={"judge"}))
    async with Engine(world()) as engine:
        (child,) = await engine.children(RUN)
    assert said == (
        f"1 failed after 1: milepost.engine.errors.NodeError: In run {child.run_id!r}: Node 'judge' failed on its only "
        "attempt: ValueError: judge is faulty"
    )
    assert await statuses(world) == {("forgiving", "completed"): 1, ("review", "failed"): 1}


async def test_a_run_inside_that_took_too_long_and_is_given_up_is_cancelled(world: World) -> None:
    said = await ran(world, forgiving(timeout=0.05), Deps().gate("judge"))
    assert said == "1 failed after 1: TimeoutError: it took longer than 0.05 seconds"
    assert await statuses(world) == {("forgiving", "completed"): 1, ("review", "cancelled"): 1}


def misrouting() -> Workflow[None, Deps, int, int]:
    """Build a workflow with an edge that fails."""
    wf = WorkflowBuilder(name="misrouting", deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def judge(ctx: Ctx) -> int:
        await ctx.deps.enter("judge")
        return ctx.inputs

    wf.edge(wf.start_node, judge)
    wf.edge(judge, wf.end_node, when=lambda value: value < 1 / 0)
    wf.edge(judge, wf.end_node, otherwise=True)
    return wf.build()


async def test_a_fault_of_the_workflow_inside_is_one_of_the_outer_workflow_and_is_not_retried(world: World) -> None:
    deps = Deps()
    with pytest.raises(RoutingError, match=r"In run '\w{32}': The output of node 'judge' could not be routed"):
        await ran(world, outer(misrouting(), retry=Retry(attempts=3)), deps)
    assert deps.calls["judge"] == 1


async def test_what_began_inside_and_may_run_once_is_settled_there(world: World) -> None:
    wf = WorkflowBuilder(name="paying", deps_type=Deps, input_type=int, output_type=int)

    @wf.function(at_most_once=True)
    async def pay(ctx: Ctx) -> int:
        await ctx.deps.enter("pay")
        return ctx.inputs

    wf.edge(wf.start_node, pay)
    wf.edge(pay, wf.end_node)
    paying = wf.build()
    deps, workflow = Deps(), outer(paying, retry=Retry(attempts=3))
    await stopped_in(world, "pay", workflow, deps)
    with pytest.raises(OutcomeUnknown, match="cannot go on by itself") as unknown:
        await ran(world, workflow, deps)

    (task, _), child = unknown.value.tasks[0], unknown.value.run_id
    async with Engine(world()) as engine:
        run = await engine.resume(child, paying, deps=deps, settle={task: Again()})
        assert await run.result() == 2
    assert await ran(world, workflow, deps) == 3
    assert deps.calls["pay"] == 2


async def test_every_item_of_a_map_of_runs_fails_and_goes_on_by_itself(world: World) -> None:
    wf = WorkflowBuilder(name="picky", input_type=int, output_type=int, deps_type=Deps)

    @wf.function
    async def look(ctx: Ctx) -> int:
        await ctx.deps.enter(f"look{ctx.inputs}")
        return ctx.inputs

    @wf.function
    async def pick(ctx: Ctx) -> int:
        await ctx.deps.enter(f"pick{ctx.inputs}")
        return ctx.inputs

    wf.edge(wf.start_node, look)
    wf.edge(look, pick)
    wf.edge(pick, wf.end_node)
    deps, workflow = Deps(faulty={"pick2"}), fan(wf.build())
    with pytest.raises(NodeError, match="pick2 is faulty"):
        await ran(world, workflow, deps, [1, 2, 3])
    deps.faulty.clear()
    assert await ran(world, workflow, deps, [1, 2, 3]) == 6
    assert {name: count for name, count in deps.calls.items() if name.startswith("look")} == {
        "look1": 1,
        "look2": 1,
        "look3": 1,
    }


async def test_outputs_of_runs_inside_are_values_like_any_other(world: World) -> None:
    class Piece(BaseModel):
        number: int

    inner = WorkflowBuilder(name="making", input_type=int, output_type=Piece)

    @inner.function
    async def make(ctx: StepContext[None, None, int]) -> Piece:
        return Piece(number=ctx.inputs)

    inner.edge(inner.start_node, make)
    inner.edge(make, inner.end_node)
    wf = WorkflowBuilder(name="pieces", input_type=list[int], output_type=list[Piece])
    collect = wf.join(reduce_list_append, initial_factory=list[Piece], node_id="collect")
    wf.edge(wf.start_node, wf.each(wf.subworkflow(inner.build()), join=collect, fork_id="each"))
    wf.edge(collect, wf.end_node)
    pieces = await ran(world, wf.build(), None, [3, 1])
    assert sorted(piece.number for piece in pieces) == [1, 3]
