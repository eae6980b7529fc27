"""A state for random graphs: what the bodies of the steps do to it, and a model of what must come of that.

The model is the rule of the state written down a second time, on plain objects: a whole state per record, no JSON, no
patches, no caches.
"""

from __future__ import annotations

from collections.abc import Generator
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Annotated, Any, Literal
from zlib import crc32

from pydantic import BaseModel

from milepost.engine.mergers import add, append, union
from milepost.engine.typed import StepContext
from tests.properties import values
from tests.properties.bodies import Body
from tests.properties.values import Token

FieldName = Literal["lines", "names", "counts", "total", "title", "marks"]
MERGED: tuple[FieldName, ...] = ("lines", "names", "counts", "total")
COMMUTING: tuple[FieldName, ...] = ("names", "counts", "total")
ALONE: tuple[FieldName, ...] = ("title", "marks")
EVERY: tuple[FieldName, ...] = (*MERGED, *ALONE)


class Ledger(BaseModel):
    """What the steps of a random graph write. The last two fields have no merger."""

    lines: Annotated[list[str], append] = []
    names: Annotated[set[str], union] = set()
    counts: Annotated[dict[str, int], union] = {}
    total: Annotated[int, add] = 0
    title: str = ""
    marks: list[str] = []


class Clash(Exception):
    """The model says that two tasks changed a field that has no merger."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the bodies of a graph use the state.

    seed: what decides for each node. fields: what may be written. reads: whether outputs and what is written depend on
    what was read. often: of ten nodes, how many write each field. tries: whether some attempts come to nothing.
    """

    seed: int
    fields: tuple[FieldName, ...] = EVERY
    reads: bool = True
    often: int = 3
    tries: bool = True

    def chance(self, *about: object) -> int:
        """Return a number from 0 to 9 that depends on nothing but the seed and what it is about."""
        return blake2b(repr((self.seed, *about)).encode()).digest()[0] % 10

    def script(self, node: str) -> Script:
        written: tuple[FieldName, ...] = tuple(name for name in self.fields if self.chance(node, name) < self.often)
        looks = self.reads and self.chance(node, "looks") < 5
        return Script(
            node,
            written,
            opens_first=self.chance(node, "opens") < 5,
            looks=looks,
            tells=looks and self.chance(node, "tells") < 7,
            tries=1 + (self.tries and self.chance(node, "tries") < 2),
        )


@dataclass(frozen=True, slots=True)
class Script:
    """What the body of one node does to the state.

    writes: fields. opens_first: it reads the state before it waits, not after. looks: what it writes depends on what it
    reads. tells: so does its output. tries: attempts, of which all but the last come to nothing.
    """

    node: str
    writes: tuple[FieldName, ...]
    opens_first: bool
    looks: bool
    tells: bool
    tries: int

    @property
    def touches(self) -> bool:
        return bool(self.writes) or self.looks

    def carry_out(self, state: Ledger, inputs: object) -> int:
        """Read and write a state. Returns what the output is changed by."""
        seen = weight(state) if self.looks else 0
        mark = f"{self.node} {inputs!r} {seen % 3}"
        for name in self.writes:
            write(state, name, mark, crc32(mark.encode()))
        return seen if self.tells else 0


def weight(state: Ledger) -> int:
    """Return a number that any difference between two states shows in."""
    return crc32(repr(state.model_copy(update={"names": sorted(state.names)})).encode())


def write(state: Ledger, name: FieldName, mark: str, number: int) -> None:
    """Change one field. A title may well be what it was already, and names are taken out as well as put in."""
    match name:
        case "lines":
            state.lines.append(mark)
        case "names":
            state.names.add(mark)
        case "counts":
            state.counts[mark] = number
        case "total":
            state.total += number % 7 - 2
        case "title":
            state.title = "ab"[number % 2]
        case "marks":
            state.marks.append(mark)


class Pause:
    """Lets everybody else go on."""

    def __await__(self) -> Generator[None]:
        yield


def with_script(body: Body, script: Script) -> Body:
    """Return a body that follows a script."""

    async def call(ctx: StepContext[Ledger, None, Any]) -> object:
        first = ctx.state if script.touches and script.opens_first else None
        await Pause()
        change = script.carry_out(first or ctx.state, ctx.inputs) if script.touches else 0
        output: object = await body(ctx)
        return Token((output.value + change) % values.MODULUS, output.fuel) if isinstance(output, Token) else output

    return call


@dataclass
class Model:
    """What the state is after each record. written: the record that last changed each field."""

    states: list[Ledger] = field(default_factory=lambda: [Ledger(), Ledger()])
    written: dict[str, int] = field(default_factory=dict[str, int])

    def complete(self, spawned: int, script: Script, inputs: object) -> None:
        """A task of a record `spawned` is done. Raises Clash."""
        base, committed = self.states[spawned], deepcopy(self.states[-1])
        mine = deepcopy(base)
        if script.touches:
            script.carry_out(mine, inputs)
        for name in EVERY:
            before, after, now = getattr(base, name), getattr(mine, name), getattr(committed, name)
            if before == after:
                continue
            if self.written.get(name, 0) <= spawned:
                setattr(committed, name, after)
            elif name in ALONE:
                raise Clash(name)
            else:
                setattr(committed, name, together(name, before, now, after))
        seq = len(self.states)
        self.written.update((name, seq) for name in EVERY if getattr(committed, name) != getattr(self.states[-1], name))
        self.states.append(committed)

    def pass_by(self) -> None:
        """A record says nothing of the state."""
        self.states.append(self.states[-1])


def together(name: FieldName, before: Any, now: Any, after: Any) -> Any:
    """Return what becomes of a field that has a merger; bodies here never take anything out."""
    if name == "total":
        return now + after - before
    if name == "lines":
        return [*now, *after[len(before) :]]
    if name == "names":
        return {*now, *after}
    return {**now, **{key: value for key, value in after.items() if before.get(key) != value}}
