"""What every store promises about its list of runs, about runs inside runs and about definitions."""

from __future__ import annotations

from dataclasses import replace

from milepost.engine.errors import LeaseLost
from milepost.engine.stores.store import RunRow, Store
from milepost.engine.trace import RunStatus
from milepost.testing.contract.place import Place
from milepost.testing.contract.promise import Capability, promise, raises
from milepost.testing.contract.writing import Answers, append, begin, entry, new_run


async def fill(store: Store) -> None:
    """Create ten runs, two in each second: every third is of another workflow, every second one is done."""
    for number in range(10):
        run_id = f"run-{9 - number}"
        status: RunStatus = "completed" if number % 2 else "waiting"
        workflow = "orders" if number % 3 == 0 else "claims"
        first = entry(run_id, 1, at=1000.0 + number // 2, status=status)
        assert await store.create(new_run(run_id, workflow=workflow), first)


async def listed(store: Store, **options: object) -> list[str]:
    """Return the numbers of the runs that are listed."""
    return [row.run_id.removeprefix("run-") for row in await store.rows(**options)]  # type: ignore[arg-type]  # as Store.rows takes


@promise(Capability.LISTING)
async def runs_are_listed_by_when_they_were_created_and_then_by_id(place: Place) -> None:
    async with place.open() as store:
        await fill(store)
        assert await listed(store) == list("0123456789")


@promise(Capability.LISTING)
async def runs_are_listed_by_status_and_workflow(place: Place) -> None:
    async with place.open() as store:
        await fill(store)
        assert await listed(store, status="completed") == list("02468")
        assert await listed(store, workflow="orders") == list("0369")
        assert await listed(store, status="waiting", workflow="orders") == list("39")
        assert await listed(store, status="failed") == []


@promise(Capability.LISTING)
async def the_status_of_a_list_is_the_newest(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        await append(store, entry("run", 2, status="failed"))
        assert await listed(store, status="running") == []
        assert await listed(store, status="failed") == ["run"]


@promise(Capability.LISTING, Capability.PAGING)
async def pages_follow_one_another_without_gaps(place: Place) -> None:
    async with place.open() as store:
        await fill(store)
        for size in (1, 2, 3, 4, 9, 10, 11):
            met: list[str] = []
            last: RunRow | None = None
            while (page := await store.rows(limit=size, before=last)) and len(met) <= 10:
                assert len(page) <= size
                met += [row.run_id for row in page]
                last = page[-1]
            assert met == [f"run-{number}" for number in range(10)]


@promise(Capability.LISTING, Capability.PAGING)
async def a_page_is_of_what_was_asked_for(place: Place) -> None:
    async with place.open() as store:
        await fill(store)
        first = await store.rows(workflow="orders", limit=2)
        assert [row.run_id for row in first] == ["run-0", "run-3"]
        assert await listed(store, workflow="orders", limit=2, before=first[-1]) == ["6", "9"]
        assert await listed(store, limit=0) == []


@promise(Capability.LISTING, Capability.PAGING)
async def a_run_that_is_created_meanwhile_does_not_move_the_next_page(place: Place) -> None:
    async with place.open() as store:
        await fill(store)
        page = await store.rows(limit=4)
        await store.create(new_run("new"), entry("new", 1, at=5000.0))
        assert await listed(store, limit=3, before=page[-1]) == ["4", "5", "6"]


@promise(Capability.LISTING, Capability.PAGING)
async def a_page_follows_a_run_that_is_not_there_any_more(place: Place) -> None:
    async with place.open() as store:
        await fill(store)
        last = (await store.rows(limit=4))[-1]
        assert await listed(store, limit=2, before=replace(last, run_id="run-30")) == ["4", "5"]


@promise(Capability.LISTING, Capability.UNICODE)
async def runs_are_found_by_how_their_ids_begin(place: Place) -> None:
    odd = ["a", "ab", "abc", "aB", "b", "a%", "a_b", "a*", "é", "é🎈", "éa", "\x00x"]
    async with place.open() as store:
        for run_id in odd:
            await begin(store, run_id)
        for prefix in [*odd, "", "x", "abcd", "\x00"]:
            found = {row.run_id for row in await store.rows(prefix=prefix)}
            assert found == {run_id for run_id in odd if run_id.startswith(prefix)}, prefix
        assert await listed(store, prefix="a", limit=3) == ["a", "a%", "a*"]


@promise(Capability.NESTING)
async def a_run_inside_a_run_knows_its_parent(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "parent")
        for run_id in ("second", "first"):
            assert await store.create(new_run(run_id, parent=("parent", f"task of {run_id}")), entry(run_id, 1))
        await store.create(new_run("grandchild", parent=("first", "t")), entry("grandchild", 1))
        children = await store.children("parent")
        assert [(row.run_id, row.parent_run, row.parent_task) for row in children] == [
            ("second", "parent", "task of second"),
            ("first", "parent", "task of first"),
        ]
        assert [row.run_id for row in await store.children("first")] == ["grandchild"]
        assert list(await store.children("grandchild")) == []
        running = await store.children("parent", status="running")
        assert [row.run_id for row in running] == [row.run_id for row in children]
        assert list(await store.children("parent", status="completed")) == []
        assert list(await store.children("nobody")) == []
        parent = await store.row("parent")
        assert parent is not None
        assert (parent.parent_run, parent.parent_task) == (None, None)


@promise(Capability.NESTING, Capability.FENCING)
async def a_run_inside_a_run_keeps_its_parent_as_it_goes_on(place: Place) -> None:
    async with place.open() as store, place.open() as heir:
        await store.create(new_run("child", parent=("elsewhere", "t")), entry("child", 1))
        await append(store, entry("child", 2))
        await store.release("child", 1)
        row = await heir.acquire("child")
        assert (row.parent_run, row.parent_task) == ("elsewhere", "t")


@promise(Capability.NESTING, Capability.LISTING)
async def runs_inside_runs_can_be_left_out_of_a_list(place: Place) -> None:
    async with place.open() as store:
        for run_id, parent in (("a", None), ("b", ("a", "t")), ("c", ("b", "t")), ("d", None)):
            await store.create(new_run(run_id, parent=parent), entry(run_id, 1))
        assert await listed(store) == ["a", "b", "c", "d"]
        assert await listed(store, nested=False) == ["a", "d"]
        assert await listed(store, nested=False, prefix="b") == []
        assert await listed(store, nested=False, limit=1) == ["a"]


@promise(Capability.DEFINITIONS)
async def a_definition_can_be_made_known_before_a_run_follows_it(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        await store.define("f2", '{"nodes":["é"]}')
        await store.define("f2", "another text")
        await append(store, entry("run", 2, fingerprint="f2"), entry("run", 3))
        row = await store.row("run")
        assert row is not None
        assert row.fingerprint == "f2"
        assert await store.definition("f2") == '{"nodes":["é"]}'
        assert await store.definition("f1") == '{"nodes":[]}'


@promise(Capability.DEFINITIONS)
async def anyone_may_make_a_definition_known(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store)
        await other.define("f2", "{}")
        await other.define("f1", "another text")
        assert await store.definition("f2") == "{}"
        assert await store.definition("f1") == '{"nodes":[]}'


@promise(Capability.DEFINITIONS)
async def a_run_that_is_created_leaves_the_definition_that_is_known(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        await store.create(new_run("other", definition="another text"), entry("other", 1))
        assert await store.definition("f1") == '{"nodes":[]}'


@promise(Capability.DEFINITIONS)
async def the_last_of_several_definitions_counts(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        answers = Answers()
        for seq, fingerprint in ((2, "f2"), (3, None), (4, "f3"), (5, None)):
            store.append(entry("run", seq, fingerprint=fingerprint), answers.expect(seq))
        await answers.all()
        row = await store.row("run")
        assert row is not None
        assert (row.seq, row.fingerprint) == (5, "f3")


@promise(Capability.DEFINITIONS)
async def an_entry_that_is_refused_leaves_the_definition(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        with raises(LeaseLost):
            await append(store, entry("run", 7, fingerprint="f2"))
        row = await store.row("run")
        assert row is not None
        assert row.fingerprint == "f1"
