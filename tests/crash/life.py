"""The workflow whose process is killed, what its bodies leave behind, and how a life of its process goes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

import anyio
from pydantic import BaseModel, Field

from milepost import (
    Engine,
    PostgresStore,
    SqliteStore,
    StepContext,
    Store,
    Workflow,
    WorkflowBuilder,
    append,
    reduce_list_append,
)
from milepost.engine.current import current
from milepost.engine.stores.sqlite_file import Durability
from milepost.engine.stores.store import Acknowledge, Entry

RUN: Final = "r-1"
GROUPS: Final = 3
PIECES: Final = 3


class Piece(BaseModel):
    lap: int
    group: int
    index: int
    value: int


class Group(BaseModel):
    lap: int
    group: int
    values: list[int]


class Tally(BaseModel):
    """laps: begun so far, of those wanted. odd: the odd values met, in any order."""

    wanted: int = 1
    laps: int = 0
    odd: Annotated[list[int], append] = Field(default_factory=list[int])


class Effects:
    """A file that only grows: `key node` when a body begins, `= seq` when a life begins that finds `seq` records."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def open(self) -> Generator[Effects]:
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            yield self
        finally:
            os.close(self._descriptor)

    def write(self, line: str) -> None:
        os.write(self._descriptor, f"{line}\n".encode())

    async def body(self, milliseconds: int) -> None:
        """Say that the running body has begun, then take some time."""
        this = current()
        self.write(f"{this.task} {this.node}")
        await anyio.sleep(milliseconds / 1000)


def grown(value: int, place: int) -> int:
    """Return what a piece makes of its value, so that every lap differs and order shows."""
    return (value * 31 + place * 7 + 11) % 997


def expected(inputs: list[int], laps: int) -> tuple[list[int], list[int]]:
    """Compute the output, and the odd values that the state gathers, as plain Python would."""
    values, odd = inputs, list[int]()
    for _ in range(laps):
        after: list[int] = []
        for group in range(GROUPS):
            pieces = [grown(values[group], index) for index in range(PIECES)]
            odd += [piece for piece in pieces if piece % 2]
            after.append(sum(piece if piece % 2 else piece // 2 for piece in pieces) % 997)
        values = sorted(after)
    return values, sorted(odd)


def declared() -> Workflow[Tally, Effects, list[int], list[int]]:
    """Build a loop over a map over a map, with a decision inside and a join for each map."""
    wf = WorkflowBuilder(
        name="mortal", state_type=Tally, deps_type=Effects, input_type=list[int], output_type=list[int]
    )

    @wf.function
    async def spread(ctx: StepContext[Tally, Effects, list[int]]) -> list[Piece]:
        await ctx.deps.body(2)
        ctx.state.laps += 1
        return [Piece(lap=ctx.state.laps, group=group, index=0, value=ctx.inputs[group]) for group in range(GROUPS)]

    @wf.function
    async def cut(ctx: StepContext[Tally, Effects, Piece]) -> list[Piece]:
        await ctx.deps.body(1 + ctx.inputs.group)
        return [ctx.inputs.model_copy(update={"index": index}) for index in range(PIECES)]

    @wf.function
    async def grow(ctx: StepContext[Tally, Effects, Piece]) -> Piece:
        piece = ctx.inputs
        await ctx.deps.body(2 + (piece.value + piece.index) % 7)
        return piece.model_copy(update={"value": grown(piece.value, piece.index)})

    @wf.decide
    async def parity(ctx: StepContext[Tally, Effects, Piece]) -> Literal["odd", "even"]:
        return "odd" if ctx.inputs.value % 2 else "even"

    @wf.function
    async def note(ctx: StepContext[Tally, Effects, Piece]) -> Piece:
        ctx.state.odd.append(ctx.inputs.value)
        await ctx.deps.body(2)
        return ctx.inputs

    @wf.function
    async def halve(ctx: StepContext[Tally, Effects, Piece]) -> Piece:
        await ctx.deps.body(4)
        return ctx.inputs.model_copy(update={"value": ctx.inputs.value // 2})

    inner = wf.join(reduce_list_append, initial_factory=list[Piece], node_id="inner", preferred_parent_fork="closest")

    @wf.function
    async def close(ctx: StepContext[Tally, Effects, list[Piece]]) -> Group:
        await ctx.deps.body(1)
        first = ctx.inputs[0]
        return Group(lap=first.lap, group=first.group, values=[piece.value for piece in ctx.inputs])

    outer = wf.join(reduce_list_append, initial_factory=list[Group], node_id="outer")

    @wf.function
    async def gather(ctx: StepContext[Tally, Effects, list[Group]]) -> list[int]:
        await ctx.deps.body(3)
        assert len(ctx.inputs) == GROUPS
        assert {(group.lap, len(group.values)) for group in ctx.inputs} == {(ctx.state.laps, PIECES)}
        return sorted(sum(group.values) % 997 for group in ctx.inputs)

    @wf.decide
    async def enough(ctx: StepContext[Tally, Effects, list[int]]) -> bool:
        return ctx.state.laps >= ctx.state.wanted

    wf.edge(wf.start_node, spread)
    wf.edge(spread, wf.each(cut))
    wf.edge(cut, wf.each(grow))
    wf.edge(grow, parity)
    wf.edge(parity, note, when="odd")
    wf.edge(parity, halve, when="even")
    wf.edge(note, inner)
    wf.edge(halve, inner)
    wf.edge(inner, close)
    wf.edge(close, outer)
    wf.edge(outer, gather)
    wf.edge(gather, enough)
    wf.edge(enough, wf.end_node, when=True)
    wf.edge(enough, spread, when=False)
    return wf.build()


WORKFLOW = declared()


class HastyStore(SqliteStore):
    """A store with the fault that the test is there to see: it says that an entry is committed before it is."""

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        late = self.__dict__.setdefault("late", deque[Entry]())
        late.append(entry)
        if len(late) > 6:
            super().append(late.popleft(), lambda error: None)
        acknowledge(None)


def store_at(place: str, durability: Durability, *, hasty: bool = False) -> Store:
    """Return the store in a folder, or in the schema that is named after the address of a server: `DSN#SCHEMA`."""
    dsn, _, schema = place.partition("#")
    if schema:
        return PostgresStore(dsn, schema=schema, durability=durability, max_takeovers=10_000)
    kind = HastyStore if hasty else SqliteStore
    return kind(Path(place) / "runs.db", durability=durability, max_takeovers=10_000)


def live(folder: str, store_in: str, durability: Durability, inputs: list[int], laps: int, hasty: bool = False) -> None:
    """Begin or go on with the one run until it ends or this process is killed. store_in: see `store_at`."""
    place = Path(folder)
    store = store_at(store_in, durability, hasty=hasty)
    state = Tally(wanted=laps)

    async def main(effects: Effects) -> None:
        async with Engine(store) as engine:
            row = await store.row(RUN)
            effects.write(f"= {0 if row is None else row.seq}")
            run = await engine.start(WORKFLOW, inputs=inputs, state=state, deps=effects, run_id=RUN)
            output = await run.result()
            (place / "output.json").write_text(repr((output, sorted(state.odd), state.laps)))

    with Effects(place / "effects").open() as effects:
        anyio.run(main, effects)


def warm_up() -> None:
    """Run once in memory, so that a process forked from this one has everything loaded and is soon at work."""

    async def main(effects: Effects) -> None:
        await WORKFLOW.run(inputs=[1, 2, 3], state=Tally(), deps=effects, store="memory:")

    with Effects(Path(os.devnull)).open() as effects:
        anyio.run(main, effects)
