"""Runs that wait for something outside: nobody drives them, and the engine that began them goes on when it comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from anyio.abc import TaskGroup

from milepost.engine.children import Place
from milepost.engine.drivers import Prepared
from milepost.engine.errors import MilepostError, RunBusy, RunCancelled, RunWaiting, StoreError, UnknownRun
from milepost.engine.opening import read_position
from milepost.engine.position import Position
from milepost.engine.questions import names_of
from milepost.engine.run import Run
from milepost.engine.stores.store import RunRow, Store
from milepost.engine.tracing import moment

LOOK_AGAIN: Final = 2.0
"""Seconds after which it is asked again whether a run that another process drives has been let go."""
AT_ONCE: Final = 20
"""How many of the runs that wait are asked for in one round: whether another process has gone on with them."""


@dataclass(slots=True)
class Parked:
    """A run that waits, and what it takes to go on with it.

    position: where it stands. again: when it is looked at again because another process has it, 0.0 for not. seq: of
    its newest record.
    """

    run: Run[Any]
    prepared: Prepared
    deps: Any
    place: Place
    position: Position
    seq: int
    again: float = 0.0

    @property
    def due(self) -> float | None:
        """When it goes on by itself, seconds since 1970 UTC."""
        return self.again or self.position.until


GoOn = Callable[[Store, Prepared, RunRow, Any, Any, Place, Run[Any]], Awaitable[object]]
"""Becomes the owner of a run and drives it in the background, or ends it as its row says."""


@dataclass(slots=True)
class Slip:
    """What a run can ask of the place where it is parked."""

    lot: ParkingLot
    run_id: str

    def wake(self) -> None:
        self.lot.group.start_soon(self.lot.wake, self.run_id)

    def let_go(self) -> None:
        self.lot.let_go(self.run_id)


@dataclass(slots=True)
class ParkingLot:
    """The runs of one engine that wait and that nobody drives. Each stays known to the engine until it is let go.

    gone: is told of a run that is not known here any more. clock: seconds since 1970 UTC. is_closing: the engine is
    being left.
    """

    store: Store
    group: TaskGroup
    go_on: GoOn
    gone: Callable[[str], None]
    clock: Callable[[], float]
    parked: dict[str, Parked] = field(default_factory=dict[str, Parked])
    is_closing: bool = False

    def park(self, parked: Parked) -> None:
        """Wait with a run."""
        self.parked[parked.run.id] = parked
        parked.run.parking = Slip(self, parked.run.id)

    def let_go(self, run_id: str) -> None:
        """Wait with a run no more: it stays as it is in the store."""
        parked = self.parked.pop(run_id, None)
        if parked is not None:
            self.gone(run_id)
            until = None if parked.position.until is None else moment(parked.position.until)
            parked.run.ended("waiting", failure=RunWaiting(run_id, list(names_of(parked.position)), until))

    async def wake(self, run_id: str) -> None:
        """Go on with a run, if nobody else does."""
        parked = self.parked.pop(run_id, None)
        if parked is None:
            return
        run = parked.run
        try:
            row = await self.store.row(run_id)
            if row is None:
                raise UnknownRun(run_id)
            if row.status == "failed":  # another process went on with it; trying again is for somebody to say
                run.ended("failed", failure=MilepostError(f"Run {run_id!r} failed elsewhere: {row.error}"))
                self.gone(run_id)
                return
            await self.go_on(self.store, parked.prepared, row, None, parked.deps, parked.place, run)
        except RunBusy:
            self._again(parked)
        except RunCancelled as error:
            run.ended("cancelled", failure=error)
            self.gone(run_id)
        except MilepostError as error:
            if type(error) is StoreError and not run.is_stopping:  # it cannot be reached just now
                self._again(parked)
            else:
                run.ended("waiting", failure=error)
                self.gone(run_id)

    def _again(self, parked: Parked) -> None:
        """Wait with a run that could not be gone on with now, and look again soon."""
        parked.again = self.clock() + LOOK_AGAIN
        self.park(parked)
        if self.is_closing or parked.run.is_stopping:
            self.let_go(parked.run.id)

    async def stir(self, run_id: str) -> None:
        """Go on with the run that waits here around another one, if there is any: something was said to that one."""
        if not self.parked:
            return
        row = await self.store.row(run_id)
        while row is not None:
            if row.run_id in self.parked:
                await self.wake(row.run_id)
                return
            row = None if row.parent_run is None else await self.store.row(row.parent_run)

    async def rounds(self) -> float:
        """Go on with what is due, or what another process has moved. Returns after how many seconds to come again."""
        now = self.clock()
        for run_id in [run_id for run_id, one in self.parked.items() if one.due is not None and one.due <= now]:
            await self.wake(run_id)
        for run_id in list(self.parked)[:AT_ONCE]:
            await self._look(run_id)
        return min((one.due for one in self.parked.values() if one.due is not None), default=now + 3600.0) - now

    async def _look(self, run_id: str) -> None:
        """Look whether another process has gone on with a run; the next round begins with others."""
        row = await self.store.row(run_id)
        parked = self.parked.get(run_id)
        if parked is None:
            return
        if row is None or row.seq != parked.seq or row.status != "waiting":
            await self.wake(run_id)
        else:
            self.parked[run_id] = self.parked.pop(run_id)

    def clear(self, is_driven: Callable[[str], bool]) -> None:
        """Let all runs go but those inside a run that is driven here. is_driven: tells of a run's id."""
        self.is_closing = True
        for run_id, parked in list(self.parked.items()):
            parent = parked.place.parent_run
            if parent is None or not is_driven(parent):
                self.let_go(run_id)

    async def is_still(self, row: RunRow) -> bool:
        """Tell whether a run has nothing to go on with: it waits, nothing was said to it, and its time has not come."""
        if row.status != "waiting" or await self.store.inbox(row.run_id):
            return False
        due = (await read_position(self.store, row)).position
        is_due = due.until is not None and due.until <= self.clock()
        return not is_due and not any(one.is_inside for one in due.waiting.values())

    async def is_moving(self, run_id: str, position: Position) -> bool:
        """Tell whether something goes on inside a run that waits, or could, so that its tasks have to look."""
        awaited = {wait.run for one in position.waiting.values() for wait in one.waits if wait.run}
        pending = deque([run_id] if awaited else [])
        while pending:
            for row in await self.store.children(pending.popleft()):
                if row.status == "waiting":
                    if await self.store.inbox(row.run_id):
                        return True
                    pending.append(row.run_id)
                elif row.status == "running" or row.run_id in awaited:
                    return True
        return False
