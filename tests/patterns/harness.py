"""Ways to run a pattern on the real engine: straight, in random orders of completion, and through crashes.

Bodies wait at gates that are opened one at a time when nothing else moves, so that every order is a real one and comes
again for the same seed. A crash loses everything but what the store holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import anyio
import pytest

from milepost import Engine, MemoryStore, Run, RunCancelled
from milepost.engine.executor import Driver
from milepost.engine.stores.memory import Journals
from milepost.engine.stores.store import Entry
from milepost.testing.mortal import MortalStore
from tests.patterns.execution import AnyWorkflow, Execution
from tests.patterns.life import Life
from tests.properties.simulation import replayed

RUN = "r-1"
ORDERS = 20


@dataclass
class Trial:
    """One execution of a workflow, through as many lives as its process has.

    cancelled: the run is cancelled from outside, when its schedule says so. store: makes what the journals of each life
    are written by.
    """

    workflow: AnyWorkflow
    inputs: Any
    cancelled: bool = False
    store: Callable[[Journals], MemoryStore] = MemoryStore
    journals: Journals = field(default_factory=Journals)
    lives: list[Life] = field(default_factory=list[Life])
    faults: list[str] = field(default_factory=list[str])
    output: Any = None
    _run: Run[Any] | None = None

    async def live(self, chance: Random | None, dies_after: int | None = None) -> bool:
        """Begin the run or go on with it. Returns whether it ended, rather than its process."""
        life = Life(chance, found=len(self.journals.records.get(RUN, ())))
        self.lives.append(life)
        commits = None if dies_after is None else dies_after - life.found
        store = MortalStore(self.store(self.journals), commits=commits, committed=self._compare)
        self._run = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._bury, store, group.cancel_scope)
            async with Engine(store.as_store) as engine:
                try:
                    self._run = run = await engine.start(self.workflow, inputs=self.inputs, deps=life, run_id=RUN)
                    if self.cancelled:
                        life.offer(run.cancel)
                    await life.direct(run)
                    self.output = await run.result()
                except RunCancelled:
                    assert self.cancelled
            group.cancel_scope.cancel()
        return not store.died.is_set()

    async def _bury(self, store: MortalStore, scope: anyio.CancelScope) -> None:
        """End the life when its process dies. What its bodies do about that is lost with the rest."""
        await store.died.wait()
        scope.cancel()

    def _compare(self, entry: Entry) -> None:
        """Compare the position of the run with the fold of its journal, after every commit."""
        driver: Driver | None = None if self._run is None else vars(self._run)["_driver"]
        if driver is not None and entry.status in ("running", "completed"):
            texts = [(record.body, record.content) for record in self.journals.records[RUN]]
            if replayed(texts) != driver.position:
                self.faults.append(f"Folding {entry.seq} records does not give the live position.")

    def execution(self) -> Execution:
        """Return what is left, checked."""
        row, stored = self.journals.rows[RUN], self.journals.records[RUN]
        assert not self.journals.alive
        assert not self.faults, self.faults[0]
        execution = Execution(self.workflow, self.lives, self.output, row, stored)
        execution.check()
        execution.check_bodies()
        return execution


async def straight(make: Callable[[], Trial]) -> list[Execution]:
    """Run once, with bodies that never wait for each other."""
    trial = make()
    assert await trial.live(None)
    return [trial.execution()]


async def in_orders(make: Callable[[], Trial]) -> list[Execution]:
    """Run in random orders of completion."""
    found: list[Execution] = []
    for seed in range(ORDERS):
        trial = make()
        assert await trial.live(Random(seed))
        found.append(trial.execution())
    return found


async def through_crashes(make: Callable[[], Trial]) -> list[Execution]:
    """Crash after each record of a run and resume it; then crash after every record of one run."""
    found: list[Execution] = []
    for seed in (None, 1):
        dies_after, ended = 0, False
        while not ended:
            dies_after += 1
            trial = make()
            ended = await trial.live(chance_of(seed), dies_after) or not await trial.live(chance_of(seed))
            found.append(trial.execution())
    trial, dies_after = make(), 1
    while not await trial.live(Random(dies_after), dies_after):
        dies_after += 1
    return [*found, trial.execution()]


def chance_of(seed: int | None) -> Random | None:
    return None if seed is None else Random(seed)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to run a pattern."""

    carry_out: Callable[[Callable[[], Trial]], Awaitable[list[Execution]]]

    async def of(self, workflow: AnyWorkflow, inputs: Any = None, *, cancelled: bool = False) -> list[Execution]:
        """Run a workflow this way, as often as it takes.

        cancelled: the run is cancelled from outside at some moment.
        """
        return await self.carry_out(lambda: Trial(workflow, inputs, cancelled))


every_way = pytest.mark.parametrize(
    "way",
    [
        pytest.param(Way(straight), id="straight"),
        pytest.param(Way(in_orders), id=f"in {ORDERS} orders"),
        pytest.param(Way(through_crashes), id="through crashes"),
    ],
)
