"""What a peer is: a name, and a way to make it ready for a job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.jobs import Job

Once = Callable[[], Awaitable[int]]
"""Carry out one run of the job and return its output."""


@dataclass(frozen=True, slots=True)
class Peer:
    """An engine with one way of keeping what it did.

    distributions: whose versions the report names. ready: given a job and an empty folder for files, builds the graph
    and opens the store, none of which is measured; on leaving it checks that every step was kept, where the peer
    promises so.
    """

    name: str
    distributions: tuple[str, ...]
    ready: Callable[[Job, Path], AbstractAsyncContextManager[Once]]


class NotKept(Exception):
    """A peer that should have written a checkpoint for every step has fewer."""

    def __init__(self, peer: str, job: Job, found: int) -> None:
        super().__init__(f"{peer} kept {found} checkpoints of {job.name}, which has {job.units} steps.")
