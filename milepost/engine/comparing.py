"""Comparing two runs, or two checkpoints of one, by what their store holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from milepost.engine.current import total_usage
from milepost.engine.difference import Cost, Difference, OtherChoice, OtherOutcome, Side, Visit
from milepost.engine.fields import whole_of
from milepost.engine.forking import line_of
from milepost.engine.journal import Kind, Record
from milepost.engine.json_changes import json_changes
from milepost.engine.lineage import trace_of
from milepost.engine.opening import read_position
from milepost.engine.spec import NodeKind
from milepost.engine.stores.store import RunRow, Store
from milepost.engine.trace import TaskTrace, Trace, Usage
from milepost.engine.tracing import Added, task_of

RAN = ("completed", "failed", "caught")


@dataclass(frozen=True, slots=True)
class Point:
    """A checkpoint of a run."""

    row: RunRow
    seq: int


@dataclass(slots=True)
class Outcome:
    """What a task came to. text: its output, JSON. items: what it has given as a stream."""

    text: str | None = None
    error: str | None = None
    items: list[str] = field(default_factory=list[str])

    @property
    def told(self) -> str | None:
        """The output as JSON text, or the error."""
        if self.error is not None:
            return self.error
        return f"[{','.join(self.items)}]" if self.items else self.text


class Outcomes:
    """What the tasks of runs came to: by run and by key, in the order in which they finished."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Outcome]] = {}

    def note(self, run_id: str, record: Record, _: Added) -> None:
        """Take in a record that has been applied."""
        if record.kind not in (Kind.COMPLETED, Kind.EMITTED, Kind.CAUGHT, Kind.FAILED):
            return
        outcome = self.runs.setdefault(run_id, {}).setdefault(task_of(record), Outcome())
        outcome.error = record.error
        if record.kind is Kind.COMPLETED:
            outcome.text = record.values[0].text if record.values else None
        elif record.kind is Kind.EMITTED:
            outcome.items.append(record.values[0].text or "null")


@dataclass(frozen=True, slots=True)
class Told:
    """One side of a comparison. trace: up to the checkpoint. outcomes: of its tasks. state: JSON text."""

    point: Point
    trace: Trace
    outcomes: Mapping[str, Outcome]
    state: str | None

    def ran(self) -> dict[str, TaskTrace]:
        """Return the tasks that have run, by key, in the order in which they finished."""
        tasks = {task.key: task for task in self.trace.tasks if task.status in RAN}
        return {key: tasks[key] for key in (*self.outcomes, *tasks) if key in tasks}

    def outcome(self, key: str) -> str | None:
        """Return what a task came to."""
        return self.outcomes.get(key, Outcome()).told


async def difference_of(store: Store, one: Point, other: Point, depth: int | None = None) -> Difference:
    """Return what differs between two checkpoints.

    depth: how many levels of the runs inside them are compared, None for all. Cost: one pass over the records of all
    these runs. Raises InputError, UnknownCheckpoint, BrokenJournal, StoreError.
    """
    traces: list[Trace] = []
    outcomes = [Outcomes(), Outcomes()]
    for point, noted in zip((one, other), outcomes, strict=True):
        until = None if point.seq == point.row.seq else point.seq
        traces.append(await trace_of(store, point.row, depth, until=until, seen=noted.note))
    found: list[Difference] = []
    above: list[tuple[int, str]] = []
    pending = deque([(one, other, traces[0], traces[1], (-1, ""))])
    while pending:
        left, right, before, after, place = pending.popleft()
        sides = [
            Told(point, trace, noted.runs.get(trace.run_id, {}), await _state(store, point))
            for point, trace, noted in zip((left, right), (before, after), outcomes, strict=True)
        ]
        twins = {task.key: task for task in after.tasks if task.child in after.children}
        for task in before.tasks:
            if task.child in before.children and task.key in twins and task.child != twins[task.key].child:
                inner = (before.children[task.child or ""], after.children[twins[task.key].child or ""])
                points = [await _newest(store, trace.run_id) for trace in inner]
                pending.append((points[0], points[1], *inner, (len(found), task.key)))
        above.append(place)
        found.append(compared(sides[0], sides[1], await shared_by(store, left, right)))
    for index in range(len(found) - 1, 0, -1):
        outer, key = above[index]
        found[outer] = replace(found[outer], children={key: found[index], **found[outer].children})
    return found[0]


async def _newest(store: Store, run_id: str) -> Point:
    row = await store.row(run_id)
    assert row is not None
    return Point(row, row.seq)


async def _state(store: Store, point: Point) -> str | None:
    fields = (await read_position(store, point.row, point.seq)).position.fields
    return whole_of(fields) if fields else None


async def shared_by(store: Store, one: Point, other: Point) -> int:
    """Return how many records, from the first on, two checkpoints stand on both."""
    known = dict(await line_of(store, one.row, one.seq))
    line = await line_of(store, other.row, other.seq)
    return max((min(last, known[run_id]) for run_id, last in line if run_id in known), default=0)


def compared(one: Told, other: Told, shared: int) -> Difference:
    """Return what differs, without the runs inside."""
    left, right = one.ran(), other.ran()
    outcomes = tuple(
        OtherOutcome(
            visit=visit_of(task),
            statuses=(task.status, right[key].status),
            one=one.outcome(key),
            other=other.outcome(key),
        )
        for key, task in left.items()
        if key in right and (task.status, one.outcome(key)) != (right[key].status, other.outcome(key))
    )
    apart = {key: visit_of(task) for key, task in left.items() if key not in right}
    apart |= {each.visit.task: each.visit for each in outcomes}
    added = [visit_of(task) for key, task in right.items() if key not in left]
    return Difference(
        one=side_of(one),
        other=side_of(other),
        shared=shared,
        parted=next((apart[key] for key in left if key in apart), next(iter(added), None)),
        only_one=tuple(visit_of(task) for key, task in left.items() if key not in right),
        only_other=tuple(added),
        outcomes=outcomes,
        choices=tuple(choices(one.trace, other.trace)),
        state=json_changes(one.state, other.state),
        output=json_changes(one.trace.output, other.trace.output),
    )


def visit_of(task: TaskTrace) -> Visit:
    """Return a task as people call it."""
    return Visit(node=task.node, visit=task.visit, task=task.key)


def side_of(told: Told) -> Side:
    """Return one of the two that are compared."""
    return Side(
        run_id=told.trace.run_id,
        seq=told.point.seq,
        status=told.trace.status,
        error=told.trace.error,
        edits=told.trace.edits,
        cost=cost_of(told.trace),
    )


def cost_of(trace: Trace) -> Cost:
    """Return what a run has cost, with those inside it that were read."""
    usage: Usage | None = None
    attempts, seconds = 0, 0.0
    traces = [trace]
    for each in traces:  # it grows meanwhile
        traces.extend(each.children.values())
        for task in each.tasks:
            usage = total_usage(usage, task.usage)
            attempts += task.attempts
            if task.started is not None and task.finished is not None and not task.child:
                seconds += (task.finished - task.started).total_seconds()
    usage = usage or Usage()
    return Cost(
        requests=usage.requests,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        money=usage.cost,
        attempts=attempts,
        seconds=seconds,
    )


def choices(one: Trace, other: Trace) -> Iterator[OtherChoice]:
    """Yield the decisions that did not lead the same ways."""
    ways = [_ways(trace) for trace in (one, other)]
    for node in dict.fromkeys((*ways[0], *ways[1])):
        before, after = ways[0].get(node, {}), ways[1].get(node, {})
        if before != after:
            yield OtherChoice(node=node, one=before, other=after)


def _ways(trace: Trace) -> dict[str, dict[str, int]]:
    """Return how often each decision led to which node."""
    decisions = {node.id: node for node in trace.definition.nodes if node.kind == NodeKind.DECISION}
    before: dict[str, list[str]] = {}
    for edge in trace.definition.edges:
        before.setdefault(edge.target, []).append(edge.source)
    found: dict[str, dict[str, int]] = {}
    for (source, target, _), times in trace.taken.items():
        if source in decisions and target not in decisions:
            name = source
            while name in decisions and decisions[name].generated and len(before.get(name, ())) == 1:
                (name,) = before[name]  # people know it by the node that it stands behind
            ways = found.setdefault(name, {})
            ways[target] = ways.get(target, 0) + times
    return found
