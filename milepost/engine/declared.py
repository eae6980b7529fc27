"""DeclaredStep: a step that remembers what its author declared about it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from pydantic_graph.id_types import NodeID

from milepost.engine.assignability import item_type
from milepost.engine.hints import RETURN, Hints, Names, read_hints, unresolved_hint
from milepost.engine.policy import Policy
from milepost.engine.spec import NO_POLICY, UNKNOWN, NodeKind, NodeSpec, Resume
from milepost.engine.typed import Step, StepContext, StepFunction

StateT = TypeVar("StateT")
DepsT = TypeVar("DepsT")
InputT = TypeVar("InputT", contravariant=True)
OutputT = TypeVar("OutputT", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What was said where a node was declared.

    function: the author's own, whose hints and docstring describe the node. names: the local names its author could
    see. output_type: when something else than the function decides it, e.g. an agent.
    """

    kind: NodeKind
    function: Callable[..., object]
    names: Names = field(default_factory=dict[str, object])
    output_type: object = UNKNOWN
    label: str | None = None
    policy: Policy = NO_POLICY
    stream: bool = False
    thread: bool = False
    resume: Resume = "skip"
    generated: bool = False

    def hints(self, later: Names | None = None) -> Hints:
        """Read the hints. later: names that can be seen now, for those that were not yet bound at the declaration."""
        return read_hints(self.function, dict(later or {}) | dict(self.names))

    def spec(self, node_id: str, hints: Hints) -> NodeSpec:
        """Return the node's description."""
        output = self.output_type if self.output_type is not UNKNOWN else hints.output_type
        return NodeSpec(
            id=node_id,
            kind=self.kind,
            input_type=hints.input_type,
            output_type=item_type(output) if self.stream else output,
            label=self.label,
            doc=inspect.getdoc(self.function) or "",
            policy=self.policy,
            generated=self.generated,
            stream=self.stream,
            thread=self.thread,
            resume=self.resume,
            unresolved=tuple(self.unresolved(node_id, hints)),
        )

    def unresolved(self, node_id: str, hints: Hints) -> Iterator[str]:
        """Yield a sentence for each annotation that says what flows through the node and could not be resolved."""
        for name, reason in hints.missing.items():
            if name == hints.context or (name == RETURN and self.output_type is UNKNOWN):
                yield unresolved_hint(f"node {node_id!r}", name, reason)


class DeclaredStep(Step[StateT, DepsT, InputT, OutputT]):
    """A step made by a WorkflowBuilder.

    hints: resolved where the step was declared; names that were not bound yet are looked for again at build.
    """

    declared: Declaration
    hints: Hints

    def __init__(
        self,
        *,
        id: str,
        call: Callable[[StepContext[StateT, DepsT, InputT]], Awaitable[OutputT]],
        declared: Declaration,
    ) -> None:
        function = cast(StepFunction[StateT, DepsT, InputT, OutputT], call)  # is only ever called by position
        super().__init__(id=NodeID(id), call=function, label=declared.label)
        self.hints = declared.hints()
        self.declared = declared if self.hints.missing else replace(declared, names={})  # the rest need not be kept

    def spec(self, later: Names | None = None) -> NodeSpec:
        """Return the node's description. later: names that can be seen now, see `Declaration.hints`."""
        hints = self.declared.hints(later) if self.hints.missing else self.hints
        return self.declared.spec(self.id, hints)


AnyDeclaredStep = DeclaredStep[Any, Any, Any, Any]
