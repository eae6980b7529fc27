"""A workflow as the core reads it: every node with its role, its exits and the joins it keeps waiting."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic_graph.id_types import NodeID
from pydantic_graph.paths import DestinationMarker, Path, TransformMarker
from pydantic_graph.util import unpack_type_expression

from milepost.engine.codec import items_of
from milepost.engine.errors import WorkflowError
from milepost.engine.failure import Succeeded, failure_of
from milepost.engine.hints import read_hints
from milepost.engine.keys import escape
from milepost.engine.policy import Policy
from milepost.engine.spec import NO_POLICY, UNKNOWN, Expected, NodeKind, Resume, unwrap_choice
from milepost.engine.typed import Decision, DecisionBranch, EndNode, Fork, Join, NodeStep, StartNode, Step
from milepost.engine.workflow import Workflow

Matcher = Callable[[Any], bool]


Role = Literal["step", "base node", "decide", "decision", "broadcast", "map", "join", "start", "end"]
"""What the core does with a value that reaches a node."""

WORK: Final = frozenset({"step", "base node", "decide"})
"""The roles of nodes that make tasks; the others are passed at once."""


@dataclass(frozen=True, slots=True)
class Exit:
    """One way out of a node.

    segment: the target as it stands in a route. matches: the condition, on a decision. type: of what the transforms
    make, as their last one declares it. tag: names that type, or the target's input type when it declares none.
    """

    target: str
    segment: str
    transforms: tuple[Callable[[Any], Any], ...]
    matches: Matcher | None
    type: object
    tag: str


@dataclass(frozen=True, slots=True)
class JoinPlan:
    """How a join reduces.

    arity: of its reducer, 2 or 3. fork: its parent fork. cut: that fork, when its output leaves it.
    """

    node: Join[Any, Any, Any, Any]
    arity: int
    fork: str
    cut: str | None


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node. watch: the (join, parent fork) pairs that cannot fire while this node is active in their fork run.

    mark: `#` when passing this fork is kept in the fork stack, else `:`. eager: the join that a map opens at once, so
    that it fires for no items too. inferred: the edges come from a return hint, so the returned instance decides.
    catches: it is the decision between a node's error edges and, last, the way of its output. policy: None when its
    author asked for nothing. resume: how a stream gets past the items that are committed, see `NodeSpec`.
    out, what: the tag of its output, and what that is called in an error. nests: it runs a workflow. expects: what it
    waits for. passes: what came in flows on, whatever it does.
    """

    id: str
    segment: str
    role: Role
    exits: tuple[Exit, ...]
    watch: tuple[tuple[str, str], ...]
    mark: str = ":"
    call: Callable[[Any], Any] | None = None
    join: JoinPlan | None = None
    eager: str | None = None
    inferred: bool = False
    catches: bool = False
    policy: Policy | None = None
    resume: Resume = "skip"
    out: str = ""
    what: str = ""
    nests: bool = False
    expects: tuple[Expected, ...] = ()
    passes: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the core needs to know of a workflow.

    parents: the joins whose parent fork a fork is. cancelling: the parent forks of joins that may cancel the rest.
    limits: how many items of a map may be under way at once. nests: some node runs a workflow. waits: some node waits
    for something.
    """

    workflow: Workflow[Any, Any, Any, Any]
    nodes: Mapping[str, PlanNode]
    parents: Mapping[str, tuple[str, ...]]
    cancelling: frozenset[str]
    limits: Mapping[str, int]
    nests: bool
    waits: bool

    def type_of(self, tag: str) -> object:
        """Return the declared type that a value's tag names; see `milepost.engine.values.Value`."""
        kind, _, node = tag.partition(":")
        if kind == "input":
            return self.workflow.input_type
        if kind == "edge":
            number, _, source = node.partition(":")
            return self.nodes[source].exits[int(number)].type
        if kind == "item":
            return items_of(self.type_of(node))
        if kind == "failure":
            return failure_of(self.workflow.specs[node].input_type)
        if kind == "items":
            return list_of(items_of(self.type_of(node)))
        if kind == "nothing":
            return NoneType
        if kind == "event":
            return UNKNOWN
        spec = self.workflow.specs[node]
        if kind == "list":
            return list_of(spec.input_type)
        return spec.output_type if kind == "out" else spec.input_type


def list_of(item: Any) -> object:
    """Return the type of a list of these items."""
    return list[item]


def compile_plan(workflow: Workflow[Any, Any, Any, Any]) -> Plan:
    """Read a workflow once, before its first run."""
    watch: dict[str, list[tuple[str, str]]] = {}
    parents: dict[str, tuple[str, ...]] = {}
    for join, parent in workflow.parent_forks.items():
        parents[parent.fork_id] = (*parents.get(parent.fork_id, ()), join)
        for node in sorted({*parent.intermediate_nodes, join}):
            watch.setdefault(node, []).append((join, parent.fork_id))
    policies = {node_id: spec.policy for node_id, spec in workflow.specs.items() if spec.policy != NO_POLICY}
    maps = [str(node_id) for node_id, node in workflow.nodes.items() if isinstance(node, Fork) and node.is_map]
    limits = {one: most for one in maps if one in policies and (most := policies[one].max_concurrency) is not None}
    nodes = {
        str(node_id): plan_node(workflow, str(node_id), node, tuple(watch.get(node_id, ())), {*parents, *limits})
        for node_id, node in workflow.nodes.items()
    }
    cancelling = frozenset(node.join.fork for node in nodes.values() if node.join is not None and node.join.arity == 3)
    nests, waits = (any(getattr(node, part) for node in nodes.values()) for part in ("nests", "expects"))
    return Plan(workflow, nodes, parents, cancelling, limits, nests, waits)


def plan_node(
    workflow: Workflow[Any, Any, Any, Any], node_id: str, node: Any, watch: tuple[tuple[str, str], ...], kept: set[str]
) -> PlanNode:
    """Read one node and the ways out of it. kept: the forks that stay in the stacks of what they spawn."""
    if isinstance(node, Decision):
        exits = tuple(
            exit_of(node_id, number, branch.path, matcher(branch)) for number, branch in enumerate(node.branches)
        )
        inferred = all(branch.source is type(None) and branch.matches is None for branch in node.branches)
        catches = bool(node.branches) and isinstance(node.branches[-1].matches, Succeeded)
        return PlanNode(
            node_id, escape(node_id), "decision", exits, watch, inferred=inferred and not catches, catches=catches
        )
    paths = workflow.edges_by_source.get(NodeID(node_id), [])
    exits = tuple(exit_of(node_id, number, path) for number, path in enumerate(paths))
    call: Any = getattr(node, "call", None)
    eager: str | None = getattr(node, "downstream_join_id", None)
    join = join_plan(workflow, node) if node_id in workflow.parent_forks else None
    spec = workflow.specs[node_id]
    return PlanNode(
        node_id,
        escape(node_id),
        role_of(node, spec.kind),
        exits,
        watch,
        "#" if node_id in kept else ":",
        call,
        join,
        eager,
        policy=None if spec.policy == NO_POLICY else spec.policy,
        resume=spec.resume,
        out=f"out:{node_id}",
        what=f"the output of node {node_id!r}",
        nests=spec.child is not None,
        expects=spec.expects,
        passes=spec.kind is NodeKind.SLEEP,
    )


def role_of(node: Any, kind: NodeKind) -> Role:
    """Tell what the core does with a node of this class."""
    match node:
        case NodeStep():
            return "base node"
        case Step():
            return "decide" if kind is NodeKind.DECISION else "step"
        case Fork():
            return "map" if node.is_map else "broadcast"
        case Join():
            return "join"
        case StartNode():
            return "start"
        case EndNode():
            return "end"
        case _:
            raise WorkflowError(f"{node!r} is not a kind of node that Milepost can run.")


def exit_of(node_id: str, number: int, path: Path, matches: Matcher | None = None) -> Exit:
    """Read a compiled path: its transforms, then one destination.

    The transform that unwraps what a decide node chose is left out, as the core does not wrap it.
    """
    found = (item.transform for item in path.items if isinstance(item, TransformMarker))
    transforms = tuple(transform for transform in found if transform is not unwrap_choice)
    target = next(str(item.destination_id) for item in path.items if isinstance(item, DestinationMarker))
    type_ = read_hints(transforms[-1]).output_type if transforms else UNKNOWN
    tag = f"in:{target}" if type_ is UNKNOWN else f"edge:{number}:{node_id}"
    return Exit(target, escape(target), transforms, matches, type_, tag)


def join_plan(workflow: Workflow[Any, Any, Any, Any], node: Join[Any, Any, Any, Any]) -> JoinPlan:
    """Read a join: how its reducer is called and what it waits for."""
    arity = arity_of(node.reducer)
    fork = str(workflow.get_parent_fork(node.id).fork_id)
    return JoinPlan(node, 2 if arity == 2 else 3, fork, fork if workflow.is_final_join(node.id) else None)


def arity_of(reducer: Callable[..., Any]) -> int:
    """Return how many parameters a reducer has; one whose signature cannot be read takes the two that all take."""
    try:
        return len(inspect.signature(reducer).parameters)
    except ValueError:
        return 2


def matcher(branch: DecisionBranch[Any]) -> Matcher:
    """Return the condition of a branch, by the rules of pydantic_graph's decisions."""
    if branch.matches is not None:
        return branch.matches
    source: Any = unpack_type_expression(branch.source)
    if source is Any or source is object:
        return lambda _: True
    if get_origin(source) is Literal:
        options = get_args(source)
        return lambda value: any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in options)

    def is_instance(value: object) -> bool:
        try:
            return isinstance(value, source)
        except TypeError as error:
            raise RuntimeError(f"Decision branch source {source} is not a valid type.") from error

    return is_instance
