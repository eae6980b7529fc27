"""What every store promises about tags, about when runs were created, and about counting them."""

from __future__ import annotations

from milepost.engine.stores.store import Store
from milepost.engine.trace import RunStatus
from milepost.testing.contract.care import rest, whole
from milepost.testing.contract.place import Place
from milepost.testing.contract.promise import Capability, promise
from milepost.testing.contract.writing import append, begin, entry, new_run

ODD = "é 漢字 🎈 ' \" \\ ; -- ? % _ * [] {} , a"


async def ids(store: Store, **options: object) -> str:
    """Return the ids of the runs that are listed, one after another."""
    return "".join(row.run_id for row in await store.rows(**options))  # type: ignore[arg-type]  # as Store.rows takes


async def put(
    store: Store,
    run_id: str,
    *tags: str,
    at: float = 1000.0,
    status: RunStatus = "running",
    workflow: str = "claims",
    parent: str | None = None,
) -> None:
    """Create a run with tags."""
    new = new_run(run_id, workflow=workflow, tags=tags, parent=None if parent is None else (parent, "t"))
    assert await store.create(new, entry(run_id, 1, at=at, status=status))


@promise(Capability.TAGS)
async def tags_come_back_as_they_were_given(place: Place) -> None:
    async with place.open() as store:
        await put(store, "a", "z", "a", ODD, "m")
        await put(store, "b")
        a, b = await store.rows()
        assert (a.tags, b.tags) == (("z", "a", ODD, "m"), ())
        assert await store.row("a") == a


@promise(Capability.TAGS)
async def tags_stay_as_the_run_goes_on(place: Place) -> None:
    async with place.open() as store, place.open() as heir:
        await put(store, "a", "x", "y")
        await append(store, entry("a", 2, status="failed"))
        await store.release("a", 1)
        assert (await heir.acquire("a")).tags == ("x", "y")
        await append(heir, entry("a", 3, epoch=2, status="completed"))
        row = await heir.row("a")
        assert row is not None
        assert row.tags == ("x", "y")
        assert await ids(heir, tag="y") == "a"


@promise(Capability.TAGS, Capability.LISTING)
async def runs_are_listed_by_one_of_their_tags(place: Place) -> None:
    async with place.open() as store:
        await put(store, "a", "x")
        await put(store, "b", "x", "y", status="failed")
        await put(store, "c", "xy", ODD, workflow="orders")
        await put(store, "d")
        await put(store, "e", "X", "x", workflow="orders")
        found = [await ids(store, tag=tag) for tag in ("x", "y", "xy", "X", ODD, "", "%", "z")]
        assert found == ["abe", "b", "c", "e", "c", "", "", ""]
        assert await ids(store, tag="x", status="failed") == "b"
        assert await ids(store, tag="x", workflow="orders") == "e"
        assert await ids(store, tag="x", prefix="a") == "a"


@promise(Capability.TAGS, Capability.PAGING)
async def runs_of_a_tag_come_in_pages(place: Place) -> None:
    async with place.open() as store:
        for number, run_id in enumerate("ihgfedcba"):
            await put(store, run_id, "x" if number % 2 else "y", at=1000.0 + number // 3)
        assert await ids(store, tag="x") == "bdfh"
        first = await store.rows(tag="x", limit=2)
        assert await ids(store, tag="x", limit=2, before=first[-1]) == "fh"


@promise(Capability.TAGS, Capability.IDEMPOTENCE)
async def the_tags_of_a_run_that_is_there_already_are_left(place: Place) -> None:
    async with place.open() as store:
        await put(store, "a", "x")
        assert not await store.create(new_run("a", tags=("y",)), entry("a", 1))
        assert (await ids(store, tag="x"), await ids(store, tag="y")) == ("a", "")


@promise(Capability.TAGS, Capability.CARE)
async def the_tags_of_a_deleted_run_go_with_it(place: Place) -> None:
    async with place.open() as store:
        await put(store, "a", "x")
        await put(store, "b", "x")
        await rest(store, "a", "b")
        row = await store.row("a")
        assert row is not None
        assert await store.delete([row])
        assert await ids(store, tag="x") == "b"
        await put(store, "a", "y")
        assert (await ids(store, tag="x"), await ids(store, tag="y")) == ("b", "a")


@promise(Capability.TAGS, Capability.WAKING, Capability.CARE)
async def a_run_that_is_put_in_whole_keeps_its_tags_and_waits_as_long(place: Place) -> None:
    async with place.open() as store:
        await put(store, "a", "x", ODD)
        await append(store, entry("a", 2, status="waiting", due=7.5))
        await rest(store, "a")
        run = await whole(store, "a")
        assert await store.delete([run.row])
        assert await store.insert([run])
        assert await store.row("a") == run.row
        assert (await ids(store, tag="x"), await ids(store, tag=ODD)) == ("a", "a")
        assert [row.run_id for row in await store.ready(7.5, ["claims"], limit=9)] == ["a"]


@promise(Capability.TAGS, Capability.WAKING, Capability.CARE)
async def a_run_that_is_rewritten_keeps_its_tags_and_waits_as_long(place: Place) -> None:
    async with place.open() as store:
        await put(store, "a", "x")
        await append(store, entry("a", 2, status="waiting", due=7.5))
        await rest(store, "a")
        run = await whole(store, "a")
        assert await store.rewrite(run)
        assert await store.row("a") == run.row
        assert await ids(store, tag="x") == "a"


@promise(Capability.LISTING)
async def runs_are_listed_since_they_were_created(place: Place) -> None:
    async with place.open() as store:
        for run_id, at in (("c", 10.0), ("b", 20.0), ("a", 30.5)):
            await begin_at(store, run_id, at)
        found = [await ids(store, since=since) for since in (0.0, 10.0, 10.5, 20.0, 30.5, 31.0)]
        assert found == ["abc", "abc", "ab", "ab", "a", ""]
        await append(store, entry("c", 2, at=99.0))
        assert await ids(store, since=20.0) == "ab"


async def begin_at(store: Store, run_id: str, at: float) -> None:
    """Create a run at a moment."""
    assert await store.create(new_run(run_id), entry(run_id, 1, at=at))


@promise(Capability.LISTING)
async def runs_are_counted_by_how_they_stand(place: Place) -> None:
    async with place.open() as store:
        assert dict(await store.counts()) == {}
        for run_id in "abcde":
            await begin(store, run_id)
        await append(store, entry("a", 2, status="completed"))
        await append(store, entry("b", 2, status="waiting"))
        await append(store, entry("c", 2, status="waiting"), entry("c", 3, status="failed"))
        assert dict(await store.counts()) == {"running": 2, "completed": 1, "waiting": 1, "failed": 1}
        await append(store, entry("b", 3), entry("b", 4, status="cancelled"))
        assert dict(await store.counts()) == {"running": 2, "completed": 1, "cancelled": 1, "failed": 1}


@promise(Capability.LISTING, Capability.TAGS, Capability.NESTING)
async def only_runs_that_fit_are_counted(place: Place) -> None:
    async with place.open() as store:
        await put(store, "a", "x", at=10.0)
        await put(store, "b", "x", "y", at=20.0, status="waiting")
        await put(store, "c", at=20.0, workflow="orders")
        await put(store, "d", parent="a", at=30.0)
        await put(store, "e", parent="d", at=30.0, status="waiting")
        assert dict(await store.counts()) == {"running": 2, "waiting": 1}
        assert dict(await store.counts(nested=True)) == {"running": 3, "waiting": 2}
        assert dict(await store.counts(tag="x")) == {"running": 1, "waiting": 1}
        assert dict(await store.counts(tag="y")) == {"waiting": 1}
        assert dict(await store.counts(workflow="orders")) == {"running": 1}
        assert dict(await store.counts(since=20.0)) == {"running": 1, "waiting": 1}
        assert dict(await store.counts(since=20.0, tag="x", workflow="claims")) == {"waiting": 1}
        assert dict(await store.counts(tag="z")) == {}


@promise(Capability.TAGS, Capability.FORKS)
async def a_fork_has_tags_of_its_own(place: Place) -> None:
    async with place.open() as store:
        await put(store, "a", "x")
        await store.create(new_run("b", forked=("a", 1), tags=("y",)), entry("b", 2))
        assert (await ids(store, tag="x"), await ids(store, tag="y")) == ("a", "b")
