"""Simulated runs with a state, whose bodies overlap.

A body begins, reads the state, waits while others commit, writes and ends. Two hashes decide, one which task is done
next and one which bodies begin before their turn, so that the overlap can vary while the order of the commits does not.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, cast

import pytest

from milepost.engine.codec import Codec
from milepost.engine.errors import StateConflict
from milepost.engine.fields import whole_of
from milepost.engine.journal import Kind, Record
from milepost.engine.position import LiveStream, Task
from milepost.engine.route import Router
from milepost.engine.state import StateView, StoredState
from tests.properties.bodies import Body
from tests.properties.causes import Causes
from tests.properties.ledger import Clash, Ledger, Manner, Model, with_script
from tests.properties.simulation import Simulation

CODEC = Codec()
LONG = 400
"""Records after which a run is given up."""


class TooLong(Exception):
    """The run goes on and on."""


class StatefulRouter(Router):
    """Puts what a task changed into its record, as a driver does."""

    state: StoredState

    def started(self, record: Record, inputs: Any, view: StateView) -> None:
        record.patch, record.given = self.state.first()
        super().started(record, inputs, view)

    def completed(self, record: Record, task: Task, output: Any, view: StateView) -> None:
        record.patch = self.state.changes(view, task, task.node)
        super().completed(record, task, output, view)


@dataclass
class Begun:
    """A body that waits."""

    view: StateView
    body: Coroutine[object, None, Any]


@dataclass
class Overlapping(Simulation):
    """One process that runs a workflow with a state.

    manner: how bodies use it. overlap: decides which begin early, 0: none. given: the caller's object. model: what the
    state must be, for a run from its beginning. born: the record by which each task is there. causes: what
    led to each task.
    """

    manner: Manner = field(default_factory=lambda: Manner(0))
    overlap: int = 0
    given: Ledger = field(default_factory=Ledger)
    model: Model | None = None
    born: dict[str, int] = field(default_factory=dict[str, int])
    causes: Causes = field(default_factory=Causes)
    begun: dict[str, Begun] = field(default_factory=dict[str, Begun])

    def make_router(self) -> Router:
        self.state = StoredState(CODEC, Ledger, self.given, self.position, isolated=True)
        self.view = self.state.view(lambda: True)
        router = StatefulRouter(self.plan, self.position, self.values, None, isolated=True, state=self.state)
        router.state = self.state
        return router

    def run(self, inputs: object) -> object:
        try:
            return super().run(inputs)
        finally:
            for begun in self.begun.values():
                begun.body.close()
            self.state.settle()

    def commit(self, record: Record) -> None:
        self.state.commit(self.view, record.patch, record.node, streams=bool(self.router.opened))
        if self.router.opened:
            self.state.drop(self.view)
        if self.model is not None:
            self.compare(record, self.model)
        for key in [key for key in self.begun if key not in self.position.tasks]:
            cancelled = self.begun.pop(key)
            cancelled.body.close()
            self.state.drop(cancelled.view)
        self.causes.add(record, self.position)
        for key in self.position.tasks:
            self.born.setdefault(key, record.seq)
        if len(self.journal.records) > LONG:
            raise TooLong
        super().commit(record)

    # --- bodies ------------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        for task in list(self.position.tasks.values()):
            if task.key not in self.begun and self.is_early(task):
                self.begin(task)
        super().turn()

    def is_early(self, task: Task) -> bool:
        digest = blake2b(f"{self.overlap}/{self.position.seq}/{task.key}".encode()).digest()
        return bool(self.overlap) and digest[0] % 3 == 0

    def begin(self, task: Task) -> None:
        """Begin a body, and let attempts that come to nothing come to nothing."""
        script = self.manner.script(task.node)
        for attempt in range(script.tries):
            view = self.state.view(lambda: not self.begun, task)
            body = with_script(cast("Body", self.plan.nodes[task.node].call), script)
            coroutine = cast("Coroutine[object, None, Any]", body(view.context(None, self.values.load(task.ref))))
            coroutine.send(None)
            if attempt + 1 == script.tries:
                self.begun[task.key] = Begun(view, coroutine)
                return
            if script.touches:
                script.carry_out(view.state, "an attempt that fails")
            coroutine.close()
            self.state.drop(view)

    def call(self, task: Task) -> Any:
        """Let a body come to its end."""
        begun = self.begun.pop(task.key, None)
        if begun is None:  # a stream, read once more
            return super().call(task)
        self.view = begun.view
        try:
            begun.body.send(None)
        except StopIteration as stop:
            return stop.value
        except ValueError:
            self.state.drop(begun.view)
            self.view = self.state.view(lambda: False)
            raise
        raise AssertionError("a body waits once")

    def complete(self, task: Task) -> None:
        if task.key not in self.begun:
            self.begin(task)
        self.done = task
        try:
            super().complete(task)
        except StateConflict as conflict:
            if self.model is not None:
                with pytest.raises(Clash, match=conflict.field):
                    self.foretell(task, self.model)
            raise

    def give_item(self, stream: LiveStream) -> None:
        self.view = self.state.view(lambda: False)
        super().give_item(stream)

    # --- the model ---------------------------------------------------------------------------------------------------

    def foretell(self, task: Task, model: Model) -> None:
        model.complete(self.born[task.key], self.manner.script(task.node), self.values.load(task.ref))

    def compare(self, record: Record, model: Model) -> None:
        """Hold the committed state against the model."""
        if record.kind is Kind.COMPLETED:
            self.foretell(self.done, model)
        elif record.seq > 1:
            model.pass_by()
        committed = CODEC.decode(whole_of(self.position.fields), Ledger)
        assert committed == model.states[record.seq]
