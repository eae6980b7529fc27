"""A store with runs of every kind in it, and all that it says of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from milepost.engine.engine import Engine
from milepost.engine.errors import StoreError
from milepost.engine.events import CommittedEvent
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

INPUTS = {"done": [1, 2], "failed": [4], "stopped": [6, 7]}
FAILING = {"failed": "say", "stopped": "total"}
PATIENCE = 60.0


class Broken(Exception):
    """What a node fails with while it is told to."""


@dataclass
class Deps:
    """failing: the node that fails, or stands still. reached: it has done so."""

    failing: str = ""
    stands_still: bool = False

    async def enter(self, node: str) -> None:
        if node == self.failing:
            if self.stands_still:
                await anyio.sleep_forever()
            raise Broken(node)


def inner() -> Workflow[None, Deps, int, int]:
    wf = WorkflowBuilder(name="inner", deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def square(ctx: StepContext[None, Deps, int]) -> int:
        return ctx.inputs**2

    wf.edge(wf.start_node, square)
    wf.edge(square, wf.end_node)
    return wf.build()


def outer() -> Workflow[None, Deps, list[int], str]:
    """Build a map over a workflow inside it, a join, and two nodes after that."""
    wf = WorkflowBuilder(name="outer", deps_type=Deps, input_type=list[int], output_type=str)
    squared = wf.subworkflow(inner(), deps=lambda ctx: ctx.deps, node_id="squared")
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")

    @wf.function
    async def total(ctx: StepContext[None, Deps, list[int]]) -> int:
        await ctx.deps.enter("total")
        return sum(ctx.inputs)

    @wf.function
    async def say(ctx: StepContext[None, Deps, int]) -> str:
        await ctx.deps.enter("say")
        return f"the sum is {ctx.inputs}"

    wf.edge(wf.start_node, wf.each(squared, join=collect))
    wf.edge(collect, total)
    wf.edge(total, say)
    wf.edge(say, wf.end_node)
    return wf.build()


OUTER = outer()


def clock() -> Callable[[], float]:
    """Return a clock that goes on by a second whenever it is read."""
    seconds = iter(range(1_700_000_000, 1_800_000_000))
    return lambda: float(next(seconds))


async def fill(path: Path) -> None:
    """Make a store with a run that is done, one that failed, and one that was stopped in the middle."""
    tick = clock()
    async with Engine(SqliteStore(path, durability="process", clock=tick), clock=tick) as engine:
        for run_id, inputs in INPUTS.items():
            deps = Deps(FAILING.get(run_id, ""), stands_still=run_id == "stopped")
            run = await engine.start(OUTER, inputs=inputs, deps=deps, run_id=run_id)
            if run_id == "stopped":
                while (await engine.find(run_id)).seq < 3:  # its map and both items
                    await anyio.lowlevel.checkpoint()
                run.stop()
            await run.wait()


Answers = dict[str, object]


async def answers(path: Path) -> Answers:
    """Return all that a store says, and what its runs come to; in place of what it cannot say, the StoreError."""
    found: Answers = {}
    store = SqliteStore(path, durability="process", create=False, clock=clock())
    with anyio.fail_after(PATIENCE):
        try:
            async with Engine(store, clock=clock()) as engine:
                for name, question in questions(engine):
                    try:
                        found[name] = await question()
                    except StoreError as error:
                        found[name] = error
        except StoreError as error:
            found["open"] = error
    return found


def questions(engine: Engine) -> Sequence[tuple[str, Callable[[], Awaitable[object]]]]:
    """Return what is asked of a store: first what only reads, then what goes on with its runs."""

    async def events(run_id: str) -> list[CommittedEvent]:
        history: list[CommittedEvent] = []
        async for event in engine.follow(run_id):
            history.append(event)
        return history

    async def result(run_id: str) -> object:
        run = await engine.start(OUTER, inputs=INPUTS[run_id], deps=Deps(), run_id=run_id)
        return await run.result()

    def of_run(run_id: str) -> list[tuple[str, Callable[[], Awaitable[object]]]]:
        return [
            (f"trace of {run_id}", lambda: engine.trace(run_id)),
            (f"children of {run_id}", lambda: engine.children(run_id)),
        ]

    return [
        ("runs", lambda: engine.runs(nested=True)),
        ("the latest two", lambda: engine.runs(limit=2)),
        ("failed ones", lambda: engine.runs(status="failed")),
        *(question for run_id in INPUTS for question in of_run(run_id)),
        ("events", lambda: events("done")),
        ("found", lambda: engine.find("don")),
        ("verified", engine.verify),
        *((f"result of {run_id}", lambda run_id=run_id: result(run_id)) for run_id in INPUTS),
    ]
