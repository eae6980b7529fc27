"""What becomes of a task that failed for good: an error edge takes it, or the run fails.

A run fails, too, when an output cannot be routed, and when nothing is left to do although nothing has reached the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from milepost.engine.attempts import Outcome, printable
from milepost.engine.errors import (
    InputError,
    MilepostError,
    NodeError,
    ResumeError,
    RoutingError,
    StoreError,
    WorkflowError,
)
from milepost.engine.failure import Failure
from milepost.engine.journal import Kind, Record, apply
from milepost.engine.patch import Patch
from milepost.engine.plan import Plan
from milepost.engine.position import LiveStream, Position, Task, patch_state
from milepost.engine.route import Router
from milepost.engine.state import State, StateView
from milepost.engine.tracebacks import traceback_of
from milepost.engine.values import Values


class Host(Protocol):
    """What failing needs of the driver of a run."""

    position: Position

    def route(
        self, record: Record, view: StateView, route: Callable[[], None], released: Callable[[], None] | None = None
    ) -> None:
        """Route something and commit what comes of it. released: is called when that is committed."""
        ...

    def gone(self, key: str) -> None:
        """Note that a task or stream exists no more."""
        ...

    def let_finish(self) -> None:
        """Begin nothing more, and let what is running finish."""
        ...

    def break_off(self, record: Record, reason: BaseException | None) -> None:
        """Commit a record that ends the run. reason: what the run then fails with, None when another follows."""
        ...


@dataclass(frozen=True, slots=True)
class Failed:
    """A task that failed for good."""

    task: Task
    outcome: Outcome
    error: BaseException


class Failures:
    """What has failed in one run. pending: tasks whose failure is written down when what is running has finished."""

    def __init__(self, plan: Plan, values: Values, state: State, router: Router, host: Host) -> None:
        self.pending: list[Failed] = []
        self._waits = plan.workflow.on_failure == "finish"
        self._values = values
        self._state = state
        self._router = router
        self.host = host

    def add(self, task: Task, outcome: Outcome, error: BaseException, stream: LiveStream | None) -> None:
        """Deal with a task, or the stream that it gave, that failed after its policy."""
        if is_of_the_node(error) and self._router.handles(task.node, error):
            self._catch(task, outcome, error, stream)
            return
        self.pending.append(Failed(task, outcome, error))
        if self._waits:
            self.host.let_finish()
        else:
            self.conclude()

    def _catch(self, task: Task, outcome: Outcome, error: BaseException, stream: LiveStream | None) -> None:
        """Send the failure along the error edge that takes it."""
        record = Record(self.host.position.seq + 1, Kind.CAUGHT, task.key if stream is None else stream.key, task.node)
        self._tell(record, outcome, error)
        view = self._state.view(lambda: False)
        failure: Failure[Any] = Failure(
            node=task.node,
            task=task.key,
            attempts=attempts_of(outcome),
            error=f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."),
            message=printable(str(error)),
            inputs=self._values.load(task.ref),
        )
        try:
            self.host.route(
                record,
                view,
                lambda: self._router.caught(record, task, stream, failure, error, view),
                partial(self.host.gone, record.task),
            )
        except Exception as unfit:
            self.pending.append(Failed(task, outcome, unfit))
            self.conclude()

    def _tell(self, record: Record, outcome: Outcome, error: BaseException) -> None:
        """Say in a record when a task was tried, what that cost, how it failed and where."""
        record.timing, record.usage, record.error = outcome.timing, outcome.usage, text_of(error)
        record.settled, record.taken = outcome.settled, outcome.taken
        record.traceback = traceback_of(error) if self._values.storing else None

    def conclude(self) -> None:
        """Write down what failed, the first last, as it is what the run fails with."""
        for failed in reversed(self.pending):
            task, outcome, error = failed.task, failed.outcome, failed.error
            record = Record(self.host.position.seq + 1, Kind.FAILED, task.key, task.node)
            self._tell(record, outcome, error)
            apply(self.host.position, record)
            self.host.break_off(record, self._reason(failed) if failed is self.pending[0] else None)

    def keep_unrouted(self, record: Record, patch: Patch | None, view: StateView, error: Exception) -> None:
        """Commit an output whose routing failed. The position is half moved, so nothing else is done with it."""
        reason = error if isinstance(error, MilepostError) else RoutingError(record.node, "its edge", error)
        kept = Record(record.seq, record.kind, record.task, record.node, record.values[:1], patch=patch, unrouted=True)
        kept.timing, kept.usage, kept.error = record.timing, record.usage, printable(str(error))
        kept.settled, kept.taken = record.settled, record.taken
        if record.kind not in (Kind.STARTED, Kind.COMPLETED):  # is routed, or given, again by a resume
            kept.unrouted, kept.kind, kept.values, kept.patch = False, Kind.FAILED, [], None
            kept.task = record.task if record.stream is None else record.stream[0].task.key
        self._state.drop(view)
        if kept.unrouted and patch is not None:
            patch_state(self.host.position, patch)
            self._state.commit(view, patch, record.node)
        self.host.break_off(kept, reason)

    def give_up(self) -> None:
        """Fail a run in which nothing is left to do."""
        error = WorkflowError(
            "The run has nothing left to do and no value reached the end. A map over nothing needs "
            "`downstream_join_id`, so that its join fires all the same."
        )
        error.upstream = RuntimeError(
            "Graph run completed, but no result was produced. This is either a bug in the graph or a bug in the graph "
            "runner."
        )
        record = Record(self.host.position.seq + 1, Kind.FAILED, "")
        record.error = str(error)
        self.host.break_off(record, error)

    def _reason(self, failed: Failed) -> BaseException:
        """Return what a run raises that fails with this."""
        task, error = failed.task, failed.error
        if isinstance(error, MilepostError) and not is_of_the_node(error):
            return error
        summary = self._values.summary(task.ref)
        return NodeError(task.node, task.key, attempts_of(failed.outcome), error, summary=summary)


def attempts_of(outcome: Outcome) -> int:
    """Return how many attempts were made."""
    return outcome.timing.attempts if outcome.timing is not None else 1


def text_of(error: BaseException) -> str:
    """Return an exception as one text, the name of its class first."""
    return printable(f"{type(error).__name__}: {error}")


def is_of_the_node(error: BaseException) -> bool:
    """Tell whether an error edge may take an exception: not one that says the workflow or its store is at fault."""
    return isinstance(error, Exception) and not isinstance(error, (WorkflowError, StoreError, ResumeError, InputError))
