"""Tasks that change a state side by side: what depends on their order, and what on nothing at all."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, event, given
from hypothesis import strategies as st

from milepost.engine.fields import whole_of
from milepost.engine.route import Router
from milepost.engine.workflow import Workflow
from tests.properties import graphs, plans
from tests.properties.graphs import Sample
from tests.properties.ledger import ALONE, EVERY, MERGED, Ledger, Manner, Model
from tests.properties.overlaps import CODEC, Overlapping, TooLong
from tests.properties.simulation import Crashed, Journal, NoResult, replayed, through_snapshot

CALM = st.one_of(graphs.graphs(plans.CALM), graphs.tangled_graphs(plans.CALM))
ANY = st.one_of(graphs.graphs(), graphs.tangled_graphs())
SMALL = st.one_of(graphs.graphs(depth=2), graphs.tangled_graphs(most=6))
SEEDS = st.integers(0, 9999)
OVERLAPS = st.integers(1, 9999)
MANNERS = st.builds(Manner, SEEDS, st.sampled_from([EVERY, MERGED, MERGED, ALONE]), st.booleans(), st.integers(1, 6))


def outcome(simulation: Overlapping, inputs: object) -> str:
    """Run to the end and tell how it ended."""
    try:
        return f"output {simulation.run(inputs)!r}"
    except (Crashed, AssertionError):
        raise
    except TooLong:
        assume(False)
        raise
    except Exception as error:
        return "no result" if isinstance(error, NoResult) else f"{type(error).__name__}: {error}"


def simulated(
    sample: Sample, seed: int, manner: Manner, overlap: int = 0, journal: Journal | None = None
) -> Overlapping:
    return Overlapping(workflow_of(sample), journal or Journal(), seed, manner=manner, overlap=overlap)


def workflow_of(sample: Sample) -> Workflow[Any, Any, Any, Any]:
    """Return the workflow of a sample, made once."""
    made: Workflow[Any, Any, Any, Any] = vars(sample).setdefault("_workflow", None) or Workflow.from_graph(sample.graph)
    vars(sample)["_workflow"] = made
    return made


@given(ANY, SEEDS, OVERLAPS, MANNERS)
def test_the_state_is_what_the_model_says_after_every_record(
    sample: Sample, seed: int, overlap: int, manner: Manner
) -> None:
    """Commit for commit: each task sees the state of the record that spawned it; its changes merge or clash."""
    simulation = simulated(sample, seed, manner, overlap)
    simulation.model = Model()
    ending = outcome(simulation, sample.token)
    event("conflict" if ending.startswith("StateConflict") else "no conflict")
    assert simulation.given == simulation.model.states[-1]
    event(f"state changed: {simulation.given != Ledger()}")


@given(ANY, SEEDS, OVERLAPS, OVERLAPS, MANNERS)
def test_one_order_of_commits_has_one_answer_however_bodies_overlap(
    sample: Sample, seed: int, overlap: int, other: int, manner: Manner
) -> None:
    """Outputs, routes, states, conflicts and every record are the same whether bodies begin early, late or in turn.

    Holds for whatever bodies read and write, as long as the same input and the same state make a body do the same.
    """
    journals: list[Journal] = []
    endings: set[str] = set()
    for early in (0, overlap, other):
        journal = Journal()
        endings.add(outcome(simulated(sample, seed, manner, early, journal), sample.token))
        journals.append(journal)
    assert len(endings) == 1
    assert journals[0].records == journals[1].records == journals[2].records


@given(SMALL, SEEDS, OVERLAPS, MANNERS)
def test_a_crash_after_any_record_changes_neither_the_state_nor_a_conflict(
    sample: Sample, seed: int, overlap: int, manner: Manner
) -> None:
    """What was half done at the crash begins again, sees the state that it saw before, and does the same.

    A conflict names the same field, tasks and values. The caller's object is the committed state at the crash, and the
    one given to the resume is at its end.
    """
    whole = Journal()
    straight = simulated(sample, seed, manner, overlap, whole)
    ending = outcome(straight, sample.token)
    for record in range(1, len(whole.records) + 1):
        journal = Journal(dies_after=record)
        first = simulated(sample, seed, manner, overlap, journal)
        try:
            first.run(sample.token)
        except Crashed:
            assert first.given == committed(journal)
        except Exception:
            assert len(journal.records) == len(whole.records)
        journal.dies_after = None
        second = simulated(sample, seed, manner, overlap + record, journal)
        assert outcome(second, sample.token) == ending
        assert journal.records == whole.records
        assert second.given == straight.given


@given(ANY, SEEDS, OVERLAPS, MANNERS)
def test_older_versions_of_the_state_follow_from_the_journal_too(
    sample: Sample, seed: int, overlap: int, manner: Manner
) -> None:
    """fold(journal) and a snapshot give the live position, and what is kept of older states stays within bounds."""
    journal = Journal()

    def check(router: Router) -> None:
        position = router.position
        assert replayed(journal.records) == through_snapshot(position) == position
        tasks = [*position.tasks.values(), *(stream.task for stream in position.streams.values())]
        spawned = {task.spawned for task in tasks}
        for name, steps in position.past.items():
            assert 0 < len(steps) <= max(16, 2 * len(spawned))
            if position.written[name] == position.seq:  # just now it was clear that somebody may ask for it
                assert min(spawned) < position.seq

    simulation = simulated(sample, seed, manner, overlap, journal)
    simulation.check = check
    outcome(simulation, sample.token)


@given(CALM, SEEDS, SEEDS, OVERLAPS, st.integers(2, 9))
def test_whether_there_is_a_conflict_follows_from_causes_where_the_rule_can_promise_it(
    sample: Sample, seed: int, other: int, overlap: int, often: int
) -> None:
    """Of the tasks that change a field without a merger, whatever the order in which tasks are done:

    if two were spawned by one result (of a task, a join, an item), there is a conflict on that field;
    if of any two one comes after the other, there is none.
    In between, as when one branch is a step longer than the one beside it, the order decides: the task that is spawned
    after the other has committed has seen its change. Which two of several tasks a conflict names, and which of the two
    came too late, is the order's too. All of it for bodies whose way through the graph does not depend on the state.
    """
    manner = Manner(seed, ("marks",), reads=False, often=often, tries=False)
    flow = simulated(sample, seed, Manner(seed, (), reads=False))
    outcome(flow, sample.token)
    writers = [key for key, node in flow.causes.node.items() if manner.script(node).writes]
    siblings, in_a_row = flow.causes.are_siblings(writers), flow.causes.are_in_a_row(writers)
    event("siblings" if siblings else "in a row" if in_a_row else "in between")
    for order in (seed, other):
        ending = outcome(simulated(sample, order, manner, overlap), sample.token)
        if siblings:
            assert "both changed the field 'marks'" in ending
        elif in_a_row:
            assert "StateConflict" not in ending


@given(CALM, SEEDS, SEEDS, OVERLAPS, OVERLAPS)
def test_what_merges_in_any_order_is_the_same_in_every_order(
    sample: Sample, seed: int, other: int, overlap: int, early: int
) -> None:
    """Sums, unions of what was added, and appended lines but for their order, for bodies that do not read what others
    write."""
    endings: list[tuple[str, Ledger]] = []
    for order, overlapping in ((seed, overlap), (other, early)):
        simulation = simulated(sample, order, Manner(seed, MERGED, reads=False, often=7), overlapping)
        ending = outcome(simulation, sample.token)
        simulation.given.lines.sort()
        endings.append((ending, simulation.given))
    assert endings[0] == endings[1]


def committed(journal: Journal) -> Ledger:
    state = CODEC.decode(whole_of(replayed(journal.records).fields), Ledger)
    assert isinstance(state, Ledger)
    return state
