"""`python -m benchmarks`: measure Milepost beside its peers, print a table and keep the numbers."""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from benchmarks.jobs import FULL, QUICK
from benchmarks.peers.registry import MODULES
from benchmarks.report import as_json, text
from benchmarks.rounds import ChildFailed, measure_all

RESULTS = Path(__file__).parent / "results"


@click.command()
@click.option("--rounds", default=5, show_default=True, help="How often everything is measured.")
@click.option("--quick", is_flag=True, help="Small jobs, to see that everything works; the numbers mean little.")
@click.option("--only", multiple=True, type=click.Choice(list(MODULES)), help="Measure only this peer; repeatable.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="The JSON file to write.  [default: benchmarks/results]"
)
def main(rounds: int, quick: bool, only: tuple[str, ...], output: Path | None) -> None:
    """Measure Milepost beside pydantic-graph and LangGraph: a loop, a chain and maps."""
    jobs = QUICK if quick else FULL
    now = datetime.now(UTC)
    if output is None:
        output = RESULTS / f"{now:%Y-%m-%dT%H%M%SZ}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    screen = Console(stderr=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder, screen.status("starting") as status:
        try:
            figures = measure_all(only or tuple(MODULES), jobs, rounds, Path(folder), status.update)
        except ChildFailed as error:
            screen.print(str(error), style="red")
            sys.exit(1)
    print(text(figures, jobs))
    output.write_text(json.dumps(as_json(figures, jobs, now.isoformat()), indent=1) + "\n", encoding="utf-8")
    screen.print(f"Every number is in {output}")


if __name__ == "__main__":
    main()
