"""From a draft to a graph that has been described and examined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from milepost.engine.assigned import with_policies
from milepost.engine.catalogue import describe_nodes
from milepost.engine.errors import UnsoundWorkflow
from milepost.engine.findings import name_of
from milepost.engine.soundness import Examination
from milepost.engine.spec import NodeSpec
from milepost.engine.topology import Topology
from milepost.engine.typed import Graph, Join, ParentFork
from milepost.nodes.subworkflow import SubworkflowStep
from milepost.workflows.apart import said_policies
from milepost.workflows.compiler import compile_graph
from milepost.workflows.draft import Draft


def assemble(
    draft: Draft, graph: Graph[Any, Any, Any, Any], *, strict: bool, faults: Iterable[str] = ()
) -> tuple[dict[str, NodeSpec], tuple[str, ...]]:
    """Fill an empty graph with what a draft declares; return the descriptions of its nodes and the warnings.

    faults: what is wrong beside the graph.
    Raises UnsoundWorkflow: it has faults; those that leave it runnable are warnings when it need not be strict.
    """
    compiled = compile_graph(draft)
    specs = describe_nodes(
        compiled.nodes,
        compiled.paths,
        input_type=graph.input_type,
        output_type=graph.output_type,
        names=draft.names,
        is_generated=lambda node: node.id in compiled.made_up,
    )
    specs, misplaced = with_policies(compiled.nodes, specs, said_policies(draft))
    topology = Topology(compiled.nodes, compiled.paths)
    joins = [node for node in compiled.nodes.values() if isinstance(node, Join) and node.id in topology.reachable]
    waits = {join.id: parent for join in joins if (parent := topology.parent_fork(join))}
    examination = Examination(topology, specs, waits, compiled.closed)
    grave = [*draft.faults, *mixed_edges(draft), *unused_nodes(draft), *misplaced, *unfed_workflows(draft), *faults]
    found = examination.findings()
    if grave or (found.faults and strict) or any(examination.unjoinable()):
        raise UnsoundWorkflow(graph.name, list(dict.fromkeys([*grave, *found.faults])))
    graph.nodes.update(compiled.nodes)
    graph.edges_by_source.update(compiled.paths)
    for join, parent in waits.items():
        graph.parent_forks[join] = ParentFork(parent.fork_id, set(parent.between))
        inner = {node_id for node_id in parent.between if isinstance(compiled.nodes[node_id], Join)}
        graph.intermediate_join_nodes[join] = inner
    return specs, (*found.faults, *found.warnings)


def mixed_edges(draft: Draft) -> Iterator[str]:
    """Yield a fault for every node with both plain and conditional edges."""
    for source in draft.conditional:
        if draft.paths.get(source):
            yield (
                f"Node {name_of(source)} has plain and conditional edges. A node has either: plain ones are all taken, "
                "of conditional ones the first that holds. Put a node between, or give the plain ones a condition."
            )


def unfed_workflows(draft: Draft) -> Iterator[str]:
    """Yield a fault for everything that a run inside the run would not get."""
    for node in draft.nodes.values():
        if isinstance(node, SubworkflowStep):
            yield from node.faults(draft.names)


def unused_nodes(draft: Draft) -> Iterator[str]:
    """Yield a fault for every node that was declared and that no edge touches."""
    for node in draft.announced:
        if not any(known is node for known in draft.nodes.values()):
            yield (
                f"Node {node.id!r} was declared and no edge leads to it. "
                f"Add one, e.g. wf.edge(..., {node.id}), or remove the node."
            )
