"""Two runs as one picture: where they part, and what only one of them did."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from milepost.engine.trace import Trace
from milepost.visualize.diagram import Diagram
from milepost.visualize.dot import dot
from milepost.visualize.mermaid import mermaid
from milepost.visualize.palette import Status, Theme
from milepost.visualize.parting import parted
from milepost.visualize.terminal import flow_view, plain
from tests.visualize.apart import APART, NEWER, OTHER, difference
from tests.visualize.conftest import Dot, Mermaid
from tests.visualize.subjects import COMPLETED, FAILED, hostile_traces


def standing(diagram: Diagram) -> dict[str, Status | None]:
    return {one.id: one.status for one in diagram.nodes}


def test_what_both_did_and_what_only_one_did_is_told_apart() -> None:
    found = standing(parted(COMPLETED, OTHER, APART))
    assert found["prepare"] is found["review"] is Status.SAME
    assert found["high_risk"] is found["accept"] is Status.FIRST
    assert found["normal"] is found["reject"] is Status.SECOND
    assert found["score"] is Status.PARTED


def test_they_part_where_the_engine_says_and_the_notice_names_it() -> None:
    diagram = parted(COMPLETED, OTHER, APART)
    assert str(APART.parted) == "score#1"
    assert diagram.notice == "≠ they part at score#1"
    only = difference(COMPLETED, COMPLETED, {"score 1": "1"}, {"score 1": "2"})
    diagram = parted(COMPLETED, COMPLETED, only)
    assert standing(diagram)["score"] is Status.PARTED
    assert {one.id: one.detail for one in diagram.nodes}["score"] == "◐ 1\n◑ 2"


def test_edges_say_who_took_them_how_often_and_why() -> None:
    edges = {(one.source, one.target): one for one in parted(COMPLETED, OTHER, APART).edges}
    assert edges["prepare", "analyse"].status is Status.SAME
    assert edges["triage", "high_risk"].status is Status.FIRST
    assert edges["triage", "high_risk"].lines[-1] == "◐"
    assert edges["score_decision", "reject"].lines == ("score < 0.3", "◑ was Score(value=0.1)", "◑")
    fewer = replace(OTHER, taken={**OTHER.taken, ("analyse", "triage", 0): 1})
    lines = {(one.source, one.target): one for one in parted(COMPLETED, fewer, APART).edges}["analyse", "triage"]
    assert (lines.status, lines.lines) == (Status.OTHER, ("◐ × 2 · ◑ × 1",))


def test_runs_that_did_the_same_differ_in_nothing() -> None:
    diagram = parted(COMPLETED, COMPLETED, difference(COMPLETED, COMPLETED))
    assert set(standing(diagram).values()) <= {Status.SAME, Status.UNREACHED}
    assert (diagram.notice, diagram.notice_status) == ("= nothing differs", Status.SAME)


def test_a_run_that_failed_says_so_where_it_did() -> None:
    diagram = parted(COMPLETED, FAILED, difference(COMPLETED, FAILED))
    details = {one.id: one.detail for one in diagram.nodes}
    assert "◑ " in details["review"]
    assert "failed" in details["review"]


def test_runs_of_two_versions_are_drawn_on_both() -> None:
    newer = replace(OTHER, definition=NEWER)
    found = standing(parted(COMPLETED, newer, difference(COMPLETED, newer)))
    assert {"translate", "normal"} <= set(found)
    assert found["high_risk"] is Status.PARTED  # the first, in the order in which the tasks of the first run finished
    assert found["accept"] is Status.FIRST


def test_both_runs_are_named_with_their_checkpoints() -> None:
    facts = parted(COMPLETED, OTHER, replace(APART, shared=2)).facts
    assert facts[0].startswith(f"◐ run {COMPLETED.run_id} at ")
    assert facts[1].startswith("◑ run 77aa02 at ")
    assert facts[2] == "2 checkpoints shared"


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_mermaid_graphviz_and_the_terminal_show_it(mermaid_js: Mermaid, dot_program: Dot, theme: Theme) -> None:
    diagram = parted(COMPLETED, OTHER, APART)
    seen = mermaid_js.understand(mermaid(diagram, theme))
    assert seen.nodes["n_normal"].startswith("◑ normal")
    assert seen.nodes["l_first"] == "◐ only the first run"
    assert dot_program.texts(dot(diagram, theme))["n_high_risk"][0] == "◐ high_risk"
    assert "◑ normal" in plain(flow_view(diagram))


@given(one=hostile_traces(), other=hostile_traces())
@settings(max_examples=12, deadline=None)
def test_any_two_runs_make_a_picture(mermaid_js: Mermaid, one: Trace, other: Trace) -> None:
    diagram = parted(one, other, difference(one, other))
    assert len(mermaid_js.understand(mermaid(diagram, "dark", legend=False)).edges) == len(diagram.edges)
