"""The runs that an engine drives: how they are launched, wait, are gone on with and are forgotten."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakValueDictionary

import anyio
from anyio.abc import TaskGroup

from milepost.engine.admission import check_given
from milepost.engine.asking import expected_of
from milepost.engine.children import ChildWork, Parent, Place, ended_inside, result_for
from milepost.engine.drivers import AnyWorkflow, Prepared, nest_live, prepare
from milepost.engine.errors import MilepostError, RunBusy, StoreError
from milepost.engine.executor import LONGEST_NAP, Driver
from milepost.engine.facilities import Facilities
from milepost.engine.keys import child_run
from milepost.engine.limits import CircuitChange, Traffic
from milepost.engine.mailroom import Mailroom
from milepost.engine.policy import check_concurrency
from milepost.engine.questions import OpenWait
from milepost.engine.run import Run
from milepost.engine.settlement import NOTHING_SETTLED, Settlement
from milepost.engine.slots import Gates
from milepost.engine.spec import Expected
from milepost.engine.stores.address import open_store
from milepost.engine.stores.store import RunRow, Store
from milepost.engine.waiting_runs import WaitingRuns

if TYPE_CHECKING:  # what runs of a store need is loaded when there is a store, and what few ask for when they do
    from milepost.engine.parking import ParkingLot
    from milepost.engine.stored_drives import Beginning, Drive, StoredDrives
    from milepost.engine.worker import Worker

ASK_AGAIN = 0.1
"""Seconds between two tries to become the owner of a run inside a run."""


class DrivenRuns(WaitingRuns):
    """The runs that are driven here; an async context manager that waits for them when it is left."""

    def __init__(
        self,
        store: Store | str | None = None,
        *,
        max_concurrency: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if max_concurrency is not None:
            check_concurrency(max_concurrency, "the engine")
        super().__init__(open_store(store) if isinstance(store, str) else store, clock)
        traffic = Traffic(changed=self._tell_circuit)
        self._facilities = Facilities(
            gates=Gates(max_concurrency), traffic=traffic, store=self._store, clock=clock, nest=self._nest
        )
        self._live = self._facilities.live
        self._runs: dict[str, Run[Any]] = {}
        self._mailroom = None if self._store is None else Mailroom(self._store, self._runs, self._stir, self._rounds)
        self._lot: ParkingLot | None = None
        self._leaving = False
        self._workers: list[Worker] = []
        self._starting: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()
        self._group: TaskGroup | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self._store is not None:
            from milepost.engine.stores.encrypted import opened

            await opened(self._store)
            self._stack.push_async_callback(self._close_store)
        self._group = await self._stack.enter_async_context(anyio.create_task_group())
        if self._store is not None:
            from milepost.engine.parking import ParkingLot

            self._lot = ParkingLot(self._store, self._group, self._wake, self._forget, self._is_driven, self._clock)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._leaving = True
        for worker in self._workers:
            worker.stop()
        for run in list(self._runs.values()):
            if error is not None:
                run.stop()
            run.expect_no_reader(anyio.get_current_task().id)
            run.leave()
        if self._lot is not None:
            self._lot.leave()
        self._close_mailroom()
        try:
            return await self._stack.__aexit__(kind, error, traceback)
        except BaseExceptionGroup as several:
            if len(several.exceptions) == 1 and several.exceptions[0] is error:
                return False  # what the caller raised, as it was: only our task group has put it into a group
            raise

    async def _close_store(self) -> None:
        assert self._store is not None
        with anyio.CancelScope(shield=True):
            await self._store.close()

    @cached_property
    def _drives(self) -> StoredDrives:
        from milepost.engine.stored_drives import StoredDrives

        return StoredDrives(self._need_store(), self._facilities)

    def _new_run(self, run_id: str, workflow: AnyWorkflow, driver: Driver | None = None) -> Run[Any]:
        run: Run[Any] = Run(run_id, workflow, voice=self, store=self._store, clock=self._clock)
        if driver is not None:
            driver.watch = run.note
        return run

    def _launch(self, run: Run[Any], driver: Driver, drive: Drive | None) -> Run[Any]:
        assert self._group is not None, "Enter the engine first: async with Engine(...) as engine"
        self._runs[run.id] = run
        if self._mailroom is not None:
            self._mailroom.serve(run.id, self._group)
            run.post_office = partial(self._mailroom.fetch, run.id)
        self._group.start_soon(self._drive, run, driver, drive)
        return run

    async def _drive(self, run: Run[Any], driver: Driver, drive: Drive | None) -> None:
        try:
            await run.drive(driver)
        finally:
            if not driver.rests or drive is None:
                self._forget(run.id)
            if drive is not None and self._store is not None:
                with anyio.CancelScope(shield=True):
                    with suppress(StoreError):  # the run has said so already, and other runs go on
                        if driver.nests:
                            from milepost.engine.cancelling import cancel_forsaken

                            await cancel_forsaken(self._store, run.id, driver.is_wanted, self._clock)
                    with suppress(StoreError):  # its lease runs out
                        await self._store.release(run.id, drive.log.epoch)
        if driver.rests and drive is not None and self._lot is not None:
            await self._park(self._lot, run, driver, drive)

    async def _park(self, lot: ParkingLot, run: Run[Any], driver: Driver, drive: Drive) -> None:
        """Wait with a run that nobody has to drive until something comes from outside."""
        from milepost.engine.parking import Parked

        position = driver.position
        lot.park(Parked(run, drive.prepared, drive.deps, drive.place, position, position.seq))
        if self._leaving:
            lot.leave()
        if run.is_over:
            return
        if run.is_asked_to_end:
            await lot.wake(run.id)
        elif self._mailroom is not None:
            self._mailroom.poke(run.id)
            with suppress(StoreError):  # there is another look soon
                if await lot.is_moving(run.id, position):
                    await lot.wake(run.id)
            if run.is_passing:
                lot.let_go(run.id)

    async def _create(self, beginning: Beginning) -> Run[Any] | None:
        """Create a run with its first checkpoint. Returns None when somebody else took the id meanwhile."""
        run = self._new_run(beginning.run_id, beginning.prepared.plan.workflow)
        drive = await self._drives.begin(beginning, run.note)
        return None if drive is None else self._launch(run, drive.driver, drive)

    async def _go_on(
        self,
        prepared: Prepared,
        row: RunRow,
        state: Any,
        deps: Any,
        place: Place,
        settled: Mapping[str, Settlement] = NOTHING_SETTLED,
        *,
        owned: bool = False,
        run: Run[Any] | None = None,
        as_it_is: bool = False,
    ) -> Run[Any]:
        """Become the owner of a run and drive it in the background.

        run: as it is known here already. as_it_is: only if it stands where its row says. Raises RunBusy: it does not.
        """
        completed = await self._drives.completed(prepared, row, state, place)
        if completed is not None:
            run = run or self._new_run(row.run_id, prepared.plan.workflow)
            self._forget(run.id)
            run.ended("completed", completed.output)
            return run
        drive = await self._drives.take_up(prepared, row, state, deps, place, settled, owned=owned, as_it_is=as_it_is)
        run = run or self._new_run(row.run_id, prepared.plan.workflow)
        drive.driver.watch = run.note
        return self._launch(run, drive.driver, drive)

    def _attached(self, run_id: str) -> Run[Any]:
        """Return the run of this id that is driven here or waits here; one that waits looks whether it can go on."""
        run = self._runs[run_id]
        run.is_passing = False
        if run.parking is not None:
            run.parking.wake()
        return run

    def _forget(self, run_id: str) -> None:
        self._runs.pop(run_id, None)
        self._facilities.live.pop(run_id, None)
        self._close_mailroom()

    def _close_mailroom(self) -> None:
        if self._leaving and self._mailroom is not None and not self._runs:
            self._mailroom.close()

    def _is_driven(self, run_id: str) -> bool:
        return run_id in self._runs and self._lot is not None and run_id not in self._lot.parked

    def _poke(self, run_id: str) -> None:
        for worker in self._workers:
            worker.poke()
        if self._mailroom is not None and self._runs:
            self._mailroom.poke(run_id)

    def _driver_of(self, run_id: str) -> Driver | None:
        return self._runs[run_id].driver if run_id in self._runs else super()._driver_of(run_id)

    def _expected(self, wait: OpenWait) -> Expected | None:
        parked = None if self._lot is None else self._lot.parked.get(wait.run_id)
        if parked is None:
            return super()._expected(wait)
        return expected_of(parked.prepared.plan, parked.position, wait.task, wait.id)

    def _tell_circuit(self, change: CircuitChange) -> None:
        for run in self._runs.values():
            run.tell_circuit(change)

    async def _stir(self, run_id: str) -> None:
        if self._lot is not None:
            await self._lot.stir(run_id)

    async def _rounds(self) -> float:
        return LONGEST_NAP if self._lot is None else await self._lot.rounds()

    async def _wake(self, prepared: Prepared, row: RunRow, state: Any, deps: Any, place: Place, run: Run[Any]) -> None:
        async with self._starting.setdefault(run.id, anyio.Lock()):
            await self._go_on(prepared, row, state, deps, place, run=run)

    # --- runs inside runs ---------------------------------------------------------------------------------------------

    async def _nest(self, parent: Parent, work: ChildWork, facilities: Facilities) -> Any:
        """Drive a run for a task of another, or go on with it, and return its output."""
        if self._store is None:
            return await nest_live(parent, work, facilities)
        run = await self._open_child(self._store, parent, work)
        return await result_for(parent, run)

    async def _open_child(self, store: Store, parent: Parent, work: ChildWork) -> Run[Any]:
        from milepost.engine.matching import check_name
        from milepost.engine.stored_drives import Beginning

        place, run_id = parent.inside(work), child_run(parent.run_id, parent.task)
        prepared = prepare(work.workflow)
        row = await store.row(run_id)
        if row is None:
            inputs, state = work.begin()
            try:
                check_given(work.workflow, work.deps)
                run = await self._create(Beginning(prepared, run_id, inputs, state, work.deps, place))
            except MilepostError as error:
                raise ended_inside(error, run_id) from error.__cause__
            if run is not None:
                return run
        while True:
            row = await store.row(run_id)
            assert row is not None
            check_name(prepared, row)
            if run_id in self._runs:
                return self._attached(run_id)
            try:
                if self._lot is not None and await self._lot.is_still(row):
                    return await self._wait_with(self._lot, store, prepared, row, work.deps, place)
                return await self._go_on(prepared, row, None, work.deps, place)
            except RunBusy:  # whoever drives it has lost the parent, and will soon be done with it or let it go
                await anyio.sleep(ASK_AGAIN)

    async def _wait_with(
        self, lot: ParkingLot, store: Store, prepared: Prepared, row: RunRow, deps: Any, place: Place
    ) -> Run[Any]:
        """Return a run that waits as it did when it was let go, without having become its owner for that."""
        from milepost.engine.opening import read_position
        from milepost.engine.parking import Parked

        position = (await read_position(store, row, row.seq)).position
        if row.run_id in self._runs:  # somebody else has begun to wait with it, or goes on with it
            return self._attached(row.run_id)
        run = self._new_run(row.run_id, prepared.plan.workflow)
        self._runs[run.id] = run
        run.stands("waiting", position.until)
        lot.park(Parked(run, prepared, deps, place, position, row.seq))
        if self._mailroom is not None and self._group is not None:
            self._mailroom.serve(run.id, self._group)
        return run
