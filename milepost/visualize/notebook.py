"""What a notebook shows: a picture where something can draw one, or else Mermaid, and text in any case."""

from __future__ import annotations

from milepost.engine.trace import Trace
from milepost.visualize.layout import DrawingError
from milepost.visualize.palette import LIGHT
from milepost.visualize.render import Subject, render

SVG = "image/svg+xml"
MERMAID = "text/vnd.mermaid"
MARKDOWN = "text/markdown"
TEXT = "text/plain"


def bundle(subject: Subject) -> dict[str, str]:
    """Return what a notebook may show, by media type.

    Where no Graphviz is there it is Mermaid, which JupyterLab 4.1 and Notebook 7.1 draw, bare and in Markdown, which
    other notebooks draw as well.
    """
    text = render(subject, "text")
    svg = svg_or_none(subject)
    if svg is not None:
        return {SVG: svg, TEXT: text}
    mermaid = render(subject, "mermaid", theme="auto")
    return {MERMAID: mermaid, MARKDOWN: f"```mermaid\n{mermaid}```\n", TEXT: text}


def svg_or_none(subject: Subject) -> str | None:
    """Return the picture, on a page of its own colour, as a notebook's may be light or dark; None without Graphviz."""
    try:
        svg = render(subject, "svg", legend=isinstance(subject, Trace))
    except DrawingError:
        return None
    head, rest = svg.split(">", 1)
    return f'{head}><rect width="100%" height="100%" rx="8" fill="{LIGHT.page}"/>{rest}'
