"""What random graphs tell: the same live, from the store, and as their trace says."""

from __future__ import annotations

from collections import Counter

import anyio
from hypothesis import given
from hypothesis import strategies as st

from milepost.engine.engine import Engine
from milepost.engine.events import (
    Checkpoint,
    Committed,
    EdgeTaken,
    Event,
    JoinFired,
    RunEnded,
    TaskCancelled,
    TaskFailed,
    TaskFinished,
    TaskStarted,
)
from milepost.engine.trace import Trace
from milepost.engine.workflow import Workflow
from tests.properties import graphs
from tests.properties.graphs import Sample

ANY = st.one_of(graphs.graphs(), graphs.tangled_graphs())


async def ran(sample: Sample, slow: bool) -> tuple[list[Event], list[Event], Trace]:
    """Run a graph; return what is told live from its start on, what the store tells, and the trace."""
    async with Engine("memory://") as engine:
        run = await engine.start(Workflow.from_graph(sample.graph), inputs=sample.token, run_id="r-1")
        reader = run.events(slow="wait", most=3) if slow else run.events()
        live: list[Event] = [event async for event in reader if isinstance(event, Committed)]
        told: list[Event] = [event async for event in engine.follow("r-1")]
        return live, told, await engine.trace("r-1")


@given(ANY, st.booleans())
def test_what_is_told_live_is_what_the_store_tells(sample: Sample, slow: bool) -> None:
    live, told, _ = anyio.run(ran, sample, slow)
    first = next(place for place, event in enumerate(told) if isinstance(event, Checkpoint)) + 1
    assert live == told[first:], "a run is started with its first checkpoint"


@given(ANY)
def test_events_and_trace_agree(sample: Sample) -> None:
    _, told, trace = anyio.run(ran, sample, False)
    edges = Counter[tuple[str, str, int]]()
    for event in told:
        if isinstance(event, EdgeTaken):
            edges[event.source, event.target, event.branch] += event.times
    assert edges == trace.taken
    assert Counter(event.node for event in told if isinstance(event, JoinFired)) == {
        join.node: join.fired for join in trace.joins if join.fired
    }
    started = [event.task for event in told if isinstance(event, TaskStarted)]
    assert started == [task.key for task in trace.tasks]
    assert [event.seq for event in told if isinstance(event, Checkpoint)] == list(range(1, trace.checkpoints + 1))
    assert [event.status for event in told if isinstance(event, RunEnded)] == [trace.status]


@given(ANY)
def test_a_task_that_is_told_to_end_had_begun_and_ends_once(sample: Sample) -> None:
    _, told, trace = anyio.run(ran, sample, False)
    open_tasks: set[str] = set()
    for event in told:
        match event:
            case TaskStarted(task=task):
                assert task not in open_tasks
                open_tasks.add(task)
            case TaskFinished(task=task) | TaskFailed(task=task) | TaskCancelled(task=task):
                assert task in open_tasks
                open_tasks.discard(task)
            case _:
                pass
    statuses = {task.key: task.status for task in trace.tasks}
    assert trace.status == "failed" or not open_tasks
    assert all(statuses[task] == "pending" for task in open_tasks)
