"""The records of a SqliteStore: where they lie, and how new ones are committed.

Every microsecond counts here: the event loop may stand still meanwhile.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from milepost.engine.stores.sqlite_checks import due_mark_of, mark_of, record_crc, result_crc
from milepost.engine.stores.sqlite_file import roll_back
from milepost.engine.stores.sqlite_rows import LAST_SEQ, OWN
from milepost.engine.stores.store import Entry, StoredRecord

RECORD: Final = "INSERT INTO records (place, body, content, hash, at, snapshot, crc) VALUES (?, ?, ?, ?, ?, ?, ?)"
_NEXT: Final = (  # fenced and committed in one statement, which writes one page
    "INSERT INTO records (place, body, content, hash, at, snapshot, crc) SELECT ?, ?, ?, ?, ?, NULL, ? "
    "FROM runs WHERE number=? AND epoch=? AND owner IS NOT NULL"
)
_STANDING: Final = (  # the last: whether the row can stay as it is when a record comes that leaves the run running
    f"SELECT number, epoch, (SELECT max(place) & {LAST_SEQ} FROM records WHERE {OWN}), owner IS NOT NULL AND "
    "status='running' AND error IS NULL AND output IS NULL AND due IS NULL AND due_mark IS NULL FROM runs "
    "WHERE run_id=? AND EXISTS "
    "(SELECT 1 FROM openings WHERE run_id=runs.run_id AND epoch=runs.epoch AND openings.owner=?)"
)
_ADVANCE: Final = (
    "UPDATE runs SET seq=?, hash=?, updated=?, snapshot_seq=max(snapshot_seq, ?), mark=?, takeovers=0, status=?, "
    "error=?, output=?, due=?, due_mark=? WHERE number=?"
)
_TAKE: Final = "UPDATE inbox SET taken=?, payload='' WHERE run_id=? AND id=? AND taken IS NULL"
_KEEP: Final = (
    "INSERT INTO cache (key, value, expires, crc) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET value=excluded.value, expires=excluded.expires, crc=excluded.crc"
)
_DROP: Final = (  # a few: more than are kept, so that they become fewer, and not so many that a commit would be slow
    "DELETE FROM cache WHERE rowid IN (SELECT rowid FROM cache WHERE expires <= ? ORDER BY expires LIMIT 10)"
)

RecordColumns = tuple[int, str, str, str, float, str | None, int]


@dataclass(slots=True)
class Head:
    """Where a run stands that is running, and of which a record has been committed here under this lease.

    While that is known, the next record that leaves it running has only to be added: nobody else commits any under the
    same lease. number: of the run. seq: of its newest record.
    """

    number: int
    epoch: int
    seq: int


Heads = dict[str, Head]
"""By run id. Whatever is not known for certain to be committed is not in it, and is looked up."""


def place_of(number: int, seq: int) -> int:
    """Return where a record lies. number: of its run. Raises OverflowError: a run has no such record.

    >>> place_of(1, 2)
    4294967298
    """
    if not 0 <= seq <= LAST_SEQ:
        raise OverflowError(f"a run has at most {LAST_SEQ} checkpoints")
    return number << 32 | seq


def append(cursor: sqlite3.Cursor, heads: Heads, owner: str, entry: Entry) -> bool:
    """Commit one entry; False if its lease is lost. owner: whose lease it is."""
    head = heads.get(entry.run_id)
    try:
        if head is not None and _add_next(cursor, head, entry):  # a transaction of its own
            return True
        cursor.execute("BEGIN IMMEDIATE")
        is_kept = _add(cursor, heads, owner, entry)
        cursor.execute("COMMIT" if is_kept else "ROLLBACK")
    except BaseException:
        heads.pop(entry.run_id, None)
        roll_back(cursor.connection)
        raise
    return is_kept


def add(cursor: sqlite3.Cursor, heads: Heads, owner: str, entry: Entry) -> bool:
    """Write one entry within an open transaction; False, writing nothing, if its lease is lost.

    If the transaction is undone, nothing in `heads` is for certain any more.
    """
    head = heads.get(entry.run_id)
    return (head is not None and _add_next(cursor, head, entry)) or _add(cursor, heads, owner, entry)


def _add_next(cursor: sqlite3.Cursor, head: Head, entry: Entry) -> bool:
    """Add the record that comes next, if that is all there is to do, and its lease is not lost."""
    _, epoch, seq, body, content, digest, at, snapshot, status, error, output, cache, taken, fingerprint, due, _ = entry
    if (
        head.seq != seq - 1
        or head.epoch != epoch
        or status != "running"
        or not (snapshot is None and error is None and output is None and due is None)
        or not (cache is None and fingerprint is None and not taken)
    ):
        return False
    number = head.number
    crc = record_crc(seq, digest, at)
    cursor.execute(_NEXT, (place_of(number, seq), body, content, digest, at, crc, number, epoch))
    if cursor.rowcount != 1:
        return False
    head.seq = seq
    return True


def _add(cursor: sqlite3.Cursor, heads: Heads, owner: str, entry: Entry) -> bool:
    """Add a record with all that it brings; False if the lease of its run is lost, or another record is the next.

    The number of a lease is not enough: the run may have been removed meanwhile, and another begun with its id.
    """
    run_id, epoch, seq, body, content, digest, at, snapshot, status, error, output, _, _, fingerprint, due, _ = entry
    heads.pop(run_id, None)
    found = cursor.execute(_STANDING, (run_id, owner)).fetchone()
    if found is None or (epoch, seq - 1) != found[1:3]:
        return False
    number, _, _, was_plain = found
    is_still_plain = is_plain(entry)
    cursor.execute(RECORD, record_columns(number, StoredRecord(seq, body, content, digest, at, snapshot)))
    if not (was_plain and is_still_plain and snapshot is fingerprint is None):
        snapshot_seq = 0 if snapshot is None else seq
        mark = mark_of(run_id, seq, digest, status, at, error, output)
        head = (seq, digest, at, snapshot_seq, mark)
        cursor.execute(_ADVANCE, (*head, status, error, output, due, due_mark_of(run_id, seq, due), number))
    add_rest(cursor, entry)
    if is_still_plain:
        heads[run_id] = Head(number, epoch, seq)
    return True


def is_plain(entry: Entry) -> bool:
    """Whether the row of a run that an entry leaves running can stay as it is when the next such one comes."""
    return entry.status == "running" and entry.error is None and entry.output is None and entry.due is None


def add_rest(cursor: sqlite3.Cursor, entry: Entry) -> None:
    """Write what an entry brings besides its record and how its run stands."""
    if entry.fingerprint is not None:
        cursor.execute("UPDATE runs SET fingerprint=? WHERE run_id=?", (entry.fingerprint, entry.run_id))
    if entry.taken:
        cursor.executemany(_TAKE, [(entry.seq, entry.run_id, message_id) for message_id in entry.taken])
    if entry.cache is not None:
        cursor.execute(_KEEP, (*entry.cache, result_crc(*entry.cache)))
        cursor.execute(_DROP, (entry.at,))


def record_columns(number: int, record: StoredRecord) -> RecordColumns:
    """Return the columns of a record. number: of its run."""
    seq, body, content, digest, at, snapshot = record
    return place_of(number, seq), body, content, digest, at, snapshot, record_crc(seq, digest, at)
