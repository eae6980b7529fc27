"""Mermaid text, judged by the real Mermaid."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from milepost.engine.definition import Definition
from milepost.engine.trace import Trace
from milepost.visualize.diagram import Diagram, DrawnEdge, DrawnNode, declared
from milepost.visualize.escape import clean, mermaid_text, shorten
from milepost.visualize.mermaid import MAX_TEXT, mermaid
from milepost.visualize.overlay import traced
from milepost.visualize.palette import KIND_WORDS, Theme
from milepost.visualize.render import render
from tests.visualize.conftest import Mermaid
from tests.visualize.subjects import CLAIMS, COMPLETED, FAILED, NASTY, RUNNING, hostile_definitions, hostile_traces


def test_mermaid_reads_the_picture_of_a_definition(mermaid_js: Mermaid) -> None:
    seen = mermaid_js.understand(mermaid(declared(CLAIMS)))
    assert seen.nodes["n_prepare"] == "prepare\nLoad the contract and split its clauses"
    assert seen.nodes["n_analyse"] == "analyse\nagent · retry ≤ 3 · timeout 60 s"
    assert seen.nodes["n_review"] == "review × N\nagent · map · retry ≤ 2"
    assert ("n_triage", "n_high_risk", "high") in seen.edges
    assert ("n_score_decision", "n_reject", "score < 0.3") in seen.edges
    assert len(seen.edges) == 16


def test_mermaid_reads_what_a_run_did(mermaid_js: Mermaid) -> None:
    seen = mermaid_js.understand(mermaid(traced(COMPLETED)))
    assert seen.nodes["n_analyse"] == "✓ analyse × 2\n↻ 1 retry · 21.3 s · 11.0k tok · $0.11"
    assert seen.nodes["n_review"] == "✓ review × 3\n↻ 1 retry · 8.0 s · 12.0k tok · $0.12\n✓ ✓ ↻"
    assert seen.nodes["n_reject"] == "○ reject\nnot reached"
    assert ("n_score_decision", "n_accept", "otherwise\nwas Score(value=0.83)") in seen.edges
    assert ("n_review", "n_collect", "3 of 3") in seen.edges
    assert seen.nodes["l_retried"] == "↻ done after retry"


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
@pytest.mark.parametrize("direction", ["TB", "LR"])
@pytest.mark.parametrize(
    "subject", [CLAIMS, COMPLETED, FAILED, RUNNING], ids=["definition", "done", "failed", "running"]
)
def test_every_theme_and_direction_parses(
    mermaid_js: Mermaid, theme: Theme, direction: str, subject: Definition | Trace
) -> None:
    diagram = traced(subject, types=True) if isinstance(subject, Trace) else declared(subject, types=True)
    assert mermaid_js.understand(mermaid(diagram, theme, direction=direction)).edges


@pytest.mark.parametrize("label", NASTY)
def test_a_nasty_label_is_shown_as_it_was_written(mermaid_js: Mermaid, label: str) -> None:
    nodes = (
        DrawnNode(id=label, kind="function", base="function", title=label, detail=label),
        DrawnNode(id=f"{label} again", kind="decision", base="decision", title=label),
    )
    edges = (DrawnEdge(source=label, target=f"{label} again", lines=("a", label)),)
    seen = mermaid_js.understand(mermaid(Diagram(name=label, facts=(label,), nodes=nodes, edges=edges)))
    shown = list(seen.nodes.values())
    wanted = shorten(label) or "\u200b"
    assert _bare(shown[1]) == _bare(wanted)
    assert _bare(shown[0]) == _bare(wanted if not label else f"{wanted}\n{wanted}")
    assert len(seen.edges) == 1


@given(definition=hostile_definitions())
@settings(max_examples=40)
def test_mermaid_reads_the_picture_of_any_definition(mermaid_js: Mermaid, definition: Definition) -> None:
    diagram = declared(definition, types=True)
    seen = mermaid_js.understand(mermaid(diagram, "auto"))
    assert (len(seen.nodes), len(seen.edges)) == (len(diagram.nodes), len(diagram.edges))


@given(trace=hostile_traces())
@settings(max_examples=40)
def test_mermaid_reads_the_picture_of_any_run(mermaid_js: Mermaid, trace: Trace) -> None:
    diagram = traced(trace, types=True)
    seen = mermaid_js.understand(mermaid(diagram, "dark"))
    assert {id_ for id_ in seen.nodes if id_.startswith("n_")} >= {"n_start", "n_end"}
    assert len(seen.edges) >= len(diagram.edges)


def test_a_picture_of_hundreds_of_nodes_stays_within_what_mermaid_takes(mermaid_js: Mermaid) -> None:
    nodes = [f"{number} {'#' * 70}" for number in range(300)]
    drawn = tuple(DrawnNode(id=id_, kind="function", base="function", title=id_) for id_ in nodes)
    edges = tuple(
        DrawnEdge(source=source, target=target, lines=("<" * 80, ">" * 80))
        for number, source in enumerate(nodes[:40])
        for target in nodes[number + 1 : number + 13]
    )
    text = mermaid(Diagram(name="large", facts=(), nodes=drawn[:60], edges=edges[:480]))
    assert len(text) < MAX_TEXT
    assert len(mermaid_js.understand(text).edges) == 480


def test_a_run_and_a_definition_never_ask_mermaid_to_load_or_open_anything() -> None:
    for text in (mermaid(declared(CLAIMS)), mermaid(traced(FAILED), "dark")):
        assert "click" not in text
        assert "http" not in text


def test_the_auto_theme_leaves_the_colours_of_the_page_to_the_page() -> None:
    text = mermaid(traced(COMPLETED), "auto")
    assert "themeVariables" not in text
    assert "theme: base" not in text
    assert "classDef done fill:#dcfce7" in text


def test_fonts_have_no_name_that_mermaid_would_refuse() -> None:
    line = next(line for line in mermaid(declared(CLAIMS)).splitlines() if "fontFamily" in line)
    assert "-" not in line


def test_taken_edges_are_thick_and_others_are_thin_and_dashed() -> None:
    lines = mermaid(traced(COMPLETED)).splitlines()
    assert "  n_start ==> n_prepare" in lines
    assert '  n_triage -.->|"normal"| n_normal' in lines
    styles = [line for line in lines if "linkStyle" in line]
    assert [style.split(" ", 4)[-1] for style in styles] == [
        "stroke:#15803d,stroke-width:2.5px",
        "stroke:#8491a5,stroke-width:1px",
    ]


def test_the_title_of_a_failed_run_names_the_failure() -> None:
    title = json.loads(mermaid(traced(FAILED)).splitlines()[1].removeprefix("title: "))
    assert title == "claims · run 8f3a21 · ✗ failed at review[1] · ValueError"


def test_a_legend_can_be_left_out_and_a_definition_has_none() -> None:
    assert "g_legend" not in render(COMPLETED, "mermaid", legend=False)
    assert "g_legend" not in render(CLAIMS, "mermaid")
    assert "g_legend" in render(COMPLETED, "mermaid")


def test_a_definition_has_a_legend_of_its_kinds_when_one_is_asked_for(mermaid_js: Mermaid) -> None:
    text = render(CLAIMS, "mermaid", legend=True)
    assert '    l_function("function"):::function ~~~ l_agent{{"agent"}}:::agent ~~~ l_decision{"decision"}' in text
    seen = mermaid_js.understand(text)
    assert {"l_function", "l_agent", "l_decision", "l_map", "l_join"} <= set(seen.nodes)
    assert "l_ask" not in seen.nodes


def test_every_kind_of_node_has_a_shape_that_mermaid_knows(mermaid_js: Mermaid) -> None:
    for kind in KIND_WORDS:
        nodes = (DrawnNode(id="a", kind=kind, base=kind, title="a"),)
        text = mermaid(Diagram(name="", facts=(), nodes=nodes, edges=()), legend=True)
        assert mermaid_js.understand(text).nodes[f"l_{kind}"] == KIND_WORDS[kind]


def test_escaping_leaves_words_readable() -> None:
    assert mermaid_text("risk.score is_high, 提取") == "risk.score is_high, 提取"


def test_maths_and_icons_stay_text_even_when_mermaid_decodes_the_codes() -> None:
    assert mermaid_text("$$x") == "#36;\u200b#36;x"
    assert mermaid_text("fas:fa-user") == "fas#58;\u200bfa#45;user"


def _bare(text: str) -> str:
    return " ".join(clean(text).replace("\u200b", "").split())
