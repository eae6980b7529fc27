"""Rows as a PostgresStore reads them, and the statements that find them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString

from milepost.engine.stores.store import RunRow
from milepost.engine.trace import RunStatus

COLUMNS: Final = (
    "run_id, workflow, version, fingerprint, status, isolation, created, updated, seq, hash, snapshot_seq, epoch, "
    "owner, error, output, parent_run, parent_task"
)
ROW: Final = f"SELECT {COLUMNS} FROM runs WHERE run_id = %s"
CHILDREN: Final = (
    f"SELECT {COLUMNS} FROM runs WHERE parent_run = %s AND (%s::text IS NULL OR status = %s) ORDER BY number"
)

_RECORDS: Final = (
    "SELECT records.seq, body, content, records.hash, at, snapshot FROM runs JOIN records ON run = number "
    "WHERE run_id = %s"
)
RECORDS: Final = f"{_RECORDS} AND records.seq > %s ORDER BY records.seq LIMIT %s"
RECORD: Final = f"{_RECORDS} AND records.seq = %s"

OPENINGS: Final = (
    "SELECT openings.epoch, openings.owner, at FROM runs JOIN openings ON run = number WHERE run_id = %s "
    "ORDER BY openings.epoch"
)
DEFINITION: Final = "SELECT description FROM definitions WHERE fingerprint = %s"
CACHED: Final = "SELECT value FROM cache WHERE key = %s AND (expires IS NULL OR expires > %s)"
INBOX: Final = (
    "SELECT run_id, id, kind, payload, by, at, number FROM inbox WHERE run_id = %s AND taken IS NULL ORDER BY number"
)
NEWS: Final = "SELECT number, run_id FROM inbox WHERE taken IS NULL AND number > %s ORDER BY number"

_NAMES: Final = tuple(COLUMNS.split(", "))
_LAST: Final = "\U0010ffff"
"""No run id goes on with it: it stands for no character, and comes after all that do."""


def row_of(values: Sequence[object]) -> RunRow:
    """Return a row from its columns."""
    return RunRow(**dict(zip(_NAMES, values, strict=True)))  # type: ignore[arg-type]  # what the schema says


def listing(
    prefix: str, status: RunStatus | None, workflow: str | None, nested: bool, limit: int | None, before: RunRow | None
) -> tuple[LiteralString, list[object]]:
    """Return the statement that lists rows as `Store.rows` says, and what to bind to it."""
    terms: list[LiteralString] = []
    values: list[object] = []
    if prefix:
        terms.append("run_id >= %s AND run_id < %s")  # a range, unlike LIKE, is found by the index
        values += [prefix, prefix + _LAST]
    if status is not None:
        terms.append("status = %s")
        values.append(status)
    if workflow is not None:
        terms.append("workflow = %s")
        values.append(workflow)
    if not nested:
        terms.append("parent_run IS NULL")
    if before is not None:
        terms.append("created <= %s AND (created < %s OR run_id > %s)")
        values += [before.created, before.created, before.run_id]
    where = f"WHERE {' AND '.join(terms)} " if terms else ""
    values.append(limit)
    return f"SELECT {COLUMNS} FROM runs {where}ORDER BY created DESC, run_id LIMIT %s", values
