"""Workflow: the definition that is checked, run, stored and drawn. It is a pydantic_graph.Graph and does not change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import replace
from importlib import import_module
from types import NoneType
from typing import Any, Final, Literal, TypeVar, is_typeddict, overload

import pydantic_graph

from milepost.engine.errors import InputError, UnsoundWorkflow
from milepost.engine.hints import caller_names
from milepost.engine.policy import OnFailure, Policy
from milepost.engine.spans import entered
from milepost.engine.spec import (
    UNKNOWN,
    Choice,
    HasInputs,
    LabelIs,
    NodeKind,
    NodeSpec,
    unwrap_choice,
)
from milepost.engine.stored import Migrate
from milepost.engine.typed import Graph

__all__ = [
    "UNKNOWN",
    "Choice",
    "HasInputs",
    "LabelIs",
    "NodeKind",
    "NodeSpec",
    "Workflow",
    "unwrap_choice",
]

NO_MIGRATIONS: Final[Mapping[int, Migrate]] = {}

StateT = TypeVar("StateT")
DepsT = TypeVar("DepsT")
InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")
GivenStateT = TypeVar("GivenStateT")
GivenDepsT = TypeVar("GivenDepsT")
GivenInputT = TypeVar("GivenInputT")
GivenOutputT = TypeVar("GivenOutputT")


class Workflow(Graph[StateT, DepsT, InputT, OutputT]):
    """A graph whose nodes are all described, ready to run and to be stored.

    specs: one per node of `nodes`, structural ones included. version: of the definition, raised by its author when runs
    that are stored must not go on with it unless they are migrated. migrations: by the version that they migrate from.
    warnings: what is doubtful but allowed. registered: the types that a value of undeclared type may have when it is
    stored. deps_factory: makes the dependencies where nobody gives them (command line, workers). max_concurrency: tasks
    of a run at once, None for no limit. on_failure: what happens to the other tasks when one has failed for good:
    "cancel" stops them, "finish" lets those that are running come to their end and commits them first.
    Compared and hashed by identity. Not to be changed.
    """

    specs: Mapping[str, NodeSpec]
    version: int
    migrations: Mapping[int, Migrate]
    warnings: tuple[str, ...]
    registered: tuple[type, ...]
    deps_factory: Callable[[], AbstractAsyncContextManager[Any]] | None
    max_concurrency: int | None
    on_failure: OnFailure

    def __init__(
        self,
        graph: Graph[StateT, DepsT, InputT, OutputT],
        *,
        specs: Mapping[str, NodeSpec],
        name: str | None = None,
        version: int = 1,
        migrations: Mapping[int, Migrate] = NO_MIGRATIONS,
        warnings: tuple[str, ...] = (),
        registered: tuple[type, ...] = (),
        deps_factory: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
        max_concurrency: int | None = None,
        on_failure: OnFailure = "cancel",
    ) -> None:
        super().__init__(
            name=name or graph.name,
            state_type=graph.state_type,
            deps_type=graph.deps_type,
            input_type=graph.input_type,
            output_type=graph.output_type,
            auto_instrument=graph.auto_instrument,
            nodes=graph.nodes,
            edges_by_source=graph.edges_by_source,
            parent_forks=graph.parent_forks,
            intermediate_join_nodes=graph.intermediate_join_nodes,
        )
        self.specs = specs
        self.version = version
        self.migrations = migrations
        self.warnings = warnings
        self.registered = registered
        self.deps_factory = deps_factory
        self.max_concurrency = max_concurrency
        self.on_failure = on_failure

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<Workflow {self.name!r}, version {self.version}, {len(self.nodes)} nodes>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        shown = import_module("milepost.engine.shown")  # by name: what is shown stands on this module
        bundle: dict[str, str] = shown.bundle_of(self)
        return bundle

    def _repr_svg_(self) -> str | None:
        svg: str | None = import_module("milepost.engine.shown").svg_of(self)
        return svg

    @overload
    @classmethod
    def from_graph(
        cls,
        graph: Graph[GivenStateT, GivenDepsT, GivenInputT, GivenOutputT],
        *,
        name: str | None = None,
        version: int | None = None,
        migrations: Mapping[int, Migrate] | None = None,
        policies: Mapping[str, Policy] | None = None,
    ) -> Workflow[GivenStateT, GivenDepsT, GivenInputT, GivenOutputT]: ...

    @overload
    @classmethod
    def from_graph(  # pyright: ignore[reportOverlappingOverload]  # only mypy takes this for another class
        cls,
        graph: pydantic_graph.Graph[Any, Any, Any, Any],  # type: ignore[type-arg]  # to mypy it has no parameters
        *,
        name: str | None = None,
        version: int | None = None,
        migrations: Mapping[int, Migrate] | None = None,
        policies: Mapping[str, Policy] | None = None,
    ) -> Workflow[Any, Any, Any, Any]: ...

    @classmethod
    def from_graph(
        cls,
        graph: Any,
        *,
        name: str | None = None,
        version: int | None = None,
        migrations: Mapping[int, Migrate] | None = None,
        policies: Mapping[str, Policy] | None = None,
    ) -> Any:
        """Take any graph that pydantic-graph built, as it is.

        version: else that of a Workflow, or 1. migrations: of stored runs, by the version that each migrates from, as
        in `WorkflowBuilder.migrate`; else those of a Workflow. policies: how nodes are carried out, by their id; they
        take the place of those that nodes have. Node types are read from hints as far as they can be; what a
        WorkflowBuilder would refuse becomes a warning. A Workflow is returned unchanged unless something else is asked
        for. Raises UnsoundWorkflow: a policy is for no node of the graph, or for one that cannot have it; a migration
        does not lead to the version.
        """
        known: Any = graph
        made = getattr(known, "version", 1) if version is None else version
        is_same = isinstance(graph, Workflow) and name in (None, known.name) and version in (None, known.version)
        if is_same and not policies and migrations is None:
            return known
        from milepost.engine.assigned import with_policies
        from milepost.engine.migration import migration_faults
        from milepost.engine.soundness import examine_graph  # needs networkx, which is slow to import

        specs, findings = examine_graph(known, caller_names())
        if isinstance(graph, Workflow):
            specs = {node_id: replace(spec, policy=known.specs[node_id].policy) for node_id, spec in specs.items()}
        specs, faults = with_policies(known.nodes, specs, policies or {})
        steps: Mapping[int, Migrate] = getattr(known, "migrations", NO_MIGRATIONS) if migrations is None else migrations
        faults = [*faults, *migration_faults(made, steps)]
        if faults:
            raise UnsoundWorkflow(name or known.name, faults)
        warnings = (*findings.faults, *findings.warnings)
        kept = ("registered", "deps_factory", "max_concurrency", "on_failure")
        more: Any = {part: getattr(known, part) for part in kept} if isinstance(graph, Workflow) else {}
        return cls(known, specs=specs, name=name, version=made, migrations=steps, warnings=warnings, **more)

    @property
    def state_is_default(self) -> bool:
        """Whether a state can be made from its type, because nothing in it has to be given."""
        return state_maker(self.state_type) is not None

    def make_state(self) -> Any:
        """Return a new state made from its type.

        Raises InputError: something in it has no default.
        """
        make = state_maker(self.state_type)
        if make is None:
            name = getattr(self.state_type, "__name__", repr(self.state_type))
            raise InputError(
                f"Workflow {self.name or 'without a name'!r} needs a state: {name} has fields without a default. "
                "Give one with `state=`, or give every field a default."
            )
        return make()

    async def run(
        self,
        *,
        state: Any = None,
        deps: Any = None,
        inputs: Any = None,
        span: AbstractContextManager[Any] | None = None,
        infer_name: bool = True,
        store: Any = None,
        run_id: str | None = None,
        isolation: Literal["task", "shared"] | None = None,
    ) -> OutputT:
        """Run to the end and return the output.

        store: where to write a checkpoint after every node; None keeps nothing. run_id: makes the call idempotent: a
        run of that id is attached to, resumed, or its recorded output returned. isolation: "task" gives every task its
        own view of the state (the rule with a store), "shared" one object for all (the rule without). span: entered
        around the run. infer_name: accepted because pydantic-graph takes it; a workflow has the name it was given.
        """
        engine = import_module("milepost.engine.engine")  # by name: the engine stands on this module, not the other way
        with entered(span, self):
            output: OutputT = await engine.run_workflow(
                self, inputs=inputs, state=state, deps=deps, store=store, run_id=run_id, isolation=isolation
            )
        return output

    def run_sync(
        self,
        *,
        state: Any = None,
        deps: Any = None,
        inputs: Any = None,
        span: AbstractContextManager[Any] | None = None,
        infer_name: bool = True,
        store: Any = None,
        run_id: str | None = None,
        isolation: Literal["task", "shared"] | None = None,
    ) -> OutputT:
        """Do what `run` does, from code that is not asynchronous."""
        import anyio

        async def main() -> OutputT:
            return await self.run(
                state=state, deps=deps, inputs=inputs, span=span, store=store, run_id=run_id, isolation=isolation
            )

        return anyio.run(main)


def state_maker(state_type: Any) -> Callable[[], Any] | None:
    """Return what makes a state of this type from nothing, or None when something in it has to be given.

    Known are None, pydantic models, dataclasses and TypedDicts whose fields all have defaults (or are not required).
    """
    if state_type in (None, NoneType, Any, object):
        return NoneType
    origin = getattr(state_type, "__origin__", state_type)
    if is_typeddict(origin):
        required: frozenset[str] = origin.__required_keys__
        return None if required else dict
    if dataclasses.is_dataclass(origin):
        return None if any(is_needed(field) for field in dataclasses.fields(origin)) else state_type
    if hasattr(origin, "model_fields"):
        return None if any(field.is_required() for field in origin.model_fields.values()) else state_type
    return None


def is_needed(field: dataclasses.Field[Any]) -> bool:
    """Tell whether a dataclass cannot be made without a value for this field."""
    missing = dataclasses.MISSING
    return field.init and field.default is missing and field.default_factory is missing
