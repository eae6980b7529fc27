"""A process that is killed 100 times in one run's life: the run ends right, and no committed node runs again."""

from __future__ import annotations

import random
import signal
import time
from ast import literal_eval
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from milepost.engine.stores.sqlite_file import Durability
from tests.crash.evidence import Evidence, gathered
from tests.crash.life import expected, live, store_at
from tests.postgres import Schema

KILLS = 100
LAPS = 45
INPUTS = [5, 17, 300]

nursery = get_context("forkserver")
nursery.set_forkserver_preload(["__main__", "tests.crash.warm"])


class Mortal:
    """One run in a folder, or in a schema of a server, the lives of its processes, and the kills.

    seed: decides after how many effects, and how long after them, a life ends.
    """

    def __init__(
        self,
        folder: Path,
        durability: Durability,
        seed: int,
        laps: int,
        *,
        hasty: bool = False,
        schema: Schema | None = None,
    ) -> None:
        self.folder = folder
        self.effects = folder / "effects"
        self.effects.touch()
        self.hasty = hasty
        self.schema = schema
        self._store = str(folder) if schema is None else f"{schema.dsn}#{schema.name}"
        self._arguments = (str(folder), self._store, durability, INPUTS, laps)
        self._chance = random.Random(seed)

    def born(self) -> ForkServerProcess:
        process = nursery.Process(target=live, args=(*self._arguments, self.hasty))
        process.start()
        return process

    def killed(self) -> bool:
        """Live once, and be killed. Returns whether the kill came before the run ended by itself."""
        before = self.effects.stat().st_size
        process = self.born()
        enough = before + self._chance.choice((0, 1, 40, 80, 80, 120, 160, 200, 240, 280))
        while process.is_alive() and self.effects.stat().st_size < enough:
            time.sleep(0.0005)
        time.sleep(self._chance.random() * 0.008)
        process.kill()
        process.join()
        if self.schema is not None:
            self.schema.bury()
        return process.exitcode == -signal.SIGKILL

    def ended(self) -> tuple[list[int], list[int], int]:
        """Live to the end. Returns the output, the odd values in the state and the laps."""
        process = self.born()
        process.join()
        assert process.exitcode == 0
        output: tuple[list[int], list[int], int] = literal_eval((self.folder / "output.json").read_text())
        return output

    def evidence(self) -> Evidence:
        return gathered(self.effects.read_text().splitlines(), store_at(self._store, "power"))


@pytest.mark.parametrize("durability", ["power", "process"])
def test_a_run_killed_100_times_ends_right_and_no_committed_node_ran_again(
    tmp_path: Path, durability: Durability
) -> None:
    mortal = Mortal(tmp_path, durability, seed=100, laps=LAPS)
    for life in range(KILLS):
        assert mortal.killed(), f"The run ended in life {life} of {KILLS}: it is too short for this test."

    assert mortal.ended() == (*expected(INPUTS, LAPS), LAPS)

    evidence = mortal.evidence()
    assert evidence.faults() == []
    begun = [line for line in evidence.lines if not line.startswith("=")]
    again = len(begun) - len(set(begun))
    found = {line for line in evidence.lines if line.startswith("=")}
    assert again > KILLS // 10, "Too few kills came in the middle of a body."
    assert len(found) > KILLS // 25, "Too few lives made a checkpoint."


@pytest.mark.parametrize("durability", ["power", "process"])
def test_a_run_on_a_server_whose_process_is_killed_20_times_ends_right_and_no_committed_node_ran_again(
    tmp_path: Path, schema: Schema, durability: Durability
) -> None:
    mortal = Mortal(tmp_path, durability, seed=20, laps=16, schema=schema)
    for life in range(20):
        assert mortal.killed(), f"The run ended in life {life} of 20: it is too short for this test."

    assert mortal.ended() == (*expected(INPUTS, 16), 16)

    evidence = mortal.evidence()
    assert evidence.faults() == []
    begun = [line for line in evidence.lines if not line.startswith("=")]
    assert len(begun) > len(set(begun)), "No kill came in the middle of a body."


def test_a_store_that_says_committed_too_early_is_found_out(tmp_path: Path) -> None:
    mortal = Mortal(tmp_path, "process", seed=1, laps=5, hasty=True)
    assert all(mortal.killed() for _ in range(8))
    mortal.hasty = False
    mortal.ended()

    assert any("ran after" in fault for fault in mortal.evidence().faults())


def test_a_committed_node_that_runs_again_is_found_out(tmp_path: Path) -> None:
    mortal = Mortal(tmp_path, "process", seed=2, laps=3)
    mortal.ended()
    evidence = mortal.evidence()
    assert evidence.faults() == []

    again = [*evidence.lines, f"= {len(evidence.records)}", evidence.lines[1]]

    assert any("ran again, committed as 2" in fault for fault in replace(evidence, lines=again).faults())
