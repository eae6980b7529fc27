"""Worker: goes on with the runs of a store whose time has come, which were answered, or whose owner has died.

It asks the store what is ready, becomes the owner of some of it, and lets go of each run as soon as that waits or has
ended, so that it keeps nothing of the runs that wait. Several workers on one store share the work: each becomes the
owner of a run only as it stood when it was met.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from math import inf
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from milepost.engine.admission import is_optional
from milepost.engine.children import name_of
from milepost.engine.definition import type_name
from milepost.engine.drivers import plan_of
from milepost.engine.errors import (
    BrokenJournal,
    DamagedStore,
    ForeignStore,
    InputError,
    MilepostError,
    RunBusy,
    RunCancelled,
    StoreError,
    UnknownRun,
    WrongKey,
)
from milepost.engine.policy import is_whole
from milepost.engine.run import Run
from milepost.engine.stores.store import RunRow, Store
from milepost.engine.worker_events import LOG, RunLeft, RunRefused, RunTaken, StoreAway, WorkerEvent
from milepost.engine.workflow import Workflow

AnyWorkflow = Workflow[Any, Any, Any, Any]

AHEAD: Final = 8
"""How many times more runs are asked for than may be under way: workers that meet the same ones choose by chance."""
LONGEST: Final = 60.0
"""Seconds after which, at the latest, a run is tried again of which nothing came and which is ready all the same."""
SHARE: Final = 4.0
"""How many times longer than the store took to say that nothing is ready it is left alone, at least."""


TakeUp = Callable[[RunRow, AnyWorkflow, Any], Awaitable[Run[Any] | None]]
"""Becomes the owner of a run and drives it in the background, letting go of it when it waits.

None: it does not stand as its row says any more, or is known here anyway. Raises what `Engine.resume` does.
"""


@dataclass(frozen=True, slots=True)
class Later:
    """A run that nothing came of. seq: where it stood. again: when it is tried again, `inf` for never."""

    seq: int
    again: float
    pause: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a worker works. What the parts mean is said by `Engine.serve_waiting`. Raises InputError: one makes no sense.

    tell: is told what it does.
    """

    max_runs: int
    poll: float
    grace: float
    once: bool
    tell: Callable[[WorkerEvent], None]

    def __post_init__(self) -> None:
        if not is_whole(self.max_runs) or self.max_runs < 1:
            raise InputError(f"max_runs={self.max_runs!r} would never let a run go on. Give 1 or more.")
        if not 0 < self.poll < inf:
            raise InputError(f"poll={self.poll!r} makes no sense. Give seconds, more than 0.")
        if not self.grace >= 0:
            raise InputError(f"grace={self.grace!r} makes no sense. Give seconds, 0 or more.")


@dataclass(slots=True)
class Worker:
    """Serves the runs of some workflows, by their names. clock: seconds since 1970 UTC. Single use."""

    store: Store
    workflows: Mapping[str, AnyWorkflow]
    take_up: TakeUp
    clock: Callable[[], float]
    manner: Manner
    _deps: dict[str, Any] = field(default_factory=dict[str, Any])
    _under_way: set[str] = field(default_factory=set[str])
    _later: dict[str, Later] = field(default_factory=dict[str, Later])
    _poked: anyio.Event = field(default_factory=anyio.Event)
    _left: anyio.Event = field(default_factory=anyio.Event)
    _is_away: bool = False
    _stopping: bool = False

    async def serve(self, stop: anyio.Event | None = None) -> None:
        """Work until it is stopped or cancelled; then no run is under way here any more, and the deps are closed."""
        async with AsyncExitStack() as stack:
            for name, workflow in self.workflows.items():
                if workflow.deps_factory is not None:
                    self._deps[name] = await stack.enter_async_context(workflow.deps_factory())
            async with anyio.create_task_group() as group:
                if stop is not None:
                    group.start_soon(self._stop_when, stop)
                await self._take_what_is_ready(group)
                with anyio.move_on_after(self.manner.grace):
                    while self._under_way:
                        await self._one_left()
                group.cancel_scope.cancel()  # what is still under way is stopped, resumable

    def stop(self) -> None:
        """Take up nothing more, and come to an end."""
        self._stopping = True
        self.poke()
        self._left.set()

    def _is_stopping(self) -> bool:
        return self._stopping

    async def _stop_when(self, asked: anyio.Event) -> None:
        await asked.wait()
        self.stop()

    def poke(self) -> None:
        """Ask the store now: something was said to a run."""
        self._poked.set()

    # --- what is ready -----------------------------------------------------------------------------------------------

    async def _take_what_is_ready(self, group: TaskGroup) -> None:
        while not self._is_stopping():
            self._poked = anyio.Event()
            began = anyio.current_time()
            rows = await self._ready()
            for row in rows:
                while len(self._under_way) >= self.manner.max_runs and not self._is_stopping():
                    await self._one_left()
                if self._is_stopping():
                    return
                self._under_way.add(row.run_id)
                group.start_soon(self._serve, row)
            if rows:
                continue
            if self.manner.once and not self._is_away:
                if not self._under_way:
                    return
                await self._one_left()
            else:
                await self._rest(max(self.manner.poll, SHARE * (anyio.current_time() - began)))

    async def _rest(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._poked.wait()

    async def _one_left(self) -> None:
        """Wait until a run is let go."""
        self._left = anyio.Event()
        await self._left.wait()

    async def _ready(self) -> list[RunRow]:
        """Return runs to go on with, in no order; none while the store cannot be read."""
        limit = AHEAD * self.manner.max_runs + len(self._later)
        try:
            rows = await self.store.ready(self.clock(), list(self.workflows), limit=limit)
        except (ForeignStore, WrongKey):
            raise
        except StoreError as error:
            if not self._is_away:
                self._is_away = True
                self.manner.tell(StoreAway(at=self._now(), error=error))
            return []
        self._is_away = False
        if len(rows) < limit:  # that is all there is, so whatever is not there is settled
            there = {row.run_id for row in rows}
            self._later = {run_id: later for run_id, later in self._later.items() if run_id in there}
        fresh = [row for row in rows if row.run_id not in self._under_way and self._may_try(row)]
        random.shuffle(fresh)
        return fresh

    def _may_try(self, row: RunRow) -> bool:
        later = self._later.get(row.run_id)
        return later is None or later.seq != row.seq or later.again <= anyio.current_time()

    def _put_off(self, row: RunRow) -> None:
        """Try a run again after a while, each time a longer one, as long as it stands where it did."""
        before = self._later.get(row.run_id)
        is_again = before is not None and before.seq == row.seq
        pause = min(2 * before.pause, LONGEST) if is_again and before is not None else self.manner.poll
        self._later[row.run_id] = Later(row.seq, anyio.current_time() + pause, pause)

    # --- one run -----------------------------------------------------------------------------------------------------

    async def _serve(self, row: RunRow) -> None:
        try:
            reach = await self._reach(row)
            run = await self._taken_up(row)
            if run is not None:
                await self._follow(row, run, reach)
        finally:
            self._under_way.discard(row.run_id)
            self._left.set()

    async def _taken_up(self, row: RunRow) -> Run[Any] | None:
        try:
            run = await self.take_up(row, self.workflows[row.workflow], self._deps.get(row.workflow))
        except (RunBusy, RunCancelled, UnknownRun):  # another was faster
            self._put_off(row)
        except StoreError as error:
            if isinstance(error, (BrokenJournal, DamagedStore, ForeignStore, WrongKey)):
                self._refuse(row, error)
            else:
                self._put_off(row)
        except Exception as error:  # whatever is wrong with one run, the others go on
            self._refuse(row, error)
        else:
            if run is None:
                self._put_off(row)
            return run
        return None

    async def _reach(self, row: RunRow) -> int:
        """Return how many checkpoints a run and those inside it have, -1 where that cannot be read."""
        count, nests = 0, plan_of(self.workflows[row.workflow]).nests
        pending = deque([row])
        try:
            while pending:
                row = pending.popleft()
                count += row.seq
                if nests and row.status not in ("completed", "cancelled"):
                    pending.extend(await self.store.children(row.run_id))
        except StoreError:
            return -1
        return count

    def _refuse(self, row: RunRow, error: Exception) -> None:
        self._later[row.run_id] = Later(row.seq, inf, inf)
        self.manner.tell(RunRefused(run_id=row.run_id, workflow=row.workflow, at=self._now(), error=error))

    async def _follow(self, row: RunRow, run: Run[Any], reach: int) -> None:
        """Wait until a run waits or has ended, or stop it when this is cancelled. reach: as it was."""
        self.manner.tell(RunTaken(run_id=row.run_id, workflow=row.workflow, at=self._now(), seq=row.seq))
        try:
            await run.wait()
        except anyio.get_cancelled_exc_class():
            run.stop()
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await run.wait()
                await self._note(row, run, reach)

    async def _note(self, before: RunRow, run: Run[Any], reach: int) -> None:
        """Tell how a run stands, and do not meet it again at once when nothing came of it."""
        row: RunRow | None = None
        with suppress(StoreError):
            row = await self.store.row(run.id)
        if row is None:
            self._put_off(before)
            return
        if row.seq != before.seq or await self._reach(row) != reach:
            self._later.pop(run.id, None)
        else:
            self._put_off(row)
        is_taken = row.status == "running" and run.status == "waiting"  # another worker was quick
        self.manner.tell(
            RunLeft(
                run_id=run.id,
                workflow=row.workflow,
                at=self._now(),
                seq=row.seq,
                status=run.status if is_taken else row.status,
                due=None if row.due is None else datetime.fromtimestamp(row.due, UTC),
                error=row.error,
            )
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)


def by_name(workflows: Iterable[AnyWorkflow]) -> dict[str, AnyWorkflow]:
    """Return workflows by the names that their runs are kept under. Raises InputError: one cannot be served."""
    found: dict[str, AnyWorkflow] = {}
    for workflow in workflows:
        name = name_of(workflow)
        if found.setdefault(name, workflow) is not workflow:
            raise InputError(f"Two workflows are called {name!r}, so nobody can tell whose runs are whose. Rename one.")
        check_served(workflow)
    if not found:
        raise InputError("There is no workflow to serve. Name one, or register it under 'milepost.workflows'.")
    return found


def check_served(workflow: AnyWorkflow) -> None:
    """Check that a worker has what the runs of a workflow need. Raises InputError: nothing makes their deps."""
    if workflow.deps_factory is None and not is_optional(workflow.deps_type):
        raise InputError(
            f"Workflow {name_of(workflow)!r} needs deps of type {type_name(workflow.deps_type)!r}, and nothing makes "
            "them for a worker. Declare WorkflowBuilder(deps=factory), an async context manager that yields them."
        )


def registered_workflows(lost: Callable[[str, MilepostError], None] | None = None) -> list[AnyWorkflow]:
    """Return the workflows registered on this machine or in this project that can be served.

    lost: is told the name of any other, and why it cannot be; without it that is logged.
    """
    tell = lost or _log_lost
    target = import_module("milepost.cli.target")  # by name: what reads command lines stands on this
    registered: list[AnyWorkflow] = target.find_all_registered(tell)
    found: list[AnyWorkflow] = []
    for workflow in registered:
        try:
            check_served(workflow)
        except InputError as error:
            tell(name_of(workflow), error)
        else:
            found.append(workflow)
    return found


def _log_lost(name: str, error: MilepostError) -> None:
    LOG.warning("The registered workflow %r is not served: %s", name, error)
