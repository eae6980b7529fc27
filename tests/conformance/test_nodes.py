"""Nodes that are classes: alone, with edges from their return types, and mixed with steps, decisions and joins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from pydantic_graph import BaseNode, Edge, End, GraphRunContext

from milepost.engine.typed import Graph, GraphBuilder, JoinNode, StepContext, StepNode, reduce_list_append
from tests.conformance.ways import Ways

pytestmark = pytest.mark.anyio


@dataclass
class Machine:
    """The state of a ticket machine."""

    coins: int = 0
    wanted: str = ""
    shown: list[str] = field(default_factory=list[str])


@dataclass
class IsRound(BaseNode[None, None, int]):
    """Ends with a number that ends with a nought."""

    number: int

    async def run(self, ctx: GraphRunContext[None, None]) -> AddOne | End[int]:
        return End(self.number) if self.number % 10 == 0 else AddOne(self.number)


@dataclass
class AddOne(BaseNode[None, None, int]):
    """Goes back with the next number."""

    number: int

    async def run(self, ctx: GraphRunContext[None, None]) -> IsRound:
        return IsRound(self.number + 1)


@dataclass
class Choose(BaseNode[Machine, dict[str, int], str]):
    """Reads what somebody wants, from the state."""

    async def run(self, ctx: GraphRunContext[Machine, dict[str, int]]) -> Pay | End[str]:
        if ctx.state.wanted not in ctx.deps:
            return End(f"no tickets to {ctx.state.wanted}")
        ctx.state.shown.append(ctx.state.wanted)
        return Pay(ctx.deps[ctx.state.wanted])


@dataclass
class Pay(BaseNode[Machine, dict[str, int], str]):
    """Takes one coin at a time."""

    price: int

    async def run(
        self, ctx: GraphRunContext[Machine, dict[str, int]]
    ) -> Annotated[Pay, Edge(label="one more coin")] | Annotated[Print, Edge(label="paid")]:
        ctx.state.coins += 1
        return self if ctx.state.coins < self.price else Print()


@dataclass
class Print(BaseNode[Machine, dict[str, int], str]):
    """Prints the ticket."""

    async def run(self, ctx: GraphRunContext[Machine, dict[str, int]]) -> End[str]:
        return End(f"a ticket to {ctx.state.wanted}")


@dataclass
class Finish(BaseNode[None, None, Any]):
    """Ends without saying anything."""

    async def run(self, ctx: GraphRunContext[None, None]) -> End[None]:
        return End(None)


@dataclass
class Halve(BaseNode[None, None, int]):
    """Halves even numbers; others end the run."""

    number: int

    async def run(self, ctx: GraphRunContext[None, None]) -> Halve | End[int]:
        return Halve(self.number // 2) if self.number % 2 == 0 else End(self.number)


def round_up() -> Graph[None, None, int, int]:
    """Build a graph of two node classes behind a step."""
    g = GraphBuilder[None, None, int, int](name="round up", input_type=int, output_type=int)

    @g.step
    async def start(ctx: StepContext[None, None, int]) -> IsRound:
        return IsRound(ctx.inputs)

    g.add(g.node(IsRound), g.node(AddOne), g.edge_from(g.start_node).to(start))
    return g.build()


@pytest.mark.parametrize(("number", "output"), [(40, 40), (37, 40)])
async def test_nodes_go_where_the_instance_that_they_return_says(ways: Ways, number: int, output: int) -> None:
    await ways.agree(round_up(), output, inputs=number)


@pytest.mark.parametrize(
    ("wanted", "output", "final"),
    [
        ("Ghent", "a ticket to Ghent", Machine(coins=3, wanted="Ghent", shown=["Ghent"])),
        ("Mars", "no tickets to Mars", Machine(wanted="Mars")),
    ],
)
async def test_nodes_share_state_and_dependencies(ways: Ways, wanted: str, output: str, final: Machine) -> None:
    g = GraphBuilder[Machine, dict[str, int], None, str](
        name="tickets", state_type=Machine, deps_type=dict[str, int], output_type=str
    )

    @g.step
    async def start(ctx: StepContext[Machine, dict[str, int], None]) -> Choose:
        return Choose()

    g.add(g.node(Choose), g.node(Pay), g.node(Print), g.edge_from(g.start_node).to(start))

    await ways.agree(g.build(), output, deps={"Ghent": 3}, state=Machine(wanted=wanted), final=final)


async def test_an_edge_may_make_the_first_node(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, int](name="transformed", input_type=int, output_type=int)

    def first(ctx: StepContext[None, None, int]) -> Halve:
        return Halve(ctx.inputs)

    g.add(g.node(Halve), g.edge_from(g.start_node).transform(first).to(Halve))

    await ways.agree(g.build(), 5, inputs=40)


async def test_a_node_may_end_with_nothing(ways: Ways) -> None:
    g = GraphBuilder[None, None, None, None](name="nothing")

    @g.step
    async def start(ctx: StepContext[None, None, None]) -> Finish:
        return Finish()

    g.add(g.node(Finish), g.edge_from(g.start_node).to(start))

    await ways.agree(g.build(), None)


async def test_a_node_may_hand_over_to_a_step(ways: Ways) -> None:
    g = GraphBuilder[None, None, int, str](name="to a step", input_type=int, output_type=str)

    @g.step
    async def spell(ctx: StepContext[None, None, int]) -> str:
        return f"number {ctx.inputs}"

    @dataclass
    class Double(BaseNode[None, None, str]):
        number: int

        async def run(self, ctx: GraphRunContext[None, None]) -> Annotated[StepNode[None, None], spell]:
            return spell.as_node(self.number * 2)

    def double(ctx: StepContext[None, None, int]) -> Double:
        return Double(ctx.inputs)

    g.add(g.node(Double), g.edge_from(g.start_node).transform(double).to(Double), g.edge_from(spell).to(g.end_node))

    await ways.agree(g.build(), "number 14", inputs=7)


async def test_a_node_may_hand_over_to_a_join(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[int], list[int]](name="to a join", input_type=list[int], output_type=list[int])
    collect = g.join(reduce_list_append, initial_factory=list[int], node_id="collect")

    @dataclass
    class Triple(BaseNode[None, None, list[int]]):
        number: int

        async def run(self, ctx: GraphRunContext[None, None]) -> Annotated[JoinNode[None, None], collect]:
            return collect.as_node(self.number * 3)

    def triple(ctx: StepContext[None, None, int]) -> Triple:
        return Triple(ctx.inputs)

    g.add(
        g.node(Triple),
        g.edge_from(g.start_node).map().transform(triple).to(Triple),
        g.edge_from(collect).to(g.end_node),
    )

    await ways.agree(g.build(), [3, 6, 9], inputs=[1, 2, 3])


@pytest.mark.parametrize(("number", "output"), [(-4, "refused"), (37, "rounded to 40")])
async def test_steps_decisions_and_nodes_mix(ways: Ways, number: int, output: str) -> None:
    g = GraphBuilder[None, None, int, str](name="mixed", input_type=int, output_type=str)

    @g.step
    async def refuse(ctx: StepContext[None, None, int]) -> str:
        return "refused"

    @g.step
    async def say(ctx: StepContext[None, None, int]) -> str:
        return f"rounded to {ctx.inputs}"

    @dataclass
    class Rounded(BaseNode[None, None, str]):
        number: int

        async def run(self, ctx: GraphRunContext[None, None]) -> Annotated[StepNode[None, None], say]:
            return say.as_node(self.number)

    @dataclass
    class Round(BaseNode[None, None, str]):
        number: int

        async def run(self, ctx: GraphRunContext[None, None]) -> Round | Rounded:
            return Rounded(self.number) if self.number % 10 == 0 else Round(self.number + 1)

    def to_round(ctx: StepContext[None, None, int]) -> Round:
        return Round(ctx.inputs)

    g.add(
        g.edge_from(g.start_node).to(
            g.decision()
            .branch(g.match(int, matches=lambda number: number < 0).to(refuse))
            .branch(g.match(int).transform(to_round).to(Round))
        ),
        g.node(Round),
        g.node(Rounded),
        g.edge_from(refuse, say).to(g.end_node),
    )

    await ways.agree(g.build(), output, inputs=number)


@pytest.mark.parametrize(("number", "output"), [(12, 3), (7, 80)])
async def test_a_decision_may_tell_nodes_apart(ways: Ways, number: int, output: int) -> None:
    g = GraphBuilder[None, None, int, int](name="match node", input_type=int, output_type=int)

    @g.step
    async def choose(ctx: StepContext[None, None, int]) -> Any:
        return Halve(ctx.inputs) if ctx.inputs % 2 == 0 else IsRound(ctx.inputs * 10 + 1)

    g.add(
        g.edge_from(g.start_node).to(choose),
        g.edge_from(choose).to(g.decision().branch(g.match_node(Halve)).branch(g.match_node(IsRound))),
        g.node(Halve),
        g.node(IsRound),
        g.node(AddOne),
    )

    await ways.agree(g.build(), output, inputs=number)


async def test_a_map_may_lead_to_nodes_of_which_the_first_to_end_wins(ways: Ways) -> None:
    g = GraphBuilder[None, None, list[int], int](name="nodes in a map", input_type=list[int], output_type=int)

    def halve(ctx: StepContext[None, None, int]) -> Halve:
        return Halve(ctx.inputs)

    g.add(g.node(Halve), g.edge_from(g.start_node).map().transform(halve).to(Halve))

    await ways.agree(g.build(), 3, inputs=[1024, 6, 512])
