"""A run that counts up, and a process that drives it and dies in the middle of a node: python -m ... URL STEP."""

from __future__ import annotations

import os
import signal
import sys

import anyio

from milepost.engine.engine import Engine
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

STEPS = 12


def counting(dies_at: int = 0) -> Workflow[None, None, int, int]:
    """Count up to STEPS, a task for each; the process is killed in the task that gets this number."""
    wf = WorkflowBuilder(name="counting", input_type=int, output_type=int)

    @wf.function
    async def count(ctx: StepContext[None, None, int]) -> int:
        if ctx.inputs + 1 == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return ctx.inputs + 1

    @wf.decide
    async def enough(ctx: StepContext[None, None, int]) -> bool:
        return ctx.inputs >= STEPS

    wf.edge(wf.start_node, count)
    wf.edge(count, enough)
    wf.edge(enough, wf.end_node, when=True)
    wf.edge(enough, count, when=False)
    return wf.build()


async def live(url: str, dies_at: int) -> None:
    """Begin the run, or go on with it."""
    async with Engine(url) as engine:
        await (await engine.start(counting(dies_at), inputs=0, run_id="run")).result()


if __name__ == "__main__":
    anyio.run(live, sys.argv[1], int(sys.argv[2]))
