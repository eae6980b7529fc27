"""The turns of one run: bodies of tasks are carried out, and what happens is dealt with, one thing at a time.

This is the leader/followers pattern (Schmidt and others, "Pattern-Oriented Software Architecture 2"): whoever leads
carries out bodies, too, so that one that never waits costs no task of its own. When one waits, somebody else takes the
lead, and who has lost it goes on only as long as there is something to do.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Final, Protocol

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from milepost.engine.attempts import InOwnContext, Outcome
from milepost.engine.bell import Bell, find_bell
from milepost.engine.position import Task

FAIR: Final = 0.002
"""Seconds for which a run may keep the event loop to itself when its nodes never wait."""


class Host(Protocol):
    """What the turns need of the driver of their run.

    room: waits until those who watch can take more, None when nobody has asked for that.
    """

    room: Callable[[], Awaitable[None]] | None

    def is_over(self) -> bool:
        """Tell whether there is nothing left to do for good."""
        ...

    @property
    def is_broken(self) -> bool:
        """Whether nothing may be committed any more."""
        ...

    @property
    def reads(self) -> bool:
        """Whether streams are being read."""
        ...

    def carry_out(self, task: Task) -> Coroutine[Any, Any, Outcome]:
        """Do what a task is for."""
        ...

    def settle(self, task: Task, outcome: Outcome) -> None:
        """Deal with a task that has come to its result."""
        ...

    def idle(self) -> Awaitable[object]:
        """Return what waits for what is under way, or finds out what becomes of a run in which nothing is."""
        ...


class Turns:
    """Carries out the tasks of one run. cancellable: one of them may be stopped while the others go on.

    waiting: tasks that may begin. running: by the key of a task whose body is being carried out, what stops it.
    """

    def __init__(self, host: Host, *, cancellable: bool) -> None:
        self.waiting: deque[Task] = deque()
        self.running: dict[str, anyio.CancelScope | None] = {}
        self.host = host
        self._cancellable = cancellable
        self._mail: deque[Callable[[], None]] = deque()
        self._bell: Bell | None = None
        self._handling = False

    def post(self, happening: Callable[[], None]) -> None:
        """Have something dealt with in its turn."""
        self._mail.append(happening)
        self.look_again()

    def handle(self) -> None:
        """Deal with what was posted, in turn; what that posts comes last."""
        if self._handling:
            return
        self._handling = True
        try:
            while self._mail and not self.host.is_over():
                self._mail.popleft()()
        finally:
            self._handling = False

    def look_again(self) -> None:
        """Have who leads look whether there is something to do."""
        if self._bell is not None:
            self._bell.ring()

    def nap(self) -> Awaitable[object]:
        """Return what waits until there may be something to do; to be awaited at once.

        No coroutine of its own: a run naps for every commit that waits for the disk.
        """
        if self._bell is None:
            self._bell = find_bell()
        return self._bell.wait()

    def stop(self, keys: Iterable[str]) -> None:
        """Stop tasks, or do not begin them."""
        gone = set(keys)
        for key in gone:
            scope = self.running.pop(key, None)
            if scope is not None:
                scope.cancel()
        self.waiting = deque(task for task in self.waiting if task.key not in gone)

    async def lead(self, group: TaskGroup) -> None:
        """Do what there is to do until somebody else leads, or the run is over, which stops what is still under way."""
        host, leads, turn = self.host, True, time.perf_counter()
        carry_out = self._carry_out_cancellably if self._cancellable else self._carry_out
        while not host.is_over():
            if host.room is not None:
                await host.room()
                if host.is_over():
                    break
            if self._mail:
                self.handle()
            elif self.waiting and not host.is_broken:
                leads = await carry_out(self.waiting.popleft(), group, leads)
                if time.perf_counter() - turn > FAIR:
                    await checkpoint()
                    turn = time.perf_counter()
            elif leads:
                await host.idle()
                turn = time.perf_counter()
            else:
                self.look_again()
                return
        self.look_again()
        if self.running or host.reads or host.room is not None:  # the last: somebody may wait for a slow reader
            group.cancel_scope.cancel()

    async def _carry_out(self, task: Task, group: TaskGroup, leads: bool) -> bool:
        """Carry out a task, and tell whether who does so leads afterwards. leads: whether before."""
        self.running.setdefault(task.key, None)
        body = InOwnContext(self.host.carry_out(task))
        if not body.begin():
            if leads:
                group.start_soon(self.lead, group)
            leads = False
            await body
            if self.host.room is not None:
                await self.host.room()
        if self._mail:
            self._mail.append(partial(self.host.settle, task, body.result))
            self.handle()
        else:  # here and now: bodies that never wait would otherwise all run before one of them is kept
            self.host.settle(task, body.result)
        return leads

    async def _carry_out_cancellably(self, task: Task, group: TaskGroup, leads: bool) -> bool:
        """Do the same in a scope that `stop` cancels."""
        with anyio.CancelScope() as self.running[task.key]:
            return await self._carry_out(task, group, leads)
        return False
