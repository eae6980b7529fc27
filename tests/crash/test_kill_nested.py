"""A process that is killed in the middle of runs inside runs: all of them go on, and no committed node runs again."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import anyio
import pytest

from milepost import Engine, SqliteStore
from milepost.engine.journal import Kind
from milepost.engine.journal_text import from_text
from milepost.engine.stores.sqlite_file import Durability
from milepost.engine.stores.store import RunRow
from tests.crash.nest import RUN, live

KILLS = 20

nursery = get_context("forkserver")
nursery.set_forkserver_preload(["__main__", "tests.crash.warm", "tests.crash.warm_nest"])

Task = tuple[str, str]
"""(run id, key of the task)"""


class Mortal:
    """Runs inside runs in a folder, the lives of their process, and the kills. seed: decides how long a life is."""

    def __init__(self, folder: Path, durability: Durability, seed: int) -> None:
        self.folder = folder
        self.effects = folder / "effects"
        self.effects.touch()
        self._arguments = (str(folder), durability)
        self._chance = random.Random(seed)

    def born(self) -> ForkServerProcess:
        process = nursery.Process(target=live, args=self._arguments)
        process.start()
        return process

    def killed(self) -> bool:
        """Live once, and be killed. Returns whether the kill came before the run ended by itself."""
        before = self.effects.stat().st_size
        process = self.born()
        enough = before + self._chance.choice((1, 400, 600, 800, 1000, 1200))
        while process.is_alive() and self.effects.stat().st_size < enough:
            time.sleep(0.0005)
        time.sleep(self._chance.random() * 0.006)
        process.kill()
        process.join()
        return process.exitcode == -signal.SIGKILL

    def ended(self) -> int:
        """Live to the end. Returns the output."""
        process = self.born()
        process.join()
        assert process.exitcode == 0
        output: int = json.loads((self.folder / "output.json").read_text())
        return output


def gathered(folder: Path) -> tuple[list[RunRow], dict[Task, int]]:
    """Return all runs, and of every committed task the number of its record."""

    async def main() -> tuple[list[RunRow], dict[Task, int]]:
        store = SqliteStore(folder / "runs.db")
        committed: dict[Task, int] = {}
        async with Engine(store):
            rows = list(await store.rows())
            for row in rows:
                for stored in await store.records(row.run_id):
                    record = from_text(stored.seq, stored.body, stored.content)
                    if record.kind is Kind.COMPLETED:
                        assert (row.run_id, record.task) not in committed
                        committed[row.run_id, record.task] = record.seq
        return rows, committed

    return anyio.run(main)


def faults(lines: list[str], committed: dict[Task, int]) -> list[str]:
    """Return a sentence for every body that ran twice in a life, or again after it was committed."""
    found: dict[str, int] = {}
    ran, told = Counter[Task](), list[str]()
    for number, line in enumerate(lines):
        if line.startswith("="):
            found, ran = json.loads(line[2:]), Counter[Task]()
            continue
        run, task, node = line.split()
        ran[run, task] += 1
        if ran[run, task] > 1:
            told.append(f"Line {number}: {node} of run {run} ran twice in one life.")
        if committed[run, task] <= found.get(run, 0):
            told.append(f"Line {number}: {node} of run {run} ran again, committed as {committed[run, task]}.")
    return told


@pytest.mark.parametrize("durability", ["power", "process"])
def test_runs_inside_runs_that_are_killed_again_and_again_end_right(tmp_path: Path, durability: Durability) -> None:
    mortal = Mortal(tmp_path, durability, seed=11)
    for life in range(KILLS):
        assert mortal.killed(), f"The run ended in life {life} of {KILLS}: it is too short for this test."

    assert mortal.ended() == 42

    rows, committed = gathered(tmp_path)
    lines = mortal.effects.read_text().splitlines()
    assert faults(lines, committed) == []
    assert Counter((row.workflow, row.status) for row in rows) == {
        ("adding", "completed"): 6,
        ("steps", "completed"): 7,
    }
    begun = Counter(tuple(line.split()[:2]) for line in lines if not line.startswith("="))
    inside = {task: count for task, count in begun.items() if task[0] != RUN and count > 1}
    assert len(inside) > KILLS // 3, "Too few kills came in the middle of a body inside."


def test_a_committed_body_inside_that_runs_again_is_found_out(tmp_path: Path) -> None:
    mortal = Mortal(tmp_path, "process", seed=1)
    mortal.ended()
    rows, committed = gathered(tmp_path)
    lines = mortal.effects.read_text().splitlines()
    again = [*lines, f"= {json.dumps({row.run_id: row.seq for row in rows})}", lines[-2]]

    assert faults(lines, committed) == []
    assert any("ran again, committed as" in fault for fault in faults(again, committed))
