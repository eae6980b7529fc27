"""WorkflowBuilder: declares workflows."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from types import NoneType
from typing import Any, Literal, overload

from pydantic_graph import BaseNode
from pydantic_graph.util import unpack_type_expression
from typing_extensions import TypeForm, TypeVar, Unpack

from milepost.engine.errors import DeadlinePassed, WorkflowError
from milepost.engine.failure import Failure
from milepost.engine.hints import caller_names
from milepost.engine.policy import OnFailure, PolicyOptions, check_rules, policy_of
from milepost.engine.stored import Migrate, MigrateT
from milepost.engine.typed import Decision, DestinationNode, EdgePath, Graph, Join, SourceNode, Step
from milepost.engine.workflow import Workflow
from milepost.nodes.decision import DecideNode
from milepost.workflows.apart import say_policy
from milepost.workflows.declarations import NodeDeclarations
from milepost.workflows.draft import Draft, Each, Unset, as_node, decide_by_class

StateT = TypeVar("StateT", default=None)
DepsT = TypeVar("DepsT", default=None)
GraphInputT = TypeVar("GraphInputT", default=None)
GraphOutputT = TypeVar("GraphOutputT", default=None)
LabelT = TypeVar("LabelT")
T = TypeVar("T")
NodeT = TypeVar("NodeT", bound=BaseNode[Any, Any, Any])

DepsFactory = Callable[[], AbstractAsyncContextManager[DepsT]]
OnError = Literal[True] | type[Exception] | tuple[type[Exception], ...]
"""The exceptions that an error edge is for; True: any."""


class WorkflowBuilder(NodeDeclarations[StateT, DepsT, GraphInputT, GraphOutputT]):
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
