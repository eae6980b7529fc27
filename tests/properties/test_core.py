"""The core against the reference: random graphs, orders of completion, and a crash after any record."""

from __future__ import annotations

from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from milepost.engine.holds import rebuilt
from milepost.engine.route import Router
from milepost.engine.workflow import Workflow
from tests.properties import graphs, plans, reference, values
from tests.properties.graphs import Sample
from tests.properties.reference import Result, TooLongError
from tests.properties.simulation import Crashed, Journal, NoResult, Simulation, replayed, through_snapshot

ORDERLESS = plans.Features(ordered=False, cancelling=False)
ANY = st.one_of(graphs.graphs(), graphs.tangled_graphs())
CALM = st.one_of(graphs.graphs(plans.CALM), graphs.tangled_graphs(plans.CALM))
SEEDS = st.integers(0, 9999)


def outcome(simulation: Simulation, inputs: object) -> str:
    """Run to the end and tell how it ended, as the reference does."""
    try:
        return f"output {simulation.run(inputs)!r}"
    except (Crashed, AssertionError):
        raise
    except Exception as error:
        return "no result" if isinstance(error, NoResult) else f"error {type(error).__name__}: {error}"


def expected(sample: Sample) -> Result:
    try:
        return reference.run(sample.graph, sample.token, limit=500)
    except TooLongError:
        assume(False)
        raise


def described(result: Result) -> str:
    return "no result" if isinstance(result.error, reference.NoResultError) else reference.outcome_of(result)


def check_folds(journal: Journal, router: Router) -> None:
    """fold(journal) equals the live position, a snapshot of it too, and the counts follow from it."""
    folded = replayed(journal.records)
    assert folded == router.position
    assert through_snapshot(router.position) == router.position
    assert list(folded.tasks) == list(router.position.tasks)
    assert rebuilt(router.plan, folded).counts == router.holds.counts


@given(CALM, SEEDS)
def test_the_core_does_what_the_reference_does_in_every_order(sample: Sample, seed: int) -> None:
    result = expected(sample)
    with values.recording() as calls:
        found = outcome(Simulation(Workflow.from_graph(sample.graph), Journal(), seed), sample.token)
    assert found == described(result)
    assert Counter(calls) == result.executed


@given(st.one_of(graphs.graphs(ORDERLESS), graphs.tangled_graphs(ORDERLESS)), SEEDS)
def test_the_core_races_to_an_outcome_the_reference_knows(sample: Sample, seed: int) -> None:
    try:
        drained = reference.run(sample.graph, sample.token, drain=True, limit=500)
    except TooLongError:
        assume(False)
        raise
    found = outcome(Simulation(Workflow.from_graph(sample.graph), Journal(), seed), sample.token)
    assert found in {"no result" if "NoResultError" in one else one for one in drained.outcomes}


@given(ANY, SEEDS)
def test_folding_the_journal_gives_the_live_position_after_every_commit(sample: Sample, seed: int) -> None:
    expected(sample)
    journal = Journal()
    outcome(
        Simulation(Workflow.from_graph(sample.graph), journal, seed, lambda router: check_folds(journal, router)),
        sample.token,
    )


@given(ANY, SEEDS)
def test_a_crash_after_any_record_changes_nothing(sample: Sample, seed: int) -> None:
    expected(sample)
    workflow = Workflow.from_graph(sample.graph)
    whole = Journal()
    straight = Simulation(workflow, whole, seed)
    ending = outcome(straight, sample.token)
    for record in range(1, len(whole.records) + 1):
        journal = Journal(dies_after=record)
        first = Simulation(workflow, journal, seed)
        try:
            first.run(sample.token)
        except Crashed:
            pass
        except Exception:
            assert len(journal.records) == len(whole.records)
        journal.dies_after = None
        second = Simulation(workflow, journal, seed)
        assert outcome(second, sample.token) == ending
        assert journal.records == whole.records
        assert not {key for key, _ in first.calls} & {key for key, _ in second.calls}


@given(CALM, SEEDS, SEEDS)
def test_keys_are_unique_in_a_run_and_equal_across_orders(sample: Sample, seed: int, other: int) -> None:
    expected(sample)
    workflow = Workflow.from_graph(sample.graph)
    runs = [Simulation(workflow, Journal(), one) for one in (seed, other)]
    for one in runs:
        outcome(one, sample.token)
        assert len(one.calls) == len(set(one.calls))
    assert sorted(runs[0].calls) == sorted(runs[1].calls)
