"""Bells: what wakes whoever waits for it, many times, at the price of one object each time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

import anyio

from milepost.engine.hop import trio_hop


class Bell(Protocol):
    """Wakes the one who waits for it. A ring that comes before is not heard."""

    def wait(self) -> Awaitable[object]:
        """Return what waits until it is rung; to be awaited at once."""
        ...

    def ring(self) -> None:
        """Wake whoever waits, if anybody does."""
        ...


class _FutureBell:
    """For asyncio: the bare future that an event would make for each wait."""

    __slots__ = ("_loop", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None

    def wait(self) -> Awaitable[object]:
        self._waiter = self._loop.create_future()
        return self._waiter

    def ring(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _EventBell:
    """For trio, and for asyncio beside a trio that runs as its guest."""

    __slots__ = ("_rung",)

    def __init__(self) -> None:
        self._rung = anyio.Event()

    def wait(self) -> Awaitable[object]:
        self._rung = type(self._rung)()  # the backend's own: to find it takes longer than all the rest
        return self._rung.wait()

    def ring(self) -> None:
        self._rung.set()


def find_bell() -> Bell:
    """Return a bell for the event loop that runs here, asyncio's or trio's."""
    return _FutureBell(asyncio.get_running_loop()) if trio_hop() is None else _EventBell()
