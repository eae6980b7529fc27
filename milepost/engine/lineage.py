"""Reading what a run did, and what the runs inside it did, from their store."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from milepost.engine.definition import Definition
from milepost.engine.errors import InputError
from milepost.engine.journal import from_text
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
            inside = await store.children(row.run_id) if wanted else ()
            pending.extend((child, level + 1) for child in inside if child.run_id in wanted)
    for run_id, trace in reversed(read.items()):
        inside = (task.child for task in trace.tasks if task.child is not None)
        read[run_id] = replace(trace, children={child: read[child] for child in inside if child in read})
    return next(iter(read.values()))


async def _alone(store: Store, row: RunRow, definitions: dict[str, Definition]) -> Trace:
    """Return what one run did. definitions: those read before, by fingerprint."""
    if row.fingerprint not in definitions:
        text = await store.definition(row.fingerprint)
        assert text is not None
        definitions[row.fingerprint] = Definition.from_json(text)
    tracer = Tracer(definitions[row.fingerprint])
    for stored in await store.records(row.run_id):
        tracer.add(from_text(stored.seq, stored.body, stored.content))
    openings = await store.openings(row.run_id)
    return tracer.trace(
        run_id=row.run_id,
        status=row.status,
        created=row.created,
        updated=row.updated,
        driven=row.status == "running" and row.owner is not None,
        resumes=[opening.at for opening in openings[1:]],
        error=row.error,
        output=row.output,
    )
