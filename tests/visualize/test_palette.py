"""Colours, measured."""

from __future__ import annotations

from itertools import combinations

import pytest

from milepost.engine.spec import NodeKind
from milepost.visualize.diagram import DrawnNode
from milepost.visualize.palette import (
    COMPARED_ON_BOTH,
    DARK,
    FAILED_ON_BOTH,
    GLYPHS,
    KIND_WORDS,
    LIGHT,
    TAKEN_ON_BOTH,
    WORDS,
    Palette,
    Status,
    chip,
    palette,
)
from milepost.visualize.shapes import shape
from tests.visualize.sight import DEUTERANOPIA, PROTANOPIA, Matrix, contrast, distance

THEMES = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
SIGHT = pytest.mark.parametrize(
    "blindness", [None, PROTANOPIA, DEUTERANOPIA], ids=["full sight", "protanopia", "deuteranopia"]
)
FAR = 10.0
"""A delta E from which on two areas side by side are told apart at a glance."""


VERSIONS = frozenset({Status.ADDED, Status.REMOVED, Status.CHANGED, Status.SAME})
RUNS = frozenset({Status.FIRST, Status.SECOND, Status.PARTED, Status.OTHER, Status.SAME, Status.UNREACHED})
TOGETHER = ((frozenset(Status) - VERSIONS - RUNS) | {Status.UNREACHED}, VERSIONS, RUNS)
"""The statuses that one picture can have: of a run, of two versions of a workflow, of two runs."""


def test_black_and_white_are_as_far_apart_as_colours_can_be() -> None:
    assert distance("#000000", "#ffffff") == pytest.approx(100, abs=0.01)
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_red_and_green_are_close_only_for_those_who_do_not_tell_them_apart() -> None:
    assert distance("#fee2e2", "#dcfce7") > 24
    assert distance("#fee2e2", "#dcfce7", DEUTERANOPIA) < 5


@THEMES
def test_all_text_can_be_read_on_its_fill(colours: Palette) -> None:
    for style in (*colours.kinds.values(), *colours.statuses.values()):
        assert contrast(style.text, style.fill) >= 4.5
        assert contrast(style.muted, style.fill) >= 4.5
        if style.hatch:
            assert min(contrast(style.text, style.hatch), contrast(style.muted, style.hatch)) >= 4.5
    for text in (colours.title, colours.text, colours.muted, colours.untaken_text, colours.failed_text):
        assert contrast(text, colours.page) >= 4.5


@THEMES
def test_every_status_stands_out_from_the_page(colours: Palette) -> None:
    for style in colours.statuses.values():
        assert max(contrast(style.stroke, colours.page), contrast(style.fill, colours.page)) >= 3


@pytest.mark.parametrize("colour", [TAKEN_ON_BOTH, FAILED_ON_BOTH, *COMPARED_ON_BOTH.values()])
def test_an_edge_that_has_to_show_on_both_pages_stands_out_from_either(colour: str) -> None:
    assert min(contrast(colour, LIGHT.page), contrast(colour, DARK.page)) >= 3


@THEMES
def test_no_two_statuses_differ_by_colour_alone(colours: Palette) -> None:
    looks = {(GLYPHS[status], style.width, style.dashed) for status, style in colours.statuses.items()}
    assert len(looks) == len(Status) == len(WORDS)
    assert len({chip(status) for status in Status}) == len(Status)


@THEMES
@SIGHT
@pytest.mark.parametrize("shown", TOGETHER, ids=["run", "versions", "two runs"])
def test_any_two_statuses_of_a_picture_are_told_apart_without_their_glyphs(
    colours: Palette, blindness: Matrix | None, shown: frozenset[Status]
) -> None:
    for one, other in combinations((style for status, style in colours.statuses.items() if status in shown), 2):
        painted = max(distance(one.fill, other.fill, blindness), distance(one.stroke, other.stroke, blindness))
        assert painted >= FAR or (one.width, one.dashed) != (other.width, other.dashed)


@THEMES
@SIGHT
def test_a_failure_stands_out_from_everything_else(colours: Palette, blindness: Matrix | None) -> None:
    failed = colours.statuses[Status.FAILED]
    for status, style in colours.statuses.items():
        assert status is Status.FAILED or distance(failed.fill, style.fill, blindness) >= 2 * FAR


@THEMES
@SIGHT
def test_a_taken_edge_is_told_from_one_that_was_not(colours: Palette, blindness: Matrix | None) -> None:
    assert distance(colours.taken, colours.untaken, blindness) >= FAR


def test_every_kind_of_node_has_colours_a_shape_and_a_word_in_the_legend() -> None:
    drawn = {"ask", "wait", "sleep", "race", *(kind.value for kind in NodeKind)} - {"start", "end", "broadcast"}
    assert drawn <= set(KIND_WORDS)
    assert {*KIND_WORDS} - {"map"} <= set(LIGHT.kinds)
    assert set(LIGHT.kinds) == set(DARK.kinds)


def test_no_two_kinds_have_the_same_shape() -> None:
    nodes = [DrawnNode(id=kind, kind=kind, base=kind, title=kind) for kind in KIND_WORDS if kind != "fold"]
    assert len({shape(node, rich=True) for node in nodes}) == len(nodes)


def test_glyphs_are_never_drawn_as_emoji() -> None:
    assert not set("".join(GLYPHS.values())) & set("\u23f8\u25b6\ufe0f")


def test_auto_has_the_light_colours_and_unknown_kinds_look_like_functions() -> None:
    assert palette("auto") is LIGHT
    assert LIGHT.kind("nobody knows") == LIGHT.kind("function")
