"""Ways to have a function called by the event loop, from any thread or a little later, and to wait until one is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import anyio


class Hop(Protocol):
    """Has a function called on the event loop's thread; raises RuntimeError when the loop is no more."""

    def __call__(self, function: Callable[..., object], /, *args: object) -> object: ...


class Bell(Protocol):
    """Wakes whoever waits for it, who is one at most. Nobody hears one that is rung before."""

    def wait(self) -> Awaitable[object]:
        """Wait until it is rung; to be awaited at once."""
        ...

    def ring(self) -> None: ...


class _FutureBell:
    """For asyncio: a future at a time, as whoever drives a run waits for every commit."""

    __slots__ = ("_loop", "_rung")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._rung: asyncio.Future[None] | None = None

    def wait(self) -> Awaitable[object]:
        self._rung = self._loop.create_future()
        return self._rung

    def ring(self) -> None:
        if self._rung is not None and not self._rung.done():
            self._rung.set_result(None)


class _EventBell:
    """For trio."""

    __slots__ = ("_rung",)

    def __init__(self) -> None:
        self._rung = anyio.Event()

    def wait(self) -> Awaitable[object]:
        self._rung = anyio.Event()
        return self._rung.wait()

    def ring(self) -> None:
        self._rung.set()


def find_bell() -> Bell:
    """Return what a task of the event loop that runs here, asyncio's or trio's, can wait for many times."""
    return _FutureBell(asyncio.get_running_loop()) if _trio_hop() is None else _EventBell()


def find_hop() -> Hop:
    """Return what has the event loop that runs here, asyncio's or trio's, call a function; usable from any thread."""
    return _trio_hop() or asyncio.get_running_loop().call_soon_threadsafe


def find_turn() -> Hop:
    """Return what has it call a function after all that is ready now; usable from the loop's own thread alone."""
    return _trio_hop() or asyncio.get_running_loop().call_soon


def _trio_hop() -> Hop | None:
    trio = sys.modules.get("trio")  # not imported: when it runs here, somebody did
    if trio is not None:
        with suppress(RuntimeError):  # asyncio runs here
            hop: Hop = trio.lowlevel.current_trio_token().run_sync_soon
            return hop
    return None
