"""Workflows that run workflows, for the tests of runs inside runs, and the stores that these are kept in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import Store
from milepost.engine.typed import StepContext, reduce_sum
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import Deps, chain

Ctx = StepContext[None, Deps, int]
CHILD = chain(["parse", "judge"], name="review")

World = Callable[[], Store]
"""Opens a store on what an earlier one has kept, as another process would."""


def worlds(kind: str, folder: Path) -> World:
    """Return what opens stores of a kind, "memory" or "sqlite", on the same data."""
    if kind == "sqlite":
        return lambda: SqliteStore(folder / "runs.db", durability="process")
    journals = Journals()
    return lambda: MemoryStore(journals)


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return worlds(request.param, tmp_path)


def outer(child: Any = CHILD, name: str = "outer", **options: Any) -> Workflow[None, Deps, int, int]:
    """Build three nodes in a row, of which the one in the middle runs a workflow and the others add one."""
    wf = WorkflowBuilder(name=name, deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def before(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("before")
        return ctx.inputs + 1

    inner: Any = wf.subworkflow(child, node_id="inner", **options)

    @wf.function
    async def after(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("after")
        return ctx.inputs + 1

    wf.edge(wf.start_node, before)
    wf.edge(before, inner)
    wf.edge(inner, after)
    wf.edge(after, wf.end_node)
    return wf.build()


OUTER = outer()
DEEP = outer(outer(name="middle"), name="deep")


def fan(child: Any = CHILD, **options: Any) -> Workflow[None, Deps, list[int], int]:
    """Build a map over a workflow, whose outputs are added up."""
    wf = WorkflowBuilder(name="fan", deps_type=Deps, input_type=list[int], output_type=int)
    inner: Any = wf.subworkflow(child, node_id="inner", **options)
    total = wf.join(reduce_sum, initial=0, node_id="total")
    wf.edge(wf.start_node, wf.each(inner, join=total, fork_id="each"))
    wf.edge(total, wf.end_node)
    return wf.build()


Tree = list[Any]
"""A list of numbers and trees."""


def tree(depth: int = 10, **options: Any) -> Workflow[None, Deps, Tree, int]:
    """Build a workflow that adds up a tree by running itself on every branch."""
    wf = WorkflowBuilder(name="tree", deps_type=Deps, input_type=list[Any], output_type=int)

    @wf.function
    async def branches(ctx: StepContext[None, Deps, Tree]) -> list[Tree]:
        await ctx.deps.enter("branches")
        return [part for part in ctx.inputs if isinstance(part, list)]

    @wf.function
    async def leaves(ctx: StepContext[None, Deps, Tree]) -> int:
        await ctx.deps.enter("leaves")
        return sum(part for part in ctx.inputs if isinstance(part, int))

    built: list[Workflow[None, Deps, Tree, int]] = []

    def itself() -> Workflow[None, Deps, Tree, int]:
        return built[0]

    below = wf.subworkflow(itself, node_id="below", depth=depth, **options)
    total = wf.join(reduce_sum, initial=0, node_id="total", parent_fork_id="__start___broadcast_fork")
    wf.edge(wf.start_node, leaves)
    wf.edge(wf.start_node, branches)
    wf.edge(branches, wf.each(below, join=total, fork_id="each"))
    wf.edge(leaves, total)
    wf.edge(total, wf.end_node)
    built.append(wf.build())
    return built[0]


def nested(depth: int) -> Tree:
    """Return a tree without branching that is so many levels deep, the outermost not counted."""
    made: Tree = [1]
    for _ in range(depth):
        made = [1, made]
    return made
