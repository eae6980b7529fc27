"""What a label says is never carried out: hostile pictures, opened in a real browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from milepost.engine.trace import Trace
from milepost.visualize.diagram import Diagram, DrawnEdge, DrawnNode
from milepost.visualize.mermaid import mermaid
from milepost.visualize.overlay import traced
from milepost.visualize.steps import stepped
from milepost.visualize.svg import svg
from tests.visualize.conftest import MERMAID, missing
from tests.visualize.subjects import NASTY, hostile_traces

pytestmark = pytest.mark.usefixtures("dot_program")

MERMAID_JS = MERMAID / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"


class Tags(HTMLParser):
    """What a browser would find in a page: its tags, and what of them could run or lead elsewhere."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.live: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name in ("href", "xlink:href", "src", "action", "formaction", "srcdoc"):
                self.live.append(f"{tag} {name}={value}")


def nasty() -> Diagram:
    """A picture in which every text is hostile."""
    kinds = ("function", "agent", "decision", "map", "join", "ask", "wait", "sleep", "race", "workflow", "fold")
    nodes = tuple(
        DrawnNode(
            id=label,
            kind=kinds[number % len(kinds)],
            base=kinds[number % len(kinds)],
            title=label,
            detail=label,
            tooltip=label,
            own=label,
        )
        for number, label in enumerate(NASTY)
    )
    edges = tuple(DrawnEdge(source=NASTY[0], target=node.id, lines=(node.title,), type=node.title) for node in nodes)
    name = NASTY[-4]
    return Diagram(name=name, facts=(name,), nodes=nodes, edges=edges, description=name, notice=name)


@pytest.fixture(scope="module")
def browser() -> str:
    program = shutil.which("chromium")
    if program is None:
        missing("the program chromium")
    return program


def opened(browser: str, page: Path) -> str:
    """Open a page with all that it runs, and return what has become of it."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom")
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [browser, *options, profile, "--virtual-time-budget=20000", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True, timeout=120).stdout


def test_a_browser_runs_nothing_that_stands_in_an_svg(browser: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><body>{svg(nasty(), 'auto')}</body>", encoding="utf-8")
    found = opened(browser, page)
    assert "</svg>" in found
    assert "data-ran" not in found
    assert Tags(found).live == []


def test_mermaid_runs_nothing_even_where_it_is_told_to_trust_what_it_draws(browser: str, tmp_path: Path) -> None:
    if not MERMAID_JS.exists():
        missing("the npm package mermaid (npm install --prefix tests/visualize/mermaid)")
    text = json.dumps(mermaid(nasty(), legend=True)).replace("</", "<\\/")
    page = tmp_path / "page.html"
    page.write_text(
        "<!doctype html><meta charset=utf-8><body><div id=here></div>"
        f'<script src="{MERMAID_JS.as_uri()}"></script><script>\n'
        'mermaid.initialize({startOnLoad: false, securityLevel: "loose", suppressErrorRendering: true});\n'
        f'mermaid.render("drawn", {text}).then(({{svg}}) => {{ document.getElementById("here").innerHTML = svg; }});\n'
        "</script></body>",
        encoding="utf-8",
    )
    found = opened(browser, page)
    drawn = found[found.index("<div id=") : found.index("<script src")]
    assert "flowchart" in drawn
    assert "data-ran" not in found.split("<body", 1)[0]
    tags = Tags(drawn)
    assert tags.live == []
    assert not {"script", "img", "a", "iframe", "object"} & set(tags.tags)


@given(trace=hostile_traces())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_an_svg_has_no_tag_that_graphviz_does_not_draw(trace: Trace) -> None:
    for diagram in (traced(trace), stepped(trace)):
        tags = Tags(svg(diagram, "auto"))
        assert tags.live == []
        known = {"svg", "g", "title", "polygon", "path", "ellipse", "polyline", "text", "style", "pattern", "rect"}
        assert set(tags.tags) <= known
