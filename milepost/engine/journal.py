"""The records of a run, what each does to its position, and how they are written down.

A record is one committed change, which people call a checkpoint. A journal is their list. Folding it with `apply`
gives the position; live, the router takes the same steps (`begin`, `enter` per op, `finish`) while it decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from milepost.engine.patch import Patch
from milepost.engine.position import (
    Base,
    LiveStream,
    Op,
    Position,
    StreamBase,
    Task,
    enter,
    newest_tasks,
    patch_state,
    root,
)
from milepost.engine.revision import Revision, revise
from milepost.engine.trace import Usage
from milepost.engine.values import Ref, Value
from milepost.engine.waits import Early, Settled, Waiting, wait_id


class Kind(StrEnum):
    """What a record says happened.

    CAUGHT: a task failed for good and its failure went along an error edge. INTENDED: a task that may run at most once
    is about to begin. ASKED: a task waits from here on, for an answer, an event, a time or a run inside the run. WOKEN:
    it does no more, as that run goes on. KEPT: an event came before anything waited for it. REFUSED: what was said to
    the run does not fit. MIGRATED: the run goes on with another definition of its workflow. FORKED: the records up to
    here are those of another run. EDITED: somebody has changed the state of a run that nobody drove.
    """

    STARTED = "started"
    COMPLETED = "completed"
    ROUTED = "routed"
    EMITTED = "emitted"
    EXHAUSTED = "exhausted"
    FAILED = "failed"
    CAUGHT = "caught"
    INTENDED = "intended"
    ASKED = "asked"
    WOKEN = "woken"
    KEPT = "kept"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    MIGRATED = "migrated"
    FORKED = "forked"
    EDITED = "edited"


COMPLETED: Final = Kind.COMPLETED
"""What most records are; looking a member of an enum up takes Python 3.11 longer than all that is asked about it."""

EDITOR: Final = "an edit of the state"
"""What counts as the node that has written what was edited."""


class Tried(NamedTuple):
    """An attempt that was followed by another: when it began and ended, seconds since 1970 UTC, how it failed."""

    started: float
    finished: float
    error: str


class Timing(NamedTuple):
    """When a task's last attempt began and ended, in seconds since 1970 UTC, and how many attempts there were.

    earlier: the attempts before the last one; of very many, the first ones.
    """

    started: float = 0.0
    finished: float = 0.0
    attempts: int = 1
    earlier: tuple[Tried, ...] = ()


def nothing() -> list[Any]:
    """Return a new empty list; calling `list[Op]` for it, as a default, takes ten times as long."""
    return []


@dataclass(slots=True)
class Record:
    """One committed change of a run.

    seq: its number, from 1. task: the key of the task or stream it is about. values: what it stores, by slot. ops:
    what it did to the position, in order. unrouted: the output is kept but not routed. chosen: the values that
    decided, as short text, in the order of the decisions passed. error: of a failure or of the routing. traceback: of a
    failure, as far as it is the author's code. more: another failure follows, which the run fails with.
    given: a hash of the state a run was started with. revision: what the run follows from here on; only the first
    record and those of kind MIGRATED, FORKED and EDITED have one, and none without a store. cached: the output was
    taken from the cache. waiting: what the task waits for from here on. settled: how that ended, or the answer that was
    refused. event: the name of an event that was kept or refused, and what it is about. rests: nothing is left to do
    until somebody answers, something happens or a time comes, which is `due`. keep: where the output is to be put into
    the cache, as (key, when it expires). taken: ids of the messages that it takes in. stream: the stream it is about,
    and how many items that had given. dropped: the tasks that it cancelled. at: when it was committed, seconds since
    1970 UTC, 0 without a store. The last five are not part of the journal: they follow from it, or lie beside it.
    """

    seq: int
    kind: Kind
    task: str
    node: str = ""
    values: list[Value] = field(default_factory=nothing)
    ops: list[Op] = field(default_factory=nothing)
    patch: Patch | None = None
    unrouted: bool = False
    chosen: list[str] = field(default_factory=nothing)
    timing: Timing | None = None
    usage: Usage | None = None
    error: str | None = None
    traceback: str | None = None
    more: bool = False
    given: str | None = None
    revision: Revision | None = None
    cached: bool = False
    waiting: Waiting | None = None
    settled: Settled | None = None
    event: tuple[str, str | None] | None = None
    rests: bool = False
    due: float | None = None
    keep: tuple[str, float | None] | None = None
    taken: tuple[str, ...] = ()
    stream: tuple[LiveStream, int] | None = field(default=None, compare=False)
    dropped: Sequence[Task] = field(default=(), compare=False)
    at: float = field(default=0.0, compare=False)

    @property
    def origin(self) -> tuple[str, int] | None:
        """The run that the records before this one belong to, and the last of them, for one of kind FORKED."""
        return None if self.revision is None else self.revision.origin


def begin(position: Position, record: Record) -> Base:
    """Move the position to the record's number; return what its ops start from."""
    position.seq = record.seq
    kind = record.kind
    if kind is COMPLETED or (kind is Kind.CAUGHT and record.task in position.tasks):
        task = position.tasks[record.task]
    elif kind is Kind.STARTED:
        task = root()
        position.definition = "" if record.revision is None else record.revision.definition
    elif kind is Kind.ROUTED:
        task = position.unrouted[record.task][0]
    elif kind in (Kind.EMITTED, Kind.EXHAUSTED, Kind.CAUGHT):
        stream = position.streams[record.task]
        record.stream = (stream, stream.count)
        return StreamBase(stream.task.key, stream.task.stack, stream.route, stream.run)
    else:
        return Base("", ())
    return Base(task.key, task.stack)


def finish(position: Position, record: Record) -> None:
    """Take what the record is about out of the position, or keep its output for another try at routing."""
    if record.patch:
        patch_state(position, record.patch, record.task, record.node)
    if position.dropped:
        known = (task for task in position.dropped if task.key != record.task and task.spawned != record.seq)
        record.dropped, position.dropped = tuple(known), []
    if position.output is not None:
        return
    kind = record.kind
    if kind is COMPLETED or kind is Kind.CAUGHT:
        finish_task(position, record)
    elif kind is Kind.STARTED and record.unrouted:
        position.unrouted[record.task] = (root(), Ref(record.seq, 0, -1, record.values[0]))
    elif kind is Kind.ROUTED:
        position.unrouted.pop(record.task, None)
    elif kind is Kind.INTENDED:
        position.intended.add(record.task)
    elif kind is Kind.FAILED and position.waiting:  # who tries again waits anew
        end_waiting(position, record)
    elif kind in WAITING_KINDS:
        finish_waiting(position, record)
    elif kind is Kind.EMITTED:
        stream = position.streams.get(record.task)
        if stream is not None:
            stream.count += 1
            stream.digest = item_digest(stream.digest, record.values[0])


def finish_task(position: Position, record: Record) -> None:
    """Take a task out of the position that has come to a result."""
    task = position.tasks.pop(record.task, None)
    if position.intended:
        position.intended.discard(record.task)
    if position.waiting:
        end_waiting(position, record)
    if record.unrouted and task is not None:
        position.unrouted[record.task] = (task, Ref(record.seq, 0, -1, record.values[0]))


WAITING_KINDS: Final = frozenset({Kind.ASKED, Kind.WOKEN, Kind.KEPT, Kind.REFUSED})


def finish_waiting(position: Position, record: Record) -> None:
    """Note what a task waits for, or that something was said to the run."""
    if record.kind is Kind.ASKED and record.waiting is not None:
        position.waiting[record.task] = record.waiting
        if position.dues is not None:
            position.dues.add(record.task, record.waiting)
    elif record.kind is Kind.WOKEN:
        position.waiting.pop(record.task, None)
    elif record.kind is Kind.KEPT and record.event is not None and record.settled is not None:
        event, key = record.event
        _, _, by, at, message = record.settled
        ref = Ref(record.seq, 0, -1, record.values[0])
        position.early[message] = Early(event=event, key=key, by=by, at=at, ref=ref)
    elif record.settled is not None:
        position.early.pop(record.settled.early, None)
        if record.task in position.waiting:
            position.waiting[record.task] = position.waiting[record.task].refusing(record.settled.wait)


def end_waiting(position: Position, record: Record) -> None:
    """Note that a task has come to a result, and so waits no more."""
    position.waiting.pop(record.task, None)
    if record.settled is not None and record.settled.early:
        position.early.pop(record.settled.early, None)


def note_rest(record: Record, position: Position) -> None:
    """Note in a record that is about to be committed whether the run only waits from there on."""
    if position.only_waits:
        record.rests, record.due = True, position.until


def item_digest(before: str, item: Value) -> str:
    """Return the hash over the items of a stream so far; empty without a store."""
    return "" if item.text is None else blake2b(f"{before}{item.text}".encode(), digest_size=16).hexdigest()


def apply(position: Position, record: Record) -> None:
    """Do to `position` what the record says, in place. Pure otherwise: no clock, no I/O, no user code."""
    base = begin(position, record)
    if record.revision is not None and record.kind is not Kind.STARTED:
        take_up(position, record, record.revision)
        return
    for op in record.ops:
        base = enter(position, base, op)
    finish(position, record)


def take_up(position: Position, record: Record, revision: Revision) -> None:
    """Change where a run stands without any of its tasks having done something.

    A state that was edited is the one that everything pending begins with, as if it was spawned by the edit: so it sees
    what whoever edited it saw, and what others wrote before is nothing that it could have missed. A stream goes on with
    what it saw when it began, but for fields that had another form then. A fork has begun none of its tasks yet,
    whatever the other run has; one that was given nothing may have been migrated all the same.
    """
    is_edited = record.given is not None
    revise(position, revision, None if is_edited else record.patch)
    if record.kind is Kind.FORKED:
        position.intended.clear()
        wait_anew(position, revision, is_edited=is_edited)
    if is_edited and record.patch:
        for task in position.tasks.values():
            task.spawned = record.seq
        patch_state(position, record.patch, "", EDITOR)
        for name in revision.rewritten:
            position.past.pop(name, None)
    for op in record.ops:
        enter(position, Base("", ()), op)


def wait_anew(position: Position, revision: Revision, *, is_edited: bool) -> None:
    """Give what a fork waits for ids of its own, so that an answer is for one run.

    It has runs of its own inside it, which it begins; and what it was given another input for begins to wait again.
    """
    for key, waiting in list(position.waiting.items()):
        if waiting.is_inside or (is_edited and key in revision.inputs):
            del position.waiting[key]
        elif revision.run:
            own = (replace(one, id=wait_id(revision.run, key, number)) for number, one in enumerate(waiting.waits))
            position.waiting[key] = replace(waiting, waits=tuple(own))


def spawned_by(record: Record, position: Position) -> list[Task]:
    """Return the tasks that a record has made, in order. position: after it."""
    return [] if record.kind in (Kind.FORKED, Kind.EDITED) else newest_tasks(position)


def fold(records: Iterable[Record], position: Position | None = None) -> Position:
    """Return where a run stands after `records`, given where it stood before them."""
    here = position or Position()
    for record in records:
        apply(here, record)
    return here
