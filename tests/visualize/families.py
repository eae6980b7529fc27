"""Families of runs to draw, written down as plain values."""

from __future__ import annotations

from typing import Final

from milepost.engine.family import Relative, Station
from milepost.engine.stores.store import RunRow
from milepost.engine.trace import RunStatus
from tests.visualize.subjects import START


def relative(
    run_id: str,
    seq: int,
    *stations: Station,
    status: RunStatus = "completed",
    origin: tuple[str, int] | None = None,
    level: int = 0,
    error: str | None = None,
    workflow: str = "trip",
) -> Relative:
    """Write down a run of a family. origin: the run that it was forked from, and at which checkpoint."""
    row = RunRow(
        run_id=run_id,
        workflow=workflow,
        version=1,
        fingerprint="",
        status=status,
        isolation="task",
        created=START.timestamp(),
        updated=START.timestamp(),
        seq=seq,
        hash="",
        snapshot_seq=0,
        epoch=1,
        owner=None,
        error=error,
        output=None,
        forked_from=origin[0] if origin else None,
        forked_at=origin[1] if origin else 0,
    )
    return Relative(row=row, stations=stations, level=level)


def station(seq: int, node: str = "", did: str = "completed") -> Station:
    return Station(seq=seq, did=did, node=node)


FAMILY: Final = (
    relative("t-1", 5, station(1, did="started"), station(2, "plan"), station(4, "pay"), station(5, "book")),
    relative(
        "t-2",
        4,
        station(3, did="forked"),
        station(4, "pay", did="failed"),
        status="failed",
        origin=("t-1", 2),
        level=1,
        error="ValueError: no money",
    ),
    relative("t-3", 5, station(4, did="forked"), station(5, "pay"), status="running", origin=("t-2", 3), level=2),
    relative("t-4", 5, station(5, did="forked"), status="waiting", origin=("t-1", 4), level=1),
)
