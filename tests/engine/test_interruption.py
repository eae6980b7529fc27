"""Runs whose process has died, or was stopped, are told from those that somebody drives, whatever their rows say."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import InputError
from milepost.engine.interruption import left_alone
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.typed import StepContext
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import append, begin, entry
from milepost.workflows.builder import WorkflowBuilder

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]

wf = WorkflowBuilder(name="patience", input_type=str, output_type=str)


@wf.function
async def look(ctx: StepContext[None, None, str]) -> str:
    return ctx.inputs


@wf.function
async def hold(ctx: StepContext[None, None, str]) -> str:
    if ctx.inputs == "held":
        await anyio.sleep_forever()
    return ctx.inputs


wf.edge(wf.start_node, look)
wf.edge(look, hold)
wf.edge(hold, wf.end_node)
PATIENCE = wf.build()

outer_wf = WorkflowBuilder(name="around", input_type=str, output_type=str)
inside = outer_wf.subworkflow(PATIENCE, node_id="inside")
outer_wf.edge(outer_wf.start_node, inside)
outer_wf.edge(inside, outer_wf.end_node)
AROUND = outer_wf.build()


@asynccontextmanager
async def driven(journals: Journals) -> AsyncGenerator[Engine]:
    """Give an engine that drives run "a", whose second node never ends, and that has ended run "b"."""
    async with Engine(MemoryStore(journals)) as engine:
        await (await engine.start(PATIENCE, inputs="quick", run_id="b")).result()
        run = await engine.start(PATIENCE, inputs="held", run_id="a")
        async for event in engine.follow("a"):
            if event.seq == 2:
                break
        try:
            yield engine
        finally:
            run.stop()
            await run.wait()


async def ids(engine: Engine) -> tuple[str, ...]:
    return tuple(run.run_id for run in await engine.runs(interrupted=True))


async def test_a_run_that_somebody_drives_is_not_interrupted() -> None:
    journals = Journals()
    async with driven(journals) as here, Engine(MemoryStore(journals)) as there:
        for engine in (here, there):
            assert await ids(engine) == ()
            assert await engine.counts(interrupted=True) == {}
            assert not (await engine.find("a")).interrupted
            trace = await engine.trace("a")
            assert (trace.status, trace.interrupted) == ("running", False)
            assert [task.status for task in trace.tasks] == ["completed", "running"]


async def test_a_run_whose_process_died_is_interrupted_and_stands_as_it_stood() -> None:
    journals = Journals()
    async with driven(journals), Engine(MemoryStore(journals)) as engine:
        journals.alive.clear()
        assert await ids(engine) == ("a",)
        assert await engine.counts() == {"running": 1, "completed": 1}
        assert await engine.counts(interrupted=True) == {"running": 1}
        assert [(run.run_id, run.status, run.interrupted) for run in await engine.runs()] == [
            ("a", "running", True),
            ("b", "completed", False),
        ]
        trace = await engine.trace("a")
        assert (trace.status, trace.interrupted) == ("running", True)
        assert [task.status for task in trace.tasks] == ["completed", "pending"]
        (relative,) = await engine.family("a")
        assert relative.interrupted


async def test_a_run_that_was_stopped_is_interrupted_until_somebody_goes_on() -> None:
    journals = Journals()
    async with driven(journals):
        pass
    async with Engine(MemoryStore(journals)) as engine:
        assert (await engine.find("a")).interrupted
        run = await engine.resume("a", PATIENCE)
        assert not (await engine.find("a")).interrupted
        run.stop()
        await run.wait()
        assert (await engine.find("a")).interrupted


async def test_what_it_was_at_an_earlier_checkpoint_is_not_interrupted() -> None:
    journals = Journals()
    async with driven(journals):
        pass
    async with Engine(MemoryStore(journals)) as engine:
        assert not (await engine.trace("a", until=1)).interrupted


async def test_the_runs_inside_an_interrupted_run_are_interrupted_too() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(AROUND, inputs="held", run_id="outer")
        while not (children := await engine.children("outer")) or children[0].seq < 2:
            await anyio.lowlevel.checkpoint()
        assert not children[0].interrupted
        async with Engine(MemoryStore(journals)) as other:
            journals.alive.clear()
            assert [child.interrupted for child in await other.children("outer")] == [True]
            assert [child.interrupted for child in (await other.trace("outer")).children.values()] == [True]
            assert len(await other.runs(interrupted=True)) == 1
            assert len(await other.runs(interrupted=True, nested=True)) == 2
        run.stop()
        await run.wait()


async def test_interrupted_runs_come_in_pages() -> None:
    journals = Journals()
    async with opened(MemoryStore(journals)) as store:
        for run_id in "abcde":
            await begin(store, run_id)
    async with Engine(MemoryStore(journals)) as engine, opened(MemoryStore(journals)) as other:
        await other.acquire("b")
        first = await engine.runs(interrupted=True, limit=2)
        rest = await engine.runs(interrupted=True, limit=3, before=first[-1])
        assert [run.run_id for run in (*first, *rest)] == list("acde")
        assert await engine.counts(interrupted=True) == {"running": 4}


async def test_only_a_run_that_is_running_can_be_interrupted() -> None:
    async with Engine("memory://") as engine:
        assert await engine.runs(interrupted=True, status="running") == []
        with pytest.raises(InputError, match="A run that is failed cannot be interrupted"):
            await engine.runs(interrupted=True, status="failed")


class Ending(MemoryStore):
    """A store whose run "run" ends, and whose owner goes, while somebody asks who is alive."""

    async def alive(self) -> Collection[str]:
        row = self.journals.rows["run"]
        self.journals.rows["run"] = replace(row, owner=None, status="completed")
        return ()


async def test_a_run_that_ended_while_that_was_asked_is_not_interrupted() -> None:
    journals = Journals()
    async with opened(Ending(journals)) as store:
        await begin(store)
        row = await store.row("run")
        assert row is not None
        assert await left_alone(store, [row]) == set()


async def test_who_is_alive_is_not_asked_where_nothing_is_under_way() -> None:
    journals = Journals()
    async with opened(Ending(journals)) as store:
        await begin(store)
        await append(store, entry("run", 2, status="failed", error="e"))
        row = await store.row("run")
        assert row is not None
        assert await left_alone(store, [row]) == set()
        after = await store.row("run")
        assert after is not None
        assert after.status == "failed"
