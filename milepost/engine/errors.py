"""Every error that Milepost raises on purpose.

MilepostError
├── WorkflowError            fix the workflow
│   ├── UnsoundWorkflow      its graph cannot work; every fault is listed
│   ├── RoutingError         a condition, transform or reducer failed after a node had finished
│   ├── StateConflict        two tasks changed one field of the state, which has no merger
│   └── NotStorable          a value would not come back from a store as it went in
│       └── NotReadable      what is stored does not fit the type that is declared now (engine/unstorable.py)
├── InputError               fix what was given to the run: its inputs, state or deps
│   ├── EditError            a state or inputs that a stored run was to be given do not fit; every fault is listed
│   └── AnswerError          an answer or event does not fit what it is for; every fault is listed
├── NodeError                a node failed; `__cause__` is its own exception
├── DeadlinePassed           a node waited for something that did not come in time
├── CircuitOpen              a node keeps failing and was not tried; try later
├── RunCancelled             the run was cancelled
├── RunWaiting               the run waits for something outside; answer it, or resume it then
├── DrawingError             a picture could not be laid out (visualize/layout.py)
├── StoreError               the store could not be read or written
│   ├── ForeignStore         the file belongs to another program, or to a newer Milepost
│   ├── BrokenJournal        the records do not fit together
│   ├── DamagedStore         something else that is stored is not as it was written
│   ├── WrongKey             what is encrypted cannot be read with the keys given
│   └── LeaseLost            another process took the run over
└── ResumeError              the run cannot go on as asked
    ├── UnknownRun           no such run in this store
    ├── UnknownCheckpoint    no such checkpoint of this run
    ├── UnknownQuestion      no such open question of this run
    ├── AlreadyAnswered      somebody was faster
    ├── RunMismatch          the run id belongs to a run of something else
    ├── RunBusy              another process is driving it
    ├── IncompatibleWorkflow the workflow no longer fits what is pending
    │   └── MigrationError   a migration failed, or what it made does not fit
    ├── CrashLoop            its owners keep dying without a new record
    └── OutcomeUnknown       a task that may run at most once had begun; say what became of it

What only the command line or the tests of a workflow raise is beside them, in `cli` and `testing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class MilepostError(Exception):
    """The root of every error that Milepost raises on purpose.

    child_run: the run inside the run that it comes from, None when it is of the run itself. upstream: what
    pydantic-graph raises in its place, where that is no exception of the author's; for `milepost.install()`.
    """

    child_run: str | None = None
    upstream: Exception | None = None

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.child_run is None else f"In run {self.child_run!r}: {text}"


class WorkflowError(MilepostError):
    """The workflow itself has to be changed."""


class UnsoundWorkflow(WorkflowError):
    """The graph cannot work as declared.

    faults: one sentence each, with where it is and the way out; never empty.
    """

    def __init__(self, name: str | None, faults: Sequence[str]) -> None:
        self.name = name
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        lines = "".join(f"\n  {number}. {fault}" for number, fault in enumerate(self.faults, 1))
        super().__init__(f"Workflow {name or 'without a name'!r} has {count}:{lines}")


class RoutingError(WorkflowError):
    """User code on an edge failed after a node had finished.

    The node's output is committed: a resume routes it again and does not run the node again.
    source: the node or join whose output was being routed. edge: what failed, e.g. "the condition of 'triage'".
    """

    def __init__(self, source: str, edge: str, cause: BaseException | None, detail: str | None = None) -> None:
        self.source = source
        self.edge = edge
        self.detail = detail or f"{type(cause).__name__}: {cause}"
        super().__init__(
            f"The output of node {source!r} could not be routed: {edge} failed with {self.detail.rstrip('.')}. "
            "The output is kept; correct the edge and resume the run."
        )
        self.__cause__ = cause


class StateConflict(WorkflowError):
    """A task changed a field of the state that another had changed since this one was spawned; nothing merges the two.

    field: its name, "" where the state is one value. task, other: the nodes of the task that came too late and of the
    one that committed before; task_key, other_key: the tasks themselves. base, committed, mine: JSON text, shortened,
    of the field as both found it, as the other has committed it and as this task would leave it. merger: the name of
    the field's merger, "" without one. detail: why that one failed, or why the state takes the one change and the other
    but not both; `__cause__` is the exception behind it.
    """

    def __init__(
        self,
        field: str,
        task: str,
        other: str,
        *,
        task_key: str = "",
        other_key: str = "",
        base: str = "",
        committed: str = "",
        mine: str = "",
        merger: str = "",
        suggested: str = "last",
        detail: str = "",
    ) -> None:
        self.field = field
        self.task, self.task_key = task, task_key
        self.other, self.other_key = other, other_key
        self.base, self.committed, self.mine = base, committed, mine
        self.merger = merger
        self.detail = detail
        who, first, second = f"Tasks {task!r} and {other!r}", repr(other), repr(task)
        if task == other:
            who = f"Two tasks of node {task!r} ({other_key[:8]} and {task_key[:8]})"
            first, second = "the first", "the second"
        changed = f"both changed {f'the field {field!r} of ' if field else ''}the state"
        values = f"It was {base}, {first} made it {committed}, and {second} would make it {mine}."
        if merger:
            way_out = f"Its merger {merger!r} cannot put the two together: {detail.rstrip('.')}."
        elif detail:
            changed = "changed the state in ways that do not go together"
            values = f"{detail.rstrip('.')}."
            way_out = "Let one of them make both changes, or have one run after the other."
        else:
            kind = f"Annotated[..., {suggested}]"
            way_out = f"Give it a merger, e.g. {field}: {kind}" if field.isidentifier() else f"Give it a merger: {kind}"
            way_out += ", or let only one of them write it."
        super().__init__(f"{who} ran side by side and {changed}. {values} {way_out}")


class NotStorable(WorkflowError):
    """A value cannot be stored and read back as the same value.

    path: where in the value, e.g. "output.items[3].when". reason: what differs or is missing.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"The value at {path} cannot be stored: {reason}")


class InputError(MilepostError):
    """What was given to start a run does not fit the workflow."""


class EditError(InputError):
    """The state or the inputs that a stored run was to be given do not fit, so nothing was changed.

    seq: of the checkpoint. faults: a sentence each; never empty.
    """

    def __init__(self, run_id: str, seq: int, faults: Sequence[str]) -> None:
        self.run_id = run_id
        self.seq = seq
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(
            f"What checkpoint {seq} of run {run_id!r} was to be given has {count}, so nothing was changed:"
            f"{numbered(self.faults)}"
        )


class AnswerError(InputError):
    """What was said to a run does not fit what it waits for, so nothing was changed.

    what: it was for, e.g. "question 'approve'". faults: a sentence each; never empty.
    """

    def __init__(self, what: str, faults: Sequence[str]) -> None:
        self.what = what
        self.faults = tuple(faults)
        told = f" {self.faults[0]}" if len(self.faults) == 1 else numbered(self.faults)
        super().__init__(f"That does not fit {what}:{told}")


class NodeError(MilepostError):
    """A node failed after its policy was used up; `__cause__` is the node's own exception.

    node, task (its key), attempt (how many were made) and summary (the input, shortened) say where.
    """

    def __init__(
        self,
        node: str,
        task: str,
        attempt: int,
        cause: BaseException | None,
        detail: str | None = None,
        *,
        summary: str = "",
    ) -> None:
        self.node = node
        self.task = task
        self.attempt = attempt
        self.summary = summary
        self.detail = detail or cause_in_words(cause)
        tries = "on its only attempt" if attempt <= 1 else f"on all {attempt} attempts"
        super().__init__(f"Node {node!r} failed {tries}: {self.detail}")
        self.__cause__ = cause


def cause_in_words(cause: BaseException | None) -> str:
    """Return what made a node fail; what comes from a run inside the run says by itself where it comes from."""
    text = str(cause)
    if isinstance(cause, MilepostError) and cause.child_run is not None:
        return f"{text[:1].lower()}{text[1:]}"
    return f"{type(cause).__name__}: {text}"


class DeadlinePassed(MilepostError, TimeoutError):
    """Nothing that a node waited for came in time, and it has no default. It is a `TimeoutError`, too.

    node: its id. until: the deadline, aware, in UTC.
    """

    def __init__(self, node: str, until: datetime) -> None:
        self.node = node
        self.until = until
        super().__init__(
            f"Nothing had come for node {node!r} by its deadline, {until:%Y-%m-%d %H:%M:%S} UTC. Give it a default=, "
            "or an edge with on_timeout=True."
        )


class CircuitOpen(MilepostError):
    """A node was not tried, because its last attempts have all failed and its policy has a circuit breaker.

    retry_after: seconds until an attempt is let through again, which a retry waits for.
    """

    def __init__(self, node: str, retry_after: float) -> None:
        self.node = node
        self.retry_after = retry_after
        super().__init__(
            f"Node {node!r} was not tried, because its last attempts all failed and its circuit is open. The next "
            f"attempt is let through in {retry_after:.1f} seconds; see why it fails, or resume the run then."
        )


class RunCancelled(MilepostError):
    """The run was cancelled and will not go on."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(
            f"Run {run_id!r} was cancelled. Start a new run, fork it from one of its checkpoints, or resume "
            "it with reopen."
        )


class RunWaiting(MilepostError):
    """The run waits for something outside, and nobody here waits with it: what it waits for resumes it.

    waits_for: in words, one for each thing. until: when it goes on by itself, aware, in UTC; None for never.
    """

    def __init__(self, run_id: str, waits_for: Sequence[str], until: datetime | None = None) -> None:
        self.run_id = run_id
        self.waits_for = tuple(waits_for)
        self.until = until
        what = f" for {', '.join(self.waits_for)}" if self.waits_for else ""
        by = "" if until is None else f", until {until:%Y-%m-%d %H:%M:%S} UTC at the latest"
        super().__init__(f"Run {run_id!r} waits{what}{by}. Answer it, or resume it when that has come.")


class StoreError(MilepostError):
    """The store could not be opened, read or written."""


class ForeignStore(StoreError):
    """The file is not a Milepost store that this version can use."""


class BrokenJournal(StoreError):
    """The records of a run do not fit together, so nothing is read from it."""

    def __init__(self, run_id: str, seq: int, reason: str) -> None:
        self.run_id = run_id
        self.seq = seq
        self.reason = reason
        super().__init__(f"Checkpoint {seq} of run {run_id!r} is damaged: {reason}. Nothing was changed.")


class DamagedStore(StoreError):
    """Something that is stored is not as it was written. what: e.g. "run 'claim-17'"."""

    def __init__(self, what: str, reason: str) -> None:
        self.what = what
        self.reason = reason
        super().__init__(
            f"What the store holds of {what} is damaged: {reason}. Nothing was changed. Restore a backup, or see with "
            "'milepost verify' what else is damaged."
        )


class WrongKey(StoreError):
    """What is encrypted cannot be read with the keys that were given, or without any."""


class LeaseLost(StoreError):
    """Another process has taken the run over; this one must stop."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(
            f"Run {run_id!r} was taken over by another process, so this one stopped without writing to it."
        )


class ResumeError(MilepostError):
    """The run cannot go on as it was asked to."""


class UnknownRun(ResumeError):
    """The store has no such run."""

    def __init__(self, run_id: str, candidates: Sequence[str] = ()) -> None:
        self.run_id = run_id
        self.candidates = tuple(candidates)
        hint = f" Did you mean {', '.join(map(repr, candidates))}?" if candidates else ""
        super().__init__(f"There is no run {run_id!r} in this store.{hint}")


class UnknownQuestion(ResumeError):
    """The run has no such open question, or several.

    question: as it was asked for. reason: a sentence. open: ids and nodes of those that are open.
    """

    def __init__(self, run_id: str, question: str, reason: str, open: Sequence[tuple[str, str]] = ()) -> None:
        self.run_id = run_id
        self.question = question
        self.reason = reason
        self.open = tuple(open)
        there = ", ".join(f"{wait} ({node})" for wait, node in self.open[:6])
        more = f" and {len(self.open) - 6} more" if len(self.open) > 6 else ""
        hint = f" Open are: {there}{more}." if there else " No question of it is open."
        super().__init__(f"Question {question!r} of run {run_id!r} cannot be answered: {reason}{hint}")


class AlreadyAnswered(ResumeError):
    """The question has an answer; the first one counts. by: who gave it. at: when, aware, in UTC; None if unknown."""

    def __init__(self, run_id: str, question: str, by: str | None, at: datetime | None) -> None:
        self.run_id = run_id
        self.question = question
        self.by = by
        self.at = at
        who = f" by {by}" if by else ""
        when = "" if at is None else f" at {at:%Y-%m-%d %H:%M:%S} UTC"
        super().__init__(f"Question {question!r} of run {run_id!r} was answered before{who}{when}. That answer counts.")


class UnknownCheckpoint(ResumeError):
    """The run has no such checkpoint. newest: the number of its newest one."""

    def __init__(self, run_id: str, seq: int, newest: int) -> None:
        self.run_id = run_id
        self.seq = seq
        self.newest = newest
        there = "only checkpoint 1" if newest == 1 else f"those from 1 to {newest}"
        super().__init__(f"Run {run_id!r} has no checkpoint {seq}. It has {there}.")


class RunMismatch(ResumeError):
    """The run id is taken by a run with another workflow, other inputs or another initial state."""

    def __init__(self, run_id: str, what: str, stored: str, given: str) -> None:
        self.run_id = run_id
        self.what = what
        advice = f"Choose another run id, or give the {what} that it has."
        super().__init__(
            f"Run {run_id!r} exists with another {what}: it has {stored}, this call gives {given}. {advice}"
        )


class RunBusy(ResumeError):
    """Another live process owns the run.

    owner: who, in words. host, pid: where it lives. since: when it became the owner. expires: when the run is free if
    it does not renew its lease until then. Each is None where the store does not know it; times are aware, in UTC.
    """

    def __init__(
        self,
        run_id: str,
        owner: str,
        *,
        host: str | None = None,
        pid: int | None = None,
        since: datetime | None = None,
        expires: datetime | None = None,
    ) -> None:
        self.run_id = run_id
        self.owner = owner
        self.host = host
        self.pid = pid
        self.since = since
        self.expires = expires
        begun = "" if since is None else f", since {since:%Y-%m-%d %H:%M:%S} UTC"
        free = "" if expires is None else f"; if it is dead, the run is free at {expires:%H:%M:%S} UTC at the latest"
        super().__init__(
            f"Run {run_id!r} is being driven by {owner}{begun}. Wait for it, or stop that process first{free}."
        )


class IncompatibleWorkflow(ResumeError):
    """What is pending in the stored run no longer exists in the workflow, or no longer validates.

    changes: what has changed, a sentence each with the way out; never empty.
    """

    def __init__(self, run_id: str, changes: Sequence[str]) -> None:
        self.run_id = run_id
        self.changes = tuple(changes)
        super().__init__(
            f"Run {run_id!r} cannot go on with this workflow, which has changed since:{numbered(self.changes)}\n"
            "Nothing was changed in the store: the code that it has followed so far can finish it."
        )


class MigrationError(IncompatibleWorkflow):
    """A migration of the stored run failed, or what it made does not fit the workflow.

    from_version: that was to be migrated from, of several the one that failed. to_version: of the workflow. cause: what
    the migration raised, None when it is what it made that does not fit; `changes` then lists why.
    """

    def __init__(
        self,
        run_id: str,
        from_version: int,
        to_version: int,
        *,
        changes: Sequence[str] = (),
        cause: BaseException | None = None,
    ) -> None:
        self.from_version = from_version
        self.to_version = to_version
        message = f"Run {run_id!r} cannot be migrated from version {from_version}"
        if cause is None:
            message += f" to {to_version}, as what came of it does not fit the workflow. Nothing was changed:"
        else:
            detail = f"{type(cause).__name__}: {cause}".rstrip(".")
            changes = [f"The migration from version {from_version} failed with {detail}."]
            message += f": its migration failed with {detail}. Nothing was changed."
        super().__init__(run_id, changes)
        self.args = (message if cause is not None else message + numbered(changes),)
        self.__cause__ = cause


def numbered(sentences: Sequence[str]) -> str:
    """Return sentences as lines with numbers, each begun by a line break."""
    return "".join(f"\n  {number}. {sentence}" for number, sentence in enumerate(sentences, 1))


class CrashLoop(ResumeError):
    """The run was taken over again and again without a new record."""

    def __init__(self, run_id: str, times: int) -> None:
        self.run_id = run_id
        self.times = times
        super().__init__(
            f"Run {run_id!r} was taken over {times} times without a new checkpoint, so the node it is at seems to "
            "kill its process. Look at that node before you resume the run."
        )


class OutcomeUnknown(ResumeError):
    """Tasks that may run at most once had begun when their process ended, so nobody knows whether they had an effect.

    tasks: (key, node) of each.
    """

    def __init__(self, run_id: str, tasks: Sequence[tuple[str, str]]) -> None:
        self.run_id = run_id
        self.tasks = tuple(tasks)
        lines = "".join(f"\n  {number}. node {node!r}, task {key}" for number, (key, node) in enumerate(tasks, 1))
        super().__init__(
            f"Run {run_id!r} cannot go on by itself: what may run at most once had begun and was not finished, so it "
            f"may or may not have had its effect:{lines}\nFind out, then resume the run with settle={{task: Again()}} "
            "to run it again, or settle={task: Done(value)} to go on with what it gave."
        )
