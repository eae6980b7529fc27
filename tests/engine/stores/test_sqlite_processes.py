"""Several processes on one file: killed, stopped and racing."""

from __future__ import annotations

import platform
from contextlib import ExitStack
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from milepost.engine.errors import RunBusy
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.sqlite_file import Durability
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import append, begin, entry, message
from tests.engine.stores.children import child
from tests.engine.stores.test_sqlite import DURABILITIES, execute, names
from tests.loops import asyncio_only

pytestmark = [pytest.mark.anyio, asyncio_only]


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
        told = [int(victim.answer()) for _ in range(150)]  # so many that the log was made long
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
        assert (caught.value.pid, caught.value.host) == (owner.process.pid, platform.node())
        assert caught.value.since is not None
        assert caught.value.expires is not None
        assert caught.value.since < caught.value.expires
        assert owner.ask("append run 1 2 5") == "done"


async def test_a_stopped_process_loses_its_run_when_its_lease_runs_out(path: Path) -> None:
    with child(path) as sleeper:
        sleeper.ask("open")
        sleeper.ask("create run")
        sleeper.stop()
        async with opened(SqliteStore(path)) as store:
            with pytest.raises(RunBusy):
                await store.acquire("run")
            execute(path, "UPDATE runs SET lease_until = 0")
            assert (await store.acquire("run")).epoch == 2
            sleeper.wake()
            assert sleeper.ask("append run 1 2 2").startswith("LeaseLost: Run 'run' was taken over by another process")
            await append(store, entry("run", 2, epoch=2, body='"ours"'))
            assert [record.body for record in await store.records("run")] == ["{}", '"ours"']


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_of_processes_that_resume_one_run_at_once_exactly_one_gets_it(path: Path, durability: Durability) -> None:
    async with opened(SqliteStore(path)) as store:
        for number in range(10):
            await begin(store, f"run-{number}")
            await store.release(f"run-{number}", 1)
    with ExitStack() as stack:
        children = [stack.enter_context(child(path, durability)) for _ in range(3)]
        for each in children:
            each.ask("open")
        for number in range(10):
            for each in children:
                each.tell(f"acquire run-{number}")
            answers = [each.answer() for each in children]
            (winner,) = [each for each, answer in zip(children, answers, strict=True) if answer == "2"]
            assert sum(answer.startswith("RunBusy: ") for answer in answers) == 2
            for each in children:
                if each is not winner:
                    assert each.ask(f"append run-{number} 1 2 4").startswith("LeaseLost: ")
            assert winner.ask(f"append run-{number} 2 2 4") == "done"


async def test_a_stopped_process_loses_only_what_was_taken_over_meanwhile(path: Path) -> None:
    with child(path, "power") as sleeper:
        sleeper.ask("open")
        sleeper.ask("create run")
        sleeper.ask("create kept")
        sleeper.ask("append run 1 2 6")
        sleeper.stop()  # between two commits: in one, it would keep the file locked for everybody
        sleeper.tell("append run 1 7 9")
        sleeper.tell("append kept 1 2 2")
        async with opened(SqliteStore(path)) as store:
            execute(path, "UPDATE runs SET lease_until = 0 WHERE run_id = 'run'")
            row = await store.acquire("run")
            assert row.seq == 6
            sleeper.wake()
            assert sleeper.answer().startswith("LeaseLost: Run 'run' was taken over by another process")
            assert sleeper.answer() == "done"
            await append(store, entry("run", 7, epoch=2))
            assert [record.seq for record in await store.records("run")] == list(range(1, 8))


async def test_processes_whose_clocks_differ_agree_on_who_owns_a_run(path: Path) -> None:
    with child(path, clock=-500_000.0) as slow, child(path, clock=500_000.0) as fast:
        for each in (slow, fast):
            each.ask("open")
        slow.ask("create run")
        assert fast.ask("acquire run").startswith("RunBusy: ")
        fast.ask("create other")
        assert slow.ask("acquire other").startswith("RunBusy: ")
        slow.kill()
        assert fast.ask("acquire run") == "2", "the system has freed the lock file of the dead"


async def test_a_process_whose_event_loop_is_busy_keeps_its_run(path: Path) -> None:
    with child(path, ttl=1.5) as owner:
        owner.ask("open")
        owner.ask("create run")
        owner.tell("busy 3.5")
        async with opened(SqliteStore(path)) as store:
            with anyio.move_on_after(3.0):
                while True:
                    with pytest.raises(RunBusy):
                        await store.acquire("run")
                    await anyio.lowlevel.checkpoint()
        assert owner.answer() == "done"
        assert owner.ask("append run 1 2 2") == "done"


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
