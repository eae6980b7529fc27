"""The way back to the event loop's thread from any other one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Protocol


class Hop(Protocol):
    """Has a function called on the event loop's thread; raises RuntimeError when the loop is no more."""

    def __call__(self, function: Callable[..., object], /, *args: object) -> object: ...


def find_hop() -> Hop:
    """Return the hop to the event loop that runs here, asyncio's or trio's."""
    trio = sys.modules.get("trio")  # not imported: when it runs here, somebody did
    if trio is not None:
        try:
            hop: Hop = trio.lowlevel.current_trio_token().run_sync_soon
        except RuntimeError:
            pass
        else:
            return hop
    return asyncio.get_running_loop().call_soon_threadsafe
