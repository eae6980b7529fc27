"""Draw a workflow, a stored definition or a run, in any format: the one door to this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from importlib import import_module
from typing import Any, Literal, assert_never, overload

from milepost.engine.definition import Definition, describe
from milepost.engine.errors import InputError
from milepost.engine.report import Report
from milepost.engine.trace import Trace
from milepost.engine.workflow import Workflow
from milepost.visualize.children import as_of
from milepost.visualize.diagram import Diagram
from milepost.visualize.dot import dot
from milepost.visualize.folding import fold
from milepost.visualize.lanes import By
from milepost.visualize.mermaid import mermaid
from milepost.visualize.nesting import drawn, readable
from milepost.visualize.palette import Theme
from milepost.visualize.selection import part

Format = Literal["mermaid", "dot", "svg", "png", "html", "text", "timeline", "gantt"]
Direction = Literal["TB", "LR"]
Kind = Literal["overlay", "steps"]
Subject = Workflow[Any, Any, Any, Any] | Definition | Trace | Report

FORMATS: tuple[Format, ...] = ("mermaid", "dot", "svg", "png", "html", "text", "timeline", "gantt")


def picture(
    subject: Subject,
    *,
    types: bool = False,
    depth: int | None = None,
    only: Sequence[str] = (),
    collapse: Sequence[str] = (),
    kind: Kind = "overlay",
) -> Diagram:
    """Describe the picture of a workflow or definition as it was declared, or of a run as it went; never too large.

    The options are those of `render`.
    """
    plain = _plain(subject)
    if kind == "steps":
        if not isinstance(plain, Trace):
            raise InputError("Steps are drawn of a run; a workflow has none. Draw it as it is declared, or draw a run.")
        steps: Diagram = import_module("milepost.visualize.steps").stepped(plain)
        return part(steps, only=only, collapse=collapse)
    if depth and (only or collapse):  # who says what is left out need not be saved from a large picture
        return fold(part(drawn(plain, types=types, depth=depth), only=only, collapse=collapse))
    return fold(part(readable(plain, types=types, depth=depth), only=only, collapse=collapse))


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
    only: Sequence[str] = (),
    collapse: Sequence[str] = (),
    kind: Kind = "overlay",
    lanes: By = "node",
    now: datetime | None = None,
) -> bytes: ...


@overload
def render(
    subject: Subject,
    format: Literal["mermaid", "dot", "svg", "html", "text", "timeline", "gantt"] = "mermaid",
    *,
    theme: Theme = "light",
    direction: Direction = "TB",
    types: bool = False,
    legend: bool | None = None,
    depth: int | None = None,
    only: Sequence[str] = (),
    collapse: Sequence[str] = (),
    kind: Kind = "overlay",
    lanes: By = "node",
    now: datetime | None = None,
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
    only: Sequence[str] = (),
    collapse: Sequence[str] = (),
    kind: Kind = "overlay",
    lanes: By = "node",
    now: datetime | None = None,
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
    only: Sequence[str] = (),
    collapse: Sequence[str] = (),
    kind: Kind = "overlay",
    lanes: By = "node",
    now: datetime | None = None,
) -> str | bytes:
    """Draw `subject`: as it was declared, or with what happened when it is a trace or a report.

    A page made of a report also tells what every step was given and gave, and how the state changed.

    theme: "auto" suits a light and a dark page (a README, or a reader's own setting). direction: from top to bottom or
    from left to right. types: write on each edge what flows along it. legend: of the statuses in use in the picture of
    a run, of the kinds of nodes in that of a definition; None for one of a run only. depth: how many levels of
    workflows inside workflows are drawn open, as clusters; None for one level, if the picture stays small. only: the
    names of nodes; these are drawn, and what joins them. collapse: what is drawn as one box: "first..last", all that is
    on a way between two nodes; "a,b,c", these nodes; the name of a node that runs a workflow, with all that is in it.
    kind: of the picture of a run, "overlay", on what was declared, or "steps", one box for each visit and attempt.
    lanes: of the timeline of a run, which "timeline" draws as SVG and "gantt" as Mermaid: one per node, or one per
    branch; theme, legend, depth and now are its only other options. now: the moment up to which a run is drawn that
    goes on or waits, aware, as the commands draw it; None for its newest record. A run that is over, or that nobody
    drives, ends where it ended.
    Returns bytes for "png", else text. Mermaid, DOT, text and timelines need nothing installed.
    Raises InputError: a negative depth, a name that no node has, steps or a timeline of what has not run, a moment
    without a time zone. DrawingError: SVG, PNG or HTML was asked for and no Graphviz is there (it says what to
    install), or it refused.
    """
    subject = subject if now is None else _at(subject, now)
    plain = _plain(subject)
    if format == "timeline" or format == "gantt":
        return _timeline(plain, format, theme, legend=legend, depth=depth, lanes=lanes)
    diagram = picture(plain, types=types, depth=depth, only=only, collapse=collapse, kind=kind)
    match format:
        case "mermaid":
            return mermaid(diagram, theme, direction=direction, legend=legend)
        case "dot":
            return dot(diagram, theme, direction=direction, legend=legend)
        case "text":
            whole = kind == "overlay" and not only and not collapse
            return _text(plain if whole else None, diagram, depth)
        case "svg":
            svg: str = import_module("milepost.visualize.svg").svg(diagram, theme, direction=direction, legend=legend)
            return svg
        case "png":
            png: bytes = import_module("milepost.visualize.svg").png(diagram, theme, direction=direction, legend=legend)
            return png
        case "html":
            page = import_module("milepost.visualize.html").html
            report = subject if isinstance(subject, Report) else None
            text: str = page(diagram, plain, theme, report=report, types=types, direction=direction, legend=legend)
            return text
        case _:
            assert_never(format)


def _plain(subject: Subject) -> Definition | Trace:
    if isinstance(subject, Report):
        return subject.trace
    return subject if isinstance(subject, (Definition, Trace)) else describe(subject)


def _at(subject: Subject, now: datetime) -> Subject:
    """Return a run as it stands at a moment, and anything else as it is."""
    if now.tzinfo is None:
        raise InputError(f"now={now.isoformat()} has no time zone. Give an aware moment, as datetime.now(UTC) is.")
    match subject:
        case Trace():
            return as_of(subject, now)
        case Report():
            return replace(subject, trace=as_of(subject.trace, now))
        case _:
            return subject


def _text(subject: Definition | Trace | None, diagram: Diagram, depth: int | None) -> str:
    """Write a run as its tasks, anything else as its flow. subject: None where the diagram is all that is wanted."""
    terminal = import_module("milepost.visualize.terminal")
    view = terminal.run_view(subject, depth=depth) if isinstance(subject, Trace) else terminal.flow_view(diagram)
    text: str = terminal.plain(view)
    return text


def _timeline(
    subject: Definition | Trace,
    format: Literal["timeline", "gantt"],
    theme: Theme,
    *,
    legend: bool | None,
    depth: int | None,
    lanes: By,
) -> str:
    if not isinstance(subject, Trace):
        raise InputError(
            f"A timeline is of a run, and {subject.name!r} is a workflow as it is declared. "
            "Draw one of its runs: milepost trace RUN, or the trace that await engine.trace(run_id) returns."
        )
    shown = import_module("milepost.visualize.timeline").timeline(subject, by=lanes, depth=depth)
    if format == "gantt":
        text: str = import_module("milepost.visualize.gantt").gantt(shown, theme)
        return text
    svg: str = import_module("milepost.visualize.timeline_svg").timeline_svg(shown, theme, legend=legend is not False)
    return svg
