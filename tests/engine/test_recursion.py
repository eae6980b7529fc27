"""Workflows that run themselves: how deep they may, how they resume, and that no limit locks them up."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import anyio
import pytest

from milepost.engine.admission import workflows_inside
from milepost.engine.current import current
from milepost.engine.definition import Definition, describe
from milepost.engine.engine import Engine
from milepost.engine.errors import NodeError, WorkflowError
from milepost.engine.policy import CircuitBreaker, RateLimit, Retry
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.nests import DEEP, OUTER, Tree, World, fan, nested, outer, tree, world
from tests.engine.subjects import RUN, Deps, chain

__all__ = ["world"]

pytestmark = pytest.mark.anyio
both_loops = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])

AnyWorkflow = Workflow[Any, Any, Any, Any]
BRANCHY: Tree = [1, [2, [3, 4], 5], [[[6]]], 7]


async def ran(world: World, workflow: AnyWorkflow, deps: Deps, inputs: Any, **options: Any) -> Any:
    async with Engine(world(), **options) as engine:
        with anyio.fail_after(10):
            return await (await engine.start(workflow, inputs=inputs, deps=deps, run_id=RUN)).result()


@both_loops
async def test_a_workflow_can_run_itself(world: World) -> None:
    deps = Deps()
    assert await tree().run(inputs=BRANCHY, deps=deps) == 28
    assert await ran(world, tree(), deps, BRANCHY) == 28
    assert deps.calls == {"branches": 12, "leaves": 12}


@both_loops
async def test_a_recursion_that_was_stopped_goes_on_where_it_was(world: World) -> None:
    deps = Deps()
    workflow = tree()
    chance = random.Random(7)
    for life in range(20):
        deps.gates.clear()
        if life < 19:
            deps.gate("leaves" if chance.random() < 0.5 else "branches")
        async with Engine(world()) as engine:
            run = await engine.start(workflow, inputs=BRANCHY, deps=deps, run_id=RUN)
            if life == 19:
                assert await run.result() == 28
                break
            for _ in range(chance.randrange(40)):
                for gate in deps.gates.values():
                    gate.set()
                await anyio.lowlevel.checkpoint()
            run.stop()
    async with Engine(world()) as engine:
        runs = await engine.runs(nested=True)
    assert {run.status for run in runs} == {"completed"}
    assert len(runs) == 6


# --- depth ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", [None, "memory:"])
async def test_depth_bounds_how_many_runs_are_inside_one_another(store: str | None) -> None:
    assert await tree(3).run(inputs=nested(3), deps=Deps(), store=store) == 4
    with pytest.raises(WorkflowError) as refused:
        await tree(3).run(inputs=nested(4), deps=Deps(), store=store)
    assert str(refused.value).endswith(
        "Workflow 'tree' is nested more than 3 deep: tree > tree > tree > tree > tree. "
        "Raise depth= of node 'below' of workflow 'tree', or end the recursion."
    )


async def test_the_outermost_node_says_how_deep() -> None:
    assert await outer_of(tree(1), depth=20).run(inputs=nested(12), deps=Deps()) == 13
    with pytest.raises(
        WorkflowError, match=r"'tree' is nested more than 2 deep: outermost > tree > tree > tree\. Raise"
    ):
        await outer_of(tree(20), depth=2).run(inputs=nested(2), deps=Deps())


def outer_of(child: AnyWorkflow, depth: int) -> AnyWorkflow:
    wf = WorkflowBuilder(name="outermost", deps_type=Deps, input_type=list[Any], output_type=int)
    inner: Any = wf.subworkflow(child, node_id="inner", depth=depth)
    wf.edge(wf.start_node, inner)
    wf.edge(inner, wf.end_node)
    return wf.build()


@pytest.mark.parametrize("store", [None, "memory:"])
async def test_a_long_chain_is_told_shortly_and_not_tried_again_at_every_level(store: str | None) -> None:
    deps = Deps()
    with pytest.raises(WorkflowError, match=r"nested more than 10 deep: tree > tree > tree > tree > \.\.\. > tree\."):
        await tree(retry=Retry(attempts=3)).run(inputs=nested(30), deps=deps, store=store)
    assert deps.calls["branches"] == 11


async def test_the_depth_of_a_run_that_is_gone_on_with_by_itself_counts_from_the_outermost(world: World) -> None:
    deps, workflow = Deps(faulty={"leaves"}), tree(3)
    with pytest.raises(NodeError):
        await ran(world, workflow, deps, nested(4))
    deps.faulty.clear()
    with pytest.raises(WorkflowError, match="nested more than 3 deep"):
        await ran(world, workflow, deps, nested(4))
    async with Engine(world()) as engine:
        (child,) = await engine.children(RUN)
        with pytest.raises(WorkflowError, match="nested more than 3 deep: tree > tree > tree > tree > tree"):
            await (await engine.resume(child.run_id, workflow, deps=deps)).result()


@pytest.mark.parametrize("store", [None, "memory:"])
async def test_recursion_does_not_deepen_the_stack(store: str | None) -> None:
    assert await tree(1000).run(inputs=nested(150), deps=Deps(), store=store) == 151


# --- its description --------------------------------------------------------------------------------------------------


def test_the_definition_holds_the_workflow_inside() -> None:
    definition = describe(DEEP)
    (middle,) = [node for node in definition.nodes if node.child is not None]
    assert (middle.id, middle.kind, middle.workflow) == ("inner", "workflow", "middle")
    assert middle.child is not None
    (review,) = [node for node in middle.child.nodes if node.child is not None]
    assert review.child == describe(chain(["parse", "judge"], name="review"))
    assert Definition.from_json(definition.to_json()) == definition


def test_a_change_inside_changes_the_fingerprint() -> None:
    other = outer(outer(chain(["parse", "decide"], name="review"), name="middle"), name="deep")
    again = outer(outer(name="middle"), name="deep")
    assert describe(DEEP).fingerprint == describe(again).fingerprint != describe(other).fingerprint


def test_a_workflow_that_runs_itself_is_only_named_inside_itself() -> None:
    definition = describe(tree())
    (below,) = [node for node in definition.nodes if node.kind == "workflow"]
    assert (below.workflow, below.child) == ("tree", None)
    assert Definition.from_json(definition.to_json()) == definition


def endless(depth: int = 3) -> Workflow[None, Deps, int, int]:
    """Build a workflow whose node would run one that is built anew each time it is asked for."""
    wf = WorkflowBuilder(name="endless", deps_type=Deps, input_type=int, output_type=int)

    def another() -> Workflow[None, Deps, int, int]:
        return endless(depth)

    inner = wf.subworkflow(another, depth=depth)
    wf.edge(wf.start_node, inner)
    wf.edge(inner, wf.end_node)
    return wf.build()


@pytest.mark.parametrize("store", [None, "memory:"])
async def test_a_workflow_that_is_built_anew_at_every_level_ends_at_the_depth(store: str | None) -> None:
    workflow = endless()
    with pytest.raises(WorkflowError, match="nested more than 3 deep"):
        await workflow.run(inputs=1, deps=Deps(), store=store)


def test_a_description_of_what_is_built_anew_ends_too() -> None:
    definition, levels = describe(endless()), 0
    while definition.nodes[-1].child is not None or definition.nodes[1].child is not None:
        definition = next(node.child for node in definition.nodes if node.child is not None)
        levels += 1
    assert levels == 3
    assert len(workflows_inside(endless())) == 3


def test_a_function_that_is_on_the_way_down_already_is_not_asked_again() -> None:
    def build() -> Workflow[None, Deps, int, int]:
        wf = WorkflowBuilder(name="fresh", deps_type=Deps, input_type=int, output_type=int)
        inner = wf.subworkflow(build)
        wf.edge(wf.start_node, inner)
        wf.edge(inner, wf.end_node)
        return wf.build()

    definition = describe(build())
    (inner,) = [node.child for node in definition.nodes if node.child is not None]
    assert [node.workflow for node in inner.nodes if node.child is None and node.workflow] == ["fresh"]
    assert len(workflows_inside(build())) == 1


def test_every_workflow_inside_is_found_once() -> None:
    assert workflows_inside(tree()) == []
    assert [workflow.name for workflow in workflows_inside(DEEP)] == ["middle", "review"]
    assert [workflow.name for workflow in workflows_inside(outer(OUTER))] == ["outer", "review"]


# --- limits -----------------------------------------------------------------------------------------------------------


@both_loops
async def test_a_limit_of_the_engine_is_for_what_does_the_work(world: World) -> None:
    assert await ran(world, tree(), Deps(), BRANCHY, max_concurrency=1) == 28


@both_loops
@pytest.mark.parametrize(
    "policy",
    [
        {"max_concurrency": 1},
        {"rate_limit": RateLimit(calls=100, per=0.01)},
        {"circuit_breaker": CircuitBreaker(failures=1)},
        {"timeout": 9.0, "total_timeout": 9.0},
    ],
)
async def test_a_policy_of_a_node_that_comes_again_inside_itself_does_not_lock_up(world: World, policy: Any) -> None:
    assert await ran(world, tree(**policy), Deps(), BRANCHY) == 28


def countdown(**options: Any) -> Workflow[None, Deps, int, int]:
    """Build a workflow that runs itself with one less until there is nothing left."""
    wf = WorkflowBuilder(name="countdown", deps_type=Deps, input_type=int, output_type=int)
    built: list[Workflow[None, Deps, int, int]] = []

    @wf.decide
    async def more(ctx: StepContext[None, Deps, int]) -> bool:
        return ctx.inputs > 0

    @wf.function
    async def bottom(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("bottom")
        return ctx.inputs

    def less(ctx: StepContext[None, Deps, int]) -> int:
        return ctx.inputs - 1

    def itself() -> Workflow[None, Deps, int, int]:
        return built[0]

    below = wf.subworkflow(itself, inputs=less, node_id="below", **options)
    wf.edge(wf.start_node, more)
    wf.edge(more, below, when=True)
    wf.edge(more, bottom, when=False)
    wf.edge(below, wf.end_node)
    wf.edge(bottom, wf.end_node)
    built.append(wf.build())
    return built[0]


async def test_a_circuit_that_a_recursion_has_opened_is_closed_by_one_that_succeeds(world: World) -> None:
    deps, workflow = Deps(faulty={"bottom"}), countdown(circuit_breaker=CircuitBreaker(failures=1, reset=1e-6))
    async with Engine(world()) as engine:
        for number in range(3):
            run = await engine.start(workflow, inputs=4, deps=deps, run_id=f"r-{number}")
            with pytest.raises(NodeError):
                await run.result()
        assert deps.calls == {"bottom": 3}
        deps.faulty.clear()
        assert [await (await engine.start(workflow, inputs=4, deps=deps)).result() for _ in range(2)] == [0, 0]


def ping_pong() -> tuple[AnyWorkflow, AnyWorkflow]:
    """Build two workflows that run each other with one less, one run at a time, until there is nothing left."""
    built: dict[str, AnyWorkflow] = {}
    for name, other in (("ping", "pong"), ("pong", "ping")):
        wf = WorkflowBuilder(name=name, deps_type=Deps, input_type=int, output_type=int)

        @wf.decide
        async def more(ctx: StepContext[None, Deps, int]) -> bool:
            return ctx.inputs > 0

        @wf.function(node_id=name)
        async def beat(ctx: StepContext[None, Deps, int]) -> int:
            await ctx.deps.enter(current().node)
            return ctx.inputs - 1

        inner: Any = wf.subworkflow(partial(built.__getitem__, other), node_id="inner", max_concurrency=1)
        wf.edge(wf.start_node, beat)
        wf.edge(beat, more)
        wf.edge(more, inner, when=True)
        wf.edge(more, wf.end_node, when=False)
        wf.edge(inner, wf.end_node)
        built[name] = wf.build()
    return built["ping"], built["pong"]


@both_loops
async def test_two_workflows_that_run_each_other_do_not_lock_each_other_out() -> None:
    (ping, pong), held, free = ping_pong(), Deps().gate("pong"), Deps()
    async with Engine("memory:") as engine:
        first = await engine.start(ping, inputs=4, deps=held)
        await held.begun["pong"].wait()
        second = await engine.start(pong, inputs=4, deps=free)
        with anyio.fail_after(5):
            assert await second.result() == 0
            held.gates["pong"].set()
            assert await first.result() == 0


@both_loops
async def test_a_limit_of_a_node_that_runs_a_workflow_counts_its_runs(world: World) -> None:
    inside, most = 0, 0
    wf = WorkflowBuilder(name="counting", deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def count(ctx: StepContext[None, Deps, int]) -> int:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        inside -= 1
        return ctx.inputs

    wf.edge(wf.start_node, count)
    wf.edge(count, wf.end_node)
    assert await ran(world, fan(wf.build(), max_concurrency=2), Deps(), list(range(8))) == 28
    assert most == 2
