"""The speed that Milepost is built for: ratios to its peers, on the same machine in the same run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from benchmarks.figures import ALL_DISK, DISK, Figures, Quantity, Spread, Values, main_quantity, ratio
from benchmarks.jobs import Job, Kind
from benchmarks.slow_disk import MILLISECONDS


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

    def measured(self) -> Quantity:
        """Return what of it is meant."""
        return self.quantity or main_quantity(self.kind)

    def values(self, figures: Figures, jobs: Sequence[Job]) -> Values:
        """Return a number per round; empty when it was not measured."""
        job = self.job(jobs)
        return {} if job is None else figures.values(job, self.peer, self.measured())


@dataclass(frozen=True, slots=True)
class Aim:
    """`mine` is to be at most so much, as a ratio to `other`, or by itself in its own unit when there is no other.

    at_most: None for what is told beside the aims and is none itself. is_quoted: whether the README shows it too.
    """

    text: str
    mine: Cell
    other: Cell | None
    at_most: float | None
    is_quoted: bool = False

    def found(self, figures: Figures, jobs: Sequence[Job]) -> Spread | None:
        """Return what was measured; None when it was not, or only one size of what should be compared in two."""
        mine = self.mine.values(figures, jobs)
        if self.other is None:
            return Spread.of([*mine.values()]) if mine else None
        if (self.mine.kind, self.mine.peer) == (self.other.kind, self.other.peer) and (
            self.mine.job(jobs) == self.other.job(jobs)
        ):
            return None
        return ratio(mine, self.other.values(figures, jobs), self.mine.measured().floor)

    def is_reached(self, found: Spread) -> bool | None:
        """Whether the one in the middle of what was measured is as it should be; None for what is no aim."""
        return None if self.at_most is None else found.middle <= self.at_most


NONE, PROCESS, POWER = "milepost", "milepost-sqlite-process", "milepost-sqlite-power"
SLOW = "milepost-sqlite-power-slow"


def _loop(text: str, mine: str, other: str, at_most: float | None = None) -> Aim:
    return Aim(text, Cell(Kind.LOOP, mine), Cell(Kind.LOOP, other), at_most, is_quoted=at_most is not None)


def _resume(where: str, peer: str) -> Aim:
    return Aim(
        f"resume after the most steps, {where}, of after the fewest",
        Cell(Kind.RESUME, peer),
        Cell(Kind.RESUME, peer, Size.SMALLEST),
        2,
        is_quoted=peer == PROCESS,
    )


AIMS = (
    _loop("loop, nothing kept, of pydantic-graph", NONE, "pydantic-graph", 1 / 8),
    _loop("loop, SQLite process, of pydantic-graph that keeps nothing", PROCESS, "pydantic-graph", 1 / 2),
    _loop("loop, SQLite process, of LangGraph in SQLite as it comes (FULL)", PROCESS, "langgraph-sqlite", 1 / 25),
    _loop("loop, SQLite process, of the same at the same pragma (NORMAL)", PROCESS, "langgraph-sqlite-normal"),
    _loop("loop, SQLite process, of Burr in SQLite as it comes (FULL)", PROCESS, "burr-sqlite", 1 / 15),
    _loop("loop, SQLite process, of the same at the same pragma (NORMAL)", PROCESS, "burr-sqlite-normal"),
    _loop("loop, SQLite power, of LangGraph in SQLite at the same pragma (FULL)", POWER, "langgraph-sqlite", 1 / 5),
    _loop("loop, SQLite power, of the machine's bare commits (FULL)", POWER, "limit-sqlite-power", 1.5),
    _loop("loop, SQLite power, of the same over a log that is long already", POWER, "limit-sqlite-power-long"),
    Aim(
        "largest map, nothing kept, of pydantic-graph",
        Cell(Kind.MAP, NONE),
        Cell(Kind.MAP, "pydantic-graph"),
        1 / 5,
        is_quoted=True,
    ),
    Aim(
        "item of the largest map, nothing kept, of one of the smallest",
        Cell(Kind.MAP, NONE),
        Cell(Kind.MAP, NONE, Size.SMALLEST),
        1.25,
    ),
    Aim(
        f"step of many runs at once, SQLite power, of one of a single run, on a disk that takes {MILLISECONDS} ms",
        Cell(Kind.RUNS, SLOW),
        Cell(Kind.LOOP, SLOW),
        1 / 5,
        is_quoted=True,
    ),
    Aim(
        "step of many runs at once, SQLite power, of one of a single run, on this disk",
        Cell(Kind.RUNS, POWER),
        Cell(Kind.LOOP, POWER),
        None,
        is_quoted=True,
    ),
    Aim(
        "step of many runs at once, SQLite power, of the machine's bare commits (FULL)",
        Cell(Kind.RUNS, POWER),
        Cell(Kind.LOOP, "limit-sqlite-power"),
        None,
    ),
    Aim(
        "database of the state that grew most, SQLite process, MiB",
        Cell(Kind.GROW, PROCESS, quantity=ALL_DISK),
        None,
        4,
        is_quoted=True,
    ),
    Aim(
        "bytes for a step of the state that grew most, of the one that grew least",
        Cell(Kind.GROW, PROCESS, quantity=DISK),
        Cell(Kind.GROW, PROCESS, Size.SMALLEST, DISK),
        1.25,
    ),
    _resume("SQLite process", PROCESS),
    _resume("SQLite power", POWER),
    _resume("PostgreSQL process", "milepost-postgres-process"),
    _resume("PostgreSQL power", "milepost-postgres-power"),
    Aim("memory that the longest loop adds, nothing kept, MiB", Cell(Kind.MEMORY, NONE), None, 4),
    Aim("memory that the longest loop adds, SQLite process, MiB", Cell(Kind.MEMORY, PROCESS), None, 4, is_quoted=True),
    Aim("memory that the longest loop adds to pydantic-graph, MiB", Cell(Kind.MEMORY, "pydantic-graph"), None, None),
    Aim(
        "import of the package, of pydantic-graph's", Cell(Kind.IMPORT, NONE), Cell(Kind.IMPORT, "pydantic-graph"), 1.5
    ),
    Aim(
        "import of what a program needs, of pydantic-graph's",
        Cell(Kind.START, NONE),
        Cell(Kind.START, "pydantic-graph"),
        None,
    ),
)


def _cells() -> Iterator[Cell]:
    for aim in AIMS:
        yield aim.mine
        if aim.other is not None:
            yield aim.other


def is_needed(peer: str, job: Job) -> bool:
    """Whether an aim cannot be held against anything unless this peer does jobs of this kind."""
    return any(cell.peer == peer and cell.kind is job.kind for cell in _cells())
