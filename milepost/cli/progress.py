"""What a run is doing, on a terminal, while it does it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from milepost.cli.screen import console

if TYPE_CHECKING:
    from rich.status import Status

    from milepost.engine.events import Event
    from milepost.engine.run import Run


@asynccontextmanager
async def shown(run: Run) -> AsyncGenerator[None]:
    """Show on stderr what the run does until the block ends; nothing at all unless stderr is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    import anyio

    with console().status(f"Run {run.id}", spinner="dots") as status:
        async with anyio.create_task_group() as watchers:
            watchers.start_soon(_watch, run, Progress(run.id, status))
            try:
                yield
            finally:
                watchers.cancel_scope.cancel()


async def _watch(run: Run, progress: Progress) -> None:
    async for event in run.events():
        progress.take(event)


class Progress:
    """Keeps one line up to date: what is running, how much is done, and how much of it is saved."""

    def __init__(self, run_id: str, status: Status) -> None:
        self._run_id = run_id
        self._status = status
        self._running: Counter[str] = Counter()
        self._finished = 0
        self._checkpoints = 0

    def take(self, event: Event) -> None:
        """Show one event."""
        from milepost.engine.events import Checkpoint, TaskFailed, TaskFinished, TaskStarted

        match event:
            case TaskStarted(node=node):
                self._running[node] += 1
            case TaskFinished(node=node):
                self._running[node] -= 1
                self._finished += 1
            case TaskFailed(node=node):
                self._running[node] -= 1
            case Checkpoint(seq=seq):
                self._checkpoints = seq
            case _:
                return
        self._status.update(self.line())

    def line(self) -> str:
        """Return the line that says what is going on."""
        from rich.markup import escape

        names = [f"{node} × {count}" if count > 1 else node for node, count in self._running.items() if count > 0]
        shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        done = "1 node done" if self._finished == 1 else f"{self._finished} nodes done"
        return escape(f"Run {self._run_id}: {shown or 'saving'} ({done}, checkpoint {self._checkpoints})")
