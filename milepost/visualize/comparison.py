"""Draw what has changed between two versions of a workflow, or where two runs part, in any format but a page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Literal, assert_never

from milepost.engine.definition import Definition, describe
from milepost.engine.difference import Difference
from milepost.engine.report import Report
from milepost.engine.trace import Trace
from milepost.engine.workflow import Workflow
from milepost.visualize.changes import changed
from milepost.visualize.diagram import Diagram
from milepost.visualize.dot import dot
from milepost.visualize.folding import fold
from milepost.visualize.mermaid import mermaid
from milepost.visualize.palette import Theme
from milepost.visualize.parting import parted
from milepost.visualize.render import Direction, Subject
from milepost.visualize.selection import part

PaintedFormat = Literal["mermaid", "dot", "svg", "png", "text"]


def render_changes(
    one: Subject,
    other: Subject,
    format: PaintedFormat = "mermaid",
    *,
    theme: Theme = "light",
    direction: Direction = "TB",
    types: bool = False,
    legend: bool | None = None,
    depth: int | None = None,
    only: Sequence[str] = (),
    collapse: Sequence[str] = (),
) -> str | bytes:
    """Draw what of `one` has become `other`: nodes and edges that were added, removed or changed.

    A trace stands for the definition that its run follows. depth: how many levels of changed workflows inside are drawn
    open; None for one, if the picture stays small. The other options, what is returned and what is raised: as in
    `render`.
    """
    diagram = changed(definition_of(one), definition_of(other), types=types, depth=depth)
    diagram = fold(part(diagram, only=only, collapse=collapse))
    return paint(diagram, format, theme=theme, direction=direction, legend=legend)


def render_difference(
    one: Trace,
    other: Trace,
    found: Difference,
    format: PaintedFormat = "mermaid",
    *,
    theme: Theme = "light",
    direction: Direction = "TB",
    types: bool = False,
    legend: bool | None = None,
) -> str | bytes:
    """Draw two runs of one workflow as one picture: what both did, what only one did, and where they part.

    found: what `engine.diff` says of them. The other options, what is returned and what is raised: as in `render`.
    """
    return paint(fold(parted(one, other, found, types=types)), format, theme=theme, direction=direction, legend=legend)


def definition_of(subject: Subject) -> Definition:
    """Return what a workflow declares, or what a run follows."""
    if isinstance(subject, Workflow):
        return describe(subject)
    if isinstance(subject, Report):
        subject = subject.trace
    return subject.definition if isinstance(subject, Trace) else subject


def paint(
    diagram: Diagram,
    format: PaintedFormat,
    *,
    theme: Theme = "light",
    direction: Direction = "TB",
    legend: bool | None = None,
) -> str | bytes:
    """Draw a picture that has been described. Raises DrawingError: there is no Graphviz, or it refused."""
    match format:
        case "mermaid":
            return mermaid(diagram, theme, direction=direction, legend=legend)
        case "dot":
            return dot(diagram, theme, direction=direction, legend=legend)
        case "text":
            terminal = import_module("milepost.visualize.terminal")
            text: str = terminal.plain(terminal.flow_view(diagram))
            return text
        case "svg":
            svg: str = import_module("milepost.visualize.svg").svg(diagram, theme, direction=direction, legend=legend)
            return svg
        case "png":
            png: bytes = import_module("milepost.visualize.svg").png(diagram, theme, direction=direction, legend=legend)
            return png
        case _:
            assert_never(format)
