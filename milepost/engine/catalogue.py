"""The description of every node of a compiled graph."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pydantic_graph.id_types import NodeID
from pydantic_graph.util import get_callable_name

from milepost.engine.assignability import item_type, union_of
from milepost.engine.declared import Declaration, DeclaredStep
from milepost.engine.flow import ChoiceType, Flow, Nodes, Paths, does_something, is_source
from milepost.engine.hints import Names, closure_names
from milepost.engine.joins import join_types, unresolved_hints
from milepost.engine.spec import UNKNOWN, NodeKind, NodeSpec
from milepost.engine.typed import AnyNode, Decision, EndNode, Fork, Join, NodeStep, StartNode, Step

STREAM_WRAPPER = "GraphBuilder.stream.<locals>.wrapper"


def describe_nodes(
    nodes: Nodes,
    paths: Paths,
    *,
    input_type: object,
    output_type: object,
    names: Names | None = None,
    is_generated: Callable[[AnyNode], bool] | None = None,
) -> dict[str, NodeSpec]:
    """Describe every node: what its author declared, and what follows from its neighbours where nothing was declared.

    names: the local names that can be seen now, for hints that could not be resolved before. is_generated: tells
    whether a node's id was made up; without it, ids that look like those pydantic-graph makes up are taken for such.
    """
    made_up = is_generated or looks_generated
    specs: dict[str, NodeSpec] = {}
    for node_id, node in nodes.items():
        spec = declared_spec(node, names)
        if isinstance(node, StartNode):
            spec = replace(spec, input_type=input_type, output_type=input_type)
        elif isinstance(node, EndNode):
            spec = replace(spec, input_type=output_type, output_type=output_type)
        specs[node_id] = replace(spec, generated=spec.generated or made_up(node))
    flow = Flow(nodes, paths, specs)
    settle_unknown(flow, specs, names)
    settle_structural(flow, specs)
    return specs


def declared_spec(node: AnyNode, names: Names | None) -> NodeSpec:
    """Describe one node by itself."""
    if isinstance(node, DeclaredStep):
        return node.spec(names)
    if isinstance(node, NodeStep):
        kind = node.node_type
        return NodeSpec(id=node.id, kind=NodeKind.FUNCTION, input_type=kind, label=node.label, doc=class_doc(kind))
    if isinstance(node, Step):
        declared = plain_declaration(node)
        return declared.spec(node.id, declared.hints(names))
    if isinstance(node, Fork):
        return NodeSpec(id=node.id, kind=NodeKind.MAP if node.is_map else NodeKind.BROADCAST)
    if isinstance(node, Decision):
        return NodeSpec(id=node.id, kind=NodeKind.DECISION, label=node.note)
    if isinstance(node, Join):
        return NodeSpec(id=node.id, kind=NodeKind.JOIN, unresolved=unresolved_hints(node, names))
    return NodeSpec(id=node.id, kind=NodeKind.START if isinstance(node, StartNode) else NodeKind.END)


def plain_declaration(step: Step[Any, Any, Any, Any]) -> Declaration:
    """Read what a step that pydantic-graph made says about itself; a stream hides its function in a closure."""
    call: Callable[..., object] = step.call
    stream = getattr(call, "__qualname__", "") == STREAM_WRAPPER
    inner = closure_names(call).get("call") if stream else None
    function = inner if callable(inner) else call
    return Declaration(kind=NodeKind.FUNCTION, function=function, label=step.label, stream=stream)


def class_doc(node_type: type) -> str:
    """Return the docstring of a class, "" when it is the signature that dataclasses put there."""
    text = node_type.__doc__ or ""
    return "" if text.startswith(f"{node_type.__name__}(") else inspect.cleandoc(text)


def looks_generated(node: AnyNode) -> bool:
    """Tell whether an id looks like one that pydantic-graph made up."""
    if isinstance(node, Fork):
        return node.id.endswith("_broadcast_fork") or bool(re.fullmatch(r"(map|broadcast)(_\d+)?", node.id))
    if isinstance(node, Decision):
        return bool(re.fullmatch(r"decision(_\d+)?", node.id))
    if isinstance(node, Join):
        return bool(re.fullmatch(re.escape(get_callable_name(node.reducer)) + r"(_\d+)?", node.id))
    return False


class Untouched:
    """Stands for a value that flows along edges, to see where it arrives as it was."""


def settle_unknown(flow: Flow, specs: dict[str, NodeSpec], names: Names | None) -> None:
    """Fill in what joins take and give, and outputs that nobody declared, from the nodes before and after."""
    arriving: dict[str, list[object]] = {}
    for node_id, node in flow.nodes.items():
        if is_source(node):
            for arrival in flow.arrivals(node_id):
                arriving.setdefault(arrival.target, []).append(arrival.given)
    for node_id, node in flow.nodes.items():
        if isinstance(node, Join):
            taken, given = join_types(node, union_of(arriving.get(node_id, ())), wanted_type(flow, node_id), names)
            specs[node_id] = replace(specs[node_id], input_type=taken, output_type=given)
        elif isinstance(node, Step) and not isinstance(node, NodeStep) and says_nothing_of_output(specs[node_id]):
            specs[node_id] = replace(specs[node_id], output_type=wanted_type(flow, node_id))


def says_nothing_of_output(spec: NodeSpec) -> bool:
    return spec.output_type is UNKNOWN and not spec.stream and spec.kind is not NodeKind.DECISION


def wanted_type(flow: Flow, node_id: str) -> object:
    """Return the one input type of all nodes that a node's output reaches as it is, unknown when they differ."""
    ahead = [at for at in flow.leave(node_id, Untouched) if not at.failed]
    arrivals = [at for at in ahead if does_something(flow.nodes.get(NodeID(at.target)))]
    wanted = [flow.specs[at.target].input_type for at in arrivals if at.given is Untouched and at.target in flow.specs]
    if not wanted or len(wanted) < len(arrivals) or any(hint != wanted[0] for hint in wanted):
        return UNKNOWN
    return wanted[0]


def settle_structural(flow: Flow, specs: dict[str, NodeSpec]) -> None:
    """Fill in what passes through forks and decisions."""
    passing: dict[str, list[object]] = {}
    for node_id, node in flow.nodes.items():
        if is_source(node):
            for arrival in flow.arrivals(node_id):
                passing.setdefault(arrival.target, []).append(arrival.given)
    for node_id, node in flow.nodes.items():
        if does_something(node):
            continue
        given = union_of([plain(hint) for hint in passing.get(node_id, ())])
        leaving = item_type(given) if isinstance(node, Fork) and node.is_map else given
        specs[node_id] = replace(specs[node_id], input_type=given, output_type=leaving)


def plain(hint: object) -> object:
    """Return the type that people know: of the label, for what leaves a decide node."""
    return hint.label if isinstance(hint, ChoiceType) else hint
