"""Typed twins of the pydantic-graph classes, for mypy alone.

mypy cannot read `TypeVar(infer_variance=True)` (python/mypy#17811), so to it the classes of pydantic-graph have no type
parameters. These say the same with written-out variance. `typed.pyi` gives them to mypy and the real ones to everybody
else; a test holds the parameters, members and variances equal to those of pydantic-graph.
"""

# mypy: disable-error-code="override,assignment,misc"
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportMissingTypeArgument=false
# (overriding is the purpose here: to mypy the members of the real classes have no types)

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Generic, Literal, Never, Protocol, Self, overload

import pydantic_graph as real
import pydantic_graph.decision as real_decision
import pydantic_graph.join as real_join
import pydantic_graph.paths as real_paths
from pydantic_graph import BaseNode, End, GraphRunContext
from pydantic_graph.id_types import ForkID, JoinID, NodeID
from pydantic_graph.paths import Path
from typing_extensions import TypeAliasType, TypeVar

StateT = TypeVar("StateT")
StateT_co = TypeVar("StateT_co", covariant=True)
StateT_contra = TypeVar("StateT_contra", contravariant=True)
DepsT = TypeVar("DepsT")
DepsT_co = TypeVar("DepsT_co", covariant=True)
DepsT_contra = TypeVar("DepsT_contra", contravariant=True)
InputT = TypeVar("InputT")
InputT_contra = TypeVar("InputT_contra", contravariant=True)
InputT_co = TypeVar("InputT_co", covariant=True)
OutputT = TypeVar("OutputT")
OutputT_co = TypeVar("OutputT_co", covariant=True)
SourceT = TypeVar("SourceT")
HandledT_contra = TypeVar("HandledT_contra", contravariant=True)
OtherT = TypeVar("OtherT")
T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

class ParentFork:
    fork_id: NodeID
    intermediate_nodes: set[NodeID]
    def __init__(self, fork_id: NodeID, intermediate_nodes: set[NodeID]) -> None: ...

class StepContext(real.StepContext, Generic[StateT_co, DepsT_co, InputT_co]):
    def __init__(self, *, state: StateT_co, deps: DepsT_co, inputs: InputT_co) -> None: ...
    @property
    def state(self) -> StateT_co: ...
    @property
    def deps(self) -> DepsT_co: ...
    @property
    def inputs(self) -> InputT_co: ...

class StepFunction(Protocol[StateT_contra, DepsT_contra, InputT_contra, OutputT_co]):
    def __call__(self, ctx: StepContext[StateT_contra, DepsT_contra, InputT_contra]) -> Awaitable[OutputT_co]: ...

class StreamFunction(Protocol[StateT_contra, DepsT_contra, InputT_contra, OutputT_co]):
    def __call__(self, ctx: StepContext[StateT_contra, DepsT_contra, InputT_contra]) -> AsyncIterator[OutputT_co]: ...

class TransformFunction(Protocol[StateT_contra, DepsT_contra, InputT_contra, OutputT_co]):
    def __call__(self, ctx: StepContext[StateT_contra, DepsT_contra, InputT_contra]) -> OutputT_co: ...

class Step(real.Step, Generic[StateT, DepsT, InputT_contra, OutputT_co]):
    id: NodeID
    label: str | None
    def __init__(
        self, *, id: NodeID, call: StepFunction[StateT, DepsT, InputT_contra, OutputT_co], label: str | None = None
    ) -> None: ...
    @property
    def call(self) -> StepFunction[StateT, DepsT, InputT_contra, OutputT_co]: ...
    @overload
    def as_node(self, inputs: None = None) -> StepNode[StateT, DepsT]: ...
    @overload
    def as_node(self, inputs: InputT_contra) -> StepNode[StateT, DepsT]: ...

class StepNode(BaseNode[StateT, DepsT, Any]):
    step: Step[StateT, DepsT, Any, Any]
    inputs: Any
    def __init__(self, step: Step[StateT, DepsT, Any, Any], inputs: Any) -> None: ...
    async def run(self, ctx: GraphRunContext[StateT, DepsT]) -> BaseNode[StateT, DepsT, Any] | End[Any]: ...

class NodeStep(Step[StateT, DepsT, Any, Any]):
    node_type: type[BaseNode[StateT, DepsT, Any]]
    def __init__(
        self, node_type: type[BaseNode[StateT, DepsT, Any]], *, id: NodeID | None = None, label: str | None = None
    ) -> None: ...

class ReducerContext(real.ReducerContext, Generic[StateT_co, DepsT_co]):
    def __init__(self, *, state: StateT_co, deps: DepsT_co, join_state: real_join.JoinState) -> None: ...
    @property
    def state(self) -> StateT_co: ...
    @property
    def deps(self) -> DepsT_co: ...
    def cancel_sibling_tasks(self) -> None: ...

ReducerFunction = TypeAliasType(
    "ReducerFunction",
    Callable[[ReducerContext[StateT, DepsT], OutputT, InputT], OutputT] | Callable[[OutputT, InputT], OutputT],
    type_params=(StateT, DepsT, InputT, OutputT),
)

def reduce_null(current: None, inputs: Any) -> None: ...
def reduce_list_append(current: list[T], inputs: T) -> list[T]: ...
def reduce_list_extend(current: list[T], inputs: Iterable[T]) -> list[T]: ...
def reduce_dict_update(current: dict[K, V], inputs: Mapping[K, V]) -> dict[K, V]: ...

class SupportsSum(Protocol):
    def __add__(self, other: Self, /) -> Self: ...

NumericT = TypeVar("NumericT", bound=SupportsSum)

def reduce_sum(current: NumericT, inputs: NumericT) -> NumericT: ...

class ReduceFirstValue(Generic[T]):
    def __call__(self, ctx: ReducerContext[object, object], current: T, inputs: T) -> T: ...

class Join(real.Join, Generic[StateT, DepsT, InputT_contra, OutputT]):
    id: JoinID
    parent_fork_id: ForkID | None
    preferred_parent_fork: Literal["closest", "farthest"]
    def __init__(
        self,
        *,
        id: JoinID,
        reducer: ReducerFunction[StateT, DepsT, InputT_contra, OutputT],
        initial_factory: Callable[[], OutputT],
        parent_fork_id: ForkID | None = None,
        preferred_parent_fork: Literal["farthest", "closest"] = "farthest",
    ) -> None: ...
    @property
    def reducer(self) -> ReducerFunction[StateT, DepsT, InputT_contra, OutputT]: ...
    @property
    def initial_factory(self) -> Callable[[], OutputT]: ...
    def reduce(self, ctx: ReducerContext[StateT, DepsT], current: OutputT, inputs: InputT_contra) -> OutputT: ...
    @overload
    def as_node(self, inputs: None = None) -> JoinNode[StateT, DepsT]: ...
    @overload
    def as_node(self, inputs: InputT_contra) -> JoinNode[StateT, DepsT]: ...

class JoinNode(BaseNode[StateT, DepsT, Any]):
    join: Join[StateT, DepsT, Any, Any]
    inputs: Any
    def __init__(self, join: Join[StateT, DepsT, Any, Any], inputs: Any) -> None: ...
    async def run(self, ctx: GraphRunContext[StateT, DepsT]) -> BaseNode[StateT, DepsT, Any] | End[Any]: ...

class StartNode(real.StartNode, Generic[OutputT_co]):
    id: NodeID
    def _value(self) -> OutputT_co: ...

class EndNode(real.EndNode, Generic[InputT_contra]):
    id: NodeID
    def _force_variance(self, inputs: InputT_contra) -> None: ...

class Fork(real.Fork, Generic[InputT_contra, OutputT_co]):
    id: ForkID
    is_map: bool
    downstream_join_id: JoinID | None
    def __init__(self, id: ForkID, is_map: bool, downstream_join_id: JoinID | None) -> None: ...
    def _force_variance(self, inputs: InputT_contra) -> OutputT_co: ...

class DecisionBranch(real_decision.DecisionBranch, Generic[SourceT]):
    source: Any
    matches: Callable[[Any], bool] | None
    path: Path
    destinations: list[AnyDestinationNode]
    def __init__(
        self,
        source: type[SourceT] | Any,
        matches: Callable[[Any], bool] | None,
        path: Path,
        destinations: list[AnyDestinationNode],
    ) -> None: ...
    def _force_invariant(self, value: SourceT) -> SourceT: ...

class Decision(Generic[StateT_co, DepsT_co, HandledT_contra]):
    id: NodeID
    branches: list[DecisionBranch[Any]]
    note: str | None
    def __init__(self, *, id: NodeID, branches: list[DecisionBranch[Any]], note: str | None) -> None: ...
    def branch(self, branch: DecisionBranch[T]) -> Decision[StateT_co, DepsT_co, HandledT_contra | T]: ...
    def _force_handled_contravariant(self, inputs: HandledT_contra) -> Never: ...
    def _context(self) -> tuple[StateT_co, DepsT_co]: ...

MiddleNode = TypeAliasType(
    "MiddleNode",
    Step[StateT, DepsT, InputT, OutputT] | Join[StateT, DepsT, InputT, OutputT] | Fork[InputT, OutputT],
    type_params=(StateT, DepsT, InputT, OutputT),
)
SourceNode = TypeAliasType(
    "SourceNode",
    Step[StateT, DepsT, Any, OutputT] | Join[StateT, DepsT, Any, OutputT] | Fork[Any, OutputT] | StartNode[OutputT],
    type_params=(StateT, DepsT, OutputT),
)
DestinationNode = TypeAliasType(
    "DestinationNode",
    Step[StateT, DepsT, InputT, Any]
    | Join[StateT, DepsT, InputT, Any]
    | Fork[InputT, Any]
    | Decision[StateT, DepsT, InputT]
    | EndNode[InputT],
    type_params=(StateT, DepsT, InputT),
)
AnyDestinationNode = TypeAliasType(
    "AnyDestinationNode",
    Step[Any, Any, Any, Any] | Join[Any, Any, Any, Any] | Fork[Any, Any] | Decision[Any, Any, Any] | EndNode[Any],
)
AnyNode = TypeAliasType(
    "AnyNode",
    Step[Any, Any, Any, Any]
    | Join[Any, Any, Any, Any]
    | Fork[Any, Any]
    | Decision[Any, Any, Any]
    | StartNode[Any]
    | EndNode[Any],
)

class DecisionBranchBuilder(
    real_decision.DecisionBranchBuilder, Generic[StateT, DepsT, OutputT_co, SourceT, HandledT_contra]
):
    def to(
        self,
        destination: DestinationNode[StateT, DepsT, OutputT_co] | type[BaseNode[StateT, DepsT, Any]],
        /,
        *extra_destinations: DestinationNode[StateT, DepsT, OutputT_co] | type[BaseNode[StateT, DepsT, Any]],
        fork_id: str | None = None,
    ) -> DecisionBranch[SourceT]: ...
    def broadcast(
        self, get_forks: Callable[[Self], Sequence[DecisionBranch[SourceT]]], /, *, fork_id: str | None = None
    ) -> DecisionBranch[SourceT]: ...
    def transform(
        self, func: TransformFunction[StateT, DepsT, OutputT_co, T], /
    ) -> DecisionBranchBuilder[StateT, DepsT, T, SourceT, HandledT_contra]: ...
    def map(
        self: DecisionBranchBuilder[StateT, DepsT, Iterable[T], SourceT, HandledT_contra]
        | DecisionBranchBuilder[StateT, DepsT, AsyncIterable[T], SourceT, HandledT_contra],
        *,
        fork_id: str | None = None,
        downstream_join_id: str | None = None,
    ) -> DecisionBranchBuilder[StateT, DepsT, T, SourceT, HandledT_contra]: ...
    def label(self, label: str) -> DecisionBranchBuilder[StateT, DepsT, OutputT_co, SourceT, HandledT_contra]: ...

class EdgePath(real_paths.EdgePath, Generic[StateT, DepsT]):
    path: Path
    destinations: list[AnyDestinationNode]
    def __init__(
        self,
        sources: Sequence[SourceNode[StateT, DepsT, Any]],
        path: Path,
        destinations: list[AnyDestinationNode],
    ) -> None: ...
    @property
    def sources(self) -> Sequence[SourceNode[StateT, DepsT, Any]]: ...

class EdgePathBuilder(real_paths.EdgePathBuilder, Generic[StateT, DepsT, OutputT_co]):
    sources: Sequence[SourceNode[StateT, DepsT, Any]]
    def to(
        self,
        destination: DestinationNode[StateT, DepsT, OutputT_co] | type[BaseNode[StateT, DepsT, Any]],
        /,
        *extra_destinations: DestinationNode[StateT, DepsT, OutputT_co] | type[BaseNode[StateT, DepsT, Any]],
        fork_id: str | None = None,
    ) -> EdgePath[StateT, DepsT]: ...
    def broadcast(
        self, get_forks: Callable[[Self], Sequence[EdgePath[StateT, DepsT]]], /, *, fork_id: str | None = None
    ) -> EdgePath[StateT, DepsT]: ...
    def map(
        self: EdgePathBuilder[StateT, DepsT, Iterable[T]] | EdgePathBuilder[StateT, DepsT, AsyncIterable[T]],
        *,
        fork_id: str | None = None,
        downstream_join_id: JoinID | None = None,
    ) -> EdgePathBuilder[StateT, DepsT, T]: ...
    def transform(
        self, func: TransformFunction[StateT, DepsT, OutputT_co, T], /
    ) -> EdgePathBuilder[StateT, DepsT, T]: ...
    def label(self, label: str) -> EdgePathBuilder[StateT, DepsT, OutputT_co]: ...

class GraphRun(real.GraphRun, Generic[StateT, DepsT, OutputT]):
    @property
    def output(self) -> OutputT | None: ...

class Graph(real.Graph, Generic[StateT, DepsT, InputT, OutputT]):
    name: str | None
    state_type: type[StateT]
    deps_type: type[DepsT]
    input_type: type[InputT]
    output_type: type[OutputT]
    auto_instrument: bool
    nodes: dict[NodeID, AnyNode]
    edges_by_source: dict[NodeID, list[Path]]
    parent_forks: dict[JoinID, ParentFork]
    intermediate_join_nodes: dict[JoinID, set[JoinID]]
    def __init__(
        self,
        name: str | None,
        state_type: type[StateT],
        deps_type: type[DepsT],
        input_type: type[InputT],
        output_type: type[OutputT],
        auto_instrument: bool,
        nodes: dict[NodeID, AnyNode],
        edges_by_source: dict[NodeID, list[Path]],
        parent_forks: dict[JoinID, ParentFork],
        intermediate_join_nodes: dict[JoinID, set[JoinID]],
    ) -> None: ...
    def get_parent_fork(self, join_id: JoinID) -> ParentFork: ...
    def is_final_join(self, join_id: JoinID) -> bool: ...
    async def run(
        self,
        *,
        state: StateT = ...,
        deps: DepsT = ...,
        inputs: InputT = ...,
        span: AbstractContextManager[Any] | None = None,
        infer_name: bool = True,
    ) -> OutputT: ...
    def run_sync(
        self,
        *,
        state: StateT = ...,
        deps: DepsT = ...,
        inputs: InputT = ...,
        span: AbstractContextManager[Any] | None = None,
        infer_name: bool = True,
    ) -> OutputT: ...
    def iter(
        self,
        *,
        state: StateT = ...,
        deps: DepsT = ...,
        inputs: InputT = ...,
        span: AbstractContextManager[Any] | None = None,
        infer_name: bool = True,
    ) -> AbstractAsyncContextManager[GraphRun[StateT, DepsT, OutputT]]: ...
    def render(self, *, title: str | None = None, direction: Literal["TB", "LR", "RL", "BT"] | None = None) -> str: ...

class GraphBuilder(Generic[StateT, DepsT, InputT, OutputT]):
    name: str | None
    state_type: Any
    deps_type: Any
    input_type: Any
    output_type: Any
    auto_instrument: bool
    _nodes: dict[NodeID, AnyNode]
    _edges_by_source: dict[NodeID, list[Path]]
    def __init__(
        self,
        *,
        name: str | None = None,
        state_type: Any = ...,
        deps_type: Any = ...,
        input_type: Any = ...,
        output_type: Any = ...,
        auto_instrument: bool = True,
    ) -> None: ...
    @property
    def start_node(self) -> StartNode[InputT]: ...
    @property
    def end_node(self) -> EndNode[OutputT]: ...
    @overload
    def step(
        self, *, node_id: str | None = None, label: str | None = None
    ) -> Callable[[StepFunction[StateT, DepsT, T, V]], Step[StateT, DepsT, T, V]]: ...
    @overload
    def step(
        self, call: StepFunction[StateT, DepsT, T, V], *, node_id: str | None = None, label: str | None = None
    ) -> Step[StateT, DepsT, T, V]: ...
    @overload
    def stream(
        self, *, node_id: str | None = None, label: str | None = None
    ) -> Callable[[StreamFunction[StateT, DepsT, T, V]], Step[StateT, DepsT, T, AsyncIterable[V]]]: ...
    @overload
    def stream(
        self, call: StreamFunction[StateT, DepsT, T, V], *, node_id: str | None = None, label: str | None = None
    ) -> Step[StateT, DepsT, T, AsyncIterable[V]]: ...
    @overload
    def join(
        self,
        reducer: ReducerFunction[StateT, DepsT, T, V],
        *,
        initial: V,
        node_id: str | None = None,
        parent_fork_id: str | None = None,
        preferred_parent_fork: Literal["farthest", "closest"] = "farthest",
    ) -> Join[StateT, DepsT, T, V]: ...
    @overload
    def join(
        self,
        reducer: ReducerFunction[StateT, DepsT, T, V],
        *,
        initial_factory: Callable[[], V],
        node_id: str | None = None,
        parent_fork_id: str | None = None,
        preferred_parent_fork: Literal["farthest", "closest"] = "farthest",
    ) -> Join[StateT, DepsT, T, V]: ...
    def add(self, *edges: EdgePath[StateT, DepsT]) -> None: ...
    def add_edge(
        self,
        source: SourceNode[StateT, DepsT, T],
        destination: DestinationNode[StateT, DepsT, T],
        *,
        label: str | None = None,
    ) -> None: ...
    def add_mapping_edge(
        self,
        source: SourceNode[StateT, DepsT, Iterable[T]],
        map_to: DestinationNode[StateT, DepsT, T],
        *,
        pre_map_label: str | None = None,
        post_map_label: str | None = None,
        fork_id: ForkID | None = None,
        downstream_join_id: JoinID | None = None,
    ) -> None: ...
    def edge_from(self, *sources: SourceNode[StateT, DepsT, T]) -> EdgePathBuilder[StateT, DepsT, T]: ...
    def decision(self, *, note: str | None = None, node_id: str | None = None) -> Decision[StateT, DepsT, Never]: ...
    def match(
        self, source: Any, *, matches: Callable[[Any], bool] | None = None
    ) -> DecisionBranchBuilder[StateT, DepsT, Any, Any, Never]: ...
    def match_node(
        self, source: type[BaseNode[Any, Any, Any]], *, matches: Callable[[Any], bool] | None = None
    ) -> DecisionBranch[Any]: ...
    def node(self, node_type: type[BaseNode[StateT, DepsT, OutputT]]) -> EdgePath[StateT, DepsT]: ...
    def _edge_from_return_hint(
        self, node: SourceNode[StateT, DepsT, Any], return_hint: Any
    ) -> EdgePath[StateT, DepsT] | None: ...
    def _insert_node(self, node: AnyNode) -> None: ...
    def build(self, validate_graph_structure: bool = True) -> Graph[StateT, DepsT, InputT, OutputT]: ...
