"""One life of the process that drives a pattern: what its bodies wait at, and who lets them on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import anyio
from anyio.lowlevel import checkpoint

from milepost import Run
from milepost.engine.current import current

TURNS = 8
"""Turns of the event loop after which everything that one gate lets on has mostly come to rest."""

Name = tuple[str, str]
"""(task key, node) of a body."""


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """Where a body waits. open: lets it on."""

    name: Name
    open: Callable[[], object]


class Life:
    """The dependencies of a pattern's nodes, new in every life of the process.

    chance: picks the gate that is opened next. Without it bodies do not wait for each other, and what comes from
    outside comes in the order of the names. found: how many records there were when this life began. begun, ended,
    stopped: the bodies, in order.
    """

    def __init__(self, chance: Random | None = None, found: int = 0) -> None:
        self.chance = chance
        self.found = found
        self.begun: list[Name] = []
        self.ended: list[Name] = []
        self.stopped: list[Name] = []
        self.gates: list[Gate] = []

    async def work(self) -> None:
        """Do the work of a body: it takes until its turn comes."""
        await self._wait(free=self.chance is None)

    async def outside(self) -> None:
        """Wait for something that happens outside of the run, e.g. an answer or a signal."""
        await self._wait(free=False)

    def begin(self, name: Name) -> None:
        """Note that a body begins."""
        self.begun.append(name)

    async def _wait(self, *, free: bool) -> None:
        this = current()
        name = (this.task, this.node)
        self.begin(name)
        if not free:
            opened = anyio.Event()
            gate = Gate(name, opened.set)
            self.gates.append(gate)
            try:
                await opened.wait()
            except BaseException:
                self.stopped.append(name)
                raise
            finally:
                self.gates.remove(gate)
        self.ended.append(name)

    def offer(self, act: Callable[[], object]) -> None:
        """Let the schedule choose when something is done to the run, once."""

        def once() -> None:
            self.gates.remove(gate)
            act()

        gate = Gate(("", ""), once)
        self.gates.append(gate)

    async def direct(self, run: Run[object]) -> None:
        """Let the bodies on, one at a time and only when nothing else moves, until the run has ended."""
        await settled()
        while run.status == "running":
            assert self.gates, "The run has not ended, and nothing waits for its turn."
            gates = sorted(self.gates, key=lambda gate: (gate.name[1], gate.name[0]))
            (self.chance.choice(gates) if self.chance else gates[0]).open()
            await settled()


async def settled() -> None:
    """Wait until everybody else waits for something."""
    for _ in range(TURNS):  # anyio's own function sleeps for 0.1 s when it finds somebody at work
        await checkpoint()
    await anyio.wait_all_tasks_blocked()
    await anyio.wait_all_tasks_blocked()  # what a task has just ended for is told a turn later
