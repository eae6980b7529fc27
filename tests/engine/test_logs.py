"""What a run's log tells its store with each record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeVar

import pytest

from milepost.engine.engine import Engine
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.stores.store import Acknowledge, Entry
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

T = TypeVar("T")

pytestmark = pytest.mark.anyio


class Noted(MemoryStore):
    """Notes after which of the records that are appended nothing else of the run could go on."""

    def __init__(self) -> None:
        super().__init__()
        self.alone: list[bool] = []

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        self.alone.append(entry.alone)
        super().append(entry, acknowledge)


async def alone_in(workflow: Workflow[None, None, int, T]) -> list[bool]:
    async with Engine(store := Noted()) as engine:
        await (await engine.start(workflow, inputs=3)).result()
    return store.alone


async def test_the_records_of_a_chain_are_alone() -> None:
    wf = WorkflowBuilder(name="chain", input_type=int, output_type=int)

    @wf.function
    async def first(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    @wf.function
    async def second(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    wf.edge(wf.start_node, first)
    wf.edge(first, second)
    wf.edge(second, wf.end_node)
    assert await alone_in(wf.build()) == [True, True]


async def test_a_record_beside_which_others_can_come_is_not_alone() -> None:
    wf = WorkflowBuilder(name="map", input_type=int, output_type=list[int])
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")

    @wf.function
    async def split(ctx: StepContext[None, None, int]) -> list[int]:
        return [0] * ctx.inputs

    @wf.function
    async def each(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    wf.edge(wf.start_node, split)
    wf.edge(split, wf.each(each, join=collect))
    wf.edge(collect, wf.end_node)
    assert await alone_in(wf.build()) == [False, False, True, True]


async def test_the_records_of_a_stream_are_not_alone() -> None:
    wf = WorkflowBuilder(name="stream", input_type=int, output_type=list[int])
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")

    @wf.stream
    async def count(ctx: StepContext[None, None, int]) -> AsyncIterator[int]:
        for number in range(ctx.inputs):
            yield number

    @wf.function
    async def each(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    wf.edge(wf.start_node, count)
    wf.edge(count, wf.each(each, join=collect))
    wf.edge(collect, wf.end_node)
    told = await alone_in(wf.build())
    assert told[0] is False
    assert told[-1] is True
