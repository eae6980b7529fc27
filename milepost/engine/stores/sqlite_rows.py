"""Rows of runs as a SqliteStore reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Final

from milepost.engine.stores.store import RunRow
from milepost.engine.trace import RunStatus

NAMES: Final = tuple(field.name for field in fields(RunRow))
COLUMNS: Final = ", ".join(NAMES)

Value = str | int | float
"""What is bound to a statement."""

_LAST: Final = "\U0010ffff"
"""No run id goes on with it: it stands for no character, and comes after all that do."""


def row_of(values: Sequence[object]) -> RunRow:
    """Return a row from its columns."""
    return RunRow(**dict(zip(NAMES, values, strict=True)))  # type: ignore[arg-type]  # what the schema says


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
    return f"SELECT {COLUMNS} FROM runs {where}ORDER BY created DESC, run_id LIMIT ?", values
