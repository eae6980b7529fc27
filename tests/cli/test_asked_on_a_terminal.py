"""`milepost answer` on a terminal: a real one, which shows the context and asks for the answer by its type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.terminals import TerminalProcess
from tests.cli.waits import START

Open = Callable[..., TerminalProcess]


@pytest.fixture(autouse=True)
def waits(waiting_flows: Path) -> Path:
    return waiting_flows


@pytest.fixture
def terminal(folder: Path) -> Iterator[Open]:
    """Call the command line on a terminal of its own, which does not outlive the test."""
    opened: list[TerminalProcess] = []

    def begin(*words: str) -> TerminalProcess:
        opened.append(TerminalProcess(folder, *words))
        return opened[-1]

    yield begin
    for one in opened:
        one.kill()


def test_the_context_is_shown_and_one_of_the_choices_is_asked_for(call: Call, terminal: Open) -> None:
    call(*START)
    screen = terminal("answer", "rome", "--by", "Ada")
    context = screen.expect(r"Answer \(1 to 2\): ")
    assert "Run 'rome' of 'trips', begun 2" in context
    assert "asks at 'approve':\n\n  May Rome be paid for?\n\n  to: Rome\n  cost: 480\n\nAsked 2" in context
    assert "open " in context
    assert ", until 2" in context
    assert "1. yes\n2. no\n" in context
    screen.write("1")
    assert screen.end() == 0
    assert "Answered 'approve' of run 'rome': \"yes\"." in screen.seen
    assert call("resume", "rome", "waits:workflow").code == 3


def test_an_object_is_asked_for_field_by_field_and_what_does_not_fit_again(call: Call, terminal: Open) -> None:
    call("run", "waits:seat", "--run-id", "r-1")
    screen = terminal("answer", "r-1")
    for prompt, line in (
        (r"kind \(1 to 2\): ", "aisle"),
        (r"day \(a date, e.g. 2026-11-28; of departure\): ", "tomorrow"),
        (r"'tomorrow' is not a 'date'.\nday .*: ", "2026-12-24"),
        (r"count \(a whole number; empty for 1\): ", "9"),
        (r"9 is greater than the maximum of 4.\ncount .*: ", ""),
        (r"note \(empty for nothing\): ", ""),
    ):
        screen.expect(prompt)
        screen.write(line)
    assert screen.end() == 0
    document = call("resume", "r-1", "waits:seat", "--json").document
    assert document["output"] == {"kind": "aisle", "day": "2026-12-24", "count": 1, "note": None}


def test_what_only_the_code_refuses_is_asked_for_again(call: Call, terminal: Open) -> None:
    call("run", "waits:evens", "--run-id", "r-1")
    screen = terminal("answer", "r-1", "--target", "waits:evens")
    screen.expect(r"Answer \(a whole number\): ")
    screen.write("3")
    screen.expect(r"that is odd.\nAnswer \(a whole number\): ")
    screen.write("4")
    assert screen.end() == 0
    assert call("resume", "r-1", "waits:evens").out == "4\n"


def test_one_of_several_questions_is_chosen_first(call: Call, terminal: Open) -> None:
    call("run", "waits:pair", "--run-id", "r-1")
    screen = terminal("answer", "r-1")
    assert "1. ▽ first: The first? (question " in screen.expect(r"Which one \(1 to 2\): ")
    screen.write("2")
    screen.expect("The second\\?(.|\n)*Answer: ")
    screen.write("some text, no quotes")
    assert screen.end() == 0
    assert "Answered 'second' of run 'r-1': \"some text, no quotes\"." in screen.seen


def test_nothing_is_answered_when_somebody_leaves(call: Call, terminal: Open) -> None:
    call("run", "waits:sure", "--run-id", "r-1")
    screen = terminal("answer", "r-1")
    screen.expect(r"Answer \(y/n\): ")
    screen.leave()
    assert screen.end() == 130
    assert "Interrupted." in screen.seen
    assert call("answer", "r-1", "true").code == 0
