"""Which run was forked from which, as Mermaid's gitGraph and as text: a run is a branch, a checkpoint a commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from milepost.engine.family import Relative, Station
from milepost.engine.trace import RunStatus
from milepost.visualize.escape import mermaid_prose, mermaid_text, one_line
from milepost.visualize.mermaid import FONT, quoted
from milepost.visualize.palette import GLYPHS, INTERRUPTED, Status, Theme, palette
from milepost.visualize.terminal import MUTED, STYLES
from milepost.visualize.wording import plural

STANDING: Final[Mapping[RunStatus, Status]] = {
    "running": Status.RUNNING,
    "waiting": Status.WAITING,
    "completed": Status.DONE,
    "failed": Status.FAILED,
    "cancelled": Status.CANCELLED,
}
MOST_RUNS: Final = 60
"""Runs that a picture has at most; more could not be read."""

UNSEEN: Final = "\u200b"
"""A space without width: so many of them make names differ that look alike."""
_COMMITS: Final[Mapping[Status, str]] = {
    Status.FAILED: " type: REVERSE",
    Status.CANCELLED: " type: REVERSE",
    Status.RUNNING: " type: HIGHLIGHT",
    Status.PENDING: " type: HIGHLIGHT",
    Status.WAITING: " type: HIGHLIGHT",
}
"""What a run that did not complete ends with: a crossed commit where it was ended, an open one where it goes on."""

_BRANCHES: Final = ("#2563eb", "#7c3aed", "#0e7490", "#be185d", "#b45309", "#15803d", "#475569", "#b91c1c")
_WIDE: Final = 0xFEE0
"""How far from a sign of ASCII its full-width form is, which no grammar knows."""


def stands(one: Relative) -> tuple[Status, str]:
    """Return how a run of a family stands, as it is painted and as a word."""
    return (Status.PENDING, INTERRUPTED) if one.interrupted else (STANDING[one.row.status], one.row.status)


def told(station: Station) -> str:
    """Return a checkpoint in words.

    >>> told(Station(seq=2, did="completed", node="plan")), told(Station(seq=1, did="started"))
    ('2 plan', '1 started')
    """
    words = station.node if station.did == "completed" else f"{station.did} {station.node}"
    return f"{station.seq} {one_line(words, 40)}".rstrip()


def git_graph(family: Sequence[Relative], theme: Theme = "light") -> str:
    """Return a family of runs as Mermaid text. theme: "auto" leaves all colours to the page it is shown on."""
    shown = family[:MOST_RUNS]
    return "\n".join((*_front(shown, len(family), theme), *_commits(shown))) + "\n"


def _front(shown: Sequence[Relative], number: int, theme: Theme) -> Iterator[str]:
    name = one_line(shown[0].row.workflow)
    more = f" · the first {len(shown)}" if number > len(shown) else ""
    yield "---"
    runs = plural(number, "run")
    yield f"title: {quoted(f'{name} · {runs}{more}')}"
    yield "config:"
    if theme != "auto":
        yield "  theme: base"
        yield "  themeVariables:"
        for variable, value in _variables(theme):
            yield f"    {variable}: {value}"
    yield "  gitGraph:"
    yield f"    mainBranchName: {quoted(_wide(one_line(shown[0].row.run_id, 40)))}"
    yield "---"
    yield "gitGraph LR:"
    yield f"  accTitle: {mermaid_prose(f'Forks of runs of workflow {name}')}"
    yield f"  accDescr: {mermaid_prose(described(shown))}"


def _variables(theme: Theme) -> Iterator[tuple[str, str]]:
    colours = palette(theme)
    yield "fontFamily", FONT
    if theme == "dark":
        yield "darkMode", "true"
    yield "background", f"'{colours.page}'"
    for variable in ("textColor", "titleColor", "commitLabelColor", "tagLabelColor"):
        yield variable, f"'{colours.title}'"
    yield "commitLabelBackground", f"'{colours.page}'"
    yield "tagLabelBackground", f"'{colours.page}'"
    yield "tagLabelBorder", f"'{colours.muted}'"
    yield "lineColor", f"'{colours.line}'"
    for index, colour in enumerate(_BRANCHES):
        yield f"git{index}", f"'{colour}'"
        yield f"gitInv{index}", f"'{colours.page}'"
        yield f"gitBranchLabel{index}", "'#ffffff'"


def _commits(shown: Sequence[Relative]) -> Iterator[str]:
    """Write the checkpoints in the order of their numbers, so that a fork begins where it leaves its origin."""
    names = {one.row.run_id: _branch(one, index) for index, one in enumerate(shown)}
    places = {one.row.run_id: index for index, one in enumerate(shown)}
    forks: dict[tuple[str, int], list[Relative]] = {}
    for one in shown[1:]:
        forks.setdefault((one.row.forked_from or "", one.row.forked_at), []).append(one)
    steps = sorted((station.seq, index, station) for index, one in enumerate(shown) for station in one.stations)
    current = 0
    for number, (seq, index, station) in enumerate(steps):
        row = shown[index].row
        if index != current:
            yield f"  checkout {names[row.run_id]}"
        current = index
        ending, tag = "", ""
        if seq == row.seq:
            status, word = stands(shown[index])
            ending, tag = _COMMITS.get(status, ""), f' tag: "{GLYPHS[status]} {word}"'
        unseen = UNSEEN * number  # two checkpoints may say the same, and no two commits may have one id
        yield f'  commit id: "{mermaid_text(told(station))}{unseen}"{ending}{tag}'
        for count, fork in enumerate(forks.get((row.run_id, seq), ())):
            if count:
                yield f"  checkout {names[row.run_id]}"
            yield f"  branch {names[fork.row.run_id]}"
            current = places[fork.row.run_id]


def _branch(one: Relative, index: int) -> str:
    name = one_line(one.row.run_id, 40)
    if index == 0:
        return f'"{_wide(name)}"'
    escaped = mermaid_text(name).replace("#45;", "-")
    unseen = UNSEEN * index
    return f'"{escaped}{unseen}"'


def _wide(name: str) -> str:
    """Return the name of the first branch: it stands in the configuration as well, where codes are not read.

    >>> _wide('trip-1 "x"')
    'trip-1 ＂x＂'
    """
    plain = "".join(ch if not ch.isascii() or ch.isalnum() or ch in " -_" else chr(ord(ch) + _WIDE) for ch in name)
    return plain or "run"


def described(family: Sequence[Relative]) -> str:
    """Return a family in one line, for people who do not see the picture."""
    parts = (
        f"{one_line(one.row.run_id, 40)} {stands(one)[1]}"
        + (f", forked from {one_line(one.row.forked_from, 40)} at {one.row.forked_at}" if one.row.forked_from else "")
        for one in family
    )
    return one_line(" · ".join(parts), 600)


def tree_view(family: Sequence[Relative], asked: str) -> RenderableType:
    """Return a family as a tree for a terminal or a pipe. asked: the run that was asked for, which is marked."""
    names = {one.row.run_id: {station.seq: station for station in one.stations} for one in family}
    trees: dict[str, Tree] = {}
    for one in family:
        row = one.row
        line = _line(one, asked)
        if row.forked_from not in trees:
            trees[row.run_id] = Tree(line, guide_style=MUTED)
            continue
        station = names[row.forked_from][row.forked_at]
        trees[row.run_id] = trees[row.forked_from].add(Text.assemble((f"at {told(station)}  ", MUTED), line))
    head = f"{one_line(family[0].row.workflow)}  {plural(len(family), 'run')}"
    return Group(Text(head, style="bold"), next(iter(trees.values())))


def _line(one: Relative, asked: str) -> Text:
    row = one.row
    status, word = stands(one)
    own = plural(row.seq - row.forked_at, "checkpoint") + (" of its own" if row.forked_from else "")
    end = one_line(row.error, 60) if row.error else ""
    return Text.assemble(
        (f"{GLYPHS[status]} {one_line(row.run_id, 60)}", STYLES[status]),
        (f"  {word}, {own}" + (f": {end}" if end else ""), MUTED),
        ("  ← this run" if row.run_id == asked else "", "bold"),
    )
