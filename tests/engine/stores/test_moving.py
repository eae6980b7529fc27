"""A run moves between stores of every kind, and goes on there."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import NodeError
from milepost.engine.stores.encrypted import Encrypted
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.stores.postgres import PostgresStore
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import Message, Store
from tests.engine.test_care import TALLY, Deps
from tests.loops import asyncio_only
from tests.postgres import Schema

pytestmark = pytest.mark.anyio

KINDS = ["memory", "sqlite", "postgres", "encrypted"]


@pytest.fixture
def make(tmp_path: Path, schema: Schema) -> Callable[[str], Store]:
    """Make a store of a kind."""

    def made(kind: str) -> Store:
        match kind:
            case "memory":
                return MemoryStore()
            case "sqlite":
                return SqliteStore(tmp_path / "runs.db")
            case "postgres":
                return PostgresStore(schema.dsn, schema=schema.name)
            case _:
                return Encrypted(SqliteStore(tmp_path / "secret.db"), [b"k" * 32])

    return made


@asyncio_only
@pytest.mark.parametrize(("source", "target"), list(permutations(KINDS, 2)))
async def test_a_run_moves_and_goes_on(make: Callable[[str], Store], source: str, target: str) -> None:
    first, second, deps = make(source), make(target), Deps()
    deps.fails = True
    async with Engine(first) as engine:
        run = await engine.start(TALLY, inputs=[1, 2, 3], deps=deps, run_id="run é")
        with pytest.raises(NodeError):
            await run.result()
        await first.post(Message(run.id, "m", "note", '"é"', "Ann", 1.5))
        lines = [line async for line in engine.export(run.id)]
        trace = await engine.trace(run.id)
    async with Engine(second) as engine:
        assert (await engine.import_run(lines)).run_id == run.id
        assert await engine.verify() == []
        assert await engine.trace(run.id) == trace
        assert [message.by for message in await second.inbox(run.id)] == ["Ann"]
        assert await (await engine.resume(run.id, TALLY, deps=Deps())).result() == 12
    async with Engine(second) as engine:  # another one: nobody owns the run any more
        done = await engine.gc(keep_last=0)
        assert done.runs == (run.id,)
        assert done.records == 6
        assert await engine.runs() == []
