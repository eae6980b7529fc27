"""The harness itself: its orders differ, and it sees the faults that it is there to see."""

from __future__ import annotations

from random import Random

import pytest

from milepost import MemoryStore
from milepost.engine.stores.store import Acknowledge, Entry
from tests.patterns.harness import RUN, Trial, Way, in_orders
from tests.patterns.test_basic import sequence, synchronization
from tests.patterns.test_cancellation import cancel_activity, cancel_case, complete_instances, deferred_choice
from tests.patterns.test_iteration import Paper, arbitrary_cycles
from tests.patterns.test_partial_joins import cancelling_discriminator, cancelling_partial_join, partial_join

pytestmark = pytest.mark.anyio


async def test_every_outcome_that_a_pattern_leaves_open_comes_about() -> None:
    way = Way(in_orders)
    first = {found.output for found in await way.of(cancelling_discriminator())}
    assert len(first) == 3
    assert {found.output[0] for found in await way.of(partial_join(1))} == {"ann", "bob", "eve"}
    assert len({tuple(found.output) for found in await way.of(cancelling_partial_join())}) == 6
    assert {found.output for found in await way.of(deferred_choice(), "offer")} == {
        "proceeded after reply",
        "reminded after deadline",
    }
    assert len({"withdrawn" in found.output for found in await way.of(cancel_activity(), "house")}) == 2
    assert {len(found.output) for found in await way.of(complete_instances(), ["ann", "bob", "eve"])} == {0, 1, 2, 3}


async def test_every_moment_of_a_run_is_one_to_cancel_it() -> None:
    found = await Way(in_orders).of(cancel_case(), "book", cancelled=True)

    assert {one.status for one in found} == {"cancelled", "completed"}
    assert {len(one.records) for one in found if one.status == "cancelled"} >= {2, 3, 4}


async def test_the_same_seed_gives_the_same_order() -> None:
    one, other = await Way(in_orders).of(synchronization(), "book"), await Way(in_orders).of(synchronization(), "book")

    assert [found.order for found in one] == [found.order for found in other]
    assert len({tuple(found.order) for found in one}) == 6


class HastyStore(MemoryStore):
    """A store with a fault: what its first owner committed after the second record is lost with the process."""

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        super().append(entry, acknowledge)
        if (entry.epoch, entry.seq) == (1, 2):
            self.journals.rows[f"{entry.run_id}, kept"] = self.journals.rows[entry.run_id]

    async def close(self) -> None:
        await super().close()
        kept = self.journals.rows.pop(f"{RUN}, kept", None)
        if kept is not None:
            self.journals.rows[RUN] = kept
            del self.journals.records[RUN][kept.seq :]


async def test_a_store_that_says_committed_too_early_is_found_out() -> None:
    trial = Trial(arbitrary_cycles(), Paper(), store=HastyStore)
    assert not await trial.live(Random(1), 4)
    assert await trial.live(Random(1))

    with pytest.raises(AssertionError, match="review ran after revise, its own effect"):
        trial.execution()


async def test_a_committed_node_that_runs_again_is_found_out() -> None:
    trial = Trial(sequence(), "book")
    assert not await trial.live(Random(1), 2)
    assert await trial.live(Random(1))
    trial.execution()
    before, after = trial.lives

    after.begun.insert(0, before.begun[0])
    with pytest.raises(AssertionError, match="pick ran again in life 1, committed as 2"):
        trial.execution()

    after.begun = after.begun[1:] * 2
    with pytest.raises(AssertionError, match="pack ran 2 times in life 1"):
        trial.execution()


async def test_a_body_that_is_left_over_is_found_out() -> None:
    trial = Trial(sequence(), "book")
    assert await trial.live(None)
    trial.lives[0].ended.pop()

    with pytest.raises(AssertionError, match="A body is left over"):
        trial.execution()


class WrongStore(MemoryStore):
    """A store with a fault: it writes down something else than it is given."""

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        super().append(entry._replace(body=entry.body.replace("[2,0]", "[1,0]")), acknowledge)


async def test_a_journal_that_does_not_give_the_live_position_is_found_out() -> None:
    trial = Trial(sequence(), "book", store=WrongStore)
    assert await trial.live(None)

    with pytest.raises(AssertionError, match="Folding 2 records does not give the live position"):
        trial.execution()
