"""The one seam that carries out a task's body: attempts, time limits and what the body can ask about itself."""

from __future__ import annotations

import time
from asyncio import CancelledError, current_task
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Generic, Protocol, TypeVar

import anyio

from milepost.engine.caching import MISSING, NodeCache
from milepost.engine.children import ChildWork, Parent, Place
from milepost.engine.current import Current, set_current, total_usage, unset_current
from milepost.engine.errors import CircuitOpen, InputError, ResumeError, WorkflowError
from milepost.engine.events import AttemptStarted, Event, TaskRetried
from milepost.engine.facilities import Facilities
from milepost.engine.journal import Timing, Tried
from milepost.engine.limits import Breaker
from milepost.engine.plan import Plan
from milepost.engine.policy import Policy
from milepost.engine.position import Task
from milepost.engine.retrying import next_wait
from milepost.engine.spans import Spans
from milepost.engine.state import State, StateView
from milepost.engine.trace import Usage
from milepost.engine.values import Values
from milepost.engine.waits import Settled

T = TypeVar("T")

IN_VAIN = (CircuitOpen, InputError, ResumeError, WorkflowError)
"""What trying again does not help against, also when it comes out of a run inside the run."""

MOST_TRIED: Final = 1_000
"""How many failed attempts of one task are told of."""
LONGEST_LINE: Final = 200
"""How many characters are kept of how an attempt failed that was followed by another."""


@dataclass(slots=True)
class Outcome:
    """How a task's body ended.

    view: the state as the last attempt left it. error: why it failed for good. usage: of all attempts. cached: the
    output was taken from the cache. until: when all attempts have to be over, seconds since 1970 UTC. tried: the
    attempts before the last one. settled: how what the task waited for came. taken: ids of the messages with which.
    """

    output: Any
    view: StateView
    error: BaseException | None = None
    timing: Timing | None = None
    usage: Usage | None = None
    cached: bool = False
    until: float | None = None
    tried: tuple[Tried, ...] = ()
    settled: Settled | None = None
    taken: tuple[str, ...] = ()

    def retried(self) -> None:
        """Note how the last attempt failed, if there was one: there is another."""
        if self.error is not None and self.timing is not None and len(self.tried) < MOST_TRIED:
            self.tried = (*self.tried, Tried(self.timing.started, self.timing.finished, line_of(self.error)))
        self.error = None


class InOwnContext(Generic[T]):
    """A coroutine that runs in a copy of the current context, so that the variables it sets stay its own, as in a task.

    Await it when `begin` has told that it waits.
    """

    __slots__ = ("_coroutine", "_run", "_waited", "result")

    result: T

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._run = copy_context().run

    def begin(self) -> bool:
        """Run up to where it waits for something, or to its end; tell whether it has come to its `result`."""
        try:
            self._waited = self._run(self._coroutine.send, None)
        except StopIteration as stop:
            self.result = stop.value
            return True
        return False

    def __await__(self) -> Generator[Any, Any, None]:
        run, send, throw, waited = self._run, self._coroutine.send, self._coroutine.throw, self._waited
        try:
            while True:
                try:
                    answer: Any = yield waited
                except GeneratorExit:
                    run(self._coroutine.close)
                    raise
                except BaseException as error:
                    waited = run(throw, error)
                else:
                    waited = run(send, answer)
        except StopIteration as stop:
            self.result = stop.value


async def within(seconds: float | None, waited: Awaitable[T]) -> T:
    """Await something for so many seconds at most. Raises TimeoutError."""
    if seconds is None:
        return await waited
    with anyio.move_on_after(seconds):
        return await waited
    raise TimeoutError(f"it took longer than {seconds:g} seconds")


class Host(Protocol):
    """What a body needs of the driver of its run.

    tell: takes what happens without a record; None while nobody watches.
    """

    tell: Callable[[Event], None] | None

    def is_alone(self) -> bool:
        """Tell whether no other body runs."""
        ...

    def listener(self) -> Callable[[Event], None] | None:
        """Return `tell`."""
        ...

    async def intend(self, task: Task) -> bool:
        """Commit that a task which may run at most once is about to begin. Returns False when the run is over."""
        ...

    def is_wanted(self, task: str) -> bool:
        """Tell whether a task is still to be done, here or by whoever resumes the run."""
        ...

    def asleep(self, task: str, run_id: str, until: float | None) -> None:
        """Note that a task waits as the run inside it does. until: when that goes on by itself, None for never."""
        ...

    def awake(self, task: str) -> None:
        """Note that the run inside a task goes on."""
        ...


class Attempt:
    """One attempt of a task: what runs in its `with` block can ask about it, and what it raises is its outcome's.

    seconds: how long it may take, None for no limit. taken: how many items of its stream are committed, None where it
    does not read one.
    """

    __slots__ = ("_host", "_number", "_outcome", "_span", "_started", "_token", "current")

    def __init__(
        self, body: Body, task: Task, outcome: Outcome, number: int, seconds: float | None, taken: int | None = None
    ) -> None:
        deadline = None if seconds is None and outcome.until is None else deadline_of(seconds, outcome.until)
        self.current = Current(
            body.run_id,
            task.node,
            task.key,
            number,
            deadline,
            taken or 0,
            listener=body.host.listener,
            nest=body.nest,
            clock=body.clock,
        )
        self._host = body.host
        self._outcome = outcome
        self._number = number
        reads = taken is not None
        self._span = None if body.spans is None else body.spans.attempt(task.node, task.key, number, reads=reads)

    def __enter__(self) -> Attempt:
        self._token = set_current(self.current)
        self._started = time.time()
        tell = self._host.tell
        if tell is not None:
            tell(AttemptStarted(node=self.current.node, task=self.current.task, attempt=self._number))
        if self._span is not None:
            self._span.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self._span is not None:
            self._span.__exit__(kind, error, traceback)
        unset_current(self._token)
        outcome = self._outcome
        outcome.timing = Timing(self._started, time.time(), self._number, outcome.tried)
        if self.current.usage is not None:
            outcome.usage = total_usage(outcome.usage, self.current.usage)
        if error is None:
            return False
        if isinstance(error, Exception) or (isinstance(error, CancelledError) and not is_being_cancelled()):
            outcome.error = error  # a cancellation that nobody asked for is the body's own, e.g. of what it waited for
            return True
        return False


def deadline_of(seconds: float | None, until: float | None) -> datetime:
    """Return when an attempt that begins now runs out of time."""
    ends = [end for end in (until, None if seconds is None else time.time() + seconds) if end is not None]
    return datetime.fromtimestamp(min(ends), UTC)


Try = Callable[[Outcome, int, float | None], Awaitable[None]]
"""Makes one attempt, given its outcome to fill in, its number and how many seconds it may take."""


class Body:
    """Carries out the bodies of a run's tasks, here as coroutines of this process."""

    def __init__(
        self,
        plan: Plan,
        values: Values,
        state: State,
        deps: Any,
        run_id: str,
        host: Host,
        facilities: Facilities,
        cache: NodeCache | None,
        place: Place,
        spans: Spans | None,
    ) -> None:
        self.run_id = run_id
        self.clock = facilities.clock
        self.host = host
        self.spans = spans
        self._plan = plan
        self._values = values
        self._state = state
        self._deps = deps
        self._facilities = facilities
        self._cache = cache
        self._place = place

    async def carry_out(self, task: Task) -> Outcome:
        """Try a task until it succeeds or its policy is used up."""
        policy = self._plan.nodes[task.node].policy
        if policy is None:
            view = self._state.view(self.host.is_alone, task)
            outcome = Outcome(None, view)
            with Attempt(self, task, outcome, 1, None):
                outcome.output = await self.call(task, view)
            return outcome
        if policy.cache is not None and self._cache is not None:
            outcome = Outcome(None, self._state.view(self.host.is_alone))
            try:
                outcome.output = await self._cache.get(task, policy.cache)
            except Exception as error:  # of the author's key, or of the store
                outcome.error = error
                return outcome
            if outcome.output is not MISSING:
                outcome.cached = True
                return outcome
        if policy.at_most_once and not await self.host.intend(task):
            return Outcome(None, self._state.view(self.host.is_alone))
        return await self.under_policy(task, partial(self._attempt, task))

    async def under_policy(self, task: Task, attempt: Try) -> Outcome:
        """Make attempts until one succeeds or the policy is used up. The last one's outcome holds the usage of all."""
        policy = self._plan.nodes[task.node].policy or Policy()
        outcome = Outcome(None, StateView.nothing())
        if policy.total_timeout is None:
            await self._attempts(task, policy, outcome, attempt)
            return outcome
        outcome.until = time.time() + policy.total_timeout
        with anyio.move_on_after(policy.total_timeout) as limit:
            await self._attempts(task, policy, outcome, attempt)
        if limit.cancelled_caught:
            outcome.error = TimeoutError(f"all attempts together took longer than {policy.total_timeout:g} seconds")
        return outcome

    async def _attempts(self, task: Task, policy: Policy, outcome: Outcome, attempt: Try) -> None:
        throttle, breaker = self._facilities.traffic.limits(self._plan.workflow.name or "", task.node, policy)
        if self._place.is_inside(task.node):  # the outermost attempt counts, and none can pass that it waits for
            breaker = None
        began = time.monotonic()
        number = 0
        while True:
            number += 1
            outcome.retried()
            if throttle is not None:
                await throttle.wait()
            if breaker is None:
                await attempt(outcome, number, policy.timeout)
            else:
                await self._guarded(breaker, outcome, partial(attempt, outcome, number, policy.timeout))
            error = outcome.error
            if error is None or policy.retry is None or isinstance(error, IN_VAIN):
                return
            now = time.monotonic()
            left = None if outcome.until is None else outcome.until - time.time()
            try:
                wait = next_wait(policy.retry, number, began, error, now, left=left)
            except WorkflowError as fault:  # the author's own strategy failed, and nobody can say how to go on
                outcome.error = fault
                return
            if wait is None:
                return
            self._state.drop(outcome.view)
            if self.host.tell is not None:
                text = printable(f"{type(error).__name__}: {error}")
                self.host.tell(TaskRetried(node=task.node, task=task.key, attempt=number, error=text, wait=wait))
            await anyio.sleep(wait)

    async def _guarded(self, breaker: Breaker, outcome: Outcome, attempt: Callable[[], Awaitable[None]]) -> None:
        """Make an attempt if the circuit lets it through, and tell the circuit how it went."""
        try:
            passage = breaker.enter()
        except CircuitOpen as error:
            outcome.error = error
            return
        with passage:
            await attempt()
            passage.succeeded = outcome.error is None

    async def _attempt(self, task: Task, outcome: Outcome, number: int, seconds: float | None) -> None:
        """Try once, with inputs and a view of the state of its own."""
        outcome.view = view = self._state.view(self.host.is_alone, task)
        with Attempt(self, task, outcome, number, seconds):
            waited = self.call(task, view)
            outcome.output = await (waited if seconds is None else within(seconds, waited))

    async def nest(self, attempt: Current, work: ChildWork) -> Any:
        """Drive a run inside this one for an attempt of a task."""
        parent = Parent(
            run_id=self.run_id,
            task=attempt.task,
            node=attempt.node,
            place=self._place,
            is_wanted=partial(self.host.is_wanted, attempt.task),
            asleep=partial(self.host.asleep, attempt.task),
            awake=partial(self.host.awake, attempt.task),
        )
        return await self._facilities.nest(parent, work, self._facilities)

    def call(self, task: Task, view: StateView) -> Awaitable[Any]:
        """Call a node's function."""
        call = self._plan.nodes[task.node].call
        assert call is not None
        waited: Awaitable[Any] = call(view.context(self._deps, self._values.load(task.ref)))
        return waited


def printable(text: str) -> str:
    """Return text that can be written as UTF-8, which that of an exception need not be."""
    return text.encode("utf-8", "replace").decode()


def line_of(error: BaseException) -> str:
    """Return an exception as one short line, the name of its class first."""
    name = type(error).__name__
    try:
        lines = str(error).split("\n", 1)
    except Exception:  # of the author's own class; the attempt after this one may succeed
        return name
    return printable(f"{name}: {lines[0]}"[:LONGEST_LINE])


def is_being_cancelled() -> bool:
    """Tell whether somebody cancels the asyncio task that runs this."""
    try:
        task = current_task()
    except RuntimeError:  # no loop of asyncio's
        return False
    return task is None or task.cancelling() > 0
