"""What a task waits for: a person's answer, an event from outside, a time, or a run inside its run.

Plain data of a position. A task that waits is begun and runs nothing; the records say when it began to wait and how
that ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Any, Final, Literal, NamedTuple

from milepost.engine.values import Ref

WaitKind = Literal["ask", "event", "time", "run"]
"""A person's answer, an event from outside, a time, or a run inside the run that waits itself."""

How = Literal["answered", "received", "elapsed", "expired"]
"""How a wait was settled: an answer, an event, the time that was waited for, or a deadline that passed before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One thing that a task waits for.

    id: 16 hexadecimal digits, the same however often the task is tried, and in no other run. until: the time itself, or
    the deadline, seconds since 1970 UTC; None for no end. text: of the question. choices: what may be answered, JSON
    texts; none for any answer of the type. details: what whoever answers should know, JSON text, "" for nothing.
    schema: the JSON schema of the answer or of what the event carries. event, key: its name, and what it is about; None
    for whatever it is about. run: the id of the run inside the run. refused: how many answers did not fit.
    """

    id: str
    kind: WaitKind
    until: float | None = None
    text: str = ""
    choices: tuple[str, ...] = ()
    details: str = ""
    schema: str = ""
    event: str = ""
    key: str | None = None
    run: str = ""
    refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A task that waits, for the first of these. since: when it began to, seconds since 1970 UTC."""

    waits: tuple[Wait, ...]
    since: float

    @property
    def until(self) -> float | None:
        """When it goes on by itself at the latest, None for never."""
        return min((wait.until for wait in self.waits if wait.until is not None), default=None)

    @property
    def is_inside(self) -> bool:
        """Whether it is a run inside the run that waits, so that the task's body has to look for itself."""
        return any(wait.kind == "run" for wait in self.waits)

    def refusing(self, wait_id: str) -> Waiting:
        """Return it with one more answer to one of its questions that did not fit."""
        waits = (replace(one, refused=one.refused + 1) if one.id == wait_id else one for one in self.waits)
        return replace(self, waits=tuple(waits))


class Dues:
    """When tasks that wait go on by themselves, the first at hand however many there are."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._added = 0

    def add(self, task: str, waiting: Waiting) -> None:
        """Note when a task goes on, if it ever does by itself."""
        if waiting.until is not None:
            self._added += 1
            heappush(self._heap, (waiting.until, self._added, task))

    def first(self, holds: Callable[[str, float], bool]) -> tuple[float, str] | None:
        """Return the first time and its task. holds: tells whether a task waits until then, or else it is forgotten."""
        while self._heap:
            until, _, task = self._heap[0]
            if holds(task, until):
                return until, task
            heappop(self._heap)
        return None


class Settled(NamedTuple):
    """How a task came to its result that had waited for something.

    wait: the id. by: who answered or sent it. at: when, seconds since 1970 UTC. early: the id of the message, if that
    came before anything waited for it.
    """

    wait: str
    how: How
    by: str | None
    at: float
    early: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Early:
    """An event that came before anything waited for it. at: seconds since 1970 UTC. ref: what it carries."""

    event: str
    key: str | None
    by: str | None
    at: float
    ref: Ref


PLAIN: Final = "plain:"
"""The tag of a value that came from outside and is JSON as anybody would write it; the id of its wait follows."""


def wait_id(run_id: str, task: str, number: int) -> str:
    """Return the id of the wait of this number of a task: by it a question is answered.

    >>> wait_id("claim-17", "0" * 32, 0) == wait_id("claim-17", "0" * 32, 0) != wait_id("claim-18", "0" * 32, 0)
    True
    """
    return blake2b(f"{run_id}\0{task}\0wait {number}".encode(), digest_size=8).hexdigest()


def waiting_to_json(waiting: Waiting) -> list[Any]:
    """Write down that a task waits, without what says nothing."""
    return [waiting.since, *({name: one for name, one in asdict(wait).items() if one} for wait in waiting.waits)]


def waiting_from_json(given: list[Any]) -> Waiting:
    """Read back that a task waits. Raises TypeError: it has a part that this version does not know."""
    since, *waits = given
    return Waiting(waits=tuple(_wait(one) for one in waits), since=since)


def _wait(given: Mapping[str, Any]) -> Wait:
    parts: dict[str, Any] = {**given, "choices": tuple(given.get("choices", ()))}
    return Wait(**parts)
