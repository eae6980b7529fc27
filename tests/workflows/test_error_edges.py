"""Error edges: how they are declared, what they compile into, and what is wrong with some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic_graph import BaseNode, End, GraphRunContext
from pydantic_graph.id_types import NodeID
from pydantic_graph.paths import DestinationMarker

from milepost.engine.definition import DefinedEdge, describe
from milepost.engine.errors import UnsoundWorkflow
from milepost.engine.failure import FailedWith, Failure, Succeeded
from milepost.engine.spec import NodeKind
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.typed import Graph, StepContext, reduce_list_append
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio


@dataclass
class Ship(BaseNode[None, None, str]):
    parcels: int

    async def run(self, ctx: GraphRunContext[None, None]) -> Wait | End[str]:
        if self.parcels == 3:
            raise RuntimeError("storm")
        return Wait(self.parcels) if self.parcels > 1 else End("shipped")


@dataclass
class Wait(BaseNode[None, None, str]):
    parcels: int

    async def run(self, ctx: GraphRunContext[None, None]) -> End[str]:
        return End("waited")


class Shop:
    """A builder that no type checker looks into, with a node `pay` behind the start, to which edges are added."""

    def __init__(self) -> None:
        self.wf: Any = WorkflowBuilder(name="shop", input_type=int, output_type=Any)
        self.pay = self.node("pay", int, str)
        self.edge: Any = self.wf.edge
        self.edge(self.wf.start_node, self.pay)

    def node(self, name: str, takes: Any, gives: Any = str) -> Any:
        """Declare a function node of the given types."""
        return self.wf.function(node_id=name)(self.typed(takes, gives))

    def last(self, name: str, takes: Any = Failure[int]) -> Any:
        """Declare a node that leads to the end."""
        made = self.node(name, takes)
        self.edge(made, self.wf.end_node)
        return made

    def typed(self, takes: Any, gives: Any) -> Any:
        def body(ctx: Any) -> Any:
            return str(ctx.inputs)

        body.__annotations__ = {"ctx": StepContext[None, None, takes], "return": gives}
        return body

    def build(self) -> Any:
        return self.wf.build()

    def faults(self) -> tuple[str, ...]:
        """Build, and return what is wrong."""
        try:
            self.build()
        except UnsoundWorkflow as error:
            return error.faults
        return ()


@pytest.fixture
def shop() -> Shop:
    return Shop()


def branches(workflow: Any, outcome: str) -> list[tuple[Any, str]]:
    """The condition of each branch of a decision, and where it leads."""
    return [(branch.matches, branch.path.items[-1].destination_id) for branch in workflow.nodes[outcome].branches]


# --- what they compile into ------------------------------------------------------------------------------------------


def test_the_outcome_is_decided_right_behind_the_node_its_output_last(shop: Shop) -> None:
    shop.edge(shop.pay, shop.last("refund"), on_error=TimeoutError)
    shop.edge(shop.pay, shop.wf.end_node)
    shop.edge(shop.pay, shop.last("apologise"), on_error=True)
    workflow = shop.build()
    assert workflow.edges_by_source["pay"][0].items == [DestinationMarker(NodeID("pay_outcome"))]
    assert branches(workflow, "pay_outcome") == [
        (FailedWith((TimeoutError,)), "refund"),
        (FailedWith((Exception,)), "apologise"),
        (Succeeded(), "__end__"),
    ]
    assert workflow.specs["pay_outcome"].kind is NodeKind.DECISION


async def test_pydantic_graph_itself_takes_the_way_of_the_output(shop: Shop) -> None:
    shop.edge(shop.pay, shop.last("refund"), on_error=True)
    shop.edge(shop.pay, shop.wf.end_node)
    execute: Any = vars(Graph)["run"]
    assert await execute(shop.build(), inputs=3) == "3"


def test_several_plain_edges_still_broadcast_the_output(shop: Shop) -> None:
    collect = shop.wf.join(reduce_list_append, initial_factory=list[str], node_id="collect")
    shop.edge(shop.pay, shop.last("refund"), on_error=True)
    for node in (shop.node("pack", str), shop.node("post", str)):
        shop.edge(shop.pay, node)
        shop.edge(node, collect)
    shop.edge(collect, shop.wf.end_node)
    workflow = shop.build()
    assert branches(workflow, "pay_outcome")[-1] == (Succeeded(), "pay_broadcast_fork")
    assert [path.items[-1].destination_id for path in workflow.edges_by_source["pay_broadcast_fork"]] == [
        "pack",
        "post",
    ]
    assert workflow.warnings == ()


def test_conditional_edges_still_decide_the_output(shop: Shop) -> None:
    shop.edge(shop.pay, shop.last("refund"), on_error=OSError)
    shop.edge(shop.pay, shop.last("pack", str), when=len)
    shop.edge(shop.pay, shop.wf.end_node, otherwise=True)
    workflow = shop.build()
    assert branches(workflow, "pay_outcome")[-1] == (Succeeded(), "pay_decision")
    assert [end for _, end in branches(workflow, "pay_decision")] == ["pack", "__end__"]


def test_a_path_of_pydantic_graph_keeps_its_transform_its_map_and_its_label(shop: Shop) -> None:
    collect = shop.wf.join(reduce_list_append, initial_factory=list[str], node_id="collect")
    letter = shop.node("letter", str)
    shop.wf.add(shop.wf.edge_from(shop.pay).label("spell").transform(shop.typed(str, list[str])).map().to(letter))
    shop.edge(shop.pay, shop.last("refund"), on_error=True)
    shop.edge(letter, collect)
    shop.edge(collect, shop.wf.end_node)
    workflow = shop.build()
    way = workflow.nodes["pay_outcome"].branches[-1].path
    assert [type(item).__name__ for item in way.items] == ["LabelMarker", "TransformMarker", "DestinationMarker"]
    assert way.items[-1].destination_id == "map"
    assert workflow.edges_by_source["map"][0].items == [DestinationMarker(NodeID("letter"))]


def test_a_decide_node_may_fail_too_and_hands_on_what_came_in(shop: Shop) -> None:
    size = shop.wf.decide(node_id="size")(shop.typed(str, Literal["small", "large"]))
    shop.edge(shop.pay, size)
    shop.edge(size, shop.last("letter", str), when="small")
    shop.edge(size, shop.last("parcel", str), when="large")
    shop.edge(size, shop.last("guess", Failure[str]), on_error=(OSError, ValueError))
    workflow = shop.build()
    assert branches(workflow, "size_outcome") == [
        (FailedWith((OSError, ValueError)), "guess"),
        (Succeeded(), "size_choice"),
    ]
    assert [end for _, end in branches(workflow, "size_choice")] == ["letter", "parcel"]


def test_a_class_may_fail_too_and_hands_on_its_instance(shop: Shop) -> None:
    shop.wf.add(shop.wf.node(Ship), shop.wf.node(Wait))
    shop.edge(Ship, shop.last("store", Failure[Ship]), on_error=True)
    shop.edge(Wait, shop.last("give_up", Failure[Wait]), on_error=True)
    shop.edge(shop.pay, shop.node("send", str, Ship))
    workflow = shop.build()
    assert branches(workflow, "Ship_outcome") == [(FailedWith((Exception,)), "store"), (Succeeded(), "Ship_decision")]
    assert branches(workflow, "Wait_outcome")[-1] == (Succeeded(), "__end__")
    assert workflow.warnings == ()


def test_a_node_whose_return_hint_names_the_next_ones_keeps_them(shop: Shop) -> None:
    send = shop.node("send", str, Ship | Wait)
    shop.wf.add(shop.wf.node(Ship), shop.wf.node(Wait))
    shop.edge(shop.pay, send)
    shop.edge(send, shop.last("store", Failure[str]), on_error=True)
    workflow = shop.build()
    assert branches(workflow, "send_outcome")[-1] == (Succeeded(), "send_decision")
    assert [end for _, end in branches(workflow, "send_decision")] == ["Ship", "Wait"]
    assert workflow.warnings == ()


def mapped(shop: Shop) -> Any:
    """Let a map try every letter, and lead both those that failed and the others to one join."""
    collect = shop.wf.join(reduce_list_append, initial_factory=list[str], node_id="collect")
    letters, attempt, excuse = (
        shop.node("letters", str, list[str]),
        shop.node("attempt", str),
        shop.node("excuse", Failure[str]),
    )
    shop.edge(shop.pay, letters)
    shop.edge(letters, shop.wf.each(attempt, join=collect))
    shop.edge(attempt, excuse, on_error=True)
    shop.edge(excuse, collect)
    shop.edge(collect, shop.wf.end_node)
    return shop.build()


def test_a_join_waits_for_the_branch_of_a_handler(shop: Shop) -> None:
    workflow = mapped(shop)
    assert branches(workflow, "attempt_outcome") == [(FailedWith((Exception,)), "excuse"), (Succeeded(), "collect")]
    assert {"attempt", "attempt_outcome", "excuse"} <= workflow.parent_forks["collect"].intermediate_nodes
    assert workflow.warnings == ()


def test_an_error_edge_may_lead_into_a_decision_and_to_the_end(shop: Shop) -> None:
    which = shop.wf.decide(node_id="which")(shop.typed(Failure[int], bool))
    shop.edge(shop.pay, which, on_error=OSError)
    shop.edge(which, shop.last("refund"), when=True)
    shop.edge(which, shop.last("apologise"), when=False)
    shop.edge(shop.pay, shop.wf.end_node, on_error=True)
    shop.edge(shop.pay, shop.wf.end_node)
    assert [end for _, end in branches(shop.build(), "pay_outcome")] == ["which", "__end__", "__end__"]


def test_a_builder_with_error_edges_can_be_built_again(shop: Shop) -> None:
    shop.edge(shop.pay, shop.last("refund"), on_error=True)
    shop.edge(shop.pay, shop.wf.end_node)
    assert describe(shop.build()).fingerprint == describe(shop.build()).fingerprint


def test_ids_that_are_made_behind_a_node_follow_from_its_own_and_none_is_complained_about(shop: Shop) -> None:
    taken = shop.last("pay_outcome", str)
    shop.wf.add(shop.wf.node(Ship), shop.wf.node(Wait))
    shop.edge(shop.pay, taken, when=len)
    shop.edge(shop.pay, shop.node("send", str, Ship), otherwise=True)
    shop.edge(shop.pay, shop.last("refund"), on_error=True)
    workflow = shop.build()
    assert {"pay_outcome", "pay_outcome_2", "pay_decision", "Ship_decision"} <= set(workflow.nodes)
    assert workflow.warnings == ()


def test_an_undeclared_output_is_still_read_from_where_it_goes(shop: Shop) -> None:
    bare = shop.wf.function(node_id="bare")(shop.typed(str, Any))
    shop.edge(shop.pay, bare)
    shop.edge(bare, shop.last("refund", Failure[str]), on_error=True)
    shop.edge(bare, shop.last("pack", list[str]))
    assert shop.build().specs["bare"].output_type == list[str]


# --- how they run ----------------------------------------------------------------------------------------------------


def every_kind() -> Any:
    """A workflow in which a decide node, a class and a step with a hint have error edges beside their ways."""
    wf = WorkflowBuilder(name="every", input_type=int, output_type=str)

    @wf.decide
    def size(ctx: StepContext[None, None, int]) -> Literal["small", "large"]:
        if ctx.inputs == 0:
            raise ValueError("nothing")
        return "small" if ctx.inputs < 10 else "large"

    @wf.function
    def guess(ctx: StepContext[None, None, Failure[int]]) -> str:
        return f"guessed {ctx.inputs.inputs}"

    @wf.function
    def send(ctx: StepContext[None, None, int]) -> Ship | Wait:
        if ctx.inputs == 1:
            raise OSError("no ship")
        return Ship(ctx.inputs) if ctx.inputs < 5 else Wait(ctx.inputs)

    @wf.function
    def keep(ctx: StepContext[None, None, Failure[object]]) -> str:
        return f"kept after {ctx.inputs.node} raised {ctx.inputs.error}"

    @wf.function
    def halves(ctx: StepContext[None, None, int]) -> list[int]:
        return [ctx.inputs // 2, ctx.inputs - ctx.inputs // 2]

    @wf.function
    def first(ctx: StepContext[None, None, list[int]]) -> str:
        return f"first {ctx.inputs[0]}"

    @wf.function
    def both(ctx: StepContext[None, None, list[int]]) -> str:
        return f"both {sum(ctx.inputs)}"

    @wf.function
    def tell(ctx: StepContext[None, None, list[str]]) -> str:
        return ", ".join(sorted(ctx.inputs))

    collect = wf.join(reduce_list_append, initial_factory=list[str], node_id="collect")
    wf.edge(wf.start_node, size)
    wf.edge(size, guess, on_error=ValueError)
    wf.edge(size, send, when="small")
    wf.edge(size, halves, when="large")
    wf.edge(send, keep, on_error=OSError)
    wf.add(wf.node(Ship), wf.node(Wait))
    wf.edge(Ship, keep, on_error=True)
    wf.edge(halves, keep, on_error=True)
    wf.edge(halves, first)
    wf.edge(halves, both)
    wf.edge(first, collect)
    wf.edge(both, collect)
    wf.edge(collect, tell)
    for node in (guess, keep, tell):
        wf.edge(node, wf.end_node)
    return wf.build()


EVERY = every_kind()


@pytest.mark.parametrize("store", [None, "memory:"])
@pytest.mark.parametrize(
    ("inputs", "output"),
    [
        (0, "guessed 0"),
        (1, "kept after send raised OSError"),
        (2, "waited"),
        (3, "kept after Ship raised RuntimeError"),
        (5, "waited"),
        (10, "both 10, first 5"),
    ],
)
async def test_every_kind_of_node_goes_on_as_without_its_error_edges_or_along_one(
    inputs: int, output: str, store: str | None
) -> None:
    assert await EVERY.run(inputs=inputs, store=store and MemoryStore()) == output


# --- how they are described ------------------------------------------------------------------------------------------


def test_a_definition_says_which_edges_are_for_errors_and_what_flows_on_them(shop: Shop) -> None:
    shop.edge(shop.pay, shop.last("refund"), on_error=TimeoutError)
    shop.edge(shop.pay, shop.last("tell"), on_error=(OSError, KeyError, ValueError))
    shop.edge(shop.pay, shop.last("log"), on_error=ZeroDivisionError, label="a mistake of ours")
    shop.edge(shop.pay, shop.last("apologise", Failure[object]), on_error=True)
    shop.edge(shop.pay, shop.wf.end_node, label="thanks")
    found = [edge for edge in describe(shop.build()).edges if edge.source == "pay_outcome"]
    flows = "Failure[int]"
    assert found == [
        DefinedEdge(source="pay_outcome", target="refund", branch=0, label="TimeoutError", type=flows, error=True),
        DefinedEdge(
            source="pay_outcome",
            target="tell",
            branch=1,
            label="OSError, KeyError or ValueError",
            type=flows,
            error=True,
        ),
        DefinedEdge(source="pay_outcome", target="log", branch=2, label="a mistake of ours", type=flows, error=True),
        DefinedEdge(source="pay_outcome", target="apologise", branch=3, label="on error", type=flows, error=True),
        DefinedEdge(source="pay_outcome", target="__end__", branch=4, label="thanks", type="str"),
    ]


# --- what is wrong with some -----------------------------------------------------------------------------------------


def ending(shop: Shop, *on_error: Any) -> tuple[str, ...]:
    """Return what is wrong with error edges from `pay` to n0, n1 and so on."""
    for number, given in enumerate(on_error):
        shop.edge(shop.pay, shop.last(f"n{number}"), on_error=given)
    shop.edge(shop.pay, shop.wf.end_node)
    return shop.faults()


@pytest.mark.parametrize(
    ("on_error", "why"),
    [
        ((OSError, OSError), "'n1' (on_error=OSError) can never be taken: the one to 'n0' (on_error=OSError) comes"),
        (
            (OSError, TimeoutError),
            "'n1' (on_error=TimeoutError) can never be taken: the one to 'n0' (on_error=OSError)",
        ),
        ((True, TimeoutError), "'n1' (on_error=TimeoutError) can never be taken: the one to 'n0' (on_error=Exception)"),
        ((OSError, True, True), "'n2' (on_error=Exception) can never be taken: the one to 'n1' (on_error=Exception)"),
        (
            (KeyError, OSError, (KeyError, TimeoutError)),
            (
                "'n2' (on_error=(KeyError, TimeoutError)) can never be taken: those to 'n0' (on_error=KeyError) and "
                "'n1' (on_error=OSError) come first and take"
            ),
        ),
    ],
)
def test_an_error_edge_that_can_never_be_taken_is_a_fault(shop: Shop, on_error: tuple[Any, ...], why: str) -> None:
    (fault,) = ending(shop, *on_error)
    assert fault.startswith(f"The error edge from 'pay' to {why}")
    assert fault.endswith(" every such exception. Remove one of them, or add the narrower one first.")


@pytest.mark.parametrize(
    "on_error",
    [(TimeoutError, OSError, True), (KeyError, LookupError), (OSError, (OSError, ValueError)), (ValueError, KeyError)],
)
def test_a_narrower_error_edge_before_a_wider_one_is_sound(shop: Shop, on_error: tuple[Any, ...]) -> None:
    assert ending(shop, *on_error) == ()


@pytest.mark.parametrize(
    ("on_error", "why"),
    [
        (False, "on_error=False, and no node fails with False."),
        (None, "on_error=None, and no node fails with None."),
        ("OSError", "on_error='OSError', and no node fails with 'OSError'."),
        (int, "on_error=int, and no node fails with int."),
        (OSError(), "on_error=OSError(), and no node fails with OSError()."),
        (KeyboardInterrupt, "on_error=KeyboardInterrupt, and no node fails with KeyboardInterrupt."),
        ((OSError, 3), "on_error=(OSError, 3), and no node fails with 3."),
        ((), "on_error=(), and no node fails with ()."),
    ],
)
def test_only_exceptions_can_be_named(shop: Shop, on_error: Any, why: str) -> None:
    fault, _ = ending(shop, on_error)
    assert fault == (f"The edge from 'pay' to 'n0' has {why} Give True for any exception, or subclasses of Exception.")


@pytest.mark.parametrize("other", [{"when": len}, {"otherwise": True}])
def test_an_error_edge_has_no_other_condition(shop: Shop, other: dict[str, Any]) -> None:
    refund = shop.last("refund")
    shop.edge(shop.pay, shop.wf.end_node)
    shop.edge(shop.pay, refund, on_error=True, **other)
    assert shop.faults()[0] == (
        "The edge from 'pay' to 'refund' has on_error= beside when= or otherwise=. "
        "Give one of them; an error edge needs no other."
    )


def wrong_ends(shop: Shop) -> Iterator[tuple[Any, Any, str]]:
    join = shop.wf.join(reduce_list_append, initial_factory=list[str], node_id="join")
    refund = shop.last("refund")
    nothing = "has on_error=, and there is no function of a node at its beginning that could fail. Begin at a node."
    yield shop.wf.start_node, refund, f"The edge from the start to 'refund' {nothing}"
    yield join, refund, f"The edge from 'join' to 'refund' {nothing}"
    yield 3, refund, "The edge from '3' to 'refund' begins at 3, which cannot fail. Begin at a node."
    yield shop.pay, 3, "The edge from 'pay' to '3' leads to 3, which is no node. Decorate it with @wf.function first."


def test_an_error_edge_leads_from_a_node_to_a_node(shop: Shop) -> None:
    shop.edge(shop.pay, shop.wf.end_node)
    for source, destination, why in wrong_ends(shop):
        shop.edge(source, destination, on_error=True)
        assert why in shop.faults()


@pytest.mark.parametrize(
    ("takes", "shown"), [(int, "int"), (Failure[str], "Failure[str]"), (Failure[str] | None, "Failure[str] | None")]
)
def test_a_handler_takes_the_failure_of_what_the_node_was_given(shop: Shop, takes: Any, shown: str) -> None:
    shop.edge(shop.pay, shop.last("refund", takes), on_error=True)
    shop.edge(shop.pay, shop.wf.end_node)
    assert shop.faults() == (
        (
            f"The error edge from 'pay' to 'refund' brings Failure[int], but 'refund' takes {shown}. "
            "Lead it to a node whose input is Failure[int]."
        ),
    )


@pytest.mark.parametrize(
    "takes", [Failure[int], Failure[Any], Failure[object], Failure, Failure[int] | None, Any, object]
)
def test_a_handler_may_take_any_failure_or_anything(shop: Shop, takes: Any) -> None:
    shop.edge(shop.pay, shop.last("refund", takes), on_error=True)
    shop.edge(shop.pay, shop.wf.end_node)
    assert shop.faults() == ()


def test_the_failure_of_a_node_without_a_declared_input_fits_every_handler_of_failures(shop: Shop) -> None:
    bare = shop.node("bare", Any)
    shop.edge(shop.pay, bare)
    shop.edge(bare, shop.last("refund", Failure[str]), on_error=OSError)
    shop.edge(bare, shop.last("wrong", str), on_error=True)
    shop.edge(bare, shop.wf.end_node)
    (fault,) = shop.faults()
    assert fault.startswith("The error edge from 'bare' to 'wrong' brings Failure[Any], but 'wrong' takes str.")


def test_a_class_cannot_handle_a_failure_nor_can_a_map(shop: Shop) -> None:
    shop.wf.add(shop.wf.node(Ship), shop.wf.node(Wait))
    shop.edge(shop.pay, Ship, on_error=OSError)
    shop.edge(shop.pay, shop.wf.each(shop.last("refund")), on_error=True)
    shop.edge(shop.pay, shop.wf.end_node)
    first, second = shop.faults()
    assert first.startswith("The error edge from 'pay' to 'Ship' brings Failure[int], but 'Ship' takes Ship.")
    assert second.startswith("The map 'pay_each_refund' is given Failure[int] by 'pay', which has no items to go over.")


def test_a_node_with_nothing_but_error_edges_has_nowhere_to_go_when_it_succeeds(shop: Shop) -> None:
    shop.edge(shop.pay, shop.last("refund"), on_error=True)
    assert shop.faults() == (
        (
            "Nothing follows node 'pay' when it does not fail, so that a run that comes to it never ends. "
            "Add an edge that leaves it, e.g. wf.edge(pay, wf.end_node)."
        ),
    )


def test_a_class_with_an_error_edge_still_has_to_be_read(shop: Shop) -> None:
    shop.edge(shop.pay, shop.node("send", str, Wait))
    shop.edge(Wait, shop.last("store", Failure[Wait]), on_error=True)
    assert shop.faults() == (
        "Nothing follows node 'Wait', because what its run() returns was not read. Add wf.add(wf.node(Wait)).",
    )


def test_a_handler_that_leads_nowhere_is_a_dead_end_as_any_node(shop: Shop) -> None:
    shop.edge(shop.pay, shop.node("refund", Failure[int]), on_error=True)
    shop.edge(shop.pay, shop.wf.end_node)
    (fault,) = shop.faults()
    assert fault.startswith("Nothing follows node 'refund', so that a run that comes to it never ends.")
