"""The classes of pydantic-graph as each type checker can read them; see `twins.pyi`."""

from typing import Never

import pydantic_graph

MYPY: bool

if MYPY:
    ForeignGraph = pydantic_graph.Graph

    from milepost.engine.twins import AnyDestinationNode as AnyDestinationNode
    from milepost.engine.twins import AnyNode as AnyNode
    from milepost.engine.twins import Decision as Decision
    from milepost.engine.twins import DecisionBranch as DecisionBranch
    from milepost.engine.twins import DecisionBranchBuilder as DecisionBranchBuilder
    from milepost.engine.twins import DestinationNode as DestinationNode
    from milepost.engine.twins import EdgePath as EdgePath
    from milepost.engine.twins import EdgePathBuilder as EdgePathBuilder
    from milepost.engine.twins import EndNode as EndNode
    from milepost.engine.twins import Fork as Fork
    from milepost.engine.twins import Graph as Graph
    from milepost.engine.twins import GraphBuilder as GraphBuilder
    from milepost.engine.twins import Join as Join
    from milepost.engine.twins import JoinNode as JoinNode
    from milepost.engine.twins import NodeStep as NodeStep
    from milepost.engine.twins import ParentFork as ParentFork
    from milepost.engine.twins import ReduceFirstValue as ReduceFirstValue
    from milepost.engine.twins import ReducerContext as ReducerContext
    from milepost.engine.twins import ReducerFunction as ReducerFunction
    from milepost.engine.twins import SourceNode as SourceNode
    from milepost.engine.twins import StartNode as StartNode
    from milepost.engine.twins import Step as Step
    from milepost.engine.twins import StepContext as StepContext
    from milepost.engine.twins import StepFunction as StepFunction
    from milepost.engine.twins import StepNode as StepNode
    from milepost.engine.twins import StreamFunction as StreamFunction
    from milepost.engine.twins import TransformFunction as TransformFunction
    from milepost.engine.twins import reduce_dict_update as reduce_dict_update
    from milepost.engine.twins import reduce_list_append as reduce_list_append
    from milepost.engine.twins import reduce_list_extend as reduce_list_extend
    from milepost.engine.twins import reduce_null as reduce_null
    from milepost.engine.twins import reduce_sum as reduce_sum
else:
    ForeignGraph = Never

    from pydantic_graph import Decision as Decision
    from pydantic_graph import EndNode as EndNode
    from pydantic_graph import Fork as Fork
    from pydantic_graph import Graph as Graph
    from pydantic_graph import GraphBuilder as GraphBuilder
    from pydantic_graph import Join as Join
    from pydantic_graph import JoinNode as JoinNode
    from pydantic_graph import ReduceFirstValue as ReduceFirstValue
    from pydantic_graph import ReducerContext as ReducerContext
    from pydantic_graph import ReducerFunction as ReducerFunction
    from pydantic_graph import StartNode as StartNode
    from pydantic_graph import Step as Step
    from pydantic_graph import StepContext as StepContext
    from pydantic_graph import StepNode as StepNode
    from pydantic_graph import reduce_dict_update as reduce_dict_update
    from pydantic_graph import reduce_list_append as reduce_list_append
    from pydantic_graph import reduce_list_extend as reduce_list_extend
    from pydantic_graph import reduce_null as reduce_null
    from pydantic_graph import reduce_sum as reduce_sum
    from pydantic_graph.decision import DecisionBranch as DecisionBranch
    from pydantic_graph.decision import DecisionBranchBuilder as DecisionBranchBuilder
    from pydantic_graph.node_types import AnyDestinationNode as AnyDestinationNode
    from pydantic_graph.node_types import AnyNode as AnyNode
    from pydantic_graph.node_types import DestinationNode as DestinationNode
    from pydantic_graph.node_types import SourceNode as SourceNode
    from pydantic_graph.parent_forks import ParentFork as ParentFork
    from pydantic_graph.paths import EdgePath as EdgePath
    from pydantic_graph.paths import EdgePathBuilder as EdgePathBuilder
    from pydantic_graph.paths import TransformFunction as TransformFunction
    from pydantic_graph.step import NodeStep as NodeStep
    from pydantic_graph.step import StepFunction as StepFunction
    from pydantic_graph.step import StreamFunction as StreamFunction
