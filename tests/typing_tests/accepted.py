"""A workflow that both type checkers accept, with what they infer; it also builds."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, assert_type

from pydantic_ai import Agent

from milepost import (
    BaseNode,
    DecideNode,
    End,
    GraphRunContext,
    Join,
    Retry,
    Step,
    StepContext,
    Workflow,
    WorkflowBuilder,
    reduce_list_append,
)


@dataclass
class Claims:
    seen: list[str] = field(default_factory=list[str])


@dataclass
class Deps:
    http: str


@dataclass
class Claim:
    text: str


@dataclass
class Prepared:
    text: str


@dataclass
class Malformed:
    why: str


@dataclass
class Analysis:
    value: float


@dataclass
class Verdict:
    ok: bool


class Risk(Enum):
    HIGH = "high"
    LOW = "low"


@asynccontextmanager
async def open_deps() -> AsyncGenerator[Deps]:
    yield Deps("http")


analyst = Agent("test", deps_type=str, output_type=Analysis)
judge = Agent("test", output_type=Verdict)

wf = WorkflowBuilder(
    name="claims", state_type=Claims, deps_type=Deps, input_type=Claim, output_type=Verdict, deps=open_deps
)
assert_type(wf, WorkflowBuilder[Claims, Deps, Claim, Verdict])

Ctx = StepContext[Claims, Deps, Analysis]


@wf.function
def parse(context: StepContext[Claims, Deps, Claim]) -> Prepared | Malformed:
    assert_type(context.inputs, Claim)
    assert_type(context.state, Claims)
    assert_type(context.deps, Deps)
    return Prepared(context.inputs.text)


assert_type(parse, Step[Claims, Deps, Claim, Prepared | Malformed])


@wf.function(retry=Retry(attempts=3), timeout=10.0)
async def repair(ctx: StepContext[Claims, Deps, Malformed]) -> Prepared:
    return Prepared(ctx.inputs.why)


assert_type(repair, Step[Claims, Deps, Malformed, Prepared])


@wf.function(thread=True)
def split(ctx: StepContext[Claims, Deps, Prepared]) -> list[Prepared]:
    return [ctx.inputs]


@wf.agent(analyst, deps=lambda ctx: ctx.deps.http)
def analyse(ctx: StepContext[Claims, Deps, Prepared]) -> str:
    return f"Assess: {ctx.inputs.text}"


assert_type(analyse, Step[Claims, Deps, Prepared, Analysis])

collect = wf.join(reduce_list_append, initial_factory=list[Analysis], node_id="collect")
assert_type(collect, Join[Claims, Deps, Analysis, list[Analysis]])


@wf.function
async def worst(ctx: StepContext[Claims, Deps, list[Analysis]]) -> Analysis:
    return min(ctx.inputs, key=lambda analysis: analysis.value)


@wf.decide
async def triage(ctx: Ctx) -> Literal["high", "normal"]:
    return "high"


assert_type(triage, DecideNode[Claims, Deps, Analysis, Literal["high", "normal"]])


@wf.decide(label="Risk?")
def risk(ctx: Ctx) -> Risk:
    return Risk.HIGH


@wf.decide
def sure(ctx: Ctx) -> bool:
    return True


@wf.function
def score(ctx: Ctx) -> Analysis:
    return ctx.inputs


@wf.agent(judge)
async def ask(ctx: Ctx) -> str:
    return str(ctx.inputs.value)


assert_type(ask, Step[Claims, Deps, Analysis, Verdict])


@wf.step
async def accept(ctx: Ctx) -> Verdict:
    return Verdict(True)


@dataclass
class Review(BaseNode[Claims, Deps, Verdict]):
    value: float

    async def run(self, ctx: GraphRunContext[Claims, Deps]) -> End[Verdict]:
        return End(Verdict(self.value > 0))


@wf.function
def review(ctx: Ctx) -> Review:
    return Review(ctx.inputs.value)


wf.edge(wf.start_node, parse, label="a claim comes in")
wf.edge(parse, repair, when=Malformed)
wf.edge(parse, split, when=Prepared)
wf.edge(repair, split)
wf.edge(split, wf.each(analyse, join=collect))
wf.edge(collect, worst)
wf.edge(worst, triage)
wf.edge(triage, risk, when="high")
wf.edge(triage, sure, when="normal", label="nothing special")
wf.edge(risk, ask, when=Risk.HIGH)
wf.edge(risk, score, otherwise=True)
wf.edge(sure, accept, when=True)
wf.edge(sure, review, when=False)
wf.edge(score, ask, when=lambda analysis: analysis.value < 0.3, label="score < 0.3")
wf.edge(score, accept, otherwise=True)
wf.edge(review, Review)
wf.add(wf.node(Review), wf.edge_from(ask).label("judged").to(wf.end_node), wf.edge_from(accept).to(wf.end_node))

workflow = wf.build()
assert_type(workflow, Workflow[Claims, Deps, Claim, Verdict])


async def run() -> None:
    assert_type(await workflow.run(inputs=Claim(""), state=Claims(), deps=Deps("")), Verdict)


small = WorkflowBuilder(input_type=int | None, output_type=list[str])
assert_type(small, WorkflowBuilder[None, None, int | None, list[str]])
