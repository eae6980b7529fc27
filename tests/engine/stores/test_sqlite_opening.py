"""What a SqliteStore opens, what it refuses, and that what it refuses is left as it was."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

from milepost.engine.errors import ForeignStore, InputError, StoreError
from milepost.engine.stores import sqlite
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.sqlite_file import VERSION, establish
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import begin
from tests.engine.stores.test_sqlite import damage

pytestmark = pytest.mark.anyio

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def found(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder; None for a folder in it."""
    return {str(each): each.read_bytes() if each.is_file() else None for each in sorted(folder.rglob("*"))}


def write(path: Path, text: str) -> None:
    path.write_text(text)


def pages(path: Path) -> tuple[bytes, bytes]:
    """The database and the log of what is newer."""
    return path.read_bytes(), Path(f"{path}-wal").read_bytes()


def do(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def refusal(path: Path, *, create: bool = True) -> str:
    """What is said when opening is refused, with nothing changed."""
    before = found(path.parent) if path.parent.is_dir() else None
    with pytest.raises(StoreError) as caught:
        await SqliteStore(path, create=create).open()
    assert before == (found(path.parent) if path.parent.is_dir() else None)
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize("text", ["x", "some notes", "notes\n" * 1000, "SQLite format 3 is a fine format\n" * 100])
async def test_a_text_file_is_no_store(path: Path, text: str) -> None:
    write(path, text)
    assert (
        await refusal(path) == f"ForeignStore: {path} is not a SQLite database, so it is no store. It was not changed."
    )


OTHER_PROGRAM = "is a database of another program. Choose another file. It was not changed."


@pytest.mark.parametrize("mode", ["delete", "wal"])
async def test_a_database_of_another_program_is_no_store(path: Path, mode: str) -> None:
    do(path, f"PRAGMA journal_mode={mode}", "CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('x')")
    assert await refusal(path) == f"ForeignStore: {path} {OTHER_PROGRAM}"


async def test_a_database_that_another_program_named_its_own_is_no_store(path: Path) -> None:
    do(path, "PRAGMA application_id=77")
    assert await refusal(path) == f"ForeignStore: {path} {OTHER_PROGRAM}"


async def test_tables_without_a_version_are_no_store(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
    do(path, "PRAGMA user_version=0")
    assert await refusal(path) == f"ForeignStore: {path} {OTHER_PROGRAM}"


@pytest.mark.parametrize("name", [":memory:", Path(":memory:")])
def test_a_database_that_is_no_file_is_refused(name: str | Path) -> None:
    with pytest.raises(InputError, match=r"a file of that name\. .* use MemoryStore\(\), or the URL memory://\."):
        SqliteStore(name)


async def test_tables_that_are_only_in_the_log_yet_make_it_no_store(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE notes (text)")
        before = pages(path)
        with pytest.raises(ForeignStore, match="another program"):
            await SqliteStore(path).open()
        assert pages(path) == before


async def test_a_store_of_a_newer_version_is_refused(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
    do(path, f"PRAGMA user_version={VERSION + 1}")
    assert await refusal(path) == (
        f"ForeignStore: {path} was written by a newer Milepost "
        f"(its format is {VERSION + 1}, this one knows {VERSION}). "
        "Upgrade Milepost, or choose another file. It was not changed."
    )


async def test_a_folder_is_no_store(tmp_path: Path) -> None:
    example = tmp_path / "runs.db"
    assert await refusal(tmp_path) == f"StoreError: {tmp_path} is a folder. Name a file in it, e.g. {example}."


async def test_a_pipe_is_no_store(path: Path) -> None:
    os.mkfifo(path)
    assert await refusal(path) == f"ForeignStore: {path} is not a regular file, so it is no store."


@pytest.mark.parametrize("name", ["runs.db", "missing/runs.db"])
async def test_a_missing_store_is_not_made_unless_asked_for(tmp_path: Path, name: str) -> None:
    assert await refusal(tmp_path / name, create=False) == (
        f"StoreError: There is no store at {tmp_path / name}. Check the path, or start a run there first."
    )
    assert found(tmp_path) == {}


async def test_a_store_cannot_lie_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    text = await refusal(tmp_path / "file" / "runs.db")
    assert text.startswith(f"StoreError: There can be no store at {tmp_path / 'file' / 'runs.db'}: ")
    assert text.endswith(". Choose another place.")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that not even root can write to")
async def test_a_store_cannot_be_made_where_nothing_can_be_written() -> None:
    with pytest.raises(StoreError, match=r"There can be no store at /proc/runs\.db: .*\. Choose another place\."):
        await SqliteStore("/proc/runs.db").open()


@contextmanager
def held_back(folder: Path) -> Generator[None]:
    """Be somebody who may read a folder, and not write to it: root may do anything, so be nobody instead."""
    folder.chmod(0o500)
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(folder, NOBODY, -1)
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o700)


async def test_a_folder_that_may_not_be_written_to_is_told() -> None:
    with TemporaryDirectory() as folder, held_back(Path(folder)):  # pytest's own folders are closed to others
        path = Path(folder) / "runs.db"
        text = await refusal(path)
    assert text == f"StoreError: There can be no store at {path}: Permission denied. Choose another place."


async def test_a_damaged_database_is_told(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
    damage(path, 100, 4096)
    text = await refusal(path)
    assert text.startswith(f"StoreError: The store {path} could not be opened: the file is damaged; restore a backup")


@pytest.mark.parametrize("statement", [None, "VACUUM", "PRAGMA user_version=0"])
async def test_an_empty_file_becomes_a_store(path: Path, statement: str | None) -> None:
    write(path, "")
    if statement is not None:
        do(path, statement)
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        assert len(await store.rows()) == 1


async def test_a_store_is_opened_while_another_process_has_written_only_to_its_log(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        async with opened(SqliteStore(path, create=False)) as other:
            assert len(await other.rows()) == 1


async def test_what_is_asked_for_in_the_file_names_this_program(path: Path) -> None:
    async with opened(SqliteStore(path)):
        pass
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (0x4D494C45,)
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_store_that_is_being_made_elsewhere_is_waited_for(path: Path) -> None:
    write(path, "")
    store = SqliteStore(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.open)
            await anyio.wait_all_tasks_blocked()
            connection.execute("COMMIT")
    assert list(await store.rows()) == []
    await store.close()


async def test_a_store_that_stays_locked_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "PATIENCE", 0.0)
    write(path, "")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        assert (
            await refusal(path) == f"StoreError: The store {path} could not be opened: another process keeps it locked."
        )


async def test_a_newer_version_that_is_only_in_the_log_yet_is_refused(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        do(path, "PRAGMA user_version=7")
        with pytest.raises(ForeignStore, match="written by a newer Milepost"):
            await SqliteStore(path).open()
        with pytest.raises(ForeignStore, match="written by a newer Milepost"):
            establish(path, "power")


async def test_a_file_that_vanishes_while_it_is_opened_is_told(path: Path) -> None:
    with pytest.raises(StoreError, match=r"could not be opened: it cannot be opened; check the permissions"):
        establish(path, "power")
