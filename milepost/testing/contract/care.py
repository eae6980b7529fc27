"""What every store promises to whoever looks after it."""

from __future__ import annotations

from dataclasses import replace

from milepost.engine.stores.store import CacheEntry, Leftovers, Message, Posted, Store, Weight, WholeRun
from milepost.testing.contract.place import Place
from milepost.testing.contract.promise import Capability, promise
from milepost.testing.contract.writing import append, begin, entry, message, new_run


async def whole(store: Store, run_id: str) -> WholeRun:
    """Return all that a store has of a run."""
    row = await store.row(run_id)
    assert row is not None
    definition = await store.definition(row.fingerprint)
    assert definition is not None
    return WholeRun(
        row=row,
        definition=definition,
        records=await store.records(run_id),
        openings=await store.openings(run_id),
        messages=await store.posted(run_id),
    )


async def rest(store: Store, *run_ids: str) -> None:
    """Let runs go, so that nobody owns them."""
    for run_id in run_ids:
        row = await store.row(run_id)
        assert row is not None
        await store.release(run_id, row.epoch)


@promise(Capability.CARE)
async def runs_weigh_what_their_texts_do(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "a", length=2)
        await begin(store, "b")
        await append(store, entry("b", 2, body='"é"', content="[1]", snapshot="{}"))
        one, other = await store.weigh(["a"]), await store.weigh(["b"])
        assert one[:2] == other[:2] == (1, 2)
        assert 8 <= one.bytes < other.bytes
        assert await store.weigh(["a", "b", "nobody"]) == Weight(2, 4, one.bytes + other.bytes)
        assert await store.weigh([]) == Weight(0, 0, 0)


@promise(Capability.CARE)
async def a_deleted_run_leaves_nothing_behind(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "gone", length=3)
        await begin(store, "kept", length=2)
        for run_id in ("gone", "kept"):
            assert await store.post(message(run_id, "m"))
        await rest(store, "gone", "kept")
        row, kept = await store.row("gone"), await whole(store, "kept")
        assert row is not None
        assert await store.delete([row])
        assert await store.row("gone") is None
        assert [row.run_id for row in await store.rows()] == ["kept"]
        for left in (await store.records("gone"), await store.openings("gone"), await store.posted("gone")):
            assert list(left) == []
        assert [notice.run_id for notice in await store.news(0)] == ["kept"]
        assert await whole(store, "kept") == kept


@promise(Capability.CARE)
async def the_id_of_a_deleted_run_can_be_used_again(place: Place) -> None:
    async with place.open() as store:
        await begin(store, length=3)
        await store.post(message("run", "m"))
        await rest(store, "run")
        row = await store.row("run")
        assert row is not None
        assert await store.delete([row])
        assert not await store.delete([row])
        await begin(store, length=2)
        assert await store.post(message("run", "m"))
        assert [record.seq for record in await store.records("run")] == [1, 2]
        assert len(await store.openings("run")) == 1


@promise(Capability.CARE, Capability.FENCING)
async def a_run_with_a_live_owner_is_neither_deleted_nor_rewritten(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store)
        run = await whole(store, "run")
        for each in (store, other):
            assert not await each.delete([run.row])
            assert not await each.rewrite(run)
        await append(store, entry("run", 2))


@promise(Capability.CARE, Capability.CRASH)
async def a_run_of_a_dead_owner_can_be_deleted(place: Place) -> None:
    async with place.open() as dead, place.open() as store:
        await begin(dead, length=2)
        row = await store.row("run")
        assert row is not None
        place.kill()
        assert await store.delete([row])
        assert await store.row("run") is None


@promise(Capability.CARE)
async def a_run_that_went_on_meanwhile_is_neither_deleted_nor_rewritten(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        before = await whole(store, "run")
        await append(store, entry("run", 2))
        await rest(store, "run")
        assert not await store.delete([before.row])
        assert not await store.rewrite(before)
        taken = await store.acquire("run")
        await rest(store, "run")
        assert not await store.delete([replace(before.row, seq=2)])
        assert await store.delete([replace(taken, owner=None)])


@promise(Capability.CARE)
async def of_several_runs_all_are_deleted_or_none(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "free")
        await begin(store, "owned")
        await rest(store, "free")
        rows = await store.rows()
        assert not await store.delete(rows)
        assert await store.rows() == rows
        await rest(store, "owned")
        assert await store.delete(await store.rows())
        assert list(await store.rows()) == []


@promise(Capability.CARE, Capability.NESTING)
async def a_run_is_not_deleted_without_the_runs_inside_it(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "outer")
        assert await store.create(new_run("inner", parent=("outer", "task")), entry("inner", 1))
        await rest(store, "outer", "inner")
        outer, inner = await store.row("outer"), await store.row("inner")
        assert outer is not None
        assert inner is not None
        assert not await store.delete([outer])
        assert await store.delete([outer, inner])


@promise(Capability.CARE)
async def a_whole_run_that_is_put_in_is_as_it_was(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "run")
        await begin(store, "other")
        for number in range(3):
            assert await store.post(message("run", f"m{number}"))
        await append(store, entry("run", 2, snapshot="{}", taken=("m1",), at=1002.5), entry("run", 3, error="no"))
        await rest(store, "run", "other")
        run, other = await whole(store, "run"), await whole(store, "other")
        assert await store.delete([run.row])
        assert await store.insert([run])
        back = await whole(store, "run")
        assert (back.row, back.definition, list(back.records)) == (run.row, run.definition, list(run.records))
        assert list(back.openings) == list(run.openings)
        assert [(one.message.id, one.message.payload, one.taken) for one in back.messages] == [
            ("m0", "{}", None),
            ("m1", "", 2),
            ("m2", "{}", None),
        ]
        assert [one.id for one in await store.inbox("run")] == ["m0", "m2"]
        assert [notice.run_id for notice in await store.news(0)] == ["run", "run"]
        assert not await store.post(message("run", "m1"))
        assert await whole(store, "other") == other


@promise(Capability.CARE)
async def a_whole_run_that_was_put_in_goes_on(place: Place) -> None:
    async with place.open() as store:
        await begin(store, length=3)
        await rest(store, "run")
        run = await whole(store, "run")
        assert await store.delete([run.row])
        assert await store.insert([replace(run, row=replace(run.row, owner="somebody else"))])
        row = await store.acquire("run")
        assert (row.epoch, row.seq) == (2, 3)
        await append(store, entry("run", 4, epoch=2))
        assert [record.seq for record in await store.records("run")] == [1, 2, 3, 4]


@promise(Capability.CARE, Capability.IDEMPOTENCE)
async def whole_runs_are_put_in_all_or_none(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "a", length=2)
        await begin(store, "b")
        await rest(store, "a", "b")
        both = [await whole(store, "a"), await whole(store, "b")]
        assert await store.delete([both[0].row])
        assert not await store.insert(both)
        assert await store.row("a") is None
        assert await store.delete([both[1].row])
        assert await store.insert(both)
        assert [await whole(store, "a"), await whole(store, "b")] == both


@promise(Capability.CARE)
async def a_rewritten_run_has_other_texts_and_nothing_else(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "other", length=3)
        await begin(store, length=2)
        for name in ("old", "new"):
            await store.post(message("run", name))
        await append(store, entry("run", 3, taken=("old",), status="failed", error="no"))
        await rest(store, "run", "other")
        before, other = await whole(store, "run"), await whole(store, "other")
        told = [Message("run", name, "answer", '"x"', "x", 1000.0) for name in ("old", "new", "nobody")]
        row = replace(before.row, hash="h", error="e", output="o")
        record = before.records[1]._replace(body="b", content="c", hash="d", snapshot="s")
        messages = [Posted(one, 3 if one.id == "old" else None) for one in told]
        assert await store.rewrite(replace(before, row=row, records=[record], messages=messages))
        after = await whole(store, "run")
        assert after.row == replace(before.row, hash="h", error="e", output="o")
        assert list(after.records) == [
            before.records[0],
            before.records[1]._replace(body="b", content="c", hash="d", snapshot="s"),
            before.records[2],
        ]
        assert [(one.message.payload, one.message.by) for one in after.messages] == [("", "x"), ('"x"', "x")]
        assert await whole(store, "other") == other


@promise(Capability.CARE, Capability.CACHE)
async def results_that_have_expired_are_swept(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        for number, expires in enumerate((None, 2000.0, 3000.0), 2):
            await append(store, entry("run", number, cache=CacheEntry(f"k{number}", "[12]", expires)))
        left = await store.sweep(2500.0, dry_run=True)
        assert left == Leftovers(1, 0, max(left.bytes, 4))
        assert await store.cached("k3", 0.0) == "[12]"
        assert await store.sweep(2500.0) == left
        assert [await store.cached(key, 0.0) for key in ("k2", "k3", "k4")] == ["[12]", None, "[12]"]
        assert await store.sweep(None) == Leftovers(2, 0, 2 * left.bytes)
        assert [await store.cached(key, 0.0) for key in ("k2", "k3", "k4")] == [None, None, None]
        assert await store.sweep(None) == Leftovers()


@promise(Capability.CARE, Capability.INBOX)
async def messages_to_runs_that_are_over_are_swept_but_their_ids_are_kept(place: Place) -> None:
    async with place.open() as store:
        for run_id in ("done", "driven", "failed"):
            await begin(store, run_id)
            await store.post(message(run_id, "m", payload="[1]"))
        await append(store, entry("done", 2, status="completed"), entry("driven", 2, status="completed"))
        await append(store, entry("failed", 2, status="failed"))
        await rest(store, "done", "failed")
        left = await store.sweep(0.0, dry_run=True)
        assert left == Leftovers(0, 1, max(left.bytes, 3))
        assert await store.sweep(0.0) == left
        assert list(await store.inbox("done")) == []
        assert [len(await store.inbox(run_id)) for run_id in ("driven", "failed")] == [1, 1]
        assert not await store.post(message("done", "m"))
        assert await store.sweep(0.0) == Leftovers()


@promise(Capability.CARE)
async def a_sound_store_has_nothing_to_complain_of_and_can_be_compacted(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "big", length=50)
        await begin(store, "kept", length=2)
        await rest(store, "big", "kept")
        row, kept = await store.row("big"), await whole(store, "kept")
        assert row is not None
        assert await store.delete([row])
        assert await store.compact() >= 0
        assert list(await store.check()) == []
        assert await whole(store, "kept") == kept
        await store.acquire("kept")
        await append(store, entry("kept", 3, epoch=2))
