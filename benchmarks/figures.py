"""What was measured, and what a set of samples says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from benchmarks.child import Measured
from benchmarks.jobs import Job, Kind

KIB, MIB = 1024, 1024 * 1024
Values = Mapping[int, float]
"""A number of each round in which it was measured."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the process of a peer says about itself. missing: the kinds of jobs that it cannot do, and why."""

    name: str
    store: str
    configuration: str
    versions: Mapping[str, str]
    missing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Spread:
    """A set of samples: the one in the middle, the least, the most, and how many there are."""

    middle: float
    least: float
    most: float
    count: int = 1

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """Sum up at least one sample."""
        return cls(median(samples), min(samples), max(samples), len(samples))


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that is measured. unit: what a number of it means. of: how it is taken from one measurement.

    floor: what is less is measured no more exactly than this, and counts as so much in a ratio.
    """

    name: str
    unit: str
    of: Callable[[Job, Measured], float]
    floor: float = 0.0


STEP_TIME = Quantity("time", "µs of wall time per step", lambda job, one: one.seconds / job.units * 1e6)
ITEM_TIME = Quantity("time", "µs of wall time per item", lambda job, one: one.seconds / job.units * 1e6)
WHOLE_TIME = Quantity("time", "ms of wall time", lambda job, one: one.seconds * 1e3)
IMPORT_TIME = Quantity("time", "ms of wall time", lambda job, one: one.seconds * 1e3, floor=1)
MEMORY = Quantity("memory", "MiB", lambda job, one: one.memory / MIB, floor=1)
DISK = Quantity("disk", "KiB per step", lambda job, one: one.disk / KIB / job.units)
ALL_DISK = Quantity("disk", "MiB", lambda job, one: one.disk / MIB)


def main_quantity(kind: Kind) -> Quantity:
    """Return what is measured first of all for a kind of job."""
    match kind:
        case Kind.MAP | Kind.NEST:
            return ITEM_TIME
        case Kind.RESUME:
            return WHOLE_TIME
        case Kind.IMPORT | Kind.START:
            return IMPORT_TIME
        case Kind.MEMORY:
            return MEMORY
        case _:
            return STEP_TIME


def lasting(seconds: float) -> str:
    """Return a duration as people say it: 95 s, 12 min or 3 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.0f} h"


@dataclass(slots=True)
class Figures:
    """What was measured, by job and peer: at most one sample per round.

    left_out: how long it would have taken where that was too long. failed: what a peer did wrong, or broke at.
    rounds: how many were begun. was_stopped: the last of them was not finished. seconds: what all of it took.
    """

    rounds: int = 0
    was_stopped: bool = False
    seconds: float = 0.0

    told: dict[str, Told] = field(default_factory=dict[str, Told])
    samples: dict[tuple[str, str], dict[int, Measured]] = field(
        default_factory=dict[tuple[str, str], dict[int, Measured]]
    )
    left_out: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    failed: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    def add(self, job: Job, peer: str, number: int, measured: Measured) -> None:
        """Keep the sample of a round."""
        self.samples.setdefault((job.name, peer), {})[number] = measured

    def reason(self, job: Job, peer: str) -> str | None:
        """Return why there is no number; None if there is one or can be. An empty reason is nothing to tell."""
        place = job.name, peer
        if place in self.failed:
            return f"failed: {self.failed[place]}"
        if place in self.left_out:
            return f"too slow: {self.left_out[place]}, where {job.limit:,.0f} s are allowed"
        return self.told[peer].missing.get(job.kind)

    def values(self, job: Job, peer: str, quantity: Quantity) -> Values:
        """Return a number per round; empty when there is none to trust."""
        if (job.name, peer) in self.failed:
            return {}
        return {number: quantity.of(job, one) for number, one in self.samples.get((job.name, peer), {}).items()}

    def spread(self, job: Job, peer: str, quantity: Quantity) -> Spread | None:
        """Return what the samples of a peer at a job say; None when there are none."""
        values = self.values(job, peer, quantity)
        return Spread.of([*values.values()]) if values else None

    def as_json(self, jobs: Sequence[Job]) -> dict[str, Any]:
        """Return everything, every sample included."""
        return {
            "rounds": self.rounds,
            "was_stopped": self.was_stopped,
            "seconds": round(self.seconds),
            "peers": {peer: asdict(told) for peer, told in self.told.items()},
            "jobs": {
                job.name: {
                    "job": asdict(job),
                    "samples": {
                        peer: [{"round": n, **asdict(one)} for n, one in self.samples[job.name, peer].items()]
                        for peer in self.told
                        if (job.name, peer) in self.samples
                    },
                    "without": {peer: reason for peer in self.told if (reason := self.reason(job, peer))},
                }
                for job in jobs
            },
        }


def ratio(mine: Values, theirs: Values, floor: float = 0.0) -> Spread | None:
    """Return what one takes of the other's, pair by pair: numbers of one round meet the same moments.

    floor: what is less counts as so much. None when no round has both, or when theirs is nothing at all.
    """
    pairs = [(max(mine[number], floor), max(theirs[number], floor)) for number in mine if number in theirs]
    found = [one / other for one, other in pairs if other > 0]
    return Spread.of(found) if found else None
