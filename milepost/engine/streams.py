"""Reading the streams of a run: each item is committed before the next one is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, cast

import anyio
from anyio.abc import TaskGroup

from milepost.engine.attempts import Attempt, Body, Outcome, within
from milepost.engine.errors import WorkflowError
from milepost.engine.journal import Kind, Record, item_digest
from milepost.engine.plan import Plan
from milepost.engine.position import LiveStream, Position, Task
from milepost.engine.record_values import stream_tag
from milepost.engine.route import Router
from milepost.engine.slots import Slots
from milepost.engine.state import State, StateView
from milepost.engine.trace import Usage
from milepost.engine.values import Values

END: Final = object()


class Host(Protocol):
    """What streams need of the driver of their run."""

    position: Position

    @property
    def is_broken(self) -> bool:
        """Whether nothing may be committed any more."""
        ...

    def post(self, happening: Callable[[], None]) -> None:
        """Have something done by the loop, in turn."""
        ...

    def route(
        self, record: Record, view: StateView, route: Callable[[], None], released: Callable[[], None] | None = None
    ) -> None:
        """Route something and commit what comes of it. released: is called when that is committed."""
        ...

    def gone(self, key: str) -> None:
        """Note that a task or stream exists no more."""
        ...

    def fail(self, task: Task, outcome: Outcome, error: BaseException, stream: LiveStream | None = None) -> None:
        """Deal with a task, or the stream that it gave, that failed for good."""
        ...


@dataclass(slots=True)
class Feed:
    """A stream that is being read. view: the state as its body sees it. scope: stops the reading."""

    stream: LiveStream
    view: StateView
    scope: anyio.CancelScope


async def closed(source: AsyncIterable[Any]) -> None:
    """Close a generator that may not have come to its end, so that its own clean-up is done now."""
    close: Callable[[], Awaitable[None]] | None = getattr(source, "aclose", None)
    if close is not None:
        with anyio.CancelScope(shield=True):
            await close()


async def next_of(iterator: AsyncIterator[Any]) -> Any:
    """Return the next item, or END."""
    return await anext(iterator, END)


class Streams:
    """Reads the streams of one run. feeds: by the key of the stream."""

    def __init__(
        self, plan: Plan, values: Values, state: State, router: Router, body: Body, host: Host, slots: Slots | None
    ) -> None:
        self.feeds: dict[str, Feed] = {}
        self._plan = plan
        self._values = values
        self._state = state
        self._router = router
        self._body = body
        self.host = host
        self._slots = slots

    def open(self, key: str, view: StateView) -> None:
        """Know of a stream that a record has begun, if nothing has cancelled it since."""
        stream = self.host.position.streams.get(key)
        if stream is not None:
            self.feeds[key] = Feed(stream, view, anyio.CancelScope())

    def follow(self, key: str, source: AsyncIterable[Any], group: TaskGroup) -> None:
        """Begin to read a stream, now that the record that begins it is committed."""
        feed = self.feeds.get(key)
        if feed is not None:
            group.start_soon(self._read, feed, source)

    def restart(self, stream: LiveStream, group: TaskGroup) -> None:
        """Run a stream's body again after a resume, to get at the items that are not committed."""
        feed = self.feeds[stream.key] = Feed(stream, self._view_again(stream), anyio.CancelScope())
        group.start_soon(self._read, feed, None)

    def stop(self, key: str) -> None:
        """Stop reading a stream that is not wanted any more."""
        feed = self.feeds.pop(key, None)
        if feed is not None:
            feed.scope.cancel()
            self._state.drop(feed.view)

    def _view_again(self, stream: LiveStream) -> StateView:
        """Return the state for a body that runs again: as it first saw it, or, where it goes on, as it is by now."""
        seeks = self._plan.nodes[stream.task.node].resume == "seek"
        return self._state.view(lambda: False, None if seeks else stream.task)

    # --- reading -----------------------------------------------------------------------------------------------------

    async def _read(self, feed: Feed, source: AsyncIterable[Any] | None) -> None:
        """Read to the end, under the policy of the node. source: the first attempt's, None to run the body for it."""
        with feed.scope:
            outcome = await self._body.under_policy(feed.stream.task, partial(self._attempt, feed, source))
            self.host.post(partial(self._exhausted if outcome.error is None else self._failed, feed, outcome))

    async def _attempt(
        self, feed: Feed, first: AsyncIterable[Any] | None, outcome: Outcome, number: int, seconds: float | None
    ) -> None:
        """Read once. first: what the first attempt reads. seconds: how long the body may take for one item."""
        stream = feed.stream
        if number > 1:
            feed.view = self._view_again(stream)
        outcome.view = feed.view
        with Attempt(self._body, stream.task, outcome, number, None, stream.count) as attempt:
            source = first if number == 1 and first is not None else await self._reopened(feed, seconds)
            try:
                iterator = aiter(source)
                while (item := await within(seconds, next_of(iterator))) is not END:
                    usage, attempt.current.usage = attempt.current.usage, None
                    handled = anyio.Event()
                    self.host.post(partial(self._item, feed, item, usage, handled.set))
                    await handled.wait()
                    attempt.current.taken = stream.count
                    if self._slots is not None:
                        await self._slots.room(stream.fork, stream.run)
            finally:
                await closed(source)

    async def _reopened(self, feed: Feed, seconds: float | None) -> AsyncIterable[Any]:
        """Run the body again and get past the items that are committed."""
        stream = feed.stream
        again = cast("AsyncIterable[Any]", await within(seconds, self._body.call(stream.task, feed.view)))
        if self._plan.nodes[stream.task.node].resume == "seek":
            return again
        self._state.repeated(feed.view)  # what a body does before it gives a stream was committed with its output
        if not stream.count:
            return again
        return self._skipped(stream, again)

    async def _skipped(self, stream: LiveStream, source: AsyncIterable[Any]) -> AsyncIterator[Any]:
        """Yield what comes after the committed items. Raises WorkflowError when those are not the same again."""
        tag = stream_tag(self._plan, stream)
        digest, number, count, known = "", 0, stream.count, stream.digest
        try:
            async for item in source:
                number += 1
                if number > count:
                    yield item
                    continue
                digest = item_digest(digest, self._values.keep(tag, item, "an item of a stream"))
                if number == count and digest != known:
                    break
        finally:
            await closed(source)
        if number < count or digest != known:
            raise WorkflowError(
                f"Node {stream.task.node!r} gave other items when it ran again than the {count} that are committed. "
                'A node that streams must give the same items for the same input, or be declared with resume="seek".'
            )

    # --- what happens ------------------------------------------------------------------------------------------------

    def _is_live(self, feed: Feed) -> bool:
        key = feed.stream.key
        return key in self.host.position.streams and self.feeds.get(key) is feed and not self.host.is_broken

    def _item(self, feed: Feed, item: Any, usage: Usage | None, handled: Callable[[], None]) -> None:
        """Commit an item. Where a resume asks the body to go on from there, the state goes with it."""
        if not self._is_live(feed):
            return
        stream, node = feed.stream, feed.stream.task.node
        record = Record(self.host.position.seq + 1, Kind.EMITTED, stream.key, node)
        record.usage = usage
        seeks = self._plan.nodes[node].resume == "seek"
        view = feed.view if seeks else self._state.view(lambda: False)
        try:
            if seeks:
                record.patch = self._state.changes(view, stream.task, node)
            self.host.route(record, view, lambda: self._router.emitted(record, stream, item, view), handled)
        except Exception as error:
            self.host.fail(stream.task, Outcome(None, feed.view), error, stream)

    def _exhausted(self, feed: Feed, outcome: Outcome) -> None:
        if not self._is_live(feed):
            return
        stream = feed.stream
        record = Record(self.host.position.seq + 1, Kind.EXHAUSTED, stream.key, stream.task.node)
        record.timing, record.usage = outcome.timing, outcome.usage
        try:
            record.patch = self._state.changes(feed.view, stream.task, stream.task.node)
            del self.feeds[stream.key]
            self.host.route(
                record,
                feed.view,
                lambda: self._router.exhausted(record, stream, feed.view),
                partial(self.host.gone, stream.key),
            )
        except Exception as error:
            self.host.fail(stream.task, outcome, error, stream)

    def _failed(self, feed: Feed, outcome: Outcome) -> None:
        assert outcome.error is not None
        if self._is_live(feed):
            self.host.fail(feed.stream.task, outcome, outcome.error, feed.stream)
