"""The writer thread of a SqliteStore: writes what waits in one go, and renews leases while the event loop is busy."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Final, NamedTuple

import anyio

from milepost.engine.errors import StoreError
from milepost.engine.hop import Hop
from milepost.engine.stores.sqlite_batch import Answer, Job, Work
from milepost.engine.stores.store import Acknowledge

_MOST: Final = 1000
"""Works of one batch: a longer one would only be acknowledged later, not written faster."""


class _Chore(NamedTuple):
    """Something to be done some time. A failure is not told: if it lasts, the next work meets it."""

    job: Job


class _End(NamedTuple):
    """What the thread ends with."""

    acknowledge: Acknowledge


_Item = Work | _Chore | _End


class Writer:
    """Carries out works in the order they were given, on one thread that is started when it is first needed.

    connect: opens the thread's own connection. carry_out: carries out works in one transaction; see `Batches`. renew: a
    chore, done every `pause` seconds. fail: makes the error to be told.
    pending: how many works are not acknowledged yet; only for the event loop's thread.
    """

    def __init__(
        self,
        *,
        connect: Callable[[], sqlite3.Connection],
        carry_out: Callable[[sqlite3.Cursor, Sequence[Work]], list[Answer]],
        renew: Job,
        fail: Callable[[Exception], StoreError],
        hop: Hop,
        pause: float,
    ) -> None:
        self.pending = 0
        self._connect = connect
        self._write = carry_out
        self._renew = _Chore(renew)
        self._fail = fail
        self._hop = hop
        self._pause = pause
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._thread: Thread | None = None
        self._cursor: sqlite3.Cursor | None = None
        self._is_ending = False

    def start(self) -> None:
        """Start the thread unless it runs."""
        if self._thread is None:
            self._thread = Thread(target=self._serve, name="milepost-sqlite-writer", daemon=True)
            self._thread.start()

    def submit(self, *works: Work) -> None:
        """Have works carried out after those before them."""
        self.pending += len(works)
        for work in works:
            self._queue.put(work)
        self.start()

    def add_chore(self, chore: Job) -> None:
        """Have something done some time, which nobody waits for."""
        self._queue.put(_Chore(chore))
        self.start()

    async def stop(self) -> None:
        """Wait for all that was submitted, then end the thread and close its connection."""
        if self._thread is not None:
            done = anyio.Event()

            def end(_: Answer) -> None:
                done.set()

            self.pending += 1
            self._queue.put(_End(end))
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
                self._do(self._renew)
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

    def _carry_out(self, items: Sequence[_Item]) -> list[tuple[Acknowledge, Answer]]:
        told: list[tuple[Acknowledge, Answer]] = []
        for is_shared, group in groupby(items, key=lambda item: isinstance(item, Work) and item.shares):
            if is_shared:
                told += self._answered([item for item in group if isinstance(item, Work)])
                continue
            for item in group:
                if isinstance(item, Work):
                    told += self._answered([item])
                elif isinstance(item, _Chore):
                    self._do(item)
                else:
                    self._is_ending = True
                    told.append((item.acknowledge, None))
        return told

    def _answered(self, works: Sequence[Work]) -> list[tuple[Acknowledge, Answer]]:
        """Carry out works, and return whom to tell what."""
        try:
            answers = self._write(self._connected(), works)
        except Exception as error:  # whoever waits must hear of it, whatever it is
            answers = [self._fail(error)] * len(works)
        return [(work.acknowledge, answer) for work, answer in zip(works, answers, strict=True)]

    def _do(self, chore: _Chore) -> None:
        with suppress(Exception):
            chore.job(self._connected().connection)

    def _connected(self) -> sqlite3.Cursor:
        if self._cursor is None:
            self._cursor = self._connect().cursor()
        return self._cursor

    def _disconnect(self) -> None:
        if self._cursor is not None:
            with suppress(sqlite3.Error):
                self._cursor.connection.close()
            self._cursor = None

    def _tell(self, answers: Sequence[tuple[Acknowledge, Answer]]) -> None:
        """Acknowledge on the event loop's thread. With no loop left nobody uses the store: let the leases go."""
        try:
            self._hop(self._deliver, answers)
        except RuntimeError:
            self._is_ending = True

    def _deliver(self, answers: Sequence[tuple[Acknowledge, Answer]]) -> None:
        for acknowledge, error in answers:
            self.pending -= 1  # before the call: whoever appends in it must find no more waiting than there is
            acknowledge(error)
