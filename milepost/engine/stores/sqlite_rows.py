"""Rows of runs as a SqliteStore reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import pairwise
from json import dumps, loads
from typing import Final, get_args

from milepost.engine.errors import DamagedStore
from milepost.engine.stores.sqlite_checks import (
    MISMATCH,
    check,
    due_mark_of,
    fixed_crc,
    mark_of,
    message_crc,
    opening_crc,
    record_crc,
    result_crc,
    tags_crc,
)
from milepost.engine.stores.store import CacheEntry, Message, Opening, Posted, RunRow, StoredRecord
from milepost.engine.stores.terms import Terms, Value
from milepost.engine.trace import RunStatus

NAMES: Final = tuple(each.name for each in fields(RunRow))
"""Of the columns that are the fields of a row, `tags` and `due` last."""
COLUMNS: Final = ", ".join((*NAMES, "crc", "mark", "tags_crc", "due_mark"))
"""What `columns_of` gives."""
WIDTH: Final = len(COLUMNS.split(", "))
LAST_SEQ: Final = 4294967295
"""The most records that a run can have: the number of a record is half of its place."""
OWN: Final = f"place BETWEEN number << 32 AND number << 32 | {LAST_SEQ}"
"""Which records are those of a run."""


def _of_newest(column: str) -> str:
    """Return what the newest record of a run says, NULL for runs whose rows name it for sure."""
    return f"CASE WHEN status='running' THEN (SELECT {column} FROM records WHERE {OWN} ORDER BY place DESC LIMIT 1) END"


HEAD_SEQ: Final = f"coalesce({_of_newest(f'place & {LAST_SEQ}')}, seq)"
"""The number of the newest record of a run."""
UPDATED: Final = f"coalesce({_of_newest('at')}, updated)"
"""When the newest record of a run was committed."""
_NAMED: Final = (  # the hash of the record that the row names, except where the row itself tells that it is right
    "CASE WHEN status='running' OR mark IS NULL OR NOT mark GLOB seq || ':*' "
    f"THEN (SELECT hash FROM records WHERE place = number << 32 | (seq & {LAST_SEQ})) END"
)
CHECKED: Final = ", ".join((COLUMNS, _NAMED, *map(_of_newest, (f"place & {LAST_SEQ}", "hash", "at", "crc"))))
"""What `row_of` reads."""

UNTAGGED: Final = (  # of runs that are not found by what their rows say
    "SELECT run_id FROM runs, json_each(CASE WHEN json_valid(runs.tags) THEN runs.tags ELSE '[]' END) AS given "
    "WHERE runs.tags IS NOT NULL AND NOT EXISTS (SELECT 1 FROM tags WHERE tag = given.value AND run = number) LIMIT 1"
)

STATUSES: Final = get_args(RunStatus)
ISOLATIONS: Final = ("task", "shared")

_ORDER: Final = "ORDER BY created DESC, run_id"
_LAST: Final = "\U0010ffff"
"""No run id goes on with it: it stands for no character, and comes after all that do."""


def row_of(values: Sequence[object]) -> RunRow:
    """Return a row from what is `CHECKED`, at its newest record. Raises DamagedStore: it is not as it was written."""
    *columns, tags, due, crc, mark, crc_of_tags, due_mark, named, seq, digest, at, crc_of_newest = values
    row = RunRow(**dict(zip(NAMES, columns, strict=False)))  # type: ignore[arg-type]  # what the schema says
    what = f"run {row.run_id!r}"
    if not _is_plain(row):
        raise DamagedStore(what, MISMATCH)
    check(what, crc, fixed_crc(row))
    if isinstance(mark, str) and mark.startswith(f"{row.seq}:"):
        is_whole = mark == mark_of(row.run_id, row.seq, row.hash, row.status, row.updated, row.error, row.output)
    else:  # an earlier version has written its newest record
        is_whole = named == row.hash
    if not is_whole:
        raise DamagedStore(what, MISMATCH)
    if not (tags is None and crc_of_tags is None and due is None and due_mark is None):  # as in most rows
        row = replace(row, tags=_tags_of(row, tags, crc_of_tags), due=_due_of(row, due, due_mark))
    if row.status != "running" or seq == row.seq:
        return row
    if row.owner is None or named != row.hash:  # then the row names the newest; else, at least one of its records
        raise DamagedStore(what, MISMATCH)
    newest = record_of(row.run_id, (seq, "", "", digest, at, None, crc_of_newest))
    return replace(row, seq=newest.seq, hash=newest.hash, updated=newest.at)


def hash_of_newest(values: Sequence[object]) -> str:
    """Return the hash of the newest record of a run that is running, from what is `CHECKED` and `row_of` has read."""
    return str(values[-3])


def _tags_of(row: RunRow, tags: object, crc: object) -> tuple[str, ...]:
    """Return the tags of a run from their columns. Raises DamagedStore."""
    if not (tags is None or isinstance(tags, str)) or crc != tags_crc(row.run_id, tags):
        raise DamagedStore(f"run {row.run_id!r}", MISMATCH)
    return () if tags is None else tuple(loads(tags))


def _due_of(row: RunRow, due: object, mark: object) -> float | None:
    """Return when a run goes on by itself, from its columns. Raises DamagedStore."""
    if row.status != "waiting" and isinstance(mark, str) and not mark.startswith(f"{row.seq}:"):
        return None  # an earlier version, of which no run waits, has written its newest record
    if not (due is None or isinstance(due, float)) or mark != due_mark_of(row.run_id, row.seq, due):
        raise DamagedStore(f"run {row.run_id!r}", MISMATCH)
    return due


def _is_plain(row: RunRow) -> bool:
    """Whether the columns of a row are at all what they can be: SQLite itself lets each be anything."""
    texts: list[object] = [row.run_id, row.workflow, row.fingerprint, row.hash]
    numbers: list[object] = [row.version, row.seq, row.snapshot_seq, row.epoch, row.forked_at]
    times: list[object] = [row.created, row.updated]
    perhaps: list[object] = [row.owner, row.error, row.output, row.parent_run, row.parent_task, row.forked_from]
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(number, int) for number in numbers)
        and all(isinstance(time, float) for time in times)
        and all(text is None or isinstance(text, str) for text in perhaps)
        and row.status in STATUSES
        and row.isolation in ISOLATIONS
    )


def columns_of(row: RunRow) -> list[object]:
    """Return the columns of a row, with its checksums."""
    tags = dumps(row.tags, ensure_ascii=False) if row.tags else None
    return [
        *(getattr(row, name) for name in NAMES[:-2]),
        *(tags, row.due),
        *(fixed_crc(row), mark_of(row.run_id, row.seq, row.hash, row.status, row.updated, row.error, row.output)),
        *(tags_crc(row.run_id, tags), due_mark_of(row.run_id, row.seq, row.due)),
    ]


def terms_of(workflow: str | None, tag: str | None, since: float | None, nested: bool) -> Terms:
    """Return what lists and counts of runs have in common."""
    terms = Terms()
    terms.add("workflow = ?", workflow)
    terms.add("number IN (SELECT run FROM tags WHERE tag = ?)", tag)
    terms.add("created >= ?", since)
    if not nested:
        terms.add("parent_run IS NULL")
    return terms


def listing(
    terms: Terms, *, prefix: str, status: RunStatus | None, limit: int | None, before: RunRow | None
) -> tuple[str, list[Value]]:
    """Return the statement that lists rows as `Store.rows` says, and what to bind to it."""
    terms.add("status = ?", status)
    if prefix:
        terms.add("run_id >= ? AND run_id < ?", prefix, prefix + _LAST)  # a range, unlike LIKE, is found by the index
    if before is not None:
        terms.add("created <= ? AND (created < ? OR run_id > ?)", before.created, before.created, before.run_id)
    found = f"SELECT number FROM runs {terms.where()}{_ORDER} LIMIT ?"  # so that only numbers have to be sorted
    statement = f"SELECT {CHECKED} FROM runs WHERE number IN ({found}) {_ORDER}"
    return statement, [*terms.values, -1 if limit is None else limit]


def counted(found: Sequence[tuple[object, int]]) -> dict[RunStatus, int]:
    """Return how many runs stand how, from what was counted by status. Raises DamagedStore."""
    for status, count in found:
        if status not in STATUSES:
            raise DamagedStore("its runs", f"{count} of them stand {status!r}, which nothing does")
    return dict(found)  # type: ignore[arg-type]  # just looked at


def in_order(rows: Sequence[RunRow]) -> Sequence[RunRow]:
    """Return rows as they were listed. Raises DamagedStore when an index has led to them in another order, or twice."""
    places = [(-row.created, row.run_id) for row in rows]
    for before, after in pairwise(places):
        if before >= after:
            raise DamagedStore(f"run {after[1]!r}", "it is not where it belongs")
    return rows


def record_of(run_id: str, values: Sequence[object]) -> StoredRecord:
    """Return a record from its columns and its checksum. Raises DamagedStore."""
    *columns, crc = values
    record = StoredRecord(*columns)  # type: ignore[arg-type]  # checked below
    what = f"checkpoint {record.seq!r} of run {run_id!r}"
    texts: list[object] = [record.body, record.content, record.hash, record.snapshot or ""]
    if not all(isinstance(text, str) for text in texts) or not isinstance(record.at, float):
        raise DamagedStore(what, MISMATCH)
    check(what, crc, record_crc(record.seq, record.hash, record.at))
    return record


def openings_of(run_id: str, found: Sequence[Sequence[object]]) -> list[Opening]:
    """Return the openings of a run, each from its columns, its checksum, and how many there are to be.

    Raises DamagedStore.
    """
    openings: list[Opening] = []
    for number, (epoch, owner, at, crc, count) in enumerate(found, 1):
        if epoch != number or count != len(found) or not isinstance(owner, str) or not isinstance(at, float):
            raise DamagedStore(f"who owned run {run_id!r}", "somebody is missing")
        check(f"who owned run {run_id!r}", crc, opening_crc(run_id, number, owner, at))
        openings.append(Opening(number, owner, at))
    return openings


def posted_of(values: Sequence[object]) -> Posted:
    """Return a message from its columns, the record that took it, and its checksum. Raises DamagedStore."""
    *columns, taken, crc = values
    message = Message(*columns)  # type: ignore[arg-type]  # what the schema says
    if taken is None:
        check(f"message {message.id!r} to run {message.run_id!r}", crc, message_crc(message))
    return Posted(message, taken)  # type: ignore[arg-type]  # what the schema says


def result_of(values: Sequence[object]) -> str:
    """Return a kept result from its columns and its checksum. Raises DamagedStore."""
    *columns, crc = values
    result = CacheEntry(*columns)  # type: ignore[arg-type]  # what the schema says
    check("a result in the cache", crc, result_crc(*result))
    return result.value
