"""Running a workflow half way, and going on with another one, for the tests of versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from milepost import (
    Engine,
    IncompatibleWorkflow,
    MemoryStore,
    MilepostError,
    SqliteStore,
    StepContext,
    Store,
    Workflow,
    WorkflowBuilder,
)
from milepost.engine.journal import Kind
from milepost.engine.journal_text import from_text
from milepost.engine.stores.memory import Journals
from tests.engine.subjects import RUN, Deps

World = Callable[[], Store]
AnyWorkflow = Workflow[Any, Any, Any, Any]
Ctx = StepContext[Any, Deps, Any]


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Return what opens one store again and again."""
    journals = Journals()
    if request.param == "memory":
        return lambda: MemoryStore(journals)
    return lambda: SqliteStore(tmp_path / "runs.db", durability="process")


async def stopped(world: World, workflow: AnyWorkflow, deps: Deps | None = None, *, at: str, inputs: Any = 1) -> Deps:
    """Leave a run that has failed at a node."""
    deps = deps or Deps()
    deps.faulty = {at}
    async with Engine(world()) as engine:
        with pytest.raises(MilepostError):
            await (await engine.start(workflow, inputs=inputs, deps=deps, run_id=RUN)).result()
    deps.faulty = set()
    return deps


async def resumed(world: World, workflow: AnyWorkflow, deps: Deps) -> Any:
    async with Engine(world()) as engine:
        return await (await engine.resume(RUN, workflow, deps=deps)).result()


async def refused(world: World, workflow: AnyWorkflow, deps: Deps) -> Sequence[str]:
    """Return why a run does not go on; nothing was changed by asking."""
    calls, store = deps.calls.copy(), world()
    async with Engine(store) as engine:
        before = await store.row(RUN), await store.records(RUN)
        assert [one.verdict for one in await engine.check(workflow)] == ["refused"]
        with pytest.raises(IncompatibleWorkflow) as raised:
            await engine.resume(RUN, workflow, deps=deps)
        row = await store.row(RUN)
        assert row is not None
        assert row.owner is None
        assert before[0] is not None
        assert (row.seq, row.hash, row.fingerprint, row.status) == (
            *(before[0].seq, before[0].hash, before[0].fingerprint, before[0].status),
        )
        assert await store.records(RUN) == before[1]
    assert deps.calls == calls
    return raised.value.changes


async def kinds(world: World) -> list[Kind]:
    store = world()
    await store.open()
    try:
        return [from_text(one.seq, one.body, one.content).kind for one in await store.records(RUN)]
    finally:
        await store.close()


def step(
    wf: WorkflowBuilder[Any, Any, Any, Any],
    name: str,
    taken: Any = int,
    given: Any = int,
    made: Callable[[Any], Any] | None = None,
) -> Any:
    """Add a node that counts its call, and returns what `made` makes of its input, else that."""

    async def body(ctx: Ctx) -> Any:
        await ctx.deps.enter(name)
        return ctx.inputs if made is None else made(ctx.inputs)

    body.__annotations__.update({"ctx": StepContext[Any, Deps, taken], "return": given})
    return wf.function(node_id=name)(body)


def row(*nodes: Any, name: str = "row", taken: Any = int, given: Any = int, version: int = 1) -> AnyWorkflow:
    """Build nodes in a row. nodes: makes each of a builder."""
    wf: Any = WorkflowBuilder(name=name, deps_type=Deps, input_type=taken, output_type=given, version=version)
    steps = [make(wf) for make in nodes]
    for before, after in zip([wf.start_node, *steps], [*steps, wf.end_node], strict=True):
        wf.edge(before, after)
    built: AnyWorkflow = wf.build()
    return built


def node(
    name: str, taken: Any = int, given: Any = int, made: Callable[[Any], Any] | None = None
) -> Callable[[Any], Any]:
    return lambda wf: step(wf, name, taken, given, made)
