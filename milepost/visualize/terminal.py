"""A definition or a run as text, coloured on a terminal and plain in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import StringIO
from itertools import groupby, islice
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from milepost.engine.trace import TaskTrace, Trace
from milepost.visualize.children import cause_of, child_of, usage_of
from milepost.visualize.diagram import MAX_STRIP, Diagram, DrawnEdge, DrawnNode
from milepost.visualize.escape import clean, flat, one_line
from milepost.visualize.overlay import (
    error_name,
    facts,
    notice,
    run_status,
    standing,
    task_name,
    task_seconds,
    traced,
)
from milepost.visualize.palette import GLYPHS, RETRY, WORDS, Status
from milepost.visualize.waits import outcome, question
from milepost.visualize.wording import count, duration, money

STYLES: Final[dict[Status, str]] = {
    Status.DONE: "green",
    Status.RETRIED: "yellow",
    Status.RUNNING: "blue",
    Status.PENDING: "blue",
    Status.WAITING: "yellow",
    Status.FAILED: "bold red",
    Status.CAUGHT: "red",
    Status.REUSED: "green",
    Status.CANCELLED: "bright_black",
    Status.UNREACHED: "bright_black",
    Status.ADDED: "green",
    Status.REMOVED: "red",
    Status.CHANGED: "yellow",
    Status.FIRST: "yellow",
    Status.SECOND: "blue",
    Status.PARTED: "bold magenta",
    Status.OTHER: "magenta",
    Status.SAME: "",
}
_SIGNS: Final = {
    "start": "●",
    "end": "●",
    "function": "□",
    "agent": "⬡",
    "decision": "◇",
    "map": "▤",
    "join": "◎",
    "ask": "▽",
    "wait": "▱",
    "sleep": "△",
    "race": "⚑",
    "fold": "…",
    "workflow": "▣",
}
MUTED: Final = "bright_black"
LONG: Final = 40
"""Rows up to which the tasks of runs inside a run are listed when nobody has asked for them."""


def plain(view: RenderableType, *, width: int = 110) -> str:
    """Return what a pipe gets: the same text without colour, lines without blanks at their end."""
    screen = StringIO()
    Console(file=screen, width=width, color_system=None, force_terminal=False, force_jupyter=False, emoji=False).print(
        view
    )
    return "\n".join(line.rstrip() for line in screen.getvalue().split("\n")).strip("\n") + "\n"


def flow_view(diagram: Diagram) -> RenderableType:
    """Return a diagram as a table in the order of the flow: each node, what it is, and where it leads."""
    title = Text.assemble((one_line(diagram.name), "bold"), "  ", (" · ".join(diagram.facts), MUTED))
    table = _table("node", "what", "leads to")
    ways: dict[str, list[DrawnEdge]] = {node.id: [] for node in diagram.nodes}
    for edge in diagram.edges:
        ways[edge.source].append(edge)
    names = {node.id: one_line(node.title, 48) for node in diagram.nodes}
    levels = diagram.levels
    for node in diagram.nodes:
        level = levels[node.cluster] - (node.id == node.cluster)  # what heads a cluster stands where it would if closed
        row = _node(node), Text(one_line(flat(node.detail), 160), style=MUTED), _ways(ways[node.id], names)
        table.add_row(_indented(row[0], level), *row[1:])
    parts: list[RenderableType] = [title]
    if diagram.notice_status:
        parts.append(Text(one_line(diagram.notice, 200), style=STYLES[diagram.notice_status]))
    return Group(*parts, Text(), table)


def run_view(trace: Trace, *, depth: int | None = None) -> RenderableType:
    """Return a run: how it stands, its tasks in the order they were spawned, what was decided, and the error.

    depth: how many levels of runs inside it are shown with their tasks, below the task that drives them; None for one,
    if that is not long. The others are only named.
    """
    status = run_status(trace)
    head = Text.assemble(
        (f"{GLYPHS[status]} {one_line(trace.definition.name)}", f"bold {STYLES[status]}"),
        (f"  {notice(trace)}", STYLES[status]),
    )
    since = f"v{trace.definition.version} · {' · '.join(facts(trace))} · started {moment(trace.created)}"
    parts: list[RenderableType] = [head, Text(since, style=MUTED), Text(), _tasks(trace, _levels(trace, depth))]
    decided = list(_decisions(trace))
    if decided:
        parts.append(Text())
        table = _table("decided", "went to", "because", "times")
        for row in decided:
            table.add_row(*(Text(one_line(cell, 60)) for cell in row))
        parts.append(table)
    error = error_text(trace)
    if error:
        parts.append(Text(f"\n{clean(error)}", style="red"))
    elif trace.output is not None:
        parts.append(Text(f"\noutput  {one_line(trace.output, 400)}"))
    return Group(*parts)


def error_text(trace: Trace) -> str:
    """Return what ended the run in full, "" if nothing did."""
    return (trace.error or "").strip() if trace.status in ("failed", "cancelled") else ""


def moment(time: datetime) -> str:
    """Return a time in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _node(node: DrawnNode) -> Text:
    sign = GLYPHS[node.status] if node.status else _SIGNS.get(node.kind, "□")
    style = STYLES[node.status] if node.status else ""
    return Text(f"{sign} {one_line(node.title, 48)} {node.times}".rstrip(), style=style)


def _ways(edges: Iterable[DrawnEdge], names: dict[str, str]) -> Text:
    rows: list[Text] = []
    for edge in edges:
        arrow = "⇢" if edge.error else "↺" if edge.back else "→"
        label = one_line(" · ".join((*edge.lines, *([edge.type] if edge.type else []))))
        row = f"{arrow} {names[edge.target]}" + (f"   {label}" if label else "")
        style = STYLES[edge.status] if edge.status else MUTED if edge.taken == 0 else ""
        rows.append(Text(row, style=style))
    return Text("\n").join(rows)


def _levels(trace: Trace, depth: int | None) -> int:
    """Return how many levels of runs inside runs are shown."""
    if depth is not None:
        return depth
    return 1 if sum(1 for _ in islice(_rows(trace, 1), LONG + 1)) <= LONG else 0


def _tasks(trace: Trace, depth: int) -> Table:
    table = _table("task", "status", "tries", "took", "tokens", "cost", "note")
    for column in table.columns[2:6]:
        column.justify = "right"
    for level, row in _rows(trace, depth):
        cells = list(row)
        table.add_row(_indented(cells[0], level), *cells[1:])
    return table


def _rows(trace: Trace, depth: int) -> Iterator[tuple[int, Iterable[Text]]]:
    """Yield each row with its level; the cells are made only when they are asked for."""
    pending = [(0, _own_rows(trace))]
    while pending:
        level, rows = pending[-1]
        cells, child = next(rows, (None, None))
        if cells is None:
            pending.pop()
            continue
        yield level, cells
        if child is not None and level < depth:
            pending.append((level + 1, _own_rows(child)))


def _own_rows(trace: Trace) -> Iterator[tuple[Iterable[Text], Trace | None]]:
    """Yield the rows of one run, each with the run that its task drives."""
    for node, group in groupby(trace.tasks, key=lambda task: (task.node, task.index is None)):
        tasks = list(group)
        if len(tasks) > MAX_STRIP:
            yield _many(node[0], tasks, trace), None
            tasks = [task for task in tasks if task.status == "failed"][:MAX_STRIP]
        for task in tasks:
            yield _task(task, trace), child_of(task, trace)


def _indented(text: Text, level: int) -> Text:
    return Text("  " * level).append_text(text)


def _task(task: TaskTrace, trace: Trace) -> Iterator[Text]:
    status = standing(task, trace)
    seconds = task_seconds(task, trace)
    usage = usage_of((task,), trace)
    yield Text(f"{GLYPHS[status]} {one_line(task_name(task), 48)}", style=STYLES[status])
    yield Text(WORDS[status])
    yield Text(f"{RETRY} {task.attempts}" if task.attempts > 1 else str(task.attempts or ""))
    yield Text("" if seconds is None else duration(seconds))
    yield Text(count(usage.input_tokens + usage.output_tokens) if usage else "")
    yield Text(money(usage.cost) if usage and usage.cost is not None else "")
    yield _note(task, trace)


def _note(task: TaskTrace, trace: Trace) -> Text:
    """Say why a task failed, what it waits or waited for, and the run that it drives, as a command needs it."""
    child = child_of(task, trace)
    error = error_name(cause_of(task, trace) or "") if task.error else ""
    awaited = question([task]) or ", ".join(outcome([task], trace))
    run = f"run {one_line(child.run_id)[:12]}" if child else ""
    parts = [(error, "red"), (awaited, MUTED), (run, MUTED)]
    return Text("  ").join(Text(text, style=style) for text, style in parts if text)


def _many(node: str, tasks: list[TaskTrace], trace: Trace) -> Iterator[Text]:
    done = sum(task.status == "completed" for task in tasks)
    counts = {status: sum(standing(task, trace) is status for task in tasks) for status in Status}
    usage = usage_of(tasks, trace)
    spans = [(task.finished - task.started).total_seconds() for task in tasks if task.started and task.finished]
    worst = next(status for status in _BY_WEIGHT if counts[status])
    yield Text(f"{GLYPHS[worst]} {one_line(node, 48)} × {len(tasks)}", style=STYLES[worst])
    yield Text(f"{done} of {len(tasks)} done")
    yield Text(str(sum(task.attempts for task in tasks)))
    yield Text(duration(sum(spans)) if spans else "")
    yield Text(count(usage.input_tokens + usage.output_tokens) if usage else "")
    yield Text(money(usage.cost) if usage and usage.cost is not None else "")
    left = [f"{number} {WORDS[status]}" for status, number in counts.items() if number and status is not Status.DONE]
    yield Text(", ".join(left))


_BY_WEIGHT: Final = (
    Status.FAILED,
    Status.WAITING,
    Status.RUNNING,
    Status.PENDING,
    Status.CAUGHT,
    Status.CANCELLED,
    Status.RETRIED,
    Status.DONE,
    Status.REUSED,
    Status.UNREACHED,
)


def _decisions(trace: Trace) -> Iterator[tuple[str, str, str, str]]:
    diagram = traced(trace)
    nodes = {node.id: node for node in diagram.nodes}
    for edge in diagram.edges:
        if edge.taken and (edge.error or nodes[edge.source].kind == "decision"):
            because = " · ".join(line for line in edge.lines)
            yield nodes[edge.source].title, nodes[edge.target].title, because, str(edge.taken)
