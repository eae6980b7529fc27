"""A trace has what the runs inside a run did, as many levels of them as are asked for."""

from __future__ import annotations

import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import InputError, NodeError
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.stores.store import RunRow
from milepost.engine.trace import Trace
from tests.engine.nests import DEEP, OUTER, fan, nested, tree
from tests.engine.subjects import RUN, Deps, chain

pytestmark = pytest.mark.anyio


class Counting(MemoryStore):
    """Counts the questions for runs inside runs."""

    asked = 0

    async def children(self, run_id: str, *, status: object = None) -> list[RunRow]:
        self.asked += 1
        return list(await super().children(run_id))


def levels(trace: Trace) -> list[list[str]]:
    """Return the names of the workflows of a run and of those inside it, level by level."""
    found: list[list[str]] = []
    some = [trace]
    while some:
        found.append([one.definition.name for one in some])
        some = [child for one in some for child in one.children.values()]
    return found


async def test_what_the_run_inside_did_is_in_the_trace_of_the_one_around_it() -> None:
    async with Engine("memory:") as engine:
        run = await engine.start(OUTER, inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        trace = await engine.trace(RUN)
        (child,) = await engine.children(RUN)
        assert trace.children == {child.run_id: await engine.trace(child.run_id)}
    (inside,) = trace.children.values()
    assert [(task.node, task.status) for task in inside.tasks] == [("parse", "completed"), ("judge", "completed")]
    assert inside.definition == next(node.child for node in trace.definition.nodes if node.id == "inner")
    assert {task.node: task.child for task in trace.tasks} == {"before": None, "inner": child.run_id, "after": None}


async def test_so_many_levels_are_read_as_are_asked_for() -> None:
    async with Engine("memory:") as engine:
        run = await engine.start(DEEP, inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        assert levels(await engine.trace(RUN)) == [["deep"], ["middle"], ["review"]]
        assert levels(await engine.trace(RUN, depth=1)) == [["deep"], ["middle"]]
        assert levels(await engine.trace(RUN, depth=0)) == [["deep"]]
        assert (await engine.trace(RUN, depth=0)).tasks == (await engine.trace(RUN)).tasks
        with pytest.raises(InputError, match=r"depth=-1 is no number of levels\. Give 0 for none, or None for all\."):
            await engine.trace(RUN, depth=-1)


async def test_every_item_of_a_map_has_its_own_and_a_failed_one_too() -> None:
    async with Engine("memory:") as engine:
        run = await engine.start(fan(), inputs=[1, 2, 3], deps=Deps(faulty={"judge"}), run_id=RUN)
        with pytest.raises(NodeError):
            await run.result()
        trace = await engine.trace(RUN)
    begun = [task.child for task in trace.tasks if task.child in trace.children]
    assert list(trace.children) == begun
    assert "failed" in {child.status for child in trace.children.values()}


async def test_a_workflow_that_runs_itself_is_followed_to_its_end() -> None:
    async with Engine("memory:") as engine:
        run = await engine.start(tree(depth=60), inputs=nested(50), deps=Deps(), run_id=RUN)
        await run.result()
        assert levels(await engine.trace(RUN)) == [["tree"]] * 51


async def test_nobody_is_asked_for_runs_inside_one_that_cannot_have_any() -> None:
    store = Counting()
    async with Engine(store) as engine:
        run = await engine.start(chain(["only"]), inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        await engine.trace(RUN)
    assert store.asked == 0
