"""`milepost trace --format timeline`: SVG in a pipe, text on a terminal or in a text file."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest

from milepost.engine.engine import Engine
from milepost.engine.typed import StepContext
from milepost.workflows.builder import WorkflowBuilder
from tests.cli.conftest import ORDER, Call


@pytest.fixture
def done(call: Call) -> None:
    """Run a workflow of two nodes."""
    call("run", "flows:workflow", "--input", ORDER, "--run-id", "done-1")


@pytest.mark.usefixtures("done")
def test_a_text_file_gets_text_and_any_other_svg(call: Call, tmp_path: Path) -> None:
    text, picture = tmp_path / "run.txt", tmp_path / "run.svg"
    assert call("trace", "done-1", "--format", "timeline", "-o", str(text)).code == 0
    assert call("trace", "done-1", "--format", "timeline", "-o", str(picture)).code == 0
    assert "◆ ✓ ship" in text.read_text("utf-8")
    assert picture.read_text("utf-8").startswith("<svg")


@pytest.mark.usefixtures("done")
def test_a_terminal_gets_text(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    answer = call("trace", "done-1", "--format", "timeline")
    assert "critical path" in answer.out
    assert "<svg" not in answer.out


@pytest.mark.usefixtures("done")
def test_lanes_can_be_branches(call: Call) -> None:
    assert 'data-level="0"' in call("trace", "done-1", "--format", "timeline", "--lanes", "branch").out
    assert "price …" in call("trace", "done-1", "--format", "timeline", "--lanes", "branch").out


def test_a_workflow_that_has_not_run_has_no_timeline(call: Call) -> None:
    answer = call("render", "flows:workflow", "--format", "timeline")
    assert answer.code == 2
    assert "'timeline' is not one of 'text'" in answer.err


@pytest.mark.usefixtures("folder")
def test_a_run_that_waits_has_waited_until_now_in_every_picture(call: Call) -> None:
    wf = WorkflowBuilder(name="asking", output_type=bool)

    @wf.ask(answer=bool)
    async def approve(ctx: StepContext[None, None, None]) -> str:
        return "Well?"

    wf.edge(wf.start_node, approve)
    wf.edge(approve, wf.end_node)

    async def begin() -> None:
        async with Engine("sqlite:///runs.db", clock=lambda: time.time() - 7200) as engine:
            run = await engine.start(wf.build(), run_id="r-1")
            await run.settle()

    anyio.run(begin)
    store = ("--store", "sqlite:///runs.db")
    for words in (("trace", "r-1", "--format", "timeline"), ("trace", "r-1", "--format", "gantt"), ("show", "r-1")):
        assert "2 h" in call(*words, *store).out
    assert "waiting 2 h" in call("trace", "r-1", "--format", "mermaid", *store).out
