"""Draw a workflow, a stored definition or a run, in any format: the one door to this room."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, assert_never, overload

from milepost.engine.definition import Definition, describe
from milepost.engine.trace import Trace
from milepost.engine.workflow import Workflow
from milepost.visualize.diagram import Diagram
from milepost.visualize.dot import dot
from milepost.visualize.folding import fold
from milepost.visualize.mermaid import mermaid
from milepost.visualize.nesting import readable
from milepost.visualize.palette import Theme

Format = Literal["mermaid", "dot", "svg", "png", "html", "text"]
Direction = Literal["TB", "LR"]
Subject = Workflow[Any, Any, Any, Any] | Definition | Trace

FORMATS: tuple[Format, ...] = ("mermaid", "dot", "svg", "png", "html", "text")


def picture(subject: Subject, *, types: bool = False, depth: int | None = None) -> Diagram:
    """Describe the picture of a workflow or definition as it was declared, or of a run as it went; never too large."""
    plain = subject if isinstance(subject, (Definition, Trace)) else describe(subject)
    return fold(readable(plain, types=types, depth=depth))


@overload
def render(
    subject: Subject,
    format: Literal["png"],
    *,
    theme: Theme = "light",
    direction: Direction = "TB",
    types: bool = False,
    legend: bool | None = None,
    depth: int | None = None,
) -> bytes: ...


@overload
def render(
    subject: Subject,
    format: Literal["mermaid", "dot", "svg", "html", "text"] = "mermaid",
    *,
    theme: Theme = "light",
    direction: Direction = "TB",
    types: bool = False,
    legend: bool | None = None,
    depth: int | None = None,
) -> str: ...


@overload
def render(
    subject: Subject,
    format: Format,
    *,
    theme: Theme = "light",
    direction: Direction = "TB",
    types: bool = False,
    legend: bool | None = None,
    depth: int | None = None,
) -> str | bytes: ...


def render(
    subject: Subject,
    format: Format = "mermaid",
    *,
    theme: Theme = "light",
    direction: Direction = "TB",
    types: bool = False,
    legend: bool | None = None,
    depth: int | None = None,
) -> str | bytes:
    """Draw `subject`: as it was declared, or with what happened when it is a trace.

    theme: "auto" suits a light and a dark page (a README, or a reader's own setting). direction: from top to bottom or
    from left to right. types: write on each edge what flows along it. legend: of the statuses in use; None for one in
    the picture of a run. depth: how many levels of workflows inside workflows are drawn open, as clusters; None for one
    level, if the picture stays small. Returns bytes for "png", else text. Mermaid, DOT and text need nothing installed.
    Raises InputError: a negative depth. DrawingError: SVG, PNG or HTML was asked for and no Graphviz is there (it says
    what to install), or it refused.
    """
    plain = subject if isinstance(subject, (Definition, Trace)) else describe(subject)
    diagram = picture(plain, types=types, depth=depth)
    match format:
        case "mermaid":
            return mermaid(diagram, theme, direction=direction, legend=legend)
        case "dot":
            return dot(diagram, theme, direction=direction, legend=legend)
        case "text":
            return _text(plain, diagram, depth)
        case "svg":
            svg: str = import_module("milepost.visualize.svg").svg(diagram, theme, direction=direction, legend=legend)
            return svg
        case "png":
            png: bytes = import_module("milepost.visualize.svg").png(diagram, theme, direction=direction, legend=legend)
            return png
        case "html":
            page = import_module("milepost.visualize.html").html
            text: str = page(diagram, plain, theme, types=types, direction=direction, legend=legend)
            return text
        case _:
            assert_never(format)


def _text(subject: Definition | Trace, diagram: Diagram, depth: int | None) -> str:
    terminal = import_module("milepost.visualize.terminal")
    view = terminal.run_view(subject, depth=depth) if isinstance(subject, Trace) else terminal.flow_view(diagram)
    text: str = terminal.plain(view)
    return text
