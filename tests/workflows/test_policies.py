"""Policies where nodes are declared, and those that are said apart, are found where a run reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic_graph import BaseNode, End, GraphRunContext

from milepost.engine.definition import describe
from milepost.engine.errors import UnsoundWorkflow, WorkflowError
from milepost.engine.policy import Cache, CircuitBreaker, Policy, RateLimit, Retry
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

IntCtx = StepContext[None, None, int]
POLITE = Policy(rate_limit=RateLimit(calls=10, per=60.0), timeout=30.0)


@dataclass
class Finish(BaseNode[None, None, int]):
    value: int = 0

    async def run(self, ctx: GraphRunContext[None, None]) -> End[int]:
        return End(self.value)


def builder(**options: Any) -> Any:
    """A builder that no type checker looks into, because what it is given is wrong on purpose."""
    return WorkflowBuilder(name="w", input_type=int, output_type=int, **options)


def same(ctx: IntCtx) -> int:
    return ctx.inputs


def single(wf: Any, **options: Any) -> Workflow[Any, Any, Any, Any]:
    node = wf.function(**options)(same)
    wf.edge(wf.start_node, node)
    wf.edge(node, wf.end_node)
    workflow: Workflow[Any, Any, Any, Any] = wf.build()
    return workflow


def test_every_part_of_a_policy_is_a_keyword() -> None:
    policy = Policy(
        retry=Retry(attempts=4),
        timeout=5.0,
        total_timeout=60.0,
        cache=Cache(ttl=3600.0),
        rate_limit=RateLimit(calls=10, per=60.0),
        max_concurrency=3,
        circuit_breaker=CircuitBreaker(failures=7),
    )
    parts = {name: getattr(policy, name) for name in Policy.__slots__}
    workflow = single(builder(), **parts)
    assert workflow.specs["same"].policy == policy
    (node,) = [node for node in describe(workflow).nodes if node.id == "same"]
    assert node.marks == (
        "retry ≤ 4",
        "timeout 5 s",
        "total 60 s",
        "cache 3600 s",
        "rate ≤ 10 per 60 s",
        "≤ 3 at once",
        "circuit breaker 7",
    )


def test_marks_of_what_has_no_number() -> None:
    import tenacity

    retry = Retry(stop=tenacity.stop_after_delay(3))
    workflow = single(builder(), retry=retry, cache=Cache())
    assert [node.marks for node in describe(workflow).nodes if node.marks] == [("retry", "cache")]
    workflow = single(builder(), at_most_once=True)
    assert [node.marks for node in describe(workflow).nodes if node.marks] == [("at most once",)]


def test_keywords_change_a_policy_that_several_nodes_share() -> None:
    specs = single(builder(), policy=POLITE, timeout=5.0).specs
    assert specs["same"].policy == Policy(rate_limit=RateLimit(calls=10, per=60.0), timeout=5.0)


def test_a_decide_node_has_a_policy_too() -> None:
    wf = builder()

    @wf.decide(policy=POLITE)  # type: ignore[untyped-decorator]  # the builder is Any here
    def sign(ctx: IntCtx) -> Literal["plus", "minus"]:
        return "plus"

    wf.edge(wf.start_node, sign)
    wf.edge(sign, wf.end_node, when="plus")
    wf.edge(sign, wf.end_node, when="minus")
    wf.policy(sign, max_concurrency=2)
    assert wf.build().specs["sign"].policy == Policy(rate_limit=POLITE.rate_limit, timeout=30.0, max_concurrency=2)


@pytest.mark.parametrize("kind", ["function", "decide", "stream"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retries": 3}, "Node 'fetch': there is no option 'retries'. Did you mean 'retry'[?]"),
        ({"timeout": -1}, "Node 'fetch': a timeout of -1 seconds can never be met. Give a positive number."),
        ({"timeout": "soon"}, "Node 'fetch': timeout='soon' is no number of seconds"),
        ({"retry": 3}, "Node 'fetch': retry=3 is no Retry"),
    ],
)
def test_what_is_wrong_is_said_where_the_node_is_declared(kind: str, options: Any, message: str) -> None:
    decorator = getattr(builder(), kind)(**options)

    def fetch(ctx: IntCtx) -> Any: ...

    with pytest.raises(WorkflowError, match=message):
        decorator(fetch)


def test_an_agent_node_says_it_too() -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    def ask(ctx: IntCtx) -> str:
        return ""

    with pytest.raises(WorkflowError, match=r"Node 'ask': there is no option 'retrys'. Did you mean 'retry'[?]"):
        builder().agent(Agent(TestModel()), retrys=3)(ask)


def upstream_nodes(wf: Any) -> tuple[Any, Any]:
    @wf.step  # type: ignore[untyped-decorator]  # the builder is Any here
    async def double(ctx: IntCtx) -> int:
        return ctx.inputs * 2

    @wf.step  # type: ignore[untyped-decorator]  # the builder is Any here
    async def finish(ctx: IntCtx) -> Finish:
        return Finish(ctx.inputs)

    wf.add(wf.node(Finish), wf.edge_from(wf.start_node).to(double), wf.edge_from(double).to(finish))
    return double, finish


def test_steps_and_classes_of_pydantic_graph_get_theirs_apart() -> None:
    wf = builder()
    double, _ = upstream_nodes(wf)
    wf.policy(double, retry=Retry(attempts=2))
    wf.policy(Finish, timeout=3.0)
    wf.policy("finish", policy=POLITE)
    specs = wf.build().specs
    assert specs["double"].policy == Policy(retry=Retry(attempts=2))
    assert specs["Finish"].policy == Policy(timeout=3.0)
    assert specs["finish"].policy == POLITE


def test_what_was_said_before_stays_where_nothing_else_is_said() -> None:
    wf = builder()
    node = wf.function(timeout=3.0, max_concurrency=2)(same)
    wf.edge(wf.start_node, node)
    wf.edge(node, wf.end_node)
    wf.policy("same", timeout=9.0)
    wf.policy(node, retry=Retry())
    assert wf.build().specs["same"].policy == Policy(timeout=9.0, max_concurrency=2, retry=Retry())


def test_a_policy_is_refused_when_it_is_said() -> None:
    wf = builder()
    double, _ = upstream_nodes(wf)
    with pytest.raises(WorkflowError, match="Node 'double': a timeout of 0 seconds can never be met"):
        wf.policy(double, timeout=0)
    with pytest.raises(WorkflowError, match=r"A policy is given for <function same at .*>, which is no node. Decorate"):
        wf.policy(same, timeout=3.0)


def test_a_policy_for_no_node_is_a_fault_of_the_build() -> None:
    wf = builder()
    upstream_nodes(wf)
    wf.policy("dubble", timeout=3.0)
    with pytest.raises(UnsoundWorkflow, match=r"given for the node 'dubble', and there is none. Did you mean 'double'"):
        wf.build()


def test_a_policy_that_means_nothing_for_a_node_is_a_fault_of_the_build() -> None:
    wf = mapped()
    wf.policy("collect", max_concurrency=3)
    wf.policy("start_each_same", timeout=3.0)
    with pytest.raises(UnsoundWorkflow) as refused:
        wf.build(validate_graph_structure=False)
    assert [fault.split(":")[0] for fault in refused.value.faults] == [
        "The map 'start_each_same' cannot have timeout",
        "The join 'collect' cannot have max_concurrency",
    ]


def mapped(**options: Any) -> Any:
    wf: Any = WorkflowBuilder(name="w", input_type=list[int], output_type=list[int])
    node = wf.function(same)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, wf.each(node, join=collect, **options))
    wf.edge(collect, wf.end_node)
    return wf


@pytest.mark.parametrize("options", [{}, {"fork_id": "items"}], ids=["made up", "given"])
def test_a_map_says_how_many_items_are_under_way(options: Any) -> None:
    workflow = mapped(max_concurrency=4, **options).build()
    map_id = options.get("fork_id", "start_each_same")
    assert workflow.specs[map_id].policy == Policy(max_concurrency=4)
    assert [node.marks for node in describe(workflow).nodes if node.id == map_id] == [("≤ 4 at once",)]


def test_a_map_without_a_number_has_no_policy() -> None:
    assert mapped().build().specs["start_each_same"].policy == Policy()


def test_a_map_of_pydantic_graph_is_given_it_by_its_id() -> None:
    wf: Any = WorkflowBuilder(name="w", input_type=list[int], output_type=list[int])
    node = wf.function(same)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.add(
        wf.edge_from(wf.start_node).map(fork_id="items").to(node),
        wf.edge_from(node).to(collect),
        wf.edge_from(collect).to(wf.end_node),
    )
    wf.policy("items", max_concurrency=2)
    assert wf.build().specs["items"].policy == Policy(max_concurrency=2)


def test_a_map_of_no_items_at_once_is_refused() -> None:
    with pytest.raises(WorkflowError, match="Node 'each same': max_concurrency=0 would never let the node begin"):
        mapped(max_concurrency=0)


def test_a_workflow_carries_its_rules() -> None:
    workflow = single(builder(max_concurrency=8, on_failure="finish"))
    assert (workflow.max_concurrency, workflow.on_failure) == (8, "finish")
    workflow = single(builder())
    assert (workflow.max_concurrency, workflow.on_failure) == (None, "cancel")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_concurrency": 0}, "Workflow 'w': max_concurrency=0 would never let a node begin"),
        ({"on_failure": "ignore"}, "Workflow 'w': on_failure='ignore' is not known. Give 'cancel' or 'finish'."),
    ],
)
def test_rules_that_cannot_work_are_refused(options: Any, message: str) -> None:
    with pytest.raises(WorkflowError, match=message):
        builder(**options)


def test_building_again_gives_the_same_policies() -> None:
    wf = mapped(max_concurrency=4)
    wf.policy("same", timeout=3.0)
    wf.build()
    specs = wf.build().specs
    assert (specs["same"].policy, specs["start_each_same"].policy) == (Policy(timeout=3.0), Policy(max_concurrency=4))


@pytest.mark.anyio
@pytest.mark.parametrize("store", [None, "memory:"])
async def test_a_retry_whose_own_function_fails_fails_the_node(store: str | None) -> None:
    def is_worth_it(error: Exception) -> bool:
        raise LookupError("nothing is known of it")

    def fetch(ctx: IntCtx) -> int:
        raise ValueError("no such page")

    wf = builder()
    node = wf.function(retry=Retry(on=is_worth_it))(fetch)
    wf.edge(wf.start_node, node)
    wf.edge(node, wf.end_node)
    message = (
        "The function on= of a retry failed with LookupError: .*. The node had failed with ValueError: no such page"
    )
    with pytest.raises(WorkflowError, match=message):
        await wf.build().run(inputs=1, store=store)
