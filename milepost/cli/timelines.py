"""The timeline of a run for a screen, or for a file of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from milepost.visualize.terminal import plain
from milepost.visualize.timeline import timeline
from milepost.visualize.timeline_terminal import TimelineView

if TYPE_CHECKING:
    from milepost.cli.pictures import Look
    from milepost.engine.trace import Trace
    from milepost.visualize.lanes import By


def timeline_view(trace: Trace, look: Look) -> TimelineView:
    """Return the timeline of a run for a console."""
    by = cast("By", look.lanes)  # click has checked it
    return TimelineView(timeline(trace, by=by, depth=look.depth))


def timeline_text(trace: Trace, look: Look) -> str:
    """Return the timeline of a run as plain text."""
    return plain(timeline_view(trace, look))
