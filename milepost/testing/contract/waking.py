"""What every store promises about runs that wait, and about which runs somebody should go on with."""

from __future__ import annotations

from contextlib import AsyncExitStack

from milepost.engine.stores.store import Store
from milepost.engine.trace import RunStatus
from milepost.testing.contract.place import Place
from milepost.testing.contract.promise import Capability, promise
from milepost.testing.contract.writing import Answers, append, begin, entry, message, new_run

NOW = 5000.0


async def ready(store: Store, now: float = NOW, *, workflows: tuple[str, ...] = ("claims",), limit: int = 99) -> str:
    """Return the ids of the runs that somebody should go on with, with a space between them."""
    return " ".join(row.run_id for row in await store.ready(now, workflows, limit=limit))


async def put(
    store: Store,
    run_id: str,
    *,
    status: RunStatus = "waiting",
    due: float | None = None,
    at: float = 1000.0,
    parent: str | None = None,
    workflow: str = "claims",
) -> None:
    """Create a run that stands so, and let it go. parent: the run that it is inside of."""
    new = new_run(run_id, workflow=workflow, parent=None if parent is None else (parent, "t"))
    assert await store.create(new, entry(run_id, 1, at=at, status=status, due=due))
    await store.release(run_id, 1)


@promise(Capability.WAKING)
async def every_record_says_anew_until_when_its_run_waits(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        row = await store.row("run")
        assert row is not None
        assert row.due is None
        for seq, due in ((2, 7.25), (3, 8.5), (4, None), (5, 0.0)):
            await append(store, entry("run", seq, status="waiting", due=due))
            for row in (await store.row("run"), *await store.rows(), *await store.rows(status="waiting")):
                assert row is not None
                assert (row.seq, row.status, row.due) == (seq, "waiting", due)
        await append(store, entry("run", 6, status="failed", error="e"))
        row = await store.row("run")
        assert row is not None
        assert (row.status, row.error, row.due) == ("failed", "e", None)
        await append(store, entry("run", 7), entry("run", 8))
        row = await store.row("run")
        assert row is not None
        assert (row.seq, row.hash, row.status, row.error, row.due) == (8, "hash 8", "running", None, None)


@promise(Capability.WAKING)
async def the_last_of_several_records_says_until_when_a_run_waits(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "a")
        await begin(store, "b")
        answers = Answers()
        for seq, due in ((2, 3.0), (3, None), (4, 9.0), (5, 6.5)):
            store.append(entry("a", seq, status="waiting", due=due), answers.expect(seq))
            store.append(entry("b", seq, status="waiting", due=None if seq == 5 else due), answers.expect(seq))
        assert all(error is None for _, error in await answers.all())
        assert [row.due for row in await store.rows()] == [6.5, None]


@promise(Capability.WAKING)
async def a_run_can_be_created_waiting(place: Place) -> None:
    async with place.open() as store:
        await store.create(new_run("run"), entry("run", 1, status="waiting", due=7.0))
        row = await store.row("run")
        assert row is not None
        assert (row.status, row.due) == ("waiting", 7.0)


@promise(Capability.WAKING, Capability.FENCING)
async def a_run_is_still_waiting_when_it_is_acquired_and_let_go(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await put(store, "run", due=7.0)
        row = await other.acquire("run")
        assert (row.status, row.due, row.epoch) == ("waiting", 7.0, 2)
        await other.release("run", 2)
        assert await ready(store) == "run"


@promise(Capability.WAKING)
async def a_run_is_ready_when_its_time_has_come(place: Place) -> None:
    async with place.open() as store:
        for run_id, due in (("a", 10.0), ("b", 20.0), ("c", 30.0), ("never", None)):
            await put(store, run_id, due=due)
        assert [await ready(store, now) for now in (9.5, 10.0, 29.0, 30.0)] == ["", "a", "a b", "a b c"]


@promise(Capability.WAKING)
async def only_runs_that_wait_become_ready_at_a_time(place: Place) -> None:
    statuses: tuple[RunStatus, ...] = ("completed", "failed", "cancelled")
    async with place.open() as store:
        for status in statuses:
            await put(store, status, status=status, due=10.0)
            await store.post(message(status, "m"))
        assert await ready(store) == ""


@promise(Capability.WAKING, Capability.INBOX)
async def a_run_is_ready_when_a_message_waits_for_it(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        for run_id in ("a", "b"):
            await put(store, run_id)
        assert await ready(store) == ""
        await other.post(message("b", "m"))
        assert await ready(store) == "b"
        await other.acquire("b")
        await append(other, entry("b", 2, epoch=2, status="waiting", taken=("m",)))
        await other.release("b", 2)
        assert await ready(store) == ""


@promise(Capability.WAKING, Capability.FENCING)
async def a_run_that_somebody_drives_is_not_ready(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store, "running")
        await store.create(new_run("due"), entry("due", 1, status="waiting", due=1.0))
        await store.create(new_run("spoken to"), entry("spoken to", 1, status="waiting"))
        await other.post(message("spoken to", "m"))
        assert await ready(other) == await ready(store) == ""
        for run_id in ("running", "due", "spoken to"):
            await store.release(run_id, 1)
        assert await ready(other) == await ready(store) == "due running spoken to"


@promise(Capability.WAKING, Capability.FENCING)
async def a_run_is_ready_again_when_whoever_drove_it_has_closed_its_store(place: Place) -> None:
    async with place.open() as store:
        async with place.open() as other:
            await begin(other)
            assert await ready(store) == ""
        assert await ready(store) == "run"


@promise(Capability.WAKING, Capability.CRASH)
async def the_runs_of_a_dead_owner_are_ready(place: Place) -> None:
    async with place.open() as dead, place.open() as store:
        await begin(dead, "running")
        await dead.create(new_run("due"), entry("due", 1, status="waiting", due=1.0))
        await dead.create(new_run("asleep"), entry("asleep", 1, status="waiting", due=9000.0))
        await dead.create(new_run("over"), entry("over", 1, status="completed"))
        assert await ready(store) == ""
        place.kill()
        assert await ready(store) == "due running"


@promise(Capability.WAKING, Capability.NESTING)
async def what_goes_on_inside_a_run_makes_the_outermost_ready(place: Place) -> None:
    async with place.open() as store:
        for run_id in ("a", "b", "c", "d"):
            await put(store, run_id)
            await put(store, f"{run_id} inside", parent=run_id)
        await put(store, "a deep", parent="a inside", due=10.0)
        await put(store, "b deep", parent="b inside")
        await put(store, "c deep", parent="c inside", status="running")
        await put(store, "d deep", parent="d inside", status="completed", due=10.0)
        assert await ready(store, 9.0) == "c"
        await store.post(message("b deep", "m"))
        assert await ready(store, 10.0) == "a b c"


@promise(Capability.WAKING, Capability.NESTING)
async def what_is_inside_a_run_that_is_over_makes_nothing_ready(place: Place) -> None:
    statuses: tuple[RunStatus, ...] = ("completed", "failed", "cancelled")
    async with place.open() as store:
        for status in statuses:
            await put(store, f"outer {status}", status=status)
            await put(store, f"due {status}", parent=f"outer {status}", due=1.0)
            await put(store, f"around {status}")
            await put(store, f"inside {status}", parent=f"around {status}", status=status)
            await put(store, f"deep {status}", parent=f"inside {status}", status="running")
        await put(store, "alone", parent="elsewhere", due=1.0)
        assert await ready(store) == ""


@promise(Capability.WAKING, Capability.NESTING, Capability.CRASH)
async def a_run_is_ready_when_what_is_inside_it_has_lost_its_owner(place: Place) -> None:
    async with place.open() as dead, place.open() as store:
        await put(store, "outer")
        await dead.create(new_run("inner", parent=("outer", "t")), entry("inner", 1))
        assert await ready(store) == ""
        place.kill()
        assert await ready(store) == "outer"
        await store.acquire("outer")
        assert await ready(store) == ""


@promise(Capability.WAKING)
async def the_run_that_was_changed_first_is_the_first_that_is_ready(place: Place) -> None:
    async with place.open() as store:
        for run_id, at in (("a", 30.0), ("b", 10.0), ("c", 20.0), ("d", 10.0)):
            await put(store, run_id, at=at, due=1.0)
        assert await ready(store) == "b d c a"
        assert await ready(store, limit=2) == "b d"
        assert await ready(store, limit=0) == ""


@promise(Capability.WAKING)
async def only_runs_of_these_workflows_are_ready(place: Place) -> None:
    async with place.open() as store:
        for workflow in ("one", "two", "O'Hara é", "four"):
            await put(store, f"of {workflow}", workflow=workflow, due=1.0)
        await put(store, "inside", workflow="five", parent="of four", due=1.0)
        assert await ready(store, workflows=("one", "O'Hara é")) == "of O'Hara é of one"
        assert await ready(store, workflows=("five",)) == ""
        assert await ready(store, workflows=()) == ""
        found = await store.ready(NOW, {"two", "nobody's"}, limit=9)
        assert list(found) == list(await store.rows(workflow="two"))


@promise(Capability.WAKING, Capability.CONCURRENCY)
async def whoever_wakes_a_run_takes_it_from_the_others(place: Place) -> None:
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(place.open()) for _ in range(2)]
        for run_id in "abcdef":
            await put(one, run_id, due=1.0)
        met: list[str] = []
        for store in (one, other) * 4:
            for row in await store.ready(NOW, ["claims"], limit=1):
                await store.acquire(row.run_id)
                met.append(row.run_id)
        assert met == list("abcdef")


@promise(Capability.WAKING, Capability.FENCING)
async def a_run_may_be_woken_and_let_go_any_number_of_times(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await put(store, "run", due=1.0)
        for number in range(120):
            waker = other if number % 2 else store
            assert await ready(waker) == "run"
            row = await waker.acquire("run")
            await waker.release("run", row.epoch)
        assert (await store.acquire("run")).epoch == 122
