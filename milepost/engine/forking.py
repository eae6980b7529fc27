"""Forking a stored run: a new run that goes on from one of its checkpoints, and shares the records up to there."""

from __future__ import annotations

from collections.abc import Callable

from milepost.engine.changing import Change, changed, row_for
from milepost.engine.drivers import Prepared
from milepost.engine.errors import BrokenJournal, InputError, RunMismatch, UnknownCheckpoint
from milepost.engine.journal import Kind, Record
from milepost.engine.journal_text import from_text
from milepost.engine.logs import StoredLog
from milepost.engine.opening import as_of
from milepost.engine.stores.store import Entry, NewRun, RunRow, Store


async def forked(
    store: Store,
    prepared: Prepared,
    origin: str,
    run_id: str,
    *,
    at: int | None,
    change: Change,
    clock: Callable[[], float],
) -> tuple[RunRow, bool]:
    """Create a run that goes on from a checkpoint of another, whatever has become of that one; become its owner.

    at: the checkpoint, None for the newest. change: what the new run begins with that the other one did not have.
    Returns its row, and whether it is new: a run of that id that was forked in the same way is returned as it is.
    Raises UnknownRun, UnknownCheckpoint, EditError, IncompatibleWorkflow; RunMismatch: the workflow has another name,
    or the id belongs to a run of something else. InputError, BrokenJournal, StoreError.
    """
    if origin == run_id:
        raise InputError(f"Run {origin!r} cannot be its own fork. Give another run_id, or none.")
    row = await row_for(store, prepared, origin)
    there = await store.row(run_id)
    if at is None:
        is_of_this = there is not None and await owner_of(store, row, there.forked_at) == there.forked_from
        at = there.forked_at if there is not None and is_of_this else row.seq
    if not 0 < at <= row.seq:
        raise UnknownCheckpoint(origin, at, row.seq)
    if there is not None and change == Change() and await is_plain_fork(store, there, row, at):
        return there, False  # also where the workflow is such by now that it could not be made again
    new, first = await first_of_fork(store, prepared, row, run_id, at, change, clock)
    if there is None and await store.create(new, first):
        return new.row(first, ""), True
    there = await store.row(run_id)
    assert there is not None
    await check_same_fork(store, there, new, first)
    return there, False


async def first_of_fork(
    store: Store, prepared: Prepared, row: RunRow, run_id: str, at: int, change: Change, clock: Callable[[], float]
) -> tuple[NewRun, Entry]:
    """Return what creates a fork. row: of the run that is forked. at: one of its checkpoints."""
    shared = await owner_of(store, row, at)
    record = Record(at + 1, Kind.FORKED, "")
    opened = await changed(store, prepared, row, at, change, record, origin=(shared, at), fork=run_id)
    before = await as_of(store, row, at)
    log = StoredLog(store, run_id, clock)
    log.hash, log.since, log.size = before.hash, opened.since, opened.size
    log.commit(record, opened.position, lambda error: None)
    assert log.first is not None
    entry, _ = log.first
    new = NewRun(
        run_id=run_id,
        workflow=prepared.definition.name,
        version=prepared.definition.version,
        fingerprint=prepared.definition.fingerprint,
        definition=prepared.definition.to_json(),
        isolation=row.isolation,
        forked_from=shared,
        forked_at=at,
        snapshot_seq=before.snapshot_seq,
        tags=row.tags,
    )
    return new, entry._replace(epoch=1)


async def line_of(store: Store, row: RunRow, seq: int) -> list[tuple[str, int]]:
    """Return the runs that the records of a run up to one belong to, each with its last; the first record's last."""
    found: list[tuple[str, int]] = []
    above: RunRow | None = row
    while above is not None:
        if seq > above.forked_at:
            found.append((above.run_id, seq))
        seq = min(seq, above.forked_at)
        above = None if above.forked_from is None else await store.row(above.forked_from)
    return found


async def owner_of(store: Store, row: RunRow, seq: int) -> str:
    """Return the run that a record of a run belongs to: itself, or one that it shares the record with."""
    line = await line_of(store, row, seq)
    return line[0][0] if line else row.run_id


async def is_plain_fork(store: Store, there: RunRow, row: RunRow, at: int) -> bool:
    """Tell whether a run goes on from a checkpoint of another, and was given nothing that this one did not have."""
    if there.forked_at != at or there.forked_from != await owner_of(store, row, at):
        return False
    begun = await store.record(there.run_id, at + 1)
    return begun is not None and from_text(begun.seq, begun.body, "[]").given is None


async def check_same_fork(store: Store, there: RunRow, new: NewRun, first: Entry) -> None:
    """Check that a run that exists is the fork that was asked for. Raises RunMismatch."""
    asked = f"checkpoint {new.forked_at} of run {new.forked_from!r}"
    if (there.forked_from, there.forked_at) != (new.forked_from, new.forked_at):
        stored = "none" if there.forked_from is None else f"checkpoint {there.forked_at} of run {there.forked_from!r}"
        raise RunMismatch(there.run_id, "origin", stored, asked)
    begun = await store.record(there.run_id, first.seq)
    if begun is None:
        raise BrokenJournal(there.run_id, first.seq, "it is missing")
    known, given = (from_text(first.seq, body, "[]").given for body in (begun.body, first.body))
    if known != given:
        stored, now = ("none" if one is None else f"one with the hash {one[:8]}" for one in (known, given))
        raise RunMismatch(there.run_id, "state or input given to the fork", stored, now)
