"""Leases, files and errors of a SqliteStore."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import stat
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio.lowlevel
import pytest

from milepost.engine.errors import CrashLoop, RunBusy, StoreError
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.sqlite_file import Durability, failure
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import Answers, append, begin, entry, message, new_run
from tests.engine.stores.places import in_file, locks

pytestmark = pytest.mark.anyio

DURABILITIES: list[Durability] = ["power", "process", "none"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def execute(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Do something to the file behind the store's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


def threads() -> int:
    return sum(thread.name == "milepost-sqlite-writer" for thread in threading.enumerate())


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_only_the_database_remains_after_closing(path: Path, durability: Durability) -> None:
    async with opened(SqliteStore(path, durability=durability)) as store:
        await begin(store, length=20)
        assert len(locks(path)) == 1
    assert names(path) == ["runs.db"]
    assert threads() == 0
    assert execute(path, "SELECT count(*) FROM journal WHERE run_id='run'") == [(20,)]


async def test_a_store_that_is_only_read_has_no_thread_and_no_lock_file(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
    async with opened(SqliteStore(path)) as store:
        assert len(await store.rows()) == 1
        assert threads() == 0
        assert locks(path) == []


async def test_the_file_can_be_read_by_its_owner_only(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}


async def test_missing_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "odd #?%41 name.db"
    async with opened(SqliteStore(path)) as store:
        await begin(store)
    assert names(path) == [path.name]


async def test_a_relative_path_keeps_its_meaning_when_the_working_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqliteStore("runs.db")
    monkeypatch.chdir("/")
    async with opened(store):
        assert (tmp_path / "runs.db").exists()


async def test_owners_meet_whatever_name_they_call_the_file_by(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    async with opened(SqliteStore(path)) as store, opened(SqliteStore(link)) as other:
        await begin(store)
        with pytest.raises(RunBusy):
            await other.acquire("run")


async def test_a_lease_that_ran_out_can_be_taken(path: Path) -> None:
    async with opened(SqliteStore(path)) as frozen, opened(SqliteStore(path)) as heir:
        await begin(frozen)
        execute(path, "UPDATE runs SET lease_until = 0")
        assert (await heir.acquire("run")).epoch == 2
        assert len(locks(path)) == 2, "the lock file of an owner that may live is not touched"


async def test_a_lease_that_ran_out_is_good_while_nobody_takes_it(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        execute(path, "UPDATE runs SET lease_until = 0")
        await append(store, entry("run", 2))


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_leases_are_renewed_while_the_event_loop_is_busy(path: Path, durability: Durability) -> None:
    async with opened(SqliteStore(path, durability=durability, ttl=0.03)) as store:
        await begin(store)
        execute(path, "UPDATE runs SET lease_until = 0")
        while execute(path, "SELECT lease_until FROM runs") == [(0.0,)]:
            pass  # nothing else runs on this event loop
        await append(store, entry("run", 2))


async def test_a_lease_is_not_renewed_for_a_run_that_was_taken(path: Path) -> None:
    async with opened(SqliteStore(path, ttl=0.03)) as old, opened(SqliteStore(path)) as heir:
        await begin(old, "run")
        await begin(old, "kept")
        execute(path, "UPDATE runs SET lease_until = 0")
        for lock in locks(path):
            lock.unlink()
        await heir.acquire("run")
        before = execute(path, "SELECT lease_until FROM runs WHERE run_id='run'")
        while execute(path, "SELECT lease_until FROM runs WHERE run_id='kept'") == [(0.0,)]:
            await anyio.lowlevel.checkpoint()
        assert execute(path, "SELECT lease_until FROM runs WHERE run_id='run'") == before


async def test_the_lock_file_of_a_dead_owner_is_removed(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        path.with_name("runs.db-owner-dead.lock").touch()
        path.with_name("notes.lock").touch()
        execute(path, "UPDATE runs SET owner = 'a ghost', lock_file = 'runs.db-owner-dead.lock'")
        assert (await store.acquire("run")).epoch == 2
        assert "runs.db-owner-dead.lock" not in names(path)
    assert names(path) == ["notes.lock", "runs.db"]


async def test_what_dead_owners_left_is_removed_when_a_store_is_first_written(path: Path) -> None:
    path.with_name("runs.db-owner-dead.lock").touch()
    async with opened(SqliteStore(path)) as store, opened(SqliteStore(path)) as other:
        await begin(store, "a")
        await begin(other, "b")
        assert len(locks(path)) == 2


async def test_a_store_beside_which_no_lock_file_can_be_made_owns_no_run(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 240)  # the name of the lock file would be longer than any
    async with opened(SqliteStore(path)) as store:
        for _ in range(2):
            with pytest.raises(StoreError, match=r"could not be written: .*File name too long"):
                await begin(store)
        assert list(await store.rows()) == []


@pytest.mark.parametrize("name", ["../precious.lock", "/precious.lock", "precious", ""])
async def test_a_row_cannot_name_another_file_to_be_removed(path: Path, name: str) -> None:
    path.parent.joinpath("precious").touch()
    path.parent.with_name("precious.lock").touch()
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        execute(path, f"UPDATE runs SET owner = 'a ghost', lock_file = '{name}'")
        assert (await store.acquire("run")).epoch == 2
    assert path.parent.joinpath("precious").exists()
    assert path.parent.with_name("precious.lock").exists()


async def test_a_run_whose_owners_keep_dying_is_a_crash_loop(path: Path) -> None:
    world = in_file(path, "process")

    async def take_over() -> int:
        store = SqliteStore(path, max_takeovers=3)
        await store.open()
        try:
            return (await store.acquire("run")).epoch
        finally:
            execute(path, "UPDATE runs SET owner = 'a ghost', lock_file = NULL")
            await store.close()

    async with world.open() as store:
        await begin(store)
        world.kill()
    execute(path, "UPDATE runs SET owner = 'a ghost', lock_file = NULL")
    assert [await take_over() for _ in range(3)] == [2, 3, 4]
    async with opened(SqliteStore(path, max_takeovers=3)) as store:
        with pytest.raises(CrashLoop, match="was taken over 3 times without a new checkpoint"):
            await store.acquire("run")
        assert [opening.epoch for opening in await store.openings("run")] == [1, 2, 3, 4]
        assert (await store.acquire("run")).epoch == 5, "whoever has read the error gets one more try"


async def test_a_new_record_ends_a_crash_loop(path: Path) -> None:
    async with opened(SqliteStore(path, max_takeovers=1)) as store:
        await begin(store)
        for epoch in range(2, 6):
            execute(path, "UPDATE runs SET owner = 'a ghost', lock_file = NULL")
            await store.acquire("run")
            await append(store, entry("run", epoch, epoch=epoch))


async def test_a_new_record_of_a_run_inside_ends_a_crash_loop_of_the_outer_ones(path: Path) -> None:
    clock = iter(range(1, 1000)).__next__
    async with opened(SqliteStore(path, max_takeovers=2, clock=lambda: float(clock()))) as store:
        await begin(store, "outer")
        for run_id, parent in (("middle", "outer"), ("inner", "middle")):
            await store.create(new_run(run_id, parent=(parent, "t")), entry(run_id, 1)._replace(at=0.0))
        for life in range(2, 9):
            execute(path, "UPDATE runs SET owner = 'a ghost', lock_file = NULL")
            for run_id in ("outer", "middle", "inner"):
                await store.acquire(run_id)
            await append(store, entry("inner", life, epoch=life)._replace(at=float(clock())))

        async def take_over_again_and_again() -> None:
            for _ in range(5):
                execute(path, "UPDATE runs SET owner = 'a ghost', lock_file = NULL")
                await store.acquire("outer")

        with pytest.raises(CrashLoop, match="was taken over 2 times without a new checkpoint"):
            await take_over_again_and_again()


async def test_owners_that_release_are_no_crash_loop(path: Path) -> None:
    async with opened(SqliteStore(path, max_takeovers=1)) as store:
        await begin(store)
        for epoch in range(1, 6):
            await store.release("run", epoch)
            await store.acquire("run")


async def test_only_owners_that_died_make_a_crash_loop_of_a_run_that_is_woken_again_and_again(path: Path) -> None:
    async with opened(SqliteStore(path, max_takeovers=2)) as store:
        await store.create(new_run("run"), entry("run", 1, status="waiting", due=1.0))
        epoch = 1

        async def wake_and_let_go() -> int:
            for number in range(10):
                await store.release("run", epoch + number)
                assert [row.run_id for row in await store.ready(2.0, ["claims"], limit=9)] == ["run"]
                await store.acquire("run")
            return epoch + 10

        for _ in range(2):
            epoch = await wake_and_let_go()
            execute(path, "UPDATE runs SET owner = 'a ghost', lock_file = NULL")
            epoch = (await store.acquire("run")).epoch
        epoch = await wake_and_let_go()
        execute(path, "UPDATE runs SET owner = 'a ghost', lock_file = NULL")
        with pytest.raises(CrashLoop, match="was taken over 2 times without a new checkpoint"):
            await store.acquire("run")


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_a_text_that_no_file_can_hold_stops_only_its_own_run(path: Path, durability: Durability) -> None:
    answers = Answers()
    async with opened(SqliteStore(path, durability=durability)) as store:
        for run_id in "abc":
            await begin(store, run_id)
        for run_id, body in (("a", "{}"), ("b", "\ud800"), ("c", "{}")):
            store.append(entry(run_id, 2, body=body), answers.expect(run_id))
        given = dict(await answers.all())
        assert given["a"] is None
        assert given["c"] is None
        assert isinstance(given["b"], StoreError)
        assert "could not be written" in str(given["b"])
        assert [len(await store.records(run_id)) for run_id in "abc"] == [2, 1, 2]
        await append(store, entry("b", 2))


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_a_file_that_breaks_is_told_to_whoever_writes(path: Path, durability: Durability) -> None:
    async with opened(SqliteStore(path, durability=durability)) as store:
        await begin(store, length=2)
        execute(path, "CREATE TRIGGER full BEFORE INSERT ON records BEGIN SELECT raise(ABORT, 'no room'); END")
        with pytest.raises(StoreError, match=r"The store .*runs\.db could not be written: no room\."):
            await append(store, entry("run", 3))
        with pytest.raises(StoreError, match="no room"):
            await store.create(new_run("new"), entry("new", 1))
        execute(path, "DROP TRIGGER full")
        row = await store.row("run")
        assert row is not None
        assert row.seq == 2
        assert await store.row("new") is None
        await append(store, entry("run", 3))


async def test_of_a_message_that_was_taken_in_only_its_name_and_its_record_remain(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        await store.post(message("run", "a", payload="a secret"))
        await append(store, entry("run", 2, taken=("a",)), entry("run", 3, taken=("a",)))
        assert execute(path, "SELECT id, payload, taken FROM inbox") == [("a", "", 2)]


@contextmanager
def room_for(more: int, path: Path) -> Generator[None]:
    """Let no file of this process grow beyond the size of one and so many bytes, as a disk without room does."""
    size = path.stat().st_size + more
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_a_disk_without_room_is_told_and_costs_nothing_that_was_committed(
    path: Path, durability: Durability
) -> None:
    large = "x" * 100_000
    async with opened(SqliteStore(path, durability=durability)) as store:
        await begin(store, length=5)
        with room_for(20_000, Path(f"{path}-wal")):
            with pytest.raises(StoreError, match=r"The store .*runs\.db could not be written: disk I/O error\."):
                await append(store, entry("run", 6, content=large))
            assert len(await store.records("run")) == 5
        await append(store, entry("run", 6, content=large))
        assert len(await store.records("run")) == 6


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_a_run_that_cannot_be_let_go_for_want_of_room_is_let_go_when_there_is_some(
    path: Path, durability: Durability
) -> None:
    async with opened(SqliteStore(path, durability=durability, ttl=0.3)) as store:
        await begin(store)
        with room_for(0, Path(f"{path}-wal")):
            await store.release("run", 1)
            row = await store.row("run")
            assert row is not None
            assert row.owner is not None
        while (row := await store.row("run")) is None or row.owner is not None:
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_a_store_without_room_closes_and_its_runs_are_free(path: Path, durability: Durability) -> None:
    store = SqliteStore(path, durability=durability)
    await store.open()
    await begin(store)
    with room_for(0, Path(f"{path}-wal")):
        await store.close()
    async with opened(SqliteStore(path)) as heir:
        assert (await heir.acquire("run")).epoch == 2


def test_a_full_disk_is_told_in_words(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("PRAGMA max_page_count=2")
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    text = str(failure(path, "written", caught.value))
    assert text == f"The store {path} could not be written: the disk is full; free some space and resume."


def damage(path: Path, first: int, last: int | None = None) -> None:
    """Overwrite a part of a file."""
    content = bytearray(path.read_bytes())
    content[first:last] = b"\xff" * len(content[first:last])
    path.write_bytes(content)


async def test_a_damaged_file_is_told_to_whoever_reads(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store, length=200)
    damage(path, 4096)
    async with opened(SqliteStore(path)) as store:
        with pytest.raises(StoreError, match=r"could not be read: the file is damaged; restore a backup"):
            await store.rows()


async def test_a_closed_store_says_so(path: Path) -> None:
    store = SqliteStore(path)
    async with opened(store):
        await begin(store)
    await store.close()
    uses: list[Callable[[], Awaitable[object]]] = [
        store.rows,
        lambda: store.acquire("run"),
        lambda: store.create(new_run("new"), entry("new", 1)),
        lambda: store.release("run", 1),
        lambda: append(store, entry("run", 2)),
        lambda: store.post(message("run", "a")),
        lambda: store.news(0),
    ]
    for use in uses:
        with pytest.raises(StoreError, match=r"The store .*runs\.db is not open\."):
            await use()


async def test_a_store_can_be_opened_again(path: Path) -> None:
    store = SqliteStore(path)
    for number in range(2):
        async with opened(store):
            await begin(store, f"run {number}")
    assert names(path) == ["runs.db"]


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_a_folder_that_vanished_is_told(tmp_path: Path, durability: Durability) -> None:
    path = tmp_path / "folder" / "runs.db"
    async with opened(SqliteStore(path, durability=durability)) as store:
        shutil.rmtree(path.parent)
        with pytest.raises(StoreError, match=r"runs\.db could not be written: "):
            await store.create(new_run("run"), entry("run", 1))


async def test_releasing_a_run_that_is_not_owned_changes_nothing(path: Path) -> None:
    async with opened(SqliteStore(path)) as store, opened(SqliteStore(path)) as other:
        await begin(store)
        await other.release("run", 1)
        await other.release("run", 7)
        row = await store.row("run")
        assert row is not None
        assert row.owner is not None
