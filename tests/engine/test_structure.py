"""A stored run goes on with a changed workflow when everything pending has its place there, and says what has not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from milepost import Engine, StepContext, Workflow, WorkflowBuilder, describe, reduce_list_append, reduce_sum
from milepost.engine.typed import GraphBuilder
from tests.engine.changes import AnyWorkflow, World, refused, resumed, step, stopped
from tests.engine.changes import world as world
from tests.engine.subjects import RUN, Deps, chain


class Item(BaseModel):
    text: str


class Graded(BaseModel):
    text: str
    grade: int


pytestmark = pytest.mark.anyio


# --- joins ------------------------------------------------------------------------------------------------------------


def mapped(
    *,
    join: str | None = "collect",
    fork: str | None = "items",
    item: Any = int,
    before: Sequence[str] = (),
    between: Sequence[str] = (),
    parent: str | None = None,
    broadcast: bool = False,
) -> AnyWorkflow:
    """Build a map over a list. before: nodes ahead of it. between: nodes that each item passes after `work`."""
    many: Any = list[item]
    wf: Any = WorkflowBuilder(
        name="mapped", deps_type=Deps, input_type=list[int], output_type=many, on_failure="finish"
    )

    async def work(ctx: StepContext[None, Deps, int]) -> Any:
        await ctx.deps.enter(f"work {ctx.inputs}")
        return item(ctx.inputs)

    work.__annotations__["return"] = item
    working = wf.function(node_id="work")(work)
    ahead = [step(wf, name, list[int], list[int]) for name in before]
    more = [step(wf, name, item, item) for name in between]
    collect = wf.join(reduce_list_append, initial_factory=list[item], node_id=join, parent_fork_id=parent)
    for source, target in zip([wf.start_node, *ahead], ahead, strict=False):
        wf.edge(source, target)
    wf.edge(ahead[-1] if ahead else wf.start_node, wf.each(working, join=collect, fork_id=fork))
    for source, target in zip([working, *more], more, strict=False):
        wf.edge(source, target)
    wf.edge((more or [working])[-1], collect)
    wf.edge(collect, wf.end_node)
    built: AnyWorkflow = wf.build()
    return built


async def test_items_of_a_map_and_its_join_go_on_after_a_node_was_put_between_them(world: World) -> None:
    deps = await stopped(world, mapped(), at="work 2", inputs=[1, 2, 3])
    assert sorted(await resumed(world, mapped(between=["check"]), deps)) == [1, 2, 3]
    assert deps.calls["check"] == 1


async def test_a_join_with_items_that_is_gone_is_named(world: World) -> None:
    deps = await stopped(world, mapped(), at="work 2", inputs=[1, 2])
    assert await refused(world, mapped(join="gather"), deps) == (
        (
            "Join 'collect' has items waiting, but the workflow has no such join any more. Give it back its id, or "
            "raise the version and migrate: stored.rename('collect', 'gather')."
        ),
    )


async def test_items_of_a_join_that_do_not_fit_any_more_are_named(world: World) -> None:
    def made(kind: Any) -> AnyWorkflow:
        wf: Any = WorkflowBuilder(
            name="made", deps_type=Deps, input_type=list[int], output_type=int, on_failure="finish"
        )

        async def work(ctx: StepContext[None, Deps, int]) -> Any:
            await ctx.deps.enter(f"work {ctx.inputs}")
            return kind(text=str(ctx.inputs), grade=1)

        work.__annotations__["return"] = kind
        collect = wf.join(reduce_list_append, initial_factory=list[kind], node_id="collect")
        count = step(wf, "count", list[kind], int, len)
        wf.edge(wf.start_node, wf.each(wf.function(work), join=collect, fork_id="items"))
        wf.edge(collect, count)
        wf.edge(count, wf.end_node)
        built: AnyWorkflow = wf.build()
        return built

    deps = await stopped(world, made(Item), at="work 2", inputs=[1, 2])
    (change,) = await refused(world, made(Graded), deps)
    assert change.startswith("A stored item of join 'collect' does not fit any more: at item.grade, it is required")
    assert change.endswith("or raise the version and migrate: stored.items('collect').")
    assert await resumed(world, made(Item), deps) == 2


async def test_a_join_with_items_that_waits_for_another_fork_now_is_named(world: World) -> None:
    deps = await stopped(world, mapped(parent="items"), at="work 2", inputs=[1, 2])
    (change,) = await refused(world, mapped(), deps)
    assert change == (
        "Join 'collect' has items that wait for the rest of fork 'items', and it waits for '__start__' now. Have it "
        "wait for the same fork, e.g. with parent_fork_id=..."
    )


# --- forks ------------------------------------------------------------------------------------------------------------


async def test_a_fork_with_branches_under_way_that_is_gone_is_named(world: World) -> None:
    deps = await stopped(world, mapped(parent="items"), at="work 1", inputs=[1, 2])
    changes = await refused(world, mapped(fork="others", parent="others"), deps)
    assert changes[0] == (
        "Fork 'items' has branches under way, but the workflow has no such fork any more. Give it back its id, or "
        "raise the version and migrate: stored.rename('items', 'others')."
    )


def ways(*ends: Any) -> Any:
    """Return what a broadcast asks for: a path to each of some nodes."""

    def paths(path: Any) -> list[Any]:
        return [path.to(end) for end in ends]

    return paths


def either(kind: str) -> AnyWorkflow:
    """Build a fork called `spread` in front of two nodes that both come to a join of that fork."""
    g: Any = GraphBuilder(input_type=list[int], output_type=list[int], deps_type=Deps)

    async def one(ctx: StepContext[None, Deps, Any]) -> int:
        await ctx.deps.enter("one")
        return 1

    async def two(ctx: StepContext[None, Deps, Any]) -> int:
        return 2

    first, second = g.step(one), g.step(two)
    join = g.join(reduce_list_append, initial_factory=list[int], node_id="collect", parent_fork_id="spread")
    edge = g.edge_from(g.start_node)
    if kind == "map":
        g.add(edge.map(fork_id="spread").to(first), g.edge_from(first).to(second))
    elif kind == "two":
        g.add(edge.broadcast(ways(first, second), fork_id="spread"), g.edge_from(first).to(join))
    else:
        g.add(edge.broadcast(ways(second, second), fork_id="spread"))
        g.add(g.edge_from(join).to(first), g.edge_from(first).to(g.end_node), g.edge_from(second).to(join))
        return Workflow.from_graph(g.build(), name="either")
    g.add(g.edge_from(second).to(join), g.edge_from(join).to(g.end_node))
    return Workflow.from_graph(g.build(), name="either")


async def test_a_map_with_items_under_way_that_has_become_a_broadcast_is_named(world: World) -> None:
    deps = await stopped(world, either("map"), at="one", inputs=[1, 2])
    (change,) = await refused(world, either("two"), deps)
    assert change == (
        "Fork 'spread' has branches under way as a map, and is a broadcast now. Make it a map again, and give the "
        "broadcast another id."
    )


async def test_a_branch_under_way_that_its_fork_no_longer_has_is_named(world: World) -> None:
    deps = await stopped(world, either("two"), at="one", inputs=[1])
    (change,) = await refused(world, either("after"), deps)
    assert change == (
        "Node 'one' has a task waiting in a branch of fork 'spread', which does not lead to it any more. Lead it there "
        "again."
    )


# --- ids that were made up --------------------------------------------------------------------------------------------


async def test_an_id_that_was_made_up_may_change_with_the_nodes_beside_it(world: World) -> None:
    """The map is called after the node before it, which gets another name here."""
    deps = await stopped(world, mapped(fork=None, before=["load"]), at="work 2", inputs=[1, 2])
    assert sorted(await resumed(world, mapped(fork=None, before=["fetch"]), deps)) == [1, 2]


def shifted(*, more: bool, swapped: bool = False) -> AnyWorkflow:
    """Build two maps with joins, whose ids pydantic-graph makes up by counting. more: others come before them."""
    g: Any = GraphBuilder(input_type=list[int], output_type=list[int], deps_type=Deps)

    async def first(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter(f"first {ctx.inputs}")
        return ctx.inputs + 1

    async def second(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter(f"second {ctx.inputs}")
        return ctx.inputs * 10

    async def third(ctx: StepContext[None, Deps, int]) -> int:
        return ctx.inputs

    one, two, three = (g.step(function) for function in (first, second, third))
    if more:
        extra = g.join(reduce_list_append, initial_factory=list[int])
        g.add(g.edge_from(g.start_node).map().to(three), g.edge_from(three).to(extra))
        begin: Any = extra
    else:
        begin = g.start_node
    joins = [g.join(reduce_list_append, initial_factory=list[int]) for _ in range(2)]
    inner, outer = joins[::-1] if swapped else joins
    g.add(
        g.edge_from(begin).map().to(one),
        g.edge_from(one).to(inner),
        g.edge_from(inner).map().to(two),
        g.edge_from(two).to(outer),
        g.edge_from(outer).to(g.end_node),
    )
    return Workflow.from_graph(g.build(), name="shifted")


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("at", ["first 2", "second 3"])
async def test_ids_that_shifted_are_matched_by_what_is_around_their_nodes(world: World, at: str, swapped: bool) -> None:
    old, new = shifted(more=False), shifted(more=True, swapped=swapped)
    assert {"map", "map_2", "reduce_list_append", "reduce_list_append_2"} <= set(old.nodes)
    assert {"map_3", "reduce_list_append_3"} <= set(new.nodes)
    deps = await stopped(world, old, at=at, inputs=[1, 2, 3])
    async with Engine(world()) as engine:
        (prospect,) = await engine.check(new)
    assert "'map' is called 'map_2' now." in prospect.reasons
    assert sorted(await resumed(world, new, deps)) == [20, 30, 40]
    if at == "second 3":
        assert [deps.calls[f"first {number}"] for number in (1, 2, 3)] == [1, 1, 1]
    async with Engine(world()) as engine:
        trace = await engine.trace(RUN)
    assert trace.definition.nodes == describe(new).nodes
    removed = [edge for edge in trace.definition.edges if edge not in describe(new).edges]
    assert [(edge.source, edge.target) for edge in removed] == [("__start__", "map_2")]


async def test_an_id_that_was_made_up_and_fits_two_places_is_named(world: World) -> None:
    def made(count: int) -> AnyWorkflow:
        g: Any = GraphBuilder(input_type=list[int], output_type=int, deps_type=Deps)

        async def work(ctx: StepContext[None, Deps, int]) -> int:
            await ctx.deps.enter(f"work {ctx.inputs}")
            return ctx.inputs

        total = g.join(reduce_sum, initial=0, node_id="total", preferred_parent_fork="closest")
        grand = g.join(reduce_sum, initial=0, node_id="grand")
        working = g.step(work)

        def maps(path: Any) -> list[Any]:
            return [path.map().to(working) for _ in range(count)]

        edge = g.edge_from(g.start_node)
        g.add(edge.broadcast(maps, fork_id="spread"))
        g.add(g.edge_from(working).to(total), g.edge_from(total).to(grand), g.edge_from(grand).to(g.end_node))
        return Workflow.from_graph(g.build(), name="made")

    deps = await stopped(world, made(1), at="work 2", inputs=[1, 2])
    changes = await refused(world, made(2), deps)
    assert changes[0].startswith(
        "Fork 'map' has branches under way, but the workflow has no such fork any more. Its id"
    )


# --- joins that came later --------------------------------------------------------------------------------------------


async def test_a_join_that_came_where_a_part_has_passed_already_is_named(world: World) -> None:
    def made(extra: bool) -> AnyWorkflow:
        wf: Any = WorkflowBuilder(
            name="made", deps_type=Deps, input_type=list[int], output_type=list[int], on_failure="finish"
        )

        async def work(ctx: StepContext[None, Deps, int]) -> int:
            await ctx.deps.enter(f"work {ctx.inputs}")
            return ctx.inputs

        working = wf.function(work)
        last = wf.join(reduce_list_append, initial_factory=list[int], node_id="last", parent_fork_id="items")
        wf.edge(wf.start_node, wf.each(working, fork_id="items"))
        if extra:
            total = wf.join(reduce_sum, initial=0, node_id="total", parent_fork_id="items")
            wf.edge(working, total)
            wf.edge(total, last)
        else:
            wf.edge(working, last)
        wf.edge(last, wf.end_node)
        built: AnyWorkflow = wf.build()
        return built

    deps = await stopped(world, made(False), at="work 2", inputs=[1, 2, 3])
    assert await refused(world, made(True), deps) == (
        (
            "Join 'total' waits for all of fork 'items' now, and what is pending at 'last' has passed its place "
            "already, so it would be missing there. Leave the join as it was, or finish the run first."
        ),
    )


async def test_a_join_that_came_after_everything_pending_fits(world: World) -> None:
    deps = await stopped(world, chain(["first", "second"], name="row"), at="second")
    wf: Any = WorkflowBuilder(name="row", deps_type=Deps, input_type=int, output_type=int)
    first, second, left, right = (step(wf, name) for name in ("first", "second", "left", "right"))
    total = wf.join(reduce_sum, initial=0, node_id="total")
    for source, target in ((wf.start_node, first), (first, second), (second, left), (second, right)):
        wf.edge(source, target)
    for source, target in ((left, total), (right, total), (total, wf.end_node)):
        wf.edge(source, target)
    assert await resumed(world, wf.build(), deps) == 4


async def test_a_join_of_a_fork_whose_branches_nobody_counted_is_named(world: World) -> None:
    """The items race to the end at first, so that nothing tells later of which map each is."""
    g: Any = GraphBuilder(input_type=list[int], output_type=int, deps_type=Deps)

    async def work(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("work")
        return ctx.inputs

    working = g.step(work)
    g.add(g.edge_from(g.start_node).map(fork_id="items").to(working), g.edge_from(working).to(g.end_node))
    deps = await stopped(world, Workflow.from_graph(g.build(), name="racing"), at="work", inputs=[1, 2])
    h: Any = GraphBuilder(input_type=list[int], output_type=int, deps_type=Deps)
    working = h.step(work)
    total = h.join(reduce_sum, initial=0, node_id="total", parent_fork_id="items")
    h.add(h.edge_from(h.start_node).map(fork_id="items").to(working), h.edge_from(working).to(total))
    h.add(h.edge_from(total).to(h.end_node))
    (change,) = await refused(world, Workflow.from_graph(h.build(), name="racing"), deps)
    assert change == (
        "Node 'work' leads to join 'total' now, which waits for fork 'items', and what is pending there was begun when "
        "nothing waited for that, so the join could not tell what belongs together. Leave the join out, or finish the "
        "run first."
    )
