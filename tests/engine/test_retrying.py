"""When a node that failed is tried again: tenacity's strategies, the errors, and what the server asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from typing import Any

import pytest
import tenacity
from tenacity import RetryCallState

from milepost.engine.errors import CircuitOpen, WorkflowError
from milepost.engine.policy import Retry
from milepost.engine.retrying import asked_to_wait, next_wait

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@dataclass
class Response:
    headers: Any = field(default_factory=dict[str, str])


class Refused(Exception):
    """As HTTP clients raise it, with the response that the server gave."""

    def __init__(self, headers: Any) -> None:
        self.response = Response(headers)


class Later(Exception):
    """As services raise it that say themselves how long to wait."""

    def __init__(self, retry_after: Any) -> None:
        self.retry_after = retry_after


class Answered(Exception):
    """As HTTP clients raise it that put the headers on the error."""

    def __init__(self, headers: Any) -> None:
        self.headers = headers


def caused_by(cause: BaseException) -> Exception:
    error = RuntimeError("it failed")
    error.__cause__ = cause
    return error


def waits(retry: Retry, attempts: int, error: Exception | None = None) -> list[float | None]:
    """The waits after each of so many failed attempts, all at the same moment."""
    return [next_wait(retry, number, 0.0, error or OSError(), 0.0) for number in range(1, attempts + 1)]


def test_waits_grow_up_to_the_longest() -> None:
    assert waits(Retry(attempts=9, wait=1.0, factor=3.0, longest=10.0), 4) == [1.0, 3.0, 9.0, 10.0]


def test_a_wait_of_nothing_stays_nothing() -> None:
    assert waits(Retry(attempts=9), 3) == [0.0, 0.0, 0.0]


def test_many_attempts_do_not_overflow() -> None:
    assert next_wait(Retry(attempts=10_000, wait=0.5), 5_000, 0.0, OSError(), 0.0) == 60.0


def test_jitter_is_added_by_chance() -> None:
    found = waits(Retry(attempts=99, wait=1.0, factor=1.0, jitter=0.5), 50)
    assert all(wait is not None and 1.0 <= wait <= 1.5 for wait in found)
    assert len(set(found)) > 1


def test_after_the_last_attempt_there_is_no_other() -> None:
    assert waits(Retry(attempts=3, wait=1.0), 3) == [1.0, 2.0, None]
    assert waits(Retry(attempts=1), 1) == [None]


def test_wait_strategies_of_tenacity_decide_alone() -> None:
    chain = tenacity.wait_chain(tenacity.wait_fixed(1), tenacity.wait_fixed(5))
    assert waits(Retry(attempts=9, wait=chain, jitter=3.0), 3) == [1.0, 5.0, 5.0]
    assert waits(Retry(attempts=9, wait=tenacity.wait_fixed(1) + tenacity.wait_incrementing(0, 2)), 3) == [1, 3, 5]


def test_stop_strategies_of_tenacity_end_it() -> None:
    retry = Retry(stop=tenacity.stop_after_delay(10), wait=1.0, factor=1.0)
    assert next_wait(retry, 99, 100.0, OSError(), 109.9) == 1.0
    assert next_wait(retry, 2, 100.0, OSError(), 110.0) is None


def test_a_stop_strategy_knows_the_wait_that_would_follow() -> None:
    retry = Retry(stop=tenacity.stop_before_delay(10), wait=4.0, factor=1.0)
    assert next_wait(retry, 1, 0.0, OSError(), 5.0) == 4.0
    assert next_wait(retry, 1, 0.0, OSError(), 6.0) is None


def test_the_first_of_attempts_and_stop_ends_it() -> None:
    retry = Retry(attempts=2, stop=tenacity.stop_after_attempt(5))
    assert waits(retry, 2) == [0.0, None]
    assert waits(Retry(attempts=5, stop=tenacity.stop_after_attempt(2)), 2) == [0.0, None]


def test_strategies_are_told_all_that_tenacity_would_tell_them() -> None:
    told: list[tuple[object, ...]] = []

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        told.append((state.attempt_number, state.seconds_since_start, state.idle_for, error))
        return 0.0

    error = OSError()
    next_wait(Retry(wait=wait), 2, 3.0, error, 10.0, idle=4.0)
    assert told == [(2, 7.0, 4.0, error)]


def is_late(error: Exception) -> bool:
    return isinstance(error, TimeoutError)


def never(error: Exception) -> bool:
    return False


@pytest.mark.parametrize(
    ("on", "again"),
    [
        (OSError, True),
        ((ValueError, OSError), True),
        ((ValueError,), False),
        (is_late, True),
        (never, False),
    ],
)
def test_only_some_errors_are_tried_again(on: Any, again: bool) -> None:
    assert (next_wait(Retry(on=on), 1, 0.0, TimeoutError(), 0.0) is not None) is again


def test_what_is_no_exception_of_a_node_is_never_tried_again() -> None:
    assert next_wait(Retry(on=lambda error: True), 1, 0.0, KeyboardInterrupt(), 0.0) is None


def test_a_wait_that_would_use_up_the_time_left_is_not_begun() -> None:
    retry = Retry(wait=5.0)
    assert next_wait(retry, 1, 0.0, OSError(), 0.0, left=5.1) == 5.0
    assert next_wait(retry, 1, 0.0, OSError(), 0.0, left=5.0) is None


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Later(7), 7.0),
        (Later(2.5), 2.5),
        (Later(-3), 0.0),
        (Later("7"), None),
        (Later(None), None),
        (Refused({"retry-after": "7"}), 7.0),
        (Refused({"Retry-After": "7"}), 7.0),
        (Refused({"retry-after": "1.5"}), 1.5),
        (Refused({"retry-after": 8}), 8.0),
        (Refused({"retry-after": "soon"}), None),
        (Refused({"retry-after": "nan"}), None),
        (Refused({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}), 30.0),
        (Refused({"retry-after": "Sun Mar  1 12:00:30 2026"}), 30.0),
        (Refused({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}), 0.0),
        (Refused({}), None),
        (Refused(None), None),
        (Answered({"retry-after": "7"}), 7.0),
        (caused_by(Later(7)), 7.0),
        (caused_by(caused_by(Refused({"retry-after": "7"}))), 7.0),
        (ExceptionGroup("all models failed", [Later(9), ValueError(), caused_by(Later(4))]), 4.0),
        (ExceptionGroup("all models failed", [ValueError()]), None),
        (CircuitOpen("fetch", 12.0), 12.0),
        (ValueError(), None),
    ],
)
def test_a_server_says_how_long_to_wait(error: BaseException, seconds: float | None) -> None:
    assert asked_to_wait(error, NOON) == seconds


def test_headers_of_every_kind_are_read() -> None:
    message = Message()
    message["Retry-After"] = "7"
    assert asked_to_wait(Answered(message)) == 7.0


def test_a_date_is_compared_with_the_time_of_day() -> None:
    assert asked_to_wait(Refused({"retry-after": "Sun, 01 Mar 2015 12:00:30 GMT"})) == 0.0


def test_a_circle_of_causes_is_left() -> None:
    one, other = RuntimeError(), RuntimeError()
    one.__cause__, other.__cause__ = other, one
    assert asked_to_wait(one) is None


def test_the_wait_is_at_least_as_long_as_the_server_asked_for() -> None:
    assert waits(Retry(attempts=4, wait=1.0), 3, Later(2.0)) == [2.0, 2.0, 4.0]
    assert waits(Retry(wait=1.0, longest=5.0), 1, Later(90)) == [90.0]
    assert waits(Retry(wait=tenacity.wait_fixed(1)), 1, Later(90)) == [90.0]


def failing(_: object) -> Any:
    raise LookupError("no such thing.")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Retry(wait=failing),
            "The wait strategy of a retry failed with LookupError: no such thing. The node had failed with OSError: g",
        ),
        (lambda: Retry(stop=failing), "The stop strategy of a retry failed with LookupError"),
        (lambda: Retry(on=failing), "The function on= of a retry failed with LookupError"),
        (
            lambda: Retry(wait=lambda state: -1.0),
            "The wait strategy of a retry gave -1.0. It has to give seconds, 0 or",
        ),
        (lambda: Retry(wait=lambda state: float("nan")), "The wait strategy of a retry gave nan"),
    ],
)
def test_a_function_of_the_authors_that_fails_is_named(make: Callable[[], Retry], message: str) -> None:
    with pytest.raises(WorkflowError, match=message):
        next_wait(make(), 1, 0.0, OSError("gone"), 0.0)


def test_a_model_that_asks_to_wait_is_given_the_time() -> None:
    from pydantic_ai.exceptions import ModelHTTPError

    error = ModelHTTPError(status_code=429, model_name="m", headers={"retry-after": "12"})
    assert waits(Retry(), 1, error) == [12.0]
    assert waits(Retry(), 1, caused_by(error)) == [12.0]
