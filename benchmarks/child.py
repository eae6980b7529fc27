"""The process in which one peer is measured: it is given jobs on stdin and answers on stdout, one JSON line each."""

from __future__ import annotations

import gc
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import anyio

from benchmarks.jobs import Job, Kind
from benchmarks.peers.peer import Peer
from benchmarks.peers.registry import load


class WrongAnswer(Exception):
    """A peer's run did not give the output that it must give, so its time means nothing."""

    def __init__(self, peer: str, job: Job, answer: int) -> None:
        super().__init__(f"{peer} answered {answer} to {job.name}; {job.answer} is right.")


async def measure(peer: Peer, job: Job, folder: Path) -> float:
    """Do the job once and return the seconds it took, without building the graph and opening the store.

    Raises WrongAnswer: a run's output is wrong.
    """
    async with peer.ready(job, folder) as once:
        gc.collect()
        seconds = 0.0
        for _ in range(job.runs):
            started = perf_counter()
            answer = await once()
            seconds += perf_counter() - started
            if answer != job.answer:
                raise WrongAnswer(peer.name, job, answer)
    return seconds


def main(name: str, folder: str) -> None:
    """Say who is measured, in which versions, then measure what is asked for until stdin ends."""
    peer = load(name)
    print(json.dumps({"name": peer.name, "versions": {it: version(it) for it in peer.distributions}}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        job = Job(Kind(asked["kind"]), asked["size"], asked["runs"])
        with tempfile.TemporaryDirectory(dir=folder) as place:
            seconds = anyio.run(measure, peer, job, Path(place))
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
