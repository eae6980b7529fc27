"""What has changed between two versions of a workflow, as one picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from milepost.engine.definition import Definition
from milepost.visualize.changes import changed
from milepost.visualize.diagram import Diagram
from milepost.visualize.dot import dot
from milepost.visualize.mermaid import mermaid
from milepost.visualize.palette import LIGHT, Status, Theme
from milepost.visualize.terminal import flow_view, plain
from tests.visualize.apart import NEWER
from tests.visualize.conftest import Dot, Mermaid
from tests.visualize.subjects import CLAIMS, definition, edge, hostile_definitions, node


def standing(diagram: Diagram) -> dict[str, Status | None]:
    return {one.id: one.status for one in diagram.nodes if one.status is not Status.SAME}


def ways(diagram: Diagram) -> dict[tuple[str, str], tuple[Status | None, tuple[str, ...]]]:
    return {(one.source, one.target): (one.status, one.lines) for one in diagram.edges if one.status is not Status.SAME}


def test_what_was_added_removed_and_changed_is_told_apart() -> None:
    diagram = changed(CLAIMS, NEWER)
    assert standing(diagram) == {
        "analyse": Status.CHANGED,
        "high_risk": Status.CHANGED,
        "translate": Status.ADDED,
        "normal": Status.REMOVED,
    }
    assert ways(diagram) == {
        ("triage", "translate"): (Status.ADDED, ("+ foreign",)),
        ("triage", "normal"): (Status.REMOVED, ("− normal",)),
        ("translate", "gather"): (Status.ADDED, ("+",)),
        ("normal", "gather"): (Status.REMOVED, ("−",)),
        ("score_decision", "reject"): (Status.CHANGED, ("Δ score < 0.5", "was score < 0.3")),
    }
    assert diagram.notice == "Δ 1 node added, 1 removed, 2 changed · 2 edges added, 2 removed, 1 changed"
    assert diagram.facts == ("version 3 → 4",)
    assert diagram.legend == (Status.ADDED, Status.REMOVED, Status.CHANGED, Status.SAME)


def test_a_changed_node_says_what_it_was() -> None:
    nodes = {one.id: one for one in changed(CLAIMS, NEWER).nodes}
    assert nodes["analyse"].detail == "retry ≤ 3 → retry ≤ 5"
    assert nodes["high_risk"].detail == "function → agent"


def test_a_node_with_many_differences_names_some_and_its_tooltip_all() -> None:
    one = definition([node("x", "function", "retry ≤ 3")], [edge("__start__", "x"), edge("x", "__end__")])
    x = replace(one.nodes[2], kind="agent", marks=("cache",), input="int", output="str", stream=True)
    (drawn,) = [each for each in changed(one, replace(one, nodes=(*one.nodes[:2], x))).nodes if each.id == "x"]
    assert drawn.detail.split("\n") == ["function → agent", "retry ≤ 3 → cache", "and 3 other differences"]
    assert "streams now" in drawn.tooltip


def test_equal_versions_differ_in_nothing() -> None:
    diagram = changed(CLAIMS, CLAIMS)
    assert (standing(diagram), ways(diagram)) == ({}, {})
    assert (diagram.notice, diagram.notice_status) == ("= nothing differs", Status.SAME)


def test_another_type_on_an_edge_is_a_change_only_when_types_are_shown() -> None:
    edges = tuple(replace(one, type="Draft") if one.source == "prepare" else one for one in CLAIMS.edges)
    other = replace(CLAIMS, edges=edges)
    assert ways(changed(CLAIMS, other)) == {}
    assert ways(changed(CLAIMS, other, types=True)) == {
        ("prepare", "analyse"): (Status.CHANGED, ("Δ", "was Prepared")),
    }


def nested(inner: Definition) -> Definition:
    outer = definition([node("x", "workflow")], [edge("__start__", "x"), edge("x", "__end__")], "outer")
    return replace(outer, nodes=(*outer.nodes[:2], replace(outer.nodes[2], workflow=inner.name, child=inner)))


def test_what_has_changed_inside_is_drawn_open_or_closed() -> None:
    shallow = definition([node("a")], [edge("__start__", "a"), edge("a", "__end__")])
    deeper = definition([node("a"), node("b")], [edge("__start__", "a"), edge("a", "b"), edge("b", "__end__")])
    diagram = changed(nested(shallow), nested(deeper))
    assert standing(diagram) == {"x": Status.CHANGED, "x/b": Status.ADDED}
    assert [cluster.id for cluster in diagram.clusters] == ["x"]
    assert Status.REMOVED in diagram.legend  # an edge is
    closed = changed(nested(shallow), nested(deeper), depth=0)
    assert (standing(closed), closed.clusters) == ({"x": Status.CHANGED}, ())


def test_added_and_removed_edges_differ_by_more_than_colour() -> None:
    lines = mermaid(changed(CLAIMS, NEWER)).splitlines()
    assert '  n_triage ==>|"#43; foreign"| n_translate' in lines
    assert '  n_triage -.->|"− normal"| n_normal' in lines
    text = dot(changed(CLAIMS, NEWER))
    removed = next(line for line in text.splitlines() if "n_triage -> n_normal" in line)
    assert "style=dashed" in removed
    assert LIGHT.statuses[Status.REMOVED].stroke in removed


def test_the_terminal_tells_it_without_colours() -> None:
    text = plain(flow_view(changed(CLAIMS, NEWER)))
    assert "Δ analyse" in text
    assert "+ translate" in text
    assert "− normal" in text


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_mermaid_and_graphviz_read_it(mermaid_js: Mermaid, dot_program: Dot, theme: Theme) -> None:
    diagram = changed(CLAIMS, NEWER)
    seen = mermaid_js.understand(mermaid(diagram, theme))
    assert seen.nodes["n_translate"] == "+ translate\nTranslate the clauses"
    assert ("n_triage", "n_normal", "− normal") in seen.edges
    assert seen.nodes["l_removed"] == "− removed"
    assert "− normal" in dot_program.texts(dot(diagram, theme))["n_normal"]


@given(one=hostile_definitions(), other=hostile_definitions())
@settings(max_examples=15, deadline=None)
def test_any_two_definitions_make_a_picture(mermaid_js: Mermaid, one: Definition, other: Definition) -> None:
    diagram = changed(one, other, types=True)
    seen = mermaid_js.understand(mermaid(diagram, "auto", legend=False))
    assert len(seen.edges) == len(diagram.edges)
    assert {node.status for node in changed(one, one, types=True).nodes} == {Status.SAME}
