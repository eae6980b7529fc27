"""Where the journals of a test lie, and how stores on it are made."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from milepost.engine.stores.store import Store


def nobody() -> None:
    """Kill nobody."""


@dataclass(frozen=True)
class Place:
    """One new, empty place for journals.

    make: returns a store on it, not open yet; all that it returns see the same journals, as stores of several processes
    would. kill: makes every owner of a run there count as dead from now on, as if its process was killed and its lease
    had run out; a place without it is not held to what holds for dead owners. remove: called when the promise was kept
    or broken, if nobody else removes the place.
    """

    make: Callable[[], Store]
    kill: Callable[[], None] = nobody
    remove: Callable[[], None] = nobody

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Store]:
        """Give a store on it, open."""
        async with opened(self.make()) as store:
            yield store


@asynccontextmanager
async def opened(store: Store) -> AsyncGenerator[Store]:
    """Open a store, and close it afterwards."""
    await store.open()
    try:
        yield store
    finally:
        await store.close()
