"""Making the drivers of runs: what is worked out of a workflow once, and runs that need no engine."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio

from milepost.engine.admission import check_given, given_state, unstorable, workflows_inside
from milepost.engine.children import ChildWork, Parent, Place, ended_inside, name_of
from milepost.engine.codec import Codec
from milepost.engine.definition import Definition, describe
from milepost.engine.errors import InputError, RunWaiting, UnsoundWorkflow
from milepost.engine.executor import Driver, only_one
from milepost.engine.facilities import Facilities, Live
from milepost.engine.journal import Kind, Record, note_rest
from milepost.engine.keys import ROOT, child_run
from milepost.engine.plan import Plan, compile_plan
from milepost.engine.position import START, Position
from milepost.engine.questions import names_of
from milepost.engine.revision import Revision
from milepost.engine.state import LiveState, StoredState
from milepost.engine.values import LiveValues, StoredValues
from milepost.engine.workflow import Workflow

if TYPE_CHECKING:
    from milepost.engine.logs import StoredLog
    from milepost.engine.stores.store import Acknowledge

AnyWorkflow = Workflow[Any, Any, Any, Any]


@dataclass(slots=True)
class Prepared:
    """What the engine works out of a workflow once."""

    plan: Plan
    definition: Definition
    codec: Codec


class NoLog:
    """Keeps nothing: every record counts as committed at once."""

    def commit(self, record: Record, position: Position | None, committed: Acknowledge) -> None:
        if position is not None and position.waiting:
            note_rest(record, position)
        committed(None)


def new_id() -> str:
    """Return a random id of 48 bits."""
    return uuid4().hex[:12]


def plan_of(workflow: AnyWorkflow) -> Plan:
    """Return the plan of a workflow; compiled once, and kept by the workflow itself."""
    plan: Plan | None = vars(workflow).get("_plan")
    if plan is None:
        plan = vars(workflow)["_plan"] = compile_plan(workflow)
    return plan


def codec_of(workflow: AnyWorkflow) -> Codec:
    """Return the codec of a workflow, which learns its types once."""
    codec: Codec | None = vars(workflow).get("_codec")
    if codec is None:
        codec = vars(workflow)["_codec"] = Codec(workflow.registered)
    return codec


def prepare(workflow: AnyWorkflow) -> Prepared:
    """Return what it takes to store a workflow's runs. Raises UnsoundWorkflow when a declared type cannot be stored."""
    prepared: Prepared | None = vars(workflow).get("_prepared")
    if prepared is None:
        prepared = Prepared(plan_of(workflow), describe(workflow), codec_of(workflow))
        for one in (workflow, *workflows_inside(workflow)):
            faults = unstorable(one, codec_of(one))
            if faults:
                raise UnsoundWorkflow(one.name, faults)
        vars(workflow)["_prepared"] = prepared
    return prepared


def first_record(definition: str | None = None) -> Record:
    """Return the record that a run begins with. definition: the fingerprint of what it follows; None: no store."""
    return Record(1, Kind.STARTED, ROOT, START, revision=None if definition is None else Revision(definition))


def live_driver(
    workflow: AnyWorkflow, run_id: str, state: Any, deps: Any, place: Place, facilities: Facilities
) -> Driver:
    """Return a driver that keeps nothing. Tasks get views of the state when that is asked for, or a retry needs it."""
    plan = plan_of(workflow)
    position = Position(keep_items=False)
    retried = state is not None and any(spec.policy.retry is not None for spec in workflow.specs.values())
    if place.isolation == "task" or (place.isolation is None and retried):
        kept: LiveState | StoredState = StoredState(
            codec_of(workflow), workflow.state_type, state, position, isolated=True, stored=False
        )
    else:
        kept = LiveState(state)
    return Driver(plan, position, LiveValues(), kept, NoLog(), deps, run_id, facilities, place)


def stored_driver(
    prepared: Prepared,
    run_id: str,
    position: Position,
    state: Any,
    deps: Any,
    log: StoredLog,
    place: Place,
    facilities: Facilities,
) -> Driver:
    """Return a driver that stores everything."""
    workflow = prepared.plan.workflow
    if state is not None and workflow.state_type in (None, NoneType):
        raise InputError(
            f"Workflow {workflow.name!r} declares no state, so the one that was given could not be stored. "
            "Declare it: state_type=..."
        )
    values = StoredValues(prepared.codec, prepared.plan.type_of)
    kept = StoredState(prepared.codec, workflow.state_type, state, position, isolated=place.isolation != "shared")
    return Driver(prepared.plan, position, values, kept, log, deps, run_id, facilities, place)


async def run_live(workflow: AnyWorkflow, inputs: Any, state: Any, deps: Any, isolation: str | None) -> Any:
    """Run without a store, in the caller's own task."""
    facilities = Facilities(nest=nest_live, alone=True)
    place = Place(workflow=name_of(workflow), isolation=isolation)
    run_id = new_id()
    driver = live_driver(workflow, run_id, state, deps, place, facilities)
    driver.leaving = True
    driver.start(first_record(), inputs)
    await driver.drive()
    return result_of(driver, run_id)


async def nest_live(parent: Parent, work: ChildWork, facilities: Facilities) -> Any:
    """Run a workflow inside a run that has no store.

    It has a task of its own, so that runs inside one another do not add up to one deep stack.
    """
    place, run_id = parent.inside(work), child_run(parent.run_id, parent.task)
    inputs, state = work.begin()
    check_given(work.workflow, work.deps)
    driver = live_driver(work.workflow, run_id, given_state(work.workflow, state), work.deps, place, facilities)
    driver.leaving = facilities.alone
    driver.start(first_record(), inputs)
    driver.lulls = lambda waits, until: parent.asleep(run_id, until) if waits else parent.awake()
    if driver.waits:
        facilities.live[run_id] = Live(run_id=run_id, parent=parent.run_id, driver=driver, workflow=work.workflow)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(driver.drive)
    except BaseExceptionGroup as several:
        raise only_one(several) from None
    finally:
        facilities.live.pop(run_id, None)
    try:
        return result_of(driver, run_id)
    except Exception as error:
        raise ended_inside(error, run_id) from error.__cause__


def result_of(driver: Driver, run_id: str) -> Any:
    """Return the output of a run that was driven, or raise what it failed with. Raises RunWaiting."""
    if driver.failure is not None:
        raise driver.failure
    if driver.rests:
        raise RunWaiting(run_id, list(names_of(driver.position)))
    return driver.output()
