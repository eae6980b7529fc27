"""A function node runs a function of any kind, and refuses what it could not run."""

from __future__ import annotations

import functools
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from milepost.engine.declared import DeclaredStep
from milepost.engine.errors import WorkflowError
from milepost.engine.typed import StepContext
from milepost.nodes.function import FunctionDecorator, Options, as_coroutine, in_thread, name_of_function

pytestmark = pytest.mark.anyio

Ctx = StepContext[Any, Any, int]


async def give(call: Any, inputs: int) -> Any:
    return await call(StepContext(state=None, deps=None, inputs=inputs))


async def double(ctx: Ctx) -> int:
    """Twice as much."""
    return ctx.inputs * 2


def triple(ctx: Ctx) -> int:
    return ctx.inputs * 3


def plus(more: int, ctx: Ctx) -> int:
    return ctx.inputs + more


class Times:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, ctx: Ctx) -> int:
        return ctx.inputs * self.factor

    async def method(self, ctx: Ctx) -> int:
        return ctx.inputs * self.factor


async def yields(ctx: Ctx) -> AsyncIterator[int]:
    yield ctx.inputs


def iterates(ctx: Ctx) -> Iterator[int]:
    yield ctx.inputs


async def test_a_coroutine_function_is_used_as_it_is() -> None:
    assert as_coroutine("double", double) is double


async def test_functions_of_every_kind_can_be_awaited() -> None:
    assert await give(as_coroutine("f", triple), 2) == 6
    assert await give(as_coroutine("f", Times(5)), 2) == 10
    assert await give(as_coroutine("f", Times(5).method), 2) == 10
    assert await give(as_coroutine("f", lambda ctx: double(ctx)), 2) == 4
    assert await give(as_coroutine("f", functools.partial(plus, 4)), 2) == 6


async def test_a_synchronous_function_may_run_in_a_worker_thread() -> None:
    def where(ctx: Ctx) -> int:
        return threading.get_ident()

    assert await give(in_thread("where", where), 1) != threading.get_ident()
    assert await give(as_coroutine("where", where), 1) == threading.get_ident()


def test_an_asynchronous_function_has_no_place_in_a_thread() -> None:
    with pytest.raises(WorkflowError, match="Function 'f' is asynchronous and cannot run in a thread"):
        in_thread("f", double)


@pytest.mark.parametrize("function", [yields, iterates])
def test_a_function_that_yields_is_refused(function: Any) -> None:
    with pytest.raises(WorkflowError, match=r"Function 'f' yields. Use @wf.stream"):
        as_coroutine("f", function)


def test_a_function_without_a_name_needs_an_id() -> None:
    with pytest.raises(WorkflowError, match=r"has no name of its own to be the id of its node. Give one with node_id="):
        name_of_function(lambda ctx: 1)
    assert name_of_function(functools.partial(triple)) == "triple"


def test_the_step_knows_its_hints_and_docstring() -> None:
    decorator: FunctionDecorator[Any, Any] = FunctionDecorator(Options())
    step = decorator(double)
    assert isinstance(step, DeclaredStep)
    spec = step.spec()
    assert (spec.id, spec.doc, spec.input_type, spec.output_type) == ("double", "Twice as much.", int, int)
