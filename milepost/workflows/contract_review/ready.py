"""The review as it is, ready to run, with the scripted model."""

from __future__ import annotations

from milepost.workflows.contract_review.graph import review_workflow

workflow = review_workflow()
