"""Rows as a PostgresStore reads them, and the statements that find them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString

from milepost.engine.stores.store import RunRow
from milepost.engine.trace import RunStatus

COLUMNS: Final = (
    "run_id, workflow, version, fingerprint, status, isolation, created, updated, seq, hash, snapshot_seq, epoch, "
    "owner, error, output, parent_run, parent_task, forked_from, forked_at"
)
ROW: Final = f"SELECT {COLUMNS} FROM runs WHERE run_id = %s"
CHILDREN: Final = (
    f"SELECT {COLUMNS} FROM runs WHERE parent_run = %s AND (%s::text IS NULL OR status = %s) ORDER BY number"
)

_LINE: Final = (  # where the records of a run are: in which run, after which number, up to which one
    "WITH RECURSIVE line (run, low, high, above) AS (SELECT number, forked_at, 9223372036854775807, forked_from "
    "FROM runs WHERE run_id = %s UNION ALL SELECT number, forked_at, low, forked_from FROM line "
    "JOIN runs ON run_id = above WHERE forked_at < low) "
)
_RECORD: Final = "SELECT seq, body, content, hash, at, snapshot FROM"
RECORDS: Final = (
    f"{_LINE}{_RECORD} line CROSS JOIN LATERAL (SELECT * FROM records WHERE records.run = line.run "
    "AND seq > greatest(low, %s) AND seq <= high ORDER BY seq LIMIT %s) AS found ORDER BY seq LIMIT %s"
)
RECORD: Final = (
    f"{_LINE}{_RECORD} line JOIN records ON records.run = line.run AND seq > low AND seq <= high WHERE seq = %s"
)
SNAPSHOT: Final = (
    f"{_LINE}SELECT seq FROM line CROSS JOIN LATERAL (SELECT seq FROM records WHERE records.run = line.run "
    "AND seq > low AND seq <= least(high, %s) AND snapshot IS NOT NULL ORDER BY seq DESC LIMIT 1) AS found "
    "ORDER BY seq DESC LIMIT 1"
)

OPENINGS: Final = (
    "SELECT openings.epoch, openings.owner, at FROM runs JOIN openings ON run = number WHERE run_id = %s "
    "ORDER BY openings.epoch"
)
DEFINITION: Final = "SELECT description FROM definitions WHERE fingerprint = %s"
CACHED: Final = "SELECT value FROM cache WHERE key = %s AND (expires IS NULL OR expires > %s)"
INBOX: Final = (
    "SELECT run_id, id, kind, payload, by, at, number FROM inbox WHERE run_id = %s AND taken IS NULL ORDER BY number"
)
POSTED: Final = "SELECT run_id, id, kind, payload, by, at, number, taken FROM inbox WHERE run_id = %s ORDER BY number"
NEWS: Final = "SELECT number, run_id FROM inbox WHERE taken IS NULL AND number > %s ORDER BY number"

NAMES: Final = tuple(COLUMNS.split(", "))
_LAST: Final = "\U0010ffff"
"""No run id goes on with it: it stands for no character, and comes after all that do."""


def row_of(values: Sequence[object]) -> RunRow:
    """Return a row from its columns."""
    return RunRow(**dict(zip(NAMES, values, strict=True)))  # type: ignore[arg-type]  # what the schema says


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
