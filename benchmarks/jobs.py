"""The jobs that every peer does: how large each is, and what its right answer is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

CHAIN_LENGTH = 50


class Kind(StrEnum):
    """What a graph looks like."""

    LOOP = "loop"
    CHAIN = "chain"
    MAP = "map"


@dataclass(frozen=True, slots=True)
class Job:
    """One graph of one size, run `runs` times in a row.

    size: steps of a loop, nodes of a chain or items of a map. A node's body is trivial, so that what is measured is the
    engine and not the work.
    """

    kind: Kind
    size: int
    runs: int = 1

    @property
    def name(self) -> str:
        """The name in the table, e.g. "map of 1,000"."""
        return f"{self.kind} of {self.size:,}"

    @property
    def units(self) -> int:
        """How many steps or items one measurement holds; its time is divided by this."""
        return self.size * self.runs

    @property
    def answer(self) -> int:
        """The output of one run: what a loop or chain has counted to, or the sum of the doubled items of a map."""
        match self.kind:
            case Kind.LOOP | Kind.CHAIN:
                return self.size
            case Kind.MAP:
                return self.size * (self.size - 1)


FULL = (
    Job(Kind.LOOP, 1_000),
    Job(Kind.CHAIN, CHAIN_LENGTH, runs=20),
    Job(Kind.MAP, 100, runs=10),
    Job(Kind.MAP, 1_000),
    Job(Kind.MAP, 10_000),
)
QUICK = (Job(Kind.LOOP, 50), Job(Kind.CHAIN, CHAIN_LENGTH), Job(Kind.MAP, 50))
