"""The anyio shell of a run: it carries out tasks, hands what happens to the router, and releases what is committed.

One driver per run. Results are handled one at a time, in the order they come in. What a record starts, cancels or ends
is done when the record is committed, not before.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Protocol

import anyio
from anyio.abc import TaskGroup

from milepost.engine.asking import Asking, expected_of
from milepost.engine.attempts import Body, Outcome
from milepost.engine.caching import NodeCache
from milepost.engine.children import Place
from milepost.engine.errors import RunCancelled, StoreError, WorkflowError
from milepost.engine.events import Event
from milepost.engine.facilities import Facilities
from milepost.engine.failing import Failures
from milepost.engine.journal import COMPLETED, Kind, Record, apply
from milepost.engine.plan import Plan
from milepost.engine.position import Cancel, Finish, LiveStream, Position, Task, newest_tasks
from milepost.engine.route import Router
from milepost.engine.settlement import NOTHING_SETTLED, Done, Settlement
from milepost.engine.slots import slots_for
from milepost.engine.spans import spans_for
from milepost.engine.spec import Expected
from milepost.engine.state import State, StateView
from milepost.engine.stores.store import Message
from milepost.engine.streams import Streams
from milepost.engine.turns import Turns
from milepost.engine.values import Ref, Values

LONGEST_NAP = 0.5
"""Seconds after which the clock is asked again while something waits for a time: it may be set."""
_NOTHING_OPENED: Final[Mapping[str, AsyncIterable[Any]]] = MappingProxyType({})


def only_one(error: BaseException) -> BaseException:
    """Return the exception that a task group wrapped, when there is just one."""
    inner: Sequence[BaseException] = getattr(error, "exceptions", ())
    return only_one(inner[0]) if len(inner) == 1 else error


class Log(Protocol):
    """Where a run's records go."""

    def commit(
        self, record: Record, position: Position | None, committed: Callable[[BaseException | None], None]
    ) -> None:
        """Write a record down and call `committed`, at once or later.

        position: to take a snapshot of, if it is sound.
        """
        ...


@dataclass(slots=True, eq=False)
class _Commit:
    """What follows a record once the log has it, or could not write it; the log calls it then.

    spawned, opened: the tasks and streams that begin. released: is called after that. lost: is called instead. is_late:
    the log had not called it when it was given the record, so that whoever leads may be asleep. One object instead of a
    dozen, functions and their cells, for every run that waits for the disk.
    """

    driver: Driver
    record: Record
    spawned: Sequence[Task]
    opened: Mapping[str, AsyncIterable[Any]]
    released: Callable[[], None] | None
    lost: Callable[[], None] | None
    is_late: bool = False

    def __call__(self, error: BaseException | None) -> None:
        self.driver.acknowledged(self, error)


class Driver:
    """Drives one run from its position to its end, a failure, or a stop from outside. Single use.

    place: where the run is among runs inside one another, None for a run of its own.
    ended: the end was reached and is committed. failure: why it stopped without an output. rests: nothing is left to do
    until something comes from outside, so nobody has to drive the run. leaving: nobody will say anything any more.
    watch: is told of every committed record and what it spawned. tell: takes what happens without a record. room: waits
    until those who watch can take more. post_office: fetches what was said to the run from outside; None where nothing
    is stored. lulls: is told that the run waits, and until when, or that it waits no more.
    """

    def __init__(
        self,
        plan: Plan,
        position: Position,
        values: Values,
        state: State,
        log: Log,
        deps: Any,
        run_id: str,
        facilities: Facilities,
        place: Place | None = None,
    ) -> None:
        place = place or Place(workflow=plan.workflow.name or "")
        self.position = position
        self.ended = False
        self.failure: BaseException | None = None
        self.watch: Callable[[Record, tuple[Task, ...]], None] | None = None
        self.tell: Callable[[Event], None] | None = None
        self.room: Callable[[], Awaitable[None]] | None = None
        self.post_office: Callable[[], Awaitable[None]] | None = None
        self.rests = False
        self.leaving = False
        self.lulls: Callable[[bool, float | None], None] | None = None
        self._lull = False
        self._plan = plan
        self._values = values
        self._state = state
        self._log = log
        self._run_id = run_id
        self._cache = facilities.cache(plan, values)
        self._turns = Turns(self, cancellable=bool(plan.cancelling))
        self._slots = slots_for(plan, facilities.gates, place, self._enter)
        self._router = Router(plan, position, values, deps, isolated=state.isolated, state=state)
        self._spans = spans_for(plan.workflow, run_id)
        self._body = Body(plan, values, state, deps, run_id, self, facilities, self._cache, place, self._spans)
        self._streams = Streams(plan, values, state, self._router, self._body, self, self._slots)
        self._failures = Failures(plan, values, state, self._router, self)
        self._clock = facilities.clock
        self._asking = Asking(plan, values, state, run_id, self, facilities.clock)
        self._uncommitted = 0
        self._broken = False
        self._cancelling = False
        self._group: TaskGroup | None = None

    # --- entry points ------------------------------------------------------------------------------------------------

    def start(self, record: Record, inputs: Any) -> None:
        """Begin the run with its first record, which is committed like any other. Raises NotStorable."""
        view = self._state.view(lambda: True)
        record.patch, record.given = self._state.first()
        self.route(record, view, lambda: self._router.started(record, inputs, view))

    async def drive(self) -> None:
        """Run until the end. Leaves the outcome in `position.output` or `failure`."""
        if self._spans is None:
            await self._drive()
        else:
            with self._spans.graph(lambda: self.failure):
                await self._drive()

    async def _drive(self) -> None:
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                if self.position.waiting and self.post_office is not None:
                    with suppress(StoreError):  # it is looked into again soon
                        await self.post_office()
                await self._turns.lead(group)
        except BaseExceptionGroup as several:
            raise only_one(several) from None
        finally:
            self._group = None
            if self._slots is not None:
                self._slots.close()
            self._state.settle()
            if not self._uncommitted:  # else what is still to be released needs the parts
                self._let_go()

    def _let_go(self) -> None:
        """Have the parts forget this driver, so that it and they are free as soon as nobody needs them.

        While they hold one another only the garbage collector frees them, which looks at everything there is for that.
        """
        del self._turns.host, self._body.host, self._streams.host, self._failures.host, self._asking.host
        if self._slots is not None:
            del self._slots.start

    def output(self) -> Any:
        """Return the output of a run that has come to its end."""
        assert self.position.output is not None
        return self._values.load(self.position.output)

    def resume(self, settled: Mapping[str, Settlement] = NOTHING_SETTLED) -> None:
        """Take up what is pending at the position. settled: what became of tasks that may run at most once."""
        looking = {task.key for task in self._asking.resume()}
        left = [task for key, task in self.position.tasks.items() if key not in self.position.waiting or key in looking]
        if self._slots is not None:
            self._slots.spawned([*left, *self.position.streams.values()])
        for task in left:
            settlement = settled.get(task.key)
            if isinstance(settlement, Done):
                self.post(partial(self.settle, task, Outcome(settlement.value, self._state.view(lambda: False))))
            elif self._slots is None or self._slots.enter(task):
                self._turns.waiting.append(task)
        for task, ref in list(self.position.unrouted.values()):
            self.post(partial(self._route_again, task, ref))
        for stream in list(self.position.streams.values()):
            self.post(partial(self._restart, stream))
        if self.position.output is not None:
            self.ended = True

    def _restart(self, stream: LiveStream) -> None:
        if self._group is not None and stream.key in self.position.streams:
            self._streams.restart(stream, self._group)

    def _route_again(self, task: Task, output: Ref) -> None:
        """Route an output that is kept from a RoutingError."""
        view = self._state.view(lambda: False)
        record = Record(self.position.seq + 1, Kind.ROUTED, task.key, task.node)
        self.route(record, view, lambda: self._router.routed(record, task, output, view))

    def _cancel_run(self, taken: tuple[str, ...]) -> None:
        if self._broken or self.position.output is not None:
            return
        record = Record(self.position.seq + 1, Kind.CANCELLED, "", error="cancelled", taken=taken)
        self.break_off(record, RunCancelled(self._run_id))

    def ask_to_cancel(self, taken: tuple[str, ...] = ()) -> None:
        """Have the run end for good. taken: the messages that ask for it."""
        self._cancelling = True
        self.post(partial(self._cancel_run, taken))

    def hear(self, message: Message) -> None:
        """Take in what somebody said to the run, in turn."""
        self.post(partial(self._hear, message))

    def _hear(self, message: Message) -> None:
        if not self._broken and self.position.output is None:
            self._asking.hear(message)

    def expected(self, task: str, wait: str) -> Expected | None:
        """Return what the code says of something that a task waits for, None when it does not."""
        return expected_of(self._plan, self.position, task, wait)

    def leave(self) -> None:
        """Note that nobody will say anything to the run any more: what it waits for can only be a time."""
        self.leaving = True
        self.post(lambda: None)

    @property
    def nests(self) -> bool:
        """Whether runs may be inside this one."""
        return self._plan.nests

    @property
    def waits(self) -> bool:
        """Whether a task of it, or of a run inside it, may wait for something outside."""
        return self._plan.waits or self._plan.nests

    @property
    def is_broken(self) -> bool:
        """Whether nothing may be committed any more."""
        return self._broken

    @property
    def reads(self) -> bool:
        """Whether streams are being read."""
        return bool(self._streams.feeds)

    def post(self, happening: Callable[[], None]) -> None:
        """Have something done by the loop, in turn."""
        self._turns.post(happening)

    # --- the loop ----------------------------------------------------------------------------------------------------

    def carry_out(self, task: Task) -> Coroutine[Any, Any, Outcome]:
        """Do what a task is for."""
        return self._body.carry_out(task)

    def idle(self) -> Awaitable[object]:
        """Return what waits for what is under way, or finds out what becomes of a run in which nothing is."""
        return self._nap() if self._is_busy() else self._conclude()

    async def _conclude(self) -> None:
        """Find out what becomes of a run in which nothing is under way."""
        if self._failures.pending:
            self._failures.conclude()
        elif not self.position.waiting:
            self._failures.give_up()
        else:
            await self._rest()

    async def _rest(self) -> None:
        """Nothing is left to do until something comes from outside: go on with what has come, or do not wait here."""
        if await self._expired():
            return
        if self._values.storing or (self.leaving and self._asking.due is None):
            self.rests = True
        else:
            self._note_lull(True)
            await self._nap()

    def _note_lull(self, waits: bool) -> None:
        """Say that a run that is stored nowhere waits, or waits no more."""
        if self.lulls is not None and waits != self._lull:
            self._lull = waits
            self.lulls(waits, self.position.until)

    def _is_busy(self) -> bool:
        """Tell whether something is under way here, so that there is more to come."""
        asleep = self._asking.asleep
        runs = self._turns.running.keys() - asleep if asleep else self._turns.running
        return bool(runs or self._streams.feeds or self._uncommitted) or self._is_in_line()

    def _nap(self) -> Awaitable[object]:
        """Return what waits until there may be something to do, or a time has come that something waits for."""
        due = self._asking.due if self.position.waiting else None
        return self._turns.nap() if due is None else self._nap_until(due)

    async def _nap_until(self, due: float) -> None:
        """Wait until there may be something to do, until then at most. due: seconds since 1970 UTC."""
        with anyio.move_on_after(min(max(0.0, due - self._clock()), LONGEST_NAP)):
            await self._turns.nap()
        await self._expired()

    async def _expired(self) -> bool:
        """Go on with what has waited until now, and tell whether there was any; what came in time comes first."""
        due, now = self._asking.due, self._clock()
        if due is None or due > now:
            return False
        if self.post_office is not None:
            try:
                await self.post_office()
            except StoreError as error:  # what came in time cannot be told, as if nothing could be committed
                self._broken = True
                self._stop(error)
                return True
        self._turns.handle()
        if not self.is_over():
            self._asking.expire(now)
        return True

    def _is_in_line(self) -> bool:
        """Tell whether tasks are left only because other runs have taken all the room there is."""
        is_left = len(self.position.tasks) > len(self._asking.asleep)
        return self._slots is not None and is_left and not (self._broken or self._failures.pending)

    def is_over(self) -> bool:
        """Tell whether there is nothing left to do for good."""
        return self.ended or self.rests or self.failure is not None

    def is_alone(self) -> bool:
        """Tell whether no other body runs."""
        return len(self._turns.running) == 1 and not self._streams.feeds

    def listener(self) -> Callable[[Event], None] | None:
        """Return who is told what happens without a record."""
        return self.tell

    def _enter(self, task: Task) -> None:
        """Let a task begin that had to wait for others."""
        if task.key in self.position.tasks and not (self.is_over() or self._failures.pending):
            self._turns.waiting.append(task)
            self._turns.look_again()
        elif self._slots is not None:
            self._slots.leave(task.key)

    def is_wanted(self, task: str) -> bool:
        """Tell whether a task is still to be done, here or by whoever resumes the run."""
        about_to_be = self._cancelling and not self._broken
        return task in self.position.tasks and not (about_to_be or isinstance(self.failure, RunCancelled))

    async def intend(self, task: Task) -> bool:
        """Commit that a task which may run at most once is about to begin. Returns False when the run is over."""
        answered = anyio.Event()
        self.post(partial(self._intend, task, answered.set))
        self._turns.handle()
        await answered.wait()
        return not self._broken and task.key in self.position.intended

    def _intend(self, task: Task, answer: Callable[[], None]) -> None:
        if task.key not in self.position.tasks or self._broken:
            answer()
            return
        record = Record(self.position.seq + 1, Kind.INTENDED, task.key, task.node)
        apply(self.position, record)
        self._commit(record, self.position, released=answer, lost=answer)

    def keep(self, record: Record, released: Callable[[], None]) -> None:
        """Commit a record that is applied and routes nothing. released: is called when that is done."""
        self._commit(record, self.position, released=released)

    # --- waiting -----------------------------------------------------------------------------------------------------

    def asleep(self, task: str, run_id: str, until: float | None) -> None:
        """Note that a task waits as the run inside it does. until: when that goes on by itself, None for never."""
        if task in self.position.tasks and not self._broken:
            self._asking.inside(self.position.tasks[task], run_id, until)
            if self._slots is not None:
                self._slots.rest(task)
            self._turns.look_again()

    def awake(self, task: str) -> None:
        """Note that the run inside a task goes on."""
        if task in self.position.tasks and not self._broken:
            if self._slots is not None and task in self._asking.asleep:
                self._slots.go_on(self.position.tasks[task])
            self._asking.wake(self.position.tasks[task])
            if self._lull:
                self._note_lull(False)

    # --- what happens ------------------------------------------------------------------------------------------------

    def settle(self, task: Task, outcome: Outcome) -> None:
        """Deal with a task that has come to its result."""
        if self._lull:
            self._note_lull(False)
        self._turns.running.pop(task.key, None)
        if self._asking.asleep:
            self._asking.asleep.discard(task.key)
        if self._slots is not None:
            self._slots.leave(task.key)
        if task.key not in self.position.tasks or self._broken:
            self._state.drop(outcome.view)
            return
        if outcome.error is not None:
            self.fail(task, outcome, outcome.error)
            return
        if outcome.settled is None and self._plan.nodes[task.node].expects:
            self._asking.begin(task, outcome)
            if self._slots is not None and task.key in self._asking.asleep:
                self._slots.rest(task.key)
            return
        record = Record(self.position.seq + 1, COMPLETED, task.key, task.node)
        record.timing, record.usage, record.cached = outcome.timing, outcome.usage, outcome.cached
        record.settled, record.taken = outcome.settled, outcome.taken
        try:
            record.patch = self._state.changes(outcome.view, task, task.node)
            if record.patch and self._plan.nodes[task.node].nests:
                raise WorkflowError(
                    f"Node {task.node!r} changed the state in inputs=, state= or deps=, which would not happen when "
                    "its run is resumed. Change it in a node before or after."
                )
            if self._cache is not None:
                self._remember(self._cache, task, outcome, record)
            self.route(
                record,
                outcome.view,
                lambda: self._router.completed(record, task, outcome.output, outcome.view),
                None if self._slots is None else partial(self.gone, task.key),
            )
        except Exception as error:
            self.fail(task, outcome, error)

    def _remember(self, cache: NodeCache, task: Task, outcome: Outcome, record: Record) -> None:
        """Have the output kept for other runs, when the node's policy says so."""
        policy = self._plan.nodes[task.node].policy
        if policy is None or policy.cache is None or outcome.cached:
            return
        if record.patch:
            raise WorkflowError(
                f"Node {task.node!r} has a cache and changed the state, which would not happen when its output is "
                "taken from the cache. Return what it changes, or remove the cache."
            )
        record.keep = cache.place(task, policy.cache)

    def gone(self, key: str) -> None:
        """Note that a task or stream exists no more."""
        if self._slots is not None:
            self._slots.gone(key)

    def route(
        self, record: Record, view: StateView, route: Callable[[], None], released: Callable[[], None] | None = None
    ) -> None:
        """Route something and commit what comes of it; keep a costly output when its routing fails.

        released: is called when it is committed and what it spawned is known.
        """
        before = record.patch
        try:
            route()
        except Exception as error:
            if self.position.seq != record.seq:
                raise
            self._failures.keep_unrouted(record, before, view, error)
            return
        opened = self._router.opened
        self._state.commit(view, record.patch, record.node, streams=bool(opened) or record.kind is Kind.EMITTED)
        spawned = newest_tasks(self.position)
        for key in opened:
            self._streams.open(key, view)
        self._commit(record, self.position, spawned, opened, released)

    # --- failing -----------------------------------------------------------------------------------------------------

    def fail(self, task: Task, outcome: Outcome, error: BaseException, stream: LiveStream | None = None) -> None:
        """Deal with a task, or the stream that it gave, that failed after its policy."""
        self._state.drop(outcome.view)
        if stream is not None:
            self._streams.stop(stream.key)
        self._failures.add(task, outcome, error, stream)

    def let_finish(self) -> None:
        """Begin nothing more, and let what is running finish; streams stop, for a resume to go on with."""
        for key in list(self._streams.feeds):
            self._streams.stop(key)

    def break_off(self, record: Record, reason: BaseException | None) -> None:
        """Commit a record that ends the run. reason: what the run then fails with, None when another follows."""
        self._broken = True
        record.more = reason is None
        self._commit(record, None, released=None if reason is None else partial(self._stop, reason))

    def _stop(self, reason: BaseException) -> None:
        if self.failure is None:
            self.failure = reason

    # --- committing and releasing ------------------------------------------------------------------------------------

    def _commit(
        self,
        record: Record,
        position: Position | None,
        spawned: Sequence[Task] = (),
        opened: Mapping[str, AsyncIterable[Any]] = _NOTHING_OPENED,
        released: Callable[[], None] | None = None,
        lost: Callable[[], None] | None = None,
    ) -> None:
        """Commit a record; do what it releases once that is done, never before.

        released: is called after all else that comes of it. lost: is called when it cannot be committed.
        """
        self._uncommitted += 1
        commit = _Commit(self, record, spawned, opened, released, lost)
        self._log.commit(record, position, commit)
        commit.is_late = True

    def acknowledged(self, commit: _Commit, error: BaseException | None) -> None:
        """Do what follows a record that is in the log, or could not be written."""
        self._uncommitted -= 1
        if error is None:
            self._release(commit.record, commit.spawned, commit.opened)
            if commit.released is not None:
                commit.released()
        else:
            self._broken = True
            self._stop(error)
            if commit.lost is not None:
                commit.lost()
        if commit.is_late:
            self._turns.look_again()

    def _release(self, record: Record, spawned: Sequence[Task], opened: Mapping[str, AsyncIterable[Any]]) -> None:
        """Do what a committed record says: start what it spawned, stop what it cancelled, end the run, tell of it."""
        for op in record.ops:
            if isinstance(op, Cancel):
                self._cancel(op.tasks)
            elif isinstance(op, Finish):
                self.ended = True
        if self._slots is not None:
            feeds = self._streams.feeds
            self._slots.spawned([*spawned, *(feeds[key].stream for key in opened if key in feeds)])
        if not self._failures.pending:  # else nothing more begins
            for task in spawned:
                if task.key in self.position.tasks and (self._slots is None or self._slots.enter(task)):
                    self._turns.waiting.append(task)
        for key, source in opened.items():
            self.post(partial(self._follow, key, source))
        if self.watch is not None:
            self.watch(record, tuple(spawned))

    def _follow(self, key: str, source: AsyncIterable[Any]) -> None:
        if self._group is not None:
            self._streams.follow(key, source, self._group)

    def _cancel(self, keys: tuple[str, ...]) -> None:
        """Stop tasks and streams that a join has cancelled."""
        self._turns.stop(keys)
        for key in keys:
            self._asking.asleep.discard(key)
            self._streams.stop(key)
            if self._slots is not None:
                self._slots.leave(key)
                self._slots.gone(key)
