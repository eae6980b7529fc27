"""A ready-made workflow: review a contract clause by clause.

    milepost run milepost.workflows.contract_review:workflow --input '{"title": "Lease", "text": "1. Rent. …"}'

What needs pydantic-ai is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milepost.workflows.contract_review.clauses import Clause as Clause
    from milepost.workflows.contract_review.clauses import Contract as Contract
    from milepost.workflows.contract_review.clauses import split_clauses as split_clauses
    from milepost.workflows.contract_review.graph import Review as Review
    from milepost.workflows.contract_review.graph import review_workflow as review_workflow
    from milepost.workflows.contract_review.ready import workflow as workflow
    from milepost.workflows.contract_review.report import Report as Report
    from milepost.workflows.contract_review.reviewers import Finding as Finding

_PLACES = {
    "Clause": "clauses",
    "Contract": "clauses",
    "Finding": "reviewers",
    "Report": "report",
    "Review": "graph",
    "review_workflow": "graph",
    "split_clauses": "clauses",
    "workflow": "ready",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_PLACES)
