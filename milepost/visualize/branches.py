"""Which branch of a run each task belongs to: a chain of tasks until it forks, or until a join takes it back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from milepost.engine.trace import TaskTrace, Trace
from milepost.visualize.grouping import Grouping, group


def branches(trace: Trace) -> Mapping[str, TaskTrace]:
    """Return the first task of the branch of every task, by the task's key.

    A task goes on with the branch of the one that spawned it, unless that spawned several; what a join let go belongs
    to the branch that had forked before it.
    """
    ways = _Ways(trace, group(trace.definition))
    number = Counter(task.cause for task in trace.tasks)
    tasks: dict[str, TaskTrace] = {}
    heads: dict[str, TaskTrace] = {}
    around: dict[str, TaskTrace] = {}
    for task in trace.tasks:
        cause = tasks.get(task.cause or "")
        tasks[task.key] = task
        if cause is None:
            heads[task.key] = task
            continue
        head = heads[cause.key]
        if not ways.is_direct(cause.node, task.node):
            heads[task.key] = around.get(head.key, head)
        elif number[cause.key] == 1:
            heads[task.key] = head
        else:
            heads[task.key] = task
            around[task.key] = head
    return heads


class _Ways:
    """Where a node leads without a join in between."""

    def __init__(self, trace: Trace, grouping: Grouping) -> None:
        self._owners = grouping.owners
        self._worked = {grouping.owners.get(task.node, task.node) for task in trace.tasks}
        self._joins = {id_ for id_, box in grouping.boxes.items() if box.kind == "join"}
        self._out: dict[str, list[str]] = {}
        for link in grouping.links:
            self._out.setdefault(link.source, []).append(link.target)
        self._direct: dict[str, set[str]] = {}

    def is_direct(self, source: str, target: str) -> bool:
        source, target = self._owners.get(source, source), self._owners.get(target, target)
        if source not in self._direct:
            self._direct[source] = self._reached(source)
        return target in self._direct[source]

    def _reached(self, source: str) -> set[str]:
        found: set[str] = set()
        open_ = list(self._out.get(source, ()))
        while open_:
            box = open_.pop()
            if box in found or box in self._joins:
                continue
            found.add(box)
            if box not in self._worked:
                open_.extend(self._out.get(box, ()))
        return found
