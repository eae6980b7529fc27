"""A workflow as plain text: what is stored beside its runs, so that they can be drawn without its code."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import blake2b
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from pydantic_graph.decision import Decision
from pydantic_graph.id_types import NodeID
from pydantic_graph.node import Fork
from pydantic_graph.paths import DestinationMarker, LabelMarker, Path, TransformMarker
from pydantic_graph.util import unpack_type_expression

from milepost.engine.errors import StoreError
from milepost.engine.failure import FailedWith, failure_of
from milepost.engine.policy import Policy
from milepost.engine.spec import UNKNOWN, NodeSpec
from milepost.engine.workflow import Workflow

OTHERWISE = "otherwise"


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinedNode:
    """One node of the compiled graph, structural ones included.

    kind: a `NodeKind`'s value. label: the author's words for it, None when there are none. doc: the first sentence of
    its docstring. marks: its policy in short words, e.g. "retry ≤ 3". input, output: names of types, "" when not
    declared. stream: it sends its output item by item. generated: its id was not given by the author. waits: the fork
    that a join waits for, "" for any other node. workflow: the name of the workflow that it runs, "" for any other
    node. child: that workflow, None where it is one that this node is already inside of. events: the names of those
    that it may wait for. refuses: those of them that it takes only while it waits.
    """

    id: str
    kind: str
    label: str | None = None
    doc: str = ""
    marks: tuple[str, ...] = ()
    input: str = ""
    output: str = ""
    stream: bool = False
    generated: bool = False
    waits: str = ""
    workflow: str = ""
    child: Definition | None = None
    events: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinedEdge:
    """One way out of a node.

    branch: the index of the branch of a decision or of the path of a broadcast fork, else 0. label: the condition, or
    the author's words. type: the name of the type that flows along it, "" when not known. error: it is taken when the
    node before its source, which stands for the outcome of that node, fails.
    """

    source: str
    target: str
    branch: int = 0
    label: str | None = None
    type: str = ""
    error: bool = False


@dataclass(frozen=True)
class Definition:
    """A whole workflow, for people, pictures and comparison. nodes and edges: in the order they were declared."""

    name: str
    version: int
    nodes: tuple[DefinedNode, ...]
    edges: tuple[DefinedEdge, ...]

    def to_json(self) -> str:
        """Return the canonical JSON text: equal definitions give equal text."""
        return self._text

    @cached_property
    def _text(self) -> str:  # every run begins with it
        return json.dumps(_plain(self), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Definition:
        """Read what `to_json` wrote.

        Raises StoreError: the text is not a definition. Fields that this version does not know are left out.
        """
        try:
            return _definition(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
            raise StoreError(
                f"A stored definition of a workflow cannot be read ({type(fault).__name__}: {fault}). "
                "Verify the run it belongs to, or draw the workflow from its code."
            ) from fault

    @cached_property
    def fingerprint(self) -> str:
        """The blake2b-128 of `to_json()`, 32 hexadecimal digits."""
        return blake2b(self.to_json().encode(), digest_size=16).hexdigest()


def describe(workflow: Workflow[Any, Any, Any, Any]) -> Definition:
    """Write down what `workflow` declares: one node per compiled node, one edge per compiled path.

    The workflows that its nodes run are written down inside it, each with those that it runs, until one comes again.
    Raises WorkflowError: a function that gives such a workflow failed.
    """
    return _described(workflow, (), None)


def _described(workflow: Workflow[Any, Any, Any, Any], above: tuple[object, ...], depth: int | None) -> Definition:
    """Describe a workflow. above: those that it is inside of, each with what gave it. depth: how many there may be."""
    path = (*above, workflow)
    waits = {str(join): str(parent.fork_id) for join, parent in workflow.parent_forks.items()}
    nodes = tuple(_described_node(spec, path, depth, waits.get(spec.id, "")) for spec in workflow.specs.values())
    edges = tuple(edge for source in workflow.nodes for edge in _edges_from(workflow, source))
    return Definition(workflow.name or "workflow", workflow.version, nodes, edges)


def _described_node(spec: NodeSpec, path: tuple[object, ...], depth: int | None, waits: str) -> DefinedNode:
    """Describe a node, with the workflow that it runs unless that, or what gives it, is on the path already."""
    node = _defined_node(spec, waits)
    if spec.child is None:
        return node
    inner: Workflow[Any, Any, Any, Any] = spec.child.find()
    given, most = spec.child.given, spec.child.depth if depth is None else depth
    is_new = not any(known is inner or known is given for known in path) and len(path) // 2 < most
    child = _described(inner, (*path, given), most) if is_new else None
    return replace(node, workflow=inner.name or "workflow", child=child)


def type_name(hint: object) -> str:
    """Return the short name of a type as people write it, "" for one that is not known.

    >>> type_name(list[int | None]), type_name(Literal["high", 1]), type_name(Any)
    ('list[int | None]', "Literal['high', 1]", '')
    """
    if hint is Any or hint is inspect.Parameter.empty:
        return ""
    if hint is None or hint is NoneType:
        return "None"
    origin = get_origin(hint)
    if origin is None:
        return _plain_name(hint)
    if origin is Annotated:
        return type_name(get_args(hint)[0])
    if origin in (Union, UnionType):
        return " | ".join(_inner_name(part) for part in get_args(hint))
    if origin is Literal:
        return f"Literal[{', '.join(repr(value) for value in get_args(hint))}]"
    arguments = ", ".join(_inner_name(part) for part in get_args(hint))
    return f"{_plain_name(origin)}[{arguments}]"


def _inner_name(hint: object) -> str:
    if hint is Ellipsis:
        return "..."
    if isinstance(hint, list):  # the parameters of a Callable
        return f"[{', '.join(map(_inner_name, cast(list[object], hint)))}]"
    return type_name(hint) or "Any"


def _plain_name(hint: object) -> str:
    if isinstance(hint, TypeVar):
        return hint.__name__
    name = getattr(hint, "__qualname__", None) or getattr(hint, "__name__", None)
    return str(name).rsplit("<locals>.", 1)[-1] if name else str(hint).removeprefix("typing.")


def _definition(data: dict[str, Any]) -> Definition:
    nodes = tuple(DefinedNode(**_known(DefinedNode, item)) for item in data["nodes"])
    edges = tuple(DefinedEdge(**_known(DefinedEdge, item)) for item in data["edges"])
    return Definition(str(data["name"]), int(data["version"]), nodes, edges)


def _plain(definition: Definition) -> dict[str, Any]:
    """Return a definition as plain data; what only some nodes have, only where they have it."""
    found = asdict(definition)
    for node, plain in zip(definition.nodes, found["nodes"], strict=True):
        if node.child is not None:
            plain["child"] = _plain(node.child)
        for part in ("events", "refuses"):
            if not plain[part]:
                del plain[part]
    return found


def _known(kind: type[DefinedNode] | type[DefinedEdge], item: dict[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in item.items() if name in kind.__slots__}
    if "marks" in known:
        known["marks"] = tuple(known["marks"])
    for part in ("events", "refuses"):
        if part in known:
            known[part] = tuple(known[part])
    if known.get("child") is not None:
        known["child"] = _definition(known["child"])
    return known


def _defined_node(spec: NodeSpec, waits: str) -> DefinedNode:
    return DefinedNode(
        id=spec.id,
        kind=spec.kind.value,
        label=spec.label,
        doc=_first_sentence(spec.doc),
        marks=tuple(_marks(spec)),
        input=type_name(spec.input_type),
        output=type_name(spec.output_type),
        stream=spec.stream,
        generated=spec.generated,
        waits=waits,
        events=tuple(one.event for one in spec.expects if one.kind == "event"),
        refuses=tuple(one.event for one in spec.expects if one.kind == "event" and not one.keeps),
    )


def _first_sentence(doc: str) -> str:
    paragraph = inspect.cleandoc(doc).split("\n\n", 1)[0]
    text = " ".join(paragraph.split())
    end = text.find(". ")
    return (text[:end] if end >= 0 else text).rstrip(".")


def _marks(spec: NodeSpec) -> Iterator[str]:
    yield from _policy_marks(spec.policy)
    if spec.stream:
        yield "stream" if spec.resume == "skip" else f"stream, {spec.resume}"
    if spec.thread:
        yield "thread"


def _policy_marks(policy: Policy) -> Iterator[str]:
    if policy.retry is not None and policy.retry.tries_again:
        yield "retry" if policy.retry.attempts is None else f"retry ≤ {policy.retry.attempts}"
    if policy.timeout is not None:
        yield f"timeout {policy.timeout:g} s"
    if policy.total_timeout is not None:
        yield f"total {policy.total_timeout:g} s"
    if policy.cache is not None:
        yield "cache" if policy.cache.ttl is None else f"cache {policy.cache.ttl:g} s"
    if policy.rate_limit is not None:
        yield f"rate ≤ {policy.rate_limit.calls} per {policy.rate_limit.per:g} s"
    if policy.max_concurrency is not None:
        yield f"≤ {policy.max_concurrency} at once"
    if policy.circuit_breaker is not None:
        yield f"circuit breaker {policy.circuit_breaker.failures}"
    if policy.at_most_once:
        yield "at most once"


def _edges_from(workflow: Workflow[Any, Any, Any, Any], source: NodeID) -> Iterator[DefinedEdge]:
    node = workflow.nodes[source]
    if isinstance(node, Decision):
        inferred = all((branch.source, branch.matches) == (NoneType, None) for branch in node.branches)
        for index, branch in enumerate(node.branches):
            matched: object = unpack_type_expression(branch.source)
            condition = None if inferred else _condition(matched, branch.matches)  # the returned node says which
            error = isinstance(branch.matches, FailedWith)
            flows = _failure_type(workflow, source) if error else matched
            yield replace(_edge(workflow, source, branch.path, index, condition, flows), error=error)
        return
    spreads = isinstance(node, Fork) and not node.is_map
    for index, path in enumerate(workflow.edges_by_source.get(source, ())):
        yield _edge(workflow, source, path, index if spreads else 0)


def _failure_type(workflow: Workflow[Any, Any, Any, Any], outcome: NodeID) -> object:
    """Return the type of the failures of the node whose outcome a decision stands for."""
    end = DestinationMarker(outcome)
    leaving = workflow.edges_by_source.items()
    before = (source for source, paths in leaving if any(end in path.items for path in paths))
    return failure_of(next((workflow.specs[source].input_type for source in before), UNKNOWN))


def _edge(
    workflow: Workflow[Any, Any, Any, Any],
    source: str,
    path: Path,
    branch: int,
    condition: str | None = None,
    narrowed: object = UNKNOWN,
) -> DefinedEdge:
    labels = [item.label for item in path.items if isinstance(item, LabelMarker)]
    target = next(str(item.destination_id) for item in path.items if isinstance(item, DestinationMarker))
    flows: list[object] = [narrowed if narrowed is not object else UNKNOWN, workflow.specs[source].output_type]
    if any(isinstance(item, TransformMarker) for item in path.items):
        flows.clear()  # what the transform makes of it is known only where it goes
    flows.append(workflow.specs[target].input_type)
    return DefinedEdge(
        source=source,
        target=target,
        branch=branch,
        label=" · ".join(labels) or condition,
        type=next((name for name in map(type_name, flows) if name), ""),
    )


def _condition(source: object, matches: object) -> str | None:
    """Put the condition of a branch that has no label into words; None when it has no name."""
    if matches is not None:
        name = str(getattr(matches, "__name__", "<lambda>"))
        return None if name == "<lambda>" else name
    if source is Any or source is object:
        return OTHERWISE
    if get_origin(source) is Literal:
        return " or ".join(repr(value) for value in get_args(source))
    return type_name(source)
