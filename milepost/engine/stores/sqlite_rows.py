"""Rows of runs as a SqliteStore reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import pairwise
from typing import Final, get_args

from milepost.engine.errors import DamagedStore
from milepost.engine.stores.sqlite_checks import (
    MISMATCH,
    check,
    fixed_crc,
    mark_of,
    message_crc,
    opening_crc,
    record_crc,
    result_crc,
)
from milepost.engine.stores.store import CacheEntry, Message, Opening, Posted, RunRow, StoredRecord
from milepost.engine.trace import RunStatus

NAMES: Final = tuple(field.name for field in fields(RunRow))
COLUMNS: Final = ", ".join(NAMES)
CHECKED: Final = (  # the hash of the newest record only where the mark does not tell that it is as the row says
    f"{COLUMNS}, crc, mark, CASE WHEN mark GLOB seq || ':*' THEN NULL ELSE "
    "(SELECT records.hash FROM records WHERE run=number AND records.seq=runs.seq) END"
)
"""What `row_of` reads."""

STATUSES: Final = get_args(RunStatus)
ISOLATIONS: Final = ("task", "shared")

Value = str | int | float
"""What is bound to a statement."""

_LAST: Final = "\U0010ffff"
"""No run id goes on with it: it stands for no character, and comes after all that do."""


def row_of(values: Sequence[object]) -> RunRow:
    """Return a row from what is `CHECKED`. Raises DamagedStore when it is not as it was written."""
    *columns, crc, mark, newest = values
    row = RunRow(**dict(zip(NAMES, columns, strict=True)))  # type: ignore[arg-type]  # what the schema says
    what = f"run {row.run_id!r}"
    if not (_is_plain(row) and (newest is None or newest == row.hash)):
        raise DamagedStore(what, MISMATCH)
    check(what, crc, fixed_crc(row))
    if newest is None and mark != mark_of(
        row.run_id, row.seq, row.hash, row.status, row.updated, row.error, row.output
    ):
        raise DamagedStore(what, MISMATCH)
    return row


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


def values_of(row: RunRow) -> list[object]:
    """Return the columns of a row."""
    return [getattr(row, name) for name in NAMES]


def listing(
    prefix: str, status: RunStatus | None, workflow: str | None, nested: bool, limit: int | None, before: RunRow | None
) -> tuple[str, list[Value]]:
    """Return the statement that lists rows as `Store.rows` says, and what to bind to it."""
    terms: list[str] = []
    values: list[Value] = []
    if prefix:
        terms.append("run_id >= ? AND run_id < ?")  # a range, unlike LIKE, is found by the index
        values += [prefix, prefix + _LAST]
    if status is not None:
        terms.append("status = ?")
        values.append(status)
    if workflow is not None:
        terms.append("workflow = ?")
        values.append(workflow)
    if not nested:
        terms.append("parent_run IS NULL")
    if before is not None:
        terms.append("created <= ? AND (created < ? OR run_id > ?)")
        values += [before.created, before.created, before.run_id]
    where = f"WHERE {' AND '.join(terms)} " if terms else ""
    values.append(-1 if limit is None else limit)
    return f"SELECT {CHECKED} FROM runs {where}ORDER BY created DESC, run_id LIMIT ?", values


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
