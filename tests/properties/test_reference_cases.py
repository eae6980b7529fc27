"""What the reference executor answers for small graphs whose answer is known."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic_graph import BaseNode, End, GraphRunContext
from pydantic_graph.id_types import NodeID

from milepost.engine.typed import (
    GraphBuilder,
    ReduceFirstValue,
    Step,
    StepContext,
    TransformFunction,
    reduce_list_append,
    reduce_sum,
)
from tests.properties import reference
from tests.properties.reference import AnyGraph, NoResultError, Pending, Pick

Number = StepContext[None, None, int]
Builder = GraphBuilder[None, None, Any, Any]
NAMES = ("a", "b", "after", "hold")


def in_order(*names: str) -> Pick:
    """Complete the nodes of these names in this order, then whatever is oldest."""
    remaining = list(names)

    def pick(active: Sequence[Pending]) -> int:
        found = [index for index, task in enumerate(active) if remaining and task.node == remaining[0]]
        if found:
            remaining.pop(0)
            return found[0]
        assert not remaining, f"{remaining[0]} is not active; active are {[task.node for task in active]}"
        return 0

    return pick


def add_step(builder: Builder, name: str, plus: int = 0) -> Step[None, None, int, int]:
    async def call(ctx: Number) -> int:
        return ctx.inputs + plus

    return builder.step(call, node_id=name)


def add_stream(builder: Builder, name: str, items: list[int]) -> Step[None, None, int, Any]:
    async def call(ctx: Number) -> AsyncIterator[int]:
        for item in items:
            yield item

    return builder.stream(call, node_id=name)


def names_of(result: reference.Result) -> set[str]:
    return {name for name, _ in result.executed}


def chained_joins() -> AnyGraph:
    """A broadcast to b (slow), and to a, whose join feeds the join that b feeds."""
    builder = Builder()
    a, b, c = (add_step(builder, name, plus) for name, plus in (("a", 1), ("b", 10), ("c", 100)))
    inner = builder.join(reduce_sum, initial=0, node_id="inner")
    outer = builder.join(reduce_list_append, initial_factory=list[int], node_id="outer")
    builder.add(
        builder.edge_from(builder.start_node).to(a, b),
        builder.edge_from(a).to(inner, outer),
        builder.edge_from(inner).to(c),
        builder.edge_from(b, c).to(outer),
        builder.edge_from(outer).to(builder.end_node),
    )
    return builder.build()


@pytest.mark.parametrize("order", [("a", "b", "c"), ("b", "a", "c"), ("a", "c", "b")])
def test_a_join_fed_by_a_join_waits_for_an_unrelated_branch(order: tuple[str, ...]) -> None:
    result = reference.run(chained_joins(), 0, pick=in_order(*order))
    assert sorted(result.output) == [1, 10, 101]  # type: ignore[call-overload]  # the graph gives a list
    assert result.fired == [("inner", "run"), ("outer", "run")]


def test_a_complete_join_does_not_wait_for_an_unrelated_task() -> None:
    result = reference.run(chained_joins(), 0, pick=in_order("a", "c"))
    assert names_of(result) == {"a", "b", "c"}  # c could be completed while b was still running


def test_a_step_that_may_return_two_nodes_goes_where_its_instance_says() -> None:
    @dataclass
    class Odd(BaseNode[None, None, str]):
        async def run(self, ctx: GraphRunContext[None, None]) -> End[str]:
            return End("odd")

    @dataclass
    class Even(BaseNode[None, None, str]):
        async def run(self, ctx: GraphRunContext[None, None]) -> End[str]:
            return End("even")

    async def sort(ctx: Number) -> Odd | Even:
        return Odd() if ctx.inputs % 2 else Even()

    sort.__annotations__["return"] = Odd | Even
    builder = Builder()
    builder.add(builder.node(Odd), builder.node(Even), builder.edge_from(builder.start_node).to(builder.step(sort)))
    graph = builder.build()
    assert reference.run(graph, 1).output == "odd"
    assert reference.run(graph, 2).output == "even"


def test_an_initial_list_is_not_shared_between_runs() -> None:
    builder = Builder()
    shared: list[int] = []
    join = builder.join(reduce_list_append, initial=shared, node_id="join")
    builder.add(builder.edge_from(builder.start_node).to(join), builder.edge_from(join).to(builder.end_node))
    graph = builder.build()
    assert [reference.run(graph, 1).output, reference.run(graph, 2).output] == [[1], [2]]
    assert shared == []


def test_a_loop_through_a_map_and_a_join_keeps_its_stack_shallow() -> None:
    builder = Builder()
    head, body = add_step(builder, "head", 1), add_step(builder, "body")
    join = builder.join(max_of, initial=0, node_id="join")
    builder.add(
        builder.edge_from(builder.start_node).to(head),
        builder.edge_from(head).to(
            builder.decision()
            .branch(builder.match(int, matches=lambda value: value > 300).to(builder.end_node))
            .branch(builder.match(int).transform(twice).map(fork_id="each").to(body))
        ),
        builder.edge_from(body).to(join),
        builder.edge_from(join).to(head),
    )
    result = reference.run(builder.build(), 0)
    assert (result.output, result.depth, len(result.fired)) == (301, 2, 300)


def max_of(current: int, item: int) -> int:
    return max(current, item)


def twice(ctx: Number) -> list[int]:
    return [ctx.inputs, ctx.inputs]


def nothing(ctx: Number) -> list[int]:
    return []


def mapped(items: TransformFunction[None, None, int, list[int]], *, eager: bool) -> AnyGraph:
    builder = Builder()
    join = builder.join(reduce_sum, initial=7, node_id="join")
    each = builder.edge_from(builder.start_node).transform(items)
    body = add_step(builder, "body")
    builder.add(
        each.map(downstream_join_id=NodeID("join") if eager else None).to(body),
        builder.edge_from(body).to(join),
        builder.edge_from(join).to(builder.end_node),
    )
    return builder.build()


def test_an_empty_map_fires_the_join_it_names_with_its_initial_value() -> None:
    assert reference.run(mapped(nothing, eager=True), 1).output == 7
    assert reference.run(mapped(twice, eager=True), 1).output == 9


def test_an_empty_map_that_names_no_join_ends_the_run_without_a_result() -> None:
    assert isinstance(reference.run(mapped(nothing, eager=False), 1).error, NoResultError)


def test_a_value_that_cannot_be_iterated_over_fails_the_run() -> None:
    builder = Builder()
    builder.add(builder.edge_from(builder.start_node).map(fork_id="each").to(builder.end_node))
    assert "'each' cannot iterate over 5" in str(reference.run(builder.build(), 5).error)


def test_a_pending_intermediate_join_does_not_fire_after_its_run_is_cancelled() -> None:
    builder = Builder()
    a, b, c = (add_step(builder, name) for name in "abc")
    middle = builder.join(reduce_sum, initial=0, node_id="middle")
    quick = builder.join(ReduceFirstValue[int](), initial=0, node_id="quick")
    builder.add(
        builder.edge_from(builder.start_node).to(a, b, c),
        builder.edge_from(b, c).to(middle),
        builder.edge_from(middle, a).to(quick),
        builder.edge_from(quick).to(builder.end_node),
    )
    result = reference.run(builder.build(), 5, pick=in_order("b", "a"))
    assert (result.output, names_of(result), result.fired) == (5, {"a", "b"}, [("quick", "run")])


def test_two_joins_of_one_cancelled_run_do_not_both_fire() -> None:
    builder = Builder()
    a, b, c = (add_step(builder, name) for name in "abc")
    quick = builder.join(ReduceFirstValue[int](), initial=0, node_id="quick", parent_fork_id="fork")
    other = builder.join(reduce_sum, initial=0, node_id="other", parent_fork_id="fork")
    last = builder.join(reduce_list_append, initial_factory=list[int], node_id="last", parent_fork_id="__start__")
    builder.add(
        builder.edge_from(builder.start_node).to(a, b, c, fork_id="fork"),
        builder.edge_from(a).to(quick),
        builder.edge_from(b, c).to(other),
        builder.edge_from(quick, other).to(last),
        builder.edge_from(last).to(builder.end_node),
    )
    result = reference.run(builder.build(), 5, pick=in_order("b", "a"))
    assert (result.output, [name for name, _ in result.fired]) == ([5], ["quick", "last"])


def test_a_stream_stops_when_its_own_run_is_cancelled() -> None:
    builder = Builder()
    items, body = add_stream(builder, "items", [1, 2, 3]), add_step(builder, "body")
    quick = builder.join(ReduceFirstValue[int](), initial=0, node_id="quick", parent_fork_id="each")
    builder.add(
        builder.edge_from(builder.start_node).to(items),
        builder.edge_from(items).map(fork_id="each").to(body),
        builder.edge_from(body).to(quick),
        builder.edge_from(quick).to(builder.end_node),
    )
    result = reference.run(builder.build(), 0, pick=in_order("items", "each", "each", "body"))
    assert (result.output, result.executed["body", "1"], len(result.fired)) == (1, 1, 1)


def test_a_join_waits_for_the_end_of_a_stream_whose_items_are_all_done() -> None:
    builder = Builder()
    items, body = add_stream(builder, "items", [1, 2]), add_step(builder, "body")
    join = builder.join(reduce_sum, initial=0, node_id="join", parent_fork_id="each")
    builder.add(
        builder.edge_from(builder.start_node).to(items),
        builder.edge_from(items).map(fork_id="each").to(body),
        builder.edge_from(body).to(join),
        builder.edge_from(join).to(builder.end_node),
    )
    order = ("items", "each", "body", "each", "body", "each")
    assert reference.run(builder.build(), 0, pick=in_order(*order)).output == 3


def test_a_cancelled_run_takes_along_what_the_same_result_would_still_have_started() -> None:
    builder = Builder()
    b = add_step(builder, "b")
    quick = builder.join(ReduceFirstValue[int](), initial=0, node_id="quick", parent_fork_id="fork")
    after = add_step(builder, "after")
    builder.add(
        builder.edge_from(builder.start_node).to(quick, b, fork_id="fork"),
        builder.edge_from(b).to(quick),
        builder.edge_from(quick).to(after),
        builder.edge_from(after).to(builder.end_node),
    )
    result = reference.run(builder.build(), 3, pick=reference.last)
    assert (result.output, names_of(result), len(result.fired)) == (3, {"after"}, 1)


def test_an_item_belongs_to_the_innermost_run_of_the_fork() -> None:
    builder = Builder()
    head, a, b = (add_step(builder, name, 1) for name in ("head", "a", "b"))
    pair = builder.join(reduce_sum, initial=0, node_id="pair", parent_fork_id="fork")
    last = builder.join(reduce_list_append, initial_factory=list[int], node_id="last")
    builder.add(
        builder.edge_from(builder.start_node).to(head),
        builder.edge_from(head).to(a, b, fork_id="fork"),
        builder.edge_from(a).to(pair),
        builder.edge_from(b).to(
            builder.decision()
            .branch(builder.match(int, matches=lambda value: value < 4).to(head))
            .branch(builder.match(int).to(pair))
        ),
        builder.edge_from(pair).to(last),
        builder.edge_from(last).to(builder.end_node),
    )
    result = reference.run(builder.build(), 0, pick=in_order("head", "b", "head", "b", "a", "a"))
    assert (result.output, len(result.fired)) == ([2, 8], 3)


def around_a_cancel() -> AnyGraph:
    """A fork of b and a, whose join cancels; c beside it; b and c are joined by what does not await a."""
    builder = Builder()
    a, b, c = (add_step(builder, name, plus) for name, plus in (("a", 1), ("b", 10), ("c", 100)))
    slow, split, begin = add_step(builder, "slow"), add_step(builder, "split"), add_step(builder, "begin")
    quick = builder.join(ReduceFirstValue[int](), initial=0, node_id="quick", parent_fork_id="inner")
    both = builder.join(reduce_sum, initial=0, node_id="both")
    last = builder.join(reduce_sum, initial=0, node_id="last")
    builder.add(
        builder.edge_from(builder.start_node).to(begin),
        builder.edge_from(begin).to(split, c),
        builder.edge_from(split).to(a, b, fork_id="inner"),
        builder.edge_from(a).to(quick),
        builder.edge_from(b, c).to(both),
        builder.edge_from(both).to(slow),
        builder.edge_from(slow, quick).to(last),
        builder.edge_from(last).to(builder.end_node),
    )
    return builder.build()


@pytest.mark.parametrize("first", [("b", "c"), ("c", "b")])
def test_the_output_of_an_inner_join_belongs_to_its_smallest_path_and_not_to_its_first_item(
    first: tuple[str, str],
) -> None:
    order = in_order("begin", "split", *first, "a", "slow")
    assert reference.run(around_a_cancel(), 0, pick=order).output == 111


def test_what_follows_a_final_join_is_not_cancelled_with_the_fork() -> None:
    builder = Builder()
    a, b, after, hold = (add_step(builder, name, plus) for name, plus in zip(NAMES, (1, 10, 100, 0), strict=True))
    quick = builder.join(ReduceFirstValue[int](), initial=0, node_id="quick", parent_fork_id="fork")
    other = builder.join(reduce_sum, initial=0, node_id="other", parent_fork_id="fork")
    builder.add(
        builder.edge_from(builder.start_node).to(a, b, fork_id="fork"),
        builder.edge_from(a).to(quick),
        builder.edge_from(b).to(other),
        builder.edge_from(other).to(after),
        builder.edge_from(quick).to(hold),
        builder.edge_from(after, hold).to(builder.end_node),
    )
    assert reference.run(builder.build(), 0, pick=in_order("b", "a", "after")).output == 110


@pytest.mark.parametrize(("value", "taken"), [(True, "true"), (1, "one"), (False, "other"), ("x", "word")])
def test_a_literal_keeps_bool_and_int_apart(value: object, taken: str) -> None:
    builder = Builder()
    branches: list[tuple[Any, str]] = [
        (Literal[1], "one"),
        (Literal[True], "true"),
        (Literal["x"], "word"),
        (Any, "other"),
    ]
    decision: Any = builder.decision()
    for source, name in branches:
        decision = decision.branch(builder.match(source).transform(lambda ctx, name=name: name).to(builder.end_node))
    builder.add(builder.edge_from(builder.start_node).to(decision))
    assert reference.run(builder.build(), value).output == taken
