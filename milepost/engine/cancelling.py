"""Cancelling a stored run that is not driven here: its owner is asked to, and a run without one is ended at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import uuid4

import anyio

from milepost.engine.errors import CrashLoop, MilepostError, RunBusy, UnknownRun
from milepost.engine.following import has_ended, similar_runs
from milepost.engine.journal import Kind, Record
from milepost.engine.logs import StoredLog, committed
from milepost.engine.mailroom import CANCEL
from milepost.engine.stores.store import Message, RunRow, Store
from milepost.engine.trace import UNFINISHED, RunStatus

ASK_AGAIN = 0.1
"""Seconds between two looks at whether the owner has done it."""


async def cancel_stored(store: Store, run_id: str, clock: Callable[[], float], patience: float) -> RunStatus:
    """End a stored run for good; return how it ended: "cancelled", or "completed" if it was over before.

    patience: seconds to wait for the process that drives it. Raises RunBusy when that has not answered by then; what it
    was asked stays in the inbox of the run. One that has answered is given what is left of that time to let its nodes
    clean up. Raises UnknownRun, StoreError.
    """
    asked: str | None = None
    until = anyio.current_time() + patience
    while True:
        row = await store.row(run_id)
        if row is None:
            raise UnknownRun(run_id, await similar_runs(store, run_id))
        if row.status in ("completed", "cancelled") and await has_ended(store, row):
            await wait_for_release(store, row, until)
            return row.status
        try:
            row = await store.acquire(run_id)
        except CrashLoop:
            continue  # it is let go by that, and whoever comes next may have it
        except RunBusy:
            if asked is None:
                asked = uuid4().hex
                await store.post(Message(run_id, asked, CANCEL, "null", None, clock()))
            if anyio.current_time() > until:
                raise
            await anyio.sleep(ASK_AGAIN)
            continue
        return await end_for_good(store, row, clock)


async def wait_for_release(store: Store, row: RunRow, until: float) -> None:
    """Wait until nobody owns a run that has ended, as nodes may clean up after that. until: when to wait no longer."""
    owner, now = row.owner, anyio.current_time()
    while owner is not None and now < until and owner in await store.alive():
        await anyio.sleep(ASK_AGAIN)
        found, now = await store.row(row.run_id), anyio.current_time()
        owner = found.owner if found is not None and found.epoch == row.epoch else None


async def end_for_good(store: Store, row: RunRow, clock: Callable[[], float]) -> RunStatus:
    """Commit the cancellation of a run that is owned here now, and of the runs inside it; then let it go."""
    try:
        if row.status in ("completed", "cancelled"):  # its owner was faster
            return row.status
        await commit_end(store, row, clock, await requests(store, row))
        return "cancelled"
    finally:
        await let_go(store, row)


async def ended_as_asked(store: Store, row: RunRow, clock: Callable[[], float]) -> bool:
    """End a run that is owned here now, if somebody has asked for that and whoever drove it was gone before it heard.

    Returns whether it is ended. It is let go then, and when anything fails.
    """
    ended = True
    try:
        taken = [] if row.status == "completed" else await requests(store, row)
        ended = bool(taken)
        if taken:
            await commit_end(store, row, clock, taken)
    finally:
        if ended:
            await let_go(store, row)
    return ended


async def requests(store: Store, row: RunRow) -> list[str]:
    """Return the ids of the messages to a run that ask for its end and that it has not heard."""
    return [message.id for message in await store.inbox(row.run_id) if message.kind == CANCEL]


async def commit_end(store: Store, row: RunRow, clock: Callable[[], float], taken: Sequence[str]) -> None:
    """Commit the cancellation of a run that is owned here now, and of the runs inside it. taken: who has asked."""
    for child in await store.children(row.run_id):
        await cancel_stored(store, child.run_id, clock, 0.0)
    record = Record(row.seq + 1, Kind.CANCELLED, "", error="cancelled", taken=tuple(taken))
    log = StoredLog(store, row.run_id, clock, epoch=row.epoch)
    log.hash = row.hash
    await committed(log, record)


async def let_go(store: Store, row: RunRow) -> None:
    """Own a run no more."""
    with anyio.CancelScope(shield=True):
        await store.release(row.run_id, row.epoch)


async def cancel_forsaken(
    store: Store, run_id: str, is_wanted: Callable[[str], bool], clock: Callable[[], float]
) -> None:
    """End for good the runs inside a run whose tasks nobody will come back to, as far as that can be done now.

    is_wanted: tells of the key of a task whether it is still to be done.
    """
    with suppress(MilepostError):  # where it fails, whoever opens the run next tries again
        left = [child for status in UNFINISHED for child in await store.children(run_id, status=status)]
        for child in left:
            if child.parent_task is None or not is_wanted(child.parent_task):
                with suppress(RunBusy):
                    await cancel_stored(store, child.run_id, clock, 0.0)
