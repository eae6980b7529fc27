"""What a run is doing, on a terminal."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime

import pytest
from rich.console import Console
from rich.status import Status

from milepost.cli.progress import MOST_NOTICES, Progress, shown
from milepost.engine.engine import Engine
from milepost.engine.events import (
    AttemptStarted,
    Checkpoint,
    CircuitChanged,
    Dropped,
    MessageRefused,
    RunEnded,
    TaskCancelled,
    TaskFailed,
    TaskFinished,
    TaskRetried,
    TaskSettled,
    TaskStarted,
    TaskWaiting,
)
from milepost.engine.limits import CircuitState
from tests.engine.subjects import Deps, chain

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Screen:
    """The progress of a run that has not done anything yet, and what it writes."""

    def __init__(self, width: int = 100) -> None:
        self.file = io.StringIO()
        self.progress = Progress("o-1", Status("", console=Console(file=self.file, width=width)))

    def begin(self, node: str, task: str) -> None:
        """Have a body begin."""
        self.progress.take(TaskStarted(seq=1, at=NOON, node=node, task=task))
        self.progress.take(AttemptStarted(node=node, task=task, attempt=1))

    def retry(self, node: str, wait: float = 0.0) -> None:
        self.progress.take(TaskRetried(node=node, task="1", attempt=1, error="OSError: no\nroute", wait=wait))

    @property
    def line(self) -> str:
        return self.progress.line()

    @property
    def notices(self) -> list[str]:
        return self.file.getvalue().splitlines()


def test_the_line_says_what_runs_how_much_is_done_and_saved() -> None:
    screen = Screen()
    for number in range(3):
        screen.begin("review", str(number))
    screen.begin("split", "3")
    screen.progress.take(TaskFinished(seq=2, at=NOON, node="review", task="0"))
    screen.progress.take(Checkpoint(seq=2, at=NOON))
    assert screen.line == "Run o-1: review × 2, split (1 node done, checkpoint 2)"
    assert screen.notices == []


def test_a_run_with_many_nodes_at_work_names_the_first_four() -> None:
    screen = Screen()
    for node in "abcdef":
        screen.begin(node, node)
    assert screen.line == "Run o-1: a, b, c, d, … (0 nodes done, checkpoint 0)"


def test_a_task_whose_body_has_not_begun_waits() -> None:
    screen = Screen()
    for task in "123":
        screen.progress.take(TaskStarted(seq=1, at=NOON, node="review", task=task))
    assert screen.line == "Run o-1: 3 waiting (0 nodes done, checkpoint 0)"
    screen.begin("review", "1")
    screen.progress.take(TaskCancelled(seq=2, at=NOON, node="review", task="2"))
    assert screen.line == "Run o-1: review, 1 waiting (0 nodes done, checkpoint 0)"


def test_a_node_that_failed_no_longer_runs() -> None:
    screen = Screen()
    screen.begin("ship", "1")
    screen.progress.take(TaskFailed(seq=2, at=NOON, node="ship", task="1", error="the van broke down"))
    screen.progress.take(RunEnded(seq=2, at=NOON, status="failed", error="the van broke down"))
    assert screen.line == "Run o-1: saving (0 nodes done, checkpoint 0)"
    assert screen.notices == [], "the command itself says why the run failed"


def test_a_retry_is_counted_and_says_why_and_when() -> None:
    screen = Screen()
    screen.begin("ship", "1")
    screen.retry("ship", wait=2.5)
    assert screen.line == "Run o-1: ship (0 nodes done, 1 retry, checkpoint 0)"
    screen.retry("ship")
    assert screen.line == "Run o-1: ship (0 nodes done, 2 retries, checkpoint 0)"
    assert screen.notices == [
        "↻ ship: attempt 1 failed, it is tried again in 2.5 s: OSError: no route",
        "↻ ship: attempt 1 failed, it is tried again: OSError: no route",
    ]


def test_a_notice_is_one_line_however_narrow_the_screen_is() -> None:
    screen = Screen(width=30)
    screen.retry("ship")
    assert screen.notices == ["↻ ship: attempt 1 failed, it …"]


def test_after_many_notices_the_rest_is_only_counted() -> None:
    screen = Screen()
    for _ in range(MOST_NOTICES + 30):
        screen.retry("ship")
    assert len(screen.notices) == MOST_NOTICES
    assert screen.notices[-1] == "… and more, which are only counted from here on"
    assert f"{MOST_NOTICES + 30} retries" in screen.line


def test_a_failure_that_an_error_edge_takes_is_told() -> None:
    screen = Screen()
    screen.begin("ship", "1")
    screen.progress.take(TaskFailed(seq=2, at=NOON, node="ship", task="1", error="ValueError: no van", caught=True))
    assert screen.notices == ["→ ship failed, and its error edge was taken: ValueError: no van"]


def test_a_circuit_that_opens_is_tried_and_closes_is_told() -> None:
    screen = Screen()
    for state, seconds in ((CircuitState.OPEN, 30.0), (CircuitState.HALF_OPEN, 0.0), (CircuitState.CLOSED, 0.0)):
        screen.progress.take(CircuitChanged(workflow="orders", node="ship", state=state, seconds=seconds))
    assert screen.notices == [
        "⊘ ship keeps failing and is not tried for 30 s",
        "⊘ ship is tried once more",
        "⊘ ship works again",
    ]


def test_events_that_were_lost_leave_nobody_running_for_ever() -> None:
    screen = Screen()
    screen.begin("ship", "1")
    screen.progress.take(Dropped(number=3))
    assert screen.line == "Run o-1: saving (0 nodes done, checkpoint 0)"


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
async def test_progress_is_shown_on_a_terminal_and_nowhere_else(
    stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = stream()
    monkeypatch.setattr(sys, "stderr", screen)
    deps = Deps().gate("first")
    async with Engine() as engine:
        run = await engine.start(chain(["first"]), inputs=1, deps=deps, run_id="o-1")
        async with shown(run):
            await deps.begun["first"].wait()
            deps.gates["first"].set()
            assert await run.result() == 2
    assert ("Run o-1" in screen.getvalue()) == (stream is Terminal)


def test_a_name_in_brackets_is_no_markup() -> None:
    screen = Screen()
    screen.begin("[red]", "1")
    assert "\\[red]" in screen.line


def test_tasks_that_wait_for_something_outside_are_named_until_it_comes() -> None:
    screen = Screen()
    screen.begin("approve", "1")
    screen.begin("review", "2")
    screen.progress.take(TaskWaiting(seq=2, at=NOON, node="approve", task="1", wait="w", kind="ask", text="May it?"))
    assert screen.line == "Run o-1: review, waiting for approve (0 nodes done, checkpoint 0)"
    screen.progress.take(TaskSettled(seq=3, at=NOON, node="approve", task="1", wait="w", how="answered", by="Ada"))
    screen.progress.take(TaskFinished(seq=3, at=NOON, node="approve", task="1"))
    assert screen.line == "Run o-1: review (1 node done, checkpoint 0)"


def test_what_was_said_and_refused_is_written_above_the_line() -> None:
    screen = Screen(width=200)
    screen.progress.take(MessageRefused(seq=2, at=NOON, node="approve", task="1", by="Ada", reason="That is odd."))
    screen.progress.take(MessageRefused(seq=3, at=NOON, node="", task="", by=None, reason="Nobody waits for it."))
    assert screen.notices == [
        "✗ what Ada said to approve was refused: That is odd.",
        "✗ what was said to the run was refused: Nobody waits for it.",
    ]
