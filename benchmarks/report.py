"""What was measured and on what, how its numbers are said, and how far the aims are reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from benchmarks.aims import AIMS, Aim
from benchmarks.figures import Figures, Quantity, Spread, lasting, ratio
from benchmarks.jobs import Job
from benchmarks.machine import Machine
from benchmarks.peers.peer import Store
from benchmarks.peers.registry import ENTRIES


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
    return f"1/{amount_of_times(1 / value)}" if 0 < value < 0.95 else amount_of_times(value)


def amount_of_times(value: float) -> str:
    """Return a factor with two or three digits that count."""
    return f"{value:.2f}" if value < 5 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def spread_of(found: Spread, rounds: int, say: Callable[[float], str] = amount) -> str:
    """Return a median and between what it lies, or that there was but one of several rounds."""
    middle, least, most = say(found.middle), say(found.least), say(found.most)
    if found.count == 1:
        return f"{middle} (once)" if rounds > 1 else middle
    return middle if least == most else f"{middle} ({least} to {most})"


def title(figures: Figures, peer: str) -> str:
    """Return a peer's name and where it keeps what it did."""
    told = figures.told[peer]
    return told.name if told.store == Store.LIMIT else f"{told.name} · {told.store}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table in Markdown."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def compared(figures: Figures, job: Job, peer: str, quantity: Quantity) -> list[tuple[str, Spread]]:
    """Return each way of Milepost that a peer stands beside, and what that takes of the peer's."""
    theirs = figures.values(job, peer, quantity)
    found = (
        (mine, ratio(figures.values(job, mine, quantity), theirs, quantity.floor)) for mine in ENTRIES[peer].beside
    )
    return [(mine, spread) for mine, spread in found if spread is not None]


def _aim(report: Report, aim: Aim) -> list[str]:
    found = aim.found(report.figures, report.jobs)
    say = share if aim.other is not None else amount
    wanted = "" if aim.at_most is None else f"1/{1 / aim.at_most:g}" if aim.at_most < 1 else f"{aim.at_most:g}"
    if found is None:
        return [aim.text, wanted, "", "not measured"]
    verdict = {True: "reached", False: "**not reached**", None: ""}[aim.is_reached(found)]
    return [aim.text, wanted, spread_of(found, report.figures.rounds, say), verdict]


def aims(report: Report, chosen: Sequence[Aim] = AIMS) -> Iterator[str]:
    """Yield the table of the aims, as lines."""
    yield from table(["What Milepost takes", "at most", "measured", ""], [_aim(report, aim) for aim in chosen])


def aims_as_text(report: Report) -> str:
    """Return the table of the aims for a terminal."""
    rows = [[cell.replace("*", "") for cell in _aim(report, aim)] for aim in AIMS]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def verdicts(report: Report) -> Mapping[bool | None, list[str]]:
    """Return the aims that were reached, those that were not, and with None those that were not measured."""
    found: dict[bool | None, list[str]] = {True: [], False: [], None: []}
    for aim in (aim for aim in AIMS if aim.at_most is not None):
        spread = aim.found(report.figures, report.jobs)
        found[None if spread is None else aim.is_reached(spread)].append(aim.text)
    return found


def heading(report: Report) -> str:
    """Return in one sentence when and on what this was measured."""
    machine, figures = report.machine, report.figures
    rounds = f"{figures.rounds} round{'s' if figures.rounds != 1 else ''}"
    rounds += f", {lasting(figures.seconds)}"
    if figures.was_stopped:
        rounds += ", the last round cut short"
    postgres = f", PostgreSQL {report.postgres}" if report.postgres else ""
    busy = f" Others were at work on it (load {machine.load}), so the numbers are uneven." if machine.was_busy else ""
    quick = " The jobs were the small ones of `--quick`: the numbers mean little." if report.is_quick else ""
    on = f"{machine.cores} cores of {machine.processor}, {machine.memory_gib:.0f} GiB, {machine.system}"
    using = f"Python {machine.python}, SQLite {machine.sqlite}{postgres}"
    return f"Measured on {report.when:%-d %B %Y} ({rounds}) on {on}, {using}.{busy}{quick}"
