"""What a SqliteStore says is committed is in its file, and nothing else, whatever comes between: in the order given."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from milepost.engine.errors import MilepostError
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.sqlite_file import Durability
from milepost.testing.contract.writing import entry, message, new_run
from tests.loops import LOOPS

QUICK: Final = -1000.0
"""What commits must have taken on average for the disk to count as quick, however slow the next one is."""
FAULTS: Final = {  # what a record meets of which the body says so
    "abort": "SELECT raise(ABORT, 'no room')",
    "rollback": "SELECT raise(ROLLBACK, 'no room at all')",
    "disk": "SELECT json('{')",  # sqlite3.OperationalError, as of a disk that fails: it concerns all that is gathered
}


@dataclass(frozen=True)
class Append:
    """A record more of a run. again: then so many more that are alone, each when the one before it is acknowledged."""

    run: str
    body: str
    alone: bool
    again: int
    skip: int


@dataclass(frozen=True)
class Do:
    """Anything else that is done with a store, or to it."""

    what: str
    run: str


APPENDS: Final = st.builds(
    Append,
    run=st.sampled_from("aab"),
    body=st.sampled_from(["{}"] * 12 + [f'"{fault}"' for fault in FAULTS] + ["\ud800"]),
    alone=st.sampled_from([False, False, True]),
    again=st.integers(0, 2),
    skip=st.sampled_from([0] * 9 + [1, 2, 3]),
)
CALLS: Final = st.builds(
    Do, st.sampled_from(["create", "acquire", "release", "post", "sweep"]), st.sampled_from(["a", "b", "c"])
)
OTHERS: Final = st.builds(
    Do, st.sampled_from(["steal", "lock", "unlock", "turn", "turn", "settle", "slow"]), st.sampled_from(["a", "b"])
)
DEEDS: Final = st.lists(st.one_of(APPENDS, APPENDS, APPENDS, CALLS, OTHERS), min_size=3, max_size=30)


@dataclass
class Story:
    """Has deeds done in a store. Everything that is to be written has a number, which stands in the record.

    appended, answered: what was appended, and acknowledged, each in its order. kept: what is said to be committed.
    epochs, newest: of each run, as whoever drives it believes. locker: somebody else who uses the file.
    """

    store: SqliteStore
    locker: sqlite3.Connection
    appended: list[int] = field(default_factory=list[int])
    answered: list[int] = field(default_factory=list[int])
    kept: set[int] = field(default_factory=set[int])
    epochs: dict[str, int] = field(default_factory=dict[str, int])
    newest: dict[str, int] = field(default_factory=dict[str, int])
    count: int = 0
    under_way: int = 0

    async def do(self, deed: Append | Do, tasks: TaskGroup) -> None:
        if isinstance(deed, Append):
            self.append(deed, deed.again)
            return
        calls = {
            "create": self.create,
            "acquire": self.acquire,
            "release": self.release,
            "post": self.post,
            "sweep": self.sweep,
        }
        if deed.what in calls:
            self.under_way += 1
            tasks.start_soon(self.call, calls[deed.what], deed.run)
        elif deed.what == "turn":
            await checkpoint()
        elif deed.what == "settle":
            await self.settle()
        elif deed.what == "slow":
            self.store.pace.average *= -1
        elif deed.what == "unlock":
            self.unlock()
        elif not self.locker.in_transaction:
            self.locker.execute("BEGIN IMMEDIATE")
            if deed.what == "steal":
                self.locker.execute(
                    "UPDATE runs SET owner='thief', lock_file=NULL, epoch=epoch+1 WHERE run_id=?", (deed.run,)
                )
                self.locker.execute("COMMIT")

    def number(self) -> int:
        self.count += 1
        return self.count

    def append(self, deed: Append, again: int) -> None:
        """Append a record, and others when it is acknowledged. again: how many."""
        number, seq = self.number(), self.newest.get(deed.run, 0) + 1 + deed.skip
        if not deed.skip:
            self.newest[deed.run] = seq

        def acknowledge(error: BaseException | None) -> None:
            if str(error).endswith("is not open."):
                self.appended.remove(number)  # it is closed meanwhile, which is said at once
                return
            self.answered.append(number)
            if error is not None:
                self.newest[deed.run] = min(self.newest.get(deed.run, 0), seq - 1)  # who goes on there next time
                return
            self.kept.add(number)
            if again:
                self.append(deed, again - 1)

        self.appended.append(number)
        made = entry(deed.run, seq, epoch=self.epochs.get(deed.run, 1), body=deed.body, content=str(number))
        self.store.append(made._replace(alone=deed.alone or again < deed.again), acknowledge)

    async def call(self, job: Callable[[str], Awaitable[None]], run: str) -> None:
        with suppress(MilepostError):
            await job(run)
        self.under_way -= 1

    async def create(self, run: str) -> None:
        number = self.number()
        if await self.store.create(new_run(run), entry(run, 1, content=str(number))):
            self.kept.add(number)
            self.epochs[run] = self.newest[run] = 1

    async def acquire(self, run: str) -> None:
        row = await self.store.acquire(run)
        self.epochs[run], self.newest[run] = row.epoch, row.seq

    async def release(self, run: str) -> None:
        await self.store.release(run, self.epochs.get(run, 1))

    async def post(self, run: str) -> None:
        await self.store.post(message(run, str(self.number())))

    async def sweep(self, _: str) -> None:
        await self.store.sweep(None)

    def unlock(self) -> None:
        if self.locker.in_transaction:
            self.locker.execute("COMMIT")

    async def settle(self) -> None:
        """Wait for all that is to be told, and look where the runs stand."""
        self.unlock()
        with anyio.fail_after(60):
            while self.under_way or len(self.answered) < len(self.appended):
                await checkpoint()
        self.newest = {row.run_id: row.seq for row in await self.store.rows()}


async def do_all(deeds: list[Append | Do], begun: int, durability: Durability, path: Path) -> None:
    """Do all that with so many runs, and hold what was told against what is in the file when the store is closed."""
    store = SqliteStore(path, durability=durability)
    store.pace.average = QUICK
    await store.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as locker:
        for name, fault in FAULTS.items():
            locker.execute(
                f"CREATE TRIGGER {name}_it BEFORE INSERT ON records WHEN new.body='\"{name}\"' BEGIN {fault}; END"
            )
        story = Story(store, locker)
        try:
            async with anyio.create_task_group() as tasks:
                for run in "ab"[:begun]:
                    await story.create(run)
                for deed in deeds:
                    await story.do(deed, tasks)
                story.unlock()
        finally:
            await store.close()
        assert story.answered == story.appended
        found = locker.execute("SELECT run_id, seq, content FROM journal ORDER BY run_id, seq").fetchall()
        assert {int(content) for _, _, content in found} == story.kept
        for run in "abc":
            seqs = [seq for run_id, seq, _ in found if run_id == run]
            assert seqs == list(range(1, len(seqs) + 1))
        assert locker.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@given(DEEDS, st.integers(1, 2), st.sampled_from(["power", "power", "process"]), st.sampled_from(LOOPS))
def test_what_is_acknowledged_is_in_the_file_and_nothing_else(
    deeds: list[Append | Do], begun: int, durability: Durability, loop: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(do_all, deeds, begun, durability, Path(folder) / "runs.db", backend=loop)
