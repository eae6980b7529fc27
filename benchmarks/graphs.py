"""The jobs as graphs, declared once for pydantic-graph and for Milepost, which both take the same declaration.

The names are pydantic-graph's own: this runs also where Milepost is not installed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from benchmarks.jobs import PAGE, PAGES, RUN_LENGTH, Job, Kind

if TYPE_CHECKING:
    from milepost.engine.typed import StepContext, reduce_sum
else:
    from pydantic_graph import StepContext
    from pydantic_graph.join import reduce_sum

Builder = Any
"""A builder of pydantic-graph or of Milepost, whose types of state differ from job to job."""
Context = StepContext[None, None, int]


@dataclass
class Book:
    """The state of the jobs that have one."""

    count: int = 0
    pages: list[str] = field(default_factory=list[str])


class Stopped(Exception):
    """A run of the job "resume" has come to where it is to stop the first time."""


@dataclass
class Gate:
    """The last node of the job "resume": it fails until the gate is open."""

    is_open: bool = False

    async def passes(self, ctx: Context) -> int:
        if not self.is_open:
            raise Stopped
        return ctx.inputs


def state_of(job: Job) -> Book | None:
    """Return the state that a run of the job begins with; None when it has none."""
    match job.kind:
        case Kind.GROW:
            return Book()
        case Kind.LARGE:
            return Book(pages=[PAGE] * PAGES)
        case _:
            return None


def declare(builder: Builder, job: Job, gate: Gate | None = None) -> None:
    """Add the nodes and edges of the job's graph to `builder`. gate: of a job that is to be resumed."""
    match job.kind:
        case Kind.CHAIN:
            _chain(builder, job.size)
        case Kind.MAP:
            _map(builder, job.size)
        case Kind.NEST:
            _nest(builder, job.size)
        case Kind.RUNS:
            _loop(builder, RUN_LENGTH, _count)
        case Kind.GROW:
            _loop(builder, job.size, _add_page)
        case Kind.LARGE:
            _loop(builder, job.size, _count_in_book)
        case _:
            _loop(builder, job.size, _count, gate)


async def _count(ctx: Context) -> int:
    return ctx.inputs + 1


async def _add_page(ctx: StepContext[Book, None, int]) -> int:
    ctx.state.pages.append(PAGE)
    return len(ctx.state.pages)


async def _count_in_book(ctx: StepContext[Book, None, int]) -> int:
    ctx.state.count += 1
    return ctx.state.count


async def _double(ctx: Context) -> int:
    return ctx.inputs * 2


def _loop(builder: Builder, size: int, body: object, gate: Gate | None = None) -> None:
    def goes_on(value: int) -> bool:
        return value < size

    node = builder.step(body, node_id="count")
    last = builder.end_node
    if gate is not None:
        last = builder.step(gate.passes, node_id="gate")
        builder.add_edge(last, builder.end_node)
    again = (
        builder.decision(node_id="again")
        .branch(builder.match(int, matches=goes_on).to(node))
        .branch(builder.match(int).to(last))
    )
    builder.add(builder.edge_from(builder.start_node).to(node), builder.edge_from(node).to(again))


def _chain(builder: Builder, size: int) -> None:
    nodes = [builder.step(_count, node_id=f"count_{number}") for number in range(size)]
    builder.add_edge(builder.start_node, nodes[0])
    for source, target in pairwise(nodes):
        builder.add_edge(source, target)
    builder.add_edge(nodes[-1], builder.end_node)


def _map(builder: Builder, size: int) -> None:
    async def split(ctx: Context) -> list[int]:
        return list(range(size))

    first, each = builder.step(split), builder.step(_double, node_id="double")
    total = builder.join(reduce_sum, initial=0, node_id="total")
    builder.add(
        builder.edge_from(builder.start_node).to(first),
        builder.edge_from(first).map(downstream_join_id=total.id).to(each),
        builder.edge_from(each).to(total),
        builder.edge_from(total).to(builder.end_node),
    )


def _nest(builder: Builder, size: int) -> None:
    async def shelves(ctx: Context) -> list[int]:
        return list(range(size))

    async def books(ctx: Context) -> list[int]:
        return list(range(ctx.inputs * size, (ctx.inputs + 1) * size))

    first, inner = builder.step(shelves), builder.step(books)
    each = builder.step(_double, node_id="double")
    part = builder.join(reduce_sum, initial=0, node_id="part", preferred_parent_fork="closest")
    total = builder.join(reduce_sum, initial=0, node_id="total")
    builder.add(
        builder.edge_from(builder.start_node).to(first),
        builder.edge_from(first).map(fork_id="each_shelf").to(inner),
        builder.edge_from(inner).map(fork_id="each_book").to(each),
        builder.edge_from(each).to(part),
        builder.edge_from(part).to(total),
        builder.edge_from(total).to(builder.end_node),
    )
