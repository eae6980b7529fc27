"""DOT text, judged by the real `dot`."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from milepost.engine.definition import Definition
from milepost.engine.trace import Trace
from milepost.visualize.diagram import Diagram, DrawnEdge, DrawnNode, declared
from milepost.visualize.dot import dot
from milepost.visualize.escape import clean, shorten
from milepost.visualize.overlay import traced
from milepost.visualize.palette import Theme
from milepost.visualize.shapes import SHAPES
from tests.visualize.conftest import Dot
from tests.visualize.subjects import CLAIMS, COMPLETED, FAILED, NASTY, hostile_definitions, hostile_traces


def test_dot_draws_a_definition_with_titles_and_muted_lines(dot_program: Dot) -> None:
    texts = dot_program.texts(dot(declared(CLAIMS)))
    assert texts["n_prepare"] == ["prepare", "Load the contract and split its clauses"]
    assert texts["n_analyse"] == ["analyse", "agent · retry ≤ 3 · timeout 60 s"]
    assert texts["n_review"] == ["review × N", "agent · map · retry ≤ 2"]
    assert texts["n_start"] == ["start"]


def test_dot_draws_the_items_of_a_map_as_a_strip(dot_program: Dot) -> None:
    texts = dot_program.texts(dot(traced(FAILED)))
    detail = ["1 of 3 done · ↻ 1 retry · 9.0 s · 4.0k tok · $0.04", "ValueError: no weight"]
    assert texts["n_review"] == ["✗ review × 3", *detail, "✓", "✗", "⊘"]


def test_plain_labels_say_the_same_as_rich_ones(dot_program: Dot) -> None:
    texts = dot_program.texts(dot(traced(COMPLETED), rich=False))
    assert texts["n_review"] == ["✓ review × 3", "↻ 1 retry · 8.0 s · 12.0k tok · $0.12", "✓ ✓ ↻"]
    assert "<TABLE" not in dot(traced(COMPLETED), rich=False)


@pytest.mark.parametrize("rich", [True, False])
@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_every_theme_and_direction_is_drawn_without_a_warning(
    dot_program: Dot, rich: bool, theme: Theme, direction: str
) -> None:
    for diagram in (declared(CLAIMS, types=True), traced(COMPLETED), traced(FAILED)):
        assert dot_program.texts(dot(diagram, theme, rich=rich, direction=direction))["n_end"] == ["end"]


@pytest.mark.parametrize("rich", [True, False])
def test_nasty_labels_are_shown_as_they_were_written(dot_program: Dot, rich: bool) -> None:
    nodes = tuple(
        DrawnNode(id=f"{number}", kind="function", base="function", title=label, detail=label, tooltip=label)
        for number, label in enumerate(NASTY)
    )
    edges = tuple(DrawnEdge(source="0", target=node.id, lines=("when", node.title), type="T") for node in nodes)
    diagram = Diagram(name=NASTY[6], facts=(NASTY[11],), nodes=nodes, edges=edges)
    texts = dot_program.texts(dot(diagram, rich=rich))
    for number, label in enumerate(NASTY):
        wanted = shorten(label) * 2
        assert _bare("".join(texts[f"n_{number}"])) == _bare(wanted), label


@pytest.mark.parametrize(
    "kind", ["decision", "join", "agent", "map", "ask", "wait", "sleep", "race", "fold", "start", "other"]
)
@pytest.mark.parametrize("rich", [True, False])
def test_every_shape_holds_nasty_labels(dot_program: Dot, kind: str, rich: bool) -> None:
    nodes = tuple(DrawnNode(id=label, kind=kind, base=kind, title=label) for label in NASTY)
    texts = dot_program.texts(dot(Diagram(name="", facts=(), nodes=nodes, edges=()), rich=rich))
    assert len(texts) == len(NASTY)


@given(definition=hostile_definitions())
@settings(max_examples=25)
def test_dot_draws_any_definition(dot_program: Dot, definition: Definition) -> None:
    diagram = declared(definition, types=True)
    assert len(dot_program.texts(dot(diagram))) == len(diagram.nodes) + len(diagram.edges)


@given(trace=hostile_traces())
@settings(max_examples=25)
def test_dot_draws_any_run(dot_program: Dot, trace: Trace) -> None:
    diagram = traced(trace)
    for rich in (True, False):
        texts = dot_program.texts(dot(diagram, "dark", rich=rich, legend=False))
        assert len(texts) == len(diagram.nodes) + len(diagram.edges)


def test_a_definition_has_a_legend_of_its_kinds_when_one_is_asked_for(dot_program: Dot) -> None:
    for rich in (True, False):
        texts = dot_program.texts(dot(declared(CLAIMS), rich=rich, legend=True))
        assert {("agent",), ("once per item",), ("join",)} <= {tuple(text) for text in texts.values()}
        assert ("a person answers",) not in {tuple(text) for text in texts.values()}


@pytest.mark.parametrize("kind", ["ask", "wait", "sleep"])
def test_a_slanted_shape_is_about_as_wide_as_its_text(dot_program: Dot, kind: str) -> None:
    detail = "waits for whoever has the time to look at it"
    nodes = (DrawnNode(id="a", kind=kind, base=kind, title="approval", detail=detail),)
    svg = dot_program.svg(dot(Diagram(name="", facts=(), nodes=nodes, edges=())))
    points = re.findall(r"([\d.-]+),[\d.-]+", re.findall(r'<polygon[^>]* points="([^"]*)"', svg)[-1])
    across = [float(point) for point in points]
    assert max(across) - min(across) < 8 * len(detail)


@pytest.mark.parametrize("rich", [True, False])
def test_a_picture_from_left_to_right_has_a_narrow_legend(dot_program: Dot, rich: bool) -> None:
    drawn = dot_program.texts(dot(traced(COMPLETED), rich=rich, direction="LR"))
    (legend,) = (texts for texts in drawn.values() if [text.strip() for text in texts][:1] == ["✓ done"])
    assert [text.strip() for text in legend] == ["✓ done", "↻ done after retry", "○ not reached"]
    assert "</TR><TR>" in dot(traced(COMPLETED), direction="LR").split("l_legend", 1)[1]


def test_back_edges_are_dashed_and_do_not_pull_at_the_layout() -> None:
    line = next(line for line in dot(declared(CLAIMS)).splitlines() if "n_triage -> n_analyse" in line)
    assert "style=dashed" in line
    assert "constraint=false" in line


def test_a_dark_picture_has_a_dark_page_and_a_light_one_none() -> None:
    assert 'bgcolor="#0d1117"' in dot(declared(CLAIMS), "dark")
    assert 'bgcolor="transparent"' in dot(declared(CLAIMS), "light")


def test_only_one_font_is_named_for_builds_without_a_font_engine() -> None:
    assert "fontname=Arial," in dot(declared(CLAIMS))
    assert "sans" not in dot(declared(CLAIMS))


def _bare(text: str) -> str:
    return "".join(clean(text).replace("\u00a0", "").split())


@pytest.mark.parametrize("rich", [True, False])
@pytest.mark.parametrize("detail", ["", "waiting 2 h\npaid · until 2026-11-29 00:24 UTC"])
@pytest.mark.parametrize("kind", ["function", *sorted(SHAPES)])
def test_edges_end_where_a_node_is_drawn(dot_program: Dot, kind: str, detail: str, rich: bool) -> None:
    nodes = tuple(
        DrawnNode(id=id_, kind=kind_, base=kind_, title="payment or reminder", detail=text, tooltip="")
        for id_, kind_, text in (("a", "function", ""), ("b", kind, detail), ("c", "function", ""))
    )
    edges = (DrawnEdge(source="a", target="b"), DrawnEdge(source="b", target="c"))
    svg = dot_program.svg(dot(Diagram(name="one", facts=(), nodes=nodes, edges=edges), rich=rich))
    parts = {part.get("id"): part for part in ElementTree.fromstring(svg).iter(f"{SVG}g")}
    tops = [min(heights(part)) for part in parts.values() if part.get("class") == "edge"]
    tips = [max(heights(part)) for part in parts.values() if part.get("class") == "edge"]
    drawn = heights(parts["n_b"])
    assert abs(min(tips) - min(drawn)) < 3
    assert abs(max(tops) - max(drawn)) < 3


SVG = "{http://www.w3.org/2000/svg}"


def heights(part: ElementTree.Element) -> list[float]:
    """Return how far down the lines of a part of a picture are, the corners of what is bent included."""
    found = [
        float(number)
        for shape in part.iter()
        for number in re.findall(r",(-?[\d.]+)", shape.get("points") or shape.get("d") or "")
    ]
    for circle in part.iter(f"{SVG}ellipse"):
        middle, radius = float(circle.get("cy", "0")), float(circle.get("ry", "0"))
        found += [middle - radius, middle + radius]
    return found
