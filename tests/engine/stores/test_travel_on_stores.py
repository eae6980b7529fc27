"""Forks, edits and comparisons are the same on every store, also on one that is encrypted."""

from __future__ import annotations

from pathlib import Path

import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import EditError, RunBusy, UnknownCheckpoint
from milepost.engine.events import Checkpoint
from milepost.engine.stores.encrypted import Encrypted
from milepost.engine.stores.store import Store
from milepost.testing.contract.place import Place
from tests.engine.letters import LETTERS, NEWEST, Letter, failed, finished, task_of
from tests.engine.stores.places import in_file, in_memory, in_schema
from tests.engine.subjects import RUN, Deps
from tests.loops import asyncio_only
from tests.postgres import Schema

pytestmark = [pytest.mark.anyio, asyncio_only]

KEYS = [b"new " * 8, b"old " * 8]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "memory":
        return in_memory()
    if request.param == "sqlite":
        return in_file(tmp_path / "runs.db", "power")
    schema: Schema = request.getfixturevalue("schema")
    return in_schema(schema, "power")


def kinder(state: Letter) -> None:
    state.tone = "kind"


async def travelled(store: Store) -> None:
    """Fork a run at every checkpoint, and forks of it; edit one; hold what comes of it against what must."""
    async with Engine(store) as engine:
        await finished(engine)
        for at in range(1, NEWEST + 1):
            fork = await engine.fork(RUN, LETTERS, at=at, deps=Deps(), run_id=f"at {at}")
            assert await fork.result() == "plain 0, plain 1"
            assert (await engine.diff(RUN, fork.id)).shared == at
        key = await task_of(engine, "judge", 5, "at 4")
        inner = await engine.fork("at 4", LETTERS, at=5, inputs={key: ["rude"]}, deps=Deps(), run_id="inner")
        assert await inner.result() == "dropped"
        events = [event.seq async for event in engine.follow("inner") if isinstance(event, Checkpoint)]
        assert events == list(range(1, 9))
        assert (await engine.trace("inner")).forked_from == ("at 4", 5)
        with pytest.raises(UnknownCheckpoint):
            await engine.fork("inner", LETTERS, at=9, deps=Deps())
        with pytest.raises(EditError):
            await engine.fork("inner", LETTERS, at=6, inputs={"nobody": 1}, deps=Deps())
        assert await engine.verify() == []


async def test_runs_are_forked_at_every_checkpoint(place: Place) -> None:
    await travelled(place.make())


async def test_runs_in_an_encrypted_store_are_forked_at_every_checkpoint(place: Place) -> None:
    old = Encrypted(place.make(), KEYS[1:])
    await travelled(old)
    async with Engine(Encrypted(place.make(), KEYS)) as engine:
        fork = await engine.fork("inner", LETTERS, at=6, deps=Deps(), run_id="later")
        assert await fork.result() == "dropped"
    rotating = Encrypted(place.make(), KEYS)
    await rotating.open()
    try:
        rotated = await rotating.rotate()
    finally:
        await rotating.close()
    assert rotated.kept == ()
    async with Engine(Encrypted(place.make(), KEYS[:1])) as engine:
        assert await engine.verify() == []
        fork = await engine.fork("later", LETTERS, at=7, deps=Deps())
        assert await fork.result() == "dropped"


async def test_an_edit_is_seen_by_the_process_that_resumes(place: Place) -> None:
    async with Engine(place.make()) as engine:
        await failed(engine, "write")
        seq = await engine.edit_state(RUN, LETTERS, kinder)
        assert (await engine.at(RUN, seq, workflow=LETTERS)).state.tone == "kind"
    async with Engine(place.make()) as engine:
        run = await engine.resume(RUN, LETTERS, deps=Deps())
        assert await run.result() == "kind 0, kind 1"
        assert await engine.verify() == []
        assert len((await engine.trace(RUN)).resumes) == 1


async def test_a_run_that_another_process_drives_is_forked_and_not_edited(place: Place) -> None:
    deps = Deps().gate("judge")
    async with Engine(place.make()) as engine, Engine(place.make()) as other:
        run = await engine.start(LETTERS, inputs=2, deps=deps, run_id=RUN)
        await deps.begun["judge"].wait()
        with pytest.raises(RunBusy):
            await other.edit_state(RUN, LETTERS, kinder)
        fork = await other.fork(RUN, LETTERS, at=2, state=Letter(tone="kind"), deps=Deps())
        assert await fork.result() == "kind 0, kind 1"
        deps.gates["judge"].set()
        assert await run.result() == "plain 0, plain 1"
