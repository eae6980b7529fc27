"""Which runs are under way and stand still, as no process drives them: theirs has died, or was stopped."""

from __future__ import annotations

from collections.abc import Iterable, Set

from milepost.engine.stores.store import RunRow, Store


async def left_alone(store: Store, rows: Iterable[RunRow]) -> Set[str]:
    """Return the ids of those runs that are under way, and that nobody alive owns.

    In its row such a run is running: nobody was there to write anything else. rows: just read. One that looks so is
    read again, as its owner may have ended it and gone meanwhile. Raises StoreError.
    """
    under_way = [row for row in rows if row.status == "running"]
    if not under_way:
        return frozenset()
    alive = await store.alive()
    suspects = [row for row in under_way if row.owner not in alive]
    return {row.run_id for row in suspects if await _stands(store, row)}


async def _stands(store: Store, row: RunRow) -> bool:
    """Tell whether a run is still as its row says, with the owner that it had."""
    now = await store.row(row.run_id)
    return now is not None and (now.epoch, now.owner, now.status) == (row.epoch, row.owner, row.status)
