"""The records of a run that waits: folding them gives where it stands, as text and back, and so do its snapshots."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from milepost import Engine, PostgresStore, ResumeError
from milepost.engine.journal import Kind, fold
from milepost.engine.journal_text import from_text, to_text
from milepost.engine.logs import StoredLog
from milepost.engine.position import Position
from milepost.engine.snapshots import snapshot_from_text, snapshot_to_text
from milepost.engine.stores.memory import MemoryStore
from tests.engine.waiters import RUN, begun, mapped, texts
from tests.loops import asyncio_only
from tests.postgres import Schema
from tests.testing.waiting import WAITING

pytestmark = pytest.mark.anyio


async def answered(engine: Engine, run: Any) -> int:
    """Say to a run all that it waits for, up to its end."""
    while not run.is_over:
        for wait in await engine.waits(RUN):
            if wait.kind == "ask" and wait.answered is None:
                with suppress(ResumeError):  # it has gone on meanwhile
                    await engine.answer(RUN, wait.id, 4)
            elif wait.kind == "event" and wait.event == "paid":
                await engine.send(RUN, wait.event, 3, id=wait.id)
        await anyio.lowlevel.checkpoint()
    output: int = await run.result()
    return output


async def test_the_records_give_the_position_after_every_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    store, compared = MemoryStore(), dict[Kind, int]()
    commit = StoredLog.commit

    def compare(log: StoredLog, record: Any, position: Position | None, committed: Any) -> None:
        logs.append(log)  # so that no other gets its id
        live = None if position is None else snapshot_to_text(position)

        def acknowledge(error: BaseException | None) -> None:
            committed(error)
            body, content = to_text(record)
            again = from_text(record.seq, body, content)
            assert to_text(again) == (body, content)
            kept.setdefault(id(log), []).append(again)
            if live is not None and kept[id(log)][0].seq == 1:
                assert snapshot_to_text(fold(kept[id(log)])) == live
                assert snapshot_to_text(snapshot_from_text(live)) == live
                compared[record.kind] = compared.get(record.kind, 0) + 1

        commit(log, record, position, acknowledge)

    kept: dict[int, list[Any]] = {}
    logs: list[StoredLog] = []
    monkeypatch.setattr(StoredLog, "commit", compare)
    async with Engine(store) as engine:
        run = await engine.start(WAITING, inputs=[1, 2], run_id=RUN)
        assert await run.settle() == "waiting"
        await engine.send(RUN, "paid", 3)
        assert await answered(engine, run) == 4
        assert [one.text for one in await engine.verify()] == []
    assert {Kind.STARTED, Kind.COMPLETED, Kind.ASKED} <= compared.keys()


@asyncio_only
async def test_runs_wait_on_a_postgresql_and_two_engines_share_them(schema: Schema) -> None:
    ran: list[str] = []
    workflow = mapped(ran)
    async with Engine(PostgresStore(schema.dsn, schema=schema.name)) as engine:
        await begun(engine, workflow, [1, 2])
        before = await engine.questions(RUN)
    async with (
        Engine(PostgresStore(schema.dsn, schema=schema.name)) as engine,
        Engine(PostgresStore(schema.dsn, schema=schema.name)) as other,
    ):
        assert await other.questions(RUN) == before
        run = await begun(engine, workflow, [1, 2])
        for text, question in (await texts(other)).items():
            await other.answer(RUN, question.id, int(text[5:-1]), by="ann")
        assert sorted(await run.result()) == [1, 2]
        assert [one.text for one in await engine.verify()] == []
    assert sorted(ran) == ["note 1", "note 2", "rate 1", "rate 2"]
