"""A failure is kept with where in the author's code it came from."""

from __future__ import annotations

import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import NodeError
from milepost.engine.tracebacks import MOST, traceback_of
from milepost.engine.typed import StepContext
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN

pytestmark = pytest.mark.anyio


def caught(raises: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise raises from cause
    except BaseException as error:
        return error


class Mute(Exception):
    """It cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


async def test_a_failed_task_keeps_the_frames_of_its_own_code_and_none_of_ours() -> None:
    wf = WorkflowBuilder(name="deep", input_type=int, output_type=int)

    def inner(number: int) -> int:
        return number // 0

    @wf.function
    async def divide(ctx: StepContext[None, None, int]) -> int:
        return inner(ctx.inputs)

    wf.edge(wf.start_node, divide)
    wf.edge(divide, wf.end_node)
    async with Engine("memory:") as engine:
        run = await engine.start(wf.build(), inputs=1, run_id=RUN)
        with pytest.raises(NodeError):
            await run.result()
        last = (await engine.report(RUN)).checkpoints[-1]
    assert last.error == "ZeroDivisionError: integer division or modulo by zero"
    told = last.traceback or ""
    assert told.startswith("Traceback (most recent call last):\n")
    assert told.endswith(last.error)
    assert ", in divide\n" in told
    assert "return number // 0" in told
    assert "milepost/engine" not in told


def test_what_caused_an_exception_is_told_as_well() -> None:
    told = traceback_of(caught(ValueError("late"), caught(KeyError("early")))) or ""
    assert told.index("KeyError: 'early'") < told.index("direct cause") < told.index("ValueError: late")


def test_a_long_traceback_is_cut_to_its_end() -> None:
    told = traceback_of(caught(ValueError("x" * 10_000 + "end"))) or ""
    assert len(told) == MOST + 1
    assert told.startswith("…")
    assert told.endswith("end")


def test_an_exception_that_nothing_raised_has_none() -> None:
    assert traceback_of(ValueError("made")) is None


def test_half_a_surrogate_pair_and_a_class_without_words_hide_nothing() -> None:
    assert (traceback_of(caught(ValueError("\ud800"))) or "").endswith("ValueError: ?")
    assert "Mute" in (traceback_of(caught(Mute())) or "Mute")
