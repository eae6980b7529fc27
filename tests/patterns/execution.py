"""What an execution of a pattern left behind, and what must hold of every one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from milepost import Workflow
from milepost.engine.journal import Kind, Record, apply, from_text
from milepost.engine.opening import verify
from milepost.engine.position import Cancel, Position, newest_tasks
from milepost.engine.stores.store import RunRow, StoredRecord
from tests.patterns.life import Life

AnyWorkflow = Workflow[Any, Life, Any, Any]


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution, over all lives of its process.

    output: None unless the run is completed. row, stored: the run as its store has it.
    """

    workflow: AnyWorkflow
    lives: Sequence[Life]
    output: Any
    row: RunRow
    stored: Sequence[StoredRecord]

    @property
    def status(self) -> str:
        return self.row.status

    @property
    def records(self) -> list[Record]:
        return [from_text(one.seq, one.body, one.content) for one in self.stored]

    @property
    def order(self) -> list[str]:
        """The nodes whose output was committed, in the order of the commits."""
        return [record.node for record in self.records if record.kind is Kind.COMPLETED]

    @property
    def completed(self) -> Counter[str]:
        """How often the output of each node was committed."""
        return Counter(self.order)

    @property
    def begun(self) -> Counter[str]:
        """How often the body of each node began, over all lives."""
        return Counter(node for life in self.lives for _, node in life.begun)

    @property
    def steps(self) -> list[tuple[str, list[str]]]:
        """What each record was about, and the nodes of the tasks that it started."""
        position, found = Position(), list[tuple[str, list[str]]]()
        for record in self.records:
            apply(position, record)
            found.append((record.node, [task.node for task in newest_tasks(position)]))
        return found

    def causes(self, node: str) -> list[str]:
        """The nodes that started this one, one for each time that it was started."""
        return [cause for cause, started in self.steps for one in started if one == node]

    @property
    def withdrawn(self) -> Counter[str]:
        """How many tasks of each node were stopped by a join, or were left when the run ended."""
        position, found = Position(), Counter[str]()
        for record in self.records:
            before = dict(position.tasks)
            apply(position, record)
            gone = {key for op in record.ops if isinstance(op, Cancel) for key in op.tasks}
            if position.output is not None or record.kind is Kind.CANCELLED:
                gone |= before.keys() - {record.task}
            found.update(task.node for key, task in before.items() if key in gone)
        return found

    def check(self) -> None:
        """Check what must hold whatever the pattern is."""
        verify(replace(self.row, snapshot_seq=0), self.stored, "")
        assert self.row.status in ("completed", "cancelled")
        for number, life in enumerate(self.lives):
            self._check_life(number, life)
            assert Counter(life.begun) == Counter(life.ended) + Counter(life.stopped), "A body is left over."

    def _check_life(self, number: int, life: Life) -> None:
        """A life runs no body twice, and none that was committed when it began."""
        streams = {node for node, spec in self.workflow.specs.items() if spec.stream}
        committed = {record.task: record.seq for record in self.records if record.kind is Kind.COMPLETED}
        exhausted = {record.node: record.seq for record in self.records if record.kind is Kind.EXHAUSTED}
        for (task, node), times in Counter(life.begun).items():
            seq = exhausted.get(node) if node in streams else committed.get(task)
            assert times == 1 or node in streams, f"{node} ran {times} times in life {number}."
            assert seq is None or seq > life.found, f"{node} ran again in life {number}, committed as {seq}."
