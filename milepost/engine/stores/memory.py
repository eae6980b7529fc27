"""MemoryStore:

journals in this process, encoded and checked like those of every other store. For tests and short runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

from milepost.engine.errors import LeaseLost, RunBusy, UnknownRun
from milepost.engine.stores.store import Acknowledge, Entry, NewRun, Opening, RunRow, StoredRecord


@dataclass(slots=True)
class Journals:
    """What a MemoryStore holds; two stores made with the same journals see the same runs."""

    rows: dict[str, RunRow] = field(default_factory=dict[str, RunRow])
    records: dict[str, list[StoredRecord]] = field(default_factory=dict[str, list[StoredRecord]])
    openings: dict[str, list[Opening]] = field(default_factory=dict[str, list[Opening]])
    definitions: dict[str, str] = field(default_factory=dict[str, str])
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
        self.journals.definitions[run.fingerprint] = run.definition
        self.journals.rows[run.run_id] = RunRow(
            run_id=run.run_id,
            workflow=run.workflow,
            version=run.version,
            fingerprint=run.fingerprint,
            status=first.status,
            isolation=run.isolation,
            created=first.at,
            updated=first.at,
            seq=0,
            hash="",
            snapshot_seq=0,
            epoch=1,
            owner=self._owner,
            error=None,
            output=None,
        )
        self.journals.records[run.run_id] = []
        self.journals.openings[run.run_id] = [Opening(1, self._owner, first.at)]
        self._commit(first)
        return True

    async def acquire(self, run_id: str) -> RunRow:
        row = self.journals.rows.get(run_id)
        if row is None:
            raise UnknownRun(run_id)
        if row.owner is not None and row.owner != self._owner and row.owner in self.journals.alive:
            raise RunBusy(run_id, row.owner)
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
        )

    async def row(self, run_id: str) -> RunRow | None:
        return self.journals.rows.get(run_id)

    async def rows(self) -> Sequence[RunRow]:
        return sorted(self.journals.rows.values(), key=lambda row: -row.created)

    async def records(self, run_id: str, *, after: int = 0) -> Sequence[StoredRecord]:
        return self.journals.records.get(run_id, [])[after:]

    async def record(self, run_id: str, seq: int) -> StoredRecord | None:
        records = self.journals.records.get(run_id, [])
        return records[seq - 1] if 0 < seq <= len(records) else None

    async def openings(self, run_id: str) -> Sequence[Opening]:
        return self.journals.openings.get(run_id, [])

    async def definition(self, fingerprint: str) -> str | None:
        return self.journals.definitions.get(fingerprint)
