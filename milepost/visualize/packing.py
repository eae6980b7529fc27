"""From the spans of many tasks to rows of bars in which nothing is hidden, or to a profile when there are too many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from milepost.engine.trace import TaskTrace, Trace
from milepost.visualize.axis import RESOLUTION, Axis
from milepost.visualize.palette import Status
from milepost.visualize.spans import ACTIVE, BarKind, Span

SLICES: Final = 160
"""Into how many equal parts of the width a profile is cut."""

WORST_FIRST: Final = (
    Status.FAILED,
    Status.CAUGHT,
    Status.WAITING,
    Status.RUNNING,
    Status.PENDING,
    Status.CANCELLED,
    Status.RETRIED,
    Status.DONE,
    Status.REUSED,
    Status.UNREACHED,
)
_WEIGHT: Final = {status: number for number, status in enumerate(WORST_FIRST)}
_KINDS: Final = (BarKind.PEOPLE, BarKind.WORLD, BarKind.RUNNING, BarKind.ATTEMPT, BarKind.WAITING)


class Work(NamedTuple):
    """A task with what it did with its time. run: the trace that it is part of. critical: on the critical path."""

    run: Trace
    task: TaskTrace
    spans: tuple[Span, ...]
    critical: bool

    @property
    def start(self) -> float:
        return self.spans[0].start

    @property
    def stop(self) -> float:
        return self.spans[-1].stop


@dataclass(slots=True)
class Placed:
    """One bar in a row. left, right: where it is drawn. parts: what it stands for; several that are too small alone."""

    left: float
    right: float
    parts: list[tuple[Work, Span]]

    @property
    def kind(self) -> BarKind:
        kinds = {span.kind for _, span in self.parts}
        return next(kind for kind in _KINDS if kind in kinds)

    @property
    def status(self) -> Status:
        return worst(span.status for _, span in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How many tasks did what over time, in SLICES equal parts of the width, on average of each part.

    peak: the largest number of those running. failed: where some failed, between 0 and 1.
    """

    running: tuple[float, ...]
    waiting: tuple[float, ...]
    failed: tuple[float, ...] = field(default=())

    @property
    def peak(self) -> float:
        return max(self.running, default=0.0)


def worst(statuses: Iterable[Status]) -> Status:
    """Return the status that a reader has to know of."""
    return min(statuses, key=lambda status: _WEIGHT[status])


def rows_of(works: Sequence[Work], most: int) -> list[list[Work]] | None:
    """Put tasks into as few rows as the order in which they began allows, none over another; None: more than `most`.

    Each task goes into the first row that is free.
    """
    rows: list[list[Work]] = []
    ends: list[float] = []
    for work in sorted(works, key=lambda one: (one.start, one.stop)):
        start = work.start
        for number, end in enumerate(ends):
            if end <= start:
                rows[number].append(work)
                ends[number] = work.stop
                break
        else:
            if len(rows) == most:
                return None
            rows.append([work])
            ends.append(work.stop)
    return rows


def placed(row: Sequence[Work], axis: Axis) -> list[Placed]:
    """Place the spans of tasks that follow one another. Every bar can be seen, and none is over another.

    What is too small is drawn a little wider, which may move what follows by so much; where many such come close
    together they become one bar. A wait too short to be seen is left out.
    """
    found: list[Placed] = []
    cursor = 0.0
    for work in row:
        for span in work.spans:
            left, right = axis.place(span.start), axis.place(span.stop)
            begin = max(left, cursor)
            if span.kind is BarKind.WAITING and not _is_alone(work):
                if right - begin < RESOLUTION:
                    continue
            elif found and begin - left > RESOLUTION and right - left < 3 * RESOLUTION:
                found[-1].parts.append((work, span))
                cursor = found[-1].right = max(found[-1].right, right)
                continue
            cursor = max(right, begin + RESOLUTION)
            found.append(Placed(begin, cursor, [(work, span)]))
    return found


def _is_alone(work: Work) -> bool:
    """Tell whether a task has done nothing but wait: then that has to be seen, however short it was."""
    return len(work.spans) == 1


def profile(works: Iterable[Work], axis: Axis) -> Profile:
    """Return how many tasks did what over time. Cost: one step per span, and one per slice."""
    running, waiting = _Sums(), _Sums()
    failed: set[int] = set()
    for work in works:
        for span in work.spans:
            left, right = axis.place(span.start), axis.place(span.stop)
            (running if span.kind in ACTIVE else waiting).add(left, right)
        if work.task.status in ("failed", "caught"):
            failed.add(min(SLICES - 1, int(axis.place(work.stop) * SLICES)))
    return Profile(
        running=tuple(running.values()),
        waiting=tuple(waiting.values()),
        failed=tuple((one + 0.5) / SLICES for one in sorted(failed)),
    )


class _Sums:
    """Adds up stretches of the width, slice by slice."""

    def __init__(self) -> None:
        self._parts = [0.0] * (SLICES + 1)
        self._steps = [0.0] * (SLICES + 2)

    def add(self, left: float, right: float) -> None:
        first, last = left * SLICES, max(right * SLICES, left * SLICES + 0.02)
        begin, end = int(first), int(last)
        if begin == end:
            self._parts[begin] += last - first
            return
        self._parts[begin] += begin + 1 - first
        self._parts[end] += last - end
        self._steps[begin + 1] += 1.0
        self._steps[end] -= 1.0

    def values(self) -> Iterator[float]:
        height = 0.0
        for number in range(SLICES):
            height += self._steps[number]
            yield max(0.0, height + self._parts[number])
