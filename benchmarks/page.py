"""The page to read: the aims, where a peer is better, every job, and how everybody is configured, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.figures import DISK, STEP_TIME, Figures, Quantity, Spread, main_quantity
from benchmarks.jobs import MEANING, Job, Kind
from benchmarks.peers.peer import Store
from benchmarks.peers.registry import OURS
from benchmarks.report import (
    Report,
    aims,
    amount,
    amount_of_times,
    compared,
    heading,
    share,
    spread_of,
    table,
    title,
)

ABOUT = (
    "Everybody does the same work, in turns, in a process of its own; the answers are checked, and so is that every "
    "step was kept. Times are of the clock on the wall, with all that a store takes: encoding, loading back, "
    "committing. A number is the median of the rounds, with the least and the most of them behind it; what takes long "
    "is measured in one round only, and what would take too long in none, which is said. A ratio is the median of the "
    "ratios of the rounds, each of two numbers of the same round. Bodies of nodes do nothing, so this is what the "
    "engines themselves take: beside a model's answer it is little."
)
AIMS_ARE = (
    "A fraction is a share of what the other takes: 1/8 is eight times as fast. Process and power are durabilities of "
    "Milepost: what is committed survives the end of the process, or of the machine."
)
BETTER_IS = (
    "Where a peer takes less than every way of Milepost that it stands beside: how many times as much Milepost takes. "
    "Two numbers are the least and the most, where there are several ways of it."
)
BETTER_HEAD = ("job", "what", "who, and how many times as much Milepost takes")
ON_DISK = (Kind.LOOP, Kind.MAP, Kind.GROW, Kind.LARGE)
"""What is worth a look at what it leaves on the disk."""


def _called(job: Job) -> str:
    return f"{job.name[0].upper()}{job.name[1:]}"


def _way(figures: Figures, mine: str) -> str:
    """Return the durability of a way of Milepost; without a store it has none."""
    _, _, durability = figures.told[mine].name.partition(", ")
    return f"{durability} " if durability else ""


def _row(report: Report, job: Job, peer: str, found: Spread) -> list[str]:
    figures, quantity = report.figures, main_quantity(job.kind)
    cells = [title(figures, peer), spread_of(found, figures.rounds)]
    beside = compared(figures, job, peer, quantity)
    cells.append(", ".join(f"{_way(figures, mine)}{share(one.middle)}" for mine, one in beside))
    if job.kind in ON_DISK:
        disk = figures.spread(job, peer, DISK)
        cells.append(amount(disk.middle) if disk is not None and disk.middle > 0 else "")
    if job.kind is Kind.MEMORY:
        cells.append(amount(min(figures.values(job, peer, STEP_TIME).values())))
    if job.kind is Kind.RESUME:
        cells.append(amount(max(one.prepared for one in figures.samples[job.name, peer].values())))
    return [f"**{cell}**" if peer.startswith(OURS) and cell else cell for cell in cells]


def _absent(report: Report, job: Job) -> Iterator[str]:
    """Yield a line for each reason why somebody was not measured, with all whom it holds for."""
    figures = report.figures
    slow = [
        f"{title(figures, peer)} ({told})"
        for peer in figures.told
        if (told := figures.left_out.get((job.name, peer))) and (job.name, peer) not in figures.samples
    ]
    others: dict[str, list[str]] = {}
    for peer in figures.told:
        reason = figures.reason(job, peer)
        if reason and (job.name, peer) not in figures.left_out:
            others.setdefault(reason, []).append(title(figures, peer))
    if slow:
        yield f"- Too slow to be measured here, where {job.limit:,.0f} s are allowed: {', '.join(slow)}."
    yield from (f"- Without {', '.join(peers)}: {reason}." for reason, peers in others.items())


def _job(report: Report, job: Job) -> Iterator[str]:
    figures, quantity = report.figures, main_quantity(job.kind)
    measured = [(peer, found) for peer in figures.told if (found := figures.spread(job, peer, quantity)) is not None]
    yield from (f"### {_called(job)}", "", MEANING[job.kind], "")
    if measured:
        head = ["", f"{quantity.unit}: median (least to most)", "Milepost takes of it"]
        head += ["KiB on disk per step"] if job.kind in ON_DISK else []
        head += [STEP_TIME.unit] if job.kind is Kind.MEMORY else []
        head += ["prepared in s"] if job.kind is Kind.RESUME else []
        rows = [_row(report, job, *one) for one in sorted(measured, key=lambda one: one[1].middle)]
        yield from (*table(head, rows), "")
    else:
        yield from ("Nobody was measured.", "")
    absent = list(_absent(report, job))
    yield from (*absent, "") if absent else ()


def _better_at(report: Report, job: Job, quantity: Quantity) -> str:
    """Return who is better at a job, each engine with each of its stores once, and by how much; "" if nobody is."""
    figures = report.figures
    found: dict[str, list[float]] = {}
    for peer, told in figures.told.items():
        beside = [spread.middle for _, spread in compared(figures, job, peer, quantity)]
        if told.store != Store.LIMIT and beside and min(beside) > 1:
            engine = told.name.partition(",")[0]
            name = engine if told.store == Store.NONE else f"{engine} · {told.store}"
            found.setdefault(name, []).extend(beside)
    return ", ".join(f"{name} {_range(ratios)}" for name, ratios in found.items())


def _range(ratios: Sequence[float]) -> str:
    least, most = amount_of_times(min(ratios)), amount_of_times(max(ratios))
    return least if least == most else f"{least} to {most}"


def better(report: Report) -> list[list[str]]:
    """Return a row for each job and quantity at which a peer beats every way of Milepost that it stands beside."""
    rows: list[list[str]] = []
    for job in report.jobs:
        for quantity in (main_quantity(job.kind), *([DISK] if job.kind in ON_DISK else [])):
            said = _better_at(report, job, quantity)
            if said:
                rows.append([_called(job), quantity.name, said])
    return rows


def markdown(report: Report, pictures: Sequence[str]) -> str:
    """Return the whole page. pictures: the names of files beside it."""
    figures = report.figures
    lines = ["# Speed, measured", "", f"{heading(report)} `make bench` does it again.", "", ABOUT, ""]
    lines += ["## What Milepost is built for", "", AIMS_ARE, "", *aims(report), ""]
    for picture in pictures:
        lines += [f"![{picture.removesuffix('.svg').capitalize()}]({picture})", ""]
    rows = better(report)
    lines += ["## Where a peer is better", ""]
    lines += [BETTER_IS, "", *table(BETTER_HEAD, rows), ""] if rows else ["Nowhere in this run.", ""]
    lines += ["## Every job", ""]
    for job in report.jobs:
        lines += _job(report, job)
    lines += ["## How everybody is configured", ""]
    for peer, told in figures.told.items():
        versions = ", ".join(f"{name} {version}" for name, version in told.versions.items())
        lines.append(f"- {title(figures, peer)}{f' ({versions})' if versions else ''}: {told.configuration}")
    return "\n".join(lines).rstrip() + "\n"
