"""Run: one execution of a workflow, as the process that drives it or asks for its result sees it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Protocol

import anyio
from typing_extensions import TypeVar

from milepost.engine.definition import describe
from milepost.engine.errors import InputError, MilepostError, RunCancelled
from milepost.engine.events import CircuitChanged, CommittedEvent, Event, RunEnded, RunStopped
from milepost.engine.executor import Driver
from milepost.engine.journal import Record
from milepost.engine.limits import CircuitChange
from milepost.engine.mailroom import ANSWER, CANCEL, EVENT
from milepost.engine.position import Task
from milepost.engine.questions import OpenWait
from milepost.engine.readers import Backlog, Reader, Readers, Slow
from milepost.engine.stores.store import Message, Store
from milepost.engine.trace import RunStatus
from milepost.engine.workflow import Workflow

if TYPE_CHECKING:
    from milepost.engine.checkpoints import Snapshot
    from milepost.engine.following import History

OutputT = TypeVar("OutputT", covariant=True, default=Any)


Account = Callable[[Record, Sequence[Task]], Iterable[CommittedEvent]]
"""What a committed record tells those who watch, with the tasks that it made."""


class Parking(Protocol):
    """What can be done with a run that waits for something outside, and that nobody drives meanwhile."""

    def wake(self) -> None:
        """Have it go on, or look whether it can."""
        ...

    def let_go(self) -> None:
        """Wait with it no more. It stays resumable."""
        ...


class Voice(Protocol):
    """What speaks to runs, as an engine does."""

    async def questions(self, run_id: str | None = None) -> list[OpenWait]:
        """Return the questions that are open."""
        ...

    async def answer(self, run_id: str, question: str, value: object, *, by: str | None = None) -> OpenWait:
        """Answer a question of a run."""
        ...

    async def send(
        self,
        run_id: str,
        event: str,
        value: object = None,
        *,
        key: str | None = None,
        id: str | None = None,
        by: str | None = None,
    ) -> bool:
        """Tell a run that something has happened outside."""
        ...


class Run(Generic[OutputT]):
    """A run. id: names it in its store. status: as this process knows it.

    turn: how often that has changed. due: when it goes on by itself while it waits, seconds since 1970 UTC; None for
    never. parking: what can be done with it while it waits and nobody drives it. voice: what speaks to it, the engine.
    is_passing: nobody here waits with it, so that it is let go when it waits. store: where it lives, None for nowhere.
    clock: seconds since 1970 UTC.
    """

    def __init__(
        self,
        run_id: str,
        workflow: Workflow[Any, Any, Any, Any],
        *,
        voice: Voice,
        store: Store | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.id = run_id
        self.status: RunStatus = "running"
        self.due: float | None = None
        self.parking: Parking | None = None
        self._workflow = workflow
        self._voice = voice
        self._store = store
        self._clock = clock
        self._readers = Readers(self._wire)
        self._account: Account | None = None
        self._newest: Record | None = None
        self._done = anyio.Event()
        self._scope = anyio.CancelScope()
        self._output: Any = None
        self._failure: BaseException | None = None
        self._driver: Driver | None = None
        self._cancel_asked: tuple[str, ...] | None = None
        self._changed: anyio.Event | None = None
        self.turn = 0
        self.is_stopping = False
        self.is_passing = False
        self._heard: set[str] = set()
        self.post_office: Callable[[], Awaitable[None]] | None = None

    def __repr__(self) -> str:
        return f"<Run {self.id!r}, {self.status}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from milepost.engine.shown import bundle_of, glance

        bundle = bundle_of(glance(self._store, self.id) or self._workflow)
        return {**bundle, "text/plain": f"{self!r}\n{bundle['text/plain']}"}

    def _repr_svg_(self) -> str | None:
        from milepost.engine.shown import glance, svg_of

        return svg_of(glance(self._store, self.id) or self._workflow)

    async def watch(self, *, every: float = 0.25) -> RunStatus:
        """Show what the run does while it does it, in a notebook or on a terminal, and return how it stands then.

        That is when it is over, or waits for somebody or something outside; call this again to see how it goes on.
        every: seconds between two pictures at least. Shows nothing where there is neither. Without a store, what has
        happened before is not known. What the run fails with is raised by `result` alone. Raises InputError: `every`
        makes no sense.
        """
        from milepost.engine.shown import glance

        watching = import_module("milepost.visualize.watching")  # by name: what draws stands on this
        await watching.watch(self, describe(self._workflow), every, lambda: glance(self._store, self.id))
        return self.status

    @property
    def has_store(self) -> bool:
        """Whether what happens is kept, so that what has happened can be read."""
        return self._store is not None

    async def result(self) -> OutputT:
        """Wait for the end and return the output, also while the run waits for somebody or something outside.

        Raises what the run failed with: NodeError, RoutingError, StateConflict, NotStorable, StoreError; RunCancelled.
        RunWaiting: it still waits, and the engine is left.
        """
        if self._readers.can_wait:
            me = anyio.get_current_task().id
            self._readers.excuse(me)
            try:
                await self._done.wait()
            finally:
                self._readers.expect(me)
        await self._done.wait()
        if self._failure is not None:
            raise self._failure
        output: OutputT = self._output
        return output

    def events(self, *, slow: Slow = "drop_oldest", most: int = 10_000, after: int | None = None) -> Reader:
        """Yield what happens from now on, up to the end.

        most: how many events wait for this reader. slow: what becomes of it when it is that far behind: it loses the
        oldest ones, and a `Dropped` tells how many, or the run waits for it. The run waits for nobody while it is being
        cancelled, nor for a reader that waits for the run's result instead of reading on; and what bodies emit while it
        has to wait is lost all the same, as they do not wait. after: first what is committed after this checkpoint,
        read from the store (0: from the beginning), then what happens, with no gap and with nothing said twice.
        Raises InputError: an option makes no sense, or there is no store to read what has happened from.
        """
        if slow not in ("drop_oldest", "wait"):
            raise InputError(f"slow={slow!r} is not known. Write 'drop_oldest' or 'wait'.")
        if most < 1:
            raise InputError(f"A reader for which at most {most} events wait could never read any. Give 1 or more.")
        backlog = Backlog(slow, most, anyio.get_current_task().id, after or 0)
        return Reader(self._readers, backlog, None if after is None else self._history(after))

    def _history(self, after: int) -> History:
        from milepost.engine.following import History

        return History(self._need_store("Leave `after` out, or give"), self.id, after=after)

    def _need_store(self, way_out: str = "Give") -> Store:
        if self._store is None:
            raise InputError(
                f"Run {self.id!r} has no store, so what has happened is not kept. {way_out} the engine a store: "
                "Engine('sqlite:///runs.db')."
            )
        return self._store

    async def at(self, seq: int) -> Snapshot[Any, OutputT, Any]:
        """Return what the run was at one of its checkpoints, with its values as the workflow declares them.

        Raises UnknownCheckpoint, IncompatibleWorkflow, BrokenJournal, StoreError; InputError: there is no store.
        """
        store = self._need_store()
        row = await store.row(self.id)
        assert row is not None
        from milepost.engine.checkpoints import typed_snapshot_at

        return await typed_snapshot_at(store, row, seq, self._workflow)

    async def questions(self) -> list[OpenWait]:
        """Return the open questions of this run and of those inside it; the engine's `questions` for this run."""
        return await self._voice.questions(self.id)

    async def answer(self, question: str, value: object, *, by: str | None = None) -> OpenWait:
        """Answer a question of this run; the engine's `answer` for this run, which says what may be raised."""
        return await self._voice.answer(self.id, question, value, by=by)

    async def send(
        self, event: str, value: object = None, *, key: str | None = None, id: str | None = None, by: str | None = None
    ) -> bool:
        """Tell this run that something has happened outside; the engine's `send` for this run."""
        return await self._voice.send(self.id, event, value, key=key, id=id, by=by)

    def cancel(self, *, taken: Sequence[str] = ()) -> None:
        """End the run for good. What is committed stays; running tasks are stopped and nothing of theirs is kept.

        taken: the ids of the messages in the run's inbox that ask for it.
        """
        self._cancel_asked = tuple(taken)
        self._readers.hurry()
        if self._driver is not None:
            self._driver.ask_to_cancel(self._cancel_asked)
        elif self.parking is not None:
            self.parking.wake()

    def stop(self) -> None:
        """Stop driving the run here. It stays resumable from its newest checkpoint."""
        self.is_stopping = True
        self._scope.cancel()
        if self.parking is not None:
            self.parking.let_go()

    async def settle(self) -> RunStatus:
        """Wait until the run is over or waits for somebody or something outside, and return how it stands then.

        A stored run waits when nobody owns it any more: a checkpoint that says so may be followed by the next one at
        once, with what had come before.
        """
        while not (self._is_settled or self._done.is_set()):
            await self._wait_for_change()
        return self.status

    @property
    def _is_settled(self) -> bool:
        return self.status == "waiting" and (self._store is None or self.parking is not None)

    async def stir(self, since: int | None = None) -> None:
        """Wait until a run that waits changes how it stands; it may wait for something else by the time that is heard.

        since: what `turn` was when it was last looked at, so that no change is missed.
        """
        if self.status == "waiting" and not self._done.is_set() and since in (None, self.turn):
            await self._wait_for_change()

    async def _wait_for_change(self) -> None:
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    # --- for the engine ----------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether the run has ended, or is not driven here any more."""
        return self._done.is_set()

    @property
    def is_asked_to_end(self) -> bool:
        """Whether it is to end for good, as soon as somebody drives it."""
        return self._cancel_asked is not None

    def park(self, parking: Parking) -> None:
        """Note that nobody drives the run while it waits."""
        self.parking = parking
        self._heard = set()
        self.stands("waiting", self.due)
        self._stir()

    def stands(self, status: RunStatus, due: float | None = None) -> None:
        """Note how the run stands. due: when it goes on by itself while it waits."""
        self.due = due
        if status != self.status:
            self.status = status
            self._stir()

    def _stir(self) -> None:
        """Have those look again who wait for a change of how the run stands."""
        self.turn += 1
        self._rouse()

    def _rouse(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def hear(self, messages: Sequence[Message]) -> None:
        """Take in what waits in the inbox of the run, each message once."""
        self._heard &= {message.id for message in messages}
        known = (CANCEL, ANSWER, EVENT)
        fresh = [message for message in messages if message.id not in self._heard and message.kind in known]
        cancels = [message.id for message in fresh if message.kind == CANCEL]
        if cancels:
            self.cancel(taken=cancels)
        elif self._driver is not None:
            for message in fresh:
                self._heard.add(message.id)
                self._driver.hear(message)
        elif self.parking is not None and fresh:
            self.parking.wake()

    def say(self, message: Message) -> None:
        """Take in what was said to a run that has no store."""
        if self._driver is not None:
            self._driver.hear(message)

    @property
    def driver(self) -> Driver | None:
        """What drives the run here now."""
        return self._driver

    def leave(self) -> None:
        """Note that the engine is being left, so that nobody will say anything to a run that is stored nowhere."""
        if self._driver is not None and self._store is None:
            self._driver.leave()

    def ended(self, status: RunStatus, output: Any = None, failure: BaseException | None = None) -> None:
        """Say how the run ended, or that this process no longer drives it."""
        self.parking = None
        self.stands(status, self.due)
        self._output = output
        self._failure = failure
        self._readers.end(self._end())
        self._done.set()
        self._rouse()

    def _end(self) -> Event | None:
        """Return the last event, None for a run that had ended before."""
        ended = None
        if self._newest is not None:
            self._newest.at = self._newest.at or self._clock()
            from milepost.engine.account import end_of

            ended = end_of(self._newest)
        return ended or (RunStopped(reason=str(self._failure)) if self._failure is not None else None)

    def tell_circuit(self, change: CircuitChange) -> None:
        """Tell those who watch that the circuit of a node has changed, if it is one of this workflow's."""
        if change.workflow == (self._workflow.name or ""):
            event = CircuitChanged(
                workflow=change.workflow, node=change.node, state=change.state, seconds=change.seconds
            )
            self._readers.send(event)

    def expect_no_reader(self, task: int) -> None:
        """Wait for no reader of this task any more, because it waits for the run."""
        self._readers.excuse(task)

    def note(self, record: Record, spawned: tuple[Task, ...]) -> None:
        """Turn a committed record into events, if anybody reads them. The end comes when the run is over here."""
        self._newest = record
        self._readers.seq = record.seq
        if record.rests or self.status == "waiting":
            self.stands("waiting" if record.rests else "running", record.due)
        if not self._readers.watched:
            return
        if self._account is None:
            self._account = account_of(self._workflow)
        if not record.at:
            record.at = self._clock()
        for event in self._account(record, spawned):
            if not isinstance(event, RunEnded):
                self._readers.send(event)

    async def wait(self) -> RunStatus:
        """Wait for the end and return how the run stands then; "running" when it was only stopped here."""
        await self._done.wait()
        return self.status

    async def drive(self, driver: Driver) -> None:
        """Drive the run to its end, failure or stop."""
        self._driver = driver
        if self.is_stopping:
            self._scope.cancel()
        self._heard, self.parking = set(), None
        driver.post_office = self.post_office
        self._wire()
        if self._cancel_asked is not None:
            driver.ask_to_cancel(self._cancel_asked)
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
            self._heard = set()  # what it was told last, it may not have taken in
            if not self._done.is_set():
                self._conclude(driver)

    def _conclude(self, driver: Driver) -> None:
        if driver.failure is not None:
            status: RunStatus = "cancelled" if isinstance(driver.failure, RunCancelled) else "failed"
            self.ended(status, failure=driver.failure)
        elif driver.ended:
            self.ended("completed", driver.output())
        elif driver.rests:
            self._scope, self.due = anyio.CancelScope(), driver.position.until
        else:
            self.ended("running", failure=MilepostError(f"Run {self.id!r} was stopped. Resume it to go on."))

    def _wire(self) -> None:
        """Have the driver tell what no record says, and wait for slow readers, only while somebody wants that."""
        if self._driver is not None:
            self._driver.tell = self._readers.tell if self._readers.watched else None
            self._driver.room = self._readers.room if self._readers.can_wait else None


def account_of(workflow: Workflow[Any, Any, Any, Any]) -> Account:
    """Return what turns the records of a workflow's runs into events. Nothing of it is needed while nobody watches."""
    from milepost.engine.account import events_of
    from milepost.engine.edges import shape_of

    return partial(events_of, shape=shape_of(describe(workflow)))
