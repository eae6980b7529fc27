"""A decide node chooses a label and hands on what came in."""

from __future__ import annotations

from typing import Any, Literal, cast

import pytest

from milepost.engine.errors import WorkflowError
from milepost.engine.spec import Choice, NodeKind, unwrap_choice
from milepost.engine.typed import StepContext
from milepost.nodes.decision import DecideDecorator, DecideNode
from milepost.nodes.function import Options


def sign(ctx: StepContext[None, None, int]) -> Literal["plus", "minus"]:
    """Above or below zero?"""
    return "plus" if ctx.inputs >= 0 else "minus"


def decided(**options: Any) -> DecideNode[None, None, int, Literal["plus", "minus"]]:
    decorator: DecideDecorator[None, None] = DecideDecorator(Options(**options))
    return decorator(sign)


def context(inputs: object) -> StepContext[Any, Any, Any]:
    return StepContext(state=None, deps=None, inputs=inputs)


@pytest.mark.anyio
async def test_it_returns_the_label_with_what_came_in() -> None:
    node = decided()
    choice = await node.step.call(context(-3))
    assert choice == Choice("minus", -3)
    assert unwrap_choice(context(choice)) == -3


def test_it_is_described_as_a_decision_of_its_labels() -> None:
    node = decided(label="Sign?")
    spec = node.step.spec()
    assert (node.id, spec.kind, spec.label, spec.doc) == ("sign", NodeKind.DECISION, "Sign?", "Above or below zero?")
    assert spec.output_type == Literal["plus", "minus"]


def test_it_has_no_branches() -> None:
    node, nothing = decided(), cast(Any, None)
    with pytest.raises(WorkflowError, match=r"Use wf.edge\(sign, ..., when=...\) for each label"):
        node.branch(nothing)
