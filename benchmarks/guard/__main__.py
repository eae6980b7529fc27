"""`python -m benchmarks.guard`: compare the work of this engine, in instructions, with that of the commit before."""

from __future__ import annotations

import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from benchmarks.guard.counts import ROOT, NotCounted, before, count, unpack
from benchmarks.guard.verdict import compare, told


def both(commit: str) -> tuple[dict[str, float], dict[str, float]]:
    """Count for the engine of a commit and for the one that is here, side by side."""
    with tempfile.TemporaryDirectory(prefix="milepost-guard-") as place, ThreadPoolExecutor(2) as two:
        older, logs, older_logs = (Path(place) / name for name in ("engine", "logs", "older_logs"))
        for folder in (older, logs, older_logs):
            folder.mkdir()
        unpack(commit, older)
        then, now = two.submit(count, older, older_logs), two.submit(count, ROOT, logs)
        return then.result(), now.result()


@click.command()
@click.option("--base", help="The commit to compare with.  [default: before the newest change of the package]")
def main(base: str | None) -> None:
    """Fail when a step of a loop, a chain, a map or a store is more than 15 % more work than it was."""
    if shutil.which("valgrind") is None:
        click.echo(
            "The guard needs valgrind, which counts instructions: install your system's package of it.", err=True
        )
        sys.exit(1)
    commit = base or before()
    if commit is None:
        click.echo("There is no commit before this one here, so there is nothing to compare with.")
        return
    try:
        changes = compare(*both(commit))
    except NotCounted as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    click.echo(told(changes, commit))
    sys.exit(1 if any(change.is_loss for change in changes) else 0)


if __name__ == "__main__":
    main()
