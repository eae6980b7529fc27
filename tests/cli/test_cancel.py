"""`milepost cancel`."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import ORDER, Call

RUN = ("run", "flows:workflow", "--input", ORDER, "--run-id", "o-1")


def until_it_ships(process: subprocess.Popen[str], folder: Path) -> None:
    """Wait until a run with a `slow` file is at its last node."""
    deadline = time.monotonic() + 30
    while not (folder / "started").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_run_that_failed_is_ended_for_good(call: Call, folder: Path) -> None:
    (folder / "broken").touch()
    call(*RUN)
    answer = call("cancel", "o-1")
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == "Run 'o-1' is cancelled. What is committed stays.\n"

    (folder / "broken").unlink()
    again = call("resume", "o-1", "flows:workflow")
    assert again.code == 1
    assert again.err.startswith("Run 'o-1' was cancelled.")
    assert call("show", "o-1").code == 0


def test_a_run_that_another_process_drives_is_ended_there(
    start: Callable[..., subprocess.Popen[str]], call: Call, folder: Path
) -> None:
    (folder / "slow").touch()
    process = start(*RUN)
    until_it_ships(process, folder)
    answer = call("cancel", "@last", "--json")
    assert (answer.code, answer.document["run_id"], answer.document["status"]) == (0, "o-1", "cancelled")
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert stderr.splitlines()[-1].startswith("Run 'o-1' was cancelled.")


def test_a_run_whose_process_was_killed_is_ended_at_once(
    start: Callable[..., subprocess.Popen[str]], call: Call, folder: Path
) -> None:
    (folder / "slow").touch()
    process = start(*RUN)
    until_it_ships(process, folder)
    process.kill()
    process.wait()
    assert call("cancel", "o-1").code == 0
    assert call("runs", "--json").document["runs"][0]["status"] == "cancelled"


def test_to_cancel_a_run_twice_changes_nothing(call: Call, folder: Path) -> None:
    (folder / "broken").touch()
    call(*RUN)
    first = call("cancel", "o-1", "--json").document
    again = call("cancel", "o-1", "--json")
    assert (again.code, again.document) == (0, first)


def test_a_completed_run_cannot_be_cancelled(call: Call) -> None:
    call(*RUN)
    answer = call("cancel", "o-1")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "Run 'o-1' is completed, so there is nothing left to cancel.\n"


def test_a_process_that_does_not_answer_is_named(
    start: Callable[..., subprocess.Popen[str]], call: Call, folder: Path
) -> None:
    (folder / "slow").touch()
    process = start(*RUN)
    until_it_ships(process, folder)
    answer = call("cancel", "o-1", "--patience", "0")
    assert answer.code == 6
    assert answer.err.startswith(f"Run 'o-1' is being driven by process {process.pid} on ")
    _, stderr = process.communicate(timeout=30)
    assert stderr.splitlines()[-1].startswith("Run 'o-1' was cancelled."), "what it was asked stayed asked"


def test_a_run_that_is_not_there_cannot_be_cancelled(call: Call) -> None:
    assert call("cancel", "o-1").code == 4
    call(*RUN)
    answer = call("cancel", "r-9")
    assert answer.code == 4
    assert answer.err.startswith("There is no run 'r-9' in this store.")
