"""What a peer is: a name, how it is configured, and a way to make it ready for a job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from benchmarks.jobs import Job, Kind

Once = Callable[[], Awaitable[int]]
"""Carry out one run of the job and return its output."""


class Store(StrEnum):
    """Where a peer keeps what it did."""

    NONE = "nothing kept"
    FILE = "files"
    SQLITE = "SQLite"
    POSTGRES = "PostgreSQL"
    LIMIT = "the machine itself"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job is done. folder: empty, for files. server: the DSN of an empty database, if there is one."""

    folder: Path
    server: str | None = None

    @property
    def dsn(self) -> str:
        """The DSN, for a peer that cannot do without."""
        if self.server is None:
            raise NoServer
        return self.server


class NoServer(Exception):
    """A peer that needs a PostgreSQL was given none."""

    def __init__(self) -> None:
        super().__init__("This peer needs a PostgreSQL, and was given none.")


@dataclass(frozen=True, slots=True)
class Peer:
    """An engine with one way of keeping what it did.

    distributions: whose versions the report names. configuration: what of it was chosen. ready: given a job and a
    place, builds the graph and opens the store, none of which is measured; on leaving it checks that every step was
    kept, where the peer promises so. missing: what it cannot do, and why.
    package, imports: the statements that are measured for importing it, and for importing what a program needs; None to
    leave it out there.
    """

    name: str
    store: Store
    distributions: tuple[str, ...]
    configuration: str
    ready: Callable[[Job, Place], AbstractAsyncContextManager[Once]]
    package: str | None = None
    imports: str | None = None
    missing: Mapping[Kind, str] = field(default_factory=dict[Kind, str])

    def why_not(self, kind: Kind) -> str | None:
        """Return why it does not do this kind of job; None when it does. An empty reason is nothing to tell."""
        match kind:
            case Kind.IMPORT:
                return "" if self.package is None else None
            case Kind.START:
                return "" if self.imports is None else None
            case Kind.MEMORY if self.store is Store.POSTGRES:
                return ""  # the database is another process
            case _:
                return self.missing.get(kind)


KEEPS_NOTHING: Mapping[Kind, str] = {Kind.RESUME: "keeps nothing that could be resumed"}


class NotKept(Exception):
    """A peer that should have written a checkpoint for every step has fewer."""

    def __init__(self, peer: str, job: Job, found: int) -> None:
        super().__init__(f"{peer} kept {found} checkpoints of {job.name}, which has {job.units} steps.")


class NotStopped(Exception):
    """A run that was to stop at its gate, so that it can be resumed, went on to its end."""

    def __init__(self, peer: str) -> None:
        super().__init__(f"{peer} went through a gate that was closed.")


class NotSet(Exception):
    """A connection to SQLite does not have the pragma that it was given, so that its time would be another's."""

    def __init__(self, name: str, wanted: str, found: object) -> None:
        super().__init__(f"The pragma {name} was set to {wanted} and is {found}.")


def hold_pragma(name: str, wanted: str, found: object) -> None:
    """Raise NotSet unless SQLite answers what was asked of it, by name or by number."""
    if found not in (wanted, {"NORMAL": 1, "FULL": 2}.get(wanted)):
        raise NotSet(name, wanted, found)
