"""What a run does, put together from its events while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import singledispatchmethod

from milepost.engine import events
from milepost.engine.definition import Definition
from milepost.engine.trace import Edge, JoinTrace, RunStatus, TaskStatus, TaskTrace, Trace


def now() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)


class LiveTrace:
    """A trace that grows with every event.

    Someone who came late has not heard how the first tasks began: what is pending is taken to be running, as in a trace
    from a store while somebody drives the run, and what was not heard of is known from its next attempt. clock: tells
    the time of what comes without one.
    """

    def __init__(self, run_id: str, definition: Definition, clock: Callable[[], datetime] = now) -> None:
        self._run_id = run_id
        self._definition = definition
        self._clock = clock
        self._created = clock()
        self._status: RunStatus = "running"
        self._error: str | None = None
        self._tasks: dict[str, TaskTrace] = {}
        self._visits: dict[str, int] = {}
        self._taken: dict[Edge, int] = {}
        self._fired: dict[str, int] = {}
        self._checkpoints = 0

    @property
    def waits(self) -> bool:
        """Whether nothing is left to do until something comes from outside."""
        return self._status == "waiting"

    def trace(self) -> Trace:
        """Return the run as it stands."""
        taken = {**self._first(), **self._taken}
        joins = {node.id for node in self._definition.nodes if node.kind == "join"}
        items = {join: sum(times for edge, times in taken.items() if edge[1] == join) for join in joins}
        return Trace(
            run_id=self._run_id,
            status=self._status,
            definition=self._definition,
            created=self._created,
            updated=self._clock(),
            tasks=tuple(map(self._driven, self._tasks.values())),
            taken=taken,
            joins=tuple(
                JoinTrace(node=join, items=items[join], fired=self._fired.get(join, 0))
                for join in sorted(joins)
                if items[join] or join in self._fired
            ),
            checkpoints=self._checkpoints,
            error=self._error,
        )

    def _driven(self, task: TaskTrace) -> TaskTrace:
        return replace(task, status="running") if (task.status, self._status) == ("pending", "running") else task

    def _first(self) -> dict[Edge, int]:
        """Return the edges that the run began with, where that was before anybody listened."""
        starts = {node.id for node in self._definition.nodes if node.kind == "start"}
        first = ((edge.source, edge.target, edge.branch) for edge in self._definition.edges if edge.source in starts)
        return dict.fromkeys(first, 1) if self._tasks else {}

    @singledispatchmethod
    def take(self, event: events.Event) -> None:
        """Take one event in; those that change nothing in a picture are left aside."""

    @take.register
    def _(self, event: events.RunStarted) -> None:
        self._created = event.at

    @take.register
    def _(self, event: events.EdgeTaken) -> None:
        edge = (event.source, event.target, event.branch)
        self._taken[edge] = self._taken.get(edge, 0) + event.times

    @take.register
    def _(self, event: events.JoinFired) -> None:
        self._fired[event.node] = self._fired.get(event.node, 0) + 1

    @take.register
    def _(self, event: events.TaskStarted) -> None:
        self._known(event.node, event.task, event.index)

    @take.register
    def _(self, event: events.AttemptStarted) -> None:
        task = self._known(event.node, event.task)
        started = task.started or self._clock()
        self._tasks[task.key] = replace(task, status="running", attempts=event.attempt, started=started)

    @take.register
    def _(self, event: events.TaskRetried) -> None:
        task = self._known(event.node, event.task)
        self._tasks[task.key] = replace(task, attempts=event.attempt)

    @take.register
    def _(self, event: events.TaskFinished) -> None:
        task = self._end(event.node, event.task, "completed", event.at)
        self._tasks[task.key] = replace(task, attempts=event.attempts, usage=event.usage or task.usage)

    @take.register
    def _(self, event: events.TaskFailed) -> None:
        task = self._end(event.node, event.task, "caught" if event.caught else "failed", event.at)
        self._tasks[task.key] = replace(task, attempts=event.attempts, error=event.error)

    @take.register
    def _(self, event: events.TaskCancelled) -> None:
        self._end(event.node, event.task, "cancelled", event.at)

    @take.register
    def _(self, event: events.TaskWaiting) -> None:
        task = self._known(event.node, event.task)
        self._tasks[task.key] = replace(task, status="waiting", started=task.started or event.at)

    @take.register
    def _(self, event: events.TaskSettled) -> None:
        task = self._known(event.node, event.task)
        self._tasks[task.key] = replace(task, status="pending")
        self._status = "running"

    @take.register
    def _(self, event: events.RunWaits) -> None:
        self._status = "waiting"

    @take.register
    def _(self, event: events.Checkpoint) -> None:
        self._checkpoints = event.seq

    @take.register
    def _(self, event: events.RunEnded) -> None:
        self._status = event.status
        self._error = event.error

    def _known(self, node: str, key: str, index: int | None = None) -> TaskTrace:
        if key not in self._tasks:
            self._visits[node] = visit = self._visits.get(node, 0) + 1
            self._tasks[key] = TaskTrace(key=key, node=node, visit=visit, status="pending", index=index)
        return self._tasks[key]

    def _end(self, node: str, key: str, status: TaskStatus, at: datetime) -> TaskTrace:
        task = replace(self._known(node, key), status=status, finished=at)
        self._tasks[key] = task
        return task
