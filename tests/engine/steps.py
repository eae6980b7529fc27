"""A process that drives a run, for the tests that follow and cancel it from another one.

python -m tests.engine.steps PATH RUN: it takes a step for every line on its standard input, and prints how it ended.
"""

from __future__ import annotations

import sys
from typing import Any

import anyio
import anyio.to_thread

from milepost.engine.engine import Engine
from milepost.engine.errors import MilepostError
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

STEPS = 10


def steps() -> Workflow[Any, None, int, int]:
    """Build a loop whose node waits for a line."""
    wf = WorkflowBuilder(name="steps", input_type=int, output_type=int)

    @wf.function
    async def step(ctx: StepContext[None, None, int]) -> int:
        await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
        return ctx.inputs + 1

    def goes_on(number: int) -> bool:
        return number < STEPS

    wf.edge(wf.start_node, step)
    wf.edge(step, step, when=goes_on)
    wf.edge(step, wf.end_node, otherwise=True)
    return wf.build()


async def main(path: str, run_id: str) -> None:
    async with Engine(SqliteStore(path, durability="process")) as engine:
        run = await engine.start(steps(), inputs=0, run_id=run_id)
        print("started", flush=True)
        try:
            print(await run.result(), flush=True)
        except MilepostError as error:
            print(f"{type(error).__name__}: {error}", flush=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
