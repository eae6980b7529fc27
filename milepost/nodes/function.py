"""Function nodes: a function of the author's, synchronous or not, as a step of a graph."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

from milepost.engine.declared import Declaration, DeclaredStep
from milepost.engine.errors import WorkflowError
from milepost.engine.hints import Names, plain_function
from milepost.engine.policy import PolicyOptions, policy_of
from milepost.engine.spec import NodeKind
from milepost.engine.typed import Step, StepContext

StateT = TypeVar("StateT")
DepsT = TypeVar("DepsT")
InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")

Body = Callable[[Any], object]
"""A function that takes a step context; what it returns may have to be awaited."""

Coroutine = Callable[[StepContext[Any, Any, Any]], Awaitable[Any]]
"""A function that takes a step context and has to be awaited."""


def ignore(node: object) -> None:
    """Take no notice of a node."""


def nothing(ctx: Any) -> object:
    """Stand for the function of a node that has none of its own."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be said of every node of a function.

    policy: as its author gave it, and not yet examined. names: the local names that its author could see. announce: is
    told of the node that was made.
    """

    node_id: str | None = None
    label: str | None = None
    policy: PolicyOptions = field(default_factory=PolicyOptions)
    names: Names = field(default_factory=dict[str, object])
    announce: Callable[[Any], None] = ignore

    def id_for(self, function: Body) -> str:
        """Return the node's id: the given one, else the function's name."""
        return self.node_id or name_of_function(function)

    def declare(self, kind: NodeKind, function: Body, **more: Any) -> Declaration:
        """Return what is known of a node where it is declared. Raises WorkflowError: its policy cannot work."""
        policy = policy_of(self.policy, self.id_for(function))
        return Declaration(kind=kind, function=function, names=self.names, label=self.label, policy=policy, **more)


@dataclass(frozen=True, slots=True)
class FunctionDecorator(Generic[StateT, DepsT]):
    """Makes a step of the function that it decorates."""

    options: Options
    thread: bool = False

    @overload
    def __call__(
        self, function: Callable[[StepContext[StateT, DepsT, InputT]], Awaitable[OutputT]], /
    ) -> Step[StateT, DepsT, InputT, OutputT]: ...

    @overload
    def __call__(
        self, function: Callable[[StepContext[StateT, DepsT, InputT]], OutputT], /
    ) -> Step[StateT, DepsT, InputT, OutputT]: ...

    def __call__(self, function: Body, /) -> Any:
        name = self.options.id_for(function)
        call = in_thread(name, function) if self.thread else as_coroutine(name, function)
        declared = self.options.declare(NodeKind.FUNCTION, function, thread=self.thread)
        step = DeclaredStep(id=name, call=call, declared=declared)
        self.options.announce(step)
        return step


def applied(decorator: Callable[[Any], Any], function: Body | None) -> Any:
    """Return a decorator, or what it makes of a function that was given without options."""
    return decorator if function is None else decorator(function)


def name_of_function(function: Body) -> str:
    """Return the name that a function was written under.

    Raises WorkflowError: it has none, so that the node needs an id.
    """
    name: str = getattr(plain_function(function), "__name__", "")
    if name in ("", "<lambda>", "__call__"):
        raise WorkflowError(f"{function!r} has no name of its own to be the id of its node. Give one with node_id=.")
    return name


def as_coroutine(name: str, function: Body) -> Coroutine:
    """Return a function that can always be awaited.

    A coroutine function is returned as it is. Raises WorkflowError: it yields, which a function node cannot.
    """
    plain = plain_function(function)
    if inspect.isasyncgenfunction(plain) or inspect.isgeneratorfunction(plain):
        raise WorkflowError(f"Function {name!r} yields. Use @wf.stream with an asynchronous one, or return a list.")
    if inspect.iscoroutinefunction(function):
        return function

    async def call(ctx: StepContext[Any, Any, Any]) -> Any:
        result = function(ctx)
        return await result if inspect.isawaitable(result) else result

    return call


def in_thread(name: str, function: Body) -> Coroutine:
    """Return a function that carries out a synchronous one in a worker thread.

    Raises WorkflowError: it is asynchronous, and belongs to the event loop.
    """
    if inspect.iscoroutinefunction(plain_function(function)):
        raise WorkflowError(f"Function {name!r} is asynchronous and cannot run in a thread. Remove thread=True.")
    as_coroutine(name, function)

    async def call(ctx: StepContext[Any, Any, Any]) -> Any:
        from anyio import to_thread

        return await to_thread.run_sync(function, ctx)

    return call
