"""Measure every peer at every job, in interleaved rounds, so that a slow moment of the machine meets all of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Timer
from time import perf_counter
from types import TracebackType
from typing import Any

from benchmarks.child import SHORT_LOOP, Measured
from benchmarks.database import Databases
from benchmarks.figures import Figures, Told, lasting
from benchmarks.jobs import Job, Kind
from benchmarks.peers.registry import ENTRIES, OURS
from benchmarks.slow_disk import on_slow_disk

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / "benchmarks" / "environments"
START = "import sys; sys.path.append(sys.argv.pop(1)); from benchmarks.child import main; main(*sys.argv[1:])"
"""The root comes last on the path: it has links that are named as packages of peers are."""
WARM = Job(Kind.LOOP, 20)
LIKE = {Kind.RESUME: (Kind.LOOP,), Kind.MEMORY: (Kind.LOOP,), Kind.NEST: (Kind.MAP,)}
"""Whose pace foretells that of a kind of job which has not been done yet."""
PATIENCE = 2
"""How many times its limit a measurement may take before its process is ended."""


class ChildFailed(Exception):
    """The process of a peer ended without an answer; what it said is on stderr."""

    def __init__(self, peer: str) -> None:
        super().__init__(f"The process that measures {peer!r} failed; its error is above.")


def interpreter(peer: str) -> Path:
    """Return the Python of the environment in which a peer is installed."""
    environment = ENTRIES[peer].environment
    return Path(sys.executable) if environment == OURS else ENVIRONMENTS / environment / "bin" / "python"


def surroundings(**more: str) -> dict[str, str]:
    """Return the environment of a process that is measured: what is compiled is kept, as it is for most people."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | more


class Child:
    """A process that measures one peer. A context manager: leaving it ends the process."""

    def __init__(self, peer: str, folder: Path) -> None:
        self.peer = peer
        self._process = subprocess.Popen(
            [interpreter(peer), "-P", "-c", START, ROOT, peer, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=surroundings(LANGSMITH_TRACING="false", **(on_slow_disk(folder) if ENTRIES[peer].on_slow_disk else {})),
            start_new_session=True,  # Ctrl-C is for the one who measures
        )
        line = self._read()
        if line is None:
            self._process.communicate()
            raise ChildFailed(peer)
        self.told = Told(**line)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.communicate()

    def _read(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else None

    def measure(self, job: Job, server: str | None, limit: float) -> dict[str, Any]:
        """Return what the process answers: what was measured, why it failed, or that it was too slow.

        limit: seconds after which the process is ended. It is of no use any more then, nor when it has ended by itself.
        Raises ChildFailed: it has ended by itself, or had before.
        """
        assert self._process.stdin is not None
        timer = Timer(limit, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(json.dumps(asdict(job) | {"server": server}) + "\n")
            self._process.stdin.flush()
            answer = self._read()
        except BrokenPipeError:
            answer = None
        finally:
            timer.cancel()
        if answer is not None:
            return answer
        if self._process.wait() == -signal.SIGKILL:
            return {"slow": f"no answer within {lasting(limit)}"}
        raise ChildFailed(self.peer)

    def has_ended(self) -> bool:
        """Whether the process is there no more."""
        return self._process.poll() is not None


@dataclass(slots=True)
class Pace:
    """How fast each peer has been, so that what would take too long is left out, and said so."""

    _seconds: dict[tuple[str, Kind], float] = field(default_factory=dict[tuple[str, Kind], float])

    def note(self, peer: str, job: Job, took: float) -> None:
        """Remember what a job took, which says something about larger ones and about other loops."""
        self._seconds[peer, job.kind] = took / job.units

    def expected(self, peer: str, job: Job) -> float:
        """Return the seconds that the job will take if it is as fast as its kind, or one like it, was; 0 if unknown.

        The faster of them counts: what takes its time once, however large the job is, makes a small one look slow.
        """
        kinds = (job.kind, *LIKE.get(job.kind, ()))
        known = [self._seconds[peer, kind] for kind in kinds if (peer, kind) in self._seconds]
        units = job.units + (SHORT_LOOP.units if job.kind is Kind.MEMORY else 0)
        return min(known, default=0.0) * units


def always(peer: str, job: Job) -> bool:
    """Whether a peer is to do a job: each is to do all."""
    return True


@dataclass(slots=True)
class Measuring:
    """All that is measured in one run of the command. is_wanted: whether a peer is to do a job at all."""

    jobs: Sequence[Job]
    rounds: int
    folder: Path
    databases: Databases
    progress: Callable[[str], None]
    is_wanted: Callable[[str, Job], bool] = always
    figures: Figures = field(default_factory=Figures)
    pace: Pace = field(default_factory=Pace)
    _children: dict[str, Child] = field(default_factory=dict[str, Child])

    def everything(self, peers: Sequence[str]) -> Figures:
        """Run all rounds; each begins with another peer. Ctrl-C ends it with what there is by then.

        Raises ChildFailed: the process of a peer broke. What a peer could not do, or did wrong, is in the figures.
        """
        began = perf_counter()
        try:
            with ExitStack() as stack:
                self._start(peers, stack)
                for number in range(self.rounds):
                    self.figures.rounds = number + 1
                    turn = number % len(peers)
                    self._round(number, (*peers[turn:], *peers[:turn]), stack)
        except KeyboardInterrupt:
            self.figures.was_stopped = True
        self.figures.seconds = perf_counter() - began
        return self.figures

    def _start(self, peers: Sequence[str], stack: ExitStack) -> None:
        for peer in peers:
            self.progress(f"starting {peer}")
            self._children[peer] = stack.enter_context(Child(peer, self.folder))
            self.figures.told[peer] = self._children[peer].told
            self._warm(peer)

    def _round(self, number: int, peers: Sequence[str], stack: ExitStack) -> None:
        for job in (job for job in self.jobs if number < job.rounds):
            for peer in (peer for peer in peers if self.is_wanted(peer, job)):
                self._once(peer, job, number)
                if self._children[peer].has_ended():
                    self._children[peer] = stack.enter_context(Child(peer, self.folder))

    def _warm(self, peer: str) -> None:
        """Have a peer do a small job that is not counted, so that all it needs is imported and compiled."""
        with self.databases.database(ENTRIES[peer].postgres) as database:
            self._children[peer].measure(WARM, database.dsn, WARM.limit * PATIENCE)

    def _has_to(self, peer: str, job: Job) -> bool:
        """Whether a peer is to do a job in this round; what would be too slow is noted."""
        if self.figures.reason(job, peer) is not None:
            return False
        before = self.figures.samples.get((job.name, peer))
        if before:
            return max(one.took for one in before.values()) <= job.again
        expected = self.pace.expected(peer, job)
        if expected > job.limit:
            self.figures.left_out[job.name, peer] = f"about {lasting(expected)}"
        return expected <= job.limit

    def _once(self, peer: str, job: Job, number: int) -> None:
        if not self._has_to(peer, job):
            return
        figures, patience = self.figures, job.limit * PATIENCE
        self.progress(f"round {number + 1} of {self.rounds}: {job.name}, {peer}")
        with self.databases.database(ENTRIES[peer].postgres) as database:
            if job.kind is Kind.MEMORY:  # a process remembers the most that it ever had
                with Child(peer, self.folder) as child:
                    answer = child.measure(job, database.dsn, patience)
            else:
                answer = self._children[peer].measure(job, database.dsn, patience)
            if "slow" in answer:
                figures.left_out[job.name, peer] = answer["slow"]
                return
            if "failed" in answer:
                figures.failed[job.name, peer] = answer["failed"]
                return
            answer["disk"] += database.grown()
        self.pace.note(peer, job, answer["prepared"] + answer["seconds"])
        figures.add(job, peer, number, Measured(**answer))
