"""`python -m benchmarks`: measure Milepost beside its peers, and write the report, its pictures and the README."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from benchmarks.aims import is_needed
from benchmarks.database import Databases
from benchmarks.jobs import AIMED, FULL, QUICK, Job, Kind
from benchmarks.machine import machine
from benchmarks.page import markdown
from benchmarks.peers.registry import ENTRIES, OURS
from benchmarks.plots import draw
from benchmarks.quoting import quoted
from benchmarks.report import Report, aims_as_text, heading
from benchmarks.rounds import ROOT, ChildFailed, Measuring, always, interpreter
from benchmarks.slow_disk import can_be_had

RESULTS = ROOT / "benchmarks" / "results"
PARTIAL = RESULTS / "partial"
README = ROOT / "README.md"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured. is_wanted: whether a peer is to do a job at all."""

    peers: Sequence[str]
    jobs: Sequence[Job]
    rounds: int
    is_wanted: Callable[[str, Job], bool]


def chosen(only: tuple[str, ...], jobs: Sequence[Job], is_wanted: Callable[[str, Job], bool]) -> list[str]:
    """Return the peers that are named, by their beginnings, and have something to do here; all when none is named.

    Raises click.UsageError: a name is nobody's, or a peer is not installed.
    """
    for name in only:
        if not any(peer.startswith(name) for peer in ENTRIES):
            raise click.UsageError(f"No peer's name begins with {name!r}. There are: {', '.join(ENTRIES)}.")
    named = [peer for peer in ENTRIES if not only or any(peer.startswith(name) for name in only)]
    here = [peer for peer in named if can_be_had() or not ENTRIES[peer].on_slow_disk]
    peers = [peer for peer in here if any(is_wanted(peer, job) for job in jobs)]
    missing = sorted({ENTRIES[peer].environment for peer in peers if not interpreter(peer).exists()})
    if missing:
        raise click.UsageError(f"Not installed: {', '.join(missing)}. `make bench` installs all.")
    return peers


def measured(plan: Plan, folder: Path) -> Report:
    """Measure all. A peer whose process cannot even begin ends the program."""
    here, when, screen = machine(), datetime.now(UTC), Console(stderr=True)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix="work-") as place,
        Databases() as databases,
        screen.status("starting") as status,
    ):
        measuring = Measuring(plan.jobs, plan.rounds, Path(place), databases, status.update, plan.is_wanted)
        try:
            figures = measuring.everything(plan.peers)
        except ChildFailed as error:
            click.echo(str(error), err=True)
            sys.exit(1)
    return Report(figures, plan.jobs, here, when, databases.version)


def write(report: Report, folder: Path) -> str:
    """Write the page, the pictures and every number, and return the page."""
    page = markdown(report, draw(report, folder))
    (folder / "report.md").write_text(page, encoding="utf-8")
    kept = {
        "schema_version": 3,
        "when": report.when.isoformat(),
        "machine": asdict(report.machine),
        **report.figures.as_json(report.jobs),
    }
    (folder / "results.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return page


@click.command()
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    help="How often everything is measured.  [default: 5; 3 for the aims, 1 if quick]",
)
@click.option("--quick", is_flag=True, help="Small jobs, to see that everything works; the numbers mean little.")
@click.option("--aims", "is_about_aims", is_flag=True, help="Measure only what the aims need, and print their table.")
@click.option("--only", multiple=True, help="Measure only peers whose names begin so; repeatable.")
@click.option(
    "--job",
    "kinds",
    multiple=True,
    type=click.Choice([str(kind) for kind in Kind]),
    help="Measure only this; repeatable.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="The folder to write to; the README is left alone then."
)
def main(
    rounds: int | None,
    quick: bool,
    is_about_aims: bool,
    only: tuple[str, ...],
    kinds: tuple[str, ...],
    output: Path | None,
) -> None:
    """Measure Milepost beside six other engines, and the machine itself, and write a report.

    Ctrl-C ends it early, with a report of what there is by then.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sized = QUICK if quick else AIMED if is_about_aims else FULL
    jobs = [job for job in sized if not kinds or job.kind in kinds]
    is_wanted = is_needed if is_about_aims else always
    rounds = rounds or (1 if quick else 3 if is_about_aims else 5)
    is_whole = output is None and not (quick or is_about_aims or only or kinds)
    folder = output or (RESULTS if is_whole else PARTIAL)
    report = measured(Plan(chosen(only, jobs, is_wanted), jobs, rounds, is_wanted), folder)
    if is_about_aims:
        print(f"{heading(report)}\n\n{aims_as_text(report)}")
    else:
        print(write(report, folder))
        print(f"This page, the pictures and every number are in {folder}", file=sys.stderr)
    if is_whole:
        README.write_text(quoted(README.read_text(encoding="utf-8"), report), encoding="utf-8")
    failed = report.figures.failed.items()
    ours = [f"{job}, {peer}: {reason}" for (job, peer), reason in failed if peer.startswith(OURS)]
    if ours:
        click.echo("\n".join(["Milepost failed:", *ours]), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
