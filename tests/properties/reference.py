"""What a graph means when it runs, written down a second time, as plainly as possible.

An executor without a clock, an event loop or a counter: a task is done when `pick` says so, and a join is complete when
a look at everything active finds nothing that can still reach it. It is slow, and it is what the real core must equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from inspect import isasyncgen
from types import NoneType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

from pydantic_graph import BaseNode, End
from pydantic_graph.id_types import NodeID
from pydantic_graph.join import JoinState
from pydantic_graph.paths import DestinationMarker, LabelMarker, Path, TransformMarker
from pydantic_graph.util import unpack_type_expression

from milepost.engine.failure import FailedWith, Failure, Raised
from milepost.engine.typed import (
    Decision,
    DecisionBranch,
    EndNode,
    Fork,
    Graph,
    Join,
    JoinNode,
    NodeStep,
    ReducerContext,
    StartNode,
    Step,
    StepContext,
    StepNode,
)

AnyGraph = Graph[Any, Any, Any, Any]
T = TypeVar("T")
START = "__start__"


@dataclass(frozen=True, slots=True)
class Mark:
    """One item of a fork stack: which fork, which execution of it, which of its children."""

    fork: str
    run: str
    index: int


Stack = tuple[Mark, ...]


@dataclass(slots=True, eq=False)
class Task:
    """An execution of a step that has not been completed. cause: the way that led here, the same in every order."""

    node: str
    inputs: object
    stack: Stack
    cause: str


@dataclass(slots=True, eq=False)
class Stream:
    """A map over an asynchronous iterable that has not ended."""

    node: str
    inputs: object
    stack: Stack
    cause: str
    run: str
    items: AsyncIterator[object]
    taken: int = 0


Pending = Task | Stream
Pick = Callable[[Sequence[Pending]], int]


@dataclass(slots=True, eq=False)
class OpenJoin:
    """A join that has been reached and has not fired. stacks: of its creation and of each item, in order of arrival."""

    join: str
    run: str
    current: object
    stacks: list[Stack]
    cancels: bool = False


Settle = Callable[[Sequence[OpenJoin]], int]


@dataclass(slots=True)
class Result:
    """What a run did.

    output, error: one of them, unless the run was drained. executed: every completed step as (node id, repr of inputs).
    causes: the same steps by cause. fired: every join that fired, as (join id, cause of the fork run). raced: something
    was still active when the run ended. cancels: how many times a join cancelled its fork run. notes: the places where
    the order of ties or the fate of a half-filled join is not laid down. depth: of the deepest stack.
    outcomes: of a drained run, every end and every error that was reached.
    """

    output: object = None
    error: BaseException | None = None
    executed: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    causes: Counter[str] = field(default_factory=Counter[str])
    fired: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    raced: bool = False
    cancels: int = 0
    notes: set[str] = field(default_factory=set[str])
    depth: int = 0
    outcomes: set[str] = field(default_factory=set[str])


class TooLongError(Exception):
    """The run took more steps than its limit."""


class NoResultError(Exception):
    """Nothing is active any more and no end was reached."""


class _Finished(Exception):
    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value


def first(choices: Sequence[object]) -> int:
    """Pick the oldest."""
    return 0


def last(choices: Sequence[object]) -> int:
    """Pick the newest."""
    return len(choices) - 1


def run(
    graph: AnyGraph,
    inputs: object,
    state: object = None,
    pick: Pick = first,
    *,
    settle: Settle = first,
    depth_first: bool = True,
    drain: bool = False,
    limit: int = 2000,
) -> Result:
    """Execute `graph` and return what happened; an error of a node is in the result, never raised.

    pick: which of the active tasks and streams, oldest first, completes (or gives an item) next. settle: which of
    several complete joins fires first. depth_first: how structural nodes inside one result are ordered; False takes
    them in rounds, as upstream does. drain: go on after an end or an error until nothing is active, to learn of every
    outcome.
    Raises TooLongError: more than `limit` steps were completed.
    """
    return _Execution(graph, state, settle, depth_first, drain).run(inputs, pick, limit)


def outcome_of(result: Result) -> str:
    """Return how a run ended, as text that can be compared and put into a set."""
    return _describe_error(result.error) if result.error is not None else f"output {result.output!r}"


def _describe_error(error: BaseException) -> str:
    return f"error {type(error).__name__}: {error}"


def drive(coroutine: Coroutine[object, None, T]) -> T:
    """Run a coroutine that never suspends and return its value."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return cast(T, stop.value)  # the value of a finished coroutine; send() cannot say so
    coroutine.close()
    raise RuntimeError("A body suspended, which the reference executor cannot wait for. Let it return at once.")


class _Execution:
    def __init__(self, graph: AnyGraph, state: object, settle: Settle, depth_first: bool, drain: bool) -> None:
        self.graph = graph
        self.state = state
        self.choose_join = settle
        self.depth_first = depth_first
        self.drain = drain
        self.result = Result()
        self.active: list[Pending] = []
        self.hops: list[Task] = []
        self.joins: list[OpenJoin] = []
        self.pushing = {START, *(parent.fork_id for parent in graph.parent_forks.values())}

    # The loop

    def run(self, inputs: object, pick: Pick, limit: int) -> Result:
        self.attempt(self.go, [Task(START, inputs, (Mark(START, "run", 0),), "")])
        while self.active and not self.over:
            if limit <= 0:
                raise TooLongError(f"The run of {self.graph.name!r} went on for too long.")
            limit -= 1
            self.attempt(self.complete, self.active[pick(self.active)])
        self.result.raced = bool(self.active or self.joins or self.hops)
        self.close_streams(self.active)
        if not self.over and not self.result.outcomes:
            self.result.error = NoResultError("The run came to a standstill: nothing is active and no end was reached.")
            self.result.outcomes.add(_describe_error(self.result.error))
        return self.result

    @property
    def over(self) -> bool:
        return bool(self.result.outcomes) and not self.drain

    def attempt(self, act: Callable[[T], None], subject: T) -> None:
        """Do one result and everything that follows from it at once."""
        try:
            act(subject)
            self.settle()
        except _Finished as finished:
            self.result.output = finished.value
            self.result.outcomes.add(outcome_of(self.result))
        except Exception as error:
            self.result.error = error
            self.result.outcomes.add(_describe_error(error))
            if self.drain:
                self.hops.clear()

    def complete(self, chosen: Pending) -> None:
        if isinstance(chosen, Stream):
            self.take_item(chosen)
            return
        self.result.executed[chosen.node, repr(_given(chosen.inputs))] += 1
        self.result.causes[chosen.cause] += 1
        step = cast("Step[Any, Any, Any, Any]", self.graph.nodes[NodeID(chosen.node)])  # only steps become tasks
        try:
            try:
                output = drive(_as_coroutine(step.call(StepContext(state=self.state, deps=None, inputs=chosen.inputs))))
            except ValueError as error:
                self.go(self.follow_failure(error, chosen))
                return
            if isinstance(step, NodeStep):
                self.go(self.follow_instance(output, chosen))
            else:
                self.go(self.follow_only_path(output, chosen))
        finally:
            self.remove(chosen)

    def take_item(self, stream: Stream) -> None:
        try:
            item = drive(_as_coroutine(anext(stream.items)))
        except StopAsyncIteration:
            self.remove(stream)
            return
        except BaseException:
            self.remove(stream)
            raise
        index = stream.taken
        stream.taken += 1
        self.go([self.child(stream, stream.run, index, item, 0)])

    def remove(self, done: Pending) -> None:
        self.active = [other for other in self.active if other is not done]

    # Structural nodes, inside the result that feeds them

    def go(self, hops: list[Task]) -> None:
        """Follow the paths out of one result up to the steps at their ends."""
        self.hops = hops
        while self.hops:
            hop = self.hops.pop(0)
            self.result.depth = max(self.result.depth, len(hop.stack))
            further = self.enter(hop)
            self.hops = [*further, *self.hops] if self.depth_first else [*self.hops, *further]

    def enter(self, hop: Task) -> list[Task]:
        node = self.graph.nodes[NodeID(hop.node)]
        if isinstance(node, Step):
            self.active.append(hop)
        elif isinstance(node, StartNode):
            return self.follow_only_path(hop.inputs, hop)
        elif isinstance(node, Fork):
            return self.fork(node, hop)
        elif isinstance(node, Decision):
            return self.decide(node, hop)
        elif isinstance(node, Join):
            self.add_item(node, hop)
        else:
            self.finish(hop.inputs)
        return []

    def finish(self, value: object) -> None:
        if not self.drain:
            raise _Finished(value)
        self.result.outcomes.add(f"output {value!r}")

    def follow(self, path: Path, value: object, source: Pending, stack: Stack, ordinal: int | str) -> Task:
        for item in path.items:
            if isinstance(item, TransformMarker):
                value = item.transform(StepContext(state=self.state, deps=None, inputs=value))
            elif isinstance(item, DestinationMarker):
                return Task(item.destination_id, value, stack, f"{source.cause}.{ordinal}/{item.destination_id}")
            else:
                assert isinstance(item, LabelMarker), "build() leaves no other kind of item in a path"
        raise AssertionError("A path always ends in a destination.")

    def follow_only_path(self, value: object, source: Task) -> list[Task]:
        (path,) = self.graph.edges_by_source[NodeID(source.node)]
        return [self.follow(path, value, source, source.stack, 0)]

    def follow_failure(self, error: ValueError, source: Task) -> list[Task]:
        """Go along the first error edge that takes what a step raised; without one, raise it."""
        (path,) = self.graph.edges_by_source[NodeID(source.node)]
        outcome = self.graph.nodes[_end_of(path)]
        for ordinal, branch in enumerate(outcome.branches if isinstance(outcome, Decision) else ()):
            if isinstance(branch.matches, FailedWith) and branch.matches(Raised(error)):
                failure = Failure(node=source.node, task="", attempts=1, error="", message="", inputs=source.inputs)
                hop = Task(outcome.id, failure, source.stack, f"{source.cause}.0/{outcome.id}")
                return [self.follow(branch.path, failure, hop, hop.stack, ordinal)]
        raise error

    def follow_instance(self, output: object, source: Task) -> list[Task]:
        """Go where the node that was returned says, whatever edges were declared."""
        if isinstance(output, End):
            destination, value = EndNode.id, cast("End[object]", output).data
        elif isinstance(output, StepNode):
            step_node = cast(Any, output)  # its type parameters cannot be known here
            destination, value = step_node.step.id, step_node.inputs
        elif isinstance(output, JoinNode):
            join_node = cast(Any, output)
            destination, value = join_node.join.id, join_node.inputs
        else:
            assert isinstance(output, BaseNode), f"Node {source.node!r} returned {output!r}, which is not a node."
            destination, value = NodeID(output.get_node_id()), cast(object, output)
        return [Task(destination, value, source.stack, f"{source.cause}.0/{destination}")]

    def decide(self, decision: Decision[Any, Any, Any], hop: Task) -> list[Task]:
        value = hop.inputs
        if _is_node(value) and all(each.source is NoneType and each.matches is None for each in decision.branches):
            return self.follow_instance(value, hop)  # made from the return hint of a plain step
        for ordinal, branch in enumerate(decision.branches):
            if _is_taken(branch, value):
                return [self.follow(branch.path, value, hop, hop.stack, ordinal)]
        raise RuntimeError(f"No branch of {decision.id!r} matches {hop.inputs!r}.")

    def fork(self, fork: Fork[Any, Any], hop: Task) -> list[Task]:
        fork_run = f"{hop.cause}!"
        if not fork.is_map:
            paths = self.graph.edges_by_source[fork.id]
            return [self.child(hop, fork_run, index, hop.inputs, index) for index in range(len(paths))]
        if fork.downstream_join_id is not None:
            self.open_join(fork.downstream_join_id, self.push(hop, fork_run, 0))
        value = hop.inputs
        if isinstance(value, Iterable):
            items = cast("Iterable[object]", value)
            return [self.child(hop, fork_run, index, item, 0) for index, item in enumerate(items)]
        if isinstance(value, AsyncIterable):
            iterator = aiter(cast("AsyncIterable[object]", value))
            self.active.append(Stream(fork.id, None, hop.stack, hop.cause, fork_run, iterator))
            return []
        raise RuntimeError(f"Map {fork.id!r} cannot iterate over {hop.inputs!r}.")

    def push(self, source: Pending, fork_run: str, index: int) -> Stack:
        mark = Mark(source.node, fork_run, index)
        return (*source.stack, mark) if source.node in self.pushing else source.stack

    def child(self, source: Pending, fork_run: str, index: int, value: object, path: int) -> Task:
        stack = self.push(source, fork_run, index)
        return self.follow(self.graph.edges_by_source[NodeID(source.node)][path], value, source, stack, f"#{index}")

    # Joins, by looking at everything

    def open_join(self, join_id: str, stack: Stack) -> OpenJoin:
        fork = self.parent(join_id)
        fork_run = _nearest(stack, fork)
        if fork_run is None:
            raise RuntimeError(f"An item of join {join_id!r} does not come from a run of its parent fork {fork!r}.")
        for known in self.joins:
            if (known.join, known.run) == (join_id, fork_run):
                known.stacks.append(stack)
                return known
        node = cast("Join[Any, Any, Any, Any]", self.graph.nodes[NodeID(join_id)])  # parent_forks lists joins only
        opened = OpenJoin(join_id, fork_run, deepcopy(node.initial_factory()), [stack])
        self.joins.append(opened)
        return opened

    def add_item(self, join: Join[Any, Any, Any, Any], hop: Task) -> None:
        opened = self.open_join(join.id, hop.stack)
        seen = JoinState(opened.current, ())
        context = ReducerContext[object, None](state=self.state, deps=None, join_state=seen)
        opened.current = join.reduce(context, opened.current, hop.inputs)
        if seen.cancelled_sibling_tasks:
            self.cancel(opened)

    def settle(self) -> None:
        """Fire every join that nothing can reach any more."""
        while ready := [opened for opened in self.joins if not self.is_awaited(opened)]:
            firing = ready[self.choose_join(ready)]
            stack = self.output_stack(firing)
            self.joins.remove(firing)
            self.result.fired.append((firing.join, firing.run))
            source = Task(firing.join, None, stack, f"{firing.join}<{firing.run}>")
            self.go(self.follow_only_path(firing.current, source))

    def is_awaited(self, opened: OpenJoin) -> bool:
        fork = self.parent(opened.join)
        before = {*self.graph.parent_forks[NodeID(opened.join)].intermediate_nodes, opened.join}
        for task in self.active:
            if task.node in before and _nearest(task.stack, fork) == opened.run:
                return True
            if isinstance(task, Stream) and (task.node, task.run) == (fork, opened.run):
                return True
        return any(
            other.join in before and any(_nearest(stack, fork) == opened.run for stack in other.stacks)
            for other in self.joins
            if other.join != opened.join
        )

    def output_stack(self, opened: OpenJoin) -> Stack:
        if self.graph.is_final_join(NodeID(opened.join)):
            return opened.stacks[0][: max(1, self.position(opened, opened.stacks[0]))]
        indices = {stack: tuple(mark.index for mark in stack) for stack in opened.stacks}
        smallest = min(indices.values())
        tied = sorted((stack for stack in indices if indices[stack] == smallest), key=_identity)
        if len(tied) > 1:
            self.result.notes.add("equal paths of thread indices")
        return tied[0]

    def position(self, opened: OpenJoin, stack: Stack) -> int:
        """Return where in `stack` the run is that `opened` joins."""
        return [(mark.fork, mark.run) for mark in stack].index((self.parent(opened.join), opened.run))

    def parent(self, join_id: str) -> str:
        return self.graph.get_parent_fork(NodeID(join_id)).fork_id

    # Cancelling

    def cancel(self, winner: OpenJoin) -> None:
        """Drop everything that belongs to the fork run of `winner`, but not `winner` itself."""
        self.result.cancels += 1
        dropped = [task for task in self.active if _is_within(task, winner.run)]
        self.active = [task for task in self.active if task not in dropped]
        self.close_streams(dropped)
        self.hops = [hop for hop in self.hops if not _is_within(hop, winner.run)]
        self.joins = [other for other in self.joins if other is winner or not self.is_dropped(other, winner)]

    def is_dropped(self, other: OpenJoin, winner: OpenJoin) -> bool:
        """Tell whether an open join goes down with a cancelled fork run: everything in it came from that run.

        A final join is looked at by its own fork run: what it took from a cancelled run below stays taken.
        """
        stack = other.stacks[0]
        if self.graph.is_final_join(NodeID(other.join)):
            return _holds(stack[: self.position(other, stack) + 1], winner.run)
        inside = [_holds(each, winner.run) for each in other.stacks]
        if any(inside) and not _holds(stack[: self.position(other, stack) + 1], winner.run):
            self.result.notes.add("half-filled join of an outer fork run")
        return all(inside)

    def close_streams(self, dropped: Iterable[Pending]) -> None:
        for stream in dropped:
            if isinstance(stream, Stream) and isasyncgen(stream.items):
                drive(stream.items.aclose())


def _as_coroutine(awaitable: object) -> Coroutine[object, None, object]:
    async def wait() -> object:
        return await cast("Coroutine[object, None, object]", awaitable)  # any awaitable; only awaited

    return wait()


def _end_of(path: Path) -> NodeID:
    return next(item.destination_id for item in path.items if isinstance(item, DestinationMarker))


def _given(inputs: object) -> object:
    """Return what a step's body says that it was given: of a failure, what the failed step was given."""
    return cast("Failure[object]", inputs).inputs if isinstance(inputs, Failure) else inputs


def _nearest(stack: Stack, fork: str) -> str | None:
    return next((mark.run for mark in reversed(stack) if mark.fork == fork), None)


def _holds(stack: Stack, fork_run: str) -> bool:
    return any(mark.run == fork_run for mark in stack)


def _is_within(task: Pending, fork_run: str) -> bool:
    return _holds(task.stack, fork_run) or (isinstance(task, Stream) and task.run == fork_run)


def _identity(stack: Stack) -> tuple[str, ...]:
    return tuple(mark.run for mark in stack)


def _is_node(value: object) -> bool:
    return isinstance(value, BaseNode | End)


def _is_taken(branch: DecisionBranch[Any], value: object) -> bool:
    if branch.matches is not None:
        return branch.matches(value)
    source: object = unpack_type_expression(branch.source)
    if source is Any or source is object:
        return True
    if get_origin(source) is Literal:
        return any(_is_literal(value, literal) for literal in get_args(source))
    return isinstance(value, cast("type[object]", source))  # upstream allows a class or a union of classes here


def _is_literal(value: object, literal: object) -> bool:
    if isinstance(value, int) and isinstance(literal, int) and isinstance(value, bool) != isinstance(literal, bool):
        return False
    return value == literal
