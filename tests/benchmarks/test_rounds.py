"""Measuring in child processes: what fails or would take too long is told, and hinders nobody else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.database import Databases
from benchmarks.figures import lasting
from benchmarks.jobs import Job, Kind
from benchmarks.peers.registry import ENTRIES, OURS, Entry
from benchmarks.rounds import ROOT, Child, ChildFailed, Measuring, Pace, surroundings
from benchmarks.slow_disk import can_be_had

LOOP = Job(Kind.LOOP, 20)


def measuring(folder: Path, jobs: list[Job], rounds: int = 1) -> Measuring:
    return Measuring(jobs, rounds, folder, Databases(), progress=lambda _: None)


def test_every_round_gives_a_number_for_each_peer(tmp_path: Path) -> None:
    figures = measuring(tmp_path, [LOOP, Job(Kind.CHAIN, 50, rounds=1)], rounds=2).everything(
        ["milepost", "limit-switch"]
    )
    assert len(figures.samples[LOOP.name, "milepost"]) == len(figures.samples[LOOP.name, "limit-switch"]) == 2
    assert len(figures.samples["chain of 50", "milepost"]) == 1


def test_what_a_peer_cannot_do_is_told_with_its_reason(tmp_path: Path) -> None:
    resume = Job(Kind.RESUME, 5)
    figures = measuring(tmp_path, [resume]).everything(["milepost"])
    assert figures.reason(resume, "milepost") == "keeps nothing that could be resumed"
    assert not figures.samples


def test_what_would_take_too_long_is_left_out(tmp_path: Path) -> None:
    long = Job(Kind.LOOP, 2_000_000_000, limit=60)
    figures = measuring(tmp_path, [LOOP, long]).everything(["milepost"])
    reason = figures.reason(long, "milepost")
    assert reason is not None
    assert reason.startswith("too slow: about ")
    assert reason.endswith(", where 60 s are allowed")


def test_who_takes_long_is_measured_once(tmp_path: Path) -> None:
    figures = measuring(tmp_path, [Job(Kind.LOOP, 20, again=0)], rounds=2).everything(["milepost"])
    assert set(figures.samples[LOOP.name, "milepost"]) == {0}
    figures = measuring(tmp_path, [LOOP], rounds=2).everything(["milepost"])
    assert set(figures.samples[LOOP.name, "milepost"]) == {0, 1}
    assert figures.seconds > 0


@pytest.mark.parametrize(("seconds", "said"), [(95, "95 s"), (700, "12 min"), (10_800, "3 h")])
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert lasting(seconds) == said


def test_a_failure_is_told_and_the_next_job_is_done(tmp_path: Path) -> None:
    broken = Job(Kind.LOOP, 0)  # counts to 1, which is not 0
    figures = measuring(tmp_path, [broken, LOOP], rounds=2).everything(["milepost"])
    assert figures.reason(broken, "milepost") == "failed: WrongAnswer: Milepost answered 1 to loop of 0; 0 is right."
    assert len(figures.samples[LOOP.name, "milepost"]) == 2


def test_a_peer_that_gives_no_answer_is_ended_and_told(tmp_path: Path) -> None:
    endless = Job(Kind.LOOP, 2_000_000_000, limit=1)
    figures = measuring(tmp_path, [endless, LOOP]).everything(["milepost"])
    assert figures.reason(endless, "milepost") == "too slow: no answer within 2 s, where 1 s are allowed"
    assert len(figures.samples[LOOP.name, "milepost"]) == 1


def test_what_was_measured_before_a_ctrl_c_is_kept(tmp_path: Path) -> None:
    measured = measuring(tmp_path, [LOOP, Job(Kind.CHAIN, 50)], rounds=3)

    def interrupt_in_round_2(progress: str) -> None:
        if progress.startswith("round 2 of 3: chain"):
            raise KeyboardInterrupt

    measured.progress = interrupt_in_round_2
    figures = measured.everything(["milepost"])
    assert (figures.rounds, figures.was_stopped) == (2, True)
    assert len(figures.samples[LOOP.name, "milepost"]) == 2
    assert len(figures.samples["chain of 50", "milepost"]) == 1


def test_a_process_that_cannot_begin_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENTRIES, "limit-nothing", Entry("limit-nothing", "limits", OURS))
    with pytest.raises(ChildFailed, match="The process that measures 'limit-nothing' failed"):
        Child("limit-nothing", tmp_path)


def test_a_larger_job_is_expected_to_take_as_much_longer() -> None:
    pace = Pace()
    pace.note("one", Job(Kind.LOOP, 100), took=2)
    assert pace.expected("one", Job(Kind.LOOP, 1_000)) == 20
    assert pace.expected("one", Job(Kind.MEMORY, 1_000)) == 40  # after a loop of 1,000 to hold it against
    pace.note("one", Job(Kind.RESUME, 100), took=3)
    assert pace.expected("one", Job(Kind.RESUME, 1_000)) == 20
    assert pace.expected("one", Job(Kind.MAP, 1_000)) == pace.expected("two", Job(Kind.LOOP, 1_000)) == 0


def test_a_peer_does_only_what_is_wanted_of_it(tmp_path: Path) -> None:
    measured = measuring(tmp_path, [LOOP, Job(Kind.CHAIN, 50)])
    measured.is_wanted = lambda peer, job: job.kind is Kind.CHAIN or peer == "limit-switch"
    figures = measured.everything(["milepost", "limit-switch"])
    assert set(figures.samples) == {("chain of 50", "milepost"), (LOOP.name, "limit-switch")}


def test_what_is_compiled_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert "PYTHONDONTWRITEBYTECODE" not in surroundings()
    assert surroundings(ONE="1")["ONE"] == "1"


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


def test_the_command_writes_page_pictures_and_numbers_and_leaves_the_readme_alone(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_bytes()
    done = command("--quick", "--only", "milepost-sqlite", "--job", "loop", "--job", "map", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert {file.name for file in tmp_path.iterdir()} == {
        "report.md", "results.json", "steps.svg", "steps.png", "sizes.svg", "sizes.png",
    }  # fmt: skip
    assert "### Loop of 50" in done.stdout
    kept = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert set(kept["jobs"]["map of 50"]["samples"]) == {
        f"milepost-sqlite-{durability}" for durability in ("none", "process", "power")
    }
    assert (ROOT / "README.md").read_bytes() == readme


def test_the_command_measures_what_the_aims_need_and_prints_their_table(tmp_path: Path) -> None:
    done = command("--aims", "--quick", "--only", "milepost", "--job", "loop", "--job", "runs at once")
    assert done.returncode == 0, done.stderr
    found = {line.split("   ")[0]: line for line in done.stdout.splitlines()}
    both = "step of many runs at once, SQLite power, of one of a single run, on "
    assert "1/" in found[f"{both}this disk"]
    at_a_slow_disk = found[f"{both}a disk that takes 2 ms"]
    assert at_a_slow_disk.endswith("reached" if can_be_had() else "not measured")
    assert found["loop, nothing kept, of pydantic-graph"].endswith("not measured")


def test_the_command_says_whom_it_does_not_know(tmp_path: Path) -> None:
    done = command("--only", "airflow", "--output", str(tmp_path))
    assert done.returncode == 2
    assert "No peer's name begins with 'airflow'" in done.stderr
