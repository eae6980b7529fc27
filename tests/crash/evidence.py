"""What a killed run left behind, and every way in which it shows that a committed node ran again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import anyio

from milepost import Engine, Store
from milepost.engine.journal import Kind, Record, apply
from milepost.engine.journal_text import from_text
from milepost.engine.opening import verify
from milepost.engine.position import Position
from tests.crash.life import RUN


@dataclass(frozen=True, slots=True)
class Evidence:
    """lines: of the effects file. records: the journal. spawned: the keys of the tasks that each record made."""

    lines: list[str]
    records: list[Record]
    spawned: dict[int, list[str]]

    def faults(self) -> list[str]:
        """Return a sentence for everything that must not be."""
        return [*self._of_lives(), *self._of_causes()]

    def _of_lives(self) -> list[str]:
        """A life runs no body twice, and none that was committed when it began."""
        completed = {record.task: record.seq for record in self.records if record.kind is Kind.COMPLETED}
        faults: list[str] = []
        found, ran = 0, Counter[str]()
        for number, line in enumerate(self.lines):
            key, _, rest = line.partition(" ")
            if key == "=":
                if int(rest) < found:
                    faults.append(f"Line {number}: {found} records were there before, now {rest}.")
                found, ran = int(rest), Counter[str]()
                continue
            ran[key] += 1
            if ran[key] > 1:
                faults.append(f"Line {number}: {line!r} ran twice in one life.")
            if completed.get(key, found + 1) <= found:
                faults.append(f"Line {number}: {line!r} ran again, committed as {completed[key]} of {found}.")
        return faults

    def _of_causes(self) -> list[str]:
        """A task begins when the record that made it is committed, so what caused it never runs again after that."""
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        for number, line in enumerate(self.lines):
            key = line.partition(" ")[0]
            first.setdefault(key, number)
            last[key] = number
        return [
            f"Line {last[record.task]}: {record.node} {record.task} ran after {key}, which it had caused."
            for record in self.records
            for key in self.spawned[record.seq]
            if key in first and last.get(record.task, -1) > first[key]
        ]


def gathered(lines: list[str], store: Store) -> Evidence:
    """Read the journal of the run that is left, and verify every record of it."""

    async def main() -> Evidence:
        async with Engine(store):
            row = await store.row(RUN)
            assert row is not None
            stored = await store.records(RUN)
        position = Position()
        records: list[Record] = []
        spawned: dict[int, list[str]] = {}
        for one in stored:
            records.append(from_text(one.seq, one.body, one.content))
            apply(position, records[-1])
            spawned[one.seq] = [task.key for task in position.tasks.values() if task.spawned == one.seq]
        verify(replace(row, snapshot_seq=0), stored, "")
        return Evidence(lines, records, spawned)

    return anyio.run(main)
