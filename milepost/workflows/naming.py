"""The ids of nodes whose author gave none; those that the compiler adds follow from the ids beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic_graph.id_types import NodeID, replace_placeholder_id
from pydantic_graph.paths import BroadcastMarker, DestinationMarker, Path

from milepost.engine.typed import Decision, Join, StartNode
from milepost.nodes.decision import DecideNode
from milepost.workflows.draft import Draft, Each


def renamed(node_id: str, final: Mapping[str, NodeID]) -> NodeID:
    return final.get(node_id, NodeID(node_id))


def name_placeholders(draft: Draft) -> None:
    """Give every node without an id one that is free; the ones given in an earlier build stay."""
    taken = {*draft.nodes, *draft.final.values()}
    for key, node in draft.nodes.items():
        wanted = str(replace_placeholder_id(key))
        if wanted == key or key in draft.final:
            continue
        if isinstance(node, Each):
            wanted = f"{plain_name(source_of(draft, key))}_each_{replace_placeholder_id(node.node.id)}"
        elif key in draft.inferred:
            wanted = f"{plain_name(renamed(draft.inferred[key], draft.final))}_decision"
        draft.final[key] = free_id(wanted, taken)
        if isinstance(node, Join):
            node.id = draft.final[key]
    for source in draft.conditional:
        name_decision(draft, source, "choice" if isinstance(draft.nodes[source], DecideNode) else "decision", taken)
    for source in draft.failing:
        name_decision(draft, source, "outcome", taken)


def name_decision(draft: Draft, source: NodeID, suffix: str, taken: set[NodeID]) -> None:
    """Give the decision that is made behind a node an id, which follows from the node's own."""
    own = f"{source}:{suffix}"
    if own not in draft.final:
        draft.final[own] = free_id(f"{plain_name(renamed(source, draft.final))}_{suffix}", taken)


def free_id(wanted: str, taken: set[NodeID]) -> NodeID:
    """Return the wanted id, or the first with a number behind it that is free, and take it."""
    chosen, number = NodeID(wanted), 1
    while chosen in taken:
        number += 1
        chosen = NodeID(f"{wanted}_{number}")
    taken.add(chosen)
    return chosen


def plain_name(node_id: str) -> str:
    """Return an id as part of another: "start" for "__start__"."""
    return node_id.strip("_") if node_id == StartNode.id else node_id


def source_of(draft: Draft, target: str) -> str:
    """Return the first node from which an edge leads to `target`."""
    for source, leaving in draft.paths.items():
        if any(target in ends(path) for path in leaving):
            return renamed(source, draft.final)
    for source, edges in (*draft.conditional.items(), *draft.failing.items()):
        if any(edge.target == target for edge in edges):
            return renamed(source, draft.final)
    for node_id, node in draft.nodes.items():
        if isinstance(node, Decision) and any(target in ends(branch.path) for branch in node.branches):
            return replace_placeholder_id(node_id)
    return "nothing"


def ends(path: Path) -> Iterator[str]:
    """Yield where a path leads, through all its broadcasts."""
    for item in path.items:
        if isinstance(item, DestinationMarker):
            yield item.destination_id
        elif isinstance(item, BroadcastMarker):
            for inner in item.paths:
                yield from ends(inner)
