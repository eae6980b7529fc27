"""`milepost answer`, without a terminal."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.waits import START


@pytest.fixture(autouse=True)
def waits(waiting_flows: Path) -> Path:
    return waiting_flows


def begun(call: Call, target: str, run_id: str = "r-1") -> str:
    """Start a run that asks one thing; return the id of the question."""
    document = call("run", f"waits:{target}", "--run-id", run_id, "--json").document
    question: str = document["waits"][0]["id"]
    return question


def end(call: Call, target: str, run_id: str = "r-1") -> object:
    """Go on with a run to its end, and return its output."""
    return call("resume", run_id, f"waits:{target}", "--json").document["output"]


def unchanged(call: Call, run_id: str = "r-1") -> bool:
    """Tell whether a run still waits for its first answer, and nobody has given one."""
    document = call("runs", "--waiting", "--json").document
    (run,) = [run for run in document["runs"] if run["run_id"] == run_id]
    return run["checkpoints"] == 2 and [wait["answered"] for wait in run["waits"]] == [None]


def test_the_only_open_question_needs_no_name(call: Call) -> None:
    begun(call, "number")
    answer = call("answer", "r-1", "42")
    assert (answer.code, answer.out) == (0, "")
    said, left, go_on = answer.err.splitlines()
    assert said == "Answered 'ask' of run 'r-1': 42."
    assert left == "The process that drives the run goes on with it. If there is none:"
    assert go_on == "  milepost resume r-1 TARGET"
    assert end(call, "number") == 42


@pytest.mark.parametrize("name", ["id", "beginning", "node"])
def test_a_question_is_called_by_its_id_the_beginning_of_that_or_its_node(call: Call, name: str) -> None:
    question = begun(call, "number")
    said = {"id": question, "beginning": question[:5], "node": "ask"}[name]
    assert call("answer", "r-1", said, "7").code == 0
    assert end(call, "number") == 7


@pytest.mark.parametrize(("written", "meant"), [("some text", "some text"), ('"quoted"', "quoted"), ("42", "42")])
def test_text_needs_no_quotes_where_only_text_is_asked_for(call: Call, written: str, meant: str) -> None:
    begun(call, "word")
    assert call("answer", "r-1", written).code == 0
    assert end(call, "word") == meant


def test_text_needs_quotes_where_something_else_is_asked_for(call: Call) -> None:
    question = begun(call, "number")
    answer = call("answer", "r-1", "many")
    assert answer.code == 2
    assert answer.err == (
        "'many' is not JSON (Expecting value: line 1 column 1 (char 0)), and question "
        f"{question[:8]} of node 'ask' asks for a whole number. Leave the answer out to be asked for it here.\n"
    )
    assert unchanged(call)


def test_an_answer_comes_from_a_file_or_from_stdin(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    (folder / "answer.json").write_text("[1, 2]")
    begun(call, "several", "a")
    begun(call, "several", "b")
    assert call("answer", "a", "@answer.json").code == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("[3]"))
    assert call("answer", "b", "@-").code == 0
    assert (end(call, "several", "a"), end(call, "several", "b")) == ([1, 2], [3])


def test_every_fault_of_an_answer_is_named_and_nothing_is_changed(call: Call) -> None:
    question = begun(call, "seat")
    answer = call("answer", "r-1", '{"kind": "roof", "day": "tomorrow", "count": 9}')
    assert answer.code == 2
    assert answer.err.splitlines() == [
        f"That does not fit question {question!r} of node 'ask':",
        "  1. At 'count': 9 is greater than the maximum of 4.",
        "  2. At 'day': 'tomorrow' is not a 'date'.",
        "  3. At 'kind': 'roof' is not one of ['window', 'aisle'].",
    ]
    assert unchanged(call)


def test_an_answer_that_is_none_of_the_choices_is_refused(call: Call) -> None:
    begun(call, "colour")
    answer = call("answer", "r-1", "green")
    assert answer.code == 2
    assert answer.err.endswith('It is none of the choices, which are "red", "blue".\n')
    assert unchanged(call)


def test_the_types_of_the_code_are_asked_when_the_target_is_named(call: Call) -> None:
    begun(call, "evens")
    answer = call("answer", "r-1", "3", "--target", "waits:evens")
    assert answer.code == 2
    assert "Value error, that is odd." in answer.err
    assert unchanged(call)
    assert call("answer", "r-1", "4", "--target", "waits:evens").err.endswith("  milepost resume r-1 waits:evens\n")


def test_the_types_of_the_code_are_asked_when_the_workflow_is_registered(call: Call, folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.milepost.workflows]\nevens = "waits.py:evens"\n')
    begun(call, "evens")
    assert "that is odd" in call("answer", "r-1", "3").err
    assert call("answer", "r-1", "4").err.endswith("  milepost resume r-1\n")
    assert call("resume", "r-1").out == "4\n"


def test_code_that_cannot_be_read_does_not_keep_anybody_from_answering(call: Call, folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.milepost.workflows]\nevens = "gone.py:evens"\n')
    begun(call, "evens")
    answer = call("answer", "r-1", "4")
    assert answer.code == 0
    assert answer.err.startswith("The code of workflow 'evens' cannot be read, so only the schema is looked at: ")


def test_a_target_that_asks_no_such_question_is_refused(call: Call) -> None:
    begun(call, "number")
    answer = call("answer", "r-1", "4", "--target", "waits:workflow")
    assert answer.code == 2
    assert "'waits:workflow' has no node 'ask' that asks this question of 'numbers'" in answer.err
    assert unchanged(call)


def test_an_answer_that_only_the_code_refuses_is_told_by_the_run_that_stays_open(call: Call) -> None:
    begun(call, "evens")
    assert call("answer", "r-1", "3").code == 0
    again = call("resume", "r-1", "waits:evens")
    assert again.code == 3
    assert "1 answer did not fit" in again.err
    assert call("answer", "r-1", "6").code == 0
    assert end(call, "evens") == 6


def test_a_second_answer_is_told_who_was_faster(call: Call) -> None:
    question = begun(call, "number")
    assert call("answer", "r-1", "1", "--by", "Ada").code == 0
    for given in ((question, "2"), ("ask", "2"), (question[:8], "2")):
        answer = call("answer", "r-1", *given, "--by", "Bob")
        assert answer.code == 2
        assert f"Question {given[0]!r} of run 'r-1' was answered before by Ada at 2" in answer.err
    assert end(call, "number") == 1
    for given in ((question, "2"), ("ask", "2"), (question[:8], "2")):
        assert "was answered before by Ada at 2" in call("answer", "r-1", *given).err


def test_an_answered_question_that_is_named_alone_is_never_taken_for_an_answer(call: Call) -> None:
    begun(call, "pair")
    call("answer", "r-1", "first", "one")
    call("resume", "r-1", "waits:pair")
    answer = call("answer", "r-1", "first")
    assert answer.code == 2
    assert "Question 'first' of run 'r-1' was answered before" in answer.err


def test_several_open_questions_have_to_be_named(call: Call) -> None:
    begun(call, "pair")
    for words in ((), ("some text",)):
        answer = call("answer", "r-1", *words)
        assert answer.code == 4
        assert "(first)" in answer.err
        assert "(second)" in answer.err
    assert call("answer", "r-1", "second", "two").code == 0
    assert call("answer", "r-1", "one").code == 0
    assert sorted(str(end(call, "pair"))) == sorted("['two', 'one']")


def test_a_run_that_is_cancelled_is_not_answered(call: Call) -> None:
    begun(call, "number")
    call("cancel", "r-1")
    for words in (("ask", "1"), ("1",), ()):
        answer = call("answer", "r-1", *words)
        sentence = "Run 'r-1' is cancelled, so nothing can be said to it. To go on with it all the same: "
        assert (answer.code, answer.err) == (2, f"{sentence}milepost resume r-1 TARGET --reopen\n")


def test_a_run_that_is_completed_is_not_answered(call: Call) -> None:
    assert call("run", "waits:napping", "--run-id", "done").code == 0
    for words in (("approve", "yes"), ("yes",), ()):
        answer = call("answer", "done", *words)
        assert (answer.code, answer.err) == (2, "Run 'done' is completed, so nothing can be said to it any more.\n")


def test_a_question_that_was_answered_before_its_run_was_done_says_who_was_faster(call: Call) -> None:
    begun(call, "number")
    call("answer", "r-1", "4", "--by", "Ada")
    end(call, "number")
    answer = call("answer", "r-1", "ask", "5")
    assert (answer.code, "was answered before by Ada" in answer.err) == (2, True)


@pytest.mark.parametrize("said", ['"much"', '"NaN"', '""', "null", "[1]"])
def test_what_is_no_decimal_is_refused_without_the_code(call: Call, said: str) -> None:
    begun(call, "price")
    answer = call("answer", "r-1", said)
    assert (answer.code, answer.err.startswith("That does not fit question")) == (2, True)
    assert unchanged(call)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('"99.51"', "Input should be less than or equal to 99.50."),
        ('"-1"', "Input should be greater than 0."),
        ("100", "100 is greater than the maximum of 99.5."),
    ],
)
def test_a_decimal_beyond_its_limits_is_refused_without_the_code(call: Call, said: str, why: str) -> None:
    begun(call, "refund")
    answer = call("answer", "r-1", "--", said)
    assert (answer.code, why in answer.err) == (2, True)
    assert unchanged(call)


def test_a_decimal_at_its_limit_is_taken_without_the_code(call: Call) -> None:
    begun(call, "refund")
    assert call("answer", "r-1", '"99.50"').code == 0
    assert end(call, "refund") == "99.50"


def test_text_of_digits_is_a_decimal_without_the_code(call: Call) -> None:
    begun(call, "price")
    assert "'much' is not a 'decimal'." in call("answer", "r-1", '"much"').err
    assert "asks for a number" in call("answer", "r-1", "much").err
    assert call("answer", "r-1", '"12.50"').code == 0
    assert end(call, "price") == "12.50"


def test_a_run_that_asks_nothing_says_so(call: Call) -> None:
    call("run", "waits:sleeping", "--run-id", "s-1")
    answer = call("answer", "s-1")
    assert answer.code == 4
    assert answer.err == "Run 's-1' has no open question.\n"


def test_an_unknown_run_is_not_answered(call: Call) -> None:
    begun(call, "number")
    assert call("answer", "nobody", "1").code == 4


def test_the_longest_waiting_run_is_answered_by_a_word(call: Call) -> None:
    begun(call, "number", "old")
    begun(call, "number", "young")
    assert call("answer", "@waiting", "1", "--json").document["run_id"] == "old"


def test_without_a_terminal_it_is_said_how_to_give_the_answer(call: Call) -> None:
    document = call(*START, "--json").document
    answer = call("answer", "rome")
    assert answer.code == 2
    assert answer.err == (
        "There is no terminal here to ask on. Give the answer behind the question: "
        f"milepost answer rome {document['waits'][0]['id'][:8]} yes|no (or @FILE, or @- for stdin).\n"
    )


def test_an_answer_as_json_tells_what_was_answered_and_by_whom(call: Call) -> None:
    begun(call, "number")
    document = call("answer", "r-1", "5", "--by", "Ada", "--json").document
    assert (document["run_id"], document["node"], document["answer"], document["by"]) == ("r-1", "ask", 5, "Ada")


def test_whoever_calls_answers_by_their_own_name(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(call, "number")
    monkeypatch.setenv("LOGNAME", "grace")
    assert call("answer", "r-1", "5", "--json").document["by"] == "grace"


def test_of_two_processes_that_answer_at_once_exactly_one_wins(
    call: Call, start: Callable[..., subprocess.Popen[str]]
) -> None:
    question = begun(call, "number")
    people = {name: start("answer", "r-1", question, str(len(name)), "--by", name) for name in ("Ada", "Bobby", "Al")}
    ends = {name: (process.communicate(timeout=60)[1], process.returncode) for name, process in people.items()}
    (winner,) = [name for name, (_, code) in ends.items() if code == 0]
    losers = [text for text, code in ends.values() if code == 2]
    assert len(losers) == 2
    assert all(f"was answered before by {winner} at 2" in text for text in losers)
    assert end(call, "number") == len(winner)
