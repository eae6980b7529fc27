"""WorkflowBuilder: declares workflows."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, overload

from pydantic_graph import BaseNode
from pydantic_graph.util import unpack_type_expression
from typing_extensions import TypeForm, TypeVar, Unpack

from milepost.engine.asking import TimeUp
from milepost.engine.errors import DeadlinePassed, WorkflowError
from milepost.engine.failure import Failure
from milepost.engine.hints import Names, caller_names
from milepost.engine.policy import OnFailure, PolicyOptions, check_rules, policy_of
from milepost.engine.spec import NO_DEFAULT, Resume
from milepost.engine.stored import Migrate, MigrateT
from milepost.engine.typed import (
    Decision,
    DestinationNode,
    EdgePath,
    Graph,
    GraphBuilder,
    Join,
    SourceNode,
    Step,
    StepContext,
    StreamFunction,
)
from milepost.engine.workflow import Workflow
from milepost.nodes.decision import DecideDecorator, DecideNode
from milepost.nodes.function import Body, FunctionDecorator, Options, applied
from milepost.nodes.stream import StreamDecorator
from milepost.nodes.subworkflow import Feed, subworkflow_step
from milepost.workflows.apart import say_policy
from milepost.workflows.draft import UNSET, Draft, Each, Unset, as_node, decide_by_class

if TYPE_CHECKING:
    from pydantic_ai import UsageLimits
    from pydantic_ai.agent import AbstractAgent

    from milepost.nodes.agent import AgentDecorator
    from milepost.nodes.wait import AskDecorator, Deadline, Time, TimeOrMaker, WaitStep

StateT = TypeVar("StateT", default=None)
DepsT = TypeVar("DepsT", default=None)
GraphInputT = TypeVar("GraphInputT", default=None)
GraphOutputT = TypeVar("GraphOutputT", default=None)
InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")
LabelT = TypeVar("LabelT")
T = TypeVar("T")
AgentDepsT = TypeVar("AgentDepsT")
NodeT = TypeVar("NodeT", bound=BaseNode[Any, Any, Any])
FirstT = TypeVar("FirstT")
SecondT = TypeVar("SecondT")
ThirdT = TypeVar("ThirdT")
ChildStateT = TypeVar("ChildStateT")
ChildDepsT = TypeVar("ChildDepsT")
ChildInputT = TypeVar("ChildInputT")

DepsFactory = Callable[[], AbstractAsyncContextManager[DepsT]]
OnError = Literal[True] | type[Exception] | tuple[type[Exception], ...]
"""The exceptions that an error edge is for; True: any."""


class WorkflowBuilder(GraphBuilder[StateT, DepsT, GraphInputT, GraphOutputT]):
    """Declares a workflow: its nodes, and the edges between them.

    It is a pydantic_graph.GraphBuilder, and everything of that works. version: of the definition; raise it by one when
    a change must not touch stored runs, or only as a migration says (see `migrate`). deps: makes the dependencies where
    nobody gives them, an asynchronous context manager. registered: the types that a value of undeclared type may have
    when it is stored. max_concurrency: tasks of a run at once. on_failure: when a node has failed for good, "cancel"
    the others, or let those that are running "finish" and commit them first.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        state_type: TypeForm[StateT] = NoneType,  # type: ignore[assignment]  # the default of its variable
        deps_type: TypeForm[DepsT] = NoneType,  # type: ignore[assignment]  # the default of its variable
        input_type: TypeForm[GraphInputT] = NoneType,  # type: ignore[assignment]  # the default of its variable
        output_type: TypeForm[GraphOutputT] = NoneType,  # type: ignore[assignment]  # the default of its variable
        version: int = 1,
        deps: DepsFactory[DepsT] | None = None,
        registered: tuple[type, ...] = (),
        max_concurrency: int | None = None,
        on_failure: OnFailure = "cancel",
        auto_instrument: bool = True,
    ) -> None:
        check_rules(name, max_concurrency, on_failure)
        types: Any = {"state_type": state_type, "deps_type": deps_type}
        types |= {"input_type": input_type, "output_type": output_type}
        super().__init__(name=name, auto_instrument=auto_instrument, **types)
        self.version = version
        self.deps_factory = deps
        self.registered = registered
        self.max_concurrency = max_concurrency
        self.on_failure: OnFailure = on_failure
        self._draft = Draft(self._nodes, self._edges_by_source)
        self._migrations: dict[int, Migrate] = {}

    @overload
    def function(
        self, function: Callable[[StepContext[StateT, DepsT, InputT]], Awaitable[OutputT]], /
    ) -> Step[StateT, DepsT, InputT, OutputT]: ...

    @overload
    def function(
        self, function: Callable[[StepContext[StateT, DepsT, InputT]], OutputT], /
    ) -> Step[StateT, DepsT, InputT, OutputT]: ...

    @overload
    def function(
        self,
        *,
        label: str | None = None,
        node_id: str | None = None,
        thread: bool = False,
        **policy: Unpack[PolicyOptions],
    ) -> FunctionDecorator[StateT, DepsT]: ...

    def function(
        self,
        function: Body | None = None,
        *,
        label: str | None = None,
        node_id: str | None = None,
        thread: bool = False,
        **policy: Unpack[PolicyOptions],
    ) -> Any:
        """Make a node of a function, synchronous or not. It takes a `StepContext`; what it returns flows on.

        label: its name in pictures. node_id: its id, else the function's name. thread: carry out a synchronous function
        in a worker thread, so that it may take its time. policy: how it is carried out, as the parts of a `Policy`.
        """
        options = self._options(node_id, label, policy, caller_names())
        decorator: FunctionDecorator[StateT, DepsT] = FunctionDecorator(options, thread)
        return applied(decorator, function)

    @overload
    def decide(
        self, function: Callable[[StepContext[StateT, DepsT, InputT]], Awaitable[LabelT]], /
    ) -> DecideNode[StateT, DepsT, InputT, LabelT]: ...

    @overload
    def decide(
        self, function: Callable[[StepContext[StateT, DepsT, InputT]], LabelT], /
    ) -> DecideNode[StateT, DepsT, InputT, LabelT]: ...

    @overload
    def decide(
        self,
        *,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> DecideDecorator[StateT, DepsT]: ...

    def decide(
        self,
        function: Body | None = None,
        *,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> Any:
        """Make a node of a function that chooses: what it returns says which edge is taken, what came in flows on.

        Annotate it with a Literal, an Enum or bool, so that it can be known whether every choice has an edge.
        """
        options = self._options(node_id, label, policy, caller_names())
        decorator: DecideDecorator[StateT, DepsT] = DecideDecorator(options)
        return applied(decorator, function)

    def agent(
        self,
        agent: AbstractAgent[AgentDepsT, OutputT],
        *,
        deps: Callable[[StepContext[StateT, DepsT, Any]], AgentDepsT] | None = None,
        usage_limits: UsageLimits | None = None,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> AgentDecorator[StateT, DepsT, OutputT]:
        """Make a node that asks a pydantic-ai agent. The decorated function, synchronous or not, makes the prompt.

        deps: makes the agent's dependencies. usage_limits: for one run of the agent. The rest is as in `function`.
        """
        from milepost.nodes.agent import AgentDecorator

        options = self._options(node_id, label, policy, caller_names())
        return AgentDecorator(agent, deps, usage_limits, options)

    @overload
    def stream(
        self,
        *,
        node_id: str | None = None,
        label: str | None = None,
        resume: Resume = "skip",
        **policy: Unpack[PolicyOptions],
    ) -> Callable[
        [StreamFunction[StateT, DepsT, InputT, OutputT]], Step[StateT, DepsT, InputT, AsyncIterable[OutputT]]
    ]: ...

    @overload
    def stream(
        self,
        call: StreamFunction[StateT, DepsT, InputT, OutputT],
        *,
        node_id: str | None = None,
        label: str | None = None,
        resume: Resume = "skip",
        **policy: Unpack[PolicyOptions],
    ) -> Step[StateT, DepsT, InputT, AsyncIterable[OutputT]]: ...

    @overload
    def stream(
        self,
        call: StreamFunction[StateT, DepsT, InputT, OutputT] | None = None,
        *,
        node_id: str | None = None,
        label: str | None = None,
        resume: Resume = "skip",
        **policy: Unpack[PolicyOptions],
    ) -> (
        Step[StateT, DepsT, InputT, AsyncIterable[OutputT]]
        | Callable[
            [StreamFunction[StateT, DepsT, InputT, OutputT]], Step[StateT, DepsT, InputT, AsyncIterable[OutputT]]
        ]
    ): ...

    def stream(
        self,
        call: Body | None = None,
        *,
        node_id: str | None = None,
        label: str | None = None,
        resume: Resume = "skip",
        **policy: Unpack[PolicyOptions],
    ) -> Any:
        """Make a node of an asynchronous generator. Its items start what follows as they come, through a map.

        resume: how a run that is resumed gets past the items that are committed: "skip", the generator gives them again
        and each is compared with what was stored; "seek", it asks `milepost.current().taken` how many there were and
        goes on from there. A time limit is for one item. The rest is as in `function`.
        """
        options = self._options(node_id, label, policy, caller_names())
        decorator: StreamDecorator[StateT, DepsT] = StreamDecorator(options, resume)
        return applied(decorator, call)

    @overload
    def subworkflow(
        self,
        child: Workflow[ChildStateT, ChildDepsT, InputT, OutputT]
        | Callable[[], Workflow[ChildStateT, ChildDepsT, InputT, OutputT]],
        *,
        state: Callable[[StepContext[StateT, DepsT, InputT]], ChildStateT] | None = None,
        deps: Callable[[StepContext[StateT, DepsT, InputT]], ChildDepsT] | None = None,
        node_id: str | None = None,
        label: str | None = None,
        depth: int = 10,
        **policy: Unpack[PolicyOptions],
    ) -> Step[StateT, DepsT, InputT, OutputT]: ...

    @overload
    def subworkflow(
        self,
        child: Workflow[ChildStateT, ChildDepsT, ChildInputT, OutputT]
        | Callable[[], Workflow[ChildStateT, ChildDepsT, ChildInputT, OutputT]],
        *,
        inputs: Callable[[StepContext[StateT, DepsT, InputT]], ChildInputT],
        state: Callable[[StepContext[StateT, DepsT, InputT]], ChildStateT] | None = None,
        deps: Callable[[StepContext[StateT, DepsT, InputT]], ChildDepsT] | None = None,
        node_id: str | None = None,
        label: str | None = None,
        depth: int = 10,
        **policy: Unpack[PolicyOptions],
    ) -> Step[StateT, DepsT, InputT, OutputT]: ...

    def subworkflow(
        self,
        child: object,
        *,
        inputs: Callable[[Any], Any] | None = None,
        state: Callable[[Any], Any] | None = None,
        deps: Callable[[Any], Any] | None = None,
        node_id: str | None = None,
        label: str | None = None,
        depth: int = 10,
        **policy: Unpack[PolicyOptions],
    ) -> Any:
        """Make a node that runs a workflow: every task of it has a run of its own, and what that returns flows on.

        child: the workflow, or a function without arguments that returns it, called when it is first needed, so that a
        workflow can run itself. inputs: makes its inputs of the step context, else it gets the node's own. state: makes
        its state, else that is made from its type. deps: makes its deps, else it gets the node's own if it wants any.
        node_id: its id, else the name of the workflow or function. depth: how many workflows may be inside one another,
        if this node is the outermost of them. The rest is as in `function`.
        """
        options = self._options(node_id, label, policy, caller_names())
        parent_deps: object = unpack_type_expression(self.deps_type)
        return subworkflow_step(child, Feed(inputs=inputs, state=state, deps=deps), depth, parent_deps, options)

    def ask(
        self,
        answer: TypeForm[OutputT],
        *,
        deadline: TimeOrMaker | None = None,
        default: OutputT | Unset = UNSET,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> AskDecorator[StateT, DepsT, OutputT]:
        """Make a node that asks a person. The decorated function makes the question, as text or as a `Question`.

        answer: the type of what is answered, which flows on. The run waits for it, and its process may end meanwhile;
        `engine.answer(...)` or `milepost answer` gives it. deadline: how long it is waited for (a timedelta, or
        seconds), until when (an aware datetime), or a function of the step context that says so. default: what flows on
        when the deadline passes; without one the node fails with `DeadlinePassed`, for which there may be an edge with
        on_timeout=True. The rest is as in `function`; a time limit is for the function alone.
        """
        from milepost.nodes.wait import AskDecorator

        options = self._options(node_id, label, policy, caller_names())
        return AskDecorator(answer, self._deadline(deadline, default), options)

    def wait_for(
        self,
        event: str,
        carries: TypeForm[OutputT],
        *,
        key: Callable[[StepContext[StateT, DepsT, Any]], str | None] | None = None,
        early: Literal["keep", "refuse"] = "keep",
        deadline: TimeOrMaker | None = None,
        default: OutputT | Unset = UNSET,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> WaitStep[StateT, DepsT, Any, OutputT, OutputT]:
        """Make a node that waits for an event from outside: `engine.send(...)` or `milepost send` tells it.

        event: its name. carries: the type of what it carries, which flows on. key: makes of the step context what it
        has to be about, so that each of several tasks gets its own. early: what becomes of an event that comes before
        anything waits for it. node_id: its id, else the name of the event. The rest is as in `ask`.
        """
        from milepost.nodes.wait import event_step

        if early not in ("keep", "refuse"):
            raise WorkflowError(f"early={early!r} is not known. Write 'keep' or 'refuse'.")
        options = self._options(node_id, label, policy, caller_names())
        made = self._deadline(deadline, default)
        return event_step(event, carries, key, early == "keep", made, options)

    @overload
    def sleep(
        self,
        until: Callable[[StepContext[StateT, DepsT, InputT]], Time | Awaitable[Time]],
        *,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> WaitStep[StateT, DepsT, InputT, InputT, TimeUp]: ...

    @overload
    def sleep(
        self,
        until: Time,
        *,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> WaitStep[StateT, DepsT, Any, Any, TimeUp]: ...

    def sleep(
        self,
        until: object,
        *,
        label: str | None = None,
        node_id: str | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> Any:
        """Make a node that waits for a time; what came in flows on. The process may end meanwhile.

        until: how long (a timedelta, or seconds), until when (an aware datetime), or a function of the step context
        that says so. A time that has passed is not waited for. node_id: its id, else the function's name, or "sleep".
        """
        from milepost.nodes.wait import time_step

        return time_step(until, self._options(node_id, label, policy, caller_names()))

    @overload
    def race(
        self,
        first: WaitStep[StateT, DepsT, InputT, Any, FirstT],
        second: WaitStep[StateT, DepsT, InputT, Any, SecondT],
        /,
        *,
        label: str | None = None,
        node_id: str | None = None,
    ) -> Step[StateT, DepsT, InputT, FirstT | SecondT]: ...

    @overload
    def race(
        self,
        first: WaitStep[StateT, DepsT, InputT, Any, FirstT],
        second: WaitStep[StateT, DepsT, InputT, Any, SecondT],
        third: WaitStep[StateT, DepsT, InputT, Any, ThirdT],
        /,
        *more: WaitStep[StateT, DepsT, InputT, Any, ThirdT],
        label: str | None = None,
        node_id: str | None = None,
    ) -> Step[StateT, DepsT, InputT, FirstT | SecondT | ThirdT]: ...

    def race(self, *runners: object, label: str | None = None, node_id: str | None = None) -> Any:
        """Make a node that waits for several things at once: the first to come wins, and flows on.

        runners: what `ask`, `wait_for` and `sleep` return; they are no nodes of their own then. A time that wins gives
        a `TimeUp`. What was open besides is closed in the same record. node_id: its id, else made of theirs.
        """
        from milepost.nodes.wait import race_step

        return race_step(runners, self._options(node_id, label, {}, caller_names()), self._draft.withdraw)

    def _deadline(self, until: Any, default: object) -> Deadline:
        from milepost.nodes.wait import Deadline

        return Deadline(until=until, default=NO_DEFAULT if default is UNSET else default)

    def policy(
        self,
        node: Step[StateT, DepsT, Any, Any] | Decision[StateT, DepsT, Any] | type[BaseNode[StateT, DepsT, Any]] | str,
        /,
        **policy: Unpack[PolicyOptions],
    ) -> None:
        """Say how a node is carried out that has no decorator of ours, e.g. a step or a class of pydantic-graph's.

        node: it, or its id, e.g. that of a map. What was said of it before stays where nothing else is said now.
        """
        say_policy(self._draft, node, policy)

    def _options(self, node_id: str | None, label: str | None, policy: PolicyOptions, names: Names) -> Options:
        announce = self._draft.announced.append
        return Options(node_id=node_id, label=label, policy=policy, names=names, announce=announce)

    @overload
    def edge(
        self,
        source: SourceNode[StateT, DepsT, T],
        destination: DestinationNode[StateT, DepsT, T] | type[BaseNode[StateT, DepsT, Any]],
        *,
        label: str | None = None,
    ) -> None: ...

    @overload
    def edge(
        self,
        source: SourceNode[StateT, DepsT, Any],
        destination: DestinationNode[StateT, DepsT, T] | type[BaseNode[StateT, DepsT, Any]],
        *,
        when: TypeForm[T],
        label: str | None = None,
    ) -> None: ...

    @overload
    def edge(
        self,
        source: SourceNode[StateT, DepsT, T],
        destination: DestinationNode[StateT, DepsT, T] | type[BaseNode[StateT, DepsT, Any]],
        *,
        when: Callable[[T], bool],
        label: str | None = None,
    ) -> None: ...

    @overload
    def edge(
        self,
        source: DecideNode[StateT, DepsT, T, LabelT],
        destination: DestinationNode[StateT, DepsT, T] | type[BaseNode[StateT, DepsT, Any]],
        *,
        when: LabelT,
        label: str | None = None,
    ) -> None: ...

    @overload
    def edge(
        self,
        source: SourceNode[StateT, DepsT, T] | DecideNode[StateT, DepsT, T, Any],
        destination: DestinationNode[StateT, DepsT, T] | type[BaseNode[StateT, DepsT, Any]],
        *,
        otherwise: Literal[True],
        label: str | None = None,
    ) -> None: ...

    @overload
    def edge(
        self,
        source: Step[StateT, DepsT, T, Any] | DecideNode[StateT, DepsT, T, Any],
        destination: DestinationNode[StateT, DepsT, Failure[T]],
        *,
        on_error: OnError,
        label: str | None = None,
    ) -> None: ...

    @overload
    def edge(
        self,
        source: Step[StateT, DepsT, T, Any],
        destination: DestinationNode[StateT, DepsT, Failure[T]],
        *,
        on_timeout: Literal[True],
        label: str | None = None,
    ) -> None: ...

    @overload
    def edge(
        self,
        source: type[NodeT],
        destination: DestinationNode[StateT, DepsT, Failure[NodeT]],
        *,
        on_error: OnError,
        label: str | None = None,
    ) -> None: ...

    def edge(
        self,
        source: Any,
        destination: Any,
        *,
        when: object = Unset,
        otherwise: bool = False,
        on_error: object = Unset,
        on_timeout: bool = False,
        label: str | None = None,
    ) -> None:
        """Lead from one node to another.

        Without a condition the edge is always taken; several of them broadcast. when: a label of a decide node, a type
        (which narrows what flows on) or a predicate. otherwise: when no other edge of the node is taken. The edges with
        conditions are tried in the order they were added, `otherwise` last, and the first that holds is taken.

        on_error: the edge is taken when the node fails after its policy, with a `Failure` of its inputs: True for any
        exception, or the classes it is for. A node may have such edges beside all others; the first that names the
        exception is taken, and the run fails when none does. on_timeout: such an edge for the deadline of a node that
        waits.
        """
        self._draft.names.update(caller_names())
        if on_timeout:
            on_error = DeadlinePassed if on_error is Unset else None
            label = label or "deadline"
        if on_error is Unset:
            self._draft.connect(source, destination, when, otherwise, label)
        else:
            self._draft.catch(source, destination, on_error, label, alone=when is Unset and not otherwise)

    def each(
        self,
        node: DestinationNode[StateT, DepsT, T] | type[BaseNode[StateT, DepsT, Any]],
        *,
        join: Join[StateT, DepsT, Any, Any] | None = None,
        fork_id: str | None = None,
        max_concurrency: int | None = None,
    ) -> Decision[StateT, DepsT, Iterable[T] | AsyncIterable[T]]:
        """Return a destination that leads to a node once for every item of what arrives.

        join: what collects the results; it gives its initial value when there are no items. A node that leads nowhere
        else leads to it. fork_id: of the map, else made of the names of both nodes. max_concurrency: items under way at
        once.
        """
        target = as_node(node)
        policy = policy_of({"max_concurrency": max_concurrency}, fork_id or f"each {target.id}")
        each: Each[StateT, DepsT, Iterable[T] | AsyncIterable[T]] = Each(target, join, fork_id, policy)
        return each

    def migrate(self, *, from_version: int) -> Callable[[MigrateT], MigrateT]:
        """Say what becomes of runs that were stored under a version when they are resumed under the next one.

        The decorated function takes a `Stored` run and changes it in place: JSON, and the ids of nodes. It is carried
        out when such a run is resumed, and by `milepost check --store`, so it must do nothing else. A run of an older
        version goes through several of them, one after the other; without one it is refused. Raises WorkflowError:
        there is one from this version already.
        """
        if from_version in self._migrations:
            raise WorkflowError(
                f"There is a migration from version {from_version} already. Put the two into one function."
            )

        def keep(migrate: MigrateT) -> MigrateT:
            self._migrations[from_version] = migrate
            return migrate

        return keep

    def add(self, *edges: EdgePath[StateT, DepsT]) -> None:
        """Add edges made with `edge_from(...)` or `node(...)`, as in pydantic-graph."""
        self._draft.names.update(caller_names())
        for edge in edges:
            self._draft.insert(edge)

    def build(self, validate_graph_structure: bool = True) -> Workflow[StateT, DepsT, GraphInputT, GraphOutputT]:
        """Compile and examine what was declared. A builder can be built again, also after more was added.

        validate_graph_structure: False turns the faults that leave a graph runnable into warnings of the workflow.
        Raises UnsoundWorkflow: it cannot work; every fault is listed.
        """
        from milepost.engine.migration import migration_faults
        from milepost.workflows.assembly import assemble  # needs networkx, which is slow to import

        self._draft.names.update(caller_names())
        for step, hint in self._draft.unfollowed_hints():
            edge = self._edge_from_return_hint(step, hint)
            if edge is not None:
                self._draft.insert(edge)
                decide_by_class(edge)
        blank: Graph[StateT, DepsT, GraphInputT, GraphOutputT] = Graph(
            name=self.name,
            state_type=unpack_type_expression(self.state_type),
            deps_type=unpack_type_expression(self.deps_type),
            input_type=unpack_type_expression(self.input_type),
            output_type=unpack_type_expression(self.output_type),
            auto_instrument=self.auto_instrument,
            nodes={},
            edges_by_source={},
            parent_forks={},
            intermediate_join_nodes={},
        )
        faults = migration_faults(self.version, self._migrations)
        specs, warnings = assemble(self._draft, blank, strict=validate_graph_structure, faults=faults)
        return Workflow(
            blank,
            specs=specs,
            version=self.version,
            migrations=dict(self._migrations),
            warnings=warnings,
            registered=self.registered,
            deps_factory=self.deps_factory,
            max_concurrency=self.max_concurrency,
            on_failure=self.on_failure,
        )
