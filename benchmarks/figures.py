"""What was measured, and what a set of samples says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from benchmarks.child import Measured
from benchmarks.jobs import Job, Kind

KIB, MIB = 1024, 1024 * 1024


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
    """A set of samples: the one in the middle, the least and the most."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """Sum up at least one sample."""
        return cls(median(samples), min(samples), max(samples))


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that is measured. unit: what a number of it means. of: how it is taken from one measurement."""

    name: str
    unit: str
    of: Callable[[Job, Measured], float]


STEP_TIME = Quantity("time", "µs per step", lambda job, one: one.seconds / job.units * 1e6)
ITEM_TIME = Quantity("time", "µs per item", lambda job, one: one.seconds / job.units * 1e6)
WHOLE_TIME = Quantity("time", "ms", lambda job, one: one.seconds * 1e3)
MEMORY = Quantity("memory", "MiB", lambda job, one: one.memory / MIB)
DISK = Quantity("disk", "KiB per step", lambda job, one: one.disk / KIB / job.units)
ALL_DISK = Quantity("disk", "MiB", lambda job, one: one.disk / MIB)


def main_quantity(kind: Kind) -> Quantity:
    """Return what is measured first of all for a kind of job."""
    match kind:
        case Kind.MAP | Kind.NEST:
            return ITEM_TIME
        case Kind.RESUME | Kind.IMPORT | Kind.START:
            return WHOLE_TIME
        case Kind.MEMORY:
            return MEMORY
        case _:
            return STEP_TIME


@dataclass(slots=True)
class Figures:
    """What was measured, by job and peer: one sample per round.

    left_out: what would have taken too long. failed: what a peer did wrong, or broke at. rounds: how many were begun.
    was_stopped: the last of them was not finished.
    """

    rounds: int = 0
    was_stopped: bool = False

    told: dict[str, Told] = field(default_factory=dict[str, Told])
    samples: dict[tuple[str, str], list[Measured]] = field(default_factory=dict[tuple[str, str], list[Measured]])
    left_out: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    failed: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    def add(self, job: Job, peer: str, measured: Measured) -> None:
        """Keep one sample."""
        self.samples.setdefault((job.name, peer), []).append(measured)

    def reason(self, job: Job, peer: str) -> str | None:
        """Return why there is no number; None if there is one or can be. An empty reason is nothing to tell."""
        place = job.name, peer
        if place in self.failed:
            return f"failed: {self.failed[place]}"
        if place in self.left_out:
            return self.left_out[place]
        return self.told[peer].missing.get(job.kind)

    def values(self, job: Job, peer: str, quantity: Quantity) -> list[float]:
        """Return a number per round; empty when there is none to trust."""
        if (job.name, peer) in self.failed:
            return []
        return [quantity.of(job, one) for one in self.samples.get((job.name, peer), [])]

    def spread(self, job: Job, peer: str, quantity: Quantity) -> Spread | None:
        """Return what the samples of a peer at a job say; None when there are none."""
        values = self.values(job, peer, quantity)
        return Spread.of(values) if values else None

    def as_json(self, jobs: Sequence[Job]) -> dict[str, Any]:
        """Return everything, every sample included."""
        return {
            "rounds": self.rounds,
            "was_stopped": self.was_stopped,
            "peers": {peer: asdict(told) for peer, told in self.told.items()},
            "jobs": {
                job.name: {
                    "job": asdict(job),
                    "samples": {
                        peer: [asdict(one) for one in self.samples[job.name, peer]]
                        for peer in self.told
                        if (job.name, peer) in self.samples
                    },
                    "without": {peer: reason for peer in self.told if (reason := self.reason(job, peer))},
                }
                for job in jobs
            },
        }


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> Spread | None:
    """Return what one takes of the other's, pair by pair: numbers of one round meet the same moments.

    None when either was not measured, or when theirs is nothing at all.
    """
    pairs = [(one, other) for one, other in zip(mine, theirs, strict=False) if other > 0]
    return Spread.of([one / other for one, other in pairs]) if pairs else None
