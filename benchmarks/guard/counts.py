"""Counting instructions: the same work under valgrind for the engine of any commit."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rounds import surroundings

ROOT = Path(__file__).parents[2]
WORK = Path(__file__).with_name("work.py")
VALGRIND = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
LINE = re.compile(r"^==\d+== I +refs: +([\d,]+)$", re.MULTILINE)
IMPORT = "import"


class NotCounted(Exception):
    """The work could not be done or counted; what it said is in the message."""


@dataclass(frozen=True, slots=True)
class Done:
    """One process of the work, as it told: how many steps or items it did, and of which job, if of any."""

    process: int
    name: str | None
    units: int


def revision(words: Sequence[str]) -> str | None:
    """Ask git; None when it has no answer, as in a clone without the history or a folder that is no clone."""
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def before() -> str | None:
    """Return the commit to compare with: the one before the newest that changed the package, or what is not committed.

    None when there is none here.
    """
    if revision(["status", "--porcelain", "--", "milepost"]):
        return revision(["rev-parse", "--short", "HEAD"])
    changed = revision(["rev-list", "-1", "HEAD", "--", "milepost"])
    return changed and revision(["rev-parse", "--short", "--verify", "--quiet", f"{changed}^"])


def unpack(commit: str, folder: Path) -> None:
    """Lay the package of a commit into a folder."""
    done = subprocess.run(["git", "archive", commit, "milepost"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        raise NotCounted(done.stderr.decode(errors="replace"))
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as packed:
        packed.extractall(folder, filter="data")


def work(engine: Path, before_it: Sequence[str] = ()) -> list[Done]:
    """Have the work done by the engine in a folder, and return what was done.

    before_it: words of a command that is to watch it, such as valgrind's.

    Raises NotCounted: it failed.
    """
    words = [*before_it, sys.executable, str(WORK), str(engine)]
    paths = os.pathsep.join(dict.fromkeys([str(engine), str(ROOT)]))
    fixed = surroundings(PYTHONPATH=paths, PYTHONHASHSEED="0")
    done = subprocess.run(words, env=fixed, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotCounted(done.stderr)
    return [Done(**json.loads(line)) for line in done.stdout.splitlines()]


def count(engine: Path, folder: Path) -> dict[str, float]:
    """Return the instructions of each step or item of each job, and of importing, with the engine in a folder.

    Raises NotCounted: the work failed, or valgrind did.
    """
    work(engine)  # once without counting, so that everything is compiled
    found = work(engine, [*VALGRIND, f"--log-file={folder}/%p"])
    return per_unit(found, {done.process: total((folder / str(done.process)).read_text()) for done in found})


def total(log: str) -> int:
    """Return the number in what valgrind wrote about a process."""
    found = LINE.search(log)
    if found is None:
        raise NotCounted(f"valgrind counted nothing: {log}")
    return int(found.group(1).replace(",", ""))


def per_unit(processes: Sequence[Done], counts: Mapping[int, int]) -> dict[str, float]:
    """Return for each job what one step or item more costs, and for importing what all of it does."""
    jobs: dict[str, list[Done]] = {}
    for done in processes:
        jobs.setdefault(done.name or IMPORT, []).append(done)
    (imported,) = jobs.pop(IMPORT)
    costs = {IMPORT: float(counts[imported.process])}
    for name, (small, large) in jobs.items():
        costs[name] = (counts[large.process] - counts[small.process]) / (large.units - small.units)
    return costs
