"""Workflows for the crash kit: some that hold, and some with the faults that it is there to find."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Literal

import anyio
from pydantic import BaseModel, Field

from milepost import Failure, StepContext, Workflow, WorkflowBuilder, append, current, last, reduce_list_append
from milepost.engine.stores.sqlite import SqliteStore
from milepost.testing import CrashReport, Effects, Life


class Claim(BaseModel):
    person: str
    amounts: list[int]


class Notes(BaseModel):
    """seen: in any order."""

    person: str = ""
    rounds: int = 0
    seen: Annotated[list[int], append] = Field(default_factory=list[int])
    newest: Annotated[int, last] = 0


@dataclass(frozen=True)
class Bank:
    """What claims are paid by; it keeps the receipts where they survive."""

    effects: Effects

    def pay(self, amount: int) -> str:
        self.effects.record(f"pay {amount}")
        return f"{amount} paid, receipt {current().idempotency_key}"


CLAIM = Claim(person="Ann", amounts=[3, 700, 12])


def claims() -> Workflow[Notes, Bank, Claim, list[str]]:
    """A loop around a map with a decision, an error edge, a run inside the run, a state and an effect."""
    wf = WorkflowBuilder(name="claims", state_type=Notes, deps_type=Bank, input_type=Claim, output_type=list[str])

    @wf.function
    async def split(ctx: StepContext[Notes, Bank, Claim]) -> list[int]:
        ctx.state.person = ctx.inputs.person
        ctx.state.rounds += 1
        return ctx.inputs.amounts

    @wf.function
    async def check(ctx: StepContext[Notes, Bank, int]) -> int:
        ctx.state.seen.append(ctx.inputs)
        ctx.state.newest = ctx.inputs
        await anyio.lowlevel.checkpoint()
        if ctx.inputs == 12:
            raise ValueError("twelve")
        return ctx.inputs

    @wf.function
    async def excuse(ctx: StepContext[Notes, Bank, Failure[int]]) -> str:
        return f"{ctx.inputs.inputs} is left out: {ctx.inputs.message}"

    @wf.decide
    async def size(ctx: StepContext[Notes, Bank, int]) -> Literal["large", "small"]:
        return "large" if ctx.inputs > 500 else "small"

    pay = wf.subworkflow(payment(), node_id="pay")

    @wf.function
    async def refuse(ctx: StepContext[Notes, Bank, int]) -> str:
        return f"{ctx.inputs} is too much"

    collect = wf.join(reduce_list_append, initial_factory=list[str], node_id="collect")

    @wf.function
    async def tell(ctx: StepContext[Notes, Bank, list[str]]) -> list[str]:
        return sorted(ctx.inputs)

    @wf.decide
    async def done(ctx: StepContext[Notes, Bank, list[str]]) -> bool:
        return ctx.state.rounds == 2

    @wf.function
    async def once_more(ctx: StepContext[Notes, Bank, list[str]]) -> Claim:
        return Claim(person="Ann", amounts=[3, 4])

    wf.edge(wf.start_node, split)
    wf.edge(split, wf.each(check))
    wf.edge(check, excuse, on_error=ValueError)
    wf.edge(check, size)
    wf.edge(size, refuse, when="large")
    wf.edge(size, pay, when="small")
    wf.edge(excuse, collect)
    wf.edge(refuse, collect)
    wf.edge(pay, collect)
    wf.edge(collect, tell)
    wf.edge(tell, done)
    wf.edge(done, wf.end_node, when=True)
    wf.edge(done, once_more, when=False)
    wf.edge(once_more, split)
    return wf.build()


def payment() -> Workflow[None, Bank, int, str]:
    """What a claim is paid by: one effect."""
    wf = WorkflowBuilder(name="payment", deps_type=Bank, input_type=int, output_type=str)

    @wf.function
    async def transfer(ctx: StepContext[None, Bank, int]) -> str:
        return ctx.deps.pay(ctx.inputs)

    @wf.function
    async def confirm(ctx: StepContext[None, Bank, str]) -> str:
        return ctx.inputs

    wf.edge(wf.start_node, transfer)
    wf.edge(transfer, confirm)
    wf.edge(confirm, wf.end_node)
    return wf.build()


workflow = claims()


@asynccontextmanager
async def bank(life: Life) -> AsyncGenerator[Bank]:
    """What one life of the process needs."""
    yield Bank(Effects(life.folder / "effects"))


def assert_paid(effects: Effects, report: CrashReport, *, payments: int) -> None:
    """Check what two runs paid, where one went on after crashes while its branches were side by side.

    A payment that was made and not yet committed is made again, under the same key. payments: of each run.
    """
    paid = effects.of("transfer")
    assert len(set(paid)) == 2 * payments
    assert len(paid) - 2 * payments <= report.again.get("transfer", 0)


def file_of_runs(life: Life) -> SqliteStore:
    """One store for all runs."""
    return SqliteStore(life.folder / "runs.db", durability="process")


# --- faults -----------------------------------------------------------------------------------------------------------

numbers = count(1)


def counting() -> Workflow[None, None, None, list[int]]:
    """A body that depends on how often this process has called it: a resume sees another number."""
    wf = WorkflowBuilder(name="counting", output_type=list[int])

    @wf.function
    async def begin(ctx: StepContext[None, None, None]) -> list[int]:
        return []

    @wf.function
    async def number(ctx: StepContext[None, None, list[int]]) -> list[int]:
        return [*ctx.inputs, next(numbers) % 1000]

    @wf.decide
    async def enough(ctx: StepContext[None, None, list[int]]) -> bool:
        return len(ctx.inputs) == 2

    wf.edge(wf.start_node, begin)
    wf.edge(begin, number)
    wf.edge(number, enough)
    wf.edge(enough, wf.end_node, when=True)
    wf.edge(enough, number, when=False)
    return wf.build()


counted = counting()


def streaming(source: str) -> Workflow[None, None, None, list[int]]:
    """A stream of three items. source: "same" gives them again when it is run again, "new" gives others."""
    wf = WorkflowBuilder(name="streaming", output_type=list[int])

    @wf.stream
    async def items(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
        first = 0 if source == "same" else next(numbers) * 10
        for item in range(first, first + 3):
            yield item

    @wf.function
    async def double(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 2

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, items)
    wf.edge(items, wf.each(double, join=collect))
    wf.edge(double, collect)
    wf.edge(collect, wf.end_node)
    return wf.build()


def paying_once() -> Workflow[None, Bank, int, str]:
    """A payment that may be tried only once, beside something that is committed meanwhile."""
    wf = WorkflowBuilder(name="paying once", deps_type=Bank, input_type=int, output_type=str)

    @wf.function(at_most_once=True)
    async def transfer(ctx: StepContext[None, Bank, int]) -> str:
        return ctx.deps.pay(ctx.inputs)

    wf.edge(wf.start_node, transfer)
    wf.edge(transfer, wf.end_node)
    return wf.build()


once = paying_once()


def hanging() -> Workflow[None, None, None, int]:
    """Its second life waits for ever."""
    wf = WorkflowBuilder(name="hanging", output_type=int)
    begun: list[int] = []

    @wf.function
    async def wait(ctx: StepContext[None, None, None]) -> int:
        begun.append(os.getpid())
        if len(begun) > 1:
            await anyio.sleep_forever()
        return len(begun)

    wf.edge(wf.start_node, wait)
    wf.edge(wait, wf.end_node)
    return wf.build()
