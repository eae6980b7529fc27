"""Finding the workflow that a command line names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from milepost.cli.target import BadTarget, find_registered, find_workflow, registered
from milepost.engine.errors import InputError

SOURCE = """
from pydantic_graph import GraphBuilder, StepContext

print("imported")
builder = GraphBuilder(name="greeting", input_type=str, output_type=str)

@builder.step
async def greet(ctx: StepContext[None, None, str]) -> str:
    return f"Hello, {ctx.inputs}"

builder.add(builder.edge_from(builder.start_node).to(greet), builder.edge_from(greet).to(builder.end_node))
workflow = builder.build()
unfinished = GraphBuilder(name="unfinished", input_type=str, output_type=str)
number = 17

class Flows:
    inner = workflow
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a new folder, and forget afterwards what was imported from it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def reason(target: str) -> str:
    """Return why a target is refused."""
    with pytest.raises(BadTarget) as caught:
        find_workflow(target)
    return str(caught.value)


def test_a_module_in_the_working_directory_is_found(folder: Path) -> None:
    (folder / "greetings_module.py").write_text(SOURCE)
    assert find_workflow("greetings_module:workflow").name == "greeting"


def test_a_file_anywhere_is_found_and_may_import_its_neighbours(folder: Path) -> None:
    nested = folder / "deep" / "er"
    nested.mkdir(parents=True)
    (nested / "neighbour_of_flow.py").write_text(SOURCE)
    (nested / "a-flow.py").write_text("from neighbour_of_flow import workflow as flow\n")
    assert find_workflow("deep/er/a-flow.py:flow").name == "greeting"
    assert find_workflow(f"{nested}/a-flow.py:flow").name == "greeting"


def test_a_file_with_the_name_of_a_known_module_does_not_replace_it(folder: Path) -> None:
    (folder / "json.py").write_text(SOURCE)
    import json

    assert find_workflow("json.py:workflow").name == "greeting"
    assert sys.modules["json"] is json


def test_an_attribute_may_lie_deeper(folder: Path) -> None:
    (folder / "greetings_inner.py").write_text(SOURCE)
    assert find_workflow("greetings_inner:Flows.inner").name == "greeting"


def test_a_builder_is_built(folder: Path) -> None:
    (folder / "greetings_builder.py").write_text(SOURCE.replace("workflow = builder.build()", "workflow = builder"))
    assert find_workflow("greetings_builder:builder").name == "greeting"


def test_what_a_module_prints_is_not_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "greetings_print.py").write_text(SOURCE)
    find_workflow("greetings_print:workflow")
    assert capsys.readouterr() == ("", "imported\n")


def test_a_builder_that_cannot_be_built_says_why(folder: Path) -> None:
    (folder / "greetings_unfinished.py").write_text(SOURCE)
    assert reason("greetings_unfinished:unfinished").startswith(
        "The workflow 'greetings_unfinished:unfinished' cannot be built: "
    )


def test_a_missing_module_is_named(folder: Path) -> None:
    assert reason("no_such_module:workflow") == (
        f"There is no module 'no_such_module'. It is looked for in {str(folder)!r} and in what is installed."
    )
    assert "no module 'json.nope.flow', because there is no 'json.nope'" in reason("json.nope.flow:workflow")


def test_a_missing_file_is_named() -> None:
    assert reason("none.py:workflow").startswith("There is no file 'none.py' in ")


def test_a_path_without_its_ending_gets_the_hint(folder: Path) -> None:
    (folder / "flows").mkdir()
    (folder / "flows" / "one.py").write_text(SOURCE)
    assert reason("flows/one:workflow").endswith("For a file, write its whole name: 'flows/one.py:workflow'.")


def test_a_missing_attribute_offers_the_close_match_or_all_workflows(folder: Path) -> None:
    (folder / "greetings_typo.py").write_text(SOURCE)
    assert reason("greetings_typo:workflw") == "'greetings_typo' has no 'workflw'. Did you mean 'workflow'?"
    assert reason("greetings_typo:zzz") == "'greetings_typo' has no 'zzz'. It has 'builder', 'workflow', 'unfinished'."


def test_what_is_not_a_workflow_is_refused(folder: Path) -> None:
    (folder / "greetings_number.py").write_text(SOURCE)
    assert reason("greetings_number:number") == (
        "'number' in 'greetings_number:number' is an instance of 'int', not a workflow. "
        "Name what WorkflowBuilder.build() returned."
    )
    assert "is the class 'Flows', not a workflow" in reason("greetings_number:Flows")


@pytest.mark.parametrize("name", ["broken_by_error:workflow", "broken_by_error.py:workflow"])
def test_a_module_that_fails_says_where(folder: Path, name: str) -> None:
    (folder / "broken_by_error.py").write_text("x = 1\ny = x / 0\n")
    assert reason(name).endswith(
        "cannot be imported: ZeroDivisionError: division by zero (broken_by_error.py, line 2)."
    )


def test_a_module_that_imports_something_missing_says_so(folder: Path) -> None:
    (folder / "broken_by_import.py").write_text("import no_such_package\n")
    assert reason("broken_by_import:workflow") == (
        "'broken_by_import' cannot be imported: ModuleNotFoundError: No module named 'no_such_package' "
        "(broken_by_import.py, line 1)."
    )


def test_a_module_that_is_not_python_says_where(folder: Path) -> None:
    (folder / "broken_by_syntax.py").write_text("x = 1\ndef (:\n")
    assert "(broken_by_syntax.py, line 2)" in reason("broken_by_syntax:workflow")


def test_a_module_that_exits_is_one_sentence_too(folder: Path) -> None:
    (folder / "broken_by_exit.py").write_text("raise SystemExit(3)\n")
    assert "cannot be imported: SystemExit: 3" in reason("broken_by_exit:workflow")


@pytest.mark.parametrize("target", ["flow.py", "flow.py:"])
def test_a_file_without_a_workflow_name_gets_the_hint(target: str) -> None:
    assert reason(target) == "'flow.py' names a file but no workflow in it. Write 'flow.py:workflow'."


def test_a_module_without_a_workflow_name_gets_the_hint() -> None:
    assert (
        reason("package.flow:")
        == "'package.flow:' names a module but no workflow in it. Write 'package.flow:workflow'."
    )


def test_a_registered_name_is_found_from_any_folder_of_the_project(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "pyproject.toml").write_text(
        '[tool.milepost.workflows]\ngreeting = "flows/registered_flow.py:workflow"\nother = "package.module:flow"\n'
    )
    (folder / "flows").mkdir()
    (folder / "flows" / "registered_flow.py").write_text(SOURCE)
    monkeypatch.chdir(folder / "flows")
    assert find_workflow("greeting").name == "greeting"
    assert find_registered("greeting", "run-1").name == "greeting"
    assert registered()["other"] == "package.module:flow"


def test_an_unknown_name_offers_the_close_match(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.milepost.workflows]\ngreeting = "a:b"\n')
    assert reason("greting").startswith("No workflow is registered as 'greting'. Did you mean 'greeting'?")


def test_a_run_of_an_unregistered_workflow_says_how_to_name_it() -> None:
    with pytest.raises(BadTarget, match=r"Say where it is: milepost resume run-1 package\.module:workflow"):
        find_registered("claims", "run-1")


def test_a_project_file_that_is_not_toml_is_one_sentence(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool\n")
    with pytest.raises(InputError, match=r"pyproject\.toml' cannot be read: "):
        registered()


@pytest.mark.parametrize("table", ["", "[tool]\nmilepost = 3\n", "[tool.milepost]\nworkflows = []\n"])
def test_a_project_without_workflows_has_none(folder: Path, table: str) -> None:
    (folder / "pyproject.toml").write_text(table)
    assert "greeting" not in registered()
