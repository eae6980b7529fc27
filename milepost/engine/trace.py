"""What a run did, as plain values, read from its journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Final, Literal

from milepost.engine.definition import Definition

RunStatus = Literal["running", "waiting", "completed", "failed", "cancelled"]
OVER: Final[tuple[RunStatus, ...]] = ("completed", "failed", "cancelled")
"""How a run stands that goes by itself nowhere."""
UNFINISHED: Final[tuple[RunStatus, ...]] = ("running", "waiting")

TaskStatus = Literal["pending", "running", "waiting", "completed", "failed", "caught", "cancelled"]
"""caught: it failed for good, and its failure went along an error edge."""

Edge = tuple[str, str, int]
"""(source node, target node, branch), as in `Definition.edges`."""


def moment(seconds: float) -> datetime:
    """Return an aware UTC time of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an agent node cost. cost: US dollars, None when the model has no known price."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptTrace:
    """One try of a task. error: how it failed, in a line if another followed; None for one that did not fail."""

    started: datetime
    finished: datetime
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitTrace:
    """What a task has waited for.

    kind: a person's answer, an event from outside, a time, or the first of several. id: of the question, or of the
    first thing. text: of the question. event: its name. key: what it is about. asked: since when. until: the time, or
    the first deadline. settled: when it waited no more, None while it does. how: "answered", "received", "elapsed" or
    "expired", None while it waits. by: who has answered or sent it. answer: what came, JSON text. refused: how many
    answers did not fit.
    """

    kind: Literal["ask", "event", "time", "race"]
    id: str
    asked: datetime
    text: str = ""
    event: str = ""
    key: str | None = None
    until: datetime | None = None
    settled: datetime | None = None
    how: Literal["answered", "received", "elapsed", "expired"] | None = None
    by: str | None = None
    answer: str | None = None
    refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTrace:
    """One execution of one node.

    visit: 1 for the first task of this node in the run, counted in the order they were spawned. index: the item's
    number in the innermost map around it, from 0. pending: spawned, and not known to be running (e.g. its process is
    gone). child: the id of the run that it drives, where its node runs a workflow and was not answered from a cache.
    spawned: when that was committed. cause: the key of the task whose result spawned it; of what a join let go, the
    task whose item completed the join; None for what the run's input spawned. tried: its attempts as far as they are
    known, in order. seq: of the record that finished it; finished is when that was committed where no attempt ended it.
    cached: its output was taken from the cache.
    wait: what it has waited for, None where it did not; a task whose run inside the run waits has none either.
    """

    key: str
    node: str
    visit: int
    status: TaskStatus
    attempts: int = 0
    index: int | None = None
    started: datetime | None = None
    finished: datetime | None = None
    error: str | None = None
    usage: Usage | None = None
    child: str | None = None
    spawned: datetime | None = None
    cause: str | None = None
    tried: tuple[AttemptTrace, ...] = ()
    seq: int | None = None
    cached: bool = False
    wait: WaitTrace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinTrace:
    """One join over the whole run. items: how many arrived. fired: how often it passed a value on."""

    node: str
    items: int
    fired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change that somebody made by hand. seq: of its record. fields: of the state. inputs: keys of pending tasks."""

    seq: int
    at: datetime
    fields: tuple[str, ...]
    inputs: tuple[str, ...] = ()


def _no_children() -> Mapping[str, Trace]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A whole run, for people and pictures.

    tasks: in the order they were spawned. taken: how often each edge was passed. chosen: for edges that leave a
    decision, the latest value that decided for it, as short text. checkpoints: committed records. resumes: when
    another process went on. output: JSON text of the result, once completed. children: by id, the runs that the tasks
    drive, as far as they were begun and have been read. forked_from: the run that the records up to a number belong to,
    and that number. edits: what somebody changed by hand. interrupted: it is running as far as its store was told, but
    no process drives it: theirs has died, or was stopped.
    """

    run_id: str
    status: RunStatus
    definition: Definition
    created: datetime
    updated: datetime
    tasks: tuple[TaskTrace, ...]
    taken: Mapping[Edge, int]
    chosen: Mapping[Edge, str] = field(default_factory=dict[Edge, str])
    joins: tuple[JoinTrace, ...] = ()
    checkpoints: int = 0
    resumes: tuple[datetime, ...] = ()
    error: str | None = None
    output: str | None = None
    children: Mapping[str, Trace] = field(default_factory=_no_children)
    forked_from: tuple[str, int] | None = None
    edits: tuple[Edit, ...] = ()
    interrupted: bool = False

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        shown = import_module("milepost.engine.shown")  # by name: what is shown stands on this module
        bundle: dict[str, str] = shown.bundle_of(self)
        return bundle

    def _repr_svg_(self) -> str | None:
        svg: str | None = import_module("milepost.engine.shown").svg_of(self)
        return svg
