"""Decisions: by literal, type, union and predicate; in order, nested, labelled, in loops and on the way to forks."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Literal

import pytest

from milepost.engine.typed import GraphBuilder, StepContext, reduce_list_append, reduce_sum
from tests.conformance.ways import Expression, Ways

pytestmark = pytest.mark.anyio


@dataclass
class Desk:
    """The state of a post office: which counters a parcel passed."""

    passed: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Letter:
    text: str


@dataclass(frozen=True)
class Parcel:
    weight: int


@pytest.mark.parametrize(("weight", "counter"), [(1, "small"), (9, "large")])
async def test_a_literal_chooses_the_way(ways: Ways, weight: int, counter: str) -> None:
    g = GraphBuilder[Desk, None, int, str](name="literals", state_type=Desk, input_type=int, output_type=str)

    @g.step
    async def weigh(ctx: StepContext[Desk, None, int]) -> Literal["small", "large"]:
        return "small" if ctx.inputs < 5 else "large"

    @g.step
    async def small(ctx: StepContext[Desk, None, object]) -> str:
        ctx.state.passed.append("small")
        return f"as {ctx.inputs}"

    @g.step
    async def large(ctx: StepContext[Desk, None, object]) -> str:
        ctx.state.passed.append("large")
        return f"as {ctx.inputs}"

    g.add(
        g.edge_from(g.start_node).to(weigh),
        g.edge_from(weigh).to(
            g.decision()
            .branch(g.match(Expression[Literal["small"]]).to(small))
            .branch(g.match(Expression[Literal["large"]]).to(large))
        ),
        g.edge_from(small, large).to(g.end_node),
    )

    await ways.agree(g.build(), f"as {counter}", inputs=weight, state=Desk(), final=Desk(passed=[counter]))


@pytest.mark.parametrize(
    ("sent", "answer"), [(Letter("hello"), "a letter of 5"), (Parcel(3), "a parcel of 3"), (None, "nothing")]
)
async def test_a_type_chooses_the_way(ways: Ways, sent: Letter | Parcel | None, answer: str) -> None:
    g = GraphBuilder[None, None, Letter | Parcel | None, str](
        name="types", input_type=Expression[Letter | Parcel | None], output_type=str
    )

    @g.step
    async def accept(ctx: StepContext[None, None, Letter | Parcel | None]) -> Letter | Parcel | None:
        return ctx.inputs

    @g.step
    async def letter(ctx: StepContext[None, None, Letter]) -> str:
        return f"a letter of {len(ctx.inputs.text)}"

    @g.step
    async def parcel(ctx: StepContext[None, None, Parcel]) -> str:
        return f"a parcel of {ctx.inputs.weight}"

    @g.step
    async def nothing(ctx: StepContext[None, None, None]) -> str:
        return "nothing"

    g.add(
        g.edge_from(g.start_node).to(accept),
        g.edge_from(accept).to(
            g.decision()
            .branch(g.match(Letter).to(letter))
            .branch(g.match(Parcel).to(parcel))
            .branch(g.match(NoneType).to(nothing))
        ),
        g.edge_from(letter, parcel, nothing).to(g.end_node),
    )

    await ways.agree(g.build(), answer, inputs=sent)


@pytest.mark.parametrize(("value", "answer"), [(4, "number 4"), (2.5, "number 2.5"), ("four", "text four")])
async def test_one_branch_may_take_a_union(ways: Ways, value: int | float | str, answer: str) -> None:
    g = GraphBuilder[None, None, int | float | str, str](
        name="unions", input_type=Expression[int | float | str], output_type=str
    )

    @g.step
    async def read(ctx: StepContext[None, None, int | float | str]) -> int | float | str:
        return ctx.inputs

    @g.step
    async def number(ctx: StepContext[None, None, int | float]) -> str:
        return f"number {ctx.inputs}"

    @g.step
    async def text(ctx: StepContext[None, None, str]) -> str:
        return f"text {ctx.inputs}"

    g.add(
        g.edge_from(g.start_node).to(read),
        g.edge_from(read).to(
            g.decision().branch(g.match(Expression[int | float]).to(number)).branch(g.match(str).to(text))
        ),
        g.edge_from(number, text).to(g.end_node),
    )

    await ways.agree(g.build(), answer, inputs=value)


@pytest.mark.parametrize(("weight", "answer"), [(8, "8 goes by bicycle"), (81, "81 goes by lorry")])
async def test_a_predicate_chooses_the_way(ways: Ways, weight: int, answer: str) -> None:
    g = GraphBuilder[None, None, int, str](name="predicates", input_type=int, output_type=str)

    @g.step
    async def by_bicycle(ctx: StepContext[None, None, int]) -> str:
        return f"{ctx.inputs} goes by bicycle"

    @g.step
    async def by_lorry(ctx: StepContext[None, None, int]) -> str:
        return f"{ctx.inputs} goes by lorry"

    def is_light(weight: int) -> bool:
        return weight < 20

    def is_heavy(weight: int) -> bool:
        return weight >= 20

    g.add(
        g.edge_from(g.start_node).to(
            g.decision()
            .branch(g.match(Expression[int], matches=is_light).to(by_bicycle))
            .branch(g.match(Expression[int], matches=is_heavy).to(by_lorry))
        ),
        g.edge_from(by_bicycle, by_lorry).to(g.end_node),
    )

    await ways.agree(g.build(), answer, inputs=weight)


async def test_of_two_branches_that_match_the_first_is_taken(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, str](name="order of branches", input_type=int, output_type=str)

    @g.step
    async def express(ctx: StepContext[None, None, int]) -> str:
        return "express"

    @g.step
    async def ordinary(ctx: StepContext[None, None, int]) -> str:
        return "ordinary"

    g.add(
        g.edge_from(g.start_node).to(
            g.decision()
            .branch(g.match(int, matches=lambda price: price > 2).to(express))
            .branch(g.match(int, matches=lambda price: price > 1).to(ordinary))
        ),
        g.edge_from(express, ordinary).to(g.end_node),
    )

    await ways.agree(g.build(), "express", inputs=3)


@pytest.mark.parametrize("everything", [object, Any])
async def test_object_and_any_take_what_is_left(ways: Ways, everything: Any) -> None:
    g = GraphBuilder[None, None, int, str](name="the rest", input_type=int, output_type=str)

    @g.step
    async def text(ctx: StepContext[None, None, str]) -> str:
        return "text"

    @g.step
    async def rest(ctx: StepContext[None, None, object]) -> str:
        return f"the rest, {ctx.inputs}"

    g.add(
        g.edge_from(g.start_node).to(
            g.decision().branch(g.match(str).to(text)).branch(g.match(Expression[everything]).to(rest))
        ),
        g.edge_from(text, rest).to(g.end_node),
    )

    await ways.agree(g.build(), "the rest, 40", inputs=40)


@pytest.mark.parametrize(("degrees", "answer"), [(-4, "ice"), (12, "water"), (130, "steam")])
async def test_a_decision_may_follow_a_decision(ways: Ways, degrees: int, answer: str) -> None:
    g = GraphBuilder[None, None, int, str](name="nested", input_type=int, output_type=str)

    @g.step
    async def not_frozen(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    @g.step
    async def ice(ctx: StepContext[None, None, int]) -> str:
        return "ice"

    @g.step
    async def water(ctx: StepContext[None, None, int]) -> str:
        return "water"

    @g.step
    async def steam(ctx: StepContext[None, None, int]) -> str:
        return "steam"

    boiling = (
        g.decision(node_id="boiling", note="at sea level")
        .branch(g.match(int, matches=lambda degrees: degrees < 100).to(water))
        .branch(g.match(int).to(steam))
    )
    freezing = (
        g.decision(node_id="freezing")
        .branch(g.match(int, matches=lambda degrees: degrees < 0).to(ice))
        .branch(g.match(int).to(not_frozen))
    )
    g.add(
        g.edge_from(g.start_node).to(freezing),
        g.edge_from(not_frozen).to(boiling),
        g.edge_from(ice, water, steam).to(g.end_node),
    )

    await ways.agree(g.build(), answer, inputs=degrees)


@pytest.mark.parametrize(("answered", "said"), [("yes", "sent"), ("no", "kept")])
async def test_branches_may_have_labels(ways: Ways, answered: Literal["yes", "no"], said: str) -> None:
    g = GraphBuilder[None, None, Literal["yes", "no"], str](
        name="labels", input_type=Expression[Literal["yes", "no"]], output_type=str
    )

    @g.step
    async def send(ctx: StepContext[None, None, object]) -> str:
        return "sent"

    @g.step
    async def keep(ctx: StepContext[None, None, object]) -> str:
        return "kept"

    g.add(
        g.edge_from(g.start_node).to(
            g.decision(note="whether it is stamped")
            .branch(g.match(Expression[Literal["yes"]]).label("it is").to(send))
            .branch(g.match(Expression[Literal["no"]]).label("it is not").to(keep))
        ),
        g.edge_from(send, keep).to(g.end_node),
    )

    await ways.agree(g.build(), said, inputs=answered)


@pytest.mark.parametrize(("value", "answer"), [(1, "the number"), (True, "the truth")])
async def test_literals_keep_true_and_one_apart(ways: Ways, value: int, answer: str) -> None:
    g = GraphBuilder[None, None, Any, str](name="true or one", input_type=Expression[Any], output_type=str)

    @g.step
    async def number(ctx: StepContext[None, None, object]) -> str:
        return "the number"

    @g.step
    async def truth(ctx: StepContext[None, None, object]) -> str:
        return "the truth"

    g.add(
        g.edge_from(g.start_node).to(
            g.decision()
            .branch(g.match(Expression[Literal[1]]).to(number))
            .branch(g.match(Expression[Literal[True]]).to(truth))
        ),
        g.edge_from(number, truth).to(g.end_node),
    )

    await ways.agree(g.build(), answer, inputs=value)


@pytest.mark.parametrize(("weight", "answer"), [(3, 3), (30, 31)])
async def test_a_branch_may_lead_straight_to_the_end(ways: Ways, weight: int, answer: int) -> None:
    g = GraphBuilder[None, None, int, int](name="short cut", input_type=int, output_type=int)

    @g.step
    async def wrap(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    g.add(
        g.edge_from(g.start_node).to(
            g.decision()
            .branch(g.match(int, matches=lambda weight: weight < 10).to(g.end_node))
            .branch(g.match(int).to(wrap))
        ),
        g.edge_from(wrap).to(g.end_node),
    )

    await ways.agree(g.build(), answer, inputs=weight)


@pytest.mark.parametrize(("sent", "answer"), [("a b c", ["A", "B", "C"]), (4, [4, 5])])
async def test_a_branch_may_change_fan_out_and_broadcast_what_it_takes(
    ways: Ways, sent: str | int, answer: list[str | int]
) -> None:
    g = GraphBuilder[None, None, str | int, list[str | int]](
        name="branches that fork", input_type=Expression[str | int], output_type=list[str | int]
    )

    @g.step
    async def upper(ctx: StepContext[None, None, str]) -> str:
        return ctx.inputs.upper()

    @g.step
    async def same(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    @g.step
    async def next_one(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    def words(ctx: StepContext[None, None, str]) -> list[str]:
        return ctx.inputs.split()

    collect = g.join(reduce_list_append, initial_factory=list[str | int], node_id="collect")
    g.add(
        g.edge_from(g.start_node).to(
            g.decision()
            .branch(g.match(str).transform(words).label("each word").map().to(upper))
            .branch(g.match(int).to(same, next_one))
        ),
        g.edge_from(upper).to(collect),
        g.edge_from(same, next_one).to(collect),
        g.edge_from(collect).to(g.end_node),
    )

    await ways.agree(g.build(), answer, inputs=sent)


async def test_every_item_of_a_map_is_decided_by_itself(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[int], int](name="sorting", input_type=list[int], output_type=int)

    @g.step
    async def even(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 10

    @g.step
    async def odd(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    total = g.join(reduce_sum, initial=0, node_id="total")
    g.add(
        g.edge_from(g.start_node)
        .map()
        .to(
            g.decision()
            .branch(g.match(int, matches=lambda number: number % 2 == 0).label("even").to(even))
            .branch(g.match(int).label("odd").to(odd))
        ),
        g.edge_from(even, odd).to(total),
        g.edge_from(total).to(g.end_node),
    )

    await ways.agree(g.build(), 69, inputs=[1, 2, 3, 4, 5])
