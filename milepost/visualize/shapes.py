"""The shape of each kind of node in Graphviz, and how much text goes into it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from milepost.visualize.diagram import DrawnNode
from milepost.visualize.escape import shorten
from milepost.visualize.palette import GLYPHS

SHAPES: Final = {
    "start": 'shape=ellipse, height=0.36, width=0.85, margin="0.08,0.02"',
    "end": 'shape=ellipse, height=0.36, width=0.85, margin="0.08,0.02"',
    "agent": 'shape=hexagon, margin="-0.34,-0.05"',
    "decision": 'shape=diamond, margin="0.02,0.02", width=1.35, height=0.85',
    "map": 'shape=box3d, margin="0.18,0.13"',
    "ask": 'shape=polygon, sides=4, distortion=0.14, margin="-0.12,-0.02"',
    "wait": 'shape=polygon, sides=4, skew=0.22, margin="-0.12,-0.02"',
    "sleep": 'shape=polygon, sides=4, distortion=-0.14, margin="-0.12,-0.02"',
    "race": 'shape=invhouse, margin="-0.12,-0.02"',  # not cds: edges end at its margin, and not at what is drawn
    "join": "shape=circle, margin=0",
    "fold": 'shape=box, margin="0.16,0.09", peripheries=2',
    "workflow": 'shape=box, margin="0.16,0.09", peripheries=2',
}
_PLAIN_SHAPES: Final = {
    **SHAPES,
    "agent": 'shape=hexagon, margin="0.02,0.02"',
    "ask": 'shape=polygon, sides=4, distortion=0.14, margin="0.02,0.02"',
    "wait": 'shape=polygon, sides=4, skew=0.22, margin="0.02,0.02"',
    "sleep": 'shape=polygon, sides=4, distortion=-0.14, margin="0.02,0.02"',
    "race": 'shape=invhouse, margin="0.02,0.02"',
}
_SIZED: Final = {
    "ask": "shape=polygon, sides=4, distortion={:.2f}",
    "wait": "shape=polygon, sides=4, skew={:.2f}",
    "sleep": "shape=polygon, sides=4, distortion=-{:.2f}",
    "race": "shape=invhouse, labelloc=t",
}
"""Kinds that Graphviz would make much wider than their text, with what slants their sides, if anything does."""
_TIP: Final = 0.5
"""How high the tip of a race is, to its text, which has to stay above it."""

_SMALL: Final = 10.5 / 12
"""The size of a muted line, to that of a title."""

_BOX: Final = 'shape=box, margin="0.16,0.09"'
_MEASURED: Final = frozenset("".join(GLYPHS.values()) + "×…·≤≥–")
"""Signs outside ASCII whose width is known."""
_HELD: Final = "\1"
"""A blank at which no line is broken, until that is done."""
_WRAPPED: Final = {"decision": 16, "join": 10}
"""Kinds whose shape wastes much room on a long line, with the length from which their title is broken."""


def shape(node: DrawnNode, *, rich: bool) -> str:
    """Return the attributes that give a node its shape. rich: its label is HTML-like, which is measured otherwise."""
    usual = (SHAPES if rich else _PLAIN_SHAPES).get(node.kind, _BOX)
    lines = title_lines(node)
    if node.kind == "join" and not node.detail and _is_measured(lines):
        width = math.hypot(max(map(_inches, lines)) + 0.06, 0.19 * len(lines))
        return f"shape=circle, fixedsize=true, width={max(0.58, width):.2f}, margin=0"
    details = shorten(node.detail).split("\n") if node.detail else []
    if node.kind not in _SIZED or node.strip or not _is_measured((*lines, *details)):
        return usual
    width = max(*map(_inches, lines), *(_SMALL * _inches(line) for line in details), 0.4) + 0.5
    height = (0.22 * len(lines) + 0.2 * len(details)) * (1 + _TIP if node.kind == "race" else 1) + 0.16
    drawn = _SIZED[node.kind].format(0.26 / width)
    return f"{drawn}, fixedsize=true, width={width:.2f}, height={height:.2f}, margin=0"


def _is_measured(lines: Iterable[str]) -> bool:
    return all(ch.isascii() or ch in _MEASURED for line in lines for ch in line)


def title_lines(node: DrawnNode) -> list[str]:
    """Return the lines of the title, with glyph and times; broken at underscores and spaces in narrow shapes."""
    title = shorten(node.title)
    if node.kind in ("start", "end"):
        return title.split("\n")
    glyph = f"{GLYPHS[node.status]} " if node.status else ""
    times = node.times.replace(" ", _HELD)
    rows = f"{glyph}{title} {times}".rstrip().split("\n")
    limit = _WRAPPED.get(node.kind)
    if limit is not None:
        rows = [part for row in rows for part in _wrapped(row, limit)]
    return [row.replace(_HELD, " ") for row in rows]


def _wrapped(line: str, limit: int) -> list[str]:
    rows: list[str] = []
    row = ""
    for word in line.replace("_", "_\0").replace(" ", " \0").split("\0"):
        if row and len(row) + len(word.rstrip()) > limit and len(row.strip()) > 1:
            rows.append(row.rstrip())
            row = ""
        row += word
    rows.append(row.rstrip())
    longest = limit + 8
    return [row if len(row) <= longest else row[: longest - 1] + "…" for row in rows][:3]


def _inches(line: str) -> float:
    """Return a width that the line does not exceed in 12 point bold Arial, or in a wider font that stands in for it."""
    return sum(map(_inch, line))


def _inch(ch: str) -> float:
    if ch in "MWmw@%" or ch in _MEASURED:
        return 0.185
    if ch in " .,:;!'|()[]fijlrt":
        return 0.083
    return 0.145 if ch.isupper() or ch in "&+<=>~#" else 0.12
