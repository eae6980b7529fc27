"""What is known about each node of a workflow, and how the choice of a decide node travels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, Protocol

from milepost.engine.policy import Policy

UNKNOWN: Final = Any
"""The type of a value whose author declared none."""


NO_POLICY: Final = Policy()
"""One attempt, without a limit of time."""

Resume = Literal["skip", "seek"]


class NodeKind(StrEnum):
    """What a node of the compiled graph does."""

    START = "start"
    END = "end"
    FUNCTION = "function"
    AGENT = "agent"
    DECISION = "decision"
    MAP = "map"
    BROADCAST = "broadcast"
    JOIN = "join"
    WORKFLOW = "workflow"
    ASK = "ask"
    WAIT = "wait"
    SLEEP = "sleep"
    RACE = "race"


NO_DEFAULT: Final = object()
"""Stands for a value that was not given; None is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One thing that a node waits for, as far as that is known before it does.

    kind: an answer, an event or a time. type: of the answer, or of what the event carries. default: what flows on when
    the deadline passes before, `NO_DEFAULT` to fail then. event: its name. keeps: an event that comes before anything
    waits for it is kept, instead of being refused.
    """

    kind: Literal["ask", "event", "time"]
    type: object = UNKNOWN
    default: object = NO_DEFAULT
    event: str = ""
    keeps: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """The workflow that a node runs.

    given: what its author gave, the workflow itself or a function that returns it. find: returns the workflow, the same
    every time; it need not be there yet when the node is declared. depth: how many workflows may be inside one another,
    when this node is the outermost of them.
    """

    given: object
    find: Callable[[], Any]
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """What the checker, the executor and the renderers know about one node of the compiled graph.

    input_type, output_type: type expressions, `UNKNOWN` when nobody declared them; for a decide node the output is the
    type of its label, for a stream of one item. generated: the id was not given by the author. stream: the node yields
    items. thread: a synchronous function that was declared to run in a worker thread. resume: how a stream gets past
    the items that are committed when it is resumed: "skip", its body gives them again and their hashes are compared;
    "seek", its body asks how many were taken and goes on from there. unresolved: what could not be found in the
    annotations that say what flows through the node, a sentence each. child: the workflow that the node runs. expects:
    what the node waits for, the first of several.
    """

    id: str
    kind: NodeKind
    input_type: object = UNKNOWN
    output_type: object = UNKNOWN
    label: str | None = None
    doc: str = ""
    policy: Policy = NO_POLICY
    generated: bool = False
    stream: bool = False
    thread: bool = False
    resume: Resume = "skip"
    unresolved: tuple[str, ...] = ()
    child: Child | None = None
    expects: tuple[Expected, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """What the step of a decide node returns: the label it chose, and the value that came in and flows on."""

    label: object
    value: object


@dataclass(frozen=True, slots=True)
class LabelIs:
    """The condition of a branch that leaves a decide node.

    A label matches one of the same type that is equal, so that `True`, `1` and an `IntEnum` member of 1 stay apart.

    >>> LabelIs(True)(Choice(1, "what came in"))
    False
    """

    label: object

    def __call__(self, choice: Choice) -> bool:
        return type(choice.label) is type(self.label) and choice.label == self.label


class HasInputs(Protocol):
    """The part of a step context that a transform of ours reads."""

    @property
    def inputs(self) -> Any: ...


def unwrap_choice(ctx: HasInputs) -> object:
    """Return the value that flows on: the transform at the head of every branch that leaves a decide node."""
    return ctx.inputs.value
