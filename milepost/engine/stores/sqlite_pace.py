"""How quick commits to a disk are, for a SqliteStore to decide who waits for them."""

from __future__ import annotations

from typing import Final

_QUICK: Final = 0.001
"""Seconds that the event loop may stand still for a commit; a hop to another thread and back takes a fifth of that."""
_WEIGHT: Final = 0.125
"""Of the newest commit: one slow one among many is soon forgotten."""
_AGAIN: Final = 100
"""After so many commits elsewhere one is tried here again: the disk may have become quick."""


class Pace:
    """How long commits have taken of late that the event loop waited for.

    average: seconds, a moving average.

    >>> pace = Pace()
    >>> pace.is_quick()
    True
    >>> pace.note(0.02)
    >>> [pace.is_quick() for _ in range(100)].index(True)
    99
    """

    def __init__(self) -> None:
        self.average = 0.0
        self._elsewhere = 0

    def note(self, seconds: float) -> None:
        """Take the newest commit into account."""
        self.average += (seconds - self.average) * _WEIGHT

    def is_quick(self) -> bool:
        """Tell whether to wait here for the next commit: it is likely to be quicker than on another thread."""
        if self.average >= _QUICK:
            self._elsewhere += 1
            if self._elsewhere < _AGAIN:
                return False
        self._elsewhere = 0
        return True
