"""The protocol of stores: where journals live, and what every store promises.

- `create` and every appended entry are one transaction each, and are acknowledged only when they are as durable as the
  store says. Entries of one run are acknowledged in order.
- One owner per run: `create` and `acquire` give a lease with a growing fencing number (the epoch), and an entry of
  another epoch is refused with LeaseLost.
- What is read is what was written, or an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from milepost.engine.trace import RunStatus

Acknowledge = Callable[[BaseException | None], None]
"""Called once on the event loop's thread: with None when the entry is committed, else with why it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """What a store knows of a run without reading its journal.

    seq, hash: of its newest record. snapshot_seq: the newest record that carries a snapshot, 0 for none. created,
    updated: seconds since 1970 UTC. output: JSON text. isolation: "task" or "shared".
    """

    run_id: str
    workflow: str
    version: int
    fingerprint: str
    status: RunStatus
    isolation: str
    created: float
    updated: float
    seq: int
    hash: str
    snapshot_seq: int
    epoch: int
    owner: str | None
    error: str | None
    output: str | None


class Entry(NamedTuple):
    """One record to be committed, with what it changes in the run's row."""

    run_id: str
    epoch: int
    seq: int
    body: str
    content: str
    hash: str
    at: float
    snapshot: str | None
    status: RunStatus
    error: str | None
    output: str | None


class StoredRecord(NamedTuple):
    """One record as it lies in a store. at: when it was committed, seconds since 1970 UTC."""

    seq: int
    body: str
    content: str
    hash: str
    at: float
    snapshot: str | None


class Opening(NamedTuple):
    """When somebody became a run's owner."""

    epoch: int
    owner: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to be created. definition: the JSON text of its workflow's definition."""

    run_id: str
    workflow: str
    version: int
    fingerprint: str
    definition: str
    isolation: str


class Store(Protocol):
    """Where journals live. Every method may raise StoreError."""

    async def open(self) -> None:
        """Get ready; called once, on the event loop that the store will be used from."""
        ...

    async def close(self) -> None:
        """Wait for what is being written, give up all leases, and let go of files and threads."""
        ...

    async def create(self, run: NewRun, first: Entry) -> bool:
        """Create a run with its first record and become its owner (epoch 1).

        Returns False, changing nothing, if the id is taken.
        """
        ...

    async def acquire(self, run_id: str) -> RunRow:
        """Become the owner of a run; its row then holds the new epoch. Raises UnknownRun, RunBusy, CrashLoop."""
        ...

    async def release(self, run_id: str, epoch: int) -> None:
        """Stop being the owner."""
        ...

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        """Commit an entry. Acknowledges at once or later, in order, on the event loop's thread."""
        ...

    async def row(self, run_id: str) -> RunRow | None:
        """Return the row of a run."""
        ...

    async def rows(self) -> Sequence[RunRow]:
        """Return all rows, the newest run first."""
        ...

    async def records(self, run_id: str, *, after: int = 0) -> Sequence[StoredRecord]:
        """Return the records of a run whose number is greater than `after`, in order."""
        ...

    async def record(self, run_id: str, seq: int) -> StoredRecord | None:
        """Return one record."""
        ...

    async def openings(self, run_id: str) -> Sequence[Opening]:
        """Return who owned a run, in order."""
        ...

    async def definition(self, fingerprint: str) -> str | None:
        """Return the description of a workflow that ran here."""
        ...
