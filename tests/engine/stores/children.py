"""Other processes with a store open, to be told what to do, and to be killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from milepost.engine.stores.store import Durability
from tests.postgres import Schema

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Child:
    """Another process with the store open, see child.py."""

    process: subprocess.Popen[str]
    commands: IO[str]
    answers: IO[str]

    def tell(self, command: str) -> None:
        self.commands.write(f"{command}\n")
        self.commands.flush()

    def answer(self) -> str:
        return self.answers.readline().strip()

    def ask(self, command: str) -> str:
        self.tell(command)
        return self.answer()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Let it stand still, as a machine that sleeps does."""
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def _child(kind: str, place: str, options: dict[str, object]) -> Generator[Child]:
    words = [sys.executable, "-m", "tests.engine.stores.child", kind, place, json.dumps(options)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Child(process, process.stdin, process.stdout)
        finally:
            process.kill()


@contextmanager
def child(path: Path, durability: Durability = "process", **options: float) -> Generator[Child]:
    """Another process with a store in a file."""
    with _child("sqlite", str(path), {"durability": durability, **options}) as made:
        yield made


@contextmanager
def child_in(schema: Schema, durability: Durability = "power", **options: float) -> Generator[Child]:
    """Another process with a store in a database."""
    with _child("postgres", schema.dsn, {"schema": schema.name, "durability": durability, **options}) as made:
        yield made
