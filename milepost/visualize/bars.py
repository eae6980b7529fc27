"""One bar of a timeline: what it says inside, and what is told of it when somebody looks closer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from milepost.engine.trace import TaskTrace, WaitTrace
from milepost.visualize.escape import one_line
from milepost.visualize.overlay import task_name
from milepost.visualize.packing import Placed, Work
from milepost.visualize.palette import GLYPHS, WORDS, Status, chip
from milepost.visualize.spans import BarKind, Span
from milepost.visualize.wording import duration

MOST_NAMES: Final = 6
"""Tasks that the tooltip of a bar names which stands for several."""

VERBS: Final = {
    BarKind.WAITING: "waited to begin",
    BarKind.RUNNING: "ran",
    BarKind.ATTEMPT: "tried",
    BarKind.PEOPLE: "waited for a person",
    BarKind.WORLD: "waited for an event or a time",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A stretch of the time of one task, or of several that are too small alone.

    start, stop: seconds after the beginning. left, right: where it is drawn, between 0 and 1, at least RESOLUTION
    apart. labels: what to write into it, the first that there is room for. count: of tasks. run, task, seq: the run and
    the key of the task, and the number of the record that finished it; of several, of the first one. critical: on the
    critical path.
    """

    kind: BarKind
    status: Status
    start: float
    stop: float
    left: float
    right: float
    labels: tuple[str, ...]
    tooltip: str
    run: str
    task: str
    node: str
    seq: int | None = None
    count: int = 1
    critical: bool = False


def bar_of(one: Placed, *, named: bool, many: bool) -> Bar:
    """Describe a bar. named: it stands among bars of other nodes. many: it stands among bars of other tasks."""
    first, span = one.parts[0]
    tasks = {(work.run.run_id, work.task.key) for work, _ in one.parts}
    kind, status = one.kind, one.status
    several = len(one.parts) > 1
    return Bar(
        kind=kind,
        status=status,
        start=min(part.start for _, part in one.parts),
        stop=max(part.stop for _, part in one.parts),
        left=one.left,
        right=one.right,
        labels=tuple(_labels_of_many(one, len(tasks)) if several else _labels(first.task, span, named, many)),
        tooltip=_several(one) if several else _single(first.task, span),
        run=first.run.run_id,
        task=first.task.key,
        node=first.task.node,
        seq=first.task.seq,
        count=len(tasks),
        critical=kind is not BarKind.WAITING and any(work.critical for work, _ in one.parts),
    )


def _labels(task: TaskTrace, span: Span, named: bool, many: bool) -> Iterator[str]:
    if span.kind is BarKind.WAITING:
        return
    seconds = duration(span.stop - span.start)
    name = task_name(task) if named else task_name(task).removeprefix(task.node) if many else ""
    name = one_line(name, 24)
    glyph = _glyph(span)
    by = task.wait.by if task.wait is not None else None
    if by:
        yield " · ".join(part for part in (f"{glyph}{name}".strip(), seconds, one_line(by, 24)) if part)
    if name:
        yield f"{glyph}{name} · {seconds}"
        yield f"{glyph}{name}"
    yield f"{glyph}{seconds}"
    if glyph:
        yield glyph.strip()


def _glyph(span: Span) -> str:
    if span.kind is BarKind.ATTEMPT:
        return "✗ "
    return "" if span.status is Status.DONE else f"{chip(span.status)} "


def _labels_of_many(one: Placed, tasks: int) -> Iterator[str]:
    number = tasks if tasks > 1 else len(one.parts)
    glyph = "" if one.status is Status.DONE else f"{chip(one.status)} "
    yield f"{glyph}× {number}"
    if glyph:
        yield glyph.strip()


def _single(task: TaskTrace, span: Span) -> str:
    parts = [task_name(task)]
    if span.number:
        parts.append(f"attempt {span.number} of {max(task.attempts, span.number)}")
    failed = span.kind is BarKind.ATTEMPT
    if span.kind is not BarKind.WAITING:
        parts.append("✗ failed" if failed else f"{GLYPHS[span.status]} {WORDS[span.status]}")
    parts.append(f"{VERBS[span.kind]} {duration(span.stop - span.start)}, from {duration(span.start)} on")
    if task.wait is not None and span.kind is not BarKind.WAITING:
        parts.extend(_waited_for(task.wait))
    if span.error:
        parts.append(one_line(span.error, 200))
    return one_line(" · ".join(parts), 400)


def _waited_for(wait: WaitTrace) -> Iterator[str]:
    """Say what a task has waited for, and what came."""
    if wait.text:
        yield one_line(wait.text, 120)
    if wait.event:
        yield f"event {one_line(wait.event, 60)}"
    if wait.until is not None:
        yield f"until {wait.until:%Y-%m-%d %H:%M:%S} UTC"
    if wait.how is not None:
        yield f"{wait.how} by {one_line(wait.by, 60)}" if wait.by else wait.how


def _several(one: Placed) -> str:
    works: dict[tuple[str, str], Work] = {(work.run.run_id, work.task.key): work for work, _ in one.parts}
    first, last = one.parts[0][1], one.parts[-1][1]
    names = [task_name(work.task) for work in list(works.values())[:MOST_NAMES]]
    more = f" and {len(works) - len(names)} more" if len(works) > len(names) else ""
    errors = [span.error for _, span in one.parts if span.error]
    parts = [", ".join(names) + more, f"{len(one.parts)} in {duration(max(0.0, last.stop - first.start))}"]
    parts.append(f"{GLYPHS[one.status]} {WORDS[one.status]}")
    parts.append(f"from {duration(first.start)} on")
    if errors:
        parts.append(one_line(errors[0], 200))
    return one_line(" · ".join(parts), 400)


def percentiles(seconds: Sequence[float]) -> str:
    """Return how long many tasks took.

    >>> percentiles([0.1, 0.2, 0.3, 4.0])
    'p50 200 ms · p95 4.0 s · max 4.0 s'
    """
    order = sorted(seconds)
    parts = (("p50", order[(len(order) - 1) // 2]), ("p95", order[int(0.95 * (len(order) - 1) + 0.5)]))
    return " · ".join([*(f"{name} {duration(value)}" for name, value in parts), f"max {duration(order[-1])}"])
