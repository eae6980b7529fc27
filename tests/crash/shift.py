"""Worker processes on one store, the runs that they share, and what they leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from typing import Any
from urllib.parse import urlencode

import anyio
from psycopg.conninfo import conninfo_to_dict

from milepost import Engine
from milepost.cli.target import find_workflow
from tests.postgres import Schema

ROOT = Path(__file__).parents[2]
NODES = ("begin", "middle", "last")

SOURCE = """
import os
from contextlib import contextmanager

import anyio

from milepost import StepContext, WorkflowBuilder, current

def note(*words):
    file = os.open("effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, (" ".join(map(str, words)) + "\\n").encode())
    os.close(file)

async def body(run, node):
    note("in", run, node, os.getpid())
    await anyio.sleep(0.002)
    note("out", run, node, os.getpid())

wf = WorkflowBuilder(name="errand", input_type=str, output_type=int)

@wf.function
async def begin(ctx: StepContext[None, None, str]) -> str:
    await body(ctx.inputs, "begin")
    return ctx.inputs

nap = wf.sleep(0.3, node_id="nap")

@wf.function
async def middle(ctx: StepContext[None, None, str]) -> str:
    await body(ctx.inputs, "middle")
    return ctx.inputs

go = wf.wait_for("go", str)

@wf.function
async def last(ctx: StepContext[None, None, str]) -> int:
    await body(ctx.inputs, "last")
    return len(ctx.inputs)

wf.edge(wf.start_node, begin)
wf.edge(begin, nap)
wf.edge(nap, middle)
wf.edge(middle, go)
wf.edge(go, last)
wf.edge(last, wf.end_node)
errand = wf.build()

outer = WorkflowBuilder(name="outing", input_type=str, output_type=int)
trip = outer.subworkflow(errand, node_id="trip")
outer.edge(outer.start_node, trip)
outer.edge(trip, outer.end_node)
outing = outer.build()
"""


@dataclass
class Hand:
    """A worker process. serves: it has begun to. ears: the threads that read what it tells."""

    process: subprocess.Popen[str]
    serves: Event = field(default_factory=Event)
    ears: list[Thread] = field(default_factory=list[Thread])

    def watch(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                if line.startswith("Serving "):
                    self.serves.set()

    def ended(self) -> int:
        return self.process.wait(timeout=60)


@dataclass
class Yard:
    """A folder with a store, or the schema of one, and the workers that share it. It is the working directory.

    told: what all of them tell, with the process id, as it comes.
    """

    folder: Path
    url: str
    schema: Schema | None = None
    hands: list[Hand] = field(default_factory=list[Hand])
    told: Queue[tuple[int, dict[str, Any]]] = field(default_factory=Queue[tuple[int, dict[str, Any]]])
    heard: list[tuple[int, dict[str, Any]]] = field(default_factory=list[tuple[int, dict[str, Any]]])

    def hire(self, target: str = "errand.py:errand", *options: str) -> Hand:
        """Start a worker."""
        words = [sys.executable, "-m", "milepost", "worker", target, "--store", self.url, "--json", "--poll", "0.05"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [*words, *options],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        hand = Hand(process)
        hand.ears = [Thread(target=self._hear, args=(hand,)), Thread(target=hand.watch)]
        for ear in hand.ears:
            ear.start()
        self.hands.append(hand)
        return hand

    def _hear(self, hand: Hand) -> None:
        assert hand.process.stdout is not None
        with hand.process.stdout as lines:
            for line in lines:
                if line.endswith("\n"):  # else it was killed in the middle
                    self.told.put((hand.process.pid, json.loads(line)))

    def listen(self, enough: Callable[[list[tuple[int, dict[str, Any]]]], bool]) -> None:
        """Hear what the workers tell until that is enough."""
        while not enough(self.heard):
            self.heard.append(self.told.get(timeout=60))

    def left(self, status: str, run_ids: Sequence[str]) -> None:
        """Wait until a worker has let go of each of these runs when it stood so, and it has not moved since."""
        missing = set(run_ids)

        def enough(heard: list[tuple[int, dict[str, Any]]]) -> bool:
            stands = {one["run_id"]: one for _, one in heard if one["event"] == "left"}
            return all(
                one in stands and stands[one]["status"] == status and (status != "waiting" or not stands[one]["due"])
                for one in missing
            )

        self.listen(enough)

    def begin(self, run_ids: Sequence[str], name: str = "errand") -> None:
        """Begin runs in this process when all workers serve, and let go of them as they wait for their time."""
        assert all(hand.serves.wait(timeout=60) for hand in self.hands)
        workflow = find_workflow(f"errand.py:{name}")

        async def main() -> None:
            async with Engine(self.url) as engine:
                for run_id in run_ids:
                    run = await engine.start(workflow, inputs=run_id, run_id=run_id)
                    await run.settle()
                    run.stop()

        anyio.run(main)

    def send(self, run_ids: Sequence[str]) -> None:
        """Tell runs what they wait for."""

        async def main() -> None:
            async with Engine(self.url) as engine:
                for run_id in run_ids:
                    await engine.send(run_id, "go", run_id)

        anyio.run(main)

    def statuses(self) -> dict[str, int]:
        async def main() -> dict[str, int]:
            async with Engine(self.url) as engine:
                return {str(status): count for status, count in (await engine.counts(nested=True)).items()}

        return anyio.run(main)

    def effects(self) -> list[list[str]]:
        return [line.split() for line in (self.folder / "effects").read_text().splitlines()]

    def shares(self) -> Counter[int]:
        """Return how many times each worker has taken up a run."""
        return Counter(pid for pid, one in self.heard if one["event"] == "taken")

    def close(self) -> None:
        for hand in self.hands:
            hand.process.kill()
            hand.process.wait()
            for ear in hand.ears:
                ear.join()


@contextmanager
def yard(folder: Path, schema: Schema | None) -> Generator[Yard]:
    """A new store, in a file of this folder or in a schema of a server."""
    (folder / "errand.py").write_text(SOURCE)
    (folder / "effects").touch()
    url = f"sqlite:///{folder / 'runs.db'}?durability=process"
    if schema is not None:
        options = {name: str(value) for name, value in conninfo_to_dict(schema.dsn).items()}
        url = f"postgresql:///?{urlencode({**options, 'schema': schema.name})}"
    made = Yard(folder, url, schema)
    try:
        yield made
    finally:
        made.close()


def faults(effects: Sequence[Sequence[str]], run_ids: Sequence[str], killed: Sequence[int] = ()) -> list[str]:
    """Return what is wrong with what the bodies of runs have written.

    Each body of each run has to have run once, and no two of one run at the same time. What a killed process had begun
    and not committed may have run again, in another one.
    """
    found: list[str] = []
    dead = {str(pid) for pid in killed}
    inside: dict[str, tuple[str, str]] = {}
    done: Counter[tuple[str, str]] = Counter()
    for way, run, node, pid in effects:
        if way == "in":
            if run in inside and inside[run][1] not in dead:
                found.append(f"{run} is in {node} of {pid} and in {inside[run]}")
            inside[run] = (node, pid)
        else:
            if inside.pop(run, None) != (node, pid):
                found.append(f"{run} came out of {node} of {pid}, where it was not")
            if pid not in dead:
                done[run, node] += 1
    by_dead = {(run, node) for _, run, node, pid in effects if pid in dead}
    for run in run_ids:
        for node in NODES:
            if done[run, node] != 1 and not (done[run, node] == 0 and (run, node) in by_dead):
                found.append(f"{node} of {run} was done {done[run, node]} times")
    return found
