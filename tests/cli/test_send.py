"""`milepost send`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.waits import START

EVENT = ("send", "rome", "paid")
KEY = ("--key", "invoice-7")


@pytest.fixture(autouse=True)
def waits(waiting_flows: Path) -> Path:
    return waiting_flows


@pytest.fixture
def rome(call: Call) -> None:
    """A run that waits for a payment."""
    call(*START)
    call("answer", "rome", "approve", "yes")
    call("resume", "rome", "waits:workflow")


@pytest.mark.usefixtures("rome")
def test_an_event_is_taken_by_what_waits_for_it(call: Call) -> None:
    answer = call(*EVENT, "480", *KEY, "--by", "the bank")
    assert (answer.code, answer.out) == (0, "")
    said, go_on = answer.err.splitlines()
    assert said == "Event 'paid' is sent to run 'rome', which waits for it. If no process drives the run:"
    assert go_on == "  milepost resume rome TARGET"
    assert call("resume", "rome", "waits:workflow").out == "booked for 480\n"


def test_an_event_that_comes_early_is_kept(call: Call) -> None:
    call(*START)
    answer = call(*EVENT, "480", *KEY)
    assert answer.code == 0
    assert answer.err == "Event 'paid' is kept for run 'rome' until something there waits for it.\n"
    call("answer", "rome", "approve", "yes")
    assert call("resume", "rome", "waits:workflow").out == "booked for 480\n"


@pytest.mark.usefixtures("rome")
def test_an_event_about_something_else_is_kept_and_does_not_wake_the_run(call: Call) -> None:
    assert "is kept for run 'rome'" in call(*EVENT, "480", "--key", "invoice-8").err
    assert call("resume", "rome", "waits:workflow").code == 3


@pytest.mark.usefixtures("rome")
def test_an_event_of_an_id_is_sent_once(call: Call) -> None:
    first = call(*EVENT, "480", *KEY, "--id", "hook-1", "--json").document
    again = call(*EVENT, "481", *KEY, "--id", "hook-1", "--json").document
    assert (first["is_new"], first["is_awaited"], again["is_new"]) == (True, True, False)
    assert "An event of id 'hook-1' was sent to run 'rome' before" in call(*EVENT, "1", *KEY, "--id", "hook-1").err
    assert call("resume", "rome", "waits:workflow").out == "booked for 480\n"


@pytest.mark.usefixtures("rome")
@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ('"much"', "That does not fit event 'paid': 'much' is not of type 'integer'."),
        (
            "much",
            "'much' is not JSON (Expecting value: line 1 column 1 (char 0)), as what event 'paid' carries has to be.",
        ),
    ],
)
def test_what_an_event_carries_has_to_fit(call: Call, value: str, sentence: str) -> None:
    answer = call(*EVENT, value, *KEY)
    assert (answer.code, answer.err) == (2, f"{sentence}\n")
    assert call("resume", "rome", "waits:workflow").code == 3


@pytest.mark.usefixtures("rome")
def test_an_event_that_nothing_ever_waits_for_is_refused_with_a_close_match(call: Call) -> None:
    answer = call("send", "rome", "payd", "480")
    assert answer.code == 2
    assert answer.err.startswith("Workflow 'trips' never waits for event 'payd'. Did you mean 'paid'?")


def test_an_event_that_may_not_come_early_is_refused(call: Call) -> None:
    call("run", "waits:strict", "--run-id", "s-1")
    answer = call("send", "s-1", "now", "1")
    assert answer.code == 2
    assert "Run 's-1' does not wait for event 'now' now, and its workflow refuses what comes early." in answer.err


def test_nothing_is_sent_to_a_run_that_is_over(call: Call) -> None:
    call("run", "waits:napping", "--run-id", "done")
    answer = call("send", "done", "paid", "1")
    assert (answer.code, answer.err) == (2, "Run 'done' is completed, so nothing can be said to it any more.\n")
    call(*START)
    call("cancel", "rome")
    answer = call(*EVENT, "1", *KEY)
    sentence = "Run 'rome' is cancelled, so nothing can be said to it. To go on with it all the same: "
    assert (answer.code, answer.err) == (2, f"{sentence}milepost resume rome TARGET --reopen\n")
    assert call("send", "nobody", "paid").code == 4
