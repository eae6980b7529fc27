"""What a step waited for, in words."""

from __future__ import annotations

from datetime import timedelta

from milepost.engine.trace import WaitTrace
from milepost.visualize.questions import wait_facts
from tests.visualize.subjects import START


def test_what_still_waits_has_no_end_and_took_no_time_yet() -> None:
    wait = WaitTrace(kind="event", id="e", event="paid", key="o-1", asked=START, until=START + timedelta(hours=1))
    assert list(wait_facts(wait)) == [
        ("Event", "paid"),
        ("About", "o-1"),
        ("Since", "2026-03-04 12:04:31 UTC"),
        ("Until", "2026-03-04 13:04:31 UTC"),
    ]


def test_what_has_come_tells_when_from_whom_and_how_long_it_took() -> None:
    wait = WaitTrace(
        kind="event",
        id="e",
        event="paid",
        asked=START,
        settled=START + timedelta(seconds=90),
        how="received",
        by="bank",
    )
    assert list(wait_facts(wait))[2:] == [
        ("Received", "2026-03-04 12:06:01 UTC"),
        ("Sent by", "bank"),
        ("Took", "1 min 30 s"),
    ]


def test_a_time_that_came_tells_so() -> None:
    wait = WaitTrace(kind="time", id="t", asked=START, settled=START + timedelta(days=2), how="elapsed")
    assert [name for name, _ in wait_facts(wait)] == ["Since", "Elapsed", "Took"]
