"""What users rely on type checkers to infer and to refuse, proven with mypy --strict and pyright strict."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.typing_tests import accepted
from tests.typing_tests.checkers import mypy_errors, pyright_errors
from tests.typing_tests.variance import VARIANCE, variance_file

HERE = Path(__file__).parent

Errors = dict[str, set[int]]


@pytest.fixture(scope="module", params=["mypy", "pyright"])
def errors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Errors:
    """The lines that a checker refuses, by file."""
    folder = tmp_path_factory.mktemp("typed")
    shutil.copy(HERE / "accepted.py", folder)
    shutil.copy(HERE / "rejected.txt", folder / "rejected.py")
    (folder / "variance.py").write_text(variance_file(), "utf-8")
    if request.param == "pyright":
        return pyright_errors(folder)
    return mypy_errors(folder, tmp_path_factory.mktemp("cache"))


def test_a_good_graph_is_accepted(errors: Errors) -> None:
    assert errors["accepted.py"] == set()


def test_every_wrong_edge_is_refused_and_no_other_line(errors: Errors, request: pytest.FixtureRequest) -> None:
    lines = (HERE / "rejected.txt").read_text("utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, 1) if "  # " in line}
    if "mypy" in request.node.name:
        marked -= {number for number, line in enumerate(lines, 1) if "  # only pyright: " in line}
    assert errors["rejected.py"] == marked


def test_the_typed_twins_vary_as_the_real_classes_do(errors: Errors) -> None:
    refused = {line for number, line in enumerate(variance_file().splitlines(), 1) if number in errors["variance.py"]}
    expected = {line for line in variance_file().splitlines() if line.endswith("# no")}
    assert refused == expected


def test_the_variance_of_every_type_parameter_is_written_down() -> None:
    import pydantic_graph
    from pydantic_graph import decision, paths

    for name, variances in VARIANCE.items():
        real = next(getattr(module, name) for module in (pydantic_graph, paths, decision) if hasattr(module, name))
        assert len(real.__parameters__) == len(variances)


def test_the_accepted_graph_is_sound() -> None:
    assert accepted.workflow.warnings == ()
