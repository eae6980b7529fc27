"""What is said from outside to the runs that an engine drives: it comes by their inboxes in the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

import anyio
from anyio.abc import TaskGroup

from milepost.engine.errors import StoreError
from milepost.engine.stores.store import Message, Store

CANCEL: Final = "cancel"
"""The kind of a message that asks for the end of a run."""
ANSWER: Final = "answer"
"""The kind of a message that answers a question."""
EVENT: Final = "event"
"""The kind of a message that says that something has happened outside."""

LOOK_EVERY: Final = 0.5
"""Seconds between two looks: what is said from outside is heard within about so long."""


class Addressee(Protocol):
    """A run that is driven here, or that waits here."""

    def hear(self, messages: Sequence[Message]) -> None:
        """Take in what waits in the inbox of the run, each message once."""
        ...


class Mailroom:
    """Brings messages to the runs of one engine, with one question to the store for all of them at a time.

    It looks only while there are runs: `serve` begins that, `close` ends it at once. runs: those that are driven or
    wait here, by id. elsewhere: is told of other runs that have news. rounds: is called after every look; it returns
    after how many seconds it wants to be called again at the latest.
    """

    def __init__(
        self,
        store: Store,
        runs: Mapping[str, Addressee],
        elsewhere: Callable[[str], Awaitable[None]],
        rounds: Callable[[], Awaitable[float]],
    ) -> None:
        self._store = store
        self._runs = runs
        self._elsewhere = elsewhere
        self._rounds = rounds
        self._known = 0
        self._unread: set[str] = set()
        self._scope: anyio.CancelScope | None = None
        self._poked = anyio.Event()

    def serve(self, run_id: str, group: TaskGroup) -> None:
        """Bring this run its messages from now on, those first that came before it was driven here."""
        self._unread.add(run_id)
        if self._scope is None:
            self._scope = anyio.CancelScope()
            group.start_soon(self._watch, self._scope)

    def poke(self, run_id: str) -> None:
        """Look into the inbox of a run now."""
        self._unread.add(run_id)
        self._poked.set()

    def close(self) -> None:
        """Look no more, as there will be no run."""
        if self._scope is not None:
            self._scope.cancel()

    async def fetch(self, run_id: str) -> None:
        """Bring a run what waits in its inbox, now."""
        if run_id in self._runs:
            self._runs[run_id].hear(await self._store.inbox(run_id))

    async def _watch(self, scope: anyio.CancelScope) -> None:
        pause = LOOK_EVERY
        with scope:
            while True:
                with anyio.move_on_after(pause):
                    await self._poked.wait()
                if not self._runs:  # not sooner: most often another one has begun by now
                    self._unread.clear()
                    self._scope = None
                    return
                self._poked = anyio.Event()
                try:
                    await self._look()
                    pause = min(LOOK_EVERY, max(0.0, await self._rounds()))
                except StoreError:  # a commit will say so too, and louder; here there is another time
                    pause = LOOK_EVERY

    async def _look(self) -> None:
        """Read the inboxes in which something is new. One that cannot be read keeps nothing from other runs."""
        unread, self._unread = self._unread, set()  # whoever pokes meanwhile wants another look
        try:
            notices = await self._store.news(self._known)
            for run_id in sorted(unread.union(notice.run_id for notice in notices)):
                await self._deliver(run_id)
        except StoreError:
            self._unread |= unread
            raise
        if notices:
            self._known = notices[-1].number

    async def _deliver(self, run_id: str) -> None:
        try:
            if run_id in self._runs:
                await self.fetch(run_id)
            else:
                await self._elsewhere(run_id)
        except StoreError as error:
            if type(error) is StoreError:  # the store is away, for all runs
                raise
            self._unread.add(run_id)
