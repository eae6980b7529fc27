"""The writer thread of a SqliteStore: commits what waits in one go, and renews leases while the event loop is busy."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Final, NamedTuple, TypeVar

import anyio

from milepost.engine.errors import LeaseLost, MilepostError, StoreError
from milepost.engine.hop import Hop
from milepost.engine.stores.sqlite_file import is_busy, transaction
from milepost.engine.stores.store import Acknowledge, Entry

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], object]

_MOST: Final = 1000
"""Items of one batch: a longer one would only be acknowledged later, not written faster."""


class _Item(NamedTuple):
    work: Entry | Job | None  # None: end, in its turn
    acknowledge: Acknowledge
    shares: bool = False  # whether the job may be done in one transaction with others

    @property
    def kind(self) -> str:
        """What it can be done together with."""
        return "entry" if isinstance(self.work, Entry) else "job" if self.shares else "alone"


class Writer:
    """Carries out work in the order it was given, on one thread that is started by the first of it.

    connect: opens the thread's own connection. append: commits entries together and says which; those of a lost lease
    are not. renew: called every `pause` seconds. fail: makes the error to be told.
    pending: how much is not acknowledged yet; only for the event loop's thread.
    """

    def __init__(
        self,
        *,
        connect: Callable[[], sqlite3.Connection],
        append: Callable[[sqlite3.Connection, Sequence[Entry]], Sequence[bool]],
        renew: Job,
        fail: Callable[[Exception], StoreError],
        hop: Hop,
        pause: float,
    ) -> None:
        self.pending = 0
        self._connect = connect
        self._append = append
        self._renew = renew
        self._fail = fail
        self._hop = hop
        self._pause = pause
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._thread: Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._is_ending = False

    def start(self) -> None:
        """Start the thread unless it runs."""
        if self._thread is None:
            self._thread = Thread(target=self._serve, name="milepost-sqlite-writer", daemon=True)
            self._thread.start()

    def submit(self, work: Entry | Job | None, acknowledge: Acknowledge, *, shares: bool = False) -> None:
        """Have an entry committed, or a job done in its own transaction. shares: it may be part of another one."""
        self.pending += 1
        self._queue.put(_Item(work, acknowledge, shares))
        if self._thread is None:
            self.start()

    async def call(self, job: Callable[[sqlite3.Connection], T], *, shares: bool = False) -> T:
        """Have a job done and return its result. Not cancelled half way: its outcome would be unknown.

        shares: it may be done in one transaction with other such jobs, and again if that could not be committed.
        """
        results: list[T] = []
        errors: list[BaseException] = []
        done = anyio.Event()

        def finish(error: BaseException | None) -> None:
            if error is not None:
                errors.append(error)
            done.set()

        self.submit(lambda connection: results.append(job(connection)), finish, shares=shares)
        with anyio.CancelScope(shield=True):
            await done.wait()
        if errors:
            raise errors[0]
        return results[-1]

    async def stop(self) -> None:
        """Wait for all that was submitted, then end the thread and close its connection."""
        if self._thread is not None:
            done = anyio.Event()
            self.submit(None, lambda _: done.set())
            with anyio.CancelScope(shield=True):
                await done.wait()
            self._thread.join()
            self._thread = None

    def _serve(self) -> None:
        due = monotonic() + self._pause
        is_last = False
        while not is_last:
            answers = self._carry_out(self._take(0.0 if self._is_ending else due - monotonic()))
            is_last = self._is_ending and self._queue.empty()
            if is_last:
                self._disconnect()
            elif monotonic() >= due:
                self._do(self._renew)  # a failure is not told: if it lasts, the next commit meets it
                due = monotonic() + self._pause
            self._tell(answers)

    def _take(self, patience: float) -> list[_Item]:
        """Return what waits; nothing if nothing comes in time."""
        items: list[_Item] = []
        try:
            items.append(self._queue.get(timeout=max(patience, 0.0)))
            while len(items) < _MOST:
                items.append(self._queue.get_nowait())
        except Empty:
            pass
        return items

    def _carry_out(self, items: Sequence[_Item]) -> list[tuple[Acknowledge, BaseException | None]]:
        errors: list[BaseException | None] = []
        for kind, group in groupby(items, key=lambda item: item.kind):
            works = [item.work for item in group]
            jobs = [work for work in works if not isinstance(work, Entry)]
            if kind == "entry":
                errors += self._commit([work for work in works if isinstance(work, Entry)])
            elif kind == "job" and len(jobs) > 1:
                errors += self._do_together([job for job in jobs if job is not None])
            else:
                errors += [self._do(job) for job in jobs]
        return [(item.acknowledge, error) for item, error in zip(items, errors, strict=True)]

    def _commit(self, entries: Sequence[Entry]) -> list[BaseException | None]:
        try:
            kept = self._append(self._connected(), entries)
        except sqlite3.OperationalError as error:  # the disk or a lock: it concerns all
            return [self._fail(error)] * len(entries)
        except Exception as error:  # a value that cannot be written: it concerns one run, which nobody else may pay for
            if len({entry.run_id for entry in entries}) == 1:
                return [self._fail(error)] * len(entries)
            return self._commit_apart(entries)
        return [None if is_kept else LeaseLost(entry.run_id) for entry, is_kept in zip(entries, kept, strict=True)]

    def _commit_apart(self, entries: Sequence[Entry]) -> list[BaseException | None]:
        """Commit one transaction for each run."""
        errors: list[BaseException | None] = [None] * len(entries)
        for run_id in {entry.run_id: None for entry in entries}:
            places = [place for place, entry in enumerate(entries) if entry.run_id == run_id]
            for place, error in zip(places, self._commit([entries[place] for place in places]), strict=True):
                errors[place] = error
        return errors

    def _do_together(self, jobs: Sequence[Job]) -> list[BaseException | None]:
        """Do jobs in one transaction, or in one for each if that cannot be."""
        errors: list[BaseException | None] = []
        try:
            connection = self._connected()
            with transaction(connection):
                for job in jobs:
                    try:
                        job(connection)
                        errors.append(None)
                    except MilepostError as error:
                        errors.append(error)
        except Exception as error:  # whoever is to blame, nobody else may pay for it
            return [self._fail(error)] * len(jobs) if is_busy(error) else [self._do(job) for job in jobs]
        return errors

    def _do(self, job: Job | None) -> BaseException | None:
        if job is None:
            self._is_ending = True
            return None
        try:
            job(self._connected())
        except MilepostError as error:
            return error
        except Exception as error:  # whoever waits must hear of it, whatever it is
            return self._fail(error)
        return None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _tell(self, answers: Sequence[tuple[Acknowledge, BaseException | None]]) -> None:
        """Acknowledge on the event loop's thread. With no loop left nobody uses the store: let the leases go."""
        try:
            self._hop(self._deliver, answers)
        except RuntimeError:
            self._is_ending = True

    def _deliver(self, answers: Sequence[tuple[Acknowledge, BaseException | None]]) -> None:
        for acknowledge, error in answers:
            self.pending -= 1  # before the call: whoever appends in it must find no more waiting than there is
            acknowledge(error)
