"""Which runs of a SqliteStore somebody should go on with, and which owners live."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from json import dumps
from typing import Final

from milepost.engine.errors import DamagedStore
from milepost.engine.stores.lockfile import is_free
from milepost.engine.stores.sqlite_file import roll_back
from milepost.engine.stores.sqlite_journal import NOW, Owner, lock_beside
from milepost.engine.stores.sqlite_rows import CHECKED, UPDATED, row_of
from milepost.engine.stores.store import RunRow

_OWNERS: Final = f"SELECT DISTINCT owner, lock_file, lease_until > {NOW} FROM runs WHERE owner IS NOT NULL"
_IS_FREE: Final = "(owner IS NULL OR owner NOT IN (SELECT value FROM json_each(:alive)))"
_READY: Final = (  # in this order: messages that wait are fewer than runs that do
    "WITH RECURSIVE ready (run_id, parent_run) AS ("
    f"SELECT run_id, parent_run FROM runs WHERE status = 'running' AND {_IS_FREE} "
    "UNION SELECT run_id, parent_run FROM runs INDEXED BY runs_by_due WHERE due <= :now AND status = 'waiting' "
    "UNION SELECT runs.run_id, parent_run FROM inbox CROSS JOIN runs ON runs.run_id = inbox.run_id "
    "WHERE taken IS NULL AND status = 'waiting' "
    "UNION SELECT runs.run_id, runs.parent_run FROM ready CROSS JOIN runs ON runs.run_id = ready.parent_run "
    "WHERE status IN ('running', 'waiting')) "
    f"SELECT {CHECKED} FROM runs WHERE number IN (SELECT number FROM ready JOIN runs USING (run_id) "
    f"WHERE ready.parent_run IS NULL AND {_IS_FREE} AND workflow IN (SELECT value FROM json_each(:workflows)) "
    f"ORDER BY {UPDATED}, run_id LIMIT :limit) ORDER BY {UPDATED}, run_id"
)


def ready(
    connection: sqlite3.Connection, owner: Owner, now: float, workflows: Collection[str], limit: int
) -> list[RunRow]:
    """Return what `Store.ready` says, all as it is at one moment.

    A row that is damaged keeps no others back. Raises DamagedStore: there is nothing else.
    """
    connection.execute("BEGIN")
    try:
        living = dumps(list(alive(connection, owner)))
        found = connection.execute(
            _READY, {"alive": living, "now": now, "workflows": dumps(list(workflows)), "limit": limit}
        )
        return _readable(found.fetchall())
    finally:
        roll_back(connection)


def alive(connection: sqlite3.Connection, owner: Owner) -> set[str]:
    """Return what `Store.alive` says."""
    return {owner.text, *(name for name, *lease in connection.execute(_OWNERS) if _is_alive(owner, name, *lease))}


def _readable(found: Sequence[Sequence[object]]) -> list[RunRow]:
    rows: list[RunRow] = []
    damaged: DamagedStore | None = None
    for values in found:
        try:
            rows.append(row_of(values))
        except DamagedStore as error:
            damaged = damaged or error
    if damaged is not None and not rows:
        raise damaged
    return rows


def _is_alive(own: Owner, name: str, lock_file: str | None, is_leased: int) -> bool:
    """Tell whether the owner of a run lives, as far as the run knows."""
    lock = lock_beside(own.lock, lock_file)
    return name == own.text or (bool(is_leased) and lock is not None and not is_free(lock))
