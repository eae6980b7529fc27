"""`milepost demo`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ROOT, Call, environment


def demo(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the demo in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "milepost", "demo", *words],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The demo on the project's own licence, shown once."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "LICENSE").write_text((ROOT / "LICENSE").read_text())
    return folder, demo(folder)


def test_the_demo_dies_goes_on_and_pays_nothing_twice(shown: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, process = shown
    assert (process.returncode, process.stderr) == (0, "")
    assert "was killed with SIGKILL" in process.stdout
    assert "finished the run" in process.stdout
    assert "already answered and not paid for twice." in process.stdout
    assert process.stdout.count("not asked, answer reused") >= 3


def test_the_demo_leaves_a_report_and_pictures(shown: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = shown
    left = {path.name for path in (folder / "out").iterdir()}
    assert {"report.md", "run.mmd", "run.svg", "timeline.svg", "run.html", "demo.db"} <= left
    report = (folder / "out" / "report.md").read_text()
    assert report.startswith("# Review of LICENSE\n\n9 clauses were read and 4 needed a second look.")
    assert "9. Accepting Warranty or Additional Liability" in report


def test_every_call_of_the_demo_is_in_its_ledger(shown: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = shown
    lines = (folder / "out" / "calls.txt").read_text().splitlines()
    processes = {line.split()[1] for line in lines}
    first = [line.split()[-1] for line in lines if " look 1 " in line]
    assert len(processes) == 2
    assert set(first) == set("123456789")


def test_the_demo_as_json_says_what_it_showed(tmp_path: Path) -> None:
    (tmp_path / "lease.txt").write_text("1. Rent. Pay.\n2. Harm. You indemnify us.\n3. End. We may terminate it.\n")
    process = demo(tmp_path, "lease.txt", "--out", "here", "--json")
    document: dict[str, Any] = json.loads(process.stdout)
    assert (process.returncode, process.stderr) == (0, "")
    assert (document["schema_version"], document["run_id"], document["clauses"]) == (1, "review", 3)
    assert set(document["saved_before_the_kill"]).isdisjoint(document["asked_again"])
    assert (tmp_path / "here" / "report.md").exists()


def test_the_demo_can_be_shown_again_in_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("Only one clause.")
    assert [demo(tmp_path, "note.txt").returncode for _ in range(2)] == [0, 0]


def test_a_model_that_does_not_exist_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("Only one clause.")
    process = demo(tmp_path, "note.txt", "--model", "nobody:nothing")
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.startswith("The model 'nobody:nothing' cannot be used: ")
    assert len(process.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_contract_that_cannot_be_read_is_one_sentence_and_makes_nothing(call: Call, folder: Path) -> None:
    answer = call("demo", "none.txt")
    assert (answer.code, answer.err) == (
        2,
        "The contract 'none.txt' cannot be read: No such file or directory.\n",
    )
    assert not (folder / "out").exists()
