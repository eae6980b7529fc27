"""The contract of stores: a suite that anybody's own store can be held to, with pytest or without it."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import TYPE_CHECKING, ClassVar, Final

from milepost.engine.errors import InputError

# Each of these modules declares promises when it is imported.
from milepost.testing.contract import cache as cache
from milepost.testing.contract import care as care
from milepost.testing.contract import forks as forks
from milepost.testing.contract import inbox as inbox
from milepost.testing.contract import journal as journal
from milepost.testing.contract import listing as listing
from milepost.testing.contract import ownership as ownership
from milepost.testing.contract import tags as tags
from milepost.testing.contract import waking as waking
from milepost.testing.contract.place import Place as Place
from milepost.testing.contract.promise import PROMISES, Promise
from milepost.testing.contract.promise import Capability as Capability

if TYPE_CHECKING:
    import pytest

ALL: Final = frozenset(Capability)


class StoreContract:
    """A suite of pytest tests. Make a subclass whose name begins with Test, with a fixture that gives a new place:

        class TestMyStore(StoreContract):
            @pytest.fixture
            def place(self, tmp_path):
                return Place(make=lambda: MyStore(tmp_path / "runs"))

    The fixture may be parametrised. capabilities: what the store can do; promises that need more are left out. backend:
    the event loop that it runs on. Every failure shows the promise that was broken.
    """

    capabilities: ClassVar[Set[Capability]] = ALL
    backend: ClassVar[str] = "asyncio"

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test of each promise."""
        if "promise" in metafunc.fixturenames:
            promises = [each for each in PROMISES if each.applies(self.capabilities)]
            metafunc.parametrize("promise", promises, ids=[each.name for each in promises])

    def test_a_store_keeps_its_promise(self, promise: Promise, place: Place) -> None:
        """Hold the store to one promise; skipped where the place has no way to kill the owners that it is about."""
        if not promise.applies(self.capabilities, place):
            import pytest

            pytest.skip("this place cannot kill owners")
        promise.hold(place, self.backend)


def check_store(
    factory: Callable[[], Place], *, capabilities: Set[Capability] = ALL, backend: str = "asyncio"
) -> list[str]:
    """Hold a store to its contract, without pytest. Returns the promises that it keeps, as sentences.

    factory: makes a new, empty place for each promise. capabilities: what the store can do; promises that need more are
    left out. backend: the event loop that it runs on.
    Raises ExceptionGroup: it breaks some of its promises; each error says in a note which one.
    """
    if not __debug__:
        raise InputError("The contract is made of assert statements, which `python -O` leaves out. Run it without -O.")
    kept: list[str] = []
    broken: list[Exception] = []
    for promise in PROMISES:
        place = factory()
        if not promise.applies(capabilities, place):
            place.remove()
            continue
        try:
            promise.hold(place, backend)
        except Exception as error:
            error.add_note(f"The promise: {promise.name}.")
            broken.append(error)
        else:
            kept.append(promise.name)
    if broken:
        count = f"{len(broken)} of {len(broken) + len(kept)} promises"
        raise ExceptionGroup(f"The store breaks {count}", broken)
    return kept
