"""The soak itself: a short one finds nothing, and its verdict sees every fault that it is there to see."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.soak.flow import WORKFLOW, number_of
from benchmarks.soak.verdict import SHOWN, Verdict, judge
from milepost import MemoryStore
from milepost.testing.notes import Begun, Failed, Kept, Note, Opened

ROOT = Path(__file__).parents[1]


def test_ten_seconds_of_kills_lose_and_repeat_nothing_that_was_committed() -> None:
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.17", "--workers", "4", "--store", "sqlite"]
    done = subprocess.run([*command, "--life", "1"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)

    assert done.returncode == 0, done.stdout + done.stderr
    found = re.fullmatch(
        r"sqlite: (?P<kills>\d+) kills\n"
        r"  runs      (?P<runs>[\d,]+) and (?P<nested>[\d,]+) inside them; unfinished 0, wrong 0, errors 0\n"
        r"  records   (?P<records>[\d,]+) committed; lost 0\n"
        r"  bodies    [\d,]+ begun, (?P<again>[\d,]+) of them again; of committed tasks 0\n"
        r"  journals  [\d,]+ read, hashed and folded; broken 0\n",
        done.stdout,
    )
    assert found is not None, done.stdout
    assert all(int(number.replace(",", "")) > 0 for number in found.groups())


# --- the verdict ------------------------------------------------------------------------------------------------------


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def soaked() -> tuple[MemoryStore, list[Note]]:
    """Run once, and return what is left and what a worker would have noted."""
    store = MemoryStore()
    await WORKFLOW.run(inputs=number_of("soak-1"), store=store, run_id="soak-1")
    notes: list[Note] = []
    for run_id, records in store.journals.records.items():
        notes += [Kept(run_id, one.seq, one.hash, "completed", "deal") for one in records]
    return store, notes


async def verdict_on(store: MemoryStore, *notes: Sequence[Note]) -> Verdict:
    verdict = Verdict(store="memory", kills=3)
    await judge(verdict, store, "soak-", notes)
    return verdict


@pytest.mark.anyio
async def test_a_run_that_nothing_happened_to_has_no_fault() -> None:
    store, notes = await soaked()

    verdict = await verdict_on(store, notes, [Begun("soak-1", "t", "deal", 1)] * 3)

    assert verdict.faults == []
    assert (verdict.runs, verdict.nested) == (1, len(store.journals.rows) - 1)
    assert verdict.records == len(notes)
    assert (verdict.bodies, verdict.again) == (3, 2)
    assert str(verdict).startswith("memory: 3 kills\n  runs      1 and ")


@pytest.mark.anyio
async def test_a_record_that_is_lost_is_told() -> None:
    store, notes = await soaked()

    verdict = await verdict_on(store, notes, [Kept("soak-1", 9_999, "f" * 32, "completed", "deal")])

    assert verdict.lost == ["the store said that record 9999 of run 'soak-1' was committed, and has lost it."]
    assert str(verdict).endswith(f"  ! {verdict.lost[0]}")


@pytest.mark.anyio
async def test_a_committed_task_that_ran_again_is_told() -> None:
    store, _ = await soaked()
    task = next(one.body for one in store.journals.records["soak-1"] if '"completed"' in one.body)
    key = re.search(r'"task":"(\w+)"', task)
    assert key is not None

    verdict = await verdict_on(store, [Opened("soak-1", 9), Begun("soak-1", key[1], "deal", 1)])

    assert len(verdict.repeated) == 1
    assert "ran again" in verdict.repeated[0]


@pytest.mark.anyio
async def test_a_journal_that_is_broken_is_told() -> None:
    store, _ = await soaked()
    records = store.journals.records["soak-1"]
    records[3] = records[3]._replace(content="[]")

    assert "Checkpoint 4 of run 'soak-1' is damaged" in (await verdict_on(store)).broken[0]


@pytest.mark.anyio
async def test_a_wrong_output_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = await soaked()
    monkeypatch.setattr("benchmarks.soak.verdict.number_of", len)

    assert "Run 'soak-1' came to" in (await verdict_on(store)).wrong[0]


@pytest.mark.anyio
async def test_a_run_that_did_not_end_and_a_worker_that_failed_are_told() -> None:
    store, _ = await soaked()
    records = store.journals.records["soak-1"]
    del records[3:]
    row = store.journals.rows["soak-1"]
    store.journals.rows["soak-1"] = replace(row, status="running", seq=3, hash=records[-1].hash, output=None)

    verdict = await verdict_on(store, [Failed("soak-1: ValueError: no")] * SHOWN)

    assert verdict.unfinished == ["Run 'soak-1' is running: None"]
    assert verdict.failed == ["soak-1: ValueError: no"] * SHOWN
    assert str(verdict).endswith("  ! and 1 more")
