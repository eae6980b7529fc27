"""A timeline as SVG, drawn by ourselves: self-contained, without links or script, in one theme or two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from rich.cells import cell_len

from milepost.visualize.axis import Gap, about
from milepost.visualize.bars import Bar
from milepost.visualize.escape import markup, one_line
from milepost.visualize.lanes import Lane
from milepost.visualize.packing import SLICES
from milepost.visualize.palette import EVENT_GLYPHS, GLYPHS, WORDS, Status, Theme, chip
from milepost.visualize.spans import BarKind
from milepost.visualize.svg import Drawing
from milepost.visualize.timeline import Line, Timeline
from milepost.visualize.timeline_sheet import sheet
from milepost.visualize.wording import duration, plural

WIDTH: Final = 1200
_MARGIN: Final = 24
_ROW: Final = 22
_BAR: Final = 15
_LANE: Final = 38
_PROFILE: Final = 50
_INDENT: Final = 16
_STRIPS: Final = 56
"""Room above the lanes: for the lengths of folds, for what happened to the run, and for the times."""
_HATCHING: Final = 40
"""How much of a hatched bar its label leaves free, in px, so that the hatching is seen."""
_LETTER: Final = 6.1
"""The width of a letter in a bar, in px; a little more than the average."""

_LEGEND: Final = (
    (BarKind.WAITING, "waited to begin"),
    (BarKind.RUNNING, "ran"),
    (BarKind.ATTEMPT, "✗ attempt that failed"),
    (BarKind.PEOPLE, "waited for a person"),
    (BarKind.WORLD, "waited for an event or a time"),
)
_TOLD: Final = (Status.RETRIED, Status.RUNNING, Status.WAITING, Status.FAILED, Status.CAUGHT, Status.CANCELLED)
"""The statuses of bars that a legend explains."""


def timeline_svg(timeline: Timeline, theme: Theme = "light", *, legend: bool = True) -> str:
    """Return the timeline as a self-contained SVG document. theme: "auto" follows the reader's own setting."""
    drawing = timeline_drawing(timeline, theme, legend=legend)
    head, rest = drawing.element.split(">", 1)
    return f"{head}><style>{drawing.css}</style>{rest}\n"


def timeline_drawing(
    timeline: Timeline,
    theme: Theme,
    *,
    prefix: str = "",
    heading: bool = True,
    legend: bool = True,
    choosable: bool = False,
) -> Drawing:
    """Return element and style sheet apart, for a page with a strict content policy.

    Every bar is a `<g class="tl-bar ...">` with data-run, data-task, data-seq, data-kind, data-status, and data-left
    and data-right: where it is between 0 and 1. The `<svg>` says with data-plot-left and data-plot-width where that is
    in its own units, so that a page can move the bars. Classes are the same in every picture; prefix: of all ids.
    heading: with the name of the workflow and how the run stands above. choosable: bars can be reached by keyboard and
    are told to readers who do not see them as buttons; what they do is the page's affair.
    """
    writer = _Writer(timeline, prefix, heading=heading, legend=legend, choosable=choosable)
    return Drawing("".join(writer.document()), sheet(theme))


class _Writer:
    """Writes one picture, from top to bottom."""

    def __init__(self, timeline: Timeline, prefix: str, *, heading: bool, legend: bool, choosable: bool) -> None:
        self.timeline = timeline
        self.prefix = prefix
        self.heading = heading
        self.legend = legend
        self.choosable = choosable
        widest = max((_title_width(lane) for lane in timeline.lanes), default=0)
        self.left = round(min(300.0, max(130.0, _MARGIN + widest + 18)))
        self.width = WIDTH - _MARGIN - self.left
        self.top = _STRIPS + (78 if heading else 10)
        self.tops: list[float] = []
        bottom = float(self.top)
        for lane in timeline.lanes:
            self.tops.append(bottom)
            bottom += _height(lane)
        self.bottom = bottom

    def x(self, place: float) -> float:
        return round(self.left + place * self.width, 2)

    def document(self) -> Iterator[str]:
        foot = list(self._foot())
        below = list(self._legend(self.bottom + 26 + 18 * len(foot))) if self.legend else []
        height = self.bottom + 24 + 18 * len(foot) + (26 * _lines_of(below) if below else 0)
        label = markup(one_line(self.timeline.description, 700))
        role = "group" if self.choosable else "img"
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="tl" role="{role}" aria-label="{label}" '
            f'viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" data-plot-left="{self.left}" '
            f'data-plot-width="{self.width}" data-seconds="{self.timeline.axis.length:g}">'
        )
        yield self._patterns()
        if self.heading:
            yield from self._heading()
        yield from self._grid()
        for gap in self.timeline.axis.gaps:
            yield self._fold_back(gap)
        for lane, top in zip(self.timeline.lanes, self.tops, strict=True):
            yield from self._lane(lane, top)
        yield from self._path()
        yield from self._folds()
        yield from self._lines()
        for number, text in enumerate(foot):
            yield _text(_MARGIN, self.bottom + 24 + 18 * number, text, "tl-foot")
        yield "".join(part for part, _ in below)
        yield "</svg>"

    def _patterns(self) -> str:
        """Return the hatchings of what was waited for, which are told apart without colours, too."""
        return (
            f'<defs><pattern id="{self.prefix}tl-people" width="7" height="7" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><rect class="tl-people-back" width="7" height="7"/>'
            '<rect class="tl-people-ink" width="2.2" height="7"/></pattern>'
            f'<pattern id="{self.prefix}tl-world" width="6" height="6" patternUnits="userSpaceOnUse">'
            '<rect class="tl-world-back" width="6" height="6"/><circle class="tl-world-ink" cx="3" cy="3" r="1.1"/>'
            "</pattern></defs>"
        )

    def _heading(self) -> Iterator[str]:
        timeline = self.timeline
        yield _text(_MARGIN, 32, timeline.name, "tl-name")
        yield _text(_MARGIN, 54, timeline.notice, f"tl-notice tl-ink-{timeline.status}")
        began = f"began {timeline.begin:%Y-%m-%d %H:%M:%S} UTC"
        words = " · ".join((f"v{timeline.version}", *timeline.facts, f"{duration(timeline.axis.length)} in all", began))
        yield _text(_MARGIN, 73, one_line(words, 180), "tl-muted")

    def _grid(self) -> Iterator[str]:
        yield '<g class="tl-axis">'
        for tick in self.timeline.axis.ticks():
            x = self.x(tick.place)
            yield f'<line class="tl-grid" x1="{x}" x2="{x}" y1="{self.top - 8}" y2="{self.bottom:g}"/>'
            room = cell_len(tick.label) * _LETTER / 2
            yield _text(min(x, WIDTH - 8 - room), self.top - 13, tick.label, "tl-tick")
        yield f'<line class="tl-base" x1="{self.left}" x2="{WIDTH - _MARGIN}" y1="{self.top - 8}" y2="{self.top - 8}"/>'
        yield "</g>"

    # --- lanes -------------------------------------------------------------------------------------------------------

    def _lane(self, lane: Lane, top: float) -> Iterator[str]:
        height = _height(lane)
        yield f'<g class="tl-lane" data-node="{markup(one_line(lane.node))}" data-level="{lane.level}">'
        if lane.level:
            yield f'<rect class="tl-nested" x="{_MARGIN}" y="{top:g}" width="{WIDTH - 2 * _MARGIN}" height="{height}"/>'
        bottom = top + height
        yield f'<line class="tl-rule" x1="{_MARGIN}" x2="{WIDTH - _MARGIN}" y1="{bottom:g}" y2="{bottom:g}"/>'
        x = _MARGIN + _INDENT * min(lane.level, 6)
        room = (self.left - x - 12) / 7.2
        title = _fitting(" ".join(part for part in (lane.title, lane.times) if part), room - 2)
        glyph = f'<tspan class="tl-ink-{lane.status}">{GLYPHS[lane.status]}</tspan>'
        yield f'<text class="tl-title" x="{x}" y="{top + 17:g}">{glyph} {markup(title)}</text>'
        for number, words in enumerate(_wrapped(lane.detail, room * 1.18, 1 if lane.profile is None else 2)):
            yield _text(x, top + 31 + 13 * number, words, "tl-detail")
        if lane.profile is not None:
            yield from self._profile(lane, top + 6)
        for number, row in enumerate(lane.rows):
            for bar in row:
                yield from self._bar(bar, self._row_top(lane, top, number))
        yield "</g>"

    def _row_top(self, lane: Lane, top: float, number: int) -> float:
        """Return where the bars of a row begin. The only row of a lane stands in its middle."""
        if lane.profile is not None:
            return top + _PROFILE + 8 + number * _ROW
        rows = len(lane.rows) * _ROW
        return top + (_height(lane) - rows) / 2 + (_ROW - _BAR) / 2 + number * _ROW

    def _bar(self, bar: Bar, top: float) -> Iterator[str]:
        x = self.x(bar.left)
        width = round(self.x(bar.right) - x, 2)
        names = f"tl-bar tl-{bar.kind} tl-is-{bar.status}" + (" tl-critical" if bar.critical else "")
        yield (
            f'<g class="{names}" data-run="{markup(one_line(bar.run))}" data-task="{markup(one_line(bar.task))}" '
            f'data-kind="{bar.kind}" data-status="{bar.status}" data-left="{bar.left:.5f}" data-right="{bar.right:.5f}"'
            + (f' data-seq="{bar.seq}"' if bar.seq is not None else "")
            + (f' data-count="{bar.count}"' if bar.count > 1 else "")
            + (f' tabindex="0" role="button" aria-label="{markup(bar.tooltip)}"' if self.choosable else "")
            + f"><title>{markup(bar.tooltip)}</title>"
        )
        if bar.kind is BarKind.WAITING:
            yield f'<rect class="tl-hit" x="{x}" y="{top:g}" width="{width:g}" height="{_BAR}"/>'
            yield f'<rect class="tl-ink" x="{x}" y="{top + _BAR / 2 - 1.5:g}" width="{width:g}" height="3"/></g>'
            return
        radius = min(3.5, width / 2)
        fill = f' fill="url(#{self.prefix}tl-{bar.kind})"' if bar.kind in (BarKind.PEOPLE, BarKind.WORLD) else ""
        yield f'<rect class="tl-ink" x="{x}" y="{top:g}" width="{width:g}" height="{_BAR}" rx="{radius:g}"{fill}/>'
        least = _HATCHING if fill else 8
        label = next((one for one in bar.labels if cell_len(one) * _LETTER + least <= width), "")
        if label:
            if fill:
                back = cell_len(label) * _LETTER + 6
                yield (
                    f'<rect class="tl-plate" x="{x + width / 2 - back / 2:g}" y="{top + 2:g}" width="{back:g}" '
                    f'height="{_BAR - 4}" rx="2"/>'
                )
            yield _text(x + width / 2, top + _BAR - 4, label, "tl-label")
        if bar.critical:
            yield f'<rect class="tl-path" x="{x}" y="{top + _BAR + 1.5:g}" width="{width:g}" height="2.5" rx="1"/>'
        yield "</g>"

    def _profile(self, lane: Lane, top: float) -> Iterator[str]:
        """Draw how many tasks ran at a time as an area, how many waited as a line, and where some failed."""
        shown = lane.profile
        assert shown is not None
        ran, waited = round(shown.peak), round(max(shown.waiting))
        said = [f"about {max(1, ran)} ran"] if shown.peak else []
        said += [f"{waited} waited"] if waited else []
        most = f"at most {', '.join(said)} at a time" if said else ""
        words = f"{lane.title}: {plural(lane.tasks, 'task')}, {most} · {lane.detail}"
        yield f'<g class="tl-crowd"><title>{markup(one_line(words, 300))}</title>'
        base = top + _PROFILE - 8
        outline = self._outline(shown.running, base)
        yield f'<path class="tl-crowd-running" d="M{self.x(0)},{base:g}{outline}L{self.x(1)},{base:g}Z"/>'
        if waited:
            yield f'<path class="tl-crowd-waiting" d="M{self.x(0)},{base:g}{self._outline(shown.waiting, base)}"/>'
        yield _text(WIDTH - _MARGIN, top + 4, most, "tl-detail tl-end")
        for place in shown.failed:
            yield _text(self.x(place), top + 6, "✗", "tl-crowd-failed")
        yield "</g>"

    def _outline(self, heights: Sequence[float], base: float) -> str:
        """Return the steps of an area, as high as there is room for. What is there but small is still seen."""
        most = max(heights)
        parts: list[str] = []
        before = -1.0
        for number, height in enumerate(heights):
            y = round(base - (max(1.5, height / most * (_PROFILE - 18)) if height > 0 else 0.0), 1)
            if y != before:
                parts.append(f"H{self.x(number / SLICES):g}V{y:g}")
            before = y
        return "".join(parts) + f"H{self.x(1)}V{base:g}"

    # --- what goes over all lanes ------------------------------------------------------------------------------------

    def _path(self) -> Iterator[str]:
        """Join the bars of the critical path."""
        stops: list[tuple[Bar, float]] = []
        for lane, top in zip(self.timeline.lanes, self.tops, strict=True):
            for number, row in enumerate(lane.rows if not lane.level else ()):
                y = self._row_top(lane, top, number) + _BAR + 2.75
                stops.extend((bar, y) for bar in row if bar.critical)
        stops.sort(key=lambda stop: (stop[0].left, stop[0].right))
        parts = [
            f"M{self.x(before.right)},{start:g}V{stop:g}H{self.x(max(before.right, after.left)):g}"
            for (before, start), (after, stop) in pairwise(stops)
        ]
        if parts:
            yield f'<path class="tl-path-line" d="{"".join(parts)}"/>'

    def _folds(self) -> Iterator[str]:
        top, bottom = self.top - 8, self.bottom
        for gap in self.timeline.axis.gaps:
            left, right = self.x(gap.left), self.x(gap.right)
            words = f"Nothing ran for {duration(gap.seconds)}, from {duration(gap.start)} on"
            yield f'<g class="tl-fold" data-seconds="{gap.seconds:g}"><title>{markup(words)}</title>'
            yield "".join(_zigzag(x, top, bottom) for x in (left + 3, right - 3))
            yield _text((left + right) / 2, self.top - 43, about(gap.seconds), "tl-gap")
            yield "</g>"

    def _fold_back(self, gap: Gap) -> str:
        """Take the grid out of a fold, behind what was waited for there."""
        left, right = self.x(gap.left) + 3, self.x(gap.right) - 3
        height = self.bottom - self.top + 8
        size = f'width="{max(0.0, right - left):g}" height="{height:g}"'
        return f'<rect class="tl-fold-back" x="{left:g}" y="{self.top - 8}" {size}/>'

    def _lines(self) -> Iterator[str]:
        taken = -1.0
        for line in self.timeline.lines:
            x = self.x(line.place)
            words = f"{_glyph(line)} {line.kind}"
            width = cell_len(words) * _LETTER + 4
            before = line.kind == "stopped" and x - width > max(taken, self.left - 60)
            start = x - width if before else x
            head = f'<g class="tl-line tl-{line.kind}" data-left="{line.place:.5f}">'
            yield f"{head}<title>{markup(line.tooltip)}</title>"
            yield f'<line x1="{x}" x2="{x}" y1="{self.top - 34}" y2="{self.bottom:g}"/>'
            if start > taken and start + width < WIDTH:
                anchor = "end" if before else "start"
                yield _text(x + (-4 if before else 4), self.top - 27, words, f"tl-line-label tl-{anchor}")
                taken = start + width
            yield "</g>"

    # --- what stands below -------------------------------------------------------------------------------------------

    def _foot(self) -> Iterator[str]:
        if self.timeline.path:
            yield f"Critical path  {one_line(self.timeline.path_words, 170)}"
        if self.timeline.left_out:
            yield f"… and {plural(self.timeline.left_out, 'lane')} more"

    def _legend(self, top: float) -> Iterator[tuple[str, float]]:
        """Yield what explains the picture, each part with its height."""
        x, y = float(_MARGIN), top
        for sample, words in self._samples():
            width = 34 + cell_len(words) * _LETTER + 18
            if x + width > WIDTH - _MARGIN:
                x, y = float(_MARGIN), y + 26
            moved = f'<g class="tl-legend" transform="translate({x:g},{y:g})">{sample}'
            yield moved + _text(34, 11.5, words, "tl-foot") + "</g>", y
            x += width

    def _samples(self) -> Iterator[tuple[str, str]]:
        timeline = self.timeline
        kinds = timeline.kinds
        for kind, words in _LEGEND:
            if kind in kinds:
                yield self._sample(kind, Status.DONE), words
        used = {bar.status for lane in timeline.lanes for row in lane.rows for bar in row if _is_work(bar)}
        for status in _TOLD:
            if status in used:
                yield self._sample(BarKind.RUNNING, status), f"{chip(status)} {WORDS[status]}"
        if any(lane.profile is not None for lane in timeline.lanes):
            yield '<rect class="tl-crowd-running" y="3" width="26" height="12"/>', "how many ran at a time"
        if timeline.path:
            yield '<rect class="tl-path" y="7" width="26" height="2.5" rx="1"/>', "critical path"
        if timeline.axis.gaps:
            yield _zigzag(9, 0, 16, "tl-fold-edge") + _zigzag(17, 0, 16, "tl-fold-edge"), "nothing ran: folded"
        for line in {line.kind: line for line in timeline.lines}.values():
            rule = '<line x1="13" x2="13" y1="0" y2="16"/>'
            yield f'<g class="tl-line tl-{line.kind}">{rule}</g>', f"{_glyph(line)} {line.kind}"

    def _sample(self, kind: BarKind, status: Status) -> str:
        fill = f' fill="url(#{self.prefix}tl-{kind})"' if kind in (BarKind.PEOPLE, BarKind.WORLD) else ""
        y, height = (6.5, 3) if kind is BarKind.WAITING else (0.5, _BAR)
        rect = f'<rect class="tl-ink" y="{y}" width="26" height="{height}" rx="{0 if height < 4 else 3}"{fill}/>'
        return f'<g class="tl-{kind} tl-is-{status}">{rect}</g>'


def _is_work(bar: Bar) -> bool:
    return bar.kind is BarKind.RUNNING


def _glyph(line: Line) -> str:
    return EVENT_GLYPHS[line.kind]


def _height(lane: Lane) -> int:
    if lane.profile is not None:
        return _PROFILE + 10 + _ROW * len(lane.rows)
    return max(_LANE, _ROW * len(lane.rows) + 12)


def _title_width(lane: Lane) -> float:
    title = (cell_len(f"{lane.title} {lane.times}") + 2) * 7.2
    return _INDENT * min(lane.level, 6) + max(title, min(cell_len(lane.detail), 36) * 6.1)


def _fitting(text: str, cells: float) -> str:
    """Cut a text to so many cells, which wide letters take two of."""
    if cell_len(text) <= cells:
        return text
    while text and cell_len(text) > cells - 1:
        text = text[:-1]
    return f"{text}…"


def _text(x: float, y: float, text: str, names: str) -> str:
    return f'<text class="{names}" x="{x:g}" y="{y:g}">{markup(text)}</text>'


def _wrapped(text: str, cells: float, most: int) -> list[str]:
    """Break a detail between its parts into at most so many lines."""
    lines: list[str] = []
    for part in text.split(" · "):
        if lines and cell_len(f"{lines[-1]} · {part}") <= cells:
            lines[-1] += f" · {part}"
        elif len(lines) < most:
            lines.append(part)
        else:
            lines[-1] += f" · {part}"
    return [_fitting(line, cells) for line in lines]


def _zigzag(x: float, top: float, bottom: float, names: str = "tl-fold-edge") -> str:
    """Return a jagged line from top to bottom, the sign that something is cut out."""
    teeth = max(1, round((bottom - top) / 8))
    step = (bottom - top) / teeth
    turns = "".join(f"l{3 if number % 2 == 0 else -3},{step:.2f}" for number in range(teeth))
    return f'<path class="{names}" d="M{x - 1.5:g},{top:g}{turns}"/>'


def _lines_of(parts: Sequence[tuple[str, float]]) -> int:
    return len({y for _, y in parts})
