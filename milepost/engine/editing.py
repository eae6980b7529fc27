"""Editing the state of a stored run that nobody drives: a typed change, which is a record like any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio

from milepost.engine.changing import Change, changed, row_for
from milepost.engine.drivers import Prepared
from milepost.engine.errors import InputError
from milepost.engine.journal import Kind, Record
from milepost.engine.logs import StoredLog, committed
from milepost.engine.opening import Opened
from milepost.engine.stores.store import RunRow, Store


async def edited(
    store: Store, prepared: Prepared, run_id: str, change: Callable[[Any], Any], clock: Callable[[], float]
) -> int:
    """Commit a change of a run's state; return the number of its newest checkpoint then.

    change: returns the new state for the one that there is; where the two are equal, there is nothing to commit. It is
    called again if the run has gone on meanwhile. Raises UnknownRun, RunMismatch, RunBusy; InputError: the run is over;
    EditError: the new state does not fit. IncompatibleWorkflow, BrokenJournal, StoreError. Nothing is changed then.
    """
    while True:
        row = await row_for(store, prepared, run_id)
        check_editable(row)
        record = Record(row.seq + 1, Kind.EDITED, "", error=row.error if row.status == "failed" else None)
        opened = await changed(store, prepared, row, row.seq, Change(change), record)
        if not record.patch:
            return row.seq
        owned = await store.acquire(run_id)  # only now, so that what is refused leaves no trace of an owner
        try:
            if owned.seq == row.seq:
                await write(store, prepared, owned, record, opened, clock)
                return record.seq
        finally:
            with anyio.CancelScope(shield=True):
                await store.release(run_id, owned.epoch)


async def write(
    store: Store, prepared: Prepared, row: RunRow, record: Record, opened: Opened, clock: Callable[[], float]
) -> None:
    """Commit the edit of a run that is owned here now."""
    assert record.revision is not None
    record.revision = replace(record.revision, epoch=row.epoch)
    log = StoredLog(store, row.run_id, clock, epoch=row.epoch)
    log.hash, log.since, log.size = row.hash, opened.since, opened.size
    await store.define(prepared.definition.fingerprint, prepared.definition.to_json())
    await committed(log, record, opened.position)


def check_editable(row: RunRow) -> None:
    """Check that a run can still go on. Raises InputError."""
    if row.status in ("completed", "cancelled"):
        raise InputError(
            f"Run {row.run_id!r} is {row.status}, so nothing would see another state. Fork it at one of its "
            "checkpoints instead."
        )
