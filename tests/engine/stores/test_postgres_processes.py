"""Several processes on one database: killed, stopped, busy and racing."""

from __future__ import annotations

from contextlib import ExitStack

import anyio
import anyio.lowlevel
import pytest

from milepost.engine.errors import RunBusy
from milepost.engine.stores.postgres import PostgresStore
from milepost.engine.stores.store import Durability, RunRow, Store
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import append, begin, entry
from tests.engine.stores.children import child_in
from tests.loops import asyncio_only
from tests.postgres import Schema

pytestmark = [pytest.mark.anyio, asyncio_only]


def store_in(schema: Schema) -> PostgresStore:
    return PostgresStore(schema.dsn, schema=schema.name)


async def taken_over(store: Store, run_id: str) -> RunRow:
    """Acquire a run as soon as the server has met the end of its owner."""
    while True:
        try:
            return await store.acquire(run_id)
        except RunBusy:
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("durability", ["power", "process"])
async def test_the_run_of_a_killed_process_is_taken_over_long_before_its_lease_ends_with_all_it_committed(
    schema: Schema, durability: Durability
) -> None:
    with child_in(schema, durability, ttl=600.0) as victim:
        victim.ask("open")
        victim.ask("create run")
        victim.tell("stream run 1 2")
        told = [int(victim.answer()) for _ in range(50)]
        victim.kill()
        told += [int(line) for line in victim.answers.read().split()]
    async with opened(store_in(schema)) as store:
        row = await taken_over(store, "run")
        assert row.epoch == 2
        assert row.seq in (told[-1], told[-1] + 1), "the last may be committed and not told"
        stored = await store.records("run")
        assert [record.seq for record in stored] == list(range(1, row.seq + 1))
        assert all(len(record.content) == record.seq * 37 % 9000 for record in stored[1:])
        await append(store, entry("run", row.seq + 1, epoch=2))


async def test_a_process_that_stands_still_is_dead_when_its_lease_has_run_out_though_it_is_connected(
    schema: Schema,
) -> None:
    with child_in(schema, ttl=1.5) as sleeper:
        sleeper.ask("open")
        sleeper.ask("create run")
        sleeper.stop()
        async with opened(store_in(schema)) as store:
            with pytest.raises(RunBusy):
                await store.acquire("run")
            assert (await taken_over(store, "run")).epoch == 2
            assert schema.execute("SELECT count(*) > 1 FROM pg_locks WHERE locktype = 'advisory'") == [(True,)]


async def test_a_run_of_another_live_process_is_busy(schema: Schema) -> None:
    with child_in(schema) as owner:
        owner.ask("open")
        owner.ask("create run")
        async with opened(store_in(schema)) as store:
            with pytest.raises(RunBusy) as caught:
                await store.acquire("run")
        assert caught.value.pid == owner.process.pid
        assert f"process {owner.process.pid} on {caught.value.host}" in str(caught.value)
        assert owner.ask("append run 1 2 5") == "done"


async def test_of_processes_that_resume_one_run_at_once_exactly_one_gets_it(schema: Schema) -> None:
    async with opened(store_in(schema)) as store:
        for number in range(10):
            await begin(store, f"run-{number}")
            await store.release(f"run-{number}", 1)
    with ExitStack() as stack:
        children = [stack.enter_context(child_in(schema)) for _ in range(3)]
        for each in children:
            each.ask("open")
        for number in range(10):
            for each in children:
                each.tell(f"acquire run-{number}")
            answers = [each.answer() for each in children]
            winners = [each for each, answer in zip(children, answers, strict=True) if answer == "2"]
            assert len(winners) == 1
            assert sum(answer.startswith("RunBusy: ") for answer in answers) == 2
            for each in children:
                if each not in winners:
                    assert each.ask(f"append run-{number} 1 2 4").startswith("LeaseLost: ")
            assert winners[0].ask(f"append run-{number} 2 2 4") == "done"


async def test_a_stopped_process_that_wakes_after_its_run_was_taken_over_writes_nothing_more(schema: Schema) -> None:
    with child_in(schema, ttl=1.5) as sleeper:
        sleeper.ask("open")
        sleeper.ask("create run")
        sleeper.ask("create kept")
        sleeper.tell("stream run 1 2")
        for _ in range(5):
            sleeper.answer()
        sleeper.stop()
        async with opened(store_in(schema)) as store:
            row = await taken_over(store, "run")
            sleeper.wake()
            while (said := sleeper.answer()).isdecimal():
                assert int(said) <= row.seq, "it was told that something is committed that is not"
            assert said.startswith("LeaseLost: Run 'run' was taken over by another process")
            assert sleeper.ask(f"append run 1 {row.seq + 1} {row.seq + 1}").startswith("LeaseLost: ")
            await append(store, entry("run", row.seq + 1, epoch=2, body='"ours"'))
            assert [record.seq for record in await store.records("run")] == list(range(1, row.seq + 2))
            assert sleeper.ask("append kept 1 2 2") == "done", "what nobody took is still its own"
            alive = "SELECT count(*) FROM owners WHERE lease_until > extract(epoch FROM clock_timestamp())"
            while schema.execute(alive) != [(2,)]:
                pass
            with pytest.raises(RunBusy):
                await store.acquire("kept")


async def test_a_process_whose_event_loop_is_busy_keeps_its_run(schema: Schema) -> None:
    with child_in(schema, ttl=1.5) as owner:
        owner.ask("open")
        owner.ask("create run")
        owner.tell("busy 3.5")
        async with opened(store_in(schema)) as store:
            with anyio.move_on_after(3.0):
                while True:
                    with pytest.raises(RunBusy):
                        await store.acquire("run")
                    await anyio.lowlevel.checkpoint()
        assert owner.answer() == "done"
        assert owner.ask("append run 1 2 2") == "done"


async def test_processes_whose_clocks_differ_agree_on_who_owns_a_run(schema: Schema) -> None:
    with child_in(schema, clock=-500_000.0) as slow, child_in(schema, clock=500_000.0) as fast:
        for each in (slow, fast):
            each.ask("open")
        slow.ask("create run")
        assert fast.ask("acquire run").startswith("RunBusy: ")
        fast.ask("create other")
        assert slow.ask("acquire other").startswith("RunBusy: ")
        slow.kill()
        while (answer := fast.ask("acquire run")).startswith("RunBusy: "):
            pass
        assert answer == "2"


@pytest.mark.parametrize("durability", ["power", "process"])
async def test_of_processes_that_post_one_message_at_once_exactly_one_is_first(
    schema: Schema, durability: Durability
) -> None:
    async with opened(store_in(schema)) as store:
        await begin(store)
        with ExitStack() as stack:
            children = [stack.enter_context(child_in(schema, durability)) for _ in range(3)]
            for each in children:
                each.ask("open")
            for each in children:
                each.tell("post run 1 100")
            met: list[int] = []
            while len(met) < 100:
                met += [notice.number for notice in await store.news(met[-1] if met else 0)]
            answers = [each.answer().split() for each in children]
        assert sorted(int(number) for first in answers for number in first) == list(range(1, 101))
        assert [each.number for each in await store.inbox("run")] == met


async def test_processes_that_make_a_store_at_once_all_succeed(schema: Schema) -> None:
    with ExitStack() as stack:
        children = [stack.enter_context(child_in(schema)) for _ in range(4)]
        for each in children:
            each.tell("open")
        assert [each.answer() for each in children] == ["done"] * 4
        for each in children:
            each.tell("create run")
        assert sorted(each.answer() for each in children) == ["False", "False", "False", "True"]
