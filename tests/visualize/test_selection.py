"""Only some of the nodes of a picture, and several of them as one box."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milepost.engine.definition import Definition
from milepost.engine.errors import InputError
from milepost.visualize.diagram import Diagram, DrawnEdge, declared
from milepost.visualize.dot import dot
from milepost.visualize.mermaid import mermaid
from milepost.visualize.nesting import drawn
from milepost.visualize.overlay import traced
from milepost.visualize.palette import Status
from milepost.visualize.render import picture, render
from milepost.visualize.selection import part
from tests.visualize.conftest import Dot, Mermaid
from tests.visualize.nests import SHOP, hostile_nests
from tests.visualize.subjects import CLAIMS, COMPLETED, FAILED


def titles(diagram: Diagram) -> list[str]:
    return [node.title for node in diagram.nodes]


def arrow(diagram: Diagram, source: str, target: str) -> DrawnEdge:
    return next(item for item in diagram.edges if (item.source, item.target) == (source, target))


def test_without_a_wish_nothing_is_left_out() -> None:
    diagram = declared(CLAIMS)
    assert part(diagram) is diagram


def test_only_the_named_nodes_are_drawn_and_the_arrows_between_them() -> None:
    diagram = part(declared(CLAIMS), only=["analyse", "triage", "normal"])
    assert titles(diagram) == ["analyse", "triage", "normal"]
    assert {(edge.source, edge.target) for edge in diagram.edges} == {
        ("analyse", "triage"),
        ("triage", "normal"),
        ("triage", "analyse"),
    }
    assert diagram.facts[-1] == "3 nodes shown"


def test_what_leads_through_others_is_one_arrow_that_says_so() -> None:
    diagram = part(declared(CLAIMS), only=["prepare", "triage", "review", "accept"])
    assert arrow(diagram, "prepare", "triage").lines == ("via analyse",)
    assert arrow(diagram, "triage", "review").lines == ("via 3 nodes",)
    assert arrow(diagram, "triage", "triage").lines == ("unclear", "via analyse")
    assert arrow(diagram, "triage", "triage").back


def test_an_arrow_through_others_says_how_often_it_was_passed() -> None:
    diagram = part(traced(COMPLETED), only=["start", "analyse", "review", "score?", "reject"])
    assert arrow(diagram, "analyse", "analyse").taken == 1
    assert (arrow(diagram, "review", "score_decision").lines, arrow(diagram, "review", "score_decision").taken) == (
        ("via 2 nodes",),
        1,
    )
    assert arrow(diagram, "score_decision", "reject").taken == 0
    assert Status.UNREACHED in diagram.legend
    assert Status.UNREACHED not in part(traced(COMPLETED), only=["analyse"]).legend


def test_a_stretch_is_all_that_is_on_a_way_between_its_ends() -> None:
    diagram = part(traced(FAILED), collapse=["triage..gather"])
    (box,) = (node for node in diagram.nodes if node.kind == "fold")
    assert (box.title, box.detail, box.status) == ("triage … gather", "4 nodes", Status.DONE)
    assert "analyse" in titles(diagram)
    assert arrow(diagram, "triage", "review").taken == 1


def test_named_nodes_become_one_box_with_the_worst_status() -> None:
    diagram = part(traced(FAILED), collapse=["gather, review,collect"])
    (box,) = (node for node in diagram.nodes if node.kind == "fold")
    assert (box.title, box.detail, box.status) == ("gather … collect", "3 nodes", Status.FAILED)


def test_groups_that_have_a_node_in_common_are_one() -> None:
    diagram = part(declared(CLAIMS), collapse=["prepare..analyse", "analyse..triage", "accept,reject"])
    assert [node.title for node in diagram.nodes if node.kind == "fold"] == ["prepare … triage", "reject … accept"]


def test_a_node_inside_a_box_keeps_the_box_when_only_it_is_wanted() -> None:
    diagram = part(declared(CLAIMS), only=["analyse", "accept"], collapse=["prepare..triage"])
    assert titles(diagram) == ["prepare … triage", "accept"]


def test_a_workflow_that_is_drawn_open_can_be_closed_by_its_name() -> None:
    diagram = part(drawn(SHOP, depth=2), collapse=["buyer"])
    closed = next(node for node in diagram.nodes if node.id == "buyer")
    assert (closed.kind, closed.cluster, closed.detail) == (
        "workflow",
        None,
        "workflow credit check · 4 nodes · retry ≤ 2",
    )
    assert [cluster.id for cluster in diagram.clusters] == ["seller", "seller/fraud"]
    assert arrow(diagram, "buyer", "again").source == "buyer"


def test_a_node_inside_a_workflow_is_drawn_in_its_frame() -> None:
    diagram = picture(SHOP, depth=2, only=["seller/rate"])
    assert [node.id for node in diagram.nodes] == ["seller", "seller/rate"]
    assert [cluster.id for cluster in diagram.clusters] == ["seller"]


def test_a_name_is_for_every_node_that_has_it() -> None:
    diagram = picture(SHOP, depth=1, only=["rate"])
    assert [node.id for node in diagram.nodes] == ["buyer", "buyer/rate", "seller", "seller/rate"]


def test_a_stretch_across_a_frame_is_drawn_outside_of_it() -> None:
    diagram = part(drawn(SHOP, depth=1), collapse=["take..buyer"])
    box = next(node for node in diagram.nodes if node.kind == "fold")
    assert (box.title, box.cluster) == ("take … buyer", None)
    assert [cluster.id for cluster in diagram.clusters] == ["seller"]


@pytest.mark.parametrize(
    ("only", "collapse", "words"),
    [
        (["analize"], [], "There is no node 'analize' in this picture. Did you mean 'analyse'?"),
        ([], ["gather..revue"], "There is no node 'revue' in this picture. Did you mean 'review'?"),
        ([], ["gather,nobody at all"], "There is no node 'nobody at all' in this picture."),
        ([], ["score..prepare"], "No way leads along the stretch 'score..prepare'. Turn it round."),
        ([], ["accept..reject"], "No way leads along the stretch 'accept..reject'."),
    ],
)
def test_a_name_that_no_node_has_is_refused_and_what_is_close_is_offered(
    only: list[str], collapse: list[str], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        render(CLAIMS, only=only, collapse=collapse)
    assert str(caught.value) == words


def test_the_end_of_a_stretch_has_to_be_one_node() -> None:
    with pytest.raises(InputError) as caught:
        part(drawn(SHOP, depth=1), collapse=["rate..again"])
    assert str(caught.value) == "'rate' is 2 nodes of this picture. Say which: buyer/rate, seller/rate."


def test_a_part_of_a_run_is_written_as_its_flow_in_text() -> None:
    text = render(FAILED, "text", only=["triage", "review"])
    rows = [line.split()[:2] for line in text.splitlines()]
    assert ["✓", "triage"] in rows
    assert ["✗", "review"] in rows
    assert "high_risk" not in text


@given(definition=hostile_nests(), data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_part_of_any_picture_can_be_drawn(
    mermaid_js: Mermaid, dot_program: Dot, definition: Definition, data: st.DataObject
) -> None:
    whole = drawn(definition, depth=2)
    ids = st.sampled_from([node.id for node in whole.nodes])
    only = data.draw(st.lists(ids, max_size=3))
    collapse = data.draw(st.lists(ids, max_size=2))
    diagram = part(whole, only=only, collapse=collapse)
    assert len(mermaid_js.understand(mermaid(diagram)).nodes) == len(diagram.nodes)
    assert len(dot_program.texts(dot(diagram))) == len(diagram.nodes) + len(diagram.edges)
