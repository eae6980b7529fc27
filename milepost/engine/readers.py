"""Those who watch a run in the process that drives it, and what waits for each of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import get_ident
from typing import Literal, Protocol, Self

import anyio

from milepost.engine.events import Committed, CommittedEvent, Dropped, Event
from milepost.engine.hop import Hop, find_hop

Slow = Literal["drop_oldest", "wait"]
"""What becomes of a reader that is slower than its run: it loses the oldest events, or the run waits for it."""


class Past(Protocol):
    """The committed events of a run that lie in its store. seq: the number of the last record read."""

    @property
    def seq(self) -> int: ...

    async def more(self) -> Sequence[CommittedEvent]:
        """Return the events of the next records; nothing when there are none yet."""
        ...


class Backlog:
    """What one reader has yet to read. most: events. after: committed ones are taken from the record after this.

    owner: the task that reads.
    """

    def __init__(self, slow: Slow, most: int, owner: int, after: int = 0) -> None:
        self.waiting: deque[Event] = deque()
        self.slow: Slow = slow
        self.most = most
        self.owner = owner
        self.after = after
        self.lost = 0
        self.closed = False
        self.wake: anyio.Event | None = None

    @property
    def is_full(self) -> bool:
        return len(self.waiting) >= self.most

    def add(self, event: Event, *, held: bool) -> None:
        """Take an event in. held: the run waits for this reader, so that nothing committed has to be lost."""
        if isinstance(event, Committed):
            if event.seq <= self.after:
                return
        elif held and self.is_full:
            self._lose_this()
            return
        if self.is_full and not held:
            self._lose_oldest()
        self.waiting.append(event)
        self.rouse()

    def end(self, last: Event | None) -> None:
        """Take the last event in, for which there always is room."""
        if last is not None and not (isinstance(last, Committed) and last.seq <= self.after):
            self.waiting.append(last)
        self.rouse()

    def _lose_oldest(self) -> None:
        oldest = self.waiting.popleft()
        self.lost += oldest.number if isinstance(oldest, Dropped) else 1

    def _lose_this(self) -> None:
        """Leave out a passing event: a body tells without waiting, so it cannot be held up."""
        last = self.waiting[-1]
        if isinstance(last, Dropped):
            self.waiting[-1] = Dropped(number=last.number + 1)
        else:
            self.waiting.append(Dropped(number=1))

    def take(self) -> Event | None:
        """Return the next event, None when there is none."""
        if self.lost:
            lost, self.lost = self.lost, 0
            return Dropped(number=lost)
        return self.waiting.popleft() if self.waiting else None

    def rouse(self) -> None:
        """Wake the reader."""
        if self.wake is not None:
            self.wake.set()
            self.wake = None


def _nothing() -> None: ...


class Readers:
    """Hands the events of one run to any number of readers.

    changed: is called whenever a reader has come or gone. seq: the newest record that was told.
    """

    def __init__(self, changed: Callable[[], None] = _nothing) -> None:
        self.seq = 0
        self._changed = changed
        self._backlogs: list[Backlog] = []
        self._over = False
        self._hurrying = False
        self._excused: set[int] = set()
        self._room: anyio.Event | None = None
        self._thread = get_ident()
        self._hop: Hop | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing will be told any more."""
        return self._over

    @property
    def watched(self) -> bool:
        """Whether anybody reads."""
        return bool(self._backlogs)

    @property
    def can_wait(self) -> bool:
        """Whether anybody reads for whom the run may have to wait."""
        return any(one.slow == "wait" for one in self._backlogs)

    def send(self, event: Event) -> None:
        """Give an event to every reader, at once. Nothing comes after the end."""
        if not self._over:
            for backlog in self._backlogs:
                backlog.add(event, held=self._holds(backlog))

    def tell(self, event: Event) -> None:
        """Give an event to every reader; from a thread of its own, as a node may run in one, soon."""
        self.here(self.send, event)

    def here(self, function: Callable[..., object], *args: object) -> None:
        """Call a function now if this is the event loop's thread; otherwise have it called there."""
        if get_ident() == self._thread:
            function(*args)
        elif self._hop is not None:
            with suppress(RuntimeError):  # the loop is no more, and neither is anybody to be told
                self._hop(function, *args)

    def end(self, last: Event | None) -> None:
        """Tell the last event. Every reader comes to its end when it has read what waits for it."""
        self._over = True
        self._changed = _nothing  # else the run, which is told, and its readers hold one another
        for backlog in self._backlogs:
            backlog.end(last)

    # --- waiting for slow readers ------------------------------------------------------------------------------------

    async def room(self) -> None:
        """Wait until every reader that the run waits for has room. Returns at once when there is none."""
        while any(one.is_full and self._holds(one) for one in self._backlogs):
            if self._room is None:
                self._room = anyio.Event()
            await self._room.wait()

    def _holds(self, backlog: Backlog) -> bool:
        return backlog.slow == "wait" and not (self._hurrying or backlog.owner in self._excused)

    def make_room(self) -> None:
        """Have the run look again whether it has to wait."""
        if self._room is not None:
            self._room.set()
            self._room = None

    def hurry(self) -> None:
        """Wait for nobody any more: the run is to end."""
        self._hurrying = True
        self.make_room()

    def excuse(self, task: int) -> None:
        """Wait for no reader of this task until it is expected back: it waits for the run itself, and cannot read."""
        self._excused.add(task)
        self.make_room()

    def expect(self, task: int) -> None:
        """Wait for the readers of this task again."""
        self._excused.discard(task)

    # --- coming and going --------------------------------------------------------------------------------------------

    def join(self, backlog: Backlog) -> None:
        """Give a reader what is told from now on."""
        if not self._over:
            self._hop = self._hop or find_hop()
            self._backlogs.append(backlog)
            self._changed()

    def leave(self, backlog: Backlog) -> None:
        """Give a reader nothing any more."""
        backlog.closed = True
        backlog.rouse()
        if backlog in self._backlogs:
            self._backlogs = [one for one in self._backlogs if one is not backlog]
            self._changed()
            self.make_room()


class Reader:
    """The events of one run as one reader gets them: an async iterator, to be read by one task at a time.

    It ends with the run. Whoever leaves earlier holds nothing up: `aclose`, or letting go of it, is enough.
    """

    def __init__(self, readers: Readers, backlog: Backlog, past: Past | None = None) -> None:
        self._readers = readers
        self._backlog = backlog
        self._past = past
        if past is None:
            readers.join(backlog)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        backlog = self._backlog
        if backlog.slow == "wait":
            backlog.owner = anyio.get_current_task().id
        while True:
            was_full = backlog.is_full
            event = backlog.take()
            if event is not None:
                if was_full:
                    self._readers.make_room()
                return event
            if backlog.closed:
                raise StopAsyncIteration
            if self._past is not None:
                await self._catch_up(self._past)
            elif self._readers.is_over:
                self._close()
            else:
                backlog.wake = backlog.wake or anyio.Event()
                await backlog.wake.wait()

    async def _catch_up(self, past: Past) -> None:
        """Read on in the store; go over to what is told live when that has told nothing more."""
        events = await past.more()
        self._backlog.waiting.extend(events)
        if not events and past.seq >= self._readers.seq:
            self._past = None
            self._backlog.after = max(self._backlog.after, past.seq)
            self._readers.join(self._backlog)

    async def aclose(self) -> None:
        """Read no more."""
        self._close()

    def _close(self) -> None:
        self._backlog.waiting.clear()
        self._backlog.lost = 0
        self._readers.leave(self._backlog)

    def __del__(self) -> None:
        self._readers.here(self._readers.leave, self._backlog)  # it may be collected in any thread
