"""A store with runs of every kind in it, what it answers, and what it answers when its file is damaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from milepost.engine.engine import Engine
from milepost.engine.errors import ResumeError, StoreError
from milepost.engine.events import CommittedEvent
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import Message
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

RUNS = ("done", "failed", "stopped", "tiny")
DAY = 86_400.0


class Broken(Exception):
    """What a node fails with while it is told to."""


@dataclass
class Deps:
    """failing: the nodes that fail."""

    failing: frozenset[str] = frozenset()

    def enter(self, node: str) -> None:
        if node in self.failing:
            raise Broken(node)


def child() -> Workflow[None, Deps, int, int]:
    wf = WorkflowBuilder(name="inner", deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def square(ctx: StepContext[None, Deps, int]) -> int:
        ctx.deps.enter("square")
        return ctx.inputs**2

    wf.edge(wf.start_node, square)
    wf.edge(square, wf.end_node)
    return wf.build()


def outer() -> Workflow[None, Deps, list[int], str]:
    """A map over a workflow inside it, a join, and two nodes after that."""
    wf = WorkflowBuilder(name="outer", deps_type=Deps, input_type=list[int], output_type=str)
    squared = wf.subworkflow(child(), deps=lambda ctx: ctx.deps, node_id="squared")
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")

    @wf.function
    async def total(ctx: StepContext[None, Deps, list[int]]) -> int:
        ctx.deps.enter("total")
        return sum(ctx.inputs)

    @wf.function
    async def say(ctx: StepContext[None, Deps, int]) -> str:
        ctx.deps.enter("say")
        return f"the sum is {ctx.inputs}"

    wf.edge(wf.start_node, wf.each(squared, join=collect))
    wf.edge(collect, total)
    wf.edge(total, say)
    wf.edge(say, wf.end_node)
    return wf.build()


OUTER = outer()
INPUTS = {"done": [1, 2, 3], "failed": [4, 5], "stopped": [6, 7, 8], "tiny": []}
FAILING = {"failed": "say", "stopped": "total", "tiny": "total"}


def clock() -> Callable[[], float]:
    """Return a clock that goes on by a second whenever it is read."""
    seconds = iter(range(1_700_000_000, 1_800_000_000))
    return lambda: float(next(seconds))


async def fill(path: Path) -> None:
    """Make a store with a run that is done, one that failed, and two that are left in the middle."""
    tick = clock()
    async with Engine(SqliteStore(path, durability="process", clock=tick), clock=tick) as engine:
        for run_id in RUNS:
            deps = Deps(frozenset({FAILING.get(run_id, "")}))
            run = await engine.start(OUTER, inputs=INPUTS[run_id], deps=deps, run_id=run_id)
            await run.wait()
    async with SqliteWriter(path) as store:
        await store.post(Message("stopped", "later", "note", '"x"', "Ann", 1_700_000_000.0))


class SqliteWriter:
    """A store, open for one thing."""

    def __init__(self, path: Path) -> None:
        self._store = SqliteStore(path, durability="process")

    async def __aenter__(self) -> SqliteStore:
        await self._store.open()
        return self._store

    async def __aexit__(self, *_: object) -> None:
        await self._store.close()


Answers = dict[str, object]


async def ask(path: Path, what: Callable[[Engine], object]) -> None:
    del path, what


async def answers(path: Path) -> Answers:
    """Return all that a store says, and what its runs come to. An error is told by its class and its text."""
    found: Answers = {}
    try:
        async with Engine(
            SqliteStore(path, durability="process", create=False, clock=clock()), clock=clock()
        ) as engine:
            await _ask(engine, found)
    except (StoreError, ResumeError) as error:
        found["open"] = error
    return found


async def _ask(engine: Engine, found: Answers) -> None:
    async def note(name: str, get: Callable[[], object]) -> None:
        try:
            value = get()
            found[name] = await value if hasattr(value, "__await__") else value
        except (StoreError, ResumeError) as error:
            found[name] = error

    store = engine._store
    del store
    await note("runs", lambda: engine.runs(nested=True))
    await note("latest", lambda: engine.runs(limit=2))
    await note("of a status", lambda: engine.runs(status="failed"))
    for run_id in RUNS:
        await note(f"trace {run_id}", lambda run_id=run_id: engine.trace(run_id))  # type: ignore[misc]
        await note(f"events {run_id}", lambda run_id=run_id: _followed(engine, run_id))  # type: ignore[misc]
    await note("found", lambda: engine.find("don"))
    await note("verified", lambda: engine.verify())
    for run_id in RUNS:
        await note(f"result {run_id}", lambda run_id=run_id: _result(engine, run_id))  # type: ignore[misc]


async def _followed(engine: Engine, run_id: str) -> list[CommittedEvent]:
    return [event async for event in engine.follow(run_id)]


async def _result(engine: Engine, run_id: str) -> object:
    run = await engine.start(OUTER, inputs=INPUTS[run_id], deps=Deps(), run_id=run_id)
    return await run.result()
