"""`milepost run` and `milepost resume`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import ORDER, Call

RUN = ("run", "flows:workflow", "--input", ORDER)


def effects(folder: Path) -> list[str]:
    """Return what the node `price` left."""
    file = folder / "effects.txt"
    return file.read_text().splitlines() if file.exists() else []


def left(folder: Path) -> set[str]:
    """Return the names of everything in the folder."""
    return {path.name for path in folder.iterdir()}


def test_a_run_prints_its_output_and_nothing_else_on_stdout(call: Call, folder: Path) -> None:
    answer = call(*RUN)
    assert (answer.code, answer.out) == (0, "3 apples\n")
    assert "pricing" in answer.err
    assert (folder / ".milepost" / "runs.db").exists()


def test_a_run_as_json_tells_how_it_ended(call: Call) -> None:
    document = call(*RUN, "--run-id", "o-1", "--json").document
    assert (document["run_id"], document["workflow"], document["version"]) == ("o-1", "orders", 1)
    assert (document["status"], document["output"], document["error"]) == ("completed", "3 apples", None)
    assert document["checkpoints"] >= 3


def test_a_finished_run_started_again_prints_its_recorded_output(call: Call, folder: Path) -> None:
    first = call(*RUN, "--run-id", "o-1", "--json").document
    again = call(*RUN, "--run-id", "o-1", "--json")
    assert (again.code, again.document) == (0, first)
    assert effects(folder) == ["price"]


def test_a_finished_run_resumed_prints_its_recorded_output(call: Call, folder: Path) -> None:
    call(*RUN, "--run-id", "o-1")
    answer = call("resume", "o-1", "flows:workflow")
    assert (answer.code, answer.out) == (0, "3 apples\n")
    assert effects(folder) == ["price"]


def test_a_failed_run_says_what_failed_and_how_to_go_on(call: Call, folder: Path) -> None:
    (folder / "broken").touch()
    answer = call(*RUN, "--run-id", "o-1")
    assert (answer.code, answer.out) == (1, "")
    assert "Node 'ship' failed on its only attempt: RuntimeError: the van broke down\n" in answer.err
    assert answer.err.endswith("milepost resume o-1 flows:workflow\n")
    assert "Traceback" not in answer.err


def test_a_failed_run_as_json_has_its_error(call: Call, folder: Path) -> None:
    (folder / "broken").touch()
    answer = call(*RUN, "--run-id", "o-1", "--json")
    assert answer.code == 1
    assert answer.document["status"] == "failed"
    assert "the van broke down" in answer.document["error"]


def test_a_failed_run_goes_on_where_it_failed(call: Call, folder: Path) -> None:
    (folder / "broken").touch()
    call(*RUN, "--run-id", "o-1")
    (folder / "broken").unlink()
    answer = call("resume", "o-", "flows:workflow", "--json")
    assert (answer.code, answer.document["output"]) == (0, "3 apples")
    assert effects(folder) == ["price"]


def test_last_is_the_run_that_was_changed_last(call: Call, folder: Path) -> None:
    call(*RUN, "--run-id", "first")
    (folder / "broken").touch()
    call(*RUN, "--run-id", "second")
    (folder / "broken").unlink()
    assert call("resume", "@last", "flows:workflow", "--json").document["run_id"] == "second"


def test_a_registered_workflow_is_resumed_without_its_target(call: Call, folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.milepost.workflows]\norders = "flows.py:workflow"\n')
    (folder / "broken").touch()
    failed = call("run", "orders", "--input", ORDER, "--run-id", "o-1")
    assert failed.err.endswith("milepost resume o-1 orders\n")
    (folder / "broken").unlink()
    assert call("resume", "o-1").out == "3 apples\n"


def test_a_run_that_is_done_gives_its_output_without_its_code(call: Call, folder: Path) -> None:
    call(*RUN, "--run-id", "o-1")
    (folder / "flows.py").unlink()
    answer = call("resume", "o-1")
    assert (answer.code, answer.out, answer.err) == (0, "3 apples\n", "")
    document = call("resume", "o-1", "--json").document
    assert (document["status"], document["output"], document["waits"]) == ("completed", "3 apples", [])


def test_an_unregistered_workflow_cannot_be_resumed_without_its_target(call: Call, folder: Path) -> None:
    (folder / "broken").touch()
    call(*RUN, "--run-id", "o-1")
    answer = call("resume", "o-1")
    assert answer.code == 2
    assert answer.err == (
        "Run 'o-1' is of the workflow 'orders', which is not registered here. "
        "Say where it is: milepost resume o-1 package.module:workflow\n"
    )


def test_the_state_to_begin_with_is_given_as_json(call: Call) -> None:
    assert call("run", "flows:counted", "--state", '{"seen": 41}').out == "42\n"


def test_deps_come_from_the_factory_of_the_workflow(call: Call, folder: Path) -> None:
    assert call("run", "flows:helped").out == "a van\n"
    assert not (folder / "lent").exists()


def test_the_store_comes_from_the_environment(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILEPOST_STORE", "sqlite:///mine.db?durability=process")
    call(*RUN, "--run-id", "o-1")
    assert (folder / "mine.db").exists()
    assert not (folder / ".milepost").exists()
    assert call("resume", "o-1", "flows:workflow").out == "3 apples\n"


def test_every_flag_has_an_environment_variable(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILEPOST_RUN_INPUT", ORDER)
    monkeypatch.setenv("MILEPOST_RUN_DURABILITY", "process")
    assert call("run", "flows:workflow").out == "3 apples\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("run", "none:workflow"), "There is no module 'none'."),
        (("run", "flows:nothing"), "'flows' has no 'nothing'."),
        (("run", "flows:ORDER"), "'flows' has no 'ORDER'."),
        (("run", "flows:Order"), "'Order' in 'flows:Order' is the class 'Order', not a workflow."),
        (("run", "flows:unsound"), "Workflow 'unsound' has "),
        (("run", "flows:workflow"), "This workflow needs an input of type 'Order'."),
        (("run", "flows:workflow", "--input", "{"), "The input is not JSON: "),
        (("run", "flows:workflow", "--input", "@none.json"), "The file 'none.json' given to --input cannot be read"),
        (("run", "flows:workflow", "--input", "{}"), "The input does not fit 'Order', with 2 faults:\n  name: Field"),
        (("run", "flows:workflow", "--input", ORDER, "--state", "{}"), "This workflow takes no state."),
        (("run", "flows:counted"), "This workflow needs a state of type 'Tally'."),
        (("run", "flows:counted", "--state", '{"seen": "x"}'), "The state does not fit 'Tally': seen: Input should be"),
        (("run", "flows:needy"), "Workflow 'needy' needs deps of type 'str', and nothing makes them"),
        ((*RUN, "--run-id", "@last"), "'@last' cannot be a run id"),
        ((*RUN, "--durability", "none"), "Invalid value for '--durability'"),
        ((*RUN, "--colour"), "No such option '--colour'"),
        (("run",), "Missing argument 'TARGET'."),
        (("sprint",), "No such command 'sprint'."),
        (("runn",), "No such command 'runn'. Did you mean 'run' or 'runs'? See 'milepost --help'."),
    ],
)
def test_bad_usage_is_one_sentence_and_changes_nothing(
    call: Call, folder: Path, words: tuple[str, ...], sentence: str
) -> None:
    before = left(folder)
    answer = call(*words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(sentence)
    assert "Traceback" not in answer.err
    assert left(folder) == before


def test_without_a_command_there_is_the_help_and_nothing_behind_it(call: Call) -> None:
    answer = call()
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Usage: milepost")
    assert answer.err.rstrip().endswith("130 interrupted with everything saved.")


@pytest.mark.parametrize("words", [("resume", "r-1", "flows:workflow"), ("show", "r-1"), ("trace", "@last")])
def test_a_run_in_a_store_that_is_not_there_is_not_found_and_makes_no_store(
    call: Call, folder: Path, words: tuple[str, ...]
) -> None:
    before = left(folder)
    answer = call(*words)
    assert answer.code == 4
    assert answer.err.startswith(f"There is no run {words[1]!r}, because there is no store at ")
    assert left(folder) == before


@pytest.mark.parametrize("words", [("resume", "r-1", "flows:workflow"), ("show", "r-1"), ("trace", "r-1")])
def test_a_run_that_the_store_does_not_have_is_not_found(call: Call, words: tuple[str, ...]) -> None:
    call(*RUN, "--run-id", "o-1")
    answer = call(*words)
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.startswith("There is no run 'r-1' in this store.")


def test_another_input_for_a_known_run_is_refused(call: Call, folder: Path) -> None:
    call(*RUN, "--run-id", "o-1")
    answer = call("run", "flows:workflow", "--input", '{"name": "pears", "count": 1}', "--run-id", "o-1")
    assert answer.code == 2
    assert answer.err.startswith("Run 'o-1' exists with another input")
    assert effects(folder) == ["price"]


def test_another_workflow_for_a_known_run_is_refused(call: Call) -> None:
    call(*RUN, "--run-id", "o-1")
    answer = call("run", "flows:helped", "--run-id", "o-1")
    assert answer.code == 2
    assert answer.err.startswith("Run 'o-1' exists with another workflow")


def test_a_store_that_is_not_sqlite_is_refused_and_left_as_it_is(call: Call, folder: Path) -> None:
    file = folder / "notes.db"
    file.write_text("These are notes, and no database at all." * 10)
    before = file.read_bytes()
    answer = call(*RUN, "--store", "sqlite:///notes.db")
    assert (answer.code, answer.out) == (8, "")
    assert len(answer.err.splitlines()) == 1
    assert file.read_bytes() == before


def test_the_database_of_another_program_is_refused_and_left_as_it_is(call: Call, folder: Path) -> None:
    import sqlite3

    with sqlite3.connect(folder / "other.db") as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    before = (folder / "other.db").read_bytes()
    for words in (RUN, ("runs",), ("show", "r-1")):
        answer = call(*words, "--store", "sqlite:///other.db")
        assert (answer.code, answer.out) == (8, "")
        assert len(answer.err.splitlines()) == 1
    assert (folder / "other.db").read_bytes() == before


@pytest.mark.parametrize("url", ["sqlite:////proc/none/runs.db", "sqlite:///.", "mysql://host/runs"])
def test_a_store_that_cannot_be_opened_is_one_sentence(call: Call, folder: Path, url: str) -> None:
    before = left(folder)
    answer = call(*RUN, "--store", url)
    assert answer.code in (2, 8)
    assert len(answer.err.splitlines()) == 1
    assert "Traceback" not in answer.err
    assert left(folder) == before


def test_debug_shows_the_traceback(call: Call) -> None:
    answer = call("run", "none:workflow", "--debug")
    assert "Traceback (most recent call last)" in answer.err
    assert answer.err.splitlines()[-1].startswith("There is no module 'none'.")


def test_an_error_as_json_has_its_kind_its_faults_and_the_exit_code(call: Call) -> None:
    answer = call("run", "flows:workflow", "--input", "{}", "--json")
    assert answer.document["error"]["type"] == "WrongValue"
    assert answer.document["error"]["faults"] == ["name: Field required", "count: Field required"]
    assert (answer.code, answer.document["exit_code"]) == (2, 2)


def test_an_interrupted_run_is_saved_and_says_how_to_go_on(
    start: Callable[..., subprocess.Popen[str]], call: Call, folder: Path
) -> None:
    (folder / "slow").touch()
    process = start(*RUN, "--run-id", "o-1")
    until = time.monotonic() + 30
    while not (folder / "started").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, "")
    assert stderr.splitlines()[-1] == (
        "Interrupted. Run 'o-1' is saved with every node that finished. Go on with: milepost resume o-1 flows:workflow"
    )
    (folder / "slow").unlink()
    assert call("resume", "o-1", "flows:workflow").out == "3 apples\n"
    assert effects(folder) == ["price"]


def test_a_run_that_another_process_drives_is_busy(
    start: Callable[..., subprocess.Popen[str]], call: Call, folder: Path
) -> None:
    (folder / "slow").touch()
    process = start(*RUN, "--run-id", "o-1")
    until = time.monotonic() + 30
    while not (folder / "started").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    answer = call("resume", "o-1", "flows:workflow")
    assert answer.code == 6
    assert answer.err.startswith("Run 'o-1' is being driven by ")


def test_a_workflow_that_no_longer_fits_the_run_is_refused(call: Call, folder: Path) -> None:
    (folder / "broken").touch()
    call(*RUN, "--run-id", "o-1")
    source = (folder / "flows.py").read_text()
    (folder / "changed.py").write_text(source.replace("ship", "deliver"))
    answer = call("resume", "o-1", "changed.py:workflow")
    assert answer.code == 5
    assert answer.err.startswith("Run 'o-1' cannot go on with this workflow, which has changed since:")


def test_the_help_is_fast_because_it_imports_no_engine() -> None:
    source = (
        "import sys\nfrom milepost.cli.main import main\nmain(['--help'])\n"
        "slow = {'rich', 'networkx', 'pydantic_ai', 'milepost.engine.engine'}\n"
        "print(sorted(slow & set(sys.modules)), file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert found.stderr == "[]\n"
    assert "Commands:" in found.stdout
