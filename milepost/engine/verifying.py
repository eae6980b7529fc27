"""Verifying stored runs: every record against its hash, where the run stands against its records, the row against both.

Nothing of a run's code is needed. What is found is a list of sentences; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from milepost.engine.codec import split_array
from milepost.engine.errors import BrokenJournal, StoreError
from milepost.engine.journal import Record
from milepost.engine.journal_text import chained
from milepost.engine.logs import consequence
from milepost.engine.position import Finish, Item, Op, Position, Spawn, SpawnEach
from milepost.engine.reading import FAULTS, go_on, read_definition, read_record
from milepost.engine.snapshots import snapshot_from_text
from milepost.engine.stores.store import RunRow, Store, StoredRecord
from milepost.engine.values import Ref, Value

BATCH: Final = 200
"""How many records are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in a store that is not as it should be.

    run_id: None when it is not about one run. seq: of the checkpoint, None when it is not about one. text: a whole
    sentence that names them.
    """

    text: str
    run_id: str | None = None
    seq: int | None = None

    def __str__(self) -> str:
        return self.text


async def verify_store(store: Store) -> list[Finding]:
    """Verify a whole store: what it says of itself, and all its runs."""
    try:
        found = [Finding(text=text) for text in await store.check()]
    except StoreError as error:
        return [Finding(text=str(error))]
    try:
        rows = await store.rows()
    except StoreError as error:
        return [*found, Finding(text=str(error))]
    for row in rows:
        found += await verify_run(store, row)
    return found


async def verify_run(store: Store, row: RunRow) -> list[Finding]:
    """Verify one run, as far as its row says that it has come. Cost: one pass over its records."""
    return await Verifier(store, row).findings()


class Verifier:
    """Verifies one run. It keeps where the run stood, and how many values each record has."""

    def __init__(self, store: Store, row: RunRow) -> None:
        self._store = store
        self._row = row
        self._found: list[Finding] = []
        self._position = Position()
        self._is_folding = True
        self._before = ""
        self._seq = 0
        self._counts: list[int] = [0]  # of the values of each record, by its number
        self._definitions: set[str] = set()
        self._snapshot_seq = 0
        self._is_begun = False
        self._last: StoredRecord | None = None
        self._newest: Record | None = None

    async def findings(self) -> list[Finding]:
        """Verify it all and return what was found, in the order of the checkpoints."""
        row = self._row
        await self._check_definition(row.fingerprint)
        while self._seq < row.seq and await self._read_on():
            pass
        if self._seq == row.seq and self._last is not None:
            await self._check_row(self._last)
        await self._check_around()
        return self._found

    async def _check_definition(self, fingerprint: str) -> None:
        """Check a definition that the run follows or has followed, once."""
        if fingerprint in self._definitions:
            return
        self._definitions.add(fingerprint)
        try:
            await read_definition(self._store, self._row.run_id, fingerprint)
        except StoreError as error:
            self._found.append(Finding(text=str(error), run_id=self._row.run_id))

    def _note(self, reason: str, seq: int | None = None) -> None:
        run_id = self._row.run_id
        where = f"Run {run_id!r}" if seq is None else f"Checkpoint {seq} of run {run_id!r}"
        self._found.append(Finding(text=f"{where}: {reason}.", run_id=run_id, seq=seq))

    # --- records -----------------------------------------------------------------------------------------------------

    async def _read_on(self) -> bool:
        """Check the next records; False when there are none."""
        row = self._row
        records: Sequence[StoredRecord] | None
        try:
            records = await self._store.records(row.run_id, after=self._seq, limit=BATCH)
        except StoreError:
            records = await self._read_one()
        if records is None:
            return True
        if not records:
            reason = "it is missing" if self._seq == row.seq - 1 else f"it is missing, with all up to {row.seq}"
            self._note(reason, self._seq + 1)
            return False
        for stored in records:
            if stored.seq > row.seq:  # the run goes on while it is looked at
                break
            await self._check(stored)
        return True

    async def _read_one(self) -> Sequence[StoredRecord] | None:
        """Return the next record alone; None, noted, when it is that one which cannot be read."""
        seq = self._seq + 1
        try:
            stored = await self._store.record(self._row.run_id, seq)
        except StoreError as error:
            self._found.append(Finding(text=str(error), run_id=self._row.run_id, seq=seq))
            self._give_up(seq)
            return None
        return () if stored is None else [stored]

    def _give_up(self, seq: int) -> None:
        """Go on after a record that cannot be read: what comes later is only held against the hashes."""
        self._counts.extend([0] * (seq + 1 - len(self._counts)))
        self._seq, self._before, self._is_folding = seq, "", False
        self._newest = None

    async def _check(self, stored: StoredRecord) -> None:
        if stored.seq != self._seq + 1:
            self._note("it is missing", self._seq + 1)
            self._give_up(stored.seq - 1)
        if self._before or stored.seq == 1:
            digest = chained(self._before, stored.seq, stored.body, stored.content, stored.snapshot)
            if digest != stored.hash:
                self._note("its contents do not match its hash", stored.seq)
        self._seq, self._before, self._last = stored.seq, stored.hash, stored
        self._is_begun |= stored.at == self._row.created  # a fork has begun after what it shares
        self._newest = None
        try:
            record = read_record(self._row.run_id, stored)
        except StoreError as error:
            self._found.append(Finding(text=str(error), run_id=self._row.run_id, seq=stored.seq))
            self._give_up(stored.seq)
            self._before = stored.hash
            return
        self._newest = record
        self._counts.append(len(record.values))
        if self._is_folding:
            await self._fold(stored, record)

    async def _fold(self, stored: StoredRecord, record: Record) -> None:
        """Go on by one record, and hold the snapshot that lies beside it against where the run stands then."""
        for op in record.ops:
            await self._check_refs(op, record)
        if record.revision is not None:
            await self._check_definition(record.revision.definition)
            for ref in record.revision.refs():
                self._is_there(ref, record)
        try:
            go_on(self._row.run_id, self._position, record)
        except BrokenJournal as error:
            self._note(error.reason, stored.seq)
            self._is_folding = False
            return
        if stored.snapshot is not None:
            self._snapshot_seq = stored.seq
            self._check_snapshot(stored.snapshot, stored.seq)

    def _check_snapshot(self, text: str, seq: int) -> None:
        try:
            kept = snapshot_from_text(text)
        except FAULTS as error:
            self._note(f"its snapshot cannot be read ({error!r})", seq)
            return
        if kept != self._position:
            self._note("its snapshot says something else than the records up to it", seq)
        self._check_state(seq)

    def _check_state(self, seq: int) -> None:
        from pydantic_core import from_json

        for name, text in self._position.fields.items():
            try:
                from_json(text)
            except ValueError:
                self._note(f"the field {name!r} of its state is not JSON", seq)

    # --- references --------------------------------------------------------------------------------------------------

    async def _check_refs(self, op: Op, record: Record) -> None:
        """Check that what an op points at is there."""
        if not isinstance(op, Spawn | SpawnEach | Item | Finish):
            return
        ref = op.ref
        if not self._is_there(ref, record) or (not isinstance(op, SpawnEach) and ref.index < 0):
            return
        try:
            size = len(split_array((await self._value(ref, record)).text or ""))
        except (StoreError, ValueError) as error:
            self._note(f"the list it points at cannot be read ({error})", record.seq)
            return
        if ref.index >= size:
            self._note(f"it points at item {ref.index} of a list of {size}", record.seq)
        if isinstance(op, SpawnEach) and op.size != size:
            self._note(f"it goes over {op.size} items of a list of {size}", record.seq)

    def _is_there(self, ref: Ref, record: Record) -> bool:
        """Check that a record holds the value that a reference points at."""
        if 0 < ref.seq <= record.seq and 0 <= ref.slot < self._counts[ref.seq]:
            return True
        self._note(f"it points at value {ref.slot} of checkpoint {ref.seq}, which is not there", record.seq)
        return False

    async def _value(self, ref: Ref, record: Record) -> Value:
        """Return the value that a reference of a record points at. Raises StoreError."""
        if ref.seq == record.seq:
            return record.values[ref.slot]
        stored = await self._store.record(self._row.run_id, ref.seq)
        if stored is None:
            raise BrokenJournal(self._row.run_id, ref.seq, "it is missing")
        return read_record(self._row.run_id, stored).values[ref.slot]

    # --- the row, and what lies around -------------------------------------------------------------------------------

    async def _check_row(self, last: StoredRecord) -> None:
        """Hold the row of the run against its records."""
        row = self._row
        if row.hash != last.hash:
            self._note("its row has another hash than its newest checkpoint")
        if row.updated != last.at or not self._is_begun:
            self._note("its row has other times than its checkpoints")
        if not self._is_folding or self._newest is None:
            return
        if row.snapshot_seq != self._snapshot_seq:
            told, real = row.snapshot_seq or "none", self._snapshot_seq or "none"
            self._note(f"its row names checkpoint {told} as the newest with a snapshot, which is {real}")
        self._check_state(row.seq)
        try:
            finish = self._newest.ops[-1] if self._newest.ops else None
            if isinstance(finish, Finish):
                finish.ref.value = await self._value(finish.ref, self._newest)
            said = consequence(self._newest)
        except (StoreError, *FAULTS) as error:
            self._note(f"what it came to cannot be read ({error})", row.seq)
            return
        for name, before, now in zip(
            ("status", "error", "output", "time until which it waits"),
            (row.status, row.error, row.output, row.due),
            (*said, self._newest.due),
            strict=True,
        ):
            if before != now:
                self._note(f"its row has another {name} than its newest checkpoint")

    async def _check_around(self) -> None:
        """Check who owned the run, and what waits in its inbox."""
        from pydantic_core import from_json

        row = self._row
        try:
            openings = await self._store.openings(row.run_id)
            posted = await self._store.posted(row.run_id)
        except StoreError as error:
            self._found.append(Finding(text=str(error), run_id=row.run_id))
            return
        if [opening.epoch for opening in openings[: row.epoch]] != list(range(1, row.epoch + 1)):
            self._note(f"of its {row.epoch} owners, not all are known")
        for message, taken in posted:
            try:
                if taken is None:
                    from_json(message.payload)
            except ValueError:
                self._note(f"the message {message.id!r} that waits for it is not JSON")
