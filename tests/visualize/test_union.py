"""Two definitions as one: what belongs together is told by its id, or by where it stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from milepost.engine.definition import DefinedNode
from milepost.visualize.grouping import Box
from milepost.visualize.union import box_differences, united
from tests.visualize.apart import NEWER
from tests.visualize.subjects import CLAIMS, edge, node


def test_every_box_and_link_of_both_is_there_once() -> None:
    union = united(CLAIMS, NEWER)
    assert set(union.whole.boxes) == {*union.one.boxes, *union.other.boxes}
    assert sorted(old for old, _ in union.pairs if old is not None) == list(range(len(union.one.links)))
    assert sorted(new for _, new in union.pairs if new is not None) == list(range(len(union.other.links)))


def test_a_box_comes_before_what_follows_it_and_the_end_is_last() -> None:
    order = list(united(CLAIMS, NEWER).whole.boxes)
    assert order.index("triage") < order.index("normal") < order.index("gather")
    assert order.index("triage") < order.index("translate") < order.index("gather")
    assert order[-1] == "__end__"


def test_a_generated_id_that_has_shifted_is_the_same_node() -> None:
    old = {"score_decision": "decision_2", "gather_each_review": "map_7"}
    nodes = tuple(replace(one, id=old.get(one.id, one.id)) for one in CLAIMS.nodes)
    edges = tuple(
        replace(one, source=old.get(one.source, one.source), target=old.get(one.target, one.target))
        for one in CLAIMS.edges
    )
    union = united(replace(CLAIMS, nodes=nodes, edges=edges), CLAIMS)
    assert union.names == {new: known for known, new in old.items()} or union.names == {
        new: name for name, new in old.items()
    }
    assert all(None not in pair for pair in union.pairs)


def test_links_between_the_same_boxes_are_paired_by_what_they_say_first() -> None:
    labels = ("a", "b"), ("b", "c")
    one, other = (
        replace(
            CLAIMS,
            nodes=(node("x", "decision"), node("y")),
            edges=tuple(edge("x", "y", number, label) for number, label in enumerate(some)),
        )
        for some in labels
    )
    union = united(one, other)
    told = {
        (union.one.links[old].label, union.other.links[new].label)
        for old, new in union.pairs
        if old is not None and new is not None
    }
    assert told == {("b", "b"), ("a", "c")}


PLAIN = DefinedNode(id="x", kind="function", doc="Do it", marks=("retry ≤ 3",), input="int", output="str")


def box(one: DefinedNode) -> Box:
    return Box(id=one.id, name=one.label or one.id, kind=one.kind, base=one.kind, node=one)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (PLAIN, []),
        (replace(PLAIN, kind="agent"), ["function → agent"]),
        (replace(PLAIN, label="Do"), ["was called x"]),
        (replace(PLAIN, marks=("retry ≤ 5",)), ["retry ≤ 3 → retry ≤ 5"]),
        (replace(PLAIN, marks=()), ["− retry ≤ 3"]),
        (replace(PLAIN, marks=("retry ≤ 3", "cache")), ["+ cache"]),
        (replace(PLAIN, input="str", output=""), ["takes str, was int", "gives anything, was str"]),
        (replace(PLAIN, stream=True), ["streams now"]),
        (replace(PLAIN, workflow="inner"), ["runs inner, was none"]),
        (replace(PLAIN, child=CLAIMS), ["changed inside"]),
        (replace(PLAIN, waits="fork"), ["waits for another fork"]),
        (replace(PLAIN, doc="Do it well"), ["described otherwise"]),
    ],
)
def test_what_differs_in_a_node_is_said_in_a_few_words(now: DefinedNode, said: list[str]) -> None:
    assert box_differences(box(PLAIN), box(now)) == said
