"""What looking after a SqliteStore writes: every function is one transaction on one connection, unless it says more."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from json import dumps
from pathlib import Path
from typing import Final

from milepost.engine.stores.lockfile import is_free
from milepost.engine.stores.sqlite_checks import mark_of, message_crc
from milepost.engine.stores.sqlite_file import transaction
from milepost.engine.stores.sqlite_journal import (
    DEFINITION,
    NOW,
    OPENING,
    Owner,
    lock_beside,
    look_up,
    opening_columns,
    tag,
)
from milepost.engine.stores.sqlite_records import RECORD, record_columns
from milepost.engine.stores.sqlite_rows import COLUMNS, HEAD_SEQ, OWN, WIDTH, columns_of
from milepost.engine.stores.store import Leftovers, RunRow, Weight, WholeRun

WEIGH: Final = (
    "SELECT count(DISTINCT number), count(*), coalesce(sum(length(CAST(body AS BLOB)) + length(CAST(content AS BLOB)) "
    "+ coalesce(length(CAST(snapshot AS BLOB)), 0)), 0) "
    f"FROM json_each(?) JOIN runs ON run_id=value JOIN records ON {OWN}"
)
_STANDING: Final = f"SELECT number, epoch, {HEAD_SEQ}, owner, lock_file, lease_until > {NOW} FROM runs WHERE run_id=?"
_NEEDED: Final = (
    "SELECT EXISTS (SELECT 1 FROM runs WHERE (parent_run IN (SELECT value FROM json_each(?1)) "
    "OR forked_from IN (SELECT value FROM json_each(?1))) AND run_id NOT IN (SELECT value FROM json_each(?1)))"
)
_REMOVE: Final = (
    f"DELETE FROM records WHERE place IN (SELECT place FROM runs JOIN records ON {OWN} WHERE run_id=?)",
    "DELETE FROM tags WHERE run IN (SELECT number FROM runs WHERE run_id=?)",
    "DELETE FROM openings WHERE run_id=?",
    "DELETE FROM inbox WHERE run_id=?",
    "DELETE FROM runs WHERE run_id=?",
)
_RUN: Final = (
    f"INSERT INTO runs ({COLUMNS}, lock_file, lease_until, takeovers) VALUES ({', '.join('?' * WIDTH)}, NULL, 0, 0)"
)
_POSTED: Final = "INSERT INTO inbox (run_id, id, kind, payload, by, at, taken, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_OTHER_RECORD: Final = "UPDATE records SET body=?, content=?, hash=?, snapshot=?, crc=? WHERE place=?"
_OTHER_ROW: Final = (  # owners are counted since the newest record, from which on the row names it
    "UPDATE runs SET seq=?1, hash=?2, updated=?3, error=?4, output=?5, mark=?6, "
    "takeovers=CASE WHEN seq=?1 THEN takeovers ELSE 0 END WHERE number=?7"
)
_OTHER_MESSAGE: Final = (
    "UPDATE inbox SET payload=CASE WHEN taken IS NULL THEN ? ELSE payload END, by=?, crc=? WHERE run_id=? AND id=?"
)
_EXPIRED: Final = "FROM cache WHERE (?1 IS NULL OR expires <= ?1)"
_UNREAD: Final = (
    "FROM inbox WHERE taken IS NULL AND run_id IN "
    "(SELECT run_id FROM runs WHERE status IN ('completed', 'cancelled') AND owner IS NULL)"
)
_EMPTY: Final = f"UPDATE inbox SET taken=0, payload='' WHERE number IN (SELECT number {_UNREAD})"
_FEW: Final = 200
"""Pages that are given back at a time, so that others can write in between."""
_VACUUM: Final = f"PRAGMA incremental_vacuum({_FEW})"


def weighed(found: Sequence[Sequence[int]]) -> Weight:
    """Return what `WEIGH` found."""
    return Weight(*found[0])


def delete(connection: sqlite3.Connection, owner: Owner, rows: Sequence[RunRow]) -> bool:
    """Remove runs; False if one is not as its row says, or is needed by another."""
    ids = dumps([row.run_id for row in rows])
    with transaction(connection):
        if not all(_stands(connection, owner, row) for row in rows):
            return False
        if connection.execute(_NEEDED, (ids,)).fetchone()[0]:
            return False
        for row in rows:
            for statement in _REMOVE:
                connection.execute(statement, (row.run_id,))
    return True


def _stands(connection: sqlite3.Connection, owner: Owner, row: RunRow) -> int:
    """Return the number of a run that is as its row says and that nobody drives, else 0."""
    found = connection.execute(_STANDING, (row.run_id,)).fetchone()
    if found is None:
        return 0
    number, epoch, seq, name, lock_file, is_leased = found
    if (epoch, seq) != (row.epoch, row.seq) or name == owner.text:
        return 0
    lock = lock_beside(owner.lock, lock_file)
    lives = name is not None and is_leased and lock is not None and not is_free(lock)
    return 0 if lives else int(number)


def insert(connection: sqlite3.Connection, runs: Sequence[WholeRun]) -> bool:
    """Put whole runs in; False if an id is taken."""
    cursor = connection.cursor()
    with transaction(connection):
        if any(look_up(cursor, run.row.run_id) for run in runs):
            return False
        for run in runs:
            row = replace(run.row, owner=None)
            cursor.execute(DEFINITION, (row.fingerprint, run.definition))
            cursor.execute(_RUN, columns_of(row))
            number = look_up(cursor, row.run_id)
            tag(cursor, number, row.tags)
            cursor.executemany(RECORD, [record_columns(number, record) for record in run.records])
            cursor.executemany(OPENING, [opening_columns(row.run_id, opening) for opening in run.openings])
            for message, taken in run.messages:
                *columns, _ = message
                cursor.execute(_POSTED, (*columns, taken, message_crc(message)))
    return True


def rewrite(connection: sqlite3.Connection, owner: Owner, run: WholeRun) -> bool:
    """Put other texts in place of those of a run; False if it is not as its row says."""
    row = run.row
    connection.execute("PRAGMA secure_delete=ON")  # what is written over must not stay readable in what is free
    with transaction(connection):
        number = _stands(connection, owner, row)
        if not number:
            return False
        for record in run.records:
            place, body, content, digest, _, snapshot, crc = record_columns(number, record)
            connection.execute(_OTHER_RECORD, (body, content, digest, snapshot, crc, place))
        mark = mark_of(row.run_id, row.seq, row.hash, row.status, row.updated, row.error, row.output)
        connection.execute(_OTHER_ROW, (row.seq, row.hash, row.updated, row.error, row.output, mark, number))
        for message, _ in run.messages:
            told = (message.payload, message.by, message_crc(message))
            connection.execute(_OTHER_MESSAGE, (*told, row.run_id, message.id))
    return True


def sweep(connection: sqlite3.Connection, now: float | None, *, dry_run: bool) -> Leftovers:
    """Remove the results that have expired, and empty the inboxes of runs that are over."""
    with transaction(connection):
        results, size = connection.execute(
            f"SELECT count(*), coalesce(sum(length(CAST(value AS BLOB))), 0) {_EXPIRED}", (now,)
        ).fetchone()
        messages, more = connection.execute(
            f"SELECT count(*), coalesce(sum(length(CAST(payload AS BLOB))), 0) {_UNREAD}"
        ).fetchone()
        if not dry_run:
            connection.execute(f"DELETE {_EXPIRED}", (now,))
            connection.execute(_EMPTY)
    return Leftovers(results, messages, size + more)


def compact(connection: sqlite3.Connection) -> int:
    """Give back free pages, in several transactions; returns how many bytes.

    A file that keeps account of its free pages gives back a few at a time. An earlier one is written anew as a whole,
    which would hold up whoever commits, and so is done only while nobody owns a run; its free pages are used again.
    """
    before, free = _pragma(connection, "page_count"), _pragma(connection, "freelist_count")
    owned = connection.execute("SELECT EXISTS (SELECT 1 FROM runs WHERE owner IS NOT NULL)").fetchone()[0]
    if _pragma(connection, "auto_vacuum"):
        for _ in range(0, free, _FEW):
            connection.executescript(_VACUUM)  # execute would stop after the first page
    elif free and not owned:
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # only this shrinks the file, and the log
    return (before - _pragma(connection, "page_count")) * _pragma(connection, "page_size")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def told(path: Path, line: str) -> str:
    """Put a line of SQLite's own check into a sentence."""
    return f"The file {path} is damaged: {line.rstrip('.')}."
