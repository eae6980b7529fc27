"""What a run was at one of its checkpoints, as a plain value, read from its store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import NoneType
from typing import Any, Generic

from typing_extensions import TypeVar

from milepost.engine.account import status_of
from milepost.engine.drivers import prepare
from milepost.engine.fields import whole_of
from milepost.engine.fitting import fit
from milepost.engine.journal import Kind, Record
from milepost.engine.opening import output_of, read_position
from milepost.engine.pending import text_of
from milepost.engine.position import Position
from milepost.engine.questions import OpenWait, open_waits
from milepost.engine.reading import read_definition, read_record
from milepost.engine.stores.store import RunRow, Store
from milepost.engine.trace import RunStatus, moment
from milepost.engine.values import Ref, StoredValues
from milepost.engine.workflow import Workflow

StateT = TypeVar("StateT", covariant=True, default=str | None)
OutputT = TypeVar("OutputT", covariant=True, default=str)
ValueT = TypeVar("ValueT", covariant=True, default=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTask(Generic[ValueT]):
    """A node that is still to be run.

    key: what it is called in `fork(inputs=...)`. index: the item's number in the innermost map around it, from 0.
    begun: it may run at most once and has begun, so that its outcome is not known.
    """

    key: str
    node: str
    inputs: ValueT
    index: int | None = None
    begun: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingStream(Generic[ValueT]):
    """A stream that still gives items. key: of the task whose output it is. items: how many it has given."""

    key: str
    node: str
    inputs: ValueT
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingJoin(Generic[ValueT]):
    """A join that waits for more. items: what has reached it, in the order of arrival."""

    node: str
    items: tuple[ValueT, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingOutput(Generic[ValueT]):
    """An output that is kept and still to be routed, as an edge behind its node has failed. key: of the task."""

    key: str
    node: str
    output: ValueT


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Generic[StateT, OutputT, ValueT]):
    """A run as it was at one of its checkpoints.

    seq: the number of the checkpoint. at: when it was committed. did: what its record says, e.g. "completed"; node,
    task: what that is about, "" for the run as a whole. status, error: how the run stood then. state: None for a
    workflow without one. output: None unless the run had ended. waits: what it waited for itself. All values are JSON
    text, or objects where the workflow was given.
    """

    run_id: str
    workflow: str
    seq: int
    at: datetime
    did: str
    node: str
    task: str
    status: RunStatus
    error: str | None
    state: StateT
    output: OutputT | None
    tasks: tuple[PendingTask[ValueT], ...]
    streams: tuple[PendingStream[ValueT], ...]
    joins: tuple[PendingJoin[ValueT], ...]
    outputs: tuple[PendingOutput[ValueT], ...]
    waits: tuple[OpenWait, ...] = ()


async def snapshot_at(store: Store, row: RunRow, seq: int) -> Snapshot:
    """Return what a run was at a checkpoint, with all values as JSON text. Needs nothing of its code.

    Cost: the size of the snapshot before it in the journal and of what came between. Raises UnknownCheckpoint,
    BrokenJournal, StoreError.
    """
    position = (await read_position(store, row, seq)).position
    state = whole_of(position.fields) if position.fields else None
    output = None if position.output is None else text_of(position.output)
    return _made(row, await _record(store, row, seq), position, state, output, text_of)


async def typed_snapshot_at(
    store: Store, row: RunRow, seq: int, workflow: Workflow[Any, Any, Any, Any]
) -> Snapshot[Any, Any, Any]:
    """Return what a run was at a checkpoint, with its values as the workflow declares them now.

    Nothing is written: what the workflow has to migrate is migrated for the caller alone. Raises IncompatibleWorkflow,
    and what `snapshot_at` raises.
    """
    prepared = prepare(workflow)
    plan, codec = prepared.plan, prepared.codec
    position = (await read_position(store, row, seq)).position
    followed = await read_definition(store, row.run_id, position.definition or row.fingerprint)
    fit(row.run_id, plan, codec, followed, prepared.definition, position)
    stateless = workflow.state_type in (None, NoneType)
    state = None if stateless else codec.decode(whole_of(position.fields), workflow.state_type, "state")
    output = None if position.output is None else output_of(row.run_id, position, plan, codec)
    value = StoredValues(codec, plan.type_of).load
    return _made(row, await _record(store, row, seq), position, state, output, value)


async def _record(store: Store, row: RunRow, seq: int) -> Record:
    stored = await store.record(row.run_id, seq)
    assert stored is not None
    return read_record(row.run_id, stored)


def _made(
    row: RunRow, record: Record, position: Position, state: Any, output: Any, value: Callable[[Ref], Any]
) -> Snapshot[Any, Any, Any]:
    """Return the value. record: of the checkpoint. value: returns what is behind a reference."""
    status = status_of(record)
    return Snapshot(
        run_id=row.run_id,
        workflow=row.workflow,
        seq=record.seq,
        at=moment(record.at),
        did=record.kind.value,
        node="" if record.kind is Kind.STARTED else record.node,
        task="" if record.kind is Kind.STARTED else record.task,
        status=status,
        error=record.error if status in ("failed", "cancelled") else None,
        state=state,
        output=output,
        tasks=tuple(
            PendingTask(
                key=task.key,
                node=task.node,
                inputs=value(task.ref),
                index=task.ref.index if task.ref.index >= 0 else None,
                begun=task.key in position.intended,
            )
            for task in position.tasks.values()
        ),
        streams=tuple(
            PendingStream(key=one.task.key, node=one.task.node, inputs=value(one.task.ref), items=one.count)
            for one in position.streams.values()
        ),
        joins=tuple(
            PendingJoin(node=one.join, items=tuple(value(ref) for ref in one.items)) for one in position.joins.values()
        ),
        outputs=tuple(
            PendingOutput(key=task.key, node=task.node, output=value(ref)) for task, ref in position.unrouted.values()
        ),
        waits=tuple(open_waits(row.run_id, row.workflow, position)),
    )
