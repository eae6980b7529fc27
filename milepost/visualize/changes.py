"""What has changed between two versions of a workflow, as one picture of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from milepost.engine.definition import Definition
from milepost.visualize.diagram import Diagram, DrawnEdge, DrawnNode, declared_node, drawn_edges, statuses, told_nodes
from milepost.visualize.escape import one_line
from milepost.visualize.grouping import Link
from milepost.visualize.nesting import COMFORTABLE, opened
from milepost.visualize.palette import GLYPHS, WORDS, Status
from milepost.visualize.union import Union, box_differences, united

MOST_SAID = 3
"""How many differences a box names; its tooltip has them all."""


def changed(one: Definition, other: Definition, *, types: bool = False, depth: int | None = None) -> Diagram:
    """Describe what of `one` has become `other`: every node and edge of both, and how it stands.

    types: write on each edge what flows along it. depth: how many levels of changed workflows inside are drawn open;
    None for one, if the picture stays small.
    """
    flat, insides = _flat(one, other, types=types)
    if not insides or depth == 0:
        return flat
    below = None if depth is None else depth - 1
    inner = {id_: changed(*pair, types=types, depth=below or 0) for id_, pair in insides.items()}
    whole = opened(flat, inner)
    whole = replace(whole, legend=_legend(whole.nodes, whole.edges))
    return flat if depth is None and len(whole.nodes) > COMFORTABLE else whole


def _flat(
    one: Definition, other: Definition, *, types: bool
) -> tuple[Diagram, Mapping[str, tuple[Definition, Definition]]]:
    """Return the picture, and of nodes whose workflow has changed inside both versions of that."""
    union = united(one, other)
    nodes = tuple(_node(union, id_) for id_ in union.whole.boxes)
    edges = tuple(_edge(union, index, edge, types) for index, edge in enumerate(drawn_edges(union.whole, types=types)))
    insides: dict[str, tuple[Definition, Definition]] = {}
    for node in nodes:
        if node.status is Status.CHANGED:
            before, after = union.one.boxes[node.id].node.child, union.other.boxes[node.id].node.child
            if before is not None and after is not None and before != after:
                insides[node.id] = before, after
    counts = Counter(node.status for node in nodes), Counter(edge.status for edge in edges)
    said = _said(*counts) or "nothing differs"
    status = Status.SAME if said == "nothing differs" else Status.CHANGED
    names = other.name if one.name == other.name else f"{one.name} → {other.name}"
    versions = f"version {one.version} → {other.version}" if one.version != other.version else f"version {one.version}"
    diagram = Diagram(
        name=names,
        facts=(versions,),
        nodes=nodes,
        edges=edges,
        notice=f"{GLYPHS[status]} {said}",
        notice_status=status,
        legend=_legend(nodes, edges),
        description=told_nodes(nodes),
        what="What has changed in workflow",
    )
    return diagram, insides


def _node(union: Union, id_: str) -> DrawnNode:
    before, after = union.one.boxes.get(id_), union.other.boxes.get(id_)
    plain = declared_node(union.whole.boxes[id_])
    if before is None or after is None:
        status = Status.ADDED if before is None else Status.REMOVED
        return replace(plain, status=status, tooltip=f"{WORDS[status]} · {plain.tooltip}")
    found = box_differences(before, after)
    if not found:
        return replace(plain, status=Status.SAME)
    shown = [one_line(text, 48) for text in found[:MOST_SAID]]
    if len(found) > MOST_SAID:
        shown[-1] = f"and {len(found) - MOST_SAID + 1} other differences"
    fits = plain.kind not in ("start", "end", "join", "decision")
    return replace(
        plain,
        status=Status.CHANGED,
        detail="\n".join(shown) if fits else "",
        tooltip=" · ".join((plain.tooltip, WORDS[Status.CHANGED], *found)),
    )


def _edge(union: Union, index: int, edge: DrawnEdge, types: bool) -> DrawnEdge:
    old, new = union.pairs[index]
    before = None if old is None else union.one.links[old]
    after = None if new is None else union.other.links[new]
    if before is None or after is None:
        status = Status.ADDED if before is None else Status.REMOVED
        return replace(edge, status=status, lines=_marked(status, edge.lines))
    found = list(_differences(before, after, types))
    if not found:
        return replace(edge, status=Status.SAME)
    return replace(edge, status=Status.CHANGED, lines=(*_marked(Status.CHANGED, edge.lines), *found))


def _differences(before: Link, after: Link, types: bool) -> Iterator[str]:
    if before.label != after.label:
        yield f"was {before.label or 'without a condition'}"
    if types and before.type != after.type:
        yield f"was {before.type or 'anything'}"


def _marked(status: Status, lines: Sequence[str]) -> tuple[str, ...]:
    """Put the glyph of a status before the words on an edge, so that it is told without colours, too."""
    return (f"{GLYPHS[status]} {lines[0]}" if lines else GLYPHS[status], *lines[1:])


def _said(nodes: Counter[Status | None], edges: Counter[Status | None]) -> str:
    """Say how much was added, removed and changed.

    >>> _said(Counter([Status.ADDED, Status.SAME]), Counter([Status.ADDED, Status.ADDED, Status.REMOVED]))
    '1 node added · 2 edges added, 1 removed'
    """
    parts: list[str] = []
    for noun, counts in (("node", nodes), ("edge", edges)):
        found = [(counts[status], status) for status in (Status.ADDED, Status.REMOVED, Status.CHANGED)]
        told = [f"{number} {WORDS[status]}" for number, status in found if number]
        if told:
            number, _, word = told[0].partition(" ")
            told[0] = f"{number} {noun if number == '1' else noun + 's'} {word}"
            parts.append(", ".join(told))
    return " · ".join(parts)


def _legend(nodes: Sequence[DrawnNode], edges: Sequence[DrawnEdge]) -> tuple[Status, ...]:
    used = {*statuses(nodes), *(edge.status for edge in edges)}
    return tuple(status for status in Status if status in used)
