"""A run of the core without an event loop.

Its scheduler picks the task with the smallest hash of a seed and its key, so a resumed run goes the same way as one
that was never interrupted, and every order of completion can be tried. Bodies are driven to their end at once; what the
scheduler orders is when their results are handled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, cast

from milepost.engine.codec import Codec
from milepost.engine.drivers import plan_of
from milepost.engine.errors import RoutingError
from milepost.engine.failure import Failure
from milepost.engine.journal import Kind, Record, apply
from milepost.engine.journal_text import from_text, to_text
from milepost.engine.keys import ROOT
from milepost.engine.position import START, LiveStream, Position, Task
from milepost.engine.route import Router
from milepost.engine.snapshots import pointed_at, snapshot_from_text, snapshot_to_text
from milepost.engine.state import StateView
from milepost.engine.values import StoredValues, Value
from milepost.engine.workflow import Workflow
from tests.properties.reference import drive

AnyWorkflow = Workflow[Any, Any, Any, Any]
Written = tuple[str, str]
"""The two texts of a committed record."""


class Crashed(Exception):
    """The process died: nothing is kept but what was written."""


class NoResult(Exception):
    """Nothing is left to do and the end was not reached."""


@dataclass(slots=True)
class Journal:
    """What survives a crash. dies_after: the number of records after which writing ends the process."""

    records: list[Written] = field(default_factory=list[Written])
    dies_after: int | None = None

    def write(self, record: Record) -> None:
        self.records.append(to_text(record))
        if self.dies_after == len(self.records):
            raise Crashed


@dataclass
class Simulation:
    """One process that runs a workflow. calls: what happened to tasks, in order, as (key, node)."""

    workflow: AnyWorkflow
    journal: Journal
    seed: int
    check: Callable[[Router], None] = lambda _: None
    calls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    position: Position = field(default_factory=Position)
    sources: dict[str, AsyncIterator[Any]] = field(default_factory=dict[str, AsyncIterator[Any]])

    def __post_init__(self) -> None:
        self.plan = plan_of(self.workflow)
        self.values = StoredValues(Codec(self.workflow.registered), self.plan.type_of)
        self.view = StateView.nothing()

    def run(self, inputs: object) -> object:
        """Go on from what the journal holds, or begin, and return the output."""
        if self.journal.records:
            self.position = replayed(self.journal.records)
            self.router = self.make_router()
        else:
            self.router = self.make_router()
            record = Record(1, Kind.STARTED, ROOT, START)
            self.router.started(record, inputs, self.view)
            self.commit(record)
        while self.position.output is None:
            self.turn()
        return self.values.load(self.position.output)

    def make_router(self) -> Router:
        return Router(self.plan, self.position, self.values, None, isolated=True)

    def commit(self, record: Record) -> None:
        self.journal.write(record)
        self.check(self.router)

    def turn(self) -> None:
        """Handle what the seed says comes next."""
        choices = [*self.position.tasks, *self.position.streams]
        if not choices:
            raise NoResult
        key = min(choices, key=lambda one: blake2b(f"{self.seed}/{one}".encode()).digest())
        if key in self.position.streams:
            self.give_item(self.position.streams[key])
        else:
            self.complete(self.position.tasks[key])

    def call(self, task: Task) -> Any:
        call = cast("Callable[[Any], Any]", self.plan.nodes[task.node].call)
        return drive(call(self.view.context(None, self.values.load(task.ref))))

    def complete(self, task: Task) -> None:
        record = Record(self.position.seq + 1, Kind.COMPLETED, task.key, task.node)
        try:
            output = self.call(task)
        except ValueError as error:
            if not self.router.handles(task.node, error):
                raise
            self.catch(task, error)
            return
        self.calls.append((task.key, task.node))
        try:
            self.router.completed(record, task, output, self.view)
        except RoutingError as error:
            raise error.__cause__ or error from None
        self.sources.update({key: aiter(source) for key, source in self.router.opened.items()})
        self.commit(record)

    def catch(self, task: Task, error: ValueError) -> None:
        """Send a failure along its error edge."""
        self.calls.append((task.key, task.node))
        record = Record(self.position.seq + 1, Kind.CAUGHT, task.key, task.node)
        failure: Failure[Any] = Failure(
            node=task.node,
            task=task.key,
            attempts=1,
            error="ValueError",
            message=str(error),
            inputs=self.values.load(task.ref),
        )
        try:
            self.router.caught(record, task, None, failure, error, self.view)
        except RoutingError as unroutable:
            raise unroutable.__cause__ or unroutable from None
        self.commit(record)

    def give_item(self, stream: LiveStream) -> None:
        source = self.sources.get(stream.key)
        if source is None:
            source = self.sources[stream.key] = aiter(self.call(stream.task))
            for _ in range(stream.count):
                drive(cast("Coroutine[object, None, Any]", anext(source)))
        try:
            item: Any = drive(cast("Coroutine[object, None, Any]", anext(source)))
        except StopAsyncIteration:
            record = Record(self.position.seq + 1, Kind.EXHAUSTED, stream.key, stream.task.node)
            self.router.exhausted(record, stream, self.view)
        else:
            record = Record(self.position.seq + 1, Kind.EMITTED, stream.key, stream.task.node)
            self.router.emitted(record, stream, item, self.view)
        self.commit(record)


def replayed(records: list[Written]) -> Position:
    """Fold a journal from its texts, with every reference attached to its value."""
    position = Position()
    known: dict[int, list[Value]] = {}
    for seq, (body, content) in enumerate(records, 1):
        record = from_text(seq, body, content)
        known[seq] = record.values
        apply(position, record)
    for ref in pointed_at(position):
        ref.value = known[ref.seq][ref.slot]
    return position


def through_snapshot(position: Position) -> Position:
    """Return a position as it comes back from a snapshot."""
    return snapshot_from_text(snapshot_to_text(position))
