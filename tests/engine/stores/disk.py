"""Runs on a disk of their own that fills up in the middle, or can only be read; prints what became of them, as JSON.

To be started where it may mount a disk that nobody else sees, as `unshare --mount` gives it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import anyio

from milepost.engine.engine import Engine
from milepost.engine.errors import MilepostError, StoreError
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import Durability
from tests.engine.stores.laps import LAPS, RUNS, TASKS, WORKFLOW, Bodies, kept_by, nothing, outcomes

Told = dict[str, object]


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def fill(path: Path) -> None:
    """Leave no room on the disk."""
    with suppress(OSError), path.open("wb", buffering=0) as rest:
        while True:
            rest.write(bytes(4096))


def content_of(path: Path) -> bytes:
    return path.read_bytes()


async def full(path: Path, durability: Durability) -> Told:
    """Fill the disk in the middle of all runs, make room again, and go on with them."""
    rest = path.with_name("rest")
    before, again = Bodies(enough=RUNS * TASKS // 3), Bodies()

    async def fill_up() -> None:
        await before.begun.wait()
        fill(rest)

    found = await outcomes(SqliteStore(path, durability=durability), before, fill_up)
    errors = [str(each) for each in found if isinstance(each, StoreError)]
    damage = [await findings(path)]
    rest.unlink()
    kept = await kept_by(SqliteStore(path))
    ended = await outcomes(SqliteStore(path, durability=durability), again, nothing)
    damage.append(await findings(path))
    begun = set(before.ran)
    return {
        "stopped": len(errors),
        "errors": sorted(set(errors)),
        "damage": damage,
        "ended": ended == [LAPS] * RUNS,
        "ran twice": [key for key, times in (before.ran + again.ran).items() if times > 1 and key in kept],
        "committed and never ran": sorted(kept - begun),
        "not committed and not run again": sorted(begun - kept - set(again.ran)),
        "most in flight": max(Counter(run_id for run_id, _ in begun - kept).values()),
    }


async def findings(path: Path) -> int:
    """How much verifying finds."""
    async with Engine(SqliteStore(path, create=False)) as engine:
        return len(await engine.verify())


async def read_only(path: Path, durability: Durability) -> Told:
    """Begin a run, have the disk become one that can only be read, and go on with it."""
    async with Engine(SqliteStore(path, durability=durability)) as engine:
        await (await engine.start(WORKFLOW, inputs=0, deps=Bodies(), run_id="done")).result()
    content = content_of(path)
    mount("--bind", str(path.parent), str(path.parent))
    mount("-o", "remount,ro,bind", str(path.parent))
    bodies = Bodies()
    errors: list[str] = []
    for run_id in ("done", "new"):
        try:
            async with Engine(SqliteStore(path, durability=durability)) as engine:
                run = await engine.start(WORKFLOW, inputs=0, deps=bodies, run_id=run_id)
                await run.result()
        except MilepostError as error:
            errors.append(f"{type(error).__name__}: {error}")
    return {"errors": errors, "ran": bodies.ran.total(), "changed": content_of(path) != content}


async def main(fault: str, folder: Path, durability: Durability) -> Told:
    act = {"full": full, "read-only": read_only}[fault]
    return await act(folder / "runs.db", durability)


def start(fault: str, folder: str, durability: Durability) -> None:
    mount("-t", "tmpfs", "-o", "size=32m", "tmpfs", folder)
    print(json.dumps(anyio.run(main, fault, Path(folder), durability)))


if __name__ == "__main__":
    start(*sys.argv[1:])  # type: ignore[arg-type]  # as the test says
