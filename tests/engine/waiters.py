"""Workflows that wait, the places where they are kept, and what a test says to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from milepost import Engine, OpenWait, Question, Run, StepContext, Store, Workflow, WorkflowBuilder
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.typed import reduce_list_append
from milepost.engine.waits import WaitKind
from milepost.testing.clock import FakeClock

RUN = "claim-17"
AnyWorkflow = Workflow[Any, Any, Any, Any]


@dataclass
class World:
    """Where runs are kept, if anywhere: engines of it share that, the clock, and the names of the bodies that ran."""

    kind: str
    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    journals: Journals = field(default_factory=Journals)
    ran: list[str] = field(default_factory=list[str])

    @property
    def is_stored(self) -> bool:
        return self.kind != "nowhere"

    def store(self) -> Store | None:
        if self.kind == "memory":
            return MemoryStore(self.journals, clock=self.clock)
        if self.kind == "sqlite":
            return SqliteStore(self.folder / "runs.db", durability="process", clock=self.clock)
        return None

    def engine(self, **options: Any) -> Engine:
        return Engine(self.store(), clock=self.clock, **options)


@pytest.fixture(params=["nowhere", "memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(request.param, tmp_path)


@pytest.fixture(params=["memory", "sqlite"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(request.param, tmp_path)


async def begun(
    engine: Engine, workflow: AnyWorkflow, inputs: Any = None, *, run_id: str = RUN, state: Any = None
) -> Run[Any]:
    """Start a run and return it when it waits."""
    run = await engine.start(workflow, inputs=inputs, run_id=run_id, state=state)
    assert await run.settle() == "waiting"
    return run


async def only(engine: Engine, run: str = RUN, kind: WaitKind = "ask") -> OpenWait:
    """Return what a run waits for, which is one thing."""
    (found,) = await engine.waits(run, kind=kind)
    return found


async def texts(engine: Engine, run: str = RUN) -> dict[str, OpenWait]:
    """Return the open questions by their texts."""
    return {one.text: one for one in await engine.questions(run)}


def asking(ran: list[str], **options: Any) -> AnyWorkflow:
    """Build a node, a question about what it gives, and a node after it. ran: the bodies that ran."""
    wf = WorkflowBuilder(name="asking", input_type=int, output_type=str)

    @wf.function
    async def before(ctx: StepContext[None, None, int]) -> int:
        ran.append("before")
        return ctx.inputs + 1

    @wf.ask(answer=int, **options)
    async def approve(ctx: StepContext[None, None, int]) -> str:
        ran.append("approve")
        return f"Is it {ctx.inputs}?"

    @wf.function
    async def after(ctx: StepContext[None, None, int]) -> str:
        ran.append("after")
        return f"answered {ctx.inputs!r}"

    wf.edge(wf.start_node, before)
    wf.edge(before, approve)
    wf.edge(approve, after)
    wf.edge(after, wf.end_node)
    return wf.build()


def mapped(ran: list[str], **limits: Any) -> AnyWorkflow:
    """Build a map over a question, and a node for each answer."""
    wf = WorkflowBuilder(name="mapped", input_type=list[int], output_type=list[int])

    @wf.ask(answer=int)
    async def rate(ctx: StepContext[None, None, int]) -> Question:
        ran.append(f"rate {ctx.inputs}")
        return Question(text=f"Rate {ctx.inputs}.", details={"number": ctx.inputs})

    @wf.function
    async def note(ctx: StepContext[None, None, int]) -> int:
        ran.append(f"note {ctx.inputs}")
        return ctx.inputs

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, wf.each(rate, fork_id="each", **limits))
    wf.edge(rate, note)
    wf.edge(note, collect)
    wf.edge(collect, wf.end_node)
    return wf.build()


def nested(child: AnyWorkflow, levels: int, input_type: Any = int, output_type: Any = str) -> AnyWorkflow:
    """Build workflows inside one another around one, so many levels."""
    for level in range(levels):
        wf = WorkflowBuilder(name=f"level-{level}", input_type=input_type, output_type=output_type)
        inner: Any = wf.subworkflow(child, node_id="inner")
        wf.edge(wf.start_node, inner)
        wf.edge(inner, wf.end_node)
        child = wf.build()
    return child


def ids(waits: Sequence[OpenWait]) -> list[str]:
    return [one.id for one in waits]
