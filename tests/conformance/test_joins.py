"""Joins: the reducers that come with pydantic-graph, those that people write, several joins, and parent forks."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
import pytest

from milepost.engine.typed import (
    GraphBuilder,
    Join,
    ReduceFirstValue,
    ReducerContext,
    StepContext,
    reduce_dict_update,
    reduce_list_append,
    reduce_list_extend,
    reduce_null,
    reduce_sum,
)
from tests.conformance.ways import Expression, Ways

pytestmark = pytest.mark.anyio


@dataclass
class Garden:
    """The state of a garden: what was picked and how much of it."""

    picked: int = 0
    rows: dict[str, list[int]] = field(default_factory=dict[str, list[int]])


@dataclass(frozen=True)
class Harvest:
    """What a reducer has so far."""

    baskets: int = 0
    weight: int = 0


async def test_a_list_takes_one_value_after_the_other(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[int], list[str]](name="append", input_type=list[int], output_type=list[str])

    @g.step
    async def name(ctx: StepContext[None, None, int]) -> str:
        return f"row {ctx.inputs}"

    collect = g.join(reduce_list_append, initial_factory=list[str])
    g.add(
        g.edge_from(g.start_node).map().to(name),
        g.edge_from(name).to(collect),
        g.edge_from(collect).to(g.end_node),
    )

    await ways.agree(g.build(), ["row 3", "row 1", "row 2"], inputs=[3, 1, 2])


async def test_a_list_takes_what_is_in_other_lists(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[int], list[int]](name="extend", input_type=list[int], output_type=list[int])

    @g.step
    async def count_down(ctx: StepContext[None, None, int]) -> list[int]:
        return list(range(ctx.inputs, 0, -1))

    collect = g.join(reduce_list_extend, initial_factory=list[int])
    g.add(
        g.edge_from(g.start_node).map().to(count_down),
        g.edge_from(count_down).to(collect),
        g.edge_from(collect).to(g.end_node),
    )

    await ways.agree(g.build(), [2, 1, 3, 2, 1], inputs=[2, 0, 3])


async def test_a_dict_takes_what_is_in_other_dicts(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[str], dict[str, int]](
        name="update", input_type=list[str], output_type=dict[str, int]
    )

    @g.step
    async def measure(ctx: StepContext[None, None, str]) -> dict[str, int]:
        return {ctx.inputs: len(ctx.inputs)}

    merge = g.join(reduce_dict_update, initial_factory=dict[str, int])
    g.add(
        g.edge_from(g.start_node).map().to(measure),
        g.edge_from(measure).to(merge),
        g.edge_from(merge).to(g.end_node),
    )

    await ways.agree(g.build(), {"leek": 4, "beet": 4, "carrot": 6}, inputs=["leek", "beet", "carrot"])


async def test_nothing_is_kept_when_only_the_state_matters(ways: Ways) -> None:
    g = GraphBuilder[Garden, None, list[int], int](
        name="null", state_type=Garden, input_type=list[int], output_type=int
    )

    @g.step
    async def pick(ctx: StepContext[Garden, None, int]) -> int:
        ctx.state.picked += ctx.inputs
        return ctx.inputs

    @g.step
    async def weigh(ctx: StepContext[Garden, None, None]) -> int:
        return ctx.state.picked

    done = g.join(reduce_null, initial=None)
    g.add(
        g.edge_from(g.start_node).map().to(pick),
        g.edge_from(pick).to(done),
        g.edge_from(done).to(weigh),
        g.edge_from(weigh).to(g.end_node),
    )

    # all of them write one field, which only sharing the state allows without a merger
    await ways.agree(g.build(), 15, inputs=[4, 5, 6], state=Garden(), final=Garden(picked=15), isolated=False)


async def test_numbers_are_added_up(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[int], int](name="sum", input_type=list[int], output_type=int)

    @g.step
    async def weigh(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    total = g.join(reduce_sum, initial=100)
    g.add(
        g.edge_from(g.start_node).map().to(weigh),
        g.edge_from(weigh).to(total),
        g.edge_from(total).to(g.end_node),
    )

    await ways.agree(g.build(), 160, inputs=[10, 20, 30])


async def test_the_first_value_stops_the_others(ways: Ways) -> None:
    g = GraphBuilder[Garden, None, list[str], str](
        name="first", state_type=Garden, input_type=list[str], output_type=str
    )

    @g.step
    async def grow(ctx: StepContext[Garden, None, str]) -> str:
        if ctx.inputs != "cress":
            await anyio.sleep_forever()
        ctx.state.picked += 1
        return ctx.inputs

    first: Join[Garden, None, str, str] = g.join(ReduceFirstValue[str](), initial="", node_id="first")
    g.add(
        g.edge_from(g.start_node).map().to(grow),
        g.edge_from(grow).to(first),
        g.edge_from(first).to(g.end_node),
    )

    await ways.agree(g.build(), "cress", inputs=["oak", "cress", "elm"], state=Garden(), final=Garden(picked=1))


async def test_people_write_reducers_of_their_own(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[int], int](name="largest", input_type=list[int], output_type=int)

    @g.step
    async def weigh(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 3

    def larger(current: int, inputs: int) -> int:
        return max(current, inputs)

    largest = g.join(larger, initial=0)
    g.add(
        g.edge_from(g.start_node).map().to(weigh),
        g.edge_from(weigh).to(largest),
        g.edge_from(largest).to(g.end_node),
    )

    await ways.agree(g.build(), 27, inputs=[4, 9, 2])


async def test_a_reducer_may_use_the_shared_state(ways: Ways) -> None:
    g = GraphBuilder[Garden, None, list[int], Harvest](
        name="stateful", state_type=Garden, input_type=list[int], output_type=Harvest
    )

    @g.step
    async def pick(ctx: StepContext[Garden, None, int]) -> int:
        return ctx.inputs * 2

    def gather(ctx: ReducerContext[Garden, None], current: Harvest, inputs: int) -> Harvest:
        ctx.state.picked += 1
        return Harvest(current.baskets + 1, current.weight + inputs)

    harvest = g.join(gather, initial_factory=Harvest, node_id="harvest")
    g.add(
        g.edge_from(g.start_node).map().to(pick),
        g.edge_from(pick).to(harvest),
        g.edge_from(harvest).to(g.end_node),
    )

    await ways.agree(
        g.build(), Harvest(3, 12), inputs=[1, 2, 3], state=Garden(), final=Garden(picked=3), isolated=False
    )


async def test_a_reducer_stops_the_search_when_it_has_found_something(ways: Ways) -> None:
    g = GraphBuilder[Garden, None, list[str], str | None](
        name="search", state_type=Garden, input_type=list[str], output_type=Expression[str | None]
    )

    @g.step
    async def look(ctx: StepContext[Garden, None, str]) -> str:
        if ctx.inputs.startswith("hidden"):
            await anyio.sleep_forever()
        return ctx.inputs

    def find(ctx: ReducerContext[Garden, None], current: str | None, inputs: str) -> str | None:
        if current is None and inputs.endswith("mushroom"):
            ctx.cancel_sibling_tasks()
            return inputs
        return current

    found = g.join(find, initial=None, node_id="found")
    g.add(
        g.edge_from(g.start_node).map().to(look),
        g.edge_from(look).to(found),
        g.edge_from(found).to(g.end_node),
    )

    await ways.agree(
        g.build(), "brown mushroom", inputs=["fern", "brown mushroom", "hidden moss"], state=Garden(), final=Garden()
    )


async def test_a_graph_may_have_several_joins(ways: Ways) -> None:
    g = GraphBuilder[Garden, None, None, dict[str, list[int]]](
        name="two joins", state_type=Garden, output_type=dict[str, list[int]]
    )

    @g.step
    async def beans(ctx: StepContext[Garden, None, None]) -> list[int]:
        return [1, 2]

    @g.step
    async def peas(ctx: StepContext[Garden, None, None]) -> list[int]:
        return [5, 6, 7]

    @g.step
    async def pick_beans(ctx: StepContext[Garden, None, int]) -> int:
        return ctx.inputs * 10

    @g.step
    async def pick_peas(ctx: StepContext[Garden, None, int]) -> int:
        return ctx.inputs * 100

    all_beans = g.join(reduce_list_append, initial_factory=list[int], node_id="all_beans")
    all_peas = g.join(reduce_list_append, initial_factory=list[int], node_id="all_peas")

    @g.step
    async def keep_beans(ctx: StepContext[Garden, None, list[int]]) -> str:
        ctx.state.rows["beans"] = ctx.inputs
        return "beans"

    @g.step
    async def keep_peas(ctx: StepContext[Garden, None, list[int]]) -> str:
        ctx.state.rows["peas"] = ctx.inputs
        return "peas"

    both = g.join(reduce_null, initial=None, node_id="both")

    @g.step
    async def show(ctx: StepContext[Garden, None, None]) -> dict[str, list[int]]:
        return ctx.state.rows

    g.add(
        g.edge_from(g.start_node).to(beans, peas),
        g.edge_from(beans).map().to(pick_beans),
        g.edge_from(peas).map().to(pick_peas),
        g.edge_from(pick_beans).to(all_beans),
        g.edge_from(pick_peas).to(all_peas),
        g.edge_from(all_beans).to(keep_beans),
        g.edge_from(all_peas).to(keep_peas),
        g.edge_from(keep_beans, keep_peas).to(both),
        g.edge_from(both).to(show),
        g.edge_from(show).to(g.end_node),
    )
    rows = {"beans": [10, 20], "peas": [500, 600, 700]}

    await ways.agree(g.build(), rows, state=Garden(), final=Garden(rows=rows), isolated=False)
