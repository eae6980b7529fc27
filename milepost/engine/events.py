"""What a run tells those who watch it, while it goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from milepost.engine.trace import RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted:
    """A node was handed a task. Its body begins as soon as there is room."""

    node: str
    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFinished:
    """A task's output is committed."""

    node: str
    task: str
    attempts: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed:
    """A task failed after its policy, and the run with it."""

    node: str
    task: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Record `seq` is committed; the run can be resumed from here."""

    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """The last event of a run in this process."""

    status: RunStatus


Event = TaskStarted | TaskFinished | TaskFailed | Checkpoint | RunEnded


class Events:
    """Hands events to any number of readers. A slow reader loses the oldest: it must not hold up the run.

    most: how many events wait for one reader.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._readers: list[tuple[MemoryObjectSendStream[Event], MemoryObjectReceiveStream[Event]]] = []
        self._ended = False

    @property
    def watched(self) -> bool:
        """Whether anybody reads."""
        return bool(self._readers)

    def send(self, event: Event) -> None:
        """Give an event to every reader, at once."""
        self._ended = self._ended or isinstance(event, RunEnded)
        for sender, receiver in self._readers:
            try:
                sender.send_nowait(event)
            except anyio.WouldBlock:
                receiver.receive_nowait()
                sender.send_nowait(event)

    async def read(self) -> AsyncIterator[Event]:
        """Yield the events from now on, up to the end of the run."""
        if self._ended:
            return
        sender, receiver = anyio.create_memory_object_stream[Event](self._most)
        pair = (sender, receiver)
        self._readers.append(pair)
        try:
            async for event in receiver:
                yield event
                if isinstance(event, RunEnded):
                    return
        finally:
            self._readers.remove(pair)
            sender.close()
            receiver.close()
