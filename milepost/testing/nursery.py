"""Lives of real processes, which die by SIGKILL. They are forked from one that has the workflow imported already."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from milepost.engine.errors import MilepostError
from milepost.testing.given import Given
from milepost.testing.handover import handed_over, taken_over
from milepost.testing.lives import DidNotEnd, Life, Lived
from milepost.testing.notes import Failed, Note, notes_in

GRACE: Final = 10.0
"""Seconds that a life may last longer than it may, before its process is killed for it."""


class ProcessFailed(MilepostError):
    """A process that was to run the workflow has not done so."""


class Nursery:
    """Lives in processes of their own. A context manager. subject: what they run, as it is known here."""

    def __init__(self, given: Given) -> None:
        self._told = handed_over(given)
        self.subject, _ = taken_over(self._told)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Nursery:
        paths = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "milepost.testing.newborn"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": paths},
            start_new_session=True,
        )
        try:
            self._ask(self._told, None)
        except BaseException as error:
            self.__exit__(error)
            raise
        return self

    def __exit__(self, *reason: object) -> None:
        assert self._process is not None
        if any(reason):  # a life may still be under way
            kill(self._process)
        self._process.communicate()

    def live(self, life: Life, commits: int | None) -> Lived:
        file = life.folder / f"{life.run_id}-{life.number}.jsonl"
        asked = [life.trial, life.number, life.run_id, str(life.folder), commits, str(file)]
        try:
            status = self._ask(json.dumps(asked), self.subject.timeout + GRACE)
        except TimeoutError:
            return Lived(notes=notes_in(file), error=DidNotEnd(life.run_id, self.subject.timeout))
        notes = notes_in(file)
        died = status == -signal.SIGKILL and commits is not None
        return Lived(notes=notes, ended=status == 0, error=None if status == 0 or died else failure(status, notes))

    def _ask(self, line: str, seconds: float | None) -> int:
        """Hand over one line, and return the number that is answered.

        Raises TimeoutError: nothing was, and the processes are killed. ProcessFailed: what was answered instead.
        """
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # then there is no answer either
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
        if not select.select([process.stdout], [], [], seconds)[0]:
            kill(process)
            raise TimeoutError
        answer = process.stdout.readline()
        told: int | str = json.loads(answer) if answer else "It has ended; its own error is on stderr."
        if isinstance(told, str):
            raise ProcessFailed(f"The process that is to run the workflow cannot. {told}")
        return told


def kill(process: subprocess.Popen[str]) -> None:
    """Kill the process of a nursery, with the life that it has forked."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def failure(status: int, notes: Sequence[Note]) -> ProcessFailed:
    """Return what became of a process that should have come to the end of the run. status: its exit code."""
    said = [note.error for note in notes if isinstance(note, Failed)]
    return ProcessFailed(said[-1] if said else f"its process ended with {status}; its own error is on stderr")
