"""MemoryStore:

journals in this process, encoded and checked like those of every other store. For tests and short runs.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import takewhile
from typing import Final
from uuid import uuid4

from milepost.engine.errors import LeaseLost, RunBusy, UnknownRun
from milepost.engine.stores.store import (
    Acknowledge,
    CacheEntry,
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

OVER: Final = ("completed", "cancelled")
UNDER_WAY: Final = ("running", "waiting")


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
    """Messages to all runs. newest: the number of the last one. posted: by run and id. waiting: by number, in order."""

    newest: int = 0
    posted: dict[tuple[str, str], Posted] = field(default_factory=dict[tuple[str, str], Posted])
    waiting: dict[int, Message] = field(default_factory=dict[int, Message])

    def add(self, message: Message, taken: int | None = None) -> bool:
        """Add a message; False if there was one of its id. taken: the record that has taken it in already."""
        name = message.run_id, message.id
        if name in self.posted:
            return False
        self.newest += 1
        message = message._replace(number=self.newest)
        self.posted[name] = Posted(message, taken)
        if taken is None:
            self.waiting[message.number] = message
        return True

    def take(self, run_id: str, message_id: str, seq: int) -> None:
        """Let a message go, but not the memory of its id. seq: of the record that takes it, 0 for none."""
        name = run_id, message_id
        if name in self.posted and self.posted[name].taken is None:
            message = self.posted[name].message
            self.posted[name] = Posted(message._replace(payload=""), seq)
            del self.waiting[message.number]


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
        for row in self.journals.rows.values():
            if row.owner == self._owner:
                self.journals.rows[row.run_id] = replace(row, owner=None)

    async def create(self, run: NewRun, first: Entry) -> bool:
        if run.run_id in self.journals.rows:
            return False
        if run.forked_from is not None and run.forked_from not in self.journals.rows:
            raise UnknownRun(run.forked_from)
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
        row = self.journals.rows.get(run_id)
        if row is not None and (row.epoch, row.owner) == (epoch, self._owner):
            self.journals.rows[run_id] = replace(row, owner=None)

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        row = self.journals.rows.get(entry.run_id)
        if row is None or row.epoch != entry.epoch or row.seq != entry.seq - 1 or not self._has_opened(row):
            acknowledge(LeaseLost(entry.run_id))
            return
        self._commit(entry)
        acknowledge(None)

    def _has_opened(self, row: RunRow) -> bool:
        """Tell whether this store was the last to become the owner of a run.

        The number of a lease is not enough: the run may have been removed, and another begun with its id.
        """
        openings = self.journals.openings[row.run_id]
        return bool(openings) and openings[-1].owner == self._owner

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
            due=entry.due,
        )
        for message_id in entry.taken:
            self.journals.inbox.take(entry.run_id, message_id, entry.seq)
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
        tag: str | None = None,
        since: float | None = None,
        nested: bool = True,
        limit: int | None = None,
        before: RunRow | None = None,
    ) -> Sequence[RunRow]:
        found = [
            row
            for row in self._found(workflow, tag, since, nested)
            if row.run_id.startswith(prefix)
            and status in (None, row.status)
            and (before is None or _place(row) > _place(before))
        ]
        return sorted(found, key=_place)[:limit]

    async def counts(
        self, *, workflow: str | None = None, tag: str | None = None, since: float | None = None, nested: bool = False
    ) -> Mapping[RunStatus, int]:
        return Counter(row.status for row in self._found(workflow, tag, since, nested))

    def _found(self, workflow: str | None, tag: str | None, since: float | None, nested: bool) -> Iterator[RunRow]:
        for row in self.journals.rows.values():
            if (
                workflow in (None, row.workflow)
                and (tag is None or tag in row.tags)
                and (since is None or row.created >= since)
                and (nested or row.parent_run is None)
            ):
                yield row

    async def ready(self, now: float, workflows: Collection[str], *, limit: int) -> Sequence[RunRow]:
        spoken_to = {message.run_id for message in self.journals.inbox.waiting.values()}
        found: dict[str, RunRow] = {}
        for row in self.journals.rows.values():
            if row.status == "running":
                can_go_on = self._is_free(row)
            elif row.status == "waiting":
                can_go_on = row.run_id in spoken_to or (row.due is not None and row.due <= now)
            else:
                continue
            above = self._outermost(row) if can_go_on else None
            if above is not None and above.workflow in workflows and self._is_free(above):
                found[above.run_id] = above
        return sorted(found.values(), key=lambda row: (row.updated, row.run_id))[:limit]

    def _outermost(self, row: RunRow) -> RunRow | None:
        """Return the outermost run around one; None where one of those around it is over or not here."""
        above: RunRow | None = row
        while above is not None and above.status in UNDER_WAY and above.parent_run is not None:
            above = self.journals.rows.get(above.parent_run)
        return above if above is not None and above.status in UNDER_WAY else None

    def _is_free(self, row: RunRow) -> bool:
        """Tell whether nobody alive owns a run, nor this store."""
        return row.owner not in self.journals.alive and row.owner != self._owner

    async def alive(self) -> Collection[str]:
        return {*self.journals.alive, self._owner}

    async def children(self, run_id: str, *, status: RunStatus | None = None) -> Sequence[RunRow]:
        rows = self.journals.rows.values()
        return [row for row in rows if row.parent_run == run_id and status in (None, row.status)]

    async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[StoredRecord]:
        found: list[StoredRecord] = []
        for own, low, high in self._line(run_id):
            found += own[max(after - low, 0) : high - low]
        return found[:limit]

    async def record(self, run_id: str, seq: int) -> StoredRecord | None:
        found = (own[seq - low - 1 : seq - low] for own, low, high in self._line(run_id) if low < seq <= high)
        return next((record for part in found for record in part), None)

    async def snapshot_seq(self, run_id: str, until: int) -> int:
        for own, low, high in reversed(self._line(run_id)):
            for record in reversed(own[: max(min(high, until) - low, 0)]):
                if record.snapshot is not None:
                    return record.seq
        return 0

    def _line(self, run_id: str) -> list[tuple[list[StoredRecord], int, int]]:
        """Return where the records of a run are, the first ones first: each part is own[: high - low], after `low`."""
        found: list[tuple[list[StoredRecord], int, int]] = []
        row, high = self.journals.rows.get(run_id), sys.maxsize
        while row is not None:
            found.append((self.journals.records[row.run_id], row.forked_at, high))
            high = row.forked_at
            row = None if row.forked_from is None else self.journals.rows.get(row.forked_from)
        return found[::-1]

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

    async def posted(self, run_id: str) -> Sequence[Posted]:
        return [each for each in self.journals.inbox.posted.values() if each.message.run_id == run_id]

    async def weigh(self, run_ids: Sequence[str]) -> Weight:
        kept = [self.journals.records[run_id] for run_id in run_ids if run_id in self.journals.records]
        records = [record for each in kept for record in each]
        sizes = (len(f"{record.body}{record.content}{record.snapshot or ''}".encode()) for record in records)
        return Weight(len(kept), len(records), sum(sizes))

    async def delete(self, rows: Sequence[RunRow]) -> bool:
        ids = {row.run_id for row in rows}
        others = (row for row in self.journals.rows.values() if row.run_id not in ids)
        if not all(self._stands(row) for row in rows) or any({row.parent_run, row.forked_from} & ids for row in others):
            return False
        for run_id in ids:
            for table in (self.journals.rows, self.journals.records, self.journals.openings):
                del table[run_id]
        inbox = self.journals.inbox
        inbox.posted = {name: each for name, each in inbox.posted.items() if name[0] not in ids}
        inbox.waiting = {number: each for number, each in inbox.waiting.items() if each.run_id not in ids}
        return True

    def _stands(self, row: RunRow) -> bool:
        """Tell whether a run is as its row says, and nobody drives it."""
        now = self.journals.rows.get(row.run_id)
        return now is not None and (now.epoch, now.seq) == (row.epoch, row.seq) and self._is_free(now)

    async def insert(self, runs: Sequence[WholeRun]) -> bool:
        if any(run.row.run_id in self.journals.rows for run in runs):
            return False
        for run in runs:
            run_id = run.row.run_id
            self.journals.definitions.setdefault(run.row.fingerprint, run.definition)
            self.journals.rows[run_id] = replace(run.row, owner=None)
            self.journals.records[run_id] = list(run.records)
            self.journals.openings[run_id] = list(run.openings)
            for message, taken in run.messages:
                self.journals.inbox.add(message, taken)
        return True

    async def rewrite(self, run: WholeRun) -> bool:
        row, run_id = run.row, run.row.run_id
        if not self._stands(row):
            return False
        now = self.journals.rows[run_id]
        self.journals.rows[run_id] = replace(now, hash=row.hash, error=row.error, output=row.output)
        for record in run.records:
            self.journals.records[run_id][record.seq - now.forked_at - 1] = record
        inbox = self.journals.inbox
        for message, _ in run.messages:
            posted = inbox.posted.get((run_id, message.id))
            if posted is None:
                continue
            payload = message.payload if posted.taken is None else ""
            told = posted.message._replace(payload=payload, by=message.by)
            inbox.posted[run_id, message.id] = Posted(told, posted.taken)
            if posted.taken is None:
                inbox.waiting[told.number] = told
        return True

    async def sweep(self, now: float | None, *, dry_run: bool = False) -> Leftovers:
        results, inbox = self.journals.results, self.journals.inbox
        gone = [
            entry
            for entry in results.entries.values()
            if now is None or (entry.expires is not None and entry.expires <= now)
        ]
        over = {row.run_id for row in self.journals.rows.values() if row.status in OVER and row.owner is None}
        unread = [message for message in inbox.waiting.values() if message.run_id in over]
        if not dry_run:
            for entry in gone:
                del results.entries[entry.key]
            for message in unread:
                inbox.take(message.run_id, message.id, 0)
        size = sum(len(entry.value.encode()) for entry in gone) + sum(len(one.payload.encode()) for one in unread)
        return Leftovers(len(gone), len(unread), size)

    async def compact(self) -> int:
        return 0

    async def check(self) -> Sequence[str]:
        return []


def _place(row: RunRow) -> tuple[float, str]:
    """Return what rows are listed by."""
    return -row.created, row.run_id
