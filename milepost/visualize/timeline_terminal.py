"""A timeline as text: in colour on a terminal, plain in a pipe, and as wide as there is room."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from milepost.visualize.axis import about
from milepost.visualize.bars import Bar
from milepost.visualize.escape import one_line
from milepost.visualize.lanes import Lane
from milepost.visualize.packing import SLICES, Profile
from milepost.visualize.palette import EVENT_GLYPHS, GLYPHS, Status
from milepost.visualize.spans import BarKind
from milepost.visualize.terminal import MUTED, STYLES, moment
from milepost.visualize.timeline import Timeline
from milepost.visualize.wording import duration, plural

LEAST: Final = 24
"""Columns that the time has at least, however narrow the terminal."""

_SIGNS: Final = {
    BarKind.WAITING: "─",
    BarKind.RUNNING: "█",
    BarKind.ATTEMPT: "▓",
    BarKind.PEOPLE: "╱",
    BarKind.WORLD: "░",
}
_WORDS: Final = {
    BarKind.WAITING: "waited to begin",
    BarKind.RUNNING: "ran",
    BarKind.ATTEMPT: "failed attempt",
    BarKind.PEOPLE: "waited for a person",
    BarKind.WORLD: "waited for an event or a time",
}
_KIND_STYLES: Final = {
    BarKind.WAITING: MUTED,
    BarKind.ATTEMPT: "red",
    BarKind.PEOPLE: "magenta",
    BarKind.WORLD: "yellow",
}
_GLYPHS: Final = {status: GLYPHS[status] for status in (Status.FAILED, Status.CAUGHT, Status.CANCELLED, Status.RUNNING)}
_HEIGHTS: Final = " ▁▂▃▄▅▆▇█"
_FOLD: Final = "┊"
_CRITICAL: Final = "◆"
_LINES: Final = {
    kind: (EVENT_GLYPHS[kind], style)
    for kind, style in (("stopped", "red"), ("resumed", "blue"), ("forked", "cyan"), ("edited", "cyan"))
}


@dataclass(frozen=True, slots=True)
class TimelineView:
    """A timeline that a console can print."""

    timeline: Timeline

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text in _Page(self.timeline, options.max_width).lines():
            text.no_wrap = True
            text.overflow = "ellipsis"
            yield text

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> object:
        from rich.measure import Measurement

        return Measurement(min(60, options.max_width), options.max_width)


class _Page:
    """Lays a timeline out in so many columns."""

    def __init__(self, timeline: Timeline, width: int) -> None:
        self.timeline = timeline
        titles = [cell_len(_title(lane)) for lane in timeline.lanes]
        details = [cell_len(lane.detail) for lane in timeline.lanes]
        self.title = min(max(titles, default=0), max(12, width // 4))
        self.detail = min(max(details, default=0), max(0, width // 4), max(0, width - self.title - LEAST - 6))
        self.columns = max(LEAST, width - self.title - self.detail - 4)
        self.folds = {self.column((gap.left + gap.right) / 2): gap for gap in timeline.axis.gaps}
        self.marks = {self.column(line.place): line.kind for line in timeline.lines}

    def column(self, place: float) -> int:
        return min(self.columns - 1, int(place * self.columns))

    def lines(self) -> Iterator[Text]:
        timeline = self.timeline
        yield Text.assemble(
            (timeline.name, "bold"), "  ", (one_line(timeline.notice, 200), STYLES[timeline.status]), no_wrap=True
        )
        words = (f"v{timeline.version}", *timeline.facts, f"{duration(timeline.axis.length)} in all")
        yield Text(f"{' · '.join(words)} · began {moment(timeline.begin)}", style=MUTED)
        yield Text()
        if self.folds:
            yield self._over({at: about(gap.seconds) for at, gap in self.folds.items()}, MUTED)
        yield self._axis()
        for lane in timeline.lanes:
            yield from self._lane(lane)
        if timeline.left_out:
            yield Text(f"… and {plural(timeline.left_out, 'lane')} more", style=MUTED)
        yield Text()
        if timeline.path:
            yield Text.assemble((f"{_CRITICAL} critical path  ", "bold"), one_line(timeline.path_words, 300))
        yield self._legend()

    def _axis(self) -> Text:
        ticks = {self.column(tick.place): tick.label for tick in self.timeline.axis.ticks(max(2, self.columns // 12))}
        return self._over(ticks, MUTED)

    def _over(self, labels: dict[int, str], style: str) -> Text:
        """Return a line above the lanes with words at some columns, those left out that there is no room for."""
        row = [" "] * self.columns
        free = 0
        for at, label in sorted(labels.items()):
            start = min(at, self.columns - cell_len(label))
            if start < free:
                continue
            row[start : start + len(label)] = label
            free = start + len(label) + 1
        return Text(" " * (self.title + 3) + "".join(row).rstrip(), style=style)

    def _lane(self, lane: Lane) -> Iterator[Text]:
        rows: list[list[Segment]] = []
        if lane.profile is not None:
            rows.append(self._crowd(lane.profile, lane.status))
        rows.extend(self._row(row) for row in lane.rows)
        mark = _CRITICAL if lane.critical else " "
        for number, row in enumerate(rows):
            title, detail = (_title(lane), lane.detail) if not number else ("", "")
            line = Text(no_wrap=True)
            line.append(f"{mark if not number else ' '} ", style="bold")
            line.append(_cut(title, self.title), style=STYLES[lane.status])
            line.append(" ")
            for segment in row:
                line.append(segment.text, style=segment.style)
            line.append(f" {one_line(detail, max(1, self.detail))}" if detail and self.detail else "", style=MUTED)
            line.rstrip()
            yield line

    def _row(self, row: tuple[Bar, ...]) -> list[Segment]:
        cells = self._empty()
        for bar in row:
            style = _KIND_STYLES.get(bar.kind) or STYLES[bar.status]
            glyph = _GLYPHS.get(bar.status) if bar.kind is BarKind.RUNNING else None
            first, last = self.column(bar.left), max(self.column(bar.left), self.column(bar.right - 1e-9))
            for at in range(first, last + 1):
                if bar.kind is BarKind.WAITING and cells[at][0] not in (" ", _FOLD, *_marks()):
                    continue
                cells[at] = (_SIGNS[bar.kind], style)
            if glyph is not None:
                cells[first] = (glyph, style)
            elif first and last > first and bar.kind is BarKind.RUNNING and cells[first - 1][0] == "█":
                cells[first] = ("▐", style)  # tells it from the bar that it follows
        return [Segment(sign, Style.parse(style)) for sign, style in cells]

    def _crowd(self, profile: Profile, status: Status) -> list[Segment]:
        cells = self._empty()
        for at in range(self.columns):
            part = profile.running[at * SLICES // self.columns : max(1, (at + 1) * SLICES // self.columns)]
            height = max(part, default=profile.running[min(SLICES - 1, at * SLICES // self.columns)])
            waits = profile.waiting[min(SLICES - 1, at * SLICES // self.columns)]
            if height > 0:
                cells[at] = (_HEIGHTS[max(1, round(8 * height / profile.peak))], "green")
            elif waits > 0:
                cells[at] = (_SIGNS[BarKind.WAITING], MUTED)
        for place in profile.failed:
            cells[self.column(place)] = (GLYPHS[Status.FAILED], STYLES[Status.FAILED])
        return [Segment(sign, Style.parse(style)) for sign, style in cells]

    def _empty(self) -> list[tuple[str, str]]:
        cells = [(" ", "")] * self.columns
        for at in self.folds:
            cells[at] = (_FOLD, MUTED)
        for at, kind in self.marks.items():
            cells[at] = _LINES[kind]
        return cells

    def _legend(self) -> Text:
        kinds = self.timeline.kinds
        parts = [(f"{_SIGNS[kind]} {words}", _KIND_STYLES.get(kind, "green")) for kind, words in _WORDS.items()]
        shown = [part for kind, part in zip(_WORDS, parts, strict=True) if kind in kinds]
        if any(lane.profile is not None for lane in self.timeline.lanes):
            shown.append(("▂▅█ how many ran at a time", "green"))
        if self.folds:
            shown.append((f"{_FOLD} nothing ran: folded", MUTED))
        present = {line.kind for line in self.timeline.lines}
        shown.extend((f"{sign} {kind}", style) for kind, (sign, style) in _LINES.items() if kind in present)
        return Text("   ").join(Text(words, style=style) for words, style in shown)


def _marks() -> tuple[str, ...]:
    return tuple(sign for sign, _ in _LINES.values())


def _title(lane: Lane) -> str:
    return f"{'  ' * lane.level}{GLYPHS[lane.status]} {lane.title} {lane.times}".rstrip()


def _cut(text: str, cells: int) -> str:
    """Return a text in exactly so many cells."""
    return text + " " * (cells - cell_len(text)) if cell_len(text) <= cells else set_cell_size(text, cells - 1) + "…"
