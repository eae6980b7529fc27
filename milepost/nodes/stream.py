"""Stream nodes: an asynchronous generator as a step of a graph; every item is committed when it is given."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args

from milepost.engine.declared import DeclaredStep
from milepost.engine.errors import WorkflowError
from milepost.engine.findings import did_you_mean
from milepost.engine.hints import plain_function
from milepost.engine.spec import NodeKind, Resume
from milepost.engine.typed import Step, StepContext
from milepost.nodes.function import Body, Options

StateT = TypeVar("StateT")
DepsT = TypeVar("DepsT")
InputT = TypeVar("InputT")
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class StreamDecorator(Generic[StateT, DepsT]):
    """Makes a step that gives a stream, of the function that it decorates. resume: see `NodeSpec`."""

    options: Options
    resume: Resume = "skip"

    def __call__(
        self, function: Callable[[StepContext[StateT, DepsT, InputT]], AsyncIterator[ItemT]], /
    ) -> Step[StateT, DepsT, InputT, AsyncIterable[ItemT]]:
        name = self.options.id_for(function)
        check_stream(name, function)
        if self.resume not in get_args(Resume):
            guess = did_you_mean(self.resume, get_args(Resume))
            raise WorkflowError(f"Node {name!r}: resume={self.resume!r} is not known.{guess} Give 'skip' or 'seek'.")

        async def call(ctx: StepContext[StateT, DepsT, InputT]) -> AsyncIterable[ItemT]:
            return function(ctx)

        declared = self.options.declare(NodeKind.FUNCTION, function, stream=True, resume=self.resume)
        step = DeclaredStep(id=name, call=call, declared=declared)
        self.options.announce(step)
        return step


def check_stream(name: str, function: Body) -> None:
    """Refuse a function that does not give an asynchronous stream. Raises WorkflowError."""
    plain: Any = plain_function(function)
    if inspect.isgeneratorfunction(plain):
        raise WorkflowError(f"Stream {name!r} is not asynchronous. Write `async def`, or return a list instead.")
    if inspect.iscoroutinefunction(plain):
        raise WorkflowError(f"Stream {name!r} yields nothing. Yield its items, or use @wf.function.")
