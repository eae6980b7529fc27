"""A file in which one thing was changed is told by the name of that thing, wherever it is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from milepost.engine.errors import DamagedStore, StoreError
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.sqlite_rows import in_order
from milepost.engine.stores.store import CacheEntry
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import append, begin, entry, message, new_run
from tests.engine.stores.test_sqlite import execute

pytestmark = pytest.mark.anyio


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A store with two runs, a message and a result."""
    async with opened(SqliteStore(tmp_path / "runs.db", durability="process")) as store:
        await begin(store, "run", length=2)
        await begin(store, "other")
        await append(store, entry("run", 3, at=1003.5, output="[1]", cache=CacheEntry("k", "[1]", 9e9)))
        await store.post(message("run", "m", payload="[2]"))
    return tmp_path / "runs.db"


ROW = "What the store holds of run 'run' is damaged: it does not match its checksum"


@pytest.mark.parametrize(
    "change",
    [
        "workflow='clains'",
        "version=4",
        "isolation='shared'",
        "created=1000.5",
        "parent_run='a'",
        "parent_task='a'",
        "forked_from='other'",
        "forked_at=1",
        "status='completed'",
        "status='complete'",
        "updated=1003.25",
        "seq=2",
        "seq=4",
        "hash='hash 4'",
        "error='no'",
        "output='[0]'",
        "output=NULL",
        "crc=crc+1",
        "mark='3:1'",
    ],
)
async def test_a_changed_row_is_told(path: Path, change: str) -> None:
    execute(path, f"UPDATE runs SET {change} WHERE run_id='run'")
    async with opened(SqliteStore(path)) as store:
        for reads in (store.row("run"), store.rows(), store.rows(limit=5), store.acquire("run")):
            with pytest.raises(DamagedStore, match=ROW):
                await reads
        other = await store.row("other")
        assert other is not None
        assert other.seq == 1


@pytest.mark.parametrize(
    "change",
    [
        """tags='["a","c"]'""",
        "tags='['",
        "tags=NULL",
        "tags=7",
        "tags_crc=tags_crc+1",
        "tags_crc=NULL",
        "due=7.25",
        "due=NULL",
        "due='soon'",
        "due_mark='1:1'",
        "due_mark='0:1'",
        "due_mark=NULL",
        "due_mark=7",
    ],
)
async def test_changed_tags_and_a_changed_time_are_told(tmp_path: Path, change: str) -> None:
    path = tmp_path / "tagged.db"
    async with opened(SqliteStore(path)) as store:
        await store.create(new_run("run", tags=("a", "b")), entry("run", 1, status="waiting", due=7.5))
    execute(path, f"UPDATE runs SET {change} WHERE run_id='run'")
    async with opened(SqliteStore(path)) as store:
        for reads in (store.row("run"), store.rows(), store.rows(limit=5), store.acquire("run")):
            with pytest.raises(DamagedStore, match="run 'run'"):
                await reads


@pytest.mark.parametrize("change", ["DELETE FROM tags WHERE tag='b'", "UPDATE tags SET tag='c' WHERE tag='b'"])
async def test_a_run_that_is_not_found_by_its_tags_is_told(tmp_path: Path, change: str) -> None:
    path = tmp_path / "tagged.db"
    async with opened(SqliteStore(path)) as store:
        await store.create(new_run("run", tags=("a", "b")), entry("run", 1))
    execute(path, change)
    async with opened(SqliteStore(path)) as store:
        for reads in (store.rows(tag="b"), store.rows(tag="b", limit=5), store.counts(tag="b"), store.rows()):
            with pytest.raises(DamagedStore, match="run 'run' is damaged: it cannot be found by its tags"):
                await reads


async def test_a_run_that_stands_as_nothing_does_is_told_where_it_is_counted(path: Path) -> None:
    execute(path, "UPDATE runs SET status='complete' WHERE run_id='run'")
    async with opened(SqliteStore(path)) as store:
        with pytest.raises(DamagedStore, match="1 of them stand 'complete', which nothing does"):
            await store.counts()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE records SET at=1.5 WHERE place=4294967298", "checkpoint 2 of run 'run' is damaged"),
        ("UPDATE records SET body=1.5 WHERE place=4294967298", None),
        ("UPDATE records SET body=x'00' WHERE place=4294967298", "checkpoint 2 of run 'run' is damaged"),
        ("UPDATE records SET hash='hash 9' WHERE place=4294967298", "checkpoint 2 of run 'run' is damaged"),
        ("UPDATE openings SET owner='nobody' WHERE run_id='run'", "who owned run 'run' is damaged"),
        ("UPDATE openings SET at=1.5 WHERE run_id='run'", "who owned run 'run' is damaged"),
        ("UPDATE openings SET epoch=2 WHERE run_id='run'", "who owned run 'run' is damaged: somebody is missing"),
        ("DELETE FROM openings WHERE run_id='run'", "who owned run 'run' is damaged: somebody is missing"),
        ("UPDATE inbox SET payload='[3]'", "message 'm' to run 'run' is damaged"),
        ("UPDATE inbox SET by='Bob'", "message 'm' to run 'run' is damaged"),
        ("UPDATE cache SET value='[2]'", "a result in the cache is damaged"),
    ],
)
async def test_another_thing_that_was_changed_is_told(path: Path, change: str, words: str | None) -> None:
    execute(path, change)
    async with opened(SqliteStore(path)) as store:
        told: list[str] = []
        for reads in (store.records("run"), store.openings("run"), store.inbox("run"), store.cached("k", 0.0)):
            try:
                await reads
            except DamagedStore as error:
                told.append(str(error))
    assert len(told) == (words is not None)
    assert words is None or words in told[0]


def with_another_id(path: Path, name: str) -> Iterator[None]:
    """Change the first letter of an id in one place of a file after another, be it in the table or in an index."""
    content = path.read_bytes()
    for at in range(len(content)):
        if content.startswith(name.encode(), at):
            path.write_bytes(content[:at] + b"z" + content[at + 1 :])
            yield


@pytest.mark.parametrize("name", ["run", "other"])
async def test_a_run_whose_id_was_changed_is_not_taken_for_one_that_never_was(path: Path, name: str) -> None:
    told = 0
    for _ in with_another_id(path, name):
        try:
            async with opened(SqliteStore(path)) as store:
                row = await store.row(name)
        except StoreError:
            told += 1
        else:
            assert row is not None
            assert row.run_id == name
    assert told > 0


async def test_a_list_of_all_runs_is_not_shorter_than_it_was(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name='runs_by_time'").fetchone()
        connection.execute("UPDATE sqlite_master SET sql=? WHERE name='runs_by_time'", (f"{sql} WHERE created < 1",))
    async with opened(SqliteStore(path)) as store:
        with pytest.raises(DamagedStore, match="What the store holds of its runs is damaged"):
            await store.rows()
        assert any("is damaged: " in line for line in await store.check())


async def test_a_row_of_an_earlier_version_needs_no_checksum(path: Path) -> None:
    execute(path, "UPDATE runs SET crc=NULL, mark=NULL")
    execute(path, "UPDATE records SET crc=NULL")
    async with opened(SqliteStore(path)) as store:
        row = await store.row("run")
        assert row is not None
        assert row.seq == 3
        assert len(await store.records("run")) == 3
        await store.acquire("run")
        await append(store, entry("run", 4, epoch=2))
    execute(path, "UPDATE runs SET seq=3 WHERE run_id='run'")
    async with opened(SqliteStore(path)) as store:
        with pytest.raises(DamagedStore, match=ROW):
            await store.row("run")


async def test_rows_that_an_index_led_to_in_another_order_or_twice_are_told(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        rows = list(await store.rows())
    assert in_order(rows) == rows
    for wrong in (rows[::-1], [rows[0], rows[0]]):
        with pytest.raises(DamagedStore, match="it is not where it belongs"):
            in_order(wrong)
