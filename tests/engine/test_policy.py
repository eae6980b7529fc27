"""A policy that cannot work is refused where it is said, with what is wrong, whose it is and the way out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from tenacity import stop_after_delay, wait_fixed

from milepost.engine.errors import WorkflowError
from milepost.engine.policy import (
    Cache,
    CircuitBreaker,
    Policy,
    PolicyOptions,
    RateLimit,
    Retry,
    check_rules,
    policy_of,
)


def no_types(**options: Any) -> PolicyOptions:
    """Keywords as code that no type checker has seen may give them."""
    return cast("PolicyOptions", options)


def anything(kind: Any, **options: Any) -> Callable[[], object]:
    return lambda: kind(**options)


def test_a_retry_makes_three_attempts_unless_it_says_otherwise() -> None:
    assert Retry().attempts == 3
    assert Retry(attempts=5).attempts == 5
    assert Retry(attempts=5, stop=stop_after_delay(60)).attempts == 5


def test_a_stop_strategy_alone_sets_no_number_of_attempts() -> None:
    retry = Retry(stop=stop_after_delay(60))
    assert retry.attempts is None
    assert retry.tries_again


def test_one_attempt_is_no_retry() -> None:
    assert not Retry(attempts=1).tries_again


def always(error: Exception) -> bool:
    return True


@pytest.mark.parametrize("on", [OSError, (OSError, ValueError), always])
def test_errors_are_classes_or_a_function(on: Any) -> None:
    assert Retry(on=on).on is on


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (anything(Retry, attempts=0), r"Retry\(attempts=0\) would never run the node. Give 1 or more."),
        (anything(Retry, attempts=2.5), r"Retry\(attempts=2.5\) is no whole number. Give 1 or more."),
        (anything(Retry, attempts=True), r"Retry\(attempts=True\) is no whole number"),
        (anything(Retry, wait=-1.0), r"Retry\(wait=-1.0\) is no time to wait. Give seconds, 0 or more, or a wait str"),
        (anything(Retry, wait="long"), r"Retry\(wait='long'\) is no time to wait"),
        (anything(Retry, longest=float("inf")), r"Retry\(longest=inf\) is no time to wait. Give seconds, 0 or more."),
        (anything(Retry, jitter=-0.5), r"Retry\(jitter=-0.5\) is no time to wait"),
        (anything(Retry, factor=0), r"Retry\(factor=0\) is nothing to multiply a wait with. Give a positive number."),
        (anything(Retry, stop=5), r"Retry\(stop=5\) is no stop strategy. Give one of tenacity, .* or .* attempts="),
        (anything(Retry, on=()), r"Retry\(on=\(\)\) does not say which errors. Give an exception class, a tuple"),
        (anything(Retry, on=(OSError, 3)), "does not say which errors"),
        (anything(Retry, on=KeyboardInterrupt), "does not say which errors"),
        (anything(Retry, on="OSError"), "does not say which errors"),
        (anything(Cache, ttl=0), r"Cache\(ttl=0\) is no time to wait. Give seconds, more than 0."),
        (anything(Cache, key="id"), r"Cache\(key='id'\) is no function. Give a function of the node's inputs, e.g. "),
        (anything(RateLimit, calls=0), r"RateLimit\(calls=0\) would never let the node begin. Give 1 or more."),
        (anything(RateLimit, calls=3, per=0.0), r"RateLimit\(per=0.0\) is no time to wait. Give seconds, more than 0."),
        (anything(CircuitBreaker, failures=0), r"CircuitBreaker\(failures=0\) would never let the node begin"),
        (anything(CircuitBreaker, reset=-1), r"CircuitBreaker\(reset=-1\) is no time to wait"),
        (anything(Policy, timeout=0.0), "^A timeout of 0.0 seconds can never be met. Give a positive number.$"),
        (anything(Policy, total_timeout=-2), "^A total timeout of -2 seconds can never be met."),
        (anything(Policy, timeout="soon"), r"timeout='soon' is no number of seconds. Give one, e.g. timeout=30.0, or"),
        (anything(Policy, timeout=timedelta(seconds=3)), "timeout=datetime.timedelta.* is no number of seconds"),
        (anything(Policy, timeout=float("nan")), "timeout=nan is no number of seconds"),
        (anything(Policy, timeout=True), "timeout=True is no number of seconds"),
        (anything(Policy, retry=3), r"retry=3 is no Retry. Give one, e.g. retry=Retry\(attempts=3\)."),
        (anything(Policy, cache=True), r"cache=True is no Cache. Give one, e.g. cache=Cache\(ttl=3600.0\)."),
        (anything(Policy, rate_limit=10), r"rate_limit=10 is no RateLimit. Give one, e.g. rate_limit=RateLimit\(calls"),
        (anything(Policy, circuit_breaker=5), "circuit_breaker=5 is no CircuitBreaker"),
        (anything(Policy, max_concurrency=0), "max_concurrency=0 would never let the node begin. Give 1 or more, or N"),
        (anything(Policy, max_concurrency=1.5), "max_concurrency=1.5 is no whole number. Give 1 or more, or None"),
        (anything(Policy, at_most_once=1), "at_most_once=1 is neither True nor False"),
        (anything(Policy, at_most_once=True, retry=Retry()), "At most once and a retry contradict each other"),
        (anything(Policy, at_most_once=True, retry=Retry(stop=stop_after_delay(1))), "contradict each other"),
    ],
)
def test_what_cannot_work_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(WorkflowError, match=message):
        make()


def test_at_most_once_goes_with_a_single_attempt() -> None:
    assert Policy(at_most_once=True, retry=Retry(attempts=1)).at_most_once


def test_strategies_of_tenacity_are_taken_as_they_are() -> None:
    wait, stop = wait_fixed(3), stop_after_delay(60)
    retry = Retry(wait=wait, stop=stop)
    assert (retry.wait, retry.stop) == (wait, stop)


def test_keywords_stand_for_a_policy() -> None:
    assert policy_of({"timeout": 3.0, "max_concurrency": 2}, "fetch") == Policy(timeout=3.0, max_concurrency=2)
    assert policy_of({}, "fetch") == Policy()


def test_keywords_change_the_policy_that_is_given_with_them() -> None:
    polite = Policy(timeout=3.0, rate_limit=RateLimit(calls=5))
    assert policy_of({"policy": polite}, "fetch") is not None
    assert policy_of({"policy": polite, "timeout": None}, "fetch") == Policy(rate_limit=RateLimit(calls=5))


def test_a_policy_replaces_what_was_known_and_keywords_change_it() -> None:
    known = Policy(timeout=3.0, max_concurrency=2)
    assert policy_of({"timeout": 5.0}, "fetch", known) == Policy(timeout=5.0, max_concurrency=2)
    assert policy_of({"policy": Policy(timeout=9.0)}, "fetch", known) == Policy(timeout=9.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            no_types(retries=3),
            "^Node 'fetch': there is no option 'retries'. Did you mean 'retry'[?] A policy has retry",
        ),
        (
            no_types(quickly=True),
            "^Node 'fetch': there is no option 'quickly'. A policy has retry, timeout, .* and at_",
        ),
        (no_types(timeout=-1), "^Node 'fetch': a timeout of -1 seconds can never be met. Give a positive number.$"),
        (no_types(retry=3), "^Node 'fetch': retry=3 is no Retry. Give one"),
        (no_types(policy=3), "^Node 'fetch': policy=3 is no Policy. Give one, e.g. policy=Policy"),
        (no_types(policy=None), "^Node 'fetch': policy=None is no Policy"),
        (no_types(at_most_once=True, retry=Retry()), "^Node 'fetch': at most once and a retry contradict each other"),
    ],
)
def test_what_is_wrong_with_a_keyword_is_said_with_the_name_of_the_node(options: PolicyOptions, message: str) -> None:
    with pytest.raises(WorkflowError, match=message):
        policy_of(options, "fetch")


@pytest.mark.parametrize(
    ("most", "on_failure", "message"),
    [
        (0, "cancel", "^Workflow 'claims': max_concurrency=0 would never let a node begin. Give 1 or more, or None.$"),
        ("few", "cancel", "^Workflow 'claims': max_concurrency='few' is no whole number"),
        (None, "finsh", "on_failure='finsh' is not known. Did you mean 'finish'[?] Give 'cancel' or 'finish'."),
        (None, None, "on_failure=None is not known. Give 'cancel' or 'finish'."),
    ],
)
def test_rules_of_a_workflow_that_cannot_work_are_refused(most: object, on_failure: object, message: str) -> None:
    with pytest.raises(WorkflowError, match=message):
        check_rules("claims", most, on_failure)
