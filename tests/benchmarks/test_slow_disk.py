"""A disk that is made slow is slow, for those processes that are told so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers.registry import ENTRIES
from benchmarks.rounds import surroundings
from benchmarks.slow_disk import MILLISECONDS, can_be_had, on_slow_disk

SYNC = """
import os, sys, time
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
for sync in (os.fsync, os.fdatasync):
    began = time.perf_counter()
    for _ in range(10):
        os.write(file, b"x")
        sync(file)
    print((time.perf_counter() - began) / 10)
"""
needs_a_compiler = pytest.mark.skipif(not can_be_had(), reason="needs Linux and a C compiler, cc")


@needs_a_compiler
def test_syncs_take_longer_on_a_slow_disk(tmp_path: Path) -> None:
    for _ in range(2):  # the second finds what the first has made
        slow = surroundings(**on_slow_disk(tmp_path))
        words = [sys.executable, "-c", SYNC, str(tmp_path / "file")]
        done = subprocess.run(words, env=slow, capture_output=True, text=True, check=True)
        assert all(float(seconds) > MILLISECONDS / 1000 for seconds in done.stdout.split())


def test_only_those_are_measured_on_a_slow_disk_whose_names_say_so() -> None:
    assert {name for name, entry in ENTRIES.items() if entry.on_slow_disk} == {
        name for name in ENTRIES if name.endswith("-slow")
    }
