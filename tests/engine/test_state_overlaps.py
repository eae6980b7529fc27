"""Bodies overlap, begin late, are tried again or go on after a crash: for one order of commits, one answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import anyio
import pytest
from pydantic import BaseModel

from milepost.engine.engine import Engine
from milepost.engine.errors import NodeError, RoutingError, StateConflict
from milepost.engine.mergers import append
from milepost.engine.policy import Retry
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.side_by_side import Change, Order, run_side_by_side, side_by_side
from tests.engine.subjects import RUN, FullStore
from tests.loops import asyncio_only

pytestmark = pytest.mark.anyio
stored_and_not = pytest.mark.parametrize("store", ["memory:", None], ids=["stored", "in memory"])
whenever = pytest.mark.parametrize("late", [(), ("two",)], ids=["overlapping", "one after the other"])


class Note(BaseModel):
    text: str = ""
    lines: Annotated[list[str], append] = []
    items: list[int] = []


def writing(text: str) -> Change:
    def write(state: Note) -> str:
        state.text = text
        return text

    return write


def reading(state: Note) -> str:
    return f"saw {state.text!r} {state.lines}"


# --- what a body sees -------------------------------------------------------------------------------------------------


@stored_and_not
@whenever
async def test_a_body_sees_the_state_of_when_it_was_spawned(store: str | None, late: tuple[str, ...]) -> None:
    given = Note()

    outputs = await run_side_by_side(
        given, {"one": writing("new"), "two": reading}, Order(("one", "two"), late=late), store=store
    )

    assert outputs == ["new", "saw '' []"]
    assert given.text == "new"


@stored_and_not
@whenever
async def test_writing_what_another_wrote_too_is_a_conflict_however_they_overlap(
    store: str | None, late: tuple[str, ...]
) -> None:
    with pytest.raises(StateConflict) as raised:
        await run_side_by_side(
            Note(), {"one": writing("done"), "two": writing("done")}, Order(("one", "two"), late=late), store=store
        )

    assert (raised.value.base, raised.value.committed, raised.value.mine) == ('""', '"done"', '"done"')


async def test_a_body_that_begins_after_a_crash_sees_what_it_would_have_seen() -> None:
    journals = Journals()
    workflow = side_by_side(Note, {"one": writing("new"), "two": reading})
    with pytest.raises(Exception, match="The disk is full"):
        async with Engine(FullStore(journals, 3)) as engine:
            await (await engine.start(workflow, deps=Order(("one", "two")), run_id=RUN)).result()
    assert "text" in journals.records[RUN][2].body

    async with Engine(MemoryStore(journals)) as engine:
        assert await (await engine.resume(RUN, workflow, deps=Order(("two",)))).result() == ["new", "saw '' []"]


@stored_and_not
async def test_every_attempt_sees_the_same(store: str | None) -> None:
    seen: list[str] = []

    def faulty(state: Note) -> str:
        seen.append(reading(state))
        state.lines.append("half")
        if len(seen) < 3:
            raise ValueError("again")
        return "done"

    wf = WorkflowBuilder(name="again", state_type=Note, output_type=list[str])

    @wf.function
    async def other(ctx: StepContext[Note, None, None]) -> str:
        ctx.state.text = "new"
        return "other"

    @wf.function(retry=Retry(attempts=3))
    async def retried(ctx: StepContext[Note, None, None]) -> str:
        if not seen:
            await anyio.wait_all_tasks_blocked()
        return faulty(ctx.state)

    collect = wf.join(reduce_list_append, initial_factory=list[str], node_id="collect")
    for node in (other, retried):
        wf.edge(wf.start_node, node)
        wf.edge(node, collect)
    wf.edge(collect, wf.end_node)
    given = Note()

    await wf.build().run(state=given, store=store, isolation="task")

    assert seen == ["saw '' []"] * 3
    assert given == Note(text="new", lines=["half"])


async def test_a_field_that_was_changed_and_changed_back_is_in_conflict_all_the_same() -> None:
    wf = WorkflowBuilder(name="back", state_type=Note, deps_type=anyio.Event, output_type=list[str])

    @wf.function
    async def there(ctx: StepContext[Note, anyio.Event, None]) -> str:
        ctx.state.text = "there"
        return "there"

    @wf.function
    async def back(ctx: StepContext[Note, anyio.Event, str]) -> str:
        ctx.state.text = ""
        return "back"

    @wf.function
    async def after(ctx: StepContext[Note, anyio.Event, str]) -> str:
        ctx.deps.set()
        return "after"

    @wf.function
    async def beside(ctx: StepContext[Note, anyio.Event, None]) -> str:
        await ctx.deps.wait()
        ctx.state.text = "beside"
        return "beside"

    collect = wf.join(reduce_list_append, initial_factory=list[str], node_id="collect")
    wf.edge(wf.start_node, there)
    wf.edge(wf.start_node, beside)
    wf.edge(there, back)
    wf.edge(back, after)
    wf.edge(after, collect)
    wf.edge(beside, collect)
    wf.edge(collect, wf.end_node)

    with pytest.raises(StateConflict) as raised:
        await wf.build().run(deps=anyio.Event(), store="memory:")

    assert (raised.value.task, raised.value.other) == ("beside", "back")


@stored_and_not
async def test_a_task_that_comes_after_another_has_seen_its_change(store: str | None) -> None:
    wf = WorkflowBuilder(name="longer", state_type=Note, output_type=list[str])

    @wf.function
    async def short(ctx: StepContext[Note, None, None]) -> str:
        ctx.state.text += "short"
        return "short"

    @wf.function
    async def first(ctx: StepContext[Note, None, None]) -> str:
        await anyio.wait_all_tasks_blocked()
        return "first"

    @wf.function
    async def second(ctx: StepContext[Note, None, str]) -> str:
        ctx.state.text += " second"
        return "second"

    collect = wf.join(reduce_list_append, initial_factory=list[str], node_id="collect")
    wf.edge(wf.start_node, short)
    wf.edge(wf.start_node, first)
    wf.edge(first, second)
    wf.edge(short, collect)
    wf.edge(second, collect)
    wf.edge(collect, wf.end_node)
    given = Note()

    await wf.build().run(state=given, store=store, isolation="task")

    assert given.text == "short second"


# --- transforms -------------------------------------------------------------------------------------------------------


def counting(*, reads: bool, faulty: list[int] | None = None) -> Workflow[Note, None, list[int], list[int]]:
    """Build a map whose items count themselves on their way to the join. reads: their bodies look at the state too."""
    wf = WorkflowBuilder(name="counting", state_type=Note, input_type=list[int], output_type=list[int])

    @wf.function
    async def look(ctx: StepContext[Note, None, int]) -> int:
        if reads:
            ctx.state.lines.append(f"{len(ctx.state.items)}")
        await anyio.lowlevel.checkpoint()
        return ctx.inputs

    def number(ctx: StepContext[Note, None, int]) -> int:
        if faulty and len(ctx.state.items) == faulty[0]:
            raise ValueError("not yet")
        ctx.state.items.append(len(ctx.state.items))
        return ctx.state.items[-1]

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, wf.each(look))
    wf.add(wf.edge_from(look).transform(number).to(collect))
    wf.edge(collect, wf.end_node)
    return wf.build()


@stored_and_not
@pytest.mark.parametrize("reads", [False, True])
async def test_a_transform_sees_all_that_is_committed_and_never_conflicts(store: str | None, reads: bool) -> None:
    given = Note()

    output = await counting(reads=reads).run(inputs=[5, 6, 7], state=given, store=store, isolation="task")

    assert output == given.items == [0, 1, 2]
    assert given.lines == (["0", "0", "0"] if reads else [])


@pytest.mark.parametrize("reads", [False, True])
async def test_a_transform_that_failed_sees_the_same_after_a_resume(reads: bool) -> None:
    journals, faulty, given = Journals(), [2], Note()
    workflow = counting(reads=reads, faulty=faulty)
    with pytest.raises(RoutingError, match="not yet"):
        async with Engine(MemoryStore(journals)) as engine:
            await (await engine.start(workflow, inputs=[5, 6, 7, 8], state=given, run_id=RUN)).result()
    assert given.items == [0, 1]
    assert given.lines == (["0"] * 3 if reads else [])  # what the body did is kept with its output

    faulty.clear()
    async with Engine(MemoryStore(journals)) as engine:
        output = await (await engine.resume(RUN, workflow, state=given)).result()

    assert output == given.items == [0, 1, 2, 3]
    assert given.lines == (["0"] * 4 if reads else [])


async def test_a_transform_of_the_start_changes_the_state_that_a_run_begins_with() -> None:
    wf = WorkflowBuilder(name="start", state_type=Note, input_type=str, output_type=str)

    @wf.function
    async def read(ctx: StepContext[Note, None, str]) -> str:
        return ctx.state.text

    def keep(ctx: StepContext[Note, None, str]) -> str:
        ctx.state.text = ctx.inputs
        return ctx.inputs

    wf.add(wf.edge_from(wf.start_node).transform(keep).to(read))
    wf.edge(read, wf.end_node)
    given = Note()

    assert await wf.build().run(inputs="kept", state=given, store="memory:") == "kept"
    assert given.text == "kept"


# --- streams ----------------------------------------------------------------------------------------------------------


@dataclass
class Source:
    """breaks_at: the item before which the stream fails, once."""

    breaks_at: list[int] = field(default_factory=list[int])

    async def items(self, first: int = 0) -> AsyncIterator[int]:
        for number in range(first, 4):
            if number in self.breaks_at:
                self.breaks_at.remove(number)
                raise ValueError("the stream broke")
            yield number


def streaming(*, seeks: bool) -> Workflow[Note, Source, None, int]:
    """Build a stream whose body changes the state with every item, or, if it does not seek, before and after them."""
    wf = WorkflowBuilder(name="streaming", state_type=Note, deps_type=Source, output_type=int)
    give: Any
    if seeks:
        from milepost.engine.current import current

        @wf.stream(resume="seek")
        async def counted(ctx: StepContext[Note, Source, None]) -> AsyncIterator[int]:
            async for item in ctx.deps.items(current().taken):
                ctx.state.items.append(item)
                ctx.state.text = f"{item}"
                yield item

        give = counted
    else:

        @wf.function
        async def made(ctx: StepContext[Note, Source, None]) -> Any:
            state = ctx.state
            state.items.append(-1)
            state.text = "begun"

            async def items() -> AsyncIterator[int]:
                async for item in ctx.deps.items():
                    yield item
                state.items.append(-2)
                state.text = "ended"

            return items()

        give = made

    @wf.function
    async def look(ctx: StepContext[Note, Source, int]) -> int:
        return ctx.inputs

    def total(current: int, item: int) -> int:
        return current + item

    collect = wf.join(total, initial=0, node_id="collect")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(look, join=collect))
    wf.edge(collect, wf.end_node)
    return wf.build()


@pytest.mark.parametrize("breaks_at", [[], [0], [2], [0, 3]])
@pytest.mark.parametrize("seeks", [False, True], ids=["skips", "seeks"])
async def test_what_a_streaming_body_changes_is_there_once(seeks: bool, breaks_at: list[int]) -> None:
    journals, given, source = Journals(), Note(), Source(list(breaks_at))
    workflow = streaming(seeks=seeks)
    for _ in range(len(breaks_at)):
        with pytest.raises(NodeError, match="the stream broke"):
            async with Engine(MemoryStore(journals)) as engine:
                await (await engine.start(workflow, state=Note(), deps=source, run_id=RUN)).result()
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(workflow, deps=source, run_id=RUN)
        assert await run.result() == 6
    async with Engine(MemoryStore(journals)) as engine:
        await (await engine.resume(RUN, workflow, state=given, deps=source)).result()

    assert given.items == ([0, 1, 2, 3] if seeks else [-1, -2])
    assert given.text == ("3" if seeks else "ended")


async def test_a_stream_goes_on_from_what_was_merged() -> None:
    wf = WorkflowBuilder(name="merged", state_type=Note, output_type=list[int])

    @wf.stream(resume="seek")
    async def give(ctx: StepContext[Note, None, None]) -> AsyncIterator[int]:
        for item in range(3):
            ctx.state.lines.append(f"give {item}")
            yield item

    @wf.function
    async def look(ctx: StepContext[Note, None, int]) -> int:
        ctx.state.lines.append(f"look {ctx.inputs}")
        return ctx.inputs

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(look, join=collect))
    wf.edge(collect, wf.end_node)
    given = Note()

    await wf.build().run(state=given, store="memory:")

    assert sorted(given.lines) == ["give 0", "give 1", "give 2", "look 0", "look 1", "look 2"]


# --- threads ----------------------------------------------------------------------------------------------------------


@stored_and_not
async def test_a_function_in_a_thread_has_a_view_of_its_own(store: str | None) -> None:
    wf = WorkflowBuilder(name="thread", state_type=Note, output_type=str)
    given = Note()
    seen: list[Note] = []

    @wf.function(thread=True)
    def write(ctx: StepContext[Note, None, None]) -> str:
        ctx.state.text = "from a thread"
        seen.append(ctx.state)
        return ctx.state.text

    wf.edge(wf.start_node, write)
    wf.edge(write, wf.end_node)

    assert await wf.build().run(state=given, store=store, isolation="task") == given.text == "from a thread"
    assert seen[0] is not given


@asyncio_only
async def test_a_thread_that_the_body_started_itself_may_read_the_state() -> None:
    wf = WorkflowBuilder(name="thread", state_type=Note, output_type=str)
    given = Note()

    def write(ctx: StepContext[Note, None, None]) -> str:
        ctx.state.text = "from a thread"
        return ctx.state.text

    @wf.function
    async def begin(ctx: StepContext[Note, None, None]) -> str:
        return await asyncio.to_thread(write, ctx)

    wf.edge(wf.start_node, begin)
    wf.edge(begin, wf.end_node)

    assert await wf.build().run(state=given, store="memory:") == given.text == "from a thread"
