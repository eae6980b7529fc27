"""What a task waited for, in words, and how much of its time was no work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from milepost.engine.trace import TaskTrace, Trace, WaitTrace
from milepost.visualize.escape import one_line
from milepost.visualize.wording import duration

_WORDS = {"answered": "answered", "received": "received", "elapsed": "time is up", "expired": "nothing came"}


def working(task: TaskTrace, trace: Trace) -> Iterator[tuple[datetime, datetime]]:
    """Yield the spans in which a task was at work; waiting is none."""
    if task.started is None or (task.status == "waiting" and task.wait is None):
        return
    stop = max(task.started, task.finished or trace.updated)
    if task.wait is None:
        yield task.started, stop
        return
    if task.started < task.wait.asked:
        yield task.started, min(stop, task.wait.asked)
    if task.wait.settled is not None and task.wait.settled < stop:
        yield max(task.started, task.wait.settled), stop


def busy(tasks: Iterable[TaskTrace], trace: Trace) -> float:
    """Return the seconds in which at least one of the tasks was at work; waiting for a person is none."""
    spans = sorted(span for task in tasks for span in working(task, trace))
    total, reached = 0.0, datetime.min.replace(tzinfo=trace.updated.tzinfo)
    for start, stop in spans:
        if stop > reached:
            total += (stop - max(start, reached)).total_seconds()
            reached = stop
    return total


def outcome(tasks: Sequence[TaskTrace], trace: Trace) -> Iterator[str]:
    """Say how the waits of some tasks ended, by whom, and how long they took; nothing for tasks that never waited."""
    over = [(task, task.wait) for task in tasks if task.wait is not None and task.wait.settled is not None]
    hows = [_WORDS[wait.how] for _, wait in over if wait.how is not None]
    for how in dict.fromkeys(hows):
        number = hows.count(how)
        yield how + _by(over[0][1]) if len(tasks) == 1 else f"{number} {how}"
    if over:
        longest = max(waited(wait, trace) for _, wait in over)
        yield f"waited {duration(longest)}" if len(over) == 1 else f"waited up to {duration(longest)}"


def question(tasks: Sequence[TaskTrace]) -> str:
    """Say what is waited for, "" if nothing is: the question, the event, or the time."""
    for task in tasks:
        wait = task.wait
        if task.status == "waiting" and wait is not None:
            until = f"until {wait.until:%Y-%m-%d %H:%M} UTC" if wait.until is not None else ""
            about = f"{wait.event} {wait.key or ''}".strip()
            return " · ".join(part for part in (one_line(wait.text or about, 48), until) if part)
    return ""


def waited(wait: WaitTrace, trace: Trace) -> float:
    """Return how long a wait took, or has taken when the trace was read, in seconds."""
    return max(0.0, ((wait.settled or trace.updated) - wait.asked).total_seconds())


def _by(wait: WaitTrace) -> str:
    return f" by {one_line(wait.by, 24)}" if wait.by else ""
