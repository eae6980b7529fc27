"""Sub-workflow nodes: a workflow as a step of a graph. Every task of such a node has a run of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from copy import deepcopy
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args, get_origin

from milepost.engine.admission import is_optional
from milepost.engine.assignability import accepts, type_name
from milepost.engine.children import ChildWork
from milepost.engine.current import run_child
from milepost.engine.declared import DeclaredStep
from milepost.engine.errors import WorkflowError
from milepost.engine.hints import RETURN, Names, plain_function, read_hints, strip, unresolved_hint
from milepost.engine.policy import is_whole
from milepost.engine.spec import UNKNOWN, Child, NodeKind, NodeSpec
from milepost.engine.typed import Graph, StepContext
from milepost.engine.workflow import Workflow, state_maker
from milepost.nodes.function import Options, name_of_function

AnyWorkflow = Workflow[Any, Any, Any, Any]
AnyContext = StepContext[Any, Any, Any]
FromContext = Callable[[AnyContext], Any]
"""Makes something of what the node that runs a workflow is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Where a run inside a run gets its inputs, its state and its deps from; None for what its author did not say."""

    inputs: FromContext | None = None
    state: FromContext | None = None
    deps: FromContext | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """The types of a workflow. known: it says so itself, and not only the function that gives it."""

    state: object = UNKNOWN
    deps: object = UNKNOWN
    input: object = UNKNOWN
    output: object = UNKNOWN
    known: bool = False


class Lookup:
    """Finds the workflow of a node, once. given: the workflow, or a function that returns it."""

    def __init__(self, node: str, given: object) -> None:
        self.given = given
        self._node = node
        self._found: AnyWorkflow | None = given if isinstance(given, Workflow) else None

    def __call__(self) -> AnyWorkflow:
        """Return the workflow. Raises WorkflowError: its function failed, or gave something else."""
        if self._found is None:
            self._found = self._made()
        return self._found

    def _made(self) -> AnyWorkflow:
        give: Any = self.given
        try:
            made = give()
        except Exception as fault:
            raise WorkflowError(
                f"Node {self._node!r} has no workflow to run, because {title(give)} failed with "
                f"{type(fault).__name__}: {str(fault).rstrip('.')}."
            ) from fault
        if not isinstance(made, Workflow):
            raise WorkflowError(f"Node {self._node!r} has no workflow to run: {title(give)} returned {made!r}.{HOW}")
        return made

    def signature(self, later: Names) -> Signature:
        """Return the types, of the workflow or of what its function is annotated to return."""
        if isinstance(self.given, Workflow):
            found: AnyWorkflow = self.given
            return Signature(found.state_type, found.deps_type, found.input_type, found.output_type, known=True)
        give: Any = self.given
        returns = strip(read_hints(give, later).returns)
        origin, types = get_origin(returns), get_args(returns)
        if isinstance(origin, type) and issubclass(origin, Graph) and len(types) == 4:
            return Signature(*types)
        return Signature()


HOW = " Give what wf.build() or Workflow.from_graph() returns, or a function without arguments that returns it."


class SubworkflowStep(DeclaredStep[Any, Any, Any, Any]):
    """A step that runs a workflow. lookup: finds it. feed: where its run gets what it needs."""

    lookup: Lookup
    feed: Feed
    depth: int
    names: Names

    def spec(self, later: Names | None = None) -> NodeSpec:
        names = dict(later or {}) | dict(self.names)
        types = self.lookup.signature(names)
        give: Any = self.lookup.given
        return NodeSpec(
            id=self.id,
            kind=NodeKind.WORKFLOW,
            input_type=types.input if self.feed.inputs is None else read_hints(self.feed.inputs, names).input_type,
            output_type=types.output,
            label=self.declared.label,
            doc="" if isinstance(give, Workflow) else inspect.getdoc(give) or "",
            policy=self.declared.policy,
            unresolved=tuple(self._unresolved(names)),
            child=Child(given=give, find=self.lookup, depth=self.depth),
        )

    def _unresolved(self, names: Names) -> Iterator[str]:
        """Yield a sentence for each annotation that says what flows through the node and could not be resolved."""
        give: Any = self.lookup.given
        if self.feed.inputs is not None:
            hints = read_hints(self.feed.inputs, names)
            if hints.context in hints.missing:
                yield unresolved_hint(f"node {self.id!r}", hints.context, hints.missing[hints.context])
        if not isinstance(give, Workflow) and (reason := read_hints(give, names).missing.get(RETURN)):
            yield unresolved_hint(f"{title(give)}, which node {self.id!r} runs,", RETURN, reason)

    def faults(self, parent_deps: object, later: Names) -> Iterator[str]:
        """Yield a sentence for everything that a run of the workflow would not get, or that would not fit.

        parent_deps: the type of the deps that the node is given itself.
        """
        names = dict(later) | dict(self.names)
        types = self.lookup.signature(names)
        what = f"node {self.id!r}"
        for part, wanted in (("inputs", types.input), ("state", types.state), ("deps", types.deps)):
            function: FromContext | None = getattr(self.feed, part)
            given = UNKNOWN if function is None else read_hints(function, names).output_type
            if not accepts(wanted, given):
                yield (
                    f"{part}= of {what} gives {type_name(given)}, but its workflow takes {type_name(wanted)}. "
                    "Change one of the two."
                )
        if self.feed.state is None and not is_optional(types.state) and state_maker(types.state) is None:
            yield (
                f"The workflow of {what} needs a state, and {type_name(types.state)} has fields without a default. "
                "Say where it comes from, e.g. state=lambda ctx: ..., or give every field a default."
            )
        if types.known and not self.lookup().deps_factory and not self._has_deps(types.deps, parent_deps):
            yield (
                f"The workflow of {what} needs deps of type {type_name(types.deps)}, and those of the node are "
                f"{type_name(parent_deps)}. Say where they come from, e.g. deps=lambda ctx: ctx.deps."
            )

    def _has_deps(self, wanted: object, parent_deps: object) -> bool:
        return self.feed.deps is not None or is_optional(wanted) or hands_on(wanted, parent_deps)


def hands_on(wanted: object, deps: object) -> bool:
    """Tell whether deps of one type are what a workflow inside wants."""
    return wanted not in (None, NoneType) and deps not in (None, NoneType) and accepts(wanted, deps)


def title(function: Any) -> str:
    """Name a function that gives a workflow."""
    return f"{getattr(plain_function(function), '__name__', repr(function))}()"


def subworkflow_step(given: object, feed: Feed, depth: int, parent_deps: object, options: Options) -> SubworkflowStep:
    """Make a step that runs a workflow.

    given: the workflow, or a function without arguments that returns it. depth: how many workflows may be inside one
    another, if this node is the outermost of them. parent_deps: the type of the deps that the node is given.
    Raises WorkflowError: one of these cannot work.
    """
    name = options.node_id or name_of_child(given)
    check_given_workflow(name, given)
    check_feed(name, feed)
    if not is_whole(depth) or depth < 1:
        raise WorkflowError(f"Node {name!r}: depth={depth!r} would never let its workflow begin. Give 1 or more.")
    lookup = Lookup(name, given)

    async def call(ctx: AnyContext) -> Any:
        workflow = lookup()

        def begin() -> tuple[Any, Any]:
            inputs = ctx.inputs if feed.inputs is None else feed.inputs(ctx)
            return inputs, None if feed.state is None else own_copy(name, feed.state(ctx))

        async with AsyncExitStack() as stack:
            if feed.deps is not None:
                deps = feed.deps(ctx)
            elif hands_on(workflow.deps_type, parent_deps) and ctx.deps is not None:
                deps = ctx.deps
            elif workflow.deps_factory is not None:
                deps = await stack.enter_async_context(workflow.deps_factory())
            else:
                deps = None
            return await run_child(name, ChildWork(workflow=workflow, begin=begin, deps=deps, depth=depth))

    declared = options.declare(NodeKind.WORKFLOW, feed.inputs or nothing)
    step = SubworkflowStep(id=name, call=call, declared=declared)
    step.lookup, step.feed, step.depth, step.names = lookup, feed, depth, options.names
    options.announce(step)
    return step


def nothing(ctx: AnyContext) -> Any:
    """Stand for the function of a node that has none of its own."""


def name_of_child(given: object) -> str:
    """Return the name of a workflow, or of the function that gives it. Raises WorkflowError: it has none."""
    if isinstance(given, Workflow):
        if not given.name:
            raise WorkflowError(f"{given!r} has no name to be the id of its node. Give one with node_id=.")
        return str(given.name)
    if not callable(given) or isinstance(given, type):
        raise WorkflowError(f"{given!r} is no workflow to run.{HOW}")
    return name_of_function(given)


def check_given_workflow(name: str, given: object) -> None:
    """Refuse what is neither a workflow nor a function that could give one."""
    if isinstance(given, Workflow):
        return
    if not callable(given) or isinstance(given, type):
        raise WorkflowError(f"Node {name!r} is given {given!r}, which is no workflow.{HOW}")
    if inspect.iscoroutinefunction(plain_function(given)):
        raise WorkflowError(f"Node {name!r} is given {title(given)}, which is asynchronous.{HOW}")
    parameters = inspect.signature(given).parameters.values()
    if any(one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters):
        raise WorkflowError(f"Node {name!r} is given {title(given)}, which takes arguments.{HOW}")


def check_feed(name: str, feed: Feed) -> None:
    """Refuse what does not make anything of a step context at once."""
    for part in ("inputs", "state", "deps"):
        function: object = getattr(feed, part)
        if function is None:
            continue
        if not callable(function):
            raise WorkflowError(
                f"Node {name!r}: {part}={function!r} is no function of the step context. "
                f"Write {part}=lambda ctx: ..., so that every run gets its own."
            )
        if inspect.iscoroutinefunction(plain_function(function)):
            raise WorkflowError(
                f"Node {name!r}: {part}={title(function)} is asynchronous. Put what has to be waited for into a node."
            )


def own_copy(name: str, state: Any) -> Any:
    """Return a copy of a state, so that a run shares nothing with the one that it is inside of."""
    try:
        return deepcopy(state)
    except Exception as fault:
        raise WorkflowError(
            f"Node {name!r}: what state= gives cannot be copied ({type(fault).__name__}: {str(fault).rstrip('.')}). "
            "A state is plain data; put what cannot be copied into the deps."
        ) from fault
