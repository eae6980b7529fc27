"""What a step waited for, in words: a question, an event, a time, or the first of several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from milepost.engine.trace import WaitTrace
from milepost.visualize.escape import one_line
from milepost.visualize.terminal import moment
from milepost.visualize.wording import duration, plural

TITLES: Final = {"ask": "Question", "event": "Event", "time": "Time", "race": "The first of several"}

_ENDS: Final = {"answered": "Answered", "received": "Received", "elapsed": "Elapsed", "expired": "Expired"}


def wait_facts(wait: WaitTrace) -> Iterator[tuple[str, str]]:
    """Yield what is known of a wait: since when, until when, how it ended, by whom, and how long it took."""
    if wait.event:
        yield "Event", one_line(wait.event)
    if wait.key is not None:
        yield "About", one_line(wait.key)
    yield ("Asked" if wait.kind == "ask" else "Since"), moment(wait.asked)
    if wait.until is not None:
        yield "Until", moment(wait.until)
    if wait.settled is not None:
        yield _ENDS.get(wait.how or "", "Settled"), moment(wait.settled)
    if wait.by:
        yield ("Answered by" if wait.kind == "ask" else "Sent by"), one_line(wait.by)
    if wait.settled is not None:
        yield "Took", duration(max(0.0, (wait.settled - wait.asked).total_seconds()))
    if wait.refused:
        yield "Refused", plural(wait.refused, "answer")
