"""The committer of a PostgresStore: commits all that waits together, and settles what became of a lost commit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Final

import anyio
from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from milepost.engine.errors import LeaseLost, StoreError
from milepost.engine.stores import postgres_journal as journal
from milepost.engine.stores.postgres_batch import Chain, chains_of
from milepost.engine.stores.postgres_connections import Connections, Link, hang_up, is_passing, longer
from milepost.engine.stores.store import Acknowledge, Entry

_MOST: Final = 1000
_MOST_CHARACTERS: Final = 16_000_000
"""Of one transaction: a longer one would only be acknowledged later, not written faster."""


class Committer:
    """Commits entries in the order they were given, on a connection of its own, from the event loop.

    While one transaction is under way the next one gathers, so nobody waits longer than for one before its own.
    owner: whose the runs are. pending: how many entries are not acknowledged yet.
    """

    def __init__(self, connections: Connections, owner: str) -> None:
        self.pending = 0
        self._connections = connections
        self._owner = owner
        self._link: tuple[Link, AsyncCursor[TupleRow]] | None = None
        self._queue: deque[tuple[Entry, Acknowledge]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._away_since: float | None = None
        self._was_away = False

    def submit(self, entry: Entry, acknowledge: Acknowledge) -> None:
        """Have an entry committed."""
        self.pending += 1
        self._queue.append((entry, acknowledge))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def close(self) -> None:
        """Wait for all that was submitted, then let the connection go."""
        while self._task is not None:
            await asyncio.wait([self._task])
        await self._disconnect()

    async def _work(self) -> None:
        try:
            while self._queue:
                items = self._take()
                errors = await self._commit([entry for entry, _ in items])
                for (_, acknowledge), error in zip(items, errors, strict=True):
                    self.pending -= 1  # before the call: whoever appends in it must find no more waiting than there is
                    acknowledge(error)
                await self._sweep(items)
        finally:
            self._task = None

    def _take(self) -> list[tuple[Entry, Acknowledge]]:
        """Return what waits, or so much of it as makes one transaction."""
        items: list[tuple[Entry, Acknowledge]] = []
        room = _MOST_CHARACTERS
        while self._queue and len(items) < _MOST and room > 0:
            items.append(self._queue.popleft())
            entry = items[-1][0]
            room -= len(entry.body) + len(entry.content) + len(entry.snapshot or "") + len(entry.output or "")
        return items

    async def _commit(self, entries: Sequence[Entry]) -> list[BaseException | None]:
        """Commit entries; return for each why it is not committed."""
        chains = chains_of(entries)
        try:
            refused = await self._write(chains)
        except StoreError as error:
            return [error] * len(entries)
        except Exception as error:  # a value that cannot be written: it concerns one run, which nobody else may pay for
            if len(chains) == 1:
                return [self._connections.failure("written", error)] * len(entries)
            return await self._commit_apart(entries)
        ends = {chain.run_id: chain.last.seq for chain in chains}
        return [
            refused.get(entry.run_id) or (None if entry.seq <= ends[entry.run_id] else LeaseLost(entry.run_id))
            for entry in entries
        ]

    async def _commit_apart(self, entries: Sequence[Entry]) -> list[BaseException | None]:
        """Commit one transaction for each run."""
        errors: list[BaseException | None] = [None] * len(entries)
        for run_id in {entry.run_id: None for entry in entries}:
            places = [place for place, entry in enumerate(entries) if entry.run_id == run_id]
            for place, error in zip(places, await self._commit([entries[place] for place in places]), strict=True):
                errors[place] = error
        return errors

    async def _write(self, chains: Sequence[Chain]) -> dict[str, StoreError]:
        """Commit chains together, as often as it takes to know that they are. Returns those refused, by run.

        What got no answer is asked for once more just as it was: what is committed already cannot be moved again, and
        is then found in the journal. Raises StoreError: the server is away for too long.
        """
        is_known = True
        begun = monotonic()
        pause = 0.0
        while True:
            try:
                return await self._try_in_time(chains, is_known)
            except Exception as error:
                if not is_passing(error):
                    raise
                is_known, self._was_away = False, True
                await self._disconnect()
                self._away_since = self._away_since or begun
                pause = longer(pause)
                if monotonic() + pause > self._away_since + self._connections.patience:
                    raise self._connections.failure("written", error) from error
            await anyio.sleep(pause)

    async def _try_in_time(self, chains: Sequence[Chain], is_known: bool) -> dict[str, StoreError]:
        """Commit chains once. Raises TimeoutError: the server is there and says nothing."""
        connection, cursor = self._link or await self._connect()
        is_late = False

        def give_up() -> None:  # a tenth of what it costs to have a timeout cancel it, and it does not ask the server
            nonlocal is_late
            is_late = True
            hang_up(connection)

        watchdog = asyncio.get_running_loop().call_later(self._connections.patience, give_up)
        try:
            return await self._try(connection, cursor, chains, is_known)
        except Exception as error:
            if is_late:
                raise TimeoutError from error
            raise
        finally:
            watchdog.cancel()

    async def _connect(self) -> tuple[Link, AsyncCursor[TupleRow]]:
        """Connect, with one cursor for all commits. Raises TimeoutError: the server is there and says nothing."""
        with anyio.fail_after(self._connections.patience):
            connection = await self._connections.connect()
        self._link = connection, connection.cursor()
        return self._link

    async def _try(
        self, connection: Link, cursor: AsyncCursor[TupleRow], chains: Sequence[Chain], is_known: bool
    ) -> dict[str, StoreError]:
        """Commit chains once. is_known: whether nothing can have been committed of them before."""
        moved = await journal.append(cursor, self._owner, chains)
        refused = [chain for chain in chains if chain.run_id not in moved]
        fates = await journal.fates(connection, refused) if refused and self._was_away else {}
        self._away_since = None
        return {
            chain.run_id: self._refusal(chain.run_id, fates.get(chain.run_id, "taken over"))
            for chain in refused
            if is_known or fates.get(chain.run_id) != "committed"
        }

    def _refusal(self, run_id: str, fate: journal.Fate) -> StoreError:
        if fate == "gone":
            return StoreError(
                f"The store {self._connections.name} has lost the newest checkpoints of run {run_id!r}: its server "
                'died before they were on its disk. Resume the run from what is left; durability="power" prevents it.'
            )
        return LeaseLost(run_id)

    async def _sweep(self, items: Sequence[tuple[Entry, Acknowledge]]) -> None:
        """Make room in the cache for what was kept, if that is possible just now."""
        times = [entry.at for entry, _ in items if entry.cache is not None]
        if times and self._link is not None:
            try:
                await journal.sweep(self._link[0], max(times))
            except Exception:  # nobody waits for it, and whatever it is, the next commit meets it
                await self._disconnect()

    async def _disconnect(self) -> None:
        if self._link is not None:
            await self._link[0].close()
            self._link = None
