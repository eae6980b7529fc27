"""A process that begins runs and goes on with those that others have left, until it is killed."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import anyio

from benchmarks.soak.flow import WORKFLOW, number_of
from milepost import Engine, LeaseLost, RunBusy, Store, open_store
from milepost.engine.drivers import prepare
from milepost.testing.notes import Failed, Notebook, WatchedEngine

TOGETHER = 3
"""Runs that a worker drives at a time."""
MOST = 100
"""Unfinished runs, those that are driven included, with which none is begun any more."""
ASK_AGAIN = 0.1
"""Seconds until a worker looks again whether there is anything left to go on with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker is to do.

    url: of the store. name: what the ids of all runs begin with. notes: its file. begins: it begins runs, too, until it
    is killed; otherwise it goes on with what there is until nothing is left.
    """

    url: str
    name: str
    notes: Path
    begins: bool


def work(job: Job) -> None:
    """Do the job in this process."""
    anyio.run(Worker(job).main)


class Worker:
    """One life of a worker."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._notebook = Notebook(job.notes)

    async def main(self) -> None:
        """Drive several runs at a time."""
        store = open_store(self._job.url)
        async with WatchedEngine(store, self._notebook) as engine, anyio.create_task_group() as group:
            for _ in range(TOGETHER):
                group.start_soon(self._serve, engine, store)

    async def _serve(self, engine: Engine, store: Store) -> None:
        while True:
            rows = await store.rows(prefix=self._job.name, status="running", nested=False)
            if not rows and not self._job.begins:
                return
            if self._job.begins and len(rows) < MOST and random.random() < 0.5:
                await self._drive(engine, f"{self._job.name}{uuid4().hex[:12]}")
            elif not rows or not await self._drive(engine, random.choice(rows).run_id):
                await anyio.sleep(ASK_AGAIN)

    async def _drive(self, engine: Engine, run_id: str) -> bool:
        """Begin a run or go on with it, to its end. Returns whether nobody else drives it."""
        try:
            run = await engine.start(WORKFLOW, inputs=number_of(run_id), run_id=run_id)
            await run.result()
        except (RunBusy, LeaseLost):
            return False
        except Exception as error:  # whatever it is, the report tells it
            print(f"{run_id}: {type(error).__name__}: {error}", file=sys.stderr)
            self._notebook(Failed(f"{run_id}: {type(error).__name__}: {error}"))
            return False
        return True


def warm_up() -> None:
    """Do once what every worker would do again after its birth."""
    prepare(WORKFLOW)
    anyio.run(anyio.sleep, 0)


warm_up()
