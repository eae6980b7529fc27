"""`milepost tree`."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import ORDER, Call


@pytest.fixture
def family(call: Call) -> Call:
    """A run and a fork of it."""
    assert call("run", "flows:workflow", "--input", ORDER, "--run-id", "o-1").code == 0
    assert call("fork", "o-1", "flows:workflow", "--at", "2", "--run-id", "o-2").code == 0
    return call


def test_a_tree_says_what_was_forked_from_what_and_how_each_stands(family: Call) -> None:
    assert family("tree", "o-2").out == (
        "orders  2 runs\n"
        "✓ o-1  completed, 3 checkpoints\n"
        "└── at 2 price  ✓ o-2  completed, 2 checkpoints of its own  ← this run\n"
    )


def test_a_tree_is_drawn_as_mermaid_svg_and_page(family: Call, folder: Path) -> None:
    assert "gitGraph LR:" in family("tree", "@last", "--format", "mermaid").out
    assert family("tree", "o-1", "-o", "tree.svg").code == 0
    assert ElementTree.parse(folder / "tree.svg").getroot().tag.endswith("svg")
    assert family("tree", "o-1", "-o", "tree.html").code == 0
    assert (folder / "tree.html").read_text().startswith("<!doctype html>")


def test_a_tree_is_told_as_json(family: Call) -> None:
    first, fork = family("tree", "o-1", "--json").document["runs"]
    assert (first["run_id"], first["forked_from"], first["level"]) == ("o-1", None, 0)
    assert (fork["forked_from"], fork["forked_at"], fork["level"]) == ("o-1", 2, 1)
    assert fork["stations"][0] == {"seq": 3, "did": "forked", "node": ""}


def test_what_has_no_tree_is_told(call: Call, folder: Path) -> None:
    answer = call("tree", "o-1")
    assert answer.code == 4
    answer = call("tree", "o-1", "-o", "tree.png")
    assert answer.code == 2
    assert answer.err == "A tree of runs cannot be drawn as 'png'. Use one of text, mermaid, svg, html, json.\n"
