"""Opening a stored run: reading its journal back, checking that it is whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from milepost.engine.codec import Codec
from milepost.engine.errors import BrokenJournal, IncompatibleWorkflow, NotStorable, UnknownCheckpoint
from milepost.engine.pending import text_of
from milepost.engine.plan import Plan
from milepost.engine.position import END, Position
from milepost.engine.reading import ENDS_WRONGLY, check_next, go_on, read_record, read_snapshot
from milepost.engine.rereading import Rereading
from milepost.engine.snapshots import pointed_at
from milepost.engine.stores.store import RunRow, Store, StoredRecord
from milepost.engine.values import Value


@dataclass(frozen=True, slots=True)
class Opened:
    """A run as read back. since, size: of the bodies after the last snapshot, and of that snapshot, in characters."""

    position: Position
    since: int
    size: int


async def read_position(store: Store, row: RunRow, until: int | None = None) -> Opened:
    """Fold a run's journal from its last snapshot. Raises BrokenJournal when a record does not fit.

    until: the last record that counts; None for the newest, and then there must be none behind it. Costs the size of
    the snapshot and of what came after it, not of the whole history.
    """
    row = row if until is None else await as_of(store, row, until)
    after = max(row.snapshot_seq - 2, 0)
    records = list(await store.records(row.run_id, after=after, limit=None if until is None else until - after))
    before = records.pop(0).hash if row.snapshot_seq > 1 and records else ""
    verify(row, records, before)
    position, since, size = Position(), 0, 0
    known: dict[int, list[Value]] = {}
    for stored in records:
        if stored.seq == row.snapshot_seq:
            position, size = read_snapshot(row.run_id, stored), len(stored.snapshot or "")
            known[stored.seq] = read_record(row.run_id, stored).values
            continue
        record = read_record(row.run_id, stored)
        go_on(row.run_id, position, record)
        known[stored.seq] = record.values
        since += len(stored.body)
    await attach(store, row.run_id, position, known)
    return Opened(position, since, size)


async def as_of(store: Store, row: RunRow, seq: int) -> RunRow:
    """Return the row of a run as far as it says where the journal ends, as if this record was the newest.

    Raises UnknownCheckpoint, BrokenJournal.
    """
    if not 0 < seq <= row.seq:
        raise UnknownCheckpoint(row.run_id, seq, row.seq)
    if seq == row.seq:
        return row
    stored = await store.record(row.run_id, seq)
    if stored is None:
        raise BrokenJournal(row.run_id, seq, "it is missing")
    return replace(row, seq=seq, hash=stored.hash, snapshot_seq=await store.snapshot_seq(row.run_id, seq))


def verify(row: RunRow, records: Sequence[StoredRecord], before: str) -> None:
    """Check that records are complete and follow one another. before: the hash of the record in front of them."""
    expected = max(row.snapshot_seq, 1)
    for stored in records:
        check_next(row.run_id, before, expected, stored)
        before = stored.hash
        expected += 1
    if expected != row.seq + 1 or before != row.hash:
        raise BrokenJournal(row.run_id, row.seq, ENDS_WRONGLY)


async def attach(store: Store, run_id: str, position: Position, known: dict[int, list[Value]]) -> None:
    """Fetch what a position's references point at, each record once."""
    for ref in pointed_at(position):
        if ref.value is not None:
            continue
        if ref.seq not in known:
            known[ref.seq] = await fetch(store, run_id, ref.seq)
        try:
            ref.value = known[ref.seq][ref.slot]
        except IndexError:
            raise BrokenJournal(run_id, ref.seq, f"it holds no value number {ref.slot}") from None


async def fetch(store: Store, run_id: str, seq: int) -> list[Value]:
    """Read and verify the values of one older record."""
    stored = await store.record(run_id, seq)
    earlier = await store.record(run_id, seq - 1) if seq > 1 else None
    if stored is None or (earlier is None and seq > 1):
        raise BrokenJournal(run_id, seq, "it is missing")
    check_next(run_id, "" if earlier is None else earlier.hash, seq, stored)
    return read_record(run_id, stored).values


def output_of(run_id: str, position: Position, plan: Plan, codec: Codec) -> object:
    """Return the recorded output of a completed run, as the workflow declares it now. Raises IncompatibleWorkflow."""
    ref = position.output
    assert ref is not None
    assert ref.value is not None
    tag = ref.value.tag if ref.index < 0 else f"item:{ref.value.tag}"
    try:
        known, text = Rereading(plan, codec, {}, changed=False).read(tag, text_of(ref), END, "output")
        return codec.decode(text, plan.type_of(known), known)
    except NotStorable as error:
        reason = error.reason.splitlines()[0].rstrip(".")
        fault = (
            f"The stored output of the run does not fit any more: at {error.path}, {reason}. Let the output type take "
            f"what is stored, or look at it without the workflow: milepost show {run_id}."
        )
        raise IncompatibleWorkflow(run_id, [fault]) from error
