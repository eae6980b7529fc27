"""Measure every peer at every job, in interleaved rounds, so that a slow moment of the machine meets all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.jobs import QUICK, Job

ROOT = Path(__file__).parents[1]


class ChildFailed(Exception):
    """The process of a peer ended without an answer; what it said is on stderr."""

    def __init__(self, peer: str) -> None:
        super().__init__(f"The process that measures {peer!r} failed; its error is above.")


class Child:
    """A process that measures one peer. A context manager: leaving it ends the process."""

    def __init__(self, peer: str, folder: Path) -> None:
        self.peer = peer
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.child", peer, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"LANGSMITH_TRACING": "false"},
        )
        self.told = self._read()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildFailed(self.peer)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def measure(self, job: Job) -> float:
        """Return the microseconds per step or item that this peer needs for the job now."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()
        return float(self._read()["seconds"]) / job.units * 1e6


@dataclass(slots=True)
class Figures:
    """What was measured: for each job and peer the microseconds per step or item, one number per round."""

    names: dict[str, str] = field(default_factory=dict[str, str])
    versions: dict[str, str] = field(default_factory=dict[str, str])
    samples: dict[tuple[str, str], list[float]] = field(default_factory=dict[tuple[str, str], list[float]])


def measure_all(
    peers: Sequence[str], jobs: Sequence[Job], rounds: int, folder: Path, progress: Callable[[str], None]
) -> Figures:
    """Run all rounds; each begins with another peer, and a first quick one, not counted, warms every process up.

    Raises ChildFailed: a peer gave a wrong answer or broke.
    """
    figures = Figures()
    with ExitStack() as stack:
        children = [stack.enter_context(Child(peer, folder)) for peer in peers]
        for child in children:
            figures.names[child.peer] = child.told["name"]
            figures.versions |= child.told["versions"]
            for job in QUICK:
                child.measure(job)
        for number in range(rounds):
            turn = number % len(children)
            for job in jobs:
                for child in children[turn:] + children[:turn]:
                    progress(f"round {number + 1} of {rounds}: {job.name}, {figures.names[child.peer]}")
                    figures.samples.setdefault((job.name, child.peer), []).append(child.measure(job))
    return figures
