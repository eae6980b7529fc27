"""Whether a node that failed is tried again, and when. The strategies are tenacity's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, cast

from milepost.engine.errors import WorkflowError
from milepost.engine.policy import Retry, WaitStrategy, is_number

if TYPE_CHECKING:
    from tenacity import RetryCallState

HEADERS: Final = ("retry-after", "Retry-After")
"""How plain dicts spell it; the mappings of HTTP clients take either."""


def next_wait(
    retry: Retry,
    attempt: int,
    started: float,
    error: BaseException,
    now: float,
    *,
    idle: float = 0.0,
    left: float | None = None,
    at: datetime | None = None,
) -> float | None:
    """Return the seconds to wait before the next attempt, or None when there is to be none.

    attempt: how many were made. started, now: seconds of the same clock, when the first attempt began and when this one
    failed. error: how it failed. idle: seconds waited between attempts so far. left: seconds until no attempt may go
    on; a wait that would use them up is not begun. at: the time of day now, for a server that names one.
    Raises WorkflowError: a function or strategy of the author's failed.

    >>> next_wait(Retry(attempts=4, wait=1.0), 3, 0.0, OSError(), 0.0)
    4.0
    """
    if not is_retried(retry, error) or (retry.attempts is not None and attempt >= retry.attempts):
        return None
    state = call_state(attempt, started, error, now, idle)
    try:
        wait = float(wait_strategy(retry)(state))
    except Exception as fault:
        raise broken("wait strategy", fault, error) from fault
    if not is_number(wait) or wait < 0:
        raise WorkflowError(f"The wait strategy of a retry gave {wait}. It has to give seconds, 0 or more.")
    wait = max(wait, asked_to_wait(error, at) or 0.0)
    if left is not None and wait >= left:
        return None
    state.upcoming_sleep = wait  # what `tenacity.stop_before_delay` reads
    try:
        stops = retry.stop is not None and retry.stop(state)
    except Exception as fault:
        raise broken("stop strategy", fault, error) from fault
    return None if stops else wait


def is_retried(retry: Retry, error: BaseException) -> bool:
    """Tell whether an error is one that the node is tried again after. Raises WorkflowError: `on` itself failed."""
    if not isinstance(error, Exception):
        return False
    on = retry.on
    if isinstance(on, type) or not callable(on):
        return isinstance(error, on)
    try:
        return bool(on(error))
    except Exception as fault:
        raise broken("function on=", fault, error) from fault


def wait_strategy(retry: Retry) -> WaitStrategy:
    """Return how long to wait, as a strategy."""
    if callable(retry.wait):
        return retry.wait
    from tenacity import wait_exponential, wait_random

    growing = wait_exponential(multiplier=retry.wait, exp_base=retry.factor, max=retry.longest)
    return growing + wait_random(0, retry.jitter) if retry.jitter else growing


def call_state(attempt: int, started: float, error: BaseException, now: float, idle: float) -> RetryCallState:
    """Return what strategies read, as tenacity itself fills it in after a failure."""
    from tenacity import Future, RetryCallState, Retrying

    state = RetryCallState(Retrying(), fn=None, args=(), kwargs={})
    state.start_time = started
    state.attempt_number = attempt
    state.idle_for = idle
    state.outcome = Future(attempt)
    state.outcome.set_exception(error)
    state.outcome_timestamp = now
    return state


def broken(what: str, fault: Exception, error: BaseException) -> WorkflowError:
    """Return the error for a function of the author's that failed. error: how the node had failed before."""
    return WorkflowError(
        f"The {what} of a retry failed with {type(fault).__name__}: {str(fault).rstrip('.')}. The node had failed with "
        f"{type(error).__name__}: {str(error).rstrip('.')}. Correct the retry and resume."
    )


def asked_to_wait(error: BaseException, at: datetime | None = None) -> float | None:
    """Return how many seconds the server asked to wait, None when it did not.

    Read from `error.retry_after`, or from the header Retry-After of `error.response` or of `error` itself, in seconds
    or as a date (RFC 9110, 10.2.3); else from what caused the error; of several errors in a group, the shortest.
    at: the time of day now.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        seconds = own_wait(current, at)
        if seconds is not None:
            return seconds
        current = current.__cause__
    return None


def own_wait(error: BaseException, at: datetime | None) -> float | None:
    """Return what an error itself says, leaving out what caused it."""
    if isinstance(error, BaseExceptionGroup):
        inner = cast("BaseExceptionGroup[BaseException]", error).exceptions
        return min((seconds for one in inner if (seconds := asked_to_wait(one, at)) is not None), default=None)
    given: object = getattr(error, "retry_after", None)
    if is_number(given):
        return max(float(given), 0.0)
    for carrier in (getattr(error, "response", None), error):
        header = header_of(carrier)
        if header is not None:
            return seconds_of(header, at)
    return None


def header_of(carrier: object) -> str | None:
    """Return the header Retry-After of a response, None when it has none."""
    get: object = getattr(getattr(carrier, "headers", None), "get", None)
    if not callable(get):
        return None
    found: list[object] = [get(name) for name in HEADERS]
    return next((str(value) for value in found if value is not None), None)


def seconds_of(header: str, at: datetime | None) -> float | None:
    """Return a Retry-After in seconds; None when it is neither a number nor a date.

    >>> seconds_of("Wed, 21 Oct 2015 07:28:00 GMT", datetime(2015, 10, 21, 7, 27, 30, tzinfo=UTC))
    30.0
    """
    try:
        seconds = float(header)
    except ValueError:
        from email.utils import parsedate_to_datetime  # which few servers make necessary

        try:
            date = parsedate_to_datetime(header)
        except ValueError:
            return None
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (aware - (at or datetime.now(UTC))).total_seconds()
    return max(seconds, 0.0) if is_number(seconds) else None
