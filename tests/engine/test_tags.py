"""Runs are found by their tags, by when they began and by how they stand, a page at a time, and counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import InputError, UnknownRun
from milepost.engine.stored_runs import RunSummary
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.tags import MOST_CHARACTERS, checked_tags
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import begin
from milepost.workflows.builder import WorkflowBuilder

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]


def adding(name: str) -> Workflow[None, None, int, int]:
    """A workflow that adds one."""
    wf = WorkflowBuilder(name=name, input_type=int, output_type=int)

    @wf.function
    async def add(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    wf.edge(wf.start_node, add)
    wf.edge(add, wf.end_node)
    return wf.build()


ONE = adding("one")
BEGUN = datetime(2026, 11, 28, 9, tzinfo=UTC)


def ids(runs: list[RunSummary]) -> str:
    return "".join(run.run_id for run in runs)


async def filled(engine: Engine) -> None:
    """Start five runs, done one after another; every second one is nightly."""
    for number, run_id in enumerate("edcba"):
        tags = ("nightly", f"customer-{number}") if number % 2 else (f"customer-{number}",)
        run = await engine.start(ONE, inputs=1, run_id=run_id, tags=tags)
        await run.result()


# --- tags -------------------------------------------------------------------------------------------------------------


async def test_a_run_keeps_its_tags_in_their_order() -> None:
    async with Engine("memory://") as engine:
        run = await engine.start(ONE, inputs=1, run_id="a", tags=["z", "é a", "b"])
        await run.result()
        assert (await engine.find("a")).tags == ("z", "é a", "b")
        await (await engine.start(ONE, inputs=1, run_id="b")).result()
        assert (await engine.find("b")).tags == ()


async def test_a_run_that_exists_keeps_the_tags_it_has() -> None:
    async with Engine("memory://") as engine:
        for tags in (("first",), ("second",), ()):
            assert await (await engine.start(ONE, inputs=1, run_id="a", tags=tags)).result() == 2
        assert (await engine.find("a")).tags == ("first",)
        assert ids(await engine.runs(tag="second")) == ""


async def test_a_fork_has_the_tags_of_the_run_it_comes_from() -> None:
    async with Engine("memory://") as engine:
        await (await engine.start(ONE, inputs=1, run_id="a", tags=("nightly", "x"))).result()
        await (await engine.fork("a", ONE, at=1, run_id="b")).result()
        await (await engine.fork("b", ONE, run_id="c")).result()
        assert {run.run_id: run.tags for run in await engine.runs(tag="nightly")} == dict.fromkeys(
            "abc", ("nightly", "x")
        )


async def test_runs_inside_a_run_have_no_tags() -> None:
    wf = WorkflowBuilder(name="outer", input_type=int, output_type=int)
    inner = wf.subworkflow(adding("inner"), node_id="inner")
    wf.edge(wf.start_node, inner)
    wf.edge(inner, wf.end_node)
    async with Engine("memory://") as engine:
        await (await engine.start(wf.build(), inputs=1, run_id="a", tags=("nightly",))).result()
        assert [run.tags for run in await engine.runs(nested=True)] == [(), ("nightly",)]
        assert ids(await engine.runs(tag="nightly", nested=True)) == "a"


async def test_a_run_that_moves_to_another_store_takes_its_tags_along() -> None:
    async with Engine("memory://") as here, Engine("memory://") as there:
        await (await here.start(ONE, inputs=1, run_id="a", tags=("nightly", "x"))).result()
        moved = await there.import_run([line async for line in here.export("a")])
        assert moved.tags == ("nightly", "x")
        assert ids(await there.runs(tag="x")) == "a"


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (("",), "'' is empty"),
        (("ok", "  "), "'  ' is empty"),
        (("a", "b", "a"), "'a' is there twice"),
        (("x" * 101,), "'xxxxxxxxxxxxxxxxxxxx'… has 101 characters, and may have 100"),
        (("a\nb",), r"'a\\nb' has characters that cannot be printed"),
        (("\ud800",), r"'\\ud800' has characters that cannot be printed"),
        ((7,), "7 is no text"),
        (("", "a", "a", 7), "'' is empty; 'a' is there twice; 7 is no text"),
        ("nightly", r"tags='nightly' is one text. Give several, e.g. tags=\('nightly',\)"),
    ],
)
@pytest.mark.parametrize("store", [None, "memory://"])
async def test_tags_that_cannot_be_are_refused(store: str | None, tags: Any, words: str) -> None:
    async with Engine(store) as engine:
        with pytest.raises(InputError, match=words):
            await engine.start(ONE, inputs=1, run_id="a", tags=tags)
        if store is not None:
            assert await engine.runs() == []


async def test_the_longest_tag_is_kept(tmp_path: Path) -> None:
    longest = "é" * MOST_CHARACTERS
    assert checked_tags([longest]) == (longest,)
    async with Engine(SqliteStore(tmp_path / "runs.db")) as engine:
        await (await engine.start(ONE, inputs=1, run_id="a", tags=(longest,))).result()
        assert ids(await engine.runs(tag=longest)) == "a"


# --- lists ------------------------------------------------------------------------------------------------------------


async def test_runs_are_found_by_what_they_are() -> None:
    seconds = count(int(BEGUN.timestamp()))
    async with Engine("memory://", clock=lambda: float(next(seconds))) as engine:
        await filled(engine)
        assert ids(await engine.runs()) == "abcde"
        assert ids(await engine.runs(tag="nightly")) == "bd"
        assert ids(await engine.runs(tag="nightly", limit=1)) == "b"
        assert ids(await engine.runs(status="completed", tag="customer-0")) == "e"
        assert ids(await engine.runs(status="failed")) == ""
        assert ids(await engine.runs(workflow="one", limit=0)) == ""
        for run in await engine.runs():
            assert run.run_id in ids(await engine.runs(since=run.created))
            later = run.created + timedelta(microseconds=1)
            assert run.run_id not in ids(await engine.runs(since=later))


async def test_a_run_is_found_by_when_it_began_to_the_microsecond() -> None:
    async with Engine("memory://", clock=lambda: 1795276657.1234567) as engine:
        await (await engine.start(ONE, inputs=1, run_id="a")).result()
        created = (await engine.find("a")).created
        assert ids(await engine.runs(since=created)) == "a"
        assert ids(await engine.runs(since=created.astimezone())) == "a"
        assert dict(await engine.counts(since=created)) == {"completed": 1}


async def test_pages_follow_one_another() -> None:
    async with Engine("memory://", clock=lambda: 1000.0) as engine:
        await filled(engine)
        first = await engine.runs(limit=2)
        second = await engine.runs(limit=2, before=first[-1])
        third = await engine.runs(limit=2, before=second[-1].run_id)
        assert (ids(first), ids(second), ids(third)) == ("ab", "cd", "e")
        assert await engine.runs(limit=2, before=third[-1]) == []


async def test_a_page_follows_a_run_that_was_removed_meanwhile() -> None:
    seconds = count(1000)
    async with Engine("memory://", clock=lambda: float(next(seconds))) as engine:
        await filled(engine)
        (_, last) = await engine.runs(limit=2)
        await engine.gc(keep_last=1)
        await (await engine.start(ONE, inputs=1, run_id="z")).result()
        assert ids(await engine.runs(before=last)) == ""
        assert ids(await engine.runs(before=replace(last, created=last.created + timedelta(days=1)))) == "za"
        with pytest.raises(UnknownRun, match="There is no run 'b'"):
            await engine.runs(before="b")


async def test_what_cannot_be_asked_is_refused() -> None:
    async with Engine("memory://") as engine:
        with pytest.raises(InputError, match="has no time zone"):
            await engine.runs(since=datetime.fromisoformat("2026-11-01"))
        with pytest.raises(InputError, match="has no time zone"):
            await engine.counts(since=datetime.fromisoformat("2026-11-01"))
        with pytest.raises(InputError, match="limit=-1 is no number of runs"):
            await engine.runs(limit=-1)
        with pytest.raises(UnknownRun):
            await engine.runs(before="nobody")
    async with Engine() as engine:
        with pytest.raises(InputError, match="has no store"):
            await engine.counts()


# --- counts -----------------------------------------------------------------------------------------------------------


async def test_runs_are_counted_by_how_they_stand() -> None:
    wf = WorkflowBuilder(name="broken", output_type=int)

    @wf.function
    async def breaks(ctx: StepContext[None, None, None]) -> int:
        raise ValueError("no")

    wf.edge(wf.start_node, breaks)
    wf.edge(breaks, wf.end_node)
    async with Engine("memory://") as engine:
        assert dict(await engine.counts()) == {}
        await filled(engine)
        failing = await engine.start(wf.build(), run_id="f", tags=("nightly",))
        assert await failing.wait() == "failed"
        assert dict(await engine.counts()) == {"completed": 5, "failed": 1}
        assert dict(await engine.counts(tag="nightly")) == {"completed": 2, "failed": 1}
        assert dict(await engine.counts(workflow="broken")) == {"failed": 1}
        assert dict(await engine.counts(since=datetime.now(UTC) + timedelta(days=1))) == {}


# --- what a closed store gives up -------------------------------------------------------------------------------------


async def test_a_memory_store_that_is_closed_owns_nothing_when_it_is_opened_again() -> None:
    store = MemoryStore()
    async with opened(store):
        await begin(store)
        assert list(await store.ready(0.0, ["claims"], limit=9)) == []
    async with opened(store):
        assert [row.run_id for row in await store.ready(0.0, ["claims"], limit=9)] == ["run"]
