"""Following a run through its store: nothing committed is missed, nothing is said twice, whenever one joins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import anyio
import pytest

from milepost.engine import logs
from milepost.engine.engine import Engine
from milepost.engine.errors import BrokenJournal, InputError, MilepostError, NodeError, StoreError, UnknownRun
from milepost.engine.events import (
    Checkpoint,
    Committed,
    CommittedEvent,
    Event,
    RunEnded,
    RunStarted,
    TaskFinished,
    TaskStarted,
)
from milepost.engine.following import BATCH
from milepost.engine.journal_text import chained
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import RunRow, StoredRecord
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN, Deps, chain

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]

TWO = chain(["first", "second"])
SIX = chain(["first", "second", "third", "fourth", "fifth", "sixth"])


async def ran(journals: Journals, workflow: Workflow[Any, Any, Any, Any] = SIX, deps: Deps | None = None) -> None:
    await workflow.run(inputs=1, deps=deps or Deps(), store=MemoryStore(journals), run_id=RUN)


class Looked(MemoryStore):
    """A store that tells when it was looked into so many times."""

    def __init__(self, journals: Journals, times: int) -> None:
        super().__init__(journals)
        self.enough = anyio.Event()
        self._left = times

    async def row(self, run_id: str) -> RunRow | None:
        self._left -= 1
        if not self._left:
            self.enough.set()
        return await super().row(run_id)


async def followed(journals: Journals, after: int = 0, store: MemoryStore | None = None) -> list[CommittedEvent]:
    """Follow the run to its end, as another process would."""
    async with Engine(store or MemoryStore(journals)) as engine:
        return [event async for event in engine.follow(RUN, after=after, poll=0.001)]


def checkpoints(events: Sequence[Event]) -> list[int]:
    return [event.seq for event in events if isinstance(event, Checkpoint)]


# --- Engine.follow ----------------------------------------------------------------------------------------------------


async def test_a_finished_run_is_told_from_its_beginning_to_its_end() -> None:
    journals = Journals()
    await ran(journals)
    events = await followed(journals)

    assert checkpoints(events) == [1, 2, 3, 4, 5, 6, 7]
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunEnded)
    assert [event.seq for event in events] == sorted(event.seq for event in events)


@pytest.mark.parametrize("after", range(9))
async def test_only_what_came_after_a_checkpoint_is_told(after: int) -> None:
    journals = Journals()
    await ran(journals)
    whole = await followed(journals)

    assert await followed(journals, after) == [event for event in whole if event.seq > after]


async def test_what_is_followed_is_what_was_told_live() -> None:
    journals, deps = Journals(), Deps().gate("first")
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(SIX, inputs=1, deps=deps, run_id=RUN)
        reader = run.events()
        await deps.begun["first"].wait()
        deps.gates["first"].set()
        live = [event async for event in reader if isinstance(event, Committed)]

    assert await followed(journals, after=1) == live


async def test_who_follows_a_run_under_way_hears_of_each_record_when_it_is_committed() -> None:
    journals, deps, seen = Journals(), Deps().gate("first", "second"), list[CommittedEvent]()
    async with Engine(MemoryStore(journals)) as owner, Engine(MemoryStore(journals)) as other:
        await owner.start(TWO, inputs=1, deps=deps, run_id=RUN)
        async for event in other.follow(RUN, poll=0.001):
            seen.append(event)
            match event:
                case Checkpoint(seq=1):
                    deps.gates["first"].set()
                case Checkpoint(seq=2):
                    deps.gates["second"].set()
                case _:
                    pass

    assert checkpoints(seen) == [1, 2, 3]
    assert isinstance(seen[-1], RunEnded)


async def test_whoever_joins_late_hears_the_same_as_whoever_was_there() -> None:
    journals, deps = Journals(), Deps().gate("third")
    found = list[list[CommittedEvent]]()
    async with Engine(MemoryStore(journals)) as owner:
        await owner.start(SIX, inputs=1, deps=deps, run_id=RUN)

        async def follow() -> None:
            found.append(await followed(journals))

        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            await deps.begun["third"].wait()
            group.start_soon(follow)
            await anyio.wait_all_tasks_blocked()
            deps.gates["third"].set()

    assert found[0] == found[1] == await followed(journals)


async def test_following_a_failed_run_ends_and_goes_on_from_there_when_it_was_resumed() -> None:
    journals, deps = Journals(), Deps(faulty={"second"})
    with pytest.raises(NodeError):
        await ran(journals, TWO, deps)
    before = await followed(journals)
    assert isinstance(before[-1], RunEnded)
    assert before[-1].status == "failed"

    deps.faulty.clear()
    await ran(journals, TWO, deps)
    after = await followed(journals, after=before[-1].seq)
    assert isinstance(after[-1], RunEnded)
    assert after[-1].status == "completed"
    assert await followed(journals) == before + after


async def test_a_failed_run_that_somebody_tries_again_is_followed_on() -> None:
    journals, deps = Journals(), Deps(faulty={"second"})
    with pytest.raises(NodeError):
        await ran(journals, TWO, deps)
    deps.faulty.clear()
    deps.gate("second")
    store, found = Looked(journals, 9), list[CommittedEvent]()
    async with Engine(MemoryStore(journals)) as engine, anyio.create_task_group() as group:
        await engine.resume(RUN, TWO, deps=deps)
        await deps.begun["second"].wait()

        async def follow() -> None:
            found.extend(await followed(journals, store=store))

        group.start_soon(follow)
        await store.enough.wait()
        deps.gates["second"].set()
    last = found[-1]
    assert isinstance(last, RunEnded)
    assert last.status == "completed"


async def test_a_run_whose_owner_died_is_followed_on_until_another_finishes_it() -> None:
    journals, deps = Journals(), Deps().gate("second")
    store, found = Looked(journals, 9), list[CommittedEvent]()

    async def follow() -> None:
        found.extend(await followed(journals, store=store))

    async with anyio.create_task_group() as group:
        async with Engine(MemoryStore(journals)) as engine:
            run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
            await deps.begun["second"].wait()
            run.stop()
        group.start_soon(follow)
        await store.enough.wait()
        assert found == []
        deps.gates.clear()
        await ran(journals, TWO, deps)
    assert checkpoints(found) == [1, 2, 3]


async def test_a_long_run_is_read_a_part_at_a_time() -> None:
    read: list[int] = []

    class Watched(MemoryStore):
        async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[StoredRecord]:
            found = await super().records(run_id, after=after, limit=limit)
            read.append(len(found))
            return found

    journals = Journals()
    await counting(2 * BATCH).run(inputs=0, store=MemoryStore(journals), run_id=RUN)
    async with Engine(Watched(journals)) as engine:
        events = [event async for event in engine.follow(RUN)]
    assert checkpoints(events) == list(range(1, len(journals.records[RUN]) + 1))
    assert max(read) == BATCH
    assert sum(read) == len(journals.records[RUN])


def counting(size: int) -> Workflow[Any, Any, int, int]:
    """Build a loop of so many steps."""
    wf = WorkflowBuilder(name="counting", input_type=int, output_type=int)

    @wf.function
    async def count(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    def goes_on(number: int) -> bool:
        return number < size

    wf.edge(wf.start_node, count)
    wf.edge(count, count, when=goes_on)
    wf.edge(count, wf.end_node, otherwise=True)
    return wf.build()


async def test_what_lies_before_a_snapshot_is_not_read_by_who_does_not_ask_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "SNAPSHOT_CHARACTERS", 5_000)
    journals = Journals()
    await counting(500).run(inputs=0, store=MemoryStore(journals), run_id=RUN)
    newest = journals.rows[RUN].snapshot_seq
    assert newest > 100
    whole = await followed(journals)
    damaged = journals.records[RUN][0]
    journals.records[RUN][0] = damaged._replace(body="{}")

    assert await followed(journals, after=newest) == [event for event in whole if event.seq > newest]
    with pytest.raises(BrokenJournal, match="Checkpoint 1 of run 'r-1' is damaged"):
        await followed(journals, after=newest - 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"body": '{"kind":"nothing","task":""}'}, "its contents do not match its hash"),
        ({"seq": 9}, "it is missing"),
    ],
)
async def test_a_damaged_journal_is_refused_where_it_is_damaged(change: dict[str, Any], reason: str) -> None:
    journals = Journals()
    await ran(journals)
    journals.records[RUN][3] = journals.records[RUN][3]._replace(**change)
    with pytest.raises(BrokenJournal, match=f"Checkpoint 4 of run 'r-1' is damaged: {reason}"):
        await followed(journals)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"kind":"failed"}', r"Checkpoint 2 of run 'r-1' is damaged: it cannot be read"),
        ('{"kind":"routed","task":"x"}', r"Checkpoint 2 of run 'r-1' is damaged: it does not fit what came before it"),
        (
            '{"kind":"postponed","task":"x"}',
            (
                r"Checkpoint 2 of run 'r-1' was written by a newer Milepost: it says 'postponed', which this one does "
                r"not know\. Upgrade Milepost\. Nothing was changed\."
            ),
        ),
        (
            '{"kind":"completed","task":"x","ops":[["jump",1]]}',
            r"Checkpoint 2 of run 'r-1' was written by a newer Milepost: it says 'jump', which this one does not know",
        ),
    ],
)
async def test_a_record_that_is_whole_and_not_understood_is_refused(body: str, words: str) -> None:
    journals = Journals()
    await ran(journals)
    records = journals.records[RUN]
    records[1] = records[1]._replace(body=body, hash=chained(records[0].hash, 2, body, records[1].content))
    with pytest.raises(StoreError, match=words):
        await followed(journals)


async def test_a_run_that_names_a_snapshot_which_is_not_there_is_refused() -> None:
    journals = Journals()
    await ran(journals)
    journals.rows[RUN] = replace(journals.rows[RUN], snapshot_seq=3)
    with pytest.raises(BrokenJournal, match=r"Checkpoint 3 of run 'r-1' is damaged: its snapshot is missing"):
        await followed(journals, after=5)


async def test_a_journal_that_is_shorter_than_its_run_says_is_refused() -> None:
    journals = Journals()
    await ran(journals)
    del journals.records[RUN][-1]
    with pytest.raises(BrokenJournal, match=r"Checkpoint 7 of run 'r-1' is damaged: it is missing"):
        await followed(journals)


async def test_an_unknown_run_cannot_be_followed() -> None:
    journals = Journals()
    await ran(journals)
    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(UnknownRun) as caught:
            await anext(engine.follow("r-2"))
    assert str(caught.value) == "There is no run 'r-2' in this store. Did you mean 'r-1'?"


async def test_a_run_without_a_store_cannot_be_followed() -> None:
    async with Engine() as engine:
        with pytest.raises(InputError, match="This engine has no store"):
            engine.follow(RUN)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"poll": 0}, "poll=0 would never let anything else run. Give seconds, more than 0."),
        ({"after": -2}, "after=-2 is before the first checkpoint, which is 1. Give 0 for the beginning."),
    ],
)
async def test_an_option_that_makes_no_sense_is_refused(options: dict[str, Any], sentence: str) -> None:
    async with Engine("memory://") as engine:
        with pytest.raises(InputError) as caught:
            engine.follow(RUN, **options)
        assert str(caught.value) == sentence


# --- Run.events(after=...) --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 2, 4, 6, 9])
@pytest.mark.parametrize("slow", ["drop_oldest", "wait"])
async def test_what_was_committed_comes_first_and_what_happens_follows_without_a_gap(slow: Any, after: int) -> None:
    journals, deps = Journals(), Deps().gate("fourth")
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(SIX, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["fourth"].wait()
        reader = run.events(after=after, slow=slow)
        seen = list[Event]()

        async def read() -> None:
            seen.extend([event async for event in reader if isinstance(event, Committed)])

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            deps.gates["fourth"].set()
    whole = await followed(journals)
    assert seen == [event for event in whole if event.seq > after]


async def test_a_reader_that_has_not_caught_up_when_the_run_ends_still_gets_everything() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(SIX, inputs=1, deps=Deps(), run_id=RUN)
        reader = run.events(after=0, most=1)
        await run.result()
        assert [event async for event in reader] == await followed(journals)


async def test_a_run_that_was_over_before_is_told_from_its_store() -> None:
    journals = Journals()
    await ran(journals)
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(SIX, inputs=1, deps=Deps(), run_id=RUN)
        assert [event async for event in run.events(after=0)] == await followed(journals)


async def test_a_resumed_run_is_told_with_what_happened_before_the_resume() -> None:
    journals, deps = Journals(), Deps(faulty={"fourth"})
    with pytest.raises(NodeError):
        await ran(journals, SIX, deps)
    deps.faulty.clear()
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.resume(RUN, SIX, deps=deps)
        seen = [event async for event in run.events(after=0) if isinstance(event, Committed)]
    assert seen == await followed(journals)
    assert len([event for event in seen if isinstance(event, TaskFinished)]) == 6
    assert len([event for event in seen if isinstance(event, TaskStarted)]) == 6


async def test_a_commit_that_is_seen_in_the_store_before_it_is_told_is_told_once() -> None:
    class Late(MemoryStore):
        """A store in which others see a record before the one who wrote it hears that it is committed."""

        def __init__(self, journals: Journals) -> None:
            super().__init__(journals)
            self.late: list[Any] = []

        def append(self, entry: Any, acknowledge: Any) -> None:
            answers: list[BaseException | None] = []
            super().append(entry, answers.append)
            self.late.append(lambda: acknowledge(answers[0]))

        def tell(self) -> None:
            for acknowledge in self.late:
                acknowledge()
            self.late.clear()

    journals = Journals()
    store = Late(journals)
    async with Engine(store) as engine:
        run = await engine.start(TWO, inputs=1, deps=Deps(), run_id=RUN)
        await anyio.wait_all_tasks_blocked()
        seen = list[Event]()

        async def read() -> None:
            seen.extend([event async for event in run.events(after=0) if isinstance(event, Committed)])

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            for _ in range(2):
                await anyio.wait_all_tasks_blocked()
                store.tell()
    assert seen == await followed(journals)


async def test_the_past_of_a_run_in_a_store_that_is_closed_cannot_be_read(tmp_path: Any) -> None:
    async with Engine(f"sqlite:///{tmp_path / 'runs.db'}") as engine:
        run = await engine.start(TWO, inputs=1, deps=Deps(), run_id=RUN)
        reader = run.events(after=0)
    with pytest.raises(StoreError, match="is not open"):
        await anext(reader)


async def test_a_run_without_a_store_ends_for_its_readers_too() -> None:
    async with Engine() as engine:
        run = await engine.start(TWO, inputs=1, deps=Deps(faulty={"first"}), run_id=RUN)
        events = [event async for event in run.events()]
        with pytest.raises(MilepostError):
            await run.result()
    assert isinstance(events[-1], RunEnded)
