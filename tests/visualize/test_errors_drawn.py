"""Error edges leave their node itself, dashed and in a colour of their own, in every picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from milepost.engine.engine import Engine
from milepost.engine.failure import Failure
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.visualize.diagram import Diagram, DrawnEdge, DrawnNode, declared
from milepost.visualize.dot import dot
from milepost.visualize.folding import fold
from milepost.visualize.grouping import group
from milepost.visualize.mermaid import mermaid
from milepost.visualize.overlay import task_status, traced
from milepost.visualize.palette import FAILED_ON_BOTH, LIGHT, Status, Theme
from milepost.visualize.render import render
from milepost.workflows.builder import WorkflowBuilder
from tests.visualize.conftest import Dot, Mermaid
from tests.visualize.subjects import ORDERS, RESCUED, definition, edge, node, task


def arrow(diagram: Diagram, source: str, target: str) -> DrawnEdge:
    (found,) = (item for item in diagram.edges if (item.source, item.target) == (source, target))
    return found


def drawn(diagram: Diagram, id_: str) -> DrawnNode:
    return next(item for item in diagram.nodes if item.id == id_)


def test_no_outcome_is_a_box_and_its_edges_leave_the_node_before_it() -> None:
    grouping = group(ORDERS)
    assert not [id_ for id_ in grouping.owners if id_.endswith("_outcome")]
    links = [link for link in grouping.links if link.source == "charge"]
    assert [(link.target, link.label, link.type, link.error) for link in links] == [
        ("collect", "", "str", False),
        ("refund", "TimeoutError", "Failure[int]", True),
        ("note", "on error", "Failure[int]", True),
    ]
    assert links[1].via == (("charge", "charge_outcome", 0), ("charge_outcome", "refund", 0))


def test_a_decide_node_that_may_fail_is_still_one_diamond() -> None:
    grouping = group(ORDERS)
    assert grouping.boxes["size"].inner == ("size_choice",)
    ways = [(link.target, link.label) for link in grouping.links if link.source == "size"]
    assert ways == [("Ship", "large"), ("__end__", "small"), ("guess", "OSError")]


def test_a_decision_behind_an_outcome_is_named_after_the_node_before_both() -> None:
    assert group(ORDERS).boxes["Ship_decision"].name == "Ship?"


def test_a_decision_that_only_error_edges_reach_and_leave_is_drawn_by_itself() -> None:
    lost = definition([node("lost", "decision"), node("a")], [edge("lost", "a", label="on error", error=True)])
    assert "lost" in group(lost).boxes
    circle = definition(
        [node("round", "decision"), node("a")], [edge("round", "round", error=True), edge("a", "round")]
    )
    assert list(group(circle).boxes) == ["__start__", "a", "__end__"]


def test_the_way_of_the_output_stays_straight_beside_error_edges() -> None:
    nodes = [node("a"), node("a_outcome", "decision", generated=True), node("b"), node("help")]
    edges = [edge("__start__", "a"), edge("a", "a_outcome"), edge("a_outcome", "help", 0, "on error", error=True)]
    edges += [edge("a_outcome", "b", 1), edge("b", "__end__"), edge("help", "__end__")]
    diagram = declared(definition(nodes, edges))
    assert (arrow(diagram, "a", "b").spine, arrow(diagram, "a", "b").error) == (True, False)
    assert (arrow(diagram, "a", "help").spine, arrow(diagram, "a", "help").error) == (False, True)


def test_arrows_that_become_one_stay_error_edges_when_all_of_them_are() -> None:
    twice = [edge("a", "a_outcome"), edge("a_outcome", "b", 0, error=True), edge("a_outcome", "b", 1, error=True)]
    both = declared(definition([node("a"), node("a_outcome", "decision"), node("b")], twice))
    assert [(item.error, item.lines) for item in fold(both, max_edges=1).edges] == [(True, ("2 edges",))]


def test_what_was_passed_lands_on_the_edge_that_was_taken() -> None:
    diagram = traced(RESCUED)
    refund, collect = arrow(diagram, "charge", "refund"), arrow(diagram, "charge", "collect")
    assert (refund.taken, refund.lines, refund.error) == (1, ("TimeoutError", "1 of 3"), True)
    assert (collect.taken, collect.lines, collect.error) == (2, ("2 of 3",), False)
    assert arrow(diagram, "charge", "note").taken == 0
    assert arrow(diagram, "size", "Ship").lines == ("large",)
    assert arrow(diagram, "size", "guess").taken == 0


def test_a_class_that_names_the_next_one_itself_has_not_failed() -> None:
    diagram = traced(RESCUED)
    assert (arrow(diagram, "Ship", "Ship_decision").taken, arrow(diagram, "Ship_decision", "Wait").taken) == (1, 1)
    assert arrow(diagram, "Ship", "guess").taken == 0
    to_handler = replace(RESCUED, taken={**RESCUED.taken, ("Ship", "guess", 0): 2})
    assert arrow_count(traced(to_handler), "Ship", "guess") == [0, 2]


def arrow_count(diagram: Diagram, source: str, target: str) -> list[int | None]:
    return [item.taken for item in diagram.edges if (item.source, item.target) == (source, target)]


def test_a_task_whose_failure_was_caught_is_told_from_one_that_failed_the_run() -> None:
    diagram = traced(RESCUED)
    box = drawn(diagram, "charge")
    assert (box.status, box.strip) == (Status.CAUGHT, (Status.DONE, Status.CAUGHT, Status.DONE))
    assert box.detail == "2 of 3 done · ↻ 1 retry · 3.0 s\nTimeoutError: gateway"
    assert drawn(diagram, "note").detail == "not reached"
    assert diagram.notice == "✓ completed"
    assert task_status(task("a", None, status="caught")) is Status.CAUGHT


def test_a_long_map_counts_what_failed_and_what_was_caught() -> None:
    items = [task("charge", (0, 1), visit=number + 1, index=number) for number in range(40)]
    items[3] = task("charge", (0, 1), status="caught", error="KeyError: 'x'")
    assert drawn(traced(replace(RESCUED, tasks=tuple(items))), "charge").detail.startswith("39 of 40, 1 caught")
    items[4] = task("charge", (0, 1), status="failed", error="OSError: disk")
    box = drawn(traced(replace(RESCUED, tasks=tuple(items))), "charge")
    assert box.detail.startswith("38 of 40, 1 failed, 1 caught")


@pytest.mark.anyio
async def test_a_real_run_is_drawn_with_its_counts_on_the_edges_that_it_took() -> None:
    wf: WorkflowBuilder[None, None, list[int], list[int]]
    wf = WorkflowBuilder(name="halves", input_type=list[int], output_type=list[int])

    @wf.function
    def halve(ctx: StepContext[None, None, int]) -> int:
        if ctx.inputs % 2:
            raise ValueError("odd")
        return ctx.inputs // 2

    @wf.decide
    def repair(ctx: StepContext[None, None, Failure[int]]) -> Literal["drop", "round"]:
        return "drop" if ctx.inputs.inputs == 3 else "round"

    @wf.function
    def zero(ctx: StepContext[None, None, Failure[int]]) -> int:
        return 0

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, wf.each(halve, join=collect))
    wf.edge(halve, collect)
    wf.edge(halve, repair, on_error=ValueError)
    wf.edge(repair, zero, when="drop")
    wf.edge(repair, zero, when="round")
    wf.edge(zero, collect)
    wf.edge(collect, wf.end_node)

    async with Engine("memory:") as engine:
        run = await engine.start(wf.build(), inputs=[2, 3, 4, 5, 7], run_id="r")
        assert sorted(await run.result()) == [0, 0, 0, 1, 2]
        diagram = traced(await engine.trace("r"))

    assert [item.lines for item in diagram.edges if item.source == "halve"] == [("2 of 5",), ("ValueError", "3 of 5")]
    assert [item.lines for item in diagram.edges if item.source == "repair"] == [("drop",), ("round", "× 2")]
    assert drawn(diagram, "halve").strip.count(Status.CAUGHT) == 3


def test_dot_dashes_an_error_edge_in_its_own_colour_and_a_taken_one_thickly() -> None:
    line = next(line for line in dot(declared(ORDERS)).splitlines() if "n_charge -> n_refund" in line)
    assert f'color="{LIGHT.failed_text}", fontcolor="{LIGHT.failed_text}", style=dashed' in line
    lines = dot(traced(RESCUED)).splitlines()
    taken = next(line for line in lines if "n_charge -> n_refund" in line)
    other = next(line for line in lines if "n_charge -> n_note" in line)
    assert f'color="{LIGHT.failed_text}", fontcolor="{LIGHT.failed_text}", style=dashed, penwidth=2.4' in taken
    assert f'color="{LIGHT.untaken}"' in other


def test_dot_draws_error_edges_without_a_warning(dot_program: Dot) -> None:
    texts = dot_program.texts(dot(traced(RESCUED)))
    assert texts["n_charge"][0] == "! charge × 3"
    assert not [id_ for id_ in texts if "outcome" in id_]


@pytest.mark.parametrize(
    ("theme", "colour"), [("light", LIGHT.failed_text), ("dark", "#fca5a5"), ("auto", FAILED_ON_BOTH)]
)
def test_mermaid_reads_error_edges_in_every_theme(mermaid_js: Mermaid, theme: Theme, colour: str) -> None:
    for diagram, width in ((declared(ORDERS), "1.5px"), (traced(RESCUED), "2.5px")):
        text = mermaid(diagram, theme)
        seen = mermaid_js.understand(text)
        number = next(index for index, item in enumerate(diagram.edges) if item.target == "refund")
        assert '  n_charge -.->|"TimeoutError' in text
        assert seen.edges[number][:2] == ("n_charge", "n_refund")
        style = next(line for line in text.splitlines() if f"stroke:{colour}" in line and "linkStyle" in line)
        assert str(number) in style.split()[1].split(",")
        assert style.endswith(f"stroke-width:{width}")
        assert not [id_ for id_ in seen.nodes if "outcome" in id_]


def test_the_terminal_shows_error_edges_and_which_of_them_were_taken() -> None:
    lines = [line.split() for line in render(ORDERS, "text").splitlines()]
    assert ["⇢", "refund", "TimeoutError"] in lines
    assert not [line for line in lines if "outcome" in "".join(line)]
    shown = render(RESCUED, "text").splitlines()
    assert any(line.split() == ["charge", "refund", "TimeoutError", "·", "1", "of", "3", "1"] for line in shown)
    assert any(line.startswith("! charge[1]   caught") and line.endswith("TimeoutError") for line in shown)


def test_a_page_says_which_edges_are_error_edges(dot_program: Dot) -> None:
    page = render(ORDERS, "html")
    assert "<td>charge</td><td>refund</td><td>TimeoutError · error edge</td>" in page
    assert "outcome" not in page
