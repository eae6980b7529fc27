"""Removing runs that nobody needs any more, with the runs inside them and what lies around."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from milepost.engine.errors import InputError
from milepost.engine.stores.store import Leftovers, RunRow, Store, Weight
from milepost.engine.trace import OVER, RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRun:
    """A run that could have gone, but for a reason. reason: in words, e.g. "it is being driven by process 4711"."""

    run_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What was removed, or would be.

    runs: the ids, with those of the runs inside others. records: how many checkpoints they had. results: that had
    expired in the cache. messages: to runs that are over. bytes: of the texts of all that. freed: bytes that the store
    has given back; what it keeps, it uses again. kept: runs that could have gone, but for a reason.
    """

    runs: tuple[str, ...]
    records: int
    results: int
    messages: int
    bytes: int
    freed: int
    kept: tuple[KeptRun, ...]
    dry_run: bool


async def collect(
    store: Store,
    now: float,
    *,
    older_than: float | None = None,
    status: Collection[RunStatus] = OVER,
    keep_last: int | None = None,
    workflow: str | None = None,
    dry_run: bool = False,
) -> Collected:
    """Remove the runs that fit, each with all runs inside it, and what else has expired. See `Engine.gc`."""
    check_choice(older_than, keep_last)
    gone: list[str] = []
    kept: list[KeptRun] = []
    needed: dict[str, str] = {}  # the runs that others share records with, each with one of those
    weight = Weight()
    counts: dict[str, int] = {}
    for family in families_of(await store.rows()):  # the newest first: a fork is newer than what it was forked from
        row = family[0]
        counts[row.workflow] = counts.get(row.workflow, 0) + 1
        fits = (
            row.status in status
            and workflow in (None, row.workflow)
            and counts[row.workflow] > (keep_last or 0)
            and (older_than is None or newest(family) <= now - older_than)
        )
        ids = [member.run_id for member in family]
        fork = next((needed[run_id] for run_id in ids if run_id in needed), None)
        size = await store.weigh(ids) if fits else Weight()
        if fits and fork is None and (dry_run or await store.delete(family)):
            gone.extend(ids)
            weight = Weight(*(one + other for one, other in zip(weight, size, strict=True)))
            continue
        needed |= {member.forked_from: member.run_id for member in family if member.forked_from is not None}
        if fits:
            reason = f"run {fork!r} was forked from it and needs its checkpoints" if fork else None
            kept.append(KeptRun(run_id=row.run_id, reason=reason or await why_kept(store, family)))
    left: Leftovers = await store.sweep(now, dry_run=dry_run)
    return Collected(
        runs=tuple(gone),
        records=weight.records,
        results=left.results,
        messages=left.messages,
        bytes=weight.bytes + left.bytes,
        freed=0 if dry_run else await store.compact(),
        kept=tuple(kept),
        dry_run=dry_run,
    )


def check_choice(older_than: float | None, keep_last: int | None) -> None:
    """Check that it was said what may go. Raises InputError."""
    if older_than is None and keep_last is None:
        raise InputError(
            "This would remove every run that is over. Say which may go: older_than=seconds, keep_last=number, or both."
        )
    if older_than is not None and not older_than >= 0:
        raise InputError(f"older_than={older_than} is no age. Give seconds, 0 or more.")
    if keep_last is not None and keep_last < 0:
        raise InputError(f"keep_last={keep_last} is no number of runs. Give 0 or more.")


def families_of(rows: Sequence[RunRow]) -> list[list[RunRow]]:
    """Return each run that is not inside another one of these, with all that are inside it; the newest first."""
    inside: dict[str, list[RunRow]] = {}
    known = {row.run_id for row in rows}
    outer: list[RunRow] = []
    for row in rows:
        parent = row.parent_run
        if parent is not None and parent in known:
            inside.setdefault(parent, []).append(row)
        else:
            outer.append(row)
    return [family_of(row, inside) for row in outer]


def family_of(row: RunRow, inside: Mapping[str, Sequence[RunRow]]) -> list[RunRow]:
    """Return a run with all that are inside it. inside: by the id of the run that they are tasks of."""
    family = [row]
    for member in family:  # it grows meanwhile
        family.extend(inside.get(member.run_id, ()))
    return family


def newest(family: Sequence[RunRow]) -> float:
    """Return when a run or one inside it was last changed."""
    return max(row.updated for row in family)


async def why_kept(store: Store, family: Sequence[RunRow]) -> str:
    """Say why a run could not be removed."""
    for row in family:
        now = await store.row(row.run_id)
        if now is None or (now.epoch, now.seq) != (row.epoch, row.seq):
            return "it has changed meanwhile"
        if now.owner is not None:
            return f"it is being driven by {now.owner}"
    return "another run needs its checkpoints"
