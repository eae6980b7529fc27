"""Which edges of the graph a record's routes passed, and which joins fired between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from milepost.engine.definition import Definition
from milepost.engine.journal import Kind, Record
from milepost.engine.keys import unescape
from milepost.engine.position import START, Finish, Fire, Item, Op, OpenJoin, Spawn, SpawnEach, Stream
from milepost.engine.spec import NodeKind
from milepost.engine.trace import Edge


class Passed(NamedTuple):
    """An edge was passed. times: by how many values. chosen: the value that decided for it, as short text."""

    edge: Edge
    times: int
    chosen: str | None = None


class Fired(NamedTuple):
    """A join passed its value on."""

    join: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What has to be known of a workflow to read its records.

    decisions: those for which a record tells the value that decided; not those between a node's error edges.
    """

    workflow: str
    version: int
    decisions: frozenset[str]
    maps: frozenset[str]


def shape_of(definition: Definition) -> Shape:
    """Return what it takes to read the records of a workflow."""
    outcomes = {edge.source for edge in definition.edges if edge.error}
    decisions = {node.id for node in definition.nodes if node.kind == NodeKind.DECISION}
    maps = (node.id for node in definition.nodes if node.kind == NodeKind.MAP)
    return Shape(definition.name, definition.version, frozenset(decisions - outcomes), frozenset(maps))


def passages(record: Record, shape: Shape) -> Iterator[Passed | Fired]:
    """Yield the edges that the routes of a record passed, in order; one that several routes share counts once.

    record: one that was applied, so that its stream is known.
    """
    walk = Walk(shape, iter(record.chosen), record.node or START)
    if record.kind is Kind.EMITTED and record.stream is not None:
        stream, _ = record.stream
        walk = Walk(shape, walk.chosen, stream.fork, stream.route.count("/"))
    for op in record.ops:
        if isinstance(op, Fire):
            yield Fired(op.join)
            walk = Walk(shape, walk.chosen, op.join)
            continue
        route, times = route_of(op)
        if route is not None:
            yield from walk.along(route, times)


class Walk:
    """Goes along the routes of one record that start at the same node.

    chosen: what decided, from the next decision on. passed: the place of the last segment that an earlier record has
    passed, as when a stream began that gives an item now; -1 for none.
    """

    def __init__(self, shape: Shape, chosen: Iterator[str], source: str, passed: int = -1) -> None:
        self.chosen = chosen
        self._shape = shape
        self._source = source
        self._passed = passed
        self._seen: set[str] = set()

    def along(self, route: str, times: int) -> Iterator[Passed]:
        """Yield the edges of one route that are new. times: how many values it stands for, at its last edge."""
        segments = route.split("/")
        before, number, prefix, chooses = self._source, 0, "", False
        for place, segment in enumerate(segments):
            mark = "#" if "#" in segment else ":"
            name, _, index = segment.partition(mark)
            prefix = f"{prefix}/{name}"
            node = unescape(name)
            if place > self._passed and self._is_new(f"{prefix}@{number}"):
                branch = 0 if before in self._shape.maps else number  # the items of a map share one edge
                chosen = next(self.chosen, None) if chooses else None
                yield Passed((before, node, branch), times if place == len(segments) - 1 else 1, chosen)
            before, number = node, int(index) if index else 0
            chooses = bool(index) and node in self._shape.decisions
            prefix = f"{prefix}{mark}{index}" if index else prefix

    def _is_new(self, place: str) -> bool:
        known = place in self._seen
        self._seen.add(place)
        return not known


def route_of(op: Op) -> tuple[str | None, int]:
    """Return the route of an op, and how many values took it."""
    match op:
        case Finish("", _):  # of a run that was forked at its end
            return None, 0
        case Spawn(route, _) | Item(_, _, route, _) | Finish(route, _):
            return route, 1
        case SpawnEach(route, mark, tail, _, size):
            return f"{route}{mark}0/{tail}", size
        case Stream(route):
            return route[:-1], 1
        case OpenJoin(_, _, route):
            return route.rpartition("/")[0], 1  # the map was passed, though it may have no items
        case _:
            return None, 0
