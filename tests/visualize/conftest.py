"""The real programs that judge our pictures: Mermaid in node, and Graphviz."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree

import pytest

MERMAID = Path(__file__).parent / "mermaid"


def missing(what: str) -> NoReturn:
    """Skip, naming what is missing; in CI nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"Missing: {what}.")
    pytest.skip(f"missing: {what}")


@dataclass(frozen=True, slots=True)
class Understood:
    """What Mermaid made of a text: label by node id, (source, target, label) of each edge, and members by cluster."""

    nodes: dict[str, str]
    edges: list[tuple[str, str, str]]
    clusters: dict[str, set[str]]


class Mermaid:
    """One node process with the real Mermaid, for all tests."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def answer(self, text: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(text) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def understand(self, text: str) -> Understood:
        """Parse a text that must be a good flowchart."""
        answer = self.answer(text)
        assert "error" not in answer, f"{answer['error']}\n{text}"
        assert answer["type"] == "flowchart-v2"
        edges = [(edge["source"], edge["target"], edge["text"]) for edge in answer["edges"]]
        clusters = {cluster["id"]: set(cluster["members"]) for cluster in answer["clusters"]}
        return Understood({node["id"]: node["text"] for node in answer["nodes"]}, edges, clusters)


@pytest.fixture(scope="session")
def mermaid_js() -> Iterator[Mermaid]:
    node = shutil.which("node")
    if node is None:
        missing("the program node")
    for package in ("mermaid", "jsdom"):
        if not (MERMAID / "node_modules" / package).is_dir():
            missing(f"the npm package {package} (npm install --prefix tests/visualize/mermaid)")
    with subprocess.Popen(
        [node, str(MERMAID / "check.js")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        yield Mermaid(process)
        assert process.stdin is not None
        process.stdin.close()


class Dot:
    """The real `dot`."""

    def __init__(self, program: str) -> None:
        self.program = program

    def texts(self, source: str) -> dict[str, list[str]]:
        """Lay a text out without a word of warning; return the lines of text drawn in each node, by its id."""
        return drawn_texts(self.svg(source))

    def svg(self, source: str) -> str:
        """Lay a text out without a word of warning."""
        done = subprocess.run(
            [self.program, "-Tsvg"], input=source, capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), f"{done.stderr}\n{source}"
        return done.stdout


def drawn_texts(svg: str) -> dict[str, list[str]]:
    """Return the lines of text in every node and edge of an SVG, by its id."""
    return {
        group.get("id", ""): ["".join(text.itertext()) for text in group.iter("{http://www.w3.org/2000/svg}text")]
        for group in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}g")
        if group.get("class") in ("node", "edge")
    }


@pytest.fixture(scope="session")
def dot_program() -> Dot:
    program = shutil.which("dot")
    if program is None:
        missing("the program dot, of Graphviz")
    return Dot(program)
