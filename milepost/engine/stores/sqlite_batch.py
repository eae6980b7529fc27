"""What a SqliteStore is to write: several things in one transaction, on whichever thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from milepost.engine.errors import LeaseLost, MilepostError
from milepost.engine.stores import sqlite_records as records
from milepost.engine.stores.sqlite_file import failure, roll_back
from milepost.engine.stores.store import Acknowledge, Entry

Job = Callable[[sqlite3.Connection], object]
"""Writes something in a transaction of its own, or as a part of one that is open; again, if that is undone."""

Answer = BaseException | None
"""Why something could not be written; None: it is."""


class Work(NamedTuple):
    """Something to be written, and who is told that it is. shares: whether it may be in one transaction with others."""

    what: Entry | Job
    acknowledge: Acknowledge
    shares: bool = True


class Batches:
    """Writes several things together. owner: whose leases the entries are under. heads: where the runs stand."""

    def __init__(self, path: Path, owner: str, heads: records.Heads) -> None:
        self._path = path
        self._owner = owner
        self._heads = heads

    def carry_out(self, cursor: sqlite3.Cursor, works: Sequence[Work]) -> list[Answer]:
        """Write things in their order, in one transaction if that can be, and return what there is to tell of each.

        Raises sqlite3.OperationalError: the disk or a lock, which concerns all; nothing is written.
        """
        if len(works) == 1:
            return [self.alone(cursor, works[0].what)]
        try:
            return self.together(cursor, works)
        except sqlite3.OperationalError:
            raise
        except Exception:  # a value that cannot be written, for which nobody else may pay
            return self._apart(cursor, works)

    def together(self, cursor: sqlite3.Cursor, works: Sequence[Work]) -> list[Answer]:
        """Write things in one transaction, and return what there is to tell of each. Raises whatever undoes all."""
        try:
            cursor.execute("BEGIN IMMEDIATE")
            answers = [self._write_part(cursor, work.what) for work in works]
            cursor.execute("COMMIT")
        except BaseException:
            self._heads.clear()
            roll_back(cursor.connection)
            raise
        return answers

    def alone(self, cursor: sqlite3.Cursor, what: Entry | Job) -> Answer:
        """Write something in a transaction of its own, and return what there is to tell of it.

        Raises sqlite3.OperationalError: the disk or a lock; nothing is written.
        """
        try:
            if isinstance(what, Entry):
                is_kept = records.append(cursor, self._heads, self._owner, what)
                return None if is_kept else LeaseLost(what.run_id)
            what(cursor.connection)
        except MilepostError as error:
            return error
        except sqlite3.OperationalError:
            self._heads.clear()
            raise
        except Exception as error:  # whoever waits must hear of it, whatever it is
            self._heads.clear()
            return failure(self._path, "written", error)
        return None

    def _write_part(self, cursor: sqlite3.Cursor, what: Entry | Job) -> Answer:
        """Write something within the transaction that is open."""
        if isinstance(what, Entry):
            return None if records.add(cursor, self._heads, self._owner, what) else LeaseLost(what.run_id)
        try:
            what(cursor.connection)
        except MilepostError as error:
            return error
        return None

    def _apart(self, cursor: sqlite3.Cursor, works: Sequence[Work]) -> list[Answer]:
        """Write each thing in a transaction of its own. After an entry that cannot be, none of its run can be."""
        failed: dict[str, BaseException] = {}
        answers: list[Answer] = []
        for work in works:
            run_id = work.what.run_id if isinstance(work.what, Entry) else ""
            try:
                answer = failed.get(run_id) or self.alone(cursor, work.what)
            except sqlite3.OperationalError as error:
                answer = failure(self._path, "written", error)
            if answer is not None and run_id:
                failed[run_id] = answer
            answers.append(answer)
        return answers
