"""Reading a report of a run from its store: every checkpoint once, and of what it stored the beginnings only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from milepost.engine.account import status_of
from milepost.engine.errors import BrokenJournal
from milepost.engine.fields import WHOLE, key_of
from milepost.engine.journal import Kind, Record
from milepost.engine.json_changes import json_changes, step_of
from milepost.engine.lineage import trace_of
from milepost.engine.opening import fetch
from milepost.engine.patch import Patch, Splice, splice, spliced
from milepost.engine.pending import text_of
from milepost.engine.reading import FAULTS
from milepost.engine.report import Excerpt, Report, ReportedCheckpoint, StateChange
from milepost.engine.stores.store import RunRow, Store
from milepost.engine.trace import Edge, moment
from milepost.engine.tracing import Added, task_of
from milepost.engine.values import Ref, Value

LARGEST: Final = 16_384
"""How many characters of one text are kept."""
SMALLEST: Final = 200
"""How many of one text, once there are many."""
ROOM: Final = 32_000_000
"""How many characters are kept in all before texts are cut to the smallest size."""
MOST_CHANGES: Final = 50
"""Of the state, by one checkpoint."""
AROUND: Final = 60
"""How many characters are told on each side of a change in a field that is too large to be compared part by part."""

STORES: Final = frozenset({Kind.STARTED, Kind.COMPLETED, Kind.EMITTED, Kind.CAUGHT})
"""Kinds of records whose first value is what somebody gave; others hold what routing has made."""


class Room:
    """Cuts texts, the more the less room is left."""

    def __init__(self, room: int = ROOM) -> None:
        self.left = room

    def cut(self, text: str) -> Excerpt:
        """Return the beginning of a text."""
        kept = text[: LARGEST if self.left > 0 else SMALLEST]
        self.left -= len(kept)
        return Excerpt(kept, len(text))


async def report_of(store: Store, row: RunRow, depth: int | None = None) -> Report:
    """Return what a run did, checkpoint by checkpoint. Needs nothing of its code.

    depth: how many levels of the runs inside it are traced, None for all. Cost: one pass over the records of every
    run; memory by the number of records, whatever they hold. Raises BrokenJournal, StoreError.
    """
    reporter = Reporter(row.run_id)
    trace = await trace_of(store, row, depth, seen=reporter.note)
    await reporter.fetch(store)
    return Report(
        trace=trace,
        checkpoints=tuple(reporter.checkpoints),
        inputs=reporter.inputs,
        known=reporter.known,
        sizes={name: len(text) for name, text in reporter.fields.items() if len(text) > len(reporter.shown[name])}
        if reporter.known >= trace.checkpoints
        else {},
    )


class Reporter:
    """Takes the records of one run in, in order, among those of the runs inside it.

    fields: the state as it is. shown: the beginning of every field, as far as there was room for what changed in it.
    """

    def __init__(self, run_id: str, room: int = ROOM) -> None:
        self.checkpoints: list[ReportedCheckpoint] = []
        self.inputs: dict[str, Excerpt] = {}
        self.fields: dict[str, str] = {}
        self.shown: dict[str, str] = {}
        self.known = 0
        self._run_id = run_id
        self._room = Room(room)
        self._texts: dict[tuple[int, int, int], Excerpt] = {}
        self._missing: dict[str, Ref] = {}
        self._is_full = False

    def note(self, run_id: str, record: Record, added: Added) -> None:
        """Take a record in that has been applied. added: what it adds to the trace."""
        if run_id != self._run_id:
            return
        try:
            self.checkpoints.append(self._checkpoint(record, added))
        except FAULTS as error:
            raise BrokenJournal(run_id, record.seq, f"it does not fit what came before it ({error!r})") from error

    def _checkpoint(self, record: Record, added: Added) -> ReportedCheckpoint:
        for slot, value in enumerate(record.values):
            if value.text is not None:
                self._texts[record.seq, slot, -1] = self._room.cut(value.text)
        for task in added.spawned:
            self._give(task.key, task.ref)
        if record.revision is not None:
            for key, ref in record.revision.inputs.items():
                self._give(key, ref)
        changes, more, patch = self._change(record.patch or {})
        passed: dict[Edge, int] = {}
        for one in added.passed:
            passed[one.edge] = passed.get(one.edge, 0) + one.times
        if not self._is_full:
            self.known = record.seq
        about_all = record.kind is Kind.STARTED
        return ReportedCheckpoint(
            seq=record.seq,
            at=moment(record.at),
            did=record.kind.value,
            node="" if about_all else record.node,
            task="" if about_all else task_of(record),
            status=status_of(record),
            stored=self._texts.get((record.seq, 0, -1)) if record.kind in STORES else None,
            error=record.error,
            traceback=record.traceback,
            changes=tuple(changes),
            more_changes=more,
            patch=patch,
            spawned=tuple(task.key for task in added.spawned),
            dropped=tuple(task.key for task in record.dropped),
            passed=passed,
            fired=tuple(one.join for one in added.fired),
        )

    def _give(self, key: str, ref: Ref) -> None:
        """Note what a task is given; what an older record holds may have to be fetched."""
        known = self._texts.get(ref.place)
        if known is None and ref.value is not None and ref.value.text is not None:
            known = self._texts[ref.place] = self._room.cut(text_of(ref))
        if known is None:
            self._missing[key] = ref
        else:
            self.inputs[key] = known

    def _change(self, patch: Patch) -> tuple[Sequence[StateChange], int, Patch | None]:
        """Bring the state to what a record says; return the changes, how many are left out, and what is shown of it."""
        changes: list[StateChange] = []
        shown: dict[str, Splice | None] = {}
        self._is_full = self._is_full or (bool(patch) and self._room.left <= 0)
        for name, change in patch.items():
            before = self.fields.get(name, "")
            after = "" if change is None else spliced(before, change)
            changes.extend(self._changes(name, before, after))
            if change is None:
                self.fields.pop(name, None)
            else:
                self.fields[name] = after
            if not self._is_full:
                shown |= self._show(name, None if change is None else after)
        return changes[:MOST_CHANGES], max(len(changes) - MOST_CHANGES, 0), shown or None

    def _changes(self, name: str, before: str, after: str) -> Iterator[StateChange]:
        """Yield what changed in a field: part by part, or as text where that would take long."""
        path = step_of(key_of(name)).removeprefix(".") if name != WHOLE else ""
        if len(before) > LARGEST or len(after) > LARGEST:
            start, length, put = splice(before, after)
            yield StateChange(
                path=path,
                before=self._around(before, start, length) if before else None,
                after=self._around(after, start, len(put)) if after else None,
                is_text=True,
            )
            return
        for change in json_changes(before or None, after or None):
            yield StateChange(
                path=joined(path, change.path),
                before=None if change.one is None else self._room.cut(change.one),
                after=None if change.other is None else self._room.cut(change.other),
            )

    def _around(self, text: str, start: int, length: int) -> Excerpt:
        """Return a part of a text with what stands around it."""
        first = max(start - AROUND, 0)
        return Excerpt(self._room.cut(text[first : start + length + AROUND]).text, len(text))

    def _show(self, name: str, after: str | None) -> Mapping[str, Splice | None]:
        """Return what changes in the beginning of a field; nothing where that stays as it is."""
        before = self.shown.pop(name, None)
        if after is None:
            return {name: None}
        now = self.shown[name] = after[:LARGEST]
        if now == before:
            return {}
        change = splice(before or "", now)
        self._room.left -= len(change[2])
        return {name: change}

    async def fetch(self, store: Store) -> None:
        """Read the inputs that older records hold. Raises BrokenJournal, StoreError."""
        known: dict[int, list[Value]] = {}
        for key, ref in self._missing.items():
            if ref.seq not in known:
                known = {ref.seq: await fetch(store, self._run_id, ref.seq)}  # one at a time: it may be large
            try:
                ref.value = known[ref.seq][ref.slot]
                self.inputs[key] = self._room.cut(text_of(ref))
            except FAULTS as error:
                raise BrokenJournal(self._run_id, ref.seq, f"it holds no value number {ref.slot}") from error


def joined(path: str, inner: str) -> str:
    """Return the path of a part of a field.

    >>> joined("notes", "[3].text"), joined("notes", "a.b"), joined("", "a"), joined("notes", "")
    ('notes[3].text', 'notes.a.b', 'a', 'notes')
    """
    return f"{path}.{inner}" if path and inner and not inner.startswith("[") else path + inner
