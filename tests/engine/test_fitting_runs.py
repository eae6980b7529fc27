"""Streams, kept outputs and runs inside runs of a stored run that goes on with a changed workflow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from milepost import Engine, IncompatibleWorkflow, RunMismatch, StepContext, WorkflowBuilder, reduce_list_append
from tests.engine.changes import AnyWorkflow, World, refused, resumed, step, stopped
from tests.engine.changes import world as world
from tests.engine.subjects import RUN, Deps, chain

pytestmark = pytest.mark.anyio


# --- streams ----------------------------------------------------------------------------------------------------------


def streaming(
    *,
    stream: bool = True,
    straight: bool = True,
    fork: str | None = "items",
    before: str | None = None,
    node: str = "give",
) -> AnyWorkflow:
    """Build a stream, a map over it and a join. It breaks where `deps` says that `item 3` is faulty."""
    g: Any = WorkflowBuilder(name="streaming", deps_type=Deps, input_type=int, output_type=list[int])

    async def give(ctx: StepContext[None, Deps, int]) -> AsyncIterator[int]:
        for number in range(ctx.inputs):
            await ctx.deps.enter(f"item {number}")
            yield number

    async def give_all(ctx: StepContext[None, Deps, int]) -> list[int]:
        return list(range(ctx.inputs))

    double = step(g, "double", int, int, lambda number: number * 2)
    collect = g.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    giving = g.stream(node_id=node)(give) if stream else g.function(node_id=node)(give_all)
    begin = g.start_node
    if before is not None:
        begin = step(g, before)
        g.edge(g.start_node, begin)
    g.edge(begin, giving)
    if straight:
        g.edge(giving, g.each(double, join=collect, fork_id=fork))
    else:
        wrapping = step(g, "wrap", Any, list[int], lambda found: found)
        g.edge(giving, wrapping)
        g.edge(wrapping, g.each(double, join=collect, fork_id=fork))
    g.edge(collect, g.end_node)
    built: AnyWorkflow = g.build()
    return built


async def test_a_stream_goes_on_under_another_id_of_its_map_as_the_same_fork(world: World) -> None:
    """The map's id is made of the names around it; items before and after the change come to one join."""
    deps = await stopped(world, streaming(fork=None, node="give"), at="item 3", inputs=5)
    new = streaming(fork="things", node="give")
    assert sorted(await resumed(world, new, deps)) == [0, 2, 4, 6, 8]
    async with Engine(world()) as engine:
        trace = await engine.trace(RUN)
    assert {task.node for task in trace.tasks} == {"give", "double"}
    assert [join.items for join in trace.joins] == [5]
    assert {edge[0] for edge in trace.taken} >= {"things"}
    assert len({task.key for task in trace.tasks}) == len(trace.tasks) == 6


async def test_a_stream_that_has_become_one_output_is_named(world: World) -> None:
    deps = await stopped(world, streaming(), at="item 3", inputs=5)
    (change,) = await refused(world, streaming(stream=False), deps)
    assert change == (
        "Node 'give' has given 3 items of a stream, and gives all of its output at once now. Make it a stream again."
    )


async def test_a_stream_that_no_longer_leads_straight_to_its_map_is_named(world: World) -> None:
    deps = await stopped(world, streaming(), at="item 3", inputs=5)
    (change,) = await refused(world, streaming(straight=False), deps)
    assert change == (
        "Node 'give' has given 3 items of a stream, and does not lead straight to 'items' any more. Lead it there "
        "again."
    )


async def test_a_stream_whose_node_is_gone_is_named(world: World) -> None:
    deps = await stopped(world, streaming(), at="item 3", inputs=5)
    changes = await refused(world, streaming(node="hand_out"), deps)
    assert changes[0].startswith("Node 'give' has a task waiting, but the workflow has no such node any more.")


# --- outputs that are kept --------------------------------------------------------------------------------------------


def picky(*, first: str = "first", given: Any = int, target: str = "big", works: bool = False) -> AnyWorkflow:
    """Build a node behind which a condition fails, unless it works."""
    wf: Any = WorkflowBuilder(name="picky", deps_type=Deps, input_type=int, output_type=int)

    def choose(number: Any) -> bool:
        if not works:
            raise ValueError("as told")
        return True

    begin = step(wf, first, int, given)
    big, small = step(wf, target, given, int, lambda number: int(number) + 100), step(wf, "small", given, int)
    wf.edge(wf.start_node, begin)
    wf.edge(begin, big, when=choose)
    wf.edge(begin, small, otherwise=True)
    wf.edge(big, wf.end_node)
    wf.edge(small, wf.end_node)
    built: AnyWorkflow = wf.build()
    return built


async def test_an_output_that_is_kept_is_routed_by_the_workflow_as_it_is_now(world: World) -> None:
    deps = await stopped(world, picky(), at="")
    assert await resumed(world, picky(works=True, target="huge"), deps) == 101
    assert dict(deps.calls) == {"first": 1, "huge": 1}


async def test_an_output_that_is_kept_and_whose_node_is_gone_is_named(world: World) -> None:
    deps = await stopped(world, picky(), at="")
    (change,) = await refused(world, picky(works=True, first="begin"), deps)
    assert change.startswith("Node 'first' has an output to be routed, but the workflow has no such node any more.")


async def test_an_output_that_is_kept_and_does_not_fit_any_more_is_named(world: World) -> None:
    deps = await stopped(world, picky(), at="")
    (change,) = await refused(world, picky(works=True, given=list[int]), deps)
    assert change.startswith(
        "The stored output of node 'first', which is to be routed, does not fit any more: at output"
    )


# --- runs inside runs -------------------------------------------------------------------------------------------------


def outer(child: AnyWorkflow) -> AnyWorkflow:
    wf: Any = WorkflowBuilder(name="outer", deps_type=Deps, input_type=int, output_type=int)
    inner = wf.subworkflow(child, node_id="inner")
    wf.edge(wf.start_node, inner)
    wf.edge(inner, wf.end_node)
    built: AnyWorkflow = wf.build()
    return built


async def test_a_run_inside_a_run_is_compared_by_itself_and_before_anything_runs_by_a_check(world: World) -> None:
    deps = await stopped(world, outer(chain(["parse", "judge"], name="review")), at="judge")
    changed = outer(chain(["parse", "decide"], name="review"))
    async with Engine(world()) as engine:
        whole, inside = await engine.check(changed)
    assert (whole.run_id, whole.verdict, whole.parent_run) == (RUN, "resumes", None)
    assert (inside.workflow, inside.verdict, inside.parent_run) == ("review", "refused", RUN)
    assert inside.reasons[0].startswith("Node 'judge' has a task waiting")
    with pytest.raises(IncompatibleWorkflow, match="Node 'judge' has a task waiting"):
        await resumed(world, changed, deps)
    assert await resumed(world, outer(chain(["parse", "judge", "close"], name="review")), deps) == 4
    assert deps.calls["parse"] == 1


async def test_another_workflow_inside_is_told_by_a_check(world: World) -> None:
    deps = await stopped(world, outer(chain(["parse", "judge"], name="review")), at="judge")
    changed = outer(chain(["parse", "judge"], name="audit"))
    async with Engine(world()) as engine:
        _, inside = await engine.check(changed)
    assert inside.reasons == (
        (
            "The node that it is driven for, in run 'r-1', runs workflow 'audit' now, and this is a run of 'review'. "
            "Have it run 'review' again, or finish the run with the old code."
        ),
    )
    with pytest.raises(RunMismatch):
        await resumed(world, changed, deps)


async def test_runs_inside_others_are_told_when_their_own_workflow_is_checked(world: World) -> None:
    review = chain(["parse", "judge"], name="review")
    await stopped(world, outer(review), at="judge")
    async with Engine(world()) as engine:
        (inside,) = await engine.check(chain(["parse"], name="review"))
        assert (inside.parent_run, inside.verdict) == (RUN, "refused")
        await engine.cancel(RUN)
        assert await engine.check(chain(["parse"], name="review")) == []


async def test_a_run_whose_node_runs_no_workflow_any_more_is_ended_with_the_change(world: World) -> None:
    deps = Deps().gate("judge")
    async with Engine(world()) as engine:
        run = await engine.start(outer(chain(["parse", "judge"], name="review")), inputs=1, deps=deps, run_id=RUN)
        await deps.begun["judge"].wait()
        run.stop()
    wf: Any = WorkflowBuilder(name="outer", deps_type=Deps, input_type=int, output_type=int)
    inner = step(wf, "inner", int, int, lambda number: number + 50)
    wf.edge(wf.start_node, inner)
    wf.edge(inner, wf.end_node)
    assert await resumed(world, wf.build(), deps) == 51
    async with Engine(world()) as engine:
        (child,) = await engine.children(RUN)
    assert child.status == "cancelled"
