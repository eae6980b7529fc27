"""What comes from outside decides or cancels: patterns 16, 19, 20 and 25 to 27 of van der Aalst and others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

import pytest

from milepost import ReduceFirstValue, ReducerContext, StepContext, Workflow, WorkflowBuilder, reduce_list_append
from milepost.engine.journal import Kind
from tests.patterns.harness import Way, every_way
from tests.patterns.life import Life

pytestmark = pytest.mark.anyio

CUSTOMERS = ["ann", "bob", "eve"]


class Happened(Enum):
    REPLY = "reply"
    DEADLINE = "deadline"


def deferred_choice() -> Workflow[None, Life, str, str]:
    """16, Deferred Choice: the first thing that happens outside chooses the branch; the others are withdrawn."""
    wf = WorkflowBuilder(name="deferred choice", deps_type=Life, input_type=str, output_type=str)

    @wf.function
    async def reply(ctx: StepContext[None, Life, str]) -> Happened:
        await ctx.deps.outside()
        return Happened.REPLY

    @wf.function
    async def deadline(ctx: StepContext[None, Life, str]) -> Happened:
        await ctx.deps.outside()
        return Happened.DEADLINE

    @wf.decide
    async def which(ctx: StepContext[None, Life, Happened]) -> Happened:
        return ctx.inputs

    @wf.function
    async def proceed(ctx: StepContext[None, Life, Happened]) -> str:
        await ctx.deps.work()
        return f"proceeded after {ctx.inputs.value}"

    @wf.function
    async def remind(ctx: StepContext[None, Life, Happened]) -> str:
        await ctx.deps.work()
        return f"reminded after {ctx.inputs.value}"

    first = wf.join(ReduceFirstValue[Happened](), initial=Happened.DEADLINE, node_id="first")
    wf.edge(wf.start_node, reply)
    wf.edge(wf.start_node, deadline)
    wf.edge(reply, first)
    wf.edge(deadline, first)
    wf.edge(first, which)
    wf.edge(which, proceed, when=Happened.REPLY)
    wf.edge(which, remind, when=Happened.DEADLINE)
    wf.edge(proceed, wf.end_node)
    wf.edge(remind, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_16_deferred_choice(way: Way) -> None:
    for found in await way.of(deferred_choice(), "offer"):
        if found.order == ["reply", "which", "proceed"]:
            assert found.output == "proceeded after reply"
            assert found.withdrawn == {"deadline": 1}
        else:
            assert found.order == ["deadline", "which", "remind"]
            assert found.output == "reminded after deadline"
            assert found.withdrawn == {"reply": 1}


def cancel_activity() -> Workflow[None, Life, str, list[str]]:
    """19, Cancel Activity: one activity is withdrawn, before it has begun or while it runs; the rest goes on."""
    wf = WorkflowBuilder(name="cancel activity", deps_type=Life, input_type=str, output_type=list[str])

    @wf.function
    async def offer(ctx: StepContext[None, Life, str]) -> str:
        return ctx.inputs

    @wf.function
    async def negotiate(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return "agreed"

    @wf.function
    async def withdrawal(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.outside()
        return "withdrawn"

    @wf.function
    async def produce(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return "produced"

    settled = wf.join(ReduceFirstValue[str](), initial="", node_id="settled", preferred_parent_fork="closest")
    everything = wf.join(reduce_list_append, initial_factory=list[str], node_id="everything")
    wf.edge(wf.start_node, produce)
    wf.edge(wf.start_node, offer)
    wf.edge(offer, negotiate)
    wf.edge(offer, withdrawal)
    wf.edge(negotiate, settled)
    wf.edge(withdrawal, settled)
    wf.edge(settled, everything)
    wf.edge(produce, everything)
    wf.edge(everything, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_19_cancel_activity(way: Way) -> None:
    other = {"agreed": "withdrawal", "withdrawn": "negotiate"}
    for found in await way.of(cancel_activity(), "house"):
        (outcome,) = set(found.output) - {"produced"}
        assert "produced" in found.output
        assert found.withdrawn == {other[outcome]: 1}
        assert found.completed["produce"] == 1


def cancel_case() -> Workflow[None, Life, str, list[str]]:
    """20, Cancel Case: the whole run is cancelled from outside, with `run.cancel()`. What is committed stays."""
    wf = WorkflowBuilder(name="cancel case", deps_type=Life, input_type=str, output_type=list[str])

    @wf.function
    async def payment(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.outside()
        return "paid"

    @wf.function
    async def pack(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return ctx.inputs

    @wf.function
    async def ship(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"shipped {ctx.inputs}"

    both = wf.join(reduce_list_append, initial_factory=list[str], node_id="both")
    wf.edge(wf.start_node, payment)
    wf.edge(wf.start_node, pack)
    wf.edge(pack, ship)
    wf.edge(payment, both)
    wf.edge(ship, both)
    wf.edge(both, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_20_cancel_case(way: Way) -> None:
    for found in await way.of(cancel_case(), "book", cancelled=True):
        if found.status == "cancelled":
            assert found.records[-1].kind is Kind.CANCELLED
            assert found.completed + found.withdrawn <= Counter(["payment", "pack", "ship"])
            assert found.completed < Counter(["payment", "pack", "ship"])
        else:
            assert sorted(found.output) == ["paid", "shipped book"]
            assert not found.withdrawn


def cancel_region() -> Workflow[None, Life, str, list[str]]:
    """25, Cancel Region: some activities, which need not follow each other, are withdrawn together.

    The region is all that lies between `plan` and `over`.
    """
    wf = WorkflowBuilder(name="cancel region", deps_type=Life, input_type=str, output_type=list[str])

    @wf.function
    async def plan(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return ctx.inputs

    @wf.function
    async def find_flight(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"flight to {ctx.inputs}"

    @wf.function
    async def buy_ticket(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"ticket for {ctx.inputs}"

    @wf.function
    async def find_hotel(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"hotel in {ctx.inputs}"

    @wf.function
    async def called_off(ctx: StepContext[None, Life, str]) -> list[str]:
        await ctx.deps.outside()
        return ["stay at home"]

    @wf.function
    async def insure(ctx: StepContext[None, Life, str]) -> list[str]:
        await ctx.deps.work()
        return ["insurance"]

    booked = wf.join(reduce_list_append, initial_factory=list[str], node_id="booked", preferred_parent_fork="closest")
    over = wf.join(
        ReduceFirstValue[list[str]](), initial_factory=list[str], node_id="over", preferred_parent_fork="closest"
    )
    everything = wf.join(reduce_list_append, initial_factory=list[list[str]], node_id="everything")

    @wf.function
    async def list_all(ctx: StepContext[None, Life, list[list[str]]]) -> list[str]:
        return sorted(line for lines in ctx.inputs for line in lines)

    wf.edge(wf.start_node, plan)
    wf.edge(wf.start_node, insure)
    wf.edge(plan, find_flight)
    wf.edge(plan, find_hotel)
    wf.edge(plan, called_off)
    wf.edge(find_flight, buy_ticket)
    wf.edge(buy_ticket, booked)
    wf.edge(find_hotel, booked)
    wf.edge(booked, over)
    wf.edge(called_off, over)
    wf.edge(over, everything)
    wf.edge(insure, everything)
    wf.edge(everything, list_all)
    wf.edge(list_all, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_25_cancel_region(way: Way) -> None:
    region = Counter(["find_flight", "buy_ticket", "find_hotel"])
    for found in await way.of(cancel_region(), "Rome"):
        if "stay at home" in found.output:
            assert found.output == ["insurance", "stay at home"]
            assert found.completed & region < region
            under_way = region - found.completed
            assert found.withdrawn in (under_way, under_way - Counter(["buy_ticket"]))
        else:
            assert found.output == ["hotel in Rome", "insurance", "ticket for flight to Rome"]
            assert found.withdrawn == {"called_off": 1}
        assert found.completed["insure"] == 1


@dataclass(frozen=True)
class Stopped:
    reason: str


def cancel_instances() -> Workflow[None, Life, list[str], str]:
    """26, Cancel Multiple Instance Activity: the instances that have not ended are withdrawn.

    What follows when all of them end does not come to pass.
    """
    wf = WorkflowBuilder(name="cancel instances", deps_type=Life, input_type=list[str], output_type=str)

    @wf.function
    async def invite(ctx: StepContext[None, Life, list[str]]) -> list[str]:
        return ctx.inputs

    @wf.function
    async def ask(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"{ctx.inputs} is content"

    @wf.function
    async def stop(ctx: StepContext[None, Life, list[str]]) -> Stopped:
        await ctx.deps.outside()
        return Stopped("no budget")

    @wf.function
    async def evaluate(ctx: StepContext[None, Life, list[str]]) -> str:
        await ctx.deps.work()
        return ", ".join(sorted(ctx.inputs))

    @wf.function
    async def close(ctx: StepContext[None, Life, Stopped]) -> str:
        await ctx.deps.work()
        return f"closed: {ctx.inputs.reason}"

    answers = wf.join(reduce_list_append, initial_factory=list[str], node_id="answers")
    over = wf.join(ReduceFirstValue[list[str] | Stopped](), initial_factory=list[str], node_id="over")
    wf.edge(wf.start_node, invite)
    wf.edge(wf.start_node, stop)
    wf.edge(invite, wf.each(ask, join=answers))
    wf.edge(answers, over)
    wf.edge(stop, over)
    wf.edge(over, evaluate, when=list[str])
    wf.edge(over, close, when=Stopped)
    wf.edge(evaluate, wf.end_node)
    wf.edge(close, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_26_cancel_multiple_instance_activity(way: Way) -> None:
    for found in await way.of(cancel_instances(), CUSTOMERS):
        if found.completed["stop"]:
            assert found.output == "closed: no budget"
            assert found.completed["evaluate"] == 0
        else:
            assert found.output == "ann is content, bob is content, eve is content"
            assert found.withdrawn == {"stop": 1}
        assert found.completed["ask"] + found.withdrawn["ask"] == len(CUSTOMERS) * found.completed["invite"]


@dataclass(frozen=True)
class Closed:
    pass


def gather(ctx: ReducerContext[object, object], current: list[str], item: str | Closed) -> list[str]:
    """Collect what comes, until everybody has answered or somebody has had enough."""
    if isinstance(item, str):
        current.append(item)
    if isinstance(item, Closed) or len(current) == len(CUSTOMERS):
        ctx.cancel_sibling_tasks()
    return current


def complete_instances() -> Workflow[None, Life, list[str], list[str]]:
    """27, Complete Multiple Instance Activity: the instances that have not ended are withdrawn, and the run goes on.

    What follows gets what the others have given.
    """
    wf = WorkflowBuilder(name="complete instances", deps_type=Life, input_type=list[str], output_type=list[str])

    @wf.function
    async def invite(ctx: StepContext[None, Life, list[str]]) -> list[str]:
        return ctx.inputs

    @wf.function
    async def ask(ctx: StepContext[None, Life, str]) -> str:
        await ctx.deps.work()
        return f"{ctx.inputs} is content"

    @wf.function
    async def enough(ctx: StepContext[None, Life, list[str]]) -> Closed:
        await ctx.deps.outside()
        return Closed()

    @wf.function
    async def evaluate(ctx: StepContext[None, Life, list[str]]) -> list[str]:
        await ctx.deps.work()
        return sorted(ctx.inputs)

    answers = wf.join(gather, initial_factory=list[str], node_id="answers")
    wf.edge(wf.start_node, invite)
    wf.edge(wf.start_node, enough)
    wf.edge(invite, wf.each(ask))
    wf.edge(ask, answers)
    wf.edge(enough, answers)
    wf.edge(answers, evaluate)
    wf.edge(evaluate, wf.end_node)
    return wf.build()


@every_way
async def test_pattern_27_complete_multiple_instance_activity(way: Way) -> None:
    for found in await way.of(complete_instances(), CUSTOMERS):
        assert set(found.output) <= {f"{name} is content" for name in CUSTOMERS}
        assert len(found.output) == found.completed["ask"]
        assert found.order[-1] == "evaluate"
        asked = len(CUSTOMERS) * found.completed["invite"]
        assert found.completed["ask"] + found.withdrawn["ask"] == asked
        assert found.completed["enough"] or found.completed["ask"] == asked
