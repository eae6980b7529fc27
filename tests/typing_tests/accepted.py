"""A workflow that both type checkers accept, with what they infer; it also builds."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Literal, assert_type

from pydantic_ai import Agent
from tenacity import stop_after_delay, wait_random

from milepost import (
    BaseNode,
    Cache,
    CircuitBreaker,
    DecideNode,
    Difference,
    End,
    Engine,
    Failure,
    GraphRunContext,
    Join,
    OpenWait,
    Policy,
    Question,
    RateLimit,
    Retry,
    Snapshot,
    Step,
    StepContext,
    TimeUp,
    WaitStep,
    Workflow,
    WorkflowBuilder,
    is_transient,
    reduce_list_append,
    reduce_sum,
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


@wf.function
async def give_up(ctx: StepContext[Claims, Deps, Failure[Analysis]]) -> Verdict:
    assert_type(ctx.inputs.inputs, Analysis)
    assert_type(ctx.inputs.error, str)
    return Verdict(False)


@wf.function
async def excuse(ctx: StepContext[Claims, Deps, Failure[Prepared | Malformed]]) -> Analysis:
    return Analysis(0.0)


@wf.function
def note(ctx: StepContext[Claims, Deps, Failure[object]]) -> Verdict:
    assert_type(ctx.inputs, Failure[object])
    return Verdict(False)


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
wf.edge(analyse, excuse, on_error=TimeoutError)
wf.edge(excuse, collect)
wf.edge(repair, note, on_error=(OSError, ValueError), label="beyond repair")
wf.edge(risk, give_up, on_error=True)
wf.edge(score, give_up, on_error=ValueError)
wf.edge(Review, note, on_error=True)
wf.edge(give_up, wf.end_node)
wf.edge(note, wf.end_node)
wf.add(wf.node(Review), wf.edge_from(ask).label("judged").to(wf.end_node), wf.edge_from(accept).to(wf.end_node))

workflow = wf.build()
assert_type(workflow, Workflow[Claims, Deps, Claim, Verdict])


async def run() -> None:
    assert_type(await workflow.run(inputs=Claim(""), state=Claims(), deps=Deps("")), Verdict)


live = WorkflowBuilder(
    state_type=Claims, deps_type=Deps, input_type=Claim, output_type=int, max_concurrency=8, on_failure="finish"
)
polite = Policy(rate_limit=RateLimit(calls=10, per=60.0), circuit_breaker=CircuitBreaker(failures=3))


@live.stream
async def words(ctx: StepContext[Claims, Deps, Claim]) -> AsyncIterator[str]:
    assert_type(ctx.inputs, Claim)
    yield ctx.inputs.text


assert_type(words, Step[Claims, Deps, Claim, AsyncIterable[str]])


@live.stream(node_id="letters_of", label="Letters", resume="seek", policy=polite, timeout=3.0)
async def letters(ctx: StepContext[Claims, Deps, str]) -> AsyncIterator[bytes]:
    yield ctx.inputs.encode()


assert_type(letters, Step[Claims, Deps, str, AsyncIterable[bytes]])


@live.function(policy=polite, retry=Retry(on=is_transient, stop=stop_after_delay(60), wait=wait_random(1, 3)))
def count(ctx: StepContext[Claims, Deps, bytes]) -> int:
    return len(ctx.inputs)


assert_type(count, Step[Claims, Deps, bytes, int])


@live.decide(at_most_once=True, timeout=None)
def even(ctx: StepContext[Claims, Deps, int]) -> bool:
    return ctx.inputs % 2 == 0


@live.step
async def halve(ctx: StepContext[Claims, Deps, int]) -> int:
    return ctx.inputs // 2


total = live.join(reduce_sum, initial=0, node_id="total")
live.policy(halve, cache=Cache(ttl=3600.0, key=len), total_timeout=60.0)
live.policy(even, timeout=3.0)
live.policy("total_each_letter", policy=Policy())
live.edge(live.start_node, words)
live.edge(words, live.each(letters, max_concurrency=3))
live.edge(letters, live.each(count, join=total, fork_id="total_each_letter", max_concurrency=2))
live.edge(total, even)
live.edge(even, halve, when=True)
live.edge(even, live.end_node, when=False)
live.edge(halve, live.end_node)
assert_type(live.build(), Workflow[Claims, Deps, Claim, int])


def itself() -> Workflow[Claims, Deps, Claim, int]:
    return nest.build()


def as_claim(ctx: StepContext[Claims, Deps, str]) -> Claim:
    return Claim(ctx.inputs)


nest = WorkflowBuilder(state_type=Claims, deps_type=Deps, input_type=Claim, output_type=int)
judged = nest.subworkflow(workflow, node_id="judged", state=lambda ctx: Claims(ctx.state.seen), retry=Retry())
assert_type(judged, Step[Claims, Deps, Claim, Verdict])
again = nest.subworkflow(itself, inputs=as_claim, deps=lambda ctx: Deps(ctx.deps.http), depth=3, label="Again")
assert_type(again, Step[Claims, Deps, str, int])
lived = nest.subworkflow(lambda: live.build(), node_id="lived")
assert_type(lived, Step[Claims, Deps, Claim, int])


@nest.function
def spoken(ctx: StepContext[Claims, Deps, Verdict]) -> str:
    return str(ctx.inputs.ok)


nest.edge(nest.start_node, judged)
nest.edge(judged, spoken)
nest.edge(spoken, again)
nest.edge(again, nest.end_node)
nest.edge(nest.start_node, lived)
nest.edge(lived, nest.end_node)
assert_type(nest.build(), Workflow[Claims, Deps, Claim, int])

small = WorkflowBuilder(input_type=int | None, output_type=list[str])
assert_type(small, WorkflowBuilder[None, None, int | None, list[str]])


def reread(state: Claims) -> Claims:
    return Claims(["reread", *state.seen])


async def go_back(engine: Engine) -> None:
    """Look at a checkpoint, with the workflow and without it, and change what is there."""
    then = await engine.at("claim-17", 3)
    assert_type(then, Snapshot)
    assert_type(then.state, str | None)
    assert_type([task.inputs for task in then.tasks], list[str])
    typed = await engine.at("claim-17", 3, workflow=workflow)
    assert_type(typed.state, Claims)
    assert_type(typed.output, Verdict | None)
    assert_type(await engine.edit_state("claim-17", workflow, Claims()), int)
    await engine.edit_state("claim-17", workflow, reread)
    await engine.edit_state("claim-17", workflow, lambda state: state.seen.clear())
    assert_type(await engine.diff("claim-17", "claim-18"), Difference)


asks = WorkflowBuilder(state_type=Claims, deps_type=Deps, input_type=Claim, output_type=Verdict)


@asks.ask(answer=Literal["yes", "no"], deadline=timedelta(days=3))
async def approve(ctx: StepContext[Claims, Deps, Claim]) -> Question:
    assert_type(ctx.inputs, Claim)
    return Question(text=ctx.inputs.text, choices=("yes", "no"))


assert_type(approve, WaitStep[Claims, Deps, Claim, Literal["yes", "no"], Literal["yes", "no"]])


@asks.ask(
    Risk | None, deadline=lambda ctx: 60.0 if ctx.inputs else 3.0, default=None, label="How risky?", retry=Retry()
)
def how_risky(ctx: StepContext[Claims, Deps, Literal["yes", "no"]]) -> str:
    return ctx.inputs


assert_type(how_risky, WaitStep[Claims, Deps, Literal["yes", "no"], Risk | None, Risk | None])


@asks.ask(answer=Verdict, deadline=datetime(2030, 1, 1, tzinfo=UTC), default=Verdict(False))
def judge_late(ctx: StepContext[Claims, Deps, Failure[Claim]]) -> str:
    assert_type(ctx.inputs, Failure[Claim])
    return ctx.inputs.inputs.text


paid = asks.wait_for("paid", Verdict, key=lambda ctx: ctx.deps.http, early="refuse", deadline=60)
assert_type(paid, WaitStep[Claims, Deps, Any, Verdict, Verdict])
pause = asks.sleep(timedelta(hours=1), node_id="pause")
assert_type(pause, WaitStep[Claims, Deps, Any, Any, TimeUp])


@asks.sleep
def until_seen(ctx: StepContext[Claims, Deps, Verdict]) -> float:
    return float(len(ctx.state.seen))


assert_type(until_seen, WaitStep[Claims, Deps, Verdict, Verdict, TimeUp])


@asks.ask(answer=bool, node_id="sooner")
def sooner(ctx: StepContext[Claims, Deps, Verdict]) -> str:
    return "Is it settled?"


first = asks.race(sooner, asks.wait_for("settled", Verdict), asks.sleep(3600.0))
edge_of_all: Step[Claims, Deps, Verdict, bool | Verdict | TimeUp] = first

unbuilt = WorkflowBuilder(state_type=Claims, deps_type=Deps, input_type=Verdict)


@unbuilt.ask(answer=bool)
def settled(ctx: StepContext[Claims, Deps, Verdict]) -> str:
    return "Is it settled?"


@unbuilt.sleep
def a_while(ctx: StepContext[Claims, Deps, Verdict]) -> timedelta:
    return timedelta(seconds=len(ctx.state.seen))


assert_type(unbuilt.race(settled, a_while), Step[Claims, Deps, Verdict, bool | TimeUp])


@asks.function
def closed(ctx: StepContext[Claims, Deps, bool | TimeUp]) -> Verdict:
    return Verdict(ctx.inputs is True)


asks.edge(asks.start_node, approve)
asks.edge(approve, judge_late, on_timeout=True)
asks.edge(approve, how_risky)
asks.edge(how_risky, paid)
asks.edge(paid, pause)
asks.edge(judge_late, until_seen)
asks.edge(pause, until_seen)
asks.edge(until_seen, first)
asks.edge(first, asks.end_node, when=Verdict)
asks.edge(first, closed, when=bool | TimeUp)
asks.edge(closed, asks.end_node)
asked = asks.build()


async def speak(engine: Engine) -> None:
    """Answer a run and tell it of events, by its handle and by the engine."""
    run = await engine.start(asked, inputs=Claim(""), state=Claims(), deps=Deps(""))
    assert_type(await run.questions(), list[OpenWait])
    assert_type(await run.answer("approve", "yes", by="Ada"), OpenWait)
    assert_type(await run.send("paid", Verdict(True), key="invoice-7", id="hook-1", by="the bank"), bool)
    assert_type(await engine.question(run.id, "approve"), OpenWait)
    assert_type(await engine.waits(kind="event"), list[OpenWait])
    assert_type((await engine.waits(run.id))[0].answered, datetime | None)
