"""A picture as one HTML file: no network, readable without seeing it; of a run with all that its steps did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from milepost.engine.definition import Definition
from milepost.engine.report import Report
from milepost.visualize.diagram import Diagram
from milepost.visualize.document import document
from milepost.visualize.escape import one_line
from milepost.visualize.layout import Layout
from milepost.visualize.nesting import Subject, drawn, paths
from milepost.visualize.palette import Theme
from milepost.visualize.panels import Panel, every, links, panels, sections
from milepost.visualize.run_data import run_data, script_text
from milepost.visualize.run_page import SCRIPTS, head, run_body
from milepost.visualize.svg import draw
from milepost.visualize.tables import declared_tables
from milepost.visualize.timeline import timeline
from milepost.visualize.timeline_svg import timeline_drawing


def html(
    diagram: Diagram,
    subject: Subject,
    theme: Theme = "auto",
    *,
    report: Report | None = None,
    types: bool = False,
    direction: str = "TB",
    legend: bool | None = None,
    layout: Layout | None = None,
) -> str:
    """Return one page with the picture of a definition and its nodes, or of a run and its steps.

    What is inside a sub-workflow can be unfolded; its node in the picture leads there. theme: "auto" follows the
    reader's own setting. report: of the same run, for what its steps were given and gave and how its state changed.
    types: as the picture was described. The page loads nothing: its content policy allows its own style sheet and its
    own script by hash, and that is all. Raises DrawingError: there is no Graphviz, or it refused.
    """
    paint = partial(draw, theme=theme, direction=direction, legend=legend, heading=False, layout=layout)
    found = panels(subject, types=types)
    known = tuple(every(found))
    drawing = paint(diagram, links=links(diagram, known))
    where = paths(diagram)
    shown = {where[cluster.id] for cluster in diagram.clusters}
    drawings = {
        panel.id: paint(panel.diagram, prefix=f"{panel.id}_", links=links(panel.diagram, panel.inner, panel.path))
        for panel in known
        if panel.path not in shown
    }
    sheets = ("page.css", drawing.css + "".join(one.css for one in drawings.values()))
    title = " · ".join(part for part in (one_line(diagram.name), one_line(diagram.notice, 120)) if part)
    inside = _inside(found, {id_: one.element for id_, one in drawings.items()})
    flat = drawn(subject, types=types) if diagram.clusters else diagram
    if isinstance(subject, Definition):
        body = "\n".join((*head(diagram), _figure(drawing.element), *inside, *declared_tables(flat)))
        return document(title=title, theme=theme, body=f"<main>\n{body}\n{_FOOT}\n</main>", sheets=sheets)
    data = run_data(report, subject, diagram, links(diagram, known))
    times = timeline_drawing(timeline(subject), theme, heading=False)
    parts = run_body(
        diagram, flat, subject, report, picture=drawing.element, timeline=times.element, inside=tuple(inside)
    )
    body = "\n".join(parts)
    return document(
        title=title,
        theme=theme,
        body=f"<main>\n{body}\n{_FOOT}\n</main>",
        sheets=(*sheets, times.css, "run_page.css"),
        scripts=SCRIPTS,
        data=script_text(data),
    )


_FOOT = "<footer>Drawn by Milepost</footer>"


def _figure(element: str) -> str:
    return f'<figure tabindex="0" role="region" aria-label="The picture">{element}</figure>'


def _inside(found: tuple[Panel, ...], figures: Mapping[str, str]) -> Iterator[str]:
    if found:
        yield "<h2>Inside</h2>"
        yield from sections(found, figures)
