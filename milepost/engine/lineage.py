"""Reading what a run did, and what the runs inside it did, from their store."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Set
from dataclasses import replace

from milepost.engine.account import status_of
from milepost.engine.definition import Definition
from milepost.engine.errors import BrokenJournal, InputError
from milepost.engine.interruption import left_alone
from milepost.engine.journal import Record
from milepost.engine.opening import as_of, read_position
from milepost.engine.pending import text_of
from milepost.engine.reading import ENDS_WRONGLY, FAULTS, check_next, read_definition, read_record
from milepost.engine.stores.store import RunRow, Store
from milepost.engine.trace import Trace
from milepost.engine.tracing import Added, Tracer

Seen = Callable[[str, Record, Added], None]
"""Told of a record of the run of this id, and of what it adds to the trace."""


def unseen(run_id: str, record: Record, added: Added) -> None:
    """Do nothing with a record."""


async def trace_of(
    store: Store, row: RunRow, depth: int | None = None, *, until: int | None = None, seen: Seen = unseen
) -> Trace:
    """Return what a run did, with the runs inside it.

    depth: how many levels of those are read, None for all. until: the checkpoint up to which it is told, None for the
    newest; of the runs inside it, those whose tasks had finished by then. seen: is told of every record when it has
    been applied. A run is read before those inside it, so that these may be ahead of what it says about them. Without
    recursion, so that no number of levels is a problem. Cost: one pass over the records of every run. Raises
    InputError, UnknownCheckpoint, BrokenJournal, StoreError.
    """
    if depth is not None and depth < 0:
        raise InputError(f"depth={depth} is no number of levels. Give 0 for none, or None for all.")
    definitions: dict[str, Definition] = {}
    read: dict[str, Trace] = {}
    pending = deque([(row if until is None else await _then(store, row, until), 0)])
    while pending:
        row, level = pending.popleft()
        last = until if level == 0 else None
        trace = read[row.run_id] = await _alone(store, row, definitions, last, seen)
        if depth is None or level < depth:
            known = (task for task in trace.tasks if last is None or task.status in ("completed", "caught"))
            wanted = {task.child for task in known if task.child is not None} - read.keys()
            pending.extend((child, level + 1) for child in await _inside(store, trace, wanted))
    for run_id, trace in reversed(read.items()):
        begun = [task.child for task in trace.tasks if task.child is not None and task.child in read]
        read[run_id] = replace(trace, children={child: read[child] for child in begun})
    return next(iter(read.values()))


async def _inside(store: Store, trace: Trace, wanted: Set[str]) -> list[RunRow]:
    """Return the rows of runs inside a run, as far as they were begun. wanted: their ids."""
    found = [row for row in await store.children(trace.run_id) if row.run_id in wanted] if wanted else []
    # What a fork shares was driven for the run that it was forked from; and a list may be damaged where a row is not.
    others = [await store.row(run_id) for run_id in sorted(wanted - {row.run_id for row in found})]
    return [*found, *(row for row in others if row is not None)]


async def _learn(store: Store, run_id: str, fingerprint: str, definitions: dict[str, Definition]) -> None:
    """Read a definition unless it is among those read before. Raises DamagedStore, StoreError."""
    if fingerprint not in definitions:
        definitions[fingerprint] = await read_definition(store, run_id, fingerprint)


async def _then(store: Store, row: RunRow, seq: int) -> RunRow:
    """Return the row of a run as it was when this record was the newest. Raises UnknownCheckpoint, BrokenJournal."""
    then = await as_of(store, row, seq)
    position = (await read_position(store, row, seq)).position
    stored = await store.record(row.run_id, seq)
    assert stored is not None
    record = read_record(row.run_id, stored)
    status = status_of(record)
    return replace(
        then,
        status=status,
        error=record.error if status in ("failed", "cancelled") else None,
        output=None if position.output is None else text_of(position.output),
        updated=record.at,
        fingerprint=position.definition or row.fingerprint,
        owner=None,
    )


async def _alone(store: Store, row: RunRow, definitions: dict[str, Definition], until: int | None, seen: Seen) -> Trace:
    """Return what one run did. definitions: those read before, by fingerprint."""
    await _learn(store, row.run_id, row.fingerprint, definitions)
    tracer = Tracer(definitions[row.fingerprint], definitions)
    seq, before, newest = 0, "", ""
    for stored in await store.records(row.run_id, limit=until):
        check_next(row.run_id, before, seq + 1, stored)
        record = read_record(row.run_id, stored)
        if record.revision is not None:
            await _learn(store, row.run_id, record.revision.definition, definitions)
        try:
            added = tracer.add(record)
        except FAULTS as error:
            raise BrokenJournal(row.run_id, stored.seq, f"it does not fit what came before it ({error!r})") from error
        seen(row.run_id, record, added)
        seq, before = stored.seq, stored.hash
        newest = before if seq == row.seq else newest
    if newest != row.hash:  # there may be more by now
        raise BrokenJournal(row.run_id, row.seq, ENDS_WRONGLY)
    left = until is None and row.run_id in await left_alone(store, [row])
    openings = [one for one in await store.openings(row.run_id) if until is None or one.at <= row.updated]
    return tracer.trace(
        run_id=row.run_id,
        status=row.status,
        created=row.created,
        updated=row.updated,
        driven=row.status == "running" and row.owner is not None and not left,
        interrupted=left,
        resumes=tracer.resumes(openings),
        error=row.error,
        output=row.output,
    )
