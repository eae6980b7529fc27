"""Run: one execution of a workflow, as the process that drives it or asks for its result sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Generic

import anyio
from typing_extensions import TypeVar

from milepost.engine.errors import MilepostError, RunCancelled
from milepost.engine.events import Checkpoint, Event, Events, RunEnded, TaskFailed, TaskFinished, TaskStarted
from milepost.engine.executor import Driver
from milepost.engine.journal import Kind, Record
from milepost.engine.position import Task
from milepost.engine.trace import RunStatus

OutputT = TypeVar("OutputT", covariant=True, default=Any)


class Run(Generic[OutputT]):
    """A run. id: names it in its store. status: as this process knows it."""

    def __init__(self, run_id: str, status: RunStatus = "running") -> None:
        self.id = run_id
        self.status: RunStatus = status
        self._events = Events()
        self._done = anyio.Event()
        self._scope = anyio.CancelScope()
        self._output: Any = None
        self._failure: BaseException | None = None
        self._driver: Driver | None = None
        self._cancel_asked = False

    def __repr__(self) -> str:
        return f"<Run {self.id!r}, {self.status}>"

    async def result(self) -> OutputT:
        """Wait for the end and return the output.

        Raises what the run failed with: NodeError, RoutingError, StateConflict, NotStorable, StoreError; RunCancelled.
        """
        await self._done.wait()
        if self._failure is not None:
            raise self._failure
        output: OutputT = self._output
        return output

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens from now on, up to the end. A reader that is 10,000 events behind loses the oldest."""
        return self._events.read()

    def cancel(self) -> None:
        """End the run for good. What is committed stays; running tasks are stopped and nothing of theirs is kept."""
        self._cancel_asked = True
        if self._driver is not None:
            self._driver.ask_to_cancel()

    def stop(self) -> None:
        """Stop driving the run here. It stays resumable from its newest checkpoint."""
        self._scope.cancel()

    # --- for the engine ----------------------------------------------------------------------------------------------

    def ended(self, status: RunStatus, output: Any = None, failure: BaseException | None = None) -> None:
        """Say how the run ended, or that this process no longer drives it."""
        self.status = status
        self._output = output
        self._failure = failure
        self._events.send(RunEnded(status=status))
        self._done.set()

    async def drive(self, driver: Driver) -> None:
        """Drive the run to its end, failure or stop."""
        self._driver = driver
        driver.watch = self._tell
        if self._cancel_asked:
            driver.ask_to_cancel()
        try:
            with self._scope:
                await driver.drive()
        except anyio.get_cancelled_exc_class():  # the engine is being left: stopped, and resumable
            raise
        except BaseException as error:
            self.ended("failed", failure=error)
            raise
        finally:
            self._driver = None
            if not self._done.is_set():
                self._conclude(driver)

    def _conclude(self, driver: Driver) -> None:
        if driver.failure is not None:
            status: RunStatus = "cancelled" if isinstance(driver.failure, RunCancelled) else "failed"
            self.ended(status, failure=driver.failure)
        elif driver.ended:
            self.ended("completed", driver.output())
        else:
            self.ended("running", failure=MilepostError(f"Run {self.id!r} was stopped. Resume it to go on."))

    def _tell(self, record: Record, spawned: tuple[Task, ...]) -> None:
        """Turn a committed record into events, if anybody reads them."""
        if not self._events.watched:
            return
        timing = record.timing
        if record.kind is Kind.COMPLETED and timing is not None:
            seconds = timing.finished - timing.started
            self._events.send(
                TaskFinished(node=record.node, task=record.task, attempts=timing.attempts, seconds=seconds)
            )
        elif record.kind is Kind.FAILED:
            self._events.send(TaskFailed(node=record.node, task=record.task, error=record.error or ""))
        self._events.send(Checkpoint(seq=record.seq))
        for task in spawned:
            self._events.send(TaskStarted(node=task.node, task=task.key))
