"""A clock that a test moves on by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from milepost.engine.errors import InputError

BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """Tells the time that a test has set; to be given as `clock=` to engines and stores.

    start: an aware time.

    >>> clock = FakeClock()
    >>> clock.advance(90)
    >>> clock.now.isoformat(), clock()
    ('2026-01-01T00:01:30+00:00', 1767225690.0)
    """

    def __init__(self, start: datetime = BEGINNING) -> None:
        if start.tzinfo is None:
            raise InputError(f"{start!r} has no time zone, so no clock can tell it. Write {start!r} with tzinfo=UTC.")
        self._seconds = start.timestamp()

    def __call__(self) -> float:
        """Return the seconds since 1970 UTC."""
        return self._seconds

    def __repr__(self) -> str:
        return f"<FakeClock at {self.now.isoformat()}>"

    @property
    def now(self) -> datetime:
        """The time, aware, in UTC."""
        return datetime.fromtimestamp(self._seconds, UTC)

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises InputError: it would go backwards."""
        if not seconds >= 0:
            raise InputError(f"Time cannot advance by {seconds:g} seconds. Make another FakeClock for an earlier time.")
        self._seconds += seconds
