"""A workflow that asks, waits for an event and sleeps, for the tests of the commands that have to do with that."""

from __future__ import annotations

WAITS = '''
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from milepost import Failure, Question, StepContext, WorkflowBuilder, reduce_list_append

class Trip(BaseModel):
    """Where somebody goes."""
    to: str
    cost: int

class Seat(BaseModel):
    """Where somebody sits."""
    kind: Literal["window", "aisle"]
    day: date = Field(description="of departure")
    count: int = Field(default=1, ge=1, le=4)
    note: str | None = None

Answered = StepContext[None, None, str]

wf = WorkflowBuilder(name="trips", input_type=Trip, output_type=str)

@wf.function
async def check(ctx: StepContext[None, None, Trip]) -> Trip:
    """Check it."""
    with Path("effects.txt").open("a") as file:
        file.write("check\\n")
    return ctx.inputs

@wf.ask(answer=Literal["yes", "no"], deadline=timedelta(days=3), node_id="approve")
async def ask_the_boss(ctx: StepContext[None, None, Trip]) -> Question:
    return Question(text=f"May {ctx.inputs.to} be paid for?", details=ctx.inputs)

paid = wf.wait_for("paid", int, key=lambda ctx: "invoice-7")

@wf.function
async def book(ctx: StepContext[None, None, int]) -> str:
    return f"booked for {ctx.inputs}"

wf.edge(wf.start_node, check)
wf.edge(check, ask_the_boss)
wf.edge(ask_the_boss, paid)
wf.edge(paid, book)
wf.edge(book, wf.end_node)
workflow = wf.build()


def asking(answer: object, *, name: str = "asking", choices: tuple[object, ...] = ()) -> object:
    """Make a workflow that asks one thing and returns the answer."""
    asks = WorkflowBuilder(name=name, output_type=answer)

    @asks.ask(answer=answer)
    async def ask(ctx: StepContext[None, None, None]) -> Question:
        return Question(text="Well?", choices=choices)

    asks.edge(asks.start_node, ask)
    asks.edge(ask, asks.end_node)
    return asks.build()


seat = asking(Seat, name="seats")
word = asking(str, name="words")
number = asking(int, name="numbers")
sure = asking(bool, name="sure")
price = asking(Decimal, name="prices")
refund = asking(Annotated[Decimal, Field(gt=0, le=Decimal("99.50"))], name="refunds")
colour = asking(str, name="colours", choices=("red", "blue"))
several = asking(list[int], name="several")


class Even(int):
    """A number that only the code can tell to be right."""


def even(value: int) -> int:
    if value % 2:
        raise ValueError("that is odd")
    return value


from typing import Annotated
from pydantic import AfterValidator
evens = asking(Annotated[int, AfterValidator(even)], name="evens")

sleeping = WorkflowBuilder(name="sleeping", output_type=str)
night = sleeping.sleep(timedelta(hours=8), node_id="night")

@sleeping.function
async def wake_up(ctx: StepContext[None, None, None]) -> str:
    return "awake"

sleeping.edge(sleeping.start_node, night)
sleeping.edge(night, wake_up)
sleeping.edge(wake_up, sleeping.end_node)

napping = WorkflowBuilder(name="napping", output_type=str)
nap = napping.sleep(0.01, node_id="nap")

@napping.function
async def up(ctx: StepContext[None, None, None]) -> str:
    return "awake"

napping.edge(napping.start_node, nap)
napping.edge(nap, up)
napping.edge(up, napping.end_node)

pair = WorkflowBuilder(name="pair", output_type=list[str])

@pair.ask(answer=str, node_id="first")
async def first(ctx: StepContext[None, None, None]) -> str:
    return "The first?"

@pair.ask(answer=str, node_id="second")
async def second(ctx: StepContext[None, None, None]) -> str:
    return "The second?"

both = pair.join(reduce_list_append, initial_factory=list[str], node_id="both")
pair.edge(pair.start_node, first)
pair.edge(pair.start_node, second)
pair.edge(first, both)
pair.edge(second, both)
pair.edge(both, pair.end_node)

strict = WorkflowBuilder(name="strict", output_type=int)
now = strict.wait_for("now", int, early="refuse")

@strict.ask(answer=bool, node_id="ready")
async def ready(ctx: StepContext[None, None, None]) -> str:
    return "Ready?"

strict.edge(strict.start_node, ready)
strict.edge(ready, now)
strict.edge(now, strict.end_node)

outer = WorkflowBuilder(name="outer", input_type=Trip, output_type=str)
inner = outer.subworkflow(workflow, node_id="inner")
outer.edge(outer.start_node, inner)
outer.edge(inner, outer.end_node)
'''

TRIP = '{"to": "Rome", "cost": 480}'
START = ("run", "waits:workflow", "--input", TRIP, "--run-id", "rome")
