"""A process that is killed around a migration: the run is migrated once, and no committed node runs again."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import anyio
import pytest

from milepost import Engine, SqliteStore
from milepost.engine.journal import Kind, Record
from milepost.engine.journal_text import from_text
from tests.crash.migrating import ITEMS, RUN

OUTPUT = str([*(f"{number * 10} kg" for number in range(ITEMS)), "total 101"])
KILLED = -9


def lived(folder: Path, version: int, death: str) -> tuple[int, str]:
    """Live once; return how the process ended, and what it printed."""
    words = [sys.executable, "-m", "tests.crash.migrating", str(folder), str(version), death]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout.strip() or done.stderr


def records(folder: Path) -> list[Record]:
    async def main() -> list[Record]:
        store = SqliteStore(folder / "runs.db")
        async with Engine(store):
            return [from_text(one.seq, one.body, one.content) for one in await store.records(RUN)]

    return anyio.run(main)


@pytest.mark.parametrize(("death", "committed"), [("before", 4), ("after", 4), ("after", ITEMS + 2)])
def test_a_kill_around_the_record_of_a_migration_is_harmless(tmp_path: Path, death: str, committed: int) -> None:
    assert lived(tmp_path, 1, str(committed))[0] == KILLED
    done = {record.task for record in records(tmp_path) if record.kind is Kind.COMPLETED}
    assert len(done) == committed - 1
    begun = (tmp_path / "effects").read_text().split()

    assert lived(tmp_path, 2, death)[0] == KILLED
    assert (tmp_path / "effects").read_text().split() == begun  # nothing had begun yet
    assert [record.kind for record in records(tmp_path)].count(Kind.MIGRATED) == (death == "after")

    assert lived(tmp_path, 2, "never") == (0, OUTPUT)
    again = Counter((tmp_path / "effects").read_text().split()) - Counter(begun)
    assert not done & set(again)
    kinds = [record.kind for record in records(tmp_path)]
    assert kinds.count(Kind.MIGRATED) == 1
    assert kinds[-1] is Kind.COMPLETED
