"""A workflow edited at random while a run of it is stored: the run goes on to the right result, or is refused."""

from __future__ import annotations

from collections import Counter

from hypothesis import event, given
from hypothesis import strategies as st

from milepost.engine.codec import Codec
from milepost.engine.definition import describe
from milepost.engine.drivers import plan_of
from milepost.engine.errors import IncompatibleWorkflow
from milepost.engine.fitting import fit
from milepost.engine.stored import Stored
from tests.properties import edits
from tests.properties.edits import AnyWorkflow, Edit
from tests.properties.simulation import Crashed, Journal, Simulation, replayed, through_snapshot

SEEDS = st.integers(0, 9999)
MARKS = st.lists(st.sampled_from("abcdef"), unique=True, min_size=1, max_size=4).map(sorted)


def interrupted(workflow: AnyWorkflow, marks: list[str], seed: int, after: int) -> Journal | None:
    """Leave a run after some of its records, None if it has fewer than one more."""
    journal = Journal(dies_after=after)
    try:
        Simulation(workflow, journal, seed).run(marks)
    except Crashed:
        journal.dies_after = None
        return None if replayed(journal.records).output is not None else journal
    return None


def taken_up(journal: Journal, old: AnyWorkflow, new: AnyWorkflow) -> bool:
    """Write down what becomes of a run that goes on with another workflow; False if it does not."""
    position = replayed(journal.records)
    try:
        record = fit("run", plan_of(new), Codec(), describe(old), describe(new), position)
    except IncompatibleWorkflow as error:
        event(error.changes[0].split("'")[0])
        return False
    if record is not None:
        journal.write(record)
    folded = replayed(journal.records)
    assert folded == position
    assert through_snapshot(folded) == folded
    assert list(folded.tasks) == list(position.tasks)
    return True


def goes_on(journal: Journal, old: AnyWorkflow, new: AnyWorkflow, edit: Edit, marks: list[str], seed: int) -> bool:
    """Take a run up and run it to its end: the result is right, and nothing that was done is done again."""
    before = [task.key for task in replayed(journal.records).tasks.values()]
    if not taken_up(journal, old, new):
        return False
    again = Simulation(new, journal, seed)
    assert again.run(marks) == edits.computed(edit.old, marks)
    done = Counter(key for key, _ in again.calls)
    assert set(before) <= set(done)
    assert max(done.values()) == 1
    return True


@given(edits.edits(), MARKS, SEEDS)
def test_an_edit_changes_nothing_of_what_a_workflow_computes(edit: Edit, marks: list[str], seed: int) -> None:
    wanted = edits.computed(edit.old, marks)
    assert edits.computed(edit.new, marks) == wanted
    for blueprint in (edit.old, edit.new):
        assert Simulation(edits.built(blueprint), Journal(), seed).run(marks) == wanted


@given(edits.edits(), MARKS, SEEDS, SEEDS, st.integers(1, 30))
def test_a_run_goes_on_with_an_edited_workflow_to_the_right_result_or_is_refused(
    edit: Edit, marks: list[str], seed: int, other: int, after: int
) -> None:
    old, new = edits.built(edit.old), edits.built(edit.new)
    journal = interrupted(old, marks, seed, after)
    if journal is not None:
        event("goes on" if goes_on(journal, old, new, edit, marks, other) else "refused")


@given(edits.edits(renames=True), MARKS, SEEDS, SEEDS, st.integers(1, 30))
def test_a_run_goes_on_with_renamed_nodes_where_a_migration_says_how_they_are_called(
    edit: Edit, marks: list[str], seed: int, other: int, after: int
) -> None:
    def rename(stored: Stored) -> None:
        for name, to in edit.names.items():
            stored.rename(name, to)

    old, new = edits.built(edit.old), edits.built(edit.new, version=2, migrations={1: rename})
    journal = interrupted(old, marks, seed, after)
    if journal is not None:
        event("goes on" if goes_on(journal, old, new, edit, marks, other) else "refused")
