"""`pytest --milepost` runs a suite that knows nothing of Milepost on its executor; without it nothing happens."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

HEADER = f"milepost: pydantic_graph.Graph.run is carried out by Milepost {version('milepost')}"

SUITE = '''
"""Tests of somebody who uses pydantic-graph. Every node writes down who runs it."""

import asyncio
import sys
from pathlib import Path

import pytest
from pydantic_graph import GraphBuilder, reduce_sum


def who():
    frame = sys._getframe()
    while frame is not None and not frame.f_globals["__name__"].startswith("milepost.engine"):
        frame = frame.f_back
    return "pydantic_graph" if frame is None else "milepost"


def write(what):
    with Path("ran.txt").open("a") as file:
        file.write(f"{what} {who()}\\n")


def squares(what):
    g = GraphBuilder(input_type=list[int], output_type=int)

    @g.step
    async def square(ctx):
        write(what)
        return ctx.inputs**2

    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).map().to(square),
        g.edge_from(square).to(total),
        g.edge_from(total).to(g.end_node),
    )
    return g.build()


AT_IMPORT = asyncio.run(squares("import").run(inputs=[2]))


def test_run():
    assert (AT_IMPORT, asyncio.run(squares("run").run(inputs=[3]))) == (4, 9)


def test_run_sync():
    graph = squares("run_sync")
    assert graph.run_sync(inputs=[4]) == 16
    assert graph.name == "graph"


def test_iter():
    async def main():
        async with squares("iter").iter(inputs=[5]) as run:
            async for _ in run:
                pass
            return run.output

    assert asyncio.run(main()) == 25


@pytest.fixture
def prepared():
    return asyncio.run(squares("fixture").run(inputs=[6]))


@pytest.mark.without_milepost
def test_marked(prepared):
    assert (prepared, asyncio.run(squares("marked").run(inputs=[7]))) == (36, 49)


def test_after_it():
    with pytest.raises(ZeroDivisionError):
        asyncio.run(squares("error").run(inputs=[1 / 0]))
    assert asyncio.run(squares("after").run(inputs=[8])) == 64
'''

CONFTEST = """
import sys
from pathlib import Path


def pytest_sessionfinish():
    Path("loaded.txt").write_text("\\n".join(sys.modules))


def pytest_unconfigure():
    from pydantic_graph import Graph

    Path("left.txt").write_text(Graph.run.__globals__["__name__"])
"""

OTHERS = ("langsmith_plugin", "hypothesispytest", "anyio")
PYTEST = [sys.executable, "-m", "pytest", *(f"-pno:{name}" for name in OTHERS)]
"""pytest without the other plugins of this environment, which take seconds to import."""

EVERYTHING = ["import", "run", "run_sync", "iter", "fixture", "marked", "after"]
THEIRS = dict.fromkeys(EVERYTHING, "pydantic_graph")
OURS = dict.fromkeys(EVERYTHING, "milepost") | dict.fromkeys(["iter", "fixture", "marked"], "pydantic_graph")
"""`Graph.iter` is never touched; the fixture and the graph of the marked test are left alone."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a test session did.

    ran: who ran the nodes, by what they write. loaded: the modules at its end. left: where `Graph.run` was from then.
    """

    printed: str
    ran: dict[str, str]
    loaded: set[str]
    left: str


def session(folder: Path, *options: str, ini: str = "") -> Session:
    """Run the suite in a process of its own, and see all of it pass."""
    (folder / "pytest.ini").write_text(
        f"[pytest]\nfilterwarnings =\n  error\n  ignore:unclosed:ResourceWarning\n{ini}", encoding="utf-8"
    )
    (folder / "test_squares.py").write_text(SUITE, encoding="utf-8")
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    command = [*PYTEST, "--strict-config", "--strict-markers", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
    ran, loaded, left = ((folder / name).read_text(encoding="utf-8") for name in ("ran.txt", "loaded.txt", "left.txt"))
    return Session(done.stdout, dict(line.split() for line in ran.splitlines()), set(loaded.split()), left)


def test_without_the_option_nothing_of_milepost_is_done_or_loaded(tmp_path: Path) -> None:
    plain = session(tmp_path)
    assert plain.ran == THEIRS
    assert "milepost:" not in plain.printed
    assert {name for name in plain.loaded if name.startswith("milepost")} == {"milepost", "milepost.pytest_plugin"}


def test_with_the_option_the_suite_runs_on_milepost_but_for_what_is_marked(tmp_path: Path) -> None:
    taken_over = session(tmp_path, "--milepost")
    assert taken_over.ran == OURS
    assert HEADER in taken_over.printed
    assert taken_over.left == "pydantic_graph.graph_builder"


def test_the_ini_file_can_ask_for_it(tmp_path: Path) -> None:
    asked = session(tmp_path, ini="milepost = true\n")
    assert (asked.ran, HEADER in asked.printed) == (OURS, True)


def test_the_command_line_can_refuse_what_the_ini_file_asks_for(tmp_path: Path) -> None:
    refused = session(tmp_path, "--no-milepost", ini="milepost = true\n")
    assert (refused.ran, HEADER in refused.printed) == (THEIRS, False)


def test_the_option_and_the_marker_are_explained(tmp_path: Path) -> None:
    for option in ("--help", "--markers"):
        done = subprocess.run([*PYTEST, option], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
        told = " ".join(done.stdout.split())
        assert ("without_milepost: leave the graphs of this test" in told) == (option == "--markers")
        assert ("run every pydantic-graph graph on Milepost's executor" in told) == (option == "--help")
