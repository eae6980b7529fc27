"""How a node is carried out: how often it is tried, how long it may take, and how much of it may happen at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, TypeGuard, cast, get_args

from milepost.engine.errors import WorkflowError
from milepost.engine.findings import did_you_mean, listed

if TYPE_CHECKING:
    from tenacity import RetryCallState

WaitStrategy = Callable[["RetryCallState"], float]
"""What `tenacity` calls a wait strategy, e.g. `tenacity.wait_random(1, 3)`."""

StopStrategy = Callable[["RetryCallState"], bool]
"""What `tenacity` calls a stop strategy, e.g. `tenacity.stop_after_delay(60)`."""

ErrorFilter = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]
"""Which errors: a class, several, or a function that says so of each."""

OnFailure = Literal["cancel", "finish"]
"""What happens to the other tasks of a run when one has failed for good."""

USUAL_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try a node again when it fails.

    attempts: how many tries in all, 1 or more; 3 when neither this nor `stop` is given. stop: a stop strategy of
    tenacity; when both are given, the first to say so ends it.
    wait: seconds before the second try; each later wait is `factor` times as long, at most `longest` seconds, and then
    up to `jitter` seconds more, by chance. Or a wait strategy of tenacity, which settles all of that. An error that
    says how long to wait (a server's Retry-After) is waited for at least that long.
    on: the errors that are worth another try: a class, a tuple of classes, or a function of the error.
    Raises WorkflowError: a value that cannot work.
    """

    attempts: int | None = None
    wait: float | WaitStrategy = 0.0
    factor: float = 2.0
    longest: float = 60.0
    jitter: float = 0.0
    stop: StopStrategy | None = None
    on: ErrorFilter = (Exception,)

    def __post_init__(self) -> None:
        if self.attempts is None and self.stop is None:
            object.__setattr__(self, "attempts", USUAL_ATTEMPTS)
        if self.attempts is not None:
            _check_whole("Retry", "attempts", self.attempts, "would never run the node")
        if not callable(self.wait):
            _check_seconds("Retry", "wait", self.wait, "or a wait strategy of tenacity")
        for name in ("longest", "jitter"):
            _check_seconds("Retry", name, getattr(self, name))
        if not is_number(self.factor) or self.factor <= 0:
            raise WorkflowError(
                f"Retry(factor={self.factor!r}) is nothing to multiply a wait with. Give a positive number."
            )
        if self.stop is not None and not callable(self.stop):
            raise WorkflowError(
                f"Retry(stop={self.stop!r}) is no stop strategy. Give one of tenacity, e.g. "
                "tenacity.stop_after_delay(60), or the number of attempts=."
            )
        if not is_error_filter(self.on):
            raise WorkflowError(
                f"Retry(on={self.on!r}) does not say which errors. Give an exception class, a tuple of them, or a "
                "function of the error that returns whether it is worth another try."
            )

    @property
    def tries_again(self) -> bool:
        """Whether there may be more than one attempt."""
        return self.attempts is None or self.attempts > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Keep a node's output in the store, and give it back without running the node when the same is asked again.

    ttl: seconds for which it is good, None for ever. key: what the output depends on, as a function of the node's
    inputs; None for all of the inputs. The key has to be storable.
    """

    ttl: float | None = None
    key: Callable[[Any], object] | None = None

    def __post_init__(self) -> None:
        if self.ttl is not None:
            _check_seconds("Cache", "ttl", self.ttl, positive=True)
        if self.key is not None and not callable(self.key):
            raise WorkflowError(
                f"Cache(key={self.key!r}) is no function. Give a function of the node's inputs, e.g. "
                "key=lambda inputs: inputs.id."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Begin a node at most `calls` times in any `per` seconds, over all runs of an engine. The others wait in order."""

    calls: int
    per: float = 1.0

    def __post_init__(self) -> None:
        _check_whole("RateLimit", "calls", self.calls, "would never let the node begin")
        _check_seconds("RateLimit", "per", self.per, positive=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """Stop trying a node that keeps failing, over all runs of an engine.

    failures: so many in a row open the circuit; then the node fails at once with `CircuitOpen`. reset: seconds after
    which a single attempt is let through to see; when it succeeds the circuit closes.
    """

    failures: int = 5
    reset: float = 30.0

    def __post_init__(self) -> None:
        _check_whole("CircuitBreaker", "failures", self.failures, "would never let the node begin")
        _check_seconds("CircuitBreaker", "reset", self.reset, positive=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a node's author declared about carrying it out.

    retry: None tries once. timeout: seconds for one attempt. total_timeout: seconds for all attempts and the waits
    between them. cache: None always runs the node. rate_limit, max_concurrency (how many tasks of the node at once),
    circuit_breaker: counted per engine, over all its runs. at_most_once: never begin a task a second time, also when
    it is not known whether the first time had an effect; then a person says what to do.
    """

    retry: Retry | None = None
    timeout: float | None = None
    total_timeout: float | None = None
    cache: Cache | None = None
    rate_limit: RateLimit | None = None
    max_concurrency: int | None = None
    circuit_breaker: CircuitBreaker | None = None
    at_most_once: bool = False

    def __post_init__(self) -> None:
        for name, kind in VALUES.items():
            given: object = getattr(self, name)
            if given is not None and not isinstance(given, kind):
                raise WorkflowError(f"{name}={given!r} is no {kind.__name__}. Give one, e.g. {name}={EXAMPLES[kind]}.")
        _check_time_limit("timeout", self.timeout)
        _check_time_limit("total_timeout", self.total_timeout)
        if self.max_concurrency is not None:
            check_concurrency(self.max_concurrency, "the node")
        if not isinstance(self.at_most_once, bool):  # pyright: ignore[reportUnnecessaryIsInstance]  (authors' code)
            raise WorkflowError(f"at_most_once={self.at_most_once!r} is neither True nor False. Give one of them.")
        if self.at_most_once and self.retry is not None and self.retry.tries_again:
            raise WorkflowError(
                "At most once and a retry contradict each other: a retry begins a task again. "
                "Remove at_most_once=True, or the retry."
            )


VALUES: Final[Mapping[str, type]] = {
    "retry": Retry,
    "cache": Cache,
    "rate_limit": RateLimit,
    "circuit_breaker": CircuitBreaker,
}
"""The parts of a policy that are values of their own."""

EXAMPLES: Final[Mapping[type, str]] = {
    Retry: "Retry(attempts=3)",
    Cache: "Cache(ttl=3600.0)",
    RateLimit: "RateLimit(calls=10, per=1.0)",
    CircuitBreaker: "CircuitBreaker(failures=5)",
}

NAMES: Final = tuple(part.name for part in fields(Policy))


class PolicyOptions(TypedDict, total=False):
    """The parts of a `Policy` as keywords of a decorator. policy: what the other keywords change."""

    policy: Policy
    retry: Retry | None
    timeout: float | None
    total_timeout: float | None
    cache: Cache | None
    rate_limit: RateLimit | None
    max_concurrency: int | None
    circuit_breaker: CircuitBreaker | None
    at_most_once: bool


def policy_of(options: PolicyOptions, node: str, known: Policy | None = None) -> Policy:
    """Return the policy that keywords stand for.

    node: whose it is, for the error. known: what was declared before, which `policy=` replaces and the rest changes.
    Raises WorkflowError: a keyword is not known, or a value cannot work.

    >>> policy_of({"policy": Policy(timeout=3.0, max_concurrency=2), "timeout": 5.0}, "fetch").max_concurrency
    2
    """
    parts = dict(cast("Mapping[str, Any]", options))
    base = parts.pop("policy", known or Policy())
    if not isinstance(base, Policy):
        raise WorkflowError(f"Node {node!r}: policy={base!r} is no Policy. Give one, e.g. policy=Policy(timeout=30.0).")
    wrong = [name for name in parts if name not in NAMES]
    if wrong:
        guess = did_you_mean(wrong[0], (*NAMES, "policy"))
        raise WorkflowError(f"Node {node!r}: there is no option {wrong[0]!r}.{guess} A policy has {listed(NAMES)}.")
    try:
        return replace(base, **parts)
    except WorkflowError as fault:
        text = str(fault)
        raise WorkflowError(f"Node {node!r}: {text[:1].lower()}{text[1:]}") from None


def check_concurrency(most: object, what: str) -> None:
    """Check a number of things at once. what: whose it is. Raises WorkflowError: it is none, or below 1."""
    if not is_whole(most):
        raise WorkflowError(f"max_concurrency={most!r} is no whole number. Give 1 or more, or None for no limit.")
    if most < 1:
        raise WorkflowError(f"max_concurrency={most} would never let {what} begin. Give 1 or more, or None.")


def check_rules(workflow: str | None, max_concurrency: object, on_failure: object) -> None:
    """Check what a whole workflow says about its runs. Raises WorkflowError."""
    name = f"Workflow {workflow or 'without a name'!r}"
    if max_concurrency is not None:
        try:
            check_concurrency(max_concurrency, "a node")
        except WorkflowError as fault:
            raise WorkflowError(f"{name}: {fault}") from None
    if on_failure not in get_args(OnFailure):
        guess = did_you_mean(on_failure, get_args(OnFailure))
        raise WorkflowError(f"{name}: on_failure={on_failure!r} is not known.{guess} Give 'cancel' or 'finish'.")


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def is_whole(value: object) -> TypeGuard[int]:
    """Tell whether a value is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_error_filter(given: object) -> bool:
    """Tell whether a value says which errors: a class of exceptions, a tuple of them, or a function."""
    if isinstance(given, type):
        return issubclass(given, Exception)
    if isinstance(given, tuple):
        classes = cast("tuple[object, ...]", given)
        return bool(classes) and all(isinstance(one, type) and issubclass(one, Exception) for one in classes)
    return callable(given)


def _check_time_limit(name: str, given: object) -> None:
    what = "timeout" if name == "timeout" else "total timeout"
    if given is None:
        return
    if not is_number(given):
        raise WorkflowError(f"{name}={given!r} is no number of seconds. Give one, e.g. {name}=30.0, or None.")
    if given <= 0:
        raise WorkflowError(f"A {what} of {given} seconds can never be met. Give a positive number.")


def _check_seconds(kind: str, name: str, given: object, other: str = "", *, positive: bool = False) -> None:
    """Check a number of seconds. other: what else could have been given."""
    if not is_number(given) or given < 0 or (positive and given == 0):
        least = "more than 0" if positive else "0 or more"
        raise WorkflowError(
            f"{kind}({name}={given!r}) is no time to wait. Give seconds, {least}{', ' if other else ''}{other}."
        )


def _check_whole(kind: str, name: str, given: object, otherwise: str) -> None:
    """Check a number of times. otherwise: what a smaller number than 1 would do."""
    if not is_whole(given):
        raise WorkflowError(f"{kind}({name}={given!r}) is no whole number. Give 1 or more.")
    if given < 1:
        raise WorkflowError(f"{kind}({name}={given}) {otherwise}. Give 1 or more.")
