"""A timeline as Mermaid: understood by the real Mermaid, whatever the labels say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from milepost.engine.trace import Trace
from milepost.visualize.escape import one_line
from milepost.visualize.gantt import MOST_EVENTS, gantt
from milepost.visualize.mermaid import MAX_TEXT
from milepost.visualize.timeline import timeline
from tests.visualize.conftest import Mermaid
from tests.visualize.nests import FAILED_BATCH
from tests.visualize.subjects import NASTY, definition, node
from tests.visualize.timelines import EVENTFUL, crowd, did, run, timed_traces


def understood(mermaid_js: Mermaid, text: str) -> dict[str, Any]:
    answer = mermaid_js.answer(text)
    assert "error" not in answer, f"{answer['error']}\n{text}"
    assert answer["type"] == "gantt"
    return answer


def test_lanes_are_sections_and_the_critical_path_is_critical(mermaid_js: Mermaid) -> None:
    seen = understood(mermaid_js, gantt(timeline(EVENTFUL)))
    assert seen["sections"][:4] == ["the run", "prepare", "analyse × 2", "triage × 2"]
    bars = {bar["text"]: bar for bar in seen["bars"]}
    assert bars["✓ [1] · 6.7 s"]["critical"]
    assert not bars["✓ [0] · 4.1 s"]["critical"]
    assert "✗ 3.7 s failed attempt" in bars
    assert "✓ 8 h · ada waiting for a person" in bars


def test_what_happened_to_the_run_is_told_by_milestones(mermaid_js: Mermaid) -> None:
    seen = understood(mermaid_js, gantt(timeline(EVENTFUL)))
    assert [bar["text"] for bar in seen["bars"] if bar["milestone"]] == [
        "… 8 h folded",
        "✗ stopped",
        "↻ resumed",
        "… 8 h folded",
    ]


def test_a_bar_is_as_long_as_it_took_and_what_took_no_time_can_still_be_seen(mermaid_js: Mermaid) -> None:
    seen = understood(mermaid_js, gantt(timeline(run([did("a", 0, (1, 3.5)), did("b", 4, (4, 4))], 5), fold=False)))
    assert [bar["stop"] - bar["start"] for bar in seen["bars"]] == [2500, 1]


def test_times_are_elapsed_and_long_runs_count_days() -> None:
    assert "axisFormat %S.%L s" in gantt(timeline(run([did("a", 0, (0, 1))], 1)))
    assert "axisFormat %H:%M:%S" in gantt(timeline(run([did("a", 0, (0, 60))], 60)))
    assert "axisFormat day %-j %H:%M" in gantt(timeline(run([did("a", 0, (0, 200_000))], 200_000)))


def test_lanes_of_runs_inside_a_run_are_marked(mermaid_js: Mermaid) -> None:
    assert "↳ look_up × 3" in understood(mermaid_js, gantt(timeline(FAILED_BATCH)))["sections"]


def test_the_theme_of_a_page_is_left_to_the_page() -> None:
    shown = timeline(EVENTFUL)
    assert "themeVariables" not in gantt(shown, "auto")
    assert "darkMode" in gantt(shown, "dark")


def test_a_crowd_is_one_bar_in_words(mermaid_js: Mermaid) -> None:
    seen = understood(mermaid_js, gantt(timeline(crowd(400))))
    (bar,) = (bar for bar in seen["bars"] if bar["section"].startswith("review"))
    assert bar["text"].startswith("✓ p50 ")


def test_more_than_mermaid_takes_becomes_a_bar_per_lane(mermaid_js: Mermaid) -> None:
    tasks = [
        did(f"{n} {'long name ' * 9}", turn * 100, (turn * 100, turn * 100 + 60), visit=turn + 1)
        for turn in range(30)
        for n in range(100)
    ]
    text = gantt(timeline(run(tasks, 3_000)))
    assert len(text) < MAX_TEXT
    assert len(understood(mermaid_js, text)["bars"]) == 100


def test_lanes_with_names_that_need_escaping_are_cut_shorter_still(mermaid_js: Mermaid) -> None:
    text = gantt(timeline(run([did(f"{'|' * 30}{n}", n, (n, n + 1)) for n in range(200)], 200)))
    assert len(text) < MAX_TEXT
    understood(mermaid_js, text)


def test_more_resumes_than_can_be_shown_are_counted(mermaid_js: Mermaid) -> None:
    trace = run([did("a", 0, (0, 1)), did("a", 2, (900, 901), visit=2)], 901, resumes=range(10, 800))
    seen = understood(mermaid_js, gantt(timeline(trace)))
    assert sum(bar["milestone"] for bar in seen["bars"]) == MOST_EVENTS + 1
    assert any(bar["text"].startswith("… and ") for bar in seen["bars"])


@pytest.mark.parametrize("label", NASTY)
def test_a_label_is_shown_as_it_is(mermaid_js: Mermaid, label: str) -> None:
    trace = run([did(label, 0, (0, 9))], 9, defined=definition([node("a")], [], name=label))
    seen = understood(mermaid_js, gantt(timeline(trace)))
    shown = one_line(label, 48).strip()
    assert seen["sections"] == [shown or "\u200b"] or seen["sections"][0].replace("\u200b", "") == shown


@given(trace=timed_traces())
@settings(max_examples=60)
def test_any_run_is_understood(mermaid_js: Mermaid, trace: Trace) -> None:
    shown = timeline(trace)
    seen = understood(mermaid_js, gantt(shown, "auto"))
    begin = datetime(2000, 1, 1, tzinfo=UTC)
    for bar in seen["bars"]:
        assert bar["stop"] >= bar["start"]
        assert datetime.fromtimestamp(bar["start"] / 1000, UTC) >= begin - timedelta(days=1)
