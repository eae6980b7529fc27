"""What was measured, as tables to read and as JSON to keep."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from benchmarks.aims import AIMS, Aim
from benchmarks.jobs import Job, Kind
from benchmarks.rounds import Figures

BESIDE = ("pydantic-graph", "langgraph-sqlite")


def ratio(figures: Figures, job: str, subject: str, peer: str) -> float | None:
    """Return the median, over the rounds, of the subject's time by the peer's; None when one was not measured."""
    mine, theirs = figures.samples.get((job, subject)), figures.samples.get((job, peer))
    if mine is None or theirs is None:
        return None
    return median(one / other for one, other in zip(mine, theirs, strict=True))


def _share(value: float | None) -> str:
    if value is None:
        return ""
    return f"1/{1 / value:.1f}" if value < 1 else f"{value:.1f}"


def table(figures: Figures, job: Job) -> str:
    """Return the table of one job as text, a line per peer."""
    beside = [peer for peer in BESIDE if peer in figures.names]
    unit = "µs per item" if job.kind is Kind.MAP else "µs per step"
    headings = ["median", "least", "most", *(f"of {figures.names[peer]}" for peer in beside)]
    widths = [max(9, len(heading)) for heading in headings]
    lines = [_line(f"{job.name}, {unit}", headings, widths)]
    for peer, name in figures.names.items():
        samples = figures.samples[job.name, peer]
        cells = [f"{value:,.1f}" for value in (median(samples), min(samples), max(samples))]
        cells += [_share(ratio(figures, job.name, peer, other)) for other in beside]
        lines.append(_line(f"  {name}", cells, widths))
    return "\n".join(lines)


def _line(first: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"{first:<30}" + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def reached(figures: Figures, jobs: Sequence[Job], aim: Aim) -> tuple[str, float] | None:
    """Return the job that the aim is about and the ratio measured there, or None when it was not measured."""
    sized = [job for job in jobs if job.kind is aim.kind]
    if not sized:
        return None
    name = max(sized, key=lambda job: job.size).name
    value = ratio(figures, name, aim.subject, aim.peer)
    return None if value is None else (name, value)


def text(figures: Figures, jobs: Sequence[Job]) -> str:
    """Return a table per job, then each aim and whether it was reached."""
    parts = [table(figures, job) for job in jobs]
    lines: list[str] = []
    for aim in AIMS:
        found = reached(figures, jobs, aim)
        if found is not None:
            name, value = found
            word = "reached" if value <= 1 / aim.share else "missed"
            names = figures.names[aim.subject], figures.names[aim.peer]
            lines.append(f"{word}: {name}: {names[0]} takes {_share(value)} of {names[1]} (aim: 1/{aim.share:g})")
    return "\n\n".join([*parts, *(["\n".join(lines)] if lines else [])])


def as_json(figures: Figures, jobs: Sequence[Job], when: str) -> dict[str, Any]:
    """Return everything that was measured, every sample included, and on what kind of machine."""
    return {
        "schema_version": 1,
        "when": when,
        "machine": {"python": platform.python_version(), "system": platform.system(), "cpus": os.cpu_count()},
        "versions": figures.versions,
        "unit": "microseconds per step or item",
        "jobs": {
            job.name: asdict(job) | {"samples": {peer: figures.samples[job.name, peer] for peer in figures.names}}
            for job in jobs
        },
    }
