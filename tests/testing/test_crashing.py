"""`crash_everywhere` in one process: what holds comes through, and every fault is found and named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from milepost import Again, Done, InputError, NodeError, RunBusy, StepContext, Workflow, WorkflowBuilder, reduce_sum
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.postgres import PostgresStore
from milepost.engine.stores.store import Acknowledge, Entry, RunRow
from milepost.testing import CrashFound, CrashReport, Effects, Life, crash_everywhere
from tests.postgres import Schema
from tests.testing import flows
from tests.testing.flows import CLAIM, Bank, Notes


def found(*given: Any, **options: Any) -> str:
    """Return what was found, in words."""
    with pytest.raises(CrashFound) as caught:
        crash_everywhere(*given, **options)
    return str(caught.value)


def never(expected: object, other: object) -> bool:
    """Say that nothing is as good."""
    return False


@pytest.fixture
def effects(tmp_path: Path) -> Effects:
    return Effects(tmp_path / "effects")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_workflow_that_holds_comes_through_every_crash(backend: Any, effects: Effects) -> None:
    report = crash_everywhere(flows.workflow, CLAIM, deps=Bank(effects), backend=backend)

    assert [paid.partition(", ")[0] for paid in report.output] == ["3 paid", "4 paid"]
    assert report.records == 31
    assert report.crashes == 2 * report.records
    assert set(report.again) <= {"check", "pay"}
    effects.assert_once("transfer")
    assert len(effects.of("transfer")) == 3 * (1 + report.records + 1)


def test_the_report_says_in_short_how_it_went(effects: Effects) -> None:
    report = crash_everywhere(flows.payment(), 5, deps=Bank(effects))

    assert report.ran == {"transfer": 4, "confirm": 4}
    assert str(report) == ("3 records, 6 crashes, 8 bodies begun; begun again, as they were not committed: none")
    assert "none" not in str(replace(report, again={"transfer": 2}))


def test_nothing_happens_in_a_process_that_is_dead(effects: Effects) -> None:
    crash_everywhere(side_by_side(effects), at=[1, 2])

    assert [effect.node for effect in effects.all()] == ["one", "two", "one", "two"]


def side_by_side(effects: Effects) -> Workflow[None, None, None, int]:
    """Two nodes that never wait, so that both would begin in the turn in which the first is committed."""
    wf = WorkflowBuilder(name="side by side", output_type=int)

    @wf.function
    async def one(ctx: StepContext[None, None, None]) -> int:
        effects.record()
        return 1

    @wf.function
    async def two(ctx: StepContext[None, None, None]) -> int:
        effects.record()
        return 2

    total = wf.join(reduce_sum, initial=0, node_id="total")
    for node in (one, two):
        wf.edge(wf.start_node, node)
        wf.edge(node, total)
    wf.edge(total, wf.end_node)
    return wf.build()


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_body_that_depends_on_a_global_counter_is_found() -> None:
    told = found(flows.counted)

    assert told.startswith(
        "After a crash right behind record 1 (started: __start__): the output is another one. At output[0] it is "
    )
    assert "It begins with node 'number'. If that depends on timing alone, say with same_output=" in told
    assert told.endswith("To see it again: crash_everywhere(..., at=[1]).")


def test_a_stream_that_gives_other_items_after_a_crash_is_found() -> None:
    told = found(flows.streaming("new"), at=[3])

    assert "After a crash right behind record 3 (emitted: items): the run could not go on. WorkflowError: " in told
    assert "Node 'items' gave other items when it ran again" in told


def test_a_stream_that_gives_the_same_items_again_comes_through() -> None:
    report = crash_everywhere(flows.streaming("same"))

    assert sorted(report.output) == [0, 2, 4]
    assert report.again["items"] > 0


def test_a_way_to_the_same_output_that_is_another_after_a_crash_is_found() -> None:
    wf = WorkflowBuilder(name="detour", output_type=str)

    @wf.function
    async def number(ctx: StepContext[None, None, None]) -> int:
        return next(flows.numbers)

    @wf.function
    async def forget(ctx: StepContext[None, None, int]) -> str:
        return "a number"

    wf.edge(wf.start_node, number)
    wf.edge(number, forget)
    wf.edge(forget, wf.end_node)

    told = found(wf.build())

    assert "the output is the same, but not the way to it. Without a crash there is the output of node 'number'" in told
    assert "Bodies that are run again have to do the same again" in told


def test_a_final_state_that_is_another_after_a_crash_is_found() -> None:
    wf = WorkflowBuilder(name="rounds", state_type=Notes, output_type=str)

    @wf.function
    async def number(ctx: StepContext[Notes, None, None]) -> str:
        ctx.state.rounds = next(flows.numbers)
        return "done"

    wf.edge(wf.start_node, number)
    wf.edge(number, wf.end_node)
    workflow = wf.build()

    assert "the final state is another one. At state.rounds it is " in found(workflow)
    assert "says same_state: Notes(" in found(workflow, same_state=never)
    crash_everywhere(workflow, same_state=lambda expected, other: other.rounds > expected.rounds)


def test_a_run_that_never_ends_after_a_crash_is_found() -> None:
    assert "the run could not go on. DidNotEnd: run 'crash-" in found(flows.hanging(), timeout=0.2)


def test_a_failure_after_a_crash_is_found_and_kept_as_the_cause() -> None:
    wf = WorkflowBuilder(name="once", output_type=int)
    begun: list[int] = []

    @wf.function
    async def touchy(ctx: StepContext[None, None, None]) -> int:
        begun.append(1)
        if len(begun) > 1:
            raise ValueError("again")
        return 1

    wf.edge(wf.start_node, touchy)
    wf.edge(touchy, wf.end_node)

    with pytest.raises(
        CrashFound, match="NodeError: Node 'touchy' failed on its only attempt: ValueError: again"
    ) as caught:
        crash_everywhere(wf.build())
    assert isinstance(caught.value.__cause__, NodeError)
    assert caught.value.at == (1,)


def test_what_the_run_without_a_crash_fails_with_is_raised_as_it_is() -> None:
    wf = WorkflowBuilder(name="fails", output_type=int)

    @wf.function
    async def fail(ctx: StepContext[None, None, None]) -> int:
        raise ValueError("at once")

    wf.edge(wf.start_node, fail)
    wf.edge(fail, wf.end_node)

    with pytest.raises(NodeError, match="at once"):
        crash_everywhere(wf.build())


class HastyStore(MemoryStore):
    """A store with a fault: it says that the third record is committed, and keeps it for the next life."""

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        if entry.seq == 3 and self.journals.rows[entry.run_id].epoch == 1:
            acknowledge(None)
        else:
            super().append(entry, acknowledge)


class WrongStore(MemoryStore):
    """A store with a fault: it writes down something else than it is given."""

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        super().append(entry._replace(content=entry.content.replace("paid", "Paid")), acknowledge)


class FrayingStore(MemoryStore):
    """A store with a fault: it changes the last record of a run when that is written."""

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        super().append(entry._replace(hash="f" * 32) if entry.status == "completed" else entry, acknowledge)


class BusyStore(MemoryStore):
    """A store that takes a while to notice that the owner of a run is dead."""

    def __init__(self, journals: Journals) -> None:
        super().__init__(journals)
        self.patience = 2

    async def acquire(self, run_id: str) -> RunRow:
        self.patience -= 1
        if self.patience > 0:
            raise RunBusy(run_id, "somebody else")
        return await super().acquire(run_id)


def memories(kind: type[MemoryStore]) -> Callable[[Life], MemoryStore]:
    """Make stores of this kind from the second run on."""
    journals: dict[str, Journals] = defaultdict(Journals)
    return lambda life: (kind if life.trial else MemoryStore)(journals[life.run_id])


def test_a_store_that_loses_a_record_is_found_out(effects: Effects) -> None:
    told = found(flows.payment(), 5, deps=Bank(effects), store=memories(HastyStore), at=[3])

    assert "the store said that record 3 of run 'crash-" in told
    assert "was committed, and has lost it" in told


def test_a_store_that_changes_a_record_is_found_out(effects: Effects) -> None:
    told = found(flows.payment(), 5, deps=Bank(effects), store=memories(WrongStore), at=[3])

    assert "Checkpoint 2 of run" in told
    assert "is damaged: its contents do not match its hash" in told


def test_a_journal_that_is_damaged_at_the_end_is_found_out(effects: Effects) -> None:
    told = found(flows.payment(), 5, deps=Bank(effects), store=memories(FrayingStore), at=[2])

    assert "the store is not whole. Checkpoint 3 of run 'crash-" in told


def test_a_run_that_is_still_held_is_waited_for(effects: Effects) -> None:
    report = crash_everywhere(flows.payment(), 5, deps=Bank(effects), store=memories(BusyStore), at=[2])

    assert report.crashes == 1


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ([1, 2], "After crashes right behind records 1, 2 (completed: transfer): the output"),
        ([1, 2, 3], "After crashes right behind records 1, 2, 3 (completed: confirm): the output"),
        ([2, 3, 4, 5], "After crashes right behind records 2, 3 (completed: confirm): the output"),
        ([8], "Without any crash: the output"),
    ],
)
def test_several_crashes_are_told_in_short(effects: Effects, at: list[int], told: str) -> None:
    assert found(flows.payment(), 5, deps=Bank(effects), at=at, same_output=never).startswith(told)


def test_many_crashes_are_told_in_shorter(effects: Effects) -> None:
    told = found(flows.workflow, CLAIM, deps=Bank(effects), at=range(1, 9), same_output=never)

    assert told.startswith("After crashes right behind records 1 to 8 (")
    assert told.endswith("crash_everywhere(..., at=[1, 2, 3, 4, 5, 6, 7, 8]).")


# --- what depends on timing, and on a person --------------------------------------------------------------------------


def test_a_workflow_whose_result_depends_on_timing_says_what_counts_as_the_same() -> None:
    report = crash_everywhere(flows.counted, same_output=lambda expected, other: len(expected) == len(other))

    assert report.records == 6


def test_an_output_that_is_not_as_good_is_found() -> None:
    told = found(flows.counted, same_output=never)

    assert "the output is not as good as without a crash, says same_output: [" in told


def test_what_may_run_at_most_once_has_to_be_settled(effects: Effects) -> None:
    told = found(flows.once, 5, deps=Bank(effects))

    assert "(intended: transfer): the run could not go on. NotSettled: what may run at most once had begun" in told
    assert "settle={'transfer': Again()}" in told


def test_what_a_person_says_settles_it(effects: Effects) -> None:
    crash_everywhere(flows.once, 5, deps=Bank(effects), settle={"transfer": Again()})
    effects.assert_once("transfer")

    report = crash_everywhere(
        flows.once, 5, deps=Bank(effects), settle={"transfer": Done("by hand")}, same_output=lambda one, other: True
    )
    assert report.ran["transfer"] == 2


# --- what a life is given ---------------------------------------------------------------------------------------------


def test_deps_are_made_anew_for_every_life(tmp_path: Path, effects: Effects) -> None:
    lives: list[Life] = []
    left: list[Life] = []

    def by_function(life: Life) -> Bank:
        lives.append(life)
        return Bank(effects)

    async def by_coroutine(life: Life) -> Bank:
        return by_function(life)

    @asynccontextmanager
    async def by_context(life: Life) -> AsyncGenerator[Bank]:
        try:
            yield by_function(life)
        finally:
            left.append(life)

    for deps in (by_function, by_coroutine, by_context):
        crash_everywhere(flows.payment(), 5, deps=deps, at=[1, 2], folder=tmp_path)

    assert [(life.trial, life.number) for life in lives] == [(0, 0), (1, 0), (1, 1), (1, 2)] * 3
    assert len({life.run_id for life in lives}) == 6
    assert {life.folder for life in lives} == {tmp_path}
    assert left == lives[-4:]


def test_a_workflow_that_makes_its_own_deps_makes_them_for_every_life(effects: Effects) -> None:
    made: list[Bank] = []

    @asynccontextmanager
    async def bank() -> AsyncGenerator[Bank]:
        made.append(Bank(effects))
        yield made[-1]

    wf = WorkflowBuilder(name="own", deps_type=Bank, input_type=int, output_type=str, deps=bank)

    @wf.function
    async def transfer(ctx: StepContext[None, Bank, int]) -> str:
        return ctx.deps.pay(ctx.inputs)

    wf.edge(wf.start_node, transfer)
    wf.edge(transfer, wf.end_node)

    crash_everywhere(wf.build(), 5, at=[1])

    assert len(made) == 3


def test_the_state_that_is_given_is_not_changed(effects: Effects) -> None:
    state = Notes(person="nobody")

    crash_everywhere(flows.workflow, CLAIM, state=state, deps=Bank(effects), at=[7])

    assert state == Notes(person="nobody")


@pytest.mark.parametrize("store", ["sqlite:///{}?durability=process", flows.file_of_runs])
def test_a_store_can_be_named_or_made(store: Any, tmp_path: Path, effects: Effects) -> None:
    named = store.format(tmp_path / "runs.db") if isinstance(store, str) else store

    report = crash_everywhere(flows.payment(), 5, deps=Bank(effects), store=named, folder=tmp_path)

    assert report.crashes == 6
    assert (tmp_path / "runs.db").exists()


def test_a_server_can_be_the_store(schema: Schema, effects: Effects) -> None:
    def store(life: Life) -> PostgresStore:
        return PostgresStore(schema.dsn, schema=schema.name)

    report = crash_everywhere(flows.workflow, CLAIM, deps=Bank(effects), store=store, at=[4, 11, 19])

    assert report.crashes == 3
    flows.assert_paid(effects, report, payments=3)


def test_a_workflow_can_be_named(tmp_path: Path) -> None:
    report = crash_everywhere(
        "tests.testing.flows:workflow", CLAIM, deps=flows.bank, store="tests.testing.flows:file_of_runs", at=[9],
        folder=tmp_path,
    )  # fmt: skip

    assert report.crashes == 1


async def carried_out(effects: Effects) -> CrashReport:
    return crash_everywhere(flows.payment(), 5, deps=Bank(effects))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_can_be_called_by_a_test_that_is_a_coroutine(backend: str, effects: Effects) -> None:
    assert anyio.run(carried_out, effects, backend=backend).crashes == 6


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"kills": "by hand"}, "kills='by hand' is not known. Write 'in process' or 'SIGKILL'."),
        ({"at": [0]}, "at=[0] is no list of records. Give numbers from 1 on, each greater than the one before."),
        ({"at": [2, 1]}, "at=[2, 1] is no list of records."),
        (
            {"store": "memory://"},
            "What is in 'memory://' dies with the process. Leave store= out, or name another one.",
        ),
        ({"store": "nowhere:store"}, "There is no module 'nowhere'"),
        ({"kills": "SIGKILL"}, "Another process cannot be handed workflow=<Workflow 'counting'"),
    ],
)
def test_what_makes_no_sense_is_refused(options: Any, told: str) -> None:
    with pytest.raises(InputError) as caught:
        crash_everywhere(flows.counted, **options)
    assert str(caught.value).startswith(told)
