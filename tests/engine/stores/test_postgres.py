"""Leases, texts, transactions and errors of a PostgresStore."""

from __future__ import annotations

import os
import platform
import re
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import anyio
import anyio.lowlevel
import pytest
from psycopg.conninfo import make_conninfo

from milepost.engine.errors import CrashLoop, LeaseLost, RunBusy, StoreError, UnknownRun
from milepost.engine.stores.postgres import PostgresStore
from milepost.engine.stores.postgres_connections import Connections, Link
from milepost.engine.stores.store import Durability, Store
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import Answers, append, begin, entry, message, new_run
from tests.loops import asyncio_only
from tests.postgres import Schema

pytestmark = [pytest.mark.anyio, asyncio_only]


def store_in(schema: Schema, **options: object) -> PostgresStore:
    return PostgresStore(schema.dsn, schema=schema.name, **options)  # type: ignore[arg-type]  # as PostgresStore takes


def heartbeats() -> int:
    return sum(thread.name == "milepost-postgres-heartbeat" for thread in threading.enumerate())


async def test_nothing_remains_of_a_store_that_was_closed(schema: Schema) -> None:
    async with opened(store_in(schema)) as store:
        await begin(store, length=20)
        assert schema.execute("SELECT count(*) FROM owners") == [(1,)]
        assert heartbeats() == 1
    assert schema.execute("SELECT count(*) FROM owners") == [(0,)]
    assert schema.execute("SELECT owner, seq FROM runs") == [(None, 20)]
    assert schema.execute("SELECT count(*) FROM journal WHERE run_id = 'run'") == [(20,)]
    assert heartbeats() == 0


async def test_a_store_that_is_only_read_owns_nothing(schema: Schema) -> None:
    async with opened(store_in(schema)) as store:
        await begin(store)
    async with opened(store_in(schema)) as store:
        assert len(await store.rows()) == 1
        assert heartbeats() == 0
        assert schema.execute("SELECT count(*) FROM owners") == [(0,)]


# --- who owns a run ---------------------------------------------------------------------------------------------------


async def test_a_busy_run_tells_where_its_owner_is_and_until_when_it_is_owned(schema: Schema) -> None:
    async with opened(store_in(schema, ttl=60.0)) as store, opened(store_in(schema)) as other:
        before = datetime.now(UTC)
        await begin(store)
        with pytest.raises(RunBusy) as caught:
            await other.acquire("run")
        busy = caught.value
        assert (busy.host, busy.pid) == (platform.node(), os.getpid())
        assert busy.since is not None
        assert busy.expires is not None
        assert abs((busy.since - before).total_seconds()) < 30
        assert 25 < (busy.expires - busy.since).total_seconds() < 90
        assert re.fullmatch(
            r"Run 'run' is being driven by process \d+ on .* \(engine \w+\), since [\d-]+ [\d:]+ UTC\. Wait for it, or "
            r"stop that process first; if it is dead, the run is free at [\d:]+ UTC at the latest\.",
            str(busy),
        )


async def test_a_lease_that_ran_out_can_be_taken(schema: Schema) -> None:
    async with opened(store_in(schema)) as frozen, opened(store_in(schema)) as heir:
        await begin(frozen)
        schema.execute("UPDATE owners SET lease_until = 0")
        assert (await heir.acquire("run")).epoch == 2
        with pytest.raises(LeaseLost):
            await append(frozen, entry("run", 2))


@pytest.mark.parametrize("count", [1, 2])
async def test_an_owner_whose_run_was_removed_writes_nothing_to_another_run_of_its_id(
    schema: Schema, count: int
) -> None:
    """As of a laptop that slept while somebody removed the run and began it again, as far."""
    async with opened(store_in(schema)) as old, opened(store_in(schema)) as other:
        await begin(old, length=2)
        schema.execute("UPDATE owners SET lease_until = 0")
        assert await other.delete(list(await other.rows()))
        await begin(other, length=2)
        with pytest.raises(LeaseLost):
            await append(old, *(entry("run", 3 + offset) for offset in range(count)))
        await append(other, entry("run", 3))


async def test_a_lease_that_ran_out_is_good_while_nobody_takes_it(schema: Schema) -> None:
    async with opened(store_in(schema)) as store:
        await begin(store)
        schema.execute("UPDATE owners SET lease_until = 0")
        await append(store, entry("run", 2))


@pytest.mark.parametrize("forgotten", [False, True])
async def test_leases_are_renewed_while_the_event_loop_is_busy(schema: Schema, forgotten: bool) -> None:
    async with opened(store_in(schema, ttl=1.0)) as store, opened(store_in(schema)) as other:
        await begin(store)
        schema.execute("DELETE FROM owners" if forgotten else "UPDATE owners SET lease_until = 0")
        while not schema.execute("SELECT 1 FROM owners WHERE lease_until > extract(epoch FROM clock_timestamp())"):
            pass  # nothing else runs on this event loop
        with pytest.raises(RunBusy):
            await other.acquire("run")
        await append(store, entry("run", 2))


async def test_a_lease_is_not_renewed_for_a_run_that_was_taken(schema: Schema) -> None:
    async with opened(store_in(schema, ttl=0.3)) as old, opened(store_in(schema)) as heir:
        await begin(old, "run")
        await begin(old, "kept")
        schema.execute("DELETE FROM owners")
        await heir.acquire("run")
        while len(schema.execute("SELECT 1 FROM owners")) < 2:
            await anyio.lowlevel.checkpoint()
        row = await old.row("run")
        assert row is not None
        assert row.epoch == 2
        with pytest.raises(LeaseLost):
            await append(old, entry("run", 2))
        await append(old, entry("kept", 2))


@pytest.mark.parametrize(("ahead", "behind"), [(1e6, 0.0), (0.0, 1e6), (-1e6, 1e6)])
async def test_clocks_of_processes_do_not_matter(schema: Schema, ahead: float, behind: float) -> None:
    async with (
        opened(store_in(schema, clock=lambda: time.time() + ahead)) as store,
        opened(store_in(schema, clock=lambda: time.time() + behind)) as other,
    ):
        await begin(store)
        with pytest.raises(RunBusy):
            await other.acquire("run")
        schema.execute(
            "UPDATE owners SET lease_until = extract(epoch FROM clock_timestamp()) - 0.001 "
            "WHERE owner = (SELECT owner FROM runs)"
        )
        assert (await other.acquire("run")).epoch == 2
        with pytest.raises(RunBusy):
            await store.acquire("run")


async def test_owners_that_are_dead_for_long_are_forgotten(schema: Schema) -> None:
    async with opened(store_in(schema)) as store:
        schema.execute("INSERT INTO owners VALUES ('a ghost', 0), ('alive', 9e9)")
        await begin(store)
        assert ("a ghost",) not in schema.execute("SELECT owner FROM owners")
        assert ("alive",) in schema.execute("SELECT owner FROM owners")


async def test_a_run_whose_owners_keep_dying_is_a_crash_loop(schema: Schema) -> None:
    async def take_over() -> int:
        async with opened(store_in(schema, max_takeovers=3)) as store:
            epoch = (await store.acquire("run")).epoch
            schema.execute("DELETE FROM owners")
        schema.execute("UPDATE runs SET owner = 'a ghost'")
        return epoch

    async with opened(store_in(schema)) as store:
        await begin(store)
    schema.execute("UPDATE runs SET owner = 'a ghost'")
    assert [await take_over() for _ in range(3)] == [2, 3, 4]
    async with opened(store_in(schema, max_takeovers=3)) as store:
        with pytest.raises(CrashLoop, match="was taken over 3 times without a new checkpoint"):
            await store.acquire("run")
        assert [opening.epoch for opening in await store.openings("run")] == [1, 2, 3, 4]
        assert (await store.acquire("run")).epoch == 5, "whoever has read the error gets one more try"


async def test_a_new_record_ends_a_crash_loop(schema: Schema) -> None:
    async with opened(store_in(schema, max_takeovers=1)) as store:
        await begin(store)
        for epoch in range(2, 6):
            schema.execute("UPDATE runs SET owner = 'a ghost'")
            await store.acquire("run")
            await append(store, entry("run", epoch, epoch=epoch))


async def test_a_new_record_of_a_run_inside_a_run_ends_a_crash_loop(schema: Schema) -> None:
    async with opened(store_in(schema, max_takeovers=2)) as store:
        await begin(store)
        await store.create(new_run("child", parent=("run", "t")), entry("child", 1))
        await store.create(new_run("grandchild", parent=("child", "t")), entry("grandchild", 1))
        for seq in range(2, 8):
            schema.execute("UPDATE runs SET owner = 'a ghost' WHERE run_id = 'run'")
            await store.acquire("run")
            await append(store, entry("grandchild", seq))
        for _ in range(2):
            schema.execute("UPDATE runs SET owner = 'a ghost' WHERE run_id = 'run'")
            await store.acquire("run")
        schema.execute("UPDATE runs SET owner = 'a ghost' WHERE run_id = 'run'")
        with pytest.raises(CrashLoop):
            await store.acquire("run")


async def test_owners_that_release_are_no_crash_loop(schema: Schema) -> None:
    async with opened(store_in(schema, max_takeovers=1)) as store:
        await begin(store)
        for epoch in range(1, 6):
            await store.release("run", epoch)
            await store.acquire("run")


async def test_only_owners_that_died_make_a_crash_loop_of_a_run_that_is_woken_again_and_again(schema: Schema) -> None:
    async with opened(store_in(schema, max_takeovers=2)) as store:
        await store.create(new_run("run"), entry("run", 1, status="waiting", due=1.0))
        epoch = 1

        async def wake_and_let_go() -> int:
            for number in range(10):
                await store.release("run", epoch + number)
                assert [row.run_id for row in await store.ready(2.0, ["claims"], limit=9)] == ["run"]
                await store.acquire("run")
            return epoch + 10

        for _ in range(2):
            epoch = await wake_and_let_go()
            schema.execute("UPDATE runs SET owner = 'a ghost'")
            epoch = (await store.acquire("run")).epoch
        epoch = await wake_and_let_go()
        schema.execute("UPDATE runs SET owner = 'a ghost'")
        with pytest.raises(CrashLoop, match="was taken over 2 times without a new checkpoint"):
            await store.acquire("run")


# --- what is committed ------------------------------------------------------------------------------------------------


async def test_entries_that_wait_share_one_transaction(schema: Schema) -> None:
    answers = Answers()
    async with opened(store_in(schema)) as store:
        for run_id in "abc":
            await begin(store, run_id)
        with schema.locked("records"):
            for seq in range(2, 12):
                for run_id in "abc":
                    store.append(entry(run_id, seq), answers.expect((run_id, seq)))
                    await anyio.lowlevel.checkpoint()
        assert all(error is None for _, error in await answers.all())
        assert schema.execute("SELECT count(DISTINCT xmin::text) FROM records WHERE seq > 1")[0] <= (2,)


async def test_a_lost_lease_drops_only_its_own_run_from_a_shared_transaction(schema: Schema) -> None:
    answers = Answers()
    async with opened(store_in(schema)) as store:
        for run_id in "ab":
            await begin(store, run_id)
        await store.acquire("a")
        for run_id, seq in (("a", 2), ("b", 2), ("a", 3), ("b", 3), ("gone", 2)):
            store.append(entry(run_id, seq), answers.expect((run_id, seq)))
        given = await answers.all()
        assert [name for name, _ in given] == [("a", 2), ("b", 2), ("a", 3), ("b", 3), ("gone", 2)]
        refused = {name for name, error in given if isinstance(error, LeaseLost)}
        assert refused == {("a", 2), ("a", 3), ("gone", 2)}
        assert len({str(error) for _, error in given}) == 3, "every run has its own error"


async def test_a_text_that_no_database_can_hold_stops_only_its_own_run(schema: Schema) -> None:
    answers = Answers()
    async with opened(store_in(schema)) as store:
        for run_id in "abc":
            await begin(store, run_id)
        for run_id, body in (("a", "{}"), ("b", "\ud800"), ("c", "{}")):
            store.append(entry(run_id, 2, body=body), answers.expect(run_id))
        given = dict(await answers.all())
        assert given["a"] is None
        assert given["c"] is None
        assert isinstance(given["b"], StoreError)
        assert "could not be written" in str(given["b"])
        assert [len(await store.records(run_id)) for run_id in "abc"] == [2, 1, 2]
        await append(store, entry("b", 2))
        with pytest.raises(StoreError, match="could not be read"):
            await store.row("\ud800")


async def test_very_much_that_waits_is_written_in_several_transactions(schema: Schema) -> None:
    answers = Answers()
    async with opened(store_in(schema)) as store:
        await begin(store)
        large = "x" * 3_000_000
        for seq in range(2, 14):
            store.append(entry("run", seq, content=large), answers.expect(seq))
        for seq in range(14, 1514):
            store.append(entry("run", seq), answers.expect(seq))
        assert [name for name, error in await answers.all() if error is None] == list(range(2, 1514))
        assert schema.execute("SELECT count(DISTINCT xmin::text) FROM records WHERE seq > 1") == [(4,)]


async def test_a_database_that_breaks_is_told_to_whoever_writes(schema: Schema) -> None:
    async with opened(store_in(schema)) as store:
        await begin(store, length=2)
        schema.execute(
            "CREATE FUNCTION full_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no room'; END $$"
        )
        schema.execute("CREATE TRIGGER breaks BEFORE INSERT ON records EXECUTE FUNCTION full_up()")
        with pytest.raises(StoreError, match=r"The store in schema 'test_.*' of .* could not be written: no room\."):
            await append(store, entry("run", 3))
        with pytest.raises(StoreError, match="no room"):
            await store.create(new_run("new"), entry("new", 1))
        schema.execute("DROP TRIGGER breaks ON records")
        row = await store.row("run")
        assert row is not None
        assert row.seq == 2
        assert await store.row("new") is None
        await append(store, entry("run", 3))


async def test_a_database_that_can_only_be_read_is_told(schema: Schema) -> None:
    async with opened(store_in(schema)) as store:
        await begin(store)
    dsn = make_conninfo(schema.dsn, options="-c default_transaction_read_only=on")
    async with opened(PostgresStore(dsn, schema=schema.name)) as store:
        assert len(await store.records("run")) == 1
        with pytest.raises(StoreError, match="could not be written: it can only be read; connect to the primary"):
            await store.acquire("run")


async def test_a_message_to_a_run_that_is_removed_just_now_is_not_left_behind(schema: Schema) -> None:
    errors: list[UnknownRun] = []

    async def post(store: Store) -> None:
        try:
            await store.post(message("run", "m"))
        except UnknownRun as error:
            errors.append(error)

    async with opened(store_in(schema)) as store:
        await begin(store)
        await store.release("run", 1)
        row = await store.row("run")
        assert row is not None
        async with anyio.create_task_group() as tasks:
            with schema.locked("messages"):
                tasks.start_soon(post, store)
                while not schema.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                    await anyio.lowlevel.checkpoint()
                assert await store.delete([row])
        assert len(errors) == 1
        assert schema.execute("SELECT count(*) FROM inbox") == [(0,)]


async def test_of_a_message_that_was_taken_in_only_its_name_and_its_record_remain(schema: Schema) -> None:
    async with opened(store_in(schema)) as store:
        await begin(store)
        await store.post(message("run", "a", payload="a secret"))
        await append(store, entry("run", 2, taken=("a",)), entry("run", 3, taken=("a",)))
        assert schema.execute("SELECT id, payload, taken FROM inbox") == [("a", "", 2)]


@pytest.mark.parametrize(
    ("durability", "setting", "kept"),
    [
        ("power", "on", "on"),
        ("power", "off", "on"),
        ("power", "remote_apply", "remote_apply"),
        ("process", "on", "off"),
    ],
)
async def test_the_durability_is_the_one_that_was_asked_for_whatever_the_server_is_set_to(
    schema: Schema, durability: Durability, setting: str, kept: str
) -> None:
    dsn = make_conninfo(schema.dsn, options=f"-c synchronous_commit={setting}")
    connections = Connections(dsn, schema=schema.name, owner="me", durability=durability, most=1, patience=10.0)

    async def job(connection: Link) -> object:
        return (await (await connection.execute("SHOW synchronous_commit")).fetchone() or [None])[0]

    assert await connections.use("read", job) == kept
    await connections.close()


# --- addresses and errors ---------------------------------------------------------------------------------------------


async def refusal(dsn: str) -> str:
    """What is said when a store cannot be opened, with all that led to it."""
    store = PostgresStore(dsn)
    with pytest.raises(StoreError) as caught:
        await store.open()
    said = repr(store)
    error: BaseException | None = caught.value
    while error is not None:
        said += f"\n{error!r}\n{error}\n{error.args}"
        error = error.__cause__ or error.__context__
    return said


async def test_a_server_that_is_not_there_is_told_at_once_and_without_the_password() -> None:
    with anyio.fail_after(20):
        said = await refusal("postgresql://ann:s3cret%40@127.0.0.1:1/runs")
    assert "The store in schema 'milepost' of database 'runs' on 127.0.0.1 could not be opened: " in said
    assert "refused" in said
    assert "s3cret" not in said


async def test_a_server_that_does_not_answer_is_told_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        begun = time.monotonic()
        said = await refusal(f"postgresql://ann:s3cret@127.0.0.1:{port}/runs?connect_timeout=2")
    assert time.monotonic() - begun < 8
    assert "could not be opened: " in said
    assert "timeout" in said
    assert "s3cret" not in said


async def test_a_closed_store_says_so(schema: Schema) -> None:
    store = store_in(schema)
    async with opened(store):
        await begin(store)
    await store.close()
    uses: list[Callable[[], Awaitable[object]]] = [
        store.rows,
        lambda: store.acquire("run"),
        lambda: store.create(new_run("new"), entry("new", 1)),
        lambda: store.release("run", 1),
        lambda: append(store, entry("run", 2)),
        lambda: store.post(message("run", "a")),
        lambda: store.news(0),
    ]
    for use in uses:
        with pytest.raises(StoreError, match=r"The store in schema 'test_.*' of .* is not open\."):
            await use()


async def test_a_store_can_be_opened_again(schema: Schema) -> None:
    store = store_in(schema)
    for number in range(2):
        async with opened(store):
            await begin(store, f"run {number}")
    assert schema.execute("SELECT count(*) FROM owners") == [(0,)]


async def test_releasing_a_run_that_is_not_owned_changes_nothing(schema: Schema) -> None:
    async with opened(store_in(schema)) as store, opened(store_in(schema)) as other:
        await begin(store)
        await other.release("run", 1)
        await other.release("run", 7)
        row = await store.row("run")
        assert row is not None
        assert row.owner is not None


async def test_more_readers_than_connections_take_turns(schema: Schema) -> None:
    met: list[int] = []
    async with opened(store_in(schema, connections=1)) as store:
        await begin(store, length=3)

        async def read() -> None:
            met.append(len(await store.records("run")))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(read)
    assert met == [3] * 20


async def test_a_read_that_is_cancelled_costs_nothing(schema: Schema) -> None:
    async with opened(store_in(schema, connections=1)) as store:
        await begin(store)
        with schema.locked("runs"), anyio.move_on_after(0) as scope:
            await store.row("run")
        assert scope.cancelled_caught
        assert await store.row("run") is not None
