"""What the machine itself can do, as if it were a peer: so many commits, one after the other, and nothing else."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing

from benchmarks.jobs import Job, Kind
from benchmarks.peers.peer import Once, Peer, Place, Store
from benchmarks.slow_disk import MILLISECONDS

ONLY_LOOPS: dict[Kind, str] = {kind: "" for kind in Kind if kind is not Kind.LOOP}
RECORD = "x" * 300
"""About as long as what Milepost writes for a step of the loop, so that the limit is not easier to come near to."""
LOG_PAGES = 1_000
"""After so many pages SQLite begins to write over its log, and so does Milepost."""
INSERT = "INSERT INTO records(seq, value) VALUES (%s, %s)"
TABLE = "CREATE TABLE records(seq bigint PRIMARY KEY, value text)"

Ready = Callable[[Job, Place], AbstractAsyncContextManager[Once]]


@asynccontextmanager
async def _switch(job: Job, place: Place) -> AsyncGenerator[Once]:
    async def nothing(number: int) -> int:
        return number + 1

    async def once() -> int:
        value = 0
        for _ in range(job.size):
            value = await asyncio.create_task(nothing(value))
        return value

    yield once


@asynccontextmanager
async def _fsync(job: Job, place: Place) -> AsyncGenerator[Once]:
    file = os.open(place.folder / "file", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    record = RECORD.encode()

    async def once() -> int:
        for _ in range(job.size):
            os.write(file, record)
            os.fsync(file)
        return os.fstat(file).st_size // len(record)

    yield once
    os.close(file)


def _lengthen(database: sqlite3.Connection) -> None:
    """Make the log as long as it gets, so that no commit has to wait until the file's new size is on the disk."""
    database.execute("PRAGMA cache_size=10")
    database.execute("BEGIN")
    database.execute("INSERT INTO records(seq, value) VALUES (-1, zeroblob(?))", (LOG_PAGES * 4096,))
    database.execute("ROLLBACK")
    database.execute("PRAGMA cache_size=-2000")
    database.execute("PRAGMA user_version=1")  # a commit, which waits for all that


def _sqlite(synchronous: str, *, is_long: bool = False) -> Ready:
    @asynccontextmanager
    async def ready(job: Job, place: Place) -> AsyncGenerator[Once]:
        with closing(sqlite3.connect(place.folder / "commits.db", isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(f"PRAGMA synchronous={synchronous}")
            database.execute(TABLE)
            if is_long:
                _lengthen(database)
            insert = INSERT.replace("%s", "?")

            async def once() -> int:
                for number in range(job.size):
                    database.execute(insert, (number, RECORD))
                return int(database.execute("SELECT count(*) FROM records").fetchone()[0])

            yield once

    return ready


def _postgres(synchronous: str) -> Ready:
    @asynccontextmanager
    async def ready(job: Job, place: Place) -> AsyncGenerator[Once]:
        import psycopg

        async with await psycopg.AsyncConnection.connect(place.dsn, autocommit=True) as connection:
            await connection.execute(f"SET synchronous_commit={synchronous}".encode())
            await connection.execute(TABLE.encode())

            async def once() -> int:
                for number in range(job.size):
                    await connection.execute(INSERT.encode(), (number, RECORD), prepare=True)
                cursor = await connection.execute("SELECT count(*) FROM records")
                row = await cursor.fetchone()
                return int(row[0]) if row else 0

            yield once

    return ready


def _peer(name: str, configuration: str, ready: Ready, distributions: tuple[str, ...] = ()) -> Peer:
    return Peer(name, Store.LIMIT, distributions, configuration, ready, missing=ONLY_LOOPS)


PEERS = {
    "limit-switch": _peer("an asyncio task", "A new task of asyncio for each step.", _switch),
    "limit-fsync": _peer("an fsync", "300 bytes appended to a file and fsync, for each step.", _fsync),
    "limit-sqlite-process": _peer("a SQLite commit, NORMAL", "A row of 300 bytes, WAL.", _sqlite("NORMAL")),
    "limit-sqlite-power": _peer("a SQLite commit, FULL", "A row of 300 bytes, WAL.", _sqlite("FULL")),
    "limit-sqlite-power-long": _peer(
        "a SQLite commit, FULL, long log",
        "The same over a log that was made as long as it gets before, as Milepost makes it after 100 records.",
        _sqlite("FULL", is_long=True),
    ),
    "limit-sqlite-power-slow": _peer(
        "a SQLite commit, FULL, slow disk",
        f"A row of 300 bytes, WAL, on a disk that takes {MILLISECONDS} ms longer to sync.",
        _sqlite("FULL"),
    ),
    "limit-postgres-process": _peer(
        "a PostgreSQL commit, off",
        "A row of 300 bytes, synchronous_commit=off, psycopg.",
        _postgres("off"),
        ("psycopg",),
    ),
    "limit-postgres-power": _peer(
        "a PostgreSQL commit, on", "A row of 300 bytes, synchronous_commit=on, psycopg.", _postgres("on"), ("psycopg",)
    ),
}
