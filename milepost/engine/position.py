"""Where a run stands, and what each op of a record does to it: `enter`.

A position is plain data. It knows no workflow, no clock and no store, so that records written under one version of a
workflow mean the same under the next one. What it takes to know that a join is complete is derived from it
(`milepost.engine.holds`).

A route says how a value travelled from the node that made it: segments joined by `/`, ending in the node that got it.
What was passed is `id#3` (way or item 3 of a fork that some join waits for) or `id:3` (way or item 3 of any other fork,
or branch 3 of a decision), so that the fork stack of what was spawned follows from the route alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple, assert_never

from milepost.engine.keys import ROOT, key_of, unescape
from milepost.engine.patch import Patch, inverse, spliced
from milepost.engine.values import Ref
from milepost.engine.versions import Step, remember
from milepost.engine.waits import Dues, Early, Waiting

StackItem = tuple[str, str, int]
"""(fork id, fork run, number of the way or item)"""
Stack = tuple[StackItem, ...]
JoinRun = tuple[str, str]
"""(join id, run of its parent fork)"""

START: Final = "__start__"
END: Final = "__end__"


class Spawn(NamedTuple):
    """A task begins to exist: the last node of `route`, with `ref` as its input."""

    route: str
    ref: Ref


class SpawnEach(NamedTuple):
    """One task per item of a stored list.

    route: to the map, without an index. tail: from the map to the mapped node.
    """

    route: str
    mark: str
    tail: str
    ref: Ref
    size: int


class Stream(NamedTuple):
    """A stream begins: its items follow, each in a record of its own.

    route: to the map that takes them, and the mark of that map.
    """

    route: str


class StreamEnd(NamedTuple):
    """The stream has given its last item."""

    stream: str


class OpenJoin(NamedTuple):
    """A join begins to wait although nothing has reached it yet."""

    join: str
    run: str
    route: str


class Item(NamedTuple):
    """A value reaches a join."""

    join: str
    run: str
    route: str
    ref: Ref


class Fire(NamedTuple):
    """A join is complete. cut: the id of its parent fork when its output leaves that fork, else None."""

    join: str
    run: str
    cut: str | None


class Cancel(NamedTuple):
    """A join has what it needs, so everything else under this run of its parent fork stops.

    tasks: the keys of the tasks and streams that stop.
    """

    join: str
    run: str
    tasks: tuple[str, ...]


class Finish(NamedTuple):
    """The run ends with this output."""

    route: str
    ref: Ref


Op = Spawn | SpawnEach | Stream | StreamEnd | OpenJoin | Item | Fire | Cancel | Finish


@dataclass(slots=True)
class Task:
    """A node that has to be run. spawned: the number of the record that made it."""

    key: str
    node: str
    ref: Ref
    stack: Stack
    spawned: int


@dataclass(slots=True)
class LiveStream:
    """A stream that still gives items.

    task: whose output it is. stack: of the map. count: the items taken so far. digest: a hash over their texts, by
    which a resume sees that the body gives the same items again.
    """

    key: str
    task: Task
    fork: str
    stack: Stack
    run: str
    mark: str
    route: str
    count: int = 0
    digest: str = ""


@dataclass(slots=True)
class WaitingJoin:
    """A join that waits. stack: the smallest one that reached it. lineages: the (fork, run) chains that reached it."""

    join: str
    run: str
    stack: Stack
    items: list[Ref] = field(default_factory=list[Ref])
    lineages: set[tuple[tuple[str, str], ...]] = field(default_factory=set[tuple[tuple[str, str], ...]])


@dataclass(slots=True)
class Base:
    """What is being routed: a task's output or a join's. The routes of a record's ops start here."""

    key: str
    stack: Stack

    def run_of(self, route: str) -> str:
        """Return the run of the fork that `route` leads to."""
        return key_of(self.key, route)


@dataclass(slots=True)
class StreamBase(Base):
    """An item of a stream. route, run: of the map; its run keeps its key when the map gets another id."""

    route: str
    run: str

    def run_of(self, route: str) -> str:
        return self.run if route == self.route else key_of(self.key, route)


@dataclass(slots=True)
class Position:
    """Where a run stands after record `seq`.

    tasks: what has to run, in the order it was spawned. unrouted: tasks whose output is kept but was not routed (see
    RoutingError), with that output. intended: tasks that may run at most once and have begun. waiting: tasks that wait
    for something, by their keys. early: events that came before anything waited for them, by the ids of their messages.
    fields: the committed state, JSON text by top-level field; written: the record that last changed each; writers: the
    (task or stream, node) of that record; past: how to get back to what a field was when something that is still to run
    was spawned. output: set when the run has ended. definition: the fingerprint of what the run follows, "" without a
    store. renamed: the newest record that gave nodes other ids, 0 for none. keep_items: joins hold their items, which
    only a store needs. dropped: what the newest record cancelled, until it is finished. dues: when what waits goes on
    by itself, None until somebody asks.
    """

    seq: int = 0
    tasks: dict[str, Task] = field(default_factory=dict[str, Task])
    streams: dict[str, LiveStream] = field(default_factory=dict[str, LiveStream])
    joins: dict[JoinRun, WaitingJoin] = field(default_factory=dict[JoinRun, WaitingJoin])
    unrouted: dict[str, tuple[Task, Ref]] = field(default_factory=dict[str, tuple[Task, Ref]])
    intended: set[str] = field(default_factory=set[str])
    waiting: dict[str, Waiting] = field(default_factory=dict[str, Waiting])
    early: dict[str, Early] = field(default_factory=dict[str, Early])
    fields: dict[str, str] = field(default_factory=dict[str, str])
    written: dict[str, int] = field(default_factory=dict[str, int])
    writers: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    past: dict[str, list[Step]] = field(default_factory=dict[str, list[Step]])
    output: Ref | None = None
    definition: str = ""
    renamed: int = 0
    keep_items: bool = field(default=True, compare=False)
    dropped: list[Task] = field(default_factory=list[Task], compare=False)
    dues: Dues | None = field(default=None, compare=False, repr=False)

    @property
    def only_waits(self) -> bool:
        """Whether nothing is left to do until somebody answers, something happens or a time comes."""
        is_idle = bool(self.waiting) and not self.streams and not self.unrouted
        return is_idle and len(self.waiting) == len(self.tasks)

    @property
    def until(self) -> float | None:
        """When the first of what waits goes on by itself, seconds since 1970 UTC; None for never."""
        if not self.waiting:
            return None
        if self.dues is None:
            self.dues = Dues()
            for key, waiting in self.waiting.items():
                self.dues.add(key, waiting)
        first = self.dues.first(self._waits_until)
        return None if first is None else first[0]

    def _waits_until(self, task: str, until: float) -> bool:
        waiting = self.waiting.get(task)
        return waiting is not None and waiting.until == until


def destination(base: Base, route: str) -> tuple[str, Stack]:
    """Return the last node of `route` and the fork stack of what arrives there."""
    head, _, last = route.rpartition("/")
    if "#" not in head:
        return unescape(last), base.stack
    stack = base.stack
    passed = 0
    for segment in head.split("/"):
        fork, mark, index = segment.partition("#")
        if mark:
            stack = (*stack, (unescape(fork), base.run_of(head[: passed + len(fork)]), int(index)))
        passed += len(segment) + 1
    return unescape(last), stack


def lineage(stack: Stack) -> tuple[tuple[str, str], ...]:
    """Return the fork runs of a stack, outermost first, without the numbers."""
    return tuple((fork, run) for fork, run, _ in stack)


def precedence(stack: Stack) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Order stacks by their numbers; between equal ones by the runs, which follow from causes, not from time."""
    return tuple(item[2] for item in stack), tuple(item[1] for item in stack)


def join_output(waiting: WaitingJoin, cut: str | None, renamed: int = 0) -> Base:
    """Return what the output of a complete join starts from.

    renamed: the newest record that gave nodes other ids. It is part of the key: another join may have fired under this
    id in the same fork run before.

    A final join leaves its parent fork, so its stack is cut before that fork's item (the start is never left). Any
    other join keeps the smallest stack that reached it: the first to arrive would depend on timing.
    """
    stack = waiting.stack
    if cut is not None and cut != START:
        depth = max(depth for depth, item in enumerate(stack) if item[0] == cut)
        stack = stack[:depth]
    elif cut == START:
        stack = stack[:1]
    return Base(key_of(waiting.run, f"join/{waiting.join}" if not renamed else f"join {renamed}/{waiting.join}"), stack)


def arrive(waiting: WaitingJoin, stack: Stack) -> None:
    """Note where an item of this join came from."""
    waiting.lineages.add(lineage(stack))
    if precedence(stack) < precedence(waiting.stack):
        waiting.stack = stack


def enter(position: Position, base: Base, op: Op) -> Base:
    """Carry out one op of a record on `position`, in place; return what the following ops start from."""
    match op:
        case Spawn():
            node, stack = destination(base, op.route)
            key = key_of(base.key, op.route)
            position.tasks[key] = Task(key, node, op.ref, stack, position.seq)
        case SpawnEach():
            spawn_each(position, base, op)
        case Item():
            _, stack = destination(base, op.route)
            waiting = position.joins.get((op.join, op.run))
            if waiting is None:
                waiting = position.joins[op.join, op.run] = WaitingJoin(op.join, op.run, stack)
            arrive(waiting, stack)
            if position.keep_items:
                waiting.items.append(op.ref)
        case Fire():
            return join_output(position.joins.pop((op.join, op.run)), op.cut, position.renamed)
        case OpenJoin():
            _, stack = destination(base, op.route)
            waiting = position.joins[op.join, op.run] = WaitingJoin(op.join, op.run, stack)
            arrive(waiting, stack)
        case Cancel():
            cancel(position, op)
        case Stream() | StreamEnd():
            enter_stream(position, base, op)
        case Finish():
            position.output = op.ref
            position.dropped.extend(position.tasks.values())
            position.dropped.extend(stream.task for stream in position.streams.values())
            position.tasks.clear()
            position.streams.clear()
            position.joins.clear()
            position.unrouted.clear()
            position.intended.clear()
            position.waiting.clear()
            position.early.clear()
        case _:
            assert_never(op)
    return base


def spawn_each(position: Position, base: Base, op: SpawnEach) -> None:
    """Spawn the tasks of a whole map; what they share is worked out once."""
    items = op.ref
    fork = unescape(op.route.rpartition("/")[2])
    node, outer = destination(base, f"{op.route}/{op.tail}")
    run = key_of(base.key, op.route)
    for number in range(op.size):
        key = key_of(base.key, f"{op.route}{op.mark}{number}/{op.tail}")
        stack = (*outer, (fork, run, number)) if op.mark == "#" else outer
        position.tasks[key] = Task(key, node, Ref(items.seq, items.slot, number, items.value), stack, position.seq)


def enter_stream(position: Position, base: Base, op: Stream | StreamEnd) -> None:
    """Begin or end a stream. The task stays known by it: a resume has to run its body again to get at the rest."""
    if isinstance(op, StreamEnd):
        del position.streams[op.stream]
        return
    fork, stack = destination(base, op.route[:-1])
    key = key_of(base.key, op.route)
    task = position.tasks.get(base.key) or Task(base.key, START, Ref(1, 0), base.stack, position.seq)
    run = key_of(base.key, op.route[:-1])
    position.streams[key] = LiveStream(key, task, fork, stack, run, op.route[-1], op.route[:-1])


def is_within(stack: Stack, run: str, outer: str) -> bool:
    """Tell whether fork run `run` is `outer` or was begun under it, as one stack that holds `run` shows."""
    runs = [item[1] for item in stack]
    return outer in runs and run in runs and runs.index(outer) <= runs.index(run)


def cancel(position: Position, op: Cancel) -> None:
    """Drop what a cancelling join stops: named tasks and streams, and the other joins that wait within the same run."""
    for key in op.tasks:
        stream = position.streams.pop(key, None)
        task = position.tasks.pop(key, None) if stream is None else stream.task
        if task is not None:
            position.dropped.append(task)
        position.intended.discard(key)
        position.waiting.pop(key, None)
    for other, waiting in list(position.joins.items()):
        if other != (op.join, op.run) and is_within(waiting.stack, waiting.run, op.run):
            del position.joins[other]


def patch_state(position: Position, patch: Patch, task: str = "", node: str = "") -> None:
    """Bring the committed state to what the record at hand says. task, node: whom it is about."""
    newest = newest_waiting(position, task)
    for name, change in patch.items():
        before = position.fields.get(name, "")
        if change is None:
            after, undo = "", (0, 0, position.fields.pop(name, ""))
        else:
            after, undo = spliced(before, change), inverse(before, change)
            position.fields[name] = after
        steps = position.past.pop(name, [])
        remember(steps, position.seq, undo, after, newest, lambda: waiting(position, task))
        if steps:
            position.past[name] = steps
        position.written[name] = position.seq
        position.writers[name] = task, node


def newest_waiting(position: Position, leaving: str) -> int:
    """Return the newest record before this one that spawned something which is still to run, -1 for none.

    leaving: the task that this record is about, which is done.
    """
    newest = max((stream.task.spawned for stream in position.streams.values()), default=-1)
    for task in reversed(position.tasks.values()):
        if task.key != leaving and task.spawned < position.seq:
            return max(newest, task.spawned)
    return newest


def waiting(position: Position, leaving: str) -> set[int]:
    """Return all the records before this one that spawned something which is still to run."""
    found = {stream.task.spawned for stream in position.streams.values()}
    found.update(task.spawned for task in position.tasks.values() if task.key != leaving)
    found.discard(position.seq)
    return found


def newest_tasks(position: Position) -> list[Task]:
    """Return the tasks that the newest record spawned, in order; they are the last ones of the position."""
    found: list[Task] = []
    for task in reversed(position.tasks.values()):
        if task.spawned != position.seq:
            break
        found.append(task)
    found.reverse()
    return found


def root() -> Task:
    """Return the task that stands for the start of a run."""
    run = key_of(ROOT, START)
    return Task(ROOT, START, Ref(1, 0), ((START, run, 0),), 1)
