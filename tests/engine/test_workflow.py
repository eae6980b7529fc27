"""A workflow is a graph that is described, does not change, and runs through the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel
from pydantic_graph import BaseNode, End, GraphRunContext

from milepost.engine.errors import InputError
from milepost.engine.spec import UNKNOWN, Choice, LabelIs, NodeKind
from milepost.engine.typed import GraphBuilder, StepContext, reduce_list_append, reduce_sum
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder


@dataclass
class Counter:
    n: int = 0
    names: list[str] = field(default_factory=list[str])


@dataclass
class Named:
    name: str


class Settings(BaseModel):
    limit: int = 3


class Strict(BaseModel):
    limit: int


class Loose(TypedDict, total=False):
    limit: int


class Firm(TypedDict):
    limit: int


def with_state(state_type: Any) -> Workflow[Any, None, int, int]:
    wf: WorkflowBuilder[Any, None, int, int] = WorkflowBuilder(
        name="w", state_type=state_type, input_type=int, output_type=int
    )
    wf.edge(wf.start_node, wf.end_node)
    return wf.build()


@pytest.mark.parametrize(
    ("state_type", "made"),
    [(Counter, Counter()), (Settings, Settings()), (Loose, {}), (type(None), None), (Any, None)],
)
def test_a_state_is_made_when_everything_in_it_has_a_default(state_type: Any, made: object) -> None:
    workflow = with_state(state_type)
    assert workflow.state_is_default
    assert workflow.make_state() == made


def test_every_state_that_is_made_is_a_new_one() -> None:
    workflow = with_state(Counter)
    assert workflow.make_state() is not workflow.make_state()
    assert workflow.make_state().names is not workflow.make_state().names


@pytest.mark.parametrize("state_type", [Named, Strict, Firm, int, list[int]])
def test_a_state_with_a_field_that_must_be_given_is_not_made(state_type: Any) -> None:
    workflow = with_state(state_type)
    assert not workflow.state_is_default
    with pytest.raises(InputError, match=r"Workflow 'w' needs a state: .* Give one with `state=`"):
        workflow.make_state()


def test_workflows_are_compared_and_hashed_by_identity() -> None:
    one, other = with_state(None), with_state(None)
    assert one == one
    assert one != other
    assert len({one, other, one}) == 2


def test_a_label_matches_only_an_equal_one_of_the_same_type() -> None:
    assert LabelIs("a")(Choice("a", None))
    assert not LabelIs("a")(Choice("b", None))
    assert not LabelIs(1)(Choice(True, None))


@dataclass
class Double(BaseNode[None, None, int]):
    """Twice as much."""

    value: int

    async def run(self, ctx: GraphRunContext[None, None]) -> End[int]:
        return End(self.value * 2)


def is_large(value: int) -> bool:
    return value > 2


def foreign() -> Any:
    """A graph that was built with pydantic-graph alone, with one of everything."""
    g: GraphBuilder[None, None, int, int] = GraphBuilder(name="foreign", input_type=int, output_type=int)

    @g.step
    async def numbers(ctx: StepContext[None, None, int]) -> list[int]:
        """As many numbers."""
        return list(range(ctx.inputs))

    @g.stream
    async def count(ctx: StepContext[None, None, list[int]]) -> AsyncIterator[Any]:
        for number in ctx.inputs:
            yield number

    @g.step
    async def double(ctx: StepContext[None, None, int]):  # type: ignore[no-untyped-def]  # what an author may write
        return ctx.inputs * 2

    total = g.join(reduce_sum, initial=0)
    collect = g.join(reduce_list_append, initial_factory=list[int], node_id="collect")

    @g.step
    async def pick(ctx: StepContext[None, None, list[int]]) -> Double:
        return Double(len(ctx.inputs))

    g.add(
        g.node(Double),
        g.edge_from(g.start_node).to(numbers),
        g.edge_from(numbers).to(count),
        g.edge_from(count).map().to(double),
        g.edge_from(double).to(
            g.decision().branch(g.match(int, matches=is_large).to(total)).branch(g.match(int).to(collect))
        ),
        g.edge_from(total).to(g.end_node),
        g.edge_from(collect).to(pick),
    )
    return g.build()


def test_from_graph_describes_every_node_of_any_graph() -> None:
    specs = Workflow.from_graph(foreign()).specs
    seen = {node: (spec.kind, spec.input_type, spec.output_type) for node, spec in specs.items()}
    assert seen == {
        "__start__": (NodeKind.START, int, int),
        "__end__": (NodeKind.END, int, int),
        "numbers": (NodeKind.FUNCTION, int, list[int]),
        "count": (NodeKind.FUNCTION, list[int], UNKNOWN),
        "map": (NodeKind.MAP, seen["map"][1], UNKNOWN),
        "double": (NodeKind.FUNCTION, int, UNKNOWN),
        "decision": (NodeKind.DECISION, UNKNOWN, UNKNOWN),
        "reduce_sum": (NodeKind.JOIN, int, int),
        "collect": (NodeKind.JOIN, int, list[int]),
        "pick": (NodeKind.FUNCTION, list[int], Double),
        "Double": (NodeKind.FUNCTION, Double, UNKNOWN),
    }


def test_from_graph_reads_docstrings_streams_and_made_up_ids() -> None:
    specs = Workflow.from_graph(foreign()).specs
    assert specs["numbers"].doc == "As many numbers."
    assert specs["Double"].doc == "Twice as much."
    assert [node for node, spec in specs.items() if spec.stream] == ["count"]
    assert {node for node, spec in specs.items() if spec.generated} == {"map", "decision", "reduce_sum"}


def test_from_graph_is_lax_and_tells_faults_as_warnings() -> None:
    g: GraphBuilder[None, None, int, Any] = GraphBuilder(input_type=int, output_type=str)

    @g.step
    async def same(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    g.add(g.edge_from(g.start_node).to(same), g.edge_from(same).to(g.end_node))
    workflow = Workflow.from_graph(g.build(), name="lax", version=3)
    assert (workflow.name, workflow.version) == ("lax", 3)
    assert workflow.warnings == (
        (
            "The edge from 'same' to the end brings int, but the end takes str. "
            "Change one of the two, or put a node or a transform between them."
        ),
    )


def test_from_graph_leaves_a_workflow_as_it_is() -> None:
    workflow = with_state(None)
    assert Workflow.from_graph(workflow) is workflow
    assert Workflow.from_graph(workflow, name="other").name == "other"


def test_run_and_run_sync_give_the_output() -> None:
    assert with_state(None).run_sync(inputs=3) == 3


@pytest.mark.anyio
async def test_run_takes_what_pydantic_graph_takes() -> None:
    from contextlib import nullcontext

    workflow = with_state(Counter)
    assert await workflow.run(state=Counter(), deps=None, inputs=3, span=nullcontext(), infer_name=False) == 3
