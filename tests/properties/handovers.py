"""BaseNodes for random graphs: classes made on the fly, which return each other, steps, joins and ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import new_class
from typing import Annotated, Any, Literal, Protocol, cast

from pydantic_graph import BaseNode, End, GraphRunContext
from pydantic_graph.paths import Path, PathItem, TransformMarker

from milepost.engine.typed import (
    AnyDestinationNode,
    DecisionBranch,
    GraphBuilder,
    Join,
    JoinNode,
    NodeStep,
    Step,
    StepContext,
    StepNode,
)
from tests.properties import values
from tests.properties.values import Token

LITERALS: tuple[object, ...] = (Literal[1], Literal[True], Literal[0], Literal[False])
NodeType = type[BaseNode[None, None, Token]]
AnyStep = Step[None, None, Any, Any]
AnyJoin = Join[None, None, Any, Any]


@dataclass(frozen=True, slots=True)
class Exit:
    """Where a group of nodes leads: always to the step, for one value in three to the join or to the end.

    numbers: the join takes encoded tokens.
    """

    step: AnyStep
    join: AnyJoin | None = None
    numbers: bool = False
    ends: bool = False


class Holder(Protocol):
    """What every node is."""

    token: Token


class Handovers:
    """Adds groups of nodes to a builder.

    A union that holds an annotated step cannot be made in Python 3.11, so a node that leaves for a step or a join does
    nothing else.
    """

    def __init__(self, builder: GraphBuilder[None, None, Token, Token]) -> None:
        self.builder = builder

    def add(self, name: str, exit: Exit, *, loops: bool) -> tuple[NodeType, NodeType]:
        """Add nodes and return two: the first returns the second, which leaves, or goes back while it has fuel."""
        landing, away = self.landing(f"{name}Landing", exit), self.away(f"{name}Away", exit)

        async def run_first(self: Holder, ctx: GraphRunContext[None, None]) -> object:
            await values.enter(f"{name}First", self)
            return make(second, values.changed(name, self.token))

        async def run_second(self: Holder, ctx: GraphRunContext[None, None]) -> object:
            await values.enter(f"{name}Second", self)
            token = self.token
            if loops and token.fuel > 0:
                return make(first, Token(token.value, token.fuel - 1))
            if token.value % 3 == 0 and away is not None:
                return make(away, token)
            return End(token) if token.value % 3 == 0 and exit.ends else make(landing, token)

        first = make_type(f"{name}First", run_first)
        second = make_type(f"{name}Second", run_second)
        hints: list[Any] = [landing, away, End[Token] if exit.ends else None, first if loops else None]
        run_first.__annotations__["return"] = second
        run_second.__annotations__["return"] = union([hint for hint in hints if hint is not None])
        self.builder.add(self.builder.node(first), self.builder.node(second))
        return first, second

    def landing(self, name: str, exit: Exit) -> NodeType:
        async def run(self: Holder, ctx: GraphRunContext[None, None]) -> object:
            await values.enter(name, self)
            return exit.step.as_node(self.token)

        run.__annotations__["return"] = Annotated[StepNode[None, None], exit.step]
        landing = make_type(name, run)
        self.builder.add(self.builder.node(landing))
        return landing

    def away(self, name: str, exit: Exit) -> NodeType | None:
        join = exit.join
        if join is None:
            return None

        async def run(self: Holder, ctx: GraphRunContext[None, None]) -> object:
            await values.enter(name, self)
            return join.as_node(values.to_number(self.token) if exit.numbers else self.token)

        run.__annotations__["return"] = Annotated[JoinNode[None, None], join]
        away = make_type(name, run)
        self.builder.add(self.builder.node(away))
        return away


def make_type(name: str, run: Callable[..., object]) -> NodeType:
    """Return a dataclass with one field, `token`, that is a BaseNode."""
    body = {"__annotations__": {"token": Token}, "__module__": __name__, "run": run}
    made = new_class(name, (BaseNode[None, None, Token],), exec_body=lambda namespace: namespace.update(body))
    return cast(NodeType, dataclass(made))  # new_class() cannot say what it makes


def make(node_type: NodeType, token: Token) -> BaseNode[None, None, Token]:
    return cast("Callable[[Token], BaseNode[None, None, Token]]", node_type)(token)


def union(hints: list[Any]) -> object:
    made = hints[0]
    for hint in hints[1:]:
        made = made | hint
    return made


def transform(function: Callable[..., object]) -> TransformMarker:
    return TransformMarker(cast(Any, function))  # mypy does not see that the protocol of upstream is generic


def entrance(node_type: NodeType) -> tuple[tuple[PathItem, ...], NodeStep[None, None]]:
    """Return the transform that makes a node of a token, and the node to go to."""

    def enter(ctx: StepContext[None, None, Token]) -> object:
        return make(node_type, ctx.inputs)

    enter.__annotations__["return"] = node_type
    return (transform(enter),), NodeStep(node_type)


def union_step(name: str, first: NodeType, second: NodeType) -> Callable[..., Awaitable[object]]:
    """Return the function of a plain step that returns one node or the other."""

    async def call(ctx: StepContext[None, None, Token]) -> object:
        await values.enter(name, ctx.inputs)
        return make(first if ctx.inputs.value % 2 else second, ctx.inputs)

    call.__annotations__["return"] = union([first, second])
    return call


def branch(
    source: object,
    matches: Callable[[Token], bool] | None,
    items: tuple[PathItem, ...],
    nodes: tuple[AnyDestinationNode, ...],
) -> DecisionBranch[Any]:
    return DecisionBranch(source=cast("type[Any]", source), matches=matches, path=Path([*items]), destinations=[*nodes])
