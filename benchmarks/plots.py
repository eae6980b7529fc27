"""What was measured, as pictures: bars by store for what a step takes, lines for what becomes of it with the size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from benchmarks.figures import ALL_DISK, Figures, Quantity, Spread, main_quantity
from benchmarks.jobs import Job, Kind
from benchmarks.peers.peer import Store
from benchmarks.peers.registry import OURS
from benchmarks.report import Report, amount, title

MILEPOST, PEER, LIMIT, INK = "#c8324a", "#8393a7", "#d5d9df", "#22262d"
LOG = "log scale: each line is ten times the one before"
KEY = "red: Milepost; light grey: the machine itself; black lines: the least to the most of the rounds"
NEXT_TO = {"switch": Store.NONE, "sqlite": Store.SQLITE, "fsync": Store.FILE, "postgres": Store.POSTGRES}
"""Beside which store a limit of the machine stands, by the word after `limit-` in its name."""
VARIANTS = ("-sync", "-normal", "-none")
"""Peers that are another's variant, by the ends of their names; the lines leave them out, the tables have them."""


def draw(report: Report, folder: Path) -> list[str]:
    """Write every picture as PNG and SVG into a folder, and return the names of the SVG files."""
    made: list[str] = []
    mpl.rcParams["svg.hashsalt"] = "milepost"  # the same picture is the same file
    pictures = {
        "steps": _steps(report, [Kind.LOOP]),
        "runs": _steps(report, [Kind.CHAIN, Kind.RUNS]),
        "sizes": _sizes(report),
    }
    for name, figure in pictures.items():
        if figure is None:
            continue
        for suffix, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 150})):
            figure.savefig(folder / f"{name}.{suffix}", bbox_inches="tight", facecolor="white", **options)
        made.append(f"{name}.svg")
    return made


def _group(figures: Figures, peer: str) -> str:
    store = figures.told[peer].store
    return NEXT_TO[peer.split("-")[1]] if store == Store.LIMIT else store


def _measured(figures: Figures, job: Job, store: str) -> list[tuple[str, Spread]]:
    """Return who was measured at a job with one store, the fastest first."""
    quantity = main_quantity(job.kind)
    found = [
        (peer, spread)
        for peer in figures.told
        if _group(figures, peer) == store and (spread := figures.spread(job, peer, quantity)) is not None
    ]
    return sorted(found, key=lambda one: one[1].middle)


def _steps(report: Report, kinds: Sequence[Kind]) -> Any:
    grouped = {
        job: {store: found for store in Store if (found := _measured(report.figures, job, store))}
        for job in report.jobs
        if job.kind in kinds
    }
    grouped = {job: stores for job, stores in grouped.items() if stores}
    if not grouped:
        return None
    rows = max(sum(len(found) + 1 for found in stores.values()) for stores in grouped.values())
    figure: Any = Figure(figsize=(8.4 * len(grouped), 1.2 + 0.27 * rows))
    axes = figure.subplots(1, len(grouped), squeeze=False)
    for axis, (job, stores) in zip(axes[0], grouped.items(), strict=True):
        _bars(axis, report.figures, job, stores)
    figure.tight_layout(w_pad=3)
    return figure


def _bars(axis: Any, figures: Figures, job: Job, stores: dict[Store, list[tuple[str, Spread]]]) -> None:
    names: dict[float, str] = {}
    place = 0.0
    for store, found in stores.items():
        name = f"{store[0].upper()}{store[1:]}"
        axis.text(0.004, place, name, transform=axis.get_yaxis_transform(), va="center", fontweight="bold")
        for peer, spread in found:
            place += 1
            names[place] = peer
            _bar(axis, place, peer, spread)
        place += 1.3
    all_found = [spread for found in stores.values() for _, spread in found]
    axis.set_xscale("log")
    axis.set_xlim(min(one.least for one in all_found) / 2, max(one.most for one in all_found) * 2.5)
    axis.set_ylim(place - 0.4, -0.8)
    axis.set_yticks([*names], [figures.told[peer].name for peer in names.values()], fontsize=9)
    for label, peer in zip(axis.get_yticklabels(), names.values(), strict=True):
        label.set_fontweight("bold" if peer.startswith(OURS) else "normal")
        label.set_color(MILEPOST if peer.startswith(OURS) else INK)
    _plain(axis, f"{job.name[0].upper()}{job.name[1:]}", f"{main_quantity(job.kind).unit}, {LOG}\n{KEY}")
    axis.grid(axis="x", color="#e6e8ec", zorder=0)
    axis.tick_params(axis="y", length=0)


def _bar(axis: Any, place: float, peer: str, spread: Spread) -> None:
    is_ours = peer.startswith(OURS)
    colour = MILEPOST if is_ours else LIMIT if peer.startswith("limit") else PEER
    axis.barh(place, spread.middle, height=0.74, color=colour, zorder=2)
    axis.plot([spread.least, spread.most], [place, place], color=INK, linewidth=1.2, zorder=3)
    weight = "bold" if is_ours else "normal"
    axis.text(spread.most * 1.08, place, amount(spread.middle), va="center", fontsize=9, fontweight=weight)


def _tick(value: float, _: object) -> str:
    return f"{value:,g}"


def _plain(axis: Any, name: str, below: str) -> None:
    axis.set_title(name, fontsize=11, loc="left", fontweight="bold", color=INK)
    axis.set_xlabel(below, fontsize=9, color=INK)
    axis.xaxis.set_major_formatter(_tick)
    axis.spines[["top", "right"]].set_visible(False)


@dataclass(frozen=True, slots=True)
class _Panel:
    """One of the pictures with lines. across: what the size is. stores: who of the peers is in it."""

    name: str
    across: str
    kind: Kind
    quantity: Quantity
    stores: tuple[Store, ...]


PANELS = (
    _Panel("A map that keeps nothing: µs per item", "items", Kind.MAP, main_quantity(Kind.MAP), (Store.NONE,)),
    _Panel(
        "A map in SQLite or files: µs per item",
        "items",
        Kind.MAP,
        main_quantity(Kind.MAP),
        (Store.SQLITE, Store.FILE),
    ),
    _Panel(
        "A state that grows by 1 KiB in every step: MiB on disk",
        "steps",
        Kind.GROW,
        ALL_DISK,
        (Store.SQLITE, Store.FILE),
    ),
    _Panel(
        "Resuming a run: ms",
        "steps that it had made",
        Kind.RESUME,
        main_quantity(Kind.RESUME),
        (Store.SQLITE, Store.FILE, Store.POSTGRES),
    ),
)
Line = tuple[str, list[tuple[int, float]]]
"""A peer, and by size what it took."""


def _lines_of(report: Report, panel: _Panel) -> list[Line]:
    figures = report.figures
    jobs = sorted((job for job in report.jobs if job.kind is panel.kind), key=lambda job: job.size)
    peers = [peer for peer, told in figures.told.items() if told.store in panel.stores and not peer.endswith(VARIANTS)]
    found = [
        (peer, [(job.size, one.middle) for job in jobs if (one := figures.spread(job, peer, panel.quantity))])
        for peer in peers
    ]
    lines = [(peer, [(size, value) for size, value in points if value > 0]) for peer, points in found]
    return [(peer, points) for peer, points in lines if points]


def _sizes(report: Report) -> Any:
    panels = [(panel, lines) for panel in PANELS if (lines := _lines_of(report, panel))]
    if not panels:
        return None
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure: Any = Figure(figsize=(7.6 * columns, 4.6 * rows))
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for axis, (panel, lines) in zip(axes, panels, strict=False):
        _lines(axis, report.figures, panel, lines)
    for axis in list(axes)[len(panels) :]:
        axis.set_visible(False)
    figure.tight_layout(h_pad=3, w_pad=3)
    return figure


def _lines(axis: Any, figures: Figures, panel: _Panel, lines: Sequence[Line]) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    sizes = sorted({size for _, points in lines for size, _ in points})
    values = [value for _, points in lines for _, value in points]
    axis.set_xlim(sizes[0] / 1.25, sizes[-1] * 1.25)
    axis.set_ylim(min(values) / 1.8, max(values) * 1.8)
    right = sizes[-1] * 1.25
    ends = [(peer, points[-1][1]) for peer, points in lines]
    heights = dict(apart(ends, log10(max(values) / min(values)) / 16 + 0.03))
    for number, (peer, points) in enumerate(lines):
        colour = MILEPOST if peer.startswith(OURS) else PEER
        axis.plot(*zip(*points, strict=True), marker="os^vDP*X"[number % 8], color=colour, **_weight(peer))
        axis.plot([points[-1][0], right], [points[-1][1], heights[peer]], color=colour, lw=0.7, ls=":", clip_on=False)
        axis.annotate(
            figures.told[peer].name if len(panel.stores) == 1 else title(figures, peer),
            (right, heights[peer]),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=MILEPOST if peer.startswith(OURS) else INK,
            fontweight="bold" if peer.startswith(OURS) else "normal",
            annotation_clip=False,
        )
    _plain(axis, panel.name, f"{panel.across}; both axes are on a log scale")
    axis.set_xticks(sizes)
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(_tick)
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.grid(axis="y", color="#e6e8ec")


def _weight(peer: str) -> dict[str, Any]:
    if peer.startswith(OURS):
        return {"linewidth": 2.4, "markersize": 6, "zorder": 3, "linestyle": "--" if peer.endswith("power") else "-"}
    return {"linewidth": 1.2, "markersize": 4.5, "zorder": 2}


def apart(ends: Sequence[tuple[str, float]], gap: float) -> Iterator[tuple[str, float]]:
    """Yield heights for the names at the ends of lines, in the same order and at least a gap of a decade apart."""
    ordered = sorted(ends, key=lambda one: one[1])
    heights = [log10(value) for _, value in ordered]
    for _ in range(200):
        for low in range(len(heights) - 1):
            short = gap - (heights[low + 1] - heights[low])
            if short > 1e-6:
                heights[low] -= short / 2
                heights[low + 1] += short / 2
    yield from ((peer, 10**height) for (peer, _), height in zip(ordered, heights, strict=True))
