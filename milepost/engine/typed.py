"""The classes of pydantic-graph, as they are. `typed.pyi` beside this says what type checkers see."""

from pydantic_graph import (
    Decision,
    EndNode,
    Fork,
    Graph,
    GraphBuilder,
    Join,
    JoinNode,
    ReduceFirstValue,
    ReducerContext,
    ReducerFunction,
    StartNode,
    Step,
    StepContext,
    StepNode,
    reduce_dict_update,
    reduce_list_append,
    reduce_list_extend,
    reduce_null,
    reduce_sum,
)
from pydantic_graph.decision import DecisionBranch, DecisionBranchBuilder
from pydantic_graph.node_types import AnyDestinationNode, AnyNode, DestinationNode, SourceNode
from pydantic_graph.parent_forks import ParentFork
from pydantic_graph.paths import EdgePath, EdgePathBuilder, TransformFunction
from pydantic_graph.step import NodeStep, StepFunction, StreamFunction

MYPY = False

__all__ = [
    "MYPY",
    "AnyDestinationNode",
    "AnyNode",
    "Decision",
    "DecisionBranch",
    "DecisionBranchBuilder",
    "DestinationNode",
    "EdgePath",
    "EdgePathBuilder",
    "EndNode",
    "Fork",
    "Graph",
    "GraphBuilder",
    "Join",
    "JoinNode",
    "NodeStep",
    "ParentFork",
    "ReduceFirstValue",
    "ReducerContext",
    "ReducerFunction",
    "SourceNode",
    "StartNode",
    "Step",
    "StepContext",
    "StepFunction",
    "StepNode",
    "StreamFunction",
    "TransformFunction",
    "reduce_dict_update",
    "reduce_list_append",
    "reduce_list_extend",
    "reduce_null",
    "reduce_sum",
]
