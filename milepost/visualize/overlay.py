"""What a run did, put on top of its definition: counts, statuses, times and costs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from milepost.engine.trace import TaskTrace, Trace, Usage
from milepost.visualize.children import cause_of, failures, usage_of
from milepost.visualize.diagram import MAX_STRIP, Diagram, DrawnNode, Overlay, declared_node, link_label, overlaid
from milepost.visualize.escape import flat, one_line
from milepost.visualize.grouping import Box, Grouping, Link, group
from milepost.visualize.palette import GLYPHS, INTERRUPTED, RETRY, WORDS, Status
from milepost.visualize.waits import busy, outcome, question
from milepost.visualize.wording import count, duration, money, plural

_STATUS: Mapping[str, Status] = {
    "pending": Status.PENDING,
    "running": Status.RUNNING,
    "waiting": Status.WAITING,
    "completed": Status.DONE,
    "failed": Status.FAILED,
    "caught": Status.CAUGHT,
    "cancelled": Status.CANCELLED,
}
_ERROR_NAME = re.compile(r"([A-Za-z_][\w.]*)(?::|$)")


def traced(trace: Trace, *, types: bool = False) -> Diagram:
    """Describe the picture of a run."""
    grouping = group(trace.definition)
    taken, extra = taken_links(grouping, trace)
    view = _View(trace, grouping, taken)
    status = run_status(trace)
    overlay = Overlay(
        nodes={id_: view.node(box) for id_, box in grouping.boxes.items()},
        taken=taken,
        lines={index: view.lines(index, link) for index, link in enumerate(grouping.links)},
        facts=facts(trace),
        notice=headline(trace),
        status=status,
        extra=extra,
    )
    return overlaid(trace.definition, grouping, overlay, types=types)


def run_status(trace: Trace) -> Status:
    """Return how the whole run stands; one that nobody drives any more has its pending tasks still to do."""
    return Status.PENDING if trace.interrupted else _STATUS[trace.status]


def task_status(task: TaskTrace) -> Status:
    """Return how one task stands; one that needed several attempts is told apart."""
    if task.status == "completed":
        return Status.RETRIED if task.attempts > 1 else Status.DONE
    return _STATUS[task.status]


def standing(task: TaskTrace, trace: Trace) -> Status:
    """Return how one task of a run stands; one whose output was there already, without any work, is told apart.

    That is what came from a cache, and what a fork has from the run that it left.
    """
    if task.status in ("completed", "caught") and (task.cached or is_inherited(task, trace)):
        return Status.REUSED
    return task_status(task)


def is_inherited(task: TaskTrace, trace: Trace) -> bool:
    """Tell whether a task was finished in the run that this one was forked from."""
    return trace.forked_from is not None and task.seq is not None and task.seq <= trace.forked_from[1]


def task_name(task: TaskTrace) -> str:
    """Return the name that people know a task by.

    >>> task_name(TaskTrace(key="k", node="review", visit=3, status="completed", index=2))
    'review[2]'
    """
    if task.index is not None:
        return f"{task.node}[{task.index}]"
    return f"{task.node}#{task.visit}" if task.visit > 1 else task.node


def task_seconds(task: TaskTrace, trace: Trace) -> float | None:
    """Return how long a task took, or has taken when the trace was read; None if it has not started."""
    if task.started is None:
        return None
    return max(0.0, ((task.finished or trace.updated) - task.started).total_seconds())


def notice(trace: Trace) -> str:
    """Say in a few words how the run stands and where."""
    status = run_status(trace)
    word = INTERRUPTED if trace.interrupted else "completed" if status is Status.DONE else WORDS[status]
    if status is Status.FAILED:
        path = " › ".join(one_line(task_name(task), 40) for task in failures(trace))
        return f"failed at {one_line(path)}" if path else "failed"
    if status in (Status.WAITING, Status.RUNNING, Status.PENDING):
        names = dict.fromkeys(task.node for task in trace.tasks if task_status(task) is status)
        link = "for" if status is Status.WAITING else "at"
        shown = one_line(", ".join(names), 48)
        return f"{word} {link} {shown}" if shown else word
    return word


def headline(trace: Trace) -> str:
    """Return what stands below the title: how the run stands, where, and what ended it."""
    place = failed_place(trace)
    return f"{GLYPHS[run_status(trace)]} {notice(trace)}" + (f" · {place}" if place else "")


def failed_place(trace: Trace) -> str:
    """Return the name of the exception that ended the run, "" if it did not fail."""
    if trace.status != "failed":
        return ""
    path = failures(trace)
    return error_name((path[-1].error if path else None) or trace.error or "")


def error_name(error: str) -> str:
    """Return the class name at the head of an error's text, or the beginning of the text.

    >>> error_name("ValueError: no such clause"), error_name("it broke")
    ('ValueError', 'it broke')
    """
    match = _ERROR_NAME.match(error.strip())
    return match[1].rsplit(".", 1)[-1] if match else one_line(error, 40)


def error_line(error: str, limit: int = 60) -> str:
    """Return the first line of an error's text, without the module of its class.

    >>> error_line("builtins.TimeoutError: gateway\\nmore"), error_line("it broke")
    ('TimeoutError: gateway', 'it broke')
    """
    first = error.strip().split("\n", 1)[0]
    match = _ERROR_NAME.match(first)
    if match:
        first = match[1].rsplit(".", 1)[-1] + first[match.end(1) :]
    return one_line(first, limit)


def spread(tasks: Sequence[TaskTrace]) -> str:
    """Say how long the tasks of a large group took, each by itself; "" for a small group.

    The percentiles are of the nearest rank: half of the tasks took p50 or less, and one took it exactly.
    """
    timed = ((task.started, task.finished) for task in tasks if task.started and task.finished)
    spans = sorted(max(0.0, (finished - started).total_seconds()) for started, finished in timed)
    if len(spans) <= MAX_STRIP:
        return ""
    half, most = (spans[math.ceil(len(spans) * part) - 1] for part in (0.5, 0.95))
    return f"p50 {duration(half)} · p95 {duration(most)} · max {duration(spans[-1])}"


def facts(trace: Trace) -> tuple[str, ...]:
    """Return the totals of a run, one short piece each."""
    shown = one_line(trace.run_id, 28)
    parts = [f"run {shown}", f"{duration(busy(trace.tasks, trace))} active"]
    parts += spent(usage_of(trace.tasks, trace), "tokens")
    if trace.checkpoints:
        parts.append(plural(trace.checkpoints, "checkpoint"))
    if trace.forked_from is not None:
        parts.append(f"forked from {one_line(trace.forked_from[0], 20)}")
    if trace.resumes:
        parts.append("resumed" if len(trace.resumes) == 1 else f"resumed {len(trace.resumes)} times")
    return tuple(parts)


class _View:
    """The run, looked at box by box and link by link."""

    def __init__(self, trace: Trace, grouping: Grouping, taken: Mapping[int, int]) -> None:
        self.trace = trace
        self.grouping = grouping
        self.taken = taken
        self.tasks: dict[str, list[TaskTrace]] = {id_: [] for id_ in grouping.boxes}
        for task in trace.tasks:
            box = grouping.owners.get(task.node)
            if box is not None:
                self.tasks[box].append(task)
        self.joins = {join.node: join for join in trace.joins}
        self.ins: dict[str, list[int]] = {id_: [] for id_ in grouping.boxes}
        self.outs: dict[str, list[int]] = {id_: [] for id_ in grouping.boxes}
        for index, link in enumerate(grouping.links):
            self.ins[link.target].append(index)
            self.outs[link.source].append(index)
        self.statuses = {id_: self._status(box) for id_, box in grouping.boxes.items()}

    def node(self, box: Box) -> DrawnNode:
        plain = declared_node(box)
        status = self.statuses[box.id]
        tasks = self.tasks[box.id]
        is_strip = box.kind == "map" and 1 < len(tasks) <= MAX_STRIP
        strip = tuple(standing(task, self.trace) for task in tasks) if is_strip else ()
        detail = self._detail(box, status)
        return replace(
            plain,
            status=status,
            times=self._times(box),
            detail=detail,
            strip=strip,
            tooltip=" · ".join(part for part in (plain.tooltip, WORDS[status], flat(detail), _errors(tasks)) if part),
        )

    def _times(self, box: Box) -> str:
        tasks = self.tasks[box.id]
        if box.kind == "map":
            return f"× {len(tasks)}" if tasks else "× N" if self.statuses[box.id] is Status.UNREACHED else "× 0"
        if box.kind == "join":
            fired = self.joins[box.id].fired if box.id in self.joins else 0
            return f"× {fired}" if fired > 1 else ""
        return f"× {len(tasks)}" if len(tasks) > 1 else ""

    def _status(self, box: Box) -> Status:
        tasks = self.tasks[box.id]
        if tasks:
            return _worst(tasks, self.trace)
        if box.kind == "start":
            return Status.DONE if self.trace.checkpoints or self.trace.tasks else Status.UNREACHED
        if box.kind == "end":
            reached = self.trace.status == "completed" or any(self.taken[index] for index in self.ins[box.id])
            return Status.DONE if reached else Status.UNREACHED
        if box.id in self.joins:
            live = self.trace.status in ("running", "waiting") and self.joins[box.id].items
            return Status.DONE if self.joins[box.id].fired else Status.PENDING if live else Status.UNREACHED
        passed = self.outs[box.id] if box.kind != "map" or not self.outs[box.id] else self.ins[box.id]
        return Status.DONE if any(self.taken[index] for index in passed) else Status.UNREACHED

    def _detail(self, box: Box, status: Status) -> str:
        if box.kind in ("start", "end", "join"):
            return ""
        if status is Status.UNREACHED:
            return WORDS[status]
        tasks = self.tasks[box.id]
        lines = [" · ".join(self._parts(box, status)), question(tasks)]
        lines += [spread(tasks)] if box.kind != "decision" else []  # a diamond has no room for more
        if status in (Status.FAILED, Status.CAUGHT):
            lines.append(self._error(box, status))
        return "\n".join(line for line in lines if line)

    def _error(self, box: Box, status: Status) -> str:
        """Return the first line of the error that a box shows; a diamond has room for its class only."""
        tasks = self.tasks[box.id]
        errors = (cause_of(task, self.trace) for task in tasks if task_status(task) is status and task.error)
        error = next(errors, None) or "failed"
        return error_name(error) if box.kind == "decision" else error_line(error)

    def _parts(self, box: Box, status: Status) -> Iterable[str]:
        tasks = self.tasks[box.id]
        if box.node.workflow not in ("", box.name):
            yield box.node.workflow
        if status is Status.WAITING:
            waits = (task.wait.asked if task.wait else task.started for task in tasks if task.status == "waiting")
            since = min((moment for moment in waits if moment is not None), default=None)
            yield f"waiting {duration((self.trace.updated - since).total_seconds())}" if since else "waiting"
        yield from _progress(box, tasks)
        yield from outcome(tasks, self.trace)
        yield from _reused(tasks, self.trace)
        retries = sum(max(0, task.attempts - 1) for task in tasks)
        if retries:
            yield f"{RETRY} {plural(retries, 'retry')}"
        worked = [task for task in tasks if task.status != "waiting" and task.started and task.wait is None]
        seconds = busy(tasks, self.trace)
        if worked and (box.kind != "decision" or seconds >= 1):
            yield duration(seconds)
        yield from spent(usage_of(tasks, self.trace), "tok")

    def lines(self, index: int, link: Link) -> tuple[str, ...]:
        label = link_label(self.grouping, link)
        times = self.taken[index]
        values = [self.trace.chosen[edge] for edge in link.via if edge in self.trace.chosen] if times else []
        known = {bare(text) for text in label}
        tail = [f"was {one_line(value, 32)}" for value in values[-1:] if bare(value) not in known]
        spawned = len(self.tasks[link.source]) if self.grouping.boxes[link.source].kind == "map" else 0
        ways = [other for other in self.outs[link.source] if not self.grouping.links[other].error]
        if times and spawned > 1 and len(ways) == 1:
            tail.append(f"{min(times, spawned)} of {spawned}")
        elif times > 1:
            tail.append(f"× {times}")
        return (*label, " · ".join(tail)) if tail else label


def taken_links(grouping: Grouping, trace: Trace) -> tuple[dict[int, int], tuple[tuple[str, str, int], ...]]:
    """Count the passages of each link; what was passed without being declared comes as extra edges.

    A node that returns the next node itself is recorded as going there at once, past the decision that stands for it.
    """
    taken = {index: min(trace.taken.get(edge, 0) for edge in link.via) for index, link in enumerate(grouping.links)}
    declared = {(edge.source, edge.target, edge.branch) for edge in trace.definition.edges}
    extra: dict[tuple[str, str], int] = {}
    for edge, times in trace.taken.items():
        source, target = grouping.owners.get(edge[0]), grouping.owners.get(edge[1])
        if edge in declared or not times or source is None or target is None:
            continue
        way = _way_through(grouping, source, target)
        for index in way:
            taken[index] += times
        if not way:
            extra[source, target] = extra.get((source, target), 0) + times
    return taken, tuple((source, target, times) for (source, target), times in extra.items())


def _way_through(grouping: Grouping, source: str, target: str) -> tuple[int, ...]:
    """Return the links from one box to another: one, or two with a decision between them, or none."""
    out = [(index, link) for index, link in enumerate(grouping.links) if link.source == source and not link.error]
    direct = next(((index,) for index, link in out if link.target == target), None)
    if direct is not None:
        return direct
    decisions = {link.target: index for index, link in out if grouping.boxes[link.target].kind == "decision"}
    rest = enumerate(grouping.links)
    found = ((decisions[link.source], index) for index, link in rest if link.source in decisions)
    return next((way for way in found if grouping.links[way[1]].target == target), ())


def _worst(tasks: Sequence[TaskTrace], trace: Trace) -> Status:
    present = {task.status for task in tasks}
    for status in ("failed", "waiting", "running", "pending", "caught"):
        if status in present:
            return _STATUS[status]
    if "completed" not in present or ("cancelled" in present and trace.status == "cancelled"):
        return Status.CANCELLED
    if all(standing(task, trace) is Status.REUSED for task in tasks if task.status == "completed"):
        return Status.REUSED
    return Status.RETRIED if any(task.attempts > 1 for task in tasks) else Status.DONE


def _progress(box: Box, tasks: Sequence[TaskTrace]) -> Iterable[str]:
    if len(tasks) < 2:
        return
    done = sum(task.status == "completed" for task in tasks)
    counts = ((word, sum(task.status == word for task in tasks)) for word in ("failed", "caught"))
    bad = [f"{number} {word}" for word, number in counts if number]
    if box.kind == "map" and len(tasks) > MAX_STRIP and bad:
        yield f"{done} of {len(tasks)}, {', '.join(bad)}"
    elif done < len(tasks) or (box.kind == "map" and len(tasks) > MAX_STRIP):
        yield f"{done} of {len(tasks)} done"


def _reused(tasks: Sequence[TaskTrace], trace: Trace) -> Iterable[str]:
    """Say how much of the work was there already, and from where."""
    for number, words in (
        (sum(task.cached for task in tasks), "from the cache"),
        (sum(is_inherited(task, trace) and not task.cached for task in tasks), "from the run before"),
    ):
        if number:
            yield words if number == len(tasks) else f"{number} of {len(tasks)} {words}"


def spent(usage: Usage | None, unit: str) -> Iterable[str]:
    """Say what something cost, in tokens and money, as far as that is known."""
    if usage is not None and usage.input_tokens + usage.output_tokens:
        yield f"{count(usage.input_tokens + usage.output_tokens)} {unit}"
    if usage is not None and usage.cost is not None:
        yield money(usage.cost)


def _errors(tasks: Iterable[TaskTrace]) -> str:
    return " · ".join(f"{task_name(task)}: {one_line(task.error, 200)}" for task in tasks if task.error)


def bare(text: str) -> str:
    """Return a value as a condition names it: without its quotes."""
    return text.strip().strip("'\"")
