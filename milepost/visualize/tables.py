"""The tables of a page: nodes and edges, and what the tasks of a run did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from milepost.engine.trace import TaskTrace, Trace
from milepost.visualize.children import child_of, children_of, usage_of
from milepost.visualize.diagram import Diagram
from milepost.visualize.escape import markup, one_line
from milepost.visualize.overlay import run_status, task_name, task_seconds, task_status
from milepost.visualize.palette import GLYPHS, RETRY, WORDS
from milepost.visualize.wording import count, duration, money

FIRST_ROWS: Final = 200
"""Tasks of a run that stand in the markup of its page."""
MAX_ROWS: Final = 1000
"""Tasks that a table lists; more would freeze a browser. The JSON of the trace has them all."""

_TASK_COLUMNS: Final = ("Step", "Status", "Tries", "Began", "Took", "Tokens", "Cost", "Note")
_NUMBERS: Final = frozenset({"Tries", "Began", "Took", "Tokens", "Cost"})


def declared_tables(diagram: Diagram) -> Iterator[str]:
    """Yield what a definition has: its nodes and edges."""
    yield from _section("Nodes", ("Node", "Kind", "About"), _nodes(diagram))
    yield from _section("Edges", ("From", "To", "When"), _edges(diagram))


def step_table(trace: Trace) -> Iterator[str]:
    """Yield the first tasks of a run; the script of its page shows the others."""
    rows = (_task(task, trace) for task in trace.tasks)
    yield from _table("Steps", _TASK_COLUMNS, islice(rows, FIRST_ROWS))
    if len(trace.tasks) > FIRST_ROWS:
        yield f'<noscript><p class="note">The first {FIRST_ROWS} of {len(trace.tasks)} steps.</p></noscript>'


def edge_table(diagram: Diagram) -> Iterator[str]:
    """Yield the edges of a run, and which of them it took."""
    yield from _section("Edges", ("From", "To", "What happened"), _edges(diagram))


def child_table(tasks: Sequence[TaskTrace], trace: Trace) -> Iterator[str]:
    """Yield what the runs did that some tasks of a run drive, one below the other.

    tasks: each of them drives one that was read. trace: of the run of these tasks.
    """
    children = children_of(tasks, trace)
    rows = islice(_child_rows(tasks, children), MAX_ROWS)
    yield from _section("Steps", _TASK_COLUMNS, rows, _more(sum(len(child.tasks) for child in children)))


def _child_rows(tasks: Sequence[TaskTrace], children: Sequence[Trace]) -> Iterator[str]:
    for task, child in zip(tasks, children, strict=True):
        status = run_status(child)
        head = f"{GLYPHS[status]} {one_line(task_name(task))} · run {one_line(child.run_id)}"
        yield f'<tr class="run"><th scope="rowgroup" colspan="{len(_TASK_COLUMNS)}">{markup(head)}</th></tr>'
        yield from (_task(inner, child) for inner in child.tasks)


def _more(number: int) -> str:
    return f"The first {MAX_ROWS} of {number} tasks." if number > MAX_ROWS else ""


def _section(title: str, columns: Iterable[str], rows: Iterable[str], note: str = "") -> Iterator[str]:
    yield f"<h2>{title}</h2>"
    yield from _table(title, columns, rows)
    if note:
        yield f'<p class="facts">{note}</p>'


def _table(title: str, columns: Iterable[str], rows: Iterable[str]) -> Iterator[str]:
    cells = "".join(f'<th scope="col"{" class=n" if name in _NUMBERS else ""}>{name}</th>' for name in columns)
    yield f'<div class="scroll" tabindex="0" role="group" aria-label="{title}"><table>'
    yield f"<thead><tr>{cells}</tr></thead>\n<tbody>"
    yield from rows
    yield "</tbody></table></div>"


def _nodes(diagram: Diagram) -> Iterator[str]:
    for node in diagram.nodes:
        kind = f"{node.base}, once per item" if node.kind == "map" else node.kind
        name = markup(f"{one_line(node.title)} {node.times}".rstrip())
        about = markup(one_line(node.tooltip, 300))
        yield f'<tr><th scope="row">{name}</th><td>{markup(kind)}</td><td>{about}</td></tr>'


def _edges(diagram: Diagram) -> Iterator[str]:
    names = {node.id: one_line(node.title) for node in diagram.nodes}
    for edge in diagram.edges:
        words = [one_line(line) for line in edge.lines] + ([one_line(edge.type)] if edge.type else [])
        if edge.taken is not None:
            words.append("taken" if edge.taken else "not taken")
        if edge.error:
            words.append("error edge")
        if edge.back:
            words.append("back")
        text = markup(" · ".join(words))
        look = ' class="why"' if edge.taken == 0 else ""
        source, target = markup(names[edge.source]), markup(names[edge.target])
        yield f"<tr{look}><td>{source}</td><td>{target}</td><td>{text}</td></tr>"


def _task(task: TaskTrace, trace: Trace) -> str:
    status = task_status(task)
    child = child_of(task, trace)
    notes = (one_line(task.error, 300) if task.error else "", f"run {one_line(child.run_id)[:12]}" if child else "")
    cells = [("n", text) for text in task_cells(task, trace)]
    cells.append(("why", " · ".join(note for note in notes if note)))
    rest = "".join(f'<td class="{name}">{markup(text)}</td>' for name, text in cells)
    name = markup(one_line(task_name(task)))
    return f'<tr><th scope="row">{name}</th><td class="s">{GLYPHS[status]} {WORDS[status]}</td>{rest}</tr>'


def task_cells(task: TaskTrace, trace: Trace) -> tuple[str, str, str, str, str]:
    """Return attempts, when a task began after the start of its run, how long it took, tokens and cost; "" for none."""
    seconds = task_seconds(task, trace)
    began = (task.started - trace.created).total_seconds() if task.started else 0.0
    usage = usage_of((task,), trace)
    return (
        f"{RETRY} {task.attempts}" if task.attempts > 1 else str(task.attempts or ""),
        f"+{duration(began)}" if began >= 0.001 else "+0 s" if task.started else "",
        "" if seconds is None else duration(seconds),
        count(usage.input_tokens + usage.output_tokens) if usage else "",
        money(usage.cost) if usage and usage.cost is not None else "",
    )
