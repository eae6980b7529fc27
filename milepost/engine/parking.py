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
from milepost.engine.mailroom import CANCEL
from milepost.engine.opening import read_position
from milepost.engine.position import Position
from milepost.engine.questions import inside, names_of
from milepost.engine.run import Run
from milepost.engine.stores.store import Message, RunRow, Store
from milepost.engine.trace import RunStatus, moment

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


GoOn = Callable[[Prepared, RunRow, Any, Any, Place, Run[Any]], Awaitable[object]]
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

    gone: is told of a run that is not known here any more. is_driven: tells of a run's id whether it is driven here.
    clock: seconds since 1970 UTC. is_left: the engine is being left, so it waits with no run any more.
    """

    store: Store
    group: TaskGroup
    go_on: GoOn
    gone: Callable[[str], None]
    is_driven: Callable[[str], bool]
    clock: Callable[[], float]
    parked: dict[str, Parked] = field(default_factory=dict[str, Parked])
    is_left: bool = False

    def park(self, parked: Parked) -> None:
        """Wait with a run."""
        self.parked[parked.run.id] = parked
        parked.run.park(Slip(self, parked.run.id))
        if parked.run.is_stopping or (self.is_left and not self._is_inside(parked)):
            self.let_go(parked.run.id)

    def let_go(self, run_id: str) -> None:
        """Wait with a run no more: it stays as it is in the store."""
        parked = self.parked.pop(run_id, None)
        if parked is not None:
            self._give_up(parked, "waiting", self._waiting(parked))

    async def wake(self, run_id: str) -> None:
        """Go on with a run, if nobody else does."""
        parked = self.parked.pop(run_id, None)
        if parked is None:
            return
        try:
            await self._go_on(parked)
        except RunBusy:
            self._again(parked)
        except RunCancelled as error:
            self._give_up(parked, "cancelled", error)
        except MilepostError as error:
            if type(error) is StoreError and not parked.run.is_stopping:  # it cannot be reached just now
                self._again(parked)
            else:
                self._give_up(parked, "waiting", error)
        except Exception as error:  # of the author's code, as of what makes the state; other runs go on
            self._give_up(parked, "waiting", error)
        except BaseException:  # the engine is being left
            self._give_up(parked, "waiting", self._waiting(parked))
            raise

    def _again(self, parked: Parked) -> None:
        """Wait with a run that could not be gone on with now, and look again soon."""
        parked.again = self.clock() + LOOK_AGAIN
        self.park(parked)

    async def _go_on(self, parked: Parked) -> None:
        run = parked.run
        row = await self.store.row(run.id)
        if row is None:
            raise UnknownRun(run.id)
        if row.status == "failed":  # another process went on with it; trying again is for somebody to say
            failure = MilepostError(f"Run {run.id!r} failed elsewhere: {row.error}")
            self._give_up(parked, "failed", failure)
            return
        try:
            await self.go_on(parked.prepared, row, None, parked.deps, parked.place, run)
        except RunBusy:
            if run.is_asked_to_end:
                await self.store.post(Message(run.id, f"{CANCEL} here", CANCEL, "null", None, self.clock()))
            raise

    def _give_up(self, parked: Parked, status: RunStatus, failure: BaseException) -> None:
        """Know a run no more."""
        parked.run.ended(status, failure=failure)
        self.gone(parked.run.id)

    def _waiting(self, parked: Parked) -> RunWaiting:
        until = None if parked.position.until is None else moment(parked.position.until)
        return RunWaiting(parked.run.id, list(names_of(parked.position)), until)

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

    def leave(self) -> None:
        """Wait with no run any more, but with those inside a run that is driven here."""
        self.is_left = True
        for run_id, parked in list(self.parked.items()):
            if not self._is_inside(parked):
                self.let_go(run_id)

    def _is_inside(self, parked: Parked) -> bool:
        """Tell whether a run is inside one that is driven here, which will say what becomes of it."""
        return parked.place.parent_run is not None and self.is_driven(parked.place.parent_run)

    async def is_still(self, row: RunRow) -> bool:
        """Tell whether a run has nothing to go on with: it waits, nothing was said to it, and its time has not come."""
        if row.status != "waiting" or await self.store.inbox(row.run_id):
            return False
        due = (await read_position(self.store, row, row.seq)).position
        is_due = due.until is not None and due.until <= self.clock()
        return not is_due and not any(one.is_inside for one in due.waiting.values())

    async def is_moving(self, run_id: str, position: Position) -> bool:
        """Tell whether something goes on inside a run that waits, or could, so that its tasks have to look."""
        pending = deque([(run_id, position)])
        while pending:
            run_id, position = pending.popleft()
            awaited = set(inside(position))
            for row in await self.store.children(run_id) if awaited else ():
                if row.status == "waiting":
                    if await self.store.inbox(row.run_id):
                        return True
                    pending.append((row.run_id, (await read_position(self.store, row)).position))
                elif row.status == "running" or row.run_id in awaited:
                    return True
        return False
