"""A promise: a function that fails when a store does not keep it, and what a store has to be able to do for it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Generator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeVar

import anyio

from milepost.testing.contract.place import Place, nobody

E = TypeVar("E", bound=BaseException)

PATIENCE: Final = 120.0
"""Seconds after which a store counts as hanging."""


class Capability(Enum):
    """What a store can do; one that lacks some is held to the promises that need none of them."""

    ORDERING = "records and acknowledgements come in order"
    IDEMPOTENCE = "what is said twice is done once"
    FENCING = "a run has one owner, and only that one writes"
    CONCURRENCY = "several at once are like one after another"
    CRASH = "the runs of a dead owner are taken over"
    LARGE_VALUES = "texts of many megabytes come back"
    UNICODE = "texts of any characters come back"
    LISTING = "runs are found by what they are"
    PAGING = "lists come in pages"
    NESTING = "runs inside runs are found by their parents"
    TAGS = "runs are found by their tags"
    WAKING = "runs that somebody should go on with are found"
    FORKS = "a run shares its first records with another"
    INBOX = "anybody can speak to a run"
    CACHE = "results can be kept for later tasks"
    DEFINITIONS = "descriptions of workflows are kept"
    CARE = "runs can be weighed, removed, put in whole and rewritten"


Check = Callable[[Place], Awaitable[None]]


@dataclass(frozen=True)
class Promise:
    """name: a sentence. needs: what a store has to be able to do. check: raises when the promise is broken."""

    name: str
    needs: Set[Capability]
    check: Check

    def hold(self, place: Place, backend: str = "asyncio") -> None:
        """Hold the stores of a place to it. Raises whatever shows that it is broken; TimeoutError: a store hangs."""

        async def main() -> None:
            with anyio.fail_after(PATIENCE):
                await self.check(place)

        try:
            anyio.run(main, backend=backend)
        finally:
            place.remove()

    def applies(self, able: Set[Capability], place: Place | None = None) -> bool:
        """Whether stores that are able to do this, at this place, have to keep it."""
        can_die = place is None or place.kill is not nobody
        return self.needs <= able and (can_die or Capability.CRASH not in self.needs)


PROMISES: Final[list[Promise]] = []
"""Every promise that was declared, in order."""


def promise(*needs: Capability) -> Callable[[Check], Check]:
    """Declare a promise; its function's name is the sentence."""

    def declare(check: Check) -> Check:
        PROMISES.append(Promise(getattr(check, "__name__", "promise").replace("_", " "), frozenset(needs), check))
        return check

    return declare


class Caught(Generic[E]):
    """The error that was expected. error: only afterwards."""

    error: E


@contextmanager
def raises(kind: type[E], words: str = "") -> Generator[Caught[E]]:
    """Expect an error of this class, whose text has something that matches the words, a regular expression."""
    caught: Caught[E] = Caught()
    try:
        yield caught
    except kind as error:
        caught.error = error
    else:
        raise AssertionError(f"no {kind.__name__} was raised")
    assert re.search(words, str(caught.error)), f"{str(caught.error)!r} says nothing like {words!r}"
