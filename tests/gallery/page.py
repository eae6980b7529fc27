"""The folder of the gallery: a page, and an SVG and a source for every picture."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.gallery.pictures import Drawn

HEAD: Final = """# Gallery

What Milepost draws of the workflows that come with it, and of real runs of them. `make gallery` draws it again, and a
test says when that is due. What the runs did is real; their times are set, so that they are the same every time. Beside
each picture lies the same as Mermaid. Everything here suits a light and a dark page.
"""
MARK: Final = re.compile(r"<!-- drawn from (?P<digest>[0-9a-f]*) -->\n\Z")


def files(pictures: Sequence[Drawn]) -> Mapping[str, str]:
    """Return the texts of the folder that say exactly what is drawn, by name: the page and the sources."""
    parts = [HEAD]
    for one in pictures:
        parts.append(f"## {one.title}\n\n{one.about}\n\n![{one.title}]({one.name}.svg)\n\n[Mermaid]({one.name}.mmd)\n")
    return {"README.md": "\n".join(parts), **{f"{one.name}.mmd": one.source for one in pictures}}


def marked(one: Drawn) -> str:
    """Return the SVG of a picture, with what it was drawn from at its end."""
    return f"{one.paint().rstrip()}\n<!-- drawn from {one.digest} -->\n"


def faults(pictures: Sequence[Drawn], folder: Path) -> list[str]:
    """Say what in a folder is not as it would be drawn now.

    Where Graphviz lays out, what it was given is compared and not what it made, as that differs with its version.
    """
    wanted = files(pictures)
    found = [name for name, text in wanted.items() if _read(folder / name) != text]
    for one in pictures:
        text = _read(folder / f"{one.name}.svg")
        mark = MARK.search(text)
        stale = text != marked(one) if not one.digest else mark is None or mark["digest"] != one.digest
        found += [f"{one.name}.svg"] if stale else []
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
    return found + sorted(there - {*wanted, *(f"{one.name}.svg" for one in pictures)})


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


def write(pictures: Sequence[Drawn], folder: Path) -> None:
    """Write what is not as it would be drawn now, and remove what would not be drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = files(pictures)
    by_name = {f"{one.name}.svg": one for one in pictures}
    for name in faults(pictures, folder):
        if name in by_name:
            (folder / name).write_text(marked(by_name[name]), "utf-8")
        elif name in texts:
            (folder / name).write_text(texts[name], "utf-8")
        else:
            (folder / name).unlink()
