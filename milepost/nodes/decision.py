"""Decide nodes: a function that chooses a label, and so the edge that what came in goes on along."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Never, TypeVar, overload

from pydantic_graph.id_types import NodeID

from milepost.engine.declared import DeclaredStep
from milepost.engine.errors import WorkflowError
from milepost.engine.spec import Choice, NodeKind
from milepost.engine.typed import Decision, DecisionBranch, StepContext
from milepost.nodes.function import Body, Options, as_coroutine

StateT = TypeVar("StateT")
DepsT = TypeVar("DepsT")
ValueT = TypeVar("ValueT")
LabelT = TypeVar("LabelT")


class DecideNode(Decision[StateT, DepsT, ValueT], Generic[StateT, DepsT, ValueT, LabelT]):
    """A node that chooses one of its edges, each of which says for which label it is.

    To type checkers it is a decision, so that no edge without a label can leave it. step: what runs. It is invariant
    in the value and in the label, which is what `_is_invariant` is for: the type of a label that does not exist must
    not make the type of those that do wider.
    """

    step: DeclaredStep[StateT, DepsT, ValueT, Any]

    def __init__(self, step: DeclaredStep[StateT, DepsT, ValueT, Any]) -> None:
        super().__init__(id=NodeID(step.id), branches=[], note=step.label)
        self.step = step

    def branch(self, branch: DecisionBranch[Any]) -> Never:
        """Refuse: the branches of a decide node are its edges."""
        raise WorkflowError(
            f"The decision {self.id!r} has edges, not branches. Use wf.edge({self.id}, ..., when=...) for each label."
        )

    def _is_invariant(self, value: ValueT, label: LabelT) -> tuple[ValueT, LabelT]:
        return value, label


@dataclass(frozen=True, slots=True)
class DecideDecorator(Generic[StateT, DepsT]):
    """Makes a decide node of the function that it decorates."""

    options: Options

    @overload
    def __call__(
        self, function: Callable[[StepContext[StateT, DepsT, ValueT]], Awaitable[LabelT]], /
    ) -> DecideNode[StateT, DepsT, ValueT, LabelT]: ...

    @overload
    def __call__(
        self, function: Callable[[StepContext[StateT, DepsT, ValueT]], LabelT], /
    ) -> DecideNode[StateT, DepsT, ValueT, LabelT]: ...

    def __call__(self, function: Body, /) -> Any:
        name = self.options.id_for(function)
        choose = as_coroutine(name, function)

        async def call(ctx: StepContext[Any, Any, Any]) -> Choice:
            return Choice(await choose(ctx), ctx.inputs)

        declared = self.options.declare(NodeKind.DECISION, function)
        node: DecideNode[Any, Any, Any, Any] = DecideNode(DeclaredStep(id=name, call=call, declared=declared))
        self.options.announce(node)
        return node
