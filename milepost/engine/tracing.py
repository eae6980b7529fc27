"""Reading what a run did from its records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from math import inf
from typing import Final, TypeVar

from milepost.engine.current import total_usage
from milepost.engine.definition import Definition
from milepost.engine.edges import Fired, Passed, passages, shape_of
from milepost.engine.former import Former
from milepost.engine.journal import WAITING_KINDS, Kind, Record, Timing, apply, spawned_by
from milepost.engine.keys import child_run
from milepost.engine.position import Fire, Item, Position, Stream, Task
from milepost.engine.revision import Revision
from milepost.engine.stores.store import Opening
from milepost.engine.trace import (
    AttemptTrace,
    Edge,
    Edit,
    JoinTrace,
    RunStatus,
    TaskStatus,
    TaskTrace,
    Trace,
    WaitTrace,
    moment,
)
from milepost.engine.waits import Settled, Waiting


def committed(record: Record) -> datetime | None:
    """Return when a record was committed, None if that is not known."""
    return moment(record.at) if record.at else None


STATUSES: Final[Mapping[Kind, TaskStatus]] = {
    Kind.COMPLETED: "completed",
    Kind.EXHAUSTED: "completed",
    Kind.FAILED: "failed",
    Kind.CAUGHT: "caught",
}
"""How the task stands that a record is about. One that streams has finished when its last item is given."""

FAILING: Final = (Kind.FAILED, Kind.CAUGHT)


def tried_by(timing: Timing, error: str | None) -> Iterator[AttemptTrace]:
    """Yield the attempts that a record tells of. error: how the last one failed."""
    for one in timing.earlier:
        yield AttemptTrace(started=moment(one.started), finished=moment(one.finished), error=one.error)
    if timing.started and timing.attempts > len(timing.earlier):  # else the task failed before it could try again
        yield AttemptTrace(started=moment(timing.started), finished=moment(timing.finished), error=error)


def task_of(record: Record) -> str:
    """Return the key of the task that an applied record is about: of a stream, the one whose output it is."""
    return record.task if record.stream is None else record.stream[0].task.key


def begins_stream(record: Record) -> bool:
    """Tell whether the task of a completed record goes on, giving items."""
    own = takewhile(lambda op: not isinstance(op, Fire), record.ops)
    return record.kind is Kind.COMPLETED and any(isinstance(op, Stream) for op in own)


def wait_trace(waiting: Waiting) -> WaitTrace:
    """Return what a task waits for; of several things, the question is what people look for."""
    first = next((wait for wait in waiting.waits if wait.kind == "ask"), waiting.waits[0])
    kind = "race" if len(waiting.waits) > 1 else first.kind
    assert kind != "run"
    return WaitTrace(
        kind=kind,
        id=first.id,
        asked=moment(waiting.since),
        text=first.text,
        event=first.event,
        key=first.key,
        until=None if waiting.until is None else moment(waiting.until),
    )


def settled_trace(wait: WaitTrace, record: Record, settled: Settled) -> WaitTrace:
    """Return what a task has waited for, and how that ended."""
    came = settled.how in ("answered", "received") and bool(record.values)
    return replace(
        wait,
        settled=moment(record.timing.finished) if record.timing is not None else committed(record),
        how=settled.how,
        by=settled.by,
        answer=record.values[0].text if came else None,
    )


NOTHING_KNOWN: Final[Mapping[str, Definition]] = {}

CountedT = TypeVar("CountedT", str, Edge)


def summed(counts: Mapping[CountedT, int], names: Mapping[CountedT, CountedT]) -> dict[CountedT, int]:
    """Return counts under new names, added up where two have become one."""
    found: dict[CountedT, int] = {}
    for name, count in counts.items():
        new = names.get(name, name)
        found[new] = found.get(new, 0) + count
    return found


@dataclass(frozen=True, slots=True)
class Added:
    """What one record adds to a trace. passed: edges, in order. fired: joins. spawned: tasks."""

    passed: Sequence[Passed]
    fired: Sequence[Fired]
    spawned: Sequence[Task]


class Tracer:
    """Builds a trace record by record, with a position of its own.

    definition: the one that the run follows now. known: those that it has followed before as well, by fingerprint.
    """

    def __init__(self, definition: Definition, known: Mapping[str, Definition] = NOTHING_KNOWN) -> None:
        self._former = Former(definition, known)
        self._shape = shape_of(definition)
        self._position = Position()
        self._tasks: dict[str, TaskTrace] = {}
        self._visits: dict[str, int] = {}
        self._taken: dict[Edge, int] = {}
        self._chosen: dict[Edge, str] = {}
        self._items: dict[str, int] = {}
        self._fired: dict[str, int] = {}
        self._origin: tuple[str, int] | None = None
        self._edits: list[Edit] = []
        self._edited: set[int] = set()
        self._drivers: dict[str, str] = {}
        self._rests: list[tuple[float, float]] = []

    def add(self, record: Record) -> Added:
        """Take one more record in; return what it adds."""
        apply(self._position, record)
        self._rest(record)
        if record.revision is not None:
            self._follow(record.revision)
        passed: list[Passed] = []
        fired: list[Fired] = []
        for passage in passages(record, self._shape):
            if isinstance(passage, Fired):
                fired.append(passage)
                self._fired[passage.join] = self._fired.get(passage.join, 0) + 1
            else:
                passed.append(passage)
                self._pass(passage)
        for op in record.ops:
            if isinstance(op, Item):
                self._items[op.join] = self._items.get(op.join, 0) + 1
        now, cause = committed(record), self._cause(record)
        spawned = spawned_by(record, self._position)
        for task in spawned:
            self._visits[task.node] = visit = self._visits.get(task.node, 0) + 1
            index = task.ref.index if task.ref.index >= 0 else None
            self._tasks[task.key] = TaskTrace(
                key=task.key,
                node=task.node,
                visit=visit,
                status="pending",
                index=index,
                spawned=now,
                cause=cause,
            )
        if record.waiting is not None or record.kind in WAITING_KINDS:
            self._wait(record)
        self._result(record)
        for task in record.dropped:
            self._tasks[task.key] = replace(self._tasks[task.key], status="cancelled", finished=now, seq=record.seq)
        if record.kind in (Kind.FORKED, Kind.EDITED):
            self._change(record)
        return Added(passed, fired, spawned)

    def _follow(self, revision: Revision) -> None:
        """Read what comes by the definition that the run follows from here on; call all nodes as that does."""
        self._former.follow(revision)
        self._shape = shape_of(self._former.current)
        names = revision.names
        if not names:
            return
        self._items, self._fired = summed(self._items, names), summed(self._fired, names)
        ends = {edge: (names.get(edge[0], edge[0]), names.get(edge[1], edge[1]), edge[2]) for edge in self._taken}
        self._taken = summed(self._taken, ends)
        self._chosen = {ends[edge]: chosen for edge, chosen in self._chosen.items()}
        self._visits = {}
        for key, task in self._tasks.items():
            node = names.get(task.node, task.node)
            self._visits[node] = visit = self._visits.get(node, 0) + 1
            self._tasks[key] = replace(task, node=node, visit=visit)

    def _change(self, record: Record) -> None:
        """Note where the run was forked from, and what was changed by hand."""
        if record.origin is not None:
            self._origin = record.origin
            self._edited.clear()
            done = (key for key, task in self._tasks.items() if task.status in ("completed", "caught"))
            for key in done:
                self._drivers.setdefault(key, record.origin[0])
        given = record.given is not None  # else, what has changed was migrated
        fields = tuple(record.patch or ()) if given else ()
        inputs = tuple(record.revision.inputs) if given and record.revision is not None else ()
        if record.revision is not None and record.kind is Kind.EDITED:
            self._edited.add(record.revision.epoch)
        if fields or inputs:
            self._edits.append(Edit(seq=record.seq, at=moment(record.at), fields=fields, inputs=inputs))

    def resumes(self, openings: Sequence[Opening]) -> list[float]:
        """Return when somebody went on with the run that had been stopped. openings: all of them.

        An edit needs one, too, and goes not on; and a run that waited was not stopped.
        """
        others = [opening.at for opening in openings[1:] if opening.epoch not in self._edited]
        return [at for at in others if not any(begin <= at <= end for begin, end in self._rests)]

    def _rest(self, record: Record) -> None:
        """Note between which records the run only waited."""
        if self._rests and self._rests[-1][1] == inf:
            self._rests[-1] = (self._rests[-1][0], record.at)
        if record.rests:
            self._rests.append((record.at, inf))

    def _wait(self, record: Record) -> None:
        """Note that a task waits, waits no more, or was given an answer that does not fit."""
        traced = self._tasks.get(record.task)
        if traced is None:
            return
        if record.waiting is not None:
            wait = None if record.waiting.is_inside else wait_trace(record.waiting)
            since = traced.started or moment(record.waiting.since)
            self._tasks[traced.key] = replace(traced, status="waiting", wait=wait, started=since)
        elif record.kind is Kind.WOKEN:
            self._tasks[traced.key] = replace(traced, status="pending")
        elif traced.wait is not None and traced.wait.kind in ("ask", "race"):
            refused = replace(traced.wait, refused=traced.wait.refused + 1)
            self._tasks[traced.key] = replace(traced, wait=refused)

    def _pass(self, passage: Passed) -> None:
        self._taken[passage.edge] = self._taken.get(passage.edge, 0) + passage.times
        if passage.chosen is not None:
            self._chosen[passage.edge] = passage.chosen

    def _cause(self, record: Record) -> str | None:
        """Return the key of the task whose result the record routes, None for the run's input."""
        cause = task_of(record)
        return cause if cause in self._tasks else None

    def _result(self, record: Record) -> None:
        """Note how the task that the record is about ended."""
        traced = self._tasks.get(task_of(record))
        if traced is None or not (record.kind is Kind.EMITTED or record.kind in STATUSES):
            return
        timing = record.timing or Timing(attempts=0)
        usage, cached = total_usage(traced.usage, record.usage), traced.cached or record.cached
        if record.kind is Kind.EMITTED or begins_stream(record):
            started = traced.started or (moment(timing.started) if timing.started else None)
            self._tasks[traced.key] = replace(
                traced, status="pending", started=started, error=None, usage=usage, cached=cached
            )
            return
        streamed = record.kind is Kind.EXHAUSTED
        if record.settled is not None and traced.wait is not None:
            traced = replace(traced, wait=settled_trace(traced.wait, record, record.settled))
        self._tasks[traced.key] = replace(
            traced,
            status=STATUSES[record.kind],
            attempts=traced.attempts + timing.attempts,
            started=moment(timing.started) if timing.started and not streamed else traced.started,
            finished=moment(timing.finished) if timing.finished else committed(record),
            error=record.error,
            usage=usage,
            tried=(*traced.tried, *tried_by(timing, record.error if record.kind in FAILING else None)),
            seq=record.seq,
            cached=cached,
        )

    # --- the whole ---------------------------------------------------------------------------------------------------

    def trace(
        self,
        *,
        run_id: str,
        status: RunStatus,
        created: float,
        updated: float,
        driven: bool,
        interrupted: bool = False,
        resumes: Iterable[float] = (),
        error: str | None = None,
        output: str | None = None,
    ) -> Trace:
        """Return the trace so far.

        driven: somebody drives the run now, so pending tasks are running. interrupted: nobody does any more.
        """
        tasks = list(self._tasks.values())
        if driven:
            tasks = [replace(one, status="running") if one.status == "pending" else one for one in tasks]
        joins = sorted({*self._items, *self._fired})
        taken = {edge: sum(times) for edge, times in self._former.settled(self._taken).items()}
        definition = self._former.drawn({*(task.node for task in tasks), *joins}, taken)
        nesting = {node.id for node in definition.nodes if node.kind == "workflow"}
        return Trace(
            run_id=run_id,
            status=status,
            definition=definition,
            created=moment(created),
            updated=moment(updated),
            tasks=tuple(self._with_child(run_id, one) if one.node in nesting else one for one in tasks),
            taken=taken,
            chosen={edge: values[-1] for edge, values in self._former.settled(self._chosen).items()},
            joins=tuple(
                JoinTrace(node=one, items=self._items.get(one, 0), fired=self._fired.get(one, 0)) for one in joins
            ),
            checkpoints=self._position.seq,
            resumes=tuple(moment(one) for one in resumes),
            error=error,
            output=output,
            forked_from=self._origin,
            edits=tuple(self._edits),
            interrupted=interrupted,
        )

    def _with_child(self, run_id: str, task: TaskTrace) -> TaskTrace:
        """Say which run a task of a node that runs a workflow drives."""
        if task.cached:
            return task
        return replace(task, child=child_run(self._drivers.get(task.key, run_id), task.key))
