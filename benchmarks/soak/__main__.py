"""`python -m benchmarks.soak`: kill workers at random instants for minutes, then say what was lost and repeated."""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import click
from rich.console import Console

from benchmarks.soak.herd import Herd
from benchmarks.soak.verdict import Verdict, judge
from milepost import open_store
from milepost.engine.stores.address import without_password
from milepost.testing.notes import Note, notes_in


@contextmanager
def url_of(store: str, folder: Path) -> Generator[str]:
    """Give the URL that a name stands for; "postgres" starts a server for the while."""
    match store:
        case "sqlite":
            yield f"sqlite:///{folder / 'runs.db'}"
        case "postgres":
            from tests.postgres import running

            with running() as server:
                yield server.dsn
        case url:
            yield url


def soak(store: str, herd: Herd, seconds: float, console: Console) -> Verdict:
    """Kill the workers of a herd for so long, let the rest be finished, and look at what is there."""
    with console.status("starting") as status:
        herd.soak(seconds, lambda text: status.update(f"{store}: {text}"))
        herd.finish(lambda text: status.update(f"{store}: {text}"))
        status.update(f"{store}: reading everything")
        verdict = Verdict(store=without_password(store), kills=herd.kills)
        verdict.failed += [f"A worker ended with {code}; its error is on stderr." for code in herd.ends]
        notes: list[list[Note]] = [notes_in(file) for file in sorted(herd.folder.glob("*.jsonl"))]
        anyio.run(judge, verdict, open_store(herd.url), herd.name, notes)
    return verdict


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long workers are killed, on each store.")
@click.option("--workers", default=20, show_default=True, type=click.IntRange(min=1), help="Processes at once.")
@click.option(
    "--store",
    "stores",
    multiple=True,
    help="sqlite, postgres (a server that is started for it) or a URL; repeatable.  [default: sqlite and postgres]",
)
@click.option("--life", default=4.0, show_default=True, help="Seconds that a worker lives, on average.")
@click.option("--seed", type=int, help="Of the instants; chosen when not given.")
def main(minutes: float, workers: int, stores: tuple[str, ...], life: float, seed: int | None) -> None:
    """Have workers begin and resume runs, kill them at random instants, and say what was lost and repeated."""
    console = Console(stderr=True)
    seed = random.randrange(2**32) if seed is None else seed
    console.print(f"seed {seed}")
    verdicts: list[Verdict] = []
    for store in stores or ("sqlite", "postgres"):
        with tempfile.TemporaryDirectory(prefix="milepost-soak-") as place, url_of(store, Path(place)) as url:
            herd = Herd(url=url, folder=Path(place), workers=workers, life=life, chance=random.Random(seed))
            verdicts.append(soak(store, herd, minutes * 60, console))
        print(verdicts[-1], flush=True)
    sys.exit(1 if any(verdict.faults for verdict in verdicts) else 0)


if __name__ == "__main__":
    main()
