"""A workflow with a state, a map, a join and a decision, for the tests that go back and forth in its runs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from milepost.engine.engine import Engine
from milepost.engine.errors import NodeError
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN, Deps


class Letter(BaseModel):
    lines: list[str] = []
    tone: str = "plain"


AnyLetter = Workflow[Letter, Deps, int, str]


def letters() -> AnyLetter:
    """Build it: an outline, a part for each item of it, a decision by the tone, and what becomes of the letter."""
    wf = WorkflowBuilder(name="letters", state_type=Letter, deps_type=Deps, input_type=int, output_type=str)

    @wf.function
    async def outline(ctx: StepContext[Letter, Deps, int]) -> list[int]:
        await ctx.deps.enter("outline")
        ctx.state.lines.append(f"outline {ctx.inputs}")
        return list(range(ctx.inputs))

    @wf.function
    async def write(ctx: StepContext[Letter, Deps, int]) -> str:
        await ctx.deps.enter("write")
        return f"{ctx.state.tone} {ctx.inputs}"

    parts = wf.join(reduce_list_append, initial_factory=list[str], node_id="parts")

    @wf.decide
    async def judge(ctx: StepContext[Letter, Deps, list[str]]) -> Literal["send", "drop"]:
        await ctx.deps.enter("judge")
        return "drop" if any("rude" in part for part in ctx.inputs) else "send"

    @wf.function
    async def send(ctx: StepContext[Letter, Deps, list[str]]) -> str:
        await ctx.deps.enter("send")
        ctx.state.lines.append("sent")
        return ", ".join(sorted(ctx.inputs))

    @wf.function
    async def drop(ctx: StepContext[Letter, Deps, list[str]]) -> str:
        await ctx.deps.enter("drop")
        return "dropped"

    wf.edge(wf.start_node, outline)
    wf.edge(outline, wf.each(write, join=parts))
    wf.edge(parts, judge)
    wf.edge(judge, send, when="send")
    wf.edge(judge, drop, when="drop")
    wf.edge(send, wf.end_node)
    wf.edge(drop, wf.end_node)
    return wf.build()


LETTERS = letters()
NEWEST = 6
"""The number of the last checkpoint of a run over two parts."""


async def finished(engine: Engine, inputs: int = 2, deps: Deps | None = None) -> str:
    """Run it to its end."""
    run = await engine.start(LETTERS, inputs=inputs, deps=deps or Deps(), run_id=RUN)
    output: str = await run.result()
    return output


async def failed(engine: Engine, node: str, inputs: int = 2) -> None:
    """Run it until a node fails."""
    run = await engine.start(LETTERS, inputs=inputs, deps=Deps(faulty={node}), run_id=RUN)
    try:
        await run.result()
    except NodeError:
        return
    raise AssertionError(f"{node} did not fail")


async def task_of(engine: Engine, node: str, seq: int, run_id: str = RUN) -> str:
    """Return the key of the first pending task of a node."""
    then = await engine.at(run_id, seq)
    return next(task.key for task in then.tasks if task.node == node)
