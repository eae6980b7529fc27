"""A timeline as text, for terminals and pipes of any width."""

from __future__ import annotations

from io import StringIO

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.panel import Panel

from milepost.engine.trace import Trace
from milepost.visualize.terminal import plain
from milepost.visualize.timeline import timeline
from milepost.visualize.timeline_terminal import TimelineView
from tests.visualize.nests import FAILED_BATCH
from tests.visualize.subjects import FAILED
from tests.visualize.timelines import EVENTFUL, crowd, did, run, timed_traces, waited


def text(trace: Trace, width: int = 120) -> list[str]:
    return plain(TimelineView(timeline(trace)), width=width).splitlines()


def row(lines: list[str], name: str) -> str:
    return next(line for line in lines if f" {name}" in line[: 4 + len(name) + 4])


def test_it_shows_lanes_folds_lines_and_the_critical_path() -> None:
    lines = text(EVENTFUL)
    assert lines[0] == "claims  ✓ completed"
    assert lines[3].split() == ["8", "h", "8", "h"]
    assert row(lines, "analyse").startswith("◆ ✓ analyse × 2 ▓▓▓▓")
    assert "╱╱╱" in row(lines, "approve")
    assert all(sign in row(lines, "score") for sign in ("✗", "┊", "↻", "█"))
    assert any(line.startswith("◆ critical path  prepare → analyse") for line in lines)
    assert lines[-1].startswith("─ waited to begin   █ ran   ▓ failed attempt   ╱ waited for a person")


def test_a_bar_that_follows_another_at_once_is_told_apart() -> None:
    lines = text(run([did("a", 0, (0, 5)), did("a", 5, (5, 10), visit=2)], 10))
    assert "█▐█" in row(lines, "a")


def test_a_failure_is_a_sign_not_only_a_colour() -> None:
    lines = text(FAILED)
    assert any("✗███" in line for line in lines)
    assert any("⊘███" in line for line in lines)


def test_a_crowd_is_a_row_of_heights() -> None:
    line = row(text(crowd(400, failed=(17,))), "review")
    assert "✗" in line
    assert "█" in line
    assert "p50" in line


def test_a_crowd_that_waits_is_a_line() -> None:
    asked = [did("a", 0, visit=n + 1, status="waiting", wait=waited("ask", 0, text="Fine?")) for n in range(20)]
    assert "─────" in row(text(run(asked, 9, status="waiting")), "a")


def test_runs_inside_a_run_are_indented() -> None:
    assert any(line.startswith("◆   ✗ look_up × 3") for line in text(FAILED_BATCH))


def test_lanes_that_are_left_out_are_counted() -> None:
    assert "… and 5 lanes more" in text(run([did(f"n{n}", n, (n, n + 1)) for n in range(205)], 300))


def test_a_terminal_gets_colour_and_a_frame_around_it_holds() -> None:
    screen = StringIO()
    Console(file=screen, force_terminal=True, color_system="truecolor", width=100).print(
        Panel.fit(TimelineView(timeline(EVENTFUL)))
    )
    assert "\x1b[" in screen.getvalue()
    assert "╰" in screen.getvalue()


@given(timed_traces(), st.integers(30, 200))
def test_any_run_fits_the_width_and_has_no_control_characters(trace: Trace, width: int) -> None:
    shown = plain(TimelineView(timeline(trace)), width=width)
    assert all(cell_len(line) <= width for line in shown.splitlines())
    assert not any(ord(sign) < 32 and sign != "\n" for sign in shown)
