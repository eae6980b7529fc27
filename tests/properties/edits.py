"""Random workflows, and edits of them that do not change what they compute.

A blueprint is plain data. Its steps add a mark that depends on everything they are given, so that whatever is lost, done
twice or sent elsewhere shows in the result. Joins unite what comes, in any order. An echo is a construct of which only
the shape counts: what goes in comes out. Ids of forks, joins and decisions are made up by pydantic-graph, counted in the
order in which paths are added, unless a blueprint gives them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal
from zlib import crc32

from hypothesis import strategies as st

from milepost.engine.typed import GraphBuilder, StepContext
from milepost.engine.workflow import Workflow

Marks = list[str]
AnyWorkflow = Workflow[Any, Any, Any, Any]
Parent = Literal["farthest", "closest"]


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
    """Every branch gets it, and a join unites what they give. ids: whether fork and join have ids of their own."""

    name: str
    branches: tuple[Block, ...]
    parent: Parent = "farthest"
    ids: bool = False


@dataclass(frozen=True, slots=True)
class Each:
    """Every mark goes its own way, and a join unites what comes of them."""

    name: str
    body: Block
    parent: Parent = "farthest"
    ids: bool = False


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


class Assembly:
    """Makes a graph of a blueprint. Every block begins and ends at a step or a join, so that blocks can be put in rows."""

    def __init__(self) -> None:
        self.graph: Any = GraphBuilder(input_type=Marks, output_type=Marks)

    def step(self, node: str, change: Callable[[Marks], Any], given: Any = Marks) -> Any:
        async def body(ctx: StepContext[None, None, Marks]) -> Any:
            return change(ctx.inputs)

        body.__annotations__["return"] = given
        return self.graph.step(body, node_id=node)

    def join(self, name: str, parent: Parent, ids: bool) -> Any:
        return self.graph.join(
            united, initial_factory=list[str], node_id=f"{name} join" if ids else None, preferred_parent_fork=parent
        )

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
        for (_, before), (after, _) in zip(ends, ends[1:], strict=False):
            self.graph.add(self.graph.edge_from(before).to(after))
        return ends[0][0], ends[-1][1]

    def spread(self, block: Spread) -> tuple[Any, Any]:
        first = self.step(f"{block.name} in", lambda marks: marks)
        ends = [self.block(one) for one in block.branches]
        join = self.join(block.name, block.parent, block.ids)
        fork = f"{block.name} fork" if block.ids else None
        self.graph.add(
            self.graph.edge_from(first).broadcast(lambda path: [path.to(begin) for begin, _ in ends], fork_id=fork)
        )
        self.graph.add(*(self.graph.edge_from(end).to(join) for _, end in ends))
        return first, join

    def each(self, block: Each) -> tuple[Any, Any]:
        first = self.step(f"{block.name} in", lambda marks: [[one] for one in marks], list[Marks])
        begin, end = self.block(block.body)
        join = self.join(block.name, block.parent, block.ids)
        path = self.graph.edge_from(first)
        path = path.map(fork_id=f"{block.name} fork") if block.ids else path.map()
        self.graph.add(path.to(begin), self.graph.edge_from(end).to(join))
        return first, join

    def either(self, block: Either) -> tuple[Any, Any]:
        first = self.step(f"{block.name} in", lambda marks: marks)
        last = self.step(f"{block.name} out", lambda marks: marks)
        decision = self.graph.decision()
        for one, wants in ((block.even, 0), (block.odd, 1)):
            begin, end = self.block(one)
            decision = decision.branch(
                self.graph.match(Marks, matches=lambda marks, wants=wants: len(marks) % 2 == wants).to(begin)
            )
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


def blueprints(draw: st.DrawFn, names: Names, depth: int, *, echo: bool = False) -> Block:
    """Draw a block. echo: one that gives what it got."""
    kinds = ["act", "row", "spread", "each", "either"] if depth else ["act"]
    kind = draw(st.sampled_from(kinds))
    inner = depth - 1
    parent: Parent = draw(st.sampled_from(["farthest", "closest"]))
    ids = draw(st.booleans())
    match kind:
        case "act":
            return Pass(names.new("pass")) if echo else Act(names.new("act"))
        case "row":
            size = draw(st.integers(1, 3))
            return Row(tuple(blueprints(draw, names, inner, echo=echo) for _ in range(size)))
        case "spread":
            size = draw(st.integers(1, 3))
            branches = tuple(blueprints(draw, names, inner, echo=echo) for _ in range(size))
            return Spread(names.new("spread"), branches, parent, ids)
        case "each":
            return Each(names.new("each"), blueprints(draw, names, inner, echo=echo), parent, ids)
        case _:
            even, odd = (blueprints(draw, names, inner, echo=echo) for _ in range(2))
            return Either(names.new("either"), even, odd)


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

    def edited(self, block: Block) -> Block:
        """Return a block after some edits."""
        changed = self.inside(block)
        if self.maybe(6):
            echo = blueprints(self.draw, self.fresh, 2, echo=True)
            changed = Row((echo, changed) if self.maybe(2) else (changed, echo))
        return changed

    def inside(self, block: Block) -> Block:
        match block:
            case Act() if self.renames and self.maybe():
                self.names[block.node] = self.fresh.new("renamed")
                return replace(block, id=self.names[block.node])
            case Row():
                kept = [one for one in block.blocks if not (is_echo(one) and self.maybe())]
                return Row(tuple(self.edited(one) for one in kept or block.blocks[:1]))
            case Spread():
                branches = [self.edited(one) for one in block.branches]
                if self.maybe():
                    branches.reverse()
                return replace(block, branches=tuple(branches), ids=block.ids or self.maybe())
            case Each():
                return replace(block, body=self.edited(block.body), ids=block.ids or self.maybe())
            case Either():
                return replace(block, even=self.edited(block.even), odd=self.edited(block.odd))
            case _:
                return block


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
