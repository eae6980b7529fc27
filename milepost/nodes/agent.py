"""Agent nodes: a pydantic-ai agent as a step of a graph; the decorated function makes its prompt."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from milepost.engine import current
from milepost.engine.assignability import union_of
from milepost.engine.declared import DeclaredStep
from milepost.engine.errors import WorkflowError
from milepost.engine.hints import read_hints
from milepost.engine.spec import UNKNOWN, NodeKind
from milepost.engine.trace import Usage
from milepost.engine.typed import Step, StepContext
from milepost.nodes.function import Options, as_coroutine

if TYPE_CHECKING:
    from pydantic_ai import AgentRunResult, UsageLimits, UserContent
    from pydantic_ai.agent import AbstractAgent

StateT = TypeVar("StateT")
DepsT = TypeVar("DepsT")
InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")
"""Of the node; for the rest of an agent only `Any` will do, because its own types come from an optional package."""


@dataclass(frozen=True, slots=True)
class AgentDecorator(Generic[StateT, DepsT, OutputT]):
    """Makes a step that asks an agent, of the function that makes the prompt."""

    agent: AbstractAgent[Any, OutputT]
    deps: Callable[[StepContext[StateT, DepsT, Any]], object] | None
    usage_limits: UsageLimits | None
    options: Options

    def __call__(
        self,
        function: Callable[
            [StepContext[StateT, DepsT, InputT]],
            str | Sequence[UserContent] | Awaitable[str | Sequence[UserContent]],
        ],
        /,
    ) -> Step[StateT, DepsT, InputT, OutputT]:
        name = self.options.id_for(function)
        needs_deps(name, self.agent, self.deps)
        ask = as_coroutine(name, function)
        agent, make_deps, limits = self.agent, self.deps, self.usage_limits

        async def call(ctx: StepContext[StateT, DepsT, InputT]) -> OutputT:
            need_asyncio(name)
            prompt = await ask(ctx)
            deps: Any = make_deps(ctx) if make_deps else None
            result = await agent.run(prompt, deps=deps, usage_limits=limits, infer_name=False)
            current.report_usage(usage_of(result))
            return result.output

        declared = self.options.declare(NodeKind.AGENT, function, output_type=output_type(self.agent.output_type))
        step = DeclaredStep(id=name, call=call, declared=declared)
        self.options.announce(step)
        return step


def need_asyncio(name: str) -> None:
    """Refuse to ask an agent on an event loop that pydantic-ai cannot use. Raises WorkflowError."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise WorkflowError(
            f"Node {name!r} asks an agent, and pydantic-ai runs agents on asyncio alone. Run the workflow there."
        ) from None


def needs_deps(name: str, agent: AbstractAgent[Any, Any], deps: object) -> None:
    """Refuse an agent whose dependencies nobody gives."""
    wanted = getattr(agent, "deps_type", object)
    if deps is None and wanted not in (object, NoneType, None, Any):
        title = getattr(wanted, "__name__", repr(wanted))
        raise WorkflowError(
            f"The agent of node {name!r} needs deps of type {title}. "
            "Say where they come from, e.g. deps=lambda ctx: ctx.deps."
        )


def output_type(spec: Any) -> object:
    """Return the type of what an agent returns.

    spec: its `output_type`: a type, a function that makes the output, a marker around those, or a list of them.
    """
    if type(spec) in (list, tuple):
        return union_of([output_type(part) for part in spec])
    for inner in ("output", "outputs", "output_function"):  # ToolOutput, NativeOutput and PromptedOutput, TextOutput
        if hasattr(spec, inner) and type(spec).__module__.startswith("pydantic_ai."):
            return output_type(getattr(spec, inner))
    if inspect.isfunction(spec) or inspect.ismethod(spec):
        return read_hints(spec).output_type
    return UNKNOWN if spec is None else spec


def usage_of(result: AgentRunResult[Any]) -> Usage:
    """Return what a finished agent run cost."""
    usage = result.usage
    return Usage(
        requests=usage.requests,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost=cost_of(result),
    )


def cost_of(result: AgentRunResult[Any]) -> float | None:
    """Return the price of a run in US dollars, None when a model in it has no known price."""
    from pydantic_ai.messages import ModelResponse

    total = 0.0
    for message in result.new_messages():
        if isinstance(message, ModelResponse):
            try:
                total += float(message.cost().total_price)
            except (LookupError, ValueError, AssertionError):  # no price is known for this model or provider
                return None
    return total
