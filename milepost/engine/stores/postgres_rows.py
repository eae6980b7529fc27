"""Rows as a PostgresStore reads them, and the statements that find them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString

from milepost.engine.stores.postgres_presence import ARE_THERE
from milepost.engine.stores.store import RunRow
from milepost.engine.stores.terms import Terms
from milepost.engine.trace import RunStatus

NOW: Final = "extract(epoch FROM clock_timestamp())::float8"
"""The server's own clock, seconds since 1970 UTC: leases are compared by no other."""

COLUMNS: Final = (
    "run_id, workflow, version, fingerprint, status, isolation, created, updated, seq, hash, snapshot_seq, epoch, "
    "owner, error, output, parent_run, parent_task, forked_from, forked_at, tags, due"
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

_IS_FREE: Final = "(owner IS NULL OR owner NOT IN (SELECT owner FROM alive))"
ALIVE: Final = f"SELECT owner FROM owners WHERE lease_until > {NOW} AND {ARE_THERE}"
READY: Final = (
    f"WITH RECURSIVE alive AS MATERIALIZED ({ALIVE} UNION SELECT %s), "
    "going AS ("
    f"SELECT run_id, parent_run FROM runs WHERE status = 'running' AND {_IS_FREE} "
    "UNION SELECT run_id, parent_run FROM runs WHERE status = 'waiting' AND due <= %s "
    "UNION SELECT runs.run_id, parent_run FROM inbox JOIN runs ON runs.run_id = inbox.run_id "
    "WHERE taken IS NULL AND status = 'waiting'), "
    "ready AS (SELECT run_id, parent_run FROM going "
    "UNION SELECT runs.run_id, runs.parent_run FROM ready JOIN runs ON runs.run_id = ready.parent_run "
    "WHERE status IN ('running', 'waiting')) "
    f"SELECT {COLUMNS} FROM runs WHERE run_id IN (SELECT run_id FROM ready WHERE parent_run IS NULL) "
    f"AND workflow = ANY(%s) AND {_IS_FREE} ORDER BY updated, run_id LIMIT %s"
)

NAMES: Final = tuple(COLUMNS.split(", "))
_LAST: Final = "\U0010ffff"
"""No run id goes on with it: it stands for no character, and comes after all that do."""


def row_of(values: Sequence[object]) -> RunRow:
    """Return a row from its columns."""
    *columns, tags, due = values
    fixed = dict(zip(NAMES, columns, strict=False))
    return RunRow(**fixed, tags=tuple(tags), due=due)  # type: ignore[arg-type]  # what the schema says


def columns_of(row: RunRow) -> list[object]:
    """Return the columns of a row."""
    return [list(row.tags) if name == "tags" else getattr(row, name) for name in NAMES]


def terms_of(workflow: str | None, tag: str | None, since: float | None, nested: bool) -> Terms:
    """Return what lists and counts of runs have in common."""
    terms = Terms()
    terms.add("workflow = %s", workflow)
    terms.add("tags @> ARRAY[%s::text]", tag)
    terms.add("created >= %s", since)
    if not nested:
        terms.add("parent_run IS NULL")
    return terms


def listing(
    terms: Terms, *, prefix: str, status: RunStatus | None, limit: int | None, before: RunRow | None
) -> tuple[LiteralString, list[object]]:
    """Return the statement that lists rows as `Store.rows` says, and what to bind to it."""
    terms.add("status = %s", status)
    if prefix:
        terms.add("run_id >= %s AND run_id < %s", prefix, prefix + _LAST)  # a range, unlike LIKE, is found by the index
    if before is not None:
        terms.add("created <= %s AND (created < %s OR run_id > %s)", before.created, before.created, before.run_id)
    statement: LiteralString = f"SELECT {COLUMNS} FROM runs {terms.where()}ORDER BY created DESC, run_id LIMIT %s"
    return statement, [*terms.values, limit]
