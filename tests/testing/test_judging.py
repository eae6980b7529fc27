"""What counts as a difference between a run that was crashed and one that was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import anyio
import pytest

from milepost import BrokenJournal, Engine, MemoryStore, UnknownRun
from milepost.testing.journals import Names, read_tree, result_of
from milepost.testing.judging import Evidence, Json, Judge, difference, lost, run_again
from milepost.testing.notes import Begun, Kept, Note, Opened
from tests.testing.flows import Notes, streaming


def left_by(store: MemoryStore, run_id: str = "r-1", notes: Sequence[Sequence[Note]] = ()) -> Evidence:
    """Run the streaming workflow and return what it has left."""

    async def main() -> Evidence:
        workflow = streaming("same")
        await workflow.run(store=store, run_id=run_id)
        journals = await read_tree(store, run_id)
        async with Engine(store) as engine:
            return Evidence(notes=notes, journals=journals, result=await result_of(engine, workflow, journals[0]))

    return anyio.run(main)


@pytest.mark.parametrize(
    ("expected", "found", "told"),
    [
        (1, 1, None),
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, None),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, None),
        (1, True, "At output it is true, without a crash 1."),
        (1, 1.0, "At output it is 1.0, without a crash 1."),
        ([1, 2], [1], "At output it is [1], without a crash [1, 2]."),
        ({"a": 1}, {"b": 1}, 'At output it is {"b": 1}, without a crash {"a": 1}.'),
        ({"a": [{"b": "x"}]}, {"a": [{"b": "y"}]}, 'At output.a[0].b it is "y", without a crash "x".'),
    ],
)
def test_the_first_difference_of_two_values_is_named(expected: Json, found: Json, told: str | None) -> None:
    assert difference(expected, found, "output") == told


def test_what_is_named_after_the_run_is_the_same_in_every_run() -> None:
    store = MemoryStore()
    one, other = left_by(store, "r-1"), left_by(store, "r-2")

    assert one.facts == other.facts
    assert one.names.neutral("run r-1") == other.names.neutral("run r-2") == "run <run>"
    assert Judge(straight=one, state_type=None).fault(other) is None


def test_what_only_looks_like_a_key_stays() -> None:
    assert Names("r-1", {}).neutral("0" * 32) == "0" * 32


def journal_with(fields: dict[str, str]) -> Evidence:
    evidence = left_by(MemoryStore())
    evidence.journals[0].position.fields.update(fields)
    return evidence


@pytest.mark.parametrize(
    ("before", "after", "differs"),
    [
        ({"seen": "[1,2]"}, {"seen": "[2,1]"}, False),
        ({"seen": "[1,2]"}, {"seen": "[1,1]"}, True),
        ({"newest": "1"}, {"newest": "2"}, False),
        ({"rounds": "1"}, {"rounds": "2"}, True),
        ({"rounds": "1"}, {}, True),
    ],
)
def test_the_state_is_compared_but_for_what_its_mergers_leave_to_timing(
    before: dict[str, str], after: dict[str, str], differs: bool
) -> None:
    judge = Judge(straight=journal_with(before), state_type=Notes)

    assert (judge.fault(journal_with(after)) is not None) == differs


def test_a_record_that_is_missing_is_lost() -> None:
    evidence = left_by(MemoryStore())
    kept = [Kept("r-1", one.seq, one.hash, "completed", "double") for one in evidence.journals[0].stored]

    assert first_lost(with_notes(evidence, kept)) is None
    told = first_lost(with_notes(evidence, [*kept, Kept("r-1", 10, "f" * 32, "completed", "double")]))
    assert told == "the store said that record 10 of run 'r-1' was committed, and has lost it."
    told = first_lost(with_notes(evidence, [kept[3]._replace(hash="f" * 32)]))
    assert told == "the store said that record 4 of run 'r-1' was committed, and has lost it."


def test_a_task_that_runs_although_it_was_found_committed_has_run_again() -> None:
    evidence = left_by(MemoryStore())
    task, seq = next(
        (task, seq) for task, seq in evidence.journals[0].done.items() if node_of(evidence, seq) == "double"
    )
    begun = Begun("r-1", task, "double", 1)

    assert first_again(with_notes(evidence, [begun], [Opened("r-1", seq - 1), begun])) is None
    assert first_again(with_notes(evidence, [begun, Opened("r-1", seq)], [begun])) is None
    told = first_again(with_notes(evidence, [begun], [Opened("r-1", seq), begun]))
    assert told == (
        f"node 'double' (task {task}) ran again in life 2 of the process, which had found it committed as record {seq} "
        "of run 'r-1'."
    )
    again = first_again(with_notes(evidence, [begun], [Opened("r-1", seq), begun._replace(number=2)]))
    assert again == told


def test_a_stream_runs_again_until_it_has_ended() -> None:
    evidence = left_by(MemoryStore())
    (task,) = {record.task for record in evidence.journals[0].records if record.node == "items"} & set(
        evidence.journals[0].done
    )
    begun, end = Begun("r-1", task, "items", 1), evidence.journals[0].done[task]

    assert end > 2
    assert first_again(with_notes(evidence, [begun], [Opened("r-1", end - 1), begun, begun])) is None
    assert first_again(with_notes(evidence, [begun], [Opened("r-1", end), begun])) is not None


def first_lost(evidence: Evidence) -> str | None:
    return next(lost(evidence.notes, evidence.written), None)


def first_again(evidence: Evidence) -> str | None:
    return next(run_again(evidence.notes, evidence.written), None)


def with_notes(evidence: Evidence, *notes: Sequence[Note]) -> Evidence:
    return Evidence(notes=notes, journals=evidence.journals, result=evidence.result)


def node_of(evidence: Evidence, seq: int) -> str:
    return evidence.journals[0].records[seq - 1].node


def test_bodies_are_counted_without_retries_and_the_second_reading_of_a_stream() -> None:
    begun = [Begun("r-1", "t", "items", 1), Begun("r-1", "t", "items", 1), Begun("r-1", "t", "items", 2)]
    evidence = with_notes(left_by(MemoryStore()), begun, [begun[0]], [Begun("r-2", "t", "items", 1)])

    assert evidence.ran() == {"items": 3}
    assert evidence.again() == {"items": 1}


# --- reading ----------------------------------------------------------------------------------------------------------


def changed(**changes: Any) -> MemoryStore:
    store = MemoryStore()
    left_by(store)
    records = store.journals.records["r-1"]
    records[4] = records[4]._replace(**changes)
    return store


def test_a_journal_whose_chain_is_broken_is_refused() -> None:
    with pytest.raises(BrokenJournal, match="Checkpoint 5 of run 'r-1'"):
        anyio.run(read_tree, changed(content="[]"), "r-1")


def test_a_row_that_says_something_else_than_the_journal_is_found() -> None:
    store = changed()
    store.journals.rows["r-1"] = replace(store.journals.rows["r-1"], status="failed")

    with pytest.raises(BrokenJournal, match="the run is said to be failed, and the record says otherwise"):
        anyio.run(read_tree, store, "r-1")


def test_a_run_that_is_not_there_is_told() -> None:
    with pytest.raises(UnknownRun, match="There is no run 'r-9' in this store"):
        anyio.run(read_tree, MemoryStore(), "r-9")


def test_snapshots_are_held_against_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("milepost.engine.logs.SNAPSHOT_CHARACTERS", 1)
    monkeypatch.setattr("milepost.engine.logs.SNAPSHOT_RATIO", 0)
    store = MemoryStore()

    (journal,) = left_by(store).journals
    assert any(one.snapshot for one in journal.stored)

    monkeypatch.setattr("milepost.testing.journals.snapshot_to_text", str)
    with pytest.raises(
        BrokenJournal, match="Checkpoint 1 of run 'r-1' is damaged: its snapshot is not what the records"
    ):
        anyio.run(read_tree, store, "r-1")
