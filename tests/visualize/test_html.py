"""The page in one file."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings

from milepost.engine.trace import Trace
from milepost.visualize.palette import Theme
from milepost.visualize.render import render
from milepost.visualize.tables import MAX_ROWS
from tests.visualize.conftest import Dot
from tests.visualize.subjects import CLAIMS, COMPLETED, FAILED, START, definition, edge, hostile_traces, node, task

pytestmark = pytest.mark.usefixtures("dot_program")


class Page(HTMLParser):
    """The elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def assert_closed(page: Page) -> None:
    """Nothing on the page runs, loads or leads anywhere."""
    assert not {"script", "link", "img", "iframe", "a", "form", "object", "base"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {"style", "src", "href", "xlink:href", "onload", "onerror", "onclick"} & names


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_the_policy_allows_the_one_style_sheet_and_nothing_else(theme: Theme) -> None:
    text = render(COMPLETED, "html", theme=theme)
    (sheet,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = b64encode(sha256(sheet.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert f'content="{policy}"' in text
    assert_closed(Page(text))


def test_a_run_has_a_table_of_its_tasks_for_readers_who_do_not_see_the_picture() -> None:
    page = Page(render(FAILED, "html"))
    assert "table" in page.tags
    for text in ("review[1]", "✗ failed", "↻ 2", "2026-03-04 12:04:56 UTC", "8.0 s", "ValueError: no weight"):
        assert text in page.text
    assert "Node 'review' failed on all 2 attempts: ValueError: no weight" in page.text


def test_a_definition_has_a_table_of_its_nodes_and_edges() -> None:
    page = Page(render(CLAIMS, "html"))
    assert "agent analyse · retry ≤ 3 · timeout 60 s" in page.text
    assert "score < 0.3" in page.text


def test_a_large_run_lists_its_first_tasks_and_says_so() -> None:
    defined = definition([node("a")], [edge("__start__", "a"), edge("a", "__end__")])
    tasks = tuple(task("a", (0, 1), visit=number + 1) for number in range(MAX_ROWS + 5))
    trace = Trace(run_id="r", status="running", definition=defined, created=START, updated=START, tasks=tasks, taken={})
    page = Page(render(trace, "html"))
    assert "The first 1000 of 1005 tasks." in page.text


@given(trace=hostile_traces())
@settings(max_examples=15)
def test_nothing_that_a_person_writes_becomes_markup(dot_program: Dot, trace: Trace) -> None:
    assert_closed(Page(render(trace, "html", theme="auto")))
