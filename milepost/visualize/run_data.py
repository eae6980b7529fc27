"""What the page of a run knows of it, as plain JSON: its script reads this and nothing else.

Everything that has to be put into words is put into words here, so that the script only shows it. The size is bounded:
many texts are cut short, few are not, and what is left out is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from milepost.engine.patch import Patch
from milepost.engine.report import Excerpt, Report, ReportedCheckpoint
from milepost.engine.trace import Edge, TaskTrace, Trace, WaitTrace
from milepost.visualize.children import child_of, usage_of
from milepost.visualize.diagram import Diagram, link_label
from milepost.visualize.escape import clean, one_line, slugs
from milepost.visualize.grouping import Grouping, Link, group
from milepost.visualize.nesting import paths
from milepost.visualize.overlay import task_name, task_seconds, task_status
from milepost.visualize.palette import GLYPHS, WORDS, Status
from milepost.visualize.questions import TITLES, wait_facts
from milepost.visualize.tables import task_cells
from milepost.visualize.terminal import moment
from milepost.visualize.wording import count, duration, money

MOST: Final = 12_000
"""Steps, and checkpoints, that a page has; the JSON of the trace has all."""
ROOM: Final = 3_000_000
"""How many characters of payloads a page holds, and how many of changes of the state at most."""
LARGEST: Final = 16_384
SMALLEST: Final = 120
"""How many characters of one payload are kept at most, and however many there are."""

_ENDS: Final[Mapping[str, Status]] = {
    "completed": Status.DONE,
    "exhausted": Status.DONE,
    "failed": Status.FAILED,
    "caught": Status.CAUGHT,
    "asked": Status.WAITING,
    "woken": Status.PENDING,
}
"""How a task stands after a record of this kind."""

Json = Mapping[str, object]


def run_data(report: Report | None, trace: Trace, diagram: Diagram, inside: Mapping[str, str]) -> Json:
    """Return what a page knows of a run.

    report: None where only its trace is at hand: then nothing is known of payloads and checkpoints. diagram: as it is
    drawn. inside: the part of the page that tells what is inside a node, by its id in the diagram.
    """
    writer = _Writer(report, trace, diagram, inside)
    return {
        "steps": list(writer.steps()),
        "checkpoints": list(writer.checkpoints()),
        "known": writer.known,
        "nodes": writer.nodes(),
        "edges": list(writer.edges()),
        "sizes": {} if report is None else dict(report.sizes),
        "glyphs": {str(status): glyph for status, glyph in GLYPHS.items()},
        "words": {str(status): word for status, word in WORDS.items()},
    }


def script_text(data: Json) -> str:
    """Return data as JSON that can stand in a `<script>` of a page: nothing in it can end that or begin a comment.

    >>> script_text({"a": "</script><!--"})
    '{"a":"\\\\u003c/script\\\\u003e\\\\u003c!--"}'
    """
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def budget(number: int) -> int:
    """Return how many characters each of so many texts may have.

    >>> budget(10), budget(1_000), budget(100_000)
    (16384, 3000, 120)
    """
    return max(SMALLEST, min(LARGEST, ROOM // max(number, 1)))


class _Writer:
    def __init__(self, report: Report | None, trace: Trace, diagram: Diagram, inside: Mapping[str, str]) -> None:
        self.report = report
        self.trace = trace
        self.diagram = diagram
        self.inside = inside
        self.grouping: Grouping = group(trace.definition)
        self.slugs = slugs(node.id for node in diagram.nodes)
        outer = (node for node in diagram.nodes if node.cluster in (None, node.id))
        self.is_overlay = all(node.own in ("", node.id) for node in outer)
        self.tasks: Sequence[TaskTrace] = trace.tasks[:MOST]
        self.shown: Sequence[ReportedCheckpoint] = () if report is None else report.checkpoints[:MOST]
        self.numbers = {task.key: number for number, task in enumerate(self.tasks)}
        self.limit = budget(_payloads(report, self.shown))
        self.known = self._known()
        self.ways: dict[Edge, list[int]] = {}
        for number, link in enumerate(self._arrows()):
            if link is not None:
                self.ways.setdefault(link.via[-1], []).append(number)

    def _known(self) -> int:
        """Return the last checkpoint whose state the page can tell."""
        known, room = 0, ROOM
        for one in self.shown:
            room -= sum(len(change[2]) + 20 for change in (one.patch or {}).values() if change is not None)
            if self.report is None or one.seq > self.report.known or room < 0:
                break
            known = one.seq
        return known

    # --- steps -------------------------------------------------------------------------------------------------------

    def steps(self) -> Iterator[Json]:
        """Yield what is known of each task, in the order they were spawned."""
        marks = self._marks()
        inputs: Mapping[str, Excerpt] = {} if self.report is None else self.report.inputs
        for number, task in enumerate(self.tasks):
            yield _without_nothing(
                {
                    "key": task.key,
                    "name": one_line(task_name(task)),
                    "node": self._node(task.node),
                    "status": str(task_status(task)),
                    "marks": marks[number],
                    "row": task_cells(task, self.trace),
                    "facts": list(self._facts(task)),
                    "error": self._cut(clean(task.error)) if task.error else None,
                    "input": self._excerpt(inputs.get(task.key)),
                    "tries": list(_tries(task)),
                    "wait": None if task.wait is None else self._wait(task.wait),
                    "child": task.child if child_of(task, self.trace) is not None else None,
                }
            )

    def _node(self, id_: str) -> str | None:
        """Return the slug of the box that a node is drawn as, None if it is not drawn."""
        return self.slugs.get(self.grouping.owners.get(id_, ""))

    def _marks(self) -> Sequence[list[tuple[int, str]]]:
        """Return how each task stood from which checkpoint on."""
        marks: list[list[tuple[int, str]]] = [[] for _ in self.tasks]
        for one in self.shown:
            for key in one.spawned:
                if key in self.numbers:
                    marks[self.numbers[key]].append((one.seq, Status.PENDING))
            for key in one.dropped:
                if key in self.numbers:
                    marks[self.numbers[key]].append((one.seq, Status.CANCELLED))
            number = self.numbers.get(one.task)
            if number is not None and one.did in _ENDS:
                task, status = self.tasks[number], _ENDS[one.did]
                is_last = status is Status.DONE and one.seq == task.seq
                marks[number].append((one.seq, str(task_status(task)) if is_last else str(status)))
        return marks

    def _facts(self, task: TaskTrace) -> Iterator[tuple[str, str]]:
        """Yield what is known of a task besides what it was given and gave."""
        if task.attempts:
            yield "Attempts", str(task.attempts)
        if task.started is not None:
            yield "Started", moment(task.started)
        seconds = task_seconds(task, self.trace)
        if seconds is not None and task.status != "waiting":  # nobody knows how long that has been when it is read
            yield "Took", duration(seconds)
        usage = usage_of((task,), self.trace)
        if usage is not None and usage.input_tokens + usage.output_tokens:
            yield "Tokens", f"{count(usage.input_tokens)} in, {count(usage.output_tokens)} out"
        if usage is not None and usage.cost is not None:
            yield "Cost", money(usage.cost)

    def _wait(self, wait: WaitTrace) -> Json:
        """Return what a task has waited for."""
        return _without_nothing(
            {
                "title": TITLES[wait.kind],
                "text": clean(wait.text)[: self.limit] or None,
                "facts": list(wait_facts(wait)),
                "answer": None if wait.answer is None else self._cut(wait.answer),
            }
        )

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def checkpoints(self) -> Iterator[Json]:
        """Yield what is known of each checkpoint, in order."""
        for one in self.shown:
            yield _without_nothing(
                {
                    "seq": one.seq,
                    "at": moment(one.at),
                    "did": one.did,
                    "node": one_line(one.node) or None,
                    "task": self.numbers.get(one.task),
                    "status": one.status,
                    "stored": self._excerpt(one.stored),
                    "error": self._cut(clean(one.error)) if one.error else None,
                    "traceback": self._cut(clean(one.traceback)) if one.traceback else None,
                    "changes": [
                        _without_nothing(
                            {
                                "path": clean(change.path),
                                "before": self._excerpt(change.before),
                                "after": self._excerpt(change.after),
                                "text": change.is_text or None,
                            }
                        )
                        for change in one.changes
                    ],
                    "more": one.more_changes or None,
                    "patch": _told(one.patch) if one.patch and one.seq <= self.known else None,
                    "passed": self._passed(one),
                }
            )

    def _passed(self, one: ReportedCheckpoint) -> Mapping[str, int]:
        """Return which arrows a checkpoint took, as far as they are drawn one by one, and how often."""
        found: dict[str, int] = {}
        for edge, times in one.passed.items():
            for number in self.ways.get(edge, ()):
                found[str(number)] = times
        return found

    # --- the picture -------------------------------------------------------------------------------------------------

    def _arrows(self) -> Sequence[Link | None]:
        """Return the link that each arrow of the picture is, None for one that is several, or inside something else.

        An arrow that leaves a sub-workflow which is drawn open leaves its end.
        """
        free: dict[tuple[str, str], list[Link]] = {}
        for link in self.grouping.links:
            free.setdefault((link.source, link.target), []).append(link)
        where = paths(self.diagram)
        found: list[Link | None] = []
        for edge in self.diagram.edges:
            ways = free.get((where[edge.source][0], edge.target), [])
            found.append(ways.pop(0) if ways else None)
        return found if self.is_overlay else [None] * len(found)

    def nodes(self) -> Mapping[str, Json]:
        """Return what is known of the boxes that belong to the run itself, by their slugs."""
        if not self.is_overlay:
            return {}
        return {
            self.slugs[node.id]: _without_nothing(
                {"title": one_line(node.title), "kind": node.kind, "inside": self.inside.get(node.id)}
            )
            for node in self.diagram.nodes
            if node.id in self.grouping.boxes
        }

    def edges(self) -> Iterator[Json | None]:
        """Yield the arrows: from where to where, and how many lines of their label were declared."""
        for edge, link in zip(self.diagram.edges, self._arrows(), strict=True):
            if link is None:
                yield None
                continue
            yield {
                "from": self.slugs.get(link.source),
                "to": self.slugs[edge.target],
                "lines": len(link_label(self.grouping, link)),
            }

    # --- texts -------------------------------------------------------------------------------------------------------

    def _cut(self, text: str) -> tuple[str, int]:
        return text[: self.limit], len(text)

    def _excerpt(self, excerpt: Excerpt | None) -> tuple[str, int] | None:
        return None if excerpt is None else (excerpt.text[: self.limit], excerpt.size)


def _payloads(report: Report | None, shown: Iterable[ReportedCheckpoint]) -> int:
    """Return how many payloads a report has."""
    if report is None:
        return 0
    texts = sum((one.stored is not None) + 2 * len(one.changes) + (one.error is not None) for one in shown)
    return texts + min(len(report.inputs), MOST)


def _told(patch: Patch) -> Mapping[str, object]:
    return {name: None if change is None else list(change) for name, change in patch.items()}


def _tries(task: TaskTrace) -> Iterator[tuple[str, str, str]]:
    """Yield when each attempt began, how long it took, and how it failed; nothing for a single one."""
    if len(task.tried) < 2:
        return
    for tried in task.tried:
        seconds = max(0.0, (tried.finished - tried.started).total_seconds())
        yield moment(tried.started), duration(seconds), one_line(tried.error or "", 300)


def _without_nothing(facts: Mapping[str, object]) -> Json:
    """Leave out what is empty, so that a large page is not larger than it has to be."""
    return {name: value for name, value in facts.items() if value is not None and value != [] and value != {}}
