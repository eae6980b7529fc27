"""The shape of a compiled graph: who can reach whom, which forks lie above which joins. Graph theory is networkx's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import networkx as nx
from pydantic_graph.id_types import NodeID
from pydantic_graph.paths import DestinationMarker

from milepost.engine.flow import Nodes, Paths
from milepost.engine.typed import Decision, EndNode, Fork, Join, StartNode

if TYPE_CHECKING:
    StringGraph = nx.DiGraph[str]

START, END = StartNode.id, EndNode.id


@dataclass(frozen=True, slots=True)
class ParentFork:
    """The fork that a join waits for, and the nodes between the two."""

    fork_id: NodeID
    between: frozenset[NodeID]


@dataclass(frozen=True)
class Topology:
    """The nodes and edges of a compiled graph."""

    nodes: Nodes
    paths: Paths

    @cached_property
    def graph(self) -> StringGraph:
        """The nodes and who follows whom."""
        graph: StringGraph = nx.DiGraph()
        graph.add_nodes_from([START, *self.nodes])
        for node_id, node in self.nodes.items():
            branches = node.branches if isinstance(node, Decision) else ()
            for path in [*(branch.path for branch in branches), *self.paths.get(node_id, ())]:
                ends = [item.destination_id for item in path.items if isinstance(item, DestinationMarker)]
                graph.add_edges_from((node_id, end) for end in ends)
        return graph

    @cached_property
    def reachable(self) -> frozenset[str]:
        """The nodes that a run can come to."""
        return frozenset({START, *reached(self.graph, START)})

    @cached_property
    def dominators(self) -> Mapping[str, str]:
        """Per node that can be reached: the last node before it that every way to it passes."""
        found: Mapping[str, str | None] = nx.immediate_dominators(self.graph, START)
        return {node_id: above for node_id, above in found.items() if above is not None and above != node_id}

    def above(self, node_id: str) -> Iterator[str]:
        """Yield the nodes that every way to a node passes, the nearest first."""
        while (above := self.dominators.get(node_id)) is not None:
            yield above
            node_id = above

    def circles(self, within: Iterable[str]) -> Iterator[set[str]]:
        """Yield the largest groups of nodes in which each can be reached from each."""
        part = self.graph.subgraph(within)
        for group in nx.strongly_connected_components(part):
            if len(group) > 1 or any(part.has_edge(node_id, node_id) for node_id in group):
                yield group

    def races(self) -> Iterator[str]:
        """Yield the forks of which a branch comes to the end without a join."""
        joins = {node_id for node_id, node in self.nodes.items() if isinstance(node, Join)}
        free = self.graph.subgraph([node_id for node_id in self.graph if node_id not in joins])
        for node_id, node in self.nodes.items():
            if isinstance(node, Fork) and END in reached(free, node_id):
                yield node_id

    def parent_fork(self, join: Join[Any, Any, Any, Any]) -> ParentFork | None:
        """Return the fork that a join waits for: the one it names, else the farthest or closest that dominates it.

        A fork serves when the join is on no circle that avoids it. None when no fork does.
        Source: pydantic_graph.parent_forks, whose answers a test holds these to.
        """
        if join.parent_fork_id is not None:
            return self.as_parent(join.id, join.parent_fork_id)
        best: ParentFork | None = None
        for above in self.above(join.id):
            if above == START or isinstance(self.nodes[NodeID(above)], Fork):
                found = self.as_parent(join.id, above)
                if found is None and best is not None:
                    return best
                best = found or best
                if found is not None and join.preferred_parent_fork == "closest":
                    return best
        return best

    def as_parent(self, join_id: str, fork_id: str) -> ParentFork | None:
        """Return a fork as the parent of a join, None when a circle through the join avoids it."""
        between: set[NodeID] = set()
        waiting = [join_id]
        while waiting:
            for before in self.graph.pred[waiting.pop()]:
                if before == join_id:
                    return None
                if before != fork_id and before not in between:
                    between.add(NodeID(before))
                    waiting.append(before)
        return ParentFork(NodeID(fork_id), frozenset(between))


def reached(graph: StringGraph, source: str) -> set[str]:
    """Return the nodes that can be reached from one."""
    seen: set[str] = set()
    waiting = [source]
    while waiting:
        for after in graph.succ[waiting.pop()]:
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    return seen
