"""Real faults of the disk under runs: it fills up, or it can only be read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.engine.stores.children import ROOT
from tests.engine.stores.test_sqlite import DURABILITIES

APART = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
"""Begins a command that may mount disks, which nobody else sees and which are gone with it."""


@cache
def may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run([*APART, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


pytestmark = pytest.mark.skipif(not may_mount(), reason="this user may not mount a disk of its own")


def told(fault: str, folder: Path, durability: str) -> dict[str, object]:
    words = [*APART, sys.executable, "-m", "tests.engine.stores.disk", fault, str(folder), durability]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_disk_that_fills_up_stops_runs_that_go_on_when_there_is_room(tmp_path: Path, durability: str) -> None:
    found = told("full", tmp_path, durability)
    words = f"The store {tmp_path}/runs.db could not be written: the disk is full; free some space and resume."
    stopped = found.pop("stopped")
    assert isinstance(stopped, int)
    assert stopped >= 10, "too few runs were in the middle of something"
    most = found.pop("most in flight")
    assert isinstance(most, int)
    assert found == {
        "errors": [words],
        "damage": [0, 0],
        "ended": True,
        "ran twice": [],
        "committed and never ran": [],
        "not committed and not run again": [],
    }
    assert 1 <= most <= 3, "what was in flight, at most so many items of a map, and nothing began after that"


@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_disk_that_can_only_be_read_is_told_before_anything_runs(tmp_path: Path, durability: str) -> None:
    found = told("read-only", tmp_path, durability)
    words = (
        f"StoreError: The store {tmp_path}/runs.db could not be opened: it cannot be opened; "
        "check the permissions of the file and of its folder."
    )
    assert found == {"errors": [words] * 2, "ran": 0, "changed": False}
