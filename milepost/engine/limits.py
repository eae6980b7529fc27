"""What limits a node over all runs of an engine: how often it may begin, and whether it is worth trying at all."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType

import anyio

from milepost.engine.errors import CircuitOpen
from milepost.engine.policy import CircuitBreaker, Policy, RateLimit

Clock = Callable[[], float]
"""Tells the seconds since some moment, never going back."""

Sleep = Callable[[float], Awaitable[object]]
"""Waits for so many seconds, and can be cancelled."""


class CircuitState(StrEnum):
    """What a circuit lets through: closed everything, open nothing, half open the one attempt that is under way."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitChange:
    """A circuit has changed to `state`. seconds: until an attempt is let through again, 0 unless it is open."""

    workflow: str
    node: str
    state: CircuitState
    seconds: float = 0.0


class Throttle:
    """Lets its callers go on, in the order they came, at most `calls` of them in any `per` seconds.

    The begin of the last `calls` is remembered, so the limit holds for every span of time and not only for those that
    begin at a full second. A caller who is cancelled while waiting gives up its place and uses none of the limit.
    """

    def __init__(self, limit: RateLimit, clock: Clock, sleep: Sleep) -> None:
        self._limit = limit
        self._clock = clock
        self._sleep = sleep
        self._begun: deque[float] = deque(maxlen=limit.calls)
        # Given to those who wait in the order they came. Unlike a lock it belongs to no task, and bodies change theirs.
        self._line = anyio.Semaphore(1, fast_acquire=True)

    async def wait(self) -> None:
        """Return when the caller may begin."""
        async with self._line:
            while (seconds := self._seconds_left()) > 0:
                await self._sleep(seconds)
            self._begun.append(self._clock())

    def _seconds_left(self) -> float:
        if len(self._begun) < self._limit.calls:
            return 0.0
        return self._begun[0] + self._limit.per - self._clock()


class Passage:
    """One attempt that a breaker has let through.

    succeeded: to be set in the block; while it is None, as when the attempt is cancelled, the attempt says nothing.
    An exception that leaves the block is a failure.
    """

    __slots__ = ("_breaker", "_count", "succeeded")

    def __init__(self, breaker: Breaker, count: int) -> None:
        self.succeeded: bool | None = None
        self._breaker = breaker
        self._count = count

    def __enter__(self) -> Passage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        succeeded = False if isinstance(error, Exception) else self.succeeded
        self._breaker.leave(self._count, succeeded)


class Breaker:
    """Refuses attempts of a node that keeps failing.

    changed: is told of every new state and of the seconds until an attempt is let through again.
    Source: the circuit breaker of M. Nygard, Release It! (2007), with a single attempt while half open.
    """

    def __init__(
        self, node: str, rule: CircuitBreaker, clock: Clock, changed: Callable[[CircuitState, float], None]
    ) -> None:
        self.state = CircuitState.CLOSED
        self._node = node
        self._rule = rule
        self._clock = clock
        self._changed = changed
        self._failures = 0
        self._until = 0.0
        self._changes = 0

    def check(self) -> None:
        """Raise CircuitOpen when an attempt would be refused now. Nothing changes."""
        if self.state is CircuitState.HALF_OPEN:  # if the attempt under way fails, it takes at least so long
            raise CircuitOpen(self._node, self._rule.reset)
        if self.state is CircuitState.OPEN and (seconds := self._until - self._clock()) > 0:
            raise CircuitOpen(self._node, seconds)

    def enter(self) -> Passage:
        """Let an attempt through; use what is returned in a `with` statement.

        Raises CircuitOpen: it is refused.
        """
        self.check()
        if self.state is CircuitState.OPEN:
            self._become(CircuitState.HALF_OPEN)
        return Passage(self, self._changes)

    def leave(self, count: int, succeeded: bool | None) -> None:
        """Take note of how an attempt ended. count: of the changes when it began.

        What began before the last change says nothing about the time after it, and is left out.
        """
        if count != self._changes:
            return
        if succeeded is None:
            if self.state is CircuitState.HALF_OPEN:
                self._become(CircuitState.OPEN)
        elif succeeded:
            self._failures = 0
            if self.state is CircuitState.HALF_OPEN:
                self._become(CircuitState.CLOSED)
        else:
            self._failures += 1
            if self.state is CircuitState.HALF_OPEN or self._failures >= self._rule.failures:
                self._until = self._clock() + self._rule.reset
                self._become(CircuitState.OPEN)

    def _become(self, state: CircuitState) -> None:
        self.state = state
        self._changes += 1
        self._changed(state, max(self._until - self._clock(), 0.0) if state is CircuitState.OPEN else 0.0)


def ignore(change: CircuitChange) -> None:
    """Take no notice of a change."""


class Traffic:
    """The throttles and breakers of an engine, one per node, made when a node is first carried out.

    changed: is told whenever a circuit opens, is tried or closes. clock, sleep: for tests.
    """

    def __init__(
        self,
        *,
        changed: Callable[[CircuitChange], None] = ignore,
        clock: Clock = time.monotonic,
        sleep: Sleep = anyio.sleep,
    ) -> None:
        self._changed = changed
        self._clock = clock
        self._sleep = sleep
        self._throttles: dict[tuple[str, str, RateLimit], Throttle] = {}
        self._breakers: dict[tuple[str, str, CircuitBreaker], Breaker] = {}

    def limits(self, workflow: str, node: str, policy: Policy) -> tuple[Throttle | None, Breaker | None]:
        """Return what limits how often a node may begin, and what refuses it while it keeps failing."""
        limit, rule = policy.rate_limit, policy.circuit_breaker
        return (
            None if limit is None else self._throttle((workflow, node, limit)),
            None if rule is None else self._breaker((workflow, node, rule)),
        )

    def _throttle(self, key: tuple[str, str, RateLimit]) -> Throttle:
        found = self._throttles.get(key)
        if found is None:
            found = self._throttles[key] = Throttle(key[2], self._clock, self._sleep)
        return found

    def _breaker(self, key: tuple[str, str, CircuitBreaker]) -> Breaker:
        found = self._breakers.get(key)
        if found is None:
            workflow, node, rule = key

            def changed(state: CircuitState, seconds: float) -> None:
                self._changed(CircuitChange(workflow=workflow, node=node, state=state, seconds=seconds))

            found = self._breakers[key] = Breaker(node, rule, self._clock, changed)
        return found
