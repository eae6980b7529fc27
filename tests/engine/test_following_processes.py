"""Following and cancelling a run that another process drives, on one SQLite file."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import anyio
import pytest

from milepost.engine.engine import Engine
from milepost.engine.events import Checkpoint, CommittedEvent, RunEnded, TaskFinished, TaskStarted
from tests.engine.steps import STEPS
from tests.engine.subjects import RUN
from tests.loops import asyncio_only

pytestmark = [pytest.mark.anyio, asyncio_only]
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Walker:
    """Another process that drives the run, see steps.py."""

    process: subprocess.Popen[str]
    commands: IO[str]
    answers: IO[str]

    def step(self, times: int = 1) -> None:
        self.commands.write("\n" * times)
        self.commands.flush()

    def answer(self) -> str:
        return self.answers.readline().strip()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def walker(path: Path) -> Generator[Walker]:
    """Start a process that drives the run, and wait until it does."""
    words = [sys.executable, "-m", "tests.engine.steps", str(path), RUN]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            found = Walker(process, process.stdin, process.stdout)
            assert found.answer() == "started"
            yield found
        finally:
            process.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def checkpoints(events: Sequence[CommittedEvent]) -> list[int]:
    return [event.seq for event in events if isinstance(event, Checkpoint)]


async def whole(engine: Engine, after: int = 0) -> list[CommittedEvent]:
    return [event async for event in engine.follow(RUN, after=after, poll=0.005)]


async def test_each_step_of_another_process_is_heard_of_before_the_next_one_is_taken(path: Path) -> None:
    seen = list[CommittedEvent]()
    with walker(path) as other:
        async with Engine(f"sqlite:///{path}") as engine:
            with anyio.fail_after(60):
                async for event in engine.follow(RUN, poll=0.005):
                    seen.append(event)
                    if isinstance(event, Checkpoint):
                        other.step()
            assert other.answer() == str(STEPS)
            assert seen == await whole(engine)
    assert checkpoints(seen) == list(range(1, STEPS + 2))
    assert [event.seq for event in seen] == sorted(event.seq for event in seen)
    assert [event.node for event in seen if isinstance(event, TaskFinished)] == ["step"] * STEPS


async def test_whoever_joins_late_or_in_the_middle_hears_everything_after_that_point(path: Path) -> None:
    found: dict[int, list[CommittedEvent]] = {}
    with walker(path) as other:
        async with Engine(f"sqlite:///{path}") as engine:

            async def follow(after: int) -> None:
                found[after] = await whole(engine, after)

            async with anyio.create_task_group() as group:
                group.start_soon(follow, 0)
                other.step(STEPS // 2)
                async for event in engine.follow(RUN, poll=0.005):
                    if isinstance(event, Checkpoint) and event.seq == STEPS // 2:
                        break
                group.start_soon(follow, 3)
                other.step(STEPS // 2)
            late = await whole(engine)
    assert found[0] == late
    assert found[3] == [event for event in late if event.seq > 3]


async def test_a_run_is_followed_from_the_process_that_was_killed_into_the_one_that_goes_on(path: Path) -> None:
    seen = list[CommittedEvent]()
    async with Engine(f"sqlite:///{path}") as engine:
        with walker(path) as victim:
            victim.step(3)
            follower = engine.follow(RUN, poll=0.005)
            async for event in follower:
                seen.append(event)
                if isinstance(event, Checkpoint) and event.seq == 4:
                    break
            victim.kill()
        with walker(path) as successor:
            successor.step(STEPS)
            with anyio.fail_after(60):
                seen += [event async for event in follower]
    assert checkpoints(seen) == list(range(1, STEPS + 2))
    assert len({event.task for event in seen if isinstance(event, TaskStarted)}) == STEPS


async def test_a_run_is_cancelled_by_a_process_that_does_not_drive_it(path: Path) -> None:
    with walker(path) as other:
        other.step(2)
        async with Engine(f"sqlite:///{path}") as engine:
            async for event in engine.follow(RUN, poll=0.005):
                if isinstance(event, Checkpoint) and event.seq == 3:
                    break
            before = anyio.current_time()
            assert await engine.cancel(RUN) == "cancelled"
            assert anyio.current_time() - before < 5
            assert other.answer().startswith("RunCancelled: Run 'r-1' was cancelled.")
            other.step()  # ends the thread that reads
            other.process.wait(10)
            events = await whole(engine)
    last = events[-1]
    assert isinstance(last, RunEnded)
    assert (last.status, last.seq) == ("cancelled", 4)


async def test_the_run_of_a_killed_process_is_cancelled_at_once(path: Path) -> None:
    with walker(path) as victim:
        victim.kill()
    async with Engine(f"sqlite:///{path}") as engine:
        assert await engine.cancel(RUN) == "cancelled"
        assert (await engine.find(RUN)).status == "cancelled"
