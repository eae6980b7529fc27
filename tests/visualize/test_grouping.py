"""Merging structural nodes into what people had in mind."""

from __future__ import annotations

from itertools import pairwise

from milepost.visualize.grouping import Grouping, back_links, group
from tests.visualize.subjects import CLAIMS, definition, edge, node


def ways(grouping: Grouping) -> list[tuple[str, str]]:
    return [(link.source, link.target) for link in grouping.links]


def test_a_deciding_step_and_its_decision_are_one_diamond() -> None:
    grouping = group(CLAIMS)
    assert grouping.boxes["triage"].kind == "decision"
    assert grouping.boxes["triage"].inner == ("triage_choice",)
    assert "triage_choice" not in grouping.boxes
    assert [way for way in ways(grouping) if way[0] == "triage"] == [
        ("triage", "high_risk"),
        ("triage", "normal"),
        ("triage", "analyse"),
    ]


def test_a_decision_of_conditional_edges_is_a_diamond_named_after_its_source() -> None:
    box = group(CLAIMS).boxes["score_decision"]
    assert (box.kind, box.name) == ("decision", "score?")


def test_a_map_and_the_one_node_it_feeds_are_one_box() -> None:
    grouping = group(CLAIMS)
    assert (grouping.boxes["review"].kind, grouping.boxes["review"].base) == ("map", "agent")
    assert ("gather", "review") in ways(grouping)
    assert grouping.owners["gather_each_review"] == "review"


def test_a_map_whose_node_is_reached_in_another_way_too_stays_apart() -> None:
    nodes = [node("split"), node("each", "map", generated=True), node("work")]
    edges = [edge("__start__", "split"), edge("split", "each"), edge("each", "work"), edge("split", "work")]
    grouping = group(definition(nodes, edges))
    assert (grouping.boxes["each"].kind, grouping.boxes["each"].name) == ("map", "for each")
    assert ("each", "work") in ways(grouping)


def test_a_map_straight_into_a_join_stays_apart() -> None:
    nodes = [node("fan", "map"), node("all", "join")]
    grouping = group(definition(nodes, [edge("__start__", "fan"), edge("fan", "all"), edge("all", "__end__")]))
    assert grouping.boxes["fan"].name == "fan"
    assert ways(grouping) == [("__start__", "fan"), ("fan", "all"), ("all", "__end__")]


def test_a_broadcast_is_no_box_and_its_edges_leave_its_source() -> None:
    nodes = [node("a"), node("a_broadcast_fork", "broadcast", generated=True), node("b"), node("c")]
    edges = [
        edge("__start__", "a"),
        edge("a", "a_broadcast_fork", label="both"),
        edge("a_broadcast_fork", "b", 0, type_="int"),
        edge("a_broadcast_fork", "c", 1, "second"),
    ]
    grouping = group(definition(nodes, edges))
    assert "a_broadcast_fork" not in grouping.boxes
    links = [link for link in grouping.links if link.source == "a"]
    assert [(link.target, link.label, link.type) for link in links] == [
        ("b", "both", "int"),
        ("c", "both · second", ""),
    ]
    assert links[1].via == (("a", "a_broadcast_fork", 0), ("a_broadcast_fork", "c", 1))


def test_a_broadcast_of_broadcasts_leads_to_the_real_nodes() -> None:
    nodes = [node("one", "broadcast"), node("two", "broadcast"), node("b"), node("c")]
    edges = [edge("__start__", "one"), edge("one", "two", 0), edge("one", "b", 1), edge("two", "c", 0)]
    assert set(ways(group(definition(nodes, edges)))) == {("__start__", "b"), ("__start__", "c")}


def test_broadcasts_in_a_circle_lead_nowhere() -> None:
    nodes = [node("one", "broadcast"), node("two", "broadcast"), node("b")]
    edges = [edge("__start__", "one"), edge("one", "two"), edge("two", "one"), edge("__start__", "b")]
    assert ways(group(definition(nodes, edges))) == [("__start__", "b")]


def test_a_decision_that_sends_a_value_back_to_its_own_step_keeps_that_loop() -> None:
    nodes = [node("pick", "decision"), node("pick_choice", "decision", generated=True)]
    edges = [
        edge("__start__", "pick"),
        edge("pick", "pick_choice"),
        edge("pick_choice", "pick", 0, "again"),
        edge("pick_choice", "__end__", 1, "done"),
    ]
    assert ways(group(definition(nodes, edges))) == [("__start__", "pick"), ("pick", "pick"), ("pick", "__end__")]


def test_an_edge_to_a_node_that_is_not_there_is_left_out() -> None:
    assert ways(group(definition([node("a")], [edge("__start__", "a"), edge("a", "gone")]))) == [("__start__", "a")]


def test_generated_names_are_put_into_words() -> None:
    nodes = [node("reduce_sum", "join", generated=True), node("decision", "decision", generated=True)]
    edges = [edge("__start__", "reduce_sum"), edge("__start__", "decision"), edge("reduce_sum", "decision")]
    boxes = group(definition(nodes, edges)).boxes
    assert boxes["reduce_sum"].name == "join"
    assert boxes["decision"].name == "which?"


def test_boxes_come_in_the_order_they_can_run() -> None:
    assert list(group(CLAIMS).boxes) == [
        "__start__",
        "prepare",
        "analyse",
        "triage",
        "high_risk",
        "normal",
        "gather",
        "review",
        "collect",
        "score",
        "score_decision",
        "reject",
        "accept",
        "__end__",
    ]


def test_a_node_that_nothing_leads_to_comes_after_the_flow() -> None:
    grouping = group(definition([node("lost"), node("a")], [edge("__start__", "a"), edge("lost", "a")]))
    assert list(grouping.boxes) == ["__start__", "a", "lost", "__end__"]


def test_a_decision_that_loops_to_itself_has_a_name() -> None:
    nodes = [node("which", "decision", generated=True)]
    grouping = group(definition(nodes, [edge("which", "which", 0)]))
    assert grouping.boxes["which"].name == "which?"


def test_only_the_edge_that_closes_a_loop_goes_back() -> None:
    grouping = group(CLAIMS)
    back = back_links(tuple(grouping.boxes), grouping.links)
    assert [ways(grouping)[index] for index in back] == [("triage", "analyse")]


def test_a_chain_of_ten_thousand_nodes_is_no_problem() -> None:
    ids = [f"n{number}" for number in range(10_000)]
    edges = [edge(source, target) for source, target in pairwise(ids)]
    assert len(group(definition([node(id_) for id_ in ids], edges)).links) == 9_999
