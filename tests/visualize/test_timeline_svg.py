"""A timeline as SVG: well-formed, self-contained, with nothing outside, and drawn by a real browser."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given

from milepost.engine.trace import Trace
from milepost.visualize.escape import one_line
from milepost.visualize.palette import DARK, LIGHT, Status
from milepost.visualize.timeline import timeline
from milepost.visualize.timeline_svg import WIDTH, timeline_drawing, timeline_svg
from tests.visualize.conftest import missing
from tests.visualize.subjects import NASTY, definition, node
from tests.visualize.timelines import EVENTFUL, crowd, did, run, timed_traces, waited

SVG = "{http://www.w3.org/2000/svg}"


def bars(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [group for group in root.iter(f"{SVG}g") if "tl-bar" in group.get("class", "").split()]


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def test_a_bar_says_whose_it_is_what_it_was_and_where_it_is() -> None:
    root = ElementTree.fromstring(timeline_svg(timeline(EVENTFUL)))
    (approve,) = (bar for bar in bars(root) if bar.get("data-task") == "approve 1")
    assert approve.get("class") == "tl-bar tl-people tl-is-done tl-critical"
    assert (approve.get("data-run"), approve.get("data-kind"), approve.get("data-status")) == (
        "8f3a21",
        "people",
        "done",
    )
    title = next(approve.iter(f"{SVG}title"))
    assert "waited for a person 8 h" in (title.text or "")
    assert (title.text or "").endswith("Is that fine? · answered by ada")
    (accept,) = (bar for bar in bars(root) if bar.get("data-task") == "accept 1")
    assert accept.get("data-seq") == "13"
    rect = next(accept.iter(f"{SVG}rect"))
    left, width = float(root.get("data-plot-left", "")), float(root.get("data-plot-width", ""))
    assert float(rect.get("x", "")) == pytest.approx(left + float(accept.get("data-left", "")) * width, abs=0.02)


def test_a_retry_a_fold_a_crash_and_the_critical_path_are_drawn_and_explained() -> None:
    root = ElementTree.fromstring(timeline_svg(timeline(EVENTFUL)))
    said = texts(root)
    for words in ("✗ stopped", "↻ resumed", "8 h", "nothing ran: folded", "critical path", "waited for a person"):
        assert words in said
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert "analyse · attempt 1 of 2 · ✗ failed · tried 3.7 s, from 300 ms on · TimeoutError: model" in titles
    assert any(title.startswith("Nothing ran for 7 h 59 min") for title in titles)
    assert any("tl-path-line" in path.get("class", "") for path in root.iter(f"{SVG}path"))


def test_a_legend_explains_only_what_is_there_and_can_be_left_out() -> None:
    small = timeline(run([did("prepare", 0, (0, 1))], 1))
    said = texts(ElementTree.fromstring(timeline_svg(small)))
    assert "ran" in said
    assert "waited for a person" not in said
    assert "ran" not in texts(ElementTree.fromstring(timeline_svg(small, legend=False)))


def test_a_page_gets_element_and_sheet_apart_with_ids_of_its_own_and_bars_that_can_be_chosen() -> None:
    drawing = timeline_drawing(timeline(EVENTFUL), "auto", prefix="p_", heading=False, choosable=True)
    root = ElementTree.fromstring(drawing.element)
    assert root.get("role") == "group"
    assert {element.get("id") for element in root.iter() if element.get("id")} == {"p_tl-people", "p_tl-world"}
    assert all(bar.get("tabindex") == "0" and bar.get("aria-label") for bar in bars(root))
    assert "claims" not in texts(root)
    assert "<style" not in drawing.element
    assert f"@media (prefers-color-scheme:dark){{.tl-name,.tl-title{{fill:{DARK.title}}}" in drawing.css


def test_a_theme_is_one_palette_and_auto_is_both() -> None:
    shown = timeline(EVENTFUL)
    light, dark, auto = (timeline_svg(shown, theme) for theme in ("light", "dark", "auto"))
    names = [f".tl-name,.tl-title{{fill:{colours.title}}}" for colours in (LIGHT, DARK)]
    assert [[name in drawn for name in names] for drawn in (light, dark, auto)] == [
        [True, False],
        [False, True],
        [True, True],
    ]


def test_a_crowd_is_an_area_with_marks_where_some_failed() -> None:
    root = ElementTree.fromstring(timeline_svg(timeline(crowd(400, failed=(17,)))))
    assert sum("tl-crowd-running" in path.get("class", "") for path in root.iter(f"{SVG}path")) == 1
    assert texts(root).count("✗") == 1
    assert any(text.startswith("at most about 40 ran, ") for text in texts(root))


def test_many_who_are_asked_at_once_wait_and_do_not_run() -> None:
    asked = [
        did("a", 0, visit=n + 1, finished=9, wait=waited("ask", 0, 9, text="Is that fine?", by="ada"))
        for n in range(20)
    ]
    said = texts(ElementTree.fromstring(timeline_svg(timeline(run(asked, 9)))))
    assert "at most 20 waited at a time" in said
    assert "people 3 min" in said


def test_what_is_told_of_a_crowd_takes_two_lines_at_most() -> None:
    tasks = [did("a", 0, (0, n * 100 + 50), visit=n + 1) for n in range(20)]
    tasks.append(did("a", 0, visit=21, status="waiting", wait=waited("ask", 0, text="Is that fine?")))
    root = ElementTree.fromstring(timeline_svg(timeline(run(tasks, 2_000, status="waiting"))))
    told = ["".join(text.itertext()) for text in root.iter(f"{SVG}text") if text.get("class") == "tl-detail"]
    assert len(told) == 2
    assert told[0].startswith("20 done · p50 ")
    assert told[1].endswith("…")


def test_a_crowd_that_neither_ran_nor_waited_is_drawn() -> None:
    tasks = [did("a", 0, visit=n + 1, status="pending") for n in range(20)]
    ElementTree.fromstring(timeline_svg(timeline(run(tasks, 0, status="failed"))))


def test_lanes_that_are_left_out_are_counted() -> None:
    shown = timeline(run([did(f"n{n}", n, (n, n + 1)) for n in range(205)], 300))
    assert "… and 5 lanes more" in texts(ElementTree.fromstring(timeline_svg(shown)))


@pytest.mark.parametrize("label", NASTY)
def test_a_label_is_shown_as_it_is_and_never_obeyed(label: str) -> None:
    defined = definition([node("a", doc=label)], [], name=label)
    trace = run([did(label, 0, (0, 9, label), status="failed")], 9, defined=defined, status="failed")
    root = ElementTree.fromstring(timeline_svg(timeline(trace)))
    shown = one_line(label, 10)
    assert any(shown[:8].rstrip("…").strip() in text for text in texts(root))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg",
        "style",
        "defs",
        "pattern",
        "g",
        "rect",
        "line",
        "path",
        "text",
        "tspan",
        "title",
        "circle",
    }


@given(timed_traces())
def test_any_run_is_well_formed_and_nothing_lies_outside(trace: Trace) -> None:
    drawn = timeline_svg(timeline(trace), "auto")
    root = ElementTree.fromstring(drawn)
    height = float(root.get("height", ""))
    for rect in root.iter(f"{SVG}rect"):
        if rect.get("x") is not None and rect.get("class") != "tl-plate":
            assert 0 <= float(rect.get("x", "")) <= float(rect.get("x", "")) + float(rect.get("width", "")) <= WIDTH
            assert 0 <= float(rect.get("y", "")) <= float(rect.get("y", "")) + float(rect.get("height", "")) <= height
    for element in root.iter():
        assert not any(name.startswith("on") or name.endswith("href") for name in element.attrib)
    assert re.findall(r"url\(([^)]*)\)", drawn) == re.findall(r"url\((#tl-(?:people|world))\)", drawn)


def pixels(png: bytes) -> set[bytes]:
    """Return the colours of a PNG as a browser writes it: 8 bits of red, green and blue, with or without alpha."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, data, kept = 8, b"", (0, 0, 0)
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, _, colour = struct.unpack(">IIBB", body[:10])
            kept = (width, height, 4 if colour == 6 else 3)
        if kind == b"IDAT":
            data += body
        at += length + 12
    width, height, size = kept
    raw, row, found = zlib.decompress(data), bytearray(width * size), set[bytes]()
    for number in range(height):
        start = number * (width * size + 1)
        row = unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + width * size]), row, size)
        found.update(bytes(row[one : one + 3]) for one in range(0, len(row), size))
    return found


def unfiltered(kind: int, line: bytearray, above: bytearray, size: int) -> bytearray:
    """Undo the filter of one line of a PNG (PNG specification, 9.2)."""
    for at in range(len(line)):
        left = line[at - size] if at >= size else 0
        corner = above[at - size] if at >= size else 0
        up = above[at]
        near = min((left, up, corner), key=lambda one: abs(left + up - corner - one))
        line[at] = (line[at] + (0, left, up, (left + up) // 2, near)[kind]) % 256
    return line


def rgb(colour: str) -> bytes:
    return bytes.fromhex(colour.removeprefix("#"))


@pytest.mark.parametrize("dark", [False, True])
def test_a_real_browser_draws_it_in_its_colours(dark: bool, tmp_path: Path) -> None:
    program = shutil.which("chromium")
    if program is None:
        missing("the program chromium")
    chosen = DARK if dark else LIGHT
    drawn = timeline_svg(timeline(EVENTFUL), "dark" if dark else "light")
    page = tmp_path / "page.html"
    page.write_text(f'<!doctype html><meta charset="utf-8"><body style="background:{chosen.page}">{drawn}', "utf-8")
    picture = tmp_path / "page.png"
    subprocess.run(
        [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=1240,760",
            f"--screenshot={picture}",
            f"--user-data-dir={tmp_path / 'profile'}",
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    seen = pixels(picture.read_bytes())
    wanted = (chosen.page, chosen.title, chosen.statuses[Status.DONE].fill, chosen.failed_text)
    assert {rgb(colour) for colour in wanted} <= seen
