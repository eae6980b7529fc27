"""Milepost, pydantic-graph and the machine do every job right; the others are checked whenever they are measured."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.child import WrongAnswer, importing, measure, once
from benchmarks.jobs import QUICK, Job, Kind
from benchmarks.peers.ours import PEERS
from benchmarks.peers.peer import NoServer, Place
from benchmarks.peers.registry import ENTRIES, load
from tests.postgres import Schema

HERE = [
    "milepost",
    "milepost-sqlite-none",
    "milepost-sqlite-process",
    "milepost-sqlite-power",
    "pydantic-graph",
    "limit-switch",
    "limit-fsync",
    "limit-sqlite-power-long",
]
SMALL = [job for job in QUICK if job.kind not in (Kind.IMPORT, Kind.START)]


@pytest.mark.parametrize("job", SMALL, ids=lambda job: job.name)
@pytest.mark.parametrize("peer", HERE)
def test_every_job_is_done_right(peer: str, job: Job, tmp_path: Path) -> None:
    loaded = load(peer)
    if loaded.why_not(job.kind) is None:
        assert measure(loaded, job, Place(tmp_path)).seconds > 0
    else:
        assert peer not in PEERS or job.kind is Kind.RESUME


@pytest.mark.parametrize("job", [job for job in SMALL if job.kind is not Kind.MEMORY], ids=lambda job: job.name)
def test_every_job_is_done_right_in_postgres(job: Job, tmp_path: Path, schema: Schema) -> None:
    place = Place(tmp_path, f"{schema.server}&schema={schema.name}")
    assert measure(load("milepost-postgres-power"), job, place).seconds > 0


def test_what_is_kept_is_on_the_disk(tmp_path: Path) -> None:
    assert measure(load("milepost-sqlite-process"), Job(Kind.LOOP, 20), Place(tmp_path)).disk > 4096


def test_a_wrong_answer_is_not_measured(tmp_path: Path) -> None:
    class Wrong(Job):
        @property
        def answer(self) -> int:
            return 7

    with pytest.raises(WrongAnswer, match="Milepost answered 3 to loop of 3; 7 is right"):
        asyncio.run(once(load("milepost"), Wrong(Kind.LOOP, 3), Place(tmp_path)))


def test_a_peer_that_needs_a_server_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoServer, match="needs a PostgreSQL"):
        asyncio.run(once(load("milepost-postgres-power"), Job(Kind.LOOP, 3), Place(tmp_path)))


def test_importing_something_large_takes_longer_than_nothing() -> None:
    assert importing("import pydantic.main", 1) > 0.005


def test_every_peer_stands_beside_ways_of_milepost() -> None:
    assert {mine for entry in ENTRIES.values() for mine in entry.beside} <= set(PEERS)
    assert all(entry.beside for entry in ENTRIES.values() if not entry.name.startswith(("milepost", "limit")))
