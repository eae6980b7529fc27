"""How much work something is, counted in calls: unlike seconds, the same on every machine and beside any other work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions are called, of Python's own and of others."""
    with counted_calls() as count:
        work()
    return count()


@contextmanager
def counted_calls() -> Generator[Callable[[], int]]:
    """Count the functions that are called in a block, as `calls_of` does. Gives what returns how many there were."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield lambda: count
    finally:
        sys.setprofile(before)
