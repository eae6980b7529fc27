"""Ways to have a function called by the event loop: from any thread, or a little later."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol


class Hop(Protocol):
    """Has a function called on the event loop's thread; raises RuntimeError when the loop is no more."""

    def __call__(self, function: Callable[..., object], /, *args: object) -> object: ...


def find_hop() -> Hop:
    """Return what has the event loop that runs here, asyncio's or trio's, call a function; usable from any thread."""
    return trio_hop() or asyncio.get_running_loop().call_soon_threadsafe


def find_turn() -> Hop:
    """Return what has it call a function after all that is ready now; usable from the loop's own thread alone."""
    return trio_hop() or asyncio.get_running_loop().call_soon


def trio_hop() -> Hop | None:
    """Return trio's way, None when no trio runs here."""
    trio = sys.modules.get("trio")  # not imported: when it runs here, somebody did
    if trio is not None:
        with suppress(RuntimeError):  # asyncio runs here
            hop: Hop = trio.lowlevel.current_trio_token().run_sync_soon
            return hop
    return None
