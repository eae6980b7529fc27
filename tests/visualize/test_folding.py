"""Pictures that are too large to be read."""

from __future__ import annotations

from milepost.visualize.diagram import Diagram, DrawnEdge, DrawnNode, declared
from milepost.visualize.folding import MAX_NODES, fold
from milepost.visualize.mermaid import mermaid
from milepost.visualize.palette import Status
from tests.visualize.conftest import Mermaid
from tests.visualize.subjects import CLAIMS, definition, edge, node


def chain(length: int, *, status: Status | None = None) -> Diagram:
    nodes = tuple(
        DrawnNode(id=f"{number}", kind="function", base="function", title=f"step {number}", status=status)
        for number in range(length)
    )
    edges = tuple(DrawnEdge(source=f"{n}", target=f"{n + 1}", spine=True, taken=1) for n in range(length - 1))
    return Diagram(name="chain", facts=(), nodes=nodes, edges=edges)


def comb(length: int) -> Diagram:
    """A start with many nodes around it, none of them in a chain."""
    nodes = [DrawnNode(id="start", kind="start", base="start", title="start")]
    nodes += [DrawnNode(id=f"{n}", kind="decision", base="decision", title=f"{n}") for n in range(length)]
    edges = tuple(DrawnEdge(source="start", target=f"{n}", taken=n % 2) for n in range(length))
    return Diagram(name="comb", facts=(), nodes=tuple(nodes), edges=edges)


def test_a_picture_that_can_be_read_is_left_alone() -> None:
    assert fold(declared(CLAIMS)) == declared(CLAIMS)


def test_a_chain_becomes_one_box_that_says_what_is_in_it() -> None:
    folded = fold(chain(100))
    assert [item.title for item in folded.nodes] == ["step 0 … step 99"]
    assert folded.nodes[0].detail == "100 nodes"
    assert folded.edges == ()
    assert folded.facts == ("100 nodes folded into 1",)


def test_a_node_that_failed_is_never_inside_a_chain() -> None:
    diagram = chain(100, status=Status.DONE)
    nodes = list(diagram.nodes)
    nodes[40] = DrawnNode(id="40", kind="function", base="function", title="step 40", status=Status.FAILED)
    folded = fold(Diagram(name="chain", facts=(), nodes=tuple(nodes), edges=diagram.edges))
    assert [item.title for item in folded.nodes] == [
        *(f"step {number}" for number in range(40)),
        "step 40",
        "step 41 … step 99",
    ]
    assert folded.edges[-1].taken == 1


def test_what_is_left_over_becomes_one_box() -> None:
    folded = fold(comb(200))
    assert len(folded.nodes) == MAX_NODES
    assert folded.nodes[-1].detail == "142 nodes"
    last = next(item for item in folded.edges if item.target == folded.nodes[-1].id)
    assert last.lines == ("142 edges",)
    assert last.taken == 71


def test_too_many_arrows_between_two_boxes_become_one() -> None:
    edges = tuple(DrawnEdge(source="0", target="1", lines=(f"{number}",)) for number in range(600))
    folded = fold(Diagram(name="", facts=(), nodes=chain(2).nodes, edges=edges))
    assert [item.lines for item in folded.edges] == [("600 edges",)]


def test_arrows_that_are_left_out_are_counted() -> None:
    nodes = chain(40).nodes
    edges = tuple(DrawnEdge(source=a.id, target=b.id) for a in nodes for b in nodes)
    folded = fold(Diagram(name="", facts=(), nodes=nodes, edges=edges))
    assert len(folded.edges) == 480
    assert folded.facts == ("480 of 1600 edges shown",)


def test_a_folded_workflow_of_a_thousand_nodes_is_read_by_mermaid(mermaid_js: Mermaid) -> None:
    ids = [f"node {number}" for number in range(1000)]
    edges = [edge(source, target) for source, target in zip(["__start__", *ids], [*ids, "__end__"], strict=True)]
    edges += [edge(ids[number], ids[number + 7], 1, "jump") for number in range(0, 900, 3)]
    diagram = fold(declared(definition([node(id_) for id_ in ids], edges)))
    assert len(diagram.nodes) <= MAX_NODES
    assert len(mermaid_js.understand(mermaid(diagram)).nodes) == len(diagram.nodes)
