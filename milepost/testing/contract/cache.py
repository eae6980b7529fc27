"""What every store promises about results that later tasks may use again."""

from __future__ import annotations

from milepost.engine.errors import LeaseLost
from milepost.engine.stores.store import CacheEntry
from milepost.testing.contract.place import Place
from milepost.testing.contract.promise import Capability, promise, raises
from milepost.testing.contract.writing import append, begin, entry, new_run


@promise(Capability.CACHE)
async def a_result_is_kept_with_the_record_that_has_it(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store)
        assert await store.cached("k", 1000.0) is None
        await append(store, entry("run", 2, cache=CacheEntry("k", '"é\\u0000"')))
        assert await store.cached("k", 1000.0) == '"é\\u0000"'
        assert await other.cached("k", 9e9) == '"é\\u0000"'
        assert await store.cached("K", 1000.0) is None


@promise(Capability.CACHE)
async def the_first_record_of_a_run_may_keep_a_result(place: Place) -> None:
    async with place.open() as store:
        assert await store.create(new_run("run"), entry("run", 1, cache=CacheEntry("k", "1")))
        assert not await store.create(new_run("run"), entry("run", 1, cache=CacheEntry("k", "2")))
        assert await store.cached("k", 0.0) == "1"


@promise(Capability.CACHE)
async def a_later_result_takes_the_place_of_an_earlier_one(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        for seq, kept in enumerate(
            (CacheEntry("k", "1"), CacheEntry("k", "2", 1500.0), CacheEntry("k", "3"), CacheEntry("k", "4", 1200.0)), 2
        ):
            await append(store, entry("run", seq, cache=kept))
        assert await store.cached("k", 1100.0) == "4"
        assert await store.cached("k", 1300.0) is None


@promise(Capability.CACHE)
async def a_result_counts_until_it_expires(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        await append(store, entry("run", 2, cache=CacheEntry("k", "1", 1010.5)))
        assert await store.cached("k", 1010.4) == "1"
        assert await store.cached("k", 1010.5) is None
        assert await store.cached("k", 1010.6) is None


@promise(Capability.CACHE)
async def an_expired_result_can_be_kept_anew(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        await append(store, entry("run", 2, at=1.0, cache=CacheEntry("k", "1", 2.0)))
        await append(store, entry("run", 3, at=5.0, cache=CacheEntry("k", "2", 9.0)))
        assert await store.cached("k", 6.0) == "2"


@promise(Capability.CACHE)
async def a_result_outlives_what_expires_around_it(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        kept = [
            *(CacheEntry("renewed", "1", 1001.0), CacheEntry("renewed", "2", 3000.0)),
            *(CacheEntry("for ever", "1", 1001.0), CacheEntry("for ever", "2")),
            *(CacheEntry(f"short {number}", "1", 1001.0) for number in range(30)),
            CacheEntry("long", "1", 3000.0),
        ]
        for seq, each in enumerate(kept, 2):
            await append(store, entry("run", seq, cache=each))
        for seq in range(len(kept) + 2, len(kept) + 12):
            await append(store, entry("run", seq, at=2000.0, cache=CacheEntry(f"new {seq}", "1", 2500.0)))
        assert await store.cached("renewed", 2000.0) == "2"
        assert await store.cached("for ever", 2000.0) == "2"
        assert await store.cached("long", 2000.0) == "1"
        assert await store.cached("new 40", 2000.0) == "1"
        assert await store.cached("short 0", 0.0) is None, "it is gone, whatever time it is said to be"


@promise(Capability.CACHE)
async def a_record_that_is_refused_keeps_no_result(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        with raises(LeaseLost):
            await append(store, entry("run", 7, cache=CacheEntry("k", "1")))
        assert await store.cached("k", 0.0) is None


@promise(Capability.CACHE)
async def results_of_several_runs_are_kept_together(place: Place) -> None:
    async with place.open() as store:
        for run_id in "ab":
            await begin(store, run_id)
        await append(
            store,
            *(entry("a", seq, cache=CacheEntry(f"a{seq}", str(seq))) for seq in range(2, 20)),
        )
        await append(store, entry("b", 2, cache=CacheEntry("a2", "b")))
        assert [await store.cached(f"a{seq}", 0.0) for seq in (2, 3, 19)] == ["b", "3", "19"]


@promise(Capability.CACHE, Capability.LARGE_VALUES)
async def a_result_of_many_megabytes_comes_back(place: Place) -> None:
    large = "0123456789" * 500_000
    async with place.open() as store:
        await begin(store)
        await append(store, entry("run", 2, cache=CacheEntry("k", large)))
    async with place.open() as store:
        assert await store.cached("k", 0.0) == large
