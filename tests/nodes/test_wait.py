"""Nodes that wait, where they are declared."""

import pytest

from milepost import StepContext, WorkflowBuilder, WorkflowError


def test_a_default_of_another_type_is_refused_where_it_is_declared() -> None:
    wf = WorkflowBuilder(name="asks", input_type=str, output_type=bool)

    with pytest.raises(WorkflowError, match=r"Node 'sure': default='yes' is not what it waits for: .*valid boolean"):

        @wf.ask(bool, deadline=60.0, default="yes")  # pyright: ignore[reportArgumentType, reportUntypedFunctionDecorator]
        def sure(ctx: StepContext[None, None, str]) -> str:  # pyright: ignore[reportUnusedFunction]
            return "Sure?"


def test_a_default_without_a_deadline_is_refused() -> None:
    wf = WorkflowBuilder(name="waits", input_type=str, output_type=int)
    with pytest.raises(WorkflowError, match="Node 'paid' has default= and no deadline="):
        wf.wait_for("paid", int, default=0)


def test_a_default_of_the_type_is_taken() -> None:
    wf = WorkflowBuilder(name="waits", input_type=str, output_type=int)
    node = wf.wait_for("paid", int | None, deadline=60.0, default=None)
    assert node.spec().expects[0].default is None
