"""From the compiled graph to what people had in mind: structural nodes are merged into the node they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from milepost.engine.definition import DefinedEdge, DefinedNode, Definition
from milepost.engine.trace import Edge

MAPPED_KINDS = frozenset({"function", "agent", "ask", "wait", "sleep", "race", "workflow"})
"""Kinds that are drawn as one "× N" box with the map that feeds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One node as people see it.

    id: of the node that does the work. kind: its shape; base: whose colours it has (of what a map maps, else its kind).
    inner: ids of the structural nodes that are part of it.
    """

    id: str
    name: str
    kind: str
    base: str
    node: DefinedNode
    inner: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One edge as people see it.

    source, target: ids of boxes. via: the compiled edges passed on the way, never empty. error: it is taken when the
    source fails.
    """

    source: str
    target: str
    via: tuple[Edge, ...]
    label: str
    type: str
    error: bool = False


@dataclass(frozen=True, slots=True)
class Grouping:
    """The boxes in the order they can run, the links by their source, and which box each compiled node belongs to."""

    boxes: Mapping[str, Box]
    links: tuple[Link, ...]
    owners: Mapping[str, str]


def group(definition: Definition) -> Grouping:
    """Merge the compiled nodes of `definition` into boxes.

    A deciding step and its decision are one box; so are a map and the one node it feeds. A broadcast is no box, and
    neither is the decision between a node's error edges and the way of its output: their edges leave their source. An
    edge that names a node which is not there is left out.
    """
    graph = _Graph(definition)
    owners = {node.id: node.id for node in definition.nodes if not graph.is_passed(node.id)}
    for node in definition.nodes:
        owner = graph.owner(node)
        if owner is not None:
            owners[node.id] = owner
    inner: dict[str, list[str]] = {}
    for id_, owner in owners.items():
        if owner != id_:
            inner.setdefault(owner, []).append(id_)
    boxes = {
        node.id: _box(graph, node, tuple(inner.get(node.id, ())))
        for node in definition.nodes
        if owners.get(node.id) == node.id
    }
    links = [link for source in owners for link in _links(graph, owners, source)]
    links.sort(key=lambda link: link.error)  # of a node's edges those for its failures come last
    order = in_flow(sorted(boxes, key=lambda id_: boxes[id_].kind == "end"), links)
    rank = {id_: number for number, id_ in enumerate(order)}
    links.sort(key=lambda link: rank[link.source])
    return Grouping({id_: boxes[id_] for id_ in order}, tuple(links), owners)


def node_count(grouping: Grouping) -> int:
    """Return how many nodes people declared: not start and end, nor what stands for the conditions on edges."""
    return sum(_is_declared(box) for box in grouping.boxes.values())


def edge_count(grouping: Grouping) -> int:
    """Return how many edges people declared: not those to what stands for the conditions on others."""
    boxes = grouping.boxes
    return sum(
        _is_declared(boxes[link.target]) or boxes[link.target].kind in ("start", "end") for link in grouping.links
    )


def _is_declared(box: Box) -> bool:
    made = box.node.generated and box.node.kind in ("decision", "map", "broadcast")
    return not made and box.node.kind not in ("start", "end")


def back_links(boxes: Sequence[str], links: Sequence[Link]) -> frozenset[int]:
    """Return the indices of the links that close a cycle, seen depth first from the first box on."""
    return _walk(boxes, links)[1]


def in_flow(boxes: Sequence[str], links: Sequence[Link]) -> list[str]:
    """Order the boxes as they can run: each before what follows it, branches as declared, loops cut open."""
    return [id_ for tree in _walk(boxes, links[::-1])[0] for id_ in reversed(tree)]


def _walk(boxes: Sequence[str], links: Sequence[Link]) -> tuple[list[list[str]], frozenset[int]]:
    """Go through the graph depth first.

    Returns for each root the boxes it led to, in the order they were left, and the links that close a cycle. A walk
    without recursion, so that a chain of ten thousand nodes is no problem. Cost: one visit per box and link.
    """
    ways: dict[str, list[int]] = {id_: [] for id_ in boxes}
    for index, link in enumerate(links):
        ways[link.source].append(index)
    back: set[int] = set()
    seen: set[str] = set()
    trees: list[list[str]] = []
    for root in boxes:
        if root in seen:
            continue
        seen.add(root)
        tree: list[str] = []
        open_: dict[str, Iterator[int]] = {root: iter(ways[root])}
        while open_:
            box = next(reversed(open_))
            index = next(open_[box], -1)
            if index < 0:
                tree.append(box)
                open_.pop(box)
            elif links[index].target in open_:
                back.add(index)
            elif links[index].target not in seen:
                seen.add(links[index].target)
                open_[links[index].target] = iter(ways[links[index].target])
        trees.append(tree)
    return trees, frozenset(back)


class _Graph:
    """The compiled graph with its edges by source and by target."""

    def __init__(self, definition: Definition) -> None:
        self.nodes = {node.id: node for node in definition.nodes}
        self.outs: dict[str, list[DefinedEdge]] = {id_: [] for id_ in self.nodes}
        self.ins: dict[str, list[DefinedEdge]] = {id_: [] for id_ in self.nodes}
        for edge in definition.edges:
            if edge.source in self.nodes and edge.target in self.nodes:
                self.outs[edge.source].append(edge)
                self.ins[edge.target].append(edge)

    def is_passed(self, id_: str) -> bool:
        """Tell whether a node only passes on, so that its edges are drawn as those of the node before it."""
        passes = self.nodes[id_].kind == "broadcast" or self.is_outcome(id_)
        return passes and bool(self.ins[id_]) and bool(self.outs[id_])

    def is_outcome(self, id_: str) -> bool:
        """Tell whether a node stands for how the one before it ended: its error edges leave from it."""
        return self.nodes[id_].kind == "decision" and any(edge.error for edge in self.outs[id_])

    def sources(self, id_: str) -> set[str]:
        """Return the nodes that lead to a node, those before an outcome in place of it."""
        found = {edge.source for edge in self.ins[id_]}
        outcomes = {source for source in found if source != id_ and self.is_outcome(source)}
        return found - outcomes | {edge.source for outcome in outcomes for edge in self.ins[outcome]}

    def owner(self, node: DefinedNode) -> str | None:
        """Return the node that `node` is drawn as a part of, None if it is drawn by itself."""
        outs, sources = self.outs[node.id], self.sources(node.id)
        if node.kind == "decision" and node.generated and len(self.ins[node.id]) == len(sources) == 1:
            source = self.nodes[sources.pop()]
            chosen = source.kind == "decision" and not source.generated and node.id.startswith(f"{source.id}_choice")
            return source.id if chosen and len(self.outs[source.id]) == 1 else None
        if node.kind == "map" and len(outs) == 1 and self.nodes[outs[0].target].kind in MAPPED_KINDS:
            target = outs[0].target
            return target if len(self.ins[target]) == 1 else None
        return None


def _box(graph: _Graph, node: DefinedNode, inner: tuple[str, ...]) -> Box:
    mapped = any(graph.nodes[id_].kind == "map" for id_ in inner)
    base = "join" if node.kind in ("map", "broadcast") else node.kind
    kind = "map" if mapped else "join" if node.kind == "broadcast" else node.kind
    return Box(id=node.id, name=_name(graph, node), kind=kind, base=base, node=node, inner=inner)


def _name(graph: _Graph, node: DefinedNode) -> str:
    if node.label:
        return node.label
    if node.kind in ("start", "end"):
        return node.kind
    if not node.generated:
        return node.id
    if node.kind == "decision":
        sources = [graph.nodes[source] for source in graph.sources(node.id)]
        plain = len(sources) == 1 and not (sources[0].kind == "decision" and sources[0].generated)
        return f"{_name(graph, sources[0])}?" if plain else "which?"
    return {"map": "for each", "join": "join", "broadcast": "all"}.get(node.kind, node.id)


def _links(graph: _Graph, owners: Mapping[str, str], source: str) -> Iterator[Link]:
    for edge in graph.outs[source]:
        for way in _ways(graph, (edge,)):
            if not _is_inside(graph, owners, source, way[-1].target):
                yield Link(
                    source=owners[source],
                    target=owners[way[-1].target],
                    via=tuple((step.source, step.target, step.branch) for step in way),
                    label=" · ".join(step.label for step in way if step.label),
                    type=way[-1].type or way[0].type,
                    error=any(step.error for step in way),
                )


def _is_inside(graph: _Graph, owners: Mapping[str, str], source: str, target: str) -> bool:
    """Tell whether an edge joins the two parts of one box: a step and its decision, or a map and what it maps."""
    if graph.nodes[source].kind == "map":
        return owners[source] == target
    return graph.nodes[target].kind == "decision" and owners[target] == source != target


def _ways(graph: _Graph, way: tuple[DefinedEdge, ...]) -> Iterator[tuple[DefinedEdge, ...]]:
    """Follow an edge through broadcasts and outcomes to the nodes it really leads to."""
    last = way[-1]
    if not graph.is_passed(last.target):
        yield way
        return
    for edge in graph.outs[last.target]:
        if edge not in way:
            yield from _ways(graph, (*way, edge))
