"""Everything that can be known to be wrong before a run is told at once, with where it is and the way out."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, NewType, Protocol, TypedDict, TypeVar

import pytest
from pydantic import BaseModel
from pydantic_graph import BaseNode, End, GraphRunContext
from pydantic_graph.id_types import NodeID
from pydantic_graph.parent_forks import ParentForkFinder
from pydantic_graph.paths import DestinationMarker, Path

from milepost.engine.assignability import accepts, item_type, type_name, values_of
from milepost.engine.errors import UnsoundWorkflow
from milepost.engine.topology import Topology
from milepost.engine.typed import Fork, Join, StepContext, reduce_list_append
from milepost.workflows.builder import WorkflowBuilder

Ctx = StepContext[None, None, Any]
T = TypeVar("T")
UserId = NewType("UserId", int)


class Animal: ...


class Dog(Animal): ...


class Cat(Animal): ...


class Model(BaseModel):
    items: list[int] = []


class Walks(Protocol):
    def walk(self) -> None: ...


class Row(TypedDict):
    name: str


class Risk(Enum):
    HIGH = "high"
    LOW = "low"


def builder(input_type: Any = int, output_type: Any = Any) -> Any:
    """A builder that no type checker looks into, because the graphs here are wrong on purpose."""
    return WorkflowBuilder(name="w", input_type=input_type, output_type=output_type)


def node(wf: Any, name: str, takes: Any, gives: Any) -> Any:
    """Declare a function node of the given types."""

    def body(ctx: Any) -> Any: ...

    body.__annotations__ = {"ctx": StepContext[None, None, takes], "return": gives}
    return wf.function(node_id=name)(body)


def decide(wf: Any, name: str, takes: Any, gives: Any) -> Any:
    def body(ctx: Any) -> Any: ...

    body.__annotations__ = {"ctx": StepContext[None, None, takes], "return": gives}
    return wf.decide(node_id=name)(body)


def faults(wf: Any) -> tuple[str, ...]:
    """Build, and return what is wrong."""
    try:
        wf.build()
    except UnsoundWorkflow as error:
        return error.faults
    return ()


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        (int, int),
        (float, int),
        (complex, bool),
        (object, int),
        (Any, int),
        (int, Any),
        (int, object),
        (Animal, Dog),
        (Dog, Animal),
        (int | str, int),
        (int | str, int | str),
        (int | None, None),
        (list[int], list[int]),
        (list[float], list[int]),
        (list, list[int]),
        (list[int], list),
        (Iterable[int], list[int]),
        (Sequence[int], tuple[int, ...]),
        (Mapping[str, int], dict[str, int]),
        (tuple[int, ...], tuple[int, int]),
        (tuple[int, int], tuple[int, ...]),
        (Literal["a", "b"], Literal["a"]),
        (Literal["a"], str),
        (str, Literal["a"]),
        (Annotated[int, "metres"], int),
        (int, Annotated[int, ["unhashable"]]),
        (UserId, int),
        (int, UserId),
        (T, int),
        (Walks, Dog),
        (Row, dict),
        (dict, Row),
        (type[Dog], type),
        (Callable[[int], int], object),
    ],
)
def test_a_value_that_may_fit_is_accepted(expected: object, given: object) -> None:
    assert accepts(expected, given)


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        (str, int),
        (int, float),
        (Cat, Dog),
        (int, int | str),
        (int, None),
        (list[str], list[int]),
        (list[int], int),
        (Iterable[str], list[int]),
        (Mapping[str, int], dict[str, str]),
        (tuple[int, int], tuple[int, int, int]),
        (tuple[str, ...], tuple[int, int]),
        (Literal["a"], Literal["b"]),
        (Literal[True], Literal[1]),
        (int, Literal["a"]),
        (int, Row),
        (Model, Row),
        (Risk, str),
    ],
)
def test_a_value_that_cannot_fit_is_refused(expected: object, given: object) -> None:
    assert not accepts(expected, given)


@pytest.mark.parametrize(
    ("many", "one"),
    [
        (list[int], int),
        (dict[str, int], str),
        (str, str),
        (bytes, int),
        (tuple[int, str], int | str),
        (tuple[int, ...], int),
        (AsyncIterator[int], int),
        (list[int] | set[str], int | str),
        (list, Any),
        (Model, Any),
    ],
)
def test_the_type_of_an_item_is_known_from_the_type_of_many(many: object, one: object) -> None:
    assert item_type(many) == one


def test_types_of_few_values_list_them() -> None:
    assert values_of(Risk) == (Risk.HIGH, Risk.LOW)
    assert values_of(Literal["a"] | None) == ("a", None)
    assert values_of(int) is None


def test_types_are_named_without_modules() -> None:
    assert type_name(dict[str, Dog | None]) == "dict[str, Dog | None]"
    assert type_name(Literal["a", 1]) == "Literal['a', 1]"


def test_all_faults_are_told_at_once() -> None:
    wf = builder(output_type=str)
    first, second = node(wf, "first", str, int), node(wf, "second", int, int)
    lost, last = node(wf, "lost", int, int), node(wf, "last", int, int)
    wf.edge(wf.start_node, first)
    wf.edge(first, second)
    wf.edge(lost, second)
    wf.edge(second, last)
    with pytest.raises(UnsoundWorkflow) as caught:
        wf.build()
    assert str(caught.value) == (
        "Workflow 'w' has 3 faults:\n"
        "  1. Node 'lost' cannot be reached from the start. Add an edge to it, e.g. wf.edge(..., lost), or remove it.\n"
        "  2. Nothing follows node 'last', so that a run that comes to it never ends. "
        "Add an edge that leaves it, e.g. wf.edge(last, wf.end_node).\n"
        "  3. The edge from the start to 'first' brings int, but 'first' takes str. "
        "Change one of the two, or put a node or a transform between them."
    )


def test_a_workflow_without_a_beginning_is_a_fault() -> None:
    assert faults(builder()) == ("Nothing follows the start. Add an edge from it, e.g. wf.edge(wf.start_node, ...).",)


def test_a_node_that_no_edge_touches_is_a_fault() -> None:
    wf = builder()
    node(wf, "spare", int, int)
    wf.edge(wf.start_node, wf.end_node)
    assert faults(wf) == (
        "Node 'spare' was declared and no edge leads to it. Add one, e.g. wf.edge(..., spare), or remove the node.",
    )


def test_nodes_that_only_lead_back_to_each_other_are_a_fault() -> None:
    wf = builder()
    one, two = node(wf, "one", int, int), node(wf, "two", int, int)
    wf.edge(wf.start_node, one)
    wf.edge(one, two)
    wf.edge(two, one)
    assert faults(wf) == (
        (
            "'one' and 'two' lead only back to themselves, so that a run that comes to them never ends. "
            "Add an edge that leaves them, e.g. to wf.end_node."
        ),
    )


def test_a_circle_in_which_nothing_is_called_is_a_fault() -> None:
    wf = builder()
    one, two = wf.decision(node_id="one"), wf.decision(node_id="two")
    one.branches.append(wf.match(Any, matches=bool).to(wf.end_node))
    two.branches.append(wf.match(Any).to(one))
    one.branches.append(wf.match(Any).to(two))
    wf.add(wf.edge_from(wf.start_node).to(one))
    assert faults(wf) == (
        "'one' and 'two' form a circle in which no function is called. Put a node that does something into it.",
    )


def decided(gives: Any, *labels: Any, otherwise: bool = False) -> tuple[str, ...]:
    wf = builder()
    choose = decide(wf, "choose", int, gives)
    wf.edge(wf.start_node, choose)
    for number, label in enumerate(labels):
        target = node(wf, f"n{number}", int, int)
        wf.edge(choose, target, when=label)
        wf.edge(target, wf.end_node)
    if otherwise:
        wf.edge(choose, wf.end_node, otherwise=True)
    return faults(wf)


@pytest.mark.parametrize(
    ("gives", "labels"),
    [
        (Literal["high", "low"], ("high", "low")),
        (Risk, (Risk.LOW, Risk.HIGH)),
        (bool, (True, False)),
        (Literal["a"] | None, ("a", None)),
        (Risk | bool, (Risk.LOW, Risk.HIGH, True, False)),
    ],
)
def test_a_decision_with_an_edge_for_every_value_is_sound(gives: Any, labels: tuple[Any, ...]) -> None:
    assert decided(gives, *labels) == ()


def test_a_value_that_no_edge_takes_is_named() -> None:
    assert decided(Literal["high", "low", "none"], "high") == (
        (
            "The decision 'choose' has no edge for 'low' and 'none'. Add wf.edge(choose, ..., when='low'), "
            "or an edge with otherwise=True."
        ),
    )
    assert decided(bool, True, otherwise=True) == ()


def test_a_label_that_is_never_chosen_is_a_fault_with_the_close_match() -> None:
    assert decided(Literal["high", "low"], "hgih", "low", otherwise=True) == (
        "The decision 'choose' never chooses 'hgih'; it returns 'high' or 'low'. Did you mean 'high'?",
    )
    assert decided(Risk, "high", Risk.LOW, otherwise=True) == (
        (
            "The decision 'choose' never chooses 'high'; it returns <Risk.HIGH: 'high'> or <Risk.LOW: 'low'>. "
            "Did you mean <Risk.HIGH: 'high'>?"
        ),
    )


@pytest.mark.parametrize(("gives", "why"), [(str, "it returns str"), (Any, "its return type is not known")])
def test_a_decision_of_an_open_type_needs_an_otherwise(gives: Any, why: str) -> None:
    (fault,) = decided(gives, "a")
    assert why in fault
    assert fault.endswith("or add an edge with otherwise=True.")
    assert decided(gives, "a", otherwise=True) == ()


def test_the_same_label_twice_is_a_fault() -> None:
    assert decided(bool, True, True, False) == (
        (
            "The edge from 'choose' to 'n1' (when=True) can never be taken: the one to 'n0' (when=True) comes first "
            "and takes every such value. Remove one of them, or add the narrower one first."
        ),
    )


def split(gives: Any, *conditions: Any, otherwise: int = 0) -> tuple[str, ...]:
    wf = builder()
    source = node(wf, "source", int, gives)
    wf.edge(wf.start_node, source)
    for number, condition in enumerate(conditions):
        target = node(wf, f"n{number}", Any, int)
        wf.edge(source, target, when=condition)
        wf.edge(target, wf.end_node)
    for _ in range(otherwise):
        wf.edge(source, wf.end_node, otherwise=True)
    return faults(wf)


def positive(value: int) -> bool:
    return value > 0


@pytest.mark.parametrize(
    ("gives", "conditions", "otherwise"),
    [
        (Dog | Cat, (Dog, Cat), 0),
        (Dog | Cat, (Animal,), 0),
        (Dog | None, (Dog, None), 0),
        (Dog | Cat | None, (Dog | Cat, None), 0),
        (list[int] | str, (list[int], str), 0),
        (Animal, (Dog,), 1),
        (int, (positive,), 1),
        (bool, (Literal[True], Literal[False]), 0),
        (Any, (Dog,), 1),
        (Risk | str, (str, Risk), 0),
    ],
)
def test_conditions_that_decide_every_value_are_sound(gives: Any, conditions: tuple[Any, ...], otherwise: int) -> None:
    assert split(gives, *conditions, otherwise=otherwise) == ()


def test_a_type_that_no_edge_takes_is_named() -> None:
    assert split(Dog | Cat | None, Dog) == (
        (
            "Node 'source' gives Dog | Cat | None, and no edge takes Cat and None. Add wf.edge(source, ..., when=Cat), "
            "or an edge with otherwise=True."
        ),
    )
    assert split(Animal, Dog, Cat) == (
        (
            "Node 'source' gives Animal, and no edge takes Animal. Add wf.edge(source, ..., when=Animal), "
            "or an edge with otherwise=True."
        ),
    )


def test_predicates_need_an_otherwise() -> None:
    assert split(int, positive) == (
        (
            "Node 'source' has conditional edges, and a value for which none of them holds has nowhere to go. "
            "Add wf.edge(source, ..., otherwise=True)."
        ),
    )


def test_edges_by_type_of_something_undeclared_need_an_otherwise() -> None:
    (fault,) = split(object, Dog)
    assert fault.startswith("Node 'source' has edges by type, and what it returns is not declared")


@pytest.mark.parametrize(
    ("conditions", "taken"),
    [((Animal, Dog), "when=Animal"), ((Dog, Dog), "when=Dog"), ((positive, positive), "when positive")],
)
def test_an_edge_that_another_always_forestalls_is_a_fault(conditions: tuple[Any, ...], taken: str) -> None:
    (fault,) = split(Any, *conditions, otherwise=1)
    assert fault.startswith("The edge from 'source' to 'n1' (")
    assert f"can never be taken: the one to 'n0' ({taken}) comes first and takes every such value." in fault


def test_two_otherwise_are_a_fault() -> None:
    (fault,) = split(int, positive, otherwise=2)
    assert "(otherwise) can never be taken: the one to the end (otherwise) comes first" in fault


def test_a_class_outside_of_what_is_given_is_a_fault() -> None:
    assert split(Dog, Dog, int) == (
        (
            "The edge from 'source' to 'n1' (when=int) can never be taken: 'source' gives Dog. "
            "Correct the condition, or remove the edge."
        ),
    )


def test_otherwise_is_tried_last_wherever_it_was_added() -> None:
    wf = builder()
    source, target = node(wf, "source", int, int), node(wf, "target", int, int)
    wf.edge(wf.start_node, source)
    wf.edge(source, wf.end_node, otherwise=True)
    wf.edge(source, target, when=positive)
    wf.edge(target, wf.end_node)
    assert faults(wf) == ()
    assert [branch.matches for branch in wf.build().nodes["source_decision"].branches] == [positive, None]


def test_a_type_narrows_what_flows_on() -> None:
    wf = builder()
    source = node(wf, "source", int, Dog | Cat)
    wf.edge(wf.start_node, source)
    wf.edge(source, node(wf, "dogs", Dog, int), when=Dog)
    wf.edge(source, node(wf, "wrong", Dog, int), when=Cat)
    assert [fault for fault in faults(wf) if "brings" in fault] == [
        (
            "The edge from 'source' to 'wrong' brings Cat, but 'wrong' takes Dog. "
            "Change one of the two, or put a node or a transform between them."
        ),
    ]


def test_what_came_in_flows_on_from_a_decide_node() -> None:
    wf = builder()
    choose = decide(wf, "choose", int, bool)
    wf.edge(wf.start_node, choose)
    wf.edge(choose, node(wf, "right", int, int), when=True)
    wf.edge(choose, node(wf, "wrong", bytes, int), when=False)
    assert [fault for fault in faults(wf) if "brings" in fault] == [
        (
            "The edge from 'choose' to 'wrong' brings int, but 'wrong' takes bytes. "
            "Change one of the two, or put a node or a transform between them."
        ),
    ]


@pytest.mark.parametrize(
    ("gives", "why"),
    [
        (int, "is given int by 'source', which has no items to go over. Return a list, or use a plain edge."),
        (Model, "is given Model by 'source': going over a model goes over its fields. Give it one of its lists"),
        (list[int] | None, "is given None by 'source', which has no items to go over."),
    ],
)
def test_a_map_over_something_without_items_is_a_fault(gives: Any, why: str) -> None:
    wf = builder()
    source, target = node(wf, "source", int, gives), node(wf, "target", Any, int)
    wf.edge(wf.start_node, source)
    wf.edge(source, wf.each(target))
    wf.edge(target, wf.end_node)
    (fault,) = faults(wf)
    assert fault.startswith(f"The map 'source_each_target' {why}")


def test_a_map_brings_items() -> None:
    wf = builder()
    source, target = node(wf, "source", int, list[int]), node(wf, "target", str, int)
    wf.edge(wf.start_node, source)
    wf.edge(source, wf.each(target))
    wf.edge(target, wf.end_node)
    assert [fault.split(". ")[0] for fault in faults(wf)] == [
        "The edge from 'source' to 'target' brings int, but 'target' takes str"
    ]


def test_a_join_that_a_map_cannot_find_is_a_fault_with_the_close_match() -> None:
    wf = builder(list[int])
    target = node(wf, "target", int, int)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.add(wf.edge_from(wf.start_node).map(fork_id="m", downstream_join_id="colect").to(target))
    wf.edge(target, collect)
    wf.edge(collect, wf.end_node)
    assert faults(wf) == ("The map 'm' names the join 'colect', and there is none. Did you mean 'collect'?",)


def test_a_map_that_names_a_join_of_a_fork_below_it_is_a_fault() -> None:
    wf = builder(list[list[int]])
    target = node(wf, "target", int, int)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect", parent_fork_id="inner")
    wf.add(
        wf.edge_from(wf.start_node).map(fork_id="outer", downstream_join_id="collect").map(fork_id="inner").to(target)
    )
    wf.edge(target, collect)
    wf.edge(collect, wf.end_node)
    assert faults(wf) == (
        (
            "The map 'outer' names the join 'collect', which waits for the fork 'inner' below it, so that an empty map "
            "could not open it. Name the join that belongs to this map."
        ),
    )


@pytest.mark.parametrize(
    ("parent", "why"),
    [
        ("mm", "waits for the fork 'mm', and there is none. Did you mean 'm'?"),
        ("aside", "waits for the fork 'aside', but can be reached without passing it."),
    ],
)
def test_a_join_that_waits_for_a_fork_not_above_it_is_a_fault(parent: str, why: str) -> None:
    wf = builder(list[int])
    one, two = node(wf, "one", int, int), node(wf, "two", Any, int)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect", parent_fork_id=parent)
    wf.add(
        wf.edge_from(wf.start_node).map(fork_id="m").to(one),
        wf.edge_from(wf.start_node).to(two, one, fork_id="aside"),
    )
    wf.edge(one, collect)
    wf.edge(two, collect)
    wf.edge(collect, wf.end_node)
    assert any(why in fault for fault in faults(wf))


def test_a_join_on_a_circle_without_a_fork_is_a_fault() -> None:
    wf = builder()
    one = node(wf, "one", Any, int)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, one)
    wf.edge(one, collect)
    wf.edge(collect, one, when=positive)
    wf.edge(collect, wf.end_node, otherwise=True)
    assert faults(wf) == (
        (
            "The join 'collect' has no fork to wait for: it lies on a circle that passes no fork on the way. "
            "Put a map or a broadcast into the circle, or move the join out of it."
        ),
    )
    with pytest.raises(UnsoundWorkflow):
        wf.build(validate_graph_structure=False)


def test_a_join_that_waits_for_runs_another_has_merged_is_a_fault() -> None:
    wf = builder(list[int])
    one, two = node(wf, "one", int, int), node(wf, "two", Any, int)
    first = wf.join(reduce_list_append, initial_factory=list[int], node_id="first")
    second = wf.join(reduce_list_append, initial_factory=list[int], node_id="second", parent_fork_id="m")
    wf.add(wf.edge_from(wf.start_node).map(fork_id="m").to(one))
    wf.edge(one, first)
    wf.edge(first, two)
    wf.edge(two, second)
    wf.edge(second, wf.end_node)
    assert faults(wf) == (
        (
            "The join 'second' waits for the fork 'm', whose runs the join 'first' has already merged. "
            "Let 'second' wait for the start, or 'first' for 'm'."
        ),
    )


def test_branches_that_race_to_the_end_and_made_up_ids_are_warnings() -> None:
    wf = builder()
    one, two = node(wf, "one", int, int), node(wf, "two", int, int)
    wf.add(wf.edge_from(wf.start_node).to(one, two))
    wf.edge(one, wf.end_node)
    wf.edge(two, wf.end_node)
    assert wf.build().warnings == (
        (
            "The ids of 'broadcast' were made up and may change when the workflow does, so that a stored run no longer "
            "finds them. Give them with node_id= or fork_id=."
        ),
        (
            "The branches of 'broadcast' race to the end: the first one there ends the run and cancels the others. "
            "Join them first, if all of them matter."
        ),
    )


def test_branches_that_are_joined_do_not_race() -> None:
    wf = builder()
    one, two = node(wf, "one", int, int), node(wf, "two", int, int)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    for each in (one, two):
        wf.edge(wf.start_node, each)
        wf.edge(each, collect)
    wf.edge(collect, wf.end_node)
    assert wf.build().warnings == ()


def test_faults_that_leave_a_graph_runnable_are_warnings_on_request() -> None:
    wf = builder(output_type=str)
    wf.edge(wf.start_node, wf.end_node)
    assert (
        wf.build(validate_graph_structure=False).warnings[0].startswith("The edge from the start to the end brings int")
    )


@dataclass
class Step1(BaseNode[None, None, int]):
    async def run(self, ctx: GraphRunContext[None, None]) -> End[int]:
        return End(1)


def test_a_base_node_whose_run_was_not_read_is_a_fault() -> None:
    wf = builder(Step1)
    wf.edge(wf.start_node, Step1)
    assert faults(wf) == (
        "Nothing follows node 'Step1', because what its run() returns was not read. Add wf.add(wf.node(Step1)).",
    )
    wf.add(wf.node(Step1))
    assert faults(wf) == ()


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("closest", [False, True])
def test_parent_forks_are_those_of_pydantic_graph(seed: int, closest: bool) -> None:
    dice = random.Random(seed)
    pairs = [(a, b) for a in range(9) for b in range(1, 9) if dice.random() < 0.22]
    edges = [(f"n{a}", f"n{b}") for a, b in pairs] + [("__start__", "n0")]
    preferred: Literal["closest", "farthest"] = "closest" if closest else "farthest"
    names = ["__start__", *(f"n{number}" for number in range(9))]
    known: dict[Any, Any] = {name: Fork(NodeID(name), False, None) for name in names if name != "__start__"}
    joins: list[Join[Any, Any, Any, Any]] = [
        Join(id=NodeID(name), reducer=reduce_list_append, initial_factory=list[Any], preferred_parent_fork=preferred)
        for name in ("n6", "n7", "n8")
    ]
    known |= {join.id: join for join in joins}
    after: dict[Any, list[Any]] = {name: [b for a, b in edges if a == name] for name in names}
    paths: Any = {name: [Path([DestinationMarker(end)]) for end in ends] for name, ends in after.items()}
    topology = Topology(known, paths)
    forks = {name for name, kind in known.items() if isinstance(kind, Fork)} | {"__start__"}
    finder: Any = ParentForkFinder(nodes=set(names), start_ids={"__start__"}, fork_ids=forks, edges=after)
    for join in joins:
        if join.id in topology.reachable:
            found, real = topology.parent_fork(join), finder.find_parent_fork(join.id, prefer_closest=closest)
            assert (found and (found.fork_id, set(found.between))) == (real and (real.fork_id, real.intermediate_nodes))


def only_item(item: int) -> int:
    return item


def with_default(current: int, item: int, more: int = 1) -> int:
    return current + item + more


def with_keyword(current: int, item: int, *, more: int) -> int:
    return current + item + more


def all_given(*values: int) -> int:
    return sum(values)


def first_of_three(ctx: object, current: int, item: int) -> int:
    return item


def of_four(ctx: object, current: int, item: int, more: int) -> int:
    return item


class Adds:
    def __call__(self, current: int, item: int) -> int:
        return current + item


def joining(reducer: Any) -> Any:
    wf = builder(list[int])
    same = node(wf, "same", int, int)
    total = wf.join(reducer, initial=0, node_id="total")
    wf.edge(wf.start_node, wf.each(same, join=total, fork_id="items"))
    wf.edge(total, wf.end_node)
    return wf


@pytest.mark.parametrize(
    ("reducer", "fault"),
    [
        (
            only_item,
            "The reducer 'only_item' of the join 'total' takes 1 parameter. A reducer takes (current, item) or",
        ),
        (of_four, "The reducer 'of_four' of the join 'total' takes 4 parameters. A reducer takes"),
        (
            with_default,
            "The reducer 'with_default' of the join 'total' has the parameter 'more', which is optional or a ke",
        ),
        (
            with_keyword,
            "The reducer 'with_keyword' of the join 'total' has the parameter 'more', which is optional or a ke",
        ),
        (all_given, "The reducer 'all_given' of the join 'total' takes 1 parameter"),
        (max, "The reducer 'max' of the join 'total' does not say how many parameters it takes. Wrap it, e.g. lambda"),
    ],
)
def test_a_reducer_that_cannot_be_called_is_refused(reducer: Any, fault: str) -> None:
    (found,) = faults(joining(reducer))
    assert found.startswith(fault)


@pytest.mark.parametrize("reducer", [first_of_three, Adds(), Adds().__call__, reduce_list_append])
def test_a_reducer_of_two_or_three_parameters_is_accepted(reducer: Any) -> None:
    assert faults(joining(reducer)) == ()


def test_a_graph_of_pydantic_graphs_own_is_only_warned_of_its_reducer() -> None:
    workflow = joining(only_item).build(validate_graph_structure=False)
    assert [warning for warning in workflow.warnings if "takes 1 parameter" in warning] != []
