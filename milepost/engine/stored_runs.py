"""What the runs of a store did, without their code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, overload

from typing_extensions import TypeVar

from milepost.engine.errors import InputError, StoreError, UnknownRun
from milepost.engine.interruption import left_alone
from milepost.engine.stores.store import RunRow, Store
from milepost.engine.trace import RunStatus, Trace, moment
from milepost.engine.workflow import Workflow

if TYPE_CHECKING:  # a program that only runs workflows asks for none of these, so each is loaded when it is asked for
    from milepost.engine.checkpoints import Snapshot
    from milepost.engine.difference import Difference
    from milepost.engine.family import Relative
    from milepost.engine.following import Follower
    from milepost.engine.report import Report

StateT = TypeVar("StateT")
OutputT = TypeVar("OutputT")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run as a list shows it.

    version: of the definition that it follows now. seq: how many checkpoints it has. output: JSON text. parent_run,
    parent_task: the run that this one is inside of, and the key of the task that drives it; None for a run of its own.
    forked_from, forked_at: the run, and the last of its checkpoints, that this one shares; None and 0 for a run that
    was not forked. tags: what it can be found by. due: when it goes on by itself, if it waits for a time. interrupted:
    it is running as far as its store was told, but no process drives it: theirs has died, or was stopped. A resume goes
    on with it.
    """

    run_id: str
    workflow: str
    version: int
    status: RunStatus
    created: datetime
    updated: datetime
    seq: int
    error: str | None
    output: str | None
    parent_run: str | None = None
    parent_task: str | None = None
    forked_from: str | None = None
    forked_at: int = 0
    tags: tuple[str, ...] = ()
    due: datetime | None = None
    interrupted: bool = False


HALF_A_MICROSECOND: Final = 5e-7
"""What a time that was rounded to a datetime may lie before it: a run is found by its own `created`."""


class StoredRuns:
    """The runs of a store, for everybody who wants to look at them. store: None for nowhere, which holds no runs."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._versions: dict[str, int] = {}

    def _need_store(self) -> Store:
        if self._store is None:
            raise InputError(
                "This engine has no store, so it knows no earlier runs. Give it one: Engine('sqlite:///runs.db')."
            )
        return self._store

    async def runs(
        self,
        *,
        status: RunStatus | None = None,
        workflow: str | None = None,
        tag: str | None = None,
        since: datetime | None = None,
        interrupted: bool = False,
        nested: bool = False,
        limit: int | None = None,
        before: str | RunSummary | None = None,
    ) -> list[RunSummary]:
        """Return stored runs, the one that was created last first.

        status, workflow, tag: only runs that stand so, are of the workflow of this name, have this tag. since: only
        those that were created at this moment or later. interrupted: only those that are under way, and that no process
        drives any more. nested: with those that are inside other runs. limit: how many at most. before: the last run of
        the page before this one, or its id. Raises InputError: the options make no sense. UnknownRun: there is no run
        of the id that was given as `before`. StoreError.
        """
        if limit is not None and limit < 0:
            raise InputError(f"limit={limit} is no number of runs. Give 0 or more, or None for all.")
        if interrupted and status not in (None, "running"):
            raise InputError(f"A run that is {status} cannot be interrupted. Give one of the two.")
        store = self._need_store()
        rows = await store.rows(
            status="running" if interrupted else status,
            workflow=workflow,
            tag=tag,
            since=_seconds_of(since),
            nested=nested,
            limit=None if interrupted else limit,
            before=None if before is None else await self._place_of_page(before),
        )
        left = await left_alone(store, rows)
        if interrupted:
            rows = [row for row in rows if row.run_id in left][:limit]
        return [await self._summary(row, left) for row in rows]

    async def counts(
        self,
        *,
        workflow: str | None = None,
        tag: str | None = None,
        since: datetime | None = None,
        interrupted: bool = False,
        nested: bool = False,
    ) -> Mapping[RunStatus, int]:
        """Return how many stored runs stand how, without what there is none of; the options are those of `runs`.

        What is interrupted counts as running; those that are can be counted by themselves.
        """
        store, begun = self._need_store(), _seconds_of(since)
        if not interrupted:
            return await store.counts(workflow=workflow, tag=tag, since=begun, nested=nested)
        rows = await store.rows(status="running", workflow=workflow, tag=tag, since=begun, nested=nested)
        left = await left_alone(store, rows)
        return {"running": len(left)} if left else {}

    async def _place_of_page(self, before: str | RunSummary) -> RunRow:
        """Return the row that a page comes after; of a run that is gone since, what it takes to go on from there."""
        if isinstance(before, str):
            return await self._row(before)
        return await self._need_store().row(before.run_id) or row_like(before)

    async def _summary(self, row: RunRow, left: Set[str] | None = None) -> RunSummary:
        """Return a row as a list shows it. It says itself only the version that the run was begun with.

        left: ids of the runs that are interrupted, if that is known.
        """
        if left is None:
            left = await left_alone(self._need_store(), [row])
        is_left = row.run_id in left
        if row.fingerprint not in self._versions:
            from milepost.engine.reading import read_definition

            try:
                definition = await read_definition(self._need_store(), row.run_id, row.fingerprint)
            except StoreError:  # that is told where the run itself is read
                return summary(row, row.version, interrupted=is_left)
            self._versions[row.fingerprint] = definition.version
        return summary(row, self._versions[row.fingerprint], interrupted=is_left)

    async def children(self, run_id: str) -> list[RunSummary]:
        """Return the runs that the tasks of a run drive, as they were created. Raises UnknownRun."""
        store = self._need_store()
        if await store.row(run_id) is None:
            raise UnknownRun(run_id, await self._similar(run_id))
        rows = await store.children(run_id)
        left = await left_alone(store, rows)
        return [await self._summary(row, left) for row in rows]

    async def find(self, prefix: str) -> RunSummary:
        """Return the run of this id, or the only one whose id begins so.

        A run inside another is meant only where no other fits. Raises UnknownRun.
        """
        store = self._need_store()
        row = await store.row(prefix)
        if row is not None:
            return await self._summary(row)
        rows: Sequence[RunRow] = await store.rows(prefix=prefix, nested=False, limit=4) if prefix else ()
        if prefix and not rows:
            rows = await store.rows(prefix=prefix, limit=4)
        if len(rows) != 1:
            raise UnknownRun(prefix, [row.run_id for row in rows[:3]] or await self._similar(prefix))
        return await self._summary(rows[0])

    def follow(self, run_id: str, *, after: int = 0, poll: float = 0.05) -> Follower:
        """Yield what is committed in a stored run, in order, whichever process drives it, until the run has ended.

        after: only what came after this checkpoint; 0: from the beginning. poll: seconds between two looks into the
        store. A failed run has ended, unless somebody has resumed it. Raises InputError; while it is read, UnknownRun,
        BrokenJournal, StoreError.
        """
        from milepost.engine.following import Follower, History

        if poll <= 0:
            raise InputError(f"poll={poll} would never let anything else run. Give seconds, more than 0.")
        return Follower(History(self._need_store(), run_id, after=after), poll)

    async def _similar(self, run_id: str) -> list[str]:
        from milepost.engine.following import similar_runs

        return await similar_runs(self._need_store(), run_id)

    @overload
    async def at(self, run_id: str, seq: int) -> Snapshot: ...
    @overload
    async def at(
        self, run_id: str, seq: int, *, workflow: Workflow[StateT, Any, Any, OutputT]
    ) -> Snapshot[StateT, OutputT, Any]: ...
    async def at(
        self, run_id: str, seq: int, *, workflow: Workflow[Any, Any, Any, Any] | None = None
    ) -> Snapshot[Any, Any, Any]:
        """Return what a run was at one of its checkpoints: its state, and what was pending.

        workflow: gives the values as it declares them; without it they are JSON text, and nothing of the run's code is
        needed. Raises UnknownRun, UnknownCheckpoint; IncompatibleWorkflow: they are not what the workflow declares.
        BrokenJournal, StoreError.
        """
        from milepost.engine.checkpoints import snapshot_at, typed_snapshot_at

        row = await self._row(run_id)
        if workflow is None:
            return await snapshot_at(self._need_store(), row, seq)
        return await typed_snapshot_at(self._need_store(), row, seq, workflow)

    async def diff(
        self,
        one: str,
        other: str | None = None,
        *,
        at: int | tuple[int | None, int | None] | None = None,
        depth: int | None = None,
    ) -> Difference:
        """Return what differs between two runs, or between two checkpoints of one: path, state, output and cost.

        at: the checkpoint of each, None for the newest; one number for the checkpoint of both. depth: how many levels
        of the runs inside them are compared, None for all. Needs nothing of their code. Raises UnknownRun,
        UnknownCheckpoint, InputError, BrokenJournal, StoreError.
        """
        from milepost.engine.comparing import Point, difference_of

        places = at if isinstance(at, tuple) else (at, at)
        points: list[Point] = []
        for run_id, seq in zip((one, other or one), places, strict=True):
            row = await self._row(run_id)
            points.append(Point(row, row.seq if seq is None else seq))
        return await difference_of(self._need_store(), points[0], points[1], depth)

    async def family(self, run_id: str) -> tuple[Relative, ...]:
        """Return a run with those that it was forked from and those that were forked from it, each before its forks.

        Needs nothing of their code. Raises UnknownRun, BrokenJournal, StoreError.
        """
        from milepost.engine.family import family_of

        return await family_of(self._need_store(), await self._row(run_id))

    async def _row(self, run_id: str) -> RunRow:
        row = await self._need_store().row(run_id)
        if row is None:
            raise UnknownRun(run_id, await self._similar(run_id))
        return row

    async def trace(self, run_id: str, *, depth: int | None = None, until: int | None = None) -> Trace:
        """Return what a stored run did, and what the runs inside it did. Needs nothing of their code.

        depth: how many levels of runs inside runs are read, None for all. until: the checkpoint up to which it is told,
        None for the newest. Raises UnknownRun, UnknownCheckpoint, InputError, BrokenJournal.
        """
        from milepost.engine.lineage import trace_of

        return await trace_of(self._need_store(), await self._row(run_id), depth, until=until)

    async def report(self, run_id: str, *, depth: int | None = None) -> Report:
        """Return what a stored run did checkpoint by checkpoint: what was stored, and what changed in the state.

        Of large texts it has the beginnings. `render(report, "html")` makes a page of it. depth: as of `trace`. Needs
        nothing of the run's code. Raises UnknownRun, InputError, BrokenJournal, StoreError.
        """
        from milepost.engine.reporting import report_of

        return await report_of(self._need_store(), await self._row(run_id), depth)


def summary(row: RunRow, version: int, *, interrupted: bool = False) -> RunSummary:
    """Return a row as a list shows it. version: of the definition that the run follows."""
    return RunSummary(
        run_id=row.run_id,
        workflow=row.workflow,
        version=version,
        status=row.status,
        created=moment(row.created),
        updated=moment(row.updated),
        seq=row.seq,
        error=row.error,
        output=row.output,
        parent_run=row.parent_run,
        parent_task=row.parent_task,
        forked_from=row.forked_from,
        forked_at=row.forked_at,
        tags=row.tags,
        due=None if row.due is None else moment(row.due),
        interrupted=interrupted,
    )


def row_like(summary: RunSummary) -> RunRow:
    """Return a row with what a list has shown of it."""
    return RunRow(
        run_id=summary.run_id,
        workflow=summary.workflow,
        version=summary.version,
        fingerprint="",
        status=summary.status,
        isolation="task",
        created=summary.created.timestamp(),
        updated=summary.updated.timestamp(),
        seq=summary.seq,
        hash="",
        snapshot_seq=0,
        epoch=0,
        owner=None,
        error=summary.error,
        output=summary.output,
    )


def _seconds_of(since: datetime | None) -> float | None:
    """Return a moment in seconds since 1970 UTC. Raises InputError: it does not say in which time zone it is."""
    if since is None:
        return None
    if since.utcoffset() is None:
        raise InputError(f"since={since!r} has no time zone. Give one, e.g. datetime(2026, 11, 1, tzinfo=UTC).")
    return since.timestamp() - HALF_A_MICROSECOND
