"""SqliteStore: journals in one SQLite file, for any number of processes on one machine."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from glob import escape
from json import dumps
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import uuid4

import anyio

from milepost.engine.errors import DamagedStore, InputError, StoreError
from milepost.engine.stores import sqlite_care as care
from milepost.engine.stores import sqlite_journal as journal
from milepost.engine.stores.lockfile import LockFile, remove_free
from milepost.engine.stores.owner import owner_here
from milepost.engine.stores.sqlite_commits import Commits
from milepost.engine.stores.sqlite_file import (
    FAILURES,
    PATIENCE,
    Durability,
    establish,
    failure,
    prepare,
)
from milepost.engine.stores.sqlite_journal import Owner
from milepost.engine.stores.sqlite_pace import Pace
from milepost.engine.stores.sqlite_ready import alive, ready
from milepost.engine.stores.sqlite_records import place_of
from milepost.engine.stores.sqlite_rows import (
    CHECKED,
    LAST_SEQ,
    UNTAGGED,
    counted,
    in_order,
    listing,
    openings_of,
    posted_of,
    record_of,
    result_of,
    row_of,
    terms_of,
)
from milepost.engine.stores.store import (
    Acknowledge,
    Entry,
    Leftovers,
    Message,
    NewRun,
    Notice,
    Opening,
    Posted,
    RunRow,
    StoredRecord,
    Weight,
    WholeRun,
)
from milepost.engine.stores.terms import Value
from milepost.engine.trace import RunStatus

T = TypeVar("T")

_LINE: Final = (  # where the records of a run are: in which run, after which number, up to which one
    "WITH RECURSIVE line (run, low, high, above) AS "
    f"(SELECT number, min(max(forked_at, 0), {LAST_SEQ}), {LAST_SEQ}, forked_from "
    "FROM runs WHERE run_id=? UNION ALL SELECT number, forked_at, low, forked_from FROM line JOIN runs ON run_id=above "
    "WHERE forked_at < low) SELECT run, low, high FROM line ORDER BY high"
)
_RECORDS: Final = f"SELECT place & {LAST_SEQ}, body, content, hash, at, snapshot, crc FROM records WHERE"
_SNAPSHOT: Final = (
    f"SELECT place & {LAST_SEQ} FROM records "
    "WHERE place>? AND place<=? AND snapshot IS NOT NULL ORDER BY place DESC LIMIT 1"
)
_OPENINGS: Final = (  # all in one statement, that is at one moment
    "SELECT openings.epoch, openings.owner, at, openings.crc, runs.epoch FROM runs "
    "LEFT JOIN openings ON openings.run_id=runs.run_id WHERE runs.run_id=? ORDER BY openings.epoch"
)
_MESSAGES: Final = "SELECT run_id, id, kind, payload, by, at, number, taken, crc FROM inbox WHERE run_id=?"
_CACHED: Final = "SELECT key, value, expires, crc FROM cache WHERE key=? AND (expires IS NULL OR expires > ?)"
_NEWS: Final = "SELECT number, run_id FROM inbox WHERE taken IS NULL AND number > ? ORDER BY number"
_RETRY_AFTER: Final = 0.01
_FEW: Final = 4
"""So many runs at most do not gain by sharing commits that wait for no disk: to wait for one another costs more."""


class SqliteStore:
    """Keeps journals in a SQLite file, which any number of processes may use at once.

    durability: what a committed record survives. "power": the death of the machine; commits are made on a writer thread
    unless the disk is quick. "process": the death of the process at any instant; a loss of power may cost the newest
    records, never the order or the integrity. "none": as "process", but a loss of power may damage the file. What many
    have to commit in one turn of the event loop is committed together.
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
        self._few = 1 if durability == "power" else _FEW
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
        self._unreleased: deque[tuple[str, int]] = deque()  # leases that are still to be given up
        self._reader: sqlite3.Connection | None = None
        self._is_checked = False  # the table of runs, since the store was opened
        self._commits: Commits | None = None
        self.pace = Pace()

    async def open(self) -> None:
        prepare(self.path, create=self._create)
        deadline = anyio.current_time() + PATIENCE
        while (reader := establish(self.path, self.durability)) is None:
            if anyio.current_time() > deadline:
                raise StoreError(f"The store {self.path} could not be opened: another process keeps it locked.")
            await anyio.sleep(_RETRY_AFTER)
        self._reader, self._is_checked = reader, False
        self._commits = Commits(
            self.path, self.durability, self._owner.text, self._renew, pause=self._owner.ttl / 3, pace=self.pace
        )

    async def close(self) -> None:
        reader, commits = self._reader, self._commits
        if reader is None or commits is None:
            return
        try:
            if self._owned:
                run_ids = list(self._owned)
                with suppress(StoreError):  # nothing is lost: without its lock file this owner counts as dead
                    await commits.call(lambda connection: journal.release(connection, self._owner, run_ids))
        finally:
            reader.close()
            self._reader = self._commits = None
            await commits.stop()  # the last: closing the last connection moves the log into the database
            self._owned.clear()
            self._unreleased.clear()
            if self._lock is not None:
                self._lock.remove()
                self._lock = None

    async def create(self, run: NewRun, first: Entry) -> bool:
        commits = self._ready()

        def job(connection: sqlite3.Connection) -> bool:
            is_new = journal.create(connection, commits.heads, self._owner, run, first)
            if is_new:
                self._owned[run.run_id] = first.epoch
            return is_new

        return await commits.call(job, is_alone=self._is_alone)

    async def acquire(self, run_id: str) -> RunRow:
        commits = self._ready()
        at = self._clock()

        def job(connection: sqlite3.Connection) -> RunRow:
            row = journal.acquire(connection, self._owner, run_id, at, self._max_takeovers)
            self._owned[run_id] = row.epoch
            return row

        return await commits.call(job, is_alone=self._is_alone)

    async def release(self, run_id: str, epoch: int) -> None:
        commits = self._writing()
        if self._owned.get(run_id) == epoch:
            del self._owned[run_id]
            commits.heads.pop(run_id, None)
        try:
            await commits.call(
                lambda connection: journal.release(connection, self._owner, [run_id], epoch), is_alone=self._is_alone
            )
        except StoreError:
            self._unreleased.append((run_id, epoch))  # it is tried again with every renewal

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        if self._commits is None:
            acknowledge(self._closed())
        else:
            self._commits.put(entry, acknowledge, is_alone=entry.alone and len(self._owned) <= self._few)

    async def row(self, run_id: str) -> RunRow | None:
        found = self._read(f"SELECT {CHECKED} FROM runs WHERE run_id=?", run_id)
        if not found:
            self._look_beside(run_id)
        return row_of(found[0]) if found else None

    async def rows(
        self,
        *,
        prefix: str = "",
        status: RunStatus | None = None,
        workflow: str | None = None,
        tag: str | None = None,
        since: float | None = None,
        nested: bool = True,
        limit: int | None = None,
        before: RunRow | None = None,
    ) -> Sequence[RunRow]:
        terms = terms_of(workflow, tag, since, nested)
        statement, values = listing(terms, prefix=prefix, status=status, limit=limit, before=before)
        if limit is None or not self._is_checked:  # of a list, nobody would notice what is missing
            self._check_runs()
        return in_order([row_of(found) for found in self._read(statement, *values)])

    async def counts(
        self, *, workflow: str | None = None, tag: str | None = None, since: float | None = None, nested: bool = False
    ) -> Mapping[RunStatus, int]:
        terms = terms_of(workflow, tag, since, nested)
        if not self._is_checked:
            self._check_runs()
        return counted(self._read(f"SELECT status, count(*) FROM runs {terms.where()}GROUP BY status", *terms.values))

    async def ready(self, now: float, workflows: Collection[str], *, limit: int) -> Sequence[RunRow]:
        return self._look(lambda reader: ready(reader, self._owner, now, workflows, limit))

    async def alive(self) -> Collection[str]:
        return self._look(lambda reader: alive(reader, self._owner))

    async def children(self, run_id: str, *, status: RunStatus | None = None) -> Sequence[RunRow]:
        if status is None and not self._is_checked:
            self._check_runs()
        term, values = ("", ()) if status is None else (" AND status=?", (status,))
        found = self._read(f"SELECT {CHECKED} FROM runs WHERE parent_run=?{term} ORDER BY number", run_id, *values)
        return [row_of(columns) for columns in found]

    async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[StoredRecord]:
        found: list[Any] = []
        for run, low, high in self._read(_LINE, run_id):
            if after < high and (limit is None or len(found) < limit):
                most = -1 if limit is None else limit - len(found)
                between = place_of(run, max(low, after)), place_of(run, high)
                found += self._read(f"{_RECORDS} place>? AND place<=? ORDER BY place LIMIT ?", *between, most)
        return [record_of(run_id, values) for values in found]

    async def record(self, run_id: str, seq: int) -> StoredRecord | None:
        for run, low, high in self._read(_LINE, run_id):
            if low < seq <= high:
                found = self._read(f"{_RECORDS} place=?", place_of(run, seq))
                return record_of(run_id, found[0]) if found else None
        return None

    async def snapshot_seq(self, run_id: str, until: int) -> int:
        for run, low, high in reversed(self._read(_LINE, run_id)):
            if low < until:
                found = self._read(_SNAPSHOT, place_of(run, low), place_of(run, min(high, until)))
                if found:
                    return int(found[0][0])
        return 0

    async def openings(self, run_id: str) -> Sequence[Opening]:
        return openings_of(run_id, self._read(_OPENINGS, run_id))

    async def definition(self, fingerprint: str) -> str | None:
        found = self._read("SELECT description FROM definitions WHERE fingerprint=?", fingerprint)
        return str(found[0][0]) if found else None

    async def define(self, fingerprint: str, text: str) -> None:
        await self._writing().call(lambda connection: journal.define(connection, fingerprint, text))

    async def cached(self, key: str, now: float) -> str | None:
        found = self._read(_CACHED, key, now)
        return result_of(found[0]) if found else None

    async def post(self, message: Message) -> bool:
        return await self._writing().call(lambda connection: journal.post(connection, message))

    async def inbox(self, run_id: str) -> Sequence[Message]:
        found = self._read(f"{_MESSAGES} AND taken IS NULL ORDER BY number", run_id)
        return [posted_of(values).message for values in found]

    async def news(self, after: int) -> Sequence[Notice]:
        return [Notice(*values) for values in self._read(_NEWS, after)]

    async def posted(self, run_id: str) -> Sequence[Posted]:
        return [posted_of(values) for values in self._read(f"{_MESSAGES} ORDER BY number", run_id)]

    async def weigh(self, run_ids: Sequence[str]) -> Weight:
        return care.weighed(self._read(care.WEIGH, dumps(run_ids)))

    async def delete(self, rows: Sequence[RunRow]) -> bool:
        return await self._writing().call(lambda connection: care.delete(connection, self._owner, rows), shares=False)

    async def insert(self, runs: Sequence[WholeRun]) -> bool:
        return await self._writing().call(lambda connection: care.insert(connection, runs), shares=False)

    async def rewrite(self, run: WholeRun) -> bool:
        return await self._writing().call(lambda connection: care.rewrite(connection, self._owner, run), shares=False)

    async def sweep(self, now: float | None, *, dry_run: bool = False) -> Leftovers:
        return await self._writing().call(lambda connection: care.sweep(connection, now, dry_run=dry_run), shares=False)

    async def compact(self) -> int:
        return await self._writing().call(care.compact, shares=False)

    async def check(self) -> Sequence[str]:
        found = self._read("PRAGMA integrity_check(20)")
        return [] if found == [("ok",)] else [care.told(self.path, str(line)) for (line,) in found]

    def _check_runs(self) -> None:
        """Check that the table of runs is whole, with its indexes; the time that takes grows with the runs alone."""
        found = self._read("PRAGMA integrity_check(runs)")
        if found != [("ok",)]:
            raise DamagedStore("its runs", str(found[0][0]).rstrip("."))
        for (run_id,) in self._read(UNTAGGED):
            raise DamagedStore(f"run {run_id!r}", "it cannot be found by its tags")
        self._is_checked = True

    def _look_beside(self, run_id: str) -> None:
        """Check the runs before and after one that was not found: damage to its id would have led to one of them."""
        for order in ("< ? ORDER BY run_id DESC", "> ? ORDER BY run_id"):
            for number, found in self._read(f"SELECT number, run_id FROM runs WHERE run_id {order} LIMIT 1", run_id):
                rows = self._read(f"SELECT {CHECKED} FROM runs WHERE number=?", number)
                if not rows or row_of(rows[0]).run_id != found:
                    raise DamagedStore(f"run {found!r}", "it is not where it belongs")

    @property
    def _is_alone(self) -> bool:
        """Whether a run that comes or goes is better committed by itself."""
        return len(self._owned) < self._few

    def _ready(self) -> Commits:
        """Get what an owner needs: its lock file, its connection, and the thread that renews its leases."""
        commits = self._writing()
        if self._lock is None:
            try:
                commits.start()
                remove_free(self.path.parent, f"{escape(self.path.name)}-owner-*.lock")
                self._lock = LockFile(self._owner.lock)
            except FAILURES as error:
                raise failure(self.path, "written", error) from error
        return commits

    def _writing(self) -> Commits:
        if self._commits is None:
            raise self._closed()
        return self._commits

    def _closed(self) -> StoreError:
        return StoreError(f"The store {self.path} is not open.")

    def _read(self, statement: str, *values: Value) -> list[Any]:
        return self._look(lambda reader: reader.execute(statement, values).fetchall())

    def _look(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Do what only reads."""
        if self._reader is None:
            raise self._closed()
        try:
            return job(self._reader)
        except FAILURES as error:
            raise failure(self.path, "read", error) from error

    def _renew(self, connection: sqlite3.Connection) -> None:
        journal.renew(connection, self._owner, list(self._owned))
        while self._unreleased:
            run_id, epoch = self._unreleased[0]
            journal.release(connection, self._owner, [run_id], epoch)
            self._unreleased.popleft()
