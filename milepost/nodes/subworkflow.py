"""Sub-workflow nodes: a workflow as a step of a graph. Every task of such a node has a run of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin

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
from milepost.nodes.function import Options, name_of_function, nothing

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
    """The types of a workflow. makes_deps: it makes its own deps where nobody gives them, None when not known."""

    state: object = UNKNOWN
    deps: object = UNKNOWN
    input: object = UNKNOWN
    output: object = UNKNOWN
    makes_deps: bool | None = None


HOW = " Give what wf.build() or Workflow.from_graph() returns, or a function without arguments that returns it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What is declared of the workflow that a node runs.

    given: the workflow, or a function that returns it. depth: how many workflows may be inside one another, if this
    node is the outermost of them. parent_deps: the type of the deps that the node is given itself. names: the local
    names that its author could see.
    """

    node: str
    given: Any
    feed: Feed
    depth: int
    parent_deps: object
    names: Names

    @property
    def is_given(self) -> bool:
        """Whether the workflow is there, and not only a function that will return it."""
        return isinstance(self.given, Workflow)

    def signature(self, names: Names) -> Signature:
        """Return the types, of the workflow or of what its function is annotated to return."""
        if self.is_given:
            return signature_of(self.given)
        returns = strip(read_hints(self.given, names).returns)
        origin, types = get_origin(returns), get_args(returns)
        if not isinstance(origin, type) or not issubclass(origin, Graph) or len(types) != 4:
            return Signature()
        state, deps, input_, output = (UNKNOWN if isinstance(one, TypeVar) else one for one in types)
        return Signature(state, deps, input_, output)

    def faults(self, types: Signature, names: Names) -> Iterator[str]:
        """Yield a sentence for everything that a run of the workflow would not get, or that would not fit."""
        for part, wanted in (("inputs", types.input), ("state", types.state), ("deps", types.deps)):
            function: FromContext | None = getattr(self.feed, part)
            made = UNKNOWN if function is None else read_hints(function, names).output_type
            if not accepts(wanted, made):
                yield (
                    f"{part}= of node {self.node!r} gives {type_name(made)}, but its workflow takes "
                    f"{type_name(wanted)}. Change one of the two."
                )
        if self.feed.state is None and not is_optional(types.state) and state_maker(types.state) is None:
            yield (
                f"The workflow of node {self.node!r} needs a state, and {type_name(types.state)} has fields without a "
                "default. Say with state= where it comes from, or give every field a default."
            )
        has_deps = self.feed.deps is not None or is_optional(types.deps) or self.hands_on(types.deps)
        if types.makes_deps is False and not has_deps:
            yield (
                f"The workflow of node {self.node!r} needs deps of type {type_name(types.deps)}, and those of the node "
                f"are {type_name(self.parent_deps)}. Say with deps= where they come from."
            )

    def hands_on(self, wanted: object) -> bool:
        """Tell whether the deps of the node are what a workflow wants that its author made no others for."""
        none = (None, NoneType)
        return wanted not in none and self.parent_deps not in none and accepts(wanted, self.parent_deps)

    def unresolved(self, names: Names) -> Iterator[str]:
        """Yield a sentence for each annotation that says what flows through the node and could not be resolved."""
        if self.feed.inputs is not None:
            hints = read_hints(self.feed.inputs, names)
            if hints.context in hints.missing:
                yield unresolved_hint(f"node {self.node!r}", hints.context, hints.missing[hints.context])
        if not self.is_given and (reason := read_hints(self.given, names).missing.get(RETURN)):
            yield unresolved_hint(f"{title(self.given)}, which node {self.node!r} runs,", RETURN, reason)

    def make(self) -> AnyWorkflow:
        """Return the workflow. Raises WorkflowError: its function failed, or what it gave does not fit."""
        if self.is_given:
            given: AnyWorkflow = self.given
            return given
        try:
            made = self.given()
        except Exception as fault:
            raise WorkflowError(
                f"Node {self.node!r} has no workflow to run, because {title(self.given)} failed with "
                f"{type(fault).__name__}: {str(fault).rstrip('.')}."
            ) from fault
        if not isinstance(made, Workflow):
            raise WorkflowError(
                f"Node {self.node!r} has no workflow to run: {title(self.given)} returned {made!r}.{HOW}"
            )
        found: AnyWorkflow = made  # pyright: ignore[reportUnknownVariableType]  (a workflow of anything)
        faults = list(self.faults(signature_of(found), self.names))
        if faults:
            raise WorkflowError(" ".join(faults))
        return found


def signature_of(workflow: AnyWorkflow) -> Signature:
    """Return the types of a workflow."""
    types = (workflow.state_type, workflow.deps_type, workflow.input_type, workflow.output_type)
    return Signature(*types, makes_deps=workflow.deps_factory is not None)


def title(function: Any) -> str:
    """Name a function."""
    return f"{getattr(plain_function(function), '__name__', repr(function))}()"


class SubworkflowStep(DeclaredStep[Any, Any, Any, Any]):
    """A step that runs a workflow.

    inside: what is declared of that. find: returns it, the same every time.
    """

    inside: Inside
    find: Callable[[], AnyWorkflow]

    def spec(self, later: Names | None = None) -> NodeSpec:
        inside = self.inside
        names = dict(later or {}) | dict(inside.names)
        types, inputs = inside.signature(names), inside.feed.inputs
        return NodeSpec(
            id=self.id,
            kind=NodeKind.WORKFLOW,
            input_type=types.input if inputs is None else read_hints(inputs, names).input_type,
            output_type=types.output,
            label=self.declared.label,
            doc="" if inside.is_given else inspect.getdoc(inside.given) or "",
            policy=self.declared.policy,
            unresolved=tuple(inside.unresolved(names)),
            child=Child(given=inside.given, find=self.find, depth=inside.depth),
        )

    def faults(self, later: Names) -> Iterator[str]:
        """Yield what can be known to be wrong before the workflow is asked for. later: see `Declaration.hints`."""
        names = dict(later) | dict(self.inside.names)
        yield from self.inside.faults(self.inside.signature(names), names)


def subworkflow_step(given: object, feed: Feed, depth: int, parent_deps: object, options: Options) -> SubworkflowStep:
    """Make a step that runs a workflow. The parameters are those of `Inside`.

    Raises WorkflowError: one of them cannot work.
    """
    name = options.node_id or name_of_child(given)
    check_given_workflow(name, given)
    check_feed(name, feed)
    if not is_whole(depth) or depth < 1:
        raise WorkflowError(f"Node {name!r}: depth={depth!r} would never let its workflow begin. Give 1 or more.")
    inside = Inside(node=name, given=given, feed=feed, depth=depth, parent_deps=parent_deps, names=options.names)
    find = cache(inside.make)

    async def call(ctx: AnyContext) -> Any:
        workflow = find()

        def begin() -> tuple[Any, Any]:
            inputs = ctx.inputs if feed.inputs is None else feed.inputs(ctx)
            return inputs, None if feed.state is None else own_copy(name, feed.state(ctx))

        async with AsyncExitStack() as stack:
            deps: Any = None
            if feed.deps is not None:
                deps = feed.deps(ctx)
            elif inside.hands_on(workflow.deps_type):
                deps = ctx.deps
            elif workflow.deps_factory is not None:
                deps = await stack.enter_async_context(workflow.deps_factory())
            return await run_child(name, ChildWork(workflow=workflow, begin=begin, deps=deps, depth=depth))

    step = SubworkflowStep(
        id=name, call=call, declared=replace(options, node_id=name).declare(NodeKind.WORKFLOW, nothing)
    )
    step.inside, step.find = inside, find
    options.announce(step)
    return step


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
    try:
        inspect.signature(given).bind()
    except ValueError:  # Python cannot tell what a function takes that is not written in Python
        return
    except TypeError:
        raise WorkflowError(f"Node {name!r} is given {title(given)}, which takes arguments.{HOW}") from None


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
