"""The jobs that every peer does: how large each is, and what its right answer is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

CHAIN_LENGTH = 50
RUN_LENGTH = 20
PAGE = "x" * 1024
PAGES = 1024


class Kind(StrEnum):
    """What is done."""

    LOOP = "loop"
    CHAIN = "chain"
    MAP = "map"
    NEST = "nested maps"
    RUNS = "runs at once"
    GROW = "growing state"
    LARGE = "large state"
    RESUME = "resume"
    IMPORT = "import"
    START = "import of what a program needs"
    MEMORY = "memory of a loop"


MEANING = {
    Kind.LOOP: "One node that counts and a decision that goes back to it.",
    Kind.CHAIN: f"{CHAIN_LENGTH} nodes, one after the other.",
    Kind.MAP: "A list, a node for each of its items, and a join that adds up.",
    Kind.NEST: "A map, in each of whose branches there is a map with a join, and a join of those.",
    Kind.RUNS: f"Runs that are started together in one process, each a loop of {RUN_LENGTH} steps.",
    Kind.GROW: "A loop that adds 1 KiB to the state in every step.",
    Kind.LARGE: "A loop that counts in a state of which 1 MiB stays as it is.",
    Kind.RESUME: "A run that stopped after so many steps is opened from its store and finished.",
    Kind.IMPORT: "A new process that imports the package, less one that imports nothing.",
    Kind.START: "The same with the names that a program needs to declare and run a workflow.",
    Kind.MEMORY: "What a loop adds to the most memory that its process ever had, after one of 1,000 steps.",
}


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to do in one size, `runs` times in a row.

    size: steps of a loop or nodes of a chain; items of a map; branches and their items of a nested map; runs at once;
    processes that import. rounds: at most so many rounds do it. limit: the seconds that one measurement may take, with
    its preparation; whoever would take longer is told and not measured. again: whoever takes longer than this is
    measured in one round only. A node's body is trivial, so that what is measured is the engine and not the work.
    """

    kind: Kind
    size: int
    runs: int = 1
    rounds: int = 99
    limit: float = 30
    again: float = 4

    @property
    def beginning(self) -> dict[str, object]:
        """What the state of a run begins with where it is a dictionary; `benchmarks.graphs` has ours."""
        match self.kind:
            case Kind.GROW:
                return {"value": 0, "pages": []}
            case Kind.LARGE:
                return {"value": 0, "pages": [PAGE] * PAGES}
            case _:
                return {"value": 0}

    @property
    def name(self) -> str:
        """The name in the table, e.g. "map of 1,000"."""
        match self.kind:
            case Kind.IMPORT | Kind.START:
                return str(self.kind)
            case Kind.RUNS:
                return f"{self.size:,} {self.kind}"
            case Kind.NEST:
                return f"{self.kind} of {self.size:,} × {self.size:,}"
            case Kind.MEMORY:
                return f"{self.kind} of {self.size:,} steps"
            case Kind.RESUME:
                return f"{self.kind} after {self.size:,} steps"
            case _:
                return f"{self.kind} of {self.size:,}"

    @property
    def units(self) -> int:
        """How many steps or items one measurement holds."""
        match self.kind:
            case Kind.NEST:
                return self.size * self.size * self.runs
            case Kind.RUNS:
                return self.size * RUN_LENGTH * self.runs
            case _:
                return self.size * self.runs

    @property
    def answer(self) -> int:
        """The output of one run: what it has counted to, the sum of the doubled items, or the pages that were added."""
        match self.kind:
            case Kind.MAP:
                return self.size * (self.size - 1)
            case Kind.NEST:
                items = self.size * self.size
                return items * (items - 1)
            case Kind.RUNS:
                return self.size * RUN_LENGTH
            case _:
                return self.size


FULL = (
    Job(Kind.LOOP, 1_000, limit=40),
    Job(Kind.MAP, 100, runs=3),
    Job(Kind.MAP, 10_000, rounds=3, again=5),
    Job(Kind.RUNS, 100, rounds=3),
    Job(Kind.GROW, 100, rounds=3),
    Job(Kind.GROW, 1_000, rounds=3),
    Job(Kind.RESUME, 1_000, rounds=3),
    Job(Kind.RESUME, 100_000, rounds=3, limit=60, again=12),
    Job(Kind.IMPORT, 1),
    Job(Kind.START, 1),
    Job(Kind.MEMORY, 10_000, rounds=1, limit=6),
    Job(Kind.MEMORY, 1_000_000, rounds=1, limit=130),
    Job(Kind.CHAIN, CHAIN_LENGTH, runs=10),
    Job(Kind.MAP, 1_000, rounds=3),
    Job(Kind.NEST, 30, rounds=3),
    Job(Kind.LARGE, 30, rounds=3),
)
"""What `make bench` measures, the aims' jobs first, in about 20 minutes."""
AIMED = (
    Job(Kind.LOOP, 1_000),
    Job(Kind.MAP, 100, runs=3),
    Job(Kind.MAP, 10_000, rounds=2),
    Job(Kind.RUNS, 100),
    Job(Kind.GROW, 100),
    Job(Kind.GROW, 1_000, rounds=2),
    Job(Kind.RESUME, 1_000),
    Job(Kind.RESUME, 100_000, rounds=1, limit=60),
    Job(Kind.IMPORT, 1),
    Job(Kind.START, 1),
    Job(Kind.MEMORY, 100_000, rounds=1),
)
"""What the aims need, for a look at them in a minute or two: the longest loop is shorter."""
QUICK = (
    Job(Kind.LOOP, 50),
    Job(Kind.CHAIN, CHAIN_LENGTH),
    Job(Kind.MAP, 50),
    Job(Kind.NEST, 5),
    Job(Kind.RUNS, 5),
    Job(Kind.GROW, 20),
    Job(Kind.LARGE, 3),
    Job(Kind.RESUME, 50),
    Job(Kind.IMPORT, 1),
    Job(Kind.START, 1),
    Job(Kind.MEMORY, 1_000, rounds=1, limit=15),
)
"""What shows that everything works."""
