"""Sub-workflows that are drawn open, judged by the real programs, and those that are drawn closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from milepost.engine.definition import Definition
from milepost.engine.engine import Engine
from milepost.engine.trace import Trace
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.visualize.dot import dot
from milepost.visualize.mermaid import mermaid
from milepost.visualize.nesting import drawn
from milepost.visualize.overlay import traced
from milepost.visualize.palette import DARK, LIGHT, Status, Theme
from milepost.visualize.render import FORMATS, Format, render
from milepost.visualize.svg import svg
from milepost.workflows.builder import WorkflowBuilder
from tests.visualize.conftest import Dot, Mermaid
from tests.visualize.nests import (
    BATCH,
    CREDIT,
    FAILED_BATCH,
    RESCUED_BATCH,
    SHOP,
    TREE,
    grown,
    hostile_families,
    hostile_nests,
    runs,
)
from tests.visualize.subjects import NASTY, definition, edge

SVG = "{http://www.w3.org/2000/svg}"


# --- Mermaid ----------------------------------------------------------------------------------------------------------


def test_mermaid_reads_a_cluster_with_everything_in_it(mermaid_js: Mermaid) -> None:
    seen = mermaid_js.understand(mermaid(drawn(SHOP, depth=2)))
    assert seen.clusters["c_buyer"] >= {"n_buyer", "n_buyer_look_up", "n_buyer_end", "c_buyer_fraud"}
    assert seen.clusters["c_buyer_fraud"] == {"n_buyer_fraud", "n_buyer_fraud_ask", "n_buyer_fraud_weigh"} | {
        "n_buyer_fraud_end"
    }
    assert seen.nodes["n_buyer"] == "buyer\nworkflow credit check · 4 nodes · retry ≤ 2"
    assert ("n_take", "n_buyer", "") in seen.edges
    assert ("n_buyer_end", "n_again", "") in seen.edges
    assert ("n_again", "n_buyer", "once more") in seen.edges


def test_mermaid_reads_what_happened_inside(mermaid_js: Mermaid) -> None:
    seen = mermaid_js.understand(mermaid(drawn(FAILED_BATCH, depth=1)))
    assert seen.nodes["n_check"].startswith("✗ check × 3\ncredit check · 2 of 3 done · 4.0 s")
    assert seen.nodes["n_check_look_up"].split("\n")[2] == "ConnectionError: no line"
    assert ("n_check", "n_check_look_up", "× 3") in seen.edges
    assert set(seen.clusters) == {"c_check", "g_legend"}


def test_a_closed_sub_workflow_has_a_frame_of_its_own() -> None:
    text = mermaid(drawn(SHOP))
    assert '  n_seller[["<b>seller</b><br/>workflow credit check · 4 nodes"]]:::workflow' in text.splitlines()
    assert "subgraph" not in text


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_every_theme_and_direction_of_a_cluster_parses(mermaid_js: Mermaid, theme: Theme, direction: str) -> None:
    for subject in (SHOP, BATCH, FAILED_BATCH, RESCUED_BATCH, grown(3)):
        diagram = drawn(subject, depth=3)
        seen = mermaid_js.understand(mermaid(diagram, theme, direction=direction, legend=False))
        assert (len(seen.nodes), len(seen.edges)) == (len(diagram.nodes), len(diagram.edges))
        assert len(seen.clusters) == len(diagram.clusters)


def test_the_frame_of_a_run_has_the_colour_of_how_it_stands_and_no_fill_where_the_page_is_unknown() -> None:
    failed = LIGHT.statuses[Status.FAILED].stroke
    assert f"classDef cluster_failed fill:#f8fafc,stroke:{failed}" in mermaid(drawn(FAILED_BATCH, depth=1))
    assert f"classDef cluster_failed fill:none,stroke:{failed}" in mermaid(drawn(FAILED_BATCH, depth=1), "auto")
    assert f"classDef cluster_open fill:#161b22,stroke:{DARK.kinds['cluster'].stroke}" in mermaid(
        drawn(SHOP, depth=1), "dark"
    )


@given(definition=hostile_nests())
@settings(max_examples=15)
def test_mermaid_reads_the_clusters_of_any_definition(mermaid_js: Mermaid, definition: Definition) -> None:
    diagram = drawn(definition, depth=2)
    seen = mermaid_js.understand(mermaid(diagram, "auto"))
    assert (len(seen.nodes), len(seen.edges)) == (len(diagram.nodes), len(diagram.edges))
    assert len(seen.clusters) == len(diagram.clusters)


@given(trace=hostile_families())
@settings(max_examples=15)
def test_mermaid_reads_the_clusters_of_any_run(mermaid_js: Mermaid, trace: Trace) -> None:
    diagram = drawn(trace, depth=2)
    seen = mermaid_js.understand(mermaid(diagram, "dark", legend=False))
    assert (len(seen.nodes), len(seen.clusters)) == (len(diagram.nodes), len(diagram.clusters))


# --- Graphviz ---------------------------------------------------------------------------------------------------------


def test_dot_draws_a_frame_around_what_is_inside(dot_program: Dot) -> None:
    root = ElementTree.fromstring(dot_program.svg(dot(drawn(SHOP, depth=2))))
    frames = {group.get("id") for group in root.iter(f"{SVG}g") if group.get("class") == "cluster"}
    assert frames == {"c_buyer", "c_buyer_fraud", "c_seller", "c_seller_fraud"}


def test_dot_draws_what_happened_inside(dot_program: Dot) -> None:
    texts = dot_program.texts(dot(drawn(FAILED_BATCH, depth=1)))
    assert texts["n_check"] == [
        "✗ check × 3",
        "credit check · 2 of 3 done · 4.0 s · 6.0k tok · $0.06",
        "ConnectionError: no line",
        "✓",
        "✓",
        "✗",
    ]
    assert texts["n_check_rate"] == ["✓ rate × 2"]


def test_a_frame_is_headed_by_its_node_and_has_no_title_of_the_whole_picture() -> None:
    lines = [line.strip() for line in dot(drawn(SHOP, depth=1)).splitlines()]
    frame = lines.index("subgraph cluster_c_buyer {") + 1
    assert 'label=""' in lines[frame]
    assert lines[frame + 1].startswith("n_buyer [")
    assert "peripheries=2" in lines[frame + 1]


def test_a_loop_around_a_cluster_has_a_place_of_its_own_beside_it() -> None:
    lines = dot(drawn(SHOP, depth=1)).splitlines()
    (loop,) = (line for line in lines if "n_buyer -> n_again [" in line)
    assert "dir=back" in loop
    assert "constraint" not in loop
    assert any("n_again -> n_buyer [" in line and "constraint=false" in line for line in dot(drawn(SHOP)).splitlines())


def test_a_loop_from_the_end_of_a_cluster_to_its_head_goes_round_inside_it(dot_program: Dot) -> None:
    looped = definition([runs("a", CREDIT)], [edge("__start__", "a"), edge("a", "a", 1), edge("a", "__end__")])
    source = dot(drawn(looped, depth=1))
    assert any("n_a -> n_a_end [" in line and "dir=back" in line for line in source.splitlines())
    assert dot_program.texts(source)["n_a_end"] == ["end"]


@pytest.mark.parametrize("rich", [True, False])
@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_every_theme_and_direction_of_a_cluster_is_drawn_without_a_warning(
    dot_program: Dot, rich: bool, theme: Theme, direction: str
) -> None:
    for subject in (SHOP, BATCH, FAILED_BATCH, RESCUED_BATCH, grown(3)):
        diagram = drawn(subject, depth=3)
        texts = dot_program.texts(dot(diagram, theme, rich=rich, direction=direction, legend=False))
        assert len(texts) == len(diagram.nodes) + len(diagram.edges)


@pytest.mark.parametrize("label", NASTY)
def test_a_nasty_name_of_a_sub_workflow_breaks_nothing(dot_program: Dot, mermaid_js: Mermaid, label: str) -> None:
    inner = replace(CREDIT, name=label)
    nasty = definition([runs(label, inner), runs(f"{label}/look_up", inner)], [edge("__start__", label)], label)
    diagram = drawn(nasty, depth=2)
    assert len(diagram.clusters) == 4
    assert len(dot_program.texts(dot(diagram))) == len(diagram.nodes) + len(diagram.edges)
    assert len(mermaid_js.understand(mermaid(diagram)).clusters) == 4


@given(subject=hostile_nests() | hostile_families())
@settings(max_examples=15)
def test_dot_draws_the_clusters_of_anything(dot_program: Dot, subject: Definition | Trace) -> None:
    diagram = drawn(subject, depth=2)
    texts = dot_program.texts(dot(diagram, "dark", legend=False))
    assert len(texts) == len(diagram.nodes) + len(diagram.edges)


@pytest.mark.usefixtures("dot_program")
def test_an_svg_names_every_node_by_where_it_is() -> None:
    groups = {group.get("id"): group for group in ElementTree.fromstring(svg(drawn(SHOP, depth=2))).iter(f"{SVG}g")}
    assert groups["n_buyer_fraud_weigh"].get("data-node") == "buyer/fraud/weigh"
    assert groups["c_buyer"].find(f"{SVG}title") is None


# --- text -------------------------------------------------------------------------------------------------------------


def test_the_terminal_indents_what_is_inside() -> None:
    lines = [line.split("  workflow")[0].rstrip() for line in render(SHOP, "text").splitlines()]
    assert "▣ buyer" in lines
    assert any(line.startswith("  ◇ rate") for line in lines)
    assert any(line.split() == ["●", "end", "→", "again"] and line.startswith("  ●") for line in lines)
    deep = render(SHOP, "text", depth=2).splitlines()
    assert any(line.startswith("    □ weigh") for line in deep)
    assert not any("look_up" in line for line in render(SHOP, "text", depth=0).splitlines())


def test_a_report_has_the_tasks_of_each_run_inside_below_the_task_that_drives_it() -> None:
    lines = [line.split("  ")[0] if line[:1] != " " else line.split("   ")[0] for line in report(FAILED_BATCH)]
    assert lines == [
        "✓ split",
        "✓ check[0]",
        "  ✓ look_up",
        "  ✓ rate",
        "  ✓ accept",
        "✓ check[1]",
        "  ✓ look_up",
        "  ✓ rate",
        "  ✓ fraud",
        "✗ check[2]",
        "  ✗ look_up",
    ]
    assert any(line.startswith("    ✓ weigh") for line in report(FAILED_BATCH, depth=2))


def test_a_report_names_the_runs_inside_and_why_they_failed() -> None:
    rows = {line.split()[1]: line for line in report(FAILED_BATCH)}
    assert rows["check[0]"].endswith("run aaaaaaaaaaaa")
    assert rows["check[2]"].endswith("ConnectionError  run cccccccccccc")
    assert rows["split"].split()[2:] == ["done", "1", "1.0", "s"]
    assert "5.0k   $0.05" in rows["check[1]"]


def test_a_long_report_only_names_the_runs_inside() -> None:
    tasks = tuple(replace(FAILED_BATCH.tasks[1], visit=number + 1, index=number % 12) for number in range(12))
    calm = [replace(task, node=f"{'ab'[number % 2]}", index=None) for number, task in enumerate(tasks)]
    assert len(report(replace(FAILED_BATCH, tasks=tuple(calm)))) == 12
    assert len(report(replace(FAILED_BATCH, tasks=tuple(calm)), depth=1)) == 48


def report(trace: Trace, depth: int | None = None) -> list[str]:
    """Return the rows of tasks of a report."""
    lines = render(trace, "text", depth=depth).split("\n")
    head = next(number for number, line in enumerate(lines) if line.startswith("───"))
    return lines[head + 1 : lines.index("", head)]


# --- the real thing ---------------------------------------------------------------------------------------------------


def counting() -> Workflow[None, None, list[int], list[str]]:
    """Build a map over a workflow that fails for 13 and chooses between two nodes."""
    child: WorkflowBuilder[None, None, int, str] = WorkflowBuilder(name="judge", input_type=int, output_type=str)

    @child.decide
    def size(ctx: StepContext[None, None, int]) -> Literal["small", "large"]:
        if ctx.inputs == 13:
            raise ValueError("unlucky")
        return "small" if ctx.inputs < 10 else "large"

    @child.function
    def little(ctx: StepContext[None, None, int]) -> str:
        return "little"

    @child.function
    def much(ctx: StepContext[None, None, int]) -> str:
        return "much"

    child.edge(child.start_node, size)
    child.edge(size, little, when="small")
    child.edge(size, much, when="large")
    child.edge(little, child.end_node)
    child.edge(much, child.end_node)

    wf: WorkflowBuilder[None, None, list[int], list[str]]
    wf = WorkflowBuilder(name="counting", input_type=list[int], output_type=list[str])
    judge = wf.subworkflow(child.build())
    collect = wf.join(reduce_list_append, initial_factory=list[str], node_id="collect")
    wf.edge(wf.start_node, wf.each(judge, join=collect))
    wf.edge(judge, collect)
    wf.edge(collect, wf.end_node)
    return wf.build()


@pytest.mark.anyio
async def test_a_real_run_is_drawn_with_what_its_children_did() -> None:
    async with Engine("memory:") as engine:
        run = await engine.start(counting(), inputs=[3, 4, 20], run_id="r")
        assert sorted(await run.result()) == ["little", "little", "much"]
        diagram = drawn(await engine.trace("r"), depth=1)
        closed = traced(await engine.trace("r", depth=0))
    taken = {(one.source, one.target): (one.taken, one.lines) for one in diagram.edges}
    assert taken["judge/size", "judge/little"] == (2, ("small", "× 2"))
    assert taken["judge/size", "judge/much"] == (1, ("large",))
    assert taken["judge/end", "collect"] == (3, ("3 of 3",))
    assert [one.id for one in closed.nodes] == ["__start__", "judge", "collect", "__end__"]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_workflow_with_others_inside_is_drawn_in_every_format(dot_program: Dot, format_: Format) -> None:
    declared_too = () if format_ in ("timeline", "gantt") else (counting(), SHOP, TREE)
    for subject in (FAILED_BATCH, *declared_too):
        assert render(subject, format_, theme="auto", depth=1) == render(subject, format_, theme="auto", depth=1)
