"""What an execution of a pattern left behind, and what must hold of every one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from milepost import Workflow
from milepost.engine.journal import Kind, Record, apply
from milepost.engine.journal_text import from_text
from milepost.engine.opening import verify
from milepost.engine.position import Cancel, Position, Task, newest_tasks
from milepost.engine.stores.store import RunRow, StoredRecord
from tests.patterns.life import Life

AnyWorkflow = Workflow[Any, Life, Any, Any]


@dataclass(frozen=True)
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

    @cached_property
    def records(self) -> list[Record]:
        return [from_text(one.seq, one.body, one.content) for one in self.stored]

    @cached_property
    def _folded(self) -> list[tuple[Record, dict[str, Task], list[Task]]]:
        """Every record, with the tasks that there were before it and those that it started."""
        position = Position()
        folded: list[tuple[Record, dict[str, Task], list[Task]]] = []
        for record in self.records:
            before = dict(position.tasks)
            apply(position, record)
            folded.append((record, before, newest_tasks(position)))
        return folded

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
        return [(record.node, [task.node for task in started]) for record, _, started in self._folded]

    def causes(self, node: str) -> list[str]:
        """The nodes that started this one, one for each time that it was started."""
        return [cause for cause, started in self.steps for one in started if one == node]

    @property
    def withdrawn(self) -> Counter[str]:
        """How many tasks of each node were stopped by a join, or were left when the run ended."""
        found = Counter[str]()
        for record, before, _ in self._folded:
            gone = {key for op in record.ops if isinstance(op, Cancel) for key in op.tasks}
            if record is self.records[-1]:
                gone |= before.keys() - {record.task}
            found.update(before[key].node for key in gone & before.keys())
        return found

    def check(self) -> None:
        """Check what must hold whatever the pattern is."""
        verify(replace(self.row, snapshot_seq=0), self.stored, "")
        assert self.row.status in ("completed", "cancelled")
        self._check_lives()
        self._check_causes()

    def check_bodies(self) -> None:
        """Check that every body came to its end or was stopped."""
        for life in self.lives:
            assert Counter(life.begun) == Counter(life.ended) + Counter(life.stopped), "A body is left over."

    @cached_property
    def _streams(self) -> set[str]:
        """The nodes whose bodies run again until their last item is committed."""
        return {node for node, spec in self.workflow.specs.items() if spec.stream}

    def _check_lives(self) -> None:
        """A life runs no body twice, and none that was committed when it began."""
        committed = {record.task: record.seq for record in self.records if record.kind is Kind.COMPLETED}
        exhausted = {record.node: record.seq for record in self.records if record.kind is Kind.EXHAUSTED}
        for number, life in enumerate(self.lives):
            for (task, node), times in Counter(life.begun).items():
                streams = node in self._streams
                seq = exhausted.get(node) if streams else committed.get(task)
                assert times == 1 or streams, f"{node} ran {times} times in life {number}."
                assert seq is None or seq > life.found, f"{node} ran again in life {number}, committed as {seq}."

    def _check_causes(self) -> None:
        """What caused a task has been committed when the task begins, so it never begins again after that."""
        begun = [name for life in self.lives for name in life.begun]
        first = {task: number for number, (task, _) in reversed([*enumerate(begun)])}
        last = {task: number for number, (task, _) in enumerate(begun)}
        for record, _, started in self._folded:
            for task in started:
                late = task.key in first and last.get(record.task, -1) > first[task.key]
                assert not late or record.node in self._streams, f"{record.node} ran after {task.node}, its own effect."
