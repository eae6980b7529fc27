"""Random workflows, and edits of them that do not change what they compute.

A blueprint is plain data. Its steps add a mark that depends on everything they are given, so that whatever is lost,
done twice or sent elsewhere shows in the result. Joins unite what comes, in any order. An echo is a construct of which
only the shape counts: what goes in comes out. Ids of forks, joins and decisions are made up by pydantic-graph, counted
in the order in which paths are added, unless a blueprint gives them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal
from zlib import crc32

from hypothesis import strategies as st

from milepost.engine.typed import GraphBuilder, StepContext
from milepost.engine.workflow import Workflow

Marks = list[str]
AnyWorkflow = Workflow[Any, Any, Any, Any]
Waits = Literal["named", "closest", "start"]
"""What a join waits for: the fork in front of it by its id; the same, as the closest one; or everything in the run."""


@dataclass(frozen=True, slots=True)
class Act:
    """A step that adds its mark. name: of the mark. id: of the node, the name if it is not given."""

    name: str
    id: str | None = None

    @property
    def node(self) -> str:
        return self.id or self.name


@dataclass(frozen=True, slots=True)
class Pass:
    """A step that gives what it got."""

    name: str


@dataclass(frozen=True, slots=True)
class Row:
    """Blocks one after the other."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """Every branch gets it, and a join unites what they give. Fork and join have ids of their own if it is named."""

    name: str
    branches: tuple[Block, ...]
    waits: Waits = "named"


@dataclass(frozen=True, slots=True)
class Each:
    """Every mark goes its own way, and a join unites what comes of them."""

    name: str
    body: Block
    waits: Waits = "named"


@dataclass(frozen=True, slots=True)
class Either:
    """The first branch gets it when the number of marks is even, else the second."""

    name: str
    even: Block
    odd: Block


Block = Act | Pass | Row | Spread | Each | Either


# --- what it computes -------------------------------------------------------------------------------------------------


def marked(name: str, marks: Marks) -> Marks:
    """Add a mark that depends on all that are there."""
    return sorted({*marks, f"{name}:{crc32(repr(marks).encode()):08x}"})


def united(current: Marks, item: Marks) -> Marks:
    """Unite marks, whatever their order."""
    return sorted({*current, *item})


def computed(block: Block, marks: Marks) -> Marks:
    """Return what a blueprint makes of marks, as plain Python would."""
    match block:
        case Act():
            return marked(block.name, marks)
        case Pass():
            return marks
        case Row():
            for one in block.blocks:
                marks = computed(one, marks)
            return marks
        case Spread():
            return sorted({mark for branch in block.branches for mark in computed(branch, marks)})
        case Each():
            return sorted({mark for one in marks for mark in computed(block.body, [one])})
        case Either():
            return computed(block.odd if len(marks) % 2 else block.even, marks)


# --- as a graph -------------------------------------------------------------------------------------------------------


def is_even(marks: Marks) -> bool:
    return len(marks) % 2 == 0


def is_odd(marks: Marks) -> bool:
    return len(marks) % 2 == 1


class Assembly:
    """Makes a graph of a blueprint. Every block begins and ends at a step or a join, so that blocks make rows."""

    def __init__(self) -> None:
        self.graph: Any = GraphBuilder(input_type=Marks, output_type=Marks)

    def step(self, node: str, change: Callable[[Marks], Any], given: Any = Marks) -> Any:
        async def body(ctx: StepContext[None, None, Marks]) -> Any:
            return change(ctx.inputs)

        body.__annotations__["return"] = given
        return self.graph.step(body, node_id=node)

    def join(self, name: str, waits: Waits) -> Any:
        ids: Any = {"node_id": f"{name} join", "parent_fork_id": f"{name} fork"} if waits == "named" else {}
        preferred = "closest" if waits == "closest" else "farthest"
        return self.graph.join(united, initial_factory=list[str], preferred_parent_fork=preferred, **ids)

    def block(self, block: Block) -> tuple[Any, Any]:
        """Add a block; return the nodes that it begins and ends with."""
        match block:
            case Act():
                one = self.step(block.node, lambda marks: marked(block.name, marks))
                return one, one
            case Pass():
                one = self.step(block.name, lambda marks: marks)
                return one, one
            case Row():
                return self.row(block)
            case Spread():
                return self.spread(block)
            case Each():
                return self.each(block)
            case Either():
                return self.either(block)

    def row(self, block: Row) -> tuple[Any, Any]:
        ends = [self.block(one) for one in block.blocks]
        for (_, before), (after, _) in pairwise(ends):
            self.graph.add(self.graph.edge_from(before).to(after))
        return ends[0][0], ends[-1][1]

    def spread(self, block: Spread) -> tuple[Any, Any]:
        first = self.step(f"{block.name} in", lambda marks: marks)
        ends = [self.block(one) for one in block.branches]
        join = self.join(block.name, block.waits)
        fork = f"{block.name} fork" if block.waits == "named" else None

        def branches(path: Any) -> list[Any]:
            return [path.to(begin) for begin, _ in ends]

        self.graph.add(self.graph.edge_from(first).broadcast(branches, fork_id=fork))
        self.graph.add(*(self.graph.edge_from(end).to(join) for _, end in ends))
        return first, join

    def each(self, block: Each) -> tuple[Any, Any]:
        first = self.step(f"{block.name} in", lambda marks: [[one] for one in marks], list[Marks])
        begin, end = self.block(block.body)
        join = self.join(block.name, block.waits)
        path = self.graph.edge_from(first)
        path = path.map(fork_id=f"{block.name} fork") if block.waits == "named" else path.map()
        self.graph.add(path.to(begin), self.graph.edge_from(end).to(join))
        return first, join

    def either(self, block: Either) -> tuple[Any, Any]:
        first = self.step(f"{block.name} in", lambda marks: marks)
        last = self.step(f"{block.name} out", lambda marks: marks)
        decision = self.graph.decision()
        for one, matches in ((block.even, is_even), (block.odd, is_odd)):
            begin, end = self.block(one)
            decision = decision.branch(self.graph.match(Marks, matches=matches).to(begin))
            self.graph.add(self.graph.edge_from(end).to(last))
        self.graph.add(self.graph.edge_from(first).to(decision))
        return first, last


def built(blueprint: Block, *, version: int = 1, migrations: Any = None) -> AnyWorkflow:
    """Return the workflow of a blueprint."""
    assembly = Assembly()
    begin, end = assembly.block(blueprint)
    graph = assembly.graph
    graph.add(graph.edge_from(graph.start_node).to(begin), graph.edge_from(end).to(graph.end_node))
    return Workflow.from_graph(graph.build(), name="edited", version=version, migrations=migrations)


# --- drawing them -----------------------------------------------------------------------------------------------------


@dataclass
class Names:
    """Gives every construct a name of its own."""

    prefix: str = ""
    count: int = 0

    def new(self, kind: str) -> str:
        self.count += 1
        return f"{self.prefix}{kind}{self.count}"


Where = Literal["outside", "inside", "flat"]
"""Where a block stands: in no fork, in one, or in one whose join would take a fork inside it for its own."""


def blueprints(draw: st.DrawFn, names: Names, depth: int, where: Where = "outside", *, echo: bool = False) -> Block:
    """Draw a block. echo: one that gives what it got."""
    kinds = ["act", "row", "either", *([] if where == "flat" else ["spread", "each"])] if depth else ["act"]
    kind = draw(st.sampled_from(kinds))
    waits: Waits = draw(st.sampled_from(["named", "closest", *(["start"] if where == "outside" else [])]))
    below: Where = where if kind in ("row", "either") else body_of(waits)

    def inner() -> Block:
        return blueprints(draw, names, depth - 1, below, echo=echo)

    match kind:
        case "act":
            return Pass(names.new("pass")) if echo else Act(names.new("act"))
        case "row":
            return Row(tuple(inner() for _ in range(draw(st.integers(1, 3)))))
        case "spread":
            return Spread(names.new("spread"), tuple(inner() for _ in range(draw(st.integers(1, 3)))), waits)
        case "each":
            return Each(names.new("each"), inner(), waits)
        case _:
            return Either(names.new("either"), inner(), inner())


def body_of(waits: Waits) -> Where:
    """Return where the branches of a fork stand, by what its join waits for."""
    return "flat" if waits == "closest" else "inside"


# --- editing them -----------------------------------------------------------------------------------------------------


@dataclass
class Editor:
    """Edits a blueprint at random without changing what it computes.

    renames: whether steps get other ids, which `names` then has, by those they had.
    """

    draw: st.DrawFn
    fresh: Names
    renames: bool = False

    def __post_init__(self) -> None:
        self.names: dict[str, str] = {}

    def maybe(self, times: int = 4) -> bool:
        """Toss a coin that shows the edit once in so many times."""
        return self.draw(st.integers(1, times)) == 1

    def edited(self, block: Block, where: Where = "outside") -> Block:
        """Return a block after some edits."""
        changed = self.within(block, where)
        if self.maybe(6):
            echo = blueprints(self.draw, self.fresh, 2, where, echo=True)
            changed = Row((echo, changed) if self.maybe(2) else (changed, echo))
        return changed

    def within(self, block: Block, where: Where) -> Block:
        match block:
            case Act() if self.renames and self.maybe():
                self.names[block.node] = self.fresh.new("renamed")
                return replace(block, id=self.names[block.node])
            case Row():
                kept = [one for one in block.blocks if not (is_echo(one) and self.maybe())]
                return Row(tuple(self.edited(one, where) for one in kept or block.blocks[:1]))
            case Spread():
                branches = [self.edited(one, body_of(block.waits)) for one in block.branches]
                if self.maybe():
                    branches.reverse()
                return replace(block, branches=tuple(branches), waits=self.waits(block))
            case Each():
                return replace(block, body=self.edited(block.body, body_of(block.waits)), waits=self.waits(block))
            case Either():
                even, odd = (self.edited(one, where) for one in (block.even, block.odd))
                return replace(block, even=even, odd=odd)
            case _:
                return block

    def waits(self, block: Spread | Each) -> Waits:
        """Give a fork and its join ids now and then."""
        return "named" if self.maybe() else block.waits


def is_echo(block: Block) -> bool:
    """Tell whether a block gives what it got."""
    match block:
        case Act():
            return False
        case Pass():
            return True
        case Row():
            return all(map(is_echo, block.blocks))
        case Spread():
            return all(map(is_echo, block.branches))
        case Each():
            return is_echo(block.body)
        case Either():
            return is_echo(block.even) and is_echo(block.odd)


@dataclass(frozen=True, slots=True)
class Edit:
    """A blueprint, another that computes the same, and the ids that differ."""

    old: Block
    new: Block
    names: dict[str, str]


@st.composite
def edits(draw: st.DrawFn, *, renames: bool = False, depth: int = 3) -> Edit:
    """Draw a blueprint, with echoes in it, and an edit of it."""
    old = blueprints(draw, Names(), depth)
    old = Editor(draw, Names("old ")).edited(old)
    editor = Editor(draw, Names("new "), renames)
    return Edit(old, editor.edited(old), editor.names)
