"""Starting, resuming, stopping and finding runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel

from milepost.engine.engine import Engine
from milepost.engine.errors import (
    InputError,
    MilepostError,
    NodeError,
    NotStorable,
    RunBusy,
    RunCancelled,
    RunMismatch,
    StoreError,
    UnknownRun,
    WorkflowError,
)
from milepost.engine.run import Run
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import Acknowledge, Entry, NewRun
from milepost.engine.typed import StepContext, reduce_sum
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN, Deps, FullStore, chain

pytestmark = pytest.mark.anyio

TWO = chain(["first", "second"])
THREE = chain(["first", "second", "third"])
both_loops = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


class Basket(BaseModel):
    owner: str
    items: list[str] = []


def shopping() -> WorkflowBuilder[Basket, None, str, int]:
    return WorkflowBuilder(name="shopping", state_type=Basket, input_type=str, output_type=int)


async def ran(journals: Journals, deps: Deps, inputs: int = 1, run_id: str = RUN) -> int:
    """Run TWO to its end in an engine of its own, as another process would."""
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(TWO, inputs=inputs, deps=deps, run_id=run_id)
        output: int = await run.result()
        return output


class KeepingStore(MemoryStore):
    """A store that fails whenever a run is to be let go."""

    async def release(self, run_id: str, epoch: int) -> None:
        raise StoreError(f"Run {run_id!r} could not be let go.")


async def start(engine: Engine, deps: Deps, run_id: str | None) -> None:
    """Start TWO, or go on with it, and see its output."""
    assert await (await engine.start(TWO, inputs=1, deps=deps, run_id=run_id)).result() == 3


class LateStore(MemoryStore):
    """A store that has a run before its answer to `create` comes, which is when the gate is opened.

    made: whether there is a run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made = anyio.Event()
        self.gate = anyio.Event()

    async def create(self, run: NewRun, first: Entry) -> bool:
        is_new = await super().create(run, first)
        self.made.set()
        await self.gate.wait()
        return is_new


# --- starting ---------------------------------------------------------------------------------------------------------


@both_loops
async def test_a_run_ends_with_the_output_of_its_last_node() -> None:
    assert await ran(Journals(), Deps(), 5) == 7


@both_loops
async def test_start_returns_before_the_first_node_has_run() -> None:
    deps = Deps()
    async with Engine("memory:") as engine:
        run = await engine.start(TWO, inputs=1, deps=deps)
        assert (run.status, dict(deps.calls)) == ("running", {})
        assert await run.result() == 3
        assert repr(run) == f"<Run {run.id!r}, completed>"


async def test_a_run_without_an_id_gets_one_of_its_own() -> None:
    async with Engine("memory:") as engine:
        runs = [await engine.start(TWO, inputs=1, deps=Deps()) for _ in range(3)]

    assert len({run.id for run in runs}) == 3


async def test_an_id_whose_run_is_under_way_gives_that_run() -> None:
    deps = Deps().gate("first")
    async with Engine("memory:") as engine:
        run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
        assert await engine.start(TWO, inputs=1, deps=deps, run_id=RUN) is run
        assert await engine.resume(RUN, TWO, deps=deps) is run
        deps.gates["first"].set()

    assert deps.calls == {"first": 1, "second": 1}


async def test_two_starts_of_one_id_at_the_same_time_give_one_run(tmp_path: Path) -> None:
    deps = Deps()
    found: set[int] = set()
    async with Engine(SqliteStore(tmp_path / "runs.db")) as engine:

        async def start() -> None:
            run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
            found.add(id(run))
            assert await run.result() == 3

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(start)

    assert deps.calls == {"first": 1, "second": 1}


@both_loops
async def test_a_run_that_is_found_before_its_start_returns_is_driven_once() -> None:
    deps, store = Deps(), LateStore()
    async with Engine(store) as engine, anyio.create_task_group() as group:

        async def find() -> None:
            (found,) = await engine.runs()
            assert await (await engine.resume(found.run_id, TWO, deps=deps)).result() == 3

        group.start_soon(start, engine, deps, None)
        await store.made.wait()
        group.start_soon(find)
        await anyio.wait_all_tasks_blocked()
        store.gate.set()

    assert deps.calls == {"first": 1, "second": 1}


@both_loops
async def test_a_start_that_comes_after_one_in_line_waits_for_it_too() -> None:
    deps, store = Deps(), LateStore()
    async with Engine(store) as engine, anyio.create_task_group() as group:

        async def fail() -> None:
            with pytest.raises(NotStorable):
                await engine.start(TWO, inputs="one", deps=deps, run_id=RUN)

        group.start_soon(fail)
        group.start_soon(start, engine, deps, RUN)
        await store.made.wait()
        group.start_soon(start, engine, deps, RUN)
        await anyio.wait_all_tasks_blocked()
        store.gate.set()

    assert deps.calls == {"first": 1, "second": 1}


@both_loops
async def test_every_start_lets_others_have_their_turn(tmp_path: Path) -> None:
    turns = 0
    async with Engine(SqliteStore(tmp_path / "runs.db", durability="process")) as engine:

        async def go_round() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            group.start_soon(go_round)
            for _ in range(10):
                await engine.start(TWO, inputs=1, deps=Deps())
            assert turns >= 9, "trio takes those who are ready in any order"
            group.cancel_scope.cancel()


async def test_an_id_whose_run_is_completed_gives_its_output_without_running() -> None:
    journals, deps = Journals(), Deps()
    await ran(journals, deps)
    before = list(journals.records[RUN])

    assert await ran(journals, Deps(faulty={"first", "second"})) == 3
    assert deps.calls == {"first": 1, "second": 1}
    assert journals.records[RUN] == before


async def test_a_completed_run_needs_no_deps_to_give_its_output() -> None:
    journals = Journals()
    await ran(journals, Deps())

    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.resume(RUN, TWO)
        assert (run.status, await run.result()) == ("completed", 3)


async def test_an_id_whose_run_failed_tries_only_the_failed_task_again() -> None:
    journals, deps = Journals(), Deps(faulty={"second"})
    with pytest.raises(NodeError, match=r"Node 'second' failed on its only attempt: ValueError: second is faulty"):
        await ran(journals, deps)
    assert journals.rows[RUN].status == "failed"

    deps.faulty.clear()

    assert await ran(journals, deps) == 3
    assert deps.calls == {"first": 1, "second": 2}


async def test_a_failed_run_can_be_tried_again_in_the_same_engine() -> None:
    deps = Deps(faulty={"first"})
    async with Engine("memory:") as engine:
        failed = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
        with pytest.raises(NodeError):
            await failed.result()
        deps.faulty.clear()
        assert await (await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)).result() == 3


async def test_an_id_whose_run_was_cancelled_is_refused() -> None:
    journals, deps = Journals(), Deps().gate("first")
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["first"].wait()
        run.cancel()
        with anyio.fail_after(1), pytest.raises(RunCancelled):
            await run.result()

        with pytest.raises(RunCancelled, match="Run 'r-1' was cancelled"):
            await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)


async def test_an_id_of_another_workflow_is_refused_and_changes_nothing() -> None:
    journals = Journals()
    await ran(journals, Deps())
    before = (journals.rows[RUN], list(journals.records[RUN]))

    other = chain(["first", "second"], name="other")
    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(RunMismatch, match="exists with another workflow: it has 'chain', this call gives 'other'"):
            await engine.start(other, inputs=1, deps=Deps(), run_id=RUN)
        with pytest.raises(RunMismatch, match="another workflow"):
            await engine.resume(RUN, other, deps=Deps())

    assert (journals.rows[RUN], journals.records[RUN]) == before


async def test_an_id_with_other_inputs_is_refused() -> None:
    journals = Journals()
    await ran(journals, Deps(), inputs=1)

    with pytest.raises(RunMismatch, match="exists with another input: it has 1, this call gives 2"):
        await ran(journals, Deps(), inputs=2)


async def test_an_id_with_another_initial_state_is_refused() -> None:
    wf = shopping()

    @wf.function
    async def buy(ctx: StepContext[Basket, None, str]) -> int:
        ctx.state.items.append(ctx.inputs)
        return len(ctx.state.items)

    wf.edge(wf.start_node, buy)
    wf.edge(buy, wf.end_node)
    workflow = wf.build()
    async with Engine("memory:") as engine:
        first = await engine.start(workflow, inputs="tea", state=Basket(owner="Ann"), run_id=RUN)
        assert await first.result() == 1
        again = await engine.start(workflow, inputs="tea", state=Basket(owner="Ann"), run_id=RUN)
        assert await again.result() == 1

        with pytest.raises(RunMismatch, match="exists with another initial state"):
            await engine.start(workflow, inputs="tea", state=Basket(owner="Bob"), run_id=RUN)


async def test_a_transform_at_the_start_does_not_make_the_initial_state_another_one() -> None:
    wf = shopping()

    @wf.function
    async def size(ctx: StepContext[Basket, None, str]) -> int:
        return len(ctx.state.items)

    def put(ctx: StepContext[Basket, None, str]) -> str:
        ctx.state.items.append(ctx.inputs)
        return ctx.inputs

    wf.add(wf.edge_from(wf.start_node).transform(put).to(size))
    wf.edge(size, wf.end_node)
    workflow = wf.build()
    async with Engine("memory:") as engine:
        for _ in range(2):
            run = await engine.start(workflow, inputs="tea", state=Basket(owner="Ann"), run_id=RUN)
            assert await run.result() == 1


async def test_a_state_that_is_not_given_and_has_no_default_is_an_error() -> None:
    wf = shopping()

    @wf.function
    async def buy(ctx: StepContext[Basket, None, str]) -> int:
        return 1

    wf.edge(wf.start_node, buy)
    wf.edge(buy, wf.end_node)
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(InputError, match="needs a state: Basket has fields without a default"):
            await engine.start(wf.build(), inputs="tea", run_id=RUN)

    assert not journals.rows


@pytest.mark.parametrize("store", [None, "memory:"])
async def test_deps_that_are_not_given_are_an_error(store: str | None) -> None:
    async with Engine(store) as engine:
        with pytest.raises(InputError, match="Workflow 'chain' needs deps of type 'Deps'"):
            await engine.start(TWO, inputs=1)


async def test_inputs_that_cannot_be_stored_start_nothing() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(NotStorable, match="the run's inputs"):
            await engine.start(TWO, inputs="one", deps=Deps(), run_id=RUN)

    assert not journals.rows


# --- without a store --------------------------------------------------------------------------------------------------


@both_loops
async def test_an_engine_without_a_store_runs_too() -> None:
    async with Engine() as engine:
        run = await engine.start(TWO, inputs=1, deps=Deps())
        assert await run.result() == 3


async def test_without_a_store_values_stay_the_same_objects() -> None:
    @dataclass
    class Opaque:
        inner: object

    wf = WorkflowBuilder(name="opaque", input_type=Opaque, output_type=Opaque)

    @wf.function
    async def passed(ctx: StepContext[None, None, Opaque]) -> Opaque:
        return ctx.inputs

    wf.edge(wf.start_node, passed)
    wf.edge(passed, wf.end_node)
    given = Opaque(object())

    assert await wf.build().run(inputs=given) is given


async def test_an_engine_without_a_store_says_that_it_knows_no_earlier_runs() -> None:
    async with Engine() as engine:
        for call in (engine.runs(), engine.find("r"), engine.trace("r"), engine.resume("r", TWO, deps=Deps())):
            with pytest.raises(InputError, match="This engine has no store"):
                await call


@pytest.mark.parametrize("store", [None, "memory:"])
async def test_a_run_in_which_no_value_reaches_the_end_fails(store: str | None) -> None:
    wf = WorkflowBuilder(name="empty", output_type=int)

    @wf.function
    async def nothing(ctx: StepContext[None, None, None]) -> list[int]:
        return []

    @wf.function
    async def one(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    wf.edge(wf.start_node, nothing)
    wf.edge(nothing, wf.each(one))
    wf.edge(one, wf.end_node)

    with pytest.raises(WorkflowError, match="nothing left to do and no value reached the end"):
        await wf.build().run(store=store)


# --- owners -----------------------------------------------------------------------------------------------------------


async def test_a_run_that_another_engine_drives_is_busy() -> None:
    journals, deps = Journals(), Deps().gate("first")
    async with Engine(MemoryStore(journals)) as one, Engine(MemoryStore(journals)) as other:
        await one.start(TWO, inputs=1, deps=deps, run_id=RUN)
        with pytest.raises(RunBusy, match="Run 'r-1' is being driven by this process"):
            await other.start(TWO, inputs=1, deps=deps, run_id=RUN)
        deps.gates["first"].set()

    assert deps.calls == {"first": 1, "second": 1}


async def test_the_owner_of_a_run_lets_go_of_it_at_its_end() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(TWO, inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        await anyio.wait_all_tasks_blocked()
        assert journals.rows[RUN].owner is None


# --- leaving ----------------------------------------------------------------------------------------------------------


@both_loops
async def test_leaving_the_engine_waits_for_its_runs() -> None:
    deps = Deps()
    async with Engine("memory:") as engine:
        run = await engine.start(TWO, inputs=1, deps=deps)

    assert run.status == "completed"
    assert await run.result() == 3


@both_loops
async def test_leaving_the_engine_by_an_error_stops_its_runs_and_they_can_be_resumed() -> None:
    journals, deps = Journals(), Deps().gate("second")
    runs: list[Run[int]] = []

    async def leave() -> None:
        async with Engine(MemoryStore(journals)) as engine:
            runs.append(await engine.start(TWO, inputs=1, deps=deps, run_id=RUN))
            await deps.begun["second"].wait()
            raise KeyError("elsewhere")

    with pytest.raises(KeyError, match="elsewhere"):
        await leave()
    run = runs[0]
    assert run.status == "running"
    assert deps.stopped == ["second"]
    with pytest.raises(MilepostError, match=r"was stopped\. Resume it to go on"):
        await run.result()
    assert (journals.rows[RUN].status, journals.rows[RUN].owner) == ("running", None)
    deps.gates["second"].set()
    assert await ran(journals, deps) == 3
    assert deps.calls == {"first": 1, "second": 2}


@both_loops
async def test_cancelling_the_scope_around_an_engine_leaves_its_runs_resumable() -> None:
    journals, deps = Journals(), Deps().gate("second")
    with anyio.CancelScope() as scope:
        async with Engine(MemoryStore(journals)) as engine:
            run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
            await deps.begun["second"].wait()
            scope.cancel()
            await run.result()

    assert (journals.rows[RUN].status, journals.rows[RUN].owner) == ("running", None)
    deps.gates["second"].set()
    assert await ran(journals, deps) == 3


async def test_a_stopped_run_leaves_the_others_alone() -> None:
    journals, deps = Journals(), Deps().gate("second")
    async with Engine(MemoryStore(journals)) as engine:
        one = await engine.start(TWO, inputs=1, deps=deps, run_id="one")
        other = await engine.start(TWO, inputs=2, deps=deps, run_id="other")
        await deps.begun["second"].wait()
        one.stop()
        with pytest.raises(MilepostError, match="Run 'one' was stopped"):
            await one.result()
        deps.gates["second"].set()
        assert await other.result() == 4

    assert {row.run_id: row.status for row in journals.rows.values()} == {"one": "running", "other": "completed"}


@both_loops
async def test_cancelling_a_run_stops_its_tasks_for_good() -> None:
    journals, deps = Journals(), Deps().gate("first")
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["first"].wait()
        run.cancel()
        with anyio.fail_after(1), pytest.raises(RunCancelled):
            await run.result()
        assert run.status == "cancelled"

    assert deps.stopped == ["first"]
    assert deps.calls == {"first": 1}
    assert journals.rows[RUN].status == "cancelled"


async def test_cancelling_a_run_that_has_ended_does_nothing() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(TWO, inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        run.cancel()
        assert await run.result() == 3

    assert journals.rows[RUN].status == "completed"


# --- a store that fails -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [1, 2, 3])
async def test_a_checkpoint_that_cannot_be_written_stops_the_run_and_no_later_node_starts(room: int) -> None:
    journals, deps = Journals(), Deps()
    async with Engine(FullStore(journals, room)) as engine:
        run = await engine.start(THREE, inputs=1, deps=deps, run_id=RUN)
        with pytest.raises(StoreError, match="The disk is full"):
            await run.result()

    assert list(deps.calls) == ["first", "second", "third"][:room]
    assert journals.rows[RUN].status == "running"

    async with Engine(MemoryStore(journals)) as engine:
        assert await (await engine.resume(RUN, THREE, deps=deps)).result() == 4
    assert deps.calls.total() == 4


# --- looking ----------------------------------------------------------------------------------------------------------


async def test_runs_are_listed_with_the_newest_first() -> None:
    times = iter(range(100))
    async with Engine("memory:", clock=lambda: float(next(times))) as engine:
        for run_id in ("a", "b", "c"):
            await (await engine.start(TWO, inputs=1, deps=Deps(), run_id=run_id)).result()
        summaries = await engine.runs()

    assert [one.run_id for one in summaries] == ["c", "b", "a"]
    last = summaries[-1]
    assert (last.workflow, last.version, last.status, last.seq, last.output) == ("chain", 1, "completed", 3, "3")
    assert (last.created.timestamp(), last.updated.timestamp()) == (0, 2)


async def test_the_summary_of_a_failed_run_says_why() -> None:
    journals = Journals()
    with pytest.raises(NodeError):
        await ran(journals, Deps(faulty={"first"}))

    async with Engine(MemoryStore(journals)) as engine:
        summary = await engine.find(RUN)
    assert (summary.status, summary.error, summary.output) == ("failed", "ValueError: first is faulty", None)


async def test_a_run_is_found_by_the_beginning_of_its_id() -> None:
    async with Engine("memory:") as engine:
        for run_id in ("claim-17", "claim-1", "other"):
            await (await engine.start(TWO, inputs=1, deps=Deps(), run_id=run_id)).result()

        assert (await engine.find("oth")).run_id == "other"
        assert (await engine.find("claim-1")).run_id == "claim-1"
        with pytest.raises(UnknownRun, match=r"no run 'claim' in this store\. Did you mean 'claim-1"):
            await engine.find("claim")
        with pytest.raises(UnknownRun, match="Did you mean 'other'"):
            await engine.find("othor")
        with pytest.raises(UnknownRun, match="Did you mean 'claim-1', 'claim-17'"):
            await engine.resume("claim-71", TWO, deps=Deps())
        with pytest.raises(UnknownRun):
            await engine.trace("nothing like it")


async def test_nothing_is_left_over_when_the_engine_is_left() -> None:
    async with anyio.create_task_group() as group:
        before = len(anyio.get_running_tasks())
        async with Engine("memory:") as engine:
            await engine.start(TWO, inputs=1, deps=Deps())
        assert len(anyio.get_running_tasks()) == before
        group.cancel_scope.cancel()


def test_a_workflow_runs_from_synchronous_code_and_again_by_its_id(tmp_path: Path) -> None:
    store, deps = f"sqlite:///{tmp_path}/runs.db", Deps()

    assert TWO.run_sync(inputs=1, deps=deps, store=store, run_id=RUN) == 3
    assert TWO.run_sync(inputs=1, deps=deps, store=store, run_id=RUN) == 3
    assert deps.calls == {"first": 1, "second": 1}


async def test_a_run_under_way_is_not_attached_to_by_another_input() -> None:
    async def wait(ctx: StepContext[None, None, int]) -> int:
        await anyio.lowlevel.checkpoint()
        return ctx.inputs

    wf = WorkflowBuilder(name="waiting", input_type=int, output_type=int)
    node = wf.function(wait)
    wf.edge(wf.start_node, node)
    wf.edge(node, wf.end_node)
    workflow = wf.build()
    async with Engine("memory:") as engine:
        run = await engine.start(workflow, inputs=1, run_id="r-1")
        with pytest.raises(RunMismatch, match="another input"):
            await engine.start(workflow, inputs=2, run_id="r-1")
        assert await run.result() == 1


async def test_every_body_that_never_waits_is_kept_before_the_next_one_runs() -> None:
    journals, kept = Journals(), list[int]()
    wf = WorkflowBuilder(name="busy", input_type=int, output_type=int)

    @wf.function
    def split(ctx: StepContext[None, None, int]) -> list[int]:
        return list(range(ctx.inputs))

    @wf.function
    def work(ctx: StepContext[None, None, int]) -> int:
        kept.append(len(journals.records["r-1"]))
        return ctx.inputs

    total = wf.join(reduce_sum, initial=0, node_id="total")
    wf.edge(wf.start_node, split)
    wf.edge(split, wf.each(work, join=total))
    wf.edge(total, wf.end_node)

    assert await wf.build().run(inputs=4, store=MemoryStore(journals), run_id="r-1") == 6
    assert kept == [2, 3, 4, 5]


async def test_a_store_that_raises_has_failed_and_not_the_node() -> None:
    class Broken(MemoryStore):
        def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
            raise OSError("the cable is out")

    with pytest.raises(StoreError, match=r"Checkpoint 2 of run 'r-1' could not be written: OSError\('the cable"):
        await TWO.run(inputs=1, deps=Deps(), store=Broken(), run_id=RUN)


async def test_a_run_that_cannot_be_let_go_stops_no_other() -> None:
    async with Engine(KeepingStore()) as engine:
        runs = [await engine.start(TWO, inputs=number, deps=Deps(), run_id=f"r-{number}") for number in (1, 2, 3)]
        assert [await run.result() for run in runs] == [3, 4, 5]
        last = await engine.start(THREE, inputs=1, deps=Deps(), run_id="another")
        assert await last.result() == 4
