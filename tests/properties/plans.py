"""Plans of random graphs: plain data that hypothesis can draw, shrink and print. graphs.py makes graphs of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st

ReducerName = Literal["merge", "sorted", "count", "append", "first", "two"]
ParentName = Literal["own", "closest", "default", "outer"]
SourceName = Literal["list", "numbers", "text", "mapping", "path", "nested", "stream"]
StyleName = Literal["token", "number", "text", "items"]
TestName = Literal["predicate", "class", "literal"]
ShapeName = Literal["chain", "loop", "union"]
ExitName = Literal["join", "end"]
KnotKind = Literal["step", "join", "decision", "map"]


@dataclass(frozen=True, slots=True)
class Joining:
    """How a fork's branches meet again. outer: the fork around the own one. named: False leaves the id to upstream."""

    reducer: ReducerName = "merge"
    parent: ParentName = "default"
    named: bool = True


@dataclass(frozen=True, slots=True)
class Work:
    """One step, or two with a value of another type between them."""

    style: StyleName = "token"


@dataclass(frozen=True, slots=True)
class Fault:
    """A step that raises for one value in five."""


@dataclass(frozen=True, slots=True)
class Series:
    """Parts one after the other; none at all is a bare edge."""

    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Parallel:
    """A broadcast whose branches are joined. edges: made of several edges out of one step."""

    branches: tuple[Part, ...]
    join: Joining
    edges: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """A broadcast whose branches are not joined: what follows happens once per branch."""

    branches: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Twins:
    """A broadcast with two joins, each of some of the branches; what follows happens twice."""

    left: tuple[Part, ...]
    right: tuple[Part, ...]
    left_join: Joining
    right_join: Joining


@dataclass(frozen=True, slots=True)
class Each:
    """A map. count: items, or None for 0 to 3 by value. join: None leaves what follows to happen once per item."""

    body: Part
    source: SourceName = "list"
    count: int | None = None
    join: Joining | None = None
    eager: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision whose branches meet again."""

    branches: tuple[Part, ...]
    test: TestName = "predicate"


@dataclass(frozen=True, slots=True)
class Repeat:
    """A loop that takes a unit of fuel per round."""

    body: Part


@dataclass(frozen=True, slots=True)
class Handover:
    """BaseNodes that return each other.

    union: entered by a plain step that returns one of two of them. leave: where they may go besides on.
    """

    shape: ShapeName = "chain"
    leave: ExitName | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """A step that raises for one value in five, and whose failure goes along an error edge to a body of its own."""

    body: Part


@dataclass(frozen=True, slots=True)
class Escape:
    """A decision that sends one token in three straight to the join around it, or to the end."""

    to: ExitName = "join"


Part = Work | Fault | Series | Parallel | Spread | Twins | Each | Choice | Repeat | Handover | Guard | Escape


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole graph. wrap: the join before the end, None when every token goes to the end by itself."""

    body: Part
    wrap: Joining | None = Joining()


@dataclass(frozen=True, slots=True)
class Knot:
    """A node of a tangle. targets: places of later nodes; the place after the last one is the final join."""

    kind: KnotKind
    targets: tuple[int, ...]
    join: Joining = Joining()


@dataclass(frozen=True, slots=True)
class Tangle:
    """A graph without blocks: nodes in a row, edges leading forward at random, everything joined before the end."""

    knots: tuple[Knot, ...]


@dataclass(frozen=True, slots=True)
class Features:
    """What may occur in a plan.

    ordered: reducers whose answer depends on the order of items. cancelling: joins that cancel. racing: more than one
    way to the end at a time. faults: steps that raise. streams: asynchronous maps. unions: plain steps that return one
    of several BaseNodes. wrapped: a join before the end. guards: steps with an error edge, which upstream lacks.
    """

    ordered: bool = True
    cancelling: bool = True
    racing: bool = True
    faults: bool = True
    streams: bool = True
    unions: bool = True
    wrapped: bool = True
    guards: bool = True


EVERYTHING = Features()
CALM = Features(ordered=False, cancelling=False, racing=False, faults=False)


class Drawing:
    """Draws plans that have only the given features."""

    def __init__(self, draw: st.DrawFn, features: Features) -> None:
        self.draw = draw
        reducers: list[ReducerName] = ["merge", "sorted", "count"]
        reducers.extend(("append",) if features.ordered else ())
        reducers.extend(("first", "two") if features.cancelling else ())
        self.reducers = st.sampled_from(reducers)
        sources: list[SourceName] = ["list", "numbers", "text", "mapping", "path", "nested"]
        sources.extend(("stream", "stream") if features.streams else ())
        self.sources = st.sampled_from(sources)
        shapes: list[ShapeName] = ["chain", "loop"]
        shapes.extend(("union",) if features.unions else ())
        self.shapes = st.sampled_from(shapes)
        exits: list[ExitName] = ["join"]
        exits.extend(("end",) if features.racing else ())
        self.exits = st.sampled_from(exits)
        self.leaves = [self.work, self.work, self.nothing, self.handover, self.escape]
        if features.faults:
            self.leaves.append(self.fault)
        self.blocks = [self.series, self.parallel, self.each, self.choice, self.repeat, self.spread, self.twins]
        if features.guards:
            self.blocks.append(self.guard)
        self.both = [*self.leaves, *self.blocks, *self.blocks]

    def part(self, depth: int) -> Part:
        """Draw a part with at most `depth` blocks around each leaf."""
        return self.draw(st.sampled_from(self.both if depth > 0 else self.leaves))(depth - 1)

    def body(self, depth: int) -> Part:
        """Draw the whole: a few blocks in a row."""
        blocks = [self.draw(st.sampled_from(self.blocks))(depth - 1) for _ in range(self.draw(st.integers(1, 2)))]
        return Series(tuple(blocks))

    def parts(self, depth: int, least: int, most: int) -> tuple[Part, ...]:
        return tuple(self.part(depth) for _ in range(self.draw(st.integers(least, most))))

    def joining(self) -> Joining:
        return Joining(self.draw(self.reducers), self.draw(PARENTS), self.draw(st.booleans()))

    def work(self, depth: int) -> Part:
        return Work(self.draw(STYLES))

    def nothing(self, depth: int) -> Part:
        return Series()

    def fault(self, depth: int) -> Part:
        return Fault()

    def handover(self, depth: int) -> Part:
        leave = self.draw(self.exits) if self.draw(st.booleans()) else None
        return Handover(self.draw(self.shapes), leave)

    def escape(self, depth: int) -> Part:
        return Escape(self.draw(self.exits))

    def series(self, depth: int) -> Part:
        return Series(self.parts(depth, 2, 3))

    def parallel(self, depth: int) -> Part:
        return Parallel(self.parts(depth, 1, 3), self.joining(), self.draw(st.booleans()))

    def each(self, depth: int) -> Part:
        joining = self.joining() if self.draw(st.integers(0, 2)) else None
        source, count, eager = self.draw(self.sources), self.draw(COUNTS), self.draw(st.booleans())
        return Each(self.part(depth), source, count, joining, eager)

    def choice(self, depth: int) -> Part:
        return Choice(self.parts(depth, 1, 3), self.draw(TESTS))

    def repeat(self, depth: int) -> Part:
        return Repeat(self.part(depth))

    def guard(self, depth: int) -> Part:
        return Guard(self.part(depth))

    def spread(self, depth: int) -> Part:
        return Spread(self.parts(depth, 1, 2))

    def twins(self, depth: int) -> Part:
        return Twins(self.parts(depth, 1, 2), self.parts(depth, 1, 2), self.joining(), self.joining())


STYLES: st.SearchStrategy[StyleName] = st.sampled_from(("token", "token", "token", "number", "text", "items"))
PARENTS: st.SearchStrategy[ParentName] = st.sampled_from(("default", "own", "closest", "outer"))
COUNTS: st.SearchStrategy[int | None] = st.sampled_from((1, 2, 3, None, None, 0))
TESTS: st.SearchStrategy[TestName] = st.sampled_from(("predicate", "class", "literal"))
KINDS: st.SearchStrategy[KnotKind] = st.sampled_from(("step", "join", "decision", "map"))


@st.composite
def plans(draw: st.DrawFn, features: Features = EVERYTHING, *, depth: int = 3) -> Plan:
    """Draw a plan with at most `depth` blocks inside each other."""
    drawing = Drawing(draw, features)
    body = drawing.body(depth)
    if not features.wrapped:
        return Plan(body, None)
    wraps: list[Joining | None] = [Joining("sorted"), Joining("merge", named=False), Joining("count")]
    if features.racing:
        wraps.append(None)
    if features.cancelling:
        wraps.append(Joining("first"))
    return Plan(body, draw(st.sampled_from(wraps)))


@st.composite
def tangles(draw: st.DrawFn, features: Features = EVERYTHING, *, most: int = 9) -> Tangle:
    """Draw a row of up to `most` nodes; each but the first is reached from an earlier one."""
    size = draw(st.integers(1, most))
    targets: list[list[int]] = [[] for _ in range(size)]
    kinds: list[KnotKind] = [draw(KINDS) for _ in range(size)]
    open_places = [0]
    for place in range(1, size):
        targets[draw(st.sampled_from(open_places))].append(place)
        open_places.append(place)
    for place in range(size):
        if not targets[place] or draw(st.integers(0, 2)) == 0:
            targets[place].append(draw(st.integers(place + 1, size)))
    drawing = Drawing(draw, features)
    return Tangle(
        tuple(
            Knot(kind, tuple(draw(st.permutations(aims))), drawing.joining())
            for kind, aims in zip(kinds, targets, strict=True)
        )
    )
