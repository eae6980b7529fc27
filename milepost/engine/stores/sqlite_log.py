"""The write-ahead log of a SqliteStore: what is done for it on another thread, so that no commit waits for that."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from milepost.engine.stores.sqlite_batch import Job
from milepost.engine.stores.sqlite_file import LOG_PAGES, roll_back
from milepost.engine.stores.store import Entry

_MANY: Final = 100
"""So many commits to a log that grows have cost what it costs to make it long; by then as many are to come."""
_PAGE: Final = 3_600
"""Characters of records in a page of 4,096 bytes."""
_NEAR: Final = 0.85 * LOG_PAGES
"""Pages of a log that is soon full: time to move it into the database, before a commit would have to."""


class Log:
    """The log of one store.

    add_chore: has something done on the writer thread, beside commits here. add_work: the same, and what is committed
    meanwhile is so after it. renew: a commit that may be made at any time. waits: whether commits wait for the disk.

    A commit that makes the log full moves it into the database, which takes milliseconds. So that is done a little
    before, on the writer thread, and what a commit then moves is what has come meanwhile.
    """

    def __init__(
        self,
        path: Path,
        add_chore: Callable[[Job], None],
        add_work: Callable[[Job], None],
        renew: Job,
        *,
        waits: bool,
    ) -> None:
        self._path = path
        self._add_chore = add_chore
        self._add_work = add_work
        self._renew = renew
        self._until_long = _MANY if waits else 0
        self._pages = 0.0

    def count(self, *written: Entry | Job) -> None:
        """Take into account what is written next, in one transaction, or is handed over and may share one with more."""
        for what in written:
            self._pages += 1
            if isinstance(what, Entry):
                self._pages += (len(what.body) + len(what.content)) / _PAGE
        if self._pages >= _NEAR:
            self._pages -= LOG_PAGES
            self._add_chore(self._move)
        if self._until_long:
            self._until_long -= 1
            if not self._until_long:
                self._add_work(self._lengthen)  # as a chore it would get the lock only between two commits, and seldom

    def _move(self, connection: sqlite3.Connection) -> None:
        """Move the log into the database, and then what has come meanwhile."""
        for _ in range(2):
            _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages >= 0:  # else somebody moves it just now
                # As the next commit that finds the log full begins it anew. What the event loop counts at this instant
                # may be missed, which does not matter.
                self._pages = pages if pages < LOG_PAGES / 2 else pages - LOG_PAGES

    def _lengthen(self, connection: sqlite3.Connection) -> None:
        """Make the log as long as it gets before it is written over, without a change to the database.

        A power-safe commit to a log that grows waits twice as long: the file's new size has to be on the disk, too.
        What is written here is rolled back; that it is more than SQLite keeps in memory brings it into the log all the
        same. The next commit waits until all that is on the disk.
        """
        size = connection.execute("PRAGMA page_size").fetchone()[0] * LOG_PAGES
        if Path(f"{self._path}-wal").stat().st_size >= size / 2:  # the rest comes sooner than it is made
            return
        connection.execute("PRAGMA cache_size=10")
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "INSERT INTO records (place, hash, at, body, content) VALUES (0, '', 0.0, '', zeroblob(?))", (size,)
            )
        finally:
            roll_back(connection)
            connection.execute("PRAGMA cache_size=-2000")  # as it is unless one says so
        self._renew(connection)  # the commit that waits: nobody stands still for it here
