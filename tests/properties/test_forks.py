"""Forks of random graphs: at every record, with the state and the inputs as they were, and with others."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import assume, event, given
from hypothesis import strategies as st

from milepost.engine.codec import Codec
from milepost.engine.fields import fields_of
from milepost.engine.holds import rebuilt
from milepost.engine.journal import Kind, Record
from milepost.engine.journal_text import to_text
from milepost.engine.patch import difference
from milepost.engine.position import Position
from milepost.engine.revision import Revision
from milepost.engine.route import Router
from milepost.engine.values import Ref, StoredValues, Value
from milepost.engine.workflow import Workflow
from tests.properties import graphs
from tests.properties.graphs import Sample
from tests.properties.ledger import Ledger, Manner, Model
from tests.properties.overlaps import Overlapping
from tests.properties.simulation import Crashed, Journal, replayed, through_snapshot
from tests.properties.test_overlaps import ANY, MANNERS, OVERLAPS, SEEDS, outcome, simulated
from tests.properties.values import Token

SMALL = st.one_of(graphs.graphs(depth=2), graphs.tangled_graphs(most=6))
LEDGERS = st.builds(
    Ledger,
    lines=st.lists(st.sampled_from("xyz"), max_size=2),
    total=st.integers(-3, 3),
    title=st.sampled_from(["", "a", "c"]),
    marks=st.lists(st.just("m"), max_size=1),
)


def begun(sample: Sample, seed: int, simulation: Overlapping) -> tuple[list[tuple[str, str]], str]:
    """Run to the end; return the journal, and how it ended. Draws another sample when that was soon over."""
    ending = outcome(simulation, sample.token)
    assume(len(simulation.journal.records) > 1)
    return simulation.journal.records, ending


def forked_at(records: list[tuple[str, str]], at: int, record: Record | None = None) -> Journal:
    """Return the journal of a fork: what it shares, and its first record."""
    record = record or Record(at + 1, Kind.FORKED, "", revision=Revision("f", origin=("parent", at)))
    return Journal([*records[:at], to_text(record)])


def edited(position: Position, ledger: Ledger) -> Record:
    """Return a fork's first record that changes the state. position: at the record before."""
    after = fields_of(Codec().encode(ledger, Ledger)[0])
    record = Record(position.seq + 1, Kind.FORKED, "", revision=Revision("f", origin=("parent", position.seq)))
    record.patch, record.given = difference(position.fields, after) or None, "a hash of what was given"
    return record


@given(SMALL, SEEDS, OVERLAPS, MANNERS)
def test_a_fork_at_any_record_comes_to_what_the_run_came_to(
    sample: Sample, seed: int, overlap: int, manner: Manner
) -> None:
    """The same output, state or conflict; and what had finished by then does not run again."""
    straight = simulated(sample, seed, manner, overlap)
    records, ending = begun(sample, seed, straight)
    for at in range(1, len(records) + 1):
        if replayed(records[:at]).output is not None:
            break
        fork = simulated(sample, seed, manner, overlap + at, forked_at(records, at))
        assert outcome(fork, sample.token) == ending
        assert fork.given == straight.given
        assert len(fork.journal.records) == len(records) + 1
        shared = {key for key, _ in straight.calls} - {key for key, _ in fork.calls}
        assert len(straight.calls) == len(shared) + len(fork.calls)


@given(ANY, SEEDS, OVERLAPS, MANNERS, LEDGERS, st.data())
def test_folding_what_a_fork_shares_and_its_own_records_gives_the_live_position(
    sample: Sample, seed: int, overlap: int, manner: Manner, ledger: Ledger, data: st.DataObject
) -> None:
    straight = simulated(sample, seed, manner)
    records, _ = begun(sample, seed, straight)
    at = data.draw(st.integers(1, len(records) - 1))
    journal = forked_at(records, at, edited(replayed(records[:at]), ledger))

    def check(router: Router) -> None:
        folded = replayed(journal.records)
        assert folded == through_snapshot(router.position) == router.position
        assert list(folded.tasks) == list(router.position.tasks)
        assert rebuilt(router.plan, folded).counts == router.holds.counts

    fork = simulated(sample, seed, manner, overlap, journal)
    fork.check = check
    outcome(fork, sample.token)
    event(f"own records: {min(len(journal.records) - at, 5)}")


@given(ANY, SEEDS, OVERLAPS, MANNERS, LEDGERS, st.data())
def test_after_an_edit_the_state_is_what_the_model_says(
    sample: Sample, seed: int, overlap: int, manner: Manner, ledger: Ledger, data: st.DataObject
) -> None:
    """Everything pending begins with the state as it was edited, and nothing before that is a conflict."""
    straight = simulated(sample, seed, manner)
    records, _ = begun(sample, seed, straight)
    at = data.draw(st.integers(1, len(records) - 1))
    first = simulated(sample, seed, manner, 0, Journal(dies_after=at))
    first.model = Model()
    try:
        first.run(sample.token)
    except Crashed:
        event("forked while it ran")
    position = replayed(records[:at])
    record = edited(position, ledger)
    fork = simulated(sample, seed, manner, overlap, forked_at(records, at, record))
    fork.model = deepcopy(first.model)
    fork.model.states.append(ledger)
    if record.patch:
        fork.born = dict.fromkeys(position.tasks, at + 1)
    else:
        fork.born = {key: task.spawned for key, task in position.tasks.items()}
    ending = outcome(fork, sample.token)
    event("conflict" if ending.startswith("StateConflict") else "no conflict")
    assert fork.given == fork.model.states[-1]


@given(SMALL, SEEDS, MANNERS, st.integers(0, 50), st.data())
def test_new_inputs_are_what_pending_tasks_get_and_the_same_ones_change_nothing(
    sample: Sample, seed: int, manner: Manner, number: int, data: st.DataObject
) -> None:
    straight = simulated(sample, seed, manner)
    records, ending = begun(sample, seed, straight)
    at = data.draw(st.integers(1, len(records) - 1))
    position = replayed(records[:at])
    values = StoredValues(Codec(), straight.plan.type_of)
    record = Record(at + 1, Kind.FORKED, "")
    inputs: dict[str, Ref] = {}
    for task in position.tasks.values():
        record.values.append(Value(f"in:{task.node}", values.text(task.ref), None))
        inputs[task.key] = Ref(at + 1, len(record.values) - 1)
    assume(inputs)
    record.revision = Revision("f", inputs=inputs, origin=("parent", at))
    fork = simulated(sample, seed, manner, 0, forked_at(records, at, record))
    assert outcome(fork, sample.token) == ending
    takers = [
        task
        for task in position.tasks.values()
        if Workflow.from_graph(sample.graph).specs[task.node].input_type is Token
    ]
    assume(takers)
    changed = takers[number % len(takers)].key
    record.values[list(inputs).index(changed)].text = values.codec.encode(Token(number, 0), Token)[0]
    seen = replayed(forked_at(records, at, record).records).tasks[changed]
    assert values.load(seen.ref) == Token(number, 0)


@given(SMALL, SEEDS, MANNERS, st.data())
def test_a_crash_after_any_record_of_a_fork_changes_nothing(
    sample: Sample, seed: int, manner: Manner, data: st.DataObject
) -> None:
    straight = simulated(sample, seed, manner)
    records, ending = begun(sample, seed, straight)
    at = data.draw(st.integers(1, len(records) - 1))
    whole = forked_at(records, at)
    assert outcome(simulated(sample, seed, manner, 0, whole), sample.token) == ending
    for last in range(at + 2, len(whole.records) + 1):
        journal = forked_at(records, at)
        journal.dies_after = last
        first = simulated(sample, seed, manner, 0, journal)
        try:
            first.run(sample.token)
        except Crashed:
            pass
        except Exception:
            assert len(journal.records) == len(whole.records)
        journal.dies_after = None
        second = simulated(sample, seed, manner, last, journal)
        assert outcome(second, sample.token) == ending
        assert journal.records == whole.records
        assert not {key for key, _ in first.calls} & {key for key, _ in second.calls}
