"""A picture of a run that is drawn again while it goes on, in a notebook or on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

import anyio

from milepost.engine.definition import Definition
from milepost.engine.errors import InputError
from milepost.engine.run import Run
from milepost.engine.trace import Trace
from milepost.visualize.live import LiveTrace

CALM = 4
"""How many times as long as a picture took to draw nothing is drawn again, so that the run has the time."""


PATIENCE = 1.0
"""Seconds that the last events are waited for: who came when the run waited already has not heard that it does."""


class Screen(Protocol):
    """Where a run is shown."""

    async def show(self, trace: Trace) -> None:
        """Show the run as it stands now, in place of what was shown before."""
        ...

    def close(self) -> None:
        """Leave what was shown last."""
        ...


async def watch(run: Run[Any], definition: Definition, every: float, finally_: Callable[[], Trace | None]) -> None:
    """Show a run until it is over, waits for somebody or something outside, or is not driven here any more.

    every: seconds between two pictures at least. finally_: gives what the run did, read from its store; None where
    that is not to be had. Raises InputError: `every` is no time.
    """
    if not every > 0:
        raise InputError(f"every={every} would leave no time for the run. Give seconds, more than 0.")
    screen = screen_here()
    if screen is None:
        await run.settle()
        return
    live = LiveTrace(run.id, definition)
    events = run.events(after=0 if run.has_store else None)
    heard = anyio.Event()

    async def draw() -> None:
        while True:
            began = time.monotonic()
            await screen.show(live.trace())
            await anyio.sleep(max(every, CALM * (time.monotonic() - began)))

    async def listen() -> None:
        async for event in events:
            live.take(event)
            if live.waits and run.status == "waiting":
                heard.set()
        heard.set()

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(draw)
            group.start_soon(listen)
            await run.settle()
            with anyio.move_on_after(PATIENCE):
                await heard.wait()  # the last events may still be on their way
            group.cancel_scope.cancel()
        await screen.show(finally_() or live.trace())
    finally:
        screen.close()


def screen_here() -> Screen | None:
    """Return the notebook that this runs in, else the terminal of stderr; None where there is neither."""
    python = sys.modules.get("IPython")  # whoever runs in it has imported it
    shell = None if python is None else python.get_ipython()
    if shell is not None and type(shell).__name__ != "TerminalInteractiveShell":
        return NotebookScreen()
    return TerminalScreen() if sys.stderr.isatty() else None


class NotebookScreen:
    """An output of a notebook's cell that is replaced again and again."""

    def __init__(self) -> None:
        self._handle: Any = None

    async def show(self, trace: Trace) -> None:
        """Draw the run in a thread, as Graphviz may take a while, and put the picture into the cell."""
        from milepost.visualize.notebook import bundle

        data = await anyio.to_thread.run_sync(bundle, trace)
        if self._handle is None:
            self._handle = import_module("IPython.display").display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def close(self) -> None:
        """Leave the cell as it is."""


class TerminalScreen:
    """The nodes of the run as a table on stderr, which is written over again and again."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, highlight=False)
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._live.start()

    async def show(self, trace: Trace) -> None:
        """Write the nodes down."""
        from milepost.visualize.overlay import traced
        from milepost.visualize.terminal import flow_view

        self._live.update(flow_view(traced(trace)), refresh=True)

    def close(self) -> None:
        """Leave the table where it is."""
        self._live.stop()
