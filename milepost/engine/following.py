"""Following a run through its store, from any process and from any of its checkpoints on."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final, Self

import anyio
from anyio.lowlevel import checkpoint

from milepost.engine.account import events_of
from milepost.engine.edges import Shape, shape_of
from milepost.engine.errors import BrokenJournal, InputError, UnknownRun
from milepost.engine.events import CommittedEvent
from milepost.engine.journal import Kind, spawned_by
from milepost.engine.opening import fetch
from milepost.engine.position import Position
from milepost.engine.reading import check_next, go_on, read_definition, read_record, read_snapshot
from milepost.engine.stores.store import RunRow, Store, StoredRecord

BATCH: Final = 200
"""How many records are read at once."""


class History:
    """The committed events of a run, read from its store in order.

    It keeps where the run stood after the last record read, and so is as large as what was pending there, not as what
    came before. after: the number of the record after which events are wanted.
    """

    def __init__(self, store: Store, run_id: str, *, after: int = 0) -> None:
        if after < 0:
            raise InputError(f"after={after} is before the first checkpoint, which is 1. Give 0 for the beginning.")
        self.row: RunRow | None = None
        self._store = store
        self._run_id = run_id
        self._after = after
        self._position = Position(keep_items=False)
        self._shape: Shape | None = None
        self._fingerprint = ""
        self._hash = ""

    @property
    def seq(self) -> int:
        """The number of the last record read."""
        return self._position.seq

    async def more(self) -> Sequence[CommittedEvent]:
        """Return the events of the next records; nothing when there are none yet.

        Raises UnknownRun, BrokenJournal, StoreError.
        """
        await checkpoint()
        row = self.row = await self._store.row(self._run_id)
        if row is None:
            raise UnknownRun(self._run_id, await similar_runs(self._store, self._run_id))
        if not self._fingerprint:
            await self._skip(row)
        found: list[CommittedEvent] = []
        while not found and self.seq < row.seq:
            records = await self._store.records(self._run_id, after=self.seq, limit=BATCH)
            if not records:
                raise BrokenJournal(self._run_id, self.seq + 1, "it is missing")
            for stored in records:
                found.extend(await self._read(stored, row))
        return found

    async def is_over(self) -> bool:
        """Tell whether everything was read and nothing more is to come, as the run has ended and nobody resumes it."""
        return self.row is not None and self.seq >= self.row.seq and await has_ended(self._store, self.row)

    async def _learn(self, row: RunRow) -> Shape:
        """Return what has to be known of the workflow; it may be another from some record on."""
        fingerprint = self._position.definition or row.fingerprint
        if self._shape is None or fingerprint != self._fingerprint:
            self._shape = shape_of(await read_definition(self._store, row.run_id, fingerprint))
            self._fingerprint = fingerprint
        return self._shape

    async def _skip(self, row: RunRow) -> None:
        """Skip what need not be read: all before a snapshot that is old enough."""
        if not 0 < row.snapshot_seq <= self._after:
            return
        await fetch(self._store, self._run_id, row.snapshot_seq)  # it is whole
        stored = await self._store.record(self._run_id, row.snapshot_seq)
        if stored is None:
            raise BrokenJournal(self._run_id, row.snapshot_seq, "it is missing")
        self._position = read_snapshot(self._run_id, stored)
        self._position.keep_items = False
        self._hash = stored.hash

    async def _read(self, stored: StoredRecord, row: RunRow) -> Sequence[CommittedEvent]:
        """Go on by one record; return its events if they are wanted."""
        check_next(self._run_id, self._hash, self.seq + 1, stored)
        record = read_record(self._run_id, stored)
        if record.kind not in (Kind.FORKED, Kind.EDITED):
            record.patch = None  # nobody who watches needs the state
        go_on(self._run_id, self._position, record)
        self._hash = stored.hash
        if stored.seq <= self._after:
            return ()
        return list(events_of(record, spawned_by(record, self._position), await self._learn(row)))


async def has_ended(store: Store, row: RunRow) -> bool:
    """Tell whether a run has come to an end, and nobody has taken it up again after that."""
    if row.status not in ("completed", "failed", "cancelled"):
        return False
    if row.status == "completed" or row.owner is None:
        return True
    openings = await store.openings(row.run_id)
    return openings[-1].at <= row.updated


async def similar_runs(store: Store, run_id: str) -> list[str]:
    """Return the ids of up to three runs whose ids look like this one."""
    return get_close_matches(run_id, [row.run_id for row in await store.rows()], 3)


class Follower:
    """The committed events of a run as they come, until it has ended: an async iterator.

    poll: seconds between two looks into the store.
    """

    def __init__(self, history: History, poll: float) -> None:
        self._history = history
        self._poll = poll
        self._waiting: deque[CommittedEvent] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CommittedEvent:
        while not self._waiting:
            self._waiting.extend(await self._history.more())
            if self._waiting:
                break
            if await self._history.is_over():
                raise StopAsyncIteration
            await anyio.sleep(self._poll)
        return self._waiting.popleft()
