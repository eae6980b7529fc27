"""The speed that Milepost is built for, as ratios to its peers on the same machine in the same run."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.jobs import Kind


@dataclass(frozen=True, slots=True)
class Aim:
    """Milepost's `subject` takes at most 1/`share` of the time of `peer` for the largest job of this kind."""

    kind: Kind
    subject: str
    peer: str
    share: float


AIMS = (
    Aim(Kind.LOOP, "memory", "pydantic-graph", 8),
    Aim(Kind.LOOP, "process", "pydantic-graph", 2),
    Aim(Kind.LOOP, "process", "langgraph-sqlite", 25),
    Aim(Kind.LOOP, "power", "langgraph-sqlite", 5),
    Aim(Kind.MAP, "memory", "pydantic-graph", 5),
)
