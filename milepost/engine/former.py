"""What a run has followed before its newest definition: the nodes and edges that it has used and that are no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from milepost.engine.definition import DefinedEdge, DefinedNode, Definition
from milepost.engine.revision import Revision
from milepost.engine.trace import Edge

T = TypeVar("T")

REMOVED: Final = "removed"
"""The mark of a node that is no more."""


class Former:
    """The definitions that a run has followed, all under the ids that their nodes have now.

    newest: the one that it follows. known: all of them, by fingerprint. current: the one of the records that come.
    """

    def __init__(self, newest: Definition, known: Mapping[str, Definition]) -> None:
        self.current = newest
        self._newest = newest
        self._known = known
        self._nodes: dict[str, DefinedNode] = {}
        self._edges: dict[Edge, DefinedEdge] = {}

    def follow(self, revision: Revision) -> None:
        """Go on with what a record says that the run follows."""
        names = revision.names
        self._nodes = {id_: replace(node, id=id_) for id_, node in renamed(self._nodes, names).items()}
        edges = [with_ends(one, names) for one in self._edges.values()]
        self._edges = {(one.source, one.target, one.branch): one for one in edges}
        self.current = self._known.get(revision.definition, self._newest)
        self._nodes.update({node.id: node for node in self.current.nodes})
        self._edges.update({(one.source, one.target, one.branch): one for one in self.current.edges})

    def drawn(self, used: Iterable[str], taken: Mapping[Edge, int]) -> Definition:
        """Return the newest definition with what the run has used of earlier ones, which is marked as removed.

        used: nodes with tasks, and joins with items. taken: as `settled` returns them.
        """
        there = {node.id for node in self._newest.nodes}
        declared = {(one.source, one.target, one.branch) for one in self._newest.edges}
        edges = [self._edges[edge] for edge in taken if edge not in declared and edge in self._edges]
        wanted = {*used, *(end for one in edges for end in (one.source, one.target))} - there
        nodes = [replace(self._nodes[id_], marks=(REMOVED,)) for id_ in self._nodes if id_ in wanted]
        if not nodes and not edges:
            return self._newest
        return replace(self._newest, nodes=(*self._newest.nodes, *nodes), edges=(*self._newest.edges, *edges))

    def settled(self, passed: Mapping[Edge, T]) -> dict[Edge, list[T]]:
        """Return what is known of edges by the branches that those have now, where they lead as they did."""
        declared = {(one.source, one.target, one.branch) for one in self._newest.edges}
        ways: dict[tuple[str, str], Edge] = {}
        for edge in sorted(declared):
            ways.setdefault(edge[:2], edge)
        found: dict[Edge, list[T]] = {}
        for edge, value in passed.items():
            found.setdefault(edge if edge in declared else ways.get(edge[:2], edge), []).append(value)
        return found


def with_ends(edge: DefinedEdge, names: Mapping[str, str]) -> DefinedEdge:
    """Return an edge whose ends are called as they are now."""
    return replace(edge, source=names.get(edge.source, edge.source), target=names.get(edge.target, edge.target))


def renamed(things: Mapping[str, T], names: Mapping[str, str]) -> dict[str, T]:
    """Return what is known of nodes by the ids that they have now."""
    return {names.get(id_, id_): thing for id_, thing in things.items()}
