"""What a committed record tells those who watch its run, live or through the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from milepost.engine.edges import Passed, Shape, passages
from milepost.engine.events import (
    Checkpoint,
    CommittedEvent,
    EdgeTaken,
    EventKept,
    ItemEmitted,
    JoinFired,
    MessageRefused,
    RunEnded,
    RunForked,
    RunMigrated,
    RunStarted,
    RunWaits,
    StateEdited,
    TaskCancelled,
    TaskFailed,
    TaskFinished,
    TaskSettled,
    TaskStarted,
    TaskWaiting,
)
from milepost.engine.journal import WAITING_KINDS, Kind, Record
from milepost.engine.position import START, Finish, Task
from milepost.engine.trace import RunStatus, moment
from milepost.engine.tracing import begins_stream, task_of


def events_of(record: Record, spawned: Sequence[Task], shape: Shape) -> Iterator[CommittedEvent]:
    """Yield the events of a record that was applied and committed. spawned: the tasks that it made.

    What happened comes first, then what followed from it, then its checkpoint, and at last the end of the run.
    """
    seq, at = record.seq, moment(record.at)
    yield from _cause(record, shape, at)
    for passage in passages(record, shape):
        if isinstance(passage, Passed):
            source, target, branch = passage.edge
            yield EdgeTaken(seq=seq, at=at, source=source, target=target, branch=branch, times=passage.times)
        else:
            yield JoinFired(seq=seq, at=at, node=passage.join)
    for task in record.dropped:
        if task.node != START:
            yield TaskCancelled(seq=seq, at=at, node=task.node, task=task.key)
    for task in spawned:
        index = task.ref.index if task.ref.index >= 0 else None
        yield TaskStarted(seq=seq, at=at, node=task.node, task=task.key, index=index)
    if record.rests:
        yield RunWaits(seq=seq, at=at, due=None if record.due is None else moment(record.due))
    yield Checkpoint(seq=seq, at=at)
    ended = end_of(record)
    if ended is not None:
        yield ended


def end_of(record: Record) -> RunEnded | None:
    """Return the end of the run, if this record is it."""
    status = status_of(record)
    if status in ("running", "waiting"):
        return None
    return RunEnded(seq=record.seq, at=moment(record.at), status=status, error=record.error)


def _cause(record: Record, shape: Shape, at: datetime) -> Iterator[CommittedEvent]:
    """Yield what the record is about."""
    seq, node, error = record.seq, record.node, record.error or ""
    task = task_of(record)
    if record.kind is Kind.STARTED:
        yield RunStarted(seq=seq, at=at, workflow=shape.workflow)
    elif record.kind in (Kind.FORKED, Kind.EDITED):
        if record.origin is not None:
            yield RunForked(seq=seq, at=at, run_id=record.origin[0], checkpoint=record.origin[1])
        if record.patch:
            yield StateEdited(seq=seq, at=at, fields=tuple(record.patch))
    elif record.kind is Kind.MIGRATED and record.revision is not None:
        yield RunMigrated(seq=seq, at=at, version=shape.version, fingerprint=record.revision.definition)
    elif record.kind is Kind.EMITTED:
        number = 0 if record.stream is None else record.stream[1]
        yield ItemEmitted(seq=seq, at=at, node=node, task=task, number=number, usage=record.usage)
    elif record.kind in WAITING_KINDS:
        yield from _said(record, at)
    elif node in ("", START):  # what is fed into the run is no task's
        return
    elif record.kind is Kind.EXHAUSTED or (record.kind is Kind.COMPLETED and not begins_stream(record)):
        yield from _settled(record, task, at)
        yield _finished(record, task, at)
    elif record.kind in (Kind.FAILED, Kind.CAUGHT):
        yield from _settled(record, task, at)
        attempts = 1 if record.timing is None else record.timing.attempts
        caught = record.kind is Kind.CAUGHT
        yield TaskFailed(seq=seq, at=at, node=node, task=task, error=error, attempts=attempts, caught=caught)


def _settled(record: Record, task: str, at: datetime) -> Iterator[CommittedEvent]:
    """Yield how it came to its result, if it has waited for something."""
    if record.settled is not None:
        wait, how, by, *_ = record.settled
        yield TaskSettled(seq=record.seq, at=at, node=record.node, task=task, wait=wait, how=how, by=by)


def _said(record: Record, at: datetime) -> Iterator[CommittedEvent]:
    """Yield that a task waits from now on, or what became of something that was said to the run."""
    seq, node, task = record.seq, record.node, record.task
    for wait in () if record.waiting is None else record.waiting.waits:
        until = None if wait.until is None else moment(wait.until)
        yield TaskWaiting(
            seq=seq,
            at=at,
            node=node,
            task=task,
            wait=wait.id,
            kind=wait.kind,
            text=wait.text,
            event=wait.event,
            until=until,
        )
    by = None if record.settled is None else record.settled.by
    if record.kind is Kind.REFUSED:
        yield MessageRefused(seq=seq, at=at, node=node, task=task, by=by, reason=record.error or "")
    elif record.kind is Kind.KEPT and record.event is not None:
        yield EventKept(seq=seq, at=at, event=record.event[0], key=record.event[1], by=by)


def _finished(record: Record, task: str, at: datetime) -> TaskFinished:
    timing = record.timing
    return TaskFinished(
        seq=record.seq,
        at=at,
        node=record.node,
        task=task,
        attempts=0 if timing is None else timing.attempts,
        seconds=0.0 if timing is None else timing.finished - timing.started,
        cached=record.cached,
        usage=record.usage,
    )


def status_of(record: Record) -> RunStatus:
    """Return the status of a run whose newest record this is."""
    if record.unrouted or (record.kind is Kind.FAILED and not record.more):
        return "failed"
    if record.kind is Kind.EDITED and record.error is not None:  # what it has failed with before, and still has
        return "failed"
    if record.kind is Kind.CANCELLED:
        return "cancelled"
    if record.ops and isinstance(record.ops[-1], Finish):
        return "completed"
    return "waiting" if record.rests else "running"
