"""What every store promises about runs that share their first records with the run that they were forked from."""

from __future__ import annotations

from milepost.engine.errors import LeaseLost, UnknownRun
from milepost.engine.stores.store import Store, Weight
from milepost.testing.contract.place import Place
from milepost.testing.contract.promise import Capability, promise, raises
from milepost.testing.contract.writing import append, begin, entry, new_run


async def fork(store: Store, run_id: str, shared: str, at: int, *, length: int = 1, snapshot_seq: int = 0) -> None:
    """Create a run that shares the records of another up to a number, with that many of its own."""
    new = new_run(run_id, forked=(shared, at), snapshot_seq=snapshot_seq)
    assert await store.create(new, entry(run_id, at + 1, body=f'"{run_id}"'))
    if length > 1:
        await append(store, *(entry(run_id, seq, body=f'"{run_id}"') for seq in range(at + 2, at + 1 + length)))


async def bodies(store: Store, run_id: str, *, after: int = 0, limit: int | None = None) -> list[tuple[int, str]]:
    """Return the numbers and bodies of the records of a run."""
    return [(record.seq, record.body) for record in await store.records(run_id, after=after, limit=limit)]


@promise(Capability.FORKS, Capability.ORDERING)
async def a_fork_has_the_records_that_it_shares_and_then_its_own(place: Place) -> None:
    async with place.open() as store:
        await begin(store, length=5)
        await fork(store, "fork", "run", 3, length=2)
        assert await bodies(store, "fork") == [(1, "{}"), (2, "{}"), (3, "{}"), (4, '"fork"'), (5, '"fork"')]
        assert await bodies(store, "run") == [(seq, "{}") for seq in range(1, 6)]
        row = await store.row("fork")
    assert row is not None
    assert (row.forked_from, row.forked_at, row.seq, row.snapshot_seq, row.epoch) == ("run", 3, 5, 0, 1)


@promise(Capability.FORKS, Capability.PAGING)
async def the_records_of_a_fork_come_in_pages(place: Place) -> None:
    async with place.open() as store:
        await begin(store, length=5)
        await fork(store, "fork", "run", 3, length=3)
        whole = await bodies(store, "fork")
        for after in range(8):
            assert await bodies(store, "fork", after=after) == whole[after:]
            for limit in range(8):
                assert await bodies(store, "fork", after=after, limit=limit) == whole[after:][:limit]


@promise(Capability.FORKS, Capability.ORDERING)
async def one_record_of_a_fork_is_found_by_its_number(place: Place) -> None:
    async with place.open() as store:
        await begin(store, length=5)
        await fork(store, "fork", "run", 3, length=2)
        found = [await store.record("fork", seq) for seq in range(7)]
    assert [None if one is None else (one.seq, one.body) for one in found] == [
        None,
        *((1, "{}"), (2, "{}"), (3, "{}"), (4, '"fork"'), (5, '"fork"')),
        None,
    ]


@promise(Capability.FORKS, Capability.ORDERING)
async def forks_of_forks_share_what_those_share(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "a", length=3)
        await fork(store, "b", "a", 2, length=3)
        await fork(store, "c", "b", 4, length=2)
        await fork(store, "d", "b", 3)
        assert await bodies(store, "c") == [(1, "{}"), (2, "{}"), (3, '"b"'), (4, '"b"'), (5, '"c"'), (6, '"c"')]
        assert await bodies(store, "c", after=1, limit=3) == [(2, "{}"), (3, '"b"'), (4, '"b"')]
        assert await bodies(store, "d") == [(1, "{}"), (2, "{}"), (3, '"b"'), (4, '"d"')]


@promise(Capability.FORKS, Capability.ORDERING)
async def a_fork_goes_on_by_itself_and_so_does_the_run_that_it_was_forked_from(place: Place) -> None:
    async with place.open() as store:
        await begin(store, length=2)
        await fork(store, "fork", "run", 2)
        await append(store, entry("run", 3), entry("run", 4))
        await append(store, entry("fork", 4, status="completed", output="1"))
        with raises(LeaseLost):
            await append(store, entry("fork", 3))
        assert await bodies(store, "fork") == [(1, "{}"), (2, "{}"), (3, '"fork"'), (4, "{}")]
        run, forked = await store.row("run"), await store.row("fork")
    assert run is not None
    assert forked is not None
    assert (run.status, run.output, forked.status, forked.output) == ("running", None, "completed", "1")


@promise(Capability.FORKS)
async def the_newest_snapshot_up_to_a_record_is_found_also_where_it_is_shared(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        await append(store, entry("run", 2, snapshot="{}"), entry("run", 3), entry("run", 4, snapshot="{}"))
        await fork(store, "fork", "run", 3, length=2, snapshot_seq=2)
        await append(store, entry("fork", 6, snapshot="{}"))
        assert [await store.snapshot_seq("run", seq) for seq in range(6)] == [0, 0, 2, 2, 4, 4]
        assert [await store.snapshot_seq("fork", seq) for seq in range(8)] == [0, 0, 2, 2, 2, 2, 6, 6]
        assert await store.snapshot_seq("nobody", 9) == 0
        row = await store.row("fork")
    assert row is not None
    assert row.snapshot_seq == 6


@promise(Capability.FORKS)
async def a_fork_begins_with_the_newest_snapshot_that_it_shares(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        await append(store, entry("run", 2, snapshot="{}"))
        await fork(store, "fork", "run", 2, snapshot_seq=2)
        row = await store.row("fork")
    assert row is not None
    assert row.snapshot_seq == 2


@promise(Capability.FORKS, Capability.IDEMPOTENCE)
async def a_fork_whose_id_is_taken_changes_nothing(place: Place) -> None:
    async with place.open() as store:
        await begin(store, length=3)
        await fork(store, "fork", "run", 2)
        before = await store.row("fork")
        assert not await store.create(new_run("fork", forked=("run", 3)), entry("fork", 4))
        assert not await store.create(new_run("run", forked=("fork", 3)), entry("run", 4))
        assert await store.row("fork") == before


@promise(Capability.FORKS)
async def a_run_that_is_not_there_cannot_be_forked(place: Place) -> None:
    async with place.open() as store:
        with raises(UnknownRun, "There is no run 'nobody'"):
            await store.create(new_run("fork", forked=("nobody", 3)), entry("fork", 4))
        assert list(await store.rows()) == []


@promise(Capability.FORKS, Capability.CARE)
async def a_run_is_not_deleted_without_the_runs_that_share_its_records(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "a", length=3)
        await fork(store, "b", "a", 2, length=2)
        await fork(store, "c", "b", 4)
        for run_id in ("a", "b", "c"):
            await store.release(run_id, 1)
        rows = {row.run_id: row for row in await store.rows()}
        for removed in (["a"], ["b"], ["a", "b"], ["a", "c"]):
            assert not await store.delete([rows[run_id] for run_id in removed])
        assert await store.delete([rows["c"]])
        assert await store.delete([rows["a"], rows["b"]])
        assert list(await store.rows()) == []


@promise(Capability.FORKS, Capability.CARE)
async def a_fork_weighs_what_is_its_own(place: Place) -> None:
    async with place.open() as store:
        await begin(store, length=3)
        await fork(store, "fork", "run", 2)
        own = await store.weigh(["fork"])
        assert own == Weight(1, 1, max(own.bytes, len('"fork"[]')))
        assert own.bytes < (await store.weigh(["run"])).bytes
