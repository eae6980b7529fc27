"""A run that is killed again and again through the command line ends right, and no saved node runs twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from milepost.cli.records import read_store
from milepost.cli.stores import is_there
from tests.cli.conftest import environment

if TYPE_CHECKING:
    from milepost.engine.engine import Engine

KILLS = 25

SOURCE = r"""
import asyncio
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from milepost import StepContext, WorkflowBuilder, reduce_list_append

LAPS = 12

class Item(BaseModel):
    lap: int
    index: int
    value: int

class Tally(BaseModel):
    laps: int = 0

def note(node: str, lap: int, index: int = 0) -> None:
    descriptor = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{node} {lap} {index}\n".encode())
    os.close(descriptor)

wf = WorkflowBuilder(name="unseen", state_type=Tally, input_type=list[int], output_type=list[int])

@wf.function
async def spread(ctx: StepContext[Tally, None, list[int]]) -> list[Item]:
    ctx.state.laps += 1
    lap = ctx.state.laps
    note("spread", lap)
    return [Item(lap=lap, index=index, value=value) for index, value in enumerate(ctx.inputs)]

@wf.function
async def square(ctx: StepContext[Tally, None, Item]) -> Item:
    item = ctx.inputs
    await asyncio.sleep(0.005 * (1 + item.index % 7))
    note("square", item.lap, item.index)
    return item.model_copy(update={"value": item.value * item.value})

@wf.decide
async def parity(ctx: StepContext[Tally, None, Item]) -> Literal["odd", "even"]:
    return "odd" if ctx.inputs.value % 2 else "even"

@wf.function
async def halve(ctx: StepContext[Tally, None, Item]) -> Item:
    item = ctx.inputs
    await asyncio.sleep(0.01)
    note("halve", item.lap, item.index)
    return item.model_copy(update={"value": item.value // 2})

collect = wf.join(reduce_list_append, initial_factory=list[Item], node_id="collect")

@wf.function
async def tidy(ctx: StepContext[Tally, None, list[Item]]) -> list[int]:
    note("tidy", ctx.state.laps)
    return sorted(item.value for item in ctx.inputs)

@wf.decide
async def enough(ctx: StepContext[Tally, None, list[int]]) -> bool:
    return ctx.state.laps >= LAPS

@wf.function
async def shrink(ctx: StepContext[Tally, None, list[int]]) -> list[int]:
    note("shrink", ctx.state.laps)
    return [value % 23 for value in ctx.inputs]

wf.edge(wf.start_node, spread)
wf.edge(spread, wf.each(square))
wf.edge(square, parity)
wf.edge(parity, halve, when="even")
wf.edge(parity, collect, when="odd")
wf.edge(halve, collect)
wf.edge(collect, tidy)
wf.edge(tidy, enough)
wf.edge(enough, wf.end_node, when=True)
wf.edge(enough, shrink, when=False)
wf.edge(shrink, spread)
workflow = wf.build()
"""

NODES = ("spread", "square", "halve", "tidy", "shrink")
LAPS = 12
INPUT = list(range(1, 13))


def expected() -> list[int]:
    """Compute the output as plain Python would."""
    values = INPUT
    for lap in range(LAPS):
        squares = [value * value for value in (values if lap == 0 else [value % 23 for value in values])]
        values = sorted(square if square % 2 else square // 2 for square in squares)
    return values


class Unseen:
    """The command line on one run, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.effects = folder / "effects.txt"
        self.folder = folder
        self.store = f"sqlite:///{folder}/runs.db"
        (folder / "unseen.py").write_text(SOURCE)

    def run(self) -> subprocess.Popen[str]:
        """Start, or go on with, the one run."""
        words = [
            "run",
            "unseen:workflow",
            "--input",
            json.dumps(INPUT),
            "--run-id",
            "r-1",
            "--store",
            self.store,
            "--json",
        ]
        return subprocess.Popen(
            [sys.executable, "-m", "milepost", *words],
            cwd=self.folder,
            env=environment(self.folder, EFFECTS=str(self.effects)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def saved(self) -> Counter[str]:
        """Return how many tasks of each node are completed in the store."""
        if not is_there(self.store):
            return Counter()

        async def read(engine: Engine) -> Counter[str]:
            if not await engine.runs():
                return Counter()
            trace = await engine.trace("r-1")
            return Counter(task.node for task in trace.tasks if task.status == "completed")

        return read_store(self.store, read)

    def lines(self) -> list[str]:
        """Return all effects so far: the node, its lap and its index, which together name one task."""
        return self.effects.read_text().splitlines() if self.effects.exists() else []


def wait_for_effects(unseen: Unseen, process: subprocess.Popen[str], more: int) -> None:
    """Wait until the process had `more` effects, or ended."""
    enough = len(unseen.lines()) + more
    while process.poll() is None and len(unseen.lines()) < enough:
        time.sleep(0.001)


def test_a_run_killed_25_times_ends_right_and_no_saved_node_runs_twice(tmp_path: Path) -> None:
    chance = random.Random(25)
    unseen = Unseen(tmp_path)
    deaths: list[tuple[int, Counter[str]]] = []
    for _ in range(KILLS):
        process = unseen.run()
        wait_for_effects(unseen, process, chance.randint(1, 5))
        time.sleep(chance.random() * 0.005)
        process.send_signal(signal.SIGKILL)
        stdout, stderr = process.communicate()
        assert process.returncode == -signal.SIGKILL, (stdout, stderr)
        deaths.append((len(unseen.lines()), unseen.saved()))

    for _ in range(2):  # the second time it is done, and only its recorded output is printed
        process = unseen.run()
        stdout, stderr = process.communicate()
        assert process.returncode == 0, stderr
        result = json.loads(stdout)
        assert (result["schema_version"], result["status"], result["output"]) == (1, "completed", expected())

    effects = unseen.lines()
    tasks = Counter(line.split()[0] for line in set(effects))
    assert unseen.saved() - Counter(parity=10**6, enough=10**6) == tasks
    assert deaths[KILLS // 2][1].total() > 0
    for before, saved in deaths:
        later = Counter(line.split()[0] for line in set(effects[before:]))
        for node in NODES:
            assert later[node] == tasks[node] - saved[node], f"{node} after {before} effects"
