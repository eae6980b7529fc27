"""The workflow that reviews a contract clause by clause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from milepost.engine.policy import Retry
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from milepost.workflows.contract_review.clauses import Clause, Contract, split_clauses
from milepost.workflows.contract_review.report import RISKY, Report, make_report
from milepost.workflows.contract_review.reviewers import (
    Finding,
    first_prompt,
    first_reader,
    scripted_model,
    second_prompt,
    second_reader,
)

if TYPE_CHECKING:
    from pydantic_ai.models import Model


class Review(BaseModel):
    """The state of a review. clauses: how many the contract has, once it is split."""

    title: str = ""
    clauses: int = 0


def review_workflow(model: Model | str | None = None) -> Workflow[Review, None, Contract, Report]:
    """Build the workflow.

    Every clause goes to a first reader, all side by side. What is risky gets a second look, and a report is made of all
    findings. model: any model of pydantic-ai or its name, e.g. "openai:gpt-5"; None for a scripted one that
    needs no key.
    """
    wf = WorkflowBuilder(name="contract_review", state_type=Review, input_type=Contract, output_type=Report)
    model = model or scripted_model()
    reader, counsel = first_reader(model), second_reader(model)

    @wf.function
    async def split(ctx: StepContext[Review, None, Contract]) -> list[Clause]:
        """Split the contract into its clauses."""
        clauses = split_clauses(ctx.inputs.text)
        if not clauses:
            raise ValueError(f"{ctx.inputs.title!r} has no words to review.")
        ctx.state.title = ctx.inputs.title
        ctx.state.clauses = len(clauses)
        return clauses

    @wf.agent(reader, deps=lambda ctx: ctx.inputs, retry=Retry(attempts=3, wait=1.0), timeout=300.0)
    def review(ctx: StepContext[Review, None, Clause]) -> str:
        """Read one clause and judge its risk."""
        return first_prompt(ctx.inputs)

    @wf.decide
    async def triage(ctx: StepContext[Review, None, Finding]) -> Literal["risky", "plain"]:
        """Send risky clauses to a second look."""
        return "risky" if ctx.inputs.risk >= RISKY else "plain"

    @wf.agent(counsel, deps=lambda ctx: ctx.inputs, retry=Retry(attempts=3, wait=1.0), timeout=300.0)
    def second_look(ctx: StepContext[Review, None, Finding]) -> str:
        """Check a risky clause again and say what to ask for."""
        return second_prompt(ctx.inputs)

    collect = wf.join(reduce_list_append, initial_factory=list[Finding], node_id="collect")

    @wf.function
    async def write_report(ctx: StepContext[Review, None, list[Finding]]) -> Report:
        """Write the report."""
        return make_report(ctx.state.title, ctx.inputs)

    wf.edge(wf.start_node, split)
    wf.edge(split, wf.each(review, join=collect))
    wf.edge(review, triage)
    wf.edge(triage, second_look, when="risky")
    wf.edge(triage, collect, when="plain")
    wf.edge(second_look, collect)
    wf.edge(collect, write_report)
    wf.edge(write_report, wf.end_node)
    return wf.build()
