"""Engine: what starts, drives and resumes runs against a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import anyio

from milepost.engine.admission import check_given, given_state
from milepost.engine.children import Place, name_of
from milepost.engine.driven_runs import DrivenRuns
from milepost.engine.drivers import AnyWorkflow, first_record, live_driver, new_id, prepare, run_live
from milepost.engine.errors import RunBusy, UnknownRun
from milepost.engine.facilities import Live
from milepost.engine.run import Run
from milepost.engine.settlement import NOTHING_SETTLED, Settlement
from milepost.engine.stores.store import RunRow, Store
from milepost.engine.tags import checked_tags
from milepost.engine.trace import RunStatus
from milepost.engine.workflow import Workflow

if TYPE_CHECKING:  # what runs of a store need is loaded when there is a store, and what few ask for when they do
    from milepost.engine.prospects import Prospect
    from milepost.engine.worker_events import WorkerEvent

Isolation = Literal["task", "shared"]
StateT = TypeVar("StateT")


class Engine(DrivenRuns):
    """Drives runs; an async context manager that waits for them when it is left.

    Leaving it by an error stops its runs, resumable. store: a Store, its URL, or None to keep nothing. max_concurrency:
    tasks at once over all its runs. clock: seconds since 1970 UTC.
    """

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
        is_new, run_id, tags = not run_id, run_id or new_id(), checked_tags(tags)
        if self._store is None:
            return self._runs.get(run_id) or self._start_live(workflow, run_id, inputs, state, deps, isolation)
        async with self._starting.setdefault(run_id, anyio.Lock()):  # of a new id, too: a list of runs shows it early
            return await self._start_stored(
                self._store, workflow, run_id, inputs, state, deps, isolation or "task", tags, is_new
            )

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
        from milepost.engine.stored_drives import Beginning, place_of

        prepared = prepare(workflow)
        row = None if is_new else await store.row(run_id)
        if row is None:
            check_given(workflow, deps)
            place = Place(workflow=prepared.definition.name, isolation=isolation)
            run = await self._create(Beginning(prepared, run_id, inputs, state, deps, place, tags))
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

    # --- going on -----------------------------------------------------------------------------------------------------

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

        store, prepared, run_id = self._need_store(), prepare(workflow), run_id or new_id()
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

    async def check(self, workflow: AnyWorkflow) -> list[Prospect]:
        """Return of every stored run of a workflow that has not ended whether it would go on with it, the newest first.

        Runs, owns and writes nothing; migrations are carried out in memory. Raises UnsoundWorkflow, StoreError.
        """
        from milepost.engine.prospects import prospects_of

        return await prospects_of(self._need_store(), workflow)

    async def cancel(self, run_id: str, *, patience: float = 10.0) -> RunStatus:
        """End a run for good, whoever drives it; return how it ended: "cancelled", or "completed" if that was before.

        A run that nobody drives is ended here. The process that drives another one is asked to end it, which it does
        within about a second; then its nodes clean up. patience: seconds to wait for both. Raises RunBusy when that
        process has not answered by then: what it was asked stays asked. Raises UnknownRun, StoreError.
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
