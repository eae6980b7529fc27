"""How the owner of a run is called in a store, and what is told to whoever meets it there."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from milepost.engine.errors import RunBusy

_WORDS: Final = re.compile(r"process (\d+) on (.*) \(engine \w+\)", re.DOTALL)


def owner_here() -> str:
    """Return a name for an open store of this process, which no other one has: people see it, and it tells the place.

    >>> owner_here()
    'process ... on ... (engine ...)'
    """
    return f"process {os.getpid()} on {platform.node()} (engine {uuid4().hex[:12]})"


def place_of(owner: str) -> tuple[str | None, int | None]:
    """Return the host and the process id that an owner's name tells; None for what it does not tell.

    >>> place_of("process 4711 on fig (engine 0a1b2c3d4e5f)")
    ('fig', 4711)
    >>> place_of("somebody else")
    (None, None)
    """
    found = _WORDS.fullmatch(owner)
    return (None, None) if found is None else (found[2], int(found[1]))


def busy(run_id: str, owner: str, *, since: float | None, expires: float | None) -> RunBusy:
    """Return what to raise for a run that has a live owner. since, expires: seconds since 1970 UTC, where known."""
    host, pid = place_of(owner)
    return RunBusy(run_id, owner, host=host, pid=pid, since=_moment(since), expires=_moment(expires))


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
