"""Reports of runs, for the tests of pages: one of a real run, and made ones with whatever texts in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Literal

import anyio
from pydantic import BaseModel

from milepost.engine.current import report_usage
from milepost.engine.engine import Engine
from milepost.engine.errors import NodeError
from milepost.engine.policy import Retry
from milepost.engine.report import Excerpt, Report, ReportedCheckpoint, StateChange
from milepost.engine.trace import Trace, Usage
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.visualize.subjects import START, definition, edge, node, task


class Notes(BaseModel):
    lines: list[str] = []
    risk: float = 0.1


def review(*, faulty: bool = False) -> Workflow[Notes, None, str, str]:
    """Build a loop with a retry, a decision, a map, a join, and changes of the state."""
    wf = WorkflowBuilder(name="review", state_type=Notes, input_type=str, output_type=str)
    tries: list[str] = []

    @wf.function(retry=Retry(attempts=2))
    async def analyse(ctx: StepContext[Notes, None, str]) -> str:
        tries.append(ctx.inputs)
        if len(tries) == 1:
            raise TimeoutError("too slow")
        report_usage(Usage(requests=1, input_tokens=5000, output_tokens=300, cost=0.03))
        ctx.state.risk = 0.4 * len(tries)
        ctx.state.lines.append(f"analysed {len(tries)}")
        return ctx.inputs

    @wf.decide
    async def triage(ctx: StepContext[Notes, None, str]) -> Literal["clear", "unclear"]:
        return "clear" if len(tries) > 2 else "unclear"

    @wf.function
    async def split(ctx: StepContext[Notes, None, str]) -> list[str]:
        return ctx.inputs.split()

    @wf.function
    async def read(ctx: StepContext[Notes, None, str]) -> str:
        return f"<b>{ctx.inputs}</b>"

    collect = wf.join(reduce_list_append, initial_factory=list[str], node_id="collect")

    @wf.function
    async def score(ctx: StepContext[Notes, None, list[str]]) -> str:
        if faulty:
            raise ValueError("no weight\nfor clause 3")
        return f"{len(ctx.inputs)} clauses"

    wf.edge(wf.start_node, analyse)
    wf.edge(analyse, triage)
    wf.edge(triage, split, when="clear")
    wf.edge(triage, analyse, when="unclear")
    wf.edge(split, wf.each(read, join=collect))
    wf.edge(collect, score)
    wf.edge(score, wf.end_node)
    return wf.build()


@cache
def reviewed(*, faulty: bool = False) -> Report:
    """Run it and read its report, in a thread of its own, as a browser may have the loop of this one."""

    async def run() -> Report:
        async with Engine("memory:") as engine:
            started = await engine.start(review(faulty=faulty), inputs="one two three", run_id="r-17")
            try:
                await started.result()
            except NodeError:
                assert faulty
            return await engine.report("r-17")

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(anyio.run, run).result()


SMALL = definition([node("a")], [edge("__start__", "a"), edge("a", "__end__")])


def holding(texts: Sequence[str], *, label: str = "a") -> Report:
    """Make the report of a run with a step for each text, which is its input, output, error and state, all as JSON."""
    workflow = definition([node(label)], [edge("__start__", label), edge(label, "__end__")], label)
    tasks = tuple(
        replace(task(label, (0, 1), visit=number + 1, error=text), seq=number + 2) for number, text in enumerate(texts)
    )
    trace = Trace(
        run_id=label,
        status="completed",
        definition=workflow,
        created=START,
        updated=START + timedelta(seconds=9),
        tasks=tasks,
        taken={("__start__", label, 0): 1, (label, "__end__", 0): 1},
        output=excerpt(texts[0]).text if texts else None,
        checkpoints=len(texts) + 1,
    )
    first = ReportedCheckpoint(
        seq=1,
        at=START,
        did="started",
        node="",
        task="",
        status="running",
        spawned=tuple(one.key for one in tasks),
        passed={("__start__", label, 0): 1},
    )
    before = ""
    checkpoints = [first]
    for number, (one, text) in enumerate(zip(tasks, texts, strict=True)):
        stored = excerpt(text)
        checkpoints.append(
            ReportedCheckpoint(
                seq=number + 2,
                at=START,
                did="completed",
                node=label,
                task=one.key,
                status="running",
                stored=stored,
                changes=(StateChange(path=text, before=excerpt(before) if number else None, after=stored),),
                patch={"field": (0, len(excerpt(before).text) if number else 0, stored.text)},
            )
        )
        before = text
    inputs = {one.key: excerpt(text) for one, text in zip(tasks, texts, strict=True)}
    return Report(trace=trace, checkpoints=tuple(checkpoints), inputs=inputs, known=len(checkpoints))


def excerpt(text: str) -> Excerpt:
    """Return a text as a store holds it, though none would take half of a surrogate pair."""
    written = json.dumps(text, ensure_ascii=False)
    return Excerpt(written, len(written))


def many(number: int, size: int = 40) -> Report:
    """Make the report of a run of so many steps."""
    tasks = tuple(
        replace(task("a", (one, one + 1), visit=one + 1, tokens=10), seq=one + 2, key=f"{one:032x}")
        for one in range(number)
    )
    trace = Trace(
        run_id="many",
        status="completed",
        definition=SMALL,
        created=START,
        updated=START + timedelta(seconds=number),
        tasks=tasks,
        taken={("__start__", "a", 0): 1, ("a", "__end__", 0): 1},
        checkpoints=number + 1,
    )
    started = ReportedCheckpoint(
        seq=1, at=START, did="started", node="", task="", status="running", spawned=tuple(one.key for one in tasks)
    )
    rest = (
        ReportedCheckpoint(
            seq=place + 2,
            at=START + timedelta(seconds=place),
            did="completed",
            node="a",
            task=one.key,
            status="running",
            stored=Excerpt("x" * size, size),
            patch={"count": (0, len(str(place)) if place else 0, str(place + 1))},
        )
        for place, one in enumerate(tasks)
    )
    inputs = {one.key: Excerpt("y" * size, size) for one in tasks}
    return Report(trace=trace, checkpoints=(started, *rest), inputs=inputs, known=number + 1)
