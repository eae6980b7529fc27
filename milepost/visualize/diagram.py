"""What a picture shows, without a word about how: every renderer reads this and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from milepost.engine.definition import DefinedNode, Definition
from milepost.visualize.escape import one_line
from milepost.visualize.grouping import Box, Grouping, Link, back_links, edge_count, group, node_count
from milepost.visualize.palette import KIND_WORDS, WORDS, Status, chip
from milepost.visualize.wording import plural

MAX_STRIP = 12
"""Cells that the strip of a map's items has at most; a longer one is put into words."""

_SILENT_KINDS = frozenset({"function", "start", "end", "decision", "join"})
_WORDS = {"ask": "asks a person", "wait": "waits for an event", "race": "the first of several"}
"""What a node says of a kind whose name alone says little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnNode:
    """One box.

    id: unique in the diagram. kind: the shape. base: whose colours. title: the bold line, without glyph. times: what
    stands behind the title, e.g. "× 5". detail: the muted line, "" for none. status: None in the picture of a
    definition. strip: the status of each item of a map, at most MAX_STRIP of them. tooltip: everything known, in one
    line. own: its id in its own workflow. cluster: the id of the cluster that it stands in, None for none.
    """

    id: str
    kind: str
    base: str
    title: str
    times: str = ""
    detail: str = ""
    status: Status | None = None
    strip: tuple[Status, ...] = ()
    tooltip: str = ""
    own: str = ""
    cluster: str | None = None

    @property
    def colours(self) -> str:
        """Whose colours it has in the picture of a definition: its base's; the end of a sub-workflow is a quiet one."""
        if self.kind in ("start", "end"):
            return "terminal" if self.cluster is None else "join"
        return self.base


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnEdge:
    """One arrow.

    lines: condition, deciding value and count, one line each. type: what flows on it, "" when not asked for. back: it
    closes a cycle. spine: it is the only way out of its source and into its target, but for error edges. error: it is
    taken when its source fails. taken: how often it was passed, None in the picture of a definition. status: how it
    stands in a comparison, None in any other picture.
    """

    source: str
    target: str
    lines: tuple[str, ...] = ()
    type: str = ""
    back: bool = False
    spine: bool = False
    error: bool = False
    taken: int | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The frame around a sub-workflow that is drawn open.

    id: of the node that stands for the sub-workflow: it heads the cluster, in place of a start. parent: the id of the
    cluster around this one, None for none.
    """

    id: str
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One sample in a legend. kind: its shape. status: None where a legend tells kinds apart."""

    kind: str
    words: str
    status: Status | None = None

    @property
    def name(self) -> str:
        """A word that no other entry of the legend has."""
        return str(self.status or self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """A whole picture.

    name: of the workflow. facts: short pieces for the line below the title. notice: the line that says how a run
    stands. notice_status: its colour. legend: the statuses in use. description: for people who do not see the picture.
    clusters: each before those inside it; their nodes follow the one at their head. what: the words before the name,
    for people who do not see the picture; "" for those of a workflow or a run.
    """

    name: str
    facts: tuple[str, ...]
    nodes: tuple[DrawnNode, ...]
    edges: tuple[DrawnEdge, ...]
    notice: str = ""
    notice_status: Status | None = None
    legend: tuple[Status, ...] = ()
    description: str = ""
    clusters: tuple[Cluster, ...] = ()
    what: str = ""

    @property
    def is_trace(self) -> bool:
        """Whether it shows more than a definition: a run, or what differs."""
        return self.notice_status is not None

    def entries(self, asked: bool | None) -> tuple[Entry, ...]:
        """Return what a legend shows: the statuses of a run, or the kinds of nodes of a definition.

        asked: whether somebody wants one; None for one in the picture of a run only.
        """
        if not (self.is_trace if asked is None else asked):
            return ()
        if self.is_trace:
            return tuple(Entry(kind="function", words=f"{chip(one)} {WORDS[one]}", status=one) for one in self.legend)
        used = {node.kind for node in self.nodes}
        return tuple(Entry(kind=kind, words=words) for kind, words in KIND_WORDS.items() if kind in used)

    @property
    def levels(self) -> Mapping[str | None, int]:
        """How many clusters are around what is in each cluster; 0 for what is in none, whose cluster is None."""
        levels: dict[str | None, int] = {None: 0}
        for cluster in self.clusters:
            levels[cluster.id] = levels[cluster.parent] + 1
        return levels

    def contents(self) -> Mapping[str | None, Sequence[DrawnNode | Cluster]]:
        """Return what is directly in each cluster, in order; under None what is in none."""
        clusters = {cluster.id: cluster for cluster in self.clusters}
        found: dict[str | None, list[DrawnNode | Cluster]] = {None: [], **{id_: [] for id_ in clusters}}
        for node in self.nodes:
            if node.id in clusters and node.cluster == node.id:
                found[clusters[node.id].parent].append(clusters[node.id])
            found[node.cluster].append(node)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """What a run adds to the picture of its definition; keyed by box id and by the index of a link."""

    nodes: Mapping[str, DrawnNode]
    taken: Mapping[int, int]
    lines: Mapping[int, tuple[str, ...]]
    facts: tuple[str, ...]
    notice: str
    status: Status
    extra: tuple[tuple[str, str, int], ...] = field(default=())
    """Edges that were passed but are not declared: source box, target box, how often."""


def declared(definition: Definition, *, types: bool = False) -> Diagram:
    """Describe the picture of a definition."""
    grouping = group(definition)
    nodes = tuple(declared_node(box) for box in grouping.boxes.values())
    counts = plural(node_count(grouping), "node"), plural(edge_count(grouping), "edge")
    return Diagram(
        name=definition.name,
        facts=(f"version {definition.version}", *counts),
        nodes=nodes,
        edges=drawn_edges(grouping, types=types),
        description=told_nodes(nodes),
    )


def overlaid(definition: Definition, grouping: Grouping, overlay: Overlay, *, types: bool = False) -> Diagram:
    """Describe the picture of a run: the definition with what happened."""
    nodes = tuple(overlay.nodes[id_] for id_ in grouping.boxes)
    return Diagram(
        name=definition.name,
        facts=(f"v{definition.version}", *overlay.facts),
        nodes=nodes,
        edges=drawn_edges(grouping, types=types, overlay=overlay),
        notice=overlay.notice,
        notice_status=overlay.status,
        legend=statuses(nodes),
        description=told_nodes(nodes),
    )


def statuses(nodes: Iterable[DrawnNode]) -> tuple[Status, ...]:
    """Return the statuses that some boxes and their items have, in the order of a legend."""
    used = {status for node in nodes for status in (node.status, *node.strip)}
    return tuple(status for status in Status if status in used)


def declared_node(box: Box) -> DrawnNode:
    """Describe a box as it was declared: its kind and policy, or else what its docstring says."""
    node = box.node
    is_silent = node.kind in _SILENT_KINDS or box.kind == "join"
    word = "" if is_silent else _workflow(box) or _waits(node) or _WORDS.get(node.kind, node.kind)
    parts = [part for part in (word, "map" if box.kind == "map" and node.kind != "map" else "", *node.marks) if part]
    doc = "" if node.kind == "decision" else one_line(node.doc, 44)  # a diamond has no room for it
    return DrawnNode(
        id=box.id,
        kind=box.kind,
        base=box.base,
        title=box.name,
        times="× N" if box.kind == "map" else "",
        detail="" if node.kind in ("start", "end", "map") or box.kind == "join" else " · ".join(parts) or doc,
        tooltip=_tooltip(box),
        own=box.id,
    )


def _waits(node: DefinedNode) -> str:
    """Say which events a node waits for, "" if it waits for none."""
    return f"waits for {one_line(', '.join(node.events), 40)}" if node.kind == "wait" and node.events else ""


def _workflow(box: Box) -> str:
    """Say which workflow a box runs and how large that is, "" if it runs none.

    One that is inside itself is not written down again, so of it there is the name only.
    """
    node = box.node
    if node.child is None:
        return f"workflow {node.workflow}" if node.workflow else ""
    name = "workflow" if node.workflow == box.name else f"workflow {node.workflow}"
    return f"{name} · {plural(node_count(group(node.child)), 'node')}"


def _tooltip(box: Box) -> str:
    node = box.node
    kind = "map of " + node.kind if box.kind == "map" and node.kind != "map" else node.kind
    flow = f"{node.input or '?'} → {node.output or '?'}" if node.input or node.output else ""
    head = kind if node.id.strip("_") == kind else f"{kind} {node.id}"
    return " · ".join(part for part in (head, _workflow(box), node.doc, *node.marks, flow) if part)


def drawn_edges(grouping: Grouping, *, types: bool = False, overlay: Overlay | None = None) -> tuple[DrawnEdge, ...]:
    """Describe the links of a picture, in their order; after them what a run has passed without its being declared."""
    back = back_links(tuple(grouping.boxes), grouping.links)
    outs: dict[str, int] = {}
    ins: dict[str, int] = {}
    for index, link in enumerate(grouping.links):
        if index not in back and not link.error:
            outs[link.source] = outs.get(link.source, 0) + 1
            ins[link.target] = ins.get(link.target, 0) + 1
    edges = [
        DrawnEdge(
            source=link.source,
            target=link.target,
            lines=link_label(grouping, link) if overlay is None else overlay.lines[index],
            type=link.type if types else "",
            back=index in back,
            spine=index not in back and not link.error and outs[link.source] == 1 == ins[link.target],
            error=link.error,
            taken=None if overlay is None else overlay.taken[index],
        )
        for index, link in enumerate(grouping.links)
    ]
    for source, target, times in overlay.extra if overlay else ():
        lines = (f"× {times}",) if times > 1 else ()
        edges.append(DrawnEdge(source=source, target=target, lines=lines, taken=times))
    return tuple(edges)


def link_label(grouping: Grouping, link: Link) -> tuple[str, ...]:
    """Return the condition on a link, if it says something.

    After a generated decision, one that only repeats the name of the target does not.
    """
    source, target = grouping.boxes[link.source], grouping.boxes[link.target]
    repeats = source.kind == "decision" and source.node.generated and link.label == target.name
    return (link.label,) if link.label and not repeats else ()


def told_nodes(nodes: tuple[DrawnNode, ...]) -> str:
    """Return the nodes of a picture in one line, for people who do not see it."""
    parts = [
        f"{node.title} {node.times}".strip() + (f" ({WORDS[node.status] if node.status else node.kind})")
        for node in nodes
        if node.kind not in ("start", "end")
    ]
    return one_line(", ".join(parts) or "no nodes", 600)
