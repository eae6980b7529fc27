"""The store of a process that dies right after a commit."""

from __future__ import annotations

import anyio
import pytest

from milepost.engine.errors import LeaseLost, StoreError
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Acknowledge, Entry, NewRun
from milepost.testing.contract.writing import Answers, append, begin, entry, new_run
from milepost.testing.mortal import MortalStore

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def test_the_commit_it_dies_with_is_made_and_nobody_hears_of_it() -> None:
    store, told, answers = MemoryStore(), list[Entry](), Answers()
    mortal = MortalStore(store, commits=2, committed=told.append)
    await begin(mortal.as_store)

    mortal.append(entry("run", 2), answers.expect(2))
    mortal.append(entry("run", 3), answers.expect(3))

    assert mortal.died.is_set()
    assert answers.given == []
    assert [one.seq for one in told] == [1, 2]
    assert len(await store.records("run")) == 2


async def test_commits_of_all_runs_count() -> None:
    store = MemoryStore()
    mortal = MortalStore(store, commits=4)
    await begin(mortal.as_store, "one", length=2)
    await begin(mortal.as_store, "two")

    mortal.append(entry("one", 3), lambda error: None)

    assert mortal.died.is_set()
    assert [row.seq for row in await store.rows()] == [3, 1]


async def test_without_a_number_it_lives_for_ever() -> None:
    mortal = MortalStore(MemoryStore())
    await begin(mortal.as_store, length=50)

    assert not mortal.died.is_set()


async def test_a_creation_that_it_dies_with_never_returns() -> None:
    store = MemoryStore()
    mortal = MortalStore(store, commits=1)

    with anyio.move_on_after(0.01) as limit:
        await begin(mortal.as_store)

    assert limit.cancelled_caught
    assert await store.row("run") is not None


async def test_a_dead_process_does_nothing_to_the_store() -> None:
    journals = Journals()
    store = MemoryStore(journals)
    mortal = MortalStore(store, commits=2)
    await mortal.open()
    await begin(mortal.as_store)
    mortal.append(entry("run", 2), lambda error: None)

    await mortal.release("run", 1)
    for act in (mortal.acquire("run"), mortal.create(new_run("other"), entry("other", 1))):
        with anyio.move_on_after(0.01) as limit:
            await act
        assert limit.cancelled_caught

    row = await store.row("run")
    assert row is not None
    assert row.epoch == 1
    assert row.owner is not None
    assert await mortal.children("run") == ()
    assert await store.row("other") is None


async def test_a_living_process_is_told_of_what_it_opens_and_lets_go() -> None:
    opened: list[int] = []
    mortal = MortalStore(MemoryStore(), opened=lambda row: opened.append(row.seq))
    await begin(mortal.as_store, length=3)
    await mortal.release("run", 1)
    await mortal.acquire("run")

    assert opened == [3]
    assert await mortal.children("run") == []


async def test_a_commit_that_is_refused_does_not_count() -> None:
    mortal = MortalStore(MemoryStore(), commits=3)
    await begin(mortal.as_store)

    with pytest.raises(LeaseLost):
        await append(mortal.as_store, entry("run", 7))
    assert not await mortal.create(new_run("run"), entry("run", 1))

    await append(mortal.as_store, entry("run", 2))
    assert not mortal.died.is_set()


class SlowStore(MemoryStore):
    """Answers when it is told to. fails: it cannot create runs."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[Entry, Acknowledge]] = []
        self.fails = False

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        self.waiting.append((entry, acknowledge))

    def answer(self) -> None:
        super().append(*self.waiting.pop(0))

    async def create(self, run: NewRun, first: Entry) -> bool:
        if self.fails:
            raise StoreError("no")
        return await super().create(run, first)


async def test_no_more_than_the_last_commit_is_ever_handed_in() -> None:
    store, answers = SlowStore(), Answers()
    mortal = MortalStore(store, commits=3)
    await begin(mortal.as_store)
    for seq in (2, 3, 4):
        mortal.append(entry("run", seq), answers.expect(seq))

    assert [one.seq for one, _ in store.waiting] == [2, 3]
    store.answer()
    store.answer()

    assert answers.given == [(2, None)]
    assert mortal.died.is_set()
    assert store.waiting == []


async def test_what_was_held_back_takes_the_place_of_what_is_refused() -> None:
    store, answers = SlowStore(), Answers()
    mortal = MortalStore(store, commits=2)
    await begin(mortal.as_store)
    mortal.append(entry("run", 7), answers.expect("refused"))
    mortal.append(entry("run", 2), answers.expect("held back"))
    async with anyio.create_task_group() as group:
        group.start_soon(mortal.create, new_run("other"), entry("other", 1))
        await anyio.wait_all_tasks_blocked()

        store.answer()
        assert [name for name, _ in answers.given] == ["refused"]
        store.answer()
        assert mortal.died.is_set()
        group.cancel_scope.cancel()

    assert [row.run_id for row in await store.rows()] == ["run"]


async def test_a_creation_that_fails_does_not_count() -> None:
    store = SlowStore()
    store.fails = True
    mortal = MortalStore(store, commits=1)
    with pytest.raises(StoreError):
        await mortal.create(new_run("run"), entry("run", 1))

    store.fails = False
    with anyio.move_on_after(0.01):
        await mortal.create(new_run("run"), entry("run", 1))
    assert mortal.died.is_set()
