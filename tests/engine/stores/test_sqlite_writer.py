"""Where and when a SqliteStore commits: here or on the writer thread, alone or together."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
import threading
from collections.abc import Coroutine, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import anyio.lowlevel
import pytest

from milepost.engine.errors import LeaseLost, StoreError, UnknownRun
from milepost.engine.hop import find_hop
from milepost.engine.stores import sqlite_journal as journal
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.sqlite_batch import Answer, Batches, Work
from milepost.engine.stores.sqlite_commits import Commits
from milepost.engine.stores.sqlite_file import Durability, connect, failure
from milepost.engine.stores.sqlite_pace import Pace
from milepost.engine.stores.sqlite_records import Heads
from milepost.engine.stores.sqlite_writer import Writer
from milepost.engine.stores.store import Entry, NewRun, Store
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import Answers, append, begin, entry, new_run
from tests.engine.stores.test_sqlite import DURABILITIES, execute, room_for
from tests.loops import asyncio_only

T = TypeVar("T")

pytestmark = pytest.mark.anyio

ALWAYS_QUICK = -1000.0
"""What commits must have taken on average for the disk to count as quick, however slow the next one is."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


class Recorded:
    """A real writer on the file of a store; notes what it writes, and can be held up.

    batches: how many entries each transaction had. statements: those carried out.
    """

    def __init__(self, path: Path) -> None:
        self.batches: list[int] = []
        self.statements: list[str] = []
        self.gate = threading.Event()
        self.may_connect = True
        self._path = path
        self._heads: Heads = {}
        self.writer = Writer(
            connect=self._connect,
            carry_out=self._carry_out,
            renew=lambda _: None,
            fail=lambda error: failure(path, "written", error),
            hop=find_hop(),
            pause=10.0,
        )

    def hold_up(self, answers: Answers) -> None:
        """Keep the thread from going on until the gate is set."""

        def job(connection: sqlite3.Connection) -> None:
            self.gate.wait(60)

        self.writer.submit(Work(job, answers.expect("gate"), shares=False))

    def _connect(self) -> sqlite3.Connection:
        if not self.may_connect:
            raise sqlite3.OperationalError("no way in")
        connection = connect(self._path, "process")
        connection.set_trace_callback(self.statements.append)
        return connection

    def create(self, run: NewRun, answers: Answers) -> None:
        """Have a run created."""
        owner = journal.Owner("me", self._path.with_name("me.lock"), 30.0)

        def job(connection: sqlite3.Connection) -> None:
            journal.create(connection, self._heads, owner, run, entry(run.run_id, 1))

        self.writer.submit(Work(job, answers.expect(run.run_id)))

    def append(self, written: Entry, answers: Answers, name: object) -> None:
        """Have an entry committed."""
        self.writer.submit(Work(written, answers.expect(name)))

    def _carry_out(self, cursor: sqlite3.Cursor, works: Sequence[Work]) -> list[Answer]:
        found = cursor.execute("SELECT owner FROM openings").fetchone()  # whoever began the runs that are there
        answers = Batches(self._path, "me" if found is None else found[0], self._heads).carry_out(cursor, works)
        if works[0].shares:
            self.batches.append(len(works))
        return answers


async def test_entries_that_wait_share_one_transaction(path: Path) -> None:
    answers = Answers()
    async with opened(SqliteStore(path)) as store:
        for run_id in "abc":
            await begin(store, run_id)
        recorded = Recorded(path)
        recorded.hold_up(answers)
        names = [(run_id, seq) for seq in range(2, 12) for run_id in "abc"]
        for run_id, seq in names:
            recorded.append(entry(run_id, seq), answers, (run_id, seq))
        recorded.gate.set()
        assert await answers.all() == [("gate", None), *((name, None) for name in names)]
        assert recorded.batches == [30]
        assert recorded.writer.pending == 0
        assert [row.seq for row in await store.rows()] == [11, 11, 11]
        await recorded.writer.stop()


async def test_a_lost_lease_drops_only_its_own_run_from_a_shared_transaction(path: Path) -> None:
    answers = Answers()
    async with opened(SqliteStore(path)) as store:
        for run_id in "ab":
            await begin(store, run_id)
        await store.acquire("a")
        recorded = Recorded(path)
        recorded.hold_up(answers)
        for run_id, seq in (("a", 2), ("b", 2), ("a", 3), ("b", 3), ("gone", 2)):
            recorded.append(entry(run_id, seq), answers, (run_id, seq))
        recorded.gate.set()
        given = dict(await answers.all())
        assert {name for name, error in given.items() if isinstance(error, LeaseLost)} == {
            ("a", 2),
            ("a", 3),
            ("gone", 2),
        }
        assert given["b", 2] is None
        assert given["b", 3] is None
        await recorded.writer.stop()


async def test_a_value_that_cannot_be_written_drops_only_its_own_run_from_a_shared_transaction(path: Path) -> None:
    answers = Answers()
    async with opened(SqliteStore(path)) as store:
        for run_id in "abc":
            await begin(store, run_id)
        recorded = Recorded(path)
        recorded.hold_up(answers)
        for run_id, body in (("a", "{}"), ("b", "\ud800"), ("c", "{}")):
            recorded.append(entry(run_id, 2, body=body), answers, (run_id, 2))
            recorded.append(entry(run_id, 3), answers, (run_id, 3))
        recorded.gate.set()
        given = await answers.all()
        assert [name for name, _ in given] == ["gate", *((run_id, seq) for run_id in "abc" for seq in (2, 3))]
        assert [isinstance(error, StoreError) for _, error in given] == [False, False, False, True, True, False, False]
        assert {row.run_id: row.seq for row in await store.rows()} == {"a": 3, "b": 1, "c": 3}
        await recorded.writer.stop()


async def test_runs_that_are_created_at_once_share_one_transaction(path: Path) -> None:
    answers = Answers()
    async with opened(SqliteStore(path)) as store:
        recorded = Recorded(path)
        recorded.hold_up(answers)
        for run_id in "abcdefgh":
            recorded.create(new_run(run_id), answers)
        recorded.gate.set()
        assert await answers.all() == [(name, None) for name in ("gate", *"abcdefgh")]
        assert recorded.statements.count("COMMIT") == 1
        assert [row.run_id for row in await store.rows()] == list("abcdefgh")
        await recorded.writer.stop()


async def test_one_that_is_refused_is_left_out_of_a_shared_transaction(path: Path) -> None:
    answers = Answers()
    async with opened(SqliteStore(path)) as store:
        recorded = Recorded(path)
        recorded.hold_up(answers)
        for run in (new_run("a"), new_run("b", forked=("nobody", 1)), new_run("c")):
            recorded.create(run, answers)
        recorded.gate.set()
        given = dict(await answers.all())
        assert isinstance(given["b"], UnknownRun)
        assert (given["a"], given["c"]) == (None, None)
        assert recorded.statements.count("COMMIT") == 1
        assert [row.run_id for row in await store.rows()] == ["a", "c"]
        await recorded.writer.stop()


async def test_one_that_cannot_be_written_undoes_a_shared_transaction_and_the_others_are_made_apart(path: Path) -> None:
    answers = Answers()
    async with opened(SqliteStore(path)) as store:
        recorded = Recorded(path)
        recorded.hold_up(answers)
        for run in (new_run("a"), new_run("b", workflow="\ud800"), new_run("c")):
            recorded.create(run, answers)
        recorded.gate.set()
        given = dict(await answers.all())
        assert isinstance(given["b"], StoreError)
        assert (given["a"], given["c"]) == (None, None)
        assert recorded.statements.count("COMMIT") == 2
        assert [row.run_id for row in await store.rows()] == ["a", "c"]
        assert [opening.epoch for opening in await store.openings("a")] == [1]
        await recorded.writer.stop()


async def test_one_for_whom_sqlite_undoes_a_shared_transaction_itself_costs_the_others_nothing(path: Path) -> None:
    answers = Answers()
    async with opened(SqliteStore(path)) as store:
        execute(
            path,
            "CREATE TRIGGER no BEFORE INSERT ON runs WHEN new.run_id='b' BEGIN SELECT raise(ROLLBACK, 'no room'); END",
        )
        recorded = Recorded(path)
        recorded.hold_up(answers)
        for run_id in "abc":
            recorded.create(new_run(run_id), answers)
        recorded.gate.set()
        given = dict(await answers.all())
        assert str(given["b"]) == f"The store {path} could not be written: no room."
        assert (given["a"], given["c"]) == (None, None)
        assert [row.run_id for row in await store.rows()] == ["a", "c"]
        await recorded.writer.stop()


async def test_a_connection_that_fails_is_told_to_all_and_tried_again(path: Path) -> None:
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        recorded = Recorded(path)
        recorded.may_connect = False
        answers = Answers()
        recorded.append(entry("run", 2), answers, 2)
        ((_, error),) = await answers.all()
        assert str(error) == f"The store {path} could not be written: no way in."
        recorded.may_connect = True
        answers = Answers()
        recorded.append(entry("run", 2), answers, 2)
        assert await answers.all() == [(2, None)]
        await recorded.writer.stop()


async def test_very_many_entries_are_written_in_several_transactions(path: Path) -> None:
    answers = Answers()
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        recorded = Recorded(path)
        recorded.hold_up(answers)
        for seq in range(2, 1502):
            recorded.append(entry("run", seq), answers, seq)
        recorded.gate.set()
        assert [name for name, error in await answers.all() if error is None] == ["gate", *range(2, 1502)]
        assert sum(recorded.batches) == 1500
        assert len(recorded.batches) <= 3
        await recorded.writer.stop()


async def test_a_writer_that_never_wrote_stops(path: Path) -> None:
    async with opened(SqliteStore(path)):
        writer = Recorded(path).writer
        await writer.stop()
        writer.start()
        writer.start()
        await writer.stop()


@pytest.mark.parametrize("durability", ["process", "none"])
async def test_an_entry_of_one_of_a_few_runs_is_committed_before_append_returns(
    path: Path, durability: Durability
) -> None:
    answers = Answers()
    async with opened(SqliteStore(path, durability=durability)) as store:
        for run_id in "abcd":
            await begin(store, run_id)
        store.append(entry("a", 2)._replace(alone=True), answers.expect(2))
        assert answers.given == [(2, None)]
        await begin(store, "e")
        store.append(entry("a", 3)._replace(alone=True), answers.expect(3))
        store.append(entry("b", 2)._replace(alone=True), answers.expect("b"))
        assert answers.given == [(2, None)]
        with anyio.fail_after(10):
            while len(answers.given) < 3:
                await anyio.lowlevel.checkpoint()
        assert answers.given == [(2, None), (3, None), ("b", None)]


async def test_a_power_safe_entry_is_acknowledged_from_the_event_loop(path: Path) -> None:
    answers = Answers()
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        store.append(entry("run", 2), answers.expect(2))
        assert answers.given == []
        assert await answers.all() == [(2, None)]


async def test_a_power_safe_entry_that_is_alone_is_committed_before_append_returns(path: Path) -> None:
    answers = Answers()
    store = SqliteStore(path)
    async with opened(store):
        await begin(store)
        store.pace.average = ALWAYS_QUICK
        store.append(entry("run", 2)._replace(alone=True), answers.expect(2))
        assert answers.given == [(2, None)]
        assert execute(path, "SELECT max(seq) FROM journal") == [(2,)]


def at_once(work: Coroutine[object, None, T]) -> T:
    """Return what comes of something that waits for nothing."""
    with pytest.raises(StopIteration) as caught:
        work.send(None)
    found: T = caught.value.value
    return found


async def test_the_only_run_of_a_power_safe_store_is_begun_taken_up_and_let_go_without_another_thread(
    path: Path,
) -> None:
    store = SqliteStore(path)
    store.pace.average = ALWAYS_QUICK
    async with opened(store):
        assert at_once(store.create(new_run("run"), entry("run", 1)))
        at_once(store.release("run", 1))
        assert at_once(store.acquire("run")).epoch == 2


async def test_power_safe_runs_beside_others_are_begun_and_let_go_on_the_writer_thread(path: Path) -> None:
    done: list[str] = []

    async def live(run_id: str) -> None:
        assert await store.create(new_run(run_id), entry(run_id, 1))
        done.append(run_id)
        await store.release(run_id, 1)

    store = SqliteStore(path)
    async with opened(store), anyio.create_task_group() as tasks:
        await begin(store, "first")
        for run_id in ("second", "third"):
            tasks.start_soon(live, run_id)
        await anyio.lowlevel.checkpoint()
        assert done == []
    assert sorted(done) == ["second", "third"]


async def test_a_power_safe_run_is_begun_on_the_writer_thread_while_the_disk_is_slow(path: Path) -> None:
    done: list[str] = []

    async def begin_second() -> None:
        await begin(store, "second")
        done.append("second")

    store = SqliteStore(path)
    async with opened(store), anyio.create_task_group() as tasks:
        await begin(store, "first")
        await store.release("first", 1)
        for _ in range(5):
            store.pace.note(0.5)
        tasks.start_soon(begin_second)
        await anyio.lowlevel.checkpoint()
        assert done == []


async def test_power_safe_entries_of_several_runs_share_commits_although_each_is_alone_in_its_run(path: Path) -> None:
    answers = Answers()
    store = SqliteStore(path)
    async with opened(store):
        for run_id in "ab":
            await begin(store, run_id)
            store.append(entry(run_id, 2)._replace(alone=run_id == "b"), answers.expect(run_id))
        store.append(entry("b", 3)._replace(alone=True), answers.expect("b again"))
        assert [name for name, _ in answers.given] == ["a"], "committed as b was begun"
        await answers.all()
        await store.release("a", 1)
        store.pace.average = ALWAYS_QUICK
        store.append(entry("b", 4)._replace(alone=True), answers.expect("b alone"))
        assert answers.given[-1] == ("b alone", None)


async def commit(store: Store, run_id: str = "run", *, times: int) -> None:
    """Create a run and commit so many records of it, one at a time."""
    await begin(store, run_id)
    for seq in range(2, times + 1):
        await append(store, entry(run_id, seq))


async def log_of(store: SqliteStore) -> int:
    """How many bytes the log of a store has, when the writer thread has done what it was to do."""
    await store.sweep(None, dry_run=True)
    return size_of(Path(f"{store.path}-wal"))


def size_of(path: Path) -> int:
    """How many bytes a file has."""
    return path.stat().st_size


@pytest.mark.parametrize("alone", [True, False])
async def test_the_log_is_made_as_long_as_it_gets_after_many_power_safe_commits(path: Path, alone: bool) -> None:
    store = SqliteStore(path)
    async with opened(store):
        await begin(store)
        for seq in range(2, 100):
            await append(store, entry("run", seq)._replace(alone=alone))
        assert await log_of(store) < 2_000_000
        pages = execute(path, "PRAGMA page_count")
        for seq in range(100, 104):
            await append(store, entry("run", seq)._replace(alone=alone))
        long = await log_of(store)
        assert long > 4_000_000
        assert execute(path, "PRAGMA page_count") == pages
        assert execute(path, "SELECT count(*), max(seq) FROM journal") == [(103, 103)]
        assert execute(path, "PRAGMA integrity_check") == [("ok",)]
        for seq in range(104, 400):
            await append(store, entry("run", seq)._replace(alone=alone))
        assert await log_of(store) == long, "it is written over"
    assert execute(path, "SELECT count(*), max(seq) FROM journal") == [(399, 399)]
    assert execute(path, "SELECT count(*) FROM records") == [(399,)]


async def test_what_is_committed_together_is_one_commit_to_the_log(path: Path) -> None:
    store = SqliteStore(path)
    async with opened(store):
        for run_id in "abc":
            await begin(store, run_id)
        for seq in range(2, 52):
            answers = Answers()
            for run_id in "abc":
                store.append(entry(run_id, seq), answers.expect(run_id))
            await answers.all()
        assert await log_of(store) < 2_000_000


async def test_a_log_that_is_long_is_not_made_longer(path: Path) -> None:
    store = SqliteStore(path)
    async with opened(store), opened(SqliteStore(path)) as other:
        await commit(store, times=110)
        long = await log_of(store)
        await commit(other, "other", times=110)
        assert await log_of(store) == long > 4_000_000


@pytest.mark.parametrize("durability", ["process", "none"])
async def test_the_log_of_commits_that_wait_for_no_disk_is_left_as_it_is(path: Path, durability: Durability) -> None:
    store = SqliteStore(path, durability=durability)
    async with opened(store):
        await commit(store, times=150)
        assert await log_of(store) < 2_000_000


async def test_a_log_that_cannot_be_made_long_costs_nothing(path: Path) -> None:
    store = SqliteStore(path)
    async with opened(store):
        await commit(store, times=90)
        with room_for(1_000_000, Path(f"{path}-wal")):
            for seq in range(91, 150):
                await append(store, entry("run", seq))
            assert await log_of(store) < 2_000_000
        assert len(await store.records("run")) == 149
        assert list(await store.check()) == []


async def test_what_made_the_log_long_is_not_found_after_a_crash(path: Path, tmp_path: Path) -> None:
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    store = SqliteStore(path)
    async with opened(store):
        await commit(store, times=120)
        assert await log_of(store) > 4_000_000
        for each in path.parent.glob("runs.db*"):
            shutil.copy(each, crashed)
    assert size_of(Path(f"{crashed / path.name}-wal")) > 4_000_000
    assert execute(crashed / path.name, "SELECT count(*), max(place) - (1 << 32) FROM records") == [(120, 120)]
    assert execute(crashed / path.name, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_the_log_is_moved_into_the_database_before_a_commit_would_have_to(
    path: Path, durability: Durability
) -> None:
    store = SqliteStore(path, durability=durability)
    async with opened(store):
        await begin(store)
        small = size_of(path)
        for seq in range(2, 42):
            await append(store, entry("run", seq, body=f'"{"x" * 40_000}"'))
        assert await log_of(store) > 1_600_000
        assert size_of(path) == small
        for seq in range(42, 77):  # some 10 pages each: fewer than those after which SQLite does it itself
            await append(store, entry("run", seq, body=f'"{"x" * 40_000}"'))
        assert await log_of(store) > 3_000_000
        assert size_of(path) > 2_800_000
        assert list(await store.check()) == []


async def test_a_power_safe_entry_that_is_alone_comes_after_what_was_handed_over(path: Path) -> None:
    answers = Answers()
    async with opened(SqliteStore(path)) as store:
        await begin(store)
        store.append(entry("run", 2), answers.expect(2))
        store.append(entry("run", 3)._replace(alone=True), answers.expect(3))
        assert answers.given == []
        assert await answers.all() == [(2, None), (3, None)]


async def test_the_event_loop_waits_for_no_slow_disk_and_does_so_again_when_it_is_quick(path: Path) -> None:
    store = SqliteStore(path)
    async with opened(store):
        await begin(store)
        for seq, seconds, at_once in ((2, 0.5, False), (3, 0.0001, True)):
            for _ in range(80):
                store.pace.note(seconds)  # what commits have taken
            answers = Answers()
            store.append(entry("run", seq)._replace(alone=True), answers.expect(seq))
            assert (answers.given == [(seq, None)]) == at_once
            assert await answers.all() == [(seq, None)]


@pytest.mark.parametrize("alone", [True, False])
async def test_a_slow_commit_that_the_event_loop_waited_for_has_the_next_one_made_elsewhere(
    path: Path, alone: bool
) -> None:
    answers = Answers()
    store = SqliteStore(path)
    async with opened(store):
        await begin(store)
        store.pace.average = 0.0  # whatever this disk takes
        make_slow(path)
        await append(store, entry("run", 2)._replace(alone=alone))
        assert not store.pace.is_quick()
        store.append(entry("run", 3)._replace(alone=True), answers.expect(3))
        assert answers.given == []
        assert await answers.all() == [(3, None)]


async def test_one_commit_in_a_hundred_finds_out_whether_the_disk_is_quick_again(path: Path) -> None:
    store = SqliteStore(path)
    async with opened(store):
        await commit(store, times=110)
        await log_of(store)  # nobody else writes any more
        store.pace.average = 0.0  # whatever this disk takes
        assert store.pace.is_quick()
        before = store.pace.average = 10.0
        for seq in range(111, 210):
            await append(store, entry("run", seq)._replace(alone=True))
        assert store.pace.average == before
        await append(store, entry("run", 210)._replace(alone=True))
        assert store.pace.average < before


def make_slow(path: Path) -> None:
    """Let a record take tens of milliseconds from now on."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE work (n)")
        connection.execute(
            "CREATE TRIGGER slow BEFORE INSERT ON records BEGIN INSERT INTO work WITH RECURSIVE counted (n) AS "
            "(SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 500000) SELECT max(n) FROM counted; END"
        )


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_what_is_to_be_committed_in_one_turn_of_the_event_loop_is_committed_together(
    path: Path, durability: Durability
) -> None:
    answers = Answers()
    async with opened(SqliteStore(path, durability=durability)) as store:
        for run_id in "abc":
            await begin(store, run_id)
        await store.release("c", 1)
        for seq in (2, 3):
            for run_id in "ab":
                store.append(entry(run_id, seq), answers.expect((run_id, seq)))
        assert answers.given == []
        assert execute(path, "SELECT count(*) FROM records") == [(3,)]
        with anyio.fail_after(10):
            while len(answers.given) < 4:
                await anyio.lowlevel.checkpoint()
        assert answers.given == [((run_id, seq), None) for seq in (2, 3) for run_id in "ab"]


async def test_very_much_that_is_to_be_committed_in_one_turn_is_not_all_gathered(path: Path) -> None:
    answers = Answers()
    store = SqliteStore(path)
    async with opened(store):
        await commit(store, times=110)
        await log_of(store)  # nobody else writes any more
        store.pace.average = ALWAYS_QUICK
        for seq in range(111, 311):
            store.append(entry("run", seq), answers.expect(seq))
        assert len(answers.given) == 200
        store.append(entry("run", 311), answers.expect(311))
        assert len(answers.given) == 200
        with anyio.fail_after(10):
            while len(answers.given) < 201:
                await anyio.lowlevel.checkpoint()
        assert answers.given == [(seq, None) for seq in range(111, 312)]


async def test_what_is_appended_while_others_are_told_is_told_after_them(path: Path) -> None:
    answers = Answers()
    store = SqliteStore(path)
    async with opened(store):
        await begin(store)
        store.pace.average = ALWAYS_QUICK
        told, then = answers.expect(2), answers.expect(4)

        def go_on(error: BaseException | None) -> None:
            told(error)
            store.append(entry("run", 4)._replace(alone=True), then)

        store.append(entry("run", 2), go_on)
        store.append(entry("run", 3), answers.expect(3))
        assert await answers.all() == [(2, None), (3, None), (4, None)]


async def test_very_much_that_is_appended_while_others_are_told_is_told_after_them(path: Path) -> None:
    answers = Answers()
    store = SqliteStore(path)
    async with opened(store):
        await begin(store)
        store.pace.average = ALWAYS_QUICK
        told, last = answers.expect(2), [answers.expect(seq) for seq in range(4, 304)]

        def go_on(error: BaseException | None) -> None:
            told(error)
            for seq, then in enumerate(last, 4):
                store.append(entry("run", seq), then)

        store.append(entry("run", 2), go_on)
        store.append(entry("run", 3), answers.expect(3))
        assert await answers.all() == [(seq, None) for seq in range(2, 304)]


async def test_what_was_gathered_with_something_that_cannot_be_written_waits_for_a_lock_that_comes_meanwhile(
    path: Path,
) -> None:
    answers, is_locked, pace = Answers(), threading.Event(), Pace()
    pace.average = ALWAYS_QUICK

    def fail(connection: sqlite3.Connection) -> None:
        if not connection.in_transaction:  # alone, as the others have to be written, too
            other.execute("BEGIN IMMEDIATE")
            is_locked.set()
        raise ValueError("it cannot be written")

    async def first() -> None:
        commits.put(entry("a", 2), answers.expect("a"), is_alone=False)
        with pytest.raises(StoreError, match="it cannot be written"):
            await commits.call(fail)

    async def second() -> None:
        commits.put(entry("b", 2), answers.expect("b"), is_alone=False)

    async with opened(SqliteStore(path)) as store:
        for run_id in "ab":
            await begin(store, run_id)
        ((owner,),) = execute(path, "SELECT DISTINCT owner FROM openings")
        commits = Commits(path, "power", str(owner), lambda _: None, pause=10.0, pace=pace)
        commits.start()
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(first)
                tasks.start_soon(second)
                while not is_locked.is_set():
                    await anyio.lowlevel.checkpoint()
                other.execute("COMMIT")
            assert dict(await answers.all()) == {"a": None, "b": None}
        await commits.stop()
        assert [row.seq for row in await store.rows()] == [2, 2]


async def test_what_was_gathered_is_committed_before_the_store_is_closed(path: Path) -> None:
    answers = Answers()
    store = SqliteStore(path)
    async with opened(store):
        await begin(store)
        store.append(entry("run", 2), answers.expect(2))
    assert answers.given == [(2, None)]
    assert execute(path, "SELECT max(seq) FROM journal") == [(2,)]


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_a_lock_held_elsewhere_does_not_stop_the_event_loop(path: Path, durability: Durability) -> None:
    answers = Answers()
    async with opened(SqliteStore(path, durability=durability)) as store:
        await begin(store)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for seq in range(2, 10):
                store.append(entry("run", seq), answers.expect(seq))
            await anyio.lowlevel.checkpoint()
            assert answers.given == []
            other.execute("COMMIT")
            store.append(entry("run", 10), answers.expect(10))
        assert await answers.all() == [(seq, None) for seq in range(2, 11)]


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_runs_are_created_and_released_while_a_lock_is_held_elsewhere(path: Path, durability: Durability) -> None:
    async with opened(SqliteStore(path, durability=durability)) as store, anyio.create_task_group() as tasks:
        await begin(store, "first")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            tasks.start_soon(begin, store, "second")
            tasks.start_soon(store.release, "first", 1)
            await anyio.wait_all_tasks_blocked()
            assert len(await store.rows()) == 1
            other.execute("COMMIT")
    assert execute(path, "SELECT run_id FROM runs ORDER BY run_id") == [("first",), ("second",)]


async def test_a_renewal_that_fails_is_tried_again(path: Path) -> None:
    async with opened(SqliteStore(path, ttl=0.03)) as store:
        await begin(store)
        execute(path, "CREATE TABLE tries (n)")
        execute(path, "UPDATE runs SET lease_until = 0")
        execute(
            path,
            "CREATE TRIGGER no BEFORE UPDATE OF lease_until ON runs WHEN new.lease_until > 0 "
            "BEGIN SELECT raise(ABORT, 'not now'); END",
        )
        await append(store, entry("run", 2))
        execute(path, "DROP TRIGGER no")
        while execute(path, "SELECT lease_until FROM runs") == [(0.0,)]:
            await anyio.lowlevel.checkpoint()


def writer_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "milepost-sqlite-writer"]


@pytest.mark.parametrize("ttl", [30.0, 0.03])
def test_an_event_loop_that_ends_early_ends_the_thread(path: Path, ttl: float) -> None:
    store = SqliteStore(path, ttl=ttl)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:

        async def leave() -> None:
            await store.open()
            await begin(store)
            if ttl > 1:
                other.execute("BEGIN IMMEDIATE")
                store.append(entry("run", 2), lambda _: pytest.fail("there is no loop to call this on"))

        asyncio.run(leave())
        (thread,) = writer_threads()
        if ttl > 1:
            other.execute("COMMIT")
        thread.join(30)
        assert not thread.is_alive()
    assert execute(path, "SELECT max(seq) FROM journal") == [(2 if ttl > 1 else 1,)]


@asyncio_only
async def test_a_store_works_where_trio_was_never_imported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "trio", raising=False)
    async with opened(SqliteStore(path)) as store:
        await begin(store, length=3)


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_whoever_appends_while_the_store_closes_is_told(path: Path, durability: Durability) -> None:
    answers = Answers()
    store = SqliteStore(path, durability=durability)
    await store.open()
    await begin(store)
    await store.release("run", 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        last = answers.expect(3)
        store.append(entry("run", 2), lambda _: store.append(entry("run", 3), last))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.close)
            await anyio.wait_all_tasks_blocked()
            other.execute("COMMIT")
    ((_, error),) = await answers.all()
    assert str(error) == f"The store {path} is not open."
    assert execute(path, "SELECT max(seq) FROM journal") == [(2,)]


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize("durability", DURABILITIES)
async def test_a_store_works_on_either_event_loop(anyio_backend: str, path: Path, durability: Durability) -> None:
    async with opened(SqliteStore(path, durability=durability)) as store:
        await begin(store, length=30)
        await store.release("run", 1)
        assert (await store.acquire("run")).seq == 30
