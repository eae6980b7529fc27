"""Forks: new runs that go on from a checkpoint of another and share what is stored up to there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from milepost.engine import logs
from milepost.engine.current import current
from milepost.engine.engine import Engine
from milepost.engine.errors import (
    BrokenJournal,
    EditError,
    IncompatibleWorkflow,
    InputError,
    NodeError,
    OutcomeUnknown,
    RoutingError,
    RunCancelled,
    RunMismatch,
    StoreError,
    UnknownCheckpoint,
    UnknownRun,
)
from milepost.engine.events import Checkpoint, RunForked, RunStarted, StateEdited
from milepost.engine.journal import Kind
from milepost.engine.journal_text import from_text
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import Acknowledge, Entry, NewRun
from milepost.engine.typed import StepContext, reduce_sum
from milepost.engine.workflow import Workflow
from milepost.testing.journals import Journal
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.letters import LETTERS, NEWEST, Letter, failed, finished, task_of
from tests.engine.nests import CHILD, OUTER, World
from tests.engine.nests import world as world
from tests.engine.subjects import RUN, Deps, FullStore, chain
from tests.engine.test_at_most_once import PAYING, Bank, interrupted
from tests.engine.test_checkpoints import streaming

pytestmark = pytest.mark.anyio

PLAIN = "plain 0, plain 1"


# --- the same again ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", range(1, NEWEST + 1))
async def test_a_fork_at_any_checkpoint_comes_to_the_same_and_repeats_nothing(world: World, at: int) -> None:
    deps, again = Deps(), Deps()
    async with Engine(world()) as engine:
        assert await finished(engine, deps=deps) == PLAIN
    async with Engine(world()) as engine:
        fork = await engine.fork(RUN, LETTERS, at=at, deps=again, run_id="fork")
        assert await fork.result() == PLAIN
        done = Counter(task.node for task in (await engine.trace(RUN, until=at)).tasks if task.status == "completed")
        assert again.calls == deps.calls - done
        assert await engine.verify() == []
        one, other = await engine.at(RUN, NEWEST), await engine.at("fork", NEWEST + 1)
        assert (one.state, one.output) == (other.state, other.output)


async def test_a_fork_shares_the_records_up_to_its_checkpoint() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        await finished(engine)
        before = list(journals.records[RUN])
        fork = await engine.fork(RUN, LETTERS, at=4, deps=Deps(), run_id="fork")
        await fork.result()
        assert [record.seq for record in journals.records["fork"]] == [5, 6, 7]
        assert journals.records[RUN] == before
        row = journals.rows["fork"]
        assert (row.forked_from, row.forked_at, row.epoch, row.status) == (RUN, 4, 1, "completed")
        first = from_text(5, journals.records["fork"][0].body, "[]")
        assert (first.kind, first.origin, first.values) == (Kind.FORKED, (RUN, 4), [])
        await Journal.read(MemoryStore(journals), row)
    assert '"from":["r-1",4]' in journals.records["fork"][0].body


async def test_the_hashes_of_a_fork_go_on_from_those_of_the_other_run() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        await finished(engine)
        fork = await engine.fork(RUN, LETTERS, at=3, deps=Deps(faulty={"judge"}), run_id="fork")
        with pytest.raises(NodeError):
            await fork.result()
        damaged = journals.records[RUN][1]
        journals.records[RUN][1] = damaged._replace(content=damaged.content.replace("0", "5"))
        with pytest.raises(BrokenJournal, match="Checkpoint 2 of run 'fork' is damaged"):
            await engine.resume("fork", LETTERS, deps=Deps())
        assert {finding.run_id for finding in await engine.verify()} == {RUN, "fork"}


async def test_a_fork_of_the_newest_checkpoint_is_what_is_made_unless_told_otherwise() -> None:
    deps = Deps()
    async with Engine("memory://") as engine:
        await failed(engine, "send")
        fork = await engine.fork(RUN, LETTERS, deps=deps)
        assert await fork.result() == PLAIN
        assert deps.calls == {"send": 1}
        assert (await engine.find(RUN)).status == "failed", "the other run stays as it is"
        assert (await engine.find(fork.id)).forked_at == 6
    assert len(fork.id) == 12


async def test_forks_of_forks_share_what_those_share(world: World) -> None:
    async with Engine(world()) as engine:
        await finished(engine)
        for run_id, origin, at in (("a", RUN, 2), ("b", "a", 5), ("c", "b", 2), ("d", "b", 6)):
            fork = await engine.fork(origin, LETTERS, at=at, deps=Deps(), run_id=run_id)
            assert await fork.result() == PLAIN
        rows = {row.run_id: (row.forked_from, row.forked_at) for row in await engine.runs()}
        assert rows == {RUN: (None, 0), "a": (RUN, 2), "b": ("a", 5), "c": (RUN, 2), "d": ("b", 6)}
        assert await engine.verify() == []
        trace = await engine.trace("d")
    assert trace.forked_from == ("b", 6)
    assert Counter((task.node, task.status) for task in trace.tasks) == {
        ("outline", "completed"): 1,
        ("write", "completed"): 2,
        ("judge", "completed"): 1,
        ("send", "completed"): 1,
    }
    assert trace.taken["__start__", "outline", 0] == 1


async def test_a_cancelled_run_can_be_forked() -> None:
    deps = Deps().gate("judge")
    async with Engine("memory://") as engine:
        run = await engine.start(LETTERS, inputs=2, deps=deps, run_id=RUN)
        await deps.begun["judge"].wait()
        run.cancel()
        await run.wait()
        fork = await engine.fork(RUN, LETTERS, deps=Deps())
        assert await fork.result() == PLAIN
        assert (await engine.find(RUN)).status == "cancelled"


async def test_a_run_that_is_under_way_can_be_forked_here_and_elsewhere(world: World) -> None:
    deps = Deps().gate("judge")
    async with Engine(world()) as engine, Engine(world()) as other:
        run = await engine.start(LETTERS, inputs=2, deps=deps, run_id=RUN)
        await deps.begun["judge"].wait()
        for forking in (engine, other):
            fork = await forking.fork(RUN, LETTERS, at=2, state=Letter(tone="kind"), deps=Deps())
            assert await fork.result() == "kind 0, kind 1"
        deps.gates["judge"].set()
        assert await run.result() == PLAIN


async def test_a_run_with_an_output_that_could_not_be_routed_is_routed_again_in_its_fork() -> None:
    breaks = {"yes"}
    wf = WorkflowBuilder(name="routing", input_type=int, output_type=int)
    calls: list[int] = []

    @wf.function
    async def make(ctx: StepContext[None, None, int]) -> int:
        calls.append(ctx.inputs)
        return ctx.inputs + 1

    def holds(number: int) -> bool:
        if breaks:
            raise ZeroDivisionError
        return True

    wf.edge(wf.start_node, make)
    wf.edge(make, wf.end_node, when=holds)
    wf.edge(make, make, otherwise=True)
    workflow = wf.build()
    async with Engine("memory://") as engine:
        run = await engine.start(workflow, inputs=1, run_id=RUN)
        with pytest.raises(RoutingError):
            await run.result()
        breaks.clear()
        fork = await engine.fork(RUN, workflow)
        assert await fork.result() == 2
        with pytest.raises(EditError, match="has run with the input it has: only its output is to be routed"):
            await engine.fork(RUN, workflow, inputs={(await engine.at(RUN, 2)).outputs[0].key: 5})
    assert calls == [1]


async def test_a_stream_goes_on_in_a_fork_after_the_items_that_it_shares() -> None:
    workflow = streaming()
    async with Engine("memory://") as engine:
        run = await engine.start(workflow, inputs=3, run_id=RUN)
        assert sorted(await run.result()) == [0, 2, 4]
        for seq in range(1, (await engine.find(RUN)).seq + 1):
            fork = await engine.fork(RUN, workflow, at=seq)
            assert sorted(await fork.result()) == [0, 2, 4]
        seen = [await engine.at(RUN, seq) for seq in range(1, 8)]
        then = next(one for one in seen if one.streams and one.streams[0].items)
        with pytest.raises(EditError, match="gives a stream: 1 items are committed that came of the input it has"):
            await engine.fork(RUN, workflow, at=then.seq, inputs={then.streams[0].key: 9})


async def test_a_fork_is_a_new_run_to_everybody_outside(world: World) -> None:
    wf = WorkflowBuilder(name="keys", input_type=None, output_type=str)

    @wf.function
    async def tell(ctx: StepContext[None, None, None]) -> str:
        return f"{current().run_id} {current().task} {current().idempotency_key}"

    wf.edge(wf.start_node, tell)
    wf.edge(tell, wf.end_node)
    workflow = wf.build()
    async with Engine(world()) as engine:
        run = await engine.start(workflow, run_id=RUN)
        fork = await engine.fork(RUN, workflow, at=1, run_id="fork")
        (one, task, key), (other, same, new) = (await run.result()).split(), (await fork.result()).split()
    assert (one, other) == (RUN, "fork")
    assert task == same
    assert key != new


async def test_what_may_run_at_most_once_has_not_begun_in_a_fork() -> None:
    journals, bank = Journals(), Bank()
    await interrupted(bank, journals)
    bank.dies = None
    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(OutcomeUnknown):
            await engine.resume(RUN, PAYING, deps=bank)
        fork = await engine.fork(RUN, PAYING, deps=bank)
        assert await fork.result() == "filed receipt 2"
        with pytest.raises(OutcomeUnknown):
            await engine.resume(RUN, PAYING, deps=bank)


async def test_runs_inside_a_run_begin_anew_in_its_fork_unless_they_had_ended() -> None:
    deps = Deps().gate("judge")
    async with Engine("memory://") as engine:
        run = await engine.start(OUTER, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["judge"].wait()
        fork = await engine.fork(RUN, OUTER, deps=Deps(), run_id="fork")
        assert await fork.result() == 5
        deps.gates["judge"].set()
        assert await run.result() == 5
        late = Deps()
        after = await engine.fork(RUN, OUTER, at=3, deps=late, run_id="after")
        assert await after.result() == 5
        assert late.calls == {"after": 1}
        traces = [await engine.trace(run_id) for run_id in (RUN, "fork", "after")]
    children = [list(trace.children) for trace in traces]
    assert children[0] == children[2] != children[1]
    assert [len(each) for each in children] == [1, 1, 1]
    assert traces[2].children[children[2][0]].status == "completed"


async def test_a_run_inside_a_run_can_be_forked_by_itself() -> None:
    async with Engine("memory://") as engine:
        run = await engine.start(OUTER, inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        (child,) = await engine.children(RUN)
        fork = await engine.fork(child.run_id, CHILD, at=2, deps=Deps())
        assert await fork.result() == 4
        assert (await engine.find(fork.id)).parent_run is None


# --- another state, other inputs --------------------------------------------------------------------------------------


async def test_a_fork_goes_on_with_the_state_and_the_inputs_that_it_is_given(world: World) -> None:
    state = Letter(lines=["by hand"], tone="rude")
    async with Engine(world()) as engine:
        await finished(engine)
        key = await task_of(engine, "outline", 1)
        fork = await engine.fork(RUN, LETTERS, at=1, state=state, inputs={key: 1}, deps=Deps(), run_id="fork")
        assert await fork.result() == "dropped"
        assert state == Letter(lines=["by hand", "outline 1"], tone="rude"), "the caller's object follows, as in start"
        then = await engine.at("fork", 2, workflow=LETTERS)
        trace = await engine.trace("fork")
        assert await engine.verify() == []
    assert then.did == "forked"
    assert then.state == Letter(lines=["by hand"], tone="rude")
    assert [(task.node, task.inputs) for task in then.tasks] == [("outline", 1)]
    ((edit,), forked_from) = trace.edits, trace.forked_from
    assert (edit.seq, set(edit.fields), edit.inputs) == (2, {"lines", "tone"}, (key,))
    assert forked_from == (RUN, 1)
    assert trace.resumes == ()


async def test_one_item_of_a_map_can_be_given_another_input() -> None:
    async with Engine("memory://") as engine:
        await finished(engine)
        then = await engine.at(RUN, 2)
        second = next(task.key for task in then.tasks if task.index == 1)
        fork = await engine.fork(RUN, LETTERS, at=2, inputs={second: 7}, deps=Deps())
        assert await fork.result() == "plain 0, plain 7"


async def test_what_is_given_back_as_it_was_changes_nothing() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        await finished(engine)
        state = (await engine.at(RUN, 2, workflow=LETTERS)).state
        fork = await engine.fork(RUN, LETTERS, at=2, state=state, deps=Deps(), run_id="fork")
        assert await fork.result() == PLAIN
        assert (await engine.trace("fork")).edits == ()
    assert '"patch"' not in journals.records["fork"][0].body


async def test_everything_wrong_with_what_is_given_is_told_at_once() -> None:
    journals = Journals()
    wrong: Any = Letter.model_construct(lines="none", tone=3)
    async with Engine(MemoryStore(journals)) as engine:
        await finished(engine)
        key = await task_of(engine, "outline", 1)
        with pytest.raises(EditError) as caught:
            await engine.fork(RUN, LETTERS, at=1, state=wrong, inputs={key: "two", "f" * 32: 1}, deps=Deps())
    assert list(journals.rows) == [RUN], "nothing was made"
    first, second, third, fourth = caught.value.faults
    assert "The new input of node 'outline': at input, it is the str 'two'" in first
    assert second == f"Task '{'f' * 32}' is not pending at checkpoint 1. Pending: {key!r} (node 'outline')."
    assert third.startswith("The new state: at state.lines")
    assert fourth.startswith("The new state: at state.tone")
    assert str(caught.value).startswith(
        "What checkpoint 1 of run 'r-1' was to be given has 4 faults, so nothing was changed:\n  1. The new input"
    )
    assert (caught.value.run_id, caught.value.seq) == (RUN, 1)


async def test_of_many_pending_tasks_an_error_names_a_few() -> None:
    async with Engine("memory://") as engine:
        await finished(engine, inputs=8)
        with pytest.raises(EditError, match=r"Pending: .*\(node 'write'\), and 3 more\."):
            await engine.fork(RUN, LETTERS, at=2, inputs={"nobody": 1}, deps=Deps())


async def test_the_end_of_a_run_takes_neither_a_state_nor_inputs() -> None:
    async with Engine("memory://") as engine:
        await finished(engine)
        with pytest.raises(EditError, match="had come to its end at checkpoint 6, so nothing would see another state"):
            await engine.fork(RUN, LETTERS, state=Letter(), deps=Deps())
        with pytest.raises(EditError, match=r"'nobody' is not pending at checkpoint 6\. Nothing is\."):
            await engine.fork(RUN, LETTERS, inputs={"nobody": 1}, deps=Deps())


async def test_a_workflow_without_a_state_takes_none() -> None:
    workflow = chain(["first"])
    async with Engine("memory://") as engine:
        run = await engine.start(workflow, inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        with pytest.raises(EditError, match="Workflow 'chain' declares no state, so there is none to change"):
            await engine.fork(RUN, workflow, at=1, state=Letter(), deps=Deps())


async def test_a_pending_task_sees_a_state_that_was_edited_as_a_whole() -> None:
    """It was spawned before another task wrote, and now begins after that, as whoever edited the state saw it."""

    class Pair(BaseModel):
        low: int = 0
        high: int = 0

    wf = WorkflowBuilder(name="pairs", state_type=Pair, deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def raise_high(ctx: StepContext[Pair, Deps, int]) -> int:
        await ctx.deps.enter("raise_high")
        ctx.state.high = 10
        return 1

    @wf.function
    async def read_both(ctx: StepContext[Pair, Deps, int]) -> int:
        await ctx.deps.enter("read_both")
        ctx.state.high += ctx.state.low
        return ctx.state.high

    total = wf.join(reduce_sum, initial=0, node_id="total")
    wf.edge(wf.start_node, raise_high)
    wf.edge(wf.start_node, read_both)
    wf.edge(raise_high, total)
    wf.edge(read_both, total)
    wf.edge(total, wf.end_node)
    workflow = wf.build()
    deps = Deps().gate("read_both")
    async with Engine("memory://") as engine:
        run = await engine.start(workflow, inputs=0, deps=deps, run_id=RUN)
        await deps.begun["read_both"].wait()
        await anyio.wait_all_tasks_blocked()
        run.stop()
        await run.wait()
        assert (await engine.at(RUN, 2)).state == '{"low":0,"high":10}'
        fork = await engine.fork(RUN, workflow, at=2, state=Pair(low=5, high=10), deps=Deps())
        assert await fork.result() == 16, "no conflict, and 5 + 10 + 1"


# --- the same fork again ----------------------------------------------------------------------------------------------


async def test_a_fork_of_the_same_id_is_attached_to_gone_on_with_or_told_again(world: World) -> None:
    deps = Deps().gate("judge")
    async with Engine(world()) as engine:
        await finished(engine)
        fork = await engine.fork(RUN, LETTERS, at=3, state=Letter(tone="kind"), deps=deps, run_id="fork")
        await deps.begun["judge"].wait()
        assert await engine.fork(RUN, LETTERS, at=3, state=Letter(tone="kind"), run_id="fork", deps=Deps()) is fork
        fork.stop()
    async with Engine(world()) as engine:
        for at in (3, None, 3):
            again = await engine.fork(RUN, LETTERS, at=at, state=Letter(tone="kind"), deps=Deps(), run_id="fork")
            assert "kind" in await again.result()


async def test_an_id_that_belongs_to_something_else_is_refused(world: World) -> None:
    async with Engine(world()) as engine:
        await finished(engine)
        fork = await engine.fork(RUN, LETTERS, at=3, deps=Deps(), run_id="fork")
        await fork.result()
        with pytest.raises(RunMismatch, match="another origin: it has checkpoint 3 of run 'r-1', this call gives chec"):
            await engine.fork(RUN, LETTERS, at=2, deps=Deps(), run_id="fork")
        with pytest.raises(RunMismatch, match="another origin: it has none, this call gives checkpoint 2 of run 'r-1'"):
            await engine.fork("fork", LETTERS, at=2, deps=Deps(), run_id=RUN)
        with pytest.raises(RunMismatch, match="another state or input given to the fork: it has none, this call gives"):
            await engine.fork(RUN, LETTERS, at=3, state=Letter(), deps=Deps(), run_id="fork")
        with pytest.raises(InputError, match="Run 'fork' cannot be its own fork"):
            await engine.fork("fork", LETTERS, deps=Deps(), run_id="fork")


async def test_a_fork_without_its_first_record_is_not_taken_for_the_one_that_is_asked_for() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        await finished(engine)
        fork = await engine.fork(RUN, LETTERS, at=NEWEST, deps=Deps(), run_id="fork")
        await fork.wait()
        del journals.records["fork"][0]
        with pytest.raises(BrokenJournal, match="Checkpoint 7 of run 'fork' is damaged: it is missing"):
            await engine.fork(RUN, LETTERS, at=NEWEST, deps=Deps(), run_id="fork")


async def test_starting_a_fork_again_by_its_id_goes_on_with_it() -> None:
    deps = Deps().gate("judge")
    async with Engine("memory://") as engine:
        await finished(engine)
        fork = await engine.fork(RUN, LETTERS, at=3, deps=deps, run_id="fork")
        await deps.begun["judge"].wait()
        fork.stop()
        await fork.wait()
        again = await engine.start(LETTERS, inputs=2, deps=Deps(), run_id="fork")
        assert await again.result() == PLAIN
        with pytest.raises(RunMismatch, match="another input"):
            await engine.start(LETTERS, inputs=3, deps=Deps(), run_id="fork")


async def test_a_cancelled_fork_is_not_gone_on_with_by_forking_again() -> None:
    deps = Deps().gate("judge")
    async with Engine("memory://") as engine:
        await finished(engine)
        fork = await engine.fork(RUN, LETTERS, at=3, deps=deps, run_id="fork")
        await deps.begun["judge"].wait()
        await engine.cancel(fork.id)
        with pytest.raises(RunCancelled):
            await engine.fork(RUN, LETTERS, at=3, deps=Deps(), run_id="fork")


class Sooner(MemoryStore):
    """A store in which somebody else is faster by one run."""

    async def create(self, run: NewRun, first: Any) -> bool:
        assert await super().create(run, first)
        await self.release(run.run_id, 1)
        return False


async def test_of_two_that_fork_at_once_the_second_goes_on_with_what_the_first_made() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        await finished(engine)
    async with Engine(Sooner(journals)) as engine:
        fork = await engine.fork(RUN, LETTERS, at=3, deps=Deps(), run_id="fork")
        assert await fork.result() == PLAIN
    assert journals.rows["fork"].epoch == 2


# --- what cannot be ---------------------------------------------------------------------------------------------------


async def test_a_checkpoint_that_does_not_exist_cannot_be_forked(world: World) -> None:
    async with Engine(world()) as engine:
        await finished(engine)
        for at in (0, -1, 7):
            with pytest.raises(UnknownCheckpoint, match=f"no checkpoint {at}. It has those from 1 to 6"):
                await engine.fork(RUN, LETTERS, at=at, deps=Deps(), run_id="fork")
        assert [row.run_id for row in await engine.runs()] == [RUN]


async def test_a_run_that_does_not_exist_cannot_be_forked() -> None:
    async with Engine("memory://") as engine:
        await finished(engine)
        with pytest.raises(UnknownRun, match=r"There is no run 'r-2' in this store\. Did you mean 'r-1'"):
            await engine.fork("r-2", LETTERS, deps=Deps())
    async with Engine() as engine:
        with pytest.raises(InputError, match="This engine has no store"):
            await engine.fork(RUN, LETTERS, deps=Deps())


async def test_a_fork_needs_the_workflow_of_the_run_and_its_deps() -> None:
    async with Engine("memory://") as engine:
        await finished(engine)
        with pytest.raises(RunMismatch, match="another workflow: it has 'letters', this call gives 'chain'"):
            await engine.fork(RUN, chain(["first"]), deps=Deps())
        with pytest.raises(InputError, match="needs deps of type 'Deps'"):
            await engine.fork(RUN, LETTERS, at=2)
        assert [row.run_id for row in await engine.runs()] == [RUN]


async def test_a_fork_whose_first_record_cannot_be_written_does_not_begin() -> None:
    class Full(MemoryStore):
        async def create(self, run: NewRun, first: Any) -> bool:
            raise StoreError("The disk is full.")

    journals, deps = Journals(), Deps()
    async with Engine(MemoryStore(journals)) as engine:
        await finished(engine)
    async with Engine(Full(journals)) as engine:
        with pytest.raises(StoreError, match="The disk is full"):
            await engine.fork(RUN, LETTERS, at=2, deps=deps)
    assert list(journals.rows) == [RUN]
    assert not deps.calls


async def test_the_lease_of_a_fork_at_the_end_of_a_run_is_given_up() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        await finished(engine)
        fork = await engine.fork(RUN, LETTERS, deps=Deps(), run_id="fork")
        assert await fork.result() == PLAIN
        assert journals.rows["fork"].owner is None
        assert journals.rows["fork"].status == "completed"
        assert [record.seq for record in journals.records["fork"]] == [7]
        assert await engine.verify() == []
        trace = await engine.trace("fork")
        assert sum(trace.taken.values()) == sum((await engine.trace(RUN)).taken.values())


# --- a workflow that has changed --------------------------------------------------------------------------------------


def chained(*nodes: str, version: int = 1, renamed: bool = False) -> Workflow[Letter, Deps, int, int]:
    wf = WorkflowBuilder(
        name="chained", state_type=Letter, deps_type=Deps, input_type=int, output_type=int, version=version
    )

    def body(node: str) -> Callable[[StepContext[Letter, Deps, int]], Awaitable[int]]:
        async def add(ctx: StepContext[Letter, Deps, int]) -> int:
            await ctx.deps.enter(node)
            ctx.state.lines.append(node)
            return ctx.inputs + 1

        return add

    steps = [wf.function(node_id=node)(body(node)) for node in nodes]
    wf.edge(wf.start_node, steps[0])
    for before, after in pairwise(steps):
        wf.edge(before, after)
    wf.edge(steps[-1], wf.end_node)
    if renamed:

        @wf.migrate(from_version=1)
        def to_two(stored: Any) -> None:
            stored.rename("second", "another")
            stored.state["tone"] = "migrated"

    return wf.build()


async def test_a_fork_takes_up_a_workflow_that_has_changed_and_the_edit_in_one_record() -> None:
    journals = Journals()
    old, new = chained("first", "second"), chained("first", "another", version=2, renamed=True)
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(old, inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        key = (await engine.at(RUN, 2)).tasks[0].key
        plain = await engine.fork(RUN, new, at=2, deps=Deps(), run_id="plain")
        assert await plain.result() == 3
        given = await engine.fork(RUN, new, at=2, inputs={key: 7}, state=Letter(tone="x"), deps=Deps(), run_id="given")
        assert await given.result() == 8
        assert (await engine.at("plain", 4, workflow=new)).state == Letter(lines=["first", "another"], tone="migrated")
        assert (await engine.at("given", 4, workflow=new)).state == Letter(lines=["another"], tone="x")
        assert await engine.verify() == []
        assert [task.node for task in (await engine.trace("given")).tasks] == ["first", "another"]
        assert (await engine.trace("plain")).edits == ()
        (edit,) = (await engine.trace("given")).edits
        assert (edit.fields, edit.inputs) == (("lines", "tone"), (key,))
    assert [record.seq for record in journals.records["given"]] == [3, 4]
    assert journals.rows["given"].version == 2


async def test_a_workflow_that_does_not_fit_what_is_pending_is_refused() -> None:
    async with Engine("memory://") as engine:
        run = await engine.start(chained("first", "second"), inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        with pytest.raises(IncompatibleWorkflow, match="'second'"):
            await engine.fork(RUN, chained("first", "third"), at=2, deps=Deps())
        fork = await engine.fork(RUN, chained("first", "third"), at=1, deps=Deps())
        assert await fork.result() == 3
        assert [row.run_id for row in await engine.runs()] == [fork.id, RUN]


@pytest.mark.parametrize("ends", [True, False])
async def test_a_fork_that_is_there_is_told_again_whatever_the_workflow_has_become(ends: bool) -> None:
    """It could not be made any more, but it was; whether it can go on is a matter of where it stands itself."""
    async with Engine("memory://") as engine:
        old, new = chained("first", "second"), chained("first", "third")
        run = await engine.start(old, inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        fork = await engine.fork(RUN, old, at=2, deps=Deps(faulty=set() if ends else {"second"}), run_id="fork")
        await fork.wait()
        with pytest.raises(IncompatibleWorkflow):
            await engine.fork(RUN, new, at=2, deps=Deps(), run_id="another")
        if ends:
            assert await (await engine.fork(RUN, new, at=2, deps=Deps(), run_id="fork")).result() == 3
        else:
            with pytest.raises(IncompatibleWorkflow, match=r"^Run 'fork' cannot go on"):
                await engine.fork(RUN, new, at=2, deps=Deps(), run_id="fork")
        with pytest.raises(RunMismatch, match="another origin"):
            await engine.fork(RUN, new, at=1, deps=Deps(), run_id="fork")


# --- crashes ----------------------------------------------------------------------------------------------------------


class FullFile(SqliteStore):
    """A file whose disk is full after `room` records of a run."""

    room = 0

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        if entry.seq > self.room:
            acknowledge(StoreError("The disk is full."))
        else:
            super().append(entry, acknowledge)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("at", range(1, NEWEST))
async def test_a_fork_that_crashes_after_any_of_its_records_goes_on_there(tmp_path: Path, kind: str, at: int) -> None:
    """Whoever asks for the same fork again goes on with it, edits included, and repeats nothing that is committed."""
    for room in range(at + 1, NEWEST + 1):
        journals, path = Journals(), tmp_path / f"{room}.db"
        deps, rest = Deps(), Deps()
        full = FullFile(path, durability="process") if kind == "sqlite" else FullStore(journals, room)
        full.room = NEWEST
        async with Engine(full) as engine:
            await finished(engine)
            full.room = room
            fork = await engine.fork(RUN, LETTERS, at=at, state=Letter(tone="kind"), deps=deps, run_id="fork")
            with pytest.raises(StoreError, match="The disk is full"):
                await fork.result()
        store = SqliteStore(path) if kind == "sqlite" else MemoryStore(journals)
        async with Engine(store) as engine:
            before = await engine.trace("fork")
            state = Letter(tone="kind")
            fork = await engine.fork(RUN, LETTERS, at=at, state=state, deps=rest, run_id="fork")
            assert set((await fork.result()).split()) <= {"kind", "plain", "0,", "1", "1,", "0"}
            assert state.tone == "kind"
            assert await engine.verify() == []
            assert (await engine.find("fork")).seq == NEWEST + 1
            done = Counter(task.node for task in before.tasks if task.status == "completed")
            assert rest.calls == Counter(outline=1, write=2, judge=1, send=1) - done


async def test_a_long_run_is_forked_without_reading_or_copying_its_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "SNAPSHOT_CHARACTERS", 100)
    monkeypatch.setattr(logs, "SNAPSHOT_RATIO", 0)
    journals = Journals()
    workflow = chain([f"node {number}" for number in range(20)])
    await workflow.run(inputs=0, deps=Deps(), store=MemoryStore(journals), run_id=RUN)
    kept = [record.seq for record in journals.records[RUN] if record.snapshot is not None]
    at = kept[2] + 1
    read: list[int] = []

    class Watched(MemoryStore):
        async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Any:
            found = await super().records(run_id, after=after, limit=limit)
            read.append(len(found))
            return found

    async with Engine(Watched(journals)) as engine:
        fork = await engine.fork(RUN, workflow, at=at, deps=Deps(), run_id="fork")
        assert await fork.result() == 20
        assert max(read) <= 5
        assert journals.rows["fork"].snapshot_seq >= kept[2]
        assert await engine.verify() == []
    assert len(journals.records["fork"]) == 22 - at


# --- being watched ----------------------------------------------------------------------------------------------------


async def test_who_follows_a_fork_is_told_what_it_shares_and_then_that_it_was_forked(world: World) -> None:
    async with Engine(world()) as engine:
        await finished(engine)
        fork = await engine.fork(RUN, LETTERS, at=2, state=Letter(tone="kind"), deps=Deps(), run_id="fork")
        await fork.result()
        events = [event async for event in engine.follow("fork")]
        later = [event async for event in engine.follow("fork", after=2)]
    assert [event.seq for event in events if isinstance(event, Checkpoint)] == list(range(1, NEWEST + 2))
    assert sum(isinstance(event, RunStarted) for event in events) == 1
    (forked,) = [event for event in events if isinstance(event, RunForked)]
    assert (forked.seq, forked.run_id, forked.checkpoint) == (3, RUN, 2)
    (edited,) = [event for event in events if isinstance(event, StateEdited)]
    assert (edited.seq, set(edited.fields)) == (3, {"lines", "tone"})
    assert later == [event for event in events if event.seq > 2]
    started = [event for event in events if type(event).__name__ == "TaskStarted"]
    assert len(started) == 5, "an edit starts nothing a second time"


async def test_a_run_that_was_moved_to_another_store_with_what_it_shared_goes_on_there() -> None:
    deps = Deps().gate("judge")
    async with Engine("memory://") as engine, Engine("memory://") as elsewhere:
        await finished(engine)
        fork = await engine.fork(RUN, LETTERS, at=3, deps=deps, run_id="fork")
        await deps.begun["judge"].wait()
        fork.stop()
        await fork.wait()
        lines = [line async for line in engine.export("fork")]
        moved = await elsewhere.import_run(lines)
        assert (moved.forked_from, moved.seq) == (None, 5)
        again = await elsewhere.resume("fork", LETTERS, deps=Deps())
        assert await again.result() == PLAIN
        assert (await elsewhere.trace("fork")).forked_from == (RUN, 3)
        assert await elsewhere.verify() == []


async def test_what_a_fork_needs_is_not_removed() -> None:
    async with Engine("memory://") as engine:
        await finished(engine)
        fork = await engine.fork(RUN, LETTERS, at=3, deps=Deps(), run_id="fork")
        await fork.result()
        kept = await engine.gc(keep_last=1)
        assert kept.runs == ()
        assert [one.run_id for one in kept.kept] == [RUN]
        assert "needs its checkpoints" in kept.kept[0].reason
        gone = await engine.gc(older_than=0)
        assert set(gone.runs) | {one.run_id for one in gone.kept} == {RUN, "fork"}
