"""What becomes of a run when a node fails for good: error edges, siblings, and what the journal says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import NodeError, NotStorable, RoutingError
from milepost.engine.failure import Failure
from milepost.engine.journal import Kind, Record
from milepost.engine.journal_text import from_text
from milepost.engine.policy import OnFailure
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.typed import StepContext, reduce_list_append, reduce_sum
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN, Deps

pytestmark = pytest.mark.anyio


class Died(BaseException):
    """Stands for the end of the process: nothing that handles failures sees it."""


class Refused(Exception):
    """What the faulty nodes of these tests raise."""


def records(journals: Journals) -> list[Record]:
    return [from_text(one.seq, one.body, one.content) for one in journals.records[RUN]]


def kinds(journals: Journals) -> list[Kind]:
    return [record.kind for record in records(journals)]


# --- error edges -----------------------------------------------------------------------------------------------------


@dataclass
class Plan:
    """What `fetch` does. raises: what it fails with."""

    raises: BaseException | None = None
    calls: list[str] = field(default_factory=list[str])


def guarded() -> Workflow[None, Plan, int, str]:
    """Build a node with two error edges and a way on."""
    wf = WorkflowBuilder(name="guarded", deps_type=Plan, input_type=int, output_type=str)

    @wf.function
    async def fetch(ctx: StepContext[None, Plan, int]) -> int:
        ctx.deps.calls.append("fetch")
        if ctx.deps.raises is not None:
            raise ctx.deps.raises
        return ctx.inputs * 2

    @wf.function
    async def use(ctx: StepContext[None, Plan, int]) -> str:
        ctx.deps.calls.append("use")
        return f"got {ctx.inputs}"

    @wf.function
    async def late(ctx: StepContext[None, Plan, Failure[int]]) -> str:
        ctx.deps.calls.append("late")
        return f"late with {ctx.inputs.inputs}"

    @wf.function
    async def explain(ctx: StepContext[None, Plan, Failure[int]]) -> str:
        ctx.deps.calls.append("explain")
        failure = ctx.inputs
        return f"{failure.node} raised {failure.error}: {failure.message} ({failure.attempts})"

    wf.edge(wf.start_node, fetch)
    wf.edge(fetch, use)
    wf.edge(fetch, late, on_error=TimeoutError)
    wf.edge(fetch, explain, on_error=(Refused, KeyError))
    for node in (use, late, explain):
        wf.edge(node, wf.end_node)
    return wf.build()


GUARDED = guarded()


@pytest.mark.parametrize("store", [None, "memory:"])
@pytest.mark.parametrize(
    ("raises", "output"),
    [
        (None, "got 14"),
        (TimeoutError(), "late with 7"),
        (Refused("no"), f"fetch raised {Refused.__module__}.Refused: no (1)"),
        (KeyError("x"), "fetch raised KeyError: 'x' (1)"),
    ],
)
async def test_a_failure_goes_along_the_first_error_edge_that_takes_it(
    raises: BaseException | None, output: str, store: str | None
) -> None:
    assert await GUARDED.run(inputs=7, deps=Plan(raises), store=store and MemoryStore()) == output


async def test_a_failure_that_no_error_edge_takes_fails_the_run() -> None:
    with pytest.raises(NodeError, match="Node 'fetch' failed on its only attempt: ValueError: other") as caught:
        await GUARDED.run(inputs=7, deps=Plan(ValueError("other")))

    assert caught.value.summary == "7"
    assert isinstance(caught.value.__cause__, ValueError)


async def test_the_journal_of_a_caught_failure_says_so_and_a_resume_does_not_run_the_node_again() -> None:
    journals, plan = Journals(), Plan(Refused("no"))

    class Dies(MemoryStore):
        def append(self, entry: Any, acknowledge: Any) -> None:
            if entry.seq == 3:
                raise Died
            super().append(entry, acknowledge)

    with pytest.raises((Died, BaseExceptionGroup)):
        await GUARDED.run(inputs=7, deps=plan, store=Dies(journals), run_id=RUN)
    output = await GUARDED.run(inputs=7, deps=plan, store=MemoryStore(journals), run_id=RUN)

    assert output.startswith("fetch raised")
    assert plan.calls == ["fetch", "explain", "explain"]
    caught = records(journals)[1]
    assert (caught.kind, caught.node, caught.error) == (Kind.CAUGHT, "fetch", "Refused: no")


async def test_a_join_waits_for_the_branch_of_an_error_edge() -> None:
    wf = WorkflowBuilder(name="joined", deps_type=Deps, input_type=list[int], output_type=list[int])

    @wf.function
    async def halve(ctx: StepContext[None, Deps, int]) -> int:
        if ctx.inputs % 2:
            raise Refused(f"{ctx.inputs} is odd")
        return ctx.inputs // 2

    @wf.function
    async def repair(ctx: StepContext[None, Deps, Failure[int]]) -> int:
        await ctx.deps.enter("repair")
        return -ctx.inputs.inputs

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, wf.each(halve, join=collect))
    wf.edge(halve, collect)
    wf.edge(halve, repair, on_error=True)
    wf.edge(repair, collect)
    wf.edge(collect, wf.end_node)
    deps = Deps().gate("repair")

    async with Engine(MemoryStore()) as engine:
        run = await engine.start(wf.build(), inputs=[2, 3, 8], deps=deps)
        await deps.begun["repair"].wait()
        assert run.status == "running"
        deps.gates["repair"].set()
        assert sorted(await run.result()) == [-3, 1, 4]


async def test_the_state_of_a_caught_failure_is_rolled_back() -> None:
    wf = WorkflowBuilder(name="rolled", state_type=dict[str, int], input_type=int, output_type=dict[str, int])

    @wf.function
    async def spoil(ctx: StepContext[dict[str, int], None, int]) -> dict[str, int]:
        ctx.state["spoilt"] = 1
        raise Refused

    @wf.function
    async def look(ctx: StepContext[dict[str, int], None, Failure[int]]) -> dict[str, int]:
        return dict(ctx.state)

    wf.edge(wf.start_node, spoil)
    wf.edge(spoil, look, on_error=True)
    wf.edge(spoil, wf.end_node)
    wf.edge(look, wf.end_node)
    workflow = wf.build()
    state = {"kept": 1}

    assert await workflow.run(inputs=1, state=state, store=MemoryStore()) == {"kept": 1}
    assert state == {"kept": 1}


async def test_an_error_edge_does_not_take_what_is_the_workflows_own_fault() -> None:
    wf = WorkflowBuilder(name="unfit", input_type=int, output_type=str)

    @wf.function
    async def give(ctx: StepContext[None, None, int]) -> Any:
        return object()

    @wf.function
    async def hide(ctx: StepContext[None, None, Failure[int]]) -> str:
        return "hidden"

    wf.edge(wf.start_node, give)
    wf.edge(give, hide, on_error=True)
    wf.edge(give, wf.end_node)
    wf.edge(hide, wf.end_node)

    with pytest.raises(NotStorable):
        await wf.build(validate_graph_structure=False).run(inputs=1, store=MemoryStore())


@pytest.mark.parametrize("store", [None, "memory:"])
async def test_a_stream_that_breaks_goes_along_its_error_edge_and_keeps_what_it_gave(store: str | None) -> None:
    wf = WorkflowBuilder(name="broken", input_type=int, output_type=int)

    @wf.stream
    async def give(ctx: StepContext[None, None, int]) -> AsyncIterator[int]:
        for number in range(ctx.inputs):
            yield number + 1
        raise Refused("that was all")

    @wf.function
    async def double(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 2

    @wf.function
    async def note(ctx: StepContext[None, None, Failure[int]]) -> int:
        return 1000

    collect = wf.join(reduce_sum, initial=0, node_id="collect")
    wf.edge(wf.start_node, give)
    wf.edge(give, wf.each(double, join=collect))
    wf.edge(give, note, on_error=Refused)
    wf.edge(note, collect)
    wf.edge(collect, wf.end_node)

    assert await wf.build().run(inputs=3, store=store and MemoryStore()) == 1012


async def test_a_faulty_edge_behind_an_error_edge_runs_the_node_again_on_a_resume() -> None:
    wf = WorkflowBuilder(name="faulty", deps_type=Plan, input_type=int, output_type=int)
    broken = [True]

    @wf.function
    async def fetch(ctx: StepContext[None, Plan, int]) -> int:
        ctx.deps.calls.append("fetch")
        raise Refused

    def merge(current: int, item: Failure[int]) -> int:
        if broken:
            raise RuntimeError("the reducer is broken")
        return current + item.inputs

    total = wf.join(merge, initial=0, node_id="total")
    wf.edge(wf.start_node, fetch)
    wf.edge(fetch, total, on_error=True)
    wf.edge(fetch, wf.end_node)
    wf.edge(total, wf.end_node)
    workflow, plan, journals = wf.build(), Plan(), Journals()

    with pytest.raises(RoutingError, match="reducer"):
        await workflow.run(inputs=5, deps=plan, store=MemoryStore(journals), run_id=RUN)
    broken.clear()

    assert await workflow.run(inputs=5, deps=plan, store=MemoryStore(journals), run_id=RUN) == 5
    assert plan.calls == ["fetch", "fetch"]


# --- siblings --------------------------------------------------------------------------------------------------------


def siblings(on_failure: OnFailure) -> Workflow[None, Deps, int, int]:
    """Build two branches side by side; the slow one has another node after it."""
    wf = WorkflowBuilder(name="siblings", deps_type=Deps, input_type=int, output_type=int, on_failure=on_failure)

    @wf.function
    async def fast(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("fast")
        return ctx.inputs

    @wf.function
    async def slow(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("slow")
        return ctx.inputs

    @wf.function
    async def after(ctx: StepContext[None, Deps, int]) -> int:
        await ctx.deps.enter("after")
        return ctx.inputs

    total = wf.join(reduce_sum, initial=0, node_id="total")
    wf.edge(wf.start_node, fast)
    wf.edge(wf.start_node, slow)
    wf.edge(slow, after)
    wf.edge(fast, total)
    wf.edge(after, total)
    wf.edge(total, wf.end_node)
    return wf.build()


async def failed(on_failure: OnFailure, deps: Deps, journals: Journals) -> None:
    """Run until `fast` has failed while `slow` is running."""
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(siblings(on_failure), inputs=1, deps=deps, run_id=RUN)
        await deps.begun["slow"].wait()
        await deps.begun["fast"].wait()
        deps.gates["fast"].set()
        async with anyio.create_task_group() as group:
            group.start_soon(opened_once_failed, deps, journals)
            with pytest.raises(NodeError, match="'fast'"):
                await run.result()
            group.cancel_scope.cancel()


async def opened_once_failed(deps: Deps, journals: Journals) -> None:
    await anyio.lowlevel.checkpoint()
    await anyio.lowlevel.checkpoint()
    deps.gates["slow"].set()
    await anyio.sleep_forever()


async def test_siblings_are_cancelled_when_a_node_fails() -> None:
    deps, journals = Deps(faulty={"fast"}).gate("fast", "slow"), Journals()

    await failed("cancel", deps, journals)

    assert deps.stopped == ["slow"]
    assert kinds(journals) == [Kind.STARTED, Kind.FAILED]


async def test_siblings_finish_first_where_that_is_declared_and_nothing_new_begins() -> None:
    deps, journals = Deps(faulty={"fast"}).gate("fast", "slow"), Journals()

    await failed("finish", deps, journals)

    assert deps.stopped == []
    assert deps.calls["after"] == 0
    assert kinds(journals) == [Kind.STARTED, Kind.COMPLETED, Kind.FAILED]

    deps.faulty.clear()
    assert await siblings("finish").run(inputs=1, deps=deps, store=MemoryStore(journals), run_id=RUN) == 2
    assert deps.calls == {"fast": 2, "slow": 1, "after": 1}


async def test_everything_that_failed_is_written_down_and_the_run_fails_with_the_first() -> None:
    deps, journals = Deps(faulty={"fast", "slow"}).gate("fast", "slow"), Journals()

    await failed("finish", deps, journals)

    assert [(one.kind, one.node) for one in records(journals)[1:]] == [(Kind.FAILED, "slow"), (Kind.FAILED, "fast")]
    deps.faulty.clear()
    assert await siblings("finish").run(inputs=1, deps=deps, store=MemoryStore(journals), run_id=RUN) == 2
