"""What a node's body can ask about itself while it runs."""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import dataclass

from milepost.engine.keys import idempotency_key
from milepost.engine.trace import Usage


@dataclass(slots=True)
class Current:
    """The attempt that is being made. task: its key. attempt: from 1. usage: what it reported to have cost."""

    run_id: str
    node: str
    task: str
    attempt: int
    usage: Usage | None = None

    @property
    def idempotency_key(self) -> str:
        """A key to hand to other systems, so that they see one request however often this task is tried or resumed."""
        return idempotency_key(self.run_id, self.task)


_current: ContextVar[Current] = ContextVar("milepost_current")


def current() -> Current:
    """Return the attempt that is running this code. Raises LookupError outside of a node."""
    return _current.get()


def set_current(attempt: Current) -> Token[Current]:
    """Say which attempt the code that follows belongs to. Returns what `unset_current` takes."""
    return _current.set(attempt)


def unset_current(token: Token[Current]) -> None:
    """Say that the attempt is over, so that what runs in the same context afterwards does not count as part of it."""
    _current.reset(token)


def report_usage(usage: Usage) -> None:
    """Add what a model call cost to the record of the running task. Does nothing outside of a node."""
    attempt = _current.get(None)
    if attempt is not None:
        attempt.usage = total_usage(attempt.usage, usage)


def total_usage(one: Usage | None, other: Usage | None) -> Usage | None:
    """Add up what two calls or attempts cost."""
    if one is None or other is None:
        return one or other
    costs = [cost for cost in (one.cost, other.cost) if cost is not None]
    return Usage(
        requests=one.requests + other.requests,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cost=sum(costs) if costs else None,
    )
