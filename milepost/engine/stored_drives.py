"""Stored runs as an engine takes them up: one begins with its first checkpoint, or goes on from its newest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio

from milepost.engine.admission import check_given, given_state
from milepost.engine.cancelling import cancel_forsaken, ended_as_asked
from milepost.engine.children import Place
from milepost.engine.drivers import Prepared, first_record, stored_driver
from milepost.engine.errors import RunBusy, RunCancelled
from milepost.engine.executor import Driver
from milepost.engine.facilities import Facilities
from milepost.engine.fitting import fit
from milepost.engine.journal import Record
from milepost.engine.logs import StoredLog, committed
from milepost.engine.matching import check_settled, still_nests
from milepost.engine.opening import output_of, read_position
from milepost.engine.position import Position, Task
from milepost.engine.prospects import check_fits
from milepost.engine.reading import read_followed
from milepost.engine.settlement import Settlement
from milepost.engine.state import StoredState
from milepost.engine.stores.store import NewRun, RunRow, Store

Watch = Callable[[Record, tuple[Task, ...]], None]


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a stored run begins with. state: None where the workflow makes it. place: among runs inside one another."""

    prepared: Prepared
    run_id: str
    inputs: Any
    state: Any
    deps: Any
    place: Place
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drive:
    """What a stored run is driven with, so that it can be gone on with when it has waited."""

    driver: Driver
    prepared: Prepared
    deps: Any
    place: Place
    log: StoredLog


@dataclass(frozen=True, slots=True)
class Completed:
    """A run that needs nobody to drive it any more."""

    output: Any


class StoredDrives:
    """Begins and takes up the runs of a store. facilities: of the engine that drives them."""

    def __init__(self, store: Store, facilities: Facilities) -> None:
        self._store = store
        self._facilities = facilities
        self._clock = facilities.clock

    async def begin(self, beginning: Beginning, watch: Watch) -> Drive | None:
        """Create a run with its first checkpoint, and own it. Returns None when somebody else took the id meanwhile.

        watch: is told what is committed.
        """
        prepared, run_id, deps, place = beginning.prepared, beginning.run_id, beginning.deps, beginning.place
        definition = prepared.definition
        log = StoredLog(self._store, run_id, self._clock)
        state = given_state(prepared.plan.workflow, beginning.state)
        driver = stored_driver(prepared, run_id, Position(), state, deps, log, place, self._facilities)
        driver.watch = watch
        driver.start(first_record(definition.fingerprint), beginning.inputs)
        entry, acknowledge = log.take_first()
        new = NewRun(
            run_id=run_id,
            workflow=definition.name,
            version=definition.version,
            fingerprint=definition.fingerprint,
            definition=definition.to_json(),
            isolation=place.isolation or "task",
            parent_run=place.parent_run,
            parent_task=place.parent_task,
            tags=beginning.tags,
        )
        if not await self._store.create(new, entry._replace(epoch=1)):
            return None
        log.epoch = 1
        acknowledge(None)
        return Drive(driver, prepared, deps, place, log)

    async def completed(self, prepared: Prepared, row: RunRow, state: Any, place: Place) -> Completed | None:
        """Return the output of a run that is completed, None of one that goes on; `state` is made equal to the run's.

        Raises RunCancelled: it was cancelled, and is not to be reopened.
        """
        plan, codec = prepared.plan, prepared.codec
        cancelled = row.status == "cancelled" and not place.reopen
        if plan.nests and (cancelled or row.status == "completed"):  # it may have ended with its process
            await cancel_forsaken(self._store, row.run_id, lambda task: False, self._clock)
        if cancelled:
            raise RunCancelled(row.run_id)
        if row.status != "completed":
            return None
        position = (await read_position(self._store, row)).position
        if state is not None:
            StoredState(codec, plan.workflow.state_type, state, position, isolated=True).settle()
        return Completed(output_of(row.run_id, position, plan, codec))

    async def take_up(
        self,
        prepared: Prepared,
        row: RunRow,
        state: Any,
        deps: Any,
        place: Place,
        settled: Mapping[str, Settlement],
        *,
        owned: bool,
        as_it_is: bool,
    ) -> Drive:
        """Become the owner of a run that goes on, if it is not `owned`, and bring it to what its workflow says now.

        as_it_is: only if it stands where its row says. Raises RunBusy: it does not.
        """
        check_given(prepared.plan.workflow, deps)
        if not owned:
            await check_fits(self._store, row, prepared)
            met, row = row, await self._acquired(row.run_id, place)
            if as_it_is and row.seq != met.seq:
                await self._store.release(row.run_id, row.epoch)
                raise RunBusy(row.run_id, "another process a moment ago")
        try:
            return await self._opened(prepared, row, state, deps, replace(place, isolation=row.isolation), settled)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._store.release(row.run_id, row.epoch)
            raise

    async def _acquired(self, run_id: str, place: Place) -> RunRow:
        """Become the owner of a run. What it was asked while nobody drove it comes first. Raises RunCancelled."""
        row = await self._store.acquire(run_id)
        if await ended_as_asked(self._store, row, self._clock):
            if not place.reopen:
                raise RunCancelled(run_id)
            row = await self._store.acquire(run_id)
        return row

    async def _opened(
        self,
        prepared: Prepared,
        row: RunRow,
        state: Any,
        deps: Any,
        place: Place,
        settled: Mapping[str, Settlement],
    ) -> Drive:
        plan, definition = prepared.plan, prepared.definition
        opened = await read_position(self._store, row)
        position = opened.position
        log = StoredLog(self._store, row.run_id, self._clock, epoch=row.epoch)
        log.hash, log.since, log.size = row.hash, opened.since, opened.size
        followed = await read_followed(self._store, row, position, definition)
        record = fit(row.run_id, plan, prepared.codec, followed, definition, position)
        begun = given_state(plan.workflow, state, made=True)
        driver = stored_driver(prepared, row.run_id, position, begun, deps, log, place, self._facilities)
        check_settled(row.run_id, position, settled)
        if record is not None:
            await self._store.define(definition.fingerprint, definition.to_json())
            await committed(log, record, position)
            if any(node.workflow for node in followed.nodes):  # a task may drive no run any more
                await cancel_forsaken(self._store, row.run_id, partial(still_nests, plan, position), self._clock)
        driver.resume(settled)
        return Drive(driver, prepared, deps, place, log)


async def place_of(store: Store, row: RunRow, *, reopen: bool = False) -> Place:
    """Return the place of a run that is opened by itself, though it may have been begun inside others."""
    passed: list[tuple[str, str]] = []
    above = row
    while above.parent_run is not None and (outer := await store.row(above.parent_run)) is not None:
        passed.insert(0, (outer.workflow, ""))
        above = outer
    return Place(
        workflow=row.workflow,
        parent_run=row.parent_run,
        parent_task=row.parent_task,
        passed=tuple(passed),
        isolation=row.isolation,
        reopen=reopen,
    )
