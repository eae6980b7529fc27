"""Nodes that stream: items are committed as they come, and a resume skips those that are."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from milepost.engine.engine import Engine
from milepost.engine.errors import MilepostError, NodeError, NotStorable, RoutingError
from milepost.engine.mergers import append
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Acknowledge, Entry
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN, FullStore

pytestmark = pytest.mark.anyio


@dataclass
class Source:
    """What the stream gives. breaks_at: the item at which it fails. looked: the items that were looked at."""

    items: list[Any]
    breaks_at: int = -1
    given: list[Any] = field(default_factory=list[Any])
    looked: Counter[Any] = field(default_factory=Counter[Any])


class Seen(BaseModel):
    items: Annotated[list[int], append] = Field(default_factory=list[int])
    transformed: Annotated[list[int], append] = Field(default_factory=list[int])


def streaming() -> Workflow[Seen, Source, None, list[int]]:
    """Build a stream that is mapped to a node and joined."""
    wf = WorkflowBuilder(name="streaming", state_type=Seen, deps_type=Source, output_type=list[int])

    @wf.stream
    async def give(ctx: StepContext[Seen, Source, None]) -> AsyncIterator[int]:
        for number, item in enumerate(ctx.deps.items):
            if number == ctx.deps.breaks_at:
                raise ValueError("the stream broke")
            ctx.deps.given.append(item)
            yield item

    @wf.function
    async def look(ctx: StepContext[Seen, Source, int]) -> int:
        ctx.deps.looked[ctx.inputs] += 1
        ctx.state.items.append(ctx.inputs)
        return ctx.inputs * 10

    @wf.function
    async def tidy(ctx: StepContext[Seen, Source, list[int]]) -> list[int]:
        return sorted(ctx.inputs)

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(look, join=collect))
    wf.edge(collect, tidy)
    wf.edge(tidy, wf.end_node)
    return wf.build()


WORKFLOW = streaming()


async def ran(source: Source, journals: Journals | None = None, state: Seen | None = None) -> list[int]:
    store = MemoryStore(Journals() if journals is None else journals)
    return await WORKFLOW.run(state=state, deps=source, store=store, run_id=RUN)


@pytest.mark.parametrize("items", [[], [1], [1, 2, 3], [5, 5, 5]])
@pytest.mark.parametrize("store", [None, "memory:"])
async def test_every_item_of_a_stream_is_handled(store: str | None, items: list[int]) -> None:
    source, state = Source(items), Seen()

    assert await WORKFLOW.run(state=state, deps=source, store=store) == [item * 10 for item in items]
    assert sorted(state.items) == items


async def test_a_stream_that_breaks_fails_its_task_and_goes_on_after_the_committed_items() -> None:
    journals, source = Journals(), Source([1, 2, 3, 4], breaks_at=2)
    with pytest.raises(NodeError, match="Node 'give' failed on its only attempt: ValueError: the stream broke"):
        await ran(source, journals)
    kinds = Counter(record.body.split('"')[3] for record in journals.records[RUN])
    assert kinds["emitted"] == 2

    source.breaks_at = -1
    done = {item for item, number in source.looked.items() if number}

    assert await ran(source, journals) == [10, 20, 30, 40]
    assert source.given == [1, 2, 1, 2, 3, 4]
    assert sum(source.looked.values()) - len(source.looked) <= 2 - len(done) + 2


@pytest.mark.parametrize("room", range(2, 10))
async def test_a_stream_resumed_after_any_record_gives_every_item_once(room: int) -> None:
    journals, source, state = Journals(), Source([1, 2, 3]), Seen()
    with pytest.raises(MilepostError, match="The disk is full"):
        await WORKFLOW.run(deps=source, store=FullStore(journals, room), run_id=RUN)

    assert await ran(source, journals, state) == [10, 20, 30]
    assert sorted(state.items) == [1, 2, 3]


@pytest.mark.parametrize("other", [[1, 9, 3], [9, 2, 3], [1], []])
async def test_a_stream_that_gives_other_items_after_a_resume_is_found_out(other: list[int]) -> None:
    journals, source = Journals(), Source([1, 2, 3], breaks_at=2)
    with pytest.raises(NodeError):
        await ran(source, journals)
    looked = Counter(source.looked)

    with pytest.raises(MilepostError, match="'give' gave other items when it ran again than the 2 that are committed"):
        await ran(Source(other, looked=source.looked), journals)
    assert set(source.looked) == set(looked) | {1, 2}


async def test_an_item_that_cannot_be_stored_fails_the_stream() -> None:
    with pytest.raises(NotStorable, match="item 1 of the stream of node 'give'"):
        await ran(Source([1, object(), 3]))


async def test_a_stream_whose_run_is_stopped_is_closed() -> None:
    closed: list[str] = []
    wf = WorkflowBuilder(name="closing", output_type=int)

    @wf.stream
    async def endless(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.append("closed")

    @wf.function
    async def stop_at_ten(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    wf.edge(wf.start_node, endless)
    wf.edge(endless, wf.each(stop_at_ten))
    wf.edge(stop_at_ten, wf.end_node)

    async with Engine("memory:") as engine:
        run = await engine.start(wf.build(), run_id=RUN)
        assert await run.result() == 0

    assert closed == ["closed"]


async def test_a_transform_on_the_way_of_an_item_changes_the_state_with_its_item() -> None:
    wf = WorkflowBuilder(name="transformed", state_type=Seen, deps_type=Source, output_type=list[int])

    @wf.stream
    async def give(ctx: StepContext[Seen, Source, None]) -> AsyncIterator[int]:
        for item in ctx.deps.items:
            yield item

    @wf.function
    async def look(ctx: StepContext[Seen, Source, int]) -> int:
        ctx.state.items.append(ctx.inputs)
        return ctx.inputs

    def note(ctx: StepContext[Seen, Source, int]) -> int:
        ctx.state.transformed.append(ctx.inputs)
        return ctx.inputs + 1

    def count(ctx: StepContext[Seen, Source, list[int]]) -> list[int]:
        ctx.state.transformed.append(len(ctx.inputs))
        return sorted(ctx.inputs)

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, give)
    wf.add(wf.edge_from(give).map().transform(note).to(look))
    wf.edge(look, collect)
    wf.add(wf.edge_from(collect).transform(count).to(wf.end_node))
    state = Seen()

    output = await wf.build().run(state=state, deps=Source([1, 2, 3]), store="memory:")

    assert output == [2, 3, 4]
    assert sorted(state.items) == [2, 3, 4]
    assert state.transformed == [1, 2, 3, 3]


async def test_a_stream_that_does_not_lead_to_a_map_cannot_be_stored() -> None:
    wf: Any = WorkflowBuilder(name="loose", output_type=Any)

    async def give(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
        yield 1

    async def take(ctx: StepContext[None, None, Any]) -> int:
        return 1

    first, second = wf.stream(give), wf.function(take)
    wf.edge(wf.start_node, first)
    wf.edge(first, second)
    wf.edge(second, wf.end_node)

    with pytest.raises(RoutingError, match="an async iterable can be stored only item by item"):
        await wf.build(validate_graph_structure=False).run(store="memory:")


class SlowDisk(MemoryStore):
    """A store that says of the second record that it is kept only when it has the third one, too."""

    def __init__(self) -> None:
        super().__init__()
        self.late: Acknowledge | None = None

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        if entry.seq == 2:
            super().append(entry, lambda _: None)
            self.late = acknowledge
            return
        if entry.seq == 3 and self.late is not None:
            self.late(None)
        super().append(entry, acknowledge)


async def test_a_stream_is_read_once_though_the_record_before_it_was_kept_late() -> None:
    wf = WorkflowBuilder(name="beside", output_type=list[int])

    @wf.function
    async def quick(ctx: StepContext[None, None, None]) -> int:
        return 0

    @wf.stream
    async def give(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
        yield 1
        yield 2

    @wf.function
    async def look(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, quick)
    wf.edge(wf.start_node, give)
    wf.edge(quick, collect)
    wf.edge(give, wf.each(look, join=collect))
    wf.edge(collect, wf.end_node)

    async with Engine(SlowDisk()) as engine:
        run = await engine.start(wf.build())
        assert sorted(await run.result()) == [0, 1, 2]
