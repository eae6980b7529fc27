"""Lives of real processes that drive a pattern: each is killed after one record, and leaves a file and a database."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from traceback import print_exc
from typing import Any

import anyio

from milepost import Engine, SqliteStore
from milepost.testing.mortal import MortalStore
from tests.patterns.execution import AnyWorkflow
from tests.patterns.harness import RUN
from tests.patterns.life import Life, Name
from tests.patterns.test_branching import local_synchronizing_merge
from tests.patterns.test_cancellation import cancel_region, complete_instances
from tests.patterns.test_instances import known_at_the_end
from tests.patterns.test_partial_joins import cancelling_discriminator, partial_join

PATTERNS: dict[str, tuple[Callable[[], AnyWorkflow], Any]] = {
    "structured partial join": (lambda: partial_join(2), None),
    "cancelling discriminator": (cancelling_discriminator, None),
    "instances of a stream": (known_at_the_end, 3),
    "cancel region": (cancel_region, "Rome"),
    "complete instances": (complete_instances, ["ann", "bob", "eve"]),
    "local synchronizing merge": (local_synchronizing_merge, "dent, bruise"),
}
"""What makes the workflow of a pattern, and its input."""


class WrittenLife(Life):
    """A life that also writes the bodies that begin into a file, a line each, after the number of records found."""

    def __init__(self, path: Path, chance: Random, found: int) -> None:
        super().__init__(chance, found)
        self._path = path
        self._write(str(found))

    def begin(self, name: Name) -> None:
        super().begin(name)
        self._write(" ".join(name))

    def _write(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def read_life(path: Path) -> Life:
    """Read back what a process wrote about its life."""
    found, *lines = path.read_text(encoding="utf-8").splitlines()
    life = Life(found=int(found))
    for line in lines:
        task, _, node = line.partition(" ")
        life.begin((task, node))
    return life


def live(folder: Path, workflow: AnyWorkflow, inputs: Any, number: int) -> None:
    """Begin or go on with the one run until the next record is committed, which kills this process, or it has ended."""

    async def main() -> None:
        store = SqliteStore(folder / "runs.db", durability="process", max_takeovers=1_000)
        mortal = MortalStore(store, commits=1, die=partial(os.kill, os.getpid(), signal.SIGKILL))
        async with Engine(mortal.as_store) as engine:
            life = WrittenLife(folder / f"life-{number}", Random(number), found=number)
            run = await engine.start(workflow, inputs=inputs, deps=life, run_id=RUN)
            await life.direct(run)
            (folder / "output").write_text(repr(await run.result()), encoding="utf-8")

    anyio.run(main)


def forked(folder: Path, workflow: AnyWorkflow, inputs: Any, number: int) -> int:
    """Live once in a process of its own, forked from this one. Returns the signal that ended it, 0 for none."""
    process = os.fork()
    if process:
        _, status = os.waitpid(process, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"Life {number} in {folder} failed."
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    try:
        live(folder, workflow, inputs, number)
    except BaseException:
        print_exc()
        os._exit(1)
    os._exit(0)


def survive(place: str) -> None:
    """Carry out every pattern in a folder of its own, in as many lives as it takes."""
    for pattern, (make, inputs) in PATTERNS.items():
        folder = Path(place) / pattern
        folder.mkdir()
        workflow = make()
        number = 0
        while forked(folder, workflow, inputs, number) == signal.SIGKILL:
            number += 1
