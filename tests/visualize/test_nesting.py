"""Which sub-workflows are drawn open, and what a cluster is made of."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings

from milepost.engine.definition import Definition
from milepost.engine.errors import InputError
from milepost.engine.trace import Trace
from milepost.visualize.diagram import Cluster, Diagram, DrawnNode, declared
from milepost.visualize.folding import MAX_NODES, fold
from milepost.visualize.nesting import COMFORTABLE, drawn, opened, paths, readable
from milepost.visualize.overlay import traced
from milepost.visualize.palette import Status
from tests.visualize.nests import (
    BATCH,
    CREDIT,
    FAILED_BATCH,
    FRAUD,
    RESCUED_BATCH,
    SHOP,
    TREE,
    grown,
    hostile_families,
    hostile_nests,
    runs,
)
from tests.visualize.subjects import CLAIMS, definition, edge, node


def box(diagram: Diagram, id_: str) -> DrawnNode:
    return next(one for one in diagram.nodes if one.id == id_)


def ways(diagram: Diagram) -> list[tuple[str, str]]:
    return [(one.source, one.target) for one in diagram.edges]


def chain(length: int, *children: Definition) -> Definition:
    nodes = [*(node(f"n{number}") for number in range(length)), *(runs(f"c{n}", one) for n, one in enumerate(children))]
    ids = ["__start__", *(one.id for one in nodes), "__end__"]
    return definition(nodes, [edge(one, other) for one, other in pairwise(ids)], "chain")


def test_a_closed_sub_workflow_says_which_it_is_and_how_many_nodes_are_inside() -> None:
    diagram = drawn(SHOP)
    assert (box(diagram, "buyer").kind, box(diagram, "buyer").base) == ("workflow", "workflow")
    assert box(diagram, "buyer").detail == "workflow credit check · 4 nodes · retry ≤ 2"
    assert box(drawn(CREDIT), "fraud").detail == "workflow · 2 nodes"
    assert box(diagram, "buyer").tooltip == "workflow buyer · workflow credit check · 4 nodes · retry ≤ 2"
    assert diagram.clusters == ()


def test_one_that_is_inside_itself_has_its_name_only() -> None:
    diagram = drawn(TREE, depth=5)
    assert box(diagram, "below").detail == "workflow tree"
    assert diagram.clusters == ()


def test_a_map_and_the_sub_workflow_it_feeds_are_one_box() -> None:
    one = box(drawn(BATCH), "check")
    assert (one.kind, one.base, one.times) == ("map", "workflow", "× N")
    assert one.detail == "workflow credit check · 4 nodes · map"


def test_an_open_one_is_headed_by_its_node_and_left_from_its_end() -> None:
    diagram = drawn(SHOP, depth=1)
    assert diagram.clusters == (Cluster(id="buyer"), Cluster(id="seller"))
    assert [one.id for one in diagram.nodes if one.cluster == "buyer"] == [
        "buyer",
        "buyer/look_up",
        "buyer/rate",
        "buyer/accept",
        "buyer/fraud",
        "buyer/end",
    ]
    assert ("take", "buyer") in ways(diagram)
    assert ("buyer", "buyer/look_up") in ways(diagram)
    assert ("buyer/end", "again") in ways(diagram)
    assert ("again", "buyer") in ways(diagram)
    assert len({one.id for one in diagram.nodes}) == len(diagram.nodes)


def test_clusters_are_inside_one_another() -> None:
    diagram = drawn(SHOP, depth=2)
    assert diagram.clusters[:2] == (Cluster(id="buyer"), Cluster(id="buyer/fraud", parent="buyer"))
    assert box(diagram, "buyer/fraud/weigh").cluster == "buyer/fraud"
    assert ("buyer/fraud/end", "buyer/end") in ways(diagram)
    assert diagram.levels == {None: 0, "buyer": 1, "buyer/fraud": 2, "seller": 1, "seller/fraud": 2}
    assert paths(diagram)["buyer/fraud/weigh"] == ("buyer", "fraud", "weigh")
    assert paths(diagram)["buyer/fraud"] == ("buyer", "fraud")


def test_an_error_edge_leaves_the_node_itself_for_what_failed_never_came_to_its_end() -> None:
    diagram = drawn(BATCH, depth=1)
    assert ("check", "help") in ways(diagram)
    assert ("check/end", "collect") in ways(diagram)


def test_ids_that_look_like_those_inside_are_told_apart() -> None:
    tricky = definition([runs("a", FRAUD), node("a/ask"), node("a/end")], [edge("__start__", "a")])
    ids = [one.id for one in drawn(tricky, depth=1).nodes]
    assert sorted(ids) == sorted(set(ids))
    assert {"a/ask", "a/ask'", "a/end", "a/end'"} <= set(ids)


def test_a_workflow_with_nothing_in_it_cannot_be_opened() -> None:
    hollow = definition([runs("a", Definition("hollow", 1, (node("__start__", "start"),), ()))], [])
    assert drawn(hollow, depth=1) == declared(hollow)


def test_one_without_an_end_is_left_from_its_last_node() -> None:
    endless = Definition("endless", 1, (node("__start__", "start"), node("x")), (edge("__start__", "x"),))
    diagram = drawn(definition([runs("a", endless)], [edge("a", "__end__")]), depth=1)
    assert ("a/x", "__end__") in ways(diagram)


def test_the_end_of_a_sub_workflow_is_a_quiet_one() -> None:
    diagram = drawn(SHOP, depth=1)
    assert (box(diagram, "buyer/end").colours, box(diagram, "__end__").colours) == ("join", "terminal")


def test_what_is_inside_is_put_into_words_too() -> None:
    assert "; inside buyer: look_up (function), rate (decision)" in drawn(SHOP, depth=1).description


# --- runs -------------------------------------------------------------------------------------------------------------


def test_the_runs_of_one_node_are_drawn_as_one_with_counts() -> None:
    diagram = drawn(FAILED_BATCH, depth=1)
    head, inner = box(diagram, "check"), box(diagram, "check/look_up")
    assert head.detail == "credit check · 2 of 3 done · 4.0 s · 6.0k tok · $0.06\nConnectionError: no line"
    assert head.strip == (Status.DONE, Status.DONE, Status.FAILED)
    assert (inner.status, inner.times) == (Status.FAILED, "× 3")
    assert inner.detail == "2 of 3 done · ↻ 3 retries · 4.0 s · 2.0k tok · $0.02\nConnectionError: no line"
    assert box(diagram, "check/accept").times == ""
    taken = {(one.source, one.target): one.taken for one in diagram.edges}
    assert (taken["check", "check/look_up"], taken["check/look_up", "check/rate"]) == (3, 2)
    assert taken["check/end", "collect"] == 2


def test_an_end_that_only_some_came_to_was_reached() -> None:
    assert box(drawn(FAILED_BATCH, depth=1), "check/end").status is Status.DONE


def test_a_handler_is_reached_from_the_node_that_failed() -> None:
    diagram = drawn(RESCUED_BATCH, depth=1)
    assert box(diagram, "check").status is Status.CAUGHT
    assert next(one.taken for one in diagram.edges if one.target == "help") == 1


def test_what_was_not_begun_is_drawn_closed() -> None:
    inside = drawn(FAILED_BATCH, depth=3)
    assert [cluster.id for cluster in inside.clusters] == ["check", "check/fraud"]
    assert drawn(replace(FAILED_BATCH, children={}), depth=3).clusters == ()


def test_the_legend_has_what_is_used_inside() -> None:
    assert Status.RETRIED not in traced(RESCUED_BATCH).legend
    assert Status.FAILED in drawn(RESCUED_BATCH, depth=1).legend


def test_a_run_of_itself_is_opened_as_deep_as_it_went() -> None:
    assert len(drawn(grown(3), depth=9).clusters) == 3


# --- how deep ---------------------------------------------------------------------------------------------------------


def test_one_level_is_open_when_nobody_says_how_deep() -> None:
    assert [one.id for one in readable(SHOP).clusters] == ["buyer", "seller"]
    assert readable(SHOP, depth=0).clusters == ()
    assert len(readable(SHOP, depth=2).clusters) == 4
    assert readable(SHOP, depth=2) == readable(SHOP, depth=100)
    assert readable(CLAIMS) == declared(CLAIMS)


def test_a_level_that_would_make_the_picture_large_stays_closed_as_a_whole() -> None:
    large = chain(COMFORTABLE - 6, FRAUD, FRAUD)
    assert readable(large) == declared(large)
    assert len(readable(chain(4, FRAUD, FRAUD)).clusters) == 2


def test_who_asks_gets_as_many_levels_as_can_be_read_and_is_told_of_the_rest() -> None:
    asked = readable(chain(COMFORTABLE - 6, FRAUD, FRAUD), depth=1)
    assert (len(asked.clusters), len(asked.facts)) == (2, 3)
    wide = chain(1, *([SHOP] * 3))
    assert readable(wide, depth=3).facts[-1] == "open to level 2"
    assert len(readable(wide, depth=3).nodes) <= MAX_NODES
    assert readable(chain(MAX_NODES, SHOP), depth=3).facts[-1] == "too large to open"


def test_a_negative_depth_is_refused() -> None:
    with pytest.raises(InputError, match=r"depth=-1 is no number of levels\. Give 0 to draw every sub-workflow closed"):
        readable(SHOP, depth=-1)


def test_what_is_open_is_never_folded() -> None:
    assert fold(drawn(SHOP, depth=2), max_nodes=5).nodes == drawn(SHOP, depth=2).nodes


def test_the_nodes_of_a_cluster_come_where_its_node_was() -> None:
    contents = drawn(SHOP, depth=2).contents()
    assert [one.id for one in contents[None]] == ["__start__", "take", "buyer", "again", "seller", "__end__"]
    assert [type(one) for one in contents[None]].count(Cluster) == 2
    assert [one.id for one in contents["buyer/fraud"]] == [
        "buyer/fraud",
        "buyer/fraud/ask",
        "buyer/fraud/weigh",
        "buyer/fraud/end",
    ]


def test_opening_nothing_changes_nothing() -> None:
    assert opened(declared(SHOP), {}) == declared(SHOP)


@given(subject=hostile_nests() | hostile_families())
@settings(max_examples=20)
def test_whatever_is_inside_ids_are_unique_and_every_arrow_has_two_ends(subject: Definition | Trace) -> None:
    for depth in (0, 1, 3):
        diagram = drawn(subject, depth=depth)
        ids = [one.id for one in diagram.nodes]
        assert len(set(ids)) == len(ids)
        assert {end for one in diagram.edges for end in (one.source, one.target)} <= set(ids)
        held = [one for inside in diagram.contents().values() for one in inside]
        assert sorted(one.id for one in held if isinstance(one, DrawnNode)) == sorted(ids)
        assert {one.id for one in held if isinstance(one, Cluster)} == {one.id for one in diagram.clusters}


def test_edges_that_people_declared_are_counted_without_those_to_conditions() -> None:
    assert declared(SHOP).facts == ("version 1", "4 nodes", "6 edges")
