"""What a soak has lost and repeated: read from the store and from what the workers have noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from benchmarks.soak.flow import WORKFLOW, Tally, expected, number_of
from milepost import Engine, MilepostError, Store
from milepost.testing.journals import Journal, read_tree, result_of
from milepost.testing.judging import Written, lost, run_again
from milepost.testing.notes import Begun, Failed, Kept, Note

PAGE = 500
SHOWN = 5


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What came of a soak.

    store: its name. runs, nested: begun, and inside those. records: told to be committed. bodies: begun; again: of
    those, how many had begun before. lost, repeated, broken, wrong, unfinished, failed: a sentence for each record that
    is lost, committed task that ran again, journal that is not whole, wrong output or state, run that did not end, and
    error of a worker.
    """

    store: str
    kills: int = 0
    runs: int = 0
    nested: int = 0
    records: int = 0
    bodies: int = 0
    again: int = 0
    lost: list[str] = field(default_factory=list[str])
    repeated: list[str] = field(default_factory=list[str])
    broken: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])
    unfinished: list[str] = field(default_factory=list[str])
    failed: list[str] = field(default_factory=list[str])

    @property
    def faults(self) -> list[str]:
        """Everything that must not be."""
        return [*self.lost, *self.repeated, *self.broken, *self.wrong, *self.unfinished, *self.failed]

    def __str__(self) -> str:
        ends = f"unfinished {len(self.unfinished)}, wrong {len(self.wrong)}, errors {len(self.failed)}"
        lines = [
            f"{self.store}: {self.kills:,} kills",
            f"  runs      {self.runs:,} and {self.nested:,} inside them; {ends}",
            f"  records   {self.records:,} committed; lost {len(self.lost)}",
            f"  bodies    {self.bodies:,} begun, {self.again:,} of them again; of committed tasks {len(self.repeated)}",
            f"  journals  {self.runs + self.nested:,} read, hashed and folded; broken {len(self.broken)}",
        ]
        lines += [f"  ! {fault}" for fault in self.faults[:SHOWN]]
        if len(self.faults) > SHOWN:
            lines.append(f"  ! and {len(self.faults) - SHOWN} more")
        return "\n".join(lines)


async def judge(verdict: Verdict, store: Store, name: str, notes: Sequence[Sequence[Note]]) -> None:
    """Complete a verdict from the runs of a store whose ids begin with `name`, and the notes of each worker."""
    written = Written()
    async with Engine(store) as engine:
        await read(verdict, engine, store, name, written)
    begun = [note for life in notes for note in life if isinstance(note, Begun) and note.number == 1]
    verdict.bodies, verdict.again = len(begun), len(begun) - len(set(begun))
    verdict.records = sum(isinstance(note, Kept) for life in notes for note in life)
    verdict.failed += [note.error for life in notes for note in life if isinstance(note, Failed)]
    verdict.lost += lost(notes, written)
    verdict.repeated += run_again(notes, written)


async def read(verdict: Verdict, engine: Engine, store: Store, name: str, written: Written) -> None:
    """Read and check every journal."""
    async for run_id in run_ids(store, name):
        verdict.runs += 1
        try:
            journals = await read_tree(store, run_id)
        except MilepostError as error:
            verdict.broken.append(str(error))
            continue
        verdict.nested += len(journals) - 1
        for journal in journals:
            written.add(journal)
            if journal.row.status != "completed":
                verdict.unfinished.append(f"Run {journal.row.run_id!r} is {journal.row.status}: {journal.row.error}")
        if journals[0].row.status == "completed":
            verdict.wrong += await wrong(engine, journals[0])


async def run_ids(store: Store, name: str) -> AsyncIterator[str]:
    """Yield the ids of all runs that begin so, page by page."""
    page = await store.rows(prefix=name, nested=False, limit=PAGE)
    while page:
        for row in page:
            yield row.run_id
        page = await store.rows(prefix=name, nested=False, limit=PAGE, before=page[-1])


async def wrong(engine: Engine, journal: Journal) -> list[str]:
    """Return a sentence if a completed run has another output or state than plain Python computes."""
    run_id = journal.row.run_id
    result = await result_of(engine, WORKFLOW, journal)
    output, tally = expected(number_of(run_id))
    state: Tally = result.state
    found = (result.output, state.laps, state.mended, Counter(state.odd))
    right = (output, tally.laps, tally.mended, Counter(tally.odd))
    return [] if found == right else [f"Run {run_id!r} came to {found}; {right} is right."]
