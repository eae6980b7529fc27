"""Ages and moments as people write them on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from milepost.engine.errors import InputError

UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def seconds_of(age: str) -> float:
    """Return an age in seconds.

    >>> seconds_of("30d"), seconds_of("1.5h"), seconds_of("20")
    (2592000.0, 5400.0, 20.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", age.strip())
    if match is None:
        raise InputError(f"{age!r} is no age. Write a number with s, m, h, d or w behind it, e.g. 30d or 12h.")
    return float(match[1]) * UNITS[match[2] or "s"]


def moment_of(text: str, now: datetime) -> datetime:
    """Return the moment that is so long ago, or at this date and time, which is UTC unless it says otherwise.

    >>> now = datetime(2026, 11, 28, 12, tzinfo=UTC)
    >>> moment_of("2d", now).isoformat(), moment_of("2026-11-01", now).isoformat()
    ('2026-11-26T12:00:00+00:00', '2026-11-01T00:00:00+00:00')
    """
    try:
        if re.fullmatch(r"[\d.]+\s*[smhdw]", text.strip()):
            return now - timedelta(seconds=seconds_of(text))
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise InputError(
            f"{text!r} is no moment. Write a date, e.g. 2026-11-28 or 2026-11-28T09:30Z, or how long ago it was, e.g. "
            "2d or 12h."
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
