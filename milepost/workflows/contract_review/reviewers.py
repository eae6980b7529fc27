"""The two agents that read clauses, and a scripted model that reads them without a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, Field
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart, UserPromptPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel

from milepost.workflows.contract_review.clauses import Clause
from milepost.workflows.contract_review.signs import Sign, is_softened, signs_in

HIGHEST: Final = 10


class Finding(BaseModel):
    """What is thought of one clause. risk: 0 (harmless) to 10. advice: what a second look says to ask for."""

    clause: Clause
    risk: int = Field(ge=0, le=HIGHEST)
    reasons: list[str]
    advice: str | None = None


def first_reader(model: Model | str) -> Agent[Clause, Finding]:
    """Return the agent that reads every clause."""

    def assess(ctx: RunContext[Clause], risk: int, reasons: list[str]) -> Finding:
        """Give the risk of the clause from 0 to 10 for whoever signs it, and the reasons, one short sentence each."""
        return Finding(clause=ctx.deps, risk=max(0, min(risk, HIGHEST)), reasons=reasons)

    return Agent(
        model,
        deps_type=Clause,
        output_type=assess,
        name="first_reader",
        instructions="You review contracts for the side that signs them. Judge one clause at a time, soberly.",
    )


def second_reader(model: Model | str) -> Agent[Finding, Finding]:
    """Return the agent that looks again at what was found risky."""

    def advise(ctx: RunContext[Finding], risk: int, advice: str) -> Finding:
        """Confirm or correct the risk from 0 to 10, and say in one or two short sentences what to ask for."""
        return ctx.deps.model_copy(update={"risk": max(0, min(risk, HIGHEST)), "advice": advice})

    return Agent(
        model,
        deps_type=Finding,
        output_type=advise,
        name="second_reader",
        instructions="You are the second reader of a contract. A first reader found this clause risky; check it.",
    )


def first_prompt(clause: Clause) -> str:
    """Return what the first reader is asked."""
    return f"Clause {clause.number}:\n\n{clause.text}"


def second_prompt(finding: Finding) -> str:
    """Return what the second reader is asked."""
    reasons = "".join(f"\n- {reason}" for reason in finding.reasons)
    return f"Second look at clause {finding.clause.number}, found risky because:{reasons}\n\n{finding.clause.text}"


def scripted_model() -> Model:
    """Return a model that needs no key: it reads the words of a clause and gives what they mean.

    It answers both readers; which of them asks, it sees by what the answer has to hold.
    """
    return FunctionModel(_read, model_name="scripted")


def _read(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    asked = info.output_tools[0]
    clause = _clause(messages)
    signs = signs_in(clause)
    answer = _advice(clause, signs) if "advice" in asked.parameters_json_schema["properties"] else _assessment(signs)
    return ModelResponse(parts=[ToolCallPart(tool_name=asked.name, args=answer)])


def _assessment(signs: Sequence[Sign]) -> dict[str, object]:
    reasons = [sign.meaning for sign in signs] or ["Nothing in it binds you beyond the usual."]
    return {"risk": _weight(signs), "reasons": reasons}


def _advice(clause: str, signs: Sequence[Sign]) -> dict[str, object]:
    advice = " ".join(sign.advice for sign in signs[:2] if sign.advice)
    return {"risk": max(0, _weight(signs) - is_softened(clause)), "advice": advice or "Let a lawyer read it."}


def _weight(signs: Sequence[Sign]) -> int:
    return min(HIGHEST, sum(sign.weight for sign in signs))


def _clause(messages: Sequence[ModelMessage]) -> str:
    """Return the clause that was asked about, without what stands before it, whose words are not the contract's."""
    parts = (part for message in messages if isinstance(message, ModelRequest) for part in message.parts)
    prompts = (str(part.content) for part in parts if isinstance(part, UserPromptPart))
    return "\n\n".join(prompt.partition("\n\n")[2] for prompt in prompts)
