"""What a SqliteStore writes: every function is one transaction on one connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from json import dumps
from pathlib import Path
from typing import Final

from milepost.engine.data import dataclass
from milepost.engine.errors import CrashLoop, MilepostError, UnknownRun
from milepost.engine.stores.lockfile import is_free
from milepost.engine.stores.owner import busy
from milepost.engine.stores.sqlite_checks import (
    due_mark_of,
    mark_of,
    message_crc,
    opening_crc,
    record_crc,
    result_crc,
)
from milepost.engine.stores.sqlite_file import roll_back
from milepost.engine.stores.sqlite_rows import CHECKED, COLUMNS, WIDTH, columns_of, row_of
from milepost.engine.stores.store import Entry, Message, NewRun, Opening, RunRow, StoredRecord

NOW: Final = "((julianday('now') - 2440587.5) * 86400.0)"
"""The database's own clock, seconds since 1970 UTC: leases are compared by no other."""

_NEW_RUN: Final = (
    f"INSERT INTO runs ({COLUMNS}, lock_file, lease_until, takeovers) "
    f"VALUES ({', '.join('?' * WIDTH)}, ?, {NOW} + ?, 0)"
)
_ADVANCE: Final = (
    "UPDATE runs SET seq=?, hash=?, updated=?, snapshot_seq=max(snapshot_seq, ?), mark=?, takeovers=0, status=?, "
    "error=?, output=?, due=?, due_mark=? WHERE number=? AND epoch=? AND seq=?"
)
_ADVANCE_RUNNING: Final = (  # most often only this changes, and what it leaves alone, in no index has to be written
    "UPDATE runs SET seq=?, hash=?, updated=?, snapshot_seq=max(snapshot_seq, ?), mark=?, takeovers=0 "
    "WHERE number=? AND epoch=? AND seq=? "
    "AND status='running' AND error IS NULL AND output IS NULL AND due IS NULL AND due_mark IS NULL"
)
_TAG: Final = "INSERT INTO tags (tag, run) VALUES (?, ?) ON CONFLICT DO NOTHING"
RECORD: Final = "INSERT INTO records (run, seq, body, content, hash, at, snapshot, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
OPENING: Final = "INSERT INTO openings (run_id, epoch, owner, at, crc) VALUES (?, ?, ?, ?, ?)"
_NEWEST_INSIDE: Final = (
    "WITH RECURSIVE inside (run_id, updated) AS (SELECT run_id, updated FROM runs WHERE parent_run=? UNION ALL "
    "SELECT runs.run_id, runs.updated FROM runs JOIN inside ON runs.parent_run = inside.run_id) "
    "SELECT max(updated) FROM inside"
)
DEFINITION: Final = "INSERT INTO definitions (fingerprint, description) VALUES (?, ?) ON CONFLICT DO NOTHING"
_MESSAGE: Final = "INSERT INTO inbox (run_id, id, kind, payload, by, at, crc) VALUES (?, ?, ?, ?, ?, ?, ?)"
_IS_POSTED: Final = "SELECT EXISTS (SELECT 1 FROM inbox WHERE run_id=runs.run_id AND id=?) FROM runs WHERE run_id=?"
_TAKE: Final = "UPDATE inbox SET taken=?, payload='' WHERE run_id=? AND id=? AND taken IS NULL"
_KEEP: Final = (
    "INSERT INTO cache (key, value, expires, crc) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET value=excluded.value, expires=excluded.expires, crc=excluded.crc"
)
_DROP: Final = (  # a few: more than are kept, so that they become fewer, and not so many that a commit would be slow
    "DELETE FROM cache WHERE rowid IN (SELECT rowid FROM cache WHERE expires <= ? ORDER BY expires LIMIT 10)"
)

RecordColumns = tuple[int, int, str, str, str, float, str | None, int]

Numbers = dict[str, int]
"""Run id to the number of the run, filled as runs are met: numbers never change and are never used twice."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns runs: one open store. text: for people, unique. ttl: seconds that a lease lasts."""

    text: str
    lock: Path
    ttl: float


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """Commit what is done inside, or nothing of it; inside another transaction, with that one."""
    if connection.in_transaction:
        with _part(connection):
            yield
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        roll_back(connection)


@contextmanager
def _part(connection: sqlite3.Connection) -> Generator[None]:
    connection.execute("SAVEPOINT part")
    try:
        yield
    except MilepostError:  # after any other the whole transaction is undone
        connection.execute("ROLLBACK TO part")
        raise
    finally:
        if connection.in_transaction:
            connection.execute("RELEASE part")


def create(connection: sqlite3.Connection, owner: Owner, run: NewRun, first: Entry) -> bool:
    """Create a run with its first record, owned; False if the id is taken."""
    with transaction(connection):
        if connection.execute("SELECT 1 FROM runs WHERE run_id=?", (run.run_id,)).fetchone():
            return False
        if run.forked_from is not None and not look_up(connection.cursor(), {}, run.forked_from):
            raise UnknownRun(run.forked_from)
        connection.execute(DEFINITION, (run.fingerprint, run.definition))
        row = run.row(first, owner.text)
        connection.execute(_NEW_RUN, (*columns_of(row), owner.lock.name, owner.ttl))
        cursor = connection.cursor()
        number = look_up(cursor, {}, run.run_id)
        tag(cursor, number, run.tags)
        cursor.execute(RECORD, _record(number, first))
        _add(cursor, first)
        connection.execute(OPENING, opening_columns(run.run_id, Opening(first.epoch, owner.text, first.at)))
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
            takeovers += 1
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
        row = row_of(connection.execute(f"SELECT {CHECKED} FROM runs WHERE run_id=?", (run_id,)).fetchone())
        if loop is None:
            connection.execute(OPENING, opening_columns(run_id, Opening(row.epoch, owner.text, at)))
    if dead is not None:
        dead.unlink(missing_ok=True)
    if loop is not None:
        raise loop
    return row


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
        connection.execute(
            "UPDATE runs SET owner=NULL, lock_file=NULL "
            "WHERE run_id IN (SELECT value FROM json_each(?)) AND owner=? AND (? IS NULL OR epoch=?)",
            (dumps(run_ids), owner.text, epoch, epoch),
        )


def renew(connection: sqlite3.Connection, owner: Owner, run_ids: Sequence[str]) -> None:
    """Make the leases of runs last from now on, also of those that ran out while nobody took them."""
    connection.execute(
        f"UPDATE runs SET lease_until={NOW} + ? WHERE run_id IN (SELECT value FROM json_each(?)) AND owner=?",
        (owner.ttl, dumps(run_ids), owner.text),
    )


def append_one(cursor: sqlite3.Cursor, numbers: Numbers, entry: Entry) -> bool:
    """Commit one entry; False if its lease is lost. Every microsecond counts here: the event loop stands still."""
    run_id, epoch, seq, body, content, digest, at, snapshot, _, _, _, cache, taken, fingerprint, *_ = entry
    number = numbers.get(run_id) or look_up(cursor, numbers, run_id)
    execute = cursor.execute
    try:
        execute("BEGIN IMMEDIATE")
        if not _move(cursor, number, epoch, seq - 1, entry, 0 if snapshot is None else seq):
            execute("ROLLBACK")
            return False
        execute(RECORD, (number, seq, body, content, digest, at, snapshot, record_crc(seq, digest, at)))
        if cache is not None or taken or fingerprint is not None:
            _add(cursor, entry)
        execute("COMMIT")
    except BaseException:
        roll_back(cursor.connection)
        raise
    return True


def append(connection: sqlite3.Connection, numbers: Numbers, entries: Sequence[Entry]) -> list[bool]:
    """Commit entries of several runs together. Returns for each whether it is committed; False: its lease is lost."""
    kept = [False] * len(entries)
    places: dict[str, list[int]] = {}
    for place, entry in enumerate(entries):
        places.setdefault(entry.run_id, []).append(place)
    with transaction(connection):
        cursor = connection.cursor()
        for run_id, of_run in places.items():
            number = numbers.get(run_id) or look_up(cursor, numbers, run_id)
            chain = _chain([entries[place] for place in of_run])
            if _advance(cursor, number, chain):
                cursor.executemany(RECORD, [_record(number, entry) for entry in chain])
                for entry in chain:
                    _add(cursor, entry)
                for place in of_run[: len(chain)]:
                    kept[place] = True
    return kept


def look_up(cursor: sqlite3.Cursor, numbers: Numbers, run_id: str) -> int:
    """Return the number of a run, 0 if there is no such run."""
    found = cursor.execute("SELECT number FROM runs WHERE run_id=?", (run_id,)).fetchone()
    if found is None:
        return 0
    numbers[run_id] = found[0]
    return int(found[0])


def _chain(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return the entries at the head that follow one another."""
    first = entries[0]
    for offset, entry in enumerate(entries):
        if entry.epoch != first.epoch or entry.seq != first.seq + offset:
            return entries[:offset]
    return entries


def _advance(cursor: sqlite3.Cursor, number: int, chain: Sequence[Entry]) -> bool:
    """Move the row of a run to the last of its new entries; False if the lease is lost."""
    snapshot_seq = max((entry.seq for entry in chain if entry.snapshot is not None), default=0)
    return _move(cursor, number, chain[0].epoch, chain[0].seq - 1, chain[-1], snapshot_seq)


def _move(cursor: sqlite3.Cursor, number: int, epoch: int, before: int, entry: Entry, snapshot_seq: int) -> bool:
    """Move the row of a run to an entry; False if the lease is lost.

    before: the newest record until now. snapshot_seq: the newest record with a snapshot, 0 for none since.
    """
    run_id, _, seq, _, _, digest, at, _, status, error, output, _, _, _, due, _ = entry
    changed = (seq, digest, at, snapshot_seq, mark_of(run_id, seq, digest, status, at, error, output))
    if status == "running" and error is None and output is None and due is None:
        cursor.execute(_ADVANCE_RUNNING, (*changed, number, epoch, before))
        if cursor.rowcount == 1:
            return True
    cursor.execute(
        _ADVANCE, (*changed, status, error, output, due, due_mark_of(run_id, seq, due), number, epoch, before)
    )
    return cursor.rowcount == 1


def _record(number: int, entry: Entry) -> RecordColumns:
    _, _, seq, body, content, digest, at, snapshot, *_ = entry
    return record_columns(number, StoredRecord(seq, body, content, digest, at, snapshot))


def record_columns(number: int, record: StoredRecord) -> RecordColumns:
    """Return the columns of a record. number: of its run."""
    seq, body, content, digest, at, snapshot = record
    return number, seq, body, content, digest, at, snapshot, record_crc(seq, digest, at)


def opening_columns(run_id: str, opening: Opening) -> tuple[str, int, str, float, int]:
    """Return the columns of an opening."""
    epoch, owner, at = opening
    return run_id, epoch, owner, at, opening_crc(run_id, *opening)


def tag(cursor: sqlite3.Cursor, number: int, tags: Sequence[str]) -> None:
    """Let a run be found by its tags. number: of the run."""
    if tags:
        cursor.executemany(_TAG, [(each, number) for each in tags])


def _add(cursor: sqlite3.Cursor, entry: Entry) -> None:
    """Write what an entry brings besides its record."""
    if entry.fingerprint is not None:
        cursor.execute("UPDATE runs SET fingerprint=? WHERE run_id=?", (entry.fingerprint, entry.run_id))
    if entry.taken:
        cursor.executemany(_TAKE, [(entry.seq, entry.run_id, message_id) for message_id in entry.taken])
    if entry.cache is not None:
        cursor.execute(_KEEP, (*entry.cache, result_crc(*entry.cache)))
        cursor.execute(_DROP, (entry.at,))


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
