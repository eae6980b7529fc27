"""Patterns whose process is really killed: `kill -9` after every record, a new process, and so on to the end."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

import anyio
import pytest

from milepost import SqliteStore
from milepost.engine.stores.store import RunRow, StoredRecord
from tests.patterns.execution import Execution
from tests.patterns.harness import RUN
from tests.patterns.mortal import PATTERNS, read_life, survive


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which every pattern has survived, each in a folder of its own."""
    place = tmp_path_factory.mktemp("survived")
    nursery = get_context("forkserver").Process(target=survive, args=(str(place),))
    nursery.start()
    nursery.join()
    assert nursery.exitcode == 0
    return place


async def stored(path: Path) -> tuple[RunRow, Sequence[StoredRecord]]:
    """Read the one run of a store."""
    store = SqliteStore(path)
    await store.open()
    try:
        row = await store.row(RUN)
        assert row is not None
        return row, await store.records(RUN)
    finally:
        await store.close()


def executed(survived: Path, pattern: str) -> Execution:
    """Return what is left of a pattern, checked."""
    folder = survived / pattern
    row, records = anyio.run(stored, folder / "runs.db")
    output = literal_eval((folder / "output").read_text(encoding="utf-8"))
    lives = [read_life(folder / f"life-{number}") for number in range(len(records) + 1)]
    execution = Execution(PATTERNS[pattern][0](), lives, output, row, records)
    execution.check()
    return execution


def test_a_structured_partial_join(survived: Path) -> None:
    found = executed(survived, "structured partial join")
    assert found.output == [node for node in found.order if node in ("ann", "bob", "eve")][:2]
    assert not found.withdrawn


def test_a_cancelling_discriminator(survived: Path) -> None:
    found = executed(survived, "cancelling discriminator")
    assert found.output == f"ordered from {found.order[0]}"
    assert found.withdrawn.total() == 2


def test_instances_of_a_stream(survived: Path) -> None:
    found = executed(survived, "instances of a stream")
    assert found.output == ["checked box 0", "checked box 1", "checked box 2"]


def test_a_cancelled_region(survived: Path) -> None:
    found = executed(survived, "cancel region")
    assert "insurance" in found.output
    assert found.withdrawn


def test_completed_instances(survived: Path) -> None:
    found = executed(survived, "complete instances")
    assert len(found.output) == found.completed["ask"]
    assert found.order[-1] == "evaluate"


def test_a_local_synchronizing_merge(survived: Path) -> None:
    found = executed(survived, "local synchronizing merge")
    assert found.output == ["certificate", "estimate", "photographs"]
