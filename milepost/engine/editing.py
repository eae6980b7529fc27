"""Editing the state of a stored run that nobody drives: a typed change, which is a record like any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio

from milepost.engine.changing import Change, changed
from milepost.engine.drivers import Prepared
from milepost.engine.errors import InputError
from milepost.engine.journal import Kind, Record
from milepost.engine.logs import StoredLog, committed
from milepost.engine.stores.store import RunRow, Store


async def edited(
    store: Store, prepared: Prepared, run_id: str, change: Callable[[Any], Any], clock: Callable[[], float]
) -> int:
    """Commit a change of a run's state; return the number of its newest checkpoint then.

    change: returns the new state for the one that there is; where the two are equal, there is nothing to commit. Raises
    UnknownRun, RunBusy; InputError: the run is over; EditError: the new state does not fit. IncompatibleWorkflow,
    BrokenJournal, StoreError. Nothing is changed then.
    """
    row = await store.acquire(run_id)
    try:
        check_editable(row)
        record = Record(row.seq + 1, Kind.EDITED, "", error=row.error if row.status == "failed" else None)
        record, opened = await changed(store, prepared, row, row.seq, Change(change), record)
        if not record.patch:
            return row.seq
        log = StoredLog(store, run_id, clock, epoch=row.epoch)
        log.hash, log.since, log.size = row.hash, opened.since, opened.size
        await store.define(prepared.definition.fingerprint, prepared.definition.to_json())
        await committed(log, record, opened.position)
        return record.seq
    finally:
        with anyio.CancelScope(shield=True):
            await store.release(run_id, row.epoch)


def check_editable(row: RunRow) -> None:
    """Check that a run can still go on. Raises InputError."""
    if row.status in ("completed", "cancelled"):
        raise InputError(
            f"Run {row.run_id!r} is {row.status}, so nothing would see another state. Fork it at one of its "
            "checkpoints instead."
        )
