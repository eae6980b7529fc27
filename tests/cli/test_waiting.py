"""Runs that wait, as `milepost run`, `resume`, `runs` and `show` tell of them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.test_execute import effects
from tests.cli.waits import START, TRIP


@pytest.fixture(autouse=True)
def waits(waiting_flows: Path) -> Path:
    return waiting_flows


def test_a_run_that_asks_ends_with_three_and_says_what_it_waits_for_and_how_it_goes_on(call: Call) -> None:
    answer = call(*START)
    assert (answer.code, answer.out) == (3, "")
    head, wait, saved, give, go_on = answer.err.splitlines()
    assert head == "Run 'rome' waits for an answer."
    assert wait.startswith("  ▽ approve: May Rome be paid for? (question ")
    assert ", yes|no, open " in wait
    assert wait.endswith("(in 3 d))")
    assert saved == "Everything is saved. Have it go on with:"
    question = wait.partition("question ")[2][:8]
    assert give == f"  milepost answer rome {question}"
    assert go_on == "  milepost resume rome waits:workflow"


def test_a_store_that_is_not_the_usual_one_is_named_in_every_command(call: Call) -> None:
    answer = call(*START, "--store", "sqlite:///mine.db")
    commands = [line for line in answer.err.splitlines() if line.startswith("  milepost")]
    assert len(commands) == 2
    assert all(line.endswith(" --store sqlite:///mine.db") for line in commands)


def test_the_commands_that_a_run_names_bring_it_to_its_end(call: Call, folder: Path) -> None:
    said = call(*START)
    question = said.err.partition("milepost answer rome ")[2][:8]
    assert call("answer", "rome", question, "yes", "--by", "Ada").code == 0
    waiting = call("resume", "rome", "waits:workflow")
    assert waiting.code == 3
    assert "▱ paid: event 'paid' about 'invoice-7' (open " in waiting.err
    assert "  milepost send rome paid NUMBER --key invoice-7\n" in waiting.err
    assert call("send", "rome", "paid", "480", "--key", "invoice-7").code == 0
    answer = call("resume", "rome", "waits:workflow")
    assert (answer.code, answer.out) == (0, "booked for 480\n")
    assert effects(folder) == ["check"]


def test_a_run_that_waits_says_so_again_when_it_is_resumed_with_nothing_new(call: Call, folder: Path) -> None:
    call(*START)
    again = call("resume", "rome", "waits:workflow")
    assert again.code == 3
    assert "Run 'rome' waits for an answer." in again.err
    assert call(*START).code == 3
    assert effects(folder) == ["check"]


def test_a_run_that_waits_is_told_as_json_with_the_schema_and_the_command(call: Call) -> None:
    answer = call(*START, "--json")
    document = answer.document
    assert (answer.code, document["status"], document["output"]) == (3, "waiting", None)
    (wait,) = document["waits"]
    assert (wait["kind"], wait["node"], wait["text"]) == ("ask", "approve", "May Rome be paid for?")
    assert wait["details"] == {"to": "Rome", "cost": 480}
    assert wait["schema"] == {"enum": ["yes", "no"], "type": "string"}
    assert wait["command"] == f"milepost answer rome {wait['id'][:8]}"
    assert wait["until"] == document["due"]


def test_a_run_that_only_sleeps_says_when_it_can_be_resumed(call: Call) -> None:
    answer = call("run", "waits:sleeping", "--run-id", "s-1")
    assert (answer.code, answer.out) == (3, "")
    head, wait, saved, go_on = answer.err.splitlines()
    assert head == "Run 's-1' waits for a time."
    assert wait.startswith("  △ night: a time (until 2")
    assert saved.startswith("Everything is saved. From 2")
    assert saved.endswith("Z on it can be resumed; with --wait this stays until then:")
    assert go_on == "  milepost resume s-1 waits:sleeping"
    (told,) = call("run", "waits:sleeping", "--run-id", "s-1", "--json").document["waits"]
    assert (told["kind"], told["command"]) == ("time", None)


def test_a_time_that_comes_in_a_moment_is_waited_for(call: Call) -> None:
    answer = call("run", "waits:napping")
    assert (answer.code, answer.out, answer.err) == (0, "awake\n", "")


def test_a_run_inside_a_run_is_answered_by_the_name_of_the_outer_one(call: Call) -> None:
    said = call("run", "waits:outer", "--input", TRIP, "--run-id", "whole")
    assert said.code == 3
    assert "▽ approve of run " in said.err
    question = said.err.partition("milepost answer whole ")[2][:8]
    assert call("answer", "whole", question, "yes").code == 0
    assert call("resume", "whole", "waits:outer").code == 3
    assert call("send", "whole", "paid", "5", "--key", "invoice-7").code == 0
    assert call("resume", "whole", "waits:outer").out == "booked for 5\n"


def test_waiting_stays_until_everything_has_come(call: Call, start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start(*START, "--wait")
    assert process.stderr is not None
    head, wait, give = (process.stderr.readline() for _ in range(3))
    assert head == "Run 'rome' waits for an answer.\n"
    assert wait.startswith("  ▽ approve: ")
    question = give.split()[-1]
    assert call("answer", "rome", question, "no", "--by", "Ada").code == 0
    head, wait, _ = (process.stderr.readline() for _ in range(3))
    assert head == "Run 'rome' waits for an event.\n"
    assert call("send", "rome", "paid", "1", "--key", "invoice-7").code == 0
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "booked for 1\n", "")


def test_waiting_can_be_interrupted_and_gone_on_with(call: Call, start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start(*START, "--wait")
    assert process.stderr is not None
    assert "waits for an answer" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Run 'rome' is saved with every node that finished. Go on with: milepost resume rome waits:workflow" in err
    assert call("resume", "rome", "waits:workflow").code == 3
