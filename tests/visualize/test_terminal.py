"""Text for terminals and pipes."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

from hypothesis import given, settings
from rich.console import Console

from milepost.engine.definition import Definition
from milepost.engine.trace import Trace
from milepost.visualize.diagram import declared
from milepost.visualize.overlay import traced
from milepost.visualize.render import render
from milepost.visualize.terminal import flow_view, plain, run_view
from tests.visualize.subjects import CLAIMS, COMPLETED, FAILED, RUNNING, hostile_definitions, hostile_traces, task


def test_a_definition_is_listed_in_the_order_of_its_flow() -> None:
    text = render(CLAIMS, "text")
    assert text.startswith("claims  version 3 · 11 nodes · 15 edges\n")
    lines = text.splitlines()
    assert [line.split() for line in lines if "triage" in line][-1][:4] == ["◇", "triage", "→", "high_risk"]
    assert any(line.endswith("↺ analyse   unclear") for line in lines)
    assert any("▤ review × N" in line and "agent · map · retry ≤ 2" in line for line in lines)


def test_a_run_lists_its_tasks_what_was_decided_and_the_error() -> None:
    text = render(FAILED, "text")
    assert text.startswith("✗ claims  failed at review[1]\n")
    row = next(line for line in text.splitlines() if "review[1]" in line and "ValueError" in line)
    assert row.split() == ["✗", "review[1]", "failed", "↻", "2", "8.0", "s", "ValueError"]
    assert "Node 'review' failed on all 2 attempts: ValueError: no weight" in text
    assert any(line.split() == ["triage", "analyse", "unclear", "1"] for line in text.splitlines())


def test_a_run_that_completed_shows_its_output() -> None:
    assert 'output  {"ok":true}' in render(COMPLETED, "text")


def test_a_large_map_is_one_row_and_its_failures() -> None:
    tasks = [task("review", (0, 1), index=number, tokens=10) for number in range(40)]
    tasks[7] = task("review", (0, 1), index=7, status="failed", error="KeyError: 'x'")
    tasks[8] = task("review", None, index=8, status="pending", attempts=0)
    lines = render(replace(RUNNING, tasks=tuple(tasks)), "text").splitlines()
    rows = [line for line in lines if "review" in line and "running" not in line]
    assert rows[0].split("  ")[0] == "✗ review × 40"
    assert "38 of 40 done" in rows[0]
    assert "1 still to do, 1 failed" in rows[0]
    assert "review[7]" in rows[1]
    assert len([row for row in rows if "[" in row]) == 1


def test_a_task_says_that_its_output_was_there_already() -> None:
    tasks = (replace(task("prepare", (0, 1)), cached=True), replace(task("gather", (0, 1)), seq=9))
    rows = render(replace(COMPLETED, tasks=tasks, forked_from=("before", 4)), "text").splitlines()
    assert [row.split()[:3] for row in rows if "prepare" in row or "gather" in row][:2] == [
        ["↺", "prepare", "reused"],
        ["✓", "gather", "done"],
    ]


def test_a_pipe_gets_no_colour_and_a_terminal_does() -> None:
    assert "\x1b" not in plain(run_view(FAILED))
    screen = StringIO()
    Console(file=screen, force_terminal=True, color_system="truecolor", width=100).print(run_view(FAILED))
    assert "\x1b[" in screen.getvalue()


def test_a_run_can_be_shown_as_a_flow_too() -> None:
    text = plain(flow_view(traced(FAILED)))
    assert "✗ failed at review[1] · ValueError" in text
    assert "○ score" in text


def test_lines_have_no_blanks_at_their_end() -> None:
    assert all(line == line.rstrip() for line in render(COMPLETED, "text").split("\n"))


@given(definition=hostile_definitions(), trace=hostile_traces())
@settings(max_examples=30)
def test_no_label_can_control_the_terminal_or_be_taken_for_markup(definition: Definition, trace: Trace) -> None:
    for text in (plain(flow_view(declared(definition, types=True))), plain(run_view(trace))):
        assert not [ch for ch in text if ch < " " and ch != "\n"]
        assert "\u202e" not in text
