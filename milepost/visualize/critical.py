"""The critical path of a run: the chain of tasks, each spawned by the one before, that took as long as the run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from milepost.engine.trace import TaskTrace, Trace

_START, _END = 0, 1
"""What stands for the beginning and the end of the run; the tasks follow, by their place in the trace."""

_LEAST = 1e-6
"""What every step weighs at least, so that one that took no time is a step, too."""


def critical_path(trace: Trace) -> tuple[TaskTrace, ...]:
    """Return the tasks on the longest chain by time from the start of a run to its end, in order.

    A task waits for the one that spawned it; what a join let go waits for the task that completed the join, which is
    the last one that it needed. The end of a completed run is the task whose record ended it, of a failed run the task
    that failed; as long as a run goes on, it is whatever is not over.
    Cost: one look at each task, and one visit per task that led to the end.
    """
    import networkx as nx

    known = _known(trace)
    if not known:
        return ()
    places = {task.key: number for number, task in enumerate(known)}
    graph: nx.DiGraph[int] = nx.DiGraph()
    for number in _last(known, trace):
        graph.add_edge(number + 2, _END, weight=0.0)
        while number >= 0 and not graph.in_degree(number + 2):
            cause = places.get(known[number].cause or "", -1)
            cause = cause if cause < number else -1  # what a damaged trace says otherwise would be a circle
            before = trace.created if cause < 0 else _end(known[cause], trace)
            seconds = (_end(known[number], trace) - before).total_seconds()
            graph.add_edge(_START if cause < 0 else cause + 2, number + 2, weight=max(0.0, seconds) + _LEAST)
            number = cause
    path: Sequence[int] = nx.dag_longest_path(graph, weight="weight")
    return tuple(known[number - 2] for number in path if number not in (_START, _END))


def _known(trace: Trace) -> list[TaskTrace]:
    """Return the tasks in the order they were spawned, each key once."""
    return list({task.key: task for task in trace.tasks}.values())


def _end(task: TaskTrace, trace: Trace) -> datetime:
    return task.finished or max(trace.updated, task.spawned or trace.updated)


def _last(tasks: Sequence[TaskTrace], trace: Trace) -> list[int]:
    """Return the tasks with which the run ends, by their places; never empty."""
    order = range(len(tasks))
    if trace.status == "completed":
        ending = [number for number in order if tasks[number].seq == trace.checkpoints and _is_over(tasks[number])]
    elif trace.status == "failed":
        ending = [number for number in order if tasks[number].status == "failed"]
    else:
        ending = [number for number in order if tasks[number].status in ("waiting", "running", "pending")]
    return ending or [max(order, key=lambda number: _end(tasks[number], trace))]


def _is_over(task: TaskTrace) -> bool:
    return task.status in ("completed", "caught")
