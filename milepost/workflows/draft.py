"""What has been declared so far: nodes, paths and conditional edges, before they are compiled into a graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_origin

from pydantic_graph import BaseNode
from pydantic_graph.id_types import NodeID, generate_placeholder_node_id
from pydantic_graph.paths import BroadcastMarker, DestinationMarker, LabelMarker, MapMarker, Path

from milepost.engine.branches import decides_by_instance
from milepost.engine.declared import DeclaredStep
from milepost.engine.findings import name_of
from milepost.engine.flow import is_node_type
from milepost.engine.hints import read_hints
from milepost.engine.policy import Policy
from milepost.engine.spec import NO_POLICY, UNKNOWN
from milepost.engine.typed import AnyNode, Decision, EdgePath, EndNode, Fork, Join, NodeStep, StartNode, Step
from milepost.nodes.decision import DecideNode
from milepost.workflows.conditions import (
    Condition,
    error_condition,
    is_type,
    label_condition,
    otherwise_condition,
    predicate_condition,
    type_condition,
)

StateT = TypeVar("StateT", covariant=True)
DepsT = TypeVar("DepsT", covariant=True)
ManyT = TypeVar("ManyT", contravariant=True)


class Unset:
    """Stands for something that was not given; None may be given."""


UNSET = Unset()


class Each(Decision[StateT, DepsT, ManyT]):
    """A map to one node, once per item. join: what collects the results, opened even when there are no items.

    It is a decision without branches only until it is compiled, into a map: as a `Fork` with its two type parameters,
    mypy would not see an item of the wrong type.
    """

    node: AnyNode
    join: Join[Any, Any, Any, Any] | None
    policy: Policy

    def __init__(
        self, node: AnyNode, join: Join[Any, Any, Any, Any] | None, fork_id: str | None, policy: Policy = NO_POLICY
    ) -> None:
        super().__init__(id=NodeID(fork_id or generate_placeholder_node_id("each")), branches=[], note=None)
        self.node = node
        self.join = join
        self.policy = policy


@dataclass(frozen=True, slots=True)
class ConditionalEdge:
    """An edge that is taken when its condition holds. label: the author's own words for it."""

    target: NodeID
    condition: Condition
    label: str | None = None


@dataclass(frozen=True)
class Draft:
    """Everything that was declared, in the order it was declared.

    failing: the error edges of each node. final: the ids that stand for placeholders, kept over several builds.
    announced: nodes that were declared, also when no edge has led to them yet. names: the local names that authors
    could see. faults: what was wrong at once. followed: the steps whose return hint has become an edge. inferred: the
    decisions that pydantic-graph made of a return hint, with the node whose hint it is. policies: those that were said
    apart from where a node was declared, by its id here.
    """

    nodes: dict[NodeID, AnyNode]
    paths: dict[NodeID, list[Path]]
    conditional: dict[NodeID, list[ConditionalEdge]] = field(default_factory=dict[NodeID, list[ConditionalEdge]])
    failing: dict[NodeID, list[ConditionalEdge]] = field(default_factory=dict[NodeID, list[ConditionalEdge]])
    final: dict[str, NodeID] = field(default_factory=dict[str, NodeID])
    announced: list[AnyNode] = field(default_factory=list[AnyNode])
    names: dict[str, object] = field(default_factory=dict[str, object])
    faults: list[str] = field(default_factory=list[str])
    followed: set[NodeID] = field(default_factory=set[NodeID])
    inferred: dict[NodeID, NodeID] = field(default_factory=dict[NodeID, NodeID])
    policies: dict[str, Policy] = field(default_factory=dict[str, Policy])

    def connect(self, source: Any, destination: Any, when: object, otherwise: bool, label: str | None) -> None:
        """Add one edge, always taken or under a condition."""
        condition = unfit(source, destination) or condition_of(source, when, otherwise)
        if isinstance(condition, str):
            self.refuse(source, destination, condition)
            return
        target = as_node(destination)
        if condition is None:
            items = (
                [DestinationMarker(target.id)] if label is None else [LabelMarker(label), DestinationMarker(target.id)]
            )
            self.insert(EdgePath(sources=[source], path=Path([*items]), destinations=[target]))
        else:
            kept = self.insert_node(source)
            self.insert_destination(target, set())
            self.conditional.setdefault(kept, []).append(ConditionalEdge(target.id, condition, label))

    def catch(self, source: Any, destination: Any, on_error: object, label: str | None, *, alone: bool) -> None:
        """Add one edge that is taken when its source fails. alone: it was given no other condition."""
        condition = unfit_for_errors(source, destination) or error_condition(on_error)
        if not alone:
            condition = "has on_error= beside when= or otherwise=. Give one of them; an error edge needs no other."
        if isinstance(condition, str):
            self.refuse(source, destination, condition)
            return
        target = as_node(destination)
        kept = self.insert_node(as_node(source))
        self.insert_destination(target, set())
        self.failing.setdefault(kept, []).append(ConditionalEdge(target.id, condition, label))

    def refuse(self, source: Any, destination: Any, why: str) -> None:
        """Note that something is wrong with an edge."""
        self.faults.append(f"The edge from {name_of(id_of(source))} to {name_of(id_of(destination))} {why}")

    def withdraw(self, node: object) -> None:
        """Let a node that was declared be part of another, so that no edge need lead to it."""
        self.announced[:] = [known for known in self.announced if known is not node]

    def insert(self, edge: EdgePath[Any, Any]) -> None:
        """Add a path with all that it leads to."""
        for source in edge.sources:
            if isinstance(source, Decision):
                self.faults.append(
                    f"An edge leaves the decision {source.id!r} without saying for which value. Use when=."
                )
                continue
            kept = self.insert_node(source)
            self.paths.setdefault(kept, []).append(edge.path)
            for decision in edge.destinations:
                if isinstance(decision, Decision) and decides_by_instance(decision.branches):
                    self.inferred[decision.id] = kept
        for destination in edge.destinations:
            self.insert_destination(destination, set())
        self.insert_forks(edge.path)

    def insert_destination(self, node: AnyNode, seen: set[int]) -> None:
        """Keep a node that an edge leads to, and all that it leads to by itself."""
        if id(node) in seen:  # a circle of decisions
            return
        seen.add(id(node))
        self.insert_node(node)
        if isinstance(node, Each):
            self.insert_destination(node.node, seen)
            if node.join is not None:
                self.insert_node(node.join)
        elif isinstance(node, Decision):
            for branch in node.branches:
                self.insert_forks(branch.path)
                for destination in branch.destinations:
                    self.insert_destination(destination, seen)

    def insert_forks(self, path: Path) -> None:
        """Keep the forks that stand for the maps and broadcasts of a path."""
        for item in path.items:
            if isinstance(item, BroadcastMarker):
                self.insert_node(Fork(item.fork_id, is_map=False, downstream_join_id=None))
                for inner in item.paths:
                    self.insert_forks(inner)
            elif isinstance(item, MapMarker):
                self.insert_node(Fork(item.fork_id, is_map=True, downstream_join_id=item.downstream_join_id))

    def insert_node(self, node: AnyNode) -> NodeID:
        """Keep a node once, and return the id it is kept under: an earlier build may have given it another since."""
        for key in self.final:
            if self.nodes.get(NodeID(key)) is node:
                return NodeID(key)
        known = self.nodes.setdefault(node.id, node)
        if known is not node and not is_same(known, node):
            self.faults.append(
                f"Two nodes have the id {node.id!r}. Give one of them another, e.g. with node_id= where it is declared."
            )
        return node.id

    def unfollowed_hints(self) -> Iterator[tuple[Step[Any, Any, Any, Any], Any]]:
        """Yield the steps whose return hint says which nodes come next, and that hint, once for each step.

        A step that its author has led somewhere goes only there.
        """
        waiting = list(self.nodes.values())
        while waiting:
            step = waiting.pop()
            if not isinstance(step, Step) or isinstance(step, NodeStep):
                continue
            if step.id in self.followed or self.paths.get(step.id):
                continue
            before = set(self.nodes)
            hints = read_hints(step.declared.function if isinstance(step, DeclaredStep) else step.call, self.names)
            if hints.returns is not UNKNOWN and is_node_type(hints.returns):
                self.followed.add(step.id)
                yield step, hints.returns
            waiting += [node for key, node in self.nodes.items() if key not in before]


def decide_by_class(edge: EdgePath[Any, Any]) -> None:
    """Let the decision that pydantic-graph makes of a hint like `-> A | B` tell the nodes apart: as made, it cannot."""
    for decision in edge.destinations:
        if isinstance(decision, Decision):
            ends = [branch.destinations[0] for branch in decision.branches]
            for branch, end in zip(decision.branches, ends, strict=True):
                if isinstance(end, NodeStep) and all(isinstance(other, NodeStep) for other in ends):
                    branch.source = end.node_type


def as_node(destination: Any) -> Any:
    """Return the node for a destination, which may be a class of BaseNode."""
    plain: Any = get_origin(destination) or destination
    return NodeStep(plain) if is_node_class(plain) else destination


def is_node_class(given: object) -> bool:
    return isinstance(given, type) and issubclass(given, BaseNode)


def id_of(node: Any) -> str:
    """Return what to call one end of an edge, whatever was given for it."""
    return getattr(as_node(node), "id", None) or repr(node)


def is_same(known: AnyNode, node: AnyNode) -> bool:
    """Tell whether two objects stand for one node: pydantic-graph makes new ones for forks and classes."""
    if isinstance(known, NodeStep) and isinstance(node, NodeStep):
        return known.node_type is node.node_type
    return isinstance(known, Fork) and isinstance(node, Fork) and known == node


def unfit(source: Any, destination: Any) -> str | None:
    """Return what is wrong with the ends of an edge, None when nothing is."""
    if not isinstance(as_node(destination), Step | Join | Fork | Decision | EndNode):
        return f"leads to {destination!r}, which is no node. Decorate it with @wf.function first."
    if isinstance(as_node(source), NodeStep):
        return "is not needed: a BaseNode says itself what comes next. Add wf.add(wf.node(...)) instead."
    if not isinstance(source, StartNode | Step | Join | DecideNode):
        return f"begins at {source!r}, which no edge can leave. Begin at a node, or at wf.start_node."
    return None


def unfit_for_errors(source: Any, destination: Any) -> str | None:
    """Return what is wrong with the ends of an error edge, None when nothing is."""
    if not isinstance(as_node(destination), Step | Join | Fork | Decision | EndNode):
        return f"leads to {destination!r}, which is no node. Decorate it with @wf.function first."
    if isinstance(source, StartNode | Join):
        return "has on_error=, and there is no function of a node at its beginning that could fail. Begin at a node."
    if not isinstance(as_node(source), Step | DecideNode):
        return f"begins at {source!r}, which cannot fail. Begin at a node."
    return None


def condition_of(source: Any, when: object, otherwise: bool) -> Condition | str | None:
    """Return the condition of an edge, None when it has none, or what is wrong with it."""
    decides = isinstance(source, DecideNode)
    if when is not Unset and otherwise:
        return "has both when= and otherwise=True. Give one of them."
    if otherwise:
        return otherwise_condition()
    if when is Unset:
        return (
            f"does not say for which choice of {source.id!r} it is. Add when= or otherwise=True." if decides else None
        )
    if decides:
        return label_condition(when)
    if is_type(when):
        return type_condition(when)
    if callable(when):
        predicate: Any = when
        return predicate_condition(predicate)
    return (
        f"has when={when!r}, which is a value. Only a decide node has edges for values; "
        "give a class or a function of what flows, or decide with @wf.decide."
    )
