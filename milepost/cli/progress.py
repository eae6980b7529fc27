"""What a run is doing, on a terminal, while it does it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from milepost.cli.screen import console

if TYPE_CHECKING:
    from rich.status import Status

    from milepost.engine.events import Event
    from milepost.engine.run import Run

MOST_NOTICES: Final = 20
"""How many retries and caught failures are written out; further ones are only counted."""


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
    """Keeps one line up to date: what is running, how much is done, and how much of it is saved.

    What a person would want to read later, such as why a node is tried again, is written above that line.
    """

    def __init__(self, run_id: str, status: Status) -> None:
        self._run_id = run_id
        self._status = status
        self._waiting: set[str] = set()
        self._running: dict[str, str] = {}
        self._asleep: dict[str, str] = {}
        self._finished = 0
        self._retries = 0
        self._checkpoints = 0
        self._notices = 0

    def take(self, event: Event) -> None:
        """Show one event."""
        from milepost.engine import events

        match event:
            case events.TaskStarted(task=task):
                self._waiting.add(task)
            case events.AttemptStarted(node=node, task=task):
                self._waiting.discard(task)
                self._running[task] = node
            case events.TaskFinished(task=task):
                self._leave(task)
                self._finished += 1
            case events.TaskFailed(task=task) | events.TaskCancelled(task=task):
                self._leave(task)
            case events.TaskWaiting(node=node, task=task):
                self._leave(task)
                self._asleep[task] = node
            case events.TaskSettled(task=task):
                self._asleep.pop(task, None)
            case events.TaskRetried():
                self._retries += 1
            case events.Checkpoint(seq=seq):
                self._checkpoints = seq
            case events.Dropped():
                self._waiting.clear()  # what became of them is not known
                self._running.clear()
                self._asleep.clear()
            case _:
                pass
        self._notify(event)
        self._status.update(self.line())

    def _leave(self, task: str) -> None:
        self._waiting.discard(task)
        self._running.pop(task, None)
        self._asleep.pop(task, None)

    def _notify(self, event: Event) -> None:
        """Write down what a person would want to read later."""
        from milepost.engine import events

        match event:
            case events.TaskRetried(node=node, attempt=attempt, error=error, wait=wait):
                again = f"it is tried again in {wait:.1f} s" if wait >= 0.1 else "it is tried again"
                self._write(f"↻ {node}: attempt {attempt} failed, {again}: {error}")
            case events.TaskFailed(node=node, error=error, caught=True):
                self._write(f"→ {node} failed, and its error edge was taken: {error}")
            case events.MessageRefused(node=node, by=by, reason=reason):
                self._write(
                    f"✗ {f'what {by} said' if by else 'what was said'} to {node or 'the run'} was refused: {reason}"
                )
            case events.CircuitChanged(node=node, state="open", seconds=seconds):
                self._write(f"⊘ {node} keeps failing and is not tried for {seconds:.0f} s")
            case events.CircuitChanged(node=node, state="half_open"):
                self._write(f"⊘ {node} is tried once more")
            case events.CircuitChanged(node=node):
                self._write(f"⊘ {node} works again")
            case _:
                pass

    def _write(self, sentence: str) -> None:
        from rich.text import Text

        self._notices += 1
        if self._notices > MOST_NOTICES:
            return
        if self._notices == MOST_NOTICES:
            sentence = "… and more, which are only counted from here on"
        text = Text(" ".join(sentence.split()), style="yellow")
        self._status.console.print(text, overflow="ellipsis", no_wrap=True)

    def line(self) -> str:
        """Return the line that says what is going on."""
        from rich.markup import escape

        shown = _listed(self._running.values())
        if self._asleep:
            asleep = f"waiting for {_listed(self._asleep.values())}"
            shown = f"{shown}, {asleep}" if shown else asleep
        if self._waiting:
            shown = f"{shown}, {len(self._waiting)} waiting" if shown else f"{len(self._waiting)} waiting"
        done = ["1 node done" if self._finished == 1 else f"{self._finished} nodes done"]
        if self._retries:
            done.append("1 retry" if self._retries == 1 else f"{self._retries} retries")
        return escape(f"Run {self._run_id}: {shown or 'saving'} ({', '.join(done)}, checkpoint {self._checkpoints})")


def _listed(nodes: Iterable[str]) -> str:
    """Name nodes, each with how many of its tasks there are; the first four of many."""
    names = [f"{node} × {count}" if count > 1 else node for node, count in Counter(nodes).items()]
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
