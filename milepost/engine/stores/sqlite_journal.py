"""What a SqliteStore writes: every function is one transaction on one connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from json import dumps
from pathlib import Path
from typing import Final

from milepost.engine.errors import CrashLoop, DamagedStore, UnknownRun
from milepost.engine.stores.lockfile import is_free
from milepost.engine.stores.owner import busy
from milepost.engine.stores.sqlite_checks import mark_of, message_crc, opening_crc
from milepost.engine.stores.sqlite_file import transaction
from milepost.engine.stores.sqlite_records import RECORD, Head, Heads, add_rest, is_plain, record_columns
from milepost.engine.stores.sqlite_rows import (
    CHECKED,
    COLUMNS,
    NAMES,
    UPDATED,
    WIDTH,
    columns_of,
    hash_of_newest,
    row_of,
)
from milepost.engine.stores.store import Entry, Message, NewRun, Opening, RunRow, StoredRecord

NOW: Final = "((julianday('now') - 2440587.5) * 86400.0)"
"""The database's own clock, seconds since 1970 UTC: leases are compared by no other."""

_NEW_RUN: Final = (
    f"INSERT INTO runs ({COLUMNS}, lock_file, lease_until, takeovers) "
    f"VALUES ({', '.join('?' * WIDTH)}, ?, {NOW} + ?, 0) ON CONFLICT (run_id) DO NOTHING"
)
_TAG: Final = "INSERT INTO tags (tag, run) VALUES (?, ?) ON CONFLICT DO NOTHING"
OPENING: Final = "INSERT INTO openings (run_id, epoch, owner, at, crc) VALUES (?, ?, ?, ?, ?)"
_NEWEST_INSIDE: Final = (
    f"WITH RECURSIVE inside (id, newest) AS (SELECT run_id, {UPDATED} FROM runs WHERE parent_run=? UNION ALL "
    f"SELECT run_id, {UPDATED} FROM runs JOIN inside ON parent_run = id) SELECT max(newest) FROM inside"
)
_SETTLE: Final = (  # owners are counted since the newest record, from which on the row names it
    "UPDATE runs SET seq=?1, hash=?2, updated=?3, mark=?4, takeovers=CASE WHEN seq=?1 THEN takeovers ELSE 0 END "
    "WHERE run_id=?5"
)
_OWNED: Final = "SELECT number, status FROM runs WHERE run_id=? AND owner=? AND (? IS NULL OR epoch=?)"
DEFINITION: Final = "INSERT INTO definitions (fingerprint, description) VALUES (?, ?) ON CONFLICT DO NOTHING"
_MESSAGE: Final = "INSERT INTO inbox (run_id, id, kind, payload, by, at, crc) VALUES (?, ?, ?, ?, ?, ?, ?)"
_IS_POSTED: Final = "SELECT EXISTS (SELECT 1 FROM inbox WHERE run_id=runs.run_id AND id=?) FROM runs WHERE run_id=?"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns runs: one open store. text: for people, unique. ttl: seconds that a lease lasts."""

    text: str
    lock: Path
    ttl: float


def create(connection: sqlite3.Connection, heads: Heads, owner: Owner, run: NewRun, first: Entry) -> bool:
    """Create a run with its first record, owned; False if the id is taken."""
    record = StoredRecord(first.seq, first.body, first.content, first.hash, first.at, first.snapshot)
    cursor = connection.cursor()
    with transaction(connection):
        if run.forked_from is not None and not look_up(cursor, run.run_id) and not look_up(cursor, run.forked_from):
            raise UnknownRun(run.forked_from)
        cursor.execute(_NEW_RUN, (*columns_of(run.row(first, owner.text)), owner.lock.name, owner.ttl))
        if cursor.rowcount == 0:
            return False
        number = cursor.lastrowid or 0
        cursor.execute(DEFINITION, (run.fingerprint, run.definition))
        tag(cursor, number, run.tags)
        cursor.execute(RECORD, record_columns(number, record))
        add_rest(cursor, first)
        cursor.execute(OPENING, opening_columns(run.run_id, Opening(first.epoch, owner.text, first.at)))
        if is_plain(first):
            heads[run.run_id] = Head(number, first.epoch, first.seq)
    return True


def acquire(connection: sqlite3.Connection, owner: Owner, run_id: str, at: float, most: int) -> RunRow:
    """Become the owner of a run. most: takeovers without a new record that are let through."""
    loop: CrashLoop | None = None
    dead: Path | None = None
    with transaction(connection):
        found = connection.execute(
            f"SELECT owner, lock_file, lease_until > {NOW}, lease_until, takeovers FROM runs WHERE run_id=?", (run_id,)
        ).fetchone()
        if found is None:
            raise UnknownRun(run_id)
        before, lock_file, is_leased, expires, takeovers = found
        if before not in (None, owner.text):
            lock = lock_beside(owner.lock, lock_file)
            is_dead = lock is None or is_free(lock)
            if is_leased and not is_dead:
                raise busy(run_id, before, since=_since(connection, run_id), expires=expires)
            dead = lock if is_dead else None
        row, went_on = _settle(connection, run_id)
        takeovers = (0 if went_on else takeovers) + (before not in (None, owner.text))
        if takeovers > most and _went_on_inside(connection, run_id, most):
            takeovers = 0
        if takeovers > most and before not in (None, owner.text):
            # The run is let go: whoever resumes it after having read this error gets one more try.
            loop = CrashLoop(run_id, takeovers - 1)
            connection.execute("UPDATE runs SET owner=NULL, lock_file=NULL WHERE run_id=?", (run_id,))
        else:
            connection.execute(
                f"UPDATE runs SET epoch=epoch+1, owner=?, lock_file=?, lease_until={NOW} + ?, takeovers=? "
                "WHERE run_id=?",
                (owner.text, owner.lock.name, owner.ttl, takeovers, run_id),
            )
            row = replace(row, epoch=row.epoch + 1, owner=owner.text)
            connection.execute(OPENING, opening_columns(run_id, Opening(row.epoch, owner.text, at)))
    if dead is not None:
        dead.unlink(missing_ok=True)
    if loop is not None:
        raise loop
    return row


def _settle(connection: sqlite3.Connection, run_id: str) -> tuple[RunRow, bool]:
    """Let the row of a run name its newest record; return it, and whether it named another one."""
    values = connection.execute(f"SELECT {CHECKED} FROM runs WHERE run_id=?", (run_id,)).fetchone()
    row = row_of(values)
    named = dict(zip(NAMES, values, strict=False))
    if row.status == "running":
        row = replace(row, hash=hash_of_newest(values))  # as it stands in the record, should it be encrypted twice
    is_newer = row.seq != named["seq"]
    if is_newer or row.hash != named["hash"]:
        mark = mark_of(run_id, row.seq, row.hash, row.status, row.updated, row.error, row.output)
        connection.execute(_SETTLE, (row.seq, row.hash, row.updated, mark, run_id))
    return row, is_newer


def _went_on_inside(connection: sqlite3.Connection, run_id: str, most: int) -> bool:
    """Tell whether a run inside a run has a record that is newer than the last `most` openings of the outer one."""
    newest = connection.execute(_NEWEST_INSIDE, (run_id,)).fetchone()[0]
    opened = connection.execute(
        "SELECT at FROM openings WHERE run_id=? ORDER BY epoch DESC LIMIT 1 OFFSET ?", (run_id, most - 1)
    ).fetchone()
    return newest is not None and (opened is None or newest > opened[0])


def _since(connection: sqlite3.Connection, run_id: str) -> float | None:
    """Return when a run got the owner that it has."""
    found = connection.execute("SELECT at FROM openings WHERE run_id=? ORDER BY epoch DESC", (run_id,)).fetchone()
    return None if found is None else found[0]


def lock_beside(own: Path, name: str | None) -> Path | None:
    """Return the lock file that a row names, None if it names none that a store would have made."""
    if not name or Path(name).name != name or not name.endswith(".lock"):
        return None
    return own.with_name(name)


def release(connection: sqlite3.Connection, owner: Owner, run_ids: Sequence[str], epoch: int | None = None) -> None:
    """Stop owning runs. epoch: only the lease with that number."""
    with transaction(connection):
        for run_id in run_ids:
            for number, status in connection.execute(_OWNED, (run_id, owner.text, epoch, epoch)).fetchall():
                if status == "running":
                    with suppress(DamagedStore):  # whoever reads it is told
                        _settle(connection, run_id)
                connection.execute("UPDATE runs SET owner=NULL, lock_file=NULL WHERE number=?", (number,))


def renew(connection: sqlite3.Connection, owner: Owner, run_ids: Sequence[str]) -> None:
    """Make the leases of runs last from now on, also of those that ran out while nobody took them."""
    connection.execute(
        f"UPDATE runs SET lease_until={NOW} + ? WHERE run_id IN (SELECT value FROM json_each(?)) AND owner=?",
        (owner.ttl, dumps(run_ids), owner.text),
    )


def look_up(cursor: sqlite3.Cursor, run_id: str) -> int:
    """Return the number of a run, which never changes and is never used twice; 0 if there is no such run."""
    found = cursor.execute("SELECT number FROM runs WHERE run_id=?", (run_id,)).fetchone()
    return 0 if found is None else int(found[0])


def opening_columns(run_id: str, opening: Opening) -> tuple[str, int, str, float, int]:
    """Return the columns of an opening."""
    epoch, owner, at = opening
    return run_id, epoch, owner, at, opening_crc(run_id, *opening)


def tag(cursor: sqlite3.Cursor, number: int, tags: Sequence[str]) -> None:
    """Let a run be found by its tags. number: of the run."""
    if tags:
        cursor.executemany(_TAG, [(each, number) for each in tags])


def define(connection: sqlite3.Connection, fingerprint: str, text: str) -> None:
    """Keep the description of a workflow unless it is there."""
    with transaction(connection):
        connection.execute(DEFINITION, (fingerprint, text))


def post(connection: sqlite3.Connection, message: Message) -> bool:
    """Put a message into the inbox of a run; False if it is or was there."""
    *columns, _ = message
    with transaction(connection):
        found = connection.execute(_IS_POSTED, (message.id, message.run_id)).fetchone()
        if found is None:
            raise UnknownRun(message.run_id)
        is_new = not found[0]
        if is_new:
            connection.execute(_MESSAGE, (*columns, message_crc(message)))
    return is_new
