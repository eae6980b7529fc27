"""Nodes that may run at most once: an intent is committed first, and a person settles what nobody can know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import InputError, NodeError, OutcomeUnknown
from milepost.engine.journal import Kind
from milepost.engine.journal_text import from_text
from milepost.engine.settlement import Again, Done, Settlement
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN

pytestmark = pytest.mark.anyio


class Died(BaseException):
    """Stands for the end of the process: nothing that handles failures sees it."""


@dataclass
class Bank:
    """Takes payments. dies: what the first payment is interrupted by, after it was made."""

    dies: BaseException | None = None
    paid: list[int] = field(default_factory=list[int])


def paying() -> Workflow[None, Bank, int, str]:
    wf = WorkflowBuilder(name="paying", deps_type=Bank, input_type=int, output_type=str)

    @wf.function(at_most_once=True)
    async def pay(ctx: StepContext[None, Bank, int]) -> str:
        ctx.deps.paid.append(ctx.inputs)
        if ctx.deps.dies is not None:
            raise ctx.deps.dies
        return f"receipt {len(ctx.deps.paid)}"

    @wf.function
    async def file(ctx: StepContext[None, Bank, str]) -> str:
        return f"filed {ctx.inputs}"

    wf.edge(wf.start_node, pay)
    wf.edge(pay, file)
    wf.edge(file, wf.end_node)
    return wf.build()


PAYING = paying()


async def interrupted(bank: Bank, journals: Journals) -> None:
    """Run until the process ends in the middle of the payment."""
    bank.dies = Died()
    with pytest.raises((Died, BaseExceptionGroup)):
        await PAYING.run(inputs=5, deps=bank, store=MemoryStore(journals), run_id=RUN)
    bank.dies = None


async def resumed(bank: Bank, journals: Journals, settle: dict[str, Settlement]) -> Any:
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.resume(RUN, PAYING, deps=bank, settle=settle)
        return await run.result()


async def test_the_intent_is_committed_before_the_body_begins() -> None:
    journals = Journals()

    assert await PAYING.run(inputs=5, deps=Bank(), store=MemoryStore(journals), run_id=RUN) == "filed receipt 1"

    kinds = [from_text(one.seq, one.body, one.content).kind for one in journals.records[RUN]]
    assert kinds == [Kind.STARTED, Kind.INTENDED, Kind.COMPLETED, Kind.COMPLETED]


async def test_without_a_store_there_is_nothing_to_commit() -> None:
    assert await PAYING.run(inputs=5, deps=Bank()) == "filed receipt 1"


async def test_a_resume_refuses_what_had_begun_and_changes_nothing() -> None:
    bank, journals = Bank(), Journals()
    await interrupted(bank, journals)

    with pytest.raises(OutcomeUnknown, match="node 'pay'") as caught:
        await resumed(bank, journals, {})

    assert [node for _, node in caught.value.tasks] == ["pay"]
    assert bank.paid == [5]
    assert journals.rows[RUN].owner is None
    assert len(journals.records[RUN]) == 2


async def test_a_person_may_say_that_it_runs_again() -> None:
    bank, journals = Bank(), Journals()
    await interrupted(bank, journals)
    with pytest.raises(OutcomeUnknown) as caught:
        await resumed(bank, journals, {})
    ((task, _),) = caught.value.tasks

    assert await resumed(bank, journals, {task: Again()}) == "filed receipt 2"
    assert bank.paid == [5, 5]


async def test_a_person_may_say_what_it_gave() -> None:
    bank, journals = Bank(), Journals()
    await interrupted(bank, journals)
    with pytest.raises(OutcomeUnknown) as caught:
        await resumed(bank, journals, {})
    ((task, _),) = caught.value.tasks

    assert await resumed(bank, journals, {task: Done("receipt by mail")}) == "filed receipt by mail"
    assert bank.paid == [5]


async def test_a_body_that_raised_is_settled_by_a_person_too() -> None:
    bank, journals = Bank(dies=ValueError("connection lost")), Journals()
    with pytest.raises(NodeError):
        await PAYING.run(inputs=5, deps=bank, store=MemoryStore(journals), run_id=RUN)

    with pytest.raises(OutcomeUnknown):
        await PAYING.run(inputs=5, deps=bank, store=MemoryStore(journals), run_id=RUN)
    assert bank.paid == [5]


async def test_there_is_nothing_to_settle_where_nothing_is_unknown() -> None:
    bank, journals = Bank(), Journals()
    await interrupted(bank, journals)
    with pytest.raises(OutcomeUnknown) as caught:
        await resumed(bank, journals, {})
    ((task, _),) = caught.value.tasks

    with pytest.raises(InputError, match="no task 'other' whose outcome is unknown"):
        await resumed(bank, journals, {task: Again(), "other": Again()})
