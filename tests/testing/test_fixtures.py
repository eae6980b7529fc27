"""The fixtures of the pytest plugin, in a session of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

USED = """
import anyio
import pytest
from milepost import Engine, MemoryStore, StepContext, WorkflowBuilder
from milepost.testing import CrashReport, Effects, FakeClock

wf = WorkflowBuilder(name="paying", deps_type=Effects, input_type=int, output_type=int)

@wf.function
async def pay(ctx: StepContext[None, Effects, int]) -> int:
    ctx.deps.record()
    return ctx.inputs

wf.edge(wf.start_node, pay)
wf.edge(pay, wf.end_node)
workflow = wf.build()


def test_crashes(crash_everywhere, milepost_effects: Effects, tmp_path) -> None:
    report: CrashReport = crash_everywhere(workflow, 5, deps=milepost_effects)
    milepost_effects.assert_once("pay")
    assert report.crashes == 4
    assert milepost_effects.path == tmp_path / "effects"


def test_places(crash_everywhere, tmp_path) -> None:
    places = []
    crash_everywhere(workflow, 5, deps=lambda life: places.append(life.folder) or Effects(life.folder / "e"), at=[1])
    assert set(places) == {tmp_path}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_an_engine(milepost_engine: Engine, milepost_store: MemoryStore, milepost_clock: FakeClock) -> None:
    milepost_clock.advance(60)
    async with milepost_engine as engine:
        run = await engine.start(workflow, inputs=5, deps=Effects("/dev/null"), run_id="r-1")
        assert await run.result() == 5
    row = await milepost_store.row("r-1")
    assert row is not None
    assert row.created == milepost_clock()


def test_two_tests_share_nothing(milepost_store: MemoryStore, milepost_effects: Effects) -> None:
    assert anyio.run(milepost_store.rows) == []
    assert milepost_effects.all() == []
"""

UNUSED = """
import sys

def test_nothing(request) -> None:
    assert {name for name in sys.modules if name.startswith("milepost.")} == {"milepost.pytest_plugin"}
"""


def outcome(folder: Path, program: str) -> str:
    """Run a session of pytest over one file, and return how it says it ended."""
    (folder / "test_it.py").write_text(program)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_every_fixture_does_what_it_says(tmp_path: Path) -> None:
    assert outcome(tmp_path, USED).startswith("5 passed")


def test_fixtures_cost_nothing_where_they_are_not_used(tmp_path: Path) -> None:
    assert outcome(tmp_path, UNUSED).startswith("1 passed")
