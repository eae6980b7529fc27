"""What is said from outside to the runs that an engine drives: it comes by their inboxes in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import anyio
from anyio.abc import TaskGroup

from milepost.engine.errors import StoreError
from milepost.engine.stores.store import Store

CANCEL: Final = "cancel"
"""The kind of a message that asks for the end of a run."""

LOOK_EVERY: Final = 0.5
"""Seconds between two looks: what is said from outside is heard within about so long."""


class Addressee(Protocol):
    """A run that is driven here."""

    def cancel(self, *, taken: Sequence[str] = ()) -> None:
        """End the run for good. taken: the ids of the messages that ask for it."""
        ...


class Mailroom:
    """Brings messages to the runs of one engine, with one question to the store for all of them at a time.

    It looks only while there are runs: `serve` begins that, `rest` ends it. runs: those that are driven here, by id.
    """

    def __init__(self, store: Store, runs: Mapping[str, Addressee]) -> None:
        self._store = store
        self._runs = runs
        self._known = 0
        self._unread: set[str] = set()
        self._scope: anyio.CancelScope | None = None

    def serve(self, run_id: str, group: TaskGroup) -> None:
        """Bring this run its messages from now on, those first that came before it was driven here."""
        self._unread.add(run_id)
        if self._scope is None:
            self._scope = anyio.CancelScope()
            group.start_soon(self._watch, self._scope)

    def rest(self) -> None:
        """Look no more, as there is no run left."""
        assert self._scope is not None
        self._unread.clear()
        self._scope.cancel()
        self._scope = None

    async def _watch(self, scope: anyio.CancelScope) -> None:
        with scope:
            while True:
                await anyio.sleep(LOOK_EVERY)
                try:
                    await self._look()
                except StoreError:  # a commit will say so too, and louder; here there is another time
                    continue

    async def _look(self) -> None:
        """Read the inboxes in which something is new."""
        notices = await self._store.news(self._known)
        fresh = self._unread.union(notice.run_id for notice in notices)
        for run_id in sorted(fresh & self._runs.keys()):
            await self._deliver(run_id)
        self._unread -= fresh
        if notices:
            self._known = notices[-1].number

    async def _deliver(self, run_id: str) -> None:
        messages = await self._store.inbox(run_id)
        taken = [message.id for message in messages if message.kind == CANCEL]
        if taken and run_id in self._runs:
            self._runs[run_id].cancel(taken=taken)
