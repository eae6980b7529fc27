"""Small workflows that the tests of the engine run, and what they watch them with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import anyio

from milepost.engine.errors import StoreError
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Acknowledge, Entry
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

RUN = "r-1"


@dataclass
class Deps:
    """What bodies report to and wait for. calls: bodies that began. faulty: nodes that fail. gates: nodes that wait."""

    calls: Counter[str] = field(default_factory=Counter[str])
    faulty: set[str] = field(default_factory=set[str])
    gates: dict[str, anyio.Event] = field(default_factory=dict[str, anyio.Event])
    begun: dict[str, anyio.Event] = field(default_factory=dict[str, anyio.Event])
    stopped: list[str] = field(default_factory=list[str])

    def gate(self, *nodes: str) -> Deps:
        """Make nodes wait until they are opened."""
        for node in nodes:
            self.gates[node] = anyio.Event()
            self.begun[node] = anyio.Event()
        return self

    async def enter(self, node: str) -> None:
        """Count a body that begins, and let it wait or fail as told."""
        self.calls[node] += 1
        if node in self.gates:
            self.begun[node].set()
            try:
                await self.gates[node].wait()
            except BaseException:
                self.stopped.append(node)
                raise
        if node in self.faulty:
            raise ValueError(f"{node} is faulty")


Ctx = StepContext[None, Deps, int]


def chain(nodes: Sequence[str], name: str = "chain") -> Workflow[None, Deps, int, int]:
    """Build nodes in a row, each of which adds one."""
    wf = WorkflowBuilder(name=name, deps_type=Deps, input_type=int, output_type=int)

    def body(node: str) -> Callable[[Ctx], Awaitable[int]]:
        async def add(ctx: StepContext[None, Deps, int]) -> int:
            await ctx.deps.enter(node)
            return ctx.inputs + 1

        return add

    steps = [wf.function(node_id=node)(body(node)) for node in nodes]
    wf.edge(wf.start_node, steps[0])
    for before, after in pairwise(steps):
        wf.edge(before, after)
    wf.edge(steps[-1], wf.end_node)
    return wf.build()


class FullStore(MemoryStore):
    """A store whose disk is full after `room` records."""

    def __init__(self, journals: Journals, room: int) -> None:
        super().__init__(journals)
        self.room = room

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        if entry.seq > self.room:
            acknowledge(StoreError("The disk is full."))
        else:
            super().append(entry, acknowledge)
