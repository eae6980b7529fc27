"""What every store promises about who owns a run."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from datetime import timedelta

import anyio

from milepost.engine.errors import LeaseLost, RunBusy
from milepost.engine.stores.store import Store
from milepost.testing.contract.place import Place
from milepost.testing.contract.promise import Capability, promise, raises
from milepost.testing.contract.writing import Answers, append, begin, entry, new_run


@promise(Capability.FENCING)
async def a_run_with_a_live_owner_is_busy(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store)
        before = await store.row("run")
        with raises(RunBusy, r"is being driven by .*process") as caught:
            await other.acquire("run")
        assert before is not None
        assert caught.error.owner == before.owner
        assert await store.row("run") == before
        await append(store, entry("run", 2))


@promise(Capability.FENCING)
async def whoever_finds_a_run_busy_is_told_what_the_store_knows_of_its_owner(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store)
        with raises(RunBusy) as caught:
            await other.acquire("run")
        busy = caught.error
        assert busy.run_id == "run"
        assert busy.host != ""
        assert busy.pid is None or busy.pid > 0
        for moment in (busy.since, busy.expires):
            assert moment is None or moment.utcoffset() == timedelta(0)
        assert busy.since is None or busy.expires is None or busy.since < busy.expires


@promise(Capability.FENCING, Capability.CONCURRENCY)
async def of_several_who_want_a_free_run_exactly_one_gets_it(place: Place) -> None:
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(place.open()) for _ in range(4)]
        await begin(stores[0])
        await stores[0].release("run", 1)
        got: list[tuple[Store, int]] = []

        async def acquire(store: Store) -> None:
            with suppress(RunBusy):
                got.append((store, (await store.acquire("run")).epoch))

        async with anyio.create_task_group() as tasks:
            for store in stores:
                tasks.start_soon(acquire, store)
        ((owner, epoch),) = got
        assert epoch == 2
        await append(owner, entry("run", 2, epoch=2))


@promise(Capability.FENCING, Capability.CONCURRENCY, Capability.IDEMPOTENCE)
async def of_several_who_create_a_run_exactly_one_does(place: Place) -> None:
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(place.open()) for _ in range(4)]
        creators: list[Store] = []

        async def create(store: Store) -> None:
            if await store.create(new_run("run"), entry("run", 1)):
                creators.append(store)

        async with anyio.create_task_group() as tasks:
            for store in [*stores, *stores]:
                tasks.start_soon(create, store)
        (creator,) = creators
        assert len(await stores[0].records("run")) == 1
        await append(creator, entry("run", 2))


@promise(Capability.FENCING, Capability.CRASH)
async def a_run_of_a_dead_owner_is_taken_over_at_once(place: Place) -> None:
    async with place.open() as dead, place.open() as heir:
        await begin(dead, length=3)
        first = await dead.row("run")
        place.kill()
        row = await heir.acquire("run")
        assert first is not None
        assert (row.epoch, row.seq, row.hash) == (2, 3, "hash 3")
        assert row.owner != first.owner
        await append(heir, entry("run", 4, epoch=2))


@promise(Capability.FENCING, Capability.CRASH)
async def an_owner_that_lost_its_run_cannot_write_to_it(place: Place) -> None:
    async with place.open() as slow, place.open() as heir:
        await begin(slow, "run")
        await begin(slow, "kept")
        place.kill()
        await heir.acquire("run")
        answers = Answers()
        for each in (entry("run", 2, body='"stale"'), entry("kept", 2), entry("run", 3, body='"stale"')):
            slow.append(each, answers.expect((each.run_id, each.seq)))
        given = dict(await answers.all())
        assert isinstance(given["run", 2], LeaseLost)
        assert isinstance(given["run", 3], LeaseLost)
        assert given["kept", 2] is None
        assert str(given["run", 2]).startswith("Run 'run' was taken over by another process")
        await append(heir, entry("run", 2, epoch=2, body='"new"'))
        assert [record.body for record in await heir.records("run")] == ["{}", '"new"']


@promise(Capability.FENCING, Capability.CRASH)
async def an_owner_that_lost_its_run_cannot_release_it(place: Place) -> None:
    async with place.open() as slow, place.open() as heir:
        await begin(slow)
        place.kill()
        row = await heir.acquire("run")
        await slow.release("run", 1)
        assert await heir.row("run") == row


@promise(Capability.FENCING, Capability.CARE)
async def an_owner_whose_run_was_begun_again_by_others_writes_nothing_to_it(place: Place) -> None:
    async with place.open() as old, place.open() as other:
        await begin(old, length=2)
        await old.release("run", 1)
        assert await other.delete(list(await other.rows()))
        await _is_refused(old)
        await begin(other, length=2)
        row = await other.row("run")
        await _is_refused(old)
        await old.release("run", 1)
        assert await other.row("run") == row
        await other.release("run", 1)
        await _is_refused(old)
        assert [record.seq for record in await other.records("run")] == [1, 2]


@promise(Capability.FENCING, Capability.CARE, Capability.CRASH)
async def a_dead_owner_whose_run_was_begun_again_by_others_writes_nothing_to_it(place: Place) -> None:
    async with place.open() as old, place.open() as other:
        await begin(old, length=2)
        place.kill()
        assert await other.delete(list(await other.rows()))
        await begin(other, length=2)
        await _is_refused(old)
        await append(other, entry("run", 3))
        await other.release("run", 1)
        await _is_refused(old, after=3)
        assert [record.body for record in await other.records("run")] == ["{}", "{}", "{}"]


async def _is_refused(store: Store, *, after: int = 2) -> None:
    """Have a store that has lost its run write to it, a record by itself and several at once."""
    for count in (1, 2):
        answers = Answers()
        for seq in range(after + 1, after + 1 + count):
            store.append(entry("run", seq, body='"stale"'), answers.expect(seq))
        assert all(isinstance(error, LeaseLost) for _, error in await answers.all())


@promise(Capability.FENCING)
async def everybody_can_tell_which_owners_live(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store)
        row = await store.row("run")
        assert row is not None
        assert row.owner in await store.alive()
        assert row.owner in await other.alive()
        await store.release("run", 1)
        taken = await other.acquire("run")
        assert taken.owner != row.owner
        assert taken.owner in await store.alive()


@promise(Capability.FENCING)
async def an_owner_that_has_closed_its_store_does_not_live(place: Place) -> None:
    async with place.open() as other:
        async with place.open() as store:
            await begin(store)
            row = await store.row("run")
        assert row is not None
        assert row.owner not in await other.alive()


@promise(Capability.FENCING, Capability.CRASH)
async def a_dead_owner_does_not_live(place: Place) -> None:
    async with place.open() as dead, place.open() as store:
        await begin(dead)
        row = await store.row("run")
        assert row is not None
        assert row.owner in await store.alive()
        place.kill()
        assert row.owner not in await store.alive()
        assert await store.row("run") == row


@promise(Capability.FENCING)
async def a_released_run_can_be_acquired_by_anyone(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store)
        await store.release("run", 1)
        row = await store.row("run")
        assert row is not None
        assert row.owner is None
        assert (await other.acquire("run")).epoch == 2
        with raises(RunBusy):
            await store.acquire("run")


@promise(Capability.FENCING)
async def an_owner_can_acquire_its_run_again(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        assert (await store.acquire("run")).epoch == 2
        with raises(LeaseLost):
            await append(store, entry("run", 2, epoch=1))
        await append(store, entry("run", 2, epoch=2))


@promise(Capability.FENCING)
async def closing_gives_up_every_run(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "a")
        await begin(store, "b")
    async with place.open() as other:
        assert (await other.acquire("a")).epoch == 2
        assert (await other.acquire("b")).epoch == 2


@promise(Capability.FENCING)
async def every_owner_is_remembered(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store)
        await store.release("run", 1)
        await other.acquire("run")
        first, second = await store.openings("run")
        row = await store.row("run")
    assert (first.epoch, second.epoch) == (1, 2)
    assert first.at == 1000.0
    assert first.owner != second.owner
    assert row is not None
    assert row.owner == second.owner
