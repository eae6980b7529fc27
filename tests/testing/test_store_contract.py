"""The contract of stores: it finds what a store breaks, with pytest and without it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from milepost.engine.errors import LeaseLost
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Acknowledge, Entry, Store
from milepost.testing.contract.place import Place
from milepost.testing.contract.promise import PROMISES
from milepost.testing.store_contract import ALL, Capability, StoreContract, check_store


class Lenient(MemoryStore):
    """A store whose owners are never refused anything."""

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        super().append(entry, lambda error: acknowledge(None if isinstance(error, LeaseLost) else error))


class Forgetful(MemoryStore):
    """A store that forgets an earlier owner when there is another."""

    async def release(self, run_id: str, epoch: int) -> None:
        await super().release(run_id, epoch)
        self.journals.openings[run_id].clear()


def in_memory(kind: Callable[[Journals], Store]) -> Callable[[], Place]:
    def place() -> Place:
        journals = Journals()
        return Place(lambda: kind(journals), journals.alive.clear)

    return place


def broken_by(kind: Callable[[Journals], Store]) -> set[str]:
    """The promises that a kind of store is found to break."""
    with pytest.raises(ExceptionGroup, match="The store breaks") as caught:
        check_store(in_memory(kind))
    return {note for error in caught.value.exceptions for note in error.__notes__}


def test_a_store_that_keeps_every_promise_is_told_them_all() -> None:
    kept = check_store(in_memory(MemoryStore))
    assert kept == [promise.name for promise in PROMISES]
    assert "an owner that lost its run cannot write to it" in kept
    assert len(set(kept)) == len(kept) > 70


def test_a_store_without_fencing_is_found_out() -> None:
    assert "The promise: an owner that lost its run cannot write to it." in broken_by(Lenient)


def test_only_what_is_broken_is_told() -> None:
    assert broken_by(Forgetful) == {"The promise: every owner is remembered."}


def test_a_store_is_held_only_to_what_it_can_do() -> None:
    kept = check_store(in_memory(Lenient), capabilities={Capability.LISTING, Capability.PAGING})
    assert "pages follow one another without gaps" in kept
    assert "an owner that lost its run cannot write to it" not in kept


def test_a_place_that_cannot_kill_owners_shows_nothing_about_dead_ones() -> None:
    def place() -> Place:
        journals = Journals()
        return Place(lambda: MemoryStore(journals))

    kept = check_store(place)
    assert "a run with a live owner is busy" in kept
    assert "a run of a dead owner is taken over at once" not in kept


def test_every_place_is_removed_whatever_became_of_it() -> None:
    made: list[int] = []
    removed: list[int] = []

    def place() -> Place:
        number = len(made)
        made.append(number)
        journals = Journals()
        return Place(lambda: Lenient(journals), remove=lambda: removed.append(number))

    with pytest.raises(ExceptionGroup):
        check_store(place)
    assert removed == made


@pytest.mark.parametrize("capability", Capability)
def test_there_is_a_promise_for_every_capability(capability: Capability) -> None:
    assert [promise for promise in PROMISES if capability in promise.needs]
    assert capability in ALL


def test_the_contract_can_be_held_where_there_is_no_pytest() -> None:
    program = (
        "import sys; sys.modules['pytest'] = None\n"
        "from milepost.engine.stores.memory import Journals, MemoryStore\n"
        "from milepost.testing.store_contract import Place, check_store\n"
        "def place():\n"
        "    journals = Journals()\n"
        "    return Place(lambda: MemoryStore(journals), journals.alive.clear)\n"
        "print(len(check_store(place)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{len(PROMISES)}\n"


def test_the_contract_is_not_held_where_assertions_are_left_out() -> None:
    program = (
        "from milepost.testing.store_contract import check_store\n"
        "try: check_store(lambda: None)\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("The contract is made of assert statements, which `python -O` leaves out.")


class TestAPlaceWithoutAWayToKillOwners(StoreContract):
    capabilities = frozenset({Capability.FENCING, Capability.CRASH})

    @pytest.fixture
    def place(self) -> Place:
        journals = Journals()
        return Place(lambda: MemoryStore(journals))
