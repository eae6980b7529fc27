"""Which node may have which policy, and policies that are given by the id of the node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic_graph import BaseNode, End, GraphRunContext

from milepost.engine.definition import describe
from milepost.engine.errors import UnsoundWorkflow
from milepost.engine.policy import Cache, Policy, RateLimit, Retry
from milepost.engine.typed import GraphBuilder, StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder


@dataclass
class Finish(BaseNode[None, None, int]):
    value: int = 0

    async def run(self, ctx: GraphRunContext[None, None]) -> End[int]:
        return End(self.value)


def foreign() -> Any:
    """A graph that was built with pydantic-graph alone: a stream, a map, a join and a class."""
    g: GraphBuilder[None, None, int, int] = GraphBuilder(name="foreign", input_type=int, output_type=int)

    @g.stream
    async def count(ctx: StepContext[None, None, int]) -> AsyncIterator[int]:
        for number in range(ctx.inputs):
            yield number

    @g.step
    async def double(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 2

    collect = g.join(reduce_list_append, initial_factory=list[int], node_id="collect")

    @g.step
    async def pick(ctx: StepContext[None, None, list[int]]) -> Finish:
        return Finish(len(ctx.inputs))

    g.add(
        g.node(Finish),
        g.edge_from(g.start_node).to(count),
        g.edge_from(count).map(fork_id="each").to(double),
        g.edge_from(double).to(collect),
        g.edge_from(collect).to(pick),
    )
    return g.build()


def given(**policies: Any) -> Workflow[Any, Any, Any, Any]:
    return Workflow.from_graph(foreign(), policies=policies)


def test_nodes_of_any_graph_are_given_policies_by_their_ids() -> None:
    policies = {
        "count": Policy(timeout=3.0, retry=Retry()),
        "each": Policy(max_concurrency=5),
        "double": Policy(cache=Cache(), at_most_once=True),
        "pick": Policy(rate_limit=RateLimit(calls=2)),
        "Finish": Policy(timeout=9.0),
    }
    workflow = given(**policies)
    assert {node: spec.policy for node, spec in workflow.specs.items() if spec.policy != Policy()} == policies


def test_an_id_that_is_not_in_the_graph_is_refused_with_a_close_match() -> None:
    message = "A policy is given for the node 'doubel', and there is none. Did you mean 'double'[?]"
    with pytest.raises(UnsoundWorkflow, match=message):
        given(doubel=Policy(timeout=3.0))


@pytest.mark.parametrize(
    ("node", "policy", "message"),
    [
        (
            "each",
            Policy(timeout=3.0, retry=Retry(), max_concurrency=2),
            "The map 'each' cannot have retry and timeout: it runs nothing itself. Give it to the node that the map",
        ),
        ("collect", Policy(max_concurrency=2), "The join 'collect' cannot have max_concurrency: it runs nothing that"),
        ("__end__", Policy(timeout=2.0), "The end cannot have timeout: it runs nothing"),
        ("count", Policy(cache=Cache()), "The stream 'count' cannot have cache: its items are committed one by one"),
        ("count", Policy(at_most_once=True), "The stream 'count' cannot have at_most_once"),
        ("pick", Policy(cache=Cache()), "Node 'pick' cannot have cache: what it returns says where to go"),
        ("Finish", Policy(cache=Cache()), "Node 'Finish' cannot have cache: what it returns says where to go"),
        ("double", 3.0, r"The policy of node 'double' is 3.0. Give a Policy, e.g. Policy\(timeout=30.0\)."),
    ],
)
def test_a_policy_that_means_nothing_for_a_node_is_refused(node: str, policy: Any, message: str) -> None:
    with pytest.raises(UnsoundWorkflow, match=message):
        given(**{node: policy})


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UnsoundWorkflow) as refused:
        given(one=Policy(), two=Policy(), collect=Policy(timeout=1.0))
    assert len(refused.value.faults) == 3


def declared() -> Workflow[None, None, int, int]:
    wf = WorkflowBuilder(
        name="declared", input_type=int, output_type=int, version=4, max_concurrency=3, on_failure="finish"
    )

    @wf.function(timeout=3.0)
    def double(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 2

    @wf.function
    def halve(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs // 2

    wf.edge(wf.start_node, double)
    wf.edge(double, halve)
    wf.edge(halve, wf.end_node)
    wf.policy(halve, timeout=5.0)
    return wf.build()


def test_a_workflow_that_is_given_policies_keeps_all_else() -> None:
    before = declared()
    after = Workflow.from_graph(before, policies={"double": Policy(max_concurrency=1)})
    assert before.specs["double"].policy == Policy(timeout=3.0)
    assert after.specs["double"].policy == Policy(max_concurrency=1)
    assert after.specs["halve"].policy == Policy(timeout=5.0)
    assert (after.name, after.version, after.max_concurrency, after.on_failure) == ("declared", 4, 3, "finish")


def test_a_workflow_is_left_as_it_is_without_any() -> None:
    workflow = declared()
    assert Workflow.from_graph(workflow, policies={}) is workflow


def test_a_graph_of_pydantic_graphs_own_has_the_usual_rules() -> None:
    workflow = given()
    assert (workflow.version, workflow.max_concurrency, workflow.on_failure) == (1, None, "cancel")


def test_a_picture_says_which_policies_there_are() -> None:
    assert {node.id: node.marks for node in describe(declared()).nodes if node.marks} == {
        "double": ("timeout 3 s",),
        "halve": ("timeout 5 s",),
    }
