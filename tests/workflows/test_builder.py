"""A WorkflowBuilder makes graphs that pydantic-graph itself can run, and can be built again."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, cast

import pytest
from pydantic_graph import BaseNode, End, Graph, GraphRunContext

from milepost.engine.errors import UnsoundWorkflow, WorkflowError
from milepost.engine.policy import Policy, Retry
from milepost.engine.spec import UNKNOWN, NodeKind
from milepost.engine.typed import (
    GraphBuilder,
    Join,
    JoinNode,
    ReduceFirstValue,
    StepContext,
    StepNode,
    reduce_list_append,
    reduce_sum,
)
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio

IntCtx = StepContext[None, None, int]


class Size(Enum):
    SMALL = 1
    LARGE = 2


def labels(workflow: Workflow[Any, Any, Any, Any], decision: str) -> list[str]:
    """The texts on the edges that leave a decision."""
    node: Any = workflow.nodes[decision]  # type: ignore[index]  # ids are strings
    return [item.label for branch in node.branches for item in branch.path.items if hasattr(item, "label")]


def is_above(limit: int, value: int) -> bool:
    return value > limit


def is_fourth(value: int) -> bool:
    return value % 4 == 0


def inputs_of(ctx: Any) -> Any:
    return ctx.inputs


def always(ctx: Any) -> Any:
    return True


def one(ctx: Any) -> Any:
    return 1


async def upstream(workflow: Any, inputs: Any) -> Any:
    """Run with pydantic-graph's own executor."""
    execute: Any = vars(Graph)["run"]
    return await execute(workflow, inputs=inputs)


def sizes() -> WorkflowBuilder[None, None, int, str]:
    wf = WorkflowBuilder(name="sizes", input_type=int, output_type=str)

    @wf.decide
    def size(ctx: IntCtx) -> Size:
        """How large is it?"""
        return Size.SMALL if ctx.inputs < 10 else Size.LARGE

    @wf.function(retry=Retry(attempts=2), timeout=5.0, label="A small one")
    async def small(ctx: IntCtx) -> str:
        return f"small {ctx.inputs}"

    @wf.function(thread=True)
    def large(ctx: IntCtx) -> str:
        return f"large {ctx.inputs}"

    wf.edge(wf.start_node, size)
    wf.edge(size, small, when=Size.SMALL)
    wf.edge(size, large, when=Size.LARGE, label="10 or more")
    wf.edge(small, wf.end_node)
    wf.edge(large, wf.end_node)
    return wf


async def test_a_decide_node_passes_on_what_came_in() -> None:
    workflow = sizes().build()
    assert await upstream(workflow, 3) == "small 3"
    assert await upstream(workflow, 30) == "large 30"


async def test_nodes_are_described() -> None:
    specs = sizes().build().specs
    assert specs["size"].kind is NodeKind.DECISION
    assert (specs["size"].input_type, specs["size"].output_type) == (int, Size)
    assert specs["size"].doc == "How large is it?"
    assert specs["size_choice"].generated
    assert (specs["small"].label, specs["small"].policy) == (
        "A small one",
        Policy(retry=Retry(attempts=2), timeout=5.0),
    )
    assert specs["large"].thread
    assert (specs["large"].kind, specs["large"].input_type, specs["large"].output_type) == (NodeKind.FUNCTION, int, str)


async def test_edges_carry_their_condition_or_the_authors_words() -> None:
    assert labels(sizes().build(), "size_choice") == ["1", "10 or more"]


async def test_conditions_are_shown_as_they_were_written() -> None:
    wf = WorkflowBuilder(input_type=int, output_type=int)

    def is_big(value: int) -> bool:
        return value > 1000

    @wf.function
    def same(ctx: IntCtx) -> int:
        return ctx.inputs

    wf.edge(wf.start_node, same)
    wf.edge(same, wf.end_node, when=lambda value: value   < 3)  # fmt: skip
    wf.edge(same, wf.end_node, when=is_big)
    wf.edge(same, wf.end_node, when=functools.partial(is_above, 5))
    wf.edge(same, wf.end_node, otherwise=True)
    assert labels(wf.build(), "same_decision") == ["value < 3", "is_big", "partial", "otherwise"]


async def test_conditional_edges_are_tried_in_order() -> None:
    wf = WorkflowBuilder(input_type=int, output_type=str)

    @wf.function
    def same(ctx: IntCtx) -> int:
        return ctx.inputs

    def say(name: str) -> Any:
        @wf.function(node_id=name)
        def body(ctx: IntCtx) -> str:
            return name

        wf.edge(body, wf.end_node)
        return body

    wf.edge(wf.start_node, same)
    wf.edge(same, say("other"), otherwise=True)
    wf.edge(same, say("small"), when=lambda value: value < 10)
    wf.edge(same, say("medium"), when=lambda value: value < 100)
    workflow = wf.build()
    assert [await upstream(workflow, value) for value in (5, 50, 500)] == ["small", "medium", "other"]


async def test_types_choose_edges_also_when_isinstance_cannot_take_them() -> None:
    wf = WorkflowBuilder(input_type=int, output_type=str)

    @wf.function
    def make(ctx: IntCtx) -> list[int] | str | int | None:
        made: dict[int, list[int] | str | int] = {0: [1], 1: "text", 2: 5}
        return made.get(ctx.inputs)

    @wf.function
    def many(ctx: StepContext[None, None, list[int]]) -> str:
        return "many"

    @wf.function
    def single(ctx: StepContext[None, None, int | str]) -> str:
        return "single"

    @wf.function
    def nothing(ctx: StepContext[None, None, None]) -> str:
        return "nothing"

    wf.edge(wf.start_node, make)
    wf.edge(make, many, when=list[int])
    wf.edge(make, single, when=int | str)
    wf.edge(make, nothing, when=None)
    for node in (many, single, nothing):
        wf.edge(node, wf.end_node)
    workflow = wf.build()
    assert [await upstream(workflow, value) for value in range(4)] == ["many", "single", "single", "nothing"]
    assert labels(workflow, "make_decision") == ["list[int]", "int | str", "None"]


async def test_the_start_may_have_conditional_edges() -> None:
    wf = WorkflowBuilder(input_type=int, output_type=int)
    wf.edge(wf.start_node, wf.end_node, when=lambda value: value > 3)
    wf.edge(wf.start_node, wf.end_node, otherwise=True)
    assert "start_decision" in wf.build().nodes


def mapped(**options: Any) -> WorkflowBuilder[None, None, int, list[int]]:
    wf = WorkflowBuilder(input_type=int, output_type=list[int])

    @wf.function
    def numbers(ctx: IntCtx) -> list[int]:
        return list(range(ctx.inputs))

    @wf.function
    def square(ctx: IntCtx) -> int:
        return ctx.inputs**2

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, numbers)
    wf.edge(numbers, wf.each(square, join=collect, **options))
    wf.edge(collect, wf.end_node)
    return wf


async def test_each_leads_to_a_node_once_per_item_and_to_the_join() -> None:
    workflow = mapped().build()
    assert sorted(await upstream(workflow, 4)) == [0, 1, 4, 9]
    assert await upstream(workflow, 0) == []
    assert workflow.specs["numbers_each_square"].kind is NodeKind.MAP
    assert workflow.warnings == ()


async def test_each_takes_an_id() -> None:
    assert "squares" in mapped(fork_id="squares").build().nodes


async def test_each_leaves_a_node_that_leads_somewhere_as_it_is() -> None:
    wf = WorkflowBuilder(input_type=int, output_type=list[str])

    @wf.function
    def numbers(ctx: IntCtx) -> list[int]:
        return list(range(ctx.inputs))

    @wf.decide
    def parity(ctx: IntCtx) -> bool:
        return ctx.inputs % 2 == 0

    @wf.function
    def even(ctx: IntCtx) -> str:
        return "even"

    @wf.function
    def odd(ctx: IntCtx) -> str:
        return "odd"

    bare: Any = list
    collect: Join[None, None, str, list[str]] = wf.join(reduce_list_append, initial_factory=bare, node_id="collect")
    wf.edge(wf.start_node, numbers)
    wf.edge(numbers, wf.each(parity, join=collect))
    wf.edge(parity, even, when=True)
    wf.edge(parity, odd, when=False)
    wf.edge(even, collect)
    wf.edge(odd, collect)
    wf.edge(collect, wf.end_node)
    workflow = wf.build()
    assert sorted(await upstream(workflow, 3)) == ["even", "even", "odd"]
    assert workflow.specs["collect"].output_type == list[str]


async def test_several_plain_edges_broadcast() -> None:
    wf = WorkflowBuilder(input_type=int, output_type=int)

    @wf.function
    def one(ctx: IntCtx) -> int:
        return ctx.inputs + 1

    @wf.function
    def ten(ctx: IntCtx) -> int:
        return ctx.inputs + 10

    total = wf.join(reduce_sum, initial=0)
    wf.edge(wf.start_node, one, label="a")
    wf.edge(wf.start_node, ten)
    wf.edge(one, total)
    wf.edge(ten, total)
    wf.edge(total, wf.end_node)
    workflow = wf.build()
    assert await upstream(workflow, 0) == 11
    assert (workflow.specs["reduce_sum"].input_type, workflow.specs["reduce_sum"].output_type) == (int, int)


@dataclass
class Halve(BaseNode[None, None, int]):
    value: int

    async def run(self, ctx: GraphRunContext[None, None]) -> Halve | End[int]:
        return Halve(self.value // 2) if self.value % 2 == 0 else End(self.value)


def everything(wf: GraphBuilder[None, None, int, int]) -> None:
    """Declare one of everything that pydantic-graph has, on either builder."""

    @wf.step
    async def numbers(ctx: IntCtx) -> list[int]:
        return list(range(ctx.inputs))

    @wf.stream
    async def count(ctx: StepContext[None, None, list[int]]) -> AsyncIterator[int]:
        for number in ctx.inputs:
            yield number

    @wf.step(node_id="twice", label="Twice")
    async def double(ctx: IntCtx) -> int:
        return ctx.inputs * 2

    @wf.step
    async def text(ctx: IntCtx) -> str:
        return str(ctx.inputs)

    @wf.step
    async def length(ctx: StepContext[None, None, str]) -> int:
        return len(ctx.inputs)

    @wf.step
    async def begin(ctx: StepContext[None, None, list[int]]) -> Halve:
        return Halve(sum(ctx.inputs) + 2)

    nothing: list[int] = []
    collect = wf.join(reduce_list_append, initial=nothing, parent_fork_id="items")
    choice = (
        wf.decision(note="even?", node_id="even")
        .branch(wf.match(int, matches=is_fourth).label("four").to(double))
        .branch(wf.match(int).transform(inputs_of).to(text, double))
    )
    wf.add(
        wf.node(Halve),
        wf.edge_from(wf.start_node).label("in").to(numbers),
        wf.edge_from(numbers).to(count),
        wf.edge_from(count).map(fork_id="items", downstream_join_id=collect.id).to(choice),
        wf.edge_from(text).to(length),
        wf.edge_from(double, length).to(collect),
        wf.edge_from(collect).to(begin),
    )


def shape(graph: Any) -> dict[str, list[str]]:
    """Every node of a graph with the ends of its paths."""
    found: dict[str, list[str]] = {}
    for node_id, node in graph.nodes.items():
        paths = [branch.path for branch in getattr(node, "branches", [])] or graph.edges_by_source.get(node_id, [])
        found[node_id] = [path.items[-1].destination_id for path in paths]
    return found


async def test_what_pydantic_graph_declares_compiles_as_in_pydantic_graph() -> None:
    ours: Any = WorkflowBuilder(input_type=int, output_type=int)
    theirs: Any = GraphBuilder(input_type=int, output_type=int)
    everything(ours)
    everything(theirs)
    mine, real = ours.build(), theirs.build()
    names = {"decision": "Halve_decision"}  # ours are named after the node whose return hint they are made of
    assert shape(mine) == {
        names.get(node_id, node_id): [names.get(end, end) for end in ends] for node_id, ends in shape(real).items()
    }
    assert mine.parent_forks == real.parent_forks
    assert mine.intermediate_join_nodes == real.intermediate_join_nodes
    assert await upstream(mine, 5) == await real.run(inputs=5)


async def test_a_builder_can_be_built_again_and_after_more_was_added() -> None:
    wf: Any = WorkflowBuilder(input_type=int, output_type=int)
    everything(wf)
    first, second = wf.build(), wf.build()
    assert shape(first) == shape(second)
    assert await upstream(first, 5) == await upstream(second, 5)

    more: Any = mapped()
    before = shape(more.build())
    last = more.function(node_id="last")(inputs_of)
    more.edge(more.start_node, last)
    more.edge(last, more.end_node)
    after = more.build(validate_graph_structure=False)
    assert shape(after) != before
    assert set(before) < set(after.nodes)


async def test_building_does_not_change_a_decision_that_two_builds_share() -> None:
    wf = WorkflowBuilder(input_type=int, output_type=Any)

    @wf.function
    def same(ctx: IntCtx) -> int:
        return ctx.inputs

    choice = wf.decision().branch(wf.match(int).to(same, wf.end_node))
    wf.add(wf.edge_from(wf.start_node).to(choice))
    wf.edge(same, wf.end_node)
    items = list(choice.branches[0].path.items)
    wf.build()
    wf.build()
    assert choice.branches[0].path.items == items


async def test_runs_do_not_share_the_initial_value_of_a_join() -> None:
    wf = WorkflowBuilder(input_type=list[int], output_type=list[int])
    nothing: list[int] = []
    collect = wf.join(reduce_list_append, initial=nothing)

    @wf.function
    def same(ctx: IntCtx) -> int:
        return ctx.inputs

    wf.edge(wf.start_node, wf.each(same, join=collect))
    wf.edge(collect, wf.end_node)
    workflow = wf.build()
    assert await upstream(workflow, [1]) == [1]
    assert await upstream(workflow, [2]) == [2]


async def test_as_node_refers_to_the_nodes_that_the_author_holds() -> None:
    wf = WorkflowBuilder(input_type=int, output_type=list[int])

    @wf.function
    async def more(ctx: IntCtx) -> int:
        return ctx.inputs + 1

    collect = wf.join(reduce_list_append, initial_factory=list[int])

    @dataclass
    class Collect(BaseNode[None, None, list[int]]):
        value: int

        async def run(self, ctx: GraphRunContext[None, None]) -> Annotated[JoinNode[None, None], collect]:
            return collect.as_node(self.value)

    @dataclass
    class More(BaseNode[None, None, list[int]]):
        value: int

        async def run(self, ctx: GraphRunContext[None, None]) -> Annotated[StepNode[None, None], more]:
            return more.as_node(self.value)

    @wf.function
    def go(ctx: IntCtx) -> More | Collect:
        return More(ctx.inputs) if ctx.inputs < 3 else Collect(ctx.inputs)

    wf.add(wf.node(More), wf.node(Collect))
    wf.edge(wf.start_node, go)
    wf.edge(more, collect)
    wf.edge(collect, wf.end_node)
    wf.build()
    workflow = wf.build()
    assert await upstream(workflow, 2) == [3]
    assert await upstream(workflow, 7) == [7]


async def test_a_function_that_returns_base_nodes_leads_to_them() -> None:
    wf = WorkflowBuilder(input_type=int, output_type=int)

    @wf.function
    def begin(ctx: IntCtx) -> Halve:
        return Halve(ctx.inputs)

    wf.add(wf.node(Halve))
    wf.edge(wf.start_node, begin)
    assert await upstream(wf.build(), 12) == 3


async def test_hints_of_functions_in_functions_are_read_each_by_itself() -> None:
    wf = WorkflowBuilder(input_type=int, output_type=Any)

    class Local: ...

    @wf.function
    def make(anything: StepContext[None, None, int]) -> Local:
        return Local()

    @wf.function
    def later(ctx: StepContext[None, None, Local]) -> Later:
        return Later()

    @wf.function
    def lost(ctx: StepContext[None, None, Later]) -> Missing:  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore
        return None

    class Later: ...

    wf.edge(wf.start_node, make)
    wf.edge(make, later)
    nowhere: Any = cast(Any, lost)
    wf.edge(later, nowhere)
    wf.edge(nowhere, wf.end_node)
    specs = wf.build().specs
    assert (specs["make"].input_type, specs["make"].output_type) == (int, Local)
    assert (specs["later"].input_type, specs["later"].output_type) == (Local, Later)
    assert (specs["lost"].input_type, specs["lost"].output_type) == (Later, UNKNOWN)


async def test_an_output_that_was_not_declared_is_what_its_destinations_take() -> None:
    wf = WorkflowBuilder(input_type=int, output_type=str)
    first: Any = cast(Any, wf).function(node_id="first")(inputs_of)

    @wf.function
    def second(ctx: StepContext[None, None, str]) -> str:
        return ctx.inputs

    wf.edge(wf.start_node, first)
    wf.edge(first, second)
    wf.edge(second, wf.end_node)
    assert wf.build().specs["first"].output_type is str


async def test_the_types_of_joins_follow_from_reducers_and_neighbours() -> None:
    wf = WorkflowBuilder(input_type=list[int], output_type=int | None)
    first = wf.join(ReduceFirstValue[int | None](), initial=None, node_id="first")
    wf.add(wf.edge_from(wf.start_node).map(fork_id="m", downstream_join_id=first.id).to(first))
    wf.edge(first, wf.end_node)
    spec = wf.build().specs["first"]
    assert (spec.input_type, spec.output_type) == (int | None, int | None)


async def test_what_the_builder_was_given_is_in_the_workflow() -> None:
    class Money: ...

    @asynccontextmanager
    async def open_deps() -> AsyncGenerator[str]:
        yield "deps"

    wf = WorkflowBuilder(name="w", deps_type=str, version=7, deps=open_deps, registered=(Money,))
    wf.edge(wf.start_node, wf.end_node)
    workflow = wf.build()
    assert (workflow.name, workflow.version, workflow.registered) == ("w", 7, (Money,))
    assert workflow.deps_factory is open_deps
    assert (workflow.state_type, workflow.deps_type, workflow.input_type) == (type(None), str, type(None))


def wrong() -> Any:
    wf: Any = WorkflowBuilder(name="w", input_type=int, output_type=int)
    wf.edge(wf.start_node, wf.end_node)
    wf.same = wf.function(node_id="same")(inputs_of)
    wf.choose = wf.decide(node_id="choose")(always)
    return wf


def test_edges_that_cannot_be_are_told_with_the_others() -> None:
    wf = wrong()
    wf.edge(wf.same, wf.end_node, when="high")
    wf.edge(wf.same, wf.end_node, when=int, otherwise=True)
    wf.edge(wf.choose, wf.end_node)
    wf.edge(wf.start_node, 5)
    wf.edge(5, wf.end_node)
    wf.edge(Halve, wf.end_node)
    wf.edge(wf.same, wf.end_node, when=StepContext[None, None, int] | list)
    wf.add(wf.edge_from(wf.choose).to(wf.end_node))
    with pytest.raises(UnsoundWorkflow) as caught:
        wf.build()
    assert caught.value.faults[:7] == (
        (
            "The edge from 'same' to the end has when='high', which is a value. Only a decide node has edges for "
            "values; give a class or a function of what flows, or decide with @wf.decide."
        ),
        "The edge from 'same' to the end has both when= and otherwise=True. Give one of them.",
        (
            "The edge from 'choose' to the end does not say for which choice of 'choose' it is. "
            "Add when= or otherwise=True."
        ),
        "The edge from the start to '5' leads to 5, which is no node. Decorate it with @wf.function first.",
        "The edge from '5' to the end begins at 5, which no edge can leave. Begin at a node, or at wf.start_node.",
        (
            "The edge from 'Halve' to the end is not needed: a BaseNode says itself what comes next. "
            "Add wf.add(wf.node(...)) instead."
        ),
        "An edge leaves the decision 'choose' without saying for which value. Use when=.",
    )


def test_a_type_that_no_value_can_be_told_by_is_refused() -> None:
    from typing import Protocol

    class Walks(Protocol):
        def walk(self) -> None: ...

    wf = wrong()
    wf.edge(wf.same, wf.end_node, when=Walks)
    with pytest.raises(UnsoundWorkflow, match="has when=Walks, which isinstance\\(\\) cannot take"):
        wf.build()


def test_plain_and_conditional_edges_of_one_node_are_refused() -> None:
    wf = wrong()
    wf.edge(wf.start_node, wf.same, when=int)
    with pytest.raises(UnsoundWorkflow, match="Node the start has plain and conditional edges"):
        wf.build()


def test_two_nodes_of_one_id_are_refused() -> None:
    wf = wrong()
    wf.edge(wf.start_node, wf.same)
    wf.edge(wf.start_node, wf.function(node_id="same")(one))
    with pytest.raises(UnsoundWorkflow, match=r"Two nodes have the id 'same'. Give one of them another"):
        wf.build()


def test_the_branches_of_a_decide_node_are_its_edges() -> None:
    wf = wrong()
    with pytest.raises(WorkflowError, match="The decision 'choose' has edges, not branches"):
        wf.choose.branch(wf.match(int).to(wf.end_node))


def test_made_up_ids_avoid_those_that_authors_gave() -> None:
    wf: Any = WorkflowBuilder(input_type=int, output_type=Any)
    choose = wf.decide(node_id="a")(always)
    taken = wf.function(node_id="a_choice")(one)
    wf.edge(wf.start_node, choose)
    wf.edge(choose, taken, otherwise=True)
    wf.edge(taken, wf.end_node)
    assert "a_choice_2" in wf.build().nodes


async def test_a_literal_may_be_decided_by_a_coroutine() -> None:
    wf = WorkflowBuilder(input_type=int, output_type=int)

    @wf.decide(node_id="sign", label="Sign?")
    async def choose(ctx: IntCtx) -> Literal["plus", "minus"]:
        return "plus" if ctx.inputs >= 0 else "minus"

    @wf.function
    def negate(ctx: IntCtx) -> int:
        return -ctx.inputs

    wf.edge(wf.start_node, choose)
    wf.edge(choose, wf.end_node, when="plus")
    wf.edge(choose, negate, when="minus")
    wf.edge(negate, wf.end_node)
    workflow = wf.build()
    assert [await upstream(workflow, value) for value in (4, -4)] == [4, 4]
    assert workflow.specs["sign"].label == "Sign?"
