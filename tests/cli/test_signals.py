"""Ctrl-C and SIGTERM on the command line: what is committed stays, and the run goes on later."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Call

Start = Callable[..., "subprocess.Popen[str]"]

SOURCE = r"""
import time
from pathlib import Path

import anyio

from milepost import StepContext, WorkflowBuilder

wf = WorkflowBuilder(name="stops", input_type=str, output_type=int)

def note(word: str) -> None:
    with Path("effects").open("a") as file:
        file.write(word + "\n")

@wf.function
async def first(ctx: StepContext[None, None, str]) -> str:
    note("first")
    return ctx.inputs

@wf.function
async def second(ctx: StepContext[None, None, str]) -> int:
    note("second")
    Path("begun").touch()
    while ctx.inputs == "blocks" and Path("hold").exists():
        time.sleep(0.01)
    while ctx.inputs == "waits" and Path("hold").exists():
        await anyio.sleep(0.01)
    if ctx.inputs == "finishes":
        with anyio.CancelScope(shield=True):
            while Path("hold").exists():
                await anyio.sleep(0.01)
    return 7

wf.edge(wf.start_node, first)
wf.edge(first, second)
wf.edge(second, wf.end_node)
workflow = wf.build()
"""


@pytest.fixture
def flow(folder: Path) -> Path:
    (folder / "stops.py").write_text(SOURCE)
    (folder / "hold").touch()
    return folder


def begun(start: Start, folder: Path, mood: str, *more: str) -> subprocess.Popen[str]:
    """Start a run and return when its second node is under way."""
    process = start("run", "stops.py:workflow", "--input", json.dumps(mood), "--run-id", "r-1", *more)
    until = time.monotonic() + 30
    while not (folder / "begun").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_signal_stops_the_run_with_everything_saved(
    start: Start, call: Call, flow: Path, number: signal.Signals, more: tuple[str, ...]
) -> None:
    process = begun(start, flow, "waits", *more)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert f"Stopping ({number.name})" in err
    assert err.splitlines()[-1].startswith("Interrupted. Run 'r-1' is saved with every node that finished.")
    assert bool(more) == bool(out)
    if more:
        assert json.loads(out)["exit_code"] == 130
    (flow / "hold").unlink()
    assert call("resume", "r-1", "stops.py:workflow").out == "7\n"
    assert (flow / "effects").read_text().split() == ["first", "second", "second"]


def test_a_second_signal_ends_the_process_at_once_whatever_it_does(start: Start, call: Call, flow: Path) -> None:
    process = begun(start, flow, "blocks")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "Stopping" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    stopped = "Stopped at once. Every checkpoint is saved; go on with: "
    assert err.splitlines()[-1] == f"{stopped}milepost resume r-1 stops.py:workflow"
    (flow / "hold").unlink()
    assert call("resume", "r-1", "stops.py:workflow").out == "7\n"


def test_a_run_whose_process_was_killed_is_told_as_interrupted_until_it_goes_on(
    start: Start, call: Call, flow: Path
) -> None:
    process = begun(start, flow, "waits")
    assert (call("runs").out.splitlines()[1].split()[3], call("runs", "--interrupted").err) == (
        "running",
        "No run fits.\n",
    )
    process.kill()
    process.wait()

    for listed in (call("runs"), call("runs", "--interrupted"), call("runs", "--interrupted", "--status", "running")):
        assert listed.out.splitlines()[1].split()[3] == "interrupted"
    document = call("runs", "--json").document
    assert [(run["status"], run["interrupted"]) for run in document["runs"]] == [("running", True)]
    assert (document["counts"], document["interrupted"]) == ({"running": 1}, 1)
    shown = call("show", "r-1")
    assert shown.out.splitlines()[0] == "… stops  interrupted at second"
    assert "Its process has died or was stopped. Every node that finished is saved." in shown.out
    assert shown.out.splitlines()[-1].strip() == "milepost resume r-1 TARGET"
    assert call("show", "r-1", "--json").document["interrupted"]
    assert "interrupted, 2 checkpoints" in call("tree", "r-1").out
    assert call("tree", "r-1", "--json").document["runs"][0]["interrupted"]
    assert "… interrupted at second" in call("trace", "r-1", "--format", "mermaid").out

    (flow / "hold").unlink()
    assert call("resume", "r-1", "stops.py:workflow").out == "7\n"
    assert call("runs", "--interrupted").err == "No run fits.\n"
    assert not call("show", "r-1", "--json").document["interrupted"]


@pytest.mark.parametrize(
    ("other", "named"), [(("--waiting",), "--waiting"), (("--status", "failed"), "--status failed")]
)
def test_what_can_be_no_interrupted_run_is_refused(call: Call, other: tuple[str, ...], named: str) -> None:
    answer = call("runs", "--interrupted", *other)
    assert (answer.code, answer.err) == (
        2,
        f"--interrupted and {named} cannot both hold. Give one of them.\n",
    )


def test_a_run_that_completes_all_the_same_gives_its_output(start: Start, flow: Path) -> None:
    process = begun(start, flow, "finishes", "--durability", "process")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "Stopping" not in process.stderr.readline():
        assert process.poll() is None
    (flow / "hold").unlink()
    out, _ = process.communicate(timeout=30)

    assert (process.returncode, out) == (0, "7\n")
