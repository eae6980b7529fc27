"""A part of a picture: only some of its nodes and what joins them, or several of them as one box."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from milepost.engine.errors import InputError
from milepost.engine.findings import did_you_mean
from milepost.visualize.diagram import Diagram, DrawnEdge, DrawnNode, statuses
from milepost.visualize.folding import merge
from milepost.visualize.wording import plural

_COUNT = re.compile(r"(.* · )?(× \d+|\d+ of \d+)$")
"""A line of an arrow that says how often it was passed."""

STRETCH = ".."
"""Between the first and the last node of a stretch."""


def part(diagram: Diagram, *, only: Sequence[str] = (), collapse: Sequence[str] = ()) -> Diagram:
    """Return a picture with less in it.

    only: names of nodes; nothing else is drawn, and what leads from one of them to another through others is one
    arrow. collapse: each is drawn as one box: "first..last", all that is on a way between two nodes; "a,b,c", these
    nodes; or the name of a node that heads a cluster, with what is in it. A name is a node's id or what it is called in
    the picture; inside a cluster it may be written "outer/inner". Where several nodes have it, it is for all of them,
    but not for the end of a stretch.
    Raises InputError: there is no such node, a name at the end of a stretch is not one node's, or no way leads along a
    stretch.
    """
    if not only and not collapse:
        return diagram
    names = _Names(diagram)
    kept = [id_ for name in only for id_ in names.find(name)]
    plan = _plan(diagram, [_members(diagram, names, one) for one in collapse])
    firsts: dict[int, str] = {}
    for node in diagram.nodes:
        if node.id in plan:
            firsts.setdefault(plan[node.id], node.id)
    smaller = merge(diagram, plan)
    if only:
        smaller = _only(smaller, {firsts[plan[id_]] if id_ in plan else id_ for id_ in kept})
    return replace(smaller, legend=statuses(smaller.nodes) if diagram.is_trace else diagram.legend)


class _Names:
    """What the nodes of a picture can be called by."""

    def __init__(self, diagram: Diagram) -> None:
        self._ids = [node.id for node in diagram.nodes]
        self._called: dict[str, dict[str, None]] = {}
        for node in diagram.nodes:
            for name in (node.own, node.title):
                self._called.setdefault(name, {})[node.id] = None

    def find(self, name: str) -> tuple[str, ...]:
        """Return the ids of the nodes with a name.

        Raises InputError: there are none; it offers what is close.
        """
        if name in self._ids:
            return (name,)
        found = tuple(self._called.get(name, ()))
        if not found:
            known = [*self._ids, *self._called]
            raise InputError(f"There is no node {name!r} in this picture.{did_you_mean(name, known)}")
        return found

    def one(self, name: str) -> str:
        """Return the id of the node with a name.

        Raises InputError: there is none, or more than one.
        """
        found = self.find(name)
        if len(found) > 1:
            raise InputError(f"{name!r} is {len(found)} nodes of this picture. Say which: {', '.join(found)}.")
        return next(iter(found))

    def has(self, name: str) -> bool:
        """Tell whether there is a node with a name."""
        return name in self._ids or name in self._called


def _members(diagram: Diagram, names: _Names, given: str) -> set[str]:
    """Return the ids of the nodes that are to be one box."""
    if names.has(given):
        found = set(names.find(given))
    elif STRETCH in given:
        first, last = (name.strip() for name in given.split(STRETCH, 1))
        found = _stretch(diagram, names.one(first), names.one(last), given)
    else:
        found = {id_ for name in given.split(",") for id_ in names.find(name.strip())}
    return found | _inside(diagram, found)


def _stretch(diagram: Diagram, first: str, last: str, given: str) -> set[str]:
    outs: dict[str, list[str]] = {}
    ins: dict[str, list[str]] = {}
    for edge in diagram.edges:
        if not edge.back:
            outs.setdefault(edge.source, []).append(edge.target)
            ins.setdefault(edge.target, []).append(edge.source)
    found = _reached(outs, first) & _reached(ins, last)
    if not found:
        hint = " Turn it round." if _reached(outs, last) & _reached(ins, first) else ""
        raise InputError(f"No way leads along the stretch {given!r}.{hint}")
    return found


def _reached(ways: Mapping[str, Sequence[str]], start: str) -> set[str]:
    found = {start}
    open_ = [start]
    while open_:
        new = [target for target in ways.get(open_.pop(), ()) if target not in found]
        found.update(new)
        open_ += new
    return found


def _inside(diagram: Diagram, ids: set[str]) -> set[str]:
    """Return what is in the clusters that some nodes head."""
    clusters = set(ids)
    for cluster in diagram.clusters:  # each comes before those inside it
        if cluster.parent in clusters:
            clusters.add(cluster.id)
    return {node.id for node in diagram.nodes if node.cluster in clusters}


def _plan(diagram: Diagram, groups: Iterable[set[str]]) -> dict[str, int]:
    """Number the groups; those that have a node in common become one."""
    apart: list[set[str]] = []
    for group in groups:
        touching = [other for other in apart if other & group]
        apart = [other for other in apart if not other & group]
        apart.append(group.union(*touching))
    return {node.id: number for node in diagram.nodes for number, group in enumerate(apart) if node.id in group}


# --- only some --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Way:
    """What leads from one kept node to another through others. first: its first arrows. taken: None in a definition."""

    first: tuple[DrawnEdge, ...]
    through: tuple[str, ...]
    taken: int | None


def _only(diagram: Diagram, wanted: set[str]) -> Diagram:
    parents = {cluster.id: cluster.parent for cluster in diagram.clusters}
    kept = set(wanted)
    for node in diagram.nodes:
        around = node.cluster if node.id in wanted else None
        while around is not None:  # a frame is drawn with the node at its head
            kept.add(around)
            around = parents[around]
    nodes = tuple(node for node in diagram.nodes if node.id in kept)
    order = {node.id: number for number, node in enumerate(diagram.nodes)}
    edges = [edge for edge in diagram.edges if edge.source in kept and edge.target in kept]
    outs: dict[str, list[DrawnEdge]] = {}
    for edge in diagram.edges:
        outs.setdefault(edge.source, []).append(edge)
    titles = {node.id: node.title for node in diagram.nodes}
    for node in nodes:
        for target, way in _ways(outs, node, kept).items():
            edges.append(_arrow(node.id, target, way, titles, back=order[target] <= order[node.id]))
    heads = {node.id for node in nodes}
    return replace(
        diagram,
        nodes=nodes,
        edges=tuple(edges),
        clusters=tuple(cluster for cluster in diagram.clusters if cluster.id in heads),
        facts=(*diagram.facts, f"{plural(len(nodes), 'node')} shown"),
    )


def _ways(outs: Mapping[str, Sequence[DrawnEdge]], start: DrawnNode, kept: set[str]) -> Mapping[str, _Way]:
    """Return what leads from a node to kept ones through others, by where it leads."""
    targets = {edge.target for edge in _beyond(outs, start.id, kept) if edge.target in kept and edge.source != start.id}
    return {target: _way(outs, start.id, target, kept) for target in targets}


def _beyond(outs: Mapping[str, Sequence[DrawnEdge]], start: str, kept: set[str]) -> Sequence[DrawnEdge]:
    """Return the arrows that can be followed from a node without passing a kept one."""
    found: list[DrawnEdge] = []
    seen = {start}
    open_ = deque([start])
    while open_:
        for edge in outs.get(open_.popleft(), ()):
            found.append(edge)
            if edge.target not in kept and edge.target not in seen:
                seen.add(edge.target)
                open_.append(edge.target)
    return found


def _way(outs: Mapping[str, Sequence[DrawnEdge]], start: str, target: str, kept: set[str]) -> _Way:
    edges = _beyond(outs, start, kept)
    ins: dict[str, list[str]] = {}
    for edge in edges:
        ins.setdefault(edge.target, []).append(edge.source)
    between = _reached({id_: [one for one in some if one not in kept] for id_, some in ins.items()}, target) - {target}
    first = tuple(edge for edge in edges if edge.source == start and edge.target in between)
    into = [edge for edge in edges if edge.target == target and edge.source in between]
    taken = None
    if all(edge.taken is not None for edge in edges):
        taken = min(sum(edge.taken or 0 for edge in first), sum(edge.taken or 0 for edge in into))
    return _Way(first, tuple(sorted(between)), taken)


def _arrow(source: str, target: str, way: _Way, titles: Mapping[str, str], *, back: bool) -> DrawnEdge:
    via = titles[way.through[0]] if len(way.through) == 1 else plural(len(way.through), "node")
    words = way.first[0].lines if len(way.first) == 1 else ()
    lines = [line for line in words if not _COUNT.match(line)]
    lines += [f"× {way.taken}"] if way.taken and way.taken > 1 else []
    error = all(edge.error for edge in way.first)
    return DrawnEdge(
        source=source, target=target, lines=(*lines, f"via {via}"), back=back, error=error, taken=way.taken
    )
