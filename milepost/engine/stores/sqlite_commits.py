"""Who commits the entries of a SqliteStore: the event loop's thread at once, or the writer thread, several together."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

from milepost.engine.errors import LeaseLost, StoreError
from milepost.engine.stores import sqlite_records as records
from milepost.engine.stores.sqlite_file import FAILURES, connect, failure, is_busy, lengthen_log, set_patience
from milepost.engine.stores.sqlite_pace import Pace
from milepost.engine.stores.sqlite_writer import Job, Writer
from milepost.engine.stores.store import Acknowledge, Durability, Entry

_MANY: Final = 100
"""After so many records as many are to come: by then, that the log grew has cost what it costs to make it long."""


class Commits:
    """Commits entries, each after those before it.

    Commits that wait for the disk are made on the writer thread, where several share one wait, except while nobody
    would share it and the disk is quick: a hop to another thread and back would take longer than the wait.

    owner: whose the runs are. renew: a commit that may be made at any time. direct: a cursor of the event loop's own
    connection, which waits for no lock; None before the first run is owned. heads: where the runs stand that this store
    owns. pace: of the disk.
    """

    def __init__(self, path: Path, durability: Durability, owner: str, renew: Job) -> None:
        self.direct: sqlite3.Cursor | None = None
        self.heads: records.Heads = {}
        self.pace = Pace()
        self._shares = durability == "power"
        self._path = path
        self._durability: Durability = durability
        self._owner = owner
        self._renew = renew
        self._appended = 0

    def connect(self) -> None:
        """Open the event loop's own connection, unless it is. Raises what SQLite raises."""
        if self.direct is None:
            connection = connect(self._path, self._durability)
            set_patience(connection, 0.0)
            self.direct = connection.cursor()

    def disconnect(self) -> None:
        """Close that connection."""
        if self.direct is not None:
            self.direct.connection.close()
        self.direct, self._appended = None, 0

    def append(self, writer: Writer, entry: Entry, acknowledge: Acknowledge, *, is_only: bool) -> None:
        """Commit an entry here or there. is_only: of the only run that this store owns."""
        cursor = self.direct
        if self._shares:
            self._count(writer)
        if cursor is None or writer.pending or not self.is_here(entry.alone and is_only):
            writer.submit(entry, acknowledge)  # what was handed over comes first
            return
        answer: StoreError | None = None
        begun = perf_counter() if self._shares else 0.0
        try:
            if not records.append_one(cursor, self.heads, self._owner, entry):
                answer = LeaseLost(entry.run_id)
        except FAILURES as error:
            if is_busy(error):
                writer.submit(entry, acknowledge)
                return
            answer = failure(self._path, "written", error)
        if self._shares:
            self.pace.note(perf_counter() - begun)
        acknowledge(answer)

    def is_here(self, is_alone: bool) -> bool:
        """Whether to commit on the event loop's thread. is_alone: nobody else would wait for the disk meanwhile."""
        return not self._shares or (is_alone and self.pace.is_quick)

    def append_together(self, connection: sqlite3.Connection, entries: Sequence[Entry]) -> Sequence[bool]:
        """Commit entries on the writer thread; see `records.append`."""
        begun = perf_counter()
        kept = records.append(connection, self.heads, self._owner, entries)
        if len(entries) == 1:
            self.pace.note(perf_counter() - begun)
        return kept

    def _count(self, writer: Writer) -> None:
        self._appended += 1
        if self._appended == _MANY:
            writer.submit(self._lengthen_log, lambda _: None)  # without it, commits only take longer

    def _lengthen_log(self, connection: sqlite3.Connection) -> None:
        lengthen_log(self._path, connection)
        self._renew(connection)  # so that it is this thread that waits until all that is on the disk
