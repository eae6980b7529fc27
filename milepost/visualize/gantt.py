"""A timeline as Mermaid gantt text, for Markdown, GitHub and every page that loads Mermaid."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from milepost.visualize.axis import Axis, about
from milepost.visualize.bars import Bar
from milepost.visualize.escape import mermaid_prose, mermaid_text, one_line
from milepost.visualize.lanes import Lane
from milepost.visualize.mermaid import MAX_TEXT
from milepost.visualize.palette import DARK, EVENT_GLYPHS, LIGHT, Palette, Status, Theme, chip
from milepost.visualize.spans import BarKind
from milepost.visualize.timeline import Timeline
from milepost.visualize.wording import duration

_BEGIN: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""What stands for the beginning: Mermaid knows no elapsed time, and would show that of the reader's own zone."""

MOST_EVENTS: Final = 40
"""Milestones for what happened to the whole run; more could be as many as there were resumes."""

_DAY: Final = 86_400.0
_TAGS: Final = {Status.RUNNING: "active", Status.DONE: "done", Status.RETRIED: "done", Status.REUSED: "done"}
_WORDS: Final = {BarKind.PEOPLE: "waiting for a person", BarKind.WORLD: "waiting", BarKind.ATTEMPT: "failed attempt"}


def gantt(timeline: Timeline, theme: Theme = "light") -> str:
    """Return the timeline as a Mermaid gantt.

    The axis tells the time since the beginning, with what is folded shortened; each fold is a milestone that says its
    length. The critical path is `crit`. Waits to begin are left out, as Mermaid has but one kind of bar. Labels are cut
    shorter until Mermaid takes the text, and lanes become one bar each.
    """
    for limit, apart in ((60, True), (24, True), (24, False)):
        text = "\n".join(_document(timeline, theme, limit, apart=apart)) + "\n"
        if len(text) < MAX_TEXT:
            return text
    return "\n".join(_document(timeline, theme, 10, apart=False)) + "\n"


def _document(timeline: Timeline, theme: Theme, limit: int, *, apart: bool) -> Iterator[str]:
    yield from _front(timeline, theme)
    yield "gantt"
    yield f"  accTitle: {mermaid_prose(one_line(f'Timeline of workflow {timeline.name}'))}"
    yield f"  accDescr: {mermaid_prose(one_line(timeline.description, 500))}"
    yield "  dateFormat YYYY-MM-DD HH:mm:ss.SSS"
    shown = _Shown(timeline.axis)
    yield f"  axisFormat {shown.format}"
    yield "  todayMarker off"
    events = sorted(_events(timeline, shown))
    if events:
        yield f"  section {mermaid_text('the run')}"
        for _, name, at in events[:MOST_EVENTS]:
            yield f"  {mermaid_text(name)} :milestone, {at}, 0d"
        if len(events) > MOST_EVENTS:
            yield f"  … and {len(events) - MOST_EVENTS} more :milestone, {events[MOST_EVENTS][2]}, 0d"
    for lane in timeline.lanes:
        yield f"  section {mermaid_text('↳ ' * lane.level + _title(lane, limit))}"
        bars = [bar for row in lane.rows for bar in row if _is_shown(bar, row)]
        if apart and lane.profile is None:
            for bar in sorted(bars, key=lambda one: (one.start, one.stop)):
                yield f"  {mermaid_text(_name(bar, limit))} :{_data(bar.status, bar.critical, bar, shown)}"
        else:
            words = one_line(lane.detail, limit) or "ran"
            yield f"  {chip(lane.status)} {mermaid_text(words)} :{_data(lane.status, lane.critical, lane, shown)}"


def _is_shown(bar: Bar, row: tuple[Bar, ...]) -> bool:
    return bar.kind is not BarKind.WAITING or len(row) == 1


def _title(lane: Lane, limit: int) -> str:
    return one_line(f"{lane.title} {lane.times}", limit)


def _name(bar: Bar, limit: int) -> str:
    """Return what stands in a bar: never nothing, and never what Mermaid takes for a word of its own."""
    words = bar.labels[0] if bar.labels else duration(bar.stop - bar.start)
    said = _WORDS.get(bar.kind)
    glyph = "" if words[:1] == chip(bar.status) or bar.kind is BarKind.ATTEMPT else f"{chip(bar.status)} "
    return one_line(f"{glyph}{words}" + (f" {said}" if said else ""), limit)


class _Shown:
    """Times as Mermaid is given them: since the beginning, with what is folded shortened to its part of the width."""

    def __init__(self, axis: Axis) -> None:
        self._axis = axis
        open_ = axis.length - sum(gap.seconds for gap in axis.gaps)
        self._scale = open_ / (axis.place(axis.length) - sum(gap.right - gap.left for gap in axis.gaps))
        length = self.seconds(axis.length)
        self.format = "%H:%M:%S" if length >= 5 else "%S.%L s"
        if length >= _DAY:
            self.format = "day %-j %H:%M"

    def seconds(self, at: float) -> float:
        """Return the seconds since the beginning at which something is drawn."""
        return self._axis.place(at) * self._scale

    def moment(self, at: float) -> str:
        return f"{_BEGIN + timedelta(seconds=self.seconds(at)):%Y-%m-%d %H:%M:%S.%f}"[:-3]

    def span(self, start: float, stop: float) -> str:
        """Return begin and end; what has no length is drawn as one millisecond."""
        least = self.seconds(stop) if self.seconds(stop) >= self.seconds(start) + 0.001 else self.seconds(start) + 0.001
        end = f"{_BEGIN + timedelta(seconds=least):%Y-%m-%d %H:%M:%S.%f}"[:-3]
        return f"{self.moment(start)}, {end}"


def _data(status: Status, critical: bool, span: Bar | Lane, shown: _Shown) -> str:
    """Return how a bar looks and where it is. What failed or waited is neither done nor active."""
    worked = isinstance(span, Lane) or span.kind is BarKind.RUNNING
    tag = _TAGS.get(status) if worked else None
    return ", ".join((*(["crit"] if critical else []), *([tag] if tag else []), shown.span(span.start, span.stop)))


def _events(timeline: Timeline, shown: _Shown) -> Iterator[tuple[float, str, str]]:
    """Yield what happened to the whole run: when it stopped and was resumed, and what is folded."""
    for line in timeline.lines:
        yield line.at, f"{EVENT_GLYPHS[line.kind]} {line.kind}", shown.moment(line.at)
    for gap in timeline.axis.gaps:
        yield gap.start, f"… {about(gap.seconds)} folded", shown.moment(gap.start)


def _front(timeline: Timeline, theme: Theme) -> Iterator[str]:
    title = " · ".join((timeline.name, timeline.notice, duration(timeline.axis.length)))
    yield "---"
    yield f"title: {_quoted(one_line(title, 120))}"
    yield "config:"
    if theme != "auto":
        colours = DARK if theme == "dark" else LIGHT
        yield "  theme: base"
        yield "  themeVariables:"
        for name, value in _variables(colours):
            yield f"    {name}: '{value}'"
    yield "  gantt:"
    for line in ("barHeight: 18", "barGap: 4", "fontSize: 11", "sectionFontSize: 12", "leftPadding: 130"):
        yield f"    {line}"
    yield "---"


def _variables(colours: Palette) -> Iterator[tuple[str, str]]:
    done, running, waiting = (colours.statuses[one] for one in (Status.DONE, Status.RUNNING, Status.WAITING))
    if colours is DARK:
        yield "darkMode", "true"
    yield "background", colours.page
    yield "titleColor", colours.title
    yield "textColor", colours.text
    yield "gridColor", colours.border
    for name in ("sectionBkgColor", "altSectionBkgColor", "sectionBkgColor2"):
        yield name, colours.page
    for name in ("taskTextOutsideColor", "taskTextDarkColor", "taskTextClickableColor"):
        yield name, colours.text
    for name in ("taskTextColor", "taskTextLightColor"):
        yield name, done.text
    yield "doneTaskBkgColor", done.fill
    yield "doneTaskBorderColor", done.stroke
    yield "taskBkgColor", waiting.fill
    yield "taskBorderColor", waiting.stroke
    yield "activeTaskBkgColor", running.fill
    yield "activeTaskBorderColor", running.stroke
    yield "critBkgColor", done.fill
    yield "critBorderColor", colours.title


def _quoted(text: str) -> str:
    """Return a YAML string; what Mermaid looks for in the raw text before it reads the YAML is written as codes."""
    return re.sub(r"[%<>{}#`]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
