"""MemoryStore:

journals in this process, encoded and checked like those of every other store. For tests and short runs.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import takewhile
from uuid import uuid4

from milepost.engine.errors import LeaseLost, RunBusy, UnknownRun
from milepost.engine.stores.store import (
    Acknowledge,
    CacheEntry,
    Entry,
    Message,
    NewRun,
    Notice,
    Opening,
    RunRow,
    StoredRecord,
)
from milepost.engine.trace import RunStatus


@dataclass(slots=True)
class Results:
    """Results of tasks by their keys. expiring: when which key expires, the next one first; a heap."""

    entries: dict[str, CacheEntry] = field(default_factory=dict[str, CacheEntry])
    expiring: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])

    def keep(self, entry: CacheEntry, now: float) -> None:
        """Keep a result in place of an earlier one, and let go of what has expired."""
        self.entries[entry.key] = entry
        if entry.expires is not None:
            heappush(self.expiring, (entry.expires, entry.key))
        while self.expiring and self.expiring[0][0] <= now:
            _, key = heappop(self.expiring)
            if self.get(key, now) is None:
                self.entries.pop(key, None)

    def get(self, key: str, now: float) -> str | None:
        """Return what is kept under a key and has not expired."""
        entry = self.entries.get(key)
        return None if entry is None or (entry.expires is not None and entry.expires <= now) else entry.value


@dataclass(slots=True)
class Inbox:
    """Messages to all runs. numbers: of every message there ever was, by run and id. waiting: by number, in order."""

    numbers: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    waiting: dict[int, Message] = field(default_factory=dict[int, Message])

    def add(self, message: Message) -> bool:
        """Add a message; False if there was one of its id."""
        name, number = (message.run_id, message.id), len(self.numbers) + 1
        if name in self.numbers:
            return False
        self.numbers[name] = number
        self.waiting[number] = message._replace(number=number)
        return True

    def take(self, run_id: str, message_id: str) -> None:
        """Let a message go, but not the memory of its id."""
        self.waiting.pop(self.numbers.get((run_id, message_id), 0), None)


@dataclass(slots=True)
class Journals:
    """What a MemoryStore holds; two stores made with the same journals see the same runs."""

    rows: dict[str, RunRow] = field(default_factory=dict[str, RunRow])
    records: dict[str, list[StoredRecord]] = field(default_factory=dict[str, list[StoredRecord]])
    openings: dict[str, list[Opening]] = field(default_factory=dict[str, list[Opening]])
    definitions: dict[str, str] = field(default_factory=dict[str, str])
    results: Results = field(default_factory=Results)
    inbox: Inbox = field(default_factory=Inbox)
    alive: set[str] = field(default_factory=set[str])


class MemoryStore:
    """Keeps everything in memory until the process ends.

    journals: share them between stores to stand for several processes on one store. clock: seconds since 1970 UTC.
    """

    def __init__(self, journals: Journals | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self.journals = Journals() if journals is None else journals
        self._clock = clock
        self._owner = f"this process (engine {uuid4().hex[:8]})"

    async def open(self) -> None:
        self.journals.alive.add(self._owner)

    async def close(self) -> None:
        self.journals.alive.discard(self._owner)

    async def create(self, run: NewRun, first: Entry) -> bool:
        if run.run_id in self.journals.rows:
            return False
        self.journals.definitions.setdefault(run.fingerprint, run.definition)
        self.journals.rows[run.run_id] = run.row(first, self._owner)
        self.journals.records[run.run_id] = []
        self.journals.openings[run.run_id] = [Opening(1, self._owner, first.at)]
        self._commit(first)
        return True

    async def acquire(self, run_id: str) -> RunRow:
        row = self.journals.rows.get(run_id)
        if row is None:
            raise UnknownRun(run_id)
        if row.owner is not None and row.owner != self._owner and row.owner in self.journals.alive:
            since = datetime.fromtimestamp(self.journals.openings[run_id][-1].at, UTC)
            raise RunBusy(run_id, row.owner, host=platform.node(), pid=os.getpid(), since=since)
        row = replace(row, epoch=row.epoch + 1, owner=self._owner)
        self.journals.rows[run_id] = row
        self.journals.openings[run_id].append(Opening(row.epoch, self._owner, self._clock()))
        return row

    async def release(self, run_id: str, epoch: int) -> None:
        row = self.journals.rows[run_id]
        if row.epoch == epoch:
            self.journals.rows[run_id] = replace(row, owner=None)

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        row = self.journals.rows[entry.run_id]
        if row.epoch != entry.epoch or row.seq != entry.seq - 1:
            acknowledge(LeaseLost(entry.run_id))
            return
        self._commit(entry)
        acknowledge(None)

    def _commit(self, entry: Entry) -> None:
        row = self.journals.rows[entry.run_id]
        self.journals.records[entry.run_id].append(
            StoredRecord(entry.seq, entry.body, entry.content, entry.hash, entry.at, entry.snapshot)
        )
        self.journals.rows[entry.run_id] = replace(
            row,
            status=entry.status,
            updated=entry.at,
            seq=entry.seq,
            hash=entry.hash,
            snapshot_seq=row.snapshot_seq if entry.snapshot is None else entry.seq,
            error=entry.error,
            output=entry.output,
            fingerprint=row.fingerprint if entry.fingerprint is None else entry.fingerprint,
        )
        for message_id in entry.taken:
            self.journals.inbox.take(entry.run_id, message_id)
        if entry.cache is not None:
            self.journals.results.keep(entry.cache, entry.at)

    async def row(self, run_id: str) -> RunRow | None:
        return self.journals.rows.get(run_id)

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
        found = [
            row
            for row in self.journals.rows.values()
            if row.run_id.startswith(prefix)
            and status in (None, row.status)
            and workflow in (None, row.workflow)
            and (nested or row.parent_run is None)
            and (before is None or _place(row) > _place(before))
        ]
        return sorted(found, key=_place)[:limit]

    async def children(self, run_id: str, *, status: RunStatus | None = None) -> Sequence[RunRow]:
        rows = self.journals.rows.values()
        return [row for row in rows if row.parent_run == run_id and status in (None, row.status)]

    async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[StoredRecord]:
        return self.journals.records.get(run_id, [])[after:][:limit]

    async def record(self, run_id: str, seq: int) -> StoredRecord | None:
        records = self.journals.records.get(run_id, [])
        return records[seq - 1] if 0 < seq <= len(records) else None

    async def openings(self, run_id: str) -> Sequence[Opening]:
        return self.journals.openings.get(run_id, [])

    async def definition(self, fingerprint: str) -> str | None:
        return self.journals.definitions.get(fingerprint)

    async def define(self, fingerprint: str, text: str) -> None:
        self.journals.definitions.setdefault(fingerprint, text)

    async def cached(self, key: str, now: float) -> str | None:
        return self.journals.results.get(key, now)

    async def post(self, message: Message) -> bool:
        if message.run_id not in self.journals.rows:
            raise UnknownRun(message.run_id)
        return self.journals.inbox.add(message)

    async def inbox(self, run_id: str) -> Sequence[Message]:
        return [message for message in self.journals.inbox.waiting.values() if message.run_id == run_id]

    async def news(self, after: int) -> Sequence[Notice]:
        newest = takewhile(lambda number: number > after, reversed(self.journals.inbox.waiting))
        return [Notice(number, self.journals.inbox.waiting[number].run_id) for number in newest][::-1]


def _place(row: RunRow) -> tuple[float, str]:
    """Return what rows are listed by."""
    return -row.created, row.run_id
