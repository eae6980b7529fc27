"""Figures that were never measured, for tests of what is said about figures."""

from __future__ import annotations

from datetime import UTC, datetime

from benchmarks.child import Measured
from benchmarks.figures import Figures, Told
from benchmarks.jobs import Job, Kind
from benchmarks.machine import Machine
from benchmarks.report import Report

LOOP = Job(Kind.LOOP, 1_000)
MACHINE = Machine("a processor", 2, 24.0, "a system", "3.11", "3.40", 0.1)


def told(name: str, store: str = "nothing kept", **missing: str) -> Told:
    return Told(name, store, "as it comes", {"one": "1.0"}, {Kind[kind]: reason for kind, reason in missing.items()})


def figures(*samples: tuple[str, Job, list[float]], disk: int = 0) -> Figures:
    """Make figures of peers, each with the microseconds per step that it took at a job in each round."""
    made = Figures(rounds=2)
    for peer, job, numbers in samples:
        made.told[peer] = told(peer)
        for number, value in enumerate(numbers):
            seconds = value * job.units / 1e6
            made.add(job, peer, number, Measured(seconds, seconds, disk=disk))
    return made


def report(made: Figures, *jobs: Job) -> Report:
    return Report(made, jobs, MACHINE, datetime(2026, 1, 2, tzinfo=UTC))
