"""Whether the stored runs of a workflow would go on with it as it is now. Nothing is run, owned or written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from milepost.engine.definition import Definition
from milepost.engine.drivers import AnyWorkflow, Prepared, prepare
from milepost.engine.errors import BrokenJournal, DamagedStore, ForeignStore, IncompatibleWorkflow, WrongKey
from milepost.engine.fitting import fit
from milepost.engine.journal import Record
from milepost.engine.keys import child_run
from milepost.engine.opening import read_position
from milepost.engine.position import Position
from milepost.engine.reading import read_followed
from milepost.engine.stores.store import RunRow, Store
from milepost.engine.trace import RunStatus

Verdict = Literal["resumes", "migrates", "refused"]
UNFINISHED: Final[tuple[RunStatus, ...]] = ("running", "waiting", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """Whether a stored run would go on.

    version: of the definition that it has followed so far. verdict: it "resumes" as it is, it "migrates" to the
    workflow's version first, or it is "refused". reasons: of a refused run, why, a sentence each with the way out; of
    any other, what would be recorded when it is resumed. parent_run: the run that it is inside of, None for none.
    """

    run_id: str
    workflow: str
    version: int
    status: RunStatus
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    parent_run: str | None = None


async def prospects_of(store: Store, workflow: AnyWorkflow) -> list[Prospect]:
    """Return of every run of a workflow that has not ended whether it would go on, the newest first.

    The runs inside it follow each run. A run that somebody drives is judged by its newest record. Cost: the size of
    what is pending in them. Raises UnsoundWorkflow, StoreError.
    """
    prepared = prepare(workflow)
    found: dict[str, Prospect] = {}
    for nested in (False, True):  # what is inside another run comes with that, if that goes on
        for row in await unfinished(store, prepared.definition.name):
            if row.run_id not in found and nested == (row.parent_run is not None) and await is_wanted(store, row):
                found |= {one.run_id: one for one in await judged(store, row, prepared)}
    return list(found.values())


async def unfinished(store: Store, workflow: str) -> list[RunRow]:
    """Return the rows of the runs of a workflow that have not ended, the newest first."""
    rows = [row for status in UNFINISHED for row in await store.rows(status=status, workflow=workflow)]
    return sorted(rows, key=lambda row: row.created, reverse=True)


async def is_wanted(store: Store, row: RunRow) -> bool:
    """Tell whether somebody may still ask for a run: nobody does when the run around it has ended."""
    outer = None if row.parent_run is None else await store.row(row.parent_run)
    return outer is None or outer.status in UNFINISHED


async def judged(store: Store, row: RunRow, prepared: Prepared) -> list[Prospect]:
    """Return whether a run would go on, and then those inside it. Without recursion: there may be many levels."""
    found: list[Prospect] = []
    pending = deque([(row, prepared)])
    while pending:
        row, prepared = pending.popleft()
        prospect, position = await judged_alone(store, row, prepared)
        found.append(prospect)
        if position is None:
            continue
        for task in position.tasks.values():
            child = prepared.plan.workflow.specs[task.node].child
            inner = None if child is None else await store.row(child_run(row.run_id, task.key))
            if child is not None and inner is not None and inner.status in UNFINISHED:
                pending.append((inner, prepare(child.find())))
    return found


async def judged_alone(store: Store, row: RunRow, prepared: Prepared) -> tuple[Prospect, Position | None]:
    """Return whether a run would go on, without those inside it, and where it would stand; None if it would not."""
    definition, version = prepared.definition, row.version
    verdict: Verdict
    position: Position | None = None
    try:
        if row.workflow != definition.name:
            raise IncompatibleWorkflow(row.run_id, [other_workflow(row, definition)])
        position = (await read_position(store, row, row.seq)).position
        followed = await read_followed(store, row, position, definition)
        version = followed.version
        record = fit(row.run_id, prepared.plan, prepared.codec, followed, definition, position)
        reasons = [*changes_in(record, followed, definition), *unsettled(position)]
        verdict = "resumes" if version == definition.version else "migrates"
    except IncompatibleWorkflow as error:
        verdict, reasons, position = "refused", list(error.changes), None
    except (BrokenJournal, DamagedStore, ForeignStore, WrongKey) as error:
        verdict, reasons, position = "refused", [str(error)], None
    return (
        Prospect(
            run_id=row.run_id,
            workflow=row.workflow,
            version=version,
            status=row.status,
            verdict=verdict,
            reasons=tuple(reasons),
            parent_run=row.parent_run,
        ),
        position,
    )


async def check_fits(store: Store, row: RunRow, prepared: Prepared) -> None:
    """Check that a run fits a workflow that may have changed, before anybody owns it: a refusal leaves no trace.

    It is compared again when it is owned, as it may have gone on. Raises IncompatibleWorkflow, BrokenJournal,
    StoreError.
    """
    if row.owner is None and row.fingerprint != prepared.definition.fingerprint:
        position = (await read_position(store, row, row.seq)).position
        followed = await read_followed(store, row, position, prepared.definition)
        fit(row.run_id, prepared.plan, prepared.codec, followed, prepared.definition, position)


def other_workflow(row: RunRow, definition: Definition) -> str:
    """Say that the task which a run is for runs another workflow now."""
    return (
        f"The node that it is driven for, in run {row.parent_run!r}, runs workflow {definition.name!r} now, and this "
        f"is a run of {row.workflow!r}. Have it run {row.workflow!r} again, or finish the run with the old code."
    )


def changes_in(record: Record | None, old: Definition, new: Definition) -> Iterator[str]:
    """Yield what would be recorded when a run goes on, in words."""
    if old.version != new.version:
        yield f"It goes from version {old.version} to {new.version}."
    if record is None or record.revision is None:
        return
    there = {node.id for node in new.nodes}
    for before, after in sorted(record.revision.names.items()):
        if after in there:
            yield f"{before!r} is called {after!r} now."
    count = len(record.values)
    if count:
        yield f"{count} stored {'value is' if count == 1 else 'values are'} written anew."
    if record.patch:
        yield f"The state is written anew: {', '.join(map(repr, record.patch))}."


def unsettled(position: Position) -> Iterator[str]:
    """Yield what somebody has to say before a run can go on."""
    for task in position.tasks.values():
        if task.key in position.intended:
            yield (
                f"Node {task.node!r} may run at most once and had begun, so that a resume has to say what became of "
                f"it: settle={{{task.key!r}: ...}}."
            )
