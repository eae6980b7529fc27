"""How quick commits to a disk are, for a SqliteStore to decide who waits for them."""

from __future__ import annotations

from typing import Final

_QUICK: Final = 0.001
"""Seconds that the event loop may stand still for a commit; a hop to another thread and back takes a fifth of that."""
_WEIGHT: Final = 0.125
"""Of the newest commit: one slow one among many, such as moves the log into the database, is soon forgotten."""


class Pace:
    """Seconds that commits have taken of late, a moving average. Whoever waits for one may note it, from any thread.

    >>> pace = Pace()
    >>> pace.is_quick
    True
    >>> for _ in range(3):
    ...     pace.note(0.02)
    >>> pace.is_quick
    False
    >>> for _ in range(30):
    ...     pace.note(0.0002)
    >>> pace.is_quick
    True
    """

    def __init__(self) -> None:
        self.average = 0.0

    def note(self, seconds: float) -> None:
        """Take the newest commit into account."""
        self.average += (seconds - self.average) * _WEIGHT

    @property
    def is_quick(self) -> bool:
        """Whether the next commit is likely to be quicker than having another thread make it."""
        return self.average < _QUICK
