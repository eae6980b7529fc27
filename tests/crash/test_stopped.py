"""A process that stands still while another one takes its run over: it wakes, and does nothing more."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash.life import expected
from tests.crash.test_kill import INPUTS, Mortal
from tests.postgres import Schema

LAPS = 4


def stop(pid: int, database: Path | None) -> None:
    """Have a process stand still, and not in the middle of a commit to a file, which would keep it locked."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        if database is None:
            return
        with closing(sqlite3.connect(database, timeout=0.0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
            else:
                connection.execute("UPDATE runs SET lease_until = 0")
                connection.execute("COMMIT")
                return


def check(mortal: Mortal, database: Path | None) -> None:
    sleeper = mortal.born()
    assert sleeper.pid is not None
    while mortal.effects.stat().st_size < 1500:
        time.sleep(0.0005)
    stop(sleeper.pid, database)
    if mortal.schema is not None:
        mortal.schema.execute("UPDATE owners SET lease_until = 0")

    assert mortal.ended() == (*expected(INPUTS, LAPS), LAPS), "the heir ends the run"
    evidence = mortal.evidence()
    assert evidence.faults() == []
    *_, taken = (int(line[2:]) for line in evidence.lines if line.startswith("= "))
    assert 0 < taken < len(evidence.records)
    output = mortal.folder / "output.json"
    told = output.stat().st_mtime_ns

    os.kill(sleeper.pid, signal.SIGCONT)
    sleeper.join()

    assert sleeper.exitcode == 1, "it is told that it has lost the run"
    assert output.stat().st_mtime_ns == told
    after = mortal.evidence()
    assert [record.seq for record in after.records] == [record.seq for record in evidence.records]
    late = {line.partition(" ")[0] for line in after.lines[len(evidence.lines) :]}
    released = {key for seq, keys in after.spawned.items() if seq <= taken for key in keys}
    assert late <= released, "something began that followed from no record of its own"


def test_an_owner_of_a_file_that_wakes_after_its_run_was_taken_over_begins_nothing_more(tmp_path: Path) -> None:
    check(Mortal(tmp_path, "process", seed=1, laps=LAPS), tmp_path / "runs.db")


@pytest.mark.parametrize("durability", ["power", "process"])
def test_an_owner_on_a_server_that_wakes_after_its_run_was_taken_over_begins_nothing_more(
    tmp_path: Path, schema: Schema, durability: str
) -> None:
    check(Mortal(tmp_path, "power" if durability == "power" else "process", seed=1, laps=LAPS, schema=schema), None)
