"""The reference executor agrees with itself in every order of completion, and with upstream where upstream is right."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from random import Random

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.properties import graphs, plans, reference, values
from tests.properties.graphs import Sample
from tests.properties.plans import Features
from tests.properties.reference import Pick, Result, TooLongError

CALM = st.one_of(graphs.graphs(plans.CALM), graphs.tangled_graphs(plans.CALM))
RIGHT_UPSTREAM = replace(plans.CALM, unions=False, wrapped=False, guards=False)
NO_CANCELLING = Features(ordered=False, cancelling=False)
ANY = st.one_of(graphs.graphs(), graphs.tangled_graphs())


def shuffled(seed: int) -> Pick:
    random = Random(seed)
    return lambda choices: random.randrange(len(choices))


def orders(seed: int) -> list[Pick]:
    return [reference.first, reference.last, shuffled(seed), shuffled(seed + 1)]


def execute(sample: Sample, pick: Pick = reference.first, *, drain: bool = False) -> Result:
    try:
        return reference.run(sample.graph, sample.token, pick=pick, drain=drain, limit=500)
    except TooLongError:
        assume(False)
        raise


def run_upstream(sample: Sample, seed: int) -> tuple[str, Counter[tuple[str, str]]]:
    """Run a sample by upstream's own executor, its bodies held up by a random number of turns of the event loop."""
    random = Random(seed)

    async def gate(node_id: str, inputs: object) -> None:
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0)

    async def main() -> str:
        try:
            output = await asyncio.wait_for(sample.graph.run(inputs=sample.token), timeout=20)
        except RuntimeError as error:
            return f"error {error}"
        return f"output {output!r}"

    with values.recording(gate) as calls:
        outcome = asyncio.run(main())
    return outcome, Counter(calls)


@given(CALM, st.integers(0, 999))
def test_the_order_of_completion_changes_nothing(sample: Sample, seed: int) -> None:
    results = [execute(sample, pick) for pick in orders(seed)]
    assert len({reference.outcome_of(result) for result in results}) == 1
    for result in results:
        assert result.executed == results[0].executed
        assert result.causes == results[0].causes
        assert sorted(result.fired) == sorted(results[0].fired)
        assert not result.raced


@given(st.one_of(graphs.graphs(NO_CANCELLING), graphs.tangled_graphs(NO_CANCELLING)), st.integers(0, 999))
def test_a_race_ends_in_one_of_the_outcomes_of_the_drained_run(sample: Sample, seed: int) -> None:
    drained = execute(sample, drain=True)
    for pick in orders(seed):
        result = execute(sample, pick)
        assert result.executed <= drained.executed
        assert reference.outcome_of(result) in drained.outcomes


@given(ANY, st.integers(0, 999))
def test_a_join_fires_once_and_a_cause_once_whatever_happens(sample: Sample, seed: int) -> None:
    for pick in orders(seed):
        result = execute(sample, pick)
        assert max(Counter(result.fired).values(), default=0) <= 1
        assert max(result.causes.values(), default=0) <= 1


@given(graphs.graphs(RIGHT_UPSTREAM), st.integers(0, 999))
def test_upstream_agrees_when_no_join_feeds_a_join(sample: Sample, seed: int) -> None:
    assume(not any(sample.graph.intermediate_join_nodes.values()))
    drained = execute(sample, drain=True)
    assume(len(drained.outcomes) == 1)
    result = execute(sample)
    assume(not result.raced)
    outcome, executed = run_upstream(sample, seed)
    assert executed == result.executed
    if result.error is None:
        assert outcome == reference.outcome_of(result)
    else:
        assert "no result was produced" in outcome
