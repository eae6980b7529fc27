"""The benchmarks themselves: every peer does every job right, and the report says what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from benchmarks.aims import AIMS, Aim
from benchmarks.child import WrongAnswer, measure
from benchmarks.jobs import QUICK, Job, Kind
from benchmarks.peers.registry import MODULES, load
from benchmarks.report import as_json, ratio, reached, text
from benchmarks.rounds import Figures

ROOT = Path(__file__).parents[1]
LOOP = Job(Kind.LOOP, 1_000)


def measured(**samples: list[float]) -> Figures:
    figures = Figures(names={"memory": "Milepost", "pydantic-graph": "Upstream"})
    figures.samples = {(LOOP.name, peer.replace("_", "-")): numbers for peer, numbers in samples.items()}
    return figures


@pytest.mark.parametrize("job", QUICK, ids=lambda job: job.name)
@pytest.mark.parametrize("peer", MODULES)
def test_every_peer_gives_the_right_answer_to_every_job(peer: str, job: Job, tmp_path: Path) -> None:
    assert anyio.run(measure, load(peer), job, tmp_path) > 0


def test_a_wrong_answer_is_not_measured() -> None:
    assert str(WrongAnswer("Milepost", LOOP, 7)) == "Milepost answered 7 to loop of 1,000; 1000 is right."


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    figures = measured(memory=[10.0, 20.0, 90.0], pydantic_graph=[100.0, 100.0, 100.0])
    assert ratio(figures, LOOP.name, "memory", "pydantic-graph") == 0.2


def test_a_peer_that_was_not_measured_has_no_ratio() -> None:
    figures = measured(memory=[10.0])
    assert ratio(figures, LOOP.name, "memory", "pydantic-graph") is None
    assert all(reached(figures, [LOOP], aim) is None for aim in AIMS)


def test_an_aim_is_held_against_the_largest_job_of_its_kind() -> None:
    figures = measured(memory=[10.0], pydantic_graph=[100.0])
    aim = Aim(Kind.LOOP, "memory", "pydantic-graph", share=8)
    assert reached(figures, [Job(Kind.LOOP, 10), LOOP], aim) == ("loop of 1,000", 0.1)


def test_the_report_says_which_aims_were_reached() -> None:
    assert "reached: loop of 1,000: Milepost takes 1/10.0 of Upstream (aim: 1/8)" in text(
        measured(memory=[10.0], pydantic_graph=[100.0]), [LOOP]
    )
    assert "missed: loop of 1,000: Milepost takes 1/5.0 of Upstream (aim: 1/8)" in text(
        measured(memory=[20.0], pydantic_graph=[100.0]), [LOOP]
    )


def test_the_json_keeps_every_sample() -> None:
    kept = as_json(measured(memory=[10.0, 11.0], pydantic_graph=[100.0, 90.0]), [LOOP], "2026-01-01T00:00:00+00:00")
    assert kept["jobs"][LOOP.name]["samples"] == {"memory": [10.0, 11.0], "pydantic-graph": [100.0, 90.0]}


def test_the_command_measures_in_child_processes_and_writes_the_file(tmp_path: Path) -> None:
    file = tmp_path / "results" / "measured.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--rounds", "1", "--only", "pydantic-graph"]
    done = subprocess.run(
        [*command, "--output", str(file)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "map of 50, µs per item" in done.stdout
    assert set(json.loads(file.read_text(encoding="utf-8"))["jobs"]) == {job.name for job in QUICK}
