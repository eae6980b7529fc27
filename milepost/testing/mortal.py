"""A store in a process that may die right after a commit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import anyio

from milepost.engine.stores.store import Acknowledge, Entry, NewRun, RunRow, Store
from milepost.engine.trace import RunStatus


def unheard(entry: Entry) -> None:
    """Tell nobody of a commit."""


def unseen(row: RunRow) -> None:
    """Tell nobody of a run that was opened."""


class MortalStore:
    """Stands before a store, and dies with its process right after a commit: that is made, and nobody hears of it.

    It has everything that the store behind it has, and nothing reaches that one any more once it is dead.

    commits: how many entries, of all runs, are committed until then; None for no end. committed: is told of every entry
    before the engine is. opened: is told of every run that is taken over. die: what happens then, besides `died`.
    """

    def __init__(
        self,
        store: Store,
        *,
        commits: int | None = None,
        committed: Callable[[Entry], None] = unheard,
        opened: Callable[[RunRow], None] = unseen,
        die: Callable[[], None] = lambda: None,
    ) -> None:
        self.died = anyio.Event()
        self._store = store
        self._commits = commits
        self._committed = committed
        self._opened = opened
        self._die = die
        self._submitted = 0
        self._done = 0
        self._held: deque[tuple[Entry, Acknowledge]] = deque()
        self._room = anyio.Event()

    def __getattr__(self, name: str) -> Any:
        """Hand on what needs no looking at: whatever the store behind it can do, also what this class knows not of."""
        return getattr(self._store, name)

    @property
    def as_store(self) -> Store:
        """Itself, as what it is: type checkers do not see what is handed on."""
        return cast("Store", self)

    @property
    def _is_full(self) -> bool:
        """Whether all that will ever be committed has been handed in."""
        return self.died.is_set() or self._submitted == self._commits

    async def create(self, run: NewRun, first: Entry) -> bool:
        while self._is_full:  # for ever, unless an entry is not committed after all
            await self._room.wait()
        self._submitted += 1
        try:
            made = await self._store.create(run, first)
        except BaseException:
            self._take_back()
            raise
        if not made:
            self._take_back()
        elif not self._is_survived(first):
            await anyio.sleep_forever()
        return made

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        if self._is_full:
            self._held.append((entry, acknowledge))
            return
        self._submitted += 1
        self._store.append(entry, lambda error: self._hear(entry, error, acknowledge))

    def _hear(self, entry: Entry, error: BaseException | None, acknowledge: Acknowledge) -> None:
        if error is not None:
            self._take_back()
        elif not self._is_survived(entry):
            return
        if not self.died.is_set():
            acknowledge(error)

    def _is_survived(self, entry: Entry) -> bool:
        """Note a commit. Returns whether the process lives on."""
        self._done += 1
        self._committed(entry)
        if self._done == self._commits:
            self.died.set()
            self._die()
        return not self.died.is_set()

    def _take_back(self) -> None:
        """Let another entry take the place of one that was not committed after all."""
        self._submitted -= 1
        while self._held and not self._is_full:
            self.append(*self._held.popleft())
        room, self._room = self._room, anyio.Event()
        room.set()

    async def acquire(self, run_id: str) -> RunRow:
        if self.died.is_set():
            await anyio.sleep_forever()
        row = await self._store.acquire(run_id)
        self._opened(row)
        return row

    async def release(self, run_id: str, epoch: int) -> None:
        if not self.died.is_set():
            await self._store.release(run_id, epoch)

    async def children(self, run_id: str, *, status: RunStatus | None = None) -> Sequence[RunRow]:
        """Return none once it is dead: an engine looks after those runs while it is being stopped."""
        return () if self.died.is_set() else await self._store.children(run_id, status=status)
