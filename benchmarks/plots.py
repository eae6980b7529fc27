"""What was measured, as pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmarks.figures import ALL_DISK, Figures, Quantity, main_quantity
from benchmarks.jobs import Job, Kind
from benchmarks.peers.registry import OURS
from benchmarks.report import Report, title

COLOURS = {
    "nothing kept": "#7a869a",
    "files": "#b07aa1",
    "SQLite": "#3b75af",
    "PostgreSQL": "#2a7f62",
    "the machine itself": "#c9ccd1",
}
OURS_EDGE = "#d1495b"
BARS = (Kind.LOOP, Kind.CHAIN, Kind.RUNS)


def draw(report: Report, folder: Path) -> list[str]:
    """Write every picture as PNG and SVG into a folder, and return the names of the SVG files."""
    made: list[str] = []
    for name, paint in (("steps", _steps), ("sizes", _sizes)):
        figure = paint(report)
        if figure is None:
            continue
        for suffix, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 150})):
            figure.savefig(folder / f"{name}.{suffix}", bbox_inches="tight", facecolor="white", **options)
        made.append(f"{name}.svg")
    return made


def _steps(report: Report) -> Any:
    counts = {
        job: len(_measured(report.figures, job, main_quantity(job.kind))) for job in report.jobs if job.kind in BARS
    }
    jobs = [job for job, count in counts.items() if count > 0]
    if not jobs:
        return None
    rows = max(counts.values())
    figure: Any = Figure(figsize=(7.2 * len(jobs), 1.2 + 0.32 * rows))
    axes = figure.subplots(1, len(jobs), squeeze=False)
    for axis, job in zip(axes[0], jobs, strict=True):
        _bars(axis, report.figures, job)
    colours = {store: colour for store, colour in COLOURS.items() if _has_store(report.figures, store)}
    handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
    handles.append(Rectangle((0, 0), 1, 1, facecolor="white", edgecolor=OURS_EDGE, linewidth=1.6))
    figure.legend(
        handles,
        [*colours, "Milepost"],
        loc="lower center",
        ncols=len(handles),
        frameon=False,
        bbox_to_anchor=(0.5, -0.06),
    )
    figure.tight_layout()
    return figure


def _has_store(figures: Figures, store: str) -> bool:
    return any(told.store == store for told in figures.told.values())


def _measured(figures: Figures, job: Job, quantity: Quantity) -> list[tuple[str, float]]:
    """Return who was measured at a job and the number in the middle, the least last, so that it comes on top."""
    found = [
        (peer, spread.middle) for peer in figures.told if (spread := figures.spread(job, peer, quantity)) is not None
    ]
    return sorted(found, key=lambda one: -one[1])


def _bars(axis: Any, figures: Figures, job: Job) -> None:
    measured = _measured(figures, job, main_quantity(job.kind))
    for place, (peer, value) in enumerate(measured):
        spread = figures.spread(job, peer, main_quantity(job.kind))
        assert spread is not None
        is_ours = peer.startswith(OURS)
        axis.barh(
            place,
            value,
            height=0.72,
            color=COLOURS[figures.told[peer].store],
            edgecolor=OURS_EDGE if is_ours else "none",
            linewidth=1.6,
        )
        axis.plot([spread.least, spread.most], [place, place], color="#22262d", linewidth=1)
        axis.text(spread.most * 1.12, place, f"{value:,.0f}", va="center", fontsize=8)
    axis.set_xscale("log")
    axis.set_xlim(right=max(value for _, value in measured) * 4)
    axis.set_yticks(range(len(measured)), [title(figures, peer) for peer, _ in measured], fontsize=8)
    for label, (peer, _) in zip(axis.get_yticklabels(), measured, strict=True):
        label.set_fontweight("bold" if peer.startswith(OURS) else "normal")
    axis.set_title(f"{job.name[0].upper()}{job.name[1:]}, {main_quantity(job.kind).unit}", fontsize=10, loc="left")
    axis.spines[["top", "right"]].set_visible(False)


def _sizes(report: Report) -> Any:
    panels: list[tuple[str, Kind, Quantity, Callable[[Job], int]]] = [
        ("A map: µs per item", Kind.MAP, main_quantity(Kind.MAP), lambda job: job.size),
        ("1 KiB more in every step: MiB on disk", Kind.GROW, ALL_DISK, lambda job: job.size),
        ("Resuming: ms", Kind.RESUME, main_quantity(Kind.RESUME), lambda job: job.size),
    ]
    panels = [
        panel
        for panel in panels
        if any(job.kind is panel[1] and _measured(report.figures, job, panel[2]) for job in report.jobs)
    ]
    if not panels:
        return None
    figure: Any = Figure(figsize=(7.2 * len(panels), 5.4))
    axes = figure.subplots(1, len(panels), squeeze=False)
    for axis, (name, kind, quantity, size) in zip(axes[0], panels, strict=True):
        jobs = sorted((job for job in report.jobs if job.kind is kind), key=size)
        _lines(axis, report.figures, jobs, quantity)
        axis.set_title(name, fontsize=10, loc="left")
    figure.tight_layout()
    return figure


def _lines(axis: Any, figures: Figures, jobs: Sequence[Job], quantity: Quantity) -> None:
    for number, peer in enumerate(figures.told):
        points = [
            (job.size, spread.middle) for job in jobs if (spread := figures.spread(job, peer, quantity)) is not None
        ]
        points = [(size, value) for size, value in points if value > 0]
        if not points:
            continue
        is_ours = peer.startswith(OURS)
        axis.plot(
            [size for size, _ in points],
            [value for _, value in points],
            marker="osv^Dx*P"[number % 8],
            markersize=6 if is_ours else 4,
            linewidth=2.2 if is_ours else 1,
            color=OURS_EDGE if is_ours else COLOURS[figures.told[peer].store],
            alpha=1 if is_ours else 0.8,
            label=title(figures, peer),
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    axis.spines[["top", "right"]].set_visible(False)
