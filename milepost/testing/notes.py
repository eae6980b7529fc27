"""What is noted of the lives of a process, so that it can be told afterwards what was lost and what ran again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from milepost.engine.engine import Engine
from milepost.engine.events import AttemptStarted, Event
from milepost.engine.executor import Driver
from milepost.engine.journal_text import from_text
from milepost.engine.run import Run
from milepost.engine.stores.store import Entry, RunRow, Store
from milepost.engine.workflow import Workflow
from milepost.testing.mortal import MortalStore


class Opened(NamedTuple):
    """A run was taken over that had so many records."""

    run_id: str
    seq: int


class Begun(NamedTuple):
    """An attempt of a task began. number: of the attempt, from 1."""

    run_id: str
    task: str
    node: str
    number: int


class Kept(NamedTuple):
    """A record was committed. kind, node: what it says happened, and where."""

    run_id: str
    seq: int
    hash: str
    kind: str
    node: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.node}" if self.node else self.kind


class Failed(NamedTuple):
    """The run failed, or what was to begin it did."""

    error: str


Note = Opened | Begun | Kept | Failed
Witness = Callable[[Note], None]

KINDS: dict[str, Callable[..., Note]] = {kind.__name__: kind for kind in (Opened, Begun, Kept, Failed)}


def text_of(note: Note) -> str:
    """Write a note as one line."""
    return json.dumps([type(note).__name__, *note]) + "\n"


def notes_in(file: Path) -> list[Note]:
    """Read the notes that a process has left, whenever it died."""
    if not file.exists():
        return []
    lines = file.read_text("utf-8").split("\n")[:-1]  # without what follows the last whole line
    return [KINDS[name](*parts) for name, *parts in map(json.loads, lines)]


class Notebook:
    """A file of notes that only grows; what is in it survives a kill -9. To be used by one process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __call__(self, note: Note) -> None:
        os.write(self._file, text_of(note).encode())

    def close(self) -> None:
        os.close(self._file)


class WatchedRun(Run[Any]):
    """A run that tells of every attempt of its tasks, before the body begins."""

    witness: Witness

    def _wire(self) -> None:
        super()._wire()
        if self._driver is not None:
            self._driver.tell = self._hear

    def _hear(self, event: Event) -> None:
        if isinstance(event, AttemptStarted):
            self.witness(Begun(self.id, event.task, event.node, event.attempt))
        self._readers.send(event)


class WatchedEngine(Engine):
    """An engine of which everything is noted that matters when its process dies, also of runs inside runs.

    commits, die: as in `MortalStore`.
    """

    def __init__(
        self, store: Store, witness: Witness, *, commits: int | None = None, die: Callable[[], None] = lambda: None
    ) -> None:
        self._witness = witness
        self.mortal = MortalStore(
            store, commits=commits, committed=self._note_commit, opened=self._note_opening, die=die
        )
        super().__init__(self.mortal.as_store)

    def _note_commit(self, entry: Entry) -> None:
        record = from_text(entry.seq, entry.body, entry.content)
        self._witness(Kept(entry.run_id, entry.seq, entry.hash, record.kind.value, record.node))

    def _note_opening(self, row: RunRow) -> None:
        self._witness(Opened(row.run_id, row.seq))

    def _new_run(self, run_id: str, workflow: Workflow[Any, Any, Any, Any], driver: Driver | None = None) -> Run[Any]:
        run = WatchedRun(run_id, workflow, voice=self, store=self._store, clock=self._clock)
        run.witness = self._witness
        if driver is not None:
            driver.watch = run.note
        return run
