"""A workflow as plain text."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from hypothesis import given
from pydantic_graph import BaseNode, End, GraphRunContext
from pydantic_graph.join import reduce_list_append
from pydantic_graph.util import TypeExpression

from milepost.engine.definition import DefinedEdge, DefinedNode, Definition, describe, type_name
from milepost.engine.errors import StoreError
from milepost.engine.policy import Policy, Retry
from milepost.engine.spec import NodeKind, NodeSpec
from milepost.engine.typed import GraphBuilder, StepContext
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.visualize.subjects import CLAIMS, hostile_definitions

T = TypeVar("T")


class Box(Generic[T]):
    class Inner: ...


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        (int, "int"),
        (None, "None"),
        (type(None), "None"),
        (Any, ""),
        (list[int], "list[int]"),
        (dict[str, Any], "dict[str, Any]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (int | str | None, "int | str | None"),
        (Literal["a", 1, None], "Literal['a', 1, None]"),
        (Annotated[list[str], "any"], "list[str]"),
        (Callable[[int, str], bool], "Callable[[int, str], bool]"),
        (Box[int], "Box[int]"),
        (Box.Inner, "Box.Inner"),
        (T, "T"),
        ("Later", "Later"),
    ],
)
def test_types_are_named_as_people_write_them(hint: object, name: str) -> None:
    assert type_name(hint) == name


def test_the_place_of_a_local_class_is_no_part_of_its_name() -> None:
    class Local: ...

    assert type_name(list[Local]) == "list[Local]"


def test_text_and_definition_are_the_same_thing() -> None:
    assert Definition.from_json(CLAIMS.to_json()) == CLAIMS
    assert Definition.from_json(CLAIMS.to_json()).fingerprint == CLAIMS.fingerprint
    assert len(CLAIMS.fingerprint) == 32


@given(definition=hostile_definitions())
def test_any_definition_comes_back_as_it_went_in(definition: Definition) -> None:
    assert Definition.from_json(definition.to_json()) == definition
    assert definition.to_json().isascii()


def test_every_change_changes_the_fingerprint() -> None:
    first = Definition("a", 1, (DefinedNode(id="x", kind="function"),), ())
    others = [
        Definition("b", 1, first.nodes, ()),
        Definition("a", 2, first.nodes, ()),
        Definition("a", 1, (DefinedNode(id="x", kind="agent"),), ()),
        Definition("a", 1, first.nodes, (DefinedEdge(source="x", target="x"),)),
    ]
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_what_a_newer_version_added_is_left_out() -> None:
    data = json.loads(CLAIMS.to_json())
    data["nodes"][0]["mood"] = "good"
    assert Definition.from_json(json.dumps(data)) == CLAIMS


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"name": 1}', "null", '{"name":"a","version":1,"nodes":[{}],"edges":[]}']
)
def test_what_is_no_definition_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(StoreError, match=r"^A stored definition of a workflow cannot be read \("):
        Definition.from_json(text)


def test_a_workflow_is_described_with_kinds_types_and_policy() -> None:
    wf = WorkflowBuilder(name="orders", input_type=int, output_type=str, version=4)

    @wf.function(retry=Retry(attempts=3), timeout=1.5)
    async def price(ctx: StepContext[None, None, int]) -> float:
        """Find the price.

        From the list.
        """
        return float(ctx.inputs)

    @wf.decide
    async def size(ctx: StepContext[None, None, float]) -> Literal["large", "small"]:
        return "large" if ctx.inputs > 5 else "small"

    @wf.function
    async def ship(ctx: StepContext[None, None, float]) -> str:
        return "shipped"

    wf.edge(wf.start_node, price)
    wf.edge(price, size)
    wf.edge(size, ship, when="large")
    wf.edge(size, ship, when="small")
    wf.edge(ship, wf.end_node)
    definition = describe(wf.build())
    nodes = {node.id: node for node in definition.nodes}
    assert (definition.name, definition.version) == ("orders", 4)
    assert nodes["price"] == DefinedNode(
        id="price",
        kind="function",
        doc="Find the price",
        marks=("retry ≤ 3", "timeout 1.5 s"),
        input="int",
        output="float",
    )
    assert (nodes["size"].kind, nodes["size_choice"].generated) == ("decision", True)
    chosen = [edge for edge in definition.edges if edge.source == "size_choice"]
    assert [(edge.branch, edge.label, edge.type) for edge in chosen] == [(0, "large", "float"), (1, "small", "float")]


def test_two_builds_of_one_workflow_have_one_fingerprint() -> None:
    wf = WorkflowBuilder(name="one", input_type=int, output_type=int)

    @wf.function
    async def same(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    wf.edge(wf.start_node, same)
    wf.edge(same, wf.end_node)
    assert describe(wf.build()).fingerprint == describe(wf.build()).fingerprint


def test_a_graph_of_pydantic_graph_is_described_with_its_forks_and_joins() -> None:
    builder: GraphBuilder[None, None, list[int], list[int]]
    builder = GraphBuilder(name="plain", input_type=list[int], output_type=list[int])

    @builder.step
    async def double(ctx: StepContext[None, None, int]) -> int:
        return 2 * ctx.inputs

    collect = builder.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    builder.add(
        builder.edge_from(builder.start_node).map(fork_id="items").to(double),
        builder.edge_from(double).label("doubled").to(collect),
        builder.edge_from(collect).to(builder.end_node),
    )
    definition = describe(Workflow.from_graph(builder.build()))
    assert {node.id: node.kind for node in definition.nodes} == {
        "__start__": "start",
        "items": "map",
        "double": "function",
        "collect": "join",
        "__end__": "end",
    }
    ways = {(edge.source, edge.target): edge.label for edge in definition.edges}
    assert ways["double", "collect"] == "doubled"
    assert len(ways) == 4


def test_branches_without_a_label_are_named_by_what_they_match() -> None:
    def positive(value: object) -> bool:
        return isinstance(value, int) and value > 0

    expression: Any = TypeExpression  # mypy cannot index it
    builder: GraphBuilder[None, None, object, object]
    builder = GraphBuilder(name="branches", input_type=object, output_type=object)

    @builder.step
    async def take(ctx: StepContext[None, None, object]) -> object:
        return ctx.inputs

    builder.add(
        builder.edge_from(builder.start_node).to(take),
        builder.edge_from(take).to(
            builder.decision(node_id="which")
            .branch(builder.match(int, matches=positive).to(builder.end_node))
            .branch(builder.match(int, matches=lambda value: value == 0).to(builder.end_node))
            .branch(builder.match(expression[Literal["a", "b"]]).to(builder.end_node))
            .branch(builder.match(expression[list[int] | None]).label("many").to(builder.end_node))
            .branch(builder.match(str).to(builder.end_node))
            .branch(builder.match(object).transform(lambda ctx: ctx.inputs).to(builder.end_node))
        ),
    )
    edges = [edge for edge in describe(Workflow.from_graph(builder.build())).edges if edge.source == "which"]
    assert [edge.label for edge in edges] == ["positive", None, "'a' or 'b'", "many", "str", "otherwise"]
    assert [edge.branch for edge in edges] == list(range(6))


@dataclass
class Count(BaseNode[None, None, int]):
    """Count down."""

    left: int

    async def run(self, ctx: GraphRunContext[None, None]) -> Count | End[int]:
        return Count(self.left - 1) if self.left else End(0)


def test_nodes_that_name_the_next_node_are_described_from_their_return_hint() -> None:
    builder: GraphBuilder[None, None, Count, int]
    builder = GraphBuilder(name="count", input_type=Count, output_type=int)
    builder.add(builder.node(Count), builder.edge_from(builder.start_node).to(Count))
    definition = describe(Workflow.from_graph(builder.build()))
    targets = {edge.target for edge in definition.edges}
    assert {"Count", "__end__"} <= targets
    assert next(node.doc for node in definition.nodes if node.id == "Count") in ("Count down", "")


def test_marks_are_the_policy_in_short_words() -> None:
    spec = NodeSpec(
        id="a",
        kind=NodeKind.FUNCTION,
        policy=Policy(retry=Retry(attempts=1), timeout=60),
        stream=True,
        thread=True,
        doc="One. Two.",
    )
    wf = WorkflowBuilder(name="marks", input_type=int, output_type=int)

    @wf.function
    async def a(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    wf.edge(wf.start_node, a)
    wf.edge(a, wf.end_node)
    built = wf.build()
    workflow = Workflow(built, specs={**built.specs, "a": spec})
    node = next(node for node in describe(workflow).nodes if node.id == "a")
    assert node.marks == ("timeout 60 s", "stream", "thread")
    assert (node.doc, node.stream) == ("One", True)


def test_a_stream_that_seeks_says_so() -> None:
    wf = WorkflowBuilder(name="marks", input_type=int, output_type=AsyncIterable[int])

    @wf.stream(resume="seek")
    async def ticks(ctx: StepContext[None, None, int]) -> AsyncIterator[int]:
        yield ctx.inputs

    wf.edge(wf.start_node, ticks)
    wf.edge(ticks, wf.end_node)
    assert [node.marks for node in describe(wf.build()).nodes if node.stream] == [("stream, seek",)]


def test_definitions_are_read_without_loading_graph_theory() -> None:
    code = "import sys, milepost.engine.definition; print('networkx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
