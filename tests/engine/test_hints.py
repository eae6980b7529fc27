"""Hints are read as far as they can be, each by itself, and what is unknown stays unknown."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import pytest
from typing_extensions import TypeAliasType

from milepost.engine.branches import covers
from milepost.engine.hints import bind, caller_names, plain_function, read_hints, read_reducer, strip, substitute
from milepost.engine.joins import CopyOf, join_types
from milepost.engine.spec import UNKNOWN
from milepost.engine.topology import START, Topology
from milepost.engine.typed import Join, ReducerContext, StepContext, reduce_dict_update, reduce_list_append, reduce_sum
from milepost.workflows.builder import WorkflowBuilder

T = TypeVar("T")
Items = TypeAliasType("Items", list[T], type_params=(T,))
Number = TypeAliasType("Number", int | float)
Ctx = TypeAliasType("Ctx", StepContext[None, None, T], type_params=(T,))


def plain(ctx: StepContext[None, None, int]) -> str: ...  # type: ignore[empty-body]


def through_alias(ctx: Ctx[int]) -> Annotated[str, "words"]: ...  # type: ignore[empty-body]


def generic(ctx: StepContext[None, None, T]) -> T: ...  # type: ignore[empty-body]


def bare(ctx: object) -> None: ...


@functools.wraps(plain)
def wrapped(*given: Any) -> Any: ...


class Callables:
    def __call__(self, ctx: StepContext[None, None, int]) -> str: ...  # type: ignore[empty-body]

    def method(self, ctx: StepContext[None, None, int]) -> str: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    "function", [plain, wrapped, Callables(), Callables().method, functools.partial(plain), functools.partial(wrapped)]
)
def test_the_hints_of_every_kind_of_function_are_read(function: Callable[..., object]) -> None:
    hints = read_hints(function)
    assert (hints.input_type, hints.output_type) == (int, str)


def test_aliases_and_annotations_are_seen_through() -> None:
    hints = read_hints(through_alias)
    assert (hints.input_type, strip(hints.output_type)) == (int, str)
    assert strip(Items[int]) == list[int]
    assert strip(Number) == int | float


def test_variables_and_bare_contexts_tell_nothing() -> None:
    assert (read_hints(generic).input_type, read_hints(generic).output_type) == (UNKNOWN, UNKNOWN)
    assert (read_hints(bare).input_type, read_hints(bare).output_type) == (UNKNOWN, type(None))


def test_what_is_no_python_function_has_no_hints() -> None:
    assert read_hints(print).output_type is UNKNOWN
    assert read_hints(int).input_type is UNKNOWN
    assert plain_function(len) is len


def test_names_of_the_caller_and_of_closures_are_known() -> None:
    class Local: ...

    def body(ctx: StepContext[None, None, Local]) -> Later: ...  # type: ignore[empty-body]

    def names() -> dict[str, object]:
        return caller_names()

    assert list(read_hints(body).missing) == ["ctx", "return"]
    assert read_hints(body, names()).input_type is Local
    assert list(read_hints(body, names()).missing) == ["return"]

    class Later: ...

    assert read_hints(body, names()).output_type is Later

    def closing(ctx: StepContext[None, None, Local]) -> Local:
        return Local()

    assert read_hints(closing).output_type is Local

    def early(ctx: object) -> Unbound:
        return Unbound()

    assert list(read_hints(early).missing) == ["return"]

    class Unbound: ...


def test_module_names_are_not_taken_twice() -> None:
    assert exec_at_module_level() == {}


def exec_at_module_level() -> object:
    space: dict[str, Any] = {"caller_names": caller_names}
    exec("def ask():\n    return caller_names()\nfound = ask()", space)
    return space["found"]


def test_variables_are_bound_and_replaced() -> None:
    many = strip(Items)
    assert bind(many, list[int]) == {T: int}
    assert bind(many, set[int]) == {}
    assert substitute(many, {T: int}) == list[int]
    assert substitute(T, {}) is T
    assert substitute(int, {T: str}) is int


def with_context(ctx: ReducerContext[None, None], current: int, item: str) -> int: ...  # type: ignore[empty-body]


def only_context(ctx: ReducerContext[None, None], item: str) -> int: ...  # type: ignore[empty-body]


def test_reducers_are_read_with_and_without_a_context() -> None:
    assert read_reducer(with_context).item is str
    assert read_reducer(only_context).item is UNKNOWN
    assert read_reducer(lambda: None).item is UNKNOWN


def joined(reducer: Any, factory: Any, items: object = UNKNOWN, wanted: object = UNKNOWN) -> tuple[object, object]:
    join: Join[Any, Any, Any, Any] = Join(id="j", reducer=reducer, initial_factory=factory)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return join_types(join, items, wanted)


def make_list() -> list[int]:
    return []


def keep(current: Any, item: Any) -> Any:
    return current


JOINS: list[tuple[Any, ...]] = [
    (reduce_list_append, list[int], UNKNOWN, UNKNOWN, (int, list[int])),
    (reduce_list_append, make_list, UNKNOWN, UNKNOWN, (int, list[int])),
    (reduce_list_append, list, str, UNKNOWN, (str, list[str])),
    (reduce_list_append, list, UNKNOWN, list[str], (str, list[str])),
    (reduce_list_append, list, UNKNOWN, UNKNOWN, (UNKNOWN, list)),
    (reduce_sum, CopyOf(0), int, UNKNOWN, (int, int)),
    (reduce_sum, CopyOf(0), float, UNKNOWN, (float, float | int)),
    (reduce_dict_update, dict[str, int], UNKNOWN, UNKNOWN, (UNKNOWN, dict[str, int])),
    (keep, CopyOf(None), int, UNKNOWN, (UNKNOWN, UNKNOWN)),
]


@pytest.mark.parametrize(("reducer", "factory", "items", "wanted", "types"), JOINS)
def test_the_types_of_a_join_follow_from_what_is_known(
    reducer: Any, factory: Any, items: object, wanted: object, types: tuple[object, object]
) -> None:
    taken, given = joined(reducer, factory, items, wanted)
    assert given == types[1]
    assert taken == types[0] or reducer is reduce_dict_update


def test_a_branch_covers_values_and_subclasses() -> None:
    assert covers(int, bool)
    assert covers(bool, Literal[True])
    assert not covers(Literal["a"], str)
    assert covers(list[int], list[str])


def test_the_farthest_fork_that_serves_is_the_parent() -> None:
    wf: Any = WorkflowBuilder(input_type=list[int], output_type=Any)
    again = wf.function(node_id="again")(bare)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, again)
    wf.add(wf.edge_from(again).map(fork_id="outer").map(fork_id="inner").to(collect))
    wf.edge(collect, again, when=bool)
    wf.edge(collect, wf.end_node, otherwise=True)
    assert wf.build(validate_graph_structure=False).parent_forks["collect"].fork_id == "outer"


def test_an_each_below_a_broadcast_or_a_decision_is_named_after_it() -> None:
    wf: Any = WorkflowBuilder(input_type=list[int], output_type=Any)
    one, two = wf.function(node_id="one")(bare), wf.function(node_id="two")(bare)
    wf.add(wf.edge_from(wf.start_node).to(wf.each(one), one, fork_id="both"))
    wf.edge(one, two)
    wf.add(wf.edge_from(two).to(wf.decision(node_id="d").branch(wf.match(Any).to(wf.each(one)))))
    nodes = wf.build(validate_graph_structure=False).nodes
    assert {"start_each_one", "d_each_one"} <= set(nodes)


def test_a_topology_has_a_start_even_without_edges() -> None:
    assert Topology({}, {}).reachable == {START}
