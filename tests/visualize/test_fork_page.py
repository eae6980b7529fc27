"""The picture and the page of a family of runs."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from milepost.visualize.fork_page import lanes, page
from milepost.visualize.palette import Theme
from tests.visualize.families import FAMILY, relative, station
from tests.visualize.subjects import hostile

SVG = "{http://www.w3.org/2000/svg}"


class Tags(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_the_picture_is_one_svg_with_every_run_and_checkpoint(theme: Theme) -> None:
    root = ElementTree.fromstring(lanes(FAMILY, "t-3", theme))
    words = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert {"t-1", "t-2", "t-3 ◂", "t-4"} <= set(words)
    assert {"2 plan", "4 pay", "3 forked"} <= set(words)
    assert words.count("✗") == 1
    assert (root.get("role"), root.get("aria-label", "")[:16]) == ("img", "t-1 completed · ")


def test_of_two_forks_that_of_the_later_checkpoint_comes_first_so_that_no_lines_cross() -> None:
    root = ElementTree.fromstring(lanes(FAMILY, ""))
    heights = {
        "".join(text.itertext()): int(text.get("y", "0"))
        for text in root.iter(f"{SVG}text")
        if text.get("class") == "t"
    }
    assert sorted(heights, key=heights.__getitem__) == ["t-1", "t-4", "t-2", "t-3"]


def test_the_page_can_load_and_run_nothing() -> None:
    text = page(FAMILY, "t-3")
    tags = Tags(text).tags
    policy = next(dict_["content"] for tag, dict_ in tags if tag == "meta" and "http-equiv" in dict_)
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "a"}
    assert not re.search(r"(?:src|href)=|url\(|@import", text)


def test_the_page_has_every_run_as_a_row_of_a_table() -> None:
    words = " ".join(Tags(page(FAMILY, "t-3")).words)
    assert "t-3 (this run)" in words
    assert "ValueError: no money" in words
    assert Tags(page(FAMILY, "t-3")).tags.count(("th", {"scope": "row"})) == len(FAMILY)


@given(run_id=hostile, node=hostile, error=hostile)
@settings(max_examples=40, deadline=None)
def test_nothing_that_a_run_says_becomes_a_tag(run_id: str, node: str, error: str) -> None:
    family = (
        relative("x", 2, station(1, did="started"), station(2, node), workflow=node),
        relative(run_id + "!", 3, station(3, did="forked"), origin=("x", 2), level=1, status="failed", error=error),
    )
    calm = (
        relative("x", 2, station(1, did="started"), station(2, "n"), workflow="w"),
        relative("y", 3, station(3, did="forked"), origin=("x", 2), level=1, status="failed", error="e"),
    )
    assert [tag for tag, _ in Tags(page(family, "x")).tags] == [tag for tag, _ in Tags(page(calm, "x")).tags]
    ElementTree.fromstring(lanes(family, "x"))
