"""Who may run now: how many tasks at once, of an engine, of a run, of a node, and of the items of a map."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import anyio

from milepost.engine.admission import workflows_inside
from milepost.engine.children import Place, name_of
from milepost.engine.plan import Plan
from milepost.engine.position import LiveStream, Stack, Task

Branch = tuple[str, int]
"""(run of a map, number of the item)"""


class Gate:
    """Lets at most `most` in at once. line: what to call, in order, when there may be room again."""

    __slots__ = ("inside", "line", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self.inside = 0
        self.line: deque[Callable[[], None]] = deque()

    @property
    def is_full(self) -> bool:
        return self.inside >= self.most

    def leave(self) -> None:
        """Make room, and let those in line try for it."""
        self.inside -= 1
        while self.line and not self.is_full:
            self.line.popleft()()


class Gates:
    """The gates that all runs of an engine share. most: tasks of the engine at once, None for no limit."""

    def __init__(self, most: int | None = None) -> None:
        self.all = Gate(most) if most is not None else None
        self._nodes: dict[tuple[str, str], Gate] = {}

    def node(self, workflow: str, node: str, most: int) -> Gate:
        """Return the gate of a node, made when it is first asked for."""
        gate = self._nodes.get((workflow, node))
        if gate is None:
            gate = self._nodes[workflow, node] = Gate(most)
        return gate


def slots_for(plan: Plan, gates: Gates, place: Place, start: Callable[[Task], None]) -> Slots | None:
    """Return what limits a run, or None when nothing does, so that it costs nothing."""
    limited = any(node.policy is not None and node.policy.max_concurrency for node in plan.nodes.values())
    if gates.all is None and getattr(plan.workflow, "max_concurrency", None) is None and not limited:
        return None
    return Slots(plan, gates, place, start)


class Slots:
    """What limits one run. A task takes all that it needs at once or none of it, so that nothing can lock up.

    start: is called with a task that had to wait and may begin now.
    """

    def __init__(self, plan: Plan, gates: Gates, place: Place, start: Callable[[Task], None]) -> None:
        self._plan = plan
        self._gates = gates
        self._place = place
        self.start = start
        most = getattr(plan.workflow, "max_concurrency", None)
        self._run = Gate(most) if most is not None else None
        self._maps: dict[str, Gate] = {}
        self._members: dict[Branch, int] = {}
        self._inside: dict[str, list[Branch]] = {}
        self._entered: set[Branch] = set()
        self._held: dict[str, list[Gate]] = {}
        self._recursive: dict[str, bool] = {}
        self._closed = False

    # --- branches of maps --------------------------------------------------------------------------------------------

    def _branches(self, stack: Stack) -> Iterator[tuple[Gate, Branch]]:
        for fork, run, number in stack:
            if fork in self._plan.limits:
                yield self._map(fork, run), (run, number)

    def _map(self, fork: str, run: str) -> Gate:
        gate = self._maps.get(run)
        if gate is None:
            gate = self._maps[run] = Gate(self._plan.limits[fork])
        return gate

    def spawned(self, active: Iterable[Task | LiveStream]) -> None:
        """Count what begins to exist in the branches of limited maps."""
        for one in active if self._plan.limits else ():
            branches = [branch for _, branch in self._branches(one.stack)]
            self._inside[one.key] = branches
            for branch in branches:
                self._members[branch] = self._members.get(branch, 0) + 1

    def gone(self, key: str) -> None:
        """Note that a task or stream exists no more; the last one of a branch makes room for another item.

        Comes after what it spawned was counted.
        """
        for branch in self._inside.pop(key, ()):
            self._members[branch] -= 1
            if not self._members[branch]:
                del self._members[branch]
                self._left(branch)

    def _left(self, branch: Branch) -> None:
        gate = self._maps[branch[0]]
        if branch in self._entered:
            self._entered.discard(branch)
            gate.leave()
        if not gate.inside and not gate.line:
            self._maps.pop(branch[0], None)

    async def room(self, fork: str, run: str) -> None:
        """Wait until a stream that a map goes over may give another item."""
        if fork in self._plan.limits:
            while (gate := self._map(fork, run)).is_full:
                opened = anyio.Event()
                gate.line.append(opened.set)
                await opened.wait()

    # --- tasks -------------------------------------------------------------------------------------------------------

    def enter(self, task: Task) -> bool:
        """Take what a task needs to begin, or stand in line for what is full.

        Takes nothing once the run is not driven here any more, as when its last record is kept late: nobody would give
        it back.
        """
        if self._closed:
            return False
        branches = [(gate, branch) for gate, branch in self._branches(task.stack) if branch not in self._entered]
        whole = self._needed(task)
        for gate in (*(gate for gate, _ in branches), *whole):
            if gate.is_full:
                gate.line.append(partial(self._again, task))
                return False
        for gate, branch in branches:
            gate.inside += 1
            self._entered.add(branch)
        for gate in whole:
            gate.inside += 1
        self._held[task.key] = whole
        return True

    def _needed(self, task: Task) -> list[Gate]:
        """Return what a task needs room in: never where those may have taken it that wait for this task.

        So a task that runs a workflow is none of the engine's, and in a recursion the limit of a node that runs a
        workflow is for the outermost.
        """
        node = self._plan.nodes[task.node]
        policy = node.policy
        needed = [gate for gate in (None if node.nests else self._gates.all, self._run) if gate is not None]
        most = None if policy is None else policy.max_concurrency
        if most is not None and not (node.nests and self._is_recursion(task.node)):
            needed.append(self._gates.node(self._plan.workflow.name or "", task.node, most))
        return needed

    def _is_recursion(self, node: str) -> bool:
        """Tell whether one of the workflows that the run is inside of may come again inside that of a node."""
        if node not in self._recursive:
            above = {workflow for workflow, _ in self._place.passed}
            child = self._plan.workflow.specs[node].child
            inner = child.find() if child is not None and above else None
            below = () if inner is None else (inner, *workflows_inside(inner))
            self._recursive[node] = not above.isdisjoint(map(name_of, below))
        return self._recursive[node]

    def _again(self, task: Task) -> None:
        is_gone = self._closed or (bool(self._plan.limits) and task.key not in self._inside)
        if not is_gone and self.enter(task):
            self.start(task)

    def leave(self, key: str) -> None:
        """Give back what a task took, if it took anything."""
        for gate in self._held.pop(key, ()):
            gate.leave()

    def rest(self, key: str) -> None:
        """Give back what a task took, and its place in limited maps, as it runs nothing while it waits."""
        self.leave(key)
        self.gone(key)

    def go_on(self, task: Task) -> None:
        """Take again what a task gave back that has waited and goes on now, even where that is one too many."""
        self.spawned([task])
        for gate, branch in self._branches(task.stack):
            if branch not in self._entered:
                gate.inside += 1
                self._entered.add(branch)
        self._held[task.key] = whole = self._needed(task)
        for gate in whole:
            gate.inside += 1

    def close(self) -> None:
        """Give everything back: the run is not driven here any more."""
        self._closed = True
        for key in list(self._held):
            self.leave(key)
