"""The contract review."""

from __future__ import annotations

import pytest

from milepost.cli.contracts import read_contract
from milepost.engine.errors import NodeError
from milepost.workflows.contract_review import Contract, Report, split_clauses, workflow
from milepost.workflows.contract_review.clauses import Clause
from milepost.workflows.contract_review.report import make_report
from milepost.workflows.contract_review.reviewers import Finding
from tests.loops import asyncio_only

LEASE = """1. Rent. The tenant must pay on the first day of a month.

2. Harm. The tenant shall indemnify the owner and waives every claim.

3. End. The owner may terminate it at its sole discretion.
4000 euros are due then.
"""


def finding(number: int, risk: int, advice: str | None = None) -> Finding:
    """Make a finding on a clause of that number."""
    clause = Clause(number=number, label="", heading=f"Clause | {number}", text="Words.")
    return Finding(clause=clause, risk=risk, reasons=["A reason."], advice=advice)


def test_a_numbered_contract_is_split_at_its_numbers() -> None:
    clauses = split_clauses(LEASE)
    assert [(clause.number, clause.label, clause.heading) for clause in clauses] == [
        (1, "1", "Rent"),
        (2, "2", "Harm"),
        (3, "3", "End"),
    ]
    assert clauses[2].text == "End. The owner may terminate it at its sole discretion. 4000 euros are due then."


def test_a_contract_without_numbers_is_split_at_blank_lines() -> None:
    assert [clause.text for clause in split_clauses("One\ntwo.\r\n\r\n---\n\nThree.")] == ["One two.", "Three."]


def test_a_long_heading_is_cut_between_words() -> None:
    (clause,) = split_clauses("word " * 100)
    assert len(clause.heading) <= 80
    assert clause.heading.endswith("word…")


def test_a_text_without_words_has_no_clauses() -> None:
    assert split_clauses(" \n\n --- \n") == []


def test_the_licence_of_the_project_has_nine_clauses() -> None:
    _, text = read_contract("LICENSE")
    clauses = split_clauses(text)
    assert [clause.label for clause in clauses] == list("123456789")
    assert "APPENDIX" not in clauses[-1].text


def test_the_report_lists_clauses_in_order_and_the_riskiest_second_look_first() -> None:
    report = make_report("Lease", [finding(2, 6, "Ask."), finding(1, 1), finding(3, 9, "Ask twice.")])
    assert (report.clauses, report.risky) == (3, 2)
    assert "3 clauses were read and 2 needed a second look." in report.markdown
    rows = [line for line in report.markdown.splitlines() if line.startswith("| Clause \\|")]
    assert [row.split("|")[2].strip() for row in rows] == ["1", "2", "3"]
    assert report.markdown.index("## Clause | 3") < report.markdown.index("## Clause | 2")


def test_a_harmless_contract_says_so() -> None:
    assert "1 clause was read. None of them needed a second look." in make_report("Note", [finding(1, 0)]).markdown


@asyncio_only
@pytest.mark.anyio
async def test_a_review_looks_twice_at_what_is_risky() -> None:
    report = await workflow.run(inputs=Contract(title="Lease", text=LEASE))
    assert isinstance(report, Report)
    assert (report.title, report.clauses, report.risky) == ("Lease", 3, 2)
    assert "**What to ask for:** Cap the indemnity at what you were paid." in report.markdown


@asyncio_only
@pytest.mark.anyio
async def test_a_contract_without_words_fails_in_the_first_node() -> None:
    with pytest.raises(NodeError, match="Node 'split' failed on its only attempt: ValueError: 'Blank' has no words"):
        await workflow.run(inputs=Contract(title="Blank", text="---"))
