"""An expense: the manager is asked and, when a day passes, the director; then it is reminded of until it is paid.

milepost run examples/approval.py:workflow --input @examples/approval.json --run-id rome
milepost answer rome
milepost resume rome examples/approval.py:workflow
milepost send rome paid 480 --key inv-7
milepost resume rome examples/approval.py:workflow
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, Field

from milepost import Failure, Question, StepContext, TimeUp, WorkflowBuilder


class Expense(BaseModel):
    """What somebody wants to have paid for. invoice: its number, by which the bank tells that it is paid."""

    person: str
    what: str
    amount: float = Field(gt=0)
    invoice: str


class Verdict(BaseModel):
    """What whoever decides says."""

    approved: bool
    note: str = Field(default="", description="for the person who asks")


class Folder(BaseModel):
    """What is known of the expense all the way. reminders: how often the bank was reminded."""

    expense: Expense | None = None
    reminders: int = 0


wf = WorkflowBuilder(name="approval", state_type=Folder, input_type=Expense, output_type=str)


@wf.function
async def file(ctx: StepContext[Folder, None, Expense]) -> Expense:
    """Open a folder for it."""
    ctx.state.expense = ctx.inputs
    return ctx.inputs


def question(expense: Expense, who: str) -> Question:
    """Ask somebody about an expense."""
    return Question(text=f"{who}: may {expense.person} spend {expense.amount:.2f} on {expense.what}?", details=expense)


@wf.ask(answer=Verdict, deadline=timedelta(days=1))
async def ask_manager(ctx: StepContext[Folder, None, Expense]) -> Question:
    """Ask the manager, for a day."""
    return question(ctx.inputs, "Manager")


@wf.ask(answer=Verdict, deadline=timedelta(days=3), default=Verdict(approved=False, note="nobody has decided"))
async def ask_director(ctx: StepContext[Folder, None, Failure[Expense]]) -> Question:
    """Ask the director instead, and take silence for a no."""
    return question(ctx.inputs.inputs, "Director")


def invoice(ctx: StepContext[Folder, None, object]) -> str:
    """Return what the payment has to be about."""
    assert ctx.state.expense is not None
    return ctx.state.expense.invoice


payment = wf.race(
    wf.wait_for("paid", float, key=invoice),
    wf.sleep(timedelta(days=7)),
    node_id="payment",
    label="paid, or a week",
)


@wf.function
async def remind(ctx: StepContext[Folder, None, TimeUp]) -> None:
    """Remind the bank, and wait for another week."""
    ctx.state.reminders += 1


@wf.function
async def close(ctx: StepContext[Folder, None, float]) -> str:
    """Close the folder."""
    reminded = f" after {ctx.state.reminders} reminders" if ctx.state.reminders else ""
    return f"{ctx.inputs:.2f} were paid{reminded}"


@wf.function
async def refuse(ctx: StepContext[Folder, None, Verdict]) -> str:
    """Tell the person."""
    return f"refused: {ctx.inputs.note or 'no reason was given'}"


@wf.decide
async def verdict(ctx: StepContext[Folder, None, Verdict]) -> Literal["yes", "no"]:
    """Look at what was decided."""
    return "yes" if ctx.inputs.approved else "no"


wf.edge(wf.start_node, file)
wf.edge(file, ask_manager)
wf.edge(ask_manager, verdict)
wf.edge(ask_manager, ask_director, on_timeout=True)
wf.edge(ask_director, verdict)
wf.edge(verdict, payment, when="yes")
wf.edge(verdict, refuse, when="no")
wf.edge(payment, remind, when=TimeUp)
wf.edge(payment, close, when=float)
wf.edge(remind, payment)
wf.edge(close, wf.end_node)
wf.edge(refuse, wf.end_node)
workflow = wf.build()
