"""The anyio shell of a run: it carries out tasks, hands what happens to the router, and releases what is committed.

One driver per run. Results are handled one at a time, in the order they come in. What a record starts, cancels or ends
is done when the record is committed, not before.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from milepost.engine.attempts import Body, InOwnContext, Outcome
from milepost.engine.current import Current, set_current
from milepost.engine.errors import MilepostError, NodeError, RoutingError, RunCancelled, WorkflowError
from milepost.engine.journal import Kind, Record, item_digest
from milepost.engine.patch import Patch
from milepost.engine.plan import Plan
from milepost.engine.position import Cancel, Finish, LiveStream, Position, Task, newest_tasks, patch_state
from milepost.engine.route import Router, stream_tag
from milepost.engine.state import State, StateView
from milepost.engine.values import Ref, Values

FAIR = 0.002
"""Seconds for which a run may keep the event loop to itself when its nodes never wait."""


def only_one(error: BaseException) -> BaseException:
    """Return the exception that a task group wrapped, when there is just one."""
    inner: Sequence[BaseException] = getattr(error, "exceptions", ())
    return only_one(inner[0]) if len(inner) == 1 else error


def printable(text: str) -> str:
    """Return text that can be written as UTF-8, which that of an exception need not be."""
    return text.encode("utf-8", "replace").decode()


async def closed(source: AsyncIterable[Any]) -> None:
    """Close a generator that may not have come to its end, so that its own clean-up is done now."""
    close: Callable[[], Awaitable[None]] | None = getattr(source, "aclose", None)
    if close is not None:
        with anyio.CancelScope(shield=True):
            await close()


class Log(Protocol):
    """Where a run's records go."""

    def commit(
        self, record: Record, position: Position | None, committed: Callable[[BaseException | None], None]
    ) -> None:
        """Write a record down and call `committed`, at once or later.

        position: to take a snapshot of, if it is sound.
        """
        ...


@dataclass(slots=True)
class Feed:
    """A stream that is being read. view: the state as its body sees it."""

    stream: LiveStream
    view: StateView


class Driver:
    """Drives one run from its position to its end, a failure, or a stop from outside.

    ended: the end was reached and is committed. failure: why it stopped without an output. Single use.
    """

    def __init__(
        self, plan: Plan, position: Position, values: Values, state: State, log: Log, deps: Any, run_id: str
    ) -> None:
        self.position = position
        self.failure: BaseException | None = None
        self.watch: Callable[[Record, tuple[Task, ...]], None] | None = None
        self._plan = plan
        self._values = values
        self._state = state
        self._log = log
        self._deps = deps
        self._run_id = run_id
        self._router = Router(plan, position, values, deps, isolated=state.isolated)
        self._body = Body(plan, values, state, deps, run_id, self._is_alone)
        self._mail: deque[Callable[[], None]] = deque()
        self._wake: anyio.Event | None = None
        self._waiting: deque[Task] = deque()
        self._running: dict[str, anyio.CancelScope | None] = {}
        self._feeds: dict[str, Feed] = {}
        self._uncommitted = 0
        self.ended = False
        self._broken = False
        self._handling = False
        self._group: TaskGroup | None = None
        self._interrupt: anyio.CancelScope | None = None

    # --- entry points ------------------------------------------------------------------------------------------------

    def start(self, record: Record, inputs: Any) -> None:
        """Begin the run with its first record, which is committed like any other. Raises NotStorable."""
        view = self._state.view(lambda: True)
        record.patch, record.given = self._state.first()
        self._router.patch = lambda: self._state.changes(view, None, "the start") or record.patch
        self._route(record, view, "the start", lambda: self._router.started(record, inputs, view))

    async def drive(self) -> None:
        """Run until the end. Leaves the outcome in `position.output` or `failure`."""
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                while not self._is_over():
                    with anyio.CancelScope() as self._interrupt:
                        await self._loop()
                    self._interrupt = None
                    self._running = {key: scope for key, scope in self._running.items() if scope is not None}
                group.cancel_scope.cancel()
        except BaseExceptionGroup as several:
            raise only_one(several) from None
        finally:
            self._group = None
            self._state.settle()

    def output(self) -> Any:
        """Return the output of a run that has come to its end."""
        assert self.position.output is not None
        return self._values.load(self.position.output)

    def resume(self) -> None:
        """Take up what is pending at the position."""
        self._waiting.extend(self.position.tasks.values())
        for task, ref in list(self.position.unrouted.values()):
            self._mail.append(partial(self._route_again, task, ref))
        for stream in list(self.position.streams.values()):
            self._mail.append(partial(self._restart, stream))
        if self.position.output is not None:
            self.ended = True

    def _route_again(self, task: Task, output: Ref) -> None:
        """Route an output that is kept from a RoutingError."""
        view = self._state.view(lambda: False)
        record = Record(self.position.seq + 1, Kind.ROUTED, task.key, task.node)
        self._router.patch = lambda: self._state.changes(view, None, task.node)  # the view is new, nothing can conflict
        self._route(record, view, task.node, lambda: self._router.routed(record, task, output, view))

    def _cancel_run(self) -> None:
        if self._broken or self.position.output is not None:
            return
        self._broken = True
        record = Record(self.position.seq + 1, Kind.CANCELLED, "")
        record.error = "cancelled"
        self._commit(record, lambda: self._stop(RunCancelled(self._run_id)), None)

    def ask_to_cancel(self) -> None:
        """Have the run end for good, also while the loop waits for a lone task."""
        self.post(self._cancel_run)
        if self._interrupt is not None and None in self._running.values():
            self._interrupt.cancel()

    def post(self, happening: Callable[[], None]) -> None:
        """Have something done by the loop, in turn."""
        self._mail.append(happening)
        if self._wake is not None:
            self._wake.set()

    # --- the loop ----------------------------------------------------------------------------------------------------

    async def _loop(self) -> None:
        turn = time.perf_counter()
        while not self._is_over():
            if self._mail:
                self._handle()
            elif self._waiting and not self._broken:
                await self._start_waiting()
                now = time.perf_counter()
                if now - turn > FAIR:
                    await checkpoint()
                    turn = time.perf_counter()
            elif self._running or self._feeds or self._uncommitted:
                self._wake = anyio.Event()
                await self._wake.wait()
                self._wake = None
                turn = time.perf_counter()
            else:
                self._give_up()

    def _handle(self) -> None:
        """Do what was posted, in turn; what that posts comes last."""
        if self._handling:
            return
        self._handling = True
        try:
            while self._mail and not self._is_over():
                self._mail.popleft()()
        finally:
            self._handling = False

    def _is_over(self) -> bool:
        return self.ended or self.failure is not None

    def _give_up(self) -> None:
        """Fail a run in which nothing is left to do."""
        self._broken = True
        error = WorkflowError(
            "The run has nothing left to do and no value reached the end. A map over nothing needs "
            "`downstream_join_id`, so that its join fires all the same."
        )
        record = Record(self.position.seq + 1, Kind.FAILED, "")
        record.error = str(error)
        self._commit(record, lambda: self._stop(error), None)

    async def _start_waiting(self) -> None:
        """Start what was spawned.

        A lone task runs in this very task, as starting another would cost more than most nodes do. Nothing can cancel
        it but what stops the whole run.
        """
        alone = len(self._waiting) == 1 and not (self._running or self._feeds or self._uncommitted)
        if alone:
            task = self._waiting.popleft()
            self._running[task.key] = None
            self._done(task, await InOwnContext(self._body.carry_out(task)))
            return
        assert self._group is not None
        while self._waiting:
            task = self._waiting.popleft()
            scope = self._running[task.key] = anyio.CancelScope()
            self._group.start_soon(self._carry_out, task, scope)

    async def _carry_out(self, task: Task, scope: anyio.CancelScope) -> None:
        with scope:
            outcome = await self._body.carry_out(task)
            self.post(lambda: self._done(task, outcome))
            self._handle()  # here and now: bodies that never wait would otherwise all run before one of them is kept

    def _is_alone(self) -> bool:
        return len(self._running) == 1 and not self._feeds

    # --- what happens ------------------------------------------------------------------------------------------------

    def _done(self, task: Task, outcome: Outcome) -> None:
        """A task's body returned or failed for good."""
        self._running.pop(task.key, None)
        if task.key not in self.position.tasks or self._broken:
            self._state.drop(outcome.view)
            return
        if outcome.error is not None:
            self._fail(task, outcome, outcome.error)
            return
        record = Record(self.position.seq + 1, Kind.COMPLETED, task.key, task.node)
        record.timing = outcome.timing
        record.usage = outcome.usage
        try:
            record.patch = self._state.changes(outcome.view, task, task.node)
            self._router.patch = lambda: self._state.changes(outcome.view, task, task.node)
            self._route(
                record,
                outcome.view,
                task.node,
                lambda: self._router.completed(record, task, outcome.output, outcome.view),
            )
        except Exception as error:
            self._fail(task, outcome, error)

    def _route(self, record: Record, view: StateView, node: str, route: Callable[[], None]) -> None:
        """Route something and commit what comes of it; keep a costly output when its routing fails."""
        before = record.patch
        try:
            route()
        except Exception as error:
            if self.position.seq != record.seq:
                raise
            self._keep_unrouted(record, before, view, error)
            return
        opened = self._router.opened
        self._state.commit(view, record.patch, node, streams=bool(opened))
        spawned = newest_tasks(self.position)
        for key, stream in ((key, self.position.streams.get(key)) for key in opened):
            if stream is not None:
                self._feeds[key] = Feed(stream, view)
        self._commit(record, lambda: self._release(record, spawned, opened), self.position)

    def _keep_unrouted(self, record: Record, patch: Patch | None, view: StateView, error: Exception) -> None:
        """Commit an output whose routing failed. The position is half moved, so nothing else is done with it."""
        self._broken = True
        reason = error if isinstance(error, MilepostError) else RoutingError(record.node, "its edge", error)
        kept = Record(record.seq, record.kind, record.task, record.node, record.values[:1], patch=patch, unrouted=True)
        kept.timing, kept.usage, kept.error = record.timing, record.usage, printable(str(error))
        if record.kind in (Kind.ROUTED, Kind.EMITTED, Kind.EXHAUSTED):  # is routed, or given, again by a resume
            kept.unrouted, kept.kind, kept.values = False, Kind.FAILED, []
        self._state.drop(view)
        if kept.unrouted and patch is not None:
            patch_state(self.position, patch)
            self._state.commit(view, patch, record.node)
        self._commit(kept, lambda: self._stop_with(kept, reason), None)

    def _fail(self, task: Task, outcome: Outcome, error: BaseException) -> None:
        """A task failed after its policy: the run fails, and a resume tries this task again."""
        self._state.drop(outcome.view)
        self._broken = True
        record = Record(self.position.seq + 1, Kind.FAILED, task.key, task.node)
        record.timing, record.usage = outcome.timing, outcome.usage
        record.error = printable(f"{type(error).__name__}: {error}")
        attempts = outcome.timing.attempts if outcome.timing is not None else 1
        reason = error if isinstance(error, MilepostError) else NodeError(task.node, task.key, attempts, error)
        self._commit(record, lambda: self._stop_with(record, reason), None)

    def _stop_with(self, record: Record, reason: BaseException) -> None:
        if self.watch is not None:
            self.watch(record, ())
        self._stop(reason)

    def _stop(self, reason: BaseException) -> None:
        if self.failure is None:
            self.failure = reason

    # --- committing and releasing ------------------------------------------------------------------------------------

    def _commit(self, record: Record, release: Callable[[], None], position: Position | None) -> None:
        """Commit a record; do what it releases once that is done, never before."""
        self._uncommitted += 1
        at_once = True

        def committed(error: BaseException | None) -> None:
            self._uncommitted -= 1
            if error is not None:
                self._broken = True
                self._stop(error)
            else:
                release()
            if not at_once and self._wake is not None:
                self._wake.set()

        self._log.commit(record, position, committed)
        at_once = False

    def _release(self, record: Record, spawned: list[Task], opened: dict[str, AsyncIterable[Any]]) -> None:
        """Do what a committed record says: start what it spawned, stop what it cancelled, end the run."""
        for op in record.ops:
            if isinstance(op, Cancel):
                self._cancel(op.tasks)
            elif isinstance(op, Finish):
                self.ended = True
        self._waiting.extend(task for task in spawned if task.key in self.position.tasks)
        for key, source in opened.items():
            self.post(partial(self._follow, key, source))
        if self.watch is not None:
            self.watch(record, tuple(spawned))

    def _cancel(self, keys: tuple[str, ...]) -> None:
        gone = set(keys)
        for key in keys:
            scope = self._running.pop(key, None)
            if scope is not None:
                scope.cancel()
            feed = self._feeds.pop(key, None)
            if feed is not None:
                self._state.drop(feed.view)
        self._waiting = deque(task for task in self._waiting if task.key not in gone)

    # --- streams -----------------------------------------------------------------------------------------------------

    def _follow(self, key: str, source: AsyncIterable[Any]) -> None:
        """Begin to read a stream, unless it was cancelled before it began."""
        if key in self._feeds and self._group is not None:
            self._group.start_soon(self._pump, key, source)

    async def _pump(self, key: str, source: AsyncIterable[Any]) -> None:
        """Read a stream, one item at a time: the next is asked for when this one has been handled."""
        scope = self._running[key] = anyio.CancelScope()
        task = self._feeds[key].stream.task
        set_current(Current(self._run_id, task.node, task.key, 1))
        with scope:
            try:
                async for item in source:
                    handled = anyio.Event()
                    self.post(partial(self._item, key, item, handled))
                    await handled.wait()
                self.post(lambda: self._exhausted(key))
            except Exception as error:
                failure = error
                self.post(lambda: self._stream_failed(key, failure))
            finally:
                await closed(source)

    def _item(self, key: str, item: Any, handled: anyio.Event) -> None:
        stream = self.position.streams.get(key)
        if stream is not None and not self._broken:
            record = Record(self.position.seq + 1, Kind.EMITTED, key, stream.task.node)
            view = self._state.view(lambda: False)
            self._router.patch = lambda: self._state.changes(view, None, stream.task.node)
            try:
                self._route(record, view, stream.task.node, lambda: self._router.emitted(record, stream, item, view))
            except Exception as error:
                self._stream_failed(key, error)
        handled.set()

    def _exhausted(self, key: str) -> None:
        feed = self._feeds.pop(key, None)
        self._running.pop(key, None)
        stream = self.position.streams.get(key)
        if stream is None or feed is None or self._broken:
            return
        record = Record(self.position.seq + 1, Kind.EXHAUSTED, key, stream.task.node)
        try:
            record.patch = self._state.changes(feed.view, stream.task, stream.task.node)
            self._router.patch = lambda: self._state.changes(feed.view, stream.task, stream.task.node)
            self._route(record, feed.view, stream.task.node, lambda: self._router.exhausted(record, stream, feed.view))
        except Exception as error:
            self._fail(stream.task, Outcome(None, feed.view), error)

    def _stream_failed(self, key: str, error: Exception) -> None:
        feed = self._feeds.pop(key, None)
        self._running.pop(key, None)
        if feed is not None and key in self.position.streams and not self._broken:
            self._fail(feed.stream.task, Outcome(None, feed.view), error)

    def _restart(self, stream: LiveStream) -> None:
        """Run a stream's body again after a resume, to get at the items that are not committed."""
        assert self._group is not None
        view = self._state.view(lambda: False)
        self._feeds[stream.key] = Feed(stream, view)
        self._group.start_soon(self._rerun, stream, view)

    async def _rerun(self, stream: LiveStream, view: StateView) -> None:
        try:
            call = self._plan.nodes[stream.task.node].call
            assert call is not None
            inputs = self._values.load(stream.task.ref)
            source = await cast("Awaitable[AsyncIterable[Any]]", call(view.context(self._deps, inputs)))
        except Exception as error:
            failure = error
            self.post(lambda: self._stream_failed(stream.key, failure))
            return
        try:
            await self._pump(stream.key, self._skipped(stream, source))
        finally:
            await closed(source)

    async def _skipped(self, stream: LiveStream, source: AsyncIterable[Any]) -> AsyncIterator[Any]:
        """Yield what comes after the committed items. Raises WorkflowError when those are not the same again."""
        tag = stream_tag(self._plan, stream)
        digest, number, count, known = "", 0, stream.count, stream.digest
        async for item in source:
            number += 1
            if number > count:
                yield item
                continue
            digest = item_digest(digest, self._values.keep(tag, item, "an item of a stream"))
            if number == count and digest != known:
                break
        if number < count or digest != known:
            raise WorkflowError(
                f"Node {stream.task.node!r} gave other items after the resume than the {count} that are committed. "
                "A node that streams must give the same items for the same input."
            )
