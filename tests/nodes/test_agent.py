"""An agent node asks a pydantic-ai agent what its function says, and reports what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput, RunContext, TextOutput, ToolOutput, UsageLimitExceeded
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage, UsageLimits
from pydantic_graph import Graph

from milepost.engine.current import Current, set_current
from milepost.engine.errors import WorkflowError
from milepost.engine.policy import Policy, Retry
from milepost.engine.spec import UNKNOWN, NodeKind
from milepost.engine.trace import Usage
from milepost.engine.typed import StepContext
from milepost.nodes.agent import output_type
from milepost.workflows.builder import WorkflowBuilder
from tests.loops import asyncio_only


class Answer(BaseModel):
    text: str


@dataclass
class Deps:
    name: str


def echo(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """A model that says what it was told, at a known price."""
    asked = " ".join(str(part.content) for part in messages[-1].parts if part.part_kind == "user-prompt")
    usage = RequestUsage(input_tokens=1000, output_tokens=10)
    return ModelResponse(parts=[TextPart(f"heard: {asked}")], usage=usage, provider_name="openai")


def unpriced(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    return ModelResponse(parts=[TextPart("hm")], model_name="nobody-knows")


def by_name(name: str) -> str:
    return name.upper()


def name_of(ctx: StepContext[None, Deps, str]) -> str:
    return ctx.deps.name


async def run(agent: Agent[Any, Any], inputs: str, **options: Any) -> tuple[Any, Usage | None]:
    """Run a workflow of one agent node, and return its output and what it reported."""
    wf = WorkflowBuilder(input_type=str, output_type=str, deps_type=Deps)

    @wf.agent(agent, **options)
    def ask(ctx: StepContext[None, Deps, str]) -> str:
        return f"what is {ctx.inputs}?"

    wf.edge(wf.start_node, ask)
    wf.edge(ask, wf.end_node)
    attempt = Current("run", "ask", "task", 1)
    set_current(attempt)
    graph: Any = wf.build()
    execute: Any = vars(Graph)["run"]
    output = await execute(graph, inputs=inputs, deps=Deps("Ada"))
    return output, attempt.usage


@asyncio_only
@pytest.mark.anyio
async def test_the_function_makes_the_prompt_and_the_agent_the_output() -> None:
    output, usage = await run(Agent(FunctionModel(echo, model_name="gpt-4o")), "this")
    assert output == "heard: what is this?"
    assert usage is not None
    assert (usage.requests, usage.input_tokens, usage.output_tokens) == (1, 1000, 10)
    assert usage.cost == pytest.approx(0.0026)


@asyncio_only
@pytest.mark.anyio
async def test_a_model_without_a_known_price_has_no_cost() -> None:
    _, usage = await run(Agent(FunctionModel(unpriced)), "this")
    assert usage is not None
    assert usage.cost is None


@asyncio_only
@pytest.mark.anyio
async def test_deps_of_the_agent_are_made_from_the_context() -> None:
    agent = Agent(FunctionModel(echo), deps_type=str)

    @agent.instructions
    def greet(ctx: RunContext[str]) -> str:
        seen.append(ctx.deps)
        return "Be kind."

    seen: list[str] = []
    await run(agent, "this", deps=name_of)
    assert seen == ["Ada"]


@asyncio_only
@pytest.mark.anyio
async def test_usage_limits_are_handed_on() -> None:
    with pytest.raises(UsageLimitExceeded):
        await run(Agent(FunctionModel(echo)), "this", usage_limits=UsageLimits(request_limit=0))


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_an_agent_is_not_asked_where_it_cannot_run() -> None:
    with pytest.raises(WorkflowError, match="Node 'ask' asks an agent, and pydantic-ai runs agents on asyncio alone"):
        await run(Agent(FunctionModel(echo)), "this", deps=name_of)


def test_an_agent_whose_deps_nobody_gives_is_refused() -> None:
    wf = WorkflowBuilder(input_type=str, output_type=str)
    with pytest.raises(
        WorkflowError, match=r"The agent of node 'ask' needs deps of type Deps. Say where they come from"
    ):

        @wf.agent(Agent(FunctionModel(echo), deps_type=Deps))
        def ask(ctx: StepContext[None, None, str]) -> str:
            return ctx.inputs


def test_the_node_is_described() -> None:
    wf = WorkflowBuilder(input_type=str, output_type=Answer)

    @wf.agent(Agent(FunctionModel(echo), output_type=Answer), retry=Retry(attempts=2), label="Ask", node_id="asking")
    async def ask(ctx: StepContext[None, None, str]) -> str:
        """Ask the model."""
        return ctx.inputs

    wf.edge(wf.start_node, ask)
    wf.edge(ask, wf.end_node)
    spec = wf.build().specs["asking"]
    assert (spec.kind, spec.input_type, spec.output_type) == (NodeKind.AGENT, str, Answer)
    assert (spec.label, spec.doc, spec.policy) == ("Ask", "Ask the model.", Policy(retry=Retry(attempts=2)))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (str, str),
        ([Answer, str], Answer | str),
        (ToolOutput(Answer), Answer),
        (NativeOutput[Any]([Answer, int]), Answer | int),
        (PromptedOutput(Answer), Answer),
        (TextOutput(by_name), str),
        (by_name, str),
        (None, UNKNOWN),
    ],
)
def test_the_output_type_is_read_from_every_form_of_it(spec: Any, expected: object) -> None:
    assert output_type(spec) == expected
