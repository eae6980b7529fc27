"""The lanes of a timeline: the tasks of each node, or of each branch, with those of the runs inside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from milepost.engine.trace import Trace
from milepost.visualize.axis import Axis
from milepost.visualize.bars import Bar, bar_of, percentiles
from milepost.visualize.branches import branches
from milepost.visualize.children import child_of
from milepost.visualize.escape import one_line
from milepost.visualize.overlay import task_name, task_status
from milepost.visualize.packing import Profile, Work, placed, profile, rows_of, worst
from milepost.visualize.palette import GLYPHS, Status
from milepost.visualize.spans import ACTIVE, BarKind, History, total
from milepost.visualize.wording import duration

By = Literal["node", "branch"]

MOST_ROWS: Final = 12
"""Rows of a lane up to which every task has a bar of its own; beyond, the lane shows how many ran at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The tasks of one node, or of one branch.

    title: without glyph. times: e.g. "× 5". detail: a muted line. level: how many runs are around it, 0 for the run
    itself. rows: none of a row's bars is over another. profile: of a lane with too many tasks for bars; its rows then
    show only those that failed or are on the critical path. kind: of the node. tasks: how many there are.
    """

    title: str
    node: str
    kind: str
    level: int
    status: Status
    tasks: int
    start: float
    stop: float
    times: str = ""
    detail: str = ""
    rows: tuple[tuple[Bar, ...], ...] = ()
    profile: Profile | None = None
    critical: bool = False


class Lanes:
    """Makes lanes on one axis."""

    def __init__(self, history: History, axis: Axis, by: By, rows: int) -> None:
        self.history = history
        self.axis = axis
        self.by = by
        self.rows = rows

    def of(self, runs: Sequence[Trace], level: int, depth: int, critical: set[str]) -> list[Lane]:
        """Return the lanes of some runs of one workflow, each followed by those of the runs inside its tasks.

        critical: the ids of the runs whose critical path is part of the whole run's.
        """
        found: list[Lane] = []
        for works in self._groups(runs, critical):
            found.append(self._lane(works, level))
            if level >= depth:
                continue
            inner = [(work, child_of(work.task, work.run)) for work in works]
            children = [child for _, child in inner if child is not None]
            if children:
                path = {child.run_id for work, child in inner if child is not None and work.critical}
                found += self.of(children, level + 1, depth, path)
        return found

    def _groups(self, runs: Sequence[Trace], critical: set[str]) -> list[list[Work]]:
        """Return the tasks of each lane, in the order in which the first of each was spawned."""
        works = [work for run in runs for work in self._works(run, run.run_id in critical)]
        keys = self._nodes(runs) if self.by == "node" else self._branches(runs)
        groups: dict[object, list[Work]] = {}
        for work in works:
            groups.setdefault(keys[work.run.run_id, work.task.key], []).append(work)
        return sorted(groups.values(), key=lambda works: min(work.start for work in works))

    def _works(self, run: Trace, critical: bool) -> Iterator[Work]:
        path = {task.key for task in self.history.path(run)} if critical else frozenset[str]()
        for task, spans in zip(run.tasks, self.history.spans(run), strict=True):
            yield Work(run, task, spans, task.key in path)

    def _nodes(self, runs: Sequence[Trace]) -> Mapping[tuple[str, str], object]:
        return {(run.run_id, task.key): task.node for run in runs for task in run.tasks}

    def _branches(self, runs: Sequence[Trace]) -> Mapping[tuple[str, str], object]:
        """Give each branch a lane of its own, or, where too many begin with the same node, all of these one."""
        heads = {
            (run.run_id, key): (run.run_id, head.key, head.node) for run in runs for key, head in branches(run).items()
        }
        number: dict[str, set[tuple[str, str, str]]] = {}
        for head in heads.values():
            number.setdefault(head[2], set()).add(head)
        return {key: head if len(number[head[2]]) <= self.rows else head[2] for key, head in heads.items()}

    def _lane(self, works: Sequence[Work], level: int) -> Lane:
        rows = rows_of(works, self.rows)
        crowd = None if rows is not None else profile(works, self.axis)
        if rows is None:
            notable = [work for work in works if work.critical or work.task.status in ("failed", "caught")]
            rows = rows_of(notable, self.rows) or rows_of([work for work in notable if work.critical], self.rows) or []
        head = works[0]
        alone = len({work.task.node for work in works}) == 1
        node = head.task.node
        defined = next((one for one in head.run.definition.nodes if one.id == node), None)
        return Lane(
            title=one_line(self._title(head, works, (defined.label if defined else None) or node), 48),
            node=node,
            kind=defined.kind if defined else "",
            level=level,
            status=worst(task_status(work.task) for work in works),
            tasks=len(works),
            start=min(work.start for work in works),
            stop=max(work.stop for work in works),
            times=f"× {len(works)}" if len(works) > 1 and alone else "",
            detail=_detail(works),
            rows=tuple(
                tuple(bar_of(one, named=not alone, many=len(works) > 1) for one in placed(row, self.axis))
                for row in rows
            ),
            profile=crowd,
            critical=any(work.critical for work in works),
        )

    def _title(self, head: Work, works: Sequence[Work], label: str) -> str:
        if self.by == "node" or all(work.task.node == head.task.node for work in works):
            return label if len(works) > 1 or head.task.index is None else task_name(head.task)
        heads = sum(work.task.node == head.task.node for work in works)
        return f"{task_name(head.task)} …" if heads == 1 else f"{label} … × {heads}"


def _detail(works: Sequence[Work]) -> str:
    """Say how long the tasks of a lane took, and for whom they waited."""
    ran = [total(work.spans, (BarKind.RUNNING, BarKind.ATTEMPT)) for work in works]
    people = sum(total(work.spans, (BarKind.PEOPLE,)) for work in works)
    world = sum(total(work.spans, (BarKind.WORLD,)) for work in works)
    done = sum(work.task.status == "completed" for work in works)
    parts: list[str] = []
    if 1 < len(works) != done:
        parts.append(f"{done} done")
    if any(span.kind in ACTIVE for work in works for span in work.spans):
        alike = all(work.task.node == works[0].task.node for work in works)
        parts.append(percentiles(ran) if alike and len(works) > MOST_ROWS else duration(sum(ran)))
    if people:
        parts.append(f"people {duration(people)}")
    if world:
        parts.append(f"waited {duration(world)}")
    return " · ".join(parts) or GLYPHS[worst(task_status(work.task) for work in works)]
