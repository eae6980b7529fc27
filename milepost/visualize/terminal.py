"""A definition or a run as text, coloured on a terminal and plain in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import StringIO
from itertools import groupby
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from milepost.engine.trace import TaskTrace, Trace
from milepost.visualize.diagram import MAX_STRIP, Diagram, DrawnEdge, DrawnNode
from milepost.visualize.escape import clean, one_line
from milepost.visualize.overlay import (
    error_name,
    facts,
    notice,
    run_status,
    task_name,
    task_seconds,
    task_status,
    traced,
)
from milepost.visualize.palette import GLYPHS, RETRY, WORDS, Status
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
}
_SIGNS: Final = {
    "start": "●",
    "end": "●",
    "function": "□",
    "agent": "⬡",
    "decision": "◇",
    "map": "▤",
    "join": "◎",
    "human": "▽",
    "fold": "…",
}
MUTED: Final = "bright_black"


def plain(view: RenderableType, *, width: int = 110) -> str:
    """Return what a pipe gets: the same text without colour, lines without blanks at their end."""
    screen = StringIO()
    Console(file=screen, width=width, color_system=None, force_terminal=False, emoji=False).print(view)
    return "\n".join(line.rstrip() for line in screen.getvalue().split("\n")).strip("\n") + "\n"


def flow_view(diagram: Diagram) -> RenderableType:
    """Return a diagram as a table in the order of the flow: each node, what it is, and where it leads."""
    title = Text.assemble((one_line(diagram.name), "bold"), "  ", (" · ".join(diagram.facts), MUTED))
    table = _table("node", "what", "leads to")
    ways: dict[str, list[DrawnEdge]] = {node.id: [] for node in diagram.nodes}
    for edge in diagram.edges:
        ways[edge.source].append(edge)
    names = {node.id: one_line(node.title, 48) for node in diagram.nodes}
    for node in diagram.nodes:
        table.add_row(_node(node), Text(one_line(node.detail), style=MUTED), _ways(ways[node.id], names))
    parts: list[RenderableType] = [title]
    if diagram.notice_status:
        parts.append(Text(one_line(diagram.notice, 200), style=STYLES[diagram.notice_status]))
    return Group(*parts, Text(), table)


def run_view(trace: Trace) -> RenderableType:
    """Return a run: how it stands, its tasks in the order they were spawned, what was decided, and the error."""
    status = run_status(trace)
    head = Text.assemble(
        (f"{GLYPHS[status]} {one_line(trace.definition.name)}", f"bold {STYLES[status]}"),
        (f"  {notice(trace)}", STYLES[status]),
    )
    since = f"v{trace.definition.version} · {' · '.join(facts(trace))} · started {moment(trace.created)}"
    parts: list[RenderableType] = [head, Text(since, style=MUTED), Text(), _tasks(trace)]
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
        rows.append(Text(row, style=MUTED if edge.taken == 0 else ""))
    return Text("\n").join(rows)


def _tasks(trace: Trace) -> Table:
    table = _table("task", "status", "tries", "took", "tokens", "cost", "note")
    for column in table.columns[2:6]:
        column.justify = "right"
    for node, group in groupby(trace.tasks, key=lambda task: (task.node, task.index is None)):
        tasks = list(group)
        if len(tasks) <= MAX_STRIP:
            for task in tasks:
                table.add_row(*_task(task, trace))
        else:
            table.add_row(*_many(node[0], tasks))
            for task in [task for task in tasks if task.status == "failed"][:MAX_STRIP]:
                table.add_row(*_task(task, trace))
    return table


def _task(task: TaskTrace, trace: Trace) -> Iterator[Text]:
    status = task_status(task)
    seconds = task_seconds(task, trace)
    usage = task.usage
    yield Text(f"{GLYPHS[status]} {one_line(task_name(task), 48)}", style=STYLES[status])
    yield Text(WORDS[status])
    yield Text(f"{RETRY} {task.attempts}" if task.attempts > 1 else str(task.attempts or ""))
    yield Text("" if seconds is None else duration(seconds))
    yield Text(count(usage.input_tokens + usage.output_tokens) if usage else "")
    yield Text(money(usage.cost) if usage and usage.cost is not None else "")
    yield Text(error_name(task.error) if task.error else "", style="red")


def _many(node: str, tasks: list[TaskTrace]) -> Iterator[Text]:
    done = sum(task.status == "completed" for task in tasks)
    counts = {status: sum(task_status(task) is status for task in tasks) for status in Status}
    usages = [task.usage for task in tasks if task.usage]
    costs = [usage.cost for usage in usages if usage.cost is not None]
    spans = [(task.finished - task.started).total_seconds() for task in tasks if task.started and task.finished]
    worst = next(status for status in _BY_WEIGHT if counts[status])
    yield Text(f"{GLYPHS[worst]} {one_line(node, 48)} × {len(tasks)}", style=STYLES[worst])
    yield Text(f"{done} of {len(tasks)} done")
    yield Text(str(sum(task.attempts for task in tasks)))
    yield Text(duration(sum(spans)) if spans else "")
    yield Text(count(sum(usage.input_tokens + usage.output_tokens for usage in usages)) if usages else "")
    yield Text(money(sum(costs)) if costs else "")
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
