"""What was measured, as a page to read: tables in Markdown, the aims, and where a peer is better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from benchmarks.aims import AIMS, Aim
from benchmarks.figures import DISK, Figures, Quantity, Spread, main_quantity, ratio
from benchmarks.jobs import MEANING, Job, Kind
from benchmarks.machine import Machine
from benchmarks.peers.peer import Store
from benchmarks.peers.registry import ENTRIES, OURS

ABOUT = (
    "Everybody does the same work, in turns, in a process of its own; the answers are checked, and so is that every "
    "step was kept. A ratio is taken pair by pair, between numbers of the same round. Bodies of nodes do nothing, so "
    "this is what the engines themselves take: beside a model's answer it is little."
)
ON_DISK = (Kind.LOOP, Kind.MAP, Kind.GROW, Kind.LARGE)
"""What is worth a look at what it leaves on the disk."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that there is to say. when: the start. postgres: the version of its server, if there was one."""

    figures: Figures
    jobs: Sequence[Job]
    machine: Machine
    when: datetime
    postgres: str | None = None

    @property
    def is_quick(self) -> bool:
        """Whether the jobs were so small that the numbers mean little."""
        return not any(job.units >= 1_000 for job in self.jobs)


def amount(value: float) -> str:
    """Return a number with about three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.2f}"


def share(value: float) -> str:
    """Return a ratio as people say it: 1/8.2 or 1.3."""
    return f"1/{1 / value:.1f}" if 0 < value < 0.95 else f"{value:.2f}"


def title(figures: Figures, peer: str) -> str:
    """Return a peer's name and where it keeps what it did."""
    told = figures.told[peer]
    return told.name if told.store == Store.LIMIT else f"{told.name} · {told.store}"


def _spread(found: Spread) -> str:
    return f"{amount(found.middle)} ({amount(found.least)} to {amount(found.most)})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def compared(figures: Figures, job: Job, peer: str, quantity: Quantity) -> list[tuple[str, Spread]]:
    """Return each way of Milepost that a peer stands beside, and what that takes of the peer's."""
    theirs = figures.values(job, peer, quantity)
    found = ((mine, ratio(figures.values(job, mine, quantity), theirs)) for mine in ENTRIES[peer].beside)
    return [(mine, spread) for mine, spread in found if spread is not None]


def _job(report: Report, job: Job) -> Iterator[str]:
    figures, quantity = report.figures, main_quantity(job.kind)
    measured = [(peer, found) for peer in figures.told if (found := figures.spread(job, peer, quantity)) is not None]
    has_disk = job.kind in ON_DISK
    rows: list[list[str]] = []
    for peer, found in sorted(measured, key=lambda one: one[1].middle):
        beside = compared(figures, job, peer, quantity)
        cells = [title(figures, peer), _spread(found)]
        cells.append(", ".join(f"{share(one.middle)} ({figures.told[mine].name})" for mine, one in beside))
        if has_disk:
            disk = figures.spread(job, peer, DISK)
            cells.append(amount(disk.middle) if disk is not None and disk.middle > 0 else "")
        rows.append([f"**{cell}**" if peer.startswith(OURS) and cell else cell for cell in cells])
    yield f"### {job.name[0].upper()}{job.name[1:]}"
    yield ""
    yield MEANING[job.kind]
    yield ""
    if rows:
        head = [
            "",
            f"{quantity.unit}: median (least to most)",
            "Milepost takes of it",
            *(["KiB on disk per step"] if has_disk else []),
        ]
        yield from _table(head, rows)
        yield ""
    absent = {peer: reason for peer in figures.told if (reason := figures.reason(job, peer))}
    for peer, reason in absent.items():
        yield f"- Without {title(figures, peer)}: {reason}."
    if absent:
        yield ""


def _aim(report: Report, aim: Aim) -> list[str]:
    found = aim.found(report.figures, report.jobs)
    say = share if aim.other is not None else amount
    if found is None:
        return [aim.text, say(aim.at_most), "", "not measured"]
    return [
        aim.text,
        say(aim.at_most),
        f"{say(found.middle)} ({say(found.least)} to {say(found.most)})",
        "reached" if aim.is_reached(found) else "**not reached**",
    ]


def aims(report: Report) -> Iterator[str]:
    """Yield the table of the aims, as lines."""
    yield from _table(["aim", "at most", "measured", ""], [_aim(report, aim) for aim in AIMS])


def aims_as_text(report: Report) -> str:
    """Return the table of the aims for a terminal."""
    rows = [[cell.replace("*", "") for cell in _aim(report, aim)] for aim in AIMS]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def better(report: Report) -> Iterator[str]:
    """Yield a line for each job at which a peer beats every way of Milepost that it stands beside."""
    figures = report.figures
    for job in report.jobs:
        quantities = [main_quantity(job.kind), *([DISK] if job.kind in ON_DISK else [])]
        for quantity in quantities:
            for peer in figures.told:
                if figures.told[peer].store == Store.LIMIT:
                    continue
                beside = compared(figures, job, peer, quantity)
                if beside and all(spread.middle > 1 for _, spread in beside):
                    times = " and ".join(
                        f"{share(one.middle)} times ({figures.told[mine].name})" for mine, one in beside
                    )
                    yield f"- {job.name}, {quantity.name}: {title(figures, peer)}. Milepost takes {times} of it."


def heading(report: Report) -> str:
    """Return in one sentence when and on what this was measured."""
    machine = report.machine
    postgres = f", PostgreSQL {report.postgres}" if report.postgres else ""
    busy = f" Others were at work on it (load {machine.load}), so the numbers are uneven." if machine.was_busy else ""
    quick = " The jobs were the small ones of `--quick`: the numbers mean little." if report.is_quick else ""
    figures = report.figures
    rounds = f"{figures.rounds} round{'s' if figures.rounds != 1 else ''}"
    if figures.was_stopped:
        rounds += ", the last cut short"
    on = f"{machine.cores} cores of {machine.processor}, {machine.memory_gib:.0f} GiB, {machine.system}"
    using = f"Python {machine.python}, SQLite {machine.sqlite}{postgres}"
    return f"Measured on {report.when:%d %B %Y} in {rounds}, on {on}, {using}.{busy}{quick}"


def markdown(report: Report, pictures: Sequence[str]) -> str:
    """Return the whole page. pictures: the names of files beside it."""
    figures = report.figures
    lines = ["# Speed, measured", "", f"{heading(report)} `make bench` does it again.", ""]
    lines += [ABOUT, ""]
    for picture in pictures:
        lines += [f"![{picture.removesuffix('.svg').capitalize()}]({picture})", ""]
    lines += ["## What Milepost is built for", "", *aims(report), ""]
    lines += ["## Where a peer is better", "", *(list(better(report)) or ["Nowhere in this run."]), ""]
    lines += ["## Every job", ""]
    for job in report.jobs:
        lines += _job(report, job)
    lines += ["## How everybody is configured", ""]
    for peer, told in figures.told.items():
        versions = ", ".join(f"{name} {version}" for name, version in told.versions.items())
        lines.append(f"- {title(figures, peer)}{f' ({versions})' if versions else ''}: {told.configuration}")
    return "\n".join(lines).rstrip() + "\n"
