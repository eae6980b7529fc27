"""`milepost runs`, `show` and `trace`."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import ORDER, Call

RUN = ("run", "flows:workflow", "--input", ORDER)


@pytest.fixture
def two_runs(call: Call, folder: Path) -> None:
    """One run that is done, and a later one that failed."""
    call(*RUN, "--run-id", "done-1")
    (folder / "broken").touch()
    call(*RUN, "--run-id", "failed-1")


def test_a_store_that_is_not_there_is_told_and_not_made(call: Call, folder: Path) -> None:
    sentence = (
        "There is no store at 'sqlite:///.milepost/runs.db' yet. Start a run there first, or name another with --store."
    )
    answer = call("runs")
    assert (answer.code, answer.out, answer.err) == (8, "", f"{sentence}\n")
    assert call("runs", "--json").document["error"] == {"type": "StoreError", "message": sentence}
    assert not (folder / ".milepost").exists()


def test_a_store_without_runs_has_none(call: Call) -> None:
    answer = call("runs", "--store", "memory://")
    assert (answer.code, answer.out, answer.err) == (0, "", "No runs in 'memory://'.\n")
    assert call("runs", "--store", "memory://", "--json").document["runs"] == []


@pytest.mark.usefixtures("two_runs")
def test_runs_lists_the_latest_first(call: Call) -> None:
    lines = call("runs").out.splitlines()
    assert [line.split()[:4] for line in lines[1:]] == [
        ["failed-1", "orders", "v1", "failed"],
        ["done-1", "orders", "v1", "completed"],
    ]
    assert [run["run_id"] for run in call("runs", "--json").document["runs"]] == ["failed-1", "done-1"]


@pytest.mark.usefixtures("two_runs")
def test_runs_can_be_narrowed(call: Call) -> None:
    assert [run["run_id"] for run in call("runs", "--status", "completed", "--json").document["runs"]] == ["done-1"]
    assert [run["run_id"] for run in call("runs", "--limit", "1", "--json").document["runs"]] == ["failed-1"]
    assert call("runs", "--workflow", "other").err == "No run fits.\n"


@pytest.mark.usefixtures("two_runs")
def test_show_draws_a_run_on_the_terminal(call: Call) -> None:
    answer = call("show", "done")
    assert answer.code == 0
    assert all(word in answer.out for word in ("done-1", "price", "ship"))
    assert "\x1b" not in answer.out


@pytest.mark.usefixtures("two_runs")
def test_show_as_json_has_the_run_and_its_trace(call: Call) -> None:
    document = call("show", "@last", "--json").document
    assert (document["run_id"], document["status"]) == ("failed-1", "failed")
    assert [(task["node"], task["status"]) for task in document["trace"]["tasks"]] == [
        ("price", "completed"),
        ("ship", "failed"),
    ]
    assert {"source": "price", "target": "ship", "branch": 0, "count": 1, "chosen": None} in document["trace"]["taken"]
    price, ship = document["trace"]["tasks"]
    assert (ship["cause"], ship["seq"]) == (price["key"], 3)
    assert [set(attempt) for attempt in ship["tried"]] == [{"started", "finished", "error"}]
    assert ship["tried"][0]["finished"] == ship["finished"] >= ship["spawned"]


@pytest.mark.usefixtures("two_runs")
def test_a_trace_can_be_drawn_step_by_step(call: Call) -> None:
    text = call("trace", "done-1", "--steps", "--format", "mermaid").out
    assert "1 price" in text
    assert "2 ship" in text
    assert "steps in order" in call("trace", "done-1", "--steps").out


@pytest.mark.usefixtures("two_runs")
@pytest.mark.parametrize(
    ("form", "beginning"), [("mermaid", ""), ("dot", "digraph"), ("html", "<!doctype html>"), ("text", "")]
)
def test_a_trace_is_drawn_in_every_text_format(call: Call, form: str, beginning: str) -> None:
    answer = call("trace", "done-1", "--format", form)
    assert answer.code == 0
    assert answer.out.lower().lstrip().startswith(beginning)
    assert "price" in answer.out


@pytest.mark.usefixtures("two_runs")
def test_a_trace_is_written_to_a_file_whose_ending_says_how(call: Call, folder: Path) -> None:
    answer = call("trace", "done-1", "-o", "run.svg")
    assert (answer.code, answer.out, answer.err) == (0, "", "Wrote run.svg\n")
    assert ElementTree.parse(folder / "run.svg").getroot().tag.endswith("svg")


@pytest.mark.usefixtures("two_runs")
def test_a_file_that_cannot_be_written_is_one_sentence(call: Call) -> None:
    answer = call("trace", "done-1", "-o", "none/run.dot")
    assert (answer.code, answer.err) == (2, "'none/run.dot' cannot be written: No such file or directory.\n")


@pytest.mark.usefixtures("two_runs")
@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        ("@waiting", "No run in this store is waiting.\n"),
        ("@first", "'@first' is not known. Write a run's id, the beginning of one, @last or @waiting.\n"),
    ],
)
def test_a_word_that_stands_for_no_run_is_not_found(call: Call, run: str, sentence: str) -> None:
    answer = call("show", run)
    assert (answer.code, answer.err) == (4, sentence)
