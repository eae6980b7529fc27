"""One life of the process that drives a pattern: what its bodies wait at, and who lets them on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import anyio
from anyio.lowlevel import checkpoint

from milepost.engine.current import current

TURNS = 8
"""Turns of the event loop after which everything that one gate lets on has mostly come to rest."""


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """Where a body waits. open: lets it on."""

    node: str
    task: str
    open: Callable[[], object]


class Life:
    """The dependencies of a pattern's nodes, new in every life of the process.

    chance: picks the gate that is opened next; without it bodies do not wait for each other, and what comes from
    outside comes in the order of the names. begun, ended, stopped: the (task, node) of bodies, in order. found: how
    many records there were when this life began.
    """

    def __init__(self, chance: Random | None = None, found: int = 0) -> None:
        self.chance = chance
        self.found = found
        self.begun: list[tuple[str, str]] = []
        self.ended: list[tuple[str, str]] = []
        self.stopped: list[tuple[str, str]] = []
        self.gates: list[Gate] = []

    async def work(self) -> None:
        """Do the work of a body: it takes until its turn comes."""
        await self._wait(free=self.chance is None)

    async def outside(self) -> None:
        """Wait for something that happens outside of the run, e.g. an answer or a signal."""
        await self._wait(free=False)

    async def _wait(self, *, free: bool) -> None:
        this = current()
        name = (this.task, this.node)
        self.begun.append(name)
        opened = anyio.Event()
        gate = Gate(this.node, this.task, opened.set)
        self.gates.append(gate)
        try:
            if not free:
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

        gate = Gate("", "", once)
        self.gates.append(gate)

    def let_on(self) -> None:
        """Open the gate whose turn it is."""
        gates = sorted(self.gates, key=lambda gate: (gate.node, gate.task))
        (self.chance.choice(gates) if self.chance else gates[0]).open()


async def settled() -> None:
    """Wait until everybody else waits for something."""
    for _ in range(TURNS):  # anyio's own function sleeps for 0.1 s when it finds somebody at work
        await checkpoint()
    await anyio.wait_all_tasks_blocked()
