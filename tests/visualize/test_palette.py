"""Colours, measured."""

from __future__ import annotations

import pytest

from milepost.visualize.palette import (
    DARK,
    FAILED_ON_BOTH,
    GLYPHS,
    LIGHT,
    TAKEN_ON_BOTH,
    WORDS,
    Palette,
    Status,
    palette,
)


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2, "contrast ratio"."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_all_text_can_be_read_on_its_fill(colours: Palette) -> None:
    for style in (*colours.kinds.values(), *colours.statuses.values()):
        assert contrast(style.text, style.fill) >= 4.5
        assert contrast(style.muted, style.fill) >= 4.5
    for text in (colours.title, colours.text, colours.muted, colours.untaken_text, colours.failed_text):
        assert contrast(text, colours.page) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_every_status_stands_out_from_the_page(colours: Palette) -> None:
    for style in colours.statuses.values():
        assert max(contrast(style.stroke, colours.page), contrast(style.fill, colours.page)) >= 3


@pytest.mark.parametrize("colour", [TAKEN_ON_BOTH, FAILED_ON_BOTH])
def test_an_edge_that_has_to_show_on_both_pages_stands_out_from_either(colour: str) -> None:
    assert min(contrast(colour, LIGHT.page), contrast(colour, DARK.page)) >= 3


def test_no_two_statuses_differ_by_colour_alone() -> None:
    looks = {(GLYPHS[status], style.width, style.dashed) for status, style in LIGHT.statuses.items()}
    assert len(looks) == len(Status) == len(WORDS)


def test_glyphs_are_never_drawn_as_emoji() -> None:
    assert not set("".join(GLYPHS.values())) & set("\u23f8\u25b6\ufe0f")


def test_auto_has_the_light_colours_and_unknown_kinds_look_like_functions() -> None:
    assert palette("auto") is LIGHT
    assert LIGHT.kind("nobody knows") == LIGHT.kind("function")
