"""The page in one file."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milepost.engine.trace import Trace
from milepost.visualize.palette import Theme
from milepost.visualize.render import render
from milepost.visualize.tables import FIRST_ROWS
from tests.visualize.conftest import Dot
from tests.visualize.reports import holding
from tests.visualize.subjects import (
    CLAIMS,
    COMPLETED,
    FAILED,
    START,
    definition,
    edge,
    hostile,
    hostile_traces,
    node,
    task,
)

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
    """Nothing on the page loads or leads anywhere; what runs is its own script, behind what that reads."""
    assert not {"link", "img", "iframe", "a", "form", "object", "base"} & set(page.tags)
    assert page.tags[-2:] == ["script", "script"] if "script" in page.tags else "dialog" not in page.tags
    assert page.tags.count("script") in (0, 2)
    names = {name for name, _ in page.attributes}
    assert not {"style", "src", "href", "xlink:href", "onload", "onerror", "onclick"} & names


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_the_policy_allows_the_one_style_sheet_and_the_one_script_and_nothing_else(theme: Theme) -> None:
    text = render(COMPLETED, "html", theme=theme)
    (style,), (script,) = hashes(text, "style"), hashes(text, "script")
    policy = f"default-src 'none'; script-src {script}; style-src {style}; base-uri 'none'; form-action 'none'"
    assert f'content="{policy}"' in text
    assert_closed(Page(text))


def test_the_page_of_a_definition_has_no_script() -> None:
    text = render(CLAIMS, "html")
    (style,) = hashes(text, "style")
    assert f"content=\"default-src 'none'; style-src {style}; base-uri 'none'; form-action 'none'\"" in text
    assert "script" not in Page(text).tags


def hashes(text: str, name: str) -> list[str]:
    """Return the hashes by which a policy allows the elements of a name."""
    found = re.findall(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)
    return [f"'sha256-{b64encode(sha256(one.encode()).digest()).decode()}'" for one in found]


def test_a_run_has_a_table_of_its_tasks_for_readers_who_do_not_see_the_picture() -> None:
    page = Page(render(FAILED, "html"))
    assert "table" in page.tags
    for text in (
        "review[1]",
        "✗ failed",
        "↻ 2",
        "Started 2026-03-04 12:04:31 UTC",
        "+25.0 s",
        "8.0 s",
        "ValueError: no weight",
    ):
        assert text in page.text
    assert "Node 'review' failed on all 2 attempts: ValueError: no weight" in page.text


def test_a_definition_has_a_table_of_its_nodes_and_edges() -> None:
    page = Page(render(CLAIMS, "html"))
    assert "agent analyse · retry ≤ 3 · timeout 60 s" in page.text
    assert "score < 0.3" in page.text


def test_a_large_run_lists_its_first_tasks_and_says_so_where_no_script_runs() -> None:
    defined = definition([node("a")], [edge("__start__", "a"), edge("a", "__end__")])
    tasks = tuple(task("a", (0, 1), visit=number + 1) for number in range(FIRST_ROWS + 5))
    trace = Trace(run_id="r", status="running", definition=defined, created=START, updated=START, tasks=tasks, taken={})
    page = Page(render(trace, "html"))
    assert "The first 200 of 205 steps." in page.text
    assert page.tags.count("tr") == 1 + FIRST_ROWS + 1 + 2


@given(label=hostile, texts=st.lists(hostile, min_size=1, max_size=4))
@settings(max_examples=15)
def test_what_a_run_stored_is_nothing_but_data(dot_program: Dot, label: str, texts: list[str]) -> None:
    text = str(render(holding(texts, label=label or "a"), "html"))
    page = Page(text)
    assert_closed(page)
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    stored = [one["stored"][0] for one in json.loads(data)["checkpoints"] if "stored" in one]
    assert [json.loads(one) for one in stored] == texts
    assert {tag for tag in page.tags if tag in ("b", "img", "br")} == set()


@given(trace=hostile_traces())
@settings(max_examples=15)
def test_nothing_that_a_person_writes_becomes_markup(dot_program: Dot, trace: Trace) -> None:
    assert_closed(Page(render(trace, "html", theme="auto")))
