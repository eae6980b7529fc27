"""Several processes on one file: killed, stopped and racing."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from milepost.engine.errors import RunBusy
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.sqlite_file import Durability
from tests.engine.stores.test_sqlite import DURABILITIES, execute, names
from tests.engine.stores.worlds import append, begin, entry, message, opened
from tests.loops import asyncio_only

pytestmark = [pytest.mark.anyio, asyncio_only]
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Child:
    """Another process with the store open, see child.py."""

    process: subprocess.Popen[str]
    commands: IO[str]
    answers: IO[str]

    def tell(self, command: str) -> None:
        self.commands.write(f"{command}\n")
        self.commands.flush()

    def answer(self) -> str:
        return self.answers.readline().strip()

    def ask(self, command: str) -> str:
        self.tell(command)
        return self.answer()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def child(path: Path, durability: Durability = "process") -> Generator[Child]:
    words = [sys.executable, "-m", "tests.engine.stores.child", str(path), durability]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Child(process, process.stdin, process.stdout)
        finally:
            process.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_the_run_of_a_killed_process_is_taken_over_at_once_with_all_it_committed(
    path: Path, durability: Durability
) -> None:
    with child(path, durability) as victim:
        victim.ask("open")
        victim.ask("create run")
        victim.tell("stream run 1 2")
        told = [int(victim.answer()) for _ in range(50)]
        victim.kill()
        told += [int(line) for line in victim.answers.read().split()]
    async with opened(SqliteStore(path, durability=durability)) as store:
        row = await store.acquire("run")
        assert row.epoch == 2
        assert row.seq in (told[-1], told[-1] + 1), "the last may be committed and not told"
        stored = await store.records("run")
        assert [record.seq for record in stored] == list(range(1, row.seq + 1))
        assert all(len(record.content) == record.seq * 37 % 9000 for record in stored[1:])
        await append(store, entry("run", row.seq + 1, epoch=2))
    assert names(path) == ["runs.db"], "nothing of the dead process is left"


async def test_a_run_of_another_live_process_is_busy(path: Path) -> None:
    with child(path) as owner:
        owner.ask("open")
        owner.ask("create run")
        async with opened(SqliteStore(path)) as store:
            with pytest.raises(RunBusy) as caught:
                await store.acquire("run")
        assert f"process {owner.process.pid} on " in str(caught.value)
        assert owner.ask("append run 1 2 5") == "done"


async def test_a_stopped_process_loses_its_run_when_its_lease_runs_out(path: Path) -> None:
    with child(path) as sleeper:
        sleeper.ask("open")
        sleeper.ask("create run")
        sleeper.process.send_signal(signal.SIGSTOP)
        async with opened(SqliteStore(path)) as store:
            with pytest.raises(RunBusy):
                await store.acquire("run")
            execute(path, "UPDATE runs SET lease_until = 0")
            assert (await store.acquire("run")).epoch == 2
            sleeper.process.send_signal(signal.SIGCONT)
            assert sleeper.ask("append run 1 2 2").startswith("LeaseLost: Run 'run' was taken over by another process")
            await append(store, entry("run", 2, epoch=2, body='"ours"'))
            assert [record.body for record in await store.records("run")] == ["{}", '"ours"']


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_two_processes_write_to_different_runs_of_one_file_at_once(path: Path, durability: Durability) -> None:
    with child(path, durability) as other:
        other.ask("open")
        other.ask("create theirs")
        async with opened(SqliteStore(path, durability=durability)) as store:
            await begin(store, "ours")
            other.tell("append theirs 1 2 200")
            for seq in range(2, 201):
                await append(store, entry("ours", seq))
            assert other.answer() == "done"
            for run_id in ("ours", "theirs"):
                assert [record.seq for record in await store.records(run_id)] == list(range(1, 201))


async def test_a_run_of_another_live_process_can_be_spoken_to(path: Path) -> None:
    with child(path) as owner:
        owner.ask("open")
        owner.ask("create run")
        async with opened(SqliteStore(path)) as store:
            assert await store.post(message("run", "stop"))
        assert owner.ask("append run 1 2 2") == "done"


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_of_processes_that_post_one_message_at_once_exactly_one_is_first(
    path: Path, durability: Durability
) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        with ExitStack() as stack:
            children = [stack.enter_context(child(path, durability)) for _ in range(3)]
            for each in children:
                each.ask("open")
            for each in children:
                each.tell("post run 1 200")
            answers = [each.answer().split() for each in children]
        assert sorted(int(number) for first in answers for number in first) == list(range(1, 201))
        assert [int(each.id) for each in await store.inbox("run")] == list(range(1, 201))
        assert len(await store.news(0)) == 200


async def test_processes_that_make_a_store_at_once_all_succeed(path: Path) -> None:
    with ExitStack() as stack:
        children = [stack.enter_context(child(path)) for _ in range(4)]
        for each in children:
            each.tell("open")
        assert [each.answer() for each in children] == ["done"] * 4
        assert sorted(each.ask("create run") for each in children) == ["False", "False", "False", "True"]
