"""What a node's body can ask about itself while it runs, and tell those who watch."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from milepost.engine.children import ChildWork
from milepost.engine.events import Custom, Event, TextDelta
from milepost.engine.keys import idempotency_key
from milepost.engine.trace import Usage

Tell = Callable[[Event], None]


def nobody() -> Tell | None:
    """Say that nobody watches."""
    return None


@dataclass(slots=True)
class Current:
    """The attempt that is being made.

    task: its key. attempt: from 1. deadline: when the attempt runs out of time, aware UTC, None for no limit. taken: of
    a stream, how many of its items are committed, which a body declared with resume="seek" goes on from. usage: what it
    reported to have cost. listener: returns who is told what happens, None while nobody watches. nest: drives a run
    inside this one. clock: seconds since 1970 UTC, as the engine tells them.
    """

    run_id: str
    node: str
    task: str
    attempt: int
    deadline: datetime | None = None
    taken: int = 0
    usage: Usage | None = None
    listener: Callable[[], Tell | None] = field(default=nobody, repr=False)
    nest: Callable[[Current, ChildWork], Awaitable[Any]] | None = field(default=None, repr=False)
    clock: Callable[[], float] = field(default=time.time, repr=False)

    @property
    def idempotency_key(self) -> str:
        """A key to hand to other systems, so that they see one request however often this task is tried or resumed."""
        return idempotency_key(self.run_id, self.task)

    def emit(self, data: Any) -> None:
        """Tell those who watch the run something of the author's own. It is not stored, and costs nothing unwatched."""
        tell = self.listener()
        if tell is not None:
            tell(Custom(node=self.node, task=self.task, data=data))

    def emit_text(self, text: str) -> None:
        """Tell those who watch the run a piece of text, as a model writes it."""
        tell = self.listener()
        if tell is not None:
            tell(TextDelta(node=self.node, task=self.task, text=text))


_current: ContextVar[Current] = ContextVar("milepost_current")


def current() -> Current:
    """Return the attempt that is running this code. Raises LookupError outside of a node."""
    return _current.get()


async def run_child(node: str, work: ChildWork) -> Any:
    """Have a workflow driven for the running task of a node, as a run inside its run, and return the output.

    Where that node is not run by Milepost, the workflow has a run of its own, of which nothing is kept.
    """
    attempt = attempt_at(node)
    if attempt is not None and attempt.nest is not None:
        return await attempt.nest(attempt, work)
    inputs, state = work.begin()
    return await work.workflow.run(inputs=inputs, state=state, deps=work.deps)


def attempt_at(node: str) -> Current | None:
    """Return the attempt that runs this code, if it is one at this node; None where Milepost does not run the node."""
    attempt = _current.get(None)
    return attempt if attempt is not None and attempt.node == node else None


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
