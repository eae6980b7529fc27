"""The demo's two processes: the first dies in the middle of its work, the second goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from milepost.cli.ledger import DIES_AT, LEDGER, MODEL, PAUSE, Call, Ledger
from milepost.cli.records import read_store
from milepost.engine.errors import InputError

if TYPE_CHECKING:
    from milepost.engine.report import Report
    from milepost.engine.trace import Trace
    from milepost.workflows.contract_review.clauses import Clause

RUN: Final = "review"
FIRST_LOOK: Final = "review"
TARGET: Final = "milepost.cli.metered:workflow"
THINKING: Final = 0.15
LONGEST_THINKING: Final = 8.0
"""Seconds per call of the scripted model, and for all clauses of a long contract together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that has ended. code: its exit code, minus the signal that killed it. seconds: how long it lived."""

    id: int
    code: int
    seconds: float
    stdout: str
    stderr: str
    calls: Sequence[Call]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """One showing of the demo, from the contract to the files in `out`."""

    title: str
    clauses: Sequence[Clause]
    text: str
    model: str | None
    out: Path

    @property
    def store(self) -> str:
        """The address of the store."""
        return f"sqlite:///{self.out / 'demo.db'}"

    @property
    def dies_at(self) -> int:
        """The call in whose midst the first process is killed: in the middle of the map."""
        return max(1, (len(self.clauses) + 1) // 2)

    def prepare(self) -> None:
        """Make the folder, without what an earlier showing left of the run."""
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            for old in (*self.out.glob("demo.db*"), self.out / "calls.txt"):
                old.unlink(missing_ok=True)
            contract = {"title": self.title, "text": self.text}
            (self.out / "contract.json").write_text(json.dumps(contract, indent=2), encoding="utf-8")
        except OSError as error:
            raise InputError(f"The folder {str(self.out)!r} cannot be written: {error.strerror}.") from error

    def command(self, *words: str) -> list[str]:
        """Return a command line of ours, as one can type it."""
        return ["milepost", *words, "--store", self.store, "--json"]

    @property
    def start(self) -> list[str]:
        """Return the command of the first process."""
        return self.command("run", TARGET, "--input", f"@{self.out / 'contract.json'}", "--run-id", RUN)

    @property
    def go_on(self) -> list[str]:
        """Return the command of the second process."""
        return self.command("resume", RUN, TARGET)

    def carry_out(self, command: Sequence[str], *, dies_at: int = 0) -> Process:
        """Do one command in a process of its own, and wait for its end."""
        thinking = 0.0 if self.model else min(THINKING, LONGEST_THINKING / len(self.clauses))
        environment = {
            **os.environ,
            LEDGER: str(self.out / "calls.txt"),
            DIES_AT: str(dies_at),
            PAUSE: str(thinking),
            MODEL: self.model or "",
        }
        began = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        stdout, stderr = child.communicate()
        calls = [call for call in Ledger(self.out / "calls.txt").read() if call.process == child.pid]
        return Process(
            id=child.pid,
            code=child.returncode,
            seconds=time.monotonic() - began,
            stdout=stdout,
            stderr=stderr.strip(),
            calls=calls,
        )

    def trace(self) -> Trace:
        """Return what the run did so far, read from the store."""
        return read_store(self.store, lambda engine: engine.trace(RUN))

    def report(self) -> Report:
        """Return what the run did and stored so far, checkpoint by checkpoint."""
        return read_store(self.store, lambda engine: engine.report(RUN))

    def saved(self) -> frozenset[int]:
        """Return the numbers of the clauses whose first look is in the store now."""
        done = (task for task in self.trace().tasks if task.node == FIRST_LOOK and task.status == "completed")
        return frozenset(self.clauses[task.index].number for task in done if task.index is not None)
