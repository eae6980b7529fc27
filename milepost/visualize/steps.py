"""The other picture of a run: unrolled, a box for each visit of a node and each attempt, in the order they came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from milepost.engine.trace import AttemptTrace, TaskTrace, Trace
from milepost.visualize.children import cause_of, child_of, usage_of
from milepost.visualize.diagram import MAX_STRIP, Diagram, DrawnEdge, DrawnNode, statuses
from milepost.visualize.escape import flat, one_line
from milepost.visualize.firings import ENDED, Firing, Firings
from milepost.visualize.folding import WORST, merge
from milepost.visualize.grouping import group
from milepost.visualize.overlay import error_line, facts, headline, run_status, spent, spread, standing, task_seconds
from milepost.visualize.palette import RETRY, WORDS, Status
from milepost.visualize.routes import Routes
from milepost.visualize.waits import outcome, question
from milepost.visualize.wording import duration, plural

MAX_STEPS = 48
"""Boxes up to which every step is drawn; of more, the middle is folded."""

_FIRST, _LAST, _LOUD = 14, 20, 12
_LOUD_STATUSES = (Status.FAILED, Status.WAITING, Status.RUNNING)


def stepped(trace: Trace) -> Diagram:
    """Describe the steps of a run.

    Attempts of a task stand in a row. What was spawned side by side in large numbers is one box with percentiles, and
    the middle of a long run is folded; what failed, waits or runs is never inside a fold as long as it is little. A
    join is drawn where it fired, with what came into it. The runs inside a run are not unrolled.
    """
    unrolled = _Unrolled(trace)
    nodes, edges = unrolled.nodes(), unrolled.edges()
    status = run_status(trace)
    diagram = Diagram(
        name=trace.definition.name,
        facts=(f"v{trace.definition.version}", *facts(trace), "steps in order"),
        nodes=nodes,
        edges=edges,
        notice=headline(trace),
        notice_status=status,
        legend=statuses(nodes),
        description=one_line(", ".join(f"{node.title} ({WORDS[node.status]})" for node in nodes if node.status), 600),
    )
    return _shortened(diagram)


@dataclass(frozen=True, slots=True)
class _Step:
    """Tasks that are drawn in one place: one, or many that were spawned side by side. number: by when they came."""

    id: str
    number: int
    tasks: tuple[TaskTrace, ...]

    @property
    def is_many(self) -> bool:
        return len(self.tasks) > 1


class _Unrolled:
    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.grouping = group(trace.definition)
        self.routes = Routes(self.grouping, trace)
        self.firings = Firings(trace, self.routes)
        self.tasks: Mapping[str, TaskTrace] = {task.key: task for task in trace.tasks}
        self.steps = tuple(_steps(trace.tasks))
        self.step_of = {task.key: step for step in self.steps for task in step.tasks}

    # --- boxes -------------------------------------------------------------------------------------------------------

    def nodes(self) -> tuple[DrawnNode, ...]:
        """Return a box for the start, for each step and its attempts, for each join that fired, and for the end."""
        started = Status.DONE if self.trace.tasks or self.trace.checkpoints else Status.UNREACHED
        found = [DrawnNode(id="start", kind="start", base="start", title="start", status=started, own="__start__")]
        for step in self.steps:
            found += self._boxes(step)
            fired = (firing for task in step.tasks for firing in self.firings.by_last.get(task.key, ()))
            found += map(self._joined, fired)
        if self.trace.status == "completed":
            found.append(DrawnNode(id="end", kind="end", base="end", title="end", status=Status.DONE, own="__end__"))
        return tuple(found)

    def _joined(self, firing: Firing) -> DrawnNode:
        name, told = self.grouping.boxes[firing.join].name, plural(len(firing.items), "item")
        look = DrawnNode(id=firing.id, kind="join", base="join", title=name, status=Status.DONE)
        return replace(look, own=firing.join, tooltip=f"join {name} · done · {told}")

    def _boxes(self, step: _Step) -> Iterator[DrawnNode]:
        first = step.tasks[0]
        box = self.grouping.boxes.get(self.grouping.owners.get(first.node, ""))
        kind = self._kind(first)
        name = first.node if box is None else box.name
        title = f"{step.number} {name}"
        if step.is_many:
            yield self._many(step, title, kind)
            return
        title += f"[{first.index}]" if first.index is not None else ""
        plain = DrawnNode(id=step.id, kind=kind, base=kind, title=title, own=first.node)
        earlier = first.tried[:-1] if first.status != "running" else first.tried
        for number, attempt in enumerate(earlier, 1):
            detail = f"{duration((attempt.finished - attempt.started).total_seconds())}\n{_error(attempt)}".strip()
            tooltip = " · ".join((title, f"try {number}", "failed", flat(detail)))
            id_ = f"{step.id} try {number}"
            yield replace(plain, id=id_, times=f"try {number}", status=Status.FAILED, detail=detail, tooltip=tooltip)
        status = standing(first, self.trace)
        if earlier and status is Status.RETRIED:
            status = Status.DONE  # the tries that failed are boxes of their own
        detail = "\n".join(self._details(first, len(earlier), status))
        tooltip = " · ".join(
            part for part in (title, WORDS[status], flat(detail), one_line(first.error or "", 300)) if part
        )
        times = f"try {max(first.attempts, len(earlier) + 1)}" if earlier else ""
        yield replace(plain, times=times, status=status, detail=detail, tooltip=tooltip)

    def _kind(self, task: TaskTrace) -> str:
        box = self.grouping.boxes.get(self.grouping.owners.get(task.node, ""))
        return "function" if box is None else box.node.kind

    def _details(self, task: TaskTrace, earlier: int, status: Status) -> Iterator[str]:
        last = task.tried[-1] if earlier and task.tried and task.status != "running" else None
        seconds = (last.finished - last.started).total_seconds() if last else task_seconds(task, self.trace)
        child = child_of(task, self.trace)
        parts = ["from the cache"] if task.cached else ["from the run before"] if status is Status.REUSED else []
        parts += [f"{RETRY} {plural(task.attempts - 1, 'retry')}"] if task.attempts > 1 and not earlier else []
        is_shown = status is Status.WAITING or self._kind(task) != "decision" or (seconds or 0) >= 1
        if task.wait is not None and task.wait.settled is not None:
            parts += outcome((task,), self.trace)
        elif seconds is not None and is_shown:
            parts.append(f"waiting {duration(seconds)}" if status is Status.WAITING else duration(seconds))
        parts += spent(usage_of((task,), self.trace), "tok")
        parts += [f"run {one_line(child.run_id, 12)}"] if child is not None else []
        yield " · ".join(parts)
        if status is Status.WAITING and question((task,)):
            yield question((task,))
        if task.error and status in (Status.FAILED, Status.CAUGHT):
            yield error_line(cause_of(task, self.trace) or task.error)

    def _many(self, step: _Step, title: str, kind: str) -> DrawnNode:
        counts: dict[Status, int] = {}
        for task in step.tasks:
            status = standing(task, self.trace)
            counts[status] = counts.get(status, 0) + 1
        worst = min(counts, key=WORST.index)
        done = sum(counts.get(status, 0) for status in (Status.DONE, Status.RETRIED, Status.REUSED))
        said = [f"{number} {WORDS[status]}" for status, number in counts.items() if status is not Status.DONE]
        head = " · ".join((f"{done} of {len(step.tasks)} done", *said))
        failed = (
            cause_of(task, self.trace) for task in step.tasks if standing(task, self.trace) is worst and task.error
        )
        lines = [head, spread(step.tasks), *(error_line(error) for error in list(failed)[:1] if error)]
        detail = "\n".join(line for line in lines if line)
        own = step.tasks[0].node
        return DrawnNode(
            id=step.id,
            kind="map",
            base=kind,
            title=title,
            times=f"× {len(step.tasks)}",
            status=worst,
            detail=detail,
            tooltip=f"{title} · {flat(detail)}",
            own=own,
        )

    # --- arrows ------------------------------------------------------------------------------------------------------

    def edges(self) -> tuple[DrawnEdge, ...]:
        """Return what led from where to where; several between the same two boxes are one, with how many they were."""
        counts: dict[tuple[str, str, tuple[str, ...], bool], int] = {}
        for source, target, lines, error in self._arrows():
            key = (source, target, lines, error)
            counts[key] = counts.get(key, 0) + 1
        return tuple(
            DrawnEdge(
                source=source,
                target=target,
                lines=(*lines, f"× {times}") if times > 1 else lines,
                error=error,
                taken=times,
            )
            for (source, target, lines, error), times in counts.items()
        )

    def _arrows(self) -> Iterator[tuple[str, str, tuple[str, ...], bool]]:
        for step in self.steps:
            ids = [node.id for node in self._boxes(step)]
            yield from ((one, other, (f"{RETRY} retry",), False) for one, other in pairwise(ids))
            for task in step.tasks:
                yield from self._into(task, ids[0])
        for firing in self.firings.all:
            yield from ((self.step_of[task.key].id, firing.id, (), False) for task in firing.items)
        if self.trace.status == "completed":
            yield self._last(), "end", (), False

    def _into(self, task: TaskTrace, id_: str) -> Iterator[tuple[str, str, tuple[str, ...], bool]]:
        cause = self.tasks.get(task.cause or "")
        if cause is None:
            yield "start", id_, (), False
            return
        route, firing = self.firings.route(task), self.firings.before(task)
        source = self.step_of[cause.key].id if firing is None else firing.id
        yield source, id_, route.lines if route else (), firing is None and cause.status == "caught"

    def _last(self) -> str:
        """Return the box that led to the end: that of the task which finished last."""
        done = [task for task in self.trace.tasks if task.status in ENDED]
        return self.step_of[max(done, key=self.firings.when).key].id if done else "start"


def _error(attempt: AttemptTrace) -> str:
    return error_line(attempt.error) if attempt.error else ""


def _steps(tasks: Sequence[TaskTrace]) -> Iterator[_Step]:
    """Put the tasks into steps: what was spawned side by side, at one node, in large numbers is one of them."""
    families: dict[tuple[int, str], int] = {}
    family_of: dict[str, int] = {}
    members: dict[int, list[TaskTrace]] = {}
    for task in tasks:
        own = (family_of.get(task.cause or "", -1), task.node)
        family = families.setdefault(own, len(families))
        family_of[task.key] = family
        members.setdefault(family, []).append(task)
    number = 0
    for together in members.values():
        number += 1
        if len(together) > MAX_STRIP:
            yield _Step(f"step {number}", number, tuple(together))
            continue
        for place, task in enumerate(together):
            yield _Step(f"step {number} {place}" if len(together) > 1 else f"step {number}", number, (task,))


def _shortened(diagram: Diagram) -> Diagram:
    """Fold the middle of a long run."""
    if len(diagram.nodes) <= MAX_STEPS:
        return diagram
    ids = [node.id for node in diagram.nodes]
    kept = {*ids[:_FIRST], *ids[-_LAST:]}
    loud = (node.id for node in diagram.nodes if node.status in _LOUD_STATUSES and node.id not in kept)
    kept.update(id_ for id_, _ in zip(loud, range(_LOUD), strict=False))
    plan: dict[str, int] = {}
    fold = 0
    for id_ in ids:
        if id_ in kept:
            fold += 1
        else:
            plan[id_] = fold
    shorter = merge(diagram, plan, noun="step")
    return replace(shorter, facts=(*shorter.facts, f"{plural(len(plan), 'step')} folded"))
