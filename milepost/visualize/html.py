"""A picture as one HTML file: no network, no script, readable without seeing it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final

from milepost.engine.trace import TaskTrace, Trace
from milepost.visualize.diagram import Diagram
from milepost.visualize.escape import clean, markup, one_line
from milepost.visualize.layout import Layout
from milepost.visualize.overlay import task_name, task_seconds, task_status
from milepost.visualize.palette import DARK, GLYPHS, LIGHT, RETRY, WORDS, Palette, Theme
from milepost.visualize.svg import draw
from milepost.visualize.terminal import error_text, moment
from milepost.visualize.wording import count, duration, money

MAX_ROWS: Final = 1000
"""Tasks that the table lists; more would freeze a browser. The JSON of the trace has them all."""

_SHEET: Final = """
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,"Segoe UI",Arial,sans-serif}
main{max-width:76rem;margin:0 auto;padding:2rem 1.25rem 3rem}
h1{margin:0;font-size:1.6rem;color:var(--title);overflow-wrap:anywhere}
h2{margin:2.5rem 0 .75rem;font-size:1.05rem;color:var(--title)}
.facts{margin:.35rem 0 0;color:var(--muted);overflow-wrap:anywhere}
.chip{display:inline-block;margin:.6rem 0 0;padding:.1rem .7rem;border:1.5px solid;border-radius:1rem;font-weight:600}
figure{margin:1.5rem 0 0;padding:.5rem;border:1px solid
var(--border);border-radius:.75rem;overflow:auto;text-align:center} svg{max-width:100%;height:auto}
.scroll{overflow-x:auto;border:1px solid var(--border);border-radius:.75rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.45rem .8rem;text-align:left;vertical-align:top;border-top:1px solid var(--border)}
thead th{border-top:0;color:var(--muted);font-weight:600;white-space:nowrap}
tbody th{color:var(--title);font-weight:600;min-width:9rem;overflow-wrap:break-word}
td{overflow-wrap:break-word}
td.n,th.n{text-align:right;white-space:nowrap}
td.s{white-space:nowrap}
pre{margin:0;padding:.9rem 1rem;border:1px solid var(--border);border-radius:.75rem;
  overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.why{color:var(--muted)}
footer{margin-top:2.5rem;color:var(--muted);font-size:.85rem}
""".strip()


def html(
    diagram: Diagram,
    trace: Trace | None = None,
    theme: Theme = "auto",
    *,
    direction: str = "TB",
    legend: bool | None = None,
    layout: Layout | None = None,
) -> str:
    """Return one page with the picture and a table of the nodes, or of the tasks when `trace` is given.

    theme: "auto" follows the reader's own setting. The page may load and run nothing: its content policy allows its own
    style sheet by hash and that is all.
    Raises DrawingError: there is no Graphviz, or it refused.
    """
    drawing = draw(diagram, theme, direction=direction, legend=legend, heading=False, layout=layout)
    sheet = _colours(theme) + _SHEET + drawing.css
    policy = f"default-src 'none'; style-src 'sha256-{_digest(sheet)}'; base-uri 'none'; form-action 'none'"
    title = " · ".join(part for part in (one_line(diagram.name), one_line(diagram.notice, 120)) if part)
    body = "\n".join((*_head(diagram), f"<figure>{drawing.element}</figure>", *_tables(diagram, trace)))
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f'<meta name="color-scheme" content="{"light dark" if theme == "auto" else theme}">\n'
        f"<title>{markup(title)}</title>\n<style>{sheet}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n<footer>Drawn by Milepost</footer>\n</main>\n</body>\n</html>\n"
    )


def _digest(sheet: str) -> str:
    return b64encode(sha256(sheet.encode()).digest()).decode()


def _colours(theme: Theme) -> str:
    if theme == "auto":
        return f"{_variables(LIGHT)}\n@media (prefers-color-scheme:dark){{{_variables(DARK)}}}\n"
    return _variables(DARK if theme == "dark" else LIGHT) + "\n"


def _variables(colours: Palette) -> str:
    names = ("page", "title", "text", "muted", "border")
    variables = "".join(f"--{name}:{getattr(colours, name)};" for name in names)
    chips = "".join(
        f".{status}{{background:{style.fill};border-color:{style.stroke};color:{style.text}}}"
        for status, style in colours.statuses.items()
    )
    return f":root{{{variables}}}{chips}"


def _head(diagram: Diagram) -> Iterator[str]:
    yield f"<h1>{markup(one_line(diagram.name))}</h1>"
    if diagram.notice_status:
        yield f'<p class="chip {diagram.notice_status}">{markup(one_line(diagram.notice, 200))}</p>'
    yield f'<p class="facts">{markup(" · ".join(diagram.facts))}</p>'


def _tables(diagram: Diagram, trace: Trace | None) -> Iterator[str]:
    if trace is None:
        yield from _section("Nodes", ("Node", "Kind", "About"), _nodes(diagram))
        yield from _section("Edges", ("From", "To", "When"), _edges(diagram))
        return
    columns = ("Task", "Status", "Tries", "Started", "Took", "Tokens", "Cost", "Note")
    yield from _section("Tasks", columns, (_task(task, trace) for task in trace.tasks[:MAX_ROWS]))
    if len(trace.tasks) > MAX_ROWS:
        yield f'<p class="facts">The first {MAX_ROWS} of {len(trace.tasks)} tasks.</p>'
    yield from _section("Edges", ("From", "To", "What happened"), _edges(diagram))
    error = error_text(trace)
    if error:
        yield f"<h2>Error</h2>\n<pre>{markup(error)}</pre>"
    elif trace.output is not None:
        yield f"<h2>Output</h2>\n<pre>{markup(_cut(trace.output))}</pre>"


def _section(title: str, columns: Iterable[str], rows: Iterable[str]) -> Iterator[str]:
    numbers = {"Tries", "Took", "Tokens", "Cost"}
    cells = "".join(f'<th scope="col"{" class=n" if name in numbers else ""}>{name}</th>' for name in columns)
    yield f'<h2>{title}</h2>\n<div class="scroll"><table>\n<thead><tr>{cells}</tr></thead>\n<tbody>'
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
    seconds = task_seconds(task, trace)
    usage = task.usage
    cells = (
        ("n", f"{RETRY} {task.attempts}" if task.attempts > 1 else str(task.attempts or "")),
        ("s", moment(task.started) if task.started else ""),
        ("n", "" if seconds is None else duration(seconds)),
        ("n", count(usage.input_tokens + usage.output_tokens) if usage else ""),
        ("n", money(usage.cost) if usage and usage.cost is not None else ""),
        ("", one_line(task.error, 300) if task.error else ""),
    )
    rest = "".join(f'<td class="{name}">{markup(text)}</td>' for name, text in cells)
    name = markup(one_line(task_name(task)))
    return f'<tr><th scope="row">{name}</th><td class="s">{GLYPHS[status]} {WORDS[status]}</td>{rest}</tr>'


def _cut(text: str, limit: int = 20_000) -> str:
    text = clean(text)
    return text if len(text) <= limit else f"{text[:limit]}…"
