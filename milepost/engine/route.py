"""What happens next: the only caller of conditions, transforms, reducers, factories and iteration.

`route` runs once, live, when something has happened. It writes what it decides as ops into a record and carries each
out at once with the code that a replay uses, so a position can never differ from the fold of its records. A resume
reads the decisions and takes none again.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any, Final

from pydantic_graph import BaseNode, End, JoinNode, StepNode
from pydantic_graph.id_types import NodeID

from milepost.engine.accumulators import Accumulators, NoRoute
from milepost.engine.codec import ATOMS
from milepost.engine.errors import NotStorable, RoutingError
from milepost.engine.failure import Failure, Raised
from milepost.engine.holds import Holds, rebuilt
from milepost.engine.journal import Kind, Record, begin, finish
from milepost.engine.keys import escape, key_of
from milepost.engine.plan import WORK, Exit, Plan, PlanNode
from milepost.engine.position import (
    START,
    Base,
    Cancel,
    Finish,
    Fire,
    Item,
    JoinRun,
    LiveStream,
    Op,
    OpenJoin,
    Position,
    Spawn,
    SpawnEach,
    Stack,
    Stream,
    StreamEnd,
    Task,
    destination,
    enter,
    root,
)
from milepost.engine.record_values import RecordValues, is_one_of, stream_tag, target_of
from milepost.engine.spec import Choice
from milepost.engine.state import State, StateView
from milepost.engine.transforms import Transforms
from milepost.engine.values import Ref, Values, shortened

MISSING = object()
ITS_EDGE: Final = "its edge", ""


class Router:
    """Routes what happens in one run. One call at a time; each call makes one record and moves the position by it.

    deps: the run's. isolated: tasks have views of the state, so a reducer has none. opened: the streams that the latest
    record began, with what gives their items. state: gives transforms their view, and tells what they changed.
    """

    def __init__(
        self,
        plan: Plan,
        position: Position,
        values: Values,
        deps: Any,
        *,
        isolated: bool,
        state: State | None = None,
    ) -> None:
        self.plan = plan
        self.position = position
        self.values = values
        self.holds: Holds = rebuilt(plan, position)
        self._accumulators = Accumulators(values, deps, isolated=isolated)
        self._transforms = Transforms(state, deps)
        self._record = Record(0, Kind.STARTED, "")
        self._kept = RecordValues(plan, values, self._record)
        self._view: StateView = StateView.nothing()
        self._base = Base("", ())
        self._edge: tuple[str, str] = ITS_EDGE
        self._cancelled: set[str] = set()
        self.opened: dict[str, AsyncIterable[Any]] = {}

    # --- what can happen ---------------------------------------------------------------------------------------------

    def started(self, record: Record, inputs: Any, view: StateView) -> None:
        """The run begins with `inputs`."""
        task = root()
        self._begin(record, view)
        slot = self._kept.keep("input", inputs, "the run's inputs")
        self._run(record, task.node, lambda: self._leave(self.plan.nodes[START], "", slot))

    def completed(self, record: Record, task: Task, output: Any, view: StateView) -> None:
        """A task returned `output`. Raises NotStorable when it cannot be kept; the task is then not done."""
        self._begin(record, view)
        node = self.plan.nodes[task.node]
        ref = self._kept.keep("nothing", None, node.what) if node.passes else self._kept.output(node, output)
        self._run(record, task.node, lambda: self._leave_task(node, task, ref, output), task)

    def routed(self, record: Record, task: Task, ref: Ref, view: StateView) -> None:
        """A task whose output is kept is routed again, after a RoutingError."""
        self._begin(record, view)
        node = self.plan.nodes[task.node]
        if task.node == START:
            self._run(record, START, lambda: self._leave(node, "", ref))
            return
        tag = ref.value.tag if ref.value is not None else ""
        if tag.startswith("in:"):  # a returned instance named the node that takes it
            target = tag.removeprefix("in:")
            self._run(record, task.node, lambda: self._enter(target, escape(target), ref), task)
            return
        output = Choice(self.values.load(ref), None) if node.role == "decide" else self.values.load(ref)
        self._run(record, task.node, lambda: self._leave_task(node, task, ref, output), task)

    def emitted(self, record: Record, stream: LiveStream, item: Any, view: StateView) -> None:
        """A stream gave its next item."""
        self._begin(record, view)
        fork = self.plan.nodes[stream.fork]
        only = fork.exits[0]
        ref = self._kept.keep(
            stream_tag(self.plan, stream), item, f"item {stream.count} of the stream of node {stream.task.node!r}"
        )
        route = f"{stream.route}{stream.mark}{stream.count}"
        self._run(record, stream.task.node, lambda: self._follow(only, route, ref))

    def handles(self, node_id: str, error: BaseException) -> bool:
        """Tell whether an error edge of a node takes this exception."""
        return self._error_exit(self.plan.nodes[node_id], error) is not None

    def caught(
        self,
        record: Record,
        task: Task,
        stream: LiveStream | None,
        failure: Failure[Any],
        error: BaseException,
        view: StateView,
    ) -> None:
        """A task, or the stream that it gave, failed for good; its failure goes along an error edge."""
        self._begin(record, view)
        node = self.plan.nodes[task.node]
        number = self._error_exit(node, error)
        assert number is not None
        outcome = self.plan.nodes[node.exits[0].target]
        ref = self._kept.keep(f"failure:{node.id}", failure, f"the failure of node {node.id!r}")
        route = f"{node.exits[0].segment}:{number}"

        def place() -> None:
            if stream is not None:
                self._end_stream(stream)
            self._follow(outcome.exits[number], route, ref)

        self._run(record, task.node, place, task if stream is None else None)

    def _error_exit(self, node: PlanNode, error: BaseException) -> int | None:
        """Return the number of the error edge that takes an exception, None when there is none."""
        if not node.exits or not self.plan.nodes[node.exits[0].target].catches:
            return None
        for number, way in enumerate(self.plan.nodes[node.exits[0].target].exits):
            if way.matches is not None and way.matches(Raised(error)):
                return number
        return None

    def exhausted(self, record: Record, stream: LiveStream, view: StateView) -> None:
        """A stream gave its last item."""
        self._begin(record, view)

        self._run(record, stream.task.node, lambda: self._end_stream(stream))

    def _end_stream(self, stream: LiveStream) -> None:
        self._emit(StreamEnd(stream.key))
        self.holds.free_stream(stream)

    # --- one record --------------------------------------------------------------------------------------------------

    def _begin(self, record: Record, view: StateView) -> None:
        self._record = self._kept.record = record
        self._view = view
        self._edge = ITS_EDGE
        if self._transforms.shared is not None:
            self._transforms.forget()
        self._cancelled.clear()
        if self.opened:
            self.opened = {}

    def _run(self, record: Record, source: str, place: Any, task: Task | None = None) -> None:
        """Place what is routed, then let every join fire that is complete.

        Raises RoutingError, the record then unrouted.
        """
        self._base = begin(self.position, record)
        try:
            place()
            if self.position.output is None:
                if task is not None:
                    self.holds.free_task(task)
                self._settle()
        except Exception as error:
            detail = str(error) if isinstance(error, (NoRoute, NotStorable)) else None
            raise RoutingError(source, self._edge[0].format(self._edge[1]), error, detail) from error
        if self._transforms.used:
            record.patch = self._transforms.changes(source)
        finish(self.position, record)

    def _emit(self, op: Op) -> None:
        """Write one op down and carry it out."""
        self._record.ops.append(op)
        self._base = enter(self.position, self._base, op)

    # --- leaving a node ----------------------------------------------------------------------------------------------

    def _leave_task(self, node: PlanNode, task: Task, ref: Ref, output: Any) -> None:
        """Send a task's output on its way."""
        if node.role == "decide":
            self._leave(node, "", task.ref, output.label)
        elif node.passes:
            self._leave(node, "", task.ref)
        elif type(output) in ATOMS:
            self._leave(node, "", ref)
        elif self._goes_by_instance(node, output):
            self._go_to_instance(output, ref)
        elif self.values.storing and is_one_of(output, (AsyncIterable,)):
            self._leave_stream(node, output)
        else:
            self._leave(node, "", ref)

    def _goes_by_instance(self, node: PlanNode, output: Any) -> bool:
        """Tell whether the returned instance names the next node, rather than the declared edges.

        Always for a BaseNode's own result. A plain step annotated `-> A | B` means the same, although pydantic-graph
        builds it with a decision that never matches.
        """
        if not isinstance(output, (BaseNode, End)):
            return False
        if node.role == "base node" or isinstance(output, (StepNode, JoinNode, End)):
            return True
        following = self.plan.nodes[self._beyond(node)[0].target]
        return following.inferred and following.role == "decision"

    def _beyond(self, node: PlanNode) -> tuple[Exit, str]:
        """Return the way that a node's output takes, and its route up to there: behind its error edges, if it has any.

        Nothing but a decide node's label has to be carried past them.
        """
        only = node.exits[0]
        outcome = self.plan.nodes[only.target]
        if not outcome.catches:
            return only, ""
        return outcome.exits[-1], f"{only.segment}:{len(outcome.exits) - 1}"

    def _go_to_instance(self, output: BaseNode[Any, Any, Any] | End[Any], ref: Ref) -> None:
        self._edge = "the node that was returned", ""
        target = target_of(output)
        self._enter(target, escape(target), ref)

    def _leave(self, node: PlanNode, route: str, ref: Ref, label: object = MISSING) -> None:
        """Follow the only way out of a node that does not fork or choose."""
        if not node.exits:
            raise NoRoute(f"nothing leaves node {node.id!r}; add an edge from it")
        self._follow(node.exits[0], route, ref, label)

    def _leave_stream(self, node: PlanNode, source: AsyncIterable[Any]) -> None:
        """Follow the way of an async iterable, which has to lead to a map at once when its items are stored."""
        only, route = self._beyond(node)
        if only.transforms or self.plan.nodes[only.target].role != "map":
            raise NoRoute(
                f"an async iterable can be stored only item by item, so node {node.id!r} must lead straight into a "
                f"map, not to {only.target!r}"
            )
        self._open_stream(self.plan.nodes[only.target], f"{route}/{only.segment}" if route else only.segment, source)

    def _follow(self, way: Exit, route: str, ref: Ref, label: object = MISSING) -> None:
        """Go along an edge: its transforms, then the node at its end."""
        if way.transforms:
            self._edge = "the transform on the edge to {!r}", way.target
            value = self._transforms.apply(way, self._kept.peek(ref), self._view, self._record.patch)
            ref = self._kept.keep(way.tag, value, f"what flows to node {way.target!r}")
        self._enter(way.target, f"{route}/{way.segment}" if route else way.segment, ref, label)

    # --- entering a node ---------------------------------------------------------------------------------------------

    def _enter(self, target: str, route: str, ref: Ref, label: object = MISSING) -> None:
        """Arrive at a node: a task is spawned for real work, structure is passed at once.

        Nothing arrives any more once the run has ended, or in a fork run that a join has just cancelled.
        """
        if self.position.output is not None or (self._cancelled and self._is_cancelled(route)):
            return
        node = self.plan.nodes[target]
        if node.role in WORK:
            self._emit(Spawn(route, ref))
            if node.watch or self.plan.cancelling:
                self.holds.hold_task(self.position.tasks[key_of(self._base.key, route)])
            return
        match node.role:
            case "decision":
                self._decide(node, route, ref, label)
            case "broadcast":
                for number, way in enumerate(node.exits):
                    self._follow(way, f"{route}{node.mark}{number}", ref)
            case "map":
                self._map(node, route, ref)
            case "join":
                self._join(node, route, ref)
            case _:
                self._emit(Finish(route, ref))
                self.holds.clear()
                self._accumulators.clear()

    def _is_cancelled(self, route: str) -> bool:
        return any(item[1] in self._cancelled for item in destination(self._base, route)[1])

    def _decide(self, node: PlanNode, route: str, ref: Ref, label: object) -> None:
        """Take the first branch whose condition holds."""
        if node.catches:  # it did not fail, or it would not be on its way here
            last = len(node.exits) - 1
            self._follow(node.exits[last], f"{route}:{last}", ref, label)
            return
        self._edge = "a condition of {!r}", node.id
        value = self._kept.peek(ref) if label is MISSING else Choice(label, None)
        for number, way in enumerate(node.exits):
            if way.matches is None or way.matches(value):
                if self.values.storing:
                    self._record.chosen.append(shortened(value.label if isinstance(value, Choice) else value))
                self._follow(way, f"{route}:{number}", ref)
                return
        decision = self.plan.workflow.nodes[NodeID(node.id)]
        raise NoRoute(
            f"no branch of {node.id!r} takes {shortened(value)}; add a branch for it or an `otherwise`",
            RuntimeError(f"No branch matched inputs {value} for decision node {decision}."),
        )

    def _map(self, node: PlanNode, route: str, ref: Ref) -> None:
        """Send every item its own way."""
        value = self._kept.peek(ref)
        if node.eager is not None and not is_one_of(value, (AsyncIterable,)):
            self._open_eagerly(node, route)
        if is_one_of(value, (Iterable,)):
            self._map_items(node, route, ref, value)
        elif is_one_of(value, (AsyncIterable,)):
            if self.values.storing:
                raise NoRoute(f"the async iterable that reaches map {node.id!r} is not the output of a node itself")
            self._open_stream(node, route, value)
        else:
            self._edge = "the map {!r}", node.id
            raise NoRoute(
                f"map {node.id!r} got {shortened(value)}, which is not iterable; give it a list",
                RuntimeError(f"Cannot map non-iterable value: {value!r}"),
            )

    def _map_items(self, node: PlanNode, route: str, ref: Ref, items: Iterable[Any]) -> None:
        """Spawn one branch per item.

        The items of a stored list are referred to, those of anything else are stored first.
        """
        way = node.exits[0]
        given: Any = items
        listed: list[Any] = given if given.__class__ is list else list(items)
        if listed is not given or not self._kept.is_stored_list(ref):
            ref = self._kept.keep(self._kept.items_tag(way, ref), list(listed), f"the items of map {node.id!r}")
        if not way.transforms and self.plan.nodes[way.target].role in WORK:
            self._spawn_each(node, route, way, ref, len(listed))
            return
        for number in range(len(listed)):
            if self.position.output is None:
                self._follow(way, f"{route}{node.mark}{number}", Ref(ref.seq, ref.slot, number, ref.value))

    def _spawn_each(self, node: PlanNode, route: str, way: Exit, ref: Ref, count: int) -> None:
        if not count:
            return
        self._emit(SpawnEach(route, node.mark, way.segment, ref, count))
        keys = [key_of(self._base.key, f"{route}{node.mark}{number}/{way.segment}") for number in range(count)]
        task = self.position.tasks[keys[0]]
        self.holds.hold(keys, task.node, task.stack, count)

    def _open_eagerly(self, node: PlanNode, route: str) -> None:
        """Make the join of a map wait from the start, so that it fires for an empty map too."""
        assert node.eager is not None
        join = self.plan.nodes[node.eager]
        inner = f"{route}{node.mark}0/{join.segment}"
        run, stack = self._join_run(join, inner)
        if (join.id, run) not in self.position.joins:
            self._emit(OpenJoin(join.id, run, inner))
            self._hold_join(join.id, run, stack)

    def _open_stream(self, node: PlanNode, route: str, source: AsyncIterable[Any]) -> None:
        if node.eager is not None:
            self._open_eagerly(node, route)
        self._emit(Stream(f"{route}{node.mark}"))
        key = key_of(self._base.key, f"{route}{node.mark}")
        self.holds.hold_stream(self.position.streams[key])
        self.opened = {**self.opened, key: source}  # who releases an earlier record may still hold the dict before it

    # --- joins -------------------------------------------------------------------------------------------------------

    def _join_run(self, node: PlanNode, route: str) -> tuple[str, Stack]:
        """Return the run of the parent fork that an item belongs to, and the item's stack."""
        assert node.join is not None
        _, stack = destination(self._base, route)
        for fork, run, _ in reversed(stack):
            if fork == node.join.fork:
                return run, stack
        raise NoRoute(f"join {node.id!r} was reached without passing its parent fork {node.join.fork!r}")

    def _hold_join(self, join: str, run: str, stack: Stack) -> None:
        self.holds.hold_join(self.position.joins[join, run], tuple((fork, one) for fork, one, _ in stack))

    def _join(self, node: PlanNode, route: str, ref: Ref) -> None:
        """Reduce one more item."""
        assert node.join is not None
        run, stack = self._join_run(node, route)
        self._edge = "the reducer of join {!r}", node.id
        key = (node.id, run)
        waiting = self.position.joins.get(key)
        cancels = self._accumulators.add(node.join, key, waiting, self._kept.item(ref), self._shared_state)
        self._emit(Item(node.id, run, route, ref))
        self._hold_join(node.id, run, stack)
        if cancels:
            self._cancel(node.id, run)

    def _shared_state(self) -> Any:
        return self._view.state

    def _settle(self) -> None:
        """Fire every join that nothing can reach any more, until none is left."""
        ready = self.holds.ready
        while ready and self.position.output is None:
            key = ready.popleft()
            if key in self.position.joins and key not in self.holds.counts:
                self._cancelled.clear()  # it kept out what followed the item that cancelled, not what follows the join
                self._fire(key)

    def _fire(self, key: JoinRun) -> None:
        """Pass a join's value on."""
        node = self.plan.nodes[key[0]]
        assert node.join is not None
        self._edge = "join {!r}", node.id
        value = self._accumulators.value(node.join, key, self.position.joins[key], self._shared_state)
        self._accumulators.forget(key)
        ref = self._kept.keep(f"out:{node.id}", value, f"the value of join {node.id!r}")
        self._emit(Fire(node.id, key[1], node.join.cut))
        self._leave(node, "", ref)
        if self.position.output is None:
            self.holds.free_join(key)

    def _cancel(self, join: str, run: str) -> None:
        """Stop everything else under this run of the join's parent fork."""
        keys = sorted(key for key in self.holds.under.get(run, ()) if key != self._base.key)
        tasks = [self.position.tasks[key] for key in keys if key in self.position.tasks]
        streams = [self.position.streams[key] for key in keys if key in self.position.streams]
        before = list(self.position.joins)
        self._cancelled.add(run)
        self._emit(Cancel(join, run, tuple(keys)))
        for task in tasks:
            self.holds.free_task(task)
        for stream in streams:
            self.holds.free_stream(stream)
        for key in before:
            if key not in self.position.joins:
                self.holds.free_join(key)
                self._accumulators.forget(key)
