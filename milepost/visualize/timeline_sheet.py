"""The style sheet of a timeline: the colours of a theme for its classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from milepost.visualize.packing import WORST_FIRST
from milepost.visualize.palette import DARK, LIGHT, Palette, Status, Theme

FONTS: Final = 'Inter,"Segoe UI",Arial,"Liberation Sans",Helvetica,sans-serif'

_SHAPES: Final = (
    f".tl text{{font-family:{FONTS};font-size:11px}}",
    ".tl .tl-name{font-size:19px;font-weight:700}.tl .tl-notice{font-size:13.5px;font-weight:600}",
    ".tl .tl-muted{font-size:12px}.tl .tl-title{font-size:12.5px;font-weight:600}.tl .tl-detail{font-size:10.5px}",
    ".tl .tl-tick,.tl .tl-gap,.tl .tl-label,.tl .tl-crowd-failed{text-anchor:middle}",
    ".tl .tl-end{text-anchor:end}.tl .tl-label{font-size:10.5px;pointer-events:none}",
    ".tl .tl-gap,.tl .tl-line-label{font-weight:600}.tl .tl-crowd-failed{font-size:9px;font-weight:700}",
    ".tl-hit{fill:none;pointer-events:all}.tl-grid,.tl-rule{stroke-width:1}.tl-base{stroke-width:1}",
    ".tl-path-line{fill:none;stroke-width:1.4;stroke-linejoin:round;pointer-events:none}",
    ".tl-fold-edge{fill:none;stroke-width:1.2}.tl-fold-back{opacity:.8}.tl-line line{stroke-width:1.6}",
    ".tl-forked line,.tl-edited line{stroke-dasharray:1 3}.tl-stopped line{stroke-dasharray:5 3}",
    ".tl-crowd-waiting{fill:none;stroke-width:1.2;stroke-dasharray:3 2}",
    ".tl-crowd-running{stroke-width:1.2}.tl-bar:hover .tl-ink{filter:brightness(1.12)}",
    ".tl-attempt .tl-ink{stroke-dasharray:3 2;stroke-width:1.2}",
    ".tl-people .tl-ink,.tl-world .tl-ink{stroke-width:1.4}",
)


def sheet(theme: Theme) -> str:
    """Return the style sheet. theme: "auto" has both, for the reader's own setting to choose from."""
    shapes = "".join(_SHAPES)
    if theme == "auto":
        return f"{shapes}{_colours(LIGHT)}@media (prefers-color-scheme:dark){{{_colours(DARK)}}}"
    return shapes + _colours(DARK if theme == "dark" else LIGHT)


def _colours(colours: Palette) -> str:
    return "".join(_rules(colours))


def _rules(colours: Palette) -> Iterator[str]:
    yield f".tl-name,.tl-title{{fill:{colours.title}}}"
    yield f".tl-muted,.tl-detail,.tl-tick{{fill:{colours.muted}}}.tl-foot,.tl-gap{{fill:{colours.text}}}"
    yield f".tl-grid,.tl-rule{{stroke:{colours.border}}}.tl-base,.tl-fold-edge{{stroke:{colours.untaken}}}"
    yield f".tl-bar:focus-visible .tl-ink{{stroke:{colours.title};stroke-width:3}}"
    yield f".tl-fold-back,.tl-plate{{fill:{colours.page}}}.tl-nested{{fill:{colours.kinds['cluster'].fill}}}"
    yield f".tl-path{{fill:{colours.title}}}.tl-path-line{{stroke:{colours.title}}}"
    for status in WORST_FIRST:
        style = colours.statuses[status]
        width = 2 if style.width > 2 else 1.2
        dash = ";stroke-dasharray:3 2" if style.dashed else ""
        ink = colours.failed_text if status is Status.FAILED else style.stroke
        bar = f".tl-running.tl-is-{status}"
        yield f"{bar} .tl-ink{{fill:{style.fill};stroke:{style.stroke};stroke-width:{width}{dash}}}"
        yield f"{bar} .tl-label{{fill:{style.text}}}.tl-ink-{status}{{fill:{ink}}}"
    caught, people, waiting = colours.statuses[Status.CAUGHT], colours.kind("ask"), colours.statuses[Status.WAITING]
    yield f".tl-attempt .tl-ink{{fill:{caught.fill};stroke:{caught.stroke}}}.tl-attempt .tl-label{{fill:{caught.text}}}"
    yield f".tl-waiting .tl-ink{{fill:{colours.untaken};stroke:none}}"
    yield f".tl-people .tl-ink{{stroke:{people.stroke}}}.tl-people .tl-label{{fill:{people.text}}}"
    yield f".tl-people-back{{fill:{people.fill}}}.tl-people-ink{{fill:{people.stroke};opacity:.45}}"
    yield f".tl-world .tl-ink{{stroke:{waiting.stroke}}}.tl-world .tl-label{{fill:{waiting.text}}}"
    yield f".tl-world-back{{fill:{waiting.fill}}}.tl-world-ink{{fill:{waiting.stroke}}}"
    done, running = colours.statuses[Status.DONE], colours.statuses[Status.RUNNING]
    yield f".tl-crowd-running{{fill:{done.fill};stroke:{done.stroke}}}.tl-crowd-waiting{{stroke:{colours.muted}}}"
    yield f".tl-crowd-failed{{fill:{colours.failed_text}}}"
    yield f".tl-stopped line{{stroke:{colours.failed_text}}}.tl-stopped .tl-line-label{{fill:{colours.failed_text}}}"
    yield f".tl-forked line,.tl-edited line{{stroke:{colours.line}}}"
    yield f".tl-forked .tl-line-label,.tl-edited .tl-line-label{{fill:{colours.text}}}"
    yield f".tl-resumed line{{stroke:{running.stroke}}}.tl-resumed .tl-line-label{{fill:{running.stroke}}}"
