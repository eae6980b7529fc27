"""Opening a stored run: damage is found, snapshots are used, a changed workflow is compared with what is pending."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from milepost.engine import logs
from milepost.engine.engine import Engine
from milepost.engine.errors import BrokenJournal, IncompatibleWorkflow, MilepostError, NodeError
from milepost.engine.journal import fold
from milepost.engine.journal_text import from_text
from milepost.engine.opening import read_position
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import StoredRecord
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN, Deps, FullStore, chain

pytestmark = pytest.mark.anyio

THREE = chain(["first", "second", "third"])


async def interrupted(room: int = 2) -> tuple[Journals, Deps]:
    """Leave a run of THREE with `room` records."""
    journals, deps = Journals(), Deps()
    with pytest.raises(MilepostError, match="The disk is full"):
        await THREE.run(inputs=1, deps=deps, store=FullStore(journals, room), run_id=RUN)
    return journals, deps


def damage(journals: Journals, seq: int, change: Callable[[StoredRecord], StoredRecord]) -> None:
    journals.records[RUN][seq - 1] = change(journals.records[RUN][seq - 1])


DAMAGES: list[tuple[Callable[[StoredRecord], StoredRecord], str]] = [
    (lambda record: record._replace(body=record.body.replace("second", "third", 1)), "do not match its hash"),
    (lambda record: record._replace(content=record.content.replace("2", "9", 1)), "do not match its hash"),
    (lambda record: record._replace(hash="0" * 32), "do not match its hash"),
    (lambda record: record._replace(snapshot="{}"), "do not match its hash"),
    (lambda record: record._replace(seq=7), "it is missing"),
]


@pytest.mark.parametrize(("change", "reason"), DAMAGES)
async def test_an_altered_record_is_refused_and_nothing_runs(
    change: Callable[[StoredRecord], StoredRecord], reason: str
) -> None:
    journals, deps = await interrupted()
    damage(journals, 2, change)
    before = list(journals.records[RUN])
    calls = deps.calls.copy()

    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(BrokenJournal, match=f"Checkpoint 2 of run 'r-1' is damaged: .*{reason}"):
            await engine.resume(RUN, THREE, deps=deps)

    assert journals.records[RUN] == before
    assert journals.rows[RUN].owner is None
    assert deps.calls == calls


@pytest.mark.parametrize("gone", [1, 2, 3])
async def test_a_missing_record_is_refused(gone: int) -> None:
    journals, deps = await interrupted(3)
    del journals.records[RUN][gone - 1]

    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(BrokenJournal, match=f"Checkpoint {gone} of run 'r-1' is damaged|does not end where"):
            await engine.resume(RUN, THREE, deps=deps)


async def test_a_record_too_many_is_refused() -> None:
    journals, deps = await interrupted(2)
    journals.records[RUN].append(journals.records[RUN][1]._replace(seq=3))

    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(BrokenJournal):
            await engine.resume(RUN, THREE, deps=deps)


async def test_the_output_of_a_damaged_run_is_not_given() -> None:
    journals = Journals()
    await THREE.run(inputs=1, deps=Deps(), store=MemoryStore(journals), run_id=RUN)
    damage(journals, 4, lambda record: record._replace(content=record.content.replace("4", "5")))

    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(BrokenJournal, match="Checkpoint 4"):
            await engine.resume(RUN, THREE)


# --- snapshots --------------------------------------------------------------------------------------------------------


class Total(BaseModel):
    steps: int = 0
    text: str = ""


def counting(fails_at: int = 0) -> Workflow[Total, None, int, int]:
    """Build a loop of as many steps as its input says, then a map."""
    wf = WorkflowBuilder(name="counting", state_type=Total, input_type=int, output_type=int)

    @wf.function
    async def step(ctx: StepContext[Total, None, int]) -> int:
        if ctx.inputs == fails_at:
            raise ValueError("as told")
        ctx.state.steps += 1
        return ctx.inputs - 1

    @wf.function
    async def finish(ctx: StepContext[Total, None, int]) -> int:
        return ctx.state.steps

    wf.edge(wf.start_node, step)
    wf.edge(step, step, when=lambda left: left > 0)
    wf.edge(step, finish, otherwise=True)
    wf.edge(finish, wf.end_node)
    return wf.build()


@pytest.fixture
def early_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take snapshots after far fewer characters, so that a short run has many."""
    monkeypatch.setattr(logs, "SNAPSHOT_CHARACTERS", 1_000)
    monkeypatch.setattr(logs, "SNAPSHOT_RATIO", 0)


@pytest.mark.usefixtures("early_snapshots")
async def test_a_position_read_from_a_snapshot_is_the_fold_of_all_records() -> None:
    journals = Journals()
    with pytest.raises(NodeError):
        await counting(fails_at=3).run(inputs=300, store=MemoryStore(journals), run_id=RUN)
    row, records = journals.rows[RUN], journals.records[RUN]
    assert row.snapshot_seq > 200

    opened = await read_position(MemoryStore(journals), row)

    assert opened.position == fold(from_text(one.seq, one.body, one.content) for one in records)
    assert await counting().run(inputs=300, store=MemoryStore(journals), run_id=RUN) == 300


async def test_a_snapshot_that_would_outweigh_the_records_is_not_taken() -> None:
    async def count(ctx: StepContext[list[str], None, int]) -> int:
        return ctx.inputs + 1

    wf = WorkflowBuilder(name="heavy", state_type=list[str], input_type=int, output_type=int)
    step = wf.function(count)
    wf.edge(wf.start_node, step)
    wf.edge(step, step, when=lambda value: value < 100)
    wf.edge(step, wf.end_node, otherwise=True)
    journals = Journals()

    await wf.build().run(inputs=0, state=["x" * 20_000], store=MemoryStore(journals), run_id=RUN)
    assert journals.rows[RUN].snapshot_seq == 0

    await wf.build().run(inputs=0, state=["x"], store=MemoryStore(journals), run_id="light")
    assert journals.rows["light"].snapshot_seq > 40


@pytest.mark.usefixtures("early_snapshots")
async def test_opening_reads_only_what_follows_the_last_snapshot() -> None:
    read: list[int] = []

    class Watched(MemoryStore):
        async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Any:
            found = await super().records(run_id, after=after, limit=limit)
            read.append(len(found))
            return found

    journals = Journals()
    with pytest.raises(NodeError):
        await counting(fails_at=3).run(inputs=1000, store=MemoryStore(journals), run_id=RUN)
    await read_position(Watched(journals), journals.rows[RUN])

    assert len(journals.records[RUN]) > 990
    assert sum(read) < 30


@pytest.mark.usefixtures("early_snapshots")
async def test_a_damaged_snapshot_is_refused() -> None:
    journals = Journals()
    with pytest.raises(NodeError):
        await counting(fails_at=3).run(inputs=100, store=MemoryStore(journals), run_id=RUN)
    seq = journals.rows[RUN].snapshot_seq
    damage(journals, seq, lambda one: one._replace(snapshot=str(one.snapshot).replace("steps", "stops")))

    with pytest.raises(BrokenJournal, match=f"Checkpoint {seq} of run 'r-1' is damaged"):
        await counting().run(inputs=100, store=MemoryStore(journals), run_id=RUN)


@pytest.mark.usefixtures("early_snapshots")
async def test_a_snapshot_in_the_middle_of_a_map_keeps_its_join() -> None:
    def mapped(faulty: bool) -> Workflow[None, None, list[int], list[int]]:
        wf = WorkflowBuilder(name="mapped", input_type=list[int], output_type=list[int])

        @wf.function
        async def one(ctx: StepContext[None, None, int]) -> int:
            if faulty and ctx.inputs == 90:
                raise ValueError("as told")
            return ctx.inputs

        collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
        wf.edge(wf.start_node, wf.each(one, join=collect))
        wf.edge(collect, wf.end_node)
        return wf.build()

    journals, numbers = Journals(), list(range(100))
    with pytest.raises(NodeError):
        await mapped(True).run(inputs=numbers, store=MemoryStore(journals), run_id=RUN)
    row = journals.rows[RUN]
    assert 1 < row.snapshot_seq < row.seq
    opened = await read_position(MemoryStore(journals), row)
    assert opened.position == fold(from_text(one.seq, one.body, one.content) for one in journals.records[RUN])

    output = await mapped(False).run(inputs=numbers, store=MemoryStore(journals), run_id=RUN)
    assert sorted(output) == numbers


# --- a workflow that changed ------------------------------------------------------------------------------------------


async def test_a_node_that_is_not_pending_may_go() -> None:
    journals, deps = await interrupted()
    changed = chain(["second", "third", "fourth"])

    async with Engine(MemoryStore(journals)) as engine:
        assert await (await engine.resume(RUN, changed, deps=deps)).result() == 5

    assert list(deps.calls) == ["first", "second", "third", "fourth"]


async def test_a_pending_node_that_is_gone_is_an_error() -> None:
    journals, deps = await interrupted()

    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(
            IncompatibleWorkflow, match="Node 'second' has a task waiting, but the workflow has no such"
        ):
            await engine.resume(RUN, chain(["first", "third"]), deps=deps)

    assert journals.rows[RUN].owner is None


class Old(BaseModel):
    size: int = 0


class New(BaseModel):
    size: str = ""


async def test_everything_that_does_not_fit_any_more_is_listed() -> None:
    def made(state: Any, item: Any, fork: str, join: str, *, faulty: bool = False) -> Workflow[Any, None, Any, Any]:
        wf: Any = WorkflowBuilder(name="changing", state_type=state, output_type=list[Any])

        async def begin(ctx: StepContext[Any, None, None]) -> Any:
            ctx.state.size = 3
            return [1, 2]

        async def one(ctx: Any) -> Any:
            if faulty and ctx.inputs == 2:
                raise ValueError("as told")
            return ctx.inputs

        begin.__annotations__["return"] = list[item]
        one.__annotations__.update({"ctx": StepContext[Any, None, item], "return": item})
        first, step = wf.function(begin), wf.function(one)
        collect = wf.join(reduce_list_append, initial_factory=list[Any], node_id=join)
        wf.edge(wf.start_node, first)
        wf.edge(first, wf.each(step, join=collect, fork_id=fork))
        wf.edge(collect, wf.end_node)
        built: Workflow[Any, None, Any, Any] = wf.build()
        return built

    journals = Journals()
    with pytest.raises(NodeError):
        await made(Old, int, "numbers", "collect", faulty=True).run(store=MemoryStore(journals), run_id=RUN)

    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(IncompatibleWorkflow) as raised:
            await engine.resume(RUN, made(New, str, "others", "gather"))

    listed = "\n".join(raised.value.changes)
    assert "The stored input of node 'one' does not fit any more" in listed
    assert "Join 'collect' has items waiting, but the workflow has no such join any more." in listed
    assert "The stored state does not fit" in listed
    assert "1. " in str(raised.value)
    assert "3. " in str(raised.value)
