"""A run that waits has no owner and costs nothing; whoever comes first goes on with it, and no message is lost."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import anyio
import pytest

from milepost import Engine, RunCancelled, RunWaiting, StepContext, WorkflowBuilder
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.stores.store import RunRow
from tests.engine.waiters import RUN, World, asking, begun, mapped, nested, only, stored, world

__all__ = ["stored", "world"]

pytestmark = pytest.mark.anyio


async def row_of(stored: World, run_id: str = RUN) -> RunRow:
    store = stored.store()
    assert store is not None
    await store.open()
    row = await store.row(run_id)
    await store.close()
    assert row is not None
    return row


async def test_a_run_that_waits_has_no_owner_and_says_until_when(stored: World) -> None:
    async with stored.engine() as engine:
        run = await begun(engine, asking(stored.ran, deadline=timedelta(minutes=1)), 1)
        row = await row_of(stored)
        assert (row.status, row.owner, row.due) == ("waiting", None, stored.clock() + 60)
        await engine.answer(RUN, "approve", 1)
        await run.result()
        assert (await row_of(stored)).due is None
        assert [one.text for one in await engine.verify()] == []


async def test_a_checkpoint_shows_what_was_waited_for_then(stored: World) -> None:
    async with stored.engine() as engine:
        run = await begun(engine, asking(stored.ran), 1)
        question = await only(engine)
        await engine.answer(RUN, "approve", 1)
        await run.result()
        told = {seq: (await engine.at(RUN, seq)).waits for seq in (2, 3, 4)}
    assert told == {2: (), 3: (question,), 4: ()}


async def test_verify_finds_a_row_that_waits_until_another_time() -> None:
    store = MemoryStore()
    async with Engine(store) as engine:
        await begun(engine, asking([]), 1)
        store.journals.rows[RUN] = replace(store.journals.rows[RUN], due=5.0)
        assert [one.text for one in await engine.verify()] == [
            f"Run {RUN!r}: its row has another time until which it waits than its newest checkpoint."
        ]


async def test_a_thousand_runs_wait_in_one_engine() -> None:
    ran: list[str] = []
    workflow, store = asking(ran), MemoryStore()
    async with Engine(store) as engine:
        runs = [await engine.start(workflow, inputs=number) for number in range(1000)]
        assert {await run.settle() for run in runs} == {"waiting"}
        assert {row.owner for row in store.journals.rows.values()} == {None}
        for run in runs[::100]:
            await engine.answer(run.id, "approve", 5)
            assert await run.result() == "answered 5"
    with pytest.raises(RunWaiting):
        await runs[1].result()


async def test_a_run_that_waits_is_cancelled_by_its_handle_its_engine_and_another_one(stored: World) -> None:
    workflow = asking(stored.ran)
    async with stored.engine() as engine, stored.engine() as other:
        for name in ("handle", "engine", "another"):
            run = await begun(engine, workflow, 1, run_id=name)
            if name == "handle":
                run.cancel()
            else:
                assert await (engine if name == "engine" else other).cancel(name) == "cancelled"
            with anyio.fail_after(5), pytest.raises(RunCancelled):
                await run.result()
            assert (await row_of(stored, name)).owner is None


async def test_a_run_that_waits_is_stopped_and_stays_as_it_is(world: World) -> None:
    async with world.engine() as engine:
        run = await begun(engine, asking(world.ran), 1)
        run.stop()
        with anyio.fail_after(5):
            await run.wait()
    if world.is_stored:
        assert (await row_of(world)).status == "waiting"


@pytest.mark.parametrize("how", ["cancel", "stop"])
async def test_what_is_asked_while_a_run_is_woken_is_not_lost(stored: World, how: str) -> None:
    workflow = asking(stored.ran)
    async with stored.engine() as engine:
        for steps in range(12):
            run = await begun(engine, workflow, 1, run_id=f"run-{steps}")
            assert run.parking is not None
            run.parking.wake()
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            getattr(run, how)()
            with anyio.fail_after(5):
                await run.wait()
            assert run.status == "cancelled" or how == "stop"


async def test_two_engines_wait_with_one_run_and_both_learn_its_output(stored: World) -> None:
    workflow = asking(stored.ran)
    async with stored.engine() as one, stored.engine() as other:
        here, there = await begun(one, workflow, 1), await begun(other, workflow, 1)
        await one.answer(RUN, "approve", 3)
        with anyio.fail_after(10):
            assert await here.result() == "answered 3"
            while not there.is_over:
                stored.clock.advance(1)
                await anyio.sleep(0.05)
        assert await there.result() == "answered 3"
    assert stored.ran == ["before", "approve", "after"]


@dataclass
class Limit:
    most: int = 5
    seen: list[int] = field(default_factory=list[int])


async def test_the_state_of_a_run_that_waits_is_edited_where_it_waits(stored: World) -> None:
    wf = WorkflowBuilder(name="edited", state_type=Limit, output_type=int)

    @wf.ask(answer=int)
    async def approve(ctx: StepContext[Limit, None, None]) -> str:
        return "Well?"

    @wf.function
    async def capped(ctx: StepContext[Limit, None, int]) -> int:
        return min(ctx.inputs, ctx.state.most)

    wf.edge(wf.start_node, approve)
    wf.edge(approve, capped)
    wf.edge(capped, wf.end_node)
    workflow = wf.build()
    async with stored.engine() as engine:
        run = await begun(engine, workflow)
        await engine.edit_state(RUN, workflow, Limit(most=3))
        assert (await row_of(stored)).status == "waiting"
        await engine.answer(RUN, (await only(engine)).id, 9)
        assert await run.result() == 3
        assert [one.text for one in await engine.verify()] == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("levels", [0, 2])
async def test_no_answer_is_lost_whenever_it_comes(stored: World, seed: int, levels: int) -> None:
    chance = random.Random(seed)
    workflow: Any = mapped(stored.ran)
    if levels:
        workflow = nested(workflow, levels, list[int], list[int])
    numbers = list(range(12))

    async def answer(engine: Engine, question: str, value: int) -> None:
        for _ in range(chance.randrange(60)):
            await anyio.lowlevel.checkpoint()
        await engine.answer(RUN, question, value)

    async with stored.engine() as engine, stored.engine() as other:
        run = await begun(engine, workflow, numbers)
        found = await engine.questions(RUN)
        assert len(found) == len(numbers)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                for question in found:
                    speaker = engine if chance.random() < 0.5 else other
                    group.start_soon(answer, speaker, question.id, int(question.text[5:-1]))
            assert sorted(await run.result()) == numbers
        assert [one.text for one in await engine.verify()] == []
    assert sorted(stored.ran) == sorted(f"{node} {number}" for number in numbers for node in ("rate", "note"))
