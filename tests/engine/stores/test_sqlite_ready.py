"""Which runs of a file somebody should go on with is found without looking at those that are over."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from milepost.engine.errors import DamagedStore
from milepost.engine.stores import sqlite_ready
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.sqlite_rows import listing, terms_of
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import append, begin, entry, new_run
from tests.engine.stores.test_sqlite import execute

pytestmark = pytest.mark.anyio


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """An empty store."""
    async with opened(SqliteStore(tmp_path / "runs.db")):
        pass
    return tmp_path / "runs.db"


def plan(path: Path, statement: str, values: object = ()) -> list[str]:
    """How SQLite would look for what a statement asks."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]  # either kind
        return [str(line) for *_, line in found.fetchall()]


async def test_what_is_ready_is_found_by_indexes(path: Path) -> None:
    names = {"alive": "[]", "now": 1.0, "workflows": "[]", "limit": 1}
    steps = plan(path, sqlite_ready._READY, names)  # pyright: ignore[reportPrivateUsage]  # the statement itself
    assert [step for step in steps if step.startswith("SCAN") and "runs" in step] == []
    for index in ("runs_by_status (status=?)", "runs_by_due (due<?)", "inbox USING INDEX inbox_waiting"):
        assert any(index in step for step in steps), index
    owners = plan(path, sqlite_ready._OWNERS)  # pyright: ignore[reportPrivateUsage]  # the statement itself
    assert any("runs_by_owner" in step for step in owners)


async def test_a_page_sorts_no_more_than_it_has_to(path: Path) -> None:
    for status, workflow, index in (("completed", None, "runs_by_status"), (None, None, "runs_by_time")):
        terms = terms_of(workflow, None, None, nested=False)
        statement, values = listing(terms, prefix="", status=status, limit=9, before=None)  # type: ignore[arg-type]  # a status
        steps = plan(path, statement, values)
        assert any(index in step for step in steps)
        assert "USE TEMP B-TREE FOR RIGHT PART OF ORDER BY" in steps


async def test_a_lease_that_ran_out_while_its_owner_lives_makes_its_run_ready_for_others_only(path: Path) -> None:
    async with opened(SqliteStore(path)) as store, opened(SqliteStore(path)) as other:
        await begin(store)
        execute(path, "UPDATE runs SET lease_until=0")
        assert list(await store.ready(0.0, ["claims"], limit=9)) == []
        assert [row.run_id for row in await other.ready(0.0, ["claims"], limit=9)] == ["run"]


async def test_a_run_that_goes_on_running_leaves_what_it_does_not_change(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await store.create(new_run("run", tags=("a",)), entry("run", 1, error="e", output="1"))
        await append(store, entry("run", 2))
        row = await store.row("run")
        assert row is not None
        assert (row.seq, row.error, row.output) == (2, None, None)
        await append(store, entry("run", 3, error="again"))
        row = await store.row("run")
        assert row is not None
        assert (row.seq, row.status, row.error) == (3, "running", "again")


async def test_a_run_whose_row_is_damaged_is_told_of_when_nothing_else_is_ready_and_keeps_no_other_back(
    path: Path,
) -> None:
    async with opened(SqliteStore(path)) as store:
        for run_id in ("broken", "whole"):
            await begin(store, run_id)
            await store.release(run_id, 1)
        execute(path, "UPDATE runs SET isolation='none' WHERE run_id='broken'")
        assert [row.run_id for row in await store.ready(0.0, ["claims"], limit=9)] == ["whole"]
        await store.acquire("whole")
        with pytest.raises(DamagedStore, match="What the store holds of run 'broken' is damaged"):
            await store.ready(0.0, ["claims"], limit=9)
