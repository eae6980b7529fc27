"""Where a SqliteStore writes: on the event loop's thread, or on the writer thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final, TypeVar

import anyio

from milepost.engine.errors import StoreError
from milepost.engine.hop import find_hop, find_turn
from milepost.engine.stores.sqlite_batch import Batches, Job, Work
from milepost.engine.stores.sqlite_file import connect, failure, is_busy, set_patience
from milepost.engine.stores.sqlite_log import Log
from milepost.engine.stores.sqlite_pace import Pace
from milepost.engine.stores.sqlite_records import Heads
from milepost.engine.stores.sqlite_writer import Writer
from milepost.engine.stores.store import Acknowledge, Durability, Entry

T = TypeVar("T")

_MOST: Final = 200
"""Works that are gathered, fewer than the other thread takes at once: the event loop stands still for all of them."""
_EACH: Final = 0.00002
"""Seconds that each of several works takes however quick the disk is, so that they do not count as the disk's."""


def _tell_nobody(_: BaseException | None) -> None: ...


class Commits:
    """Writes things, each after those before it, and says so in this order.

    What is to be written is gathered until everything that is ready now has had its turn, so that it shares one commit,
    unless nobody would share it. It is written on the event loop's thread: a hop to another thread and back would add
    to every wait. Only what waits for a disk that is not quick is left to the writer thread.

    owner: whose the runs are. renew: a commit that may be made at any time, and is every `pause` seconds. pace: of the
    disk. heads: where the runs stand that this store owns.
    """

    def __init__(self, path: Path, durability: Durability, owner: str, renew: Job, *, pause: float, pace: Pace) -> None:
        self.heads: Heads = {}
        self._pace = pace
        self._path = path
        self._durability: Durability = durability
        self._waits = durability == "power"  # each commit, for the disk
        self._batches = Batches(path, owner, self.heads)
        self._writer = Writer(
            connect=lambda: connect(path, durability),
            carry_out=self._batches.carry_out,
            renew=renew,
            fail=self._failure,
            hop=find_hop(),
            pause=pause,
        )
        self._soon = find_turn()
        self._gathered: list[Work] = []
        self._is_telling = False  # what was written together; until all is told, nothing may overtake it
        self._here: sqlite3.Cursor | None = None
        self._log = Log(path, self._writer.add_chore, self._add_work, renew, waits=self._waits)

    def start(self) -> None:
        """Get what an owner needs: a connection that waits for no lock, and the thread. Raises what SQLite raises."""
        if self._here is None:
            connection = connect(self._path, self._durability)
            set_patience(connection, 0.0)
            self._here = connection.cursor()
            self._writer.start()

    async def stop(self) -> None:
        """Wait for all that was to be written."""
        self._write_gathered()
        if self._here is not None:
            self._here.connection.close()
            self._here = None
        await self._writer.stop()

    def put(self, what: Entry | Job, acknowledge: Acknowledge, *, is_alone: bool) -> None:
        """Write something at once, or together with what else comes in this turn of the event loop.

        is_alone: nobody is likely to share its transaction.
        """
        if self._gathered or self._is_telling or not is_alone:
            self._gather(Work(what, acknowledge))
        else:
            self._write(what, acknowledge)

    async def call(self, job: Callable[[sqlite3.Connection], T], *, shares: bool = True, is_alone: bool = False) -> T:
        """Have a job done and return its result. Not cancelled half way: its outcome would be unknown.

        shares: it is quick, and may be done in one transaction with others. is_alone: as of `put`.
        """
        results: list[T] = []
        errors: list[BaseException] = []
        done = anyio.Event()

        def finish(error: BaseException | None) -> None:
            if error is not None:
                errors.append(error)
            done.set()

        def work(connection: sqlite3.Connection) -> None:
            results.append(job(connection))

        if not shares:
            self._write_gathered()
            self._writer.submit(Work(work, finish, shares=False))
        else:
            self.put(work, finish, is_alone=is_alone)
        if not done.is_set():
            with anyio.CancelScope(shield=True):
                await done.wait()
        if errors:
            raise errors[0]
        return results[-1]

    def _add_work(self, job: Job) -> None:
        """Have something done by the other thread that nobody waits for, before whatever is written from now on."""
        self._writer.submit(Work(job, _tell_nobody, shares=False))

    def _gather(self, work: Work) -> None:
        if not self._gathered:
            self._soon(self._write_gathered)
        self._gathered.append(work)
        if len(self._gathered) >= _MOST and not self._is_telling:
            self._write_gathered()

    def _write_gathered(self) -> None:
        works, self._gathered = self._gathered, []
        if len(works) == 1:
            self._write(works[0].what, works[0].acknowledge)
        elif works:
            self._write_together(works)

    def _write(self, what: Entry | Job, acknowledge: Acknowledge) -> None:
        """Write something here, or hand it over: what was handed over comes first."""
        self._log.count(what)
        here, begun = self._cursor_here(), perf_counter()
        if here is None:
            self._writer.submit(Work(what, acknowledge))
            return
        try:
            answer = self._batches.alone(here, what)
        except sqlite3.OperationalError as error:
            if is_busy(error):
                self._writer.submit(Work(what, acknowledge))
                return
            answer = self._failure(error)
        self._pace.note(perf_counter() - begun)
        acknowledge(answer)

    def _write_together(self, works: Sequence[Work]) -> None:
        self._log.count(*(work.what for work in works))
        here, begun = self._cursor_here(), perf_counter()
        if here is None:
            self._writer.submit(*works)
            return
        try:
            answers = self._batches.together(here, works)
        except Exception as error:
            if is_busy(error) or not isinstance(error, sqlite3.OperationalError):
                self._writer.submit(*works)  # which waits for locks, also between things that it has to write apart
                return
            answers = [self._failure(error) for _ in works]
        self._pace.note(perf_counter() - begun - len(works) * _EACH)
        self._is_telling = True
        try:
            for work, answer in zip(works, answers, strict=True):
                work.acknowledge(answer)
        finally:
            self._is_telling = False

    def _cursor_here(self) -> sqlite3.Cursor | None:
        """Return what writes here, None when the other thread is to do so."""
        return None if self._writer.pending or (self._waits and not self._pace.is_quick()) else self._here

    def _failure(self, error: Exception) -> StoreError:
        return failure(self._path, "written", error)
