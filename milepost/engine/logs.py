"""Where a run's records go: into a store, hashed and chained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio

from milepost.engine.account import status_of
from milepost.engine.codec import split_array
from milepost.engine.errors import StoreError
from milepost.engine.journal import Kind, Record, note_rest
from milepost.engine.journal_text import chained, to_text
from milepost.engine.position import Finish, Position
from milepost.engine.snapshots import about, snapshot_to_text
from milepost.engine.stores.store import Acknowledge, CacheEntry, Entry, Store
from milepost.engine.trace import RunStatus
from milepost.engine.values import Ref

SNAPSHOT_CHARACTERS: Final = 8_192
"""The length of the records' bodies after which a first snapshot is worth its room: about 50 steps of a plain loop."""
SNAPSHOT_RATIO: Final = 4
"""A snapshot is taken when the bodies of the records since the last one are this many times its size."""


class StoredLog:
    """Writes the records of one run to a store.

    hash: of the newest record. since: characters of record bodies since the last snapshot, which had `size`; before the
    first one, about what it would have had when it was first thought of. first: the entry that creates the run, held
    back for `Store.create`, while epoch is 0.
    """

    def __init__(self, store: Store, run_id: str, clock: Callable[[], float], *, epoch: int = 0) -> None:
        self.epoch = epoch
        self.hash = ""
        self.since = 0
        self.size = 0
        self.first: tuple[Entry, Acknowledge] | None = None
        self._store = store
        self._run_id = run_id
        self._clock = clock

    def commit(self, record: Record, position: Position | None, committed: Acknowledge) -> None:
        if position is not None and position.waiting:
            note_rest(record, position)
        body, content = to_text(record)
        self.since += len(body)
        snapshot = self._snapshot(position)
        self.hash = chained(self.hash, record.seq, body, content, snapshot)
        status, error, output = consequence(record)
        record.at = self._clock()
        entry = Entry(
            self._run_id,
            self.epoch,
            record.seq,
            body,
            content,
            self.hash,
            record.at,
            snapshot,
            status,
            error,
            output,
            to_be_cached(record),
            record.taken,
            newly_followed(record),
            record.due,
            position is not None and len(position.tasks) <= 1 and not position.streams,
        )
        if self.epoch:
            self._append(entry, committed)
        else:
            self.first = (entry, committed)

    def take_first(self) -> tuple[Entry, Acknowledge]:
        """Return the entry that creates the run, and what acknowledges it; it is held no longer."""
        assert self.first is not None
        first, self.first = self.first, None
        return first

    def _append(self, entry: Entry, committed: Acknowledge) -> None:
        """Hand an entry over; a store that raises instead of acknowledging has failed, not the node of the entry."""
        try:
            self._store.append(entry, committed)
        except Exception as error:
            failure = StoreError(f"Checkpoint {entry.seq} of run {entry.run_id!r} could not be written: {error!r}")
            failure.__cause__ = error
            committed(failure)

    def _snapshot(self, position: Position | None) -> str | None:
        if position is None or self.since <= max(SNAPSHOT_CHARACTERS, SNAPSHOT_RATIO * self.size):
            return None
        if not self.size:
            self.size = about(position)
            if self.since <= SNAPSHOT_RATIO * self.size:
                return None
        text = snapshot_to_text(position)
        self.since, self.size = 0, len(text)
        return text


async def committed(log: StoredLog, record: Record, position: Position | None = None) -> None:
    """Commit one record of a run that nothing drives yet, and wait until that is done. Raises StoreError.

    position: to take a snapshot of, if there is one at hand.
    """
    done = anyio.Event()
    failures: list[BaseException] = []

    def acknowledge(error: BaseException | None) -> None:
        if error is not None:
            failures.append(error)
        done.set()

    log.commit(record, position, acknowledge)
    await done.wait()
    if failures:
        raise failures[0]


def newly_followed(record: Record) -> str | None:
    """Return the fingerprint of the definition that a run follows from this record on, None for the one that it has."""
    return None if record.revision is None or record.kind is Kind.STARTED else record.revision.definition


def to_be_cached(record: Record) -> CacheEntry | None:
    """Return the output of a record for the cache, if it is to be kept and is a plain one: no stream, no BaseNode."""
    if record.keep is None or not record.values or record.values[0].tag != f"out:{record.node}":
        return None
    key, expires = record.keep
    text = record.values[0].text
    return None if text is None else CacheEntry(key, text, expires)


def consequence(record: Record) -> tuple[RunStatus, str | None, str | None]:
    """Return what a record makes of its run: status, error, output."""
    status = status_of(record)
    if status == "completed":
        finish = record.ops[-1]
        assert isinstance(finish, Finish)
        return status, None, text_of(finish.ref)
    return status, record.error if status in ("failed", "cancelled") else None, None


def text_of(ref: Ref) -> str:
    """Return the JSON text that a reference points at."""
    assert ref.value is not None
    assert ref.value.text is not None
    return ref.value.text if ref.index < 0 else split_array(ref.value.text)[ref.index]
