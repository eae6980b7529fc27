"""Opening a stored run: reading its journal back, checking that it is whole and that the workflow still fits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from milepost.engine.codec import Codec
from milepost.engine.errors import BrokenJournal, IncompatibleWorkflow, MilepostError
from milepost.engine.fields import whole_of
from milepost.engine.journal import pointed_at
from milepost.engine.plan import Plan, Role
from milepost.engine.position import END, Position
from milepost.engine.reading import ENDS_WRONGLY, check_next, go_on, read_record, read_snapshot
from milepost.engine.stores.store import RunRow, Store, StoredRecord
from milepost.engine.values import NOT_LOADED, Ref, StoredValues, Value

WORK = (Role.STEP, Role.BASE_NODE, Role.DECIDE)


@dataclass(frozen=True, slots=True)
class Opened:
    """A run as read back. since, size: of the bodies after the last snapshot, and of that snapshot, in characters."""

    position: Position
    since: int
    size: int


async def read_position(store: Store, row: RunRow) -> Opened:
    """Fold a run's journal from its last snapshot. Raises BrokenJournal when a record does not fit.

    Costs the size of the snapshot and of what came after it, not of the whole history.
    """
    records = list(await store.records(row.run_id, after=max(row.snapshot_seq - 2, 0)))
    before = records.pop(0).hash if row.snapshot_seq > 1 and records else ""
    verify(row, records, before)
    position, since, size = Position(), 0, 0
    known: dict[int, list[Value]] = {}
    for stored in records:
        if stored.seq == row.snapshot_seq:
            position, size = read_snapshot(row.run_id, stored), len(stored.snapshot or "")
            continue
        record = read_record(row.run_id, stored)
        go_on(row.run_id, position, record)
        known[stored.seq] = record.values
        since += len(stored.body)
    await attach(store, row.run_id, position, known)
    return Opened(position, since, size)


def verify(row: RunRow, records: Sequence[StoredRecord], before: str) -> None:
    """Check that records are complete and follow one another. before: the hash of the record in front of them."""
    expected = max(row.snapshot_seq, 1)
    for stored in records:
        check_next(row.run_id, before, expected, stored)
        before = stored.hash
        expected += 1
    if expected != row.seq + 1 or before != row.hash:
        raise BrokenJournal(row.run_id, row.seq, ENDS_WRONGLY)


async def attach(store: Store, run_id: str, position: Position, known: dict[int, list[Value]]) -> None:
    """Fetch what a position's references point at, each record once."""
    for ref in pointed_at(position):
        if ref.value is not None:
            continue
        if ref.seq not in known:
            known[ref.seq] = await fetch(store, run_id, ref.seq)
        try:
            ref.value = known[ref.seq][ref.slot]
        except IndexError:
            raise BrokenJournal(run_id, ref.seq, f"it holds no value number {ref.slot}") from None


async def fetch(store: Store, run_id: str, seq: int) -> list[Value]:
    """Read and verify the values of one older record."""
    stored = await store.record(run_id, seq)
    earlier = await store.record(run_id, seq - 1) if seq > 1 else None
    if stored is None or (earlier is None and seq > 1):
        raise BrokenJournal(run_id, seq, "it is missing")
    check_next(run_id, "" if earlier is None else earlier.hash, seq, stored)
    return read_record(run_id, stored).values


def check_fit(run_id: str, plan: Plan, position: Position, values: StoredValues, codec: Codec) -> None:
    """Compare what is pending with the workflow. Raises IncompatibleWorkflow listing all that no longer fits."""
    changes: dict[str, None] = {}
    adopt_orphans(plan, position)
    for task in (*position.tasks.values(), *(stream.task for stream in position.streams.values())):
        node = plan.nodes.get(task.node)
        if node is None or node.role not in WORK:
            changes[f"Node {task.node!r} has a task waiting, but the workflow has no such node any more."] = None
        elif (fault := _misfit(values, task.ref)) is not None:
            changes[f"The stored input of node {task.node!r} does not fit any more: {fault}"] = None
    for waiting in position.joins.values():
        node = plan.nodes.get(waiting.join)
        if node is None or node.join is None:
            changes[f"Join {waiting.join!r} has items waiting, but the workflow has no such join any more."] = None
        elif (fault := next(filter(None, (_misfit(values, ref) for ref in waiting.items)), None)) is not None:
            changes[f"A stored item of join {waiting.join!r} does not fit any more: {fault}"] = None
    _check_unrouted(changes, plan, position, values)
    for fork in _forks(position):
        if fork not in plan.nodes:
            changes[f"Fork {fork!r} has branches under way, but the workflow has no such fork any more."] = None
    _check_state(changes, plan, position, codec)
    if changes:
        raise IncompatibleWorkflow(run_id, list(changes))


def adopt_orphans(plan: Plan, position: Position) -> None:
    """Let what waits for a node be read as what that node takes, where the node that it came from is gone."""
    takers = [(task.ref, task.node) for task in position.tasks.values()]
    takers.extend((stream.task.ref, stream.task.node) for stream in position.streams.values())
    takers.extend((ref, waiting.join) for waiting in position.joins.values() for ref in waiting.items)
    if position.output is not None:
        takers.append((position.output, END))
    adopted: dict[tuple[int, str], Value] = {}
    for ref, taker in takers:
        value = ref.value
        if value is None or taker not in plan.nodes or _is_known(plan, value.tag):
            continue
        tag = f"in:{taker}" if ref.index < 0 else f"list:{taker}"
        ref.value = adopted.setdefault((id(value), tag), Value(tag, value.text, NOT_LOADED))


def _is_known(plan: Plan, tag: str) -> bool:
    try:
        plan.type_of(tag)
    except (KeyError, IndexError):
        return False
    return True


def _misfit(values: StoredValues, ref: Ref) -> str | None:
    """Say why a stored value cannot be read any more, or return None."""
    try:
        if ref.value is not None:
            values.load(ref)
    except (MilepostError, KeyError, ValueError, IndexError) as error:
        return _first_line(error)
    return None


def _check_unrouted(changes: dict[str, None], plan: Plan, position: Position, values: StoredValues) -> None:
    for task, ref in position.unrouted.values():
        if task.node not in plan.nodes:
            changes[f"Node {task.node!r} has an output to be routed, but the workflow has no such node."] = None
        elif (fault := _misfit(values, ref)) is not None:
            changes[f"The stored output of node {task.node!r} does not fit any more: {fault}"] = None


def _forks(position: Position) -> list[str]:
    stacks: list[Any] = [task.stack for task in position.tasks.values()]
    stacks.extend(waiting.stack for waiting in position.joins.values())
    return sorted({item[0] for stack in stacks for item in stack})


def _check_state(changes: dict[str, None], plan: Plan, position: Position, codec: Codec) -> None:
    if not position.fields:
        return
    try:
        codec.decode(whole_of(position.fields), plan.workflow.state_type, "state")
    except (MilepostError, ValueError) as error:
        changes[f"The stored state does not fit {plan.workflow.state_type!r} any more: {_first_line(error)}"] = None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
