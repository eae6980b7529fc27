"""Policies while nodes run: attempts, their limits of time, and what a body can ask about its attempt."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

import anyio
import pytest
from pydantic import BaseModel, Field
from typing_extensions import Unpack

from milepost.engine.current import current
from milepost.engine.engine import Engine
from milepost.engine.errors import CircuitOpen, NodeError
from milepost.engine.mergers import append
from milepost.engine.policy import CircuitBreaker, Policy, PolicyOptions, RateLimit, Retry
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN

pytestmark = pytest.mark.anyio

STORES = pytest.mark.parametrize("store", [None, "memory:"])


@dataclass
class Flaky:
    """Fails so many times. hangs: attempts that never end."""

    fails: int = 0
    hangs: tuple[int, ...] = ()
    attempts: list[int] = field(default_factory=list[int])
    deadlines: list[datetime | None] = field(default_factory=list[datetime | None])

    async def attempt(self) -> int:
        mine = current()
        self.attempts.append(mine.attempt)
        self.deadlines.append(mine.deadline)
        if mine.attempt in self.hangs:
            await anyio.sleep_forever()
        if len(self.attempts) <= self.fails:
            raise ConnectionError(f"attempt {mine.attempt}")
        return mine.attempt


def one(**policy: Unpack[PolicyOptions]) -> Workflow[None, Flaky, int, int]:
    wf = WorkflowBuilder(name="one", deps_type=Flaky, input_type=int, output_type=int)

    @wf.function(**policy)
    async def try_it(ctx: StepContext[None, Flaky, int]) -> int:
        return await ctx.deps.attempt()

    wf.edge(wf.start_node, try_it)
    wf.edge(try_it, wf.end_node)
    return wf.build()


@STORES
async def test_an_attempt_that_hangs_is_given_up_and_the_next_one_is_made(store: str | None) -> None:
    flaky = Flaky(hangs=(1,))

    assert await one(retry=Retry(), timeout=0.01).run(inputs=1, deps=flaky, store=store and MemoryStore()) == 2
    assert flaky.attempts == [1, 2]


async def test_all_attempts_together_have_a_limit_of_time() -> None:
    flaky = Flaky(hangs=(2,), fails=1)

    with pytest.raises(NodeError, match=r"all attempts together took longer than 0\.02 seconds") as caught:
        await one(retry=Retry(attempts=9), total_timeout=0.02).run(inputs=1, deps=flaky)

    assert isinstance(caught.value.__cause__, TimeoutError)
    assert flaky.attempts == [1, 2]


async def test_a_wait_that_would_use_up_the_time_is_not_begun() -> None:
    flaky = Flaky(fails=9)
    before = time.monotonic()

    with pytest.raises(NodeError, match="ConnectionError: attempt 1"):
        await one(retry=Retry(attempts=9, wait=60.0), total_timeout=30.0).run(inputs=1, deps=flaky)

    assert time.monotonic() - before < 10


async def test_a_body_knows_when_its_time_is_up() -> None:
    flaky = Flaky()
    before = datetime.now(UTC)

    await one(timeout=50.0, total_timeout=20.0).run(inputs=1, deps=flaky)
    await one(timeout=10.0).run(inputs=1, deps=flaky)
    await one().run(inputs=1, deps=flaky)

    first, second, third = flaky.deadlines
    assert first is not None
    assert second is not None
    assert 20 <= (first - before).total_seconds() < 25
    assert 10 <= (second - before).total_seconds() < 15
    assert third is None


async def test_a_circuit_that_is_open_fails_the_node_at_once_in_every_run_of_the_engine() -> None:
    flaky, workflow = Flaky(fails=99), one(circuit_breaker=CircuitBreaker(failures=2), retry=Retry(attempts=5))

    async with Engine() as engine:
        first = await engine.start(workflow, inputs=1, deps=flaky)
        with pytest.raises(NodeError, match="'try_it'") as caught:
            await first.result()
        assert isinstance(caught.value.__cause__, CircuitOpen)
        second = await engine.start(workflow, inputs=1, deps=flaky)
        with pytest.raises(NodeError):
            await second.result()

    assert flaky.attempts == [1, 2]


async def test_a_node_begins_no_more_often_than_its_rate_allows() -> None:
    wf = WorkflowBuilder(name="paced", input_type=list[int], output_type=list[float])

    @wf.function(rate_limit=RateLimit(calls=2, per=0.05))
    async def begin(ctx: StepContext[None, None, int]) -> float:
        return time.monotonic()

    collect = wf.join(reduce_list_append, initial_factory=list[float], node_id="collect")
    wf.edge(wf.start_node, wf.each(begin, join=collect))
    wf.edge(begin, collect)
    wf.edge(collect, wf.end_node)

    times = sorted(await wf.build().run(inputs=[1, 2, 3, 4, 5]))

    assert all(later - earlier >= 0.045 for earlier, later in zip(times, times[2:], strict=False))


async def test_what_pydantic_graph_made_can_have_a_policy_too() -> None:
    wf = WorkflowBuilder(name="theirs", deps_type=Flaky, input_type=int, output_type=int)

    @wf.step
    async def try_it(ctx: StepContext[None, Flaky, int]) -> int:
        return await ctx.deps.attempt()

    wf.add(wf.edge_from(wf.start_node).to(try_it), wf.edge_from(try_it).to(wf.end_node))
    wf.policy(try_it, retry=Retry(attempts=3))
    flaky = Flaky(fails=2)

    assert await wf.build().run(inputs=1, deps=flaky) == 3
    plain = Workflow.from_graph(wf.build(), policies={"try_it": Policy(retry=Retry(attempts=2))})
    assert await plain.run(inputs=1, deps=Flaky(fails=1)) == 2


# --- streams ---------------------------------------------------------------------------------------------------------


@dataclass
class Source:
    """What a stream gives. breaks: the items before which it fails, once each."""

    items: list[int]
    breaks: set[int] = field(default_factory=set[int])
    given: list[int] = field(default_factory=list[int])
    taken: list[int] = field(default_factory=list[int])


class Seen(BaseModel):
    given: Annotated[list[int], append] = Field(default_factory=list[int])


def streaming(*, seeks: bool, **policy: Unpack[PolicyOptions]) -> Workflow[Seen, Source, None, list[int]]:
    wf = WorkflowBuilder(name="streaming", state_type=Seen, deps_type=Source, output_type=list[int])

    @wf.stream(resume="seek" if seeks else "skip", **policy)
    async def give(ctx: StepContext[Seen, Source, None]) -> AsyncIterator[int]:
        ctx.deps.taken.append(current().taken)
        for item in ctx.deps.items[current().taken :] if seeks else ctx.deps.items:
            if item in ctx.deps.breaks:
                ctx.deps.breaks.discard(item)
                raise ConnectionError(f"lost before {item}")
            ctx.deps.given.append(item)
            ctx.state.given.append(item)
            yield item

    @wf.function
    async def take(ctx: StepContext[Seen, Source, int]) -> int:
        return ctx.inputs * 10

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(take, join=collect))
    wf.edge(take, collect)
    wf.edge(collect, wf.end_node)
    return wf.build()


@pytest.mark.parametrize("seeks", [False, True])
@STORES
async def test_a_stream_that_breaks_is_tried_again_and_gives_every_item_once(store: str | None, seeks: bool) -> None:
    source, state = Source([1, 2, 3, 4], breaks={1, 3}), Seen()
    workflow = streaming(seeks=seeks, retry=Retry(attempts=3))

    output = await workflow.run(state=state, deps=source, store=store and MemoryStore())

    assert sorted(output) == [10, 20, 30, 40]
    assert source.taken == [0, 0, 2]
    assert source.given == ([1, 2, 3, 4] if seeks else [1, 2, 1, 2, 3, 4])
    assert state.given == [1, 2, 3, 4]


@pytest.mark.parametrize("seeks", [False, True])
async def test_a_resumed_stream_gets_past_the_committed_items_as_declared(seeks: bool) -> None:
    source, journals, workflow = Source([1, 2, 3, 4], breaks={3}), Journals(), streaming(seeks=seeks)
    with pytest.raises(NodeError, match="lost before 3"):
        await workflow.run(deps=source, store=MemoryStore(journals), run_id=RUN)
    state = Seen()

    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.resume(RUN, workflow, deps=source, state=state)
        assert sorted(await run.result()) == [10, 20, 30, 40]

    assert source.taken == [0, 2]
    assert source.given == ([1, 2, 3, 4] if seeks else [1, 2, 1, 2, 3, 4])
    assert state.given == [1, 2, 3, 4]


async def test_an_item_that_takes_too_long_breaks_the_stream() -> None:
    wf = WorkflowBuilder(name="slow", output_type=list[int])
    attempts: list[int] = []

    @wf.stream(timeout=0.02, retry=Retry(attempts=2))
    async def give(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
        attempts.append(current().attempt)
        yield 1
        if len(attempts) == 1:
            await anyio.sleep_forever()
        yield 2

    @wf.function
    async def take(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(take, join=collect))
    wf.edge(take, collect)
    wf.edge(collect, wf.end_node)

    assert sorted(await wf.build().run(store=MemoryStore())) == [1, 2]
    assert attempts == [1, 2]
