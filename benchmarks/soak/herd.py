"""Workers that are killed at random instants, and replaced."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from uuid import uuid4

from benchmarks.soak.worker import Job, work

nursery = get_context("forkserver")
nursery.set_forkserver_preload(["benchmarks.soak.worker"])

FINISHERS = 4


@dataclass(slots=True)
class Herd:
    """The workers on one store.

    folder: for what they note. life: seconds that one lives on average. kills: so far. name: what the ids of their runs
    begin with. ends: the exit codes of those that ended by themselves although they should not.
    """

    url: str
    folder: Path
    workers: int
    life: float
    chance: random.Random
    name: str = field(default_factory=lambda: f"soak-{uuid4().hex[:8]}-")
    kills: int = 0
    ends: list[int | None] = field(default_factory=list[int | None])

    def soak(self, seconds: float, tell: Callable[[str], None]) -> None:
        """Have runs begun and resumed, and kill one worker after the other; at last all of them at once."""
        alive = [self._born(number, begins=True) for number in range(self.workers)]
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            tell(f"{left:.0f} s left, {self.kills} kills")
            time.sleep(min(left, self.chance.expovariate(self.workers / self.life)))
            number = self.chance.randrange(self.workers)
            self._kill(alive[number])
            alive[number] = self._born(number, begins=True)
        for worker in alive:
            self._kill(worker)

    def finish(self, tell: Callable[[str], None]) -> None:
        """Have everything that is left brought to its end, undisturbed."""
        tell("finishing what was left")
        last = [self._born(number, begins=False) for number in range(min(self.workers, FINISHERS))]
        for worker in last:
            worker.join()
            if worker.exitcode != 0:
                self.ends.append(worker.exitcode)

    def _born(self, number: int, *, begins: bool) -> ForkServerProcess:
        job = Job(url=self.url, name=self.name, notes=self.folder / f"{number}.jsonl", begins=begins)
        process = nursery.Process(target=work, args=(job,), daemon=True)
        process.start()
        return process

    def _kill(self, worker: ForkServerProcess) -> None:
        worker.kill()
        worker.join()
        if worker.exitcode == -9:
            self.kills += 1
        else:
            self.ends.append(worker.exitcode)
        worker.close()
