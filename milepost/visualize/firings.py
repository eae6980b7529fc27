"""The joins of a run as they fired: what each firing let go, and what had come into it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from milepost.engine.trace import TaskTrace, Trace
from milepost.visualize.routes import Route, Routes

ENDED = ("completed", "caught")
"""How a task stands that handed something on."""


@dataclass(frozen=True, slots=True)
class Firing:
    """A join that let something go. last: the task whose item completed it. items: the tasks whose outputs it got."""

    id: str
    join: str
    last: TaskTrace
    items: tuple[TaskTrace, ...]


class Firings:
    """All firings of a run, found from what caused its tasks.

    What came into a firing are the outputs, of the fork that the task which completed it belongs to, that came after
    the firing before. Cost: one pass over the tasks, and one over those that lead to each join.
    """

    def __init__(self, trace: Trace, routes: Routes) -> None:
        self._routes = routes
        self._tasks: Mapping[str, TaskTrace] = {task.key: task for task in trace.tasks}
        self._order = {task.key: number for number, task in enumerate(trace.tasks)}
        self._forks: dict[str, str | None] = {}
        for task in trace.tasks:
            self._forks[task.key] = task.cause if task.index is not None else self._forks.get(task.cause or "")
        self._found: dict[tuple[str, str], Firing] = {}
        for (join, fork), lasts in self._lasts(trace.tasks).items():
            self._window(join, fork, lasts)
        self.by_last: dict[str, list[Firing]] = {}
        for firing in self._found.values():
            self.by_last.setdefault(firing.last.key, []).append(firing)

    @property
    def all(self) -> Iterable[Firing]:
        """Every firing."""
        return self._found.values()

    def when(self, task: TaskTrace) -> tuple[int, int]:
        """Return what sorts tasks as they finished, as far as that is known."""
        return (task.seq or 0, self._order[task.key])

    def route(self, task: TaskTrace) -> Route | None:
        """Return the way that led to a task from the one that caused it, None where it is not known."""
        cause = self._tasks.get(task.cause or "")
        return None if cause is None else self._routes.between(cause.node, task.node)

    def before(self, task: TaskTrace) -> Firing | None:
        """Return the firing that let a task go, None for none."""
        route = self.route(task)
        return None if route is None or route.join is None else self._found.get((route.join, task.cause or ""))

    def _lasts(self, tasks: Sequence[TaskTrace]) -> Mapping[tuple[str, str | None], list[TaskTrace]]:
        """Return the tasks that completed joins, by the join and the fork that they belong to."""
        found: dict[tuple[str, str | None], dict[str, TaskTrace]] = {}
        for task in tasks:
            route = self.route(task)
            if route is not None and route.join is not None and task.cause is not None:
                own = found.setdefault((route.join, self._forks[task.cause]), {})
                own[task.cause] = self._tasks[task.cause]
        return {key: sorted(own.values(), key=self.when) for key, own in found.items()}

    def _window(self, join: str, fork: str | None, lasts: Sequence[TaskTrace]) -> None:
        """Give each firing of a join for one fork what came into it."""
        coming = sorted(
            (
                task
                for task in self._tasks.values()
                if task.status in ENDED and self._forks[task.key] == fork and self._routes.reaches_join(task.node, join)
            ),
            key=self.when,
        )
        start = 0
        for last in lasts:
            stop = start
            while stop < len(coming) and self.when(coming[stop]) <= self.when(last):
                stop += 1
            id_ = f"join {len(self._found) + 1}"
            self._found[join, last.key] = Firing(id_, join, last, tuple(coming[start:stop]) or (last,))
            start = stop
