"""Whether a stored run is the one that is asked for, and can go on as it is asked to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from milepost.engine.codec import Codec
from milepost.engine.drivers import Prepared
from milepost.engine.errors import InputError, NotStorable, OutcomeUnknown, RunMismatch
from milepost.engine.fields import digest_of, fields_of, whole_of
from milepost.engine.plan import Plan
from milepost.engine.position import Position
from milepost.engine.reading import read_first
from milepost.engine.settlement import Settlement
from milepost.engine.stores.store import RunRow, Store


def check_name(prepared: Prepared, row: RunRow) -> None:
    """Check that a run is of a workflow of this name. Raises RunMismatch."""
    if prepared.definition.name != row.workflow:
        raise RunMismatch(row.run_id, "workflow", repr(row.workflow), repr(prepared.definition.name))


async def check_same(store: Store, prepared: Prepared, row: RunRow, inputs: Any, state: Any) -> None:
    """Check that a run that exists is the one that was asked for. Raises RunMismatch."""
    check_name(prepared, row)
    record = await read_first(store, row.run_id)
    workflow, codec = prepared.plan.workflow, prepared.codec
    given, _ = codec.encode(inputs, workflow.input_type, "the run's inputs")
    begun = record.values[0].text or ""
    if given not in (begun, as_now(codec, begun, workflow.input_type)):
        raise RunMismatch(row.run_id, "input", shown(begun), shown(given))
    if state is not None and record.patch:
        now = fields_of(codec.encode(state, workflow.state_type, "state")[0])
        fields = {name: change[2] for name, change in record.patch.items() if change is not None}
        again = as_now(codec, whole_of(fields), workflow.state_type) if digest_of(fields) == record.given else None
        if record.given != digest_of(now) and (again is None or fields_of(again) != now):
            raise RunMismatch(row.run_id, "initial state", shown(whole_of(fields)), shown(whole_of(now)))


def still_nests(plan: Plan, position: Position, task: str) -> bool:
    """Tell whether a pending task is of a node that runs a workflow."""
    return task in position.tasks and plan.nodes[position.tasks[task].node].nests


def as_now(codec: Codec, text: str, type_: object) -> str | None:
    """Return how a stored value would be written by the type that is declared now, None when that cannot read it."""
    try:
        return codec.encode(codec.decode(text, type_), type_)[0]
    except NotStorable:
        return None


def shown(text: str, most: int = 80) -> str:
    """Return JSON text short enough for a sentence."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def check_settled(run_id: str, position: Position, settled: Mapping[str, Settlement]) -> None:
    """Check that what may run at most once and had begun is settled, and nothing else is. Raises OutcomeUnknown."""
    begun = [task for task in position.tasks.values() if task.key in position.intended]
    unknown = [(task.key, task.node) for task in begun if task.key not in settled]
    if unknown:
        raise OutcomeUnknown(run_id, unknown)
    for key in settled:
        if key not in position.intended:
            raise InputError(f"Run {run_id!r} has no task {key!r} whose outcome is unknown, so nothing to settle.")
