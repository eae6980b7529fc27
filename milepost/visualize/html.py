"""A picture as one HTML file: no network, no script, readable without seeing it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from typing import Final

from milepost.engine.definition import Definition
from milepost.visualize.diagram import Diagram
from milepost.visualize.escape import clean, markup, one_line
from milepost.visualize.layout import Layout
from milepost.visualize.nesting import Subject, drawn, paths
from milepost.visualize.palette import DARK, LIGHT, Palette, Theme
from milepost.visualize.panels import every, links, panels, sections
from milepost.visualize.svg import draw
from milepost.visualize.tables import declared_tables, run_tables
from milepost.visualize.terminal import error_text

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
td{overflow-wrap:anywhere}
td.n,th.n{text-align:right;white-space:nowrap}
td.s{white-space:nowrap}
pre{margin:0;padding:.9rem 1rem;border:1px solid var(--border);border-radius:.75rem;
  overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.why{color:var(--muted)}
tr.run th{color:var(--title);background:var(--border)}
details{margin:.6rem 0 0;border:1px solid var(--border);border-radius:.75rem}
summary{padding:.55rem .9rem;cursor:pointer;color:var(--title);overflow-wrap:anywhere}
details>div{padding:0 .9rem .9rem}
details figure{margin-top:.25rem}
details h2{margin:1.25rem 0 .5rem;font-size:.95rem}
svg a:hover text{text-decoration:underline}
footer{margin-top:2.5rem;color:var(--muted);font-size:.85rem}
""".strip()


def html(
    diagram: Diagram,
    subject: Subject,
    theme: Theme = "auto",
    *,
    types: bool = False,
    direction: str = "TB",
    legend: bool | None = None,
    layout: Layout | None = None,
) -> str:
    """Return one page with the picture of a definition and its nodes, or of a run and its tasks.

    What is inside a sub-workflow can be unfolded; its node in the picture leads there. theme: "auto" follows the
    reader's own setting. types: as the picture was described. The page may load and run nothing: its content policy
    allows its own style sheet by hash and that is all.
    Raises DrawingError: there is no Graphviz, or it refused.
    """
    paint = partial(draw, theme=theme, direction=direction, legend=legend, heading=False, layout=layout)
    inner = panels(subject, types=types)
    known = tuple(every(inner))
    drawing = paint(diagram, links=links(diagram, known))
    where = paths(diagram)
    shown = {where[cluster.id] for cluster in diagram.clusters}
    drawings = {
        panel.id: paint(panel.diagram, prefix=f"{panel.id}_", links=links(panel.diagram, panel.inner, panel.path))
        for panel in known
        if panel.path not in shown
    }
    sheet = _colours(theme) + _SHEET + drawing.css + "".join(one.css for one in drawings.values())
    policy = f"default-src 'none'; style-src 'sha256-{_digest(sheet)}'; base-uri 'none'; form-action 'none'"
    title = " · ".join(part for part in (one_line(diagram.name), one_line(diagram.notice, 120)) if part)
    figures = {id_: one.element for id_, one in drawings.items()}
    flat = drawn(subject, types=types) if diagram.clusters else diagram
    inside = ("<h2>Inside</h2>", *sections(inner, figures)) if inner else ()
    body = "\n".join((*_head(diagram), f"<figure>{drawing.element}</figure>", *inside, *_tables(flat, subject)))
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


def _tables(diagram: Diagram, subject: Subject) -> Iterator[str]:
    if isinstance(subject, Definition):
        yield from declared_tables(diagram)
        return
    yield from run_tables(diagram, subject)
    error = error_text(subject)
    if error:
        yield f"<h2>Error</h2>\n<pre>{markup(error)}</pre>"
    elif subject.output is not None:
        yield f"<h2>Output</h2>\n<pre>{markup(_cut(subject.output))}</pre>"


def _cut(text: str, limit: int = 20_000) -> str:
    text = clean(text)
    return text if len(text) <= limit else f"{text[:limit]}…"
