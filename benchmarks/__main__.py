"""`python -m benchmarks`: measure Milepost beside its peers, and write the report, its pictures and the README."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from benchmarks.database import Databases
from benchmarks.figures import Figures
from benchmarks.jobs import FULL, QUICK, Job, Kind
from benchmarks.machine import machine
from benchmarks.peers.registry import ENTRIES, OURS
from benchmarks.plots import draw
from benchmarks.quoting import quoted
from benchmarks.report import Report, markdown
from benchmarks.rounds import ROOT, ChildFailed, Measuring, Pace, interpreter

RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
LIMITS = {Kind.MEMORY: 90.0, Kind.RESUME: 30.0}


def chosen(only: tuple[str, ...]) -> list[str]:
    """Return the peers that are named, by their beginnings; all when none is.

    Raises click.UsageError: a name is nobody's, or a peer is not installed.
    """
    peers = [peer for peer in ENTRIES if not only or any(peer.startswith(name) for name in only)]
    for name in only:
        if not any(peer.startswith(name) for peer in ENTRIES):
            raise click.UsageError(f"No peer's name begins with {name!r}. There are: {', '.join(ENTRIES)}.")
    missing = sorted({ENTRIES[peer].environment for peer in peers if not interpreter(peer).exists()})
    if missing:
        raise click.UsageError(f"Not installed: {', '.join(missing)}. `make bench` installs all.")
    return peers


def measure(
    peers: list[str], jobs: tuple[Job, ...], rounds: int, limit: float, folder: Path
) -> tuple[Figures, str | None]:
    """Measure all, and return the figures and the version of the PostgreSQL server."""
    screen = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix="work-") as place,
        Databases() as databases,
        screen.status("starting") as status,
    ):
        pace = Pace(limit, {kind: min(limit * 5, most) for kind, most in LIMITS.items()})
        figures = Measuring(jobs, rounds, Path(place), databases, pace, status.update).everything(peers)
        return figures, databases.version


@click.command()
@click.option(
    "--rounds", type=click.IntRange(min=1), help="How often everything is measured.  [default: 5, or 1 if quick]"
)
@click.option("--quick", is_flag=True, help="Small jobs, to see that everything works; the numbers mean little.")
@click.option("--only", multiple=True, help="Measure only peers whose names begin so; repeatable.")
@click.option(
    "--job",
    "kinds",
    multiple=True,
    type=click.Choice([str(kind) for kind in Kind]),
    help="Measure only this; repeatable.",
)
@click.option("--limit", default=20.0, show_default=True, help="Seconds that one measurement may take.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="The folder to write to; the README is left alone then."
)
def main(
    rounds: int | None, quick: bool, only: tuple[str, ...], kinds: tuple[str, ...], limit: float, output: Path | None
) -> None:
    """Measure Milepost beside six other engines, and the machine itself, and write a report.

    Ctrl-C ends it early, with a report of what there is by then.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    jobs = tuple(job for job in (QUICK if quick else FULL) if not kinds or job.kind in kinds)
    rounds = rounds or (1 if quick else 5)
    peers, here, when = chosen(only), machine(), datetime.now(UTC)
    is_whole = output is None and not (quick or only or kinds)
    folder = RESULTS / "partial" if output is None and not is_whole else output or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    try:
        figures, postgres = measure(peers, jobs, rounds, limit, folder)
    except ChildFailed as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    report = Report(figures, jobs, here, when, postgres)
    page = markdown(report, draw(report, folder))
    (folder / "report.md").write_text(page, encoding="utf-8")
    kept = {
        "schema_version": 2,
        "when": when.isoformat(),
        "machine": asdict(here),
        **figures.as_json(jobs),
    }
    (folder / "results.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    if is_whole:
        README.write_text(quoted(README.read_text(encoding="utf-8"), report), encoding="utf-8")
    print(page)
    print(f"This page, the pictures and every number are in {folder}", file=sys.stderr)
    ours = [f"{job}, {peer}: {reason}" for (job, peer), reason in figures.failed.items() if peer.startswith(OURS)]
    if ours:
        click.echo("\n".join(["Milepost failed:", *ours]), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
