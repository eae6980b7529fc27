"""A run whose process was killed, so that its row names an early record, is looked after like any other."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from milepost.engine.engine import Engine
from milepost.engine.stores.encrypted import Encrypted
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import Store
from tests.engine.stores.children import ROOT
from tests.engine.stores.dying import STEPS, counting
from tests.engine.stores.test_sqlite import execute
from tests.loops import asyncio_only

pytestmark = [pytest.mark.anyio, asyncio_only]

KEY = b"k" * 32
Make = Callable[[], Store]


def killed_at(path: Path, step: int, durability: str, *, key: bytes | None = None) -> None:
    """Let a process drive the run until it is killed in this step."""
    words = [sys.executable, "-m", "tests.engine.stores.dying", f"sqlite:///{path}?durability={durability}", str(step)]
    surroundings = os.environ | ({} if key is None else {"MILEPOST_KEY": base64.b64encode(key).decode()})
    done = subprocess.run(words, cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def row_and_head(path: Path) -> tuple[object, object]:
    """Which record the row names, and which is the newest."""
    ((seq,),) = execute(path, "SELECT seq FROM runs")
    ((newest,),) = execute(path, "SELECT max(seq) FROM journal")
    return seq, newest


@pytest.fixture(params=["process", "power", "encrypted"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Make a store with a run that was killed in its sixth step."""
    path = tmp_path / "runs.db"
    is_encrypted = request.param == "encrypted"
    killed_at(path, 6, "power" if is_encrypted else request.param, key=KEY if is_encrypted else None)
    assert row_and_head(path) == (1, 11)
    if is_encrypted:
        return lambda: Encrypted(SqliteStore(path), [KEY])
    return lambda: SqliteStore(path)


async def test_it_is_whole_and_goes_on(make: Make) -> None:
    async with Engine(make()) as engine:
        assert list(await engine.verify()) == []
        (info,) = await engine.runs()
        assert (info.seq, info.status) == (11, "running")
        assert await (await engine.resume("run", counting())).result() == STEPS
        (info,) = await engine.runs()
        assert (info.seq, info.status) == (1 + 2 * STEPS, "completed")
        assert list(await engine.verify()) == []


async def test_it_moves_to_another_store(make: Make) -> None:
    async with Engine(make()) as engine:
        lines = [line async for line in engine.export("run")]
    for store in (MemoryStore(), None):
        async with Engine(store or make()) as engine:
            if store is None:
                await engine.cancel("run")
                assert (await engine.gc(keep_last=0)).runs == ("run",)
            assert (await engine.import_run(lines)).seq == 11
            assert list(await engine.verify()) == []
            assert await (await engine.resume("run", counting())).result() == STEPS


async def test_it_is_forked_at_its_newest_checkpoint(make: Make) -> None:
    async with Engine(make()) as engine:
        fork = await engine.fork("run", counting(), run_id="fork")
        assert await fork.result() == STEPS
        (info,) = await engine.runs(status="running")
        assert (info.run_id, info.seq) == ("run", 11)
        assert list(await engine.verify()) == []


async def test_it_is_encrypted_anew_and_killed_again(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    killed_at(path, 4, "process")
    for step, key, older in ((8, KEY, []), (11, b"n" * 32, [KEY])):
        store = Encrypted(SqliteStore(path), [key, *older])
        async with Engine(store) as engine:
            assert (await store.rotate()).runs == 1
            assert list(await engine.verify()) == []
        killed_at(path, step, "process", key=key)
        assert row_and_head(path)[0] != row_and_head(path)[1]
    async with Engine(Encrypted(SqliteStore(path), [b"n" * 32])) as engine:
        assert list(await engine.verify()) == []
        assert await (await engine.resume("run", counting())).result() == STEPS


async def test_a_process_that_dies_again_and_again_goes_on_from_its_newest_checkpoint_each_time(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    for step in (2, 5, 8, 11):
        killed_at(path, step, "power" if step % 2 else "process")
        assert row_and_head(path)[1] == 2 * step - 1
    async with Engine(SqliteStore(path)) as engine:
        assert await (await engine.resume("run", counting())).result() == STEPS
        assert list(await engine.verify()) == []
    assert execute(path, "SELECT takeovers, epoch FROM runs") == [(0, 5)]
