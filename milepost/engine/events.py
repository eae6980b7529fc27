"""What a run tells those who watch it.

A committed event stems from a record: it has the record's number and time, comes in the order of the records, is the
same for whoever watches the run live or follows it through its store, and is never told of what was not committed. A
passing event is told once, to those who watch at that moment, and is kept nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from milepost.engine.limits import CircuitState
from milepost.engine.trace import RunStatus, Usage
from milepost.engine.waits import How, WaitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What every committed event has. seq: the number of its record, from 1. at: when that was committed, UTC."""

    seq: int
    at: datetime


# --- committed --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Committed):
    """A run of `workflow` began; its first checkpoint follows."""

    workflow: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForked(Committed):
    """The run goes on from a checkpoint of another run, whose events up to there were told before this one."""

    run_id: str
    checkpoint: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StateEdited(Committed):
    """Somebody has changed the state by hand. fields: of the state, those that are other now."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMigrated(Committed):
    """From here on the run follows another definition of its workflow. version, fingerprint: of that definition."""

    version: int
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeTaken(Committed):
    """An edge of the compiled graph was passed. branch: as in `Definition.edges`. times: how many values passed it."""

    source: str
    target: str
    branch: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(Committed):
    """A node was handed a task; its body begins as soon as there is room. index: of the item in the map it came by."""

    node: str
    task: str
    index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWaiting(Committed):
    """A task waits from now on: for a person's answer, for an event, for a time, or for a run inside the run.

    wait: the id, by which a question is answered. text: of the question. event: its name. until: the time, or the
    deadline; None for no end. One such event for each thing that a race is between.
    """

    node: str
    task: str
    wait: str
    kind: WaitKind
    text: str = ""
    event: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettled(Committed):
    """What a task waited for has come, or its deadline has; how that ends the task is told next. by: who said it."""

    node: str
    task: str
    wait: str
    how: How
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRefused(Committed):
    """What somebody said to the run does not fit, and was not taken. node, task: whom it was for, "" for nobody."""

    node: str
    task: str
    by: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKept(Committed):
    """An event came before anything waited for it, and is kept. key: what it is about."""

    event: str
    key: str | None
    by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWaits(Committed):
    """Nothing is left to do until somebody answers, something happens, or the time comes that is `due`."""

    due: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFinished(Committed):
    """A task's output is committed.

    attempts: how often it was tried. seconds: of its last attempt. cached: the output was taken from the cache, and the
    body did not run. usage: what its model calls cost, None without any.
    """

    node: str
    task: str
    attempts: int = 1
    seconds: float = 0.0
    cached: bool = False
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed(Committed):
    """A task failed after its policy. caught: an error edge took its failure, and the run goes on."""

    node: str
    task: str
    error: str
    attempts: int = 1
    caught: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemEmitted(Committed):
    """A stream gave an item. number: of the item, from 0. usage: what it cost since the item before."""

    node: str
    task: str
    number: int
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinFired(Committed):
    """A join had all of its items and passed its value on."""

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCancelled(Committed):
    """A task was stopped because its result is not needed any more: a join had enough, or the run came to its end."""

    node: str
    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint(Committed):
    """Record `seq` is committed, and all its events have been told; the run can be resumed from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(Committed):
    """The run is completed, failed or cancelled. It goes on after this only when somebody resumes it.

    error: why it did not complete.
    """

    status: RunStatus
    error: str | None = None


# --- passing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """The body of a task begins to run. attempt: from 1."""

    node: str
    task: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRetried:
    """An attempt failed and another will be made. attempt: the one that failed. wait: seconds until the next one."""

    node: str
    task: str
    attempt: int
    error: str
    wait: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """A model wrote another piece of text in a task."""

    node: str
    task: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Custom:
    """What a body told by `milepost.current().emit(data)`."""

    node: str
    task: str
    data: object


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitChanged:
    """The circuit breaker of a node changed, for all runs of the engine.

    state: closed lets everything through, open nothing, half open one attempt. seconds: until an attempt is let through
    again, 0 unless it is open.
    """

    workflow: str
    node: str
    state: CircuitState
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """This reader was too slow, so `number` events between the one before this and the one after it were lost."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStopped:
    """This process drives the run no longer, though it is not over: it was stopped, or could not be stored.

    A resume goes on from its newest checkpoint.
    """

    reason: str


CommittedEvent = (
    RunStarted
    | RunForked
    | StateEdited
    | RunMigrated
    | EdgeTaken
    | TaskStarted
    | TaskWaiting
    | TaskSettled
    | MessageRefused
    | EventKept
    | RunWaits
    | TaskFinished
    | TaskFailed
    | ItemEmitted
    | JoinFired
    | TaskCancelled
    | Checkpoint
    | RunEnded
)
PassingEvent = AttemptStarted | TaskRetried | TextDelta | Custom | CircuitChanged | Dropped | RunStopped
Event = CommittedEvent | PassingEvent
