"""A trace that is put together from events is the one that is read from the store."""

from __future__ import annotations

import anyio
import pytest

from milepost.engine.current import current
from milepost.engine.definition import describe
from milepost.engine.engine import Engine
from milepost.engine.errors import NodeError
from milepost.engine.failure import Failure
from milepost.engine.policy import Retry
from milepost.engine.trace import Trace
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.visualize.live import LiveTrace
from milepost.visualize.overlay import traced
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio


def rescue(*, hopeless: bool = False) -> Workflow[None, None, int, int]:
    """Return a workflow with a map, a retry, a failure that is caught, a join and a decision."""
    wf = WorkflowBuilder(name="rescue", input_type=int, output_type=int)
    seen: list[int] = []

    @wf.function
    async def split(ctx: StepContext[None, None, int]) -> list[int]:
        return list(range(ctx.inputs))

    @wf.function(retry=Retry(attempts=2))
    async def work(ctx: StepContext[None, None, int]) -> int:
        seen.append(ctx.inputs)
        if ctx.inputs == 2 or (ctx.inputs == 1 and seen.count(1) == 1):
            raise ValueError("no")
        return ctx.inputs

    @wf.function
    async def mend(ctx: StepContext[None, None, Failure[int]]) -> int:
        return 10

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")

    @wf.function
    async def add(ctx: StepContext[None, None, list[int]]) -> int:
        if hopeless:
            raise OSError("the disk is full")
        return sum(ctx.inputs)

    wf.edge(wf.start_node, split)
    wf.edge(split, wf.each(work))
    wf.edge(work, collect)
    wf.edge(work, mend, on_error=ValueError)
    wf.edge(mend, collect)
    wf.edge(collect, add)
    wf.edge(add, wf.end_node)
    return wf.build()


async def followed(workflow: Workflow[None, None, int, int], store: str | None) -> tuple[Trace, Trace | None]:
    """Run a workflow; return what its events tell, and what its store does."""
    async with Engine(store) as engine:
        run = await engine.start(workflow, inputs=3, run_id="r")
        live = LiveTrace("r", describe(workflow))
        async for event in run.events(after=0 if store else None):
            live.take(event)
        return live.trace(), await engine.trace("r") if store else None


@pytest.mark.parametrize("hopeless", [False, True])
async def test_events_tell_the_same_as_the_store(hopeless: bool) -> None:
    live, stored = await followed(rescue(hopeless=hopeless), "memory://")
    assert stored is not None
    shown, known = traced(live), traced(stored)
    assert [(node.id, node.status, node.times, node.strip) for node in shown.nodes] == [
        (node.id, node.status, node.times, node.strip) for node in known.nodes
    ]
    assert [(edge.source, edge.target, edge.taken) for edge in shown.edges] == [
        (edge.source, edge.target, edge.taken) for edge in known.edges
    ]
    assert (live.status, live.checkpoints, live.joins) == (stored.status, stored.checkpoints, stored.joins)
    assert [(task.key, task.status, task.attempts, task.index) for task in live.tasks] == [
        (task.key, task.status, task.attempts, task.index) for task in stored.tasks
    ]


async def test_without_a_store_a_run_is_known_from_its_first_attempt() -> None:
    live, _ = await followed(rescue(), None)
    assert {node.id: str(node.status) for node in traced(live).nodes}["split"] == "done"
    assert traced(live).edges[0].taken == 1
    assert live.status == "completed"


async def test_what_runs_and_what_is_to_be_tried_again_is_told_while_it_goes_on() -> None:
    wf = WorkflowBuilder(name="gate", input_type=int, output_type=int)
    heard, gate = anyio.Event(), anyio.Event()

    @wf.function(retry=Retry(attempts=2))
    async def hold(ctx: StepContext[None, None, int]) -> int:
        await heard.wait()
        if current().attempt == 1:
            raise ValueError("once more")
        await gate.wait()
        return 1

    wf.edge(wf.start_node, hold)
    wf.edge(hold, wf.end_node)
    workflow = wf.build()
    live = LiveTrace("r", describe(workflow))
    async with Engine("memory://") as engine:
        run = await engine.start(workflow, inputs=1, run_id="r")
        async for event in run.events(after=0):
            live.take(event)
            heard.set()
            task = next(iter(live.trace().tasks), None)
            if task is not None and task.attempts == 2 and not gate.is_set():
                assert task.status == "running"
                assert task.started is not None
                gate.set()
    assert [task.status for task in live.trace().tasks] == ["completed"]


async def test_a_run_that_is_cancelled_says_so() -> None:
    wf = WorkflowBuilder(name="long", input_type=int, output_type=int)
    begun = anyio.Event()

    @wf.function
    async def hold(ctx: StepContext[None, None, int]) -> int:
        begun.set()
        await anyio.sleep_forever()
        return 1

    wf.edge(wf.start_node, hold)
    wf.edge(hold, wf.end_node)
    workflow = wf.build()
    live = LiveTrace("r", describe(workflow))
    async with Engine("memory://") as engine:
        run = await engine.start(workflow, inputs=1, run_id="r")
        await begun.wait()
        run.cancel()
        async for event in run.events(after=0):
            live.take(event)
    assert live.trace().status == "cancelled"


async def test_a_failure_is_told_with_its_error() -> None:
    workflow = rescue(hopeless=True)
    async with Engine("memory://") as engine:
        run = await engine.start(workflow, inputs=1, run_id="r")
        live = LiveTrace("r", describe(workflow))
        async for event in run.events(after=0):
            live.take(event)
        with pytest.raises(NodeError):
            await run.result()
    assert "the disk is full" in (live.trace().error or "")
    assert "add" in traced(live.trace()).notice
