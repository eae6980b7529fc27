"""Expense claims: every item is checked, what is unusual is looked at again, and the total is approved or not.

milepost run examples/expenses.py:workflow --input @examples/expenses.json
milepost render examples/expenses.py:workflow
milepost show @last
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from milepost import Retry, StepContext, WorkflowBuilder, reduce_list_append


class Item(BaseModel):
    what: str
    amount: float = Field(gt=0)


class Claim(BaseModel):
    person: str
    items: list[Item]


class Checked(BaseModel):
    item: Item
    note: str = ""


class Verdict(BaseModel):
    person: str
    total: float
    notes: list[str]


class Notes(BaseModel):
    person: str = ""


wf = WorkflowBuilder(name="expenses", state_type=Notes, input_type=Claim, output_type=Verdict)


@wf.function
async def split(ctx: StepContext[Notes, None, Claim]) -> list[Item]:
    """Take the claim apart."""
    ctx.state.person = ctx.inputs.person
    return ctx.inputs.items


@wf.function(retry=Retry(attempts=3))
async def check(ctx: StepContext[Notes, None, Item]) -> Checked:
    """Check one item."""
    return Checked(item=ctx.inputs)


@wf.decide
async def triage(ctx: StepContext[Notes, None, Checked]) -> Literal["unusual", "usual"]:
    """Send large amounts to a second look."""
    return "unusual" if ctx.inputs.item.amount > 500 else "usual"


@wf.function
async def look_again(ctx: StepContext[Notes, None, Checked]) -> Checked:
    """Note what has to be asked."""
    return ctx.inputs.model_copy(update={"note": f"Ask for the receipt of {ctx.inputs.item.what!r}."})


collect = wf.join(reduce_list_append, initial_factory=list[Checked], node_id="collect")


@wf.function
async def add_up(ctx: StepContext[Notes, None, list[Checked]]) -> Verdict:
    """Add everything up."""
    notes = sorted(checked.note for checked in ctx.inputs if checked.note)
    return Verdict(person=ctx.state.person, total=sum(checked.item.amount for checked in ctx.inputs), notes=notes)


wf.edge(wf.start_node, split)
wf.edge(split, wf.each(check))
wf.edge(check, triage)
wf.edge(triage, look_again, when="unusual")
wf.edge(triage, collect, when="usual")
wf.edge(look_again, collect)
wf.edge(collect, add_up)
wf.edge(add_up, wf.end_node)
workflow = wf.build()
