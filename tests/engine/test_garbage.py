"""What a completed run leaves to the garbage collector, which looks at everything there is: nothing.

What a run has failed with holds the frames that it came through, which hold the run.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from milepost import Engine, Retry, StepContext, Workflow, WorkflowBuilder, reduce_sum
from milepost.engine.executor import Driver
from milepost.engine.run import Run

pytestmark = pytest.mark.anyio
Context = StepContext[None, None, int]


@pytest.fixture
def never_collected() -> Generator[None]:
    """While nothing is freed but by the last reference to it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def counting() -> Workflow[None, None, int, int]:
    wf = WorkflowBuilder(name="counting", input_type=int, output_type=int)

    @wf.function
    async def count(ctx: Context) -> int:
        return ctx.inputs + 1

    wf.edge(wf.start_node, count)
    wf.edge(count, count, when=lambda value: value < 5)
    wf.edge(count, wf.end_node, otherwise=True)
    return wf.build()


def spreading(inner: Workflow[None, None, int, int] | None = None) -> Workflow[None, None, int, int]:
    wf = WorkflowBuilder(name="spreading", input_type=int, output_type=int, max_concurrency=2)

    @wf.function
    async def split(ctx: Context) -> list[int]:
        return list(range(4))

    async def waits(ctx: Context) -> int:
        await anyio.lowlevel.checkpoint()
        return ctx.inputs

    limited = wf.function(retry=Retry(attempts=2), timeout=10)
    each = limited(waits) if inner is None else wf.subworkflow(inner)
    total = wf.join(reduce_sum, initial=0, node_id="total")
    wf.edge(wf.start_node, split)
    wf.edge(split, wf.each(each, join=total))
    wf.edge(total, wf.end_node)
    return wf.build()


def streaming() -> Workflow[None, None, int, int]:
    wf = WorkflowBuilder(name="streaming", input_type=int, output_type=int)

    @wf.stream
    async def items(ctx: Context) -> AsyncIterator[int]:
        for number in range(3):
            yield number

    @wf.function
    async def same(ctx: Context) -> int:
        return ctx.inputs

    total = wf.join(reduce_sum, initial=0, node_id="total")
    wf.edge(wf.start_node, items)
    wf.edge(items, wf.each(same, join=total))
    wf.edge(total, wf.end_node)
    return wf.build()


KINDS = {
    "a loop": counting(),
    "a limited map": spreading(),
    "runs inside": spreading(counting()),
    "a stream": streaming(),
}


def left() -> list[Any]:
    """The runs that are in memory, and what drove them."""
    return [one for one in gc.get_objects() if isinstance(one, Run | Driver)]


@pytest.mark.usefixtures("never_collected")
@pytest.mark.parametrize("store", [None, "memory://", "sqlite"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_completed_run_is_free_when_nobody_needs_it_any_more(
    kind: str, store: str | None, tmp_path: Path
) -> None:
    async with Engine(f"sqlite:///{tmp_path}/runs.db" if store == "sqlite" else store) as engine:
        run = await engine.start(KINDS[kind], inputs=0)
        async for _ in run.events():
            pass
        await run.result()
        del run
    assert left() == []


@pytest.mark.usefixtures("never_collected")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_run_without_an_engine_is_free_when_it_is_completed(kind: str) -> None:
    await KINDS[kind].run(inputs=0)
    assert left() == []
