"""A workflow that waits for a person, an event and a time, in a run and in one inside it; real processes import it."""

from __future__ import annotations

from typing import Any

from milepost import Question, StepContext, Workflow, WorkflowBuilder
from milepost.engine.typed import reduce_list_append


def rating() -> Workflow[Any, Any, int, int]:
    """Build a question with a node before and after it."""
    wf = WorkflowBuilder(name="rating", input_type=int, output_type=int)

    @wf.function
    async def prepare(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 10

    @wf.ask(answer=int)
    async def rate(ctx: StepContext[None, None, int]) -> Question:
        return Question(text=f"Rate {ctx.inputs}.", choices=[4, 5])

    @wf.function
    async def keep(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    wf.edge(wf.start_node, prepare)
    wf.edge(prepare, rate)
    wf.edge(rate, keep)
    wf.edge(keep, wf.end_node)
    return wf.build()


def waiting() -> Workflow[Any, Any, list[int], int]:
    """Build a map over that, with an event, a time and a race behind it."""
    wf = WorkflowBuilder(name="waiting", input_type=list[int], output_type=int)
    inner: Any = wf.subworkflow(rating(), node_id="inner")
    paid: Any = wf.wait_for("paid", int)
    nap: Any = wf.sleep(0.01, node_id="nap")

    @wf.function
    async def total(ctx: StepContext[None, None, list[int]]) -> int:
        return sum(ctx.inputs)

    @wf.function
    async def ask(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 100

    async def sure(ctx: StepContext[None, None, int]) -> str:
        return f"Is {ctx.inputs} right?"

    first: Any = wf.race(wf.ask(answer=int)(sure), wf.wait_for("stopped", int), node_id="first")
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, wf.each(inner, join=collect, fork_id="each"))
    wf.edge(collect, total)
    wf.edge(total, nap)
    wf.edge(nap, paid)
    wf.edge(paid, ask)
    wf.edge(ask, first)
    wf.edge(first, wf.end_node)
    return wf.build()


WAITING = waiting()
