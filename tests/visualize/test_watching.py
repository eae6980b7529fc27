"""A run that is watched: on a terminal, in a notebook, and where there is neither."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from importlib import import_module
from io import StringIO
from pathlib import Path
from uuid import uuid4

import anyio
import nbformat
import pytest
from nbclient import NotebookClient

from milepost.engine.engine import Engine
from milepost.engine.errors import InputError
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.trace import Trace
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.visualize import watching
from milepost.visualize.watching import screen_here
from milepost.workflows.builder import WorkflowBuilder

ROOT = Path(__file__).parents[2]
FLOW = """
import anyio
from milepost import Engine, StepContext, WorkflowBuilder

wf = WorkflowBuilder(name="watched", input_type=int, output_type=int)
gate = anyio.Event()

@wf.function
async def before(ctx: StepContext[None, None, int]) -> int:
    return ctx.inputs

@wf.function
async def held(ctx: StepContext[None, None, int]) -> int:
    await gate.wait()
    if ctx.inputs < 0:
        raise ValueError("less than nothing")
    return ctx.inputs

wf.edge(wf.start_node, before)
wf.edge(before, held)
wf.edge(held, wf.end_node)
workflow = wf.build()
"""


WATCHED = """
async with anyio.create_task_group() as group:
    async def let_go():
        while (await engine.trace("r")).checkpoints < 2:
            await anyio.sleep(0.01)
        gate.set()
    group.start_soon(let_go)
    status = await run.watch(every=0.01)
status
"""


def doubled() -> Workflow[None, None, int, int]:
    wf = WorkflowBuilder(name="doubled", input_type=int, output_type=int)

    @wf.function
    async def double(ctx: StepContext[None, None, int]) -> int:
        if ctx.inputs < 0:
            raise ValueError("less than nothing")
        return ctx.inputs * 2

    wf.edge(wf.start_node, double)
    wf.edge(double, wf.end_node)
    return wf.build()


@pytest.mark.anyio
async def test_where_nobody_looks_a_watched_run_is_only_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    written = StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    assert screen_here() is None
    async with Engine("memory://") as engine:
        run = await engine.start(doubled(), inputs=2, run_id="r")
        assert await run.watch() == "completed"
        failing = await engine.start(doubled(), inputs=-2, run_id="f")
        assert await failing.watch() == "failed"
        with pytest.raises(InputError, match="every=0 would leave no time for the run"):
            await failing.watch(every=0)
    assert written.getvalue() == ""


def on_a_terminal(code: str) -> str:
    """Run a program whose stderr is a terminal of 100 columns, and return what it wrote there."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(COLUMNS="100", LINES="40", PYTHONPATH=str(ROOT), TERM="xterm")
        os.execv(sys.executable, [sys.executable, "-c", code])
    written = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        written += piece
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, written.decode()
    return written.decode()


@pytest.mark.parametrize("store", ["'memory://'", "None"])
def test_on_a_terminal_the_nodes_are_written_over_until_the_run_is_over(store: str) -> None:
    code = f"""{FLOW}
async def main():
    async with Engine({store}) as engine:
        run = await engine.start(workflow, inputs=1, run_id="r")
        async with anyio.create_task_group() as group:
            async def let_go():
                while not any(task.status == "running" for task in seen):
                    await anyio.lowlevel.checkpoint()
                gate.set()
            group.start_soon(let_go)
            print(await run.watch(every=0.01))

import milepost.visualize.watching as watching
seen = []
class Seen(watching.TerminalScreen):
    async def show(self, trace):
        seen[:] = [task for task in trace.tasks if task.node == "held"]
        await super().show(trace)
watching.TerminalScreen = Seen
anyio.run(main)
"""
    written = on_a_terminal(code)
    assert written.index("▸ held") < written.index("✓ held")
    assert "\x1b[1A" in written  # it goes back up to write over what it wrote
    assert "✓ completed" in written
    assert written.rstrip().endswith("completed")


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    """A notebook that was run by a real kernel."""
    cells = [
        FLOW,
        "workflow",
        'engine = await Engine("memory://").__aenter__()\nrun = await engine.start(workflow, inputs=1, run_id="r")',
        "run",
        WATCHED,
        'await engine.trace("r")',
        "run",
    ]
    document = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": dict[str, object](),
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": dict[str, object](),
                "source": cell,
                "outputs": list[object](),
                "execution_count": None,
            }
            for number, cell in enumerate(cells)
        ],
    }
    made: nbformat.NotebookNode = import_module("nbformat").from_dict(document)  # its types are only half known
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JUPYTER_PLATFORM_DIRS": "1",
        "IPYTHONDIR": str(tmp_path_factory.mktemp("ipython")),
    }
    NotebookClient(made, timeout=60, kernel_name="python3").execute(env=environment)
    return made


def outputs(notebook: nbformat.NotebookNode, cell: int) -> list[nbformat.NotebookNode]:
    found: list[nbformat.NotebookNode] = notebook.cells[cell].outputs
    assert [one.text for one in found if one.output_type == "stream"] == []
    return found


@pytest.mark.parametrize(
    ("cell", "drawn", "told"),
    [
        (1, "before", "watched  version 1"),
        (3, "before", "<Run 'r', running>"),
        (5, "data-status", "✓ watched  completed"),
        (6, "data-status", "<Run 'r', completed>"),
    ],
    ids=["workflow", "run", "trace", "run that is over"],
)
def test_a_notebook_shows_a_picture_and_its_text(
    notebook: nbformat.NotebookNode, cell: int, drawn: str, told: str
) -> None:
    (output,) = outputs(notebook, cell)
    assert output.output_type == "execute_result"
    assert drawn in output.data["image/svg+xml"]
    assert told in output.data["text/plain"]


def test_a_notebook_keeps_one_picture_of_a_watched_run_which_is_replaced(notebook: nbformat.NotebookNode) -> None:
    picture, status = outputs(notebook, 4)
    assert picture.output_type == "display_data"
    assert "✓ watched  completed" in picture.data["text/plain"]
    assert status.data["text/plain"] == "'completed'"


def test_watching_needs_no_ipython() -> None:
    code = (
        "import sys; sys.modules['IPython'] = None\n"
        "from milepost.visualize.watching import screen_here; assert screen_here() is None"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.anyio
async def test_a_run_that_is_over_is_shown_as_it_ended() -> None:
    async with Engine("memory://") as engine:
        run = await engine.start(doubled(), inputs=2, run_id="r")
        with anyio.fail_after(10):
            await run.result()
            assert await run.watch() == "completed"


@pytest.mark.anyio
@pytest.mark.parametrize("store", [MemoryStore(), None], ids=["stored", "not stored"])
async def test_watching_ends_where_a_run_waits_and_can_begin_again(
    store: MemoryStore | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    wf = WorkflowBuilder(name="asked", input_type=int, output_type=int)

    @wf.ask(int)
    async def number(ctx: StepContext[None, None, int]) -> str:
        return "How many?"

    wf.edge(wf.start_node, number)
    wf.edge(number, wf.end_node)
    workflow = wf.build()
    seen = Seen()
    monkeypatch.setattr(watching, "screen_here", lambda: seen)
    run_id = uuid4().hex
    async with Engine(store) as engine:
        run = await engine.start(workflow, inputs=1, run_id=run_id)
        assert await run.watch(every=0.01) == "waiting"
        assert (seen.statuses[-1], seen.tasks[-1]) == ("waiting", ["waiting"])
        run.stop()
    if store is None:
        return
    async with Engine(store) as engine:
        await engine.answer(run_id, "number", 3)
        again = await engine.resume(run_id, workflow)
        assert await again.watch(every=0.01) == "completed"
        assert await again.result() == 3


class Seen:
    """A screen that keeps what it was shown."""

    def __init__(self) -> None:
        self.statuses: list[str] = []
        self.tasks: list[list[str]] = []

    async def show(self, trace: Trace) -> None:
        self.statuses.append(trace.status)
        self.tasks.append([task.status for task in trace.tasks])

    def close(self) -> None: ...
