"""The values of a record: what flows is kept in it once, by the tag of its type, and referred to from there on."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any, cast, get_origin

from pydantic_graph import BaseNode, End, JoinNode, StepNode

from milepost.engine.codec import ATOMS
from milepost.engine.errors import WorkflowError
from milepost.engine.journal import Record
from milepost.engine.plan import Exit, Plan, PlanNode
from milepost.engine.position import END, LiveStream
from milepost.engine.spec import Choice
from milepost.engine.values import Ref, Value, Values


class RecordValues:
    """Puts values into the record at hand, and gives those that are referred to. record: the one at hand."""

    def __init__(self, plan: Plan, values: Values, record: Record) -> None:
        self.record = record
        self._plan = plan
        self._values = values

    def keep(self, tag: str, value: Any, path: str) -> Ref:
        """Put a value into the record at hand; return a reference to it. Raises NotStorable, which names `path`."""
        kept = self._values.keep(tag, value, path)
        self.record.values.append(kept)
        return Ref(self.record.seq, len(self.record.values) - 1, -1, kept)

    def peek(self, ref: Ref) -> Any:
        """Return a value for an edge's own code to look at."""
        value = ref.value
        assert value is not None
        return self._values.peek(value) if ref.index < 0 else self._values.load(ref)

    def item(self, ref: Ref) -> Any:
        """Return an item for a reducer, which may keep it."""
        return self.peek(ref) if self._values.storing else self._values.load(ref)

    # --- outputs -----------------------------------------------------------------------------------------------------

    def output(self, node: PlanNode, output: Any) -> Ref:
        """Keep a task's output; return a reference to it. Async iterables cannot be kept, only their items."""
        if type(output) in ATOMS:
            return self.keep(node.out, output, node.what)
        if is_one_of(output, (BaseNode, End)):
            return self._keep_instance(output, node.what)
        if isinstance(output, Choice):
            return self.keep(node.out, output.label, node.what)
        if self._values.storing and isinstance(output, AsyncIterable):
            return self._keep_nothing(node)
        return self.keep(node.out, output, node.what)

    def _keep_nothing(self, node: PlanNode) -> Ref:
        """Stand in for an async iterable, whose items are stored as they come."""
        kept = Value(node.out, "null", None)
        self.record.values.append(kept)
        return Ref(self.record.seq, 0, -1, kept)

    def _keep_instance(self, output: BaseNode[Any, Any, Any] | End[Any], path: str) -> Ref:
        """Keep what a returned BaseNode or End carries, by the type of the node that takes it."""
        target = target_of(output)
        if isinstance(output, (StepNode, JoinNode)):
            return self.keep(f"in:{target}", output.inputs, path)
        if isinstance(output, End):
            return self.keep(f"in:{target}", cast("Any", output).data, path)
        if target not in self._plan.nodes:
            error = WorkflowError(
                f"Node {self.record.node!r} returned an instance of {target!r}, which is not part of this workflow. "
                "Add that node to the graph."
            )
            error.upstream = KeyError(target)
            raise error
        return self.keep(f"in:{target}", output, path)

    # --- items -------------------------------------------------------------------------------------------------------

    def is_stored_list(self, ref: Ref) -> bool:
        """Tell whether items of the value can be read back one by one, so that they need not be stored again."""
        if not self._values.storing or ref.index >= 0 or ref.value is None:
            return False
        declared = self._plan.type_of(ref.value.tag)
        return declared is Any or get_origin(declared) is list

    def items_tag(self, way: Exit, ref: Ref) -> str:
        """Name the type of a map's items: what its value declares, else what the mapped node takes."""
        assert ref.value is not None
        tag = f"items:{ref.value.tag}" if ref.index < 0 else f"items:item:{ref.value.tag}"
        if not self._values.storing or self._plan.type_of(tag) != list[Any] or way.transforms:
            return tag
        return f"list:{way.target}"


def is_one_of(value: Any, classes: tuple[type, ...]) -> bool:
    """Tell whether a value is an instance of a class, and leave its static type as unknown as it is."""
    return isinstance(value, classes)


def target_of(output: BaseNode[Any, Any, Any] | End[Any]) -> str:
    """Return the id of the node that takes a returned instance."""
    if isinstance(output, StepNode):
        return str(output.step.id)
    if isinstance(output, JoinNode):
        return str(output.join.id)
    return END if isinstance(output, End) else output.get_node_id()


def stream_tag(plan: Plan, stream: LiveStream) -> str:
    """Name the type of a stream's items: what the node declares, else what the mapped node takes."""
    if plan.workflow.specs[stream.task.node].stream:
        return f"out:{stream.task.node}"
    return f"in:{plan.nodes[stream.fork].exits[0].target}"
