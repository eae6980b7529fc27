"""SqliteStore: journals in one SQLite file, for any number of processes on one machine."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from glob import escape
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import uuid4

import anyio

from milepost.engine.errors import InputError, LeaseLost, StoreError
from milepost.engine.hop import find_hop
from milepost.engine.stores import sqlite_journal as journal
from milepost.engine.stores.lockfile import LockFile, remove_free
from milepost.engine.stores.owner import owner_here
from milepost.engine.stores.sqlite_file import (
    PATIENCE,
    Durability,
    connect,
    establish,
    failure,
    is_busy,
    prepare,
    set_patience,
)
from milepost.engine.stores.sqlite_journal import Owner
from milepost.engine.stores.sqlite_rows import COLUMNS, Value, listing, row_of
from milepost.engine.stores.sqlite_writer import Writer
from milepost.engine.stores.store import Acknowledge, Entry, Message, NewRun, Notice, Opening, RunRow, StoredRecord
from milepost.engine.trace import RunStatus

T = TypeVar("T")

_FAILURES: Final = (sqlite3.Error, UnicodeError, OverflowError, MemoryError, OSError)
_RECORDS: Final = "SELECT seq, body, content, hash, at, snapshot FROM journal WHERE run_id=?"
_MESSAGES: Final = "SELECT run_id, id, kind, payload, by, at, number FROM inbox"
_NEWS: Final = "SELECT number, run_id FROM inbox WHERE taken IS NULL AND number > ? ORDER BY number"
_RETRY_AFTER: Final = 0.01


class SqliteStore:
    """Keeps journals in a SQLite file, which any number of processes may use at once.

    durability: what a committed record survives. "power": the death of the machine; commits are made on a writer thread
    and those of several runs share one. "process": the death of the process at any instant; a loss of power may cost
    the newest records, never the order or the integrity; commits are made on the event loop's own thread. "none": as
    "process", but a loss of power may damage the file.
    create: make the file if it is missing. clock: seconds since 1970 UTC, for people; leases go by the database's own
    clock. ttl: seconds that a lease lasts unless it is renewed. max_takeovers: how often a run is taken over from dead
    owners without a new record, until CrashLoop.
    Opening brings a file of an earlier version up to date, which no earlier Milepost can open afterwards.
    Raises InputError: the path is SQLite's name for a database that is no file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "power",
        create: bool = True,
        clock: Callable[[], float] = time.time,
        ttl: float = 30.0,
        max_takeovers: int = 100,
    ) -> None:
        if os.fspath(path) == ":memory:":
            raise InputError(
                "A store named ':memory:' would be a file of that name. For runs that end with this process, use "
                "MemoryStore(), or the URL memory://."
            )
        self.path = Path(os.path.realpath(path))  # by its one name: files beside it must be found by everybody
        self.durability: Durability = durability
        self._create = create
        self._clock = clock
        self._max_takeovers = max_takeovers
        name = uuid4().hex[:12]
        self._owner = Owner(
            owner_here(),
            self.path.with_name(f"{self.path.name}-owner-{name}.lock"),
            ttl,
        )
        self._lock: LockFile | None = None
        self._owned: dict[str, int] = {}  # run id: epoch
        self._numbers: journal.Numbers = {}
        self._reader: sqlite3.Connection | None = None
        self._direct: sqlite3.Cursor | None = None
        self._writer: Writer | None = None

    async def open(self) -> None:
        prepare(self.path, create=self._create)
        deadline = anyio.current_time() + PATIENCE
        while (reader := establish(self.path, self.durability)) is None:
            if anyio.current_time() > deadline:
                raise StoreError(f"The store {self.path} could not be opened: another process keeps it locked.")
            await anyio.sleep(_RETRY_AFTER)
        self._reader = reader
        self._writer = Writer(
            connect=lambda: connect(self.path, self.durability),
            append=lambda connection, entries: journal.append(connection, self._numbers, entries),
            renew=self._renew,
            fail=lambda error: failure(self.path, "written", error),
            hop=find_hop(),
            pause=self._owner.ttl / 3,
        )

    async def close(self) -> None:
        reader, writer = self._reader, self._writer
        if reader is None or writer is None:
            return
        try:
            if self._owned:
                run_ids = list(self._owned)
                await self._write(lambda connection: journal.release(connection, self._owner, run_ids))
        finally:
            reader.close()
            if self._direct is not None:
                self._direct.connection.close()
            self._reader = self._direct = self._writer = None
            await writer.stop()  # the last: closing the last connection moves the log into the database
            self._owned.clear()
            self._numbers.clear()
            if self._lock is not None:
                self._lock.remove()
                self._lock = None

    async def create(self, run: NewRun, first: Entry) -> bool:
        self._get_ready()

        def job(connection: sqlite3.Connection) -> bool:
            is_new = journal.create(connection, self._owner, run, first)
            if is_new:
                self._owned[run.run_id] = first.epoch
            return is_new

        return await self._write(job)

    async def acquire(self, run_id: str) -> RunRow:
        self._get_ready()
        at = self._clock()

        def job(connection: sqlite3.Connection) -> RunRow:
            row = journal.acquire(connection, self._owner, run_id, at, self._max_takeovers)
            self._owned[run_id] = row.epoch
            return row

        return await self._write(job)

    async def release(self, run_id: str, epoch: int) -> None:
        def job(connection: sqlite3.Connection) -> None:
            journal.release(connection, self._owner, [run_id], epoch)
            if self._owned.get(run_id) == epoch:
                del self._owned[run_id]
                self._numbers.pop(run_id, None)

        await self._write(job)

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        writer = self._writer
        if writer is None:
            acknowledge(self._closed())
            return
        cursor = self._direct
        if cursor is None or writer.pending:  # what was handed over comes first
            writer.submit(entry, acknowledge)
            return
        answer: StoreError | None = None
        try:
            if not journal.append_one(cursor, self._numbers, entry):
                answer = LeaseLost(entry.run_id)
        except _FAILURES as error:
            if is_busy(error):
                writer.submit(entry, acknowledge)
                return
            answer = failure(self.path, "written", error)
        acknowledge(answer)

    async def row(self, run_id: str) -> RunRow | None:
        found = self._read(f"SELECT {COLUMNS} FROM runs WHERE run_id=?", run_id)
        return row_of(found[0]) if found else None

    async def rows(
        self,
        *,
        prefix: str = "",
        status: RunStatus | None = None,
        workflow: str | None = None,
        nested: bool = True,
        limit: int | None = None,
        before: RunRow | None = None,
    ) -> Sequence[RunRow]:
        statement, values = listing(prefix, status, workflow, nested, limit, before)
        return [row_of(found) for found in self._read(statement, *values)]

    async def children(self, run_id: str, *, status: RunStatus | None = None) -> Sequence[RunRow]:
        term, values = ("", ()) if status is None else (" AND status=?", (status,))
        found = self._read(f"SELECT {COLUMNS} FROM runs WHERE parent_run=?{term} ORDER BY number", run_id, *values)
        return [row_of(columns) for columns in found]

    async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[StoredRecord]:
        most = -1 if limit is None else limit
        found = self._read(f"{_RECORDS} AND seq>? ORDER BY seq LIMIT ?", run_id, after, most)
        return [StoredRecord(*values) for values in found]

    async def record(self, run_id: str, seq: int) -> StoredRecord | None:
        found = self._read(f"{_RECORDS} AND seq=?", run_id, seq)
        return StoredRecord(*found[0]) if found else None

    async def openings(self, run_id: str) -> Sequence[Opening]:
        found = self._read("SELECT epoch, owner, at FROM openings WHERE run_id=? ORDER BY epoch", run_id)
        return [Opening(*values) for values in found]

    async def definition(self, fingerprint: str) -> str | None:
        found = self._read("SELECT description FROM definitions WHERE fingerprint=?", fingerprint)
        return str(found[0][0]) if found else None

    async def define(self, fingerprint: str, text: str) -> None:
        await self._write(lambda connection: journal.define(connection, fingerprint, text))

    async def cached(self, key: str, now: float) -> str | None:
        found = self._read("SELECT value FROM cache WHERE key=? AND (expires IS NULL OR expires > ?)", key, now)
        return str(found[0][0]) if found else None

    async def post(self, message: Message) -> bool:
        return await self._write(lambda connection: journal.post(connection, message))

    async def inbox(self, run_id: str) -> Sequence[Message]:
        found = self._read(f"{_MESSAGES} WHERE run_id=? AND taken IS NULL ORDER BY number", run_id)
        return [Message(*values) for values in found]

    async def news(self, after: int) -> Sequence[Notice]:
        return [Notice(*values) for values in self._read(_NEWS, after)]

    def _get_ready(self) -> None:
        """Get what an owner needs: its lock file, its connection, and the thread that renews its leases."""
        if self._lock is None:
            writer = self._writing()
            try:
                if self.durability != "power" and self._direct is None:
                    connection = connect(self.path, self.durability)
                    set_patience(connection, 0.0)
                    self._direct = connection.cursor()
                remove_free(self.path.parent, f"{escape(self.path.name)}-owner-*.lock")
                self._lock = LockFile(self._owner.lock)
            except _FAILURES as error:
                raise failure(self.path, "written", error) from error
            writer.start()

    def _writing(self) -> Writer:
        if self._writer is None:
            raise self._closed()
        return self._writer

    def _closed(self) -> StoreError:
        return StoreError(f"The store {self.path} is not open.")

    async def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Do a job here if nobody is in the way, else on the writer thread."""
        writer = self._writing()
        if self._direct is not None and not writer.pending:
            try:
                return job(self._direct.connection)
            except _FAILURES as error:
                if not is_busy(error):
                    raise failure(self.path, "written", error) from error
        return await writer.call(job)

    def _read(self, statement: str, *values: Value) -> list[Any]:
        if self._reader is None:
            raise self._closed()
        try:
            return self._reader.execute(statement, values).fetchall()
        except _FAILURES as error:
            raise failure(self.path, "read", error) from error

    def _renew(self, connection: sqlite3.Connection) -> None:
        journal.renew(connection, self._owner, list(self._owned))
