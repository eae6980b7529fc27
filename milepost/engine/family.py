"""A family of runs: the one that was not forked, what was forked from it, what was forked from those, and so on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from milepost.engine.errors import BrokenJournal
from milepost.engine.interruption import left_alone
from milepost.engine.journal import Kind
from milepost.engine.reading import read_record
from milepost.engine.stores.store import RunRow, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A checkpoint of a family tree. did: what its record says, e.g. "completed". node: that it is about, or ""."""

    seq: int
    did: str
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """One run of a family.

    row: of the run. stations: those of its own checkpoints that a tree shows, in order: the first one, those that other
    runs were forked at, and the newest. level: how many forks lead to it, 0 for the run that was not forked.
    interrupted: it is running as far as its row says, but no process drives it.
    """

    row: RunRow
    stations: tuple[Station, ...]
    level: int
    interrupted: bool = False


async def family_of(store: Store, row: RunRow) -> tuple[Relative, ...]:
    """Return the family of a run, each before what was forked from it; forks in the order of their checkpoints.

    Runs inside runs are not forks, and in no family but their own. A run whose origin is no more counts as one that was
    not forked. Cost: one row per run of this workflow, and the records of the stations. Raises BrokenJournal,
    StoreError.
    """
    rows = {one.run_id: one for one in await store.rows(workflow=row.workflow)}
    rows.setdefault(row.run_id, row)  # it may have been made since
    forks: dict[str, list[RunRow]] = {}
    for one in sorted(rows.values(), key=lambda each: (each.forked_at, each.created, each.run_id)):
        if one.forked_from is not None:
            forks.setdefault(one.forked_from, []).append(one)
    line = list(_descent(_eldest(row, rows), forks))
    left = await left_alone(store, [one for one, _ in line])
    found = [
        Relative(
            row=one,
            stations=await _stations(store, one, forks.get(one.run_id, ())),
            level=level,
            interrupted=one.run_id in left,
        )
        for one, level in line
    ]
    return tuple(found)


def _eldest(row: RunRow, rows: Mapping[str, RunRow]) -> RunRow:
    while row.forked_from is not None and row.forked_from in rows:
        row = rows[row.forked_from]
    return row


def _descent(eldest: RunRow, forks: Mapping[str, Sequence[RunRow]]) -> Iterator[tuple[RunRow, int]]:
    """Yield a run and all that descends from it, with its level; without recursion, so that none is too deep."""
    pending = [(eldest, 0)]
    while pending:
        row, level = pending.pop()
        yield row, level
        pending.extend((fork, level + 1) for fork in reversed(forks.get(row.run_id, ())))


async def _stations(store: Store, row: RunRow, forks: Sequence[RunRow]) -> tuple[Station, ...]:
    wanted = {row.forked_at + 1, row.seq, *(fork.forked_at for fork in forks)}
    return tuple([await _station(store, row, seq) for seq in sorted(wanted)])


async def _station(store: Store, row: RunRow, seq: int) -> Station:
    stored = await store.record(row.run_id, seq)
    if stored is None:
        raise BrokenJournal(row.run_id, seq, "it is missing")
    record = read_record(row.run_id, stored)
    node = "" if record.kind in (Kind.STARTED, Kind.FORKED, Kind.EDITED, Kind.MIGRATED) else record.node
    return Station(seq=seq, did=record.kind.value, node=node)
