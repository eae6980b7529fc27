"""Ctrl-C and SIGTERM: the first one stops the run with everything saved, the second one ends the process at once."""

from __future__ import annotations

import os
import signal
from asyncio import get_running_loop
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from milepost.cli.exits import Exit
from milepost.cli.screen import say

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AS_NODES_LET_GO = "as soon as the nodes let go"


@dataclass(slots=True)
class Stops:
    """How often somebody has asked to stop."""

    asked: int = 0


@contextmanager
def raised_as_interrupt() -> Generator[None]:
    """Treat SIGTERM like Ctrl-C while no run is under way: both raise KeyboardInterrupt."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stopping(stop: Callable[[], None], *, second: str, first: str = AS_NODES_LET_GO) -> Generator[Stops]:
    """Call `stop`, on the event loop that this is entered on, when somebody asks to stop.

    first, second: what is said then, and when they ask once more.

    The handlers are Python's own and not the loop's, which hears nothing while a synchronous node keeps it busy: only
    so does the second signal end the process whatever it is doing. Nothing is lost by that: what is committed is safe
    from the death of the process at any instant.
    """
    loop, stops = get_running_loop(), Stops()

    def handle(number: int, frame: FrameType | None) -> None:
        stops.asked += 1
        if stops.asked == 1:
            say(f"Stopping ({signal.Signals(number).name}) {first}. Once more to stop at once.")
            loop.call_soon_threadsafe(stop)
        else:
            say(f"Stopped at once. Every checkpoint is saved; {second}")
            os._exit(Exit.INTERRUPTED)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
