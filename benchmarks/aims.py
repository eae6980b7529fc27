"""The speed that Milepost is built for: ratios to its peers, on the same machine in the same run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from benchmarks.figures import ALL_DISK, MEMORY, Figures, Quantity, Spread, main_quantity, ratio
from benchmarks.jobs import Job, Kind


class Size(Enum):
    """Which of the jobs of one kind an aim is about."""

    LARGEST = auto()
    SMALLEST = auto()


@dataclass(frozen=True, slots=True)
class Cell:
    """One peer at one job. quantity: what of it; the main one of the kind when not given."""

    kind: Kind
    peer: str
    size: Size = Size.LARGEST
    quantity: Quantity | None = None

    def job(self, jobs: Sequence[Job]) -> Job | None:
        """Return the job that this is about; None when there is none of the kind."""
        sized = sorted((job for job in jobs if job.kind is self.kind), key=lambda job: job.units)
        if not sized:
            return None
        return sized[-1] if self.size is Size.LARGEST else sized[0]

    def values(self, figures: Figures, jobs: Sequence[Job]) -> list[float]:
        """Return a number per round; empty when it was not measured."""
        job = self.job(jobs)
        return [] if job is None else figures.values(job, self.peer, self.quantity or main_quantity(self.kind))


@dataclass(frozen=True, slots=True)
class Aim:
    """`mine` is to be at most so much, as a ratio to `other`, or by itself in its own unit when there is no other."""

    text: str
    mine: Cell
    other: Cell | None
    at_most: float

    def found(self, figures: Figures, jobs: Sequence[Job]) -> Spread | None:
        """Return what was measured; None when it was not, or only one size of what should be compared in two."""
        mine = self.mine.values(figures, jobs)
        if self.other is None:
            return Spread.of(mine) if mine else None
        if (self.mine.kind, self.mine.peer) == (self.other.kind, self.other.peer) and (
            self.mine.job(jobs) == self.other.job(jobs)
        ):
            return None
        return ratio(mine, self.other.values(figures, jobs))

    def is_reached(self, found: Spread) -> bool:
        """Whether the one in the middle of what was measured is as it should be."""
        return found.middle <= self.at_most


NONE, PROCESS, POWER = "milepost", "milepost-sqlite-process", "milepost-sqlite-power"


def _loop(text: str, mine: str, other: str, at_most: float) -> Aim:
    return Aim(text, Cell(Kind.LOOP, mine), Cell(Kind.LOOP, other), at_most)


AIMS = (
    _loop("loop without a store, of pydantic-graph", NONE, "pydantic-graph", 1 / 8),
    _loop("loop in SQLite, process, of pydantic-graph without any", PROCESS, "pydantic-graph", 1 / 2),
    _loop("loop in SQLite, process, of LangGraph's AsyncSqliteSaver", PROCESS, "langgraph-sqlite", 1 / 25),
    _loop("loop in SQLite, process, of Burr's SQLite persister", PROCESS, "burr-sqlite", 1 / 15),
    _loop(
        "loop in SQLite, power, of LangGraph's AsyncSqliteSaver at the same pragma", POWER, "langgraph-sqlite", 1 / 5
    ),
    _loop("loop in SQLite, power, of the bare commits of the machine", POWER, "limit-sqlite-power", 1.5),
    Aim(
        "largest map without a store, of pydantic-graph", Cell(Kind.MAP, NONE), Cell(Kind.MAP, "pydantic-graph"), 1 / 5
    ),
    Aim(
        "an item of the largest map, of one of the smallest",
        Cell(Kind.MAP, NONE),
        Cell(Kind.MAP, NONE, Size.SMALLEST),
        1.25,
    ),
    Aim(
        "a step of many runs at once in SQLite, power, of one of a single run",
        Cell(Kind.RUNS, POWER),
        Cell(Kind.LOOP, POWER),
        1 / 5,
    ),
    Aim("MiB of a database to which most pages were added", Cell(Kind.GROW, PROCESS, quantity=ALL_DISK), None, 4),
    Aim(
        "bytes of a page among the most, of one among the fewest",
        Cell(Kind.GROW, PROCESS, quantity=Quantity("disk", "KiB per step", lambda job, one: one.disk / job.units)),
        Cell(
            Kind.GROW, PROCESS, Size.SMALLEST, Quantity("disk", "KiB per step", lambda job, one: one.disk / job.units)
        ),
        1.25,
    ),
    Aim(
        "resuming after the most records, of after the fewest",
        Cell(Kind.RESUME, PROCESS),
        Cell(Kind.RESUME, PROCESS, Size.SMALLEST),
        2,
    ),
    Aim("MiB that the longest loop adds, without a store", Cell(Kind.MEMORY, NONE, quantity=MEMORY), None, 4),
    Aim("MiB that the longest loop adds, in SQLite, process", Cell(Kind.MEMORY, PROCESS, quantity=MEMORY), None, 4),
    Aim("import, of pydantic-graph's", Cell(Kind.IMPORT, NONE), Cell(Kind.IMPORT, "pydantic-graph"), 1.5),
)


def _cells() -> Iterator[Cell]:
    for aim in AIMS:
        yield aim.mine
        if aim.other is not None:
            yield aim.other


def is_needed(peer: str, job: Job) -> bool:
    """Whether an aim cannot be held against anything unless this peer does jobs of this kind."""
    return any(cell.peer == peer and cell.kind is job.kind for cell in _cells())
