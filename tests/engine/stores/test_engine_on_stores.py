"""What an engine does with runs is the same on every store: failing, resuming, cancelling, following, runs inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import anyio
import pytest
from pydantic import BaseModel

from milepost.engine.engine import Engine
from milepost.engine.errors import InputError, NodeError, RunBusy, RunCancelled
from milepost.engine.events import RunEnded
from milepost.engine.mergers import append
from milepost.engine.typed import StepContext, reduce_sum
from milepost.engine.workflow import Workflow
from milepost.testing.contract.place import Place
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.stores.places import in_file, in_memory, in_schema
from tests.loops import asyncio_only
from tests.postgres import Schema

pytestmark = [pytest.mark.anyio, asyncio_only]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "memory":
        return in_memory()
    if request.param == "sqlite":
        return in_file(tmp_path / "runs.db", "power")
    schema: Schema = request.getfixturevalue("schema")
    return in_schema(schema, "power")


class Seen(BaseModel):
    seen: Annotated[list[str], append] = []


class Deps:
    """What bodies need, and what they have done."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.ran: list[int] = []
        self.held = anyio.Event()
        self.go = anyio.Event()


def inner() -> Workflow[None, Deps, int, int]:
    wf = WorkflowBuilder(name="inner", deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def square(ctx: StepContext[None, Deps, int]) -> int:
        ctx.deps.ran.append(ctx.inputs)
        if ctx.deps.fails and ctx.inputs == 3:
            raise ValueError("not yet")
        return ctx.inputs**2

    wf.edge(wf.start_node, square)
    wf.edge(square, wf.end_node)
    return wf.build()


def outer() -> Workflow[Seen, Deps, list[int], int]:
    wf = WorkflowBuilder(
        name="outer", state_type=Seen, deps_type=Deps, input_type=list[int], output_type=int, on_failure="finish"
    )
    child = wf.subworkflow(inner(), deps=lambda ctx: ctx.deps, node_id="child")
    total = wf.join(reduce_sum, initial=0, node_id="total")

    @wf.function
    async def note(ctx: StepContext[Seen, Deps, int]) -> int:
        ctx.state.seen.append("漢字 \x00 'é'")
        return ctx.inputs

    wf.edge(wf.start_node, wf.each(child, join=total))
    wf.edge(child, total)
    wf.edge(total, note)
    wf.edge(note, wf.end_node)
    return wf.build()


def waiting() -> Workflow[None, Deps, int, int]:
    wf = WorkflowBuilder(name="waiting", deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def hold(ctx: StepContext[None, Deps, int]) -> int:
        ctx.deps.held.set()
        await ctx.deps.go.wait()
        return ctx.inputs

    wf.edge(wf.start_node, hold)
    wf.edge(hold, wf.end_node)
    return wf.build()


async def test_a_run_with_runs_inside_it_fails_and_goes_on_in_another_engine(place: Place) -> None:
    deps, state = Deps(fails=True), Seen()
    async with Engine(place.make()) as engine:
        run = await engine.start(outer(), inputs=[1, 2, 3, 4], deps=deps, run_id="r-1")
        with pytest.raises(NodeError, match="not yet"):
            await run.result()
    assert sorted(deps.ran) == [1, 2, 3, 4]
    async with Engine(place.make()) as engine:
        deps = Deps()
        run = await engine.resume("r-1", outer(), deps=deps, state=state)
        assert await run.result() == 30
        assert deps.ran == [3], "what was committed did not run again"
        assert state.seen == ["漢字 \x00 'é'"]
        assert [child.status for child in await engine.children("r-1")] == ["completed"] * 4
        trace = await engine.trace("r-1")
        assert (trace.status, trace.output) == ("completed", "30")
        again = await engine.start(outer(), inputs=[1, 2, 3, 4], deps=deps, run_id="r-1")
        assert await again.result() == 30


async def test_a_run_of_another_engine_is_busy_can_be_followed_and_can_be_cancelled(place: Place) -> None:
    deps = Deps()
    async with Engine(place.make()) as owner, Engine(place.make()) as other:
        run = await owner.start(waiting(), inputs=1, deps=deps, run_id="r-1")
        await deps.held.wait()
        with pytest.raises(RunBusy, match="Run 'r-1' is being driven by") as caught:
            await other.resume("r-1", waiting(), deps=deps)
        assert caught.value.since is not None
        assert await other.cancel("r-1") == "cancelled"
        with pytest.raises(RunCancelled):
            await run.result()
        *_, last = [event async for event in other.follow("r-1")]
        assert isinstance(last, RunEnded)
        assert last.status == "cancelled"


async def test_a_run_id_is_a_promise_about_its_inputs(place: Place) -> None:
    deps = Deps()
    deps.go.set()
    async with Engine(place.make()) as engine:
        run = await engine.start(waiting(), inputs=7, deps=deps, run_id="r-1")
        assert await run.result() == 7
        assert await (await engine.start(waiting(), inputs=7, deps=deps, run_id="r-1")).result() == 7
        with pytest.raises(Exception, match="Run 'r-1' exists with another input"):
            await engine.start(waiting(), inputs=8, deps=deps, run_id="r-1")
        with pytest.raises(InputError):
            engine.follow("r-1", poll=0)
