"""What a worker tells of its work."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

from milepost.engine.errors import StoreError
from milepost.engine.trace import RunStatus

LOG: Final = logging.getLogger("milepost.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTaken:
    """A worker goes on with a run. seq: its newest checkpoint then. at: aware, in UTC."""

    run_id: str
    workflow: str
    at: datetime
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLeft:
    """A worker has let go of a run.

    status: how it stands in the store, or as it was left where another worker goes on with it already; "running": it
    was stopped, and is resumable. seq: its newest checkpoint. at, due: aware, in UTC; `due` is when a run that waits
    goes on by itself, None for never. error: why it failed.
    """

    run_id: str
    workflow: str
    at: datetime
    seq: int
    status: RunStatus
    due: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRefused:
    """A worker cannot go on with a run, and tries again only when somebody has changed it. at: aware, in UTC."""

    run_id: str
    workflow: str
    at: datetime
    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAway:
    """A worker cannot read its store, and goes on asking; it is told once until it can. at: aware, in UTC."""

    at: datetime
    error: StoreError


WorkerEvent = RunTaken | RunLeft | RunRefused | StoreAway
"""What a worker tells."""


def write_to_log(event: WorkerEvent) -> None:
    """Tell what needs somebody's attention where the program's log goes: to stderr, if nobody has said otherwise."""
    match event:
        case RunRefused():
            LOG.warning("Run %r of workflow %r cannot go on: %s", event.run_id, event.workflow, event.error)
        case StoreAway():
            LOG.warning("The store cannot be read, and is asked again: %s", event.error)
        case RunTaken() | RunLeft():
            LOG.debug("%s", event)
        case _:
            assert_never(event)
