"""When a join is complete: counting what can still reach it.

Every active thing (a task, a stream, a waiting join) holds the joins that it can still reach, in the runs of their
parent forks that it is in. A join whose count is zero is complete. The cost of a step does not depend on how much else
is active, and the answer does not depend on timing. Everything here follows from a position and a plan; `rebuilt`
makes it again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from milepost.engine.plan import Plan
from milepost.engine.position import START, JoinRun, LiveStream, Position, Stack, Task, WaitingJoin, lineage

Lineage = tuple[tuple[str, str], ...]


class Holds:
    """Counts per (join, fork run) of what may still reach that join in that run.

    ready: joins to look at, because something may have completed them. under: the keys of active tasks and streams by
    fork run, kept for the forks that a cancelling join may cancel.
    """

    __slots__ = ("_joined", "_plan", "counts", "ready", "under")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._joined: dict[JoinRun, set[JoinRun]] = {}
        self.counts: dict[JoinRun, int] = {}
        self.ready: deque[JoinRun] = deque()
        self.under: dict[str, dict[str, None]] = {}

    def held(self, node: str, stack: Stack) -> Iterable[JoinRun]:
        """Yield the joins that an active `node` with this stack keeps waiting."""
        for join, fork in self._plan.nodes[node].watch:
            for item in reversed(stack):
                if item[0] == fork:
                    yield join, item[1]
                    break

    def hold(self, keys: Iterable[str], node: str, stack: Stack, number: int = 1) -> None:
        """Count `number` tasks of one node that share their fork runs."""
        for key in self.held(node, stack):
            self.counts[key] = self.counts.get(key, 0) + number
        if self._plan.cancelling:
            for fork, run, _ in stack:
                if fork in self._plan.cancelling:
                    self.under.setdefault(run, {}).update(dict.fromkeys(keys))

    def free(self, key: str, node: str, stack: Stack) -> None:
        """Stop counting a task."""
        if self._plan.nodes[node].watch:
            for join_run in self.held(node, stack):
                self._release(join_run)
        if self._plan.cancelling:
            self._forget(key, stack)

    def _forget(self, key: str, stack: Stack) -> None:
        for _, run, _ in stack:
            members = self.under.get(run)
            if members is not None:
                members.pop(key, None)
                if not members:
                    del self.under[run]

    def _release(self, join_run: JoinRun) -> None:
        left = self.counts[join_run] - 1
        if left:
            self.counts[join_run] = left
        else:
            del self.counts[join_run]
            self.ready.append(join_run)

    def hold_task(self, task: Task) -> None:
        self.hold((task.key,), task.node, task.stack)

    def free_task(self, task: Task) -> None:
        self.free(task.key, task.node, task.stack)

    def hold_stream(self, stream: LiveStream) -> None:
        """Count a stream: its fork, and every join that waits for that fork's run."""
        self.hold((stream.key,), stream.fork, stream.stack)
        for join in self._plan.parents.get(stream.fork, ()):
            self.counts[join, stream.run] = self.counts.get((join, stream.run), 0) + 1

    def free_stream(self, stream: LiveStream) -> None:
        self.free(stream.key, stream.fork, stream.stack)
        for join in self._plan.parents.get(stream.fork, ()):
            self._release((join, stream.run))

    def hold_join(self, waiting: WaitingJoin, chain: Lineage) -> None:
        """Count a waiting join for the joins after it, once per fork run that its items came from."""
        key = (waiting.join, waiting.run)
        mine = self._joined.setdefault(key, set())
        runs = dict(chain)
        for join, fork in self._plan.nodes[waiting.join].watch:
            other = (join, runs.get(fork, ""))
            if join != waiting.join and fork in runs and other not in mine:
                mine.add(other)
                self.counts[other] = self.counts.get(other, 0) + 1
        self.ready.append(key)

    def free_join(self, join_run: JoinRun) -> None:
        """Stop counting a join that fired or was cancelled."""
        for other in sorted(self._joined.pop(join_run, ())):
            self._release(other)

    def clear(self) -> None:
        """Forget everything: the run has ended."""
        for part in (self.counts, self._joined, self.under, self.ready):
            part.clear()


def rebuilt(plan: Plan, position: Position) -> Holds:
    """Work the counts out from a position alone, as a resume does."""
    holds = Holds(plan)
    for task in position.tasks.values():
        holds.hold_task(task)
    for task, _ in position.unrouted.values():
        if task.node != START:
            holds.hold_task(task)
    for stream in position.streams.values():
        holds.hold_stream(stream)
    for waiting in position.joins.values():
        for chain in waiting.lineages or {lineage(waiting.stack)}:
            holds.hold_join(waiting, chain)
    holds.ready.clear()
    return holds
