"""A folder with workflows to call, and a way to call the command line in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from milepost.cli.main import main
from tests.cli.waits import WAITS

ROOT = Path(__file__).parents[2]

FLOWS = '''
import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from milepost import StepContext, WorkflowBuilder

class Order(BaseModel):
    name: str
    count: int

class Tally(BaseModel):
    seen: int

wf = WorkflowBuilder(name="orders", input_type=Order, output_type=str)

@wf.function
async def price(ctx: StepContext[None, None, Order]) -> Order:
    """Find the price."""
    print("pricing")
    with Path("effects.txt").open("a") as file:
        file.write("price\\n")
    return ctx.inputs

@wf.function
async def ship(ctx: StepContext[None, None, Order]) -> str:
    """Send it."""
    if Path("broken").exists():
        raise RuntimeError("the van broke down")
    if Path("slow").exists():
        Path("started").touch()
        await asyncio.sleep(60)
    return f"{ctx.inputs.count} {ctx.inputs.name}"

wf.edge(wf.start_node, price)
wf.edge(price, ship)
wf.edge(ship, wf.end_node)
workflow = wf.build()

counted = WorkflowBuilder(name="counted", state_type=Tally, output_type=int)

@counted.function
async def count(ctx: StepContext[Tally, None, None]) -> int:
    ctx.state.seen += 1
    return ctx.state.seen

counted.edge(counted.start_node, count)
counted.edge(count, counted.end_node)

@asynccontextmanager
async def lend():
    Path("lent").touch()
    yield "a van"
    Path("lent").unlink()

needy = WorkflowBuilder(name="needy", deps_type=str, output_type=str)
helped = WorkflowBuilder(name="helped", deps_type=str, output_type=str, deps=lend)

for builder in (needy, helped):
    @builder.function
    async def ask(ctx: StepContext[None, str, None]) -> str:
        return ctx.deps
    builder.edge(builder.start_node, ask)
    builder.edge(ask, builder.end_node)

unsound = WorkflowBuilder(name="unsound", input_type=int, output_type=int)

@unsound.function
async def lost(ctx: StepContext[None, None, int]) -> int:
    return ctx.inputs
'''

ORDER = '{"name": "apples", "count": 3}'


@dataclass(frozen=True)
class Answer:
    """What one call of the command line gave."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON on stdout."""
        document: dict[str, Any] = json.loads(self.out)
        assert document["schema_version"] == 1
        return document


Call = Callable[..., Answer]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a process that finds this project, and keeps compiled modules, to start faster."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("MILEPOST", "PYTHONDONTWRITE"))}
    return {**known, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder.parent / "compiled"), **more}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a new folder with `flows.py` in it, which is forgotten afterwards."""
    (tmp_path / "flows.py").write_text(FLOWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("MILEPOST_STORE", raising=False)
    yield tmp_path
    sys.modules.pop("flows", None)


@pytest.fixture
def waiting_flows(folder: Path) -> Iterator[Path]:
    """Put workflows that wait beside those that do not."""
    (folder / "waits.py").write_text(WAITS)
    yield folder
    sys.modules.pop("waits", None)


@pytest.fixture
def call(folder: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command line in this process."""

    def called(*words: str) -> Answer:
        capsys.readouterr()
        code = main(list(words))
        out, err = capsys.readouterr()
        return Answer(int(code), out, err)

    return called


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command line in a process of its own, which does not outlive the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "milepost", *words],
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()
