"""What becomes of what is written while the server, or the way to it, goes away."""

from __future__ import annotations

from collections.abc import Generator
from time import monotonic

import anyio
import anyio.lowlevel
import pytest
from psycopg.conninfo import make_conninfo

from milepost.engine.errors import LeaseLost, RunBusy, StoreError
from milepost.engine.stores import postgres, postgres_heartbeat
from milepost.engine.stores.postgres import PostgresStore
from milepost.engine.stores.store import CacheEntry
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import Answers, append, begin, entry, message, new_run
from tests.engine.stores.proxy import Proxy, proxied
from tests.loops import asyncio_only
from tests.postgres import Schema, Server, running

pytestmark = [pytest.mark.anyio, asyncio_only]


class Unsure(PostgresStore):
    """A store that can be as after an acquisition that got no answer."""

    def doubt(self, run_id: str) -> None:
        self._unreleased.append((run_id, None))


@pytest.fixture
def proxy(postgres: str) -> Generator[Proxy]:
    with proxied(postgres) as made:
        yield made


@pytest.fixture(scope="module")
def own() -> Generator[Server]:
    """A server that the tests of this module may kill."""
    with running() as server:
        yield server


async def test_a_commit_whose_answer_is_lost_is_found_and_not_made_twice(schema: Schema, proxy: Proxy) -> None:
    async with opened(PostgresStore(proxy.dsn, schema=schema.name)) as store:
        await begin(store, "a", length=2)
        await begin(store, "b")
        proxy.lose.set()
        await append(store, entry("a", 3), entry("a", 4), entry("b", 2, cache=CacheEntry("k", "1")))
        assert proxy.lost.is_set()
        assert [record.seq for record in await store.records("a")] == [1, 2, 3, 4]
        assert [record.seq for record in await store.records("b")] == [1, 2]
        assert await store.cached("k", 0.0) == "1"
        await append(store, entry("a", 5), entry("b", 3))


async def test_a_commit_that_was_cut_off_before_it_was_made_is_made_again(schema: Schema) -> None:
    answers = Answers()
    async with opened(PostgresStore(schema.dsn, schema=schema.name)) as store:
        await begin(store, length=2)
        with schema.locked("records"):
            store.append(entry("run", 3), answers.expect(3))
            while not schema.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                await anyio.lowlevel.checkpoint()
            schema.cut()
        store.append(entry("run", 4), answers.expect(4))
        assert await answers.all() == [(3, None), (4, None)]
        assert [record.seq for record in await store.records("run")] == [1, 2, 3, 4]


async def test_a_commit_whose_answer_is_lost_counts_though_somebody_else_went_on_since(
    schema: Schema, proxy: Proxy
) -> None:
    answers = Answers()
    async with (
        opened(PostgresStore(proxy.dsn, schema=schema.name)) as slow,
        opened(PostgresStore(schema.dsn, schema=schema.name)) as heir,
    ):
        await begin(slow, length=3)
        proxy.then_stall = True
        proxy.lose.set()
        slow.append(entry("run", 4), answers.expect(4))
        slow.append(entry("run", 5), answers.expect(5))
        while not proxy.lost.is_set():
            await anyio.lowlevel.checkpoint()
        schema.execute("DELETE FROM owners")
        assert (await heir.acquire("run")).seq == 5
        await append(heir, entry("run", 6, epoch=2))
        proxy.open.set()
        assert await answers.all() == [(4, None), (5, None)]
        with pytest.raises(LeaseLost):
            await append(slow, entry("run", 6))
        assert [record.seq for record in await heir.records("run")] == [1, 2, 3, 4, 5, 6]


async def test_a_record_of_the_heir_is_not_taken_for_the_one_whose_answer_was_lost(schema: Schema) -> None:
    answers = Answers()
    async with (
        opened(PostgresStore(schema.dsn, schema=schema.name)) as slow,
        opened(PostgresStore(schema.dsn, schema=schema.name)) as heir,
    ):
        await begin(slow)
        with schema.locked("records"):
            slow.append(entry("run", 2), answers.expect(2))
            while not schema.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                await anyio.lowlevel.checkpoint()
            schema.cut()
            schema.execute("DELETE FROM owners")
            schema.execute("UPDATE runs SET epoch = 2, owner = 'heir', seq = 2")
        schema.execute("INSERT INTO records SELECT 1, 2, 2, '{}', '[]', 'hash 2', 1000.0, NULL")
        ((_, refused),) = await answers.all()
        assert isinstance(refused, LeaseLost)
        assert len(await heir.records("run")) == 2


async def test_a_run_whose_creation_got_no_answer_is_created_once(schema: Schema, proxy: Proxy) -> None:
    async with opened(PostgresStore(proxy.dsn, schema=schema.name)) as store:
        await begin(store, "other")
        proxy.lose.set()
        assert await store.create(new_run("run"), entry("run", 1))
        assert proxy.lost.is_set()
        proxy.lose.set()
        assert not await store.create(new_run("other"), entry("other", 1)), "it was there before, by the same owner"
        await append(store, entry("run", 2))


async def test_a_run_whose_acquisition_got_no_answer_is_acquired_again(schema: Schema, proxy: Proxy) -> None:
    async with opened(PostgresStore(proxy.dsn, schema=schema.name)) as store:
        await begin(store)
        await store.release("run", 1)
        proxy.lose.set()
        row = await store.acquire("run")
        assert proxy.lost.is_set()
        await append(store, entry("run", 2, epoch=row.epoch))


async def test_a_message_whose_posting_got_no_answer_is_posted_once(schema: Schema, proxy: Proxy) -> None:
    async with opened(PostgresStore(proxy.dsn, schema=schema.name)) as store:
        await begin(store)
        for number in range(4):  # the answer to the look before, to the insert, and to the look after it
            name = f"m{number}"
            proxy.lose.set()
            assert await store.post(message("run", name))
            assert not await store.post(message("run", name))
        assert [each.id for each in await store.inbox("run")] == ["m0", "m1", "m2", "m3"]


async def test_reads_and_writes_go_on_when_every_connection_was_cut(schema: Schema) -> None:
    async with opened(PostgresStore(schema.dsn, schema=schema.name)) as store:
        await begin(store, length=3)
        schema.cut()
        assert len(await store.records("run")) == 3
        schema.cut()
        await append(store, entry("run", 4))
        schema.cut()
        assert await store.post(message("run", "a"))
        schema.cut()
        await store.release("run", 1)
        schema.cut()
        assert (await store.acquire("run")).epoch == 2


async def test_a_server_that_stands_still_is_told_when_patience_is_over(schema: Schema, proxy: Proxy) -> None:
    answers = Answers()
    async with opened(PostgresStore(proxy.dsn, schema=schema.name, patience=0.5)) as store:
        await begin(store, length=2)
        proxy.open.clear()
        store.append(entry("run", 3), answers.expect(3))
        ((_, error),) = await answers.all()
        assert isinstance(error, StoreError)
        assert "could not be written: the server did not answer for 0.5 seconds." in str(error)
        proxy.open.set()
        assert len(await store.records("run")) in (2, 3)


async def test_a_server_that_stands_still_while_it_is_connected_to_is_told_when_patience_is_over(
    schema: Schema, proxy: Proxy
) -> None:
    dsn = make_conninfo(proxy.dsn, application_name=schema.name)
    async with opened(PostgresStore(dsn, schema=schema.name, patience=0.5)) as store:
        await begin(store, length=2)
        proxy.deaf_to = b"search_path"  # in what is first said when a connection is there
        schema.cut()
        with pytest.raises(StoreError, match=r"could not be written: the server did not answer for 0\.5 seconds\."):
            await append(store, entry("run", 3))
        proxy.deaf_to = b""
        await append(store, entry("run", 3))


async def test_a_lease_is_renewed_though_its_connection_has_gone_silent(
    schema: Schema, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_heartbeat, "_SHORTEST_PATIENCE", 0.5)
    async with opened(PostgresStore(proxy.dsn, schema=schema.name, ttl=0.6)) as store:
        await begin(store)
        proxy.freeze()
        schema.execute("UPDATE owners SET lease_until = 0")
        while schema.execute("SELECT lease_until FROM owners") == [(0.0,)]:
            await anyio.lowlevel.checkpoint()


async def test_a_lease_that_is_got_just_now_is_not_given_up_with_one_that_was_not_heard_of(
    schema: Schema, proxy: Proxy
) -> None:
    renewals = "SELECT count(*) FROM owners WHERE lease_until > %s"
    store = Unsure(proxy.dsn, schema=schema.name, ttl=0.6)
    async with (
        opened(store),
        opened(PostgresStore(schema.dsn, schema=schema.name)) as other,
        anyio.create_task_group() as tasks,
    ):
        await begin(store)
        await store.release("run", 1)
        store.doubt("run")
        proxy.withheld = b"COMMIT"
        tasks.start_soon(store.acquire, "run")
        while not proxy.is_withheld.is_set():
            await anyio.lowlevel.checkpoint()
        for _ in range(2):
            ((until,),) = schema.execute("SELECT max(lease_until) FROM owners")
            while schema.execute(renewals, until) == [(0,)]:
                await anyio.lowlevel.checkpoint()
        proxy.given.set()
        row = await other.row("run")
        assert row is not None
        assert row.owner is not None
        assert row.epoch == 2


async def test_an_owner_whose_connections_were_all_cut_keeps_its_run(
    schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_PATIENCE_WITH_OWNERS", 20.0)  # it connects again however busy the machine is
    async with (
        opened(PostgresStore(schema.dsn, schema=schema.name)) as store,
        opened(PostgresStore(schema.dsn, schema=schema.name)) as other,
    ):
        await begin(store)
        for seq in range(2, 5):
            schema.cut()
            with pytest.raises(RunBusy):
                await other.acquire("run")
            await append(store, entry("run", seq))


async def test_an_owner_that_does_not_connect_again_counts_as_dead_after_a_moment(schema: Schema) -> None:
    async with opened(PostgresStore(schema.dsn, schema=schema.name)) as store:
        await begin(store)
        schema.execute("INSERT INTO owners VALUES ('a ghost', 9e9)")
        schema.execute("UPDATE runs SET owner = 'a ghost'")
        begun = monotonic()
        assert (await store.acquire("run")).epoch == 2
        assert monotonic() - begun > 1.5


async def test_a_run_whose_owner_is_not_connected_is_ready_to_be_gone_on_with(schema: Schema) -> None:
    async with (
        opened(PostgresStore(schema.dsn, schema=schema.name)) as store,
        opened(PostgresStore(schema.dsn, schema=schema.name)) as other,
    ):
        await begin(store)
        assert list(await other.ready(1000.0, ["claims"], limit=1)) == []
        schema.execute("INSERT INTO owners VALUES ('a ghost', 9e9)")
        schema.execute("UPDATE runs SET owner = 'a ghost'")
        assert [row.run_id for row in await other.ready(1000.0, ["claims"], limit=1)] == ["run"]


async def test_a_connection_that_is_given_back_after_closing_is_closed(schema: Schema) -> None:
    used = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND pid <> pg_backend_pid()"
    store = PostgresStore(schema.dsn, schema=schema.name)
    await store.open()
    async with anyio.create_task_group() as tasks:
        with schema.locked("definitions"):
            tasks.start_soon(store.define, "f", "{}")
            while not schema.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                await anyio.lowlevel.checkpoint()
            await store.close()
            while schema.execute(used, schema.name) != [(1,)]:
                await anyio.lowlevel.checkpoint()
    while schema.execute(used, schema.name) != [(0,)]:
        await anyio.lowlevel.checkpoint()


async def test_a_run_that_cannot_be_let_go_is_let_go_as_soon_as_the_server_is_back(
    schema: Schema, proxy: Proxy
) -> None:
    async with (
        opened(PostgresStore(proxy.dsn, schema=schema.name, ttl=0.6)) as store,
        opened(PostgresStore(schema.dsn, schema=schema.name)) as heir,
    ):
        await begin(store)
        with schema.locked("runs"):
            await store.release("run", 1)
        while (row := await heir.row("run")) is None or row.owner is not None:
            await anyio.lowlevel.checkpoint()
        assert (await heir.acquire("run")).epoch == 2


async def test_entries_wait_for_a_server_that_is_killed_and_started_again(own: Server) -> None:
    answers = Answers()
    async with opened(PostgresStore(own.dsn, schema="waiting")) as store:
        for run_id in "abc":
            await begin(store, run_id, length=5)
        own.kill()
        for seq in range(6, 9):
            for run_id in "abc":
                store.append(entry(run_id, seq), answers.expect((run_id, seq)))
        await anyio.lowlevel.checkpoint()
        assert answers.given == []
        own.start()
        assert await answers.all() == [((run_id, seq), None) for seq in range(6, 9) for run_id in "abc"]
        for run_id in "abc":
            assert [record.seq for record in await store.records(run_id)] == list(range(1, 9))


async def test_a_server_that_stays_away_is_told_and_costs_nothing_that_was_committed(own: Server) -> None:
    async with opened(PostgresStore(own.dsn, schema="away", patience=0.3)) as store:
        await begin(store, length=5)
        own.stop()
        begun = monotonic()
        with pytest.raises(StoreError, match=r"The store in schema 'away' .* could not be written:"):
            await append(store, entry("run", 6))
        with pytest.raises(StoreError, match="could not be read:"):
            await store.records("run")
        await store.release("run", 1)
        assert monotonic() - begun < 10
        own.start()
        assert len(await store.records("run")) == 5
        row = await store.acquire("run")
        await append(store, entry("run", 6, epoch=row.epoch))


async def test_closing_does_not_wait_long_for_a_server_that_is_away(own: Server) -> None:
    store = PostgresStore(own.dsn, schema="closing")
    await store.open()
    await begin(store)
    own.kill()
    try:
        with anyio.fail_after(10):
            await store.close()
    finally:
        own.start()


async def test_checkpoints_that_a_server_has_lost_are_told(schema: Schema) -> None:
    async with opened(PostgresStore(schema.dsn, schema=schema.name, durability="process")) as store:
        await begin(store, length=5)
        schema.execute("DELETE FROM records WHERE seq > 3")  # as if the server had died before they were on its disk
        schema.execute("UPDATE runs SET seq = 3, hash = 'hash 3'")
        schema.cut()
        with pytest.raises(StoreError, match="has lost the newest checkpoints of run 'run': its server died"):
            await append(store, entry("run", 6))
