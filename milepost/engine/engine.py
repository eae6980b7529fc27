"""Engine: what starts, drives and resumes runs against a store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar
from uuid import uuid4
from weakref import WeakValueDictionary

import anyio
from anyio.abc import TaskGroup

from milepost.engine.admission import check_given, given_state
from milepost.engine.asking import expected_of
from milepost.engine.children import ChildWork, Parent, Place, ended_inside, name_of, result_for
from milepost.engine.drivers import (
    AnyWorkflow,
    Prepared,
    first_record,
    live_driver,
    nest_live,
    prepare,
    run_live,
)
from milepost.engine.errors import (
    MilepostError,
    RunBusy,
    StoreError,
    UnknownRun,
)
from milepost.engine.executor import LONGEST_NAP, Driver
from milepost.engine.facilities import Facilities, Live
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
from milepost.engine.tags import checked_tags
from milepost.engine.trace import RunStatus
from milepost.engine.waiting_runs import WaitingRuns
from milepost.engine.workflow import Workflow

if TYPE_CHECKING:  # what runs of a store need is loaded when there is a store, and what few ask for when they do
    from milepost.engine.parking import ParkingLot
    from milepost.engine.prospects import Prospect
    from milepost.engine.stored_drives import Drive, StoredDrives
    from milepost.engine.worker import Worker
    from milepost.engine.worker_events import WorkerEvent

Isolation = Literal["task", "shared"]
StateT = TypeVar("StateT")

ASK_AGAIN = 0.1
"""Seconds between two tries to become the owner of a run inside a run."""


class Engine(WaitingRuns):
    """Drives runs; an async context manager that waits for them when it is left.

    Leaving it by an error stops its runs, resumable. store: a Store, its URL, or None to keep nothing. max_concurrency:
    tasks at once over all its runs. clock: seconds since 1970 UTC.
    """

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
        try:
            return await self._stack.__aexit__(kind, error, traceback)
        except BaseExceptionGroup as several:
            if len(several.exceptions) == 1 and several.exceptions[0] is error:
                return False  # what the caller raised, as it was: only our task group has put it into a group
            raise

    @cached_property
    def _drives(self) -> StoredDrives:
        from milepost.engine.stored_drives import StoredDrives

        return StoredDrives(self._need_store(), self._facilities)

    async def _close_store(self) -> None:
        assert self._store is not None
        with anyio.CancelScope(shield=True):
            await self._store.close()

    # --- starting ----------------------------------------------------------------------------------------------------

    async def start(
        self,
        workflow: AnyWorkflow,
        *,
        inputs: Any = None,
        state: Any = None,
        deps: Any = None,
        run_id: str | None = None,
        isolation: Isolation | None = None,
        tags: Sequence[str] = (),
    ) -> Run[Any]:
        """Start a run in the background and return at once, after its first checkpoint.

        run_id: makes this idempotent. A run of that id that is under way is attached to or resumed, one that failed
        tries its failed task again, one that is completed gives its recorded output. tags: what the run can be found by
        in the store, each at most 100 characters; a run that exists keeps those it has. Raises InputError, NotStorable;
        RunMismatch: the id belongs to another workflow, other inputs or another state; RunCancelled, RunBusy,
        IncompatibleWorkflow, MigrationError, StoreError.
        """
        is_new, run_id, tags = not run_id, run_id or uuid4().hex[:12], checked_tags(tags)
        if self._store is None:
            return self._runs.get(run_id) or self._start_live(workflow, run_id, inputs, state, deps, isolation)
        lock = self._starting.setdefault(run_id, anyio.Lock())
        try:
            async with lock:
                return await self._start_stored(
                    self._store, workflow, run_id, inputs, state, deps, isolation or "task", tags, is_new
                )
        finally:
            if not lock.statistics().tasks_waiting:
                self._starting.pop(run_id, None)

    async def _start_stored(
        self,
        store: Store,
        workflow: AnyWorkflow,
        run_id: str,
        inputs: Any,
        state: Any,
        deps: Any,
        isolation: Isolation,
        tags: tuple[str, ...],
        is_new: bool,
    ) -> Run[Any]:
        from milepost.engine.matching import check_same
        from milepost.engine.stored_drives import place_of

        prepared = prepare(workflow)
        row = None if is_new else await store.row(run_id)
        if row is None:
            check_given(workflow, deps)
            place = Place(workflow=prepared.definition.name, isolation=isolation)
            run = await self._create(prepared, run_id, inputs, state, deps, place, tags)
            if run is not None:
                return run
            row = await store.row(run_id)
            assert row is not None
        await check_same(store, prepared, row, inputs, None if run_id in self._runs else state)
        if run_id in self._runs:
            return self._attached(run_id)
        return await self._go_on(prepared, row, state, deps, await place_of(store, row))

    def _start_live(
        self, workflow: AnyWorkflow, run_id: str, inputs: Any, state: Any, deps: Any, isolation: Isolation | None
    ) -> Run[Any]:
        check_given(workflow, deps)
        place = Place(workflow=name_of(workflow), isolation=isolation)
        driver = live_driver(workflow, run_id, given_state(workflow, state), deps, place, self._facilities)
        run = self._new_run(run_id, workflow, driver)
        driver.start(first_record(), inputs)
        if driver.waits:
            self._facilities.live[run_id] = Live(run_id=run_id, parent=None, driver=driver, workflow=workflow)
        return self._launch(run, driver, None)

    def _new_run(self, run_id: str, workflow: AnyWorkflow, driver: Driver | None = None) -> Run[Any]:
        run = Run[Any](run_id, workflow, voice=self, store=self._store, clock=self._clock)
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

    def _forget(self, run_id: str) -> None:
        self._runs.pop(run_id, None)
        self._facilities.live.pop(run_id, None)
        if self._mailroom is not None and not self._runs:
            self._mailroom.rest()

    def _is_driven(self, run_id: str) -> bool:
        return run_id in self._runs and self._lot is not None and run_id not in self._lot.parked

    async def _stir(self, run_id: str) -> None:
        if self._lot is not None:
            await self._lot.stir(run_id)

    async def _rounds(self) -> float:
        return LONGEST_NAP if self._lot is None else await self._lot.rounds()

    async def _wake(self, prepared: Prepared, row: RunRow, state: Any, deps: Any, place: Place, run: Run[Any]) -> None:
        async with self._starting.setdefault(run.id, anyio.Lock()):
            await self._go_on(prepared, row, state, deps, place, run=run)

    def _attached(self, run_id: str) -> Run[Any]:
        """Return the run of this id that is driven here or waits here; one that waits looks whether it can go on."""
        run = self._runs[run_id]
        run.is_passing = False
        if run.parking is not None:
            run.parking.wake()
        return run

    def _tell_circuit(self, change: CircuitChange) -> None:
        for run in self._runs.values():
            run.tell_circuit(change)

    async def _create(
        self,
        prepared: Prepared,
        run_id: str,
        inputs: Any,
        state: Any,
        deps: Any,
        place: Place,
        tags: tuple[str, ...] = (),
    ) -> Run[Any] | None:
        """Create a run with its first checkpoint. Returns None when somebody else took the id meanwhile."""
        run = self._new_run(run_id, prepared.plan.workflow)
        drive = await self._drives.begin(prepared, run_id, inputs, state, deps, place, tags, run.note)
        return None if drive is None else self._launch(run, drive.driver, drive)

    # --- runs inside runs --------------------------------------------------------------------------------------------

    async def _nest(self, parent: Parent, work: ChildWork) -> Any:
        """Drive a run for a task of another, or go on with it, and return its output."""
        if self._store is None:
            return await nest_live(parent, work, self._facilities)
        run = await self._open_child(self._store, parent, work)
        return await result_for(parent, run)

    async def _open_child(self, store: Store, parent: Parent, work: ChildWork) -> Run[Any]:
        from milepost.engine.matching import check_name

        place, run_id = parent.inside(work), child_run(parent.run_id, parent.task)
        prepared = prepare(work.workflow)
        row = await store.row(run_id)
        if row is None:
            inputs, state = work.begin()
            try:
                check_given(work.workflow, work.deps)
                run = await self._create(prepared, run_id, inputs, state, work.deps, place)
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

    # --- going on ----------------------------------------------------------------------------------------------------

    async def resume(
        self,
        run_id: str,
        workflow: AnyWorkflow,
        *,
        deps: Any = None,
        state: Any = None,
        settle: Mapping[str, Settlement] = NOTHING_SETTLED,
        reopen: bool = False,
    ) -> Run[Any]:
        """Go on with a stored run from its newest checkpoint; a failed task is tried again.

        state: an object to be made equal to the run's state, if the caller wants to look at it. settle: by the key of a
        task that may run at most once and had begun, what became of it. reopen: go on with a cancelled run, too.
        A workflow that has changed is compared with what is pending, and what becomes of that is recorded first.
        Raises UnknownRun, RunMismatch, RunCancelled, RunBusy, IncompatibleWorkflow, MigrationError, OutcomeUnknown,
        StoreError.
        """
        from milepost.engine.matching import check_name
        from milepost.engine.stored_drives import place_of

        store = self._need_store()
        async with self._starting.setdefault(run_id, anyio.Lock()):
            if run_id in self._runs:
                return self._attached(run_id)
            row = await store.row(run_id)
            if row is None:
                raise UnknownRun(run_id, await self._similar(run_id))
            prepared = prepare(workflow)
            check_name(prepared, row)
            place = await place_of(store, row, reopen=reopen)
            return await self._go_on(prepared, row, state, deps, place, settle)

    async def serve_waiting(
        self,
        workflows: Iterable[AnyWorkflow] | None = None,
        *,
        max_runs: int = 10,
        poll: float = 0.5,
        grace: float = 10.0,
        stop: anyio.Event | None = None,
        once: bool = False,
        tell: Callable[[WorkerEvent], None] | None = None,
    ) -> None:
        """Go on with the runs of these workflows whose time has come, which were answered, or whose owner has died.

        Works until it is cancelled, which stops the runs under way, resumable. Any number of workers can share a store.
        workflows: None for all that are registered. max_runs: under way at once. poll: seconds between two looks.
        stop: when it is set, nothing more is taken up, and the runs under way get `grace` seconds to come to where they
        wait or end. once: only what is ready now, until that waits or has ended. tell: is told what the worker does and
        cannot do; without it, what cannot go on is logged. A run that failed is not tried again. Raises InputError,
        StoreError, and what making the deps raises.
        """
        from milepost.engine.worker import Manner, Worker, by_name, registered_workflows
        from milepost.engine.worker_events import write_to_log

        manner = Manner(max_runs=max_runs, poll=poll, grace=grace, once=once, tell=tell or write_to_log)
        served = by_name(registered_workflows() if workflows is None else workflows)
        worker = Worker(self._need_store(), served, self._take_up, self._clock, manner)
        self._workers.append(worker)
        try:
            await worker.serve(stop)
        finally:
            self._workers.remove(worker)

    async def _take_up(self, met: RunRow, workflow: AnyWorkflow, deps: Any) -> Run[Any] | None:
        """Go on with a run that a worker has met, if it stands as it did then and is not known here anyway."""
        from milepost.engine.stored_drives import place_of

        store, run_id = self._need_store(), met.run_id
        async with self._starting.setdefault(run_id, anyio.Lock()):
            if run_id in self._runs:
                if (parking := self._runs[run_id].parking) is not None:
                    parking.wake()
                return None
            row = await store.row(run_id)
            if row is None or row.seq != met.seq:
                return None
            run = self._new_run(run_id, workflow)
            run.is_passing = True
            place = await place_of(store, row)
            return await self._go_on(prepare(workflow), row, None, deps, place, run=run, as_it_is=True)

    async def fork(
        self,
        origin: str,
        workflow: AnyWorkflow,
        *,
        at: int | None = None,
        state: Any = None,
        inputs: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        deps: Any = None,
    ) -> Run[Any]:
        """Start a new run that goes on from a checkpoint of another, and shares what is stored up to there.

        The other run may be running, over, cancelled or a fork itself; nothing of it changes. at: the checkpoint, None
        for the newest. state: the state to go on with, instead of the one there. inputs: by the key of a pending task,
        what it gets instead; `at()` tells the keys. run_id: makes this idempotent, as in `start`. Raises UnknownRun,
        UnknownCheckpoint; EditError: the state or the inputs do not fit; RunMismatch, RunCancelled, RunBusy,
        IncompatibleWorkflow, StoreError.
        """
        from milepost.engine.changing import NO_INPUTS, Change
        from milepost.engine.forking import forked
        from milepost.engine.stored_drives import place_of

        store, prepared, run_id = self._need_store(), prepare(workflow), run_id or uuid4().hex[:12]
        check_given(workflow, deps)
        change = Change(None if state is None else lambda before: state, inputs or NO_INPUTS)
        async with self._starting.setdefault(run_id, anyio.Lock()):
            row, is_new = await forked(store, prepared, origin, run_id, at=at, change=change, clock=self._clock)
            place = await place_of(store, row)
            run = self._runs.get(run_id) or await self._go_on(prepared, row, state, deps, place, owned=is_new)
            if is_new and row.status == "completed":  # forked at its end, so that nothing drives it
                await store.release(run_id, row.epoch)
            return run

    async def edit_state(
        self,
        run_id: str,
        workflow: Workflow[StateT, Any, Any, Any],
        change: Callable[[StateT], StateT | None] | StateT,
    ) -> int:
        """Change the state of a run that nobody drives; return the number of its newest checkpoint then.

        change: a function that changes the state that it gets, or returns a new one; or a new state. What is pending
        begins with that state when the run is resumed. Raises UnknownRun, RunMismatch, RunBusy; InputError: the run is
        over, so fork it; EditError: the state does not fit; IncompatibleWorkflow, StoreError. Nothing is changed then.
        """
        from milepost.engine.changing import changer
        from milepost.engine.editing import edited

        store, prepared = self._need_store(), prepare(workflow)
        async with self._starting.setdefault(run_id, anyio.Lock()):
            if self._is_driven(run_id):
                raise RunBusy(run_id, "this engine")
            return await edited(store, prepared, run_id, changer(change), self._clock)

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

    async def check(self, workflow: AnyWorkflow) -> list[Prospect]:
        """Return of every stored run of a workflow that has not ended whether it would go on with it, the newest first.

        Runs, owns and writes nothing; migrations are carried out in memory. Raises UnsoundWorkflow, StoreError.
        """
        from milepost.engine.prospects import prospects_of

        return await prospects_of(self._need_store(), workflow)

    async def cancel(self, run_id: str, *, patience: float = 10.0) -> RunStatus:
        """End a run for good, whoever drives it; return how it ended: "cancelled", or "completed" if that was before.

        A run that nobody drives is ended here. The process that drives another one is asked to end it, which it does
        within about a second. patience: seconds to wait for that. Raises RunBusy when it has not answered by then: what
        it was asked stays asked. Raises UnknownRun, StoreError.
        """
        from milepost.engine.cancelling import cancel_stored

        run = self._runs.get(run_id)
        if run is not None and (self._store is None or self._is_driven(run_id)):
            run.cancel()
            status = await run.wait()
            if status in ("completed", "cancelled") or self._store is None:
                return status
        status = await cancel_stored(self._need_store(), run_id, self._clock, patience)
        if self._lot is not None:
            await self._lot.wake(run_id)  # it waits here, and learns of it so
        return status


async def run_workflow(
    workflow: AnyWorkflow,
    *,
    inputs: Any = None,
    state: Any = None,
    deps: Any = None,
    store: Store | str | None = None,
    run_id: str | None = None,
    isolation: Isolation | None = None,
) -> Any:
    """Run a workflow to its end and return the output; what `Workflow.run` calls."""
    async with AsyncExitStack() as stack:
        if deps is None and workflow.deps_factory is not None:
            deps = await stack.enter_async_context(workflow.deps_factory())
        if store is None:
            check_given(workflow, deps)
            return await run_live(workflow, inputs, given_state(workflow, state), deps, isolation)
        async with Engine(store) as engine:
            run = await engine.start(
                workflow, inputs=inputs, state=state, deps=deps, run_id=run_id, isolation=isolation
            )
            return await run.result()
