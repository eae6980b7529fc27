"""Where two runs of one workflow part, and what only one of them did, as one picture of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from milepost.engine.difference import Difference, Side, Visit
from milepost.engine.trace import Edge, TaskTrace, Trace
from milepost.visualize.diagram import Diagram, DrawnEdge, DrawnNode, declared_node, drawn_edges, statuses, told_nodes
from milepost.visualize.escape import one_line
from milepost.visualize.overlay import bare, taken_links, traced
from milepost.visualize.palette import GLYPHS, WORDS, Status
from milepost.visualize.union import Union, renamed, united

FIRST, SECOND = GLYPHS[Status.FIRST], GLYPHS[Status.SECOND]
ENDS: Mapping[str, Status] = {"completed": Status.DONE, "caught": Status.CAUGHT, "failed": Status.FAILED}


def parted(one: Trace, other: Trace, found: Difference, *, types: bool = False) -> Diagram:
    """Describe two runs as one picture: what both did, what only one did, and where they part.

    found: what differs between them, as `engine.diff` says it. Runs inside them are closed boxes. types: write on each
    edge what flows along it.
    """
    union = united(one.definition, other.definition)
    view = _View(union, _moved(one, union.names), other, found)
    nodes = tuple(view.node(id_) for id_ in union.whole.boxes)
    edges = tuple(view.edge(index, edge) for index, edge in enumerate(drawn_edges(union.whole, types=types)))
    status = Status.SAME if found.is_empty else Status.OTHER
    used = {*statuses(nodes), *(edge.status for edge in edges)}
    return Diagram(
        name=other.definition.name,
        facts=tuple(_facts(found)),
        nodes=nodes,
        edges=edges,
        notice=f"{GLYPHS[status]} {_notice(found)}",
        notice_status=status,
        legend=tuple(status for status in Status if status in used),
        description=told_nodes(nodes),
        what="Two runs of workflow",
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """One of the runs, by box and by link of its own grouping. reached: the boxes that it came to."""

    tasks: Mapping[str, list[TaskTrace]]
    reached: frozenset[str]
    taken: Mapping[int, int]
    chosen: Mapping[Edge, str]


class _View:
    """Two runs, looked at box by box and link by link. one: with the ids that nodes have in the union."""

    def __init__(self, union: Union, one: Trace, other: Trace, found: Difference) -> None:
        self._union = union
        self._one = _told(union, one, union.one.owners, taken_links(union.one, one)[0])
        self._other = _told(union, other, union.other.owners, taken_links(union.other, other)[0])
        self._parted = None if found.parted is None else self._box(found.parted)
        visits = (*found.only_one, *found.only_other, *(outcome.visit for outcome in found.outcomes))
        self._differing = {self._box(visit) for visit in visits}
        self._values = {self._box(outcome.visit): (outcome.one, outcome.other) for outcome in found.outcomes[::-1]}

    def _box(self, visit: Visit) -> str:
        name = self._union.names.get(visit.node, visit.node)
        return self._union.whole.owners.get(name, name)

    def node(self, id_: str) -> DrawnNode:
        plain = declared_node(self._union.whole.boxes[id_])
        status = self._status(id_)
        counts = [len(told.tasks.get(id_, ())) for told in (self._one, self._other)]
        same = counts[0] == counts[1]
        fits = plain.kind not in ("start", "end", "join", "decision")
        detail = "\n".join(self._detail(id_, status)) if fits else ""
        return replace(
            plain,
            status=status,
            times=(f"× {counts[0]}" if counts[0] > 1 else "") if same else "",
            detail=detail,
            tooltip=" · ".join(part for part in (plain.tooltip, WORDS[status], *detail.split("\n")) if part),
        )

    def _status(self, id_: str) -> Status:
        first, second = id_ in self._one.reached, id_ in self._other.reached
        if id_ == self._parted:
            return Status.PARTED
        if first and second:
            return Status.OTHER if id_ in self._differing else Status.SAME
        return Status.FIRST if first else Status.SECOND if second else Status.UNREACHED

    def _detail(self, id_: str, status: Status) -> Iterator[str]:
        """Say how each run came out of a box, where that differs."""
        if status is Status.UNREACHED:
            yield "not reached"
        if status in (Status.UNREACHED, Status.SAME):
            return
        values = self._values.get(id_)
        for sign, told, value in zip((FIRST, SECOND), (self._one, self._other), values or (None, None), strict=True):
            tasks = told.tasks.get(id_, [])
            text = _ends_of(tasks) if values is None or len(tasks) != 1 else _end_of(tasks[0], value)
            if text:
                yield f"{sign} {text}"

    def edge(self, index: int, edge: DrawnEdge) -> DrawnEdge:
        old, new = self._union.pairs[index]
        first = 0 if old is None else self._one.taken[old]
        second = 0 if new is None else self._other.taken[new]
        if not first and not second:
            return replace(edge, status=Status.UNREACHED)
        if first == second:
            times = (f"× {first}",) if first > 1 else ()
            return replace(edge, status=Status.SAME, lines=(*edge.lines, *self._because(index), *times))
        status = Status.OTHER if first and second else Status.FIRST if first else Status.SECOND
        counts = [f"{sign} × {times}" for sign, times in ((FIRST, first), (SECOND, second)) if times]
        shown = " · ".join(counts) if status is Status.OTHER or max(first, second) > 1 else GLYPHS[status]
        return replace(edge, status=status, lines=(*edge.lines, *self._because(index), shown))

    def _because(self, index: int) -> Iterator[str]:
        """Yield the values that decided for an edge, where they differ between the runs that took it."""
        old, new = self._union.pairs[index]
        values = [
            None if at is None else next((told.chosen[edge] for edge in links[at].via if edge in told.chosen), None)
            for at, links, told in (
                (old, self._union.one.links, self._one),
                (new, self._union.other.links, self._other),
            )
        ]
        known = bare(self._union.whole.links[index].label)
        told = [
            f"{sign} was {one_line(value, 24)}"
            for sign, value in zip((FIRST, SECOND), values, strict=True)
            if value is not None and bare(value) != known
        ]
        if told and values[0] != values[1]:
            yield " · ".join(told)


def _told(union: Union, trace: Trace, owners: Mapping[str, str], taken: Mapping[int, int]) -> _Told:
    tasks: dict[str, list[TaskTrace]] = {}
    for task in trace.tasks:
        tasks.setdefault(owners.get(task.node, task.node), []).append(task)
    reached = frozenset(node.id for node in traced(trace).nodes if node.status is not Status.UNREACHED)
    return _Told(tasks, reached & union.whole.boxes.keys(), taken, trace.chosen)


def _moved(trace: Trace, names: Mapping[str, str]) -> Trace:
    """Return a run whose nodes have other ids."""
    if not names:
        return trace

    def moved(edge: Edge) -> Edge:
        return names.get(edge[0], edge[0]), names.get(edge[1], edge[1]), edge[2]

    return replace(
        trace,
        definition=renamed(trace.definition, names),
        tasks=tuple(replace(task, node=names.get(task.node, task.node)) for task in trace.tasks),
        taken={moved(edge): times for edge, times in trace.taken.items()},
        chosen={moved(edge): value for edge, value in trace.chosen.items()},
        joins=tuple(replace(join, node=names.get(join.node, join.node)) for join in trace.joins),
    )


def _end_of(task: TaskTrace, value: str | None) -> str:
    glyph = f"{GLYPHS[ENDS[task.status]]} " if task.status in ("caught", "failed") else ""
    return f"{glyph}{one_line(value or task.status, 36)}"


def _ends_of(tasks: list[TaskTrace]) -> str:
    """Say how some tasks ended, "" for one that just completed."""
    counts = Counter(task.status for task in tasks)
    if len(tasks) == 1:
        return "" if tasks[0].status == "completed" else tasks[0].status
    return ", ".join(f"{number} {word}" for word, number in counts.items())


def _notice(found: Difference) -> str:
    if found.is_empty:
        return "nothing differs"
    if found.parted is not None:
        return f"they part at {one_line(str(found.parted), 48)}"
    return "the same way, with another outcome"


def _facts(found: Difference) -> Iterator[str]:
    yield f"{FIRST} {_side(found.one)}"
    yield f"{SECOND} {_side(found.other)}"
    if found.shared:
        yield f"{found.shared} checkpoints shared" if found.shared > 1 else "1 checkpoint shared"


def _side(side: Side) -> str:
    return f"run {one_line(side.run_id, 28)} at {side.seq}, {side.status}"
