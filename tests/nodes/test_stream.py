"""A stream node gives the items of an asynchronous generator, as one of pydantic-graph's does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic_graph import Graph

from milepost.engine.errors import UnsoundWorkflow, WorkflowError
from milepost.engine.policy import Policy
from milepost.engine.spec import NodeKind
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

Ctx = StepContext[None, None, int]


async def count(ctx: Ctx) -> AsyncIterator[int]:
    """Count up."""
    for number in range(ctx.inputs):
        yield number


def iterates(ctx: Ctx) -> Iterator[int]:
    yield ctx.inputs


async def returns(ctx: Ctx) -> int:
    return ctx.inputs


def hands_on(ctx: Ctx) -> AsyncIterator[int]:
    return count(ctx)


def twice(ctx: Ctx) -> int:
    return ctx.inputs * 2


def streaming(function: Any, **options: Any) -> Workflow[None, None, int, list[int]]:
    wf: Any = WorkflowBuilder(name="w", input_type=int, output_type=list[int])
    step = wf.stream(**options)(function) if options else wf.stream(function)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, step)
    wf.edge(step, wf.each(wf.function(twice), join=collect))
    wf.edge(collect, wf.end_node)
    workflow: Workflow[None, None, int, list[int]] = wf.build()
    return workflow


async def ran(workflow: Any, inputs: int, upstream: bool) -> Any:
    execute: Any = vars(Graph if upstream else Workflow)["run"]
    return await execute(workflow, inputs=inputs)


@pytest.mark.anyio
@pytest.mark.parametrize("upstream", [True, False], ids=["upstream", "milepost"])
@pytest.mark.parametrize("function", [count, hands_on])
async def test_items_flow_through_a_map(function: Any, upstream: bool) -> None:
    assert sorted(await ran(streaming(function), 3, upstream)) == [0, 2, 4]


@pytest.mark.anyio
@pytest.mark.parametrize("store", [None, "memory:"])
async def test_it_runs_with_and_without_a_store(store: str | None) -> None:
    assert sorted(await streaming(count, resume="skip").run(inputs=4, store=store)) == [0, 2, 4, 6]


def test_it_is_described_with_the_type_of_one_item() -> None:
    spec = streaming(count, node_id="ticks", label="Ticks", resume="seek", timeout=3.0).specs["ticks"]
    assert (spec.kind, spec.stream, spec.resume) == (NodeKind.FUNCTION, True, "seek")
    assert (spec.input_type, spec.output_type) == (int, int)
    assert (spec.label, spec.doc, spec.policy) == ("Ticks", "Count up.", Policy(timeout=3.0))


def test_a_stream_resumes_by_skipping_unless_it_says_otherwise() -> None:
    assert streaming(count).specs["count"].resume == "skip"


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (iterates, {}, "Stream 'iterates' is not asynchronous. Write `async def`, or return a list instead."),
        (returns, {}, "Stream 'returns' yields nothing. Yield its items, or use @wf.function."),
        (
            count,
            {"resume": "seeks"},
            "Node 'count': resume='seeks' is not known. Did you mean 'seek'[?] Give 'skip' or",
        ),
        (count, {"timeout": -1}, "Node 'count': a timeout of -1 seconds can never be met"),
        (count, {"retires": 3}, "Node 'count': there is no option 'retires'. Did you mean 'retry'[?]"),
    ],
)
def test_what_cannot_stream_is_refused(function: Any, options: Any, message: str) -> None:
    with pytest.raises(WorkflowError, match=message):
        streaming(function, **options)


def test_a_stream_is_not_kept_in_a_cache() -> None:
    from milepost.engine.policy import Cache

    with pytest.raises(UnsoundWorkflow, match="The stream 'count' cannot have cache"):
        streaming(count, cache=Cache())


def test_a_stream_that_no_edge_leads_to_is_refused() -> None:
    wf = WorkflowBuilder(input_type=int, output_type=int)

    @wf.stream
    async def ticks(ctx: Ctx) -> AsyncIterator[int]:
        yield 1

    wf.edge(wf.start_node, wf.end_node)
    with pytest.raises(UnsoundWorkflow, match="Node 'ticks' was declared and no edge leads to it"):
        wf.build()
