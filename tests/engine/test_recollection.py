"""Who asks again what a run waits for reads only what has come since, and is never told less than who reads it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import anyio
import anyio.lowlevel
import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import BrokenJournal
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import StoredRecord
from tests.engine.waiters import RUN, asking, begun, mapped, nested

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]


class Counting(MemoryStore):
    """A store that counts the records that are read at a time."""

    read = 0

    async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[StoredRecord]:
        found = await super().records(run_id, after=after, limit=limit)
        self.read += len(found)
        return found


async def waiting(journals: Journals, *run_ids: str) -> None:
    """Leave runs that ask thirty questions each."""
    async with Engine(MemoryStore(journals)) as engine:
        for run_id in run_ids:
            await begun(engine, mapped([]), list(range(30)), run_id=run_id)


async def taken(store: MemoryStore, before: int) -> None:
    """Wait until the run has a record with a number greater than this, and waits again."""
    with anyio.fail_after(10):
        while store.journals.rows[RUN].seq == before or store.journals.rows[RUN].status != "waiting":
            await anyio.lowlevel.checkpoint()


async def test_each_answer_after_the_first_reads_no_record_of_a_run_that_stands_still() -> None:
    journals = Journals()
    await waiting(journals, RUN)
    store = Counting(journals)
    async with Engine(store) as engine:
        questions = await engine.questions(RUN)
        whole, store.read = store.read, 0
        for question in questions:
            await engine.answer(RUN, question.id, 5)
        assert (whole > 30, store.read) == (True, 0)
        assert await engine.questions(RUN) == []
        assert all(one.answered is not None for one in await engine.waits(RUN))


async def test_a_run_that_goes_on_elsewhere_is_read_on() -> None:
    journals = Journals()
    await waiting(journals, RUN)
    store = Counting(journals)
    async with Engine(store) as engine, Engine(MemoryStore(journals)) as driving:
        run = await begun(driving, mapped([]), list(range(30)))
        questions = await engine.questions(RUN)
        row = await store.row(RUN)
        assert row is not None
        store.read = 0
        await driving.answer(RUN, questions[0].id, 7)
        await taken(store, row.seq)
        assert [one.id for one in await engine.questions(RUN)] == [one.id for one in questions[1:]]
        after = await store.row(RUN)
        assert after is not None
        assert 0 < store.read <= after.seq - row.seq
        for question in questions[1:]:
            await engine.answer(RUN, question.id, 1)
        assert sorted(await run.result()) == sorted([7, *[1] * 29])


async def test_only_the_run_that_was_asked_about_last_is_kept() -> None:
    journals = Journals()
    await waiting(journals, "a", "b")
    store = Counting(journals)
    async with Engine(store) as engine:
        first = await engine.questions("a")
        store.read = 0
        assert len(await engine.questions("b")) == 30
        assert await engine.questions("a") == first
        assert store.read > 60


async def test_the_runs_inside_a_run_are_kept_with_it() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        await begun(engine, nested(asking([]), 2), 1)
    store = Counting(journals)
    async with Engine(store) as engine:
        questions = await engine.questions(RUN)
        store.read = 0
        assert await engine.questions(RUN) == questions
        assert store.read == 0


async def test_a_record_that_is_damaged_since_is_told() -> None:
    journals = Journals()
    await waiting(journals, RUN)
    engine_store = MemoryStore(journals)
    async with Engine(engine_store) as engine, Engine(MemoryStore(journals)) as driving:
        questions = await engine.questions(RUN)
        run = await begun(driving, mapped([]), list(range(30)))
        before = journals.rows[RUN].seq
        await driving.answer(RUN, questions[0].id, 7)
        await taken(engine_store, before)
        run.stop()
        await run.wait()
        records = journals.records[RUN]
        records[-1] = records[-1]._replace(body=records[-1].body.replace("7", "8") + " ")
        with pytest.raises(BrokenJournal, match="do not match its hash"):
            await engine.questions(RUN)


async def test_another_run_of_the_same_id_is_read_as_a_whole() -> None:
    journals, others = Journals(), Journals()
    await waiting(journals, RUN)
    async with Engine(MemoryStore(others)) as engine:
        await begun(engine, asking([]), 1)
    async with Engine(MemoryStore(journals)) as engine:
        assert len(await engine.questions(RUN)) == 30
        journals.rows[RUN] = replace(others.rows[RUN], owner=None)
        journals.records[RUN] = others.records[RUN]
        assert [one.text for one in await engine.questions(RUN)] == ["Is it 2?"]
