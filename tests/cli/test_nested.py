"""Runs inside runs on the command line: listed, shown, gone on with and cancelled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ORDER, Call

NESTED = """
from flows import Order, workflow as orders
from milepost import StepContext, WorkflowBuilder

wf = WorkflowBuilder(name="batch", input_type=Order, output_type=str)
inner = wf.subworkflow(orders, node_id="inner")

@wf.function
async def shout(ctx: StepContext[None, None, str]) -> str:
    return ctx.inputs.upper()

wf.edge(wf.start_node, inner)
wf.edge(inner, shout)
wf.edge(shout, wf.end_node)
workflow = wf.build()
"""


@pytest.fixture
def nested(folder: Path) -> Iterator[None]:
    """A workflow that runs the one of `flows.py`, in `nested.py`."""
    (folder / "nested.py").write_text(NESTED)
    yield
    sys.modules.pop("nested", None)


def child_of(call: Call, run: str) -> dict[str, Any]:
    (child,) = call("show", run, "--json").document["children"]
    found: dict[str, Any] = child
    return found


@pytest.mark.usefixtures("nested")
def test_only_the_outermost_runs_are_listed_unless_all_are_asked_for(call: Call) -> None:
    assert call("run", "nested:workflow", "--input", ORDER, "--run-id", "b-1").out == "3 APPLES\n"
    assert [line.split()[0] for line in call("runs").out.splitlines()[1:]] == ["b-1"]

    child = child_of(call, "b-1")
    listed = {line.split()[0]: line.split()[1:] for line in call("runs", "--nested").out.splitlines()[1:]}
    assert listed["b-1"][:3] == ["batch", "v1", "completed"]
    assert listed[child["run_id"]][0] == "orders"
    assert listed[child["run_id"]][-1] == "b-1"
    rows = {row["run_id"]: row for row in call("runs", "--nested", "--json").document["runs"]}
    assert rows["b-1"]["parent_run"] is None
    assert rows[child["run_id"]] == child


@pytest.mark.usefixtures("nested")
def test_a_run_shows_those_inside_it_and_the_one_that_it_is_inside_of(call: Call) -> None:
    call("run", "nested:workflow", "--input", ORDER, "--run-id", "b-1")
    child = child_of(call, "b-1")
    tasks = {task["node"]: task for task in call("show", "b-1", "--json").document["trace"]["tasks"]}
    assert (child["parent_run"], child["parent_task"]) == ("b-1", tasks["inner"]["key"])
    assert (tasks["inner"]["child"], tasks["shout"]["child"]) == (child["run_id"], None)

    outer, inner = call("show", "b-1").out, call("show", child["run_id"][:10]).out
    assert f"run {child['run_id'][:12]}\n" in outer
    assert "\n  ✓ ship" in outer
    assert "ship" not in call("show", "b-1", "--depth", "0").out
    assert "This run is inside run b-1." in inner
    assert "ship" in inner


@pytest.mark.usefixtures("nested")
def test_the_beginning_of_an_id_is_of_a_run_inside_another_only_where_no_other_fits(call: Call) -> None:
    call("run", "nested:workflow", "--input", ORDER, "--run-id", "b-1")
    child = child_of(call, "b-1")["run_id"]
    call("run", "flows:workflow", "--input", ORDER, "--run-id", f"{child[:6]}-mine")
    assert call("show", child[:6], "--json").document["run_id"] == f"{child[:6]}-mine"
    assert call("show", child[:7], "--json").document["run_id"] == child


@pytest.mark.usefixtures("nested")
def test_the_json_of_a_trace_has_the_runs_inside_it_as_deep_as_asked_for(call: Call) -> None:
    call("run", "nested:workflow", "--input", ORDER, "--run-id", "b-1")
    traced = call("trace", "b-1", "--json").document["trace"]
    (inside,) = traced["children"]
    assert (inside["parent_run"], inside["workflow"], inside["status"]) == ("b-1", "orders", "completed")
    assert [task["node"] for task in inside["tasks"]] == ["price", "ship"]
    assert {"source": "price", "target": "ship", "branch": 0, "count": 1, "chosen": None} in inside["taken"]
    assert inside["output"] == "3 apples"
    assert inside["definition"] is None
    (node,) = (node for node in traced["definition"]["nodes"] if node["child"])
    assert [one["id"] for one in node["child"]["nodes"]][1:3] == ["price", "ship"]
    assert call("show", "b-1", "--json", "--depth", "0").document["trace"]["children"] == []


@pytest.mark.usefixtures("nested")
def test_a_picture_is_drawn_as_deep_as_asked_for(call: Call) -> None:
    call("run", "nested:workflow", "--input", ORDER, "--run-id", "b-1")
    for words in (("render", "nested:workflow"), ("trace", "b-1", "--format", "mermaid")):
        assert "subgraph c_inner" in call(*words).out
        assert "subgraph c_inner" in call(*words, "--depth", "1").out
        assert "subgraph c_inner" not in call(*words, "--depth", "0").out
    assert call("render", "nested:workflow", "--depth", "-1").code == 2


@pytest.mark.usefixtures("nested")
def test_a_diagram_that_was_drawn_to_some_depth_is_checked_at_that_depth(call: Call) -> None:
    call("render", "nested:workflow", "--depth", "0", "-o", "flow.mmd")
    assert call("render", "nested:workflow", "--depth", "0", "--check", "flow.mmd").code == 0
    stale = call("render", "nested:workflow", "--depth", "1", "--check", "flow.mmd")
    assert stale.err.endswith("Draw it again: milepost render nested:workflow --depth 1 -o flow.mmd\n")


@pytest.mark.usefixtures("nested")
def test_a_failure_inside_is_told_and_a_resume_goes_on_inside(call: Call, folder: Path) -> None:
    (folder / "broken").touch()
    failed = call("run", "nested:workflow", "--input", ORDER, "--run-id", "b-1")
    child = child_of(call, "b-1")
    assert failed.code == 1
    assert failed.err.removeprefix("pricing\n").startswith(
        f"Node 'inner' failed on its only attempt: in run '{child['run_id']}': Node 'ship' failed on its only attempt: "
        "RuntimeError: the van broke down\n"
    )
    (folder / "broken").unlink()
    assert call("resume", "b-1", "nested:workflow").out == "3 APPLES\n"
    assert (folder / "effects.txt").read_text() == "price\n"


@pytest.mark.usefixtures("nested")
def test_a_run_inside_is_gone_on_with_or_cancelled_like_any_other(call: Call, folder: Path) -> None:
    (folder / "broken").touch()
    for run in ("b-1", "b-2"):
        call("run", "nested:workflow", "--input", ORDER, "--run-id", run)
    (folder / "broken").unlink()
    first, second = child_of(call, "b-1")["run_id"], child_of(call, "b-2")["run_id"]

    assert call("resume", first, "flows:workflow").out == "3 apples\n"
    assert call("cancel", second).code == 0
    assert call("resume", "b-1", "nested:workflow").out == "3 APPLES\n"
    refused = call("resume", "b-2", "nested:workflow")
    assert (refused.code, f"Run '{second}' was cancelled" in refused.err) == (1, True)
