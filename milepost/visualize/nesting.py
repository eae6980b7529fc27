"""Workflows inside workflows: a sub-workflow is one box, or is drawn open, as a cluster of what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from milepost.engine.definition import Definition
from milepost.engine.errors import InputError
from milepost.engine.trace import TaskTrace, Trace
from milepost.visualize.children import children_of, merged
from milepost.visualize.diagram import Cluster, Diagram, DrawnEdge, DrawnNode, declared, statuses
from milepost.visualize.escape import one_line
from milepost.visualize.folding import MAX_EDGES, MAX_NODES
from milepost.visualize.grouping import group
from milepost.visualize.overlay import traced

COMFORTABLE = 30
"""Boxes up to which sub-workflows are drawn open when nobody has said how deep."""

Subject = Definition | Trace


def readable(subject: Subject, *, types: bool = False, depth: int | None = None) -> Diagram:
    """Describe a picture with its sub-workflows open, as many levels as can be read.

    depth: how many levels at most; None for one, if the whole then is still small. A level is opened as a whole or not
    at all, so that equal things look alike. What is left closed against the author's wish is said in the facts.
    Raises InputError: a negative depth.
    """
    if depth is not None and depth < 0:
        raise InputError(f"depth={depth} is no number of levels. Give 0 to draw every sub-workflow closed.")
    wanted, most = (1, COMFORTABLE) if depth is None else (depth, MAX_NODES)
    diagram = drawn(subject, types=types)
    for level in range(1, wanted + 1):
        deeper = drawn(subject, types=types, depth=level) if has_inside(subject) else diagram
        if len(deeper.clusters) == len(diagram.clusters):
            break
        if len(deeper.nodes) > most or len(deeper.edges) > MAX_EDGES:
            said = f"open to level {level - 1}" if level > 1 else "too large to open"
            return diagram if depth is None else replace(diagram, facts=(*diagram.facts, said))
        diagram = deeper
    return diagram


def drawn(subject: Subject, *, types: bool = False, depth: int = 0) -> Diagram:
    """Describe a picture with so many levels of sub-workflows open, however large it becomes."""
    flat = traced(subject, types=types) if isinstance(subject, Trace) else declared(subject, types=types)
    if depth < 1:
        return flat
    inner = insides(subject)
    return opened(flat, {id_: drawn(one.subject, types=types, depth=depth - 1) for id_, one in inner.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What is inside a node that runs a workflow. tasks: of a run, those of the node that drive one."""

    subject: Subject
    tasks: tuple[TaskTrace, ...] = ()


def has_inside(subject: Subject) -> bool:
    """Tell whether there is anything to be opened."""
    if isinstance(subject, Trace):
        return bool(subject.children)
    return any(node.child is not None for node in subject.nodes)


def insides(subject: Subject) -> Mapping[str, Inside]:
    """Return what is inside the boxes of a picture, by their ids.

    Of a definition: the workflows that its nodes run, but for those that are inside themselves. Of a run: the runs that
    its tasks drive, all those of one node as one. Where none was begun there is nothing to be seen inside.
    """
    if not has_inside(subject):
        return {}
    if isinstance(subject, Definition):
        nodes = {id_: box.node for id_, box in group(subject).boxes.items() if box.node.kind == "workflow"}
        return {id_: Inside(subject=node.child) for id_, node in nodes.items() if node.child is not None}
    grouping = group(subject.definition)
    tasks: dict[str, list[TaskTrace]] = {}
    for task in subject.tasks:
        if task.child in subject.children and task.node in grouping.owners:
            tasks.setdefault(grouping.owners[task.node], []).append(task)
    return {
        id_: Inside(subject=merged(children_of(tasks[id_], subject)), tasks=tuple(tasks[id_]))
        for id_, box in grouping.boxes.items()
        if id_ in tasks and box.node.kind == "workflow"
    }


def paths(diagram: Diagram) -> Mapping[str, tuple[str, ...]]:
    """Return where each node of a picture is: the ids of the nodes around it, in their own workflows, and its own."""
    parents = {cluster.id: cluster.parent for cluster in diagram.clusters}
    found: dict[str, tuple[str, ...]] = {}
    for node in diagram.nodes:
        around = parents.get(node.id, node.cluster)
        found[node.id] = (node.own,) if around is None else (*found[around], node.own)
    return found


def opened(outer: Diagram, inner: Mapping[str, Diagram]) -> Diagram:
    """Put diagrams into another, each as a cluster headed by one of its nodes.

    inner: by the id of that node. What led to the node leads to it still, and from it to where the inner start led;
    what left the node leaves the inner end, but for its error edges: what failed never came there. Inner ids are
    prefixed, so that all are unique however often one workflow is used.
    """
    used = {node.id for node in outer.nodes}
    nodes: list[DrawnNode] = []
    clusters: list[Cluster] = []
    edges: list[DrawnEdge] = []
    exits: dict[str, str] = {}
    for node in outer.nodes:
        inside = inner.get(node.id)
        names = {} if inside is None else _names(node.id, inside, used)
        if inside is None or not set(names.values()) - {node.id}:
            nodes.append(node)
            continue
        nodes.append(replace(node, cluster=node.id))
        nodes += _moved(inside, names, node.id)
        clusters.append(Cluster(id=node.id))
        clusters += [
            replace(one, id=names[one.id], parent=node.id if one.parent is None else names[one.parent])
            for one in inside.clusters
        ]
        edges += [replace(one, source=names[one.source], target=names[one.target]) for one in inside.edges]
        exits[node.id] = names[_exit(inside)]
    left = [edge if edge.error else replace(edge, source=exits.get(edge.source, edge.source)) for edge in outer.edges]
    return replace(
        outer,
        nodes=tuple(nodes),
        edges=(*left, *edges),
        clusters=tuple(clusters),
        legend=statuses(nodes),
        description=one_line("; ".join((outer.description, *_descriptions(outer, inner, exits))), 900),
    )


def _names(prefix: str, inside: Diagram, used: set[str]) -> dict[str, str]:
    """Return the new id of each inner node, that of the node around it for the start; adds them to `used`."""
    names: dict[str, str] = {}
    for node in inside.nodes:
        own = "end" if node.id == "__end__" else node.id
        name = prefix if node.kind == "start" else f"{prefix}/{own}"
        while name in used and name != prefix:
            name += "'"
        used.add(name)
        names[node.id] = name
    return names


def _moved(inside: Diagram, names: Mapping[str, str], cluster: str) -> Iterator[DrawnNode]:
    for node in inside.nodes:
        if names[node.id] != cluster:
            around = cluster if node.cluster is None else names[node.cluster]
            yield replace(node, id=names[node.id], cluster=around)


def _exit(inside: Diagram) -> str:
    """Return the node that a diagram is left from: its end, if it has one."""
    last = [node.id for node in inside.nodes if node.kind != "start"]
    ends = [node.id for node in inside.nodes if node.kind == "end" and node.cluster is None]
    return (ends or last)[-1]


def _descriptions(outer: Diagram, inner: Mapping[str, Diagram], exits: Mapping[str, str]) -> Iterator[str]:
    for node in outer.nodes:
        if node.id in exits:
            yield f"inside {node.title}: {inner[node.id].description}"
