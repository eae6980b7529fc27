"""Ending a run for good, whoever drives it: here, in another process, or nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import pytest

from milepost.engine import cancelling, mailroom
from milepost.engine.engine import Engine
from milepost.engine.errors import CrashLoop, InputError, NodeError, RunBusy, RunCancelled, StoreError, UnknownRun
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Acknowledge, Entry, Message, Notice, RunRow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN, Deps, FullStore, chain

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]

TWO = chain(["first", "second"])


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look into inboxes and at runs more often than anybody needs."""
    monkeypatch.setattr(mailroom, "LOOK_EVERY", 0.005)
    monkeypatch.setattr(cancelling, "ASK_AGAIN", 0.005)


def ask(message_id: str = "m-1", kind: str = "cancel") -> Message:
    return Message(RUN, message_id, kind, "null", None, 0.0)


async def left_behind(journals: Journals, deps: Deps | None = None) -> None:
    """Leave a run that stopped in `second` and that nobody drives."""
    deps = deps or Deps()
    deps.gate("second")
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["second"].wait()
        run.stop()


# --- Engine.cancel ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", [None, "memory://"])
async def test_a_run_that_is_cancelled_before_it_begins_runs_nothing(store: str | None) -> None:
    deps = Deps()
    async with Engine(store) as engine:
        run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
        run.cancel()
        assert await run.wait() == "cancelled"
    assert not deps.calls


@pytest.mark.parametrize("store", [None, "memory://"])
async def test_a_run_that_is_driven_here_is_cancelled_at_once(store: str | None) -> None:
    deps = Deps().gate("first")
    async with Engine(store) as engine:
        run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["first"].wait()
        assert await engine.cancel(RUN) == "cancelled"
        assert deps.stopped == ["first"]
        with pytest.raises(RunCancelled):
            await run.result()


async def test_a_run_that_another_engine_drives_is_cancelled_by_that() -> None:
    journals, deps = Journals(), Deps().gate("first")
    async with Engine(MemoryStore(journals)) as owner, Engine(MemoryStore(journals)) as other:
        run = await owner.start(TWO, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["first"].wait()
        assert await other.cancel(RUN) == "cancelled"
        with pytest.raises(RunCancelled):
            await run.result()
    assert deps.stopped == ["first"]
    assert journals.rows[RUN].status == "cancelled"
    assert journals.rows[RUN].epoch == 1, "nobody took it over"
    assert not journals.inbox.waiting, "what was asked is answered"


@dataclass
class Tidying(Deps):
    """Bodies that clean up, when they are stopped, for as long as they may not be done. told: what happened."""

    told: list[str] = field(default_factory=list[str])
    begins_to_tidy: anyio.Event = field(default_factory=anyio.Event)
    may_be_done: anyio.Event = field(default_factory=anyio.Event)

    async def enter(self, node: str) -> None:
        try:
            await super().enter(node)
        finally:
            self.begins_to_tidy.set()
            with anyio.CancelScope(shield=True):
                await self.may_be_done.wait()
            self.told.append("tidied")


async def test_whoever_cancels_a_run_elsewhere_waits_until_its_nodes_have_cleaned_up() -> None:
    journals, deps = Journals(), Tidying()
    deps.gate("first")
    async with Engine(MemoryStore(journals)) as owner, Engine(MemoryStore(journals)) as other:
        await owner.start(TWO, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["first"].wait()

        async def cancel() -> None:
            deps.told.append(await other.cancel(RUN))

        async with anyio.create_task_group() as group:
            group.start_soon(cancel)
            await deps.begins_to_tidy.wait()
            await anyio.sleep(10 * cancelling.ASK_AGAIN)
            deps.may_be_done.set()
    assert deps.told == ["tidied", "cancelled"]


async def test_nodes_that_clean_up_longer_than_somebody_waits_leave_the_run_cancelled() -> None:
    journals, deps = Journals(), Tidying()
    deps.gate("first")
    async with Engine(MemoryStore(journals)) as owner, Engine(MemoryStore(journals)) as other:
        await owner.start(TWO, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["first"].wait()
        await MemoryStore(journals).post(ask())
        await deps.begins_to_tidy.wait()
        assert await other.cancel(RUN, patience=0.0) == "cancelled"
        assert not deps.told
        deps.may_be_done.set()
    assert deps.told == ["tidied"]


async def test_a_run_that_nobody_drives_is_ended_here() -> None:
    journals = Journals()
    await left_behind(journals)
    async with Engine(MemoryStore(journals)) as engine:
        assert await engine.cancel(RUN) == "cancelled"
        row = journals.rows[RUN]
        assert (row.status, row.owner, row.error, row.seq) == ("cancelled", None, "cancelled", 3)
        with pytest.raises(RunCancelled):
            await engine.resume(RUN, TWO, deps=Deps())
        assert (await engine.trace(RUN)).checkpoints == 3


async def test_a_failed_run_can_be_cancelled_so_that_nobody_tries_it_again() -> None:
    journals, deps = Journals(), Deps(faulty={"second"})
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
        with pytest.raises(NodeError):
            await run.result()
        assert await engine.cancel(RUN) == "cancelled"
    assert journals.rows[RUN].status == "cancelled"


async def test_a_cancelled_run_stays_as_it_is() -> None:
    journals = Journals()
    await left_behind(journals)
    async with Engine(MemoryStore(journals)) as engine:
        await engine.cancel(RUN)
        before = journals.rows[RUN]
        assert await engine.cancel(RUN) == "cancelled"
    assert journals.rows[RUN] == before


async def test_a_completed_run_stays_completed() -> None:
    journals = Journals()
    await TWO.run(inputs=1, deps=Deps(), store=MemoryStore(journals), run_id=RUN)
    before = journals.rows[RUN]
    async with Engine(MemoryStore(journals)) as engine:
        assert await engine.cancel(RUN) == "completed"
    assert journals.rows[RUN] == before
    assert len(journals.openings[RUN]) == 1


async def test_the_inner_runs_of_a_run_that_nobody_drives_are_ended_with_it() -> None:
    journals, deps = Journals(), Deps().gate("second")
    wf = WorkflowBuilder(name="outer", deps_type=Deps, input_type=int, output_type=int)
    inner = wf.subworkflow(TWO, deps=lambda ctx: ctx.deps)
    wf.edge(wf.start_node, inner)
    wf.edge(inner, wf.end_node)
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(wf.build(), inputs=1, deps=deps, run_id=RUN)
        await deps.begun["second"].wait()
        run.stop()
    assert {row.status for row in journals.rows.values()} == {"running"}

    async with Engine(MemoryStore(journals)) as engine:
        await engine.cancel(RUN)
    assert [row.status for row in journals.rows.values()] == ["cancelled", "cancelled"]


async def test_a_cancelled_run_that_somebody_goes_on_with_can_be_cancelled_again() -> None:
    journals, deps = Journals(), Deps()
    await left_behind(journals, deps)
    async with Engine(MemoryStore(journals)) as owner, Engine(MemoryStore(journals)) as other:
        await other.cancel(RUN)
        run = await owner.resume(RUN, TWO, deps=deps, reopen=True)
        assert await other.cancel(RUN) == "cancelled"
        assert await run.wait() == "cancelled"
    assert journals.rows[RUN].seq == 4


async def test_an_unknown_run_cannot_be_cancelled() -> None:
    journals = Journals()
    await left_behind(journals)
    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(UnknownRun, match=r"There is no run 'r-2' in this store\. Did you mean 'r-1'\?"):
            await engine.cancel("r-2")


async def test_without_a_store_only_what_runs_here_can_be_cancelled() -> None:
    async with Engine() as engine:
        with pytest.raises(InputError, match="This engine has no store"):
            await engine.cancel(RUN)


async def test_an_owner_that_does_not_answer_is_named_and_stays_asked() -> None:
    journals = Journals()
    await left_behind(journals)
    deaf = MemoryStore(journals)
    await deaf.open()
    await deaf.acquire(RUN)
    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(RunBusy, match=r"Run 'r-1' is being driven by this process \(engine"):
            await engine.cancel(RUN, patience=0.02)
        assert [(message.kind, message.run_id) for message in journals.inbox.waiting.values()] == [("cancel", RUN)]

        await deaf.close()
        assert await engine.cancel(RUN) == "cancelled"
    assert not journals.inbox.waiting


async def test_a_run_whose_owners_keep_dying_can_be_cancelled() -> None:
    class Doomed(MemoryStore):
        tries = 0

        async def acquire(self, run_id: str) -> RunRow:
            self.tries += 1
            if self.tries == 1:
                raise CrashLoop(run_id, 100)
            return await super().acquire(run_id)

    journals = Journals()
    await left_behind(journals)
    async with Engine(Doomed(journals)) as engine:
        assert await engine.cancel(RUN) == "cancelled"


async def test_an_owner_that_finishes_first_is_not_overruled() -> None:
    class Late(MemoryStore):
        async def acquire(self, run_id: str) -> RunRow:
            await TWO.run(inputs=1, deps=Deps(), store=MemoryStore(journals), run_id=run_id)
            return await super().acquire(run_id)

    journals = Journals()
    await left_behind(journals)
    async with Engine(Late(journals)) as engine:
        assert await engine.cancel(RUN) == "completed"
    assert journals.rows[RUN].owner is None


async def test_a_cancellation_that_cannot_be_stored_is_an_error_and_lets_the_run_go() -> None:
    class Full(MemoryStore):
        def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
            acknowledge(StoreError("The disk is full."))

    journals = Journals()
    await left_behind(journals)
    async with Engine(Full(journals)) as engine:
        with pytest.raises(StoreError, match="The disk is full"):
            await engine.cancel(RUN)
    assert (journals.rows[RUN].status, journals.rows[RUN].owner) == ("running", None)


# --- what is said from outside ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
async def test_what_a_run_was_asked_while_nobody_drove_it_is_heard_before_anything_runs(fails: bool) -> None:
    """It may have failed, or its process may have died, before it heard."""
    journals = Journals()
    store = MemoryStore(journals)
    async with Engine(store) as engine:
        if fails:
            run = await engine.start(TWO, inputs=1, deps=Deps(faulty={"second"}), run_id=RUN)
            with pytest.raises(NodeError):
                await run.result()
        else:
            await left_behind(journals)
        await store.post(ask())
        deps = Deps()
        with pytest.raises(RunCancelled):
            await engine.resume(RUN, TWO, deps=deps)
        assert not deps.calls
        found = await engine.find(RUN)
        assert (found.status, found.error) == ("cancelled", "cancelled")
        assert not journals.inbox.waiting
        assert await engine.verify() == []
        again = await engine.resume(RUN, TWO, deps=deps, reopen=True)
        assert await again.result() == 3
        assert deps.calls == {"second": 1}


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_whoever_reopens_a_run_goes_on_whatever_it_was_asked_before(status: str) -> None:
    """Also where the run was cancelled already when somebody else asked for it once more."""
    store = MemoryStore()
    async with Engine(store) as engine:
        run = await engine.start(TWO, inputs=1, deps=Deps(faulty={"second"}), run_id=RUN)
        with pytest.raises(NodeError):
            await run.result()
        if status == "cancelled":
            assert await engine.cancel(RUN) == status
        await store.post(ask())
        deps = Deps().gate("second")
        run = await engine.resume(RUN, TWO, deps=deps, reopen=True)
        await deps.begun["second"].wait()
        assert list(await store.inbox(RUN)) == []
        deps.gates["second"].set()
        assert await run.result() == 3


async def test_what_cannot_be_heard_lets_the_run_go() -> None:
    journals = Journals()
    await left_behind(journals)
    await MemoryStore(journals).post(ask())
    async with Engine(FullStore(journals, room=2)) as engine:
        for _ in range(2):
            with pytest.raises(StoreError, match="full"):
                await engine.resume(RUN, TWO, deps=Deps())
    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(RunCancelled):
            await engine.resume(RUN, TWO, deps=Deps())


async def test_a_run_that_somebody_has_completed_meanwhile_is_not_ended_by_what_it_was_asked() -> None:
    """It is found unfinished, and complete when it is taken over."""

    class Late(MemoryStore):
        async def acquire(self, run_id: str) -> RunRow:
            if not self.journals.inbox.waiting:
                async with Engine(MemoryStore(self.journals)) as other:
                    assert await (await other.resume(RUN, TWO, deps=Deps())).result() == 3
                await self.post(ask())
            return await super().acquire(run_id)

    journals = Journals()
    await left_behind(journals)
    deps = Deps()
    async with Engine(Late(journals)) as engine:
        run = await engine.resume(RUN, TWO, deps=deps)
        assert await run.result() == 3
        assert (await engine.find(RUN)).status == "completed"
    assert not deps.calls


async def test_a_run_that_goes_on_after_it_was_cancelled_is_not_cancelled_by_the_same_message_again() -> None:
    journals, deps = Journals(), Deps().gate("first")
    async with Engine(MemoryStore(journals)) as engine, Engine(MemoryStore(journals)) as other:
        run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
        await deps.begun["first"].wait()
        await other.cancel(RUN)
        assert await run.wait() == "cancelled"

        deps.gates["first"].set()
        again = await engine.resume(RUN, TWO, deps=deps, reopen=True)
        assert await again.result() == 3


async def test_a_message_of_another_kind_is_left_where_it_is() -> None:
    journals, deps = Journals(), Deps().gate("first")
    store = Counting(journals)
    async with Engine(store) as engine:
        run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
        await store.post(ask(kind="riddle"))
        await store.asked(3)
        deps.gates["first"].set()
        assert await run.result() == 3
    assert len(journals.inbox.waiting) == 1


class Counting(MemoryStore):
    """A store that counts how often it is asked for news. broken: it answers with an error."""

    def __init__(self, journals: Journals) -> None:
        super().__init__(journals)
        self.count = 0
        self.broken = False
        self._asked: dict[int, anyio.Event] = {}

    async def news(self, after: int) -> Sequence[Notice]:
        self.count += 1
        if self.count in self._asked:
            self._asked[self.count].set()
        if self.broken:
            raise StoreError("The disk is gone.")
        return await super().news(after)

    async def asked(self, times: int) -> None:
        """Wait until it was asked so many more times."""
        event = self._asked[self.count + times] = anyio.Event()
        with anyio.fail_after(5):
            await event.wait()


async def test_one_question_serves_all_runs_of_an_engine() -> None:
    store, deps = Counting(Journals()), Deps().gate("first")
    async with Engine(store) as engine:
        for _ in range(20):
            await engine.start(TWO, inputs=1, deps=deps)
        before = anyio.current_time()
        await store.asked(4)
        assert anyio.current_time() - before >= 3 * 0.005
        deps.gates["first"].set()


async def test_a_store_that_fails_for_a_moment_is_asked_again() -> None:
    store, deps = Counting(Journals()), Deps().gate("first")
    store.broken = True
    async with Engine(store) as engine:
        run = await engine.start(TWO, inputs=1, deps=deps, run_id=RUN)
        await store.asked(2)
        store.broken = False
        await store.post(ask())
        with anyio.fail_after(5):
            assert await run.wait() == "cancelled"


async def test_nobody_is_asked_for_news_while_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailroom, "LOOK_EVERY", 3600)
    store = Counting(Journals())
    with anyio.fail_after(5):
        async with Engine(store) as engine:
            for _ in range(3):
                run = await engine.start(TWO, inputs=1, deps=Deps())
                assert await run.result() == 3
    assert store.count == 0


async def test_the_news_go_on_where_they_were_when_the_next_run_begins() -> None:
    journals = Journals()
    store = Counting(journals)
    async with Engine(store) as engine:
        for number in range(2):
            deps = Deps().gate("first")
            run = await engine.start(TWO, inputs=1, deps=deps, run_id=f"run {number}")
            await deps.begun["first"].wait()
            await store.post(Message(run.id, "m-1", "cancel", "null", None, 0.0))
            with anyio.fail_after(5):
                assert await run.wait() == "cancelled"
