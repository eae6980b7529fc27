"""What a run was at each of its checkpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from milepost.engine import logs
from milepost.engine.engine import Engine
from milepost.engine.errors import (
    IncompatibleWorkflow,
    InputError,
    MilepostError,
    RoutingError,
    UnknownCheckpoint,
    UnknownRun,
)
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.testing.clock import FakeClock
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.letters import LETTERS, NEWEST, Letter, failed, finished
from tests.engine.nests import World
from tests.engine.nests import world as world
from tests.engine.subjects import RUN, Deps, FullStore, chain
from tests.engine.test_at_most_once import PAYING, Bank, interrupted

pytestmark = pytest.mark.anyio


async def test_every_checkpoint_of_a_run_can_be_looked_at(world: World) -> None:
    async with Engine(world()) as engine:
        await finished(engine)
    async with Engine(world()) as engine:
        then = [await engine.at(RUN, seq) for seq in range(1, NEWEST + 1)]
    assert [(one.seq, one.did, one.node, one.status) for one in then] == [
        (1, "started", "", "running"),
        (2, "completed", "outline", "running"),
        (3, "completed", "write", "running"),
        (4, "completed", "write", "running"),
        (5, "completed", "judge", "running"),
        (6, "completed", "send", "completed"),
    ]
    assert [[task.node for task in one.tasks] for one in then] == [
        ["outline"],
        ["write", "write"],
        ["write"],
        ["judge"],
        ["send"],
        [],
    ]
    assert then[0].state == '{"lines":[],"tone":"plain"}'
    assert then[1].state == then[4].state == '{"lines":["outline 2"],"tone":"plain"}'
    assert then[5].state == '{"lines":["outline 2","sent"],"tone":"plain"}'
    assert [one.output for one in then] == [None, None, None, None, None, '"plain 0, plain 1"']
    assert {one.run_id for one in then} == {RUN}
    assert {one.workflow for one in then} == {"letters"}


async def test_pending_tasks_tell_their_inputs_and_open_joins_what_has_reached_them() -> None:
    async with Engine("memory://") as engine:
        await finished(engine)
        then = await engine.at(RUN, 3)
    (task,), (join,) = then.tasks, then.joins
    assert (task.node, task.inputs, task.begun) == ("write", str(task.index), False)
    assert (join.node, join.items) == ("parts", (f'"plain {1 - int(task.inputs)}"',)), "whichever was first"
    assert then.task != task.key


async def test_with_the_workflow_values_are_what_it_declares(world: World) -> None:
    async with Engine(world()) as engine:
        await finished(engine)
        middle = await engine.at(RUN, 3, workflow=LETTERS)
        end = await engine.at(RUN, NEWEST, workflow=LETTERS)
    assert middle.state == Letter(lines=["outline 2"])
    (task,), (join,) = middle.tasks, middle.joins
    assert join.items == (f"plain {1 - task.inputs}",)
    assert middle.output is None
    assert end.state.lines == ["outline 2", "sent"]
    assert end.output == "plain 0, plain 1"


async def test_a_run_can_be_asked_itself() -> None:
    async with Engine("memory://") as engine:
        run = await engine.start(LETTERS, inputs=2, deps=Deps(), run_id=RUN)
        await run.result()
        then = await run.at(4)
    assert [(task.node, sorted(task.inputs)) for task in then.tasks] == [("judge", ["plain 0", "plain 1"])]


async def test_a_run_without_a_store_has_no_checkpoints_to_look_at() -> None:
    async with Engine() as engine:
        run = await engine.start(LETTERS, inputs=2, deps=Deps(), run_id=RUN)
        await run.result()
        with pytest.raises(InputError, match=r"Run 'r-1' has no store, so what has happened is not kept\. Give the"):
            await run.at(1)
        with pytest.raises(InputError, match="This engine has no store"):
            await engine.at(RUN, 1)


@pytest.mark.parametrize("seq", [-1, 0, 7])
async def test_a_checkpoint_that_does_not_exist_is_refused_with_those_that_do(world: World, seq: int) -> None:
    async with Engine(world()) as engine:
        await finished(engine)
        with pytest.raises(UnknownCheckpoint) as caught:
            await engine.at(RUN, seq)
        with pytest.raises(UnknownCheckpoint):
            await engine.at(RUN, seq, workflow=LETTERS)
    assert str(caught.value) == f"Run 'r-1' has no checkpoint {seq}. It has those from 1 to 6."
    assert (caught.value.run_id, caught.value.seq, caught.value.newest) == (RUN, seq, 6)


async def test_a_run_with_one_checkpoint_says_so() -> None:
    deps = Deps().gate("first")
    async with Engine("memory://") as engine:
        run = await engine.start(chain(["first"]), inputs=1, deps=deps, run_id=RUN)
        await deps.begun["first"].wait()
        with pytest.raises(UnknownCheckpoint, match=r"It has only checkpoint 1\."):
            await engine.at(RUN, 2)
        assert [task.node for task in (await engine.at(RUN, 1)).tasks] == ["first"], "it can be asked while it runs"
        run.stop()


async def test_an_unknown_run_is_refused() -> None:
    async with Engine("memory://") as engine:
        await finished(engine)
        with pytest.raises(UnknownRun, match="Did you mean 'r-1'"):
            await engine.at("r-2", 1)


async def test_the_checkpoint_of_a_failure_tells_its_error_and_what_will_be_tried_again() -> None:
    async with Engine("memory://") as engine:
        await failed(engine, "send")
        then = await engine.at(RUN, 6)
    assert (then.did, then.node, then.status) == ("failed", "send", "failed")
    assert then.error is not None
    assert "send is faulty" in then.error
    assert [task.node for task in then.tasks] == ["send"]


async def test_a_checkpoint_before_a_failure_tells_nothing_of_it() -> None:
    async with Engine("memory://") as engine:
        await failed(engine, "send")
        then = await engine.at(RUN, 5)
    assert (then.status, then.error) == ("running", None)


async def test_a_cancelled_run_can_be_looked_at() -> None:
    deps = Deps().gate("judge")
    async with Engine("memory://") as engine:
        run = await engine.start(LETTERS, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["judge"].wait()
        run.cancel()
        await run.wait()
        then = await engine.at(RUN, 4)
    assert (then.did, then.status, then.error) == ("cancelled", "cancelled", "cancelled")
    assert [task.node for task in then.tasks] == ["judge"]


async def test_what_may_run_at_most_once_and_had_begun_is_told() -> None:
    journals = Journals()
    await interrupted(Bank(), journals)
    async with Engine(MemoryStore(journals)) as engine:
        before, after = await engine.at(RUN, 1), await engine.at(RUN, 2)
    assert [(task.node, task.begun) for task in before.tasks] == [("pay", False)]
    assert [(task.node, task.begun) for task in after.tasks] == [("pay", True)]
    assert after.did == "intended"
    assert PAYING.name == after.workflow


def streaming() -> Workflow[None, None, int, list[int]]:
    wf = WorkflowBuilder(name="streaming", input_type=int, output_type=list[int])

    @wf.stream
    async def count(ctx: StepContext[None, None, int]) -> AsyncIterator[int]:
        for number in range(ctx.inputs):
            yield number

    @wf.function
    async def double(ctx: StepContext[None, None, int]) -> int:
        return 2 * ctx.inputs

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, count)
    wf.edge(count, wf.each(double, join=collect))
    wf.edge(collect, wf.end_node)
    return wf.build()


async def test_a_stream_tells_how_many_items_it_has_given() -> None:
    workflow = streaming()
    async with Engine("memory://") as engine:
        run = await engine.start(workflow, inputs=2, run_id=RUN)
        await run.result()
        summary = await engine.find(RUN)
        then = [await engine.at(RUN, seq, workflow=workflow) for seq in range(1, summary.seq + 1)]
    given = [one.streams[0].items for one in then if one.streams]
    assert given == sorted(given)
    assert {0, 1, 2} <= set(given)
    assert {(one.node, one.inputs) for each in then for one in each.streams} == {("count", 2)}


async def test_an_output_that_could_not_be_routed_is_told() -> None:
    wf = WorkflowBuilder(name="routing", input_type=int, output_type=int)

    @wf.function
    async def make(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    def breaks(number: int) -> bool:
        raise ZeroDivisionError

    wf.edge(wf.start_node, make)
    wf.edge(make, wf.end_node, when=breaks)
    wf.edge(make, wf.end_node, otherwise=True)
    async with Engine("memory://") as engine:
        run = await engine.start(wf.build(), inputs=1, run_id=RUN)
        with pytest.raises(RoutingError):
            await run.result()
        then = await engine.at(RUN, 2)
    assert [(one.node, one.output) for one in then.outputs] == [("make", "2")]
    assert (then.status, then.tasks) == ("failed", ())


async def test_when_a_checkpoint_was_committed_is_told() -> None:
    clock = FakeClock()
    async with Engine(MemoryStore(), clock=clock) as engine:
        await finished(engine)
        then = await engine.at(RUN, 1)
    assert then.at.timestamp() == clock()


async def test_a_workflow_that_the_values_do_not_fit_is_refused() -> None:
    wf = WorkflowBuilder(name="chain", deps_type=Deps, input_type=int, output_type=int)

    @wf.function
    async def other(ctx: StepContext[None, Deps, int]) -> int:
        return ctx.inputs

    wf.edge(wf.start_node, other)
    wf.edge(other, wf.end_node)
    async with Engine("memory://") as engine:
        run = await engine.start(chain(["first", "second"]), inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        with pytest.raises(IncompatibleWorkflow, match="'second'"):
            await engine.at(RUN, 2, workflow=wf.build())
        assert (await engine.at(RUN, 2)).tasks[0].node == "second"


async def test_an_old_checkpoint_is_read_from_the_snapshot_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "SNAPSHOT_CHARACTERS", 500)
    monkeypatch.setattr(logs, "SNAPSHOT_RATIO", 0)
    journals = Journals()
    nodes = [f"node {number}" for number in range(12)]
    await chain(nodes).run(inputs=0, deps=Deps(), store=MemoryStore(journals), run_id=RUN)
    kept = [record.seq for record in journals.records[RUN] if record.snapshot is not None]
    assert len(kept) > 1, "the run is long enough to have snapshots"

    class Watched(MemoryStore):
        async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Any:
            read.append((after, limit))
            return await super().records(run_id, after=after, limit=limit)

    read: list[tuple[int, int | None]] = []
    async with Engine(Watched(journals)) as engine:
        then = await engine.at(RUN, kept[1] + 1)
    assert then.tasks[0].inputs == str(kept[1])
    ((after, limit),) = read
    assert after == kept[1] - 2
    assert limit == 3


async def test_a_damaged_record_is_not_looked_at() -> None:
    journals = Journals()
    with pytest.raises(MilepostError):
        await chain(["a", "b", "c"]).run(inputs=0, deps=Deps(), store=FullStore(journals, 3), run_id=RUN)
    damaged = journals.records[RUN][1]
    journals.records[RUN][1] = damaged._replace(body=damaged.body.replace("completed", "cancelled"))
    async with Engine(MemoryStore(journals)) as engine:
        assert (await engine.at(RUN, 1)).status == "running"
        with pytest.raises(MilepostError, match="Checkpoint 2 of run 'r-1' is damaged"):
            await engine.at(RUN, 3)
