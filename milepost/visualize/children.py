"""The runs inside a run, for pictures: which belong to a node, what they cost, and several of them as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from milepost.engine.current import total_usage
from milepost.engine.trace import Edge, JoinTrace, RunStatus, TaskTrace, Trace, Usage

_BY_WEIGHT: tuple[RunStatus, ...] = ("failed", "waiting", "running", "cancelled", "completed")


def child_of(task: TaskTrace, trace: Trace) -> Trace | None:
    """Return the run that a task of a run drives, None if there is none or it was not read."""
    return None if task.child is None else trace.children.get(task.child)


def children_of(tasks: Iterable[TaskTrace], trace: Trace) -> tuple[Trace, ...]:
    """Return the runs that some tasks of a run drive."""
    found = (child_of(task, trace) for task in tasks)
    return tuple(child for child in found if child is not None)


def usage_of(tasks: Iterable[TaskTrace], trace: Trace) -> Usage | None:
    """Return what some tasks of a run cost, with all runs inside them; None if nothing is known of any."""
    total: Usage | None = None
    pending = [(tasks, trace)]
    while pending:
        some, around = pending.pop()
        for task in some:
            total = total_usage(total, task.usage)
            child = child_of(task, around)
            if child is not None:
                pending.append((child.tasks, child))
    return total


def failures(trace: Trace) -> tuple[TaskTrace, ...]:
    """Return the task that failed a run, then the one inside it that did, and so on; empty if no task did."""
    path: list[TaskTrace] = []
    inner: Trace | None = trace
    while inner is not None:
        failed = next((task for task in inner.tasks if task.status == "failed"), None)
        if failed is None:
            break
        path.append(failed)
        inner = child_of(failed, inner)
    return tuple(path)


def cause_of(task: TaskTrace, trace: Trace) -> str | None:
    """Return the error of a task, or that of the run inside it which made it fail."""
    child = child_of(task, trace) if task.error else None
    path = failures(child) if child is not None and child.status == "failed" else ()
    return path[-1].error if path else task.error


def merged(traces: Sequence[Trace]) -> Trace:
    """Make several runs of one workflow one, as a map does with its items: counts are added up, the worst status wins.

    traces: not empty. What only one run can have, such as an output, is left out. Where they followed different
    versions of the workflow it is shown as the last of them had it.
    """
    if len(traces) == 1:
        return traces[0]
    last = traces[-1]
    present = {trace.status for trace in traces}
    status: RunStatus = next(status for status in _BY_WEIGHT if status in present)
    return Trace(
        run_id=last.run_id,
        status=status,
        definition=last.definition,
        created=min(trace.created for trace in traces),
        updated=max(trace.updated for trace in traces),
        tasks=tuple(task for trace in traces for task in trace.tasks),
        taken=_added(trace.taken for trace in traces),
        chosen={edge: value for trace in traces for edge, value in trace.chosen.items()},
        joins=_joined(join for trace in traces for join in trace.joins),
        checkpoints=sum(trace.checkpoints for trace in traces),
        children={run_id: child for trace in traces for run_id, child in trace.children.items()},
        interrupted=status == "running" and all(trace.interrupted for trace in traces if trace.status == "running"),
    )


def as_of(trace: Trace, now: datetime) -> Trace:
    """Return a run as it stands at a moment: what runs or waits in it, and in the runs inside it, does so until then.

    A trace from a store ends with the newest record, and while a run waits there is none. A run that is over, or that
    nobody drives, stays as it was. Without recursion, so that no number of levels is a problem.
    """
    order, pending = list[Trace](), [trace]
    while pending:
        one = pending.pop()
        order.append(one)
        pending.extend(one.children.values())
    told: dict[int, Trace] = {}
    for one in reversed(order):
        children = {run_id: told[id(child)] for run_id, child in one.children.items()}
        is_on = one.status in ("running", "waiting") and not one.interrupted and one.updated < now
        told[id(one)] = replace(one, children=children, updated=now if is_on else one.updated)
    return told[id(trace)]


def _added(counts: Iterable[Mapping[Edge, int]]) -> Mapping[Edge, int]:
    total: dict[Edge, int] = {}
    for taken in counts:
        for edge, times in taken.items():
            total[edge] = total.get(edge, 0) + times
    return total


def _joined(joins: Iterable[JoinTrace]) -> tuple[JoinTrace, ...]:
    total: dict[str, JoinTrace] = {}
    for join in joins:
        before = total.get(join.node, JoinTrace(node=join.node, items=0, fired=0))
        total[join.node] = replace(before, items=before.items + join.items, fired=before.fired + join.fired)
    return tuple(total.values())
