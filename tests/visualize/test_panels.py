"""What is inside a sub-workflow, as a part of the page that can be unfolded."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings

from milepost.engine.definition import Definition
from milepost.engine.trace import Trace
from milepost.visualize.nesting import drawn
from milepost.visualize.panels import MAX_LEVELS, MAX_PANELS, every, links, panels
from milepost.visualize.render import render
from milepost.visualize.tables import MAX_ROWS
from tests.visualize.conftest import Dot
from tests.visualize.nests import (
    BATCH,
    CREDIT,
    FAILED_BATCH,
    FRAUD,
    SHOP,
    begun,
    grown,
    hostile_families,
    hostile_nests,
    runs,
)
from tests.visualize.subjects import CLAIMS, COMPLETED, definition, task
from tests.visualize.test_html import Page

pytestmark = pytest.mark.usefixtures("dot_program")


def ids(page: Page) -> Counter[str]:
    return Counter(value or "" for name, value in page.attributes if name == "id")


def targets(page: Page) -> set[str]:
    return {(value or "").removeprefix("#") for name, value in page.attributes if name == "href"}


def assert_whole(page: Page) -> None:
    """Every link leads to one part of the page, and nothing on it loads or runs but its own script."""
    assert all((value or "").startswith("#") for name, value in page.attributes if name == "href")
    assert all(number == 1 for number in ids(page).values())
    assert targets(page) <= ids(page).keys()
    assert page.tags.count("script") in (0, 2)
    assert not {"link", "img", "iframe", "form", "object", "base"} & set(page.tags)


def test_every_sub_workflow_has_a_panel_inside_that_of_the_one_around_it() -> None:
    found = panels(SHOP)
    assert [one.path for one in every(found)] == [("buyer",), ("buyer", "fraud"), ("seller",), ("seller", "fraud")]
    assert [one.id for one in every(found)] == ["inside_1", "inside_2", "inside_3", "inside_4"]


def test_a_node_of_the_picture_leads_to_its_panel_open_or_closed() -> None:
    known = list(every(panels(SHOP)))
    assert links(drawn(SHOP), known) == {"buyer": "inside_1", "seller": "inside_3"}
    assert links(drawn(SHOP, depth=1), known) == {
        "buyer": "inside_1",
        "buyer/fraud": "inside_2",
        "seller": "inside_3",
        "seller/fraud": "inside_4",
    }
    assert links(drawn(CREDIT), known[0].inner, ("buyer",)) == {"fraud": "inside_2"}


def test_what_the_picture_shows_open_is_not_drawn_again() -> None:
    page = Page(render(SHOP, "html", depth=1))
    assert page.tags.count("details") == 4
    assert page.tags.count("svg") == 1 + 2
    assert Page(render(SHOP, "html", depth=0)).tags.count("svg") == 1 + 4
    assert Page(render(SHOP, "html", depth=2)).tags.count("svg") == 1


def test_a_page_leads_to_its_own_parts_only() -> None:
    for subject in (SHOP, BATCH, FAILED_BATCH):
        for depth in (0, 1, 2):
            page = Page(render(subject, "html", theme="auto", depth=depth))
            assert_whole(page)
            assert "inside_1" in targets(page)


def test_a_page_without_sub_workflows_has_no_panels_and_its_picture_is_an_image() -> None:
    for subject in (CLAIMS, COMPLETED):
        page = Page(render(subject, "html"))
        assert not {"details", "a"} & set(page.tags)
        assert ("role", "img") in page.attributes
    assert ("role", "group") in Page(render(SHOP, "html")).attributes


def test_a_panel_of_a_run_has_the_tasks_of_every_run_inside() -> None:
    page = Page(render(FAILED_BATCH, "html"))
    for text in (
        f"✓ check[0] · run {'a' * 32}",
        f"✗ check[2] · run {'c' * 32}",
        "builtins.ConnectionError: no line",
        f"run {'a' * 12}",
    ):
        assert text in page.text, text
    assert "✗ check × 3" in page.text


def test_the_rows_of_a_run_are_only_those_of_its_own_tasks() -> None:
    text = render(FAILED_BATCH, "html")
    own = text.split("<h2>Tasks</h2>")[-1].split("</table>")[0]
    assert re.findall(r'<th scope="row">([^<]+)</th>', own) == ["split", "check[0]", "check[1]", "check[2]"]


def test_a_panel_of_a_definition_has_its_nodes_and_edges() -> None:
    text = render(SHOP, "html")
    assert text.count('<th scope="row">look_up</th>') == 2
    assert "<td>rate</td><td>fraud</td><td>odd</td>" in text


def test_the_tables_of_the_page_are_of_what_is_closed() -> None:
    nodes = render(SHOP, "html", depth=2).rsplit("<h2>Nodes</h2>", 1)[1]
    assert "look_up" not in nodes
    assert "<td>buyer</td><td>again</td>" in nodes


def test_a_panel_lists_its_first_tasks_and_says_so() -> None:
    child = replace(FAILED_BATCH.children["a" * 32], tasks=tuple(task("look_up", (0, 1)) for _ in range(MAX_ROWS + 1)))
    trace = replace(FAILED_BATCH, children={child.run_id: child})
    assert f"The first {MAX_ROWS} of {MAX_ROWS + 1} tasks." in Page(render(trace, "html")).text


def test_one_page_has_only_so_many_panels_however_deep_it_goes() -> None:
    wide = definition([runs(f"n{number}", FRAUD) for number in range(MAX_PANELS + 5)], [])
    assert len(list(every(panels(wide)))) == MAX_PANELS
    assert len(list(every(panels(grown(500))))) == MAX_LEVELS


def test_a_task_whose_run_was_not_read_has_no_rows() -> None:
    trace = replace(FAILED_BATCH, tasks=(*FAILED_BATCH.tasks, begun(task("check", None, index=3), "unread")))
    assert "unread" not in render(trace, "html")


@given(subject=hostile_nests() | hostile_families())
@settings(max_examples=12)
def test_nothing_that_a_person_writes_leads_anywhere(dot_program: Dot, subject: Definition | Trace) -> None:
    assert_whole(Page(render(subject, "html", theme="auto", depth=1)))
