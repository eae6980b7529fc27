"""The gallery is what would be drawn now."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.gallery.page import faults, write
from tests.gallery.pictures import FOLDER, Drawn, drawn
from tests.visualize.conftest import Dot
from tests.visualize.conftest import dot_program as dot_program

pytestmark = pytest.mark.anyio


async def pictures() -> list[Drawn]:
    return [one async for one in drawn()]


async def test_the_gallery_is_up_to_date() -> None:
    assert faults(await pictures(), FOLDER) == [], "Draw it again: make gallery"


async def test_pictures_are_the_same_every_time() -> None:
    first, second = await pictures(), await pictures()
    assert [(one.name, one.source, one.digest) for one in first] == [
        (one.name, one.source, one.digest) for one in second
    ]


async def test_what_is_stale_missing_or_too_much_is_named_and_drawn_again(tmp_path: Path, dot_program: Dot) -> None:
    folder = tmp_path / "gallery"
    shutil.copytree(FOLDER, folder)
    (folder / "expenses.mmd").write_text("flowchart TB\n")
    text = (folder / "orders.svg").read_text()
    (folder / "orders.svg").write_text(re.sub("drawn from .", "drawn from !", text))
    (folder / "forks.svg").unlink()
    (folder / "old.svg").write_text("")
    known = await pictures()
    assert sorted(faults(known, folder)) == ["expenses.mmd", "forks.svg", "old.svg", "orders.svg"]
    write(known, folder)
    assert faults(known, folder) == []


async def test_another_layout_of_the_same_text_is_not_stale(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "gallery")
    file = tmp_path / "gallery" / "orders.svg"
    file.write_text(file.read_text().replace("<svg ", '<svg data-laid-out="otherwise" ', 1))
    assert faults(await pictures(), tmp_path / "gallery") == []


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.svg")), ids=lambda path: path.name)
def test_every_picture_is_an_svg_that_loads_nothing(file: Path) -> None:
    text = file.read_text("utf-8")
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert not re.search(r"(?:href|src)=|url\((?!#)|@import|<script", text)
