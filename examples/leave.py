"""Leave: a request is checked, somebody decides about it, and no process has to live meanwhile.

milepost render examples/leave.py:workflow
milepost run examples/leave.py:workflow --input '{"person": "Ada", "days": 1}'

Of a long one the run waits until `engine.answer(run_id, "decide", Decision(granted=True))` is called, in any process.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, Field

from milepost import StepContext, WorkflowBuilder


class Request(BaseModel):
    person: str
    days: int = Field(gt=0)


class Decision(BaseModel):
    granted: bool
    note: str = ""


class Calendar(BaseModel):
    person: str = ""
    days: int = 0


wf = WorkflowBuilder(name="leave", state_type=Calendar, input_type=Request, output_type=str)


@wf.decide
async def length(ctx: StepContext[Calendar, None, Request]) -> Literal["short", "long"]:
    """A day or two need no decision."""
    ctx.state.person, ctx.state.days = ctx.inputs.person, ctx.inputs.days
    return "short" if ctx.inputs.days <= 2 else "long"


@wf.function
async def grant(ctx: StepContext[Calendar, None, Request]) -> Decision:
    """Grant it at once."""
    return Decision(granted=True)


@wf.ask(Decision, deadline=timedelta(days=7), default=Decision(granted=False, note="nobody decided within a week"))
async def decide(ctx: StepContext[Calendar, None, Request]) -> str:
    """Ask whoever leads the team."""
    return f"May {ctx.inputs.person} have {ctx.inputs.days} days off?"


@wf.function
async def tell(ctx: StepContext[Calendar, None, Decision]) -> str:
    """Tell the person."""
    word = "has" if ctx.inputs.granted else "does not have"
    note = f": {ctx.inputs.note}" if ctx.inputs.note else ""
    return f"{ctx.state.person} {word} {ctx.state.days} days off{note}"


wf.edge(wf.start_node, length)
wf.edge(length, grant, when="short")
wf.edge(length, decide, when="long")
wf.edge(grant, tell)
wf.edge(decide, tell)
wf.edge(tell, wf.end_node)
workflow = wf.build()
