"""Reading what a run did, and what the runs inside it did, from their store."""

from __future__ import annotations

from collections import deque
from collections.abc import Set
from dataclasses import replace

from milepost.engine.definition import Definition
from milepost.engine.errors import BrokenJournal, InputError
from milepost.engine.reading import ENDS_WRONGLY, FAULTS, check_next, read_definition, read_record
from milepost.engine.stores.store import RunRow, Store
from milepost.engine.trace import Trace
from milepost.engine.tracing import Tracer


async def trace_of(store: Store, row: RunRow, depth: int | None = None) -> Trace:
    """Return what a run did, with the runs inside it.

    depth: how many levels of those are read, None for all. A run is read before those inside it, so that these may be
    ahead of what it says about them. Without recursion, so that no number of levels is a problem. Cost: one pass over
    the records of every run. Raises InputError, BrokenJournal, StoreError.
    """
    if depth is not None and depth < 0:
        raise InputError(f"depth={depth} is no number of levels. Give 0 for none, or None for all.")
    definitions: dict[str, Definition] = {}
    read: dict[str, Trace] = {}
    pending = deque([(row, 0)])
    while pending:
        row, level = pending.popleft()
        trace = read[row.run_id] = await _alone(store, row, definitions)
        if depth is None or level < depth:
            wanted = {task.child for task in trace.tasks if task.child is not None} - read.keys()
            pending.extend((child, level + 1) for child in await _inside(store, trace, wanted))
    for run_id, trace in reversed(read.items()):
        begun = [task.child for task in trace.tasks if task.child is not None and task.child in read]
        read[run_id] = replace(trace, children={child: read[child] for child in begun})
    return next(iter(read.values()))


async def _inside(store: Store, trace: Trace, wanted: Set[str]) -> list[RunRow]:
    """Return the rows of runs inside a run, as far as they were begun. wanted: their ids."""
    found = [row for row in await store.children(trace.run_id) if row.run_id in wanted] if wanted else []
    if trace.forked_from is not None:  # what it shares was driven for the run that it was forked from
        others = [await store.row(run_id) for run_id in sorted(wanted - {row.run_id for row in found})]
        found.extend(row for row in others if row is not None)
    return found


async def _alone(store: Store, row: RunRow, definitions: dict[str, Definition]) -> Trace:
    """Return what one run did. definitions: those read before, by fingerprint."""
    if row.fingerprint not in definitions:
        definitions[row.fingerprint] = await read_definition(store, row.run_id, row.fingerprint)
    tracer = Tracer(definitions[row.fingerprint])
    seq, before, newest = 0, "", ""
    for stored in await store.records(row.run_id):
        check_next(row.run_id, before, seq + 1, stored)
        try:
            tracer.add(read_record(row.run_id, stored))
        except FAULTS as error:
            raise BrokenJournal(row.run_id, stored.seq, f"it does not fit what came before it ({error!r})") from error
        seq, before = stored.seq, stored.hash
        newest = before if seq == row.seq else newest
    if newest != row.hash:  # there may be more by now
        raise BrokenJournal(row.run_id, row.seq, ENDS_WRONGLY)
    openings = await store.openings(row.run_id)
    return tracer.trace(
        run_id=row.run_id,
        status=row.status,
        created=row.created,
        updated=row.updated,
        driven=row.status == "running" and row.owner is not None,
        resumes=tracer.resumes(openings),
        error=row.error,
        output=row.output,
    )
