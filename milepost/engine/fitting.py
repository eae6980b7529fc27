"""Fitting a stored run to the workflow that it is to go on with: what is pending is compared, and migrated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from milepost.engine.codec import Codec
from milepost.engine.counterparts import counterparts
from milepost.engine.definition import Definition
from milepost.engine.errors import BrokenJournal, IncompatibleWorkflow, MigrationError, NotStorable
from milepost.engine.journal import Kind, Record, apply
from milepost.engine.migration import migrated
from milepost.engine.pending import Held, held
from milepost.engine.plan import Plan
from milepost.engine.position import Position
from milepost.engine.rereading import Rereading, reread_state, stored_state
from milepost.engine.revision import Place, Revision
from milepost.engine.structure import Structure
from milepost.engine.values import NOT_LOADED, Ref, Value


def fit(run_id: str, plan: Plan, codec: Codec, old: Definition, new: Definition, position: Position) -> Record | None:
    """Compare what is pending with a workflow, and bring the position to what the workflow says, in place.

    old, new: the definition that the run has followed so far, and that of the workflow. Returns the record that says
    what became of the position, None when nothing did: it has to be committed before anything runs. Costs the size of
    what is pending and of the state, not of the history. Raises IncompatibleWorkflow listing all that does not fit;
    MigrationError, BrokenJournal. The position is then good for nothing.
    """
    steps = version_steps(run_id, plan, old, new)
    values, state = values_of(run_id, position, old), stored_state(position.fields)
    ids = [node.id for node in old.nodes]
    renamed, state = migrated(run_id, plan.workflow.migrations, steps, values, state, ids)
    is_other = old.fingerprint != new.fingerprint
    names: Mapping[str, str] = counterparts(old, new, renamed) if is_other else {}
    faults = list(merged_joins(position, names))
    record = Record(position.seq + 1, Kind.MIGRATED, "")
    revising = Revising(record, Rereading(plan, codec, names, changed=is_other), names)
    if not faults:
        faults += [fault for one in values for fault in revising.reread(plan, one)]
        faults += revising.reread_state(position, state, plan.workflow.state_type, codec)
        revising.conclude(position, new.fingerprint, is_other=is_other)
        if is_other:
            faults = [*Structure(plan, position, old, names).faults(), *faults]
    if faults:
        raise misfit(run_id, faults, old.version, new.version)
    return record if position.seq == record.seq else None


def misfit(run_id: str, faults: Sequence[str], from_version: int, to_version: int) -> IncompatibleWorkflow:
    """Return what to raise for a run that does not fit its workflow."""
    listed = list(dict.fromkeys(faults))
    if from_version == to_version:
        return IncompatibleWorkflow(run_id, listed)
    return MigrationError(run_id, from_version, to_version, changes=listed)


def version_steps(run_id: str, plan: Plan, old: Definition, new: Definition) -> range:
    """Return the versions to migrate from, in order. Raises IncompatibleWorkflow: there is no way to the workflow's."""
    versions = f"The run is of version {old.version}, and the workflow of version {new.version}"
    if old.version > new.version:
        older = f"{versions}, which is older. Resume it with version {old.version} of the code."
        raise IncompatibleWorkflow(run_id, [older])
    steps = range(old.version, new.version)
    missing = next((number for number in steps if number not in plan.workflow.migrations), None)
    if missing is not None:
        way = f"Add @wf.migrate(from_version={missing}), or finish the run with version {old.version} of the code."
        raise IncompatibleWorkflow(run_id, [f"{versions}, and nothing migrates from version {missing}. {way}"])
    return steps


def values_of(run_id: str, position: Position, old: Definition) -> list[Held]:
    """Return every value that is still needed. Raises BrokenJournal: one of them is not there."""
    try:
        return held(position, {node.id for node in old.nodes if node.kind in ("decision", "sleep")})
    except (ValueError, IndexError) as error:
        raise BrokenJournal(run_id, position.seq, f"an item that is still needed is not there ({error})") from error


def merged_joins(position: Position, names: Mapping[str, str]) -> Iterator[str]:
    """Yield a fault for every two joins with items that a migration makes one."""
    seen: dict[tuple[str, str], str] = {}
    for join, run in position.joins:
        name = names.get(join, join)
        first = seen.setdefault((name, run), join)
        if first != join:
            one, other = sorted((first, join))
            yield f"Joins {one!r} and {other!r} both have items waiting, and would both be called {name!r} now."


class Revising:
    """Gathers what has to be written down anew of a stored run. record: that will say so. names: new ids of nodes."""

    def __init__(self, record: Record, rereading: Rereading, names: Mapping[str, str]) -> None:
        self._record = record
        self._rereading = rereading
        self._names = names
        self._inputs: dict[str, Ref] = {}
        self._items: dict[Place, Ref] = {}
        self._outputs: dict[str, Ref] = {}

    def reread(self, plan: Plan, one: Held) -> Iterator[str]:
        """Read a value that is still needed as what it is now, and note what changes of it. Yields a fault, or none."""
        node = self._names.get(one.node, one.node)
        if node not in plan.nodes:
            return  # somebody else says that it is gone
        tag = one.value.tag if one.ref.index < 0 else f"item:{one.value.tag}"
        try:
            after = self._rereading.read(tag, one.text, None if one.kind == "output" else node, one.kind)
        except NotStorable as error:
            yield value_fault(one, error)
            return
        if after != (tag, one.stored):
            self._keep(one, node, Value(*after, NOT_LOADED))

    def _keep(self, one: Held, node: str, value: Value) -> None:
        self._record.values.append(value)
        ref = Ref(self._record.seq, len(self._record.values) - 1, -1, value)
        if isinstance(one.place, tuple):
            self._items[node, one.place[1], one.place[2]] = ref
        elif one.kind == "input":
            self._inputs[one.place] = ref
        else:
            self._outputs[one.place] = ref

    def reread_state(self, position: Position, state: str | None, type_: Any, codec: Codec) -> Iterator[str]:
        """Read the state as what it is now, and note what changes of it. Yields a fault, or none."""
        try:
            self._record.patch = reread_state(position.fields, state, type_, codec) or None
        except NotStorable as error:
            yield (
                f"The stored state does not fit any more: {shown(error)} Let its type take what is stored, e.g. by a "
                "default for what is new, or raise the version and migrate: stored.state."
            )

    def conclude(self, position: Position, definition: str, *, is_other: bool) -> None:
        """Bring the position to what the record says, if it says anything.

        definition: the fingerprint of what the run follows from now on. is_other: it has followed another one.
        """
        record = self._record
        if is_other or record.values or record.patch:
            record.revision = Revision(definition, self._names, self._inputs, self._items, self._outputs)
            apply(position, record)


def value_fault(one: Held, error: NotStorable) -> str:
    """Return a sentence for a stored value that cannot be read any more."""
    what, way = {
        "input": (f"The stored input of node {one.node!r} does", "inputs"),
        "item": (f"A stored item of join {one.node!r} does", "items"),
        "output": (f"The stored output of node {one.node!r}, which is to be routed, does", "outputs"),
    }[one.kind]
    return (
        f"{what} not fit any more: {shown(error)} Let its type take what is stored, or raise the version and migrate: "
        f"stored.{way}({one.node!r})."
    )


def shown(error: NotStorable) -> str:
    """Return what is wrong with a stored value, and where in it."""
    return f"at {error.path}, {error.reason.splitlines()[0].rstrip('.')}."
