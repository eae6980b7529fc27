"""`milepost worker`, in this process and in one of its own."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO

import anyio
import pytest

from milepost.cli.target import find_workflow
from milepost.engine.engine import Engine
from tests.cli.conftest import Call

Start = Callable[..., "subprocess.Popen[str]"]

STORE = "sqlite:///runs.db"
TARGET = "waiting.py:workflow"
SOURCE = """
import os
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from milepost import StepContext, WorkflowBuilder

def note(word: str) -> None:
    with Path("effects").open("a") as file:
        file.write(word + "\\n")

@asynccontextmanager
async def lend():
    note("lent")
    try:
        yield "a van"
    finally:
        note("given back")

wf = WorkflowBuilder(name="waiting", deps_type=str, input_type=int, output_type=int, deps=lend)

@wf.ask(answer=int)
def amount(ctx: StepContext[None, str, int]) -> str:
    return "How many?"

@wf.function
async def ship(ctx: StepContext[None, str, int]) -> int:
    print("shipping with", ctx.deps)
    note(f"ship {ctx.inputs}")
    if ctx.inputs == 13:
        raise ValueError("no luck")
    while ctx.inputs == 99 and Path("hold").exists():
        await anyio.sleep(0.01)
    return ctx.inputs

wf.edge(wf.start_node, amount)
wf.edge(amount, ship)
wf.edge(ship, wf.end_node)
workflow = wf.build()

needy = WorkflowBuilder(name="needy", deps_type=str, input_type=int, output_type=int)

@needy.function
async def take(ctx: StepContext[None, str, int]) -> int:
    return ctx.inputs

needy.edge(needy.start_node, take)
needy.edge(take, needy.end_node)
"""


@pytest.fixture
def flow(folder: Path) -> Path:
    (folder / "waiting.py").write_text(SOURCE)
    return folder


def begin(*run_ids: str) -> None:
    """Begin runs that wait for an answer, and end the process that did it, as far as they know."""
    workflow = find_workflow(TARGET)

    async def main() -> None:
        async with Engine(STORE) as engine:
            for run_id in run_ids:
                await (await engine.start(workflow, inputs=0, deps="a car", run_id=run_id)).settle()

    anyio.run(main)


def answer(run_id: str, value: int) -> None:
    async def main() -> None:
        async with Engine(STORE) as engine:
            await engine.answer(run_id, "amount", value)

    anyio.run(main)


def until(stream: IO[str] | None, words: str) -> str:
    """Read lines up to the one that has these words."""
    assert stream is not None
    for line in stream:
        if words in line:
            return line
    raise AssertionError(f"It ended without a line that has {words!r}.")


def effects(folder: Path) -> list[str]:
    return (folder / "effects").read_text().splitlines()


def test_a_worker_goes_on_with_what_was_answered_and_stops_when_nothing_is_ready_if_asked_to(
    call: Call, flow: Path
) -> None:
    begin("r-1", "r-2")
    answer("r-1", 5)
    done = call("worker", TARGET, "--store", STORE, "--once")

    assert (done.code, done.out) == (0, "")
    lines = [line.split(" ", 1)[1] for line in done.err.splitlines() if line[:1].isdecimal()]
    assert lines == ["r-1 (waiting) goes on after checkpoint 2.", "r-1 (waiting) is completed, checkpoint 4."]
    assert "shipping with a van" in done.err
    assert effects(flow) == ["lent", "ship 5", "given back"]
    assert [run["status"] for run in call("runs", "--store", STORE, "--json").document["runs"]] == [
        "waiting",
        "completed",
    ]


def test_with_json_every_event_is_a_document_on_a_line_and_what_nodes_print_is_not_among_them(
    call: Call, flow: Path
) -> None:
    begin("r-1")
    answer("r-1", 13)
    done = call("worker", TARGET, "--store", STORE, "--once", "--json")

    assert done.code == 0, "a run that fails is no failure of the worker"
    taken, left = [json.loads(line) for line in done.out.splitlines()]
    assert all(one.pop("at").endswith("+00:00") for one in (taken, left))
    head = {"schema_version": 1, "run_id": "r-1", "workflow": "waiting"}
    assert taken == {**head, "event": "taken", "checkpoint": 2}
    assert left == {
        **head,
        "event": "left",
        "checkpoint": 4,
        "status": "failed",
        "due": None,
        "error": "ValueError: no luck",
    }


def test_a_run_that_failed_is_not_tried_again(call: Call, flow: Path) -> None:
    begin("r-1")
    answer("r-1", 13)
    call("worker", TARGET, "--store", STORE, "--once")
    assert call("worker", TARGET, "--store", STORE, "--once", "--json").out == ""
    assert effects(flow) == ["lent", "ship 13", "given back", "lent", "given back"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_runs_under_way_come_to_their_end(start: Start, flow: Path, number: signal.Signals) -> None:
    (flow / "hold").touch()
    begin("r-1", "r-2")
    process = start("worker", TARGET, "--store", STORE, "--poll", "0.05")
    until(process.stderr, "Serving 'waiting' in sqlite:///runs.db.")
    answer("r-1", 99)
    until(process.stderr, "shipping")
    process.send_signal(number)
    until(process.stderr, f"Stopping ({number.name}) when the runs under way wait or have ended, in 10 seconds")
    answer("r-2", 1)
    (flow / "hold").unlink()
    _, err = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "r-1 (waiting) is completed" in err
    assert "r-2" not in err, "nothing is taken up any more"
    assert err.splitlines()[-1] == "Stopped. No run was under way any more."
    assert effects(flow) == ["lent", "ship 99", "given back"]


def test_what_does_not_end_within_the_grace_is_stopped_with_everything_saved(
    start: Start, call: Call, flow: Path
) -> None:
    (flow / "hold").touch()
    begin("r-1")
    answer("r-1", 99)
    process = start("worker", TARGET, "--store", STORE, "--grace", "0.1")
    until(process.stderr, "shipping")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "r-1 (waiting) was stopped, checkpoint 3." in err
    assert err.splitlines()[-1].startswith("Stopped. 1 run was stopped under way, with every node that finished saved")
    (flow / "hold").unlink()
    assert "is completed" in call("worker", TARGET, "--store", STORE, "--once").err
    assert effects(flow) == ["lent", "ship 99", "given back"] * 2


def test_a_second_signal_ends_the_process_at_once(start: Start, flow: Path) -> None:
    (flow / "hold").touch()
    begin("r-1")
    answer("r-1", 99)
    process = start("worker", TARGET, "--store", STORE)
    until(process.stderr, "shipping")
    process.send_signal(signal.SIGTERM)
    until(process.stderr, "Stopping")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "Stopped at once. Every checkpoint is saved; any worker goes on with what was under way.\n"


def test_registered_workflows_are_served_when_none_is_named_and_others_are_told_of(call: Call, flow: Path) -> None:
    (flow / "pyproject.toml").write_text(
        "[tool.milepost.workflows]\nwaiting = 'waiting.py:workflow'\nneedy = 'waiting.py:needy'\ngone = 'gone.py:it'\n"
    )
    begin("r-1")
    answer("r-1", 5)
    done = call("worker", "--store", STORE, "--once")
    assert done.code == 0
    assert "r-1 (waiting) is completed" in done.err
    assert "The registered workflow 'needy' is not served: Workflow 'needy' needs deps of type 'str'" in done.err
    assert "The registered workflow 'gone' is not served: There is no file" in done.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["gone.py:workflow"], "There is no file"),
        (["waiting.py:needy"], "Workflow 'needy' needs deps of type 'str', and nothing makes them"),
        ([TARGET, "--max-runs", "0"], "Invalid value for '--max-runs'"),
        ([TARGET, "--poll", "0"], "Invalid value for '--poll'"),
    ],
)
def test_what_cannot_be_served_is_told_at_once(call: Call, flow: Path, words: list[str], sentence: str) -> None:
    done = call("worker", *words, "--store", STORE)
    assert done.code == 2
    assert sentence in done.err
    assert not (flow / "runs.db").exists()


def test_a_store_that_cannot_be_opened_ends_the_worker(call: Call, flow: Path) -> None:
    (flow / "runs.db").write_text("no database " * 100)
    assert call("worker", TARGET, "--store", STORE).code == 8
