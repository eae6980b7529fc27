"""What the page of a run says in its markup: all of it can be read without the script, which adds the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from milepost.engine.report import Report
from milepost.engine.trace import Trace
from milepost.visualize.diagram import Diagram
from milepost.visualize.escape import clean, markup, one_line
from milepost.visualize.run_data import MOST
from milepost.visualize.tables import edge_table, step_table
from milepost.visualize.terminal import error_text, moment

SCRIPTS: Final = (
    "run_texts.js",
    "run_moments.js",
    "run_graph.js",
    "run_steps.js",
    "run_panel.js",
    "run_timeline.js",
    "run_page.js",
)

LONGEST: Final = 20_000
"""How many characters of the output, or of the error that ended the run, are shown."""

_KEYS: Final = (
    ("j", "k", "the next step, the one before"),
    ("[", "]", "the checkpoint before, the next one"),
    ("g", "", "the graph"),
    ("t", "", "the timeline"),
    ("+", "-", "spread its time out, and back"),
    ("l", "", "the list of steps"),
    ("s", "", "the state"),
    ("/", "", "look for a step"),
    ("Esc", "", "close the panel"),
    ("?", "", "this help"),
)


def head(diagram: Diagram) -> Iterator[str]:
    """Yield the name of a workflow, how a run of it stands, and what is known in a line."""
    yield f"<h1>{markup(one_line(diagram.name))}</h1>"
    if diagram.notice_status:
        yield f'<p class="chip {diagram.notice_status}">{markup(one_line(diagram.notice, 200))}</p>'
    yield f'<p class="facts">{markup(" · ".join(diagram.facts))}</p>'


def run_body(
    diagram: Diagram,
    flat: Diagram,
    trace: Trace,
    report: Report | None,
    *,
    picture: str,
    timeline: str,
    inside: Iterable[str],
) -> Iterator[str]:
    """Yield the parts of the page of a run.

    flat: the picture with everything closed, for the table of edges. picture, timeline: SVG. inside: what is in its
    sub-workflows.
    """
    yield "<header><div>"
    yield from head(diagram)
    yield f'<p class="facts">Started {moment(trace.created)}</p>'
    yield '</div><button type="button" id="help-button" aria-label="Keys">?</button></header>'
    yield from _result(trace)
    if report is not None:
        yield from _bar(report)
    yield '<div class="work"><div>'
    yield '<section id="graph"><div class="heading"><h2 tabindex="-1">Graph</h2>'
    yield '<button type="button" id="size" class="tools" hidden>Fit</button></div>'
    yield f'<figure tabindex="0" role="region" aria-label="The picture of the run">{picture}</figure></section>'
    yield from _timeline(timeline)
    yield _section("steps", "Steps")
    yield from _tools()
    if len(trace.tasks) > MOST:
        yield f'<p class="note">The first {MOST:,} of {len(trace.tasks):,} steps.</p>'
    yield from step_table(trace)
    yield "</section>"
    if report is not None and any(one.patch for one in report.checkpoints):
        yield _section("state", 'State <small id="state-at"></small>')
        yield '<div id="state-body"><p class="note">The script of this page shows it.</p></div></section>'
    yield from inside
    yield from edge_table(flat)
    yield "</div>"
    yield from _panel()
    yield "</div>"
    yield from _help()
    yield '<p id="said" class="unseen" aria-live="polite"></p>'


def _timeline(drawing: str) -> Iterator[str]:
    yield '<section id="timeline"><div class="heading"><h2 tabindex="-1">Timeline</h2><div class="tools">'
    for id_, sign, what in (("wider", "−", "Less of it"), ("closer", "+", "Spread it out"), ("all", "Whole", "Whole")):
        yield f'<button type="button" id="{id_}" aria-label="{what}">{sign}</button>'
    yield f'</div></div><figure tabindex="0" role="region" aria-label="The timeline">{drawing}</figure></section>'


def _section(id_: str, title: str) -> str:
    return f'<section id="{id_}"><h2 tabindex="-1">{title}</h2>'


def _result(trace: Trace) -> Iterator[str]:
    """Yield what ended the run: the error in full, or the output."""
    error = error_text(trace)
    if error:
        yield _shown("Error", error, "result failure")
    elif trace.output is not None:
        yield _shown("Output", trace.output, "result")


def _shown(name: str, text: str, look: str) -> str:
    box = f'<pre class="{look}" id="result" tabindex="0" role="region" aria-label="{name}" dir="auto">'
    return f'<p class="called">{name}</p>{box}{markup(_cut(text))}</pre>'


def _cut(text: str) -> str:
    text = clean(text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _bar(report: Report) -> Iterator[str]:
    """Yield the bar that goes through the checkpoints."""
    last = min(len(report.checkpoints), MOST)
    if not last:
        return
    yield '<div id="bar" role="group" aria-label="Checkpoints">'
    yield '<button type="button" id="back" aria-label="The checkpoint before">‹</button>'
    yield '<button type="button" id="forth" aria-label="The next checkpoint">›</button>'
    yield f'<input type="range" id="slider" min="1" max="{last}" value="{last}" aria-label="Checkpoint">'
    yield '<output for="slider"><span id="where"></span><span id="what"></span></output>'
    yield '<button type="button" id="now">Newest</button></div>'
    if len(report.checkpoints) > last:
        yield f'<p class="note">The first {last:,} of {len(report.checkpoints):,} checkpoints.</p>'


def _tools() -> Iterator[str]:
    what = "Look for a step"
    yield f'<div class="tools"><input type="search" id="find" placeholder="{what}" aria-label="{what}">'
    yield '<p class="count" aria-live="polite"></p>'
    yield '<button type="button" id="earlier">Earlier</button><button type="button" id="later">Later</button></div>'


def _panel() -> Iterator[str]:
    yield '<aside id="panel" tabindex="0" aria-label="The chosen step">'
    yield '<button type="button" id="close" aria-label="Close">×</button>'
    yield '<div id="about"><p class="note hint">Choose a node or a step to see what went in and came out. '
    yield "<kbd>j</kbd> and <kbd>k</kbd> go through the steps, <kbd>?</kbd> tells all keys.</p></div></aside>"


def _help() -> Iterator[str]:
    yield '<dialog id="help" aria-labelledby="help-title"><h2 id="help-title">Keys</h2><dl>'
    for one, other, what in _KEYS:
        keys = f"<kbd>{one}</kbd>" + (f" <kbd>{other}</kbd>" if other else "")
        yield f"<dt>{keys}</dt><dd>{what}</dd>"
    yield '</dl><button type="button">Close</button></dialog>'
