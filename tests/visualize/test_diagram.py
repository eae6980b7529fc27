"""What the picture of a definition shows."""

from __future__ import annotations

from milepost.visualize.diagram import declared
from tests.visualize.subjects import CLAIMS, definition, edge, node


def test_a_box_shows_its_kind_and_policy_or_else_what_it_does() -> None:
    details = {drawn.id: drawn.detail for drawn in declared(CLAIMS).nodes}
    assert details["analyse"] == "agent · retry ≤ 3 · timeout 60 s"
    assert details["prepare"] == "Load the contract and split its clauses"
    assert details["review"] == "agent · map · retry ≤ 2"
    assert details["__start__"] == details["collect"] == details["triage"] == ""


def test_everything_known_about_a_node_is_in_its_tooltip() -> None:
    tooltips = {drawn.id: drawn.tooltip for drawn in declared(CLAIMS).nodes}
    assert tooltips["__start__"] == "start"
    assert tooltips["prepare"] == "function prepare · Load the contract and split its clauses"


def test_a_long_docstring_is_cut_in_the_box_and_whole_in_the_tooltip() -> None:
    doc = "word " * 30
    drawn = declared(definition([node("a", doc=doc.strip())], [edge("__start__", "a")])).nodes[1]
    assert len(drawn.detail) == 44
    assert drawn.tooltip == f"function a · {doc.strip()}"


def test_the_line_below_the_title_counts_what_people_declared() -> None:
    assert declared(CLAIMS).facts == ("version 3", "11 nodes", "15 edges")  # start, end and "score?" are none of theirs


def test_a_diamond_has_no_room_for_a_docstring() -> None:
    drawn = declared(definition([node("a", "decision", doc="Where to go")], [edge("__start__", "a")])).nodes[1]
    assert drawn.detail == ""
    assert drawn.tooltip == "decision a · Where to go"


def test_types_are_on_the_edges_only_when_they_are_asked_for() -> None:
    assert {item.type for item in declared(CLAIMS).edges} == {""}
    types = {(item.source, item.target): item.type for item in declared(CLAIMS, types=True).edges}
    assert types["gather", "review"] == "Clause" or types["gather", "review"] == "list[Clause]"
    assert types["triage", "normal"] == "Analysis"


def test_the_spine_is_where_there_is_one_way_only() -> None:
    spine = {(item.source, item.target) for item in declared(CLAIMS).edges if item.spine}
    assert ("prepare", "analyse") in spine
    assert ("triage", "normal") not in spine
    assert ("normal", "gather") not in spine


def test_a_condition_that_only_repeats_the_class_it_leads_to_is_left_out() -> None:
    nodes = [node("Parse"), node("decision", "decision", generated=True), node("Repair"), node("Done")]
    edges = [
        edge("__start__", "Parse"),
        edge("Parse", "decision"),
        edge("decision", "Repair", 0, "Repair"),
        edge("decision", "Done", 1, "valid"),
    ]
    lines = {item.target: item.lines for item in declared(definition(nodes, edges)).edges}
    assert lines["Repair"] == ()
    assert lines["Done"] == ("valid",)


def test_the_condition_of_a_decision_of_ones_own_is_always_shown() -> None:
    lines = {(item.source, item.target): item.lines for item in declared(CLAIMS).edges}
    assert lines["triage", "normal"] == ("normal",)


def test_the_picture_is_put_into_words() -> None:
    assert declared(CLAIMS).description.startswith("prepare (function), analyse (agent), triage (decision), ")
    assert declared(definition([], [])).description == "no nodes"
