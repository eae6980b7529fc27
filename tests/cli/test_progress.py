"""What a run is doing, on a terminal."""

from __future__ import annotations

import io

from rich.console import Console
from rich.status import Status

from milepost.cli.progress import Progress
from milepost.engine.events import Checkpoint, RunEnded, TaskFailed, TaskFinished, TaskStarted


def progress() -> Progress:
    """Return the progress of a run that has not done anything yet."""
    return Progress("o-1", Status("", console=Console(file=io.StringIO())))


def test_the_line_says_what_runs_how_much_is_done_and_saved() -> None:
    shown = progress()
    for number in range(3):
        shown.take(TaskStarted(node="review", task=str(number)))
    shown.take(TaskStarted(node="split", task="3"))
    shown.take(TaskFinished(node="review", task="0", attempts=1, seconds=0.1))
    shown.take(Checkpoint(seq=2))
    assert shown.line() == "Run o-1: review × 2, split (1 node done, checkpoint 2)"


def test_a_run_with_many_nodes_at_work_names_the_first_four() -> None:
    shown = progress()
    for node in "abcdef":
        shown.take(TaskStarted(node=node, task=node))
    assert shown.line() == "Run o-1: a, b, c, d, … (0 nodes done, checkpoint 0)"


def test_a_node_that_failed_no_longer_runs() -> None:
    shown = progress()
    shown.take(TaskStarted(node="ship", task="1"))
    shown.take(TaskFailed(node="ship", task="1", error="the van broke down"))
    shown.take(RunEnded(status="failed"))
    assert shown.line() == "Run o-1: saving (0 nodes done, checkpoint 0)"


def test_a_name_in_brackets_is_no_markup() -> None:
    shown = progress()
    shown.take(TaskStarted(node="[red]", task="1"))
    assert "\\[red]" in shown.line()
