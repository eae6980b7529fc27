"""What every store promises about the records of a run and its row."""

from __future__ import annotations

import anyio

from milepost.engine.errors import LeaseLost, UnknownRun
from milepost.engine.stores.store import Acknowledge, Store
from milepost.testing.contract.place import Place
from milepost.testing.contract.promise import Capability, promise, raises
from milepost.testing.contract.writing import Answers, append, begin, entry, new_run


@promise(Capability.ORDERING)
async def a_created_run_has_its_first_record_and_its_row(place: Place) -> None:
    async with place.open() as store:
        assert await store.create(new_run("run"), entry("run", 1, body='{"a":1}', content="[2]", at=5.5, snapshot="{}"))
        (record,) = await store.records("run")
        row = await store.row("run")
    assert record == (1, '{"a":1}', "[2]", "hash 1", 5.5, "{}")
    assert row is not None
    assert (row.run_id, row.workflow, row.version, row.fingerprint) == ("run", "claims", 3, "f1")
    assert (row.status, row.isolation, row.created, row.updated) == ("running", "task", 5.5, 5.5)
    assert (row.seq, row.hash, row.snapshot_seq, row.epoch) == (1, "hash 1", 1, 1)
    assert row.owner is not None
    assert (row.error, row.output) == (None, None)


@promise(Capability.IDEMPOTENCE)
async def creating_a_run_again_changes_nothing(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store, length=2)
        before = await store.row("run")
        for each in (store, other):
            assert not await each.create(new_run("run", fingerprint="f2"), entry("run", 1, body="[]"))
        assert await store.row("run") == before
        assert [record.body for record in await store.records("run")] == ["{}", "{}"]


@promise(Capability.ORDERING)
async def records_come_back_in_order(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "other", length=3)
        await begin(store, length=30)
        assert [record.seq for record in await store.records("run")] == list(range(1, 31))
        assert [record.seq for record in await store.records("run", after=27)] == [28, 29, 30]
        assert list(await store.records("run", after=30)) == []


@promise(Capability.ORDERING)
async def one_record_is_found_by_its_number(place: Place) -> None:
    async with place.open() as store:
        await begin(store, length=3)
        record = await store.record("run", 2)
        assert record is not None
        assert record.hash == "hash 2"
        assert await store.record("run", 4) is None
        assert await store.record("run", 0) is None
        assert await store.record("other", 1) is None


@promise(Capability.ORDERING)
async def the_row_follows_the_newest_record(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        await append(
            store,
            entry("run", 2, at=1001.0, snapshot="{}", status="failed", error="no"),
            entry("run", 3, at=1002.0, status="completed", output="[4]"),
        )
        row = await store.row("run")
    assert row is not None
    assert (row.seq, row.hash, row.snapshot_seq) == (3, "hash 3", 2)
    assert (row.status, row.error, row.output) == ("completed", None, "[4]")
    assert (row.created, row.updated) == (1000.0, 1002.0)


@promise(Capability.ORDERING)
async def what_is_not_there_is_not_found(place: Place) -> None:
    async with place.open() as store:
        assert await store.row("run") is None
        assert list(await store.rows()) == []
        assert list(await store.records("run")) == []
        assert list(await store.openings("run")) == []
        assert await store.definition("f1") is None
        with raises(UnknownRun, "There is no run 'run' in this store"):
            await store.acquire("run")


@promise(Capability.LISTING)
async def the_newest_run_is_listed_first(place: Place) -> None:
    async with place.open() as store:
        for run_id, at in (("b", 2.0), ("c", 3.0), ("a", 1.0)):
            assert await store.create(new_run(run_id), entry(run_id, 1, at=at))
        await append(store, entry("a", 2, at=9.0))
        assert [row.run_id for row in await store.rows()] == ["c", "b", "a"]


@promise(Capability.DEFINITIONS)
async def a_definition_is_kept_once_for_all_its_runs(place: Place) -> None:
    async with place.open() as store:
        await store.create(new_run("a", fingerprint="x", definition='{"name":"é"}'), entry("a", 1))
        await store.create(new_run("b", fingerprint="x", definition='{"name":"é"}'), entry("b", 1))
        assert await store.definition("x") == '{"name":"é"}'


@promise(Capability.UNICODE)
async def what_is_read_is_what_was_written(place: Place) -> None:
    odd = "é ÿ 漢字 🎈 \u2028 \x00 \x7f ' \" \\ ; -- %s ? \r\n"
    async with place.open() as store:
        await begin(store, odd)
        await append(store, entry(odd, 2, body=odd, content="", snapshot=odd, error=odd, output=odd))
        record = await store.record(odd, 2)
        row = await store.row(odd)
    assert record is not None
    assert (record.body, record.content, record.snapshot) == (odd, "", odd)
    assert row is not None
    assert (row.run_id, row.error, row.output) == (odd, odd, odd)


@promise(Capability.LARGE_VALUES)
async def a_record_of_many_megabytes_comes_back(place: Place) -> None:
    large = "0123456789" * 500_000
    async with place.open() as store:
        await begin(store)
        await append(store, entry("run", 2, content=large, snapshot=large, output=large), entry("run", 3))
    async with place.open() as store:
        record = await store.record("run", 2)
        assert record is not None
        assert record.content == large
        assert record.snapshot == large


@promise(Capability.ORDERING)
async def entries_are_acknowledged_in_order(place: Place) -> None:
    answers = Answers()
    async with place.open() as store:
        for run_id in "abc":
            await begin(store, run_id)
        for seq in range(2, 60):
            for run_id in "abc":
                store.append(entry(run_id, seq), answers.expect((run_id, seq)))
        assert await answers.all() == [((run_id, seq), None) for seq in range(2, 60) for run_id in "abc"]
        assert [len(await store.records(run_id)) for run_id in "abc"] == [59, 59, 59]


@promise(Capability.ORDERING)
async def an_acknowledgement_may_append_the_next_entry(place: Place) -> None:
    answers = Answers()
    async with place.open() as store:
        await begin(store)
        last = answers.expect(20)

        def append_from(seq: int) -> Acknowledge:
            def acknowledge(_: BaseException | None) -> None:
                store.append(entry("run", seq), append_from(seq + 1))

            return acknowledge if seq <= 20 else last

        append_from(2)(None)
        assert await answers.all() == [(20, None)]
        assert [record.seq for record in await store.records("run")] == list(range(1, 21))


@promise(Capability.ORDERING)
async def closing_waits_for_what_is_being_written(place: Place) -> None:
    answers = Answers()
    async with place.open() as store:
        await begin(store)
        for seq in range(2, 40):
            store.append(entry("run", seq), answers.expect(seq))
    assert answers.given == [(seq, None) for seq in range(2, 40)]


@promise(Capability.ORDERING, Capability.IDEMPOTENCE)
async def an_entry_that_is_committed_is_refused_when_it_comes_again(place: Place) -> None:
    async with place.open() as store:
        await begin(store, length=3)
        for seq in (3, 2, 1):
            with raises(LeaseLost):
                await append(store, entry("run", seq))
        await append(store, entry("run", 4))
        assert [record.seq for record in await store.records("run")] == [1, 2, 3, 4]


@promise(Capability.ORDERING, Capability.CONCURRENCY)
async def the_entries_of_many_runs_are_committed_side_by_side(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        names = [f"run {number}" for number in range(20)]

        async def write(writer: Store, run_id: str) -> None:
            await begin(writer, run_id)
            for seq in range(2, 12):
                await append(writer, entry(run_id, seq))

        async with anyio.create_task_group() as tasks:
            for number, run_id in enumerate(names):
                tasks.start_soon(write, store if number % 2 else other, run_id)
        for run_id in names:
            assert [record.seq for record in await store.records(run_id)] == list(range(1, 12))


@promise(Capability.ORDERING)
async def an_entry_that_skips_a_number_is_refused_with_all_after_it(place: Place) -> None:
    answers = Answers()
    async with place.open() as store:
        await begin(store, "run")
        await begin(store, "other")
        for run_id, seq in (("run", 2), ("run", 4), ("other", 2), ("run", 5)):
            store.append(entry(run_id, seq), answers.expect((run_id, seq)))
        given = dict(await answers.all())
        assert [record.seq for record in await store.records("run")] == [1, 2]
    assert given["run", 2] is None
    assert given["other", 2] is None
    assert isinstance(given["run", 4], LeaseLost)
    assert isinstance(given["run", 5], LeaseLost)
