"""Nodes that run side by side: each reads the state when it begins, and changes it when it is its turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio

from milepost.engine.engine import Engine, Isolation
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN

Change = Callable[[Any], object]
"""Changes a state in place; what it returns is the output of its node, which a join puts into a list."""


@dataclass
class Order:
    """Whose turn it is. names: one after the other. late: those who read the state only then. faulty: who fails."""

    names: tuple[str, ...]
    turns: dict[str, anyio.Event] = field(default_factory=dict[str, anyio.Event])
    late: tuple[str, ...] = ()
    faulty: str = ""

    def __post_init__(self) -> None:
        self.turns = {name: anyio.Event() for name in self.names}
        self.turns[self.names[0]].set()

    async def turn(self, name: str) -> None:
        """Wait until every body that comes before this one has ended."""
        await self.turns[name].wait()

    def over(self, name: str) -> None:
        following = self.names.index(name) + 1
        if following < len(self.names):
            self.turns[self.names[following]].set()


AnyContext = StepContext[Any, Order, str]


def side_by_side(state_type: Any, changes: Mapping[str, Change]) -> Workflow[Any, Order, None, list[Any]]:
    """Build a broadcast to one node per change."""
    wf: Any = WorkflowBuilder(name="books", state_type=state_type, deps_type=Order, output_type=list[Any])
    collect = wf.join(reduce_list_append, initial_factory=list[Any], node_id="collect")

    async def go(ctx: StepContext[Any, Order, None]) -> str:
        return "go"

    async def sort(ctx: StepContext[Any, Order, list[Any]]) -> list[Any]:
        return sorted(ctx.inputs)

    def body(name: str) -> Callable[[AnyContext], Any]:
        async def change(ctx: AnyContext) -> Any:
            first = None if name in ctx.deps.late else ctx.state
            await ctx.deps.turn(name)
            output = changes[name](ctx.state if first is None else first)
            ctx.deps.over(name)
            if ctx.deps.faulty == name:
                raise ValueError(f"{name} is faulty")
            return output

        return change

    begin, tidy = wf.function(go), wf.function(sort)
    wf.edge(wf.start_node, begin)
    for name in changes:
        step = wf.function(node_id=name)(body(name))
        wf.edge(begin, step)
        wf.edge(step, collect)
    wf.edge(collect, tidy)
    wf.edge(tidy, wf.end_node)
    built: Workflow[Any, Order, None, list[Any]] = wf.build()
    return built


async def run_side_by_side(
    state: Any,
    changes: Mapping[str, Change],
    order: Order,
    *,
    state_type: Any = None,
    store: MemoryStore | str | None = "memory:",
    isolation: Isolation = "task",
) -> list[Any]:
    """Run changes side by side on a state, in an order. Returns the outputs, sorted."""
    workflow = side_by_side(state_type or type(state), changes)
    async with Engine(store) as engine:
        run = await engine.start(workflow, state=state, deps=order, run_id=RUN, isolation=isolation)
        outputs: list[Any] = await run.result()
        return outputs
