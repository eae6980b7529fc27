"""What a run did, checkpoint by checkpoint, with the beginnings of what it stored: plain values beside its trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from milepost.engine.patch import Patch, patched
from milepost.engine.trace import Edge, RunStatus, Trace


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a stored text, or a part of it around what matters. size: of the whole, in characters.

    >>> Excerpt("[1,2,3", 1000).is_cut
    True
    """

    text: str
    size: int

    @property
    def is_cut(self) -> bool:
        """Whether this is not the whole text."""
        return len(self.text) < self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """One part of the state that a checkpoint changed.

    path: e.g. "notes[3].text", "" for the whole. before, after: JSON text, None where the part was not there. Of a
    field too large to be compared part by part they are what stands around the change, and is_text is true.
    """

    path: str
    before: Excerpt | None
    after: Excerpt | None
    is_text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedCheckpoint:
    """One committed record.

    did: what it says happened, e.g. "completed". node, task: what that is about, "" for the run as a whole; the node
    has the id that it had then. status: of the run. stored: what a task gave, or the run's inputs, as JSON text.
    traceback: of what a task failed with, as far as it is the author's code.
    changes: of the state. more_changes: how many are left out. patch: what it changed of the state as a report shows
    it. spawned, dropped: keys of the tasks that began to exist and of those that were cancelled. passed: edges, and how
    often. fired: joins that passed a value on.
    """

    seq: int
    at: datetime
    did: str
    node: str
    task: str
    status: RunStatus
    stored: Excerpt | None = None
    error: str | None = None
    traceback: str | None = None
    changes: tuple[StateChange, ...] = ()
    more_changes: int = 0
    patch: Patch | None = None
    spawned: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    passed: Mapping[Edge, int] = field(default_factory=dict[Edge, int])
    fired: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole run, checkpoint by checkpoint.

    inputs: what each task was given, by its key. known: the last checkpoint whose state is told; those after it are
    left out where there would be too much of it. sizes: of the fields of the newest state, in characters, as far as
    they are cut.
    """

    trace: Trace
    checkpoints: tuple[ReportedCheckpoint, ...]
    inputs: Mapping[str, Excerpt]
    known: int
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])

    def state(self, seq: int) -> Mapping[str, str]:
        """Return the fields of the state after a checkpoint, each the beginning of its JSON text."""
        fields: dict[str, str] = {}
        for one in self.checkpoints:
            if one.seq > seq:
                break
            fields = patched(fields, one.patch) if one.patch else fields
        return fields
