"""Compiling what was declared into the nodes and paths of a pydantic-graph graph.

Everything that compiling changes is a copy, so that a builder can be built again. Only a join's id is also written to
the author's own object, because `join.as_node()` refers to it by that id.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic_graph.id_types import NodeID
from pydantic_graph.paths import BroadcastMarker, DestinationMarker, LabelMarker, MapMarker, Path, TransformMarker

from milepost.engine.failure import Succeeded
from milepost.engine.joins import NOTHING, CopyOf, initial_value
from milepost.engine.spec import unwrap_choice
from milepost.engine.typed import AnyNode, Decision, DecisionBranch, Fork, Join, NodeStep, Step
from milepost.nodes.decision import DecideNode
from milepost.workflows.draft import ConditionalEdge, Draft, Each
from milepost.workflows.naming import name_placeholders, renamed

BROADCAST = "_broadcast_fork"
"""How the id of a broadcast ends that pydantic-graph, or this module, puts behind a node."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A graph in the form that pydantic-graph runs.

    closed: the decisions made of conditional edges. made_up: the ids that no author gave.
    """

    nodes: dict[NodeID, AnyNode]
    paths: dict[NodeID, list[Path]]
    closed: frozenset[str]
    made_up: frozenset[str]


def compile_graph(draft: Draft) -> Compiled:
    """Compile what was declared, without changing it."""
    name_placeholders(draft)
    final = draft.final
    nodes: dict[NodeID, AnyNode] = {}
    paths: dict[NodeID, list[Path]] = {}
    for node in draft.nodes.values():
        copy = copied_node(node, final)
        nodes[copy.id] = copy
    for source, leaving in draft.paths.items():
        if leaving:
            paths[renamed(source, final)] = [copied_path(path, final) for path in leaving]
    given = frozenset(nodes)
    closed = add_decisions(draft, nodes, paths)
    add_maps(draft, nodes, paths)
    add_outcomes(draft, nodes, paths)
    paths = flattened(nodes, paths)
    add_broadcasts(nodes, paths)
    made_up = {*final.values(), *(node_id for node_id in nodes if node_id not in given)}
    return Compiled(nodes, paths, closed, frozenset(made_up))


def copied_node(node: AnyNode, final: Mapping[str, NodeID]) -> AnyNode:
    """Return a copy that compiling may change. Steps stay themselves: nothing changes them."""
    if isinstance(node, DecideNode):
        return node.step
    if isinstance(node, Each):
        return Fork(renamed(node.id, final), True, None if node.join is None else renamed(node.join.id, final))
    if isinstance(node, Decision):
        branches = [replace(branch, path=copied_path(branch.path, final)) for branch in node.branches]
        return Decision(id=renamed(node.id, final), branches=branches, note=node.note)
    if isinstance(node, Fork):
        join = node.downstream_join_id
        return Fork(renamed(node.id, final), node.is_map, None if join is None else renamed(join, final))
    if isinstance(node, Join):
        initial = initial_value(node.initial_factory)
        return Join(
            id=renamed(node.id, final),
            reducer=node.reducer,
            initial_factory=node.initial_factory if initial is NOTHING else CopyOf(initial),
            parent_fork_id=node.parent_fork_id,
            preferred_parent_fork=node.preferred_parent_fork,
        )
    return node


def copied_path(path: Path, final: Mapping[str, NodeID]) -> Path:
    """Return a copy of a path, with the final ids."""
    items: list[TransformMarker | LabelMarker | MapMarker | BroadcastMarker | DestinationMarker] = []
    for item in path.items:
        match item:
            case DestinationMarker():
                items.append(DestinationMarker(renamed(item.destination_id, final)))
            case MapMarker():
                join = item.downstream_join_id
                items.append(MapMarker(renamed(item.fork_id, final), None if join is None else renamed(join, final)))
            case BroadcastMarker():
                inner = [copied_path(one, final) for one in item.paths]
                items.append(BroadcastMarker(inner, renamed(item.fork_id, final)))
            case _:
                items.append(item)
    return Path(items)


def add_decisions(draft: Draft, nodes: dict[NodeID, AnyNode], paths: dict[NodeID, list[Path]]) -> frozenset[str]:
    """Make a decision of the conditional edges of every node that has some, and return the decisions' ids."""
    made: set[str] = set()
    for source, edges in draft.conditional.items():
        decides = isinstance(draft.nodes[source], DecideNode)
        decision_id = draft.final[f"{source}:{'choice' if decides else 'decision'}"]
        ordered = sorted(edges, key=lambda edge: edge.condition.last)
        branches = [branch_of(edge, decides, draft.final) for edge in ordered]
        nodes[decision_id] = Decision(id=decision_id, branches=branches, note=None)
        paths.setdefault(renamed(source, draft.final), []).append(Path([DestinationMarker(decision_id)]))
        made.add(decision_id)
    return frozenset(made)


def branch_of(edge: ConditionalEdge, decides: bool, final: Mapping[str, NodeID]) -> DecisionBranch[Any]:
    head = [TransformMarker(unwrap_choice)] if decides else []
    label = LabelMarker(edge.label or edge.condition.text)
    path = Path([*head, label, DestinationMarker(renamed(edge.target, final))])
    return DecisionBranch(source=edge.condition.source, matches=edge.condition.matches, path=path, destinations=[])


def add_maps(draft: Draft, nodes: dict[NodeID, AnyNode], paths: dict[NodeID, list[Path]]) -> None:
    """Lead every `each` to its node, and that node to the join when its author has led it nowhere."""
    for node in draft.nodes.values():
        if isinstance(node, Each):
            target = renamed(node.node.id, draft.final)
            paths[renamed(node.id, draft.final)] = [Path([DestinationMarker(target)])]
            step = nodes.get(target)
            if node.join is not None and isinstance(step, Step) and not isinstance(step, NodeStep):
                paths.setdefault(target, [Path([DestinationMarker(renamed(node.join.id, draft.final))])])


def add_outcomes(draft: Draft, nodes: dict[NodeID, AnyNode], paths: dict[NodeID, list[Path]]) -> None:
    """Put a decision right behind every node with error edges: those, and last the way that its output takes."""
    anything: Any = Any
    for key, edges in draft.failing.items():
        source, outcome = renamed(key, draft.final), draft.final[f"{key}:outcome"]
        branches = [branch_of(edge, decides=False, final=draft.final) for edge in edges]
        leaving = paths.pop(source, [])
        if len(leaving) > 1:
            leaving = [broadcast(source, leaving, nodes, paths)]
        branches += [DecisionBranch(anything, Succeeded(), path, destinations=[]) for path in leaving]
        nodes[outcome] = Decision(id=outcome, branches=branches, note=None)
        paths[source] = [Path([DestinationMarker(outcome)])]


def flattened(nodes: Mapping[NodeID, AnyNode], paths: Mapping[NodeID, Sequence[Path]]) -> dict[NodeID, list[Path]]:
    """Cut every path at its maps and broadcasts, whose forks then have paths of their own, in the order draft."""
    waiting: deque[tuple[NodeID, Path]] = deque()
    for node in nodes.values():
        if isinstance(node, Decision):
            for branch in node.branches:
                branch.path, rest = cut(branch.path)
                waiting.extend(rest)
    waiting.extend((source, path) for source, leaving in paths.items() for path in leaving)
    result: dict[NodeID, list[Path]] = {}
    while waiting:
        source, path = waiting.popleft()
        first, rest = cut(path)
        result.setdefault(source, []).append(first)
        waiting.extend(rest)
    return result


def cut(path: Path) -> tuple[Path, list[tuple[NodeID, Path]]]:
    """Return a path up to its first fork, and the paths that leave that fork."""
    for position, item in enumerate(path.items):
        if isinstance(item, MapMarker | BroadcastMarker):
            after = [Path(path.items[position + 1 :])] if isinstance(item, MapMarker) else item.paths
            first = Path([*path.items[:position], DestinationMarker(item.fork_id)])
            return first, [(item.fork_id, one) for one in after]
    return path, []


def add_broadcasts(nodes: dict[NodeID, AnyNode], paths: dict[NodeID, list[Path]]) -> None:
    """Put a broadcast behind every node from which several edges lead on."""
    for source, leaving in list(paths.items()):
        node = nodes.get(source)
        if len(leaving) > 1 and not (isinstance(node, Fork) and not node.is_map):
            paths[source] = [broadcast(source, leaving, nodes, paths)]


def broadcast(
    source: NodeID, leaving: list[Path], nodes: dict[NodeID, AnyNode], paths: dict[NodeID, list[Path]]
) -> Path:
    """Make the broadcast from which several paths leave; return the one that leads to it."""
    fork = NodeID(f"{source}{BROADCAST}")
    nodes[fork] = Fork(fork, is_map=False, downstream_join_id=None)
    paths[fork] = leaving
    return Path([DestinationMarker(fork)])
