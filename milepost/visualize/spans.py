"""What each task did with its time: waited to begin, was tried, ran, or waited for a person or the world."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from milepost.engine.trace import TaskTrace, Trace, WaitTrace
from milepost.visualize.children import child_of
from milepost.visualize.critical import critical_path
from milepost.visualize.overlay import task_status
from milepost.visualize.palette import Status


class BarKind(StrEnum):
    """What a stretch of a task's time was.

    WAITING: it was spawned, and nothing worked on it. RUNNING: it was worked on, for the last time so far. ATTEMPT: it
    was tried, and another attempt followed. PEOPLE: a person had to answer. WORLD: an event or a time had to come.
    """

    WAITING = "waiting"
    RUNNING = "running"
    ATTEMPT = "attempt"
    PEOPLE = "people"
    WORLD = "world"


ACTIVE: Final = frozenset({BarKind.RUNNING, BarKind.ATTEMPT})
"""The kinds in which something ran."""


class Span(NamedTuple):
    """A stretch of a task's time, in seconds after the beginning. number: of the attempt, 0 for what is none."""

    kind: BarKind
    start: float
    stop: float
    status: Status
    number: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """When a run lived. begin: what seconds are counted from. end: in seconds. resumes: when another went on."""

    begin: datetime
    end: float
    resumes: tuple[float, ...]

    def at(self, moment: datetime) -> float:
        """Return a moment in seconds after the beginning, within the life."""
        return min(max((moment - self.begin).total_seconds(), 0.0), self.end)


def life_of(trace: Trace, begin: datetime, end: float) -> Life:
    """Return the life of a run, as part of a picture that begins and ends then."""
    return Life(
        begin=begin,
        end=end,
        resumes=tuple(sorted((one - begin).total_seconds() for one in trace.resumes)),
    )


def moments(trace: Trace) -> Iterator[datetime]:
    """Yield every moment that a run tells of, and those of the runs inside it."""
    pending = [trace]
    while pending:
        one = pending.pop()
        yield one.created
        yield one.updated
        yield from one.resumes
        yield from (edit.at for edit in one.edits)
        for task in one.tasks:
            yield from _moments(task)
        pending.extend(one.children.values())


def _moments(task: TaskTrace) -> Iterator[datetime]:
    wait = task.wait
    known = (task.spawned, task.started, task.finished, *((wait.asked, wait.settled) if wait is not None else ()))
    yield from (moment for moment in known if moment is not None)
    for attempt in task.tried:
        yield attempt.started
        yield attempt.finished


def spans_of(task: TaskTrace, life: Life) -> tuple[Span, ...]:
    """Return what a task did with its time, in order and without a hole from when it was spawned; never empty."""
    born = next(_moments(task), None)
    cursor = life.end if born is None else life.at(born)
    found: list[Span] = []
    for span in (*_worked(task, life), *_rest(task, life)):
        start = span.start
        if start > cursor:
            found.append(Span(BarKind.WAITING, cursor, start, Status.PENDING))
        if start < cursor or span.stop < start:  # clocks differ from machine to machine
            start = max(start, cursor)
            span = span._replace(start=start, stop=max(start, span.stop))
        cursor = span.stop
        found.append(span)
    return tuple(found) or (Span(BarKind.WAITING, cursor, cursor, task_status(task)),)


def asks(wait: WaitTrace) -> bool:
    """Tell whether a person was asked, perhaps beside other things that could come first."""
    return wait.kind == "ask" or (wait.kind == "race" and bool(wait.text))


def _worked(task: TaskTrace, life: Life) -> Iterator[Span]:
    """Yield what is known to be over, and what was waited for."""
    status = task_status(task)
    if task.wait is not None:
        over = task.wait.settled or task.finished
        stop = life.end if over is None else life.at(over)
        kind = BarKind.PEOPLE if asks(task.wait) else BarKind.WORLD
        yield Span(kind, life.at(task.wait.asked), stop, status, 0, task.error or "")
    elif task.tried:
        ended = task.status in ("completed", "failed", "caught")
        for number, attempt in enumerate(task.tried, 1):
            is_last = ended and number == len(task.tried)
            yield Span(
                BarKind.RUNNING if is_last else BarKind.ATTEMPT,
                life.at(attempt.started),
                life.at(attempt.finished),
                status if is_last else Status.CAUGHT,
                number if len(task.tried) > 1 else 0,
                attempt.error or "",
            )
    elif task.finished is not None:
        start = task.started or task.finished
        if task.started is None and task.status == "cancelled":  # it never came to be known that it began
            yield Span(BarKind.WAITING, life.at(task.spawned or start), life.at(task.finished), status)
        else:
            yield Span(BarKind.RUNNING, life.at(start), life.at(task.finished), status, 0, task.error or "")


def _rest(task: TaskTrace, life: Life) -> Iterator[Span]:
    """Yield what is not over yet."""
    status = task_status(task)
    born = task.spawned or task.started
    if task.wait is not None:
        return
    if task.status == "waiting":  # the run inside it does
        begun = task.started or born
        yield Span(BarKind.RUNNING, life.end if begun is None else life.at(begun), life.end, status)
    elif task.status in ("running", "pending"):
        start = life.at(task.started) if task.started else 0.0 if born is None else life.at(born)
        if task.status == "running":
            start = max([start, *(one for one in life.resumes if one <= life.end)])
        yield Span(BarKind.RUNNING if task.status == "running" else BarKind.WAITING, start, life.end, status)


class History:
    """What the tasks of a run, and of the runs inside it, did with their time; worked out once.

    begin: what seconds are counted from. end: in seconds.
    """

    def __init__(self, begin: datetime, end: float) -> None:
        self.begin = begin
        self.end = end
        self._spans: dict[int, list[tuple[Span, ...]]] = {}
        self._paths: dict[int, tuple[TaskTrace, ...]] = {}

    def spans(self, trace: Trace) -> list[tuple[Span, ...]]:
        """Return the spans of the tasks of a run, in the order of the tasks."""
        found = self._spans.get(id(trace))
        if found is None:
            life = life_of(trace, self.begin, self.end)
            found = self._spans[id(trace)] = [spans_of(task, life) for task in trace.tasks]
        return found

    def path(self, trace: Trace) -> tuple[TaskTrace, ...]:
        """Return the tasks on the critical path of a run."""
        if id(trace) not in self._paths:
            self._paths[id(trace)] = critical_path(trace)
        return self._paths[id(trace)]

    def busy(self, trace: Trace) -> Iterator[tuple[float, float]]:
        """Yield the stretches in which something ran, in any order.

        A task that drives a run only runs while that does.
        """
        pending = [trace]
        while pending:
            one = pending.pop()
            for task, spans in zip(one.tasks, self.spans(one), strict=True):
                child = child_of(task, one)
                if child is not None:
                    pending.append(child)
                    continue
                for span in spans:
                    if span.kind in ACTIVE:
                        yield span.start, span.stop


def total(spans: Iterable[Span], kinds: Sequence[BarKind]) -> float:
    """Return the seconds of some kinds among spans."""
    return sum(span.stop - span.start for span in spans if span.kind in kinds)
