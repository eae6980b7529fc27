"""The examples do what they say."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from milepost.cli.inputs import parse
from milepost.cli.target import find_workflow
from milepost.engine.engine import Engine
from milepost.engine.stores.memory import MemoryStore
from milepost.testing.clock import FakeClock
from tests.cli.conftest import Call

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_expenses_are_added_up_and_what_is_unusual_is_noted(call: Call) -> None:
    target = f"{EXAMPLES}/expenses.py:workflow"
    document = call("run", target, "--input", f"@{EXAMPLES}/expenses.json", "--json").document
    assert document["output"] == {"person": "Ada", "total": 778.7, "notes": ["Ask for the receipt of 'hotel'."]}
    assert call("check", target).code == 0


@pytest.mark.parametrize(
    ("card", "count", "paid_by", "sent_by"),
    [("good", 2, "card", "van"), ("busy", 1, "card", "post"), ("refused", 2, "invoice", "van")],
)
def test_an_order_is_paid_for_one_way_or_another_and_sent(
    call: Call, card: str, count: int, paid_by: str, sent_by: str
) -> None:
    target = f"{EXAMPLES}/orders.py:workflow"
    order = {"customer": "Ada", "address": "here", "card": card, "items": [{"what": "gear", "count": count}]}
    document = call("run", target, "--input", json.dumps(order), "--json").document
    assert document["output"] == {"customer": "Ada", "paid_by": paid_by, "sent_by": sent_by}


def test_a_short_leave_is_granted_at_once(call: Call) -> None:
    target = f"{EXAMPLES}/leave.py:workflow"
    assert call("run", target, "--input", '{"person": "Ada", "days": 2}').out == "Ada has 2 days off\n"
    assert call("check", target).code == 0


@pytest.mark.anyio
async def test_a_long_leave_is_decided_by_somebody() -> None:
    workflow = find_workflow(f"{EXAMPLES}/leave.py:workflow")
    store = MemoryStore()
    async with Engine(store) as engine:
        request = parse('{"person": "Ada", "days": 12}', workflow.input_type, what="input")
        run = await engine.start(workflow, inputs=request, run_id="ada-12")
        assert await run.settle() == "waiting"
    async with Engine(store) as engine:
        await engine.answer("ada-12", "decide", {"granted": True, "note": "enjoy it"})
        run = await engine.resume("ada-12", workflow)
        assert await run.result() == "Ada has 12 days off: enjoy it"


def test_the_order_in_the_folder_is_a_good_one_and_one_without_an_address_fails_in_shipping(call: Call) -> None:
    target = f"{EXAMPLES}/orders.py:workflow"
    assert call("run", target, "--input", f"@{EXAMPLES}/orders.json").code == 0
    assert call("check", target).code == 0
    order = {"customer": "Ada", "address": "", "items": [{"what": "gear", "count": 1}]}
    answer = call("run", target, "--input", json.dumps(order))
    assert answer.code == 1
    assert "there is no address to send it to" in answer.err


APPROVAL = f"{EXAMPLES}/approval.py:workflow"


def test_an_expense_is_approved_and_paid_for(call: Call) -> None:
    assert call("check", APPROVAL).code == 0
    begun = call("run", APPROVAL, "--input", f"@{EXAMPLES}/approval.json", "--run-id", "rome")
    assert begun.code == 3
    assert "Manager: may Ada spend 480.00 on the hotel in Rome?" in begun.err
    assert call("answer", "rome", '{"approved": true}').code == 0
    assert call("resume", "rome", APPROVAL).code == 3
    assert call("send", "rome", "paid", "480", "--key", "inv-7").code == 0
    assert call("resume", "rome", APPROVAL).out == "480.00 were paid\n"


def test_an_expense_that_is_refused_is_not_waited_for(call: Call) -> None:
    call("run", APPROVAL, "--input", f"@{EXAMPLES}/approval.json", "--run-id", "rome")
    call("answer", "rome", '{"approved": false, "note": "too dear"}')
    assert call("resume", "rome", APPROVAL).out == "refused: too dear\n"


@pytest.mark.anyio
async def test_a_manager_who_says_nothing_is_gone_past_and_the_bank_is_reminded() -> None:
    clock = FakeClock()
    workflow, store = find_workflow(APPROVAL), MemoryStore()
    expense = {"person": "Ada", "what": "the hotel", "amount": 480.0, "invoice": "inv-7"}
    given = parse(json.dumps(expense), workflow.input_type, what="input")
    async with Engine(store, clock=clock) as engine:
        run = await engine.start(workflow, inputs=given, run_id="rome")
        assert await run.settle() == "waiting"
    clock.advance(timedelta(days=1).total_seconds() + 1)
    async with Engine(store, clock=clock) as engine:
        run = await engine.resume("rome", workflow)
        await run.settle()
        (question,) = await run.questions()
        assert question.text.startswith("Director: may Ada spend")
        await run.answer(question.id, {"approved": True})
        await run.stir()
        assert await run.settle() == "waiting"
    for _ in range(2):
        clock.advance(timedelta(days=7).total_seconds() + 1)
        async with Engine(store, clock=clock) as engine:
            run = await engine.resume("rome", workflow)
            assert await run.settle() == "waiting"
    async with Engine(store, clock=clock) as engine:
        run = await engine.resume("rome", workflow)
        await run.send("paid", 480.0, key="inv-7")
        assert await run.result() == "480.00 were paid after 2 reminders"
