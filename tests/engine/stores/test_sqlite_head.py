"""The row of a run that goes on running is left as it is: where the run stands is read from its newest record."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from milepost.engine.errors import CrashLoop, DamagedStore, LeaseLost, StoreError
from milepost.engine.stores import sqlite_journal as journal
from milepost.engine.stores import sqlite_records as records
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.sqlite_batch import Batches, Work
from milepost.engine.stores.sqlite_checks import mark_of
from milepost.engine.stores.sqlite_file import Durability, connect
from milepost.engine.stores.sqlite_rows import LAST_SEQ
from milepost.engine.stores.store import CacheEntry, RunRow, Store, StoredRecord, WholeRun
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import Answers, append, begin, entry, message, new_run
from tests.engine.stores.places import in_file
from tests.engine.stores.test_sqlite import DURABILITIES, execute

pytestmark = pytest.mark.anyio

ROW = "What the store holds of run 'run' is damaged: it does not match its checksum"
WORDS = "run 'run' is damaged: it does not match its checksum"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
async def killed(path: Path) -> Path:
    """A store with a run whose process was killed: its row names the second record of five."""
    world = in_file(path, "process")
    async with world.open() as store:
        await begin(store)
        await append(store, entry("run", 2, at=1002.0, snapshot="{}"))
        await append(store, *(entry("run", seq, at=1000.0 + seq) for seq in (3, 4, 5)))
        world.kill()
        execute(path, "UPDATE runs SET owner='a ghost', lock_file=NULL")  # so that closing gives nothing up
    return path


def named(path: Path) -> list[tuple[object, ...]]:
    """Which record the row of the run names."""
    return execute(path, "SELECT seq, hash, updated FROM runs WHERE run_id='run'")


def owner_of(path: Path) -> str:
    """Who owned the run first."""
    ((owner,),) = execute(path, "SELECT owner FROM openings WHERE run_id='run' AND epoch=1")
    return str(owner)


async def row_in(store: Store) -> RunRow:
    row = await store.row("run")
    assert row is not None
    return row


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_only_what_changes_in_the_row_of_a_run_is_written(path: Path, durability: Durability) -> None:
    async with opened(SqliteStore(path, durability=durability)) as store:
        await begin(store)
        await append(store, entry("run", 2), entry("run", 3))
        assert named(path) == [(1, "hash 1", 1000.0)]
        assert (await row_in(store)).seq == 3
        await store.post(message("run", "m"))
        await append(store, entry("run", 4, taken=("m",), cache=CacheEntry("k", "1")))
        assert named(path) == [(1, "hash 1", 1000.0)]
        assert await store.cached("k", 0.0) == "1"
        assert list(await store.inbox("run")) == []
        await append(store, entry("run", 5, at=1005.0, snapshot="{}"))
        assert named(path) == [(5, "hash 5", 1005.0)]
        await append(store, entry("run", 6), entry("run", 7, status="waiting", due=3.5))
        assert named(path) == [(7, "hash 7", 1000.0)]
        await append(store, entry("run", 8))
        assert named(path) == [(8, "hash 8", 1000.0)], "it waits no more"
        await store.define("f2", "{}")
        await append(store, entry("run", 9), entry("run", 10, fingerprint="f2"))
        assert named(path) == [(10, "hash 10", 1000.0)]
        await append(store, entry("run", 11), entry("run", 12, error="no"))
        assert named(path) == [(12, "hash 12", 1000.0)]
        row = await row_in(store)
        assert (row.seq, row.snapshot_seq, row.fingerprint, row.due, row.error) == (12, 5, "f2", None, "no")


async def test_the_row_of_a_run_that_is_let_go_names_its_newest_record(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store, length=3)
        await store.release("run", 1)
        assert named(path)[0][0] == 3
        await store.acquire("run")
        await append(store, entry("run", 4, epoch=2))
        assert named(path)[0][0] == 3
    assert named(path)[0][0] == 4, "closing a store lets go of all runs"


async def test_a_run_whose_id_is_taken_leaves_nothing_behind(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        other = replace(new_run("run", tags=("a",)), fingerprint="f9", definition="[]")
        assert not await store.create(other, entry("run", 1, cache=CacheEntry("k", "1")))
        assert await store.definition("f9") is None
        assert await store.cached("k", 0.0) is None
        assert list(await store.rows(tag="a")) == []


async def test_letting_go_of_a_run_looks_at_no_other_run(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        connection = connect(path, "process")
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        journal.release(connection, journal.Owner("somebody else", path, 1.0), ["run"], 1)
        (asked,) = [each for each in statements if each.startswith("SELECT")]
        connection.set_trace_callback(None)
        plan = connection.execute(f"EXPLAIN QUERY PLAN {asked}").fetchall()
        connection.close()
        assert [line[3] for line in plan] == ["SEARCH runs USING INDEX sqlite_autoindex_runs_1 (run_id=?)"]
        assert execute(path, "SELECT owner IS NULL FROM runs") == [(0,)]


async def test_a_record_that_only_follows_is_one_statement(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        connection = connect(path, "process")
        heads: records.Heads = {}
        cursor = connection.cursor()
        owner = owner_of(path)
        assert records.append(cursor, heads, owner, entry("run", 2))
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        assert records.append(cursor, heads, owner, entry("run", 3))
        connection.close()
        assert [statement.split()[0] for statement in statements] == ["INSERT"]


async def test_where_a_killed_run_stands_is_told_wherever_it_is_read(killed: Path) -> None:
    assert named(killed)[0][0] == 2
    async with opened(SqliteStore(killed)) as store:
        rows = [
            await row_in(store),
            *await store.rows(),
            *await store.rows(limit=9),
            *await store.rows(status="running"),
        ]
        rows += await store.ready(0.0, ["claims"], limit=9)
        assert [(row.seq, row.hash, row.updated, row.snapshot_seq) for row in rows] == [(5, "hash 5", 1005.0, 2)] * 5
        assert (await store.weigh(["run"])).records == 5
        assert named(killed)[0][0] == 2, "looking changes nothing"
        row = await store.acquire("run")
        assert (row.seq, row.hash, row.updated, row.epoch) == (5, "hash 5", 1005.0, 2)
        assert row == await row_in(store)
        assert named(killed) == [(5, "hash 5", 1005.0)]
        await append(store, entry("run", 6, epoch=2))


async def test_killed_runs_are_ready_in_the_order_of_their_newest_records(killed: Path) -> None:
    async with opened(SqliteStore(killed)) as store:
        await store.create(new_run("later"), entry("later", 1, at=1003.0))
        await store.release("later", 1)
        found = await store.ready(0.0, ["claims"], limit=9)
        assert [(row.run_id, row.updated) for row in found] == [("later", 1003.0), ("run", 1005.0)]


async def test_a_killed_run_is_removed_only_by_who_knows_its_newest_record(killed: Path) -> None:
    async with opened(SqliteStore(killed)) as store:
        (row,) = await store.rows()
        await append_behind(killed, 6)
        assert not await store.delete([row])
        assert await store.delete(list(await store.rows()))
        assert execute(killed, "SELECT count(*) FROM records") == [(0,)]


async def append_behind(path: Path, seq: int) -> None:
    """Let the killed process come back for one more record."""
    connection = connect(path, "process")
    assert records.append(connection.cursor(), {}, owner_of(path), entry("run", seq))
    connection.close()


async def test_removing_a_run_leaves_the_records_of_its_neighbours(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        for run_id in ("a", "run", "z"):
            await begin(store, run_id, length=3)
            await store.release(run_id, 1)
        assert await store.delete([await row_in(store)])
        for run_id in ("a", "z"):
            assert [record.seq for record in await store.records(run_id)] == [1, 2, 3]


async def test_a_killed_run_is_rewritten_at_its_newest_record(killed: Path) -> None:
    async with opened(SqliteStore(killed)) as store:
        (row,) = await store.rows()
        other = [record._replace(hash=f"other {record.seq}") for record in await store.records("run")]
        whole = WholeRun(row=replace(row, hash="other 5"), definition="", records=other, openings=(), messages=())
        assert await store.rewrite(whole)
        assert (await row_in(store)).hash == "other 5"
        assert named(killed) == [(5, "other 5", 1005.0)]


async def test_a_row_that_was_written_apart_from_its_record_is_set_right_by_the_next_owner(path: Path) -> None:
    """As by an Encrypted store, which encrypts a hash anew wherever it stands."""
    async with opened(SqliteStore(path)) as store:
        await begin(store, length=2)
        await store.release("run", 1)
        whole = WholeRun(
            row=replace(await row_in(store), hash="hash 2, encrypted twice"),
            definition="",
            records=list(await store.records("run")),
            openings=(),
            messages=(),
        )
        assert await store.rewrite(whole)
        assert (await row_in(store)).hash == "hash 2, encrypted twice"
        assert (await store.acquire("run")).hash == "hash 2"
        await append(store, entry("run", 3, epoch=2))
        assert (await row_in(store)).seq == 3


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE runs SET hash='hash 3'",
        "UPDATE runs SET seq=3",
        "UPDATE runs SET updated=1003.0",
        "UPDATE runs SET mark='2:1'",
        "UPDATE runs SET mark=NULL, hash='hash 3'",
        "UPDATE runs SET owner=NULL",
        "UPDATE records SET at=1004.0 WHERE place=(1 << 32 | 5)",
        "UPDATE records SET hash='hash 4' WHERE place=(1 << 32 | 5)",
        "UPDATE records SET at='soon' WHERE place=(1 << 32 | 5)",
        "UPDATE records SET place=(1 << 32 | 6) WHERE place=(1 << 32 | 5)",
        "UPDATE records SET hash='hash 3' WHERE place=(1 << 32 | 2)",
        "DELETE FROM records WHERE place=(1 << 32 | 2)",
        "DELETE FROM records WHERE place>(1 << 32 | 1)",
        "DELETE FROM records",
    ],
)
async def test_damage_to_what_says_where_a_killed_run_stands_is_told(killed: Path, change: str) -> None:
    execute(killed, change)
    async with opened(SqliteStore(killed)) as store:
        for reads in (store.row("run"), store.rows(), store.acquire("run"), store.ready(0.0, ["claims"], limit=9)):
            with pytest.raises(DamagedStore, match=WORDS):
                await reads


async def test_a_killed_run_that_is_said_to_wait_is_damaged(killed: Path) -> None:
    execute(killed, "UPDATE runs SET status='waiting'")
    async with opened(SqliteStore(killed)) as store:
        for reads in (store.row("run"), store.rows(), store.acquire("run")):
            with pytest.raises(DamagedStore, match=ROW):
                await reads


async def test_of_a_killed_run_the_row_is_only_a_lower_bound(killed: Path) -> None:
    execute(killed, "DELETE FROM records WHERE place=(1 << 32 | 5)")
    async with opened(SqliteStore(killed)) as store:
        assert (await row_in(store)).seq == 4, "that there was a fifth record, nothing else tells"


async def test_a_damaged_row_is_let_go_as_it_is(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store, length=2)
        execute(path, "UPDATE runs SET mark='1:1'")
        await store.release("run", 1)
        assert execute(path, "SELECT owner, seq FROM runs") == [(None, 1)]


@pytest.mark.parametrize("durability", DURABILITIES)
@pytest.mark.parametrize("seq", [1, 2, 3, 5, 6])
async def test_a_gap_and_a_repeat_are_refused(path: Path, durability: Durability, seq: int) -> None:
    async with opened(SqliteStore(path, durability=durability)) as store:
        await begin(store, length=3)
        for alone in (True, False):
            wrong = entry("run", seq, body='"wrong"')._replace(alone=alone)
            with pytest.raises(LeaseLost):
                await append(store, wrong)
        assert [record.body for record in await store.records("run")] == ["{}"] * 3
        await append(store, entry("run", 4))


def unheard(_: BaseException | None) -> None:
    """Hear what is acknowledged, and do nothing about it."""


async def test_of_entries_that_are_committed_together_a_gap_is_refused_and_what_follows_it(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        for run_id in ("run", "other"):
            await begin(store, run_id)
        connection = connect(path, "process")
        entries = [entry(run_id, seq) for seq in (2, 4, 5, 3) for run_id in ("run", "other")]
        works = [Work(each, unheard) for each in entries]
        for heads in ({}, {"run": records.Head(1, 1, 1), "other": records.Head(2, 1, 1)}):
            before = execute(path, "SELECT count(*) FROM records")
            answers = Batches(path, owner_of(path), heads).carry_out(connection.cursor(), works)
            assert [answer is None for answer in answers] == [True, True, *[False] * 4, True, True]
            assert {type(answer) for answer in answers} == {type(None), LeaseLost}
            assert {run_id: head.seq for run_id, head in heads.items()} == {"run": 3, "other": 3}
            assert execute(path, "SELECT count(*) FROM records") == [(before[0][0] + 4,)]  # type: ignore[operator]
            execute(path, "DELETE FROM records WHERE place & 4294967295 > 1")
        connection.close()


@pytest.mark.parametrize("together", [["run"], ["run", "other"]])
async def test_what_is_known_of_a_run_is_forgotten_when_a_commit_fails(path: Path, together: list[str]) -> None:
    async with opened(SqliteStore(path)) as store:
        for run_id in ("run", "other"):
            await begin(store, run_id)
        connection = connect(path, "process")
        heads = {"run": records.Head(1, 1, 1), "other": records.Head(2, 1, 1)}
        execute(path, "CREATE TRIGGER full BEFORE INSERT ON records BEGIN SELECT raise(ABORT, 'no room'); END")
        works = [Work(entry(run_id, 2), unheard) for run_id in together]
        answers = Batches(path, owner_of(path), heads).carry_out(connection.cursor(), works)
        assert [str(answer) for answer in answers] == [f"The store {path} could not be written: no room."] * len(works)
        assert heads == {}
        assert not connection.in_transaction
        connection.close()


async def test_an_owner_who_lost_its_run_while_it_knew_where_it_stood_is_refused(path: Path) -> None:
    answers = Answers()
    async with opened(SqliteStore(path, durability="process")) as old, opened(SqliteStore(path)) as heir:
        await begin(old, length=3)
        execute(path, "UPDATE runs SET lease_until=0")
        assert (await heir.acquire("run")).seq == 3
        old.append(entry("run", 4), answers.expect(4))
        ((_, error),) = await answers.all()
        assert isinstance(error, LeaseLost)
        await append(heir, entry("run", 4, epoch=2))


@pytest.mark.parametrize("durability", DURABILITIES)
@pytest.mark.parametrize("length", [1, 3])
async def test_an_owner_whose_run_was_removed_writes_nothing_to_another_run_of_its_id(
    path: Path, durability: Durability, length: int
) -> None:
    """As of a laptop that slept while somebody removed the run and began it again, as far, and let it go."""
    async with opened(SqliteStore(path, durability=durability)) as old, opened(SqliteStore(path)) as other:
        await begin(old, length=length)
        execute(path, "UPDATE runs SET lease_until=0")
        assert await other.delete([await row_in(other)])
        await begin(other, length=length)
        for alone in (True, False):
            with pytest.raises(LeaseLost):
                await append(old, entry("run", length + 1)._replace(alone=alone))
            await other.release("run", 1)
        assert (await row_in(other)).seq == length


async def test_the_row_of_a_run_that_nobody_owns_follows_every_record(path: Path) -> None:
    """As of an owner who seemed dead, was let go by another process in a crash loop, and lives."""
    async with opened(SqliteStore(path, durability="process")) as store:
        await begin(store, length=3)
        with sqlite3.connect(path) as connection:
            mark = mark_of("run", 3, "hash 3", "running", 1000.0, None, None)
            connection.execute("UPDATE runs SET owner=NULL, lock_file=NULL, seq=3, hash='hash 3', mark=?", (mark,))
        connection.close()
        await append(store, entry("run", 4), entry("run", 5))
        assert (await row_in(store)).seq == 5
        assert named(path)[0][0] == 5


async def test_owners_since_the_newest_record_are_counted_although_no_record_says_so_in_the_row(path: Path) -> None:
    async def take_over(*, record: bool) -> None:
        execute(path, "UPDATE runs SET owner='a ghost', lock_file=NULL")
        row = await store.acquire("run")
        if record:
            await append(store, entry("run", row.seq + 1, epoch=row.epoch))

    async with opened(SqliteStore(path, max_takeovers=2)) as store:
        await begin(store)
        for _ in range(3):
            await take_over(record=False)
            await take_over(record=True)
        assert execute(path, "SELECT takeovers FROM runs") == [(2,)], "the row is of before the newest record"
        await take_over(record=False)
        assert execute(path, "SELECT takeovers FROM runs") == [(1,)]
        await take_over(record=False)
        with pytest.raises(CrashLoop, match="was taken over 2 times without a new checkpoint"):
            await take_over(record=False)
        assert execute(path, "SELECT owner, seq FROM runs") == [(None, 4)]
        assert (await row_in(store)).seq == 4


@pytest.mark.parametrize("way", ["let go", "rewritten"])
async def test_owners_before_a_record_are_not_counted_once_the_row_names_it(path: Path, way: str) -> None:
    async with opened(SqliteStore(path, max_takeovers=1)) as store:
        await begin(store)
        execute(path, "UPDATE runs SET owner='a ghost', lock_file=NULL")
        await store.acquire("run")
        await append(store, entry("run", 2, epoch=2))
        if way == "let go":
            await store.release("run", 2)
            await store.acquire("run")
        else:
            execute(path, "UPDATE runs SET owner='a ghost', lock_file=NULL")
            row = await row_in(store)
            whole = WholeRun(row=row, definition="", records=list(await store.records("run")), openings=(), messages=())
            assert await store.rewrite(whole)
        execute(path, "UPDATE runs SET owner='a ghost', lock_file=NULL")
        await store.acquire("run")
        assert execute(path, "SELECT takeovers FROM runs") == [(1,)]


async def test_a_run_inside_that_only_went_on_ends_a_crash_loop_of_the_outer_one(path: Path) -> None:
    clock = iter(range(1, 1000)).__next__
    async with opened(SqliteStore(path, max_takeovers=1, clock=lambda: float(clock()))) as store:
        await begin(store, "outer")
        await store.create(new_run("inner", parent=("outer", "t")), entry("inner", 1)._replace(at=0.0))
        for life in range(2, 6):
            execute(path, "UPDATE runs SET owner='a ghost', lock_file=NULL WHERE run_id='outer'")
            await store.acquire("outer")
            await append(store, entry("inner", life)._replace(at=float(clock())))
        assert execute(path, "SELECT updated FROM runs WHERE run_id='inner'") == [(0.0,)]


async def test_a_run_has_no_more_records_than_there_are_numbers_for(path: Path) -> None:
    async with opened(SqliteStore(path, durability="process")) as store:
        await begin(store)
        execute(path, f"UPDATE records SET place=(1 << 32 | {LAST_SEQ})")
        with pytest.raises(StoreError, match="could not be written: a run has at most 4294967295 checkpoints"):
            await append(store, entry("run", LAST_SEQ + 1))
        assert execute(path, "SELECT count(*) FROM records") == [(1,)]


async def test_records_of_numbers_that_no_run_has_are_not_found(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store, length=2)
        await begin(store, "next", length=2)
        for seq in (-1, 0, 3, LAST_SEQ, LAST_SEQ + 2):
            assert await store.record("run", seq) is None
        assert list(await store.records("run", after=LAST_SEQ + 1)) == []
        assert await store.snapshot_seq("run", LAST_SEQ + 1) == 0
        assert await store.record("run", 2) == StoredRecord(2, "{}", "[]", "hash 2", 1000.0, None)
