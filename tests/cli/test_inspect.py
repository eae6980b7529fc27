"""`milepost runs`, `show` and `trace`."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import anyio
import pytest

from milepost.engine.stores.sqlite import SqliteStore
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import entry, new_run
from tests.cli.conftest import ORDER, Call
from tests.cli.waits import START

RUN = ("run", "flows:workflow", "--input", ORDER)


@pytest.fixture
def two_runs(call: Call, folder: Path) -> None:
    """One run that is done, and a later one that failed."""
    call(*RUN, "--run-id", "done-1")
    (folder / "broken").touch()
    call(*RUN, "--run-id", "failed-1")


def test_a_store_that_is_not_there_is_told_and_not_made(call: Call, folder: Path) -> None:
    sentence = (
        "There is no store at 'sqlite:///.milepost/runs.db' yet. Start a run there first, or name another with --store."
    )
    answer = call("runs")
    assert (answer.code, answer.out, answer.err) == (8, "", f"{sentence}\n")
    assert call("runs", "--json").document["error"] == {"type": "StoreError", "message": sentence}
    assert not (folder / ".milepost").exists()


@pytest.mark.parametrize(
    "words", [("runs",), ("show", "x"), ("trace", "x"), ("verify",), ("verify", "x"), ("tree", "x")]
)
def test_a_store_that_is_not_there_is_told_by_every_command_that_reads(
    call: Call, folder: Path, words: tuple[str, ...]
) -> None:
    answer = call(*words)
    assert (answer.code, answer.out, answer.err.count("\n")) == (4 if "x" in words else 8, "", 1)
    assert "there is no store at 'sqlite:///.milepost/runs.db' yet" in answer.err.replace("There", "there")
    assert not (folder / ".milepost").exists()


@pytest.mark.parametrize("words", [("runs",), ("show", "x"), ("run", "flows:workflow", "--input", ORDER)])
def test_a_database_that_is_no_file_is_refused_and_makes_none(call: Call, folder: Path, words: tuple[str, ...]) -> None:
    answer = call(*words, "--store", "sqlite:///:memory:")
    assert (answer.code, answer.err.startswith("A store named ':memory:' would be a file of that name.")) == (2, True)
    assert not (folder / ":memory:").exists()


def test_a_store_without_runs_has_none(call: Call) -> None:
    answer = call("runs", "--store", "memory://")
    assert (answer.code, answer.out, answer.err) == (0, "", "No runs in 'memory://'.\n")
    assert call("runs", "--store", "memory://", "--json").document["runs"] == []


@pytest.mark.usefixtures("two_runs")
def test_runs_lists_the_latest_first(call: Call) -> None:
    lines = call("runs").out.splitlines()
    assert [line.split()[:4] for line in lines[1:]] == [
        ["failed-1", "orders", "v1", "failed"],
        ["done-1", "orders", "v1", "completed"],
    ]
    assert [run["run_id"] for run in call("runs", "--json").document["runs"]] == ["failed-1", "done-1"]


@pytest.mark.usefixtures("two_runs")
def test_runs_can_be_narrowed(call: Call) -> None:
    assert [run["run_id"] for run in call("runs", "--status", "completed", "--json").document["runs"]] == ["done-1"]
    assert [run["run_id"] for run in call("runs", "--limit", "1", "--json").document["runs"]] == ["failed-1"]
    assert call("runs", "--workflow", "other").err == "No run fits.\n"


@pytest.fixture
def tagged(call: Call, folder: Path) -> None:
    """Three runs, the last of which failed."""
    call(*RUN, "--run-id", "a", "--tag", "nightly", "--tag", "customer-7")
    call(*RUN, "--run-id", "b")
    (folder / "broken").touch()
    call(*RUN, "--run-id", "c", "--tag", "nightly")


def ids(call: Call, *words: str) -> list[str]:
    return [run["run_id"] for run in call("runs", *words, "--json").document["runs"]]


@pytest.mark.usefixtures("tagged")
def test_runs_are_found_by_their_tags(call: Call) -> None:
    assert ids(call, "--tag", "nightly") == ["c", "a"]
    assert ids(call, "--tag", "nightly", "--status", "completed") == ["a"]
    assert ids(call, "--tag", "nobody") == []
    document = call("runs", "--tag", "nightly", "--limit", "1", "--json").document
    assert document["runs"][0]["tags"] == ["nightly"]
    assert document["counts"] == {"completed": 1, "failed": 1}
    lines = call("runs").out.splitlines()
    assert lines[0].split()[-1] == "TAGS"
    place = lines[0].index("TAGS")
    assert [line[place:].strip() for line in lines[1:]] == ["nightly", "", "nightly, customer-7"]
    assert call("show", "a", "--json").document["tags"] == ["nightly", "customer-7"]


@pytest.mark.usefixtures("two_runs")
def test_tags_are_no_column_where_no_run_has_any(call: Call) -> None:
    assert "TAGS" not in call("runs").out


def test_tags_that_cannot_be_are_refused_before_anything_is_opened(call: Call, folder: Path) -> None:
    answer = call(*RUN, "--tag", "a", "--tag", "a", "--tag", "")
    assert (answer.code, answer.out) == (2, "")
    assert "These tags cannot be given to a run: 'a' is there twice; '' is empty." in answer.err
    assert not (folder / ".milepost").exists()


@pytest.mark.usefixtures("tagged")
def test_runs_are_found_by_when_they_began(call: Call) -> None:
    for since in ("2d", "1h", "2026-01-01", "2026-01-01T10:00+02:00", "2026-01-01T08:00Z"):
        assert ids(call, "--since", since) == ["c", "b", "a"]
    (newest, *_) = call("runs", "--json").document["runs"]
    assert ids(call, "--since", "2999-01-01") == []
    assert newest["run_id"] == "c"
    assert call("runs", "--since", "2999-01-01").err == "No run fits.\n"
    answer = call("runs", "--since", "yesterday")
    assert answer.code == 2
    assert answer.err == (
        "'yesterday' is no moment. Write a date, e.g. 2026-11-28 or 2026-11-28T09:30Z, or how long ago it was, e.g. 2d "
        "or 12h.\n"
    )


@pytest.mark.usefixtures("tagged")
def test_runs_that_wait_are_listed_with_how_many_stand_how(call: Call) -> None:
    answer = call("runs", "--waiting")
    assert (answer.code, answer.out, answer.err) == (0, "", "No run fits.\n2 completed, 1 failed.\n")
    assert ids(call, "--waiting") == []
    assert call("runs", "--waiting", "--tag", "customer-7").err == "No run fits.\n1 completed.\n"
    assert call("runs", "--waiting", "--tag", "nobody").err == "No run fits.\n"
    answer = call("runs", "--waiting", "--status", "failed")
    assert answer.code == 2
    assert "--waiting and --status failed cannot both hold" in answer.err
    assert call("runs", "--waiting", "--status", "waiting").code == 0


def test_a_run_that_waits_is_listed_with_its_time(folder: Path, call: Call) -> None:
    async def put() -> None:
        async with opened(SqliteStore(folder / "wait.db")) as store:
            first = entry("w", 1, at=1795276657.5, status="waiting", due=1795363057.0)
            assert await store.create(new_run("w"), first)

    anyio.run(put)
    answer = call("runs", "--waiting", "--store", "sqlite:///wait.db")
    assert answer.out.splitlines()[1].split()[:4] == ["w", "claims", "v3", "waiting"]
    assert answer.err == "1 waiting.\n"
    (run,) = call("runs", "--waiting", "--store", "sqlite:///wait.db", "--json").document["runs"]
    assert (run["status"], run["due"]) == ("waiting", "2026-11-22T15:57:37.000+00:00")


@pytest.mark.usefixtures("two_runs")
def test_show_draws_a_run_on_the_terminal(call: Call) -> None:
    answer = call("show", "done")
    assert answer.code == 0
    assert all(word in answer.out for word in ("done-1", "price", "ship"))
    assert "\x1b" not in answer.out


@pytest.mark.usefixtures("two_runs")
def test_show_as_json_has_the_run_and_its_trace(call: Call) -> None:
    document = call("show", "@last", "--json").document
    assert (document["run_id"], document["status"]) == ("failed-1", "failed")
    assert [(task["node"], task["status"]) for task in document["trace"]["tasks"]] == [
        ("price", "completed"),
        ("ship", "failed"),
    ]
    assert {"source": "price", "target": "ship", "branch": 0, "count": 1, "chosen": None} in document["trace"]["taken"]
    price, ship = document["trace"]["tasks"]
    assert (ship["cause"], ship["seq"]) == (price["key"], 3)
    assert [set(attempt) for attempt in ship["tried"]] == [{"started", "finished", "error"}]
    assert ship["tried"][0]["finished"] == ship["finished"] >= ship["spawned"]


@pytest.mark.usefixtures("two_runs")
def test_a_trace_can_be_drawn_step_by_step(call: Call) -> None:
    text = call("trace", "done-1", "--steps", "--format", "mermaid").out
    assert "1 price" in text
    assert "2 ship" in text
    assert "steps in order" in call("trace", "done-1", "--steps").out


@pytest.mark.usefixtures("two_runs")
@pytest.mark.parametrize(
    ("form", "beginning"),
    [
        ("mermaid", ""),
        ("dot", "digraph"),
        ("html", "<!doctype html>"),
        ("text", ""),
        ("timeline", "<svg"),
        ("gantt", "---"),
    ],
)
def test_a_trace_is_drawn_in_every_text_format(call: Call, form: str, beginning: str) -> None:
    answer = call("trace", "done-1", "--format", form)
    assert answer.code == 0
    assert answer.out.lower().lstrip().startswith(beginning)
    assert "price" in answer.out


@pytest.mark.usefixtures("two_runs")
def test_a_trace_is_written_to_a_file_whose_ending_says_how(call: Call, folder: Path) -> None:
    answer = call("trace", "done-1", "-o", "run.svg")
    assert (answer.code, answer.out, answer.err) == (0, "", "Wrote run.svg\n")
    assert ElementTree.parse(folder / "run.svg").getroot().tag.endswith("svg")


@pytest.mark.usefixtures("two_runs")
def test_a_file_that_cannot_be_written_is_one_sentence(call: Call) -> None:
    answer = call("trace", "done-1", "-o", "none/run.dot")
    assert (answer.code, answer.err) == (2, "'none/run.dot' cannot be written: No such file or directory.\n")


@pytest.mark.usefixtures("two_runs")
@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        ("@waiting", "No run in this store is waiting.\n"),
        ("@first", "'@first' is not known. Write a run's id, the beginning of one, @last or @waiting.\n"),
    ],
)
def test_a_word_that_stands_for_no_run_is_not_found(call: Call, run: str, sentence: str) -> None:
    answer = call("show", run)
    assert (answer.code, answer.err) == (4, sentence)


@pytest.mark.usefixtures("waiting_flows")
def test_open_questions_are_listed_under_each_run_that_waits(call: Call) -> None:
    call(*START)
    call("run", "waits:pair", "--run-id", "both", "--tag", "urgent")
    answer = call("runs", "--waiting")
    heading, both, first, second, rome, approve = answer.out.splitlines()
    assert heading.split() == ["RUN", "WORKFLOW", "STATUS", "UPDATED"]
    assert both.split()[:4] == ["both", "pair", "v1", "waiting"]
    assert both.endswith("urgent")
    assert first.startswith("  ▽ first: The first? (question ")
    assert second.startswith("  ▽ second: The second? (question ")
    assert rome.split()[:4] == ["rome", "trips", "v1", "waiting"]
    assert approve.startswith("  ▽ approve: May Rome be paid for? (question ")
    assert ", yes|no, open " in approve
    assert ", until 2" in approve
    assert answer.err == "2 waiting.\n"
    document = call("runs", "--waiting", "--json").document
    assert [[wait["text"] for wait in run["waits"]] for run in document["runs"]] == [
        ["The first?", "The second?"],
        ["May Rome be paid for?"],
    ]


@pytest.mark.usefixtures("waiting_flows")
def test_an_answer_that_nobody_has_taken_yet_is_told(call: Call) -> None:
    call(*START)
    call("answer", "rome", "yes", "--by", "Ada")
    assert "answered by Ada, not taken yet" in call("runs", "--waiting").out
    shown = call("show", "rome").out
    assert "answered by Ada, not taken yet" in shown
    assert "milepost answer" not in shown


@pytest.mark.usefixtures("waiting_flows")
def test_show_tells_what_a_run_waits_for_and_who_answered(call: Call) -> None:
    call(*START)
    waiting = call("show", "@waiting")
    assert "It waits for:\n  ▽ approve: May Rome be paid for? (question " in waiting.out
    assert "Have it go on with:\n  milepost answer rome " in waiting.out
    assert waiting.out.endswith("  milepost resume rome TARGET\n")
    (wait,) = call("show", "rome", "--json").document["waits"]
    assert (wait["node"], wait["choices"], wait["answered"]) == ("approve", [], None)
    call("answer", "rome", "yes", "--by", "Ada")
    call("resume", "rome", "waits:workflow")
    answered = call("show", "rome")
    assert "answered by Ada, waited " in answered.out
    assert "▱ paid: event 'paid' about 'invoice-7' (open " in answered.out
    told = call("show", "rome", "--json").document["trace"]["tasks"][1]["wait"]
    assert (told["how"], told["by"], told["answer"]) == ("answered", "Ada", '"yes"')


@pytest.mark.usefixtures("waiting_flows")
@pytest.mark.parametrize("target", ["workflow", "sleeping", "pair", "outer"])
def test_workflows_that_wait_are_checked_and_drawn(call: Call, target: str) -> None:
    assert call("check", f"waits:{target}").code == 0
    for format in ("text", "mermaid", "dot"):
        assert call("render", f"waits:{target}", "--format", format).code == 0
