"""The jobs as graphs, declared once for pydantic-graph and for Milepost, which both take the same declaration."""

from __future__ import annotations

from itertools import pairwise

from benchmarks.jobs import Job, Kind
from milepost.engine.typed import GraphBuilder, StepContext, reduce_sum

Builder = GraphBuilder[None, None, int, int]
Context = StepContext[None, None, int]


def declare(builder: Builder, job: Job) -> None:
    """Add the nodes and edges of the job's graph to `builder`."""
    match job.kind:
        case Kind.LOOP:
            _loop(builder, job.size)
        case Kind.CHAIN:
            _chain(builder, job.size)
        case Kind.MAP:
            _map(builder, job.size)


async def _count(ctx: Context) -> int:
    return ctx.inputs + 1


async def _double(ctx: Context) -> int:
    return ctx.inputs * 2


def _loop(builder: Builder, size: int) -> None:
    def goes_on(value: int) -> bool:
        return value < size

    node = builder.step(_count, node_id="count")
    again = (
        builder.decision(node_id="again")
        .branch(builder.match(int, matches=goes_on).to(node))
        .branch(builder.match(int).to(builder.end_node))
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
