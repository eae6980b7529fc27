"""What every store promises about the inbox of a run."""

from __future__ import annotations

import anyio
import anyio.lowlevel

from milepost.engine.errors import LeaseLost, UnknownRun
from milepost.engine.stores.store import Message, Notice, Store
from milepost.engine.trace import RunStatus
from milepost.testing.contract.place import Place
from milepost.testing.contract.promise import Capability, promise, raises
from milepost.testing.contract.writing import Answers, append, begin, entry, message


async def ids(store: Store, run_id: str = "run") -> list[str]:
    """Return the ids of the messages in the inbox of a run."""
    return [each.id for each in await store.inbox(run_id)]


@promise(Capability.INBOX, Capability.UNICODE)
async def a_message_comes_back_as_it_was_posted(place: Place) -> None:
    odd = "é 漢字 🎈 \x00 ' \" \\ ; -- ? \r\n"
    async with place.open() as store:
        await begin(store, odd)
        for each in (Message(odd, odd, odd, odd, odd, 5.5), Message(odd, "", "", "", None, 0.0)):
            assert await store.post(each)
        first, second = await store.inbox(odd)
    assert first == Message(odd, odd, odd, odd, odd, 5.5, first.number)
    assert second == Message(odd, "", "", "", None, 0.0, second.number)
    assert 0 < first.number < second.number


@promise(Capability.INBOX)
async def messages_wait_in_the_order_in_which_they_were_posted(place: Place) -> None:
    async with place.open() as store:
        await begin(store, "run")
        await begin(store, "other")
        for number in range(9, 0, -1):
            await store.post(message("run", f"m{number}", at=float(number)))
            await store.post(message("other", f"m{number}"))
        assert await ids(store) == [f"m{number}" for number in range(9, 0, -1)]
        numbers = [each.number for each in await store.inbox("run")]
        assert numbers == sorted(numbers)


@promise(Capability.INBOX, Capability.IDEMPOTENCE)
async def a_message_is_posted_only_once(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store, "run")
        await begin(store, "other")
        assert await store.post(message("run", "a", payload="1"))
        assert not await store.post(message("run", "a", payload="2"))
        assert not await other.post(message("run", "a", payload="3"))
        assert await store.post(message("other", "a", payload="4"))
        assert [each.payload for each in await store.inbox("run")] == ["1"]


@promise(Capability.INBOX, Capability.IDEMPOTENCE)
async def a_message_that_was_taken_in_is_not_posted_again(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store)
        await store.post(message("run", "a"))
        await append(store, entry("run", 2, taken=("a",)))
        assert not await other.post(message("run", "a"))
        assert await ids(store) == []
        assert list(await store.news(0)) == []


@promise(Capability.INBOX)
async def a_message_to_a_run_that_is_not_there_is_refused(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        with raises(UnknownRun, "There is no run 'none' in this store"):
            await store.post(message("none", "a"))
        assert await ids(store, "none") == []
        assert list(await store.news(0)) == []


@promise(Capability.INBOX)
async def a_message_reaches_a_run_however_it_stands(place: Place) -> None:
    statuses: tuple[RunStatus, ...] = ("running", "waiting", "completed", "failed", "cancelled")
    async with place.open() as store, place.open() as other:
        for status in statuses:
            await begin(store, status)
            await append(store, entry(status, 2, status=status))
            await other.post(message(status, "owned"))
            await store.release(status, 1)
            await other.post(message(status, "free"))
            assert await ids(store, status) == ["owned", "free"]


@promise(Capability.INBOX)
async def a_message_does_not_touch_the_run(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store)
        before = await store.row("run")
        await other.post(message("run", "a"))
        assert await store.row("run") == before
        await append(store, entry("run", 2))


@promise(Capability.INBOX)
async def messages_leave_with_the_record_that_takes_them_in(place: Place) -> None:
    async with place.open() as store:
        for run_id in ("run", "other"):
            await begin(store, run_id)
            for name in "abcd":
                await store.post(message(run_id, name))
        await append(store, entry("run", 2, taken=("a", "c", "never posted")), entry("run", 3, taken=("d",)))
        assert await ids(store) == ["b"]
        assert await ids(store, "other") == ["a", "b", "c", "d"]


@promise(Capability.INBOX, Capability.FENCING, Capability.CRASH)
async def messages_stay_when_the_record_is_refused(place: Place) -> None:
    answers = Answers()
    async with place.open() as slow, place.open() as heir:
        await begin(slow)
        await slow.post(message("run", "a"))
        place.kill()
        await heir.acquire("run")
        slow.append(entry("run", 2, taken=("a",)), answers.expect(2))
        ((_, error),) = await answers.all()
        assert isinstance(error, LeaseLost)
        assert await ids(heir) == ["a"]
        await append(heir, entry("run", 2, epoch=2, taken=("a",)))
        assert await ids(heir) == []


@promise(Capability.INBOX)
async def the_news_say_which_runs_have_messages(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store, "a")
        await begin(other, "b")
        assert list(await store.news(0)) == []
        for run_id, name in (("b", "1"), ("a", "2"), ("b", "3")):
            await other.post(message(run_id, name))
        first, second, third = await store.news(0)
        assert [first.run_id, second.run_id, third.run_id] == ["b", "a", "b"]
        assert (first.number, third.number) == tuple(each.number for each in await store.inbox("b"))
        assert await store.news(first.number) == [second, third]
        assert await other.news(third.number) == []


@promise(Capability.INBOX)
async def the_news_leave_out_what_was_taken_in(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        for name in "abc":
            await store.post(message("run", name))
        a, _, c = await store.news(0)
        await append(store, entry("run", 2, taken=("b",)))
        assert await store.news(0) == [a, c]


@promise(Capability.INBOX)
async def a_message_is_new_also_when_all_before_it_were_taken_in(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        seen = 0
        for seq in range(2, 7):
            await store.post(message("run", str(seq)))
            (notice,) = await store.news(seen)
            assert notice == Notice(notice.number, "run")
            assert notice.number > seen
            seen = notice.number
            await append(store, entry("run", seq, taken=(str(seq),)))


@promise(Capability.INBOX)
async def whoever_acquires_a_run_finds_what_was_said_before_and_then_what_is_new(place: Place) -> None:
    async with place.open() as store, place.open() as heir:
        await begin(store)
        await store.post(message("run", "before"))
        (seen,) = await heir.news(0)
        await store.release("run", 1)
        await heir.acquire("run")
        assert await ids(heir) == ["before"]
        await store.post(message("run", "after"))
        assert [notice.run_id for notice in await heir.news(seen.number)] == ["run"]
        assert await ids(heir) == ["before", "after"]


@promise(Capability.INBOX)
async def messages_outlive_whoever_posted_them(place: Place) -> None:
    async with place.open() as store:
        await begin(store)
        async with place.open() as other:
            await other.post(message("run", "a"))
    async with place.open() as store:
        assert await ids(store) == ["a"]


@promise(Capability.INBOX, Capability.CONCURRENCY)
async def messages_arrive_while_the_owner_writes(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store)

        async def post() -> None:
            for number in range(40):
                assert await other.post(message("run", str(number)))

        answers = Answers()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post)
            for seq in range(2, 60):
                store.append(entry("run", seq), answers.expect(seq))
                await anyio.lowlevel.checkpoint()
        assert all(error is None for _, error in await answers.all())
        assert await ids(store) == [str(number) for number in range(40)]


@promise(Capability.INBOX, Capability.CONCURRENCY, Capability.IDEMPOTENCE)
async def of_several_who_post_one_message_exactly_one_is_first(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store)
        firsts: list[str] = []

        async def post(poster: Store, name: str) -> None:
            if await poster.post(message("run", name)):
                firsts.append(name)

        async with anyio.create_task_group() as tasks:
            for number in range(30):
                tasks.start_soon(post, store if number % 2 else other, f"m{number % 10}")
        assert sorted(firsts) == [f"m{number}" for number in range(10)]
        assert sorted(await ids(store)) == sorted(firsts)


@promise(Capability.INBOX, Capability.CONCURRENCY)
async def whoever_reads_the_news_misses_nothing_that_is_posted_meanwhile(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await begin(store)
        met: list[int] = []

        async def post(poster: Store, name: str) -> None:
            for number in range(20):
                await poster.post(message("run", f"{name} {number}"))

        async def read() -> None:
            while len(met) < 60:
                met.extend(notice.number for notice in await store.news(met[-1] if met else 0))
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            for poster, name in ((store, "a"), (other, "b"), (other, "c")):
                tasks.start_soon(post, poster, name)
        assert met == [each.number for each in await store.inbox("run")]
