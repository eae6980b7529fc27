"""Doing things side by side: broadcasts, maps, maps of maps, empty maps, edges that change what flows, shared state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from milepost.engine.typed import GraphBuilder, StepContext, reduce_dict_update, reduce_list_append, reduce_sum
from tests.conformance.ways import Ways

pytestmark = pytest.mark.anyio


@dataclass
class Kitchen:
    """The state of a kitchen: what was cooked."""

    cooked: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Recipe:
    title: str
    minutes: int


async def test_a_broadcast_gives_every_step_the_same_value(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, list[int]](name="broadcast", input_type=int, output_type=list[int])

    @g.step
    async def crack(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 2

    @g.step
    async def yolks(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    @g.step
    async def whites(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 2

    @g.step
    async def shells(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 3

    bowl = g.join(reduce_list_append, initial_factory=list[int])
    g.add(
        g.edge_from(g.start_node).to(crack),
        g.edge_from(crack).to(yolks, whites, shells),
        g.edge_from(yolks, whites, shells).to(bowl),
        g.edge_from(bowl).to(g.end_node),
    )

    await ways.agree(g.build(), [21, 22, 23], inputs=10)


async def test_several_edges_from_one_step_are_a_broadcast_too(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, int](name="two edges", input_type=int, output_type=int)

    @g.step
    async def stir(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    @g.step
    async def salt(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    @g.step
    async def pepper(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 5

    dish = g.join(reduce_sum, initial=0)
    g.add_edge(g.start_node, stir)
    g.add_edge(stir, salt)
    g.add_edge(stir, pepper, label="with care")
    g.add_edge(salt, dish)
    g.add_edge(pepper, dish)
    g.add_edge(dish, g.end_node)

    await ways.agree(g.build(), 10, inputs=2)


async def test_a_broadcast_may_send_something_else_along_each_edge(ways: Ways) -> None:
    g = GraphBuilder[None, None, Recipe, list[str]](name="different", input_type=Recipe, output_type=list[str])

    @g.step
    async def read(ctx: StepContext[None, None, Recipe]) -> Recipe:
        return ctx.inputs

    @g.step
    async def announce(ctx: StepContext[None, None, str]) -> str:
        return f"{ctx.inputs}!"

    @g.step
    async def warn(ctx: StepContext[None, None, int]) -> str:
        return f"{ctx.inputs} minutes"

    def title(ctx: StepContext[None, None, Recipe]) -> str:
        return ctx.inputs.title

    def minutes(ctx: StepContext[None, None, Recipe]) -> int:
        return ctx.inputs.minutes

    said = g.join(reduce_list_append, initial_factory=list[str])
    g.add(
        g.edge_from(g.start_node).to(read),
        g.edge_from(read).broadcast(
            lambda way: [way.transform(title).to(announce), way.label("later").transform(minutes).to(warn)],
            fork_id="tell",
        ),
        g.edge_from(announce, warn).to(said),
        g.edge_from(said).to(g.end_node),
    )

    await ways.agree(g.build(), ["Soup!", "40 minutes"], inputs=Recipe("Soup", 40))


async def test_a_map_gives_every_item_to_a_step(ways: Ways) -> None:
    g = GraphBuilder[None, None, None, list[str]](name="map", output_type=list[str])

    @g.step
    async def recipes(ctx: StepContext[None, None, None]) -> list[Recipe]:
        return [Recipe("Soup", 40), Recipe("Salad", 10)]

    @g.step
    async def cook(ctx: StepContext[None, None, Recipe]) -> str:
        return f"{ctx.inputs.title} in {ctx.inputs.minutes}"

    table = g.join(reduce_list_append, initial_factory=list[str])
    g.add(
        g.edge_from(g.start_node).to(recipes),
        g.edge_from(recipes).map().to(cook),
        g.edge_from(cook).to(table),
        g.edge_from(table).to(g.end_node),
    )

    await ways.agree(g.build(), ["Soup in 40", "Salad in 10"])


@pytest.mark.parametrize(
    ("kind", "given", "output"),
    [
        (tuple[str, ...], ("a", "b"), ["<a>", "<b>"]),
        (str, "xy", ["<x>", "<y>"]),
        (dict[str, int], {"k": 1, "l": 2}, ["<k>", "<l>"]),
    ],
)
async def test_a_map_takes_anything_that_can_be_iterated_over(
    ways: Ways, kind: Any, given: Iterable[str], output: list[str]
) -> None:
    g = GraphBuilder[None, None, Any, list[str]](name="iterables", input_type=kind, output_type=list[str])

    @g.step
    async def show(ctx: StepContext[None, None, str]) -> str:
        return f"<{ctx.inputs}>"

    shown = g.join(reduce_list_append, initial_factory=list[str])
    g.add(
        g.edge_from(g.start_node).map().to(show),
        g.edge_from(show).to(shown),
        g.edge_from(shown).to(g.end_node),
    )

    await ways.agree(g.build(), output, inputs=given)


async def test_a_map_in_memory_takes_an_iterable_that_no_store_can_hold(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, int](name="generator", input_type=int, output_type=int)

    @g.step
    async def weigh(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 10

    def up_to(ctx: StepContext[None, None, int]) -> Iterable[int]:
        return (number for number in range(ctx.inputs))

    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).transform(up_to).map().to(weigh),
        g.edge_from(weigh).to(total),
        g.edge_from(total).to(g.end_node),
    )

    await ways.agree(g.build(), 60, inputs=4, stored=False)


async def test_a_mapping_edge_is_a_map_with_labels(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[int], list[str]](name="labels", input_type=list[int], output_type=list[str])

    @g.step
    async def sort(ctx: StepContext[None, None, list[int]]) -> list[int]:
        return sorted(ctx.inputs)

    @g.step
    async def spell(ctx: StepContext[None, None, int]) -> str:
        return "*" * ctx.inputs

    spelt = g.join(reduce_list_append, initial_factory=list[str])
    g.add_edge(g.start_node, sort)
    g.add_mapping_edge(sort, spell, pre_map_label="all of them", post_map_label="one by one")
    g.add_edge(spell, spelt)
    g.add_edge(spelt, g.end_node)

    await ways.agree(g.build(), ["*", "**", "***"], inputs=[3, 1, 2])


@pytest.mark.parametrize(("items", "output"), [([], 7), ([1, 2], 10)])
async def test_a_map_over_nothing_fires_the_join_that_it_names(ways: Ways, items: list[int], output: int) -> None:
    g = GraphBuilder[None, None, list[int], int](name="empty", input_type=list[int], output_type=int)

    @g.step
    async def read(ctx: StepContext[None, None, list[int]]) -> list[int]:
        return ctx.inputs

    @g.step
    async def weigh(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    total = g.join(reduce_sum, initial=7)
    g.add_edge(g.start_node, read)
    g.add_mapping_edge(read, weigh, downstream_join_id=total.id)
    g.add_edge(weigh, total)
    g.add_edge(total, g.end_node)

    await ways.agree(g.build(), output, inputs=items)


async def test_every_item_of_a_map_may_be_broadcast(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[int], list[int]](
        name="map then broadcast", input_type=list[int], output_type=list[int]
    )

    @g.step
    async def once(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    @g.step
    async def twice(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 2

    @g.step
    async def in_order(ctx: StepContext[None, None, list[int]]) -> list[int]:
        return sorted(ctx.inputs)

    collect = g.join(reduce_list_append, initial_factory=list[int])
    g.add(
        g.edge_from(g.start_node).map().to(once, twice),
        g.edge_from(once, twice).to(collect),
        g.edge_from(collect).to(in_order),
        g.edge_from(in_order).to(g.end_node),
    )

    await ways.agree(g.build(), [3, 5, 6, 10], inputs=[3, 5])


async def test_a_map_may_follow_a_map(ways: Ways) -> None:
    g = GraphBuilder[None, None, None, list[str]](name="map then map", output_type=list[str])

    @g.step
    async def courses(ctx: StepContext[None, None, None]) -> list[tuple[str, int]]:
        return [("soup", 2), ("cake", 1)]

    @g.step
    async def plates(ctx: StepContext[None, None, tuple[str, int]]) -> list[str]:
        dish, guests = ctx.inputs
        return [dish] * guests

    @g.step
    async def serve(ctx: StepContext[None, None, str]) -> str:
        return f"{ctx.inputs}, please"

    served = g.join(reduce_list_append, initial_factory=list[str])
    g.add(
        g.edge_from(g.start_node).to(courses),
        g.edge_from(courses).map().to(plates),
        g.edge_from(plates).map().to(serve),
        g.edge_from(serve).to(served),
        g.edge_from(served).to(g.end_node),
    )

    await ways.agree(g.build(), ["soup, please", "soup, please", "cake, please"])


async def test_all_that_run_side_by_side_share_the_state(ways: Ways) -> None:
    g = GraphBuilder[Kitchen, None, list[str], int](
        name="shared", state_type=Kitchen, input_type=list[str], output_type=int
    )

    @g.step
    async def cook(ctx: StepContext[Kitchen, None, str]) -> int:
        ctx.state.cooked.append(ctx.inputs)
        return len(ctx.state.cooked)

    def larger(current: int, inputs: int) -> int:
        return max(current, inputs)

    largest = g.join(larger, initial=0)
    g.add(
        g.edge_from(g.start_node).map().to(cook),
        g.edge_from(cook).to(largest),
        g.edge_from(largest).to(g.end_node),
    )

    await ways.agree(
        g.build(),
        3,
        inputs=["rice", "beans", "corn"],
        state=Kitchen(),
        final=Kitchen(["rice", "beans", "corn"]),
        isolated=False,
    )


async def test_an_edge_may_change_what_flows(ways: Ways) -> None:
    g = GraphBuilder[None, int, int, str](name="transform", deps_type=int, input_type=int, output_type=str)

    @g.step
    async def weigh(ctx: StepContext[None, int, int]) -> int:
        return ctx.inputs + 1

    @g.step
    async def label(ctx: StepContext[None, int, str]) -> str:
        return f"about {ctx.inputs}"

    def in_grams(ctx: StepContext[None, int, int]) -> str:
        return f"{ctx.inputs * ctx.deps} g"

    g.add(
        g.edge_from(g.start_node).to(weigh),
        g.edge_from(weigh).transform(in_grams).to(label),
        g.edge_from(label).to(g.end_node),
    )

    await ways.agree(g.build(), "about 5000 g", inputs=4, deps=1000)


async def test_changes_labels_and_maps_follow_each_other_on_one_edge(ways: Ways) -> None:
    g = GraphBuilder[None, None, None, dict[str, int]](name="long edge", output_type=dict[str, int])

    @g.step
    async def menu(ctx: StepContext[None, None, None]) -> list[dict[str, int]]:
        return [{"soup": 4}, {"cake": 3}]

    @g.step
    async def dearer(ctx: StepContext[None, None, tuple[str, int]]) -> dict[str, int]:
        dish, price = ctx.inputs
        return {dish: price + 1}

    def dishes(ctx: StepContext[None, None, list[dict[str, int]]]) -> list[dict[str, int]]:
        return [*ctx.inputs, {"tea": 2}]

    def as_pair(ctx: StepContext[None, None, dict[str, int]]) -> tuple[str, int]:
        return next(iter(ctx.inputs.items()))

    prices = g.join(reduce_dict_update, initial_factory=dict[str, int])
    g.add(
        g.edge_from(g.start_node).to(menu),
        g.edge_from(menu).transform(dishes).label("with tea").map().transform(as_pair).label("one price").to(dearer),
        g.edge_from(dearer).to(prices),
        g.edge_from(prices).to(g.end_node),
    )

    await ways.agree(g.build(), {"soup": 5, "cake": 4, "tea": 3})


async def test_an_edge_may_change_the_shared_state(ways: Ways) -> None:
    g = GraphBuilder[Kitchen, None, str, str](name="noted", state_type=Kitchen, input_type=str, output_type=str)

    @g.step
    async def cook(ctx: StepContext[Kitchen, None, str]) -> str:
        return f"hot {ctx.inputs}"

    def note(ctx: StepContext[Kitchen, None, str]) -> str:
        ctx.state.cooked.append(ctx.inputs)
        return ctx.inputs.upper()

    g.add(g.edge_from(g.start_node).to(cook), g.edge_from(cook).transform(note).to(g.end_node))

    await ways.agree(g.build(), "HOT SOUP", inputs="soup", state=Kitchen(), final=Kitchen(["hot soup"]))


async def test_of_two_ways_to_the_end_the_faster_wins(ways: Ways) -> None:
    g = GraphBuilder[None, None, None, str](name="race", output_type=str)

    @g.step
    async def bake(ctx: StepContext[None, None, None]) -> str:
        await anyio.sleep_forever()
        return "cake"

    @g.step
    async def buy(ctx: StepContext[None, None, None]) -> str:
        return "bought cake"

    g.add(g.edge_from(g.start_node).to(bake, buy), g.edge_from(bake, buy).to(g.end_node))

    await ways.agree(g.build(), "bought cake")
