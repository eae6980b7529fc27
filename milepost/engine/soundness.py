"""What can be known to be wrong with a graph before it runs: every fault, with where it is and the way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic_graph.id_types import NodeID

from milepost.engine.assignability import accepts, accepts_some, is_model, may_be_mapped, members, type_name, union_of
from milepost.engine.branches import check_decision, decides_by_instance
from milepost.engine.catalogue import describe_nodes, looks_generated
from milepost.engine.findings import Findings, did_you_mean, listed, name_of, sentence
from milepost.engine.flow import Arrival, ChoiceType, Flow, does_something, is_source
from milepost.engine.hints import Names
from milepost.engine.joins import wrong_reducer
from milepost.engine.outcomes import check_outcome, goes_on, is_outcome
from milepost.engine.spec import NodeSpec
from milepost.engine.topology import END, START, ParentFork, Topology
from milepost.engine.typed import AnyNode, Decision, Fork, Graph, Join, NodeStep


@dataclass(frozen=True)
class Examination:
    """A compiled graph under examination.

    waits: per join, the fork it waits for; a join for which there is none is missing. closed: the decisions whose
    author asked for every value to be decided.
    """

    topology: Topology
    specs: Mapping[str, NodeSpec]
    waits: Mapping[NodeID, ParentFork]
    closed: frozenset[str] = frozenset()

    @cached_property
    def arrivals(self) -> tuple[Arrival, ...]:
        """Everything that flows, from every node that makes a value."""
        nodes = self.topology.nodes
        flow = Flow(nodes, self.topology.paths, self.specs)
        return tuple(at for node_id, node in nodes.items() if is_source(node) for at in flow.arrivals(node_id))

    def findings(self) -> Findings:
        """Examine everything."""
        return Findings(tuple(dict.fromkeys(self.faults())), tuple(dict.fromkeys(self.warnings())))

    def faults(self) -> Iterator[str]:
        """Yield everything that cannot work."""
        yield from self.unreachable()
        yield from self.dead_ends()
        yield from self.closed_circles()
        yield from self.idle_circles()
        yield from self.undecided()
        yield from self.misfits()
        yield from self.unmappable()
        yield from self.unjoinable()
        yield from self.wrong_reducers()
        yield from self.downstream_joins()
        yield from self.merged_forks()

    def warnings(self) -> Iterator[str]:
        """Yield what is allowed and doubtful."""
        made_up = [node_id for node_id, node in self.topology.nodes.items() if is_unstable(node, self.specs[node_id])]
        if made_up:
            yield (
                f"The ids of {listed(map(repr, made_up))} were made up and may change when the workflow does, so that "
                "a stored run no longer finds them. Give them with node_id= or fork_id=."
            )
        for spec in self.specs.values():
            yield from spec.unresolved
        for fork in self.topology.races():
            yield (
                f"The branches of {fork!r} race to the end: the first one there ends the run and cancels the others. "
                "Join them first, if all of them matter."
            )

    def unreachable(self) -> Iterator[str]:
        """Nodes that no run can come to."""
        if not self.topology.graph.succ[START]:
            yield "Nothing follows the start. Add an edge from it, e.g. wf.edge(wf.start_node, ...)."
            return
        for node_id, node in self.topology.nodes.items():
            if node_id not in self.topology.reachable and does_something(node) and node_id != END:
                yield (
                    f"Node {node_id!r} cannot be reached from the start. "
                    f"Add an edge to it, e.g. wf.edge(..., {node_id}), or remove it."
                )

    def dead_ends(self) -> Iterator[str]:
        """Nodes after which nothing follows, though they are not the end."""
        for node_id, node in self.topology.nodes.items():
            if node_id in (START, END) or node_id not in self.topology.reachable:
                continue
            following = [self.topology.nodes.get(NodeID(after)) for after in self.topology.graph.succ[node_id]]
            if not all(isinstance(after, Decision) and is_outcome(after) and not goes_on(after) for after in following):
                continue
            if isinstance(node, NodeStep):
                yield (
                    f"Nothing follows node {node_id!r}, because what its run() returns was not read. "
                    f"Add wf.add(wf.node({node_id}))."
                )
            else:
                done = " when it does not fail" if following else ""
                yield (
                    f"Nothing follows node {node_id!r}{done}, so that a run that comes to it never ends. "
                    f"Add an edge that leaves it, e.g. wf.edge({node_id}, wf.end_node)."
                )

    def closed_circles(self) -> Iterator[str]:
        """Nodes that lead only to each other."""
        for group in self.topology.circles(self.topology.reachable):
            if not any(after not in group for node_id in group for after in self.topology.graph.succ[node_id]):
                names: list[str] = [
                    node_id
                    for node_id in self.topology.nodes
                    if node_id in group and does_something(self.topology.nodes[node_id])
                ]
                shown = listed(name_of(node_id) for node_id in names or sorted(group))
                yield (
                    f"{shown} lead only back to themselves, so that a run that "
                    "comes to them never ends. Add an edge that leaves them, e.g. to wf.end_node."
                )

    def idle_circles(self) -> Iterator[str]:
        """Circles in which no node does any work, so that a run could stay in them for ever."""
        for group in self.topology.circles(
            n for n, node in self.topology.nodes.items() if not does_something(node) or isinstance(node, Join)
        ):
            yield (
                f"{listed(map(name_of, sorted(group)))} form a circle in which no function is called. "
                "Put a node that does something into it."
            )

    def undecided(self) -> Iterator[str]:
        """Decisions that do not decide everything, or never choose one of their edges."""
        for node_id, node in self.topology.nodes.items():
            if isinstance(node, Decision):
                into = [at for at in self.arrivals if at.target == node_id]
                sources = {at.source for at in into}
                given = into[0].given if len(into) == 1 else union_of([at.given for at in into])
                ours = node_id in self.closed or isinstance(given, ChoiceType) or is_outcome(node)
                name = sources.pop() if len(sources) == 1 and ours else node_id
                if is_outcome(node):
                    yield from check_outcome(node, name)
                else:
                    yield from map(sentence, check_decision(node, name, given, closed=node_id in self.closed))

    def misfits(self) -> Iterator[str]:
        """Edges whose ends have types that cannot go together."""
        for at in self.arrivals:
            node = self.topology.nodes.get(NodeID(at.target))
            if node is None or not does_something(node) or isinstance(at.given, ChoiceType):
                continue
            expected = self.specs[at.target].input_type
            if not (accepts if at.certain else accepts_some)(expected, at.given):
                yield misfit(at, expected)

    def unmappable(self) -> Iterator[str]:
        """Maps over something that has no items, or has them by accident."""
        for at in self.arrivals:
            node = self.topology.nodes.get(NodeID(at.target))
            if not isinstance(node, Fork) or not node.is_map:
                continue
            for member in members(at.given):
                if is_model(member):
                    yield (
                        f"The map {at.target!r} is given {type_name(member)} by {name_of(at.source)}: going over a "
                        "model goes over its fields. Give it one of its lists, e.g. with a transform."
                    )
                elif not may_be_mapped(member):
                    yield (
                        f"The map {at.target!r} is given {type_name(member)} by {name_of(at.source)}, which has no "
                        "items to go over. Return a list, or use a plain edge."
                    )

    def unjoinable(self) -> Iterator[str]:
        """Joins that name a fork which is none, or does not lie above them, and joins without any."""
        for node_id, node in self.topology.nodes.items():
            if not isinstance(node, Join) or node_id not in self.topology.reachable:
                continue
            named = node.parent_fork_id
            forks = [other for other, fork in self.topology.nodes.items() if isinstance(fork, Fork)]
            if named is not None and named not in (START, *forks):
                guess = did_you_mean(named, forks)
                yield f"The join {node_id!r} waits for the fork {named!r}, and there is none.{guess}"
            elif named is not None and named not in self.topology.above(node_id):
                yield (
                    f"The join {node_id!r} waits for the fork {named!r}, but can be reached without passing it. "
                    "Name a fork that lies on every way to it, or none."
                )
            elif node_id not in self.waits:
                yield (
                    f"The join {node_id!r} has no fork to wait for: it lies on a circle that passes no fork on the "
                    "way. Put a map or a broadcast into the circle, or move the join out of it."
                )

    def wrong_reducers(self) -> Iterator[str]:
        """Joins whose reducer cannot be called."""
        for node in self.topology.nodes.values():
            fault = wrong_reducer(node) if isinstance(node, Join) else None
            if fault is not None:
                yield fault

    def downstream_joins(self) -> Iterator[str]:
        """Maps that name a join they cannot open."""
        joins = [node_id for node_id, node in self.topology.nodes.items() if isinstance(node, Join)]
        for node_id, node in self.topology.nodes.items():
            if not isinstance(node, Fork) or node.downstream_join_id is None:
                continue
            named = node.downstream_join_id
            if named not in joins:
                yield f"The map {node_id!r} names the join {named!r}, and there is none.{did_you_mean(named, joins)}"
                continue
            waits = self.waits.get(named)
            if waits is not None and waits.fork_id not in (node_id, *self.topology.above(node_id)):
                yield (
                    f"The map {node_id!r} names the join {named!r}, which waits for the fork {waits.fork_id!r} below "
                    "it, so that an empty map could not open it. Name the join that belongs to this map."
                )

    def merged_forks(self) -> Iterator[str]:
        """Joins that wait for a fork whose runs another join has merged on the way."""
        for node_id, waits in self.waits.items():
            for other in sorted(waits.between & self.waits.keys()):
                above = self.waits[other].fork_id
                if above in self.topology.above(waits.fork_id):
                    yield (
                        f"The join {node_id!r} waits for the fork {waits.fork_id!r}, whose runs the join {other!r} has "
                        f"already merged. Let {node_id!r} wait for {name_of(above)}, or {other!r} for "
                        f"{waits.fork_id!r}."
                    )


def misfit(at: Arrival, expected: object) -> str:
    """Say that a value of the wrong type reaches a node."""
    target, given = name_of(at.target), type_name(at.given)
    if at.failed:
        return (
            f"The error edge from {name_of(at.source)} to {target} brings {given}, but {target} takes "
            f"{type_name(expected)}. Lead it to a node whose input is {given}."
        )
    return (
        f"The edge from {name_of(at.source)} to {target} brings {given}, but {target} takes "
        f"{type_name(expected)}. Change one of the two, or put a node or a transform between them."
    )


def is_unstable(node: AnyNode, spec: NodeSpec) -> bool:
    """Tell whether a node's id depends on what else is in the graph, though its author could have given it."""
    if isinstance(node, Decision) and decides_by_instance(node.branches):
        return False  # made of a return hint; nothing is stored under it
    return spec.generated and looks_generated(node) and not spec.id.endswith("_broadcast_fork")


def examine_graph(graph: Graph[Any, Any, Any, Any], names: Names | None = None) -> tuple[dict[str, NodeSpec], Findings]:
    """Describe and examine a graph that pydantic-graph built. names: the local names that can be seen now."""
    specs = describe_nodes(
        graph.nodes, graph.edges_by_source, input_type=graph.input_type, output_type=graph.output_type, names=names
    )
    waits = {
        join: ParentFork(parent.fork_id, frozenset(parent.intermediate_nodes))
        for join, parent in graph.parent_forks.items()
    }
    topology = Topology(graph.nodes, graph.edges_by_source)
    return specs, Examination(topology, specs, waits).findings()
