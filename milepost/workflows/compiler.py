"""Compiling what was declared into the nodes and paths of a pydantic-graph graph.

Everything that compiling changes is a copy, so that a builder can be built again. Only a join's id is also written to
the author's own object, because `join.as_node()` refers to it by that id.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic_graph.id_types import NodeID, replace_placeholder_id
from pydantic_graph.paths import BroadcastMarker, DestinationMarker, LabelMarker, MapMarker, Path, TransformMarker

from milepost.engine.joins import NOTHING, CopyOf, initial_value
from milepost.engine.spec import unwrap_choice
from milepost.engine.typed import AnyNode, Decision, DecisionBranch, Fork, Join, NodeStep, StartNode, Step
from milepost.nodes.decision import DecideNode
from milepost.workflows.draft import ConditionalEdge, Draft, Each


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
    closed = add_decisions(draft, nodes, paths)
    add_maps(draft, nodes, paths)
    paths = flattened(nodes, paths)
    forks = add_broadcasts(nodes, paths)
    return Compiled(nodes, paths, closed, frozenset({*final.values(), *closed, *forks}))


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
        draft.final[key] = free_id(wanted, taken)
        if isinstance(node, Join):
            node.id = draft.final[key]
    for source in draft.conditional:
        suffix = "choice" if isinstance(draft.nodes[source], DecideNode) else "decision"
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
    for source, edges in draft.conditional.items():
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


def add_broadcasts(nodes: dict[NodeID, AnyNode], paths: dict[NodeID, list[Path]]) -> list[NodeID]:
    """Put a broadcast behind every node from which several edges lead on; return the ids of those made."""
    made: list[NodeID] = []
    for source, leaving in list(paths.items()):
        node = nodes.get(source)
        if len(leaving) > 1 and not (isinstance(node, Fork) and not node.is_map):
            fork = NodeID(f"{source}_broadcast_fork")
            nodes[fork] = Fork(fork, is_map=False, downstream_join_id=None)
            paths[source], paths[fork] = [Path([DestinationMarker(fork)])], leaving
            made.append(fork)
    return made
