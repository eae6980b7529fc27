"""The report on a contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel

from milepost.workflows.contract_review.reviewers import HIGHEST, Finding

RISKY: Final = 5
"""From this risk on, a clause gets a second look."""


class Report(BaseModel):
    """The result of a review. clauses, risky: how many there are. markdown: the report as people read it."""

    title: str
    clauses: int
    risky: int
    markdown: str


def make_report(title: str, findings: Sequence[Finding]) -> Report:
    """Write the report: a table of all clauses in order, then every clause that had a second look, riskiest first.

    findings: in any order.
    """
    ordered = sorted(findings, key=lambda finding: finding.clause.number)
    looked_at = sorted((f for f in ordered if f.advice is not None), key=lambda f: (-f.risk, f.clause.number))
    lines = [f"# Review of {title}", "", _summary(ordered, looked_at), "", *_table(ordered)]
    for finding in looked_at:
        lines += ["", *_section(finding)]
    return Report(title=title, clauses=len(ordered), risky=len(looked_at), markdown="\n".join(lines) + "\n")


def _summary(findings: Sequence[Finding], looked_at: Sequence[Finding]) -> str:
    clauses = "1 clause was" if len(findings) == 1 else f"{len(findings)} clauses were"
    if not looked_at:
        return f"{clauses} read. None of them needed a second look."
    worst = looked_at[0]
    needed = "1 needed" if len(looked_at) == 1 else f"{len(looked_at)} needed"
    return (
        f"{clauses} read and {needed} a second look. The riskiest is “{_cell(worst.clause.heading)}” "
        f"with {worst.risk} of {HIGHEST}."
    )


def _table(findings: Sequence[Finding]) -> list[str]:
    rows = [
        f"| {_cell(name_of(finding))} | {'█' * finding.risk}{'░' * (HIGHEST - finding.risk)} {finding.risk} | "
        f"{_cell(' '.join(finding.reasons))} |"
        for finding in findings
    ]
    return ["| Clause | Risk | Why |", "| --- | --- | --- |", *rows]


def _section(finding: Finding) -> list[str]:
    return [
        f"## {name_of(finding)}",
        "",
        f"Risk {finding.risk} of {HIGHEST}.",
        "",
        *(f"- {reason}" for reason in finding.reasons),
        "",
        f"**What to ask for:** {finding.advice}",
        "",
        f"> {finding.clause.text}",
    ]


def name_of(finding: Finding) -> str:
    """Return how the report calls a clause: its own number if it has one, and its heading."""
    label = f"{finding.clause.label}. " if finding.clause.label else ""
    return f"{label}{finding.clause.heading}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
