"""The process whose instructions are counted: it imports the engine once, then each job is done in a fork of it.

It is run under valgrind, which counts for each process by itself what was done since the program began. A job is done
in two sizes, so that the difference is the cost of the steps alone, whatever building, opening and importing cost. Only
what is public in Milepost is used, since the engine of an older commit is driven by this same file; and, where there is
one, its clock.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import anyio

import milepost
from benchmarks.graphs import declare, state_of
from benchmarks.jobs import Job, Kind
from milepost import Engine, WorkflowBuilder

SQLITE = "sqlite:///{folder}/runs.db?durability=process"


@dataclass(frozen=True, slots=True)
class Counted:
    """A job whose instructions are counted, in a small and in a large size. store: None, or a URL."""

    name: str
    kind: Kind
    small: int
    large: int
    store: str | None = None


COUNTED = (
    Counted("loop", Kind.LOOP, 100, 600),
    Counted("chain and its building", Kind.CHAIN, 10, 60),
    Counted("map", Kind.MAP, 50, 350),
    Counted("nested maps", Kind.NEST, 4, 16),
    Counted("loop in SQLite", Kind.LOOP, 40, 240, SQLITE),
    Counted("map in SQLite", Kind.MAP, 20, 120, SQLITE),
    Counted("growing state in SQLite", Kind.GROW, 20, 80, SQLITE),
    Counted("runs at once in SQLite", Kind.RUNS, 10, 40, SQLITE),
)


async def carry_out(job: Job, store: str | None) -> None:
    """Do one job once; a wrong answer ends the process with an error."""
    builder = WorkflowBuilder(name="job", state_type=type(state_of(job)), input_type=int, output_type=int)
    declare(builder, job)
    workflow = builder.build()
    async with Engine(store) as engine:

        async def one() -> int:
            answer: int = await (await engine.start(workflow, inputs=0, state=state_of(job))).result()
            return answer

        answer = sum(await asyncio.gather(*(one() for _ in range(job.size if job.kind is Kind.RUNS else 1))))
    if answer != job.answer:
        sys.exit(f"{job.name} gave {answer}; {job.answer} is right.")


def run(job: Job, store: str | None) -> None:
    """Do a job, with a store in a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(carry_out, job, store and store.format(folder=folder))


def fork(job: Job | None, store: str | None) -> int:
    """Do a job, or nothing, in a process that has all that this one has; return its id when it is done."""
    child = os.fork()
    if child == 0:
        if job is not None:
            run(job, store)
        sys.stdout.flush()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status != 0:
        sys.exit(1)
    return child


def let_no_clock_count() -> None:
    """Let a run keep the event loop to itself: how often it lets others have it depends on how long things take."""
    turns = sys.modules.get("milepost.engine.turns")
    if turns is not None:
        vars(turns)["FAIR"] = 3600.0


def main(engine: str) -> None:
    """Check that the engine is the one in this folder, and print a line of JSON for each process and what it did."""
    found = Path(milepost.__file__).parents[1]
    if found != Path(engine):
        sys.exit(f"The engine was to come from {engine}; it came from {found}.")
    print(json.dumps({"process": fork(None, None), "name": None, "units": 0}), flush=True)
    for store in (None, SQLITE):
        run(Job(Kind.LOOP, 3), store)  # what is imported when it is first needed is there before the forks
    let_no_clock_count()
    for counted in COUNTED:
        for size in (counted.small, counted.large):
            job = Job(counted.kind, size)
            told = {"process": fork(job, counted.store), "name": counted.name, "units": job.units}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
