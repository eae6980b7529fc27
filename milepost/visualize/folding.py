"""A picture that is too large to be read, made smaller: chains become one box, then the rest does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from milepost.visualize.diagram import Diagram, DrawnEdge, DrawnNode
from milepost.visualize.palette import Status
from milepost.visualize.wording import plural

MAX_NODES = 60
MAX_EDGES = 480
"""Mermaid refuses 500, and a legend needs some."""

WORST = (
    Status.FAILED,
    Status.PARTED,
    Status.WAITING,
    Status.RUNNING,
    Status.PENDING,
    Status.CAUGHT,
    Status.CANCELLED,
    Status.RETRIED,
    Status.REUSED,
    Status.DONE,
    Status.ADDED,
    Status.REMOVED,
    Status.CHANGED,
    Status.FIRST,
    Status.SECOND,
    Status.OTHER,
    Status.SAME,
    Status.UNREACHED,
)
_FOLDABLE = frozenset({"function", "agent", "fold"})
_LOUD = frozenset(
    {Status.FAILED, Status.WAITING, Status.RUNNING, Status.PARTED, Status.ADDED, Status.REMOVED, Status.CHANGED}
)


def fold(diagram: Diagram, *, max_nodes: int = MAX_NODES, max_edges: int = MAX_EDGES) -> Diagram:
    """Return the diagram with at most `max_nodes` boxes and `max_edges` arrows.

    Chains are folded first, the longest first, but never a node that failed, waits, runs or was changed; then what is
    left over becomes one box. Several arrows between the same two boxes become one when there are too many. What was
    left out is said. The boxes of a picture with clusters are left alone: nothing is drawn open that makes a picture
    too large.
    """
    nodes, edges = len(diagram.nodes), len(diagram.edges)
    if nodes > max_nodes and not diagram.clusters:
        diagram = merge(diagram, _chain_plan(diagram, len(diagram.nodes) - max_nodes))
    if len(diagram.nodes) > max_nodes and not diagram.clusters:
        diagram = merge(diagram, _rest_plan(diagram, max_nodes))
    if len(diagram.edges) > max_edges:
        diagram = replace(diagram, edges=_bundled(diagram.edges)[:max_edges])
    said = [f"{plural(nodes, 'node')} folded into {len(diagram.nodes)}"] if len(diagram.nodes) < nodes else []
    if len(diagram.edges) == max_edges < edges:
        said.append(f"{max_edges} of {plural(edges, 'edge')} shown")
    return replace(diagram, facts=(*diagram.facts, *said))


def _chain_plan(diagram: Diagram, surplus: int) -> dict[str, int]:
    """Number the chains that are worth folding, until `surplus` boxes are saved. Returns node id to chain."""
    follows = {edge.source: edge.target for edge in diagram.edges if edge.spine}
    calm = {node.id for node in diagram.nodes if node.kind in _FOLDABLE and node.status not in _LOUD}
    heads = calm - {target for source, target in follows.items() if source in calm}
    chains: list[list[str]] = []
    for node in diagram.nodes:
        if node.id in heads:
            chain = [node.id]
            after = follows.get(chain[-1])
            while after is not None and after in calm and after not in chain:
                chain.append(after)
                after = follows.get(after)
            chains.append(chain)
    plan: dict[str, int] = {}
    for number, chain in enumerate(sorted(chains, key=len, reverse=True)):
        if surplus <= 0 or len(chain) < 3:
            break
        surplus -= len(chain) - 1
        plan.update(dict.fromkeys(chain, number))
    return plan


def _rest_plan(diagram: Diagram, max_nodes: int) -> dict[str, int]:
    """Keep start, end and what happened, in the order of declaration; the rest is one box."""
    order = {node.id: number for number, node in enumerate(diagram.nodes)}

    def worth(node: DrawnNode) -> tuple[int, int]:
        if node.kind in ("start", "end"):
            return (0, order[node.id])
        return (1 + WORST.index(node.status) if node.status else 1, order[node.id])

    kept = {node.id for node in sorted(diagram.nodes, key=worth)[: max_nodes - 1]}
    return {node.id: 0 for node in diagram.nodes if node.id not in kept}


def merge(diagram: Diagram, plan: Mapping[str, int], *, noun: str = "node") -> Diagram:
    """Make boxes one that have the same number in the plan, and what leads to or from them lead to or from that.

    plan: by the id of a box. Of a cluster that is drawn open its whole content has to be in the plan, or not its head.
    noun: what the boxes are, for the one that is made of them.
    """
    members: dict[int, list[DrawnNode]] = {}
    for node in diagram.nodes:
        if node.id in plan:
            members.setdefault(plan[node.id], []).append(node)
    folds = {number: _folded(diagram, group, noun) for number, group in members.items()}
    owner = {node.id: folds[plan[node.id]].id if node.id in plan else node.id for node in diagram.nodes}
    nodes: dict[str, DrawnNode] = {}
    for node in diagram.nodes:
        nodes.setdefault(owner[node.id], folds[plan[node.id]] if node.id in plan else node)
    edges = [
        replace(edge, source=owner[edge.source], target=owner[edge.target])
        for edge in diagram.edges
        if owner[edge.source] != owner[edge.target] or edge.source not in plan
    ]
    ids = {item.id for item in folds.values()}
    plain = tuple(edge for edge in edges if edge.source not in ids and edge.target not in ids)
    moved = tuple(edge for edge in edges if edge.source in ids or edge.target in ids)
    clusters = tuple(cluster for cluster in diagram.clusters if cluster.id not in plan)
    return replace(diagram, nodes=tuple(nodes.values()), edges=(*plain, *_bundled(moved)), clusters=clusters)


def _folded(diagram: Diagram, group: list[DrawnNode], noun: str) -> DrawnNode:
    first = group[0]
    present = {node.status for node in group}
    status = next((status for status in WORST if status in present), None)
    cluster = _around(diagram, group)
    parents = {one.id: one.parent for one in diagram.clusters}
    if len(group) == 1 or all(first.id in _path(node.cluster, parents) for node in group):
        return replace(first, cluster=cluster)  # a cluster that is closed again
    direct = [node for node in group if parents.get(node.id, node.cluster) == cluster]
    return DrawnNode(
        id=first.id,
        kind="fold",
        base="fold",
        title=f"{first.title} … {(direct or group)[-1].title}",
        detail=plural(len(group), noun),
        status=status,
        tooltip=", ".join(node.title for node in group),
        own=first.own,
        cluster=cluster,
    )


def _around(diagram: Diagram, group: list[DrawnNode]) -> str | None:
    """Return the innermost cluster around all of some boxes; one whose head is among them is not around it."""
    parents = {cluster.id: cluster.parent for cluster in diagram.clusters}
    paths = [_path(parents[node.id] if node.cluster == node.id else node.cluster, parents) for node in group]
    common = set(paths[0]).intersection(*paths[1:])
    return next((cluster for cluster in paths[0] if cluster in common), None)


def _path(cluster: str | None, parents: Mapping[str, str | None]) -> list[str]:
    """Return the clusters around something, the innermost first."""
    found: list[str] = []
    while cluster is not None:
        found.append(cluster)
        cluster = parents[cluster]
    return found


def _bundled(edges: tuple[DrawnEdge, ...]) -> tuple[DrawnEdge, ...]:
    """Make the arrows between the same two boxes one."""
    bundles: dict[tuple[str, str], list[DrawnEdge]] = {}
    for edge in edges:
        bundles.setdefault((edge.source, edge.target), []).append(edge)
    return tuple(bundle[0] if len(bundle) == 1 else _one_for(bundle) for bundle in bundles.values())


def _one_for(bundle: list[DrawnEdge]) -> DrawnEdge:
    taken = [edge.taken for edge in bundle if edge.taken is not None]
    return DrawnEdge(
        source=bundle[0].source,
        target=bundle[0].target,
        lines=(plural(len(bundle), "edge"),),
        back=all(edge.back for edge in bundle),
        error=all(edge.error for edge in bundle),
        taken=sum(taken) if taken else None,
    )
