"""Runs inside runs are stopped when the outer run is, and cancelled for good when nobody will come back to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import InputError, MilepostError, NodeError, RunCancelled, StoreError
from milepost.engine.failure import Failure
from milepost.engine.keys import child_run
from milepost.engine.run import Run
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Acknowledge, Entry, RunRow
from milepost.engine.typed import ReduceFirstValue, StepContext, reduce_sum
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.nests import CHILD, DEEP, OUTER, World, outer, world
from tests.engine.subjects import RUN, Deps

__all__ = ["world"]

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]

AnyWorkflow = Workflow[Any, Any, Any, Any]


async def rows_of(world: World) -> list[RunRow]:
    store = world()
    await store.open()
    rows = await store.rows()
    await store.close()
    return list(rows)


async def statuses(world: World) -> dict[str, str]:
    """Return how the run of each workflow stands. None of them may be owned any more."""
    rows = await rows_of(world)
    assert [row.run_id for row in rows if row.owner is not None] == []
    return {row.workflow: row.status for row in rows}


async def ended(run: Run[Any]) -> BaseException | None:
    try:
        with anyio.fail_after(5):
            await run.result()
    except MilepostError as error:
        return error
    return None


# --- the whole run ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", [None, "memory:"])
async def test_cancelling_a_run_cancels_those_inside_it(store: str | None) -> None:
    deps = Deps().gate("judge")
    async with Engine(store) as engine:
        run = await engine.start(DEEP, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["judge"].wait()
        run.cancel()
        assert isinstance(await ended(run), RunCancelled)
        assert deps.stopped == ["judge"], "it has stopped when the run has ended"
        if store is not None:
            found = await engine.runs(nested=True)
            assert {one.workflow: one.status for one in found} == dict.fromkeys(
                ["deep", "middle", "review"], "cancelled"
            )


async def test_a_cancelled_run_that_is_reopened_goes_on_inside(world: World) -> None:
    deps = Deps().gate("judge")
    async with Engine(world()) as engine:
        run = await engine.start(DEEP, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["judge"].wait()
        run.cancel()
        await ended(run)
    deps.gates.clear()
    async with Engine(world()) as engine:
        assert await (await engine.resume(RUN, DEEP, deps=deps, reopen=True)).result() == 7
    assert deps.calls == {"before": 2, "parse": 1, "judge": 2, "after": 2}
    assert set((await statuses(world)).values()) == {"completed"}


async def test_stopping_a_run_stops_those_inside_it(world: World) -> None:
    deps = Deps().gate("judge")
    async with Engine(world()) as engine:
        run = await engine.start(DEEP, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["judge"].wait()
        run.stop()
        assert "was stopped" in str(await ended(run))
        assert deps.stopped == ["judge"]
    assert await statuses(world) == dict.fromkeys(["deep", "middle", "review"], "running")


async def test_an_error_that_leaves_the_engine_stops_every_run(world: World) -> None:
    deps = Deps().gate("judge")

    async def leave() -> None:
        async with Engine(world()) as engine:
            await engine.start(DEEP, inputs=1, deps=deps, run_id=RUN)
            await deps.begun["judge"].wait()
            raise ValueError("unrelated")

    with pytest.raises(ValueError, match="unrelated"):
        await leave()
    assert deps.stopped == ["judge"]
    assert await statuses(world) == dict.fromkeys(["deep", "middle", "review"], "running")


async def test_a_cancelled_task_group_stops_every_run(world: World) -> None:
    deps = Deps().gate("judge")

    async def drive() -> None:
        async with Engine(world()) as engine:
            await (await engine.start(DEEP, inputs=1, deps=deps, run_id=RUN)).result()

    async with anyio.create_task_group() as group:
        group.start_soon(drive)
        await deps.begun["judge"].wait()
        group.cancel_scope.cancel()
    assert deps.stopped == ["judge"]
    assert await statuses(world) == dict.fromkeys(["deep", "middle", "review"], "running")


@pytest.mark.parametrize("scope", ["run", "run_live"])
async def test_without_a_store_a_cancelled_scope_stops_everything(scope: str) -> None:
    deps = Deps().gate("judge")
    with anyio.CancelScope() as cancelled:
        async with anyio.create_task_group() as group:

            async def later() -> None:
                await deps.begun["judge"].wait()
                cancelled.cancel()

            group.start_soon(later)
            if scope == "run":
                async with Engine() as engine:
                    await (await engine.start(DEEP, inputs=1, deps=deps)).result()
            else:
                await DEEP.run(inputs=1, deps=deps)
    assert deps.stopped == ["judge"]


class Died(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("store", [None, "memory"])
async def test_what_no_policy_sees_comes_out_as_it_is(store: str | None) -> None:
    wf = WorkflowBuilder(name="dying", deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def die(ctx: StepContext[None, Deps, int]) -> int:
        raise Died

    wf.edge(wf.start_node, die)
    wf.edge(die, wf.end_node)
    workflow, journals = outer(wf.build()), Journals()
    with pytest.raises((Died, BaseExceptionGroup)) as died:
        await workflow.run(inputs=1, deps=Deps(), store=None if store is None else MemoryStore(journals), run_id=RUN)
    assert isinstance(died.value, Died) or died.group_contains(Died)
    assert {row.status for row in journals.rows.values()} <= {"running"}


# --- one of its tasks -------------------------------------------------------------------------------------------------


def racing(end: str) -> Workflow[None, Deps, int, int]:
    """Build a race of a workflow against a node. end: "join", the first one there cancels the other; "end", it ends."""
    wf = WorkflowBuilder(name="racing", deps_type=Deps, input_type=int, output_type=int)
    slow = wf.subworkflow(OUTER, node_id="slow")

    @wf.function
    async def quick(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.begun["judge"].wait()
        return 100

    @wf.function
    async def told(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("told")
        return ctx.inputs

    wf.edge(wf.start_node, slow)
    wf.edge(wf.start_node, quick)
    if end == "join":
        first = wf.join(ReduceFirstValue[int](), initial=0, node_id="first")
        wf.edge(slow, first)
        wf.edge(quick, first)
        wf.edge(first, told)
    else:
        wf.edge(slow, told)
        wf.edge(quick, wf.end_node)
    wf.edge(told, wf.end_node)
    return wf.build()


@pytest.mark.parametrize("end", ["join", "end"])
async def test_what_lost_a_race_is_cancelled_with_all_that_runs_inside_it(world: World, end: str) -> None:
    deps = Deps().gate("judge")
    async with Engine(world()) as engine:
        run = await engine.start(racing(end), inputs=1, deps=deps, run_id=RUN)
        assert await run.result() == 100
    assert deps.stopped == ["judge"]
    assert await statuses(world) == {"racing": "completed", "outer": "cancelled", "review": "cancelled"}


async def test_what_lost_a_race_is_cancelled_while_the_outer_run_goes_on(world: World) -> None:
    deps = Deps().gate("judge", "told")
    async with Engine(world()) as engine:
        run = await engine.start(racing("join"), inputs=1, deps=deps, run_id=RUN)
        await deps.begun["told"].wait()
        with anyio.fail_after(5):
            while {one.workflow: one.status for one in await engine.runs(nested=True)}["review"] == "running":
                await anyio.lowlevel.checkpoint()
        deps.gates["told"].set()
        assert await run.result() == 100


def siblings(on_failure: Any) -> Workflow[None, Deps, int, int]:
    """Build a workflow beside a node that fails."""
    wf = WorkflowBuilder(name="siblings", deps_type=Deps, input_type=int, output_type=int, on_failure=on_failure)
    inner = wf.subworkflow(CHILD, node_id="inner")

    @wf.function
    async def fails(ctx: StepContext[None, Deps, int]) -> int:
        if "judge" in ctx.deps.begun:
            await ctx.deps.begun["judge"].wait()
        await ctx.deps.enter("fails")
        return 0

    both = wf.join(reduce_sum, initial=0, node_id="both")
    wf.edge(wf.start_node, inner)
    wf.edge(wf.start_node, fails)
    wf.edge(inner, both)
    wf.edge(fails, both)
    wf.edge(both, wf.end_node)
    return wf.build()


async def test_a_sibling_that_fails_stops_the_run_inside_and_a_resume_goes_on_with_it(world: World) -> None:
    deps, workflow = Deps(faulty={"fails"}).gate("judge"), siblings("cancel")
    async with Engine(world()) as engine:
        run = await engine.start(workflow, inputs=1, deps=deps, run_id=RUN)
        assert isinstance(await ended(run), NodeError)
        assert deps.stopped == ["judge"]
    assert await statuses(world) == {"siblings": "failed", "review": "running"}

    deps.faulty.clear()
    deps.gates.clear()
    async with Engine(world()) as engine:
        assert await (await engine.start(workflow, inputs=1, deps=deps, run_id=RUN)).result() == 3
    assert deps.calls == {"parse": 1, "judge": 2, "fails": 2}


async def test_a_sibling_that_fails_lets_the_run_inside_finish_if_that_was_declared(world: World) -> None:
    deps = Deps(faulty={"fails"}).gate("judge")
    async with Engine(world()) as engine:
        run = await engine.start(siblings("finish"), inputs=1, deps=deps, run_id=RUN)
        await deps.begun["judge"].wait()
        await anyio.wait_all_tasks_blocked()
        deps.gates["judge"].set()
        assert isinstance(await ended(run), NodeError)
    assert deps.stopped == []
    assert await statuses(world) == {"siblings": "failed", "review": "completed"}


# --- a run inside alone -----------------------------------------------------------------------------------------------


async def child_of(engine: Engine, workflow: AnyWorkflow, deps: Deps) -> tuple[Run[Any], str]:
    """Start a run and wait until `judge` inside it has begun. Returns it, and the id of the run inside."""
    run = await engine.start(workflow, inputs=1, deps=deps, run_id=RUN)
    await deps.begun["judge"].wait()
    return run, (await engine.children(RUN))[0].run_id


async def test_cancelling_a_run_inside_alone_fails_the_node_that_drives_it(world: World) -> None:
    deps = Deps().gate("judge")
    async with Engine(world()) as engine:
        run, child = await child_of(engine, OUTER, deps)
        assert await engine.cancel(child) == "cancelled"
        error = await ended(run)
        assert isinstance(error, NodeError)
        assert isinstance(error.__cause__, RunCancelled)
        again = await ended(await engine.start(OUTER, inputs=1, deps=deps, run_id=RUN))
        assert isinstance(again, NodeError), "it stays cancelled"

    deps.gates.clear()
    async with Engine(world()) as engine:
        assert await (await engine.resume(RUN, OUTER, deps=deps, reopen=True)).result() == 5
    assert deps.calls == {"before": 1, "parse": 1, "judge": 2, "after": 1}


async def test_stopping_a_run_inside_alone_fails_the_node_that_drives_it(world: World) -> None:
    deps = Deps().gate("judge")
    async with Engine(world()) as engine:
        run, child = await child_of(engine, OUTER, deps)
        (await engine.resume(child, CHILD, deps=deps)).stop()
        error = await ended(run)
        assert isinstance(error, NodeError)
        assert f"in run {child!r}: Run {child!r} was stopped" in str(error)


async def test_an_error_edge_takes_the_cancelling_of_a_run_inside(world: World) -> None:
    wf = WorkflowBuilder(name="tolerant", deps_type=Deps, input_type=int, output_type=str)
    inner = wf.subworkflow(CHILD, node_id="inner")

    @wf.function
    async def never_mind(ctx: StepContext[None, Deps, Failure[int]]) -> str:
        return ctx.inputs.error

    @wf.function
    async def fine(ctx: StepContext[None, Deps, int]) -> str:
        return "fine"

    wf.edge(wf.start_node, inner)
    wf.edge(inner, fine)
    wf.edge(inner, never_mind, on_error=RunCancelled)
    wf.edge(fine, wf.end_node)
    wf.edge(never_mind, wf.end_node)
    deps = Deps().gate("judge")
    async with Engine(world()) as engine:
        run, child = await child_of(engine, wf.build(), deps)
        await engine.cancel(child)
        assert await run.result() == "milepost.engine.errors.RunCancelled"


# --- when the process ends in between ---------------------------------------------------------------------------------


class Full(MemoryStore):
    """A store that keeps nothing more of the runs that `is_full` tells of."""

    def __init__(self, journals: Journals, is_full: Callable[[Entry], bool]) -> None:
        super().__init__(journals)
        self.is_full = is_full

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        if self.is_full(entry):
            acknowledge(StoreError("The disk is full."))
        else:
            super().append(entry, acknowledge)


@pytest.mark.parametrize("how", ["start", "resume"])
@pytest.mark.parametrize("outcome", ["cancelled", "completed"])
async def test_a_run_inside_that_could_not_be_cancelled_is_at_the_next_opening(outcome: str, how: str) -> None:
    journals, deps = Journals(), Deps().gate("judge")
    workflow = racing("end") if outcome == "completed" else OUTER
    async with Engine(Full(journals, lambda entry: entry.run_id != RUN and entry.status == "cancelled")) as engine:
        run = await engine.start(workflow, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["judge"].wait()
        if outcome == "cancelled":
            run.cancel()
        await ended(run)
    before = {row.workflow: row.status for row in journals.rows.values()}
    assert before.pop(str(workflow.name)) == outcome
    assert set(before.values()) == {"running"}

    async with Engine(MemoryStore(journals)) as engine:
        try:
            if how == "start":
                await engine.start(workflow, inputs=1, deps=deps, run_id=RUN)
            else:
                await engine.resume(RUN, workflow)
        except RunCancelled:
            assert outcome == "cancelled"
    left = Counter(row.status for row in journals.rows.values() if row.run_id != RUN)
    assert set(left) == {"cancelled"}


async def test_a_run_inside_whose_task_is_gone_is_cancelled_when_the_outer_run_goes_on() -> None:
    journals, deps = Journals(), Deps().gate("judge", "told")
    workflow = racing("join")
    async with Engine(Full(journals, lambda entry: entry.run_id != RUN and entry.status == "cancelled")) as engine:
        run = await engine.start(workflow, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["told"].wait()
        run.stop()
    assert {row.workflow for row in journals.rows.values() if row.status == "running"} == {"racing", "outer", "review"}

    deps.gates.clear()
    async with Engine(MemoryStore(journals)) as engine:
        assert await (await engine.start(workflow, inputs=1, deps=deps, run_id=RUN)).result() == 100
    assert await statuses(lambda: MemoryStore(journals)) == {
        "racing": "completed",
        "outer": "cancelled",
        "review": "cancelled",
    }


async def test_the_id_of_a_run_inside_follows_from_its_parent(world: World) -> None:
    deps = Deps()
    async with Engine(world()) as engine:
        await (await engine.start(OUTER, inputs=1, deps=deps, run_id=RUN)).result()
        (child,) = await engine.children(RUN)
        assert child.parent_task is not None
        assert child.run_id == child_run(RUN, child.parent_task)
    async with Engine() as engine:
        with pytest.raises(InputError, match="has no store"):
            await engine.children(RUN)
