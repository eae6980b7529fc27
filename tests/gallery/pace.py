"""Runs with times that are the same whenever they are drawn: what happened is real, how long it took is set."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

from milepost.engine.trace import TaskTrace, Trace, WaitTrace

BEGIN: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ASKED: Final = timedelta(hours=2, minutes=14)
"""How long everybody takes to answer."""


def paced(trace: Trace, begin: datetime = BEGIN) -> Trace:
    """Return a run whose tasks begin when what spawned them was done, and take as long as their nodes always do."""
    children: dict[str, Trace] = {}
    finished: dict[str, datetime] = {}
    tasks: list[TaskTrace] = []
    decisions = {node.id for node in trace.definition.nodes if node.kind == "decision"}
    for task in trace.tasks:
        start = finished.get(task.cause or "", begin)
        child = trace.children.get(task.child or "")
        stop = start + timedelta(seconds=0.02 if task.node in decisions else seconds_of(task))
        if child is not None:
            children[child.run_id] = paced(child, start)
            stop = children[child.run_id].updated
        if task.wait is not None:
            stop = start + ASKED
            task = replace(task, wait=_asked(task.wait, start, stop))
        finished[task.key] = stop
        tasks.append(_timed(task, start, stop) if task.started else replace(task, spawned=task.spawned and start))
    return replace(
        trace,
        created=begin,
        updated=max(finished.values(), default=begin),
        tasks=tuple(tasks),
        resumes=tuple(begin for _ in trace.resumes),
        edits=tuple(replace(edit, at=begin) for edit in trace.edits),
        children={**trace.children, **children},
    )


def _asked(wait: WaitTrace, start: datetime, stop: datetime) -> WaitTrace:
    until = wait.until and start + (wait.until - wait.asked)
    return replace(wait, asked=start, until=until, settled=wait.settled and stop)


def _timed(task: TaskTrace, start: datetime, stop: datetime) -> TaskTrace:
    pieces = max(len(task.tried), 1)
    step = (stop - start) / pieces
    tried = (
        replace(attempt, started=start + number * step, finished=start + (number + 1) * step)
        for number, attempt in enumerate(task.tried)
    )
    return replace(
        task,
        spawned=task.spawned and start,
        started=start + (pieces - 1) * step,
        finished=task.finished and stop,
        tried=tuple(tried),
    )


def seconds_of(task: TaskTrace) -> float:
    """Return how long the tasks of a node take: between half a second and four, items of a map each a little other."""
    digest = blake2b(f"{task.node} {task.index}".encode(), digest_size=2).digest()
    return 0.5 + int.from_bytes(digest) % 36 / 10
