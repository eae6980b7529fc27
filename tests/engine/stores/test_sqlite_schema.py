"""A store of an earlier version is brought up to date when it is opened, whole or not at all."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from zlib import crc32

import pytest
from pydantic import BaseModel

from milepost.engine.engine import Engine
from milepost.engine.errors import ForeignStore, RunCancelled, StoreError
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.sqlite_checks import crc_of
from milepost.engine.stores.sqlite_file import VERSION, connect, step
from milepost.engine.stores.store import CacheEntry, Message
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import append, entry, message
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.stores.children import child
from tests.engine.stores.test_sqlite import DURABILITIES, execute
from tests.loops import asyncio_only

pytestmark = pytest.mark.anyio

WRITTEN = Path(__file__).with_name("version_1.sql")
"""What sqlite3's .dump says of a store that version 1 wrote: runs of `tally`, that ended, failed, and was killed."""

WRITTEN_BY_VERSION_4 = Path(__file__).with_name("version_4.sql")
"""The same of version 4: runs of `quiz`, that was answered, is asked, is a fork of the first, and was killed."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of version 1 with runs in it."""
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as connection:
        connection.executescript(WRITTEN.read_text("utf-8"))
    return tmp_path / "runs.db"


class Tally(BaseModel):
    seen: list[int] = []


def tally() -> Workflow[Tally, None, list[int], int]:
    """The workflow of the runs in the store of version 1."""
    wf = WorkflowBuilder(name="tally", state_type=Tally, input_type=list[int], output_type=int)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")

    @wf.function
    async def double(ctx: StepContext[Tally, None, int]) -> int:
        raise AssertionError("it had run before")

    @wf.function
    async def note(ctx: StepContext[Tally, None, list[int]]) -> int:
        raise AssertionError("it had run before")

    @wf.function
    async def check(ctx: StepContext[Tally, None, int]) -> int:
        return ctx.inputs + len(ctx.state.seen)

    wf.edge(wf.start_node, wf.each(double, join=collect))
    wf.edge(collect, note)
    wf.edge(note, check)
    wf.edge(check, wf.end_node)
    return wf.build()


class Seen(BaseModel):
    seen: list[int] = []


def quiz() -> Workflow[Seen, None, int, int]:
    """The workflow of the runs in the store of version 4."""
    wf = WorkflowBuilder(name="quiz", state_type=Seen, input_type=int, output_type=int)

    @wf.function
    async def prepare(ctx: StepContext[Seen, None, int]) -> int:
        raise AssertionError("it had run before")

    @wf.ask(answer=int)
    def guess(ctx: StepContext[Seen, None, int]) -> str:
        raise AssertionError("it had asked before")

    @wf.function
    async def judge(ctx: StepContext[Seen, None, int]) -> int:
        ctx.state.seen.append(ctx.inputs)
        return ctx.inputs

    @wf.function
    async def total(ctx: StepContext[Seen, None, int]) -> int:
        return sum(ctx.state.seen)

    wf.edge(wf.start_node, prepare)
    wf.edge(prepare, guess)
    wf.edge(guess, judge)
    wf.edge(judge, total)
    wf.edge(total, wf.end_node)
    return wf.build()


def schema(path: Path) -> list[tuple[object, ...]]:
    """Everything that a file declares."""
    return execute(path, "SELECT type, name, sql FROM sqlite_master ORDER BY type, name")


def plain(rows: Sequence[tuple[object, ...]]) -> set[str]:
    """Declarations without their layout and comments."""
    return {" ".join(str(sql).split()) for _, _, sql in rows if sql is not None}


def test_the_first_step_makes_what_version_1_made(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as connection:
        for statement in step(1):
            connection.execute(statement)
    assert plain(schema(tmp_path / "new.db")) == plain(schema(path))


async def test_a_store_that_was_brought_up_to_date_is_like_a_new_one(path: Path, tmp_path: Path) -> None:
    async with opened(SqliteStore(path)), opened(SqliteStore(tmp_path / "new.db")):
        pass
    assert plain(schema(path)) == plain(schema(tmp_path / "new.db"))
    assert execute(path, "PRAGMA user_version") == execute(tmp_path / "new.db", "PRAGMA user_version") == [(VERSION,)]


async def test_an_earlier_store_keeps_all_that_is_in_it(path: Path) -> None:
    statements = [
        "SELECT run_id, epoch, owner, at FROM openings",
        *(f"SELECT * FROM {table}" for table in ("definitions", "journal", "sqlite_sequence")),
    ]
    runs = execute(path, "SELECT * FROM runs")
    before = [execute(path, statement) for statement in statements[:-1]]
    async with opened(SqliteStore(path)) as store:
        rows = {row.run_id: row for row in await store.rows()}
        assert [execute(path, statement) for statement in statements[:-1]] == before
        assert execute(path, "SELECT * FROM runs") == [(*run, *[None] * 5, 0, *[None] * 4) for run in runs]
        assert {run_id: row.status for run_id, row in rows.items()} == {
            "completed": "completed",
            "failed": "failed",
            "killed": "running",
        }
        assert (rows["completed"].output, rows["failed"].parent_run) == ("15", None)
        assert list(await store.inbox("failed")) == [
            Message("failed", "m1", "answer", "[1]", None, 1700000001.5, 1),
            Message("failed", "m2", "cancel", "{}", "Ann", 1700000002.5, 2),
        ]


async def test_an_earlier_store_can_do_all_that_a_new_one_can(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        row = await store.acquire("killed")
        assert row.epoch == 2
        assert await store.post(message("killed", "a"))
        assert not await store.post(message("failed", "m1"))
        await store.define("f2", "{}")
        await append(
            store,
            entry("killed", row.seq + 1, epoch=2, taken=("a",), fingerprint="f2", cache=CacheEntry("k", "1")),
        )
        assert await store.cached("k", 0.0) == "1"
        assert [notice.run_id for notice in await store.news(0)] == ["failed", "failed"]


@pytest.mark.parametrize("run_id", ["killed", "completed"])
async def test_a_run_that_version_1_began_goes_on(path: Path, run_id: str) -> None:
    async with Engine(SqliteStore(path)) as engine:
        run = await engine.resume(run_id, tally())
        assert await run.result() == 15
        assert [task.node for task in (await engine.trace(run_id)).tasks] == ["double"] * 3 + ["note", "check"]


async def test_what_was_asked_of_a_run_that_version_1_began_is_done(path: Path) -> None:
    async with Engine(SqliteStore(path)) as engine:
        with pytest.raises(RunCancelled):
            await engine.resume("failed", tally())
        run = await engine.resume("failed", tally(), reopen=True)
        assert await run.result() == 15


@pytest.fixture
def path_of_version_3(tmp_path: Path) -> Path:
    """A store of version 3 with a run in it, as version 3 wrote it."""
    path = tmp_path / "three.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in (text for number in (1, 2, 3) for text in step(number)):
            connection.execute(statement)
        connection.execute("PRAGMA journal_mode=WAL")
        write_as_version_3(connection, "three")
    return path


@pytest.fixture
def path_of_version_4(tmp_path: Path) -> Path:
    """A store that version 4 wrote."""
    path = tmp_path / "four.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(WRITTEN_BY_VERSION_4.read_text("utf-8"))
    return path


def write_as_version_3(connection: sqlite3.Connection, run_id: str) -> None:
    """Write what version 3 wrote for a new run that nobody owns."""
    fixed = crc_of(run_id, "claims", 3, "task", 1000.0, None, None, None, 0)
    mark = f"1:{crc32(f'{run_id}1hash 1running1000.0NoneNone'.encode())}"
    connection.execute("INSERT OR IGNORE INTO definitions VALUES ('f1', '{}')")
    connection.execute(
        "INSERT INTO runs (run_id, workflow, version, fingerprint, status, isolation, created, updated, seq, hash, "
        "snapshot_seq, epoch, owner, error, output, parent_run, parent_task, forked_from, forked_at, crc, mark, "
        "lock_file, lease_until, takeovers) VALUES (?, 'claims', 3, 'f1', 'running', 'task', 1000.0, 1000.0, 1, "
        "'hash 1', 0, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, ?, ?, NULL, 0, 0)",
        (run_id, fixed, mark),
    )
    (number,) = connection.execute("SELECT number FROM runs WHERE run_id=?", (run_id,)).fetchone()
    connection.execute(
        "INSERT INTO records (run, seq, body, content, hash, at, snapshot, crc) "
        "VALUES (?, 1, '{}', '[]', 'hash 1', 1000.0, NULL, ?)",
        (number, crc32(b"1hash 11000.0")),
    )
    connection.execute("INSERT INTO openings VALUES (?, 1, 'me', 1.0, ?)", (run_id, crc_of(run_id, 1, "me", 1.0)))


async def test_a_run_of_version_3_has_no_tags_and_waits_for_no_time(path_of_version_3: Path) -> None:
    async with opened(SqliteStore(path_of_version_3)) as store:
        (row,) = await store.rows()
        assert (row.run_id, row.tags, row.due) == ("three", (), None)
        assert dict(await store.counts()) == {"running": 1}
        assert [each.run_id for each in await store.ready(0.0, ["claims"], limit=9)] == ["three"]
        await store.acquire("three")
        await append(store, entry("three", 2, epoch=2, status="waiting", due=7.5))
        waiting = await store.row("three")
        assert waiting is not None
        assert (waiting.status, waiting.due) == ("waiting", 7.5)


async def test_a_run_that_waited_in_version_4_and_was_cancelled_by_a_process_of_version_3_waits_no_more(
    path_of_version_3: Path,
) -> None:
    mark = f"2:{crc32(b'three2hash 2cancelled2000.0NoneNone')}"
    with closing(sqlite3.connect(path_of_version_3, isolation_level=None)) as connection:
        for statement in step(4):
            connection.execute(statement)
        tags = '["a"]'
        connection.execute("UPDATE runs SET due=7.5, due_mark='1:1', tags=?, tags_crc=?", (tags, crc_of("three", tags)))
        connection.execute("INSERT INTO tags VALUES ('a', 1)")
        connection.execute("UPDATE runs SET seq=2, hash='hash 2', status='cancelled', updated=2000.0, mark=?", (mark,))
    async with opened(SqliteStore(path_of_version_3)) as store:
        (row,) = await store.rows()
        assert (row.status, row.seq, row.tags, row.due) == ("cancelled", 2, ("a",), None)
        assert list(await store.ready(9e9, ["claims"], limit=9)) == []


async def test_a_store_of_version_4_keeps_every_record_and_every_row(path_of_version_4: Path) -> None:
    statements = ["SELECT * FROM journal ORDER BY run_id, seq", "SELECT * FROM runs", "SELECT * FROM inbox"]
    before = [execute(path_of_version_4, statement) for statement in statements]
    assert len(before[0]) == 17
    async with opened(SqliteStore(path_of_version_4)) as store:
        assert [execute(path_of_version_4, statement) for statement in statements] == before
        rows = {row.run_id: (row.status, row.seq, row.tags) for row in await store.rows()}
        assert rows == {
            "answered": ("completed", 6, ()),
            "asked": ("waiting", 3, ("nightly",)),
            "fork": ("completed", 7, ()),
            "killed": ("running", 5, ()),
        }
        assert [record.seq for record in await store.records("fork")] == [1, 2, 3, 4, 5, 6, 7]
    async with Engine(SqliteStore(path_of_version_4)) as engine:
        assert list(await engine.verify()) == []
    assert execute(path_of_version_4, "PRAGMA integrity_check") == [("ok",)]


async def test_runs_of_version_4_go_on_wait_and_are_forked(path_of_version_4: Path) -> None:
    async with Engine(SqliteStore(path_of_version_4)) as engine:
        assert await (await engine.resume("killed", quiz())).result() == 14
        (question,) = await engine.questions("asked")
        await engine.answer("asked", question.id, 4)
        assert await (await engine.resume("asked", quiz())).result() == 7
        assert await (await engine.resume("fork", quiz())).result() == 11
        again = await engine.fork("fork", quiz(), at=5, run_id="fork of the fork")
        assert await again.result() == 11
        assert list(await engine.verify()) == []
        assert [row.run_id for row in await engine.runs(tag="nightly")] == ["asked"]


async def test_an_earlier_store_that_may_not_be_changed_is_told(path: Path) -> None:
    execute(path, "CREATE TABLE cache (taken)")
    with pytest.raises(StoreError, match=r"runs\.db could not be opened: table cache already exists\."):
        await SqliteStore(path).open()
    assert execute(path, "PRAGMA user_version") == [(1,)]
    assert execute(path, "SELECT id FROM inbox ORDER BY id") == [("m1",), ("m2",)]
    execute(path, "DROP TABLE cache")
    async with opened(SqliteStore(path)) as store:
        assert len(await store.inbox("failed")) == 2


@pytest.mark.parametrize("version", range(VERSION))
async def test_a_store_left_between_two_steps_goes_on_from_there(tmp_path: Path, version: int) -> None:
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as connection:
        for number in range(1, version + 1):
            for statement in step(number):
                connection.execute(statement)
    async with opened(SqliteStore(tmp_path / "runs.db")), opened(SqliteStore(tmp_path / "new.db")):
        pass
    assert schema(tmp_path / "runs.db") == schema(tmp_path / "new.db")


@pytest.mark.parametrize(
    ("version", "done"), [(number, done) for number in range(2, VERSION + 1) for done in range(len(step(number)) + 1)]
)
async def test_a_crash_within_a_step_leaves_the_version_before_it(
    path: Path, tmp_path: Path, version: int, done: int
) -> None:
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with closing(connect(path, "power")) as connection:
        for number in range(2, version):
            for statement in step(number):
                connection.execute(statement)
        connection.execute("PRAGMA cache_size=1")  # so that the file has a part of what is not committed
        connection.execute("BEGIN IMMEDIATE")
        for statement in step(version)[:done]:
            connection.execute(statement)
        for each in path.parent.glob("runs.db*"):
            shutil.copy(each, crashed)
    assert execute(crashed / "runs.db", "PRAGMA user_version") == [(version - 1,)]
    async with opened(SqliteStore(crashed / "runs.db")) as store:
        assert len(await store.rows()) == 3
        assert len(await store.inbox("failed")) == 2


async def test_a_process_that_is_killed_within_a_step_holds_nobody_up(path: Path) -> None:
    with child(path) as victim:
        assert victim.ask("migrate") == "half way"
        victim.kill()
    async with opened(SqliteStore(path)) as store:
        assert len(await store.rows()) == 3
        assert len(await store.inbox("failed")) == 2


@asyncio_only
async def test_processes_that_open_an_earlier_store_at_once_all_succeed(path: Path) -> None:
    with ExitStack() as stack:
        children = [stack.enter_context(child(path, DURABILITIES[number % 3])) for number in range(4)]
        for each in children:
            each.tell("open")
        assert [each.answer() for each in children] == ["done"] * 4
        assert sorted(each.ask("post failed 3 3") for each in children) == ["", "", "", "3"]
    assert execute(path, "SELECT id FROM inbox ORDER BY number") == [("m1",), ("m2",), ("3",)]


READS_AND_WRITES_OF_VERSION_4 = """
SELECT seq, body, content, hash, at, snapshot, crc FROM records WHERE run=?;
SELECT hash, CASE WHEN mark GLOB seq || ':*' THEN NULL ELSE
    (SELECT records.hash FROM records WHERE run=number AND records.seq=runs.seq) END FROM runs WHERE number=?;
DELETE FROM records WHERE run IN (SELECT number FROM runs WHERE number=?);
UPDATE records SET hash='forged' WHERE run=?;
INSERT INTO records (run, seq, body, content, hash, at, snapshot, crc) VALUES (?, 9, '{}', '[]', 'h', 1.0, NULL, 1)
"""


@pytest.mark.parametrize("version", [1, 4])
async def test_a_process_of_an_earlier_version_can_write_no_record_once_another_has_brought_the_store_up_to_date(
    path: Path, path_of_version_4: Path, version: int
) -> None:
    path = path if version == 1 else path_of_version_4
    with closing(connect(path, "process")) as old:
        old.execute("SELECT * FROM runs").fetchall()
        async with opened(SqliteStore(path)) as store:
            before = execute(path, "SELECT * FROM journal"), list(await store.rows())
            for statement in READS_AND_WRITES_OF_VERSION_4.split(";"):
                old.execute("BEGIN IMMEDIATE")
                old.execute("UPDATE runs SET seq=9, hash='h' WHERE number=1")
                with pytest.raises(sqlite3.OperationalError, match=r"no such column: |has no column named run"):
                    old.execute(statement, (1,))
                old.execute("ROLLBACK")
            assert (execute(path, "SELECT * FROM journal"), list(await store.rows())) == before


async def test_an_earlier_store_of_a_newer_milepost_is_refused_before_anything_is_changed(path: Path) -> None:
    execute(path, f"PRAGMA user_version={VERSION + 1}")
    before = schema(path)
    with pytest.raises(ForeignStore, match="written by a newer Milepost"):
        await SqliteStore(path).open()
    assert schema(path) == before
