"""What type of value flows along each edge of a compiled graph."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_origin

from pydantic_graph import BaseNode, End
from pydantic_graph.id_types import NodeID
from pydantic_graph.paths import DestinationMarker, Path, TransformMarker
from pydantic_graph.util import unpack_type_expression

from milepost.engine.assignability import item_type, members, runtime_class, union_of
from milepost.engine.failure import FailedWith, Succeeded, failure_of
from milepost.engine.hints import read_hints
from milepost.engine.spec import UNKNOWN, LabelIs, NodeKind, NodeSpec, unwrap_choice
from milepost.engine.typed import AnyNode, Decision, DecisionBranch, Fork, Join, NodeStep, StartNode, Step

Nodes = Mapping[NodeID, AnyNode]
Paths = Mapping[NodeID, Sequence[Path]]


@dataclass(frozen=True, slots=True)
class IsInstance:
    """The condition of a branch that leaves a node by type, where `isinstance` cannot take the type itself.

    >>> IsInstance((list, dict))([])
    True
    """

    classes: tuple[type, ...]

    def __call__(self, value: object) -> bool:
        return isinstance(value, self.classes)


@dataclass(frozen=True, slots=True)
class ChoiceType:
    """The type of what leaves the step of a decide node: of its label, and of the value that flows on."""

    label: object
    value: object


@dataclass(frozen=True, slots=True)
class Arrival:
    """A value of type `given` that left `source` and reaches `target`, with nothing but structural nodes between.

    certain: no condition on the way has looked at the value without narrowing its type. failed: it is the failure of
    the source, not its output.
    """

    source: str
    target: str
    given: object
    certain: bool
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """A compiled graph with the descriptions of its nodes, to be walked."""

    nodes: Nodes
    paths: Paths
    specs: Mapping[str, NodeSpec]

    def arrivals(self, source: str) -> list[Arrival]:
        """Follow what leaves a node up to the next nodes that do something, which are listed with all on the way."""
        return list(self.leave(source, self.leaving_type(source)))

    def leave(self, source: str, given: object) -> Iterator[Arrival]:
        """Follow a value of type `given` that leaves a node."""
        for path in self.paths.get(NodeID(source), ()):
            yield from self.follow(path, Arrival(source, source, given, certain=True), frozenset())

    def failure_type(self, source: str) -> object:
        """Return the type of the failure of a node."""
        return failure_of(self.specs[source].input_type)

    def leaving_type(self, source: str) -> object:
        """Return the type of the value that leaves a node, before any edge has done something to it."""
        spec, node = self.specs[source], self.nodes[NodeID(source)]
        if spec.kind is NodeKind.DECISION:
            return ChoiceType(spec.output_type, spec.input_type)
        if isinstance(node, NodeStep) or is_node_type(spec.output_type):
            return UNKNOWN  # it says itself where it goes and what it hands over
        if spec.stream:
            return stream_of(spec.output_type)
        return spec.output_type

    def follow(self, path: Path, at: Arrival, passed: frozenset[str]) -> Iterator[Arrival]:
        given = at.given
        for item in path.items:
            if isinstance(item, TransformMarker):
                given = transformed(item.transform, given)
            elif isinstance(item, DestinationMarker):
                yield from self.enter(Arrival(at.source, item.destination_id, given, at.certain, at.failed), passed)

    def enter(self, at: Arrival, passed: frozenset[str]) -> Iterator[Arrival]:
        yield at
        node = self.nodes.get(NodeID(at.target))
        if at.target in passed:
            return
        passed |= {at.target}
        if isinstance(node, Decision):
            for branch in node.branches:
                if isinstance(branch.matches, FailedWith):
                    onward = Arrival(at.source, at.target, self.failure_type(at.source), certain=True, failed=True)
                else:
                    given, certain = narrowed(branch, at.given)
                    onward = Arrival(at.source, at.target, given, at.certain and certain, at.failed)
                yield from self.follow(branch.path, onward, passed)
        elif isinstance(node, Fork):
            given = item_type(at.given) if node.is_map else at.given
            for path in self.paths.get(node.id, ()):
                yield from self.follow(path, Arrival(at.source, at.target, given, at.certain, at.failed), passed)


def does_something(node: AnyNode | None) -> bool:
    """Tell whether a node is the work, the start or the end of a graph, or a join: anything but a place to branch."""
    return not isinstance(node, Decision | Fork)


def is_source(node: AnyNode) -> bool:
    """Tell whether a node makes a value of its own."""
    return isinstance(node, StartNode | Step | Join)


def narrowed(branch: DecisionBranch[Any], given: object) -> tuple[object, bool]:
    """Return the type that flows down a branch, and whether its condition has settled that type."""
    if isinstance(branch.matches, LabelIs | Succeeded) or isinstance(given, ChoiceType):
        return given, True
    wanted: object = unpack_type_expression(branch.source)
    if wanted is UNKNOWN or wanted is object:
        return given, False
    if wanted is NoneType and branch.matches is None and given is UNKNOWN:
        return given, False  # upstream's branches for what a node returns: they all say None
    kept = [member for member in members(given) if is_inside(member, wanted)]
    settled = branch.matches is None or isinstance(branch.matches, IsInstance)
    return (union_of(kept) if kept else wanted), settled


def is_inside(member: object, wanted: object) -> bool:
    """Tell whether every value of one type is an instance of one of the classes of another."""
    own = runtime_class(member)
    if own is None or member is UNKNOWN:
        return False
    classes = [runtime_class(option) for option in members(wanted)]
    return any(option is not None and issubclass(own, option) for option in classes)


def transformed(transform: Any, given: object) -> object:
    """Return the type of a value after a transform, from the transform's own hint."""
    if transform is unwrap_choice:
        return given.value if isinstance(given, ChoiceType) else UNKNOWN
    return read_hints(transform).output_type


def is_node_type(hint: object) -> bool:
    """Tell whether a type says which BaseNodes or End come next, so that it is no plain value."""
    found = [get_origin(member) or member for member in members(hint)]
    return all(inspect.isclass(member) and issubclass(member, BaseNode | End) for member in found)


def stream_of(item: object) -> object:
    """Return the type of a stream of items."""
    generic: Any = AsyncIterable
    return generic[item]
