"""The process in which one peer is measured: it is given jobs on stdin and answers on stdout, one JSON line each."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.jobs import Job, Kind
from benchmarks.peers.peer import Peer, Place
from benchmarks.peers.registry import load

SHORT_LOOP = Job(Kind.MEMORY, 1_000)
"""What the memory of a longer loop is held against, done by the same process before."""


class WrongAnswer(Exception):
    """A peer's run did not give the output that it must give, so its time means nothing."""

    def __init__(self, peer: str, job: Job, answer: int) -> None:
        super().__init__(f"{peer} answered {answer} to {job.name}; {job.answer} is right.")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one measurement gave. seconds: of the job alone. took: with all that is around it.

    prepared: of that, the seconds until the job could begin: the graph built, the store opened, and the run that is to
    be resumed brought to where it stops. disk: bytes of the files that were left, if any. memory: bytes that the job
    added to the most that there ever was.
    """

    seconds: float
    took: float
    prepared: float = 0.0
    disk: int = 0
    memory: int = 0


async def once(peer: Peer, job: Job, place: Place) -> tuple[float, float]:
    """Do the job and return the seconds it took to prepare it, and those of the job itself.

    Raises WrongAnswer: a run's output is wrong.
    """
    began = perf_counter()
    async with peer.ready(job, place) as run:
        prepared = perf_counter() - began
        gc.collect()
        seconds = 0.0
        for _ in range(job.runs):
            started = perf_counter()
            answer = await run()
            seconds += perf_counter() - started
            if answer != job.answer:
                raise WrongAnswer(peer.name, job, answer)
    return prepared, seconds


def _most_memory() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def importing(statement: str, times: int) -> float:
    """Return the seconds of a new process that carries out a statement, less those of one that does nothing."""

    def start(words: str) -> float:
        started = perf_counter()
        subprocess.run([sys.executable, "-P", "-c", words], check=True)
        return perf_counter() - started

    start(statement)
    return median(start(statement) - start("pass") for _ in range(times))


def measure(peer: Peer, job: Job, place: Place) -> Measured:
    """Do the job once in a place and return what it took."""
    started = perf_counter()
    prepared, memory = 0.0, 0
    match job.kind:
        case Kind.IMPORT | Kind.START:
            statement = peer.package if job.kind is Kind.IMPORT else peer.imports
            assert statement is not None
            seconds = importing(statement, job.size)
        case Kind.MEMORY:
            with tempfile.TemporaryDirectory(dir=place.folder) as warm:
                asyncio.run(once(peer, SHORT_LOOP, Place(Path(warm))))
            before = _most_memory()
            prepared, seconds = asyncio.run(once(peer, job, place))
            memory = _most_memory() - before
        case _:
            prepared, seconds = asyncio.run(once(peer, job, place))
    disk = sum(file.stat().st_size for file in place.folder.rglob("*") if file.is_file())
    return Measured(seconds, perf_counter() - started, prepared, disk, memory)


def answer(peer: Peer, asked: Mapping[str, Any], folder: str) -> dict[str, object]:
    """Measure what a line asks for; a failure is an answer too, and told on stderr."""
    job = Job(Kind(asked["kind"]), asked["size"], asked["runs"])
    try:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            return asdict(measure(peer, job, Place(Path(place), asked["server"])))
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}".splitlines()[0][:200]}


def main(name: str, folder: str) -> None:
    """Say who is measured, in which versions, then measure what is asked for until stdin ends."""
    peer = load(name)
    told = {
        "name": peer.name,
        "store": peer.store,
        "configuration": peer.configuration,
        "versions": {it: version(it) for it in peer.distributions},
        "missing": {kind: peer.why_not(kind) for kind in Kind if peer.why_not(kind) is not None},
    }
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a peer prints is no answer
    print(json.dumps(told), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(peer, json.loads(line), folder)), file=answers, flush=True)
