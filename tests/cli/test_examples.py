"""The examples do what they say."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Call

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_expenses_are_added_up_and_what_is_unusual_is_noted(call: Call) -> None:
    target = f"{EXAMPLES}/expenses.py:workflow"
    document = call("run", target, "--input", f"@{EXAMPLES}/expenses.json", "--json").document
    assert document["output"] == {"person": "Ada", "total": 778.7, "notes": ["Ask for the receipt of 'hotel'."]}
    assert call("check", target).code == 0
