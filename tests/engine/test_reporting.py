"""A report tells every checkpoint of a run: what was given, what was stored, and what changed in the state."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from milepost.engine.engine import Engine
from milepost.engine.errors import UnknownRun
from milepost.engine.lineage import trace_of
from milepost.engine.report import Excerpt, Report, StateChange
from milepost.engine.reporting import LARGEST, MOST_CHANGES, SMALLEST, Reporter
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.letters import LETTERS, NEWEST, Letter, failed, finished, task_of
from tests.engine.nests import OUTER
from tests.engine.subjects import RUN, Deps

pytestmark = pytest.mark.anyio


class Notes(BaseModel):
    lines: list[str] = []
    large: str = ""
    counts: dict[str, int] = {}


Change = Callable[[Notes], object]


def grown(state: Notes) -> None:
    state.lines.append("x" * 1000)


def noting(*changes: Change) -> Workflow[Notes, None, int, int]:
    """Build nodes in a row, each of which does one thing to the state."""
    wf = WorkflowBuilder(name="noting", state_type=Notes, input_type=int, output_type=int)

    def node(number: int, change: Change) -> Any:
        async def body(ctx: StepContext[Notes, None, int]) -> int:
            change(ctx.state)
            return ctx.inputs + 1

        return wf.function(node_id=f"node_{number}")(body)

    nodes = [node(number, change) for number, change in enumerate(changes)]
    for source, target in zip([wf.start_node, *nodes], [*nodes, wf.end_node], strict=True):
        wf.edge(source, target)
    return wf.build()


async def reported(workflow: Any, inputs: Any = 1) -> Report:
    async with Engine("memory:") as engine:
        run = await engine.start(workflow, inputs=inputs, run_id=RUN)
        await run.result()
        return await engine.report(RUN)


async def test_every_checkpoint_says_what_it_was_and_what_it_stored() -> None:
    async with Engine("memory:") as engine:
        await finished(engine)
        report = await engine.report(RUN)
        plain = await engine.trace(RUN)
    assert report.trace == plain
    told = [(one.seq, one.did, one.node, one.status) for one in report.checkpoints]
    assert told[:2] == [(1, "started", "", "running"), (2, "completed", "outline", "running")]
    assert told[-1] == (NEWEST, "completed", "send", "completed")
    assert report.checkpoints[0].stored == Excerpt("2", 1)
    assert report.checkpoints[1].stored == Excerpt("[0,1]", 5)
    tasks = {task.key: task for task in report.trace.tasks}
    assert [tasks[key].node for key in report.checkpoints[1].spawned] == ["write", "write"]
    assert report.checkpoints[1].passed == {
        ("outline", "outline_each_write", 0): 1,
        ("outline_each_write", "write", 0): 2,
    }
    assert [one.fired for one in report.checkpoints].count(("parts",)) == 1


async def test_every_task_is_told_with_what_it_was_given_also_where_an_older_record_holds_it() -> None:
    async with Engine("memory:") as engine:
        await finished(engine)
        report = await engine.report(RUN)
    given = {f"{task.node}#{task.visit}": report.inputs[task.key].text for task in report.trace.tasks}
    joined = '["plain 0","plain 1"]'
    given = {name: joined if "plain" in text else text for name, text in given.items()}  # they arrive in any order
    assert given == {
        "outline#1": "2",
        "write#1": "0",
        "write#2": "1",
        "judge#1": joined,
        "send#1": joined,
    }


async def test_changes_of_the_state_are_told_part_by_part() -> None:
    async with Engine("memory:") as engine:
        await finished(engine)
        report = await engine.report(RUN)
        states = [(await engine.at(RUN, seq)).state for seq in range(1, NEWEST + 1)]
    assert report.checkpoints[1].changes == (
        StateChange(path="lines[0]", before=None, after=Excerpt('"outline 2"', 11)),
    )
    assert report.checkpoints[2].changes == ()
    for seq, state in enumerate(states, 1):
        assert {name: json.loads(text) for name, text in report.state(seq).items()} == json.loads(state or "{}")


async def test_a_failure_is_told_with_its_error_and_the_tasks_it_stopped() -> None:
    async with Engine("memory:") as engine:
        await failed(engine, "send")
        report = await engine.report(RUN)
    last = report.checkpoints[-1]
    assert (last.did, last.node, last.status, last.error) == ("failed", "send", "failed", "ValueError: send is faulty")
    assert last.stored is None


async def test_a_fork_tells_what_it_shares_and_what_was_changed_by_hand() -> None:
    async with Engine("memory:") as engine:
        await finished(engine)
        key = await task_of(engine, "outline", 1)
        fork = await engine.fork(
            RUN, LETTERS, at=1, state=Letter(tone="rude"), inputs={key: 1}, deps=Deps(), run_id="fork"
        )
        await fork.result()
        report = await engine.report("fork")
    changed = next(one for one in report.checkpoints if one.did == "forked")
    assert [(one.path, one.before, one.after) for one in changed.changes] == [
        ("tone", Excerpt('"plain"', 7), Excerpt('"rude"', 6))
    ]
    assert report.inputs[key] == Excerpt("1", 1)
    assert json.loads(report.state(changed.seq)["tone"]) == "rude"


async def test_a_large_text_is_cut_and_its_size_is_told() -> None:
    report = await reported(noting(lambda state: setattr(state, "large", "é" * 40_000)))
    change = report.checkpoints[1].changes[0]
    assert (change.path, change.is_text) == ("large", True)
    assert change.after is not None
    assert change.after.size == 40_002
    assert len(report.state(2)["large"]) == LARGEST
    assert report.sizes == {"large": 40_002}


async def test_a_change_far_inside_a_large_field_is_told_with_what_stands_around_it() -> None:
    report = await reported(
        noting(
            lambda state: setattr(state, "large", "a" * 40_000),
            lambda state: setattr(state, "large", state.large[:30_000] + "HERE" + state.large[30_000:]),
        )
    )
    (change,) = report.checkpoints[2].changes
    assert change.before is not None
    assert change.after is not None
    assert "HERE" not in change.before.text
    assert "HERE" in change.after.text
    assert change.after.is_cut
    assert len(change.after.text) < 200


async def test_many_changes_at_once_are_counted() -> None:
    report = await reported(noting(lambda state: state.counts.update({f"k{n}": n for n in range(MOST_CHANGES + 7)})))
    assert len(report.checkpoints[1].changes) == MOST_CHANGES
    assert report.checkpoints[1].more_changes == 7
    assert report.checkpoints[1].changes[0].path == "counts.k0"


async def test_with_no_room_left_texts_are_cut_short_and_the_state_is_no_longer_told() -> None:
    store = MemoryStore()
    async with Engine(store) as engine:
        run = await engine.start(noting(*[grown] * 4), inputs=1, run_id=RUN)
        await run.result()
        reporter = Reporter(RUN, room=1500)
        row = await store.row(RUN)
        assert row is not None
        await trace_of(store, row, seen=reporter.note)
    assert reporter.known == 2
    assert [bool(one.patch) for one in reporter.checkpoints] == [True, True, False, False, False]
    after = reporter.checkpoints[3].changes[0].after
    assert after is not None
    assert (len(after.text), after.size) == (SMALLEST, 1002)


async def test_runs_inside_a_run_are_traced_and_only_its_own_checkpoints_are_told() -> None:
    async with Engine("memory:") as engine:
        run = await engine.start(OUTER, inputs=1, deps=Deps(), run_id=RUN)
        await run.result()
        report = await engine.report(RUN)
        shallow = await engine.report(RUN, depth=0)
    assert report.trace.children
    assert not shallow.trace.children
    assert len(report.checkpoints) == report.trace.checkpoints


async def test_an_unknown_run_has_no_report() -> None:
    async with Engine("memory:") as engine:
        with pytest.raises(UnknownRun):
            await engine.report("nobody")
