"""Reading what a run did from its records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from milepost.engine.definition import Definition
from milepost.engine.journal import Kind, Record, apply
from milepost.engine.keys import unescape
from milepost.engine.position import (
    START,
    Cancel,
    Finish,
    Fire,
    Item,
    Op,
    OpenJoin,
    Position,
    Spawn,
    SpawnEach,
    Stream,
    newest_tasks,
)
from milepost.engine.trace import Edge, JoinTrace, RunStatus, TaskStatus, TaskTrace, Trace


def moment(seconds: float) -> datetime:
    """Return an aware UTC time of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


class Tracer:
    """Builds a trace record by record, with a position of its own."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._decisions = {node.id for node in definition.nodes if node.kind == "decision"}
        self._maps = {node.id for node in definition.nodes if node.kind == "map"}
        self._position = Position()
        self._tasks: dict[str, TaskTrace] = {}
        self._visits: dict[str, int] = {}
        self._taken: dict[Edge, int] = {}
        self._chosen: dict[Edge, str] = {}
        self._items: dict[str, int] = {}
        self._fired: dict[str, int] = {}

    def add(self, record: Record) -> None:
        """Take one more record in."""
        stream = self._position.streams.get(record.task)
        source = START if record.kind is Kind.STARTED else (record.node or START)
        before = set(self._position.tasks) if any(isinstance(op, (Cancel, Finish)) for op in record.ops) else None
        if not record.unrouted or record.kind is not Kind.STARTED:
            self._edges(record, stream.fork if stream is not None else source, stream is not None)
        apply(self._position, record)
        for task in newest_tasks(self._position):
            self._visits[task.node] = visit = self._visits.get(task.node, 0) + 1
            index = task.ref.index if task.ref.index >= 0 else None
            self._tasks[task.key] = TaskTrace(key=task.key, node=task.node, visit=visit, status="pending", index=index)
        self._result(record)
        for key in before or ():
            if key not in self._position.tasks and key in self._tasks and self._tasks[key].status == "pending":
                self._tasks[key] = replace(self._tasks[key], status="cancelled")

    def _result(self, record: Record) -> None:
        """Note how the task that the record is about ended."""
        traced = self._tasks.get(record.task)
        if traced is None or record.kind not in (Kind.COMPLETED, Kind.FAILED):
            return
        status: TaskStatus = "completed" if record.kind is Kind.COMPLETED else "failed"
        timing = record.timing
        self._tasks[record.task] = replace(
            traced,
            status=status,
            attempts=traced.attempts + (timing.attempts if timing is not None else 0),
            started=moment(timing.started) if timing is not None and timing.started else traced.started,
            finished=moment(timing.finished) if timing is not None and timing.finished else traced.finished,
            error=record.error,
            usage=record.usage,
        )

    # --- edges -------------------------------------------------------------------------------------------------------

    def _edges(self, record: Record, source: str, passed_fork: bool) -> None:
        """Count the edges that the record's routes passed; one that several routes share up to a fork counts once."""
        seen: set[str] = set()
        chosen = iter(record.chosen)
        for op in record.ops:
            if isinstance(op, Fire):
                self._fired[op.join] = self._fired.get(op.join, 0) + 1
                source, passed_fork, seen = op.join, False, set()
                continue
            if isinstance(op, Item):
                self._items[op.join] = self._items.get(op.join, 0) + 1
            route, times = route_of(op)
            if route is None:
                continue
            self._walk(route, times, source, passed_fork, seen, chosen)

    def _walk(
        self, route: str, times: int, source: str, passed_fork: bool, seen: set[str], chosen: Iterable[str]
    ) -> None:
        """Count every edge of one route. times: how many tasks it stands for, at its last edge."""
        segments = route.split("/")
        before, number, prefix, chooses = source, 0, "", False
        for depth, segment in enumerate(segments):
            mark = "#" if "#" in segment else ":"
            name, _, index = segment.partition(mark)
            prefix = f"{prefix}/{name}"
            last = depth == len(segments) - 1
            if not (passed_fork and depth == 0 and len(segments) > 1 and unescape(name) == source):
                edge = (before, unescape(name), self._branch(before, number))
                self._count(edge, times if last else 1, f"{prefix}@{number}", seen, chosen if chooses else ())
            before, number = unescape(name), int(index) if index else 0
            chooses = bool(index) and before in self._decisions
            prefix = f"{prefix}{mark}{index}" if index else prefix

    def _branch(self, node: str, number: int) -> int:
        """Return which edge of a node was taken: items of a map share one."""
        return 0 if node in self._maps else number

    def _count(self, edge: Edge, times: int, place: str, seen: set[str], chosen: Iterable[str] = ()) -> None:
        if place in seen:
            return
        seen.add(place)
        self._taken[edge] = self._taken.get(edge, 0) + times
        for value in chosen:
            self._chosen[edge] = value
            break

    # --- the whole ---------------------------------------------------------------------------------------------------

    def trace(
        self,
        *,
        run_id: str,
        status: RunStatus,
        created: float,
        updated: float,
        driven: bool,
        resumes: Iterable[float] = (),
        error: str | None = None,
        output: str | None = None,
    ) -> Trace:
        """Return the trace so far. driven: somebody drives the run now, so pending tasks are running."""
        tasks = list(self._tasks.values())
        if driven:
            tasks = [replace(one, status="running") if one.status == "pending" else one for one in tasks]
        joins = sorted({*self._items, *self._fired})
        return Trace(
            run_id=run_id,
            status=status,
            definition=self._definition,
            created=moment(created),
            updated=moment(updated),
            tasks=tuple(tasks),
            taken=dict(self._taken),
            chosen=dict(self._chosen),
            joins=tuple(
                JoinTrace(node=one, items=self._items.get(one, 0), fired=self._fired.get(one, 0)) for one in joins
            ),
            checkpoints=self._position.seq,
            resumes=tuple(moment(one) for one in resumes),
            error=error,
            output=output,
        )


def route_of(op: Op) -> tuple[str | None, int]:
    """Return the route of an op, and how many tasks it stands for."""
    match op:
        case Spawn(route, _) | Item(_, _, route, _) | Finish(route, _):
            return route, 1
        case SpawnEach(route, mark, tail, _, count):
            return f"{route}{mark}0/{tail}", count
        case Stream(route):
            return route[:-1], 1
        case OpenJoin(_, _, route):
            return route.rpartition("/")[0], 1  # the map was passed, though it may have no items
        case _:
            return None, 0
