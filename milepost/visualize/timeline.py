"""What the timeline of a run shows, without a word about how: every renderer of it reads this and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from milepost.engine.errors import InputError
from milepost.engine.trace import TaskTrace, Trace
from milepost.visualize.axis import Axis, fold_idle
from milepost.visualize.escape import one_line
from milepost.visualize.lanes import MOST_ROWS, By, Lane, Lanes
from milepost.visualize.overlay import facts, failed_place, notice, run_status, task_name
from milepost.visualize.palette import GLYPHS, Status
from milepost.visualize.spans import ACTIVE, BarKind, History, moments
from milepost.visualize.wording import duration, plural

COMFORTABLE: Final = 30
"""Lanes up to which the runs inside a run are shown when nobody has said how deep."""

MOST_LANES: Final = 200
"""Lanes that a picture has at most."""

LONGEST_PATH: Final = 12
"""Steps of the critical path that are put into words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A moment of the whole run. stopped: the last sign of life before a resume. forked: from then on it is its own."""

    kind: Literal["stopped", "resumed", "forked", "edited"]
    at: float
    place: float
    tooltip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of the critical path. seconds: since the end of the step before. waited: of these, in which it waited."""

    name: str
    seconds: float
    waited: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A whole picture. begin: of the axis. lanes: each before those of the runs inside it. path: the critical path."""

    name: str
    version: int
    run_id: str
    facts: tuple[str, ...]
    notice: str
    status: Status
    begin: datetime
    axis: Axis
    lanes: tuple[Lane, ...]
    lines: tuple[Line, ...]
    path: tuple[Step, ...]
    left_out: int = 0

    @property
    def kinds(self) -> frozenset[BarKind]:
        """The kinds of bars that there are."""
        return frozenset(bar.kind for lane in self.lanes for row in lane.rows for bar in row)

    @property
    def path_words(self) -> str:
        """The critical path in a line, "" for none."""
        if not self.path:
            return ""
        names: list[tuple[str, int]] = []
        for step in self.path:
            if names and names[-1][0] == step.name:
                names[-1] = (step.name, names[-1][1] + 1)
            else:
                names.append((step.name, 1))
        words = [name if times == 1 else f"{name} × {times}" for name, times in names]
        if len(words) > LONGEST_PATH:
            words = [*words[: LONGEST_PATH - 2], "…", words[-1]]
        seconds, waited = sum(step.seconds for step in self.path), sum(step.waited for step in self.path)
        rest = f", of which it waited {duration(waited)}" if waited >= seconds / 100 else ""
        return f"{' → '.join(words)}: {duration(seconds)}{rest}"

    @property
    def description(self) -> str:
        """What it shows, for people who do not see it."""
        parts = [f"Timeline of run {one_line(self.run_id)} of workflow {one_line(self.name)}, {self.notice}."]
        parts.append(f"It took {duration(self.axis.length)} in {plural(len(self.lanes), 'lane')}.")
        if self.axis.gaps:
            gaps = ", ".join(duration(gap.seconds) for gap in self.axis.gaps)
            parts.append(f"Folded, as nothing ran: {gaps}.")
        if self.path:
            parts.append(f"Critical path: {self.path_words}.")
        return " ".join(parts)


def timeline(
    trace: Trace,
    *,
    by: By = "node",
    depth: int | None = None,
    rows: int = MOST_ROWS,
    fold: bool = True,
    now: datetime | None = None,
) -> Timeline:
    """Describe the timeline of a run.

    by: a lane per node, or per branch. depth: how many levels of runs inside it are shown in lanes of their own; None
    for one level, if the picture stays small. rows: up to so many, side by side, each task of a lane has a bar of its
    own. fold: draw stretches shorter in which nothing ran. now: the time up to which an unfinished run is drawn, if it
    is later than its last checkpoint. Raises InputError: an option makes no sense.
    """
    if depth is not None and depth < 0:
        raise InputError(f"depth={depth} is no number of levels. Give 0 to leave out the runs inside the run.")
    if rows < 1:
        raise InputError(f"rows={rows} leaves no room for a bar. Give 1 or more.")
    known = [moment for moment in moments(trace) if now is None or moment <= now] or [trace.created]
    begin, last = min(known), max(known)
    if now is not None and trace.status in ("running", "waiting") and not trace.interrupted:
        last = max(last, now)
    end = (last - begin).total_seconds()
    history = History(begin, end)
    axis = fold_idle(end, history.busy(trace) if fold else ())
    lanes = Lanes(history, axis, by, rows).of([trace], 0, 1 if depth is None else depth, {trace.run_id})
    if depth is None and len(lanes) > COMFORTABLE:
        lanes = [lane for lane in lanes if not lane.level]
    place = failed_place(trace)
    status = run_status(trace)
    return Timeline(
        name=one_line(trace.definition.name),
        version=trace.definition.version,
        run_id=trace.run_id,
        facts=facts(trace),
        notice=f"{GLYPHS[status]} {notice(trace)}" + (f" · {place}" if place else ""),
        status=status,
        begin=begin,
        axis=axis,
        lanes=tuple(lanes[:MOST_LANES]),
        lines=tuple(sorted((*_lines(trace, begin, axis), *_changes(trace, begin, axis)), key=lambda line: line.at)),
        path=tuple(_path(trace, history)),
        left_out=max(0, len(lanes) - MOST_LANES),
    )


def _lines(trace: Trace, begin: datetime, axis: Axis) -> Iterator[Line]:
    """Yield when somebody went on with the run, each after the last sign of life before it."""
    signs = sorted(_signs(trace))
    for resume in sorted(trace.resumes):
        at = (resume - begin).total_seconds()
        before = [sign for sign in signs if sign < resume]
        last = before[-1] if before else trace.created
        stopped = (last - begin).total_seconds()
        if stopped < at:
            away = duration(at - stopped)
            yield Line(
                kind="stopped",
                at=stopped,
                place=axis.place(stopped),
                tooltip=f"Last checkpoint before the run was taken up again {away} later",
            )
        yield Line(
            kind="resumed",
            at=at,
            place=axis.place(at),
            tooltip=f"Resumed at {resume:%Y-%m-%d %H:%M:%S} UTC, {duration(at)} after the beginning",
        )
    if trace.interrupted and (not trace.resumes or signs[-1] > max(trace.resumes)):
        stopped = max(0.0, (signs[-1] - begin).total_seconds())
        words = "Last checkpoint: since then no process has driven the run"
        yield Line(kind="stopped", at=stopped, place=axis.place(stopped), tooltip=words)


def _changes(trace: Trace, begin: datetime, axis: Axis) -> Iterator[Line]:
    """Yield when the run began to be another one than that which it was forked from, and when it was edited."""
    if trace.forked_from is not None:
        at = max(0.0, (trace.created - begin).total_seconds())
        words = f"Forked at checkpoint {trace.forked_from[1]} of run {one_line(trace.forked_from[0], 40)}"
        yield Line(kind="forked", at=at, place=axis.place(at), tooltip=words)
    for edit in trace.edits:
        at = max(0.0, (edit.at - begin).total_seconds())
        words = f"Edited by hand: {one_line(', '.join(edit.fields) or 'inputs', 200)}"
        yield Line(kind="edited", at=at, place=axis.place(at), tooltip=words)


def _signs(trace: Trace) -> Iterator[datetime]:
    """Yield when records were committed, as far as that is known, also of the runs inside a run."""
    pending = [trace]
    while pending:
        one = pending.pop()
        yield one.created
        for task in one.tasks:
            yield from (moment for moment in (task.spawned, task.finished) if moment is not None)
            yield from (attempt.finished for attempt in task.tried)
        pending.extend(one.children.values())


def _path(trace: Trace, history: History) -> Iterator[Step]:
    path = history.path(trace)
    keys = {task.key for task in path}
    known = {task.key: spans for task, spans in zip(trace.tasks, history.spans(trace), strict=True) if task.key in keys}
    before = max(0.0, (trace.created - history.begin).total_seconds())
    for task in path:
        spans = known[task.key]
        stop = max(before, spans[-1].stop)
        ran = sum(max(0.0, span.stop - max(before, span.start)) for span in spans if span.kind in ACTIVE)
        yield Step(name=_step_name(task), seconds=stop - before, waited=max(0.0, stop - before - ran))
        before = stop


def _step_name(task: TaskTrace) -> str:
    return one_line(task_name(task) if task.index is not None else task.node, 32)
