"""PostgresStore: journals in a PostgreSQL database, for any number of processes on any number of machines."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

import anyio

from milepost.engine.errors import InputError, StoreError
from milepost.engine.stores import postgres_care as care
from milepost.engine.stores import postgres_journal as journal
from milepost.engine.stores import postgres_rows as rows
from milepost.engine.stores.owner import owner_here
from milepost.engine.stores.store import (
    Acknowledge,
    Durability,
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
from milepost.engine.trace import RunStatus

if TYPE_CHECKING:
    from typing import LiteralString

    from psycopg import Connection
    from psycopg.rows import TupleRow

    from milepost.engine.stores.postgres_committer import Committer
    from milepost.engine.stores.postgres_connections import Connections, Link
    from milepost.engine.stores.postgres_heartbeat import Heartbeat

T = TypeVar("T")

_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_PATIENCE_FOR_VACUUM: Final = 3600.0
_PATIENCE_WITH_OWNERS: Final = 2.0
"""Seconds that an owner has to connect again, as after a restart of the server, before it counts as dead."""
_LOOK_AGAIN_AFTER: Final = 0.1
_PATIENCE_AT_THE_END: Final = 1.0
"""Seconds for giving up leases: those that cannot be given up run out by themselves."""


class PostgresStore:
    """Keeps journals in a PostgreSQL database, which any number of processes on any number of machines may use.

    dsn: the address, e.g. postgresql://user:password@host/name, or another connection string of libpq. durability: what
    a committed record survives. "power": the death of the server's machine (synchronous_commit on); commits of all runs
    of this process share a transaction. "process" and "none": the death of this process at any instant; a server that
    dies may lose the commits of its last second, never the order or the integrity. schema: where the tables are; it is
    made if it is missing, unless create is False. connections: at most so many, and two more for committing and for
    leases. ttl: seconds that a lease lasts unless it is renewed; an owner without any connection to the server is dead
    before that, after two seconds. max_takeovers: how often a run is taken over from dead
    owners without a new record, until CrashLoop. patience: seconds for which the server may be away, e.g. while it
    restarts: until then what is written waits, and is written once. clock: seconds since 1970 UTC, for people; leases
    go by the server's own clock.
    It runs on asyncio only, as psycopg does. A server that is reached through a pool of connections must give each
    client one of its own (session pooling).
    Raises InputError: the address or the schema cannot be. StoreError: psycopg is not installed.
    """

    def __init__(
        self,
        dsn: str,
        *,
        durability: Durability = "power",
        schema: str = "milepost",
        create: bool = True,
        clock: Callable[[], float] = time.time,
        ttl: float = 30.0,
        max_takeovers: int = 100,
        connections: int = 4,
        patience: float = 30.0,
    ) -> None:
        if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
            raise InputError(
                f"{schema!r} cannot name the schema of a store. Take small letters, digits and _, at most 63 of them, "
                "not beginning with a digit or with pg_."
            )
        try:
            from milepost.engine.stores.postgres_connections import Connections
        except ImportError as error:
            raise StoreError(
                "A store in PostgreSQL needs psycopg. Install it: pip install 'milepost[postgres]'"
            ) from error
        self.durability: Durability = durability
        self.schema = schema
        self._create = create
        self._clock = clock
        self._ttl = ttl
        self._max_takeovers = max_takeovers
        self._owner = owner_here()
        self._reach: Callable[[], Connections] = lambda: Connections(
            dsn, schema=schema, owner=self._owner, durability=durability, most=connections, patience=patience
        )
        self._name = self._reach().name
        self._connections: Connections | None = None
        self._committer: Committer | None = None
        self._heartbeat: Heartbeat | None = None
        self._entering = anyio.Lock()
        self._owned: dict[str, int] = {}  # run id: epoch
        self._owning: Counter[str] = Counter()  # how many are about to own a run just now
        # (run id, epoch) of leases that are still to be given up; None where nobody knows whether one was got
        self._unreleased: deque[tuple[str, int | None]] = deque()

    def __repr__(self) -> str:
        return f"<PostgresStore {self._name}>"

    async def open(self) -> None:
        from milepost.engine.stores.postgres_committer import Committer
        from milepost.engine.stores.postgres_schema import establish

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise StoreError(
                f"The store {self._name} runs on asyncio only, as psycopg does. Run your program with asyncio.run, or "
                "with anyio.run without another backend."
            ) from None
        connections = self._reach()

        async def job(connection: Link) -> None:
            await establish(connection, self.schema, self._name, create=self._create)

        try:
            await connections.use("opened", job, once=True)
        except BaseException:
            await connections.end()
            raise
        self._connections = connections
        self._committer = Committer(connections, self._owner)
        self._entering = anyio.Lock()

    async def close(self) -> None:
        connections, committer, heartbeat = self._connections, self._committer, self._heartbeat
        if connections is None or committer is None:
            return
        self._connections = self._committer = self._heartbeat = None
        await committer.close()
        if heartbeat is not None:
            await heartbeat.stop(_PATIENCE_AT_THE_END)
            owned = list(self._owned)
            with suppress(StoreError):  # nothing is lost: the leases run out
                await connections.use(
                    "written",
                    lambda connection: journal.leave(connection, self._owner, owned),
                    shield=True,
                    patience=_PATIENCE_AT_THE_END,
                )
        self._owned.clear()
        self._unreleased.clear()
        await connections.end()

    async def create(self, run: NewRun, first: Entry) -> bool:
        await self._enter()
        creating = uuid4().hex

        async def job(connection: Link) -> bool:
            is_new = await journal.create(connection, self._owner, run, first, creating)
            if is_new:
                self._owned[run.run_id] = first.epoch
            return is_new

        return await self._own(run.run_id, job)

    async def acquire(self, run_id: str) -> RunRow:
        await self._enter()
        at = self._clock()
        gone: str | None = None

        async def job(connection: Link) -> RunRow | journal.Absent:
            found = await journal.acquire(connection, self._owner, run_id, at, self._max_takeovers, gone=gone)
            if isinstance(found, RunRow):
                self._owned[run_id] = found.epoch
            return found

        while not isinstance(found := await self._own(run_id, job), RunRow):
            gone = found.owner if await self._stays_away(found) else None
        return found

    async def release(self, run_id: str, epoch: int) -> None:
        connections = self._reached()
        if self._owned.get(run_id) == epoch:
            del self._owned[run_id]
        try:
            await connections.use(
                "written",
                lambda connection: journal.release(connection, self._owner, run_id, epoch),
                shield=True,
                patience=_PATIENCE_AT_THE_END,
            )
        except StoreError:
            self._unreleased.append((run_id, epoch))  # the heartbeat does it, as soon as it reaches the server

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        if self._committer is None:
            acknowledge(self._closed())
        else:
            self._committer.submit(entry, acknowledge)

    async def row(self, run_id: str) -> RunRow | None:
        found = await self._read(rows.ROW, run_id)
        return rows.row_of(found[0]) if found else None

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
        terms = rows.terms_of(workflow, tag, since, nested)
        statement, values = rows.listing(terms, prefix=prefix, status=status, limit=limit, before=before)
        return [rows.row_of(found) for found in await self._read(statement, *values)]

    async def counts(
        self, *, workflow: str | None = None, tag: str | None = None, since: float | None = None, nested: bool = False
    ) -> Mapping[RunStatus, int]:
        terms = rows.terms_of(workflow, tag, since, nested)
        statement: LiteralString = f"SELECT status, count(*) FROM runs {terms.where()}GROUP BY status"
        return dict(await self._read(statement, *terms.values))

    async def ready(self, now: float, workflows: Collection[str], *, limit: int) -> Sequence[RunRow]:
        found = await self._read(rows.READY, self._owner, now, list(workflows), limit)
        return [rows.row_of(values) for values in found]

    async def alive(self) -> Collection[str]:
        return {self._owner, *(owner for (owner,) in await self._read(rows.ALIVE))}

    async def children(self, run_id: str, *, status: RunStatus | None = None) -> Sequence[RunRow]:
        return [rows.row_of(found) for found in await self._read(rows.CHILDREN, run_id, status, status)]

    async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[StoredRecord]:
        return [StoredRecord(*found) for found in await self._read(rows.RECORDS, run_id, after, limit, limit)]

    async def record(self, run_id: str, seq: int) -> StoredRecord | None:
        found = await self._read(rows.RECORD, run_id, seq)
        return StoredRecord(*found[0]) if found else None

    async def snapshot_seq(self, run_id: str, until: int) -> int:
        found = await self._read(rows.SNAPSHOT, run_id, until)
        return int(found[0][0]) if found else 0

    async def openings(self, run_id: str) -> Sequence[Opening]:
        return [Opening(*found) for found in await self._read(rows.OPENINGS, run_id)]

    async def definition(self, fingerprint: str) -> str | None:
        found = await self._read(rows.DEFINITION, fingerprint)
        return str(found[0][0]) if found else None

    async def define(self, fingerprint: str, text: str) -> None:
        await self._write(lambda connection: journal.define(connection, fingerprint, text))

    async def cached(self, key: str, now: float) -> str | None:
        found = await self._read(rows.CACHED, key, now)
        return str(found[0][0]) if found else None

    async def post(self, message: Message) -> bool:
        posting = uuid4().hex
        return await self._write(lambda connection: journal.post(connection, message, posting))

    async def inbox(self, run_id: str) -> Sequence[Message]:
        return [Message(*found) for found in await self._read(rows.INBOX, run_id)]

    async def news(self, after: int) -> Sequence[Notice]:
        return [Notice(*found) for found in await self._read(rows.NEWS, after)]

    async def posted(self, run_id: str) -> Sequence[Posted]:
        return [Posted(Message(*found), taken) for *found, taken in await self._read(rows.POSTED, run_id)]

    async def weigh(self, run_ids: Sequence[str]) -> Weight:
        (found,) = await self._read(care.WEIGH, list(run_ids))
        return Weight(*found)

    async def delete(self, rows: Sequence[RunRow]) -> bool:
        tries = count()
        return await self._write(lambda connection: care.delete(connection, self._owner, rows, again=next(tries) > 0))

    async def insert(self, runs: Sequence[WholeRun]) -> bool:
        creating = uuid4().hex
        return await self._write(lambda connection: care.insert(connection, runs, creating))

    async def rewrite(self, run: WholeRun) -> bool:
        return await self._write(lambda connection: care.rewrite(connection, self._owner, run))

    async def sweep(self, now: float | None, *, dry_run: bool = False) -> Leftovers:
        return await self._write(lambda connection: care.sweep(connection, now, dry_run=dry_run))

    async def compact(self) -> int:
        return await self._reached().use("written", care.compact, shield=True, patience=_PATIENCE_FOR_VACUUM)

    async def check(self) -> Sequence[str]:
        return []  # the server sees to it: see its data_checksums

    async def _enter(self) -> None:
        """Become somebody who can own runs, and whose lease is renewed."""
        from milepost.engine.stores.postgres_heartbeat import Heartbeat

        connections = self._reached()
        async with self._entering:
            if self._heartbeat is None:
                await self._write(lambda connection: journal.enter(connection, self._owner, self._ttl))
                self._heartbeat = Heartbeat(connect=connections.connect_blocking, beat=self._beat, pause=self._ttl / 3)

    def _beat(self, connection: Connection[TupleRow]) -> None:
        connection.execute(journal.BEAT, (self._owner, self._ttl))
        while self._unreleased:
            run_id, epoch = self._unreleased[0]
            if epoch is None:
                epoch = self._got_unheard(connection, run_id)
            if epoch is not None:
                connection.execute(journal.LET_GO, (run_id, self._owner, epoch))
            self._unreleased.popleft()

    def _got_unheard(self, connection: Connection[TupleRow], run_id: str) -> int | None:
        """Return the number of a lease that this store has got without having heard of it; None for no such."""
        found = connection.execute(journal.EPOCH, (run_id, self._owner)).fetchone()
        # Only now, as whoever owns the run since then has another number, or is among these.
        return None if found is None or run_id in self._owned or self._owning[run_id] else int(found[0])

    async def _own(self, run_id: str, job: Callable[[Link], Awaitable[T]]) -> T:
        """Do a job that makes this store the owner of a run."""
        self._owning[run_id] += 1
        try:
            return await self._write(job)
        except (StoreError, anyio.get_cancelled_exc_class()):
            self._unreleased.append((run_id, None))
            raise
        finally:
            self._owning[run_id] -= 1

    async def _stays_away(self, absent: journal.Absent) -> bool:
        """Wait for an owner to connect again, for a while. Returns whether it has not."""
        until = monotonic() + min(_PATIENCE_WITH_OWNERS, absent.seconds)
        while monotonic() < until:
            await anyio.sleep(_LOOK_AGAIN_AFTER)
            if await self._reached().use("read", lambda connection: journal.is_there(connection, absent.owner)):
                return False
        return True

    def _reached(self) -> Connections:
        if self._connections is None:
            raise self._closed()
        return self._connections

    def _closed(self) -> StoreError:
        return StoreError(f"The store {self._name} is not open.")

    async def _write(self, job: Callable[[Link], Awaitable[T]]) -> T:
        return await self._reached().use("written", job, shield=True)

    async def _read(self, statement: LiteralString, *values: object) -> list[Any]:
        async def job(connection: Link) -> list[Any]:
            cursor = await connection.execute(statement, values)
            return await cursor.fetchall()

        return await self._reached().use("read", job)
