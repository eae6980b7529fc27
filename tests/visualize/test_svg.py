"""The finished SVG and PNG."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from milepost.engine.trace import Trace
from milepost.visualize.diagram import declared
from milepost.visualize.overlay import traced
from milepost.visualize.palette import DARK, LIGHT, Status, Theme
from milepost.visualize.svg import draw, png, svg
from tests.visualize.conftest import Dot
from tests.visualize.subjects import CLAIMS, COMPLETED, FAILED, hostile_traces, task

pytestmark = pytest.mark.usefixtures("dot_program")
SVG = "{http://www.w3.org/2000/svg}"


def test_every_node_can_be_found_by_its_id_and_status() -> None:
    groups = {group.get("id"): group for group in ElementTree.fromstring(svg(traced(FAILED))).iter(f"{SVG}g")}
    assert groups["n_review"].get("data-status") == "failed"
    assert groups["n_review"].get("data-node") == "review"
    assert groups["n_end"].get("data-status") == "unreached"


def test_a_node_says_what_it_is_to_a_reader_who_points_at_it() -> None:
    groups = {group.get("id"): group for group in ElementTree.fromstring(svg(traced(FAILED))).iter(f"{SVG}g")}
    title = groups["n_review"].findtext(f"{SVG}title") or ""
    assert title.startswith("map of agent review · retry ≤ 2 · failed · 1 of 3 done")
    assert "review[1]: ValueError: no weight" in title


def test_the_picture_is_put_into_words_for_readers_who_do_not_see_it() -> None:
    root = ElementTree.fromstring(svg(traced(COMPLETED)))
    assert root.get("role") == "img"
    label = root.get("aria-label") or ""
    assert label.startswith("claims · ✓ completed: prepare (done), analyse × 2 (done after retry)")


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_no_picture_links_or_loads_anything(theme: Theme) -> None:
    text = svg(traced(COMPLETED), theme)
    assert "href" not in text
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert "<script" not in text


def test_an_auto_picture_holds_both_themes_and_no_stand_in_colour() -> None:
    text = svg(traced(FAILED), "auto")
    assert "@media (prefers-color-scheme:dark)" in text
    assert LIGHT.taken in text
    assert DARK.taken in text
    assert not re.search(r"#fe00[0-9a-f]{2}", text)
    assert svg(traced(FAILED), "light").count("<path") == text.count("<path")


def test_what_waits_is_striped_in_the_colours_of_the_theme() -> None:
    waiting = replace(COMPLETED, status="waiting", tasks=(task("gather", (0, None), status="waiting"),))
    themes: tuple[Theme, ...] = ("light", "dark", "auto")
    for theme in themes:
        text = svg(traced(waiting), theme)
        assert 'fill="url(#hatch)"' in text
        assert (DARK if theme == "dark" else LIGHT).statuses[Status.WAITING].hatch in text
    assert "hatch" not in svg(traced(COMPLETED))


def test_a_page_of_several_pictures_has_stripes_for_each() -> None:
    waiting = replace(COMPLETED, status="waiting", tasks=(task("gather", (0, None), status="waiting"),))
    drawing = draw(traced(waiting), "light", prefix="one_")
    assert 'id="one_hatch"' in drawing.element
    assert 'fill="url(#one_hatch)"' in drawing.element


def test_fonts_are_the_ones_that_are_as_wide_as_measured() -> None:
    fonts = {text.get("font-family") for text in ElementTree.fromstring(svg(declared(CLAIMS))).iter(f"{SVG}text")}
    assert fonts == {'Arial, "Liberation Sans", Helvetica, sans-serif'}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_png_is_a_png(theme: Theme) -> None:
    assert png(traced(COMPLETED), theme).startswith(b"\x89PNG\r\n")


@given(trace=hostile_traces())
@settings(max_examples=15)
def test_any_run_is_drawn_as_well_formed_svg(dot_program: Dot, trace: Trace) -> None:
    assert ElementTree.fromstring(svg(traced(trace), "auto")).tag == f"{SVG}svg"
