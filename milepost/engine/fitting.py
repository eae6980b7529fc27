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
    names = counterparts(old, new, renamed) if is_other else {}
    faults = list(merged_joins(position, names))
    revising = Revising(Record(position.seq + 1, Kind.MIGRATED, ""), Rereading(plan, codec, names, changed=is_other))
    if not faults:
        for one in values:
            one.node = names.get(one.node, one.node)
            faults += revising.reread(plan, one)
        faults += revising.reread_state(position, state, plan.workflow.state_type, codec)
        revising.conclude(position, Revision(new.fingerprint, names), is_other=is_other)
        if is_other:
            faults = [*Structure(plan, position, old, names).faults(), *faults]
    if faults:
        raise misfit(run_id, faults, old.version, new.version)
    return revising.record if position.seq == revising.record.seq else None


def misfit(run_id: str, faults: Sequence[str], from_version: int, to_version: int) -> IncompatibleWorkflow:
    """Return what to raise for a run that does not fit its workflow."""
    listed = list(dict.fromkeys(faults))
    if from_version == to_version:
        return IncompatibleWorkflow(run_id, listed)
    return MigrationError(run_id, from_version, to_version, changes=listed)


def version_steps(run_id: str, plan: Plan, old: Definition, new: Definition) -> range:
    """Return the versions to migrate from, in order. Raises IncompatibleWorkflow: there is no way to the workflow's."""
    if old.version > new.version:
        raise IncompatibleWorkflow(
            run_id,
            [
                f"The run is of version {old.version}, and the workflow of version {new.version}, which is older. "
                f"Resume it with version {old.version} of the code."
            ],
        )
    steps = range(old.version, new.version)
    missing = next((number for number in steps if number not in plan.workflow.migrations), None)
    if missing is not None:
        raise IncompatibleWorkflow(
            run_id,
            [
                f"The run is of version {old.version}, the workflow of version {new.version}, and nothing migrates from "
                f"version {missing}. Add @wf.migrate(from_version={missing}), or finish the run with version "
                f"{old.version} of the code."
            ],
        )
    return steps


def values_of(run_id: str, position: Position, old: Definition) -> list[Held]:
    """Return every value that is still needed. Raises BrokenJournal: one of them is not there."""
    try:
        return held(position, {node.id for node in old.nodes if node.kind == "decision"})
    except (ValueError, IndexError) as error:
        raise BrokenJournal(run_id, position.seq, f"an item that is still needed is not there ({error})") from error


def merged_joins(position: Position, names: Mapping[str, str]) -> Iterator[str]:
    """Yield a fault for every two joins with items that a migration makes one."""
    seen: dict[tuple[str, str], str] = {}
    for join, run in position.joins:
        name = names.get(join, join)
        first = seen.setdefault((name, run), join)
        if first != join:
            yield f"Joins {first!r} and {join!r} both have items waiting, and would both be called {name!r} now."


class Revising:
    """Gathers what has to be written down anew of a stored run. record: that will say so."""

    def __init__(self, record: Record, rereading: Rereading) -> None:
        self.record = record
        self._rereading = rereading
        self._inputs: dict[str, Ref] = {}
        self._items: dict[Place, Ref] = {}
        self._outputs: dict[str, Ref] = {}

    def reread(self, plan: Plan, one: Held) -> Iterator[str]:
        """Read a value that is still needed as what it is now, and note what changes of it. Yields a fault, or none."""
        if one.node not in plan.nodes:
            return  # somebody else says that it is gone
        tag = one.value.tag if one.ref.index < 0 else f"item:{one.value.tag}"
        taker = None if one.kind == "output" else one.node
        try:
            after = self._rereading.read(tag, one.text, taker, one.kind)
        except NotStorable as error:
            yield value_fault(one, error)
            return
        if after != (tag, one.stored):
            self._keep(one, Value(*after, NOT_LOADED))

    def _keep(self, one: Held, value: Value) -> None:
        self.record.values.append(value)
        ref = Ref(self.record.seq, len(self.record.values) - 1, -1, value)
        if isinstance(one.place, tuple):
            self._items[one.node, one.place[1], one.place[2]] = ref
        elif one.kind == "input":
            self._inputs[one.place] = ref
        else:
            self._outputs[one.place] = ref

    def reread_state(self, position: Position, state: str | None, type_: Any, codec: Codec) -> Iterator[str]:
        """Read the state as what it is now, and note what changes of it. Yields a fault, or none."""
        try:
            self.record.patch = reread_state(position.fields, state, type_, codec) or None
        except NotStorable as error:
            yield (
                f"The stored state does not fit any more: {shown(error)} Let its type take what is stored, e.g. by a "
                "default for what is new, or raise the version and migrate: stored.state."
            )

    def conclude(self, position: Position, basis: Revision, *, is_other: bool) -> None:
        """Bring the position to what the record says, if it says anything. is_other: the definition is another one."""
        if is_other or self.record.values or self.record.patch:
            self.record.revision = Revision(basis.definition, basis.names, self._inputs, self._items, self._outputs)
            apply(position, self.record)


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
