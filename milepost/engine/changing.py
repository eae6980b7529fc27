"""Changing by hand what a stored run goes on with: the state, and the inputs of what is pending."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from types import NoneType
from typing import Any, Final

from milepost.engine.drivers import Prepared
from milepost.engine.errors import EditError, NotStorable, RunMismatch, UnknownRun
from milepost.engine.fields import fields_of, shape_of, whole_of
from milepost.engine.fitting import fit
from milepost.engine.following import similar_runs
from milepost.engine.journal import Record, apply
from milepost.engine.opening import Opened, output_of, read_position
from milepost.engine.patch import difference
from milepost.engine.position import Finish, Position
from milepost.engine.reading import read_definition
from milepost.engine.revision import Revision
from milepost.engine.stores.store import RunRow, Store
from milepost.engine.values import Ref, Value

SHOWN: Final = 5
"""How many pending tasks an error names."""

NO_INPUTS: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be changed. state: returns the new state for the one that there is; None: it stays.

    inputs: by the key of a pending task.
    """

    state: Callable[[Any], Any] | None = None
    inputs: Mapping[str, Any] = field(default_factory=lambda: NO_INPUTS)


async def row_for(store: Store, prepared: Prepared, run_id: str) -> RunRow:
    """Return the row of a run. Raises UnknownRun; RunMismatch: it is a run of another workflow."""
    row = await store.row(run_id)
    if row is None:
        raise UnknownRun(run_id, await similar_runs(store, run_id))
    if prepared.definition.name != row.workflow:
        raise RunMismatch(run_id, "workflow", repr(row.workflow), repr(prepared.definition.name))
    return row


def changer(given: Any) -> Callable[[Any], Any]:
    """Return a function from a state to a new one, for one that may change what it gets, or for the new state itself.

    >>> changer(list.reverse)([1, 2]), changer([3])([1, 2])
    ([2, 1], [3])
    """
    if not callable(given):
        return lambda state: given

    def change(state: Any) -> Any:
        made = given(state)
        return state if made is None else made

    return change


async def changed(
    store: Store,
    prepared: Prepared,
    row: RunRow,
    seq: int,
    change: Change,
    record: Record,
    origin: tuple[str, int] | None = None,
    fork: str = "",
) -> Opened:
    """Return where a run stands when `record`, the one behind `seq`, has changed it; the record then says how.

    A workflow that has changed since is taken up in the same record. origin, fork: of a fork, where it comes from and
    its own id. Raises EditError: the state or the inputs do not fit. IncompatibleWorkflow, UnknownCheckpoint,
    BrokenJournal, StoreError.
    """
    opened = await read_position(store, row, seq)
    position = opened.position
    followed = await read_definition(store, row.run_id, position.definition or row.fingerprint)
    before = dict(position.fields)
    fitted = fit(row.run_id, prepared.plan, prepared.codec, followed, prepared.definition, position)
    revision = Revision(prepared.definition.fingerprint)
    if fitted is not None and fitted.revision is not None:
        revision, record.values = replace(fitted.revision, rewritten=tuple(fitted.patch or ())), fitted.values
    changing = Changing(prepared, position, record)
    inputs = {**revision.inputs, **changing.inputs(change.inputs, seq)}
    fields = changing.state(change.state, seq)
    if changing.faults:
        raise EditError(row.run_id, seq, changing.faults)
    record.revision, record.given = replace(revision, inputs=inputs, origin=origin, run=fork), changing.given()
    record.patch = difference(before, fields) or None
    if fitted is not None:  # it has moved the position
        opened = await read_position(store, row, seq)
    if opened.position.output is not None:
        output_of(row.run_id, opened.position, prepared.plan, prepared.codec)  # so that no fork is made in vain
        record.ops.append(Finish("", opened.position.output))
    apply(opened.position, record)
    return opened


class Changing:
    """Encodes what is given, and gathers what is wrong with it. position: as the workflow takes it up."""

    def __init__(self, prepared: Prepared, position: Position, record: Record) -> None:
        self.faults: list[str] = []
        self._given: list[str] = []
        self._prepared = prepared
        self._position = position
        self._record = record

    def given(self) -> str | None:
        """Return a hash of what was given, None for nothing; by it, the same change is known again."""
        return blake2b("\0".join(sorted(self._given)).encode(), digest_size=16).hexdigest() if self._given else None

    def inputs(self, given: Mapping[str, Any], seq: int) -> dict[str, Ref]:
        """Keep new inputs of pending tasks in the record; return references to them."""
        found: dict[str, Ref] = {}
        for key, value in given.items():
            task = self._position.tasks.get(key)
            if task is None:
                self.faults.append(self._not_pending(key, seq))
                continue
            tag = f"in:{task.node}"
            try:
                text, loaded = self._prepared.codec.encode(value, self._prepared.plan.type_of(tag), "input")
            except NotStorable as error:
                self.faults += [f"The new input of node {task.node!r}: {fault}" for fault in faults_of(error)]
                continue
            self._record.values.append(kept := Value(tag, text, loaded))
            self._given.append(f"{key} {text}")
            found[key] = Ref(self._record.seq, len(self._record.values) - 1, -1, kept)
        return found

    def _not_pending(self, key: str, seq: int) -> str:
        stream = next((one for one in self._position.streams.values() if one.task.key == key), None)
        if stream is not None:
            return (
                f"Task {key!r} of node {stream.task.node!r} gives a stream: {stream.count} items are committed that "
                "came of the input it has. Fork the run at a checkpoint before it began."
            )
        if key in self._position.unrouted:
            node = self._position.unrouted[key][0].node
            return f"Task {key!r} of node {node!r} has run with the input it has: only its output is to be routed."
        pending = [f"{task.key!r} (node {task.node!r})" for task in self._position.tasks.values()]
        more = f", and {len(pending) - SHOWN} more" if len(pending) > SHOWN else ""
        there = f"Pending: {', '.join(pending[:SHOWN])}{more}." if pending else "Nothing is."
        return f"Task {key!r} is not pending at checkpoint {seq}. {there}"

    def state(self, change: Callable[[Any], Any] | None, seq: int) -> dict[str, str]:
        """Return the fields of the new state."""
        before, kind = self._position.fields, self._prepared.plan.workflow.state_type
        if change is None:
            return before
        if kind in (None, NoneType):
            name = self._prepared.definition.name
            self.faults.append(f"Workflow {name!r} declares no state, so there is none to change.")
            return before
        if self._position.output is not None:
            self.faults.append(
                f"The run had come to its end at checkpoint {seq}, so nothing would see another state. Fork it at an "
                "earlier one."
            )
            return before
        codec = self._prepared.codec
        state = change(codec.decode(whole_of(before), kind, "state"))
        try:
            text, _ = codec.encode(state, kind, "state")
        except NotStorable as error:
            self.faults += [f"The new state: {fault}" for fault in faults_of(error)]
            return before
        self._given.append(text)
        return fields_of(text, whole=shape_of(kind).whole)


def faults_of(error: NotStorable) -> Iterator[str]:
    """Yield everything that is wrong with a value, with its place in it."""
    from pydantic import ValidationError

    cause = error.__cause__
    if not isinstance(cause, ValidationError) or cause.error_count() == 1:
        yield f"at {error.path}, {error.reason}"
        return
    path = error.path.partition(".")[0].partition("[")[0]
    for fault in cause.errors(include_url=False):
        place = ".".join([path, *(str(step) for step in fault["loc"])])
        yield f"at {place}, {fault['msg'][:1].lower()}{fault['msg'][1:].rstrip('.')}."
