"""How often a node may begin, and when it is refused because it keeps failing, on a clock that only tests move."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from milepost.engine.errors import CircuitOpen
from milepost.engine.limits import Breaker, CircuitChange, CircuitState, Throttle, Traffic
from milepost.engine.policy import CircuitBreaker, Policy, RateLimit


def both(test: Any) -> Any:
    """Run a test on asyncio and on trio."""
    return pytest.mark.anyio(pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])(test))


class Clock:
    """A time that passes only when somebody waits for it, with a moment for others in between."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await anyio.lowlevel.checkpoint()
        self.now += seconds


@both
async def test_calls_go_on_at_once_until_the_limit_is_reached() -> None:
    clock = Clock()
    throttle = Throttle(RateLimit(calls=3, per=10.0), clock, clock.sleep)
    for _ in range(3):
        await throttle.wait()
    assert clock.slept == []
    await throttle.wait()
    assert clock.now == 110.0


@both
async def test_no_span_of_time_sees_more_than_the_limit() -> None:
    clock = Clock()
    throttle = Throttle(RateLimit(calls=2, per=10.0), clock, clock.sleep)
    begun: list[float] = []
    for pause in (0.0, 9.0, 0.0, 0.0, 0.0):
        clock.now += pause
        await throttle.wait()
        begun.append(clock.now)
    assert begun == [100.0, 109.0, 110.0, 119.0, 120.0]


@both
async def test_a_quiet_time_is_not_saved_up() -> None:
    clock = Clock()
    throttle = Throttle(RateLimit(calls=1, per=1.0), clock, clock.sleep)
    await throttle.wait()
    clock.now += 50.0
    await throttle.wait()
    await throttle.wait()
    assert clock.now == 151.0


@both
async def test_a_clock_that_wakes_too_early_is_waited_for_again() -> None:
    clock = Clock()

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds / 2 if seconds > 0.5 else seconds)

    throttle = Throttle(RateLimit(calls=1, per=1.0), clock, sleep)
    await throttle.wait()
    await throttle.wait()
    assert clock.now >= 101.0
    assert clock.slept == [0.5, 0.5]


@both
async def test_those_who_wait_go_on_in_the_order_they_came() -> None:
    clock = Clock()
    throttle = Throttle(RateLimit(calls=1, per=1.0), clock, clock.sleep)
    order: list[int] = []

    async def come(number: int) -> None:
        await throttle.wait()
        order.append(number)

    await throttle.wait()
    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(come, number)
            await anyio.wait_all_tasks_blocked()
    assert order == [0, 1, 2, 3, 4]


@both
async def test_who_is_cancelled_gives_up_its_place() -> None:
    clock = Clock()
    woken = anyio.Event()

    async def sleep(seconds: float) -> None:
        await woken.wait()
        await clock.sleep(seconds)

    throttle = Throttle(RateLimit(calls=1, per=1.0), clock, sleep)
    await throttle.wait()
    begun: list[str] = []

    async def come(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            await throttle.wait()
            begun.append(name)

    sleeping, standing = anyio.CancelScope(), anyio.CancelScope()
    async with anyio.create_task_group() as group:
        for name, scope in (("sleeps", sleeping), ("stands", standing), ("stays", anyio.CancelScope())):
            group.start_soon(come, name, scope)
            await anyio.wait_all_tasks_blocked()
        standing.cancel()
        sleeping.cancel()
        await anyio.wait_all_tasks_blocked()
        woken.set()
    assert begun == ["stays"]
    assert clock.now == 101.0


def circuit(clock: Clock, failures: int = 2) -> tuple[Breaker, list[tuple[CircuitState, float]]]:
    changes: list[tuple[CircuitState, float]] = []
    rule = CircuitBreaker(failures=failures, reset=30.0)
    return Breaker("fetch", rule, clock, lambda state, seconds: changes.append((state, seconds))), changes


def attempt(breaker: Breaker, succeeded: bool | None) -> None:
    with breaker.enter() as passage:
        passage.succeeded = succeeded


def test_failures_in_a_row_open_the_circuit() -> None:
    breaker, changes = circuit(Clock())
    attempt(breaker, False)
    assert changes == []
    attempt(breaker, False)
    assert changes == [(CircuitState.OPEN, 30.0)]
    assert breaker.state is CircuitState.OPEN


def test_a_success_in_between_starts_the_count_again() -> None:
    breaker, changes = circuit(Clock())
    for succeeded in (False, True, False, True, False):
        attempt(breaker, succeeded)
    assert (breaker.state, changes) == (CircuitState.CLOSED, [])


def test_an_open_circuit_refuses_and_says_when_it_will_not() -> None:
    clock = Clock()
    breaker, _ = circuit(clock, failures=1)
    attempt(breaker, False)
    clock.now += 12.0
    message = (
        r"Node 'fetch' was not tried, because its last attempts all failed and its circuit is open. The next attempt "
        r"is let through in 18.0 seconds; see why it fails, or resume the run then."
    )
    with pytest.raises(CircuitOpen, match=message) as refused:
        breaker.enter()
    assert (refused.value.node, refused.value.retry_after) == ("fetch", 18.0)


def test_one_attempt_is_let_through_to_see() -> None:
    clock = Clock()
    breaker, changes = circuit(clock, failures=1)
    attempt(breaker, False)
    clock.now += 30.0
    with breaker.enter() as probe:
        assert breaker.state is CircuitState.HALF_OPEN
        with pytest.raises(CircuitOpen) as refused:
            breaker.enter()
        assert refused.value.retry_after == 30.0
        probe.succeeded = True
    attempt(breaker, True)
    assert changes == [(CircuitState.OPEN, 30.0), (CircuitState.HALF_OPEN, 0.0), (CircuitState.CLOSED, 0.0)]


def test_a_probe_that_fails_opens_the_circuit_again() -> None:
    clock = Clock()
    breaker, changes = circuit(clock)
    attempt(breaker, False)
    attempt(breaker, False)
    clock.now += 31.0
    attempt(breaker, False)
    assert changes[1:] == [(CircuitState.HALF_OPEN, 0.0), (CircuitState.OPEN, 30.0)]
    with pytest.raises(CircuitOpen):
        breaker.check()


def test_a_probe_that_is_cancelled_leaves_the_way_to_the_next() -> None:
    clock = Clock()
    breaker, changes = circuit(clock, failures=1)
    attempt(breaker, False)
    clock.now += 30.0
    attempt(breaker, None)
    assert changes[-1] == (CircuitState.OPEN, 0.0)
    attempt(breaker, True)
    assert breaker.state is CircuitState.CLOSED


def test_an_attempt_that_is_cancelled_says_nothing() -> None:
    breaker, changes = circuit(Clock(), failures=1)
    breaker.enter().__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    attempt(breaker, None)
    assert changes == []


def test_an_exception_is_a_failure() -> None:
    breaker, _ = circuit(Clock(), failures=1)
    passage = breaker.enter()
    passage.succeeded = True
    passage.__exit__(ValueError, ValueError(), None)
    assert breaker.state is CircuitState.OPEN


def test_what_began_before_a_change_says_nothing_about_the_time_after_it() -> None:
    clock = Clock()
    breaker, changes = circuit(clock, failures=1)
    with breaker.enter() as slow:
        attempt(breaker, False)
        clock.now += 30.0
        with breaker.enter() as probe:
            slow.succeeded = False
            slow.__exit__(None, None, None)
            probe.succeeded = True
    assert [state for state, _ in changes] == [CircuitState.OPEN, CircuitState.HALF_OPEN, CircuitState.CLOSED]


def test_looking_at_a_circuit_changes_nothing() -> None:
    clock = Clock()
    breaker, _ = circuit(clock, failures=1)
    breaker.check()
    attempt(breaker, False)
    clock.now += 30.0
    breaker.check()
    assert breaker.state is CircuitState.OPEN


def test_an_engine_has_one_throttle_and_one_breaker_for_each_node() -> None:
    traffic = Traffic()
    policy = Policy(rate_limit=RateLimit(calls=1), circuit_breaker=CircuitBreaker())
    again = Policy(rate_limit=RateLimit(calls=1), circuit_breaker=CircuitBreaker(), timeout=3.0)
    throttle, breaker = traffic.limits("claims", "fetch", policy)
    assert throttle is not None
    assert breaker is not None
    assert traffic.limits("claims", "fetch", again) == (throttle, breaker)
    for workflow, node in (("claims", "send"), ("other", "fetch")):
        others = traffic.limits(workflow, node, policy)
        assert others[0] is not throttle
        assert others[1] is not breaker


def test_a_changed_limit_counts_anew() -> None:
    traffic = Traffic()
    before = traffic.limits("claims", "fetch", Policy(rate_limit=RateLimit(calls=1)))
    assert traffic.limits("claims", "fetch", Policy(rate_limit=RateLimit(calls=2))) != before


def test_what_has_no_limit_has_nothing() -> None:
    assert Traffic().limits("claims", "fetch", Policy()) == (None, None)


def test_an_engine_is_told_of_every_change_of_a_circuit() -> None:
    changes: list[CircuitChange] = []
    clock = Clock()
    traffic = Traffic(changed=changes.append, clock=clock, sleep=clock.sleep)
    _, breaker = traffic.limits("claims", "fetch", Policy(circuit_breaker=CircuitBreaker(failures=1, reset=5.0)))
    assert breaker is not None
    attempt(breaker, False)
    clock.now += 5.0
    attempt(breaker, True)
    change = partial(CircuitChange, workflow="claims", node="fetch")
    assert changes == [
        change(state=CircuitState.OPEN, seconds=5.0),
        change(state=CircuitState.HALF_OPEN),
        change(state=CircuitState.CLOSED),
    ]


def test_nobody_has_to_listen() -> None:
    _, breaker = Traffic().limits("claims", "fetch", Policy(circuit_breaker=CircuitBreaker(failures=1)))
    assert breaker is not None
    attempt(breaker, False)
    assert breaker.state is CircuitState.OPEN
