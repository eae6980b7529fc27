"""The pytest plugin: fixtures, and with `--milepost` every graph of pydantic-graph's that a session runs on Milepost.

pytest loads this module in every session of an environment that has Milepost, so it imports nothing of it until it is
asked to.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from milepost.engine.engine import Engine
    from milepost.engine.stores.memory import MemoryStore
    from milepost.testing.clock import FakeClock
    from milepost.testing.effects import Effects
    from milepost.testing.findings import CrashReport

MARKER = "without_milepost"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options and the ini key that says what holds without them."""
    group = parser.getgroup("milepost")
    group.addoption(
        "--milepost",
        action="store_true",
        default=None,
        dest="milepost",
        help="run every pydantic-graph graph on Milepost's executor, in memory",
    )
    group.addoption(
        "--no-milepost",
        action="store_false",
        dest="milepost",
        help="leave graphs to pydantic-graph, whatever the ini file says",
    )
    parser.addini("milepost", "whether --milepost holds for every session", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marker means and, if that is asked for, take over before the first test module is imported."""
    config.addinivalue_line("markers", f"{MARKER}: leave the graphs of this test to pydantic-graph.")
    asked: bool | None = config.getoption("milepost")
    if config.getini("milepost") if asked is None else asked:
        config.pluginmanager.register(Takeover(), "milepost takeover")


class Takeover:
    """The part of the plugin that only a session with `--milepost` has."""

    def __init__(self) -> None:
        from milepost.engine.install import install

        self._install = install
        self._installed = install()

    def pytest_report_header(self) -> str:
        """Say in the header of the report who runs the graphs."""
        return f"milepost: pydantic_graph.Graph.run is carried out by Milepost {version('milepost')}"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Give `Graph.run` back for a test that is marked so, its fixtures included."""
        if item.get_closest_marker(MARKER) is None:
            return (yield)
        self._installed.uninstall()
        try:
            return (yield)
        finally:
            self._installed = self._install()

    def pytest_unconfigure(self) -> None:
        """Give `Graph.run` back at the end of the session."""
        self._installed.uninstall()


# --- fixtures --------------------------------------------------------------------------------------------------------


@pytest.fixture
def milepost_clock() -> FakeClock:
    """A clock that the test moves on by hand."""
    from milepost.testing.clock import FakeClock

    return FakeClock()


@pytest.fixture
def milepost_store(milepost_clock: FakeClock) -> MemoryStore:
    """A store of the test's own, in memory, that goes by `milepost_clock`."""
    from milepost.engine.stores.memory import MemoryStore

    return MemoryStore(clock=milepost_clock)


@pytest.fixture
def milepost_engine(milepost_store: MemoryStore, milepost_clock: FakeClock) -> Engine:
    """An engine on `milepost_store` that goes by `milepost_clock`, to be entered: `async with milepost_engine:`."""
    from milepost.engine.engine import Engine

    return Engine(milepost_store, clock=milepost_clock)


@pytest.fixture
def milepost_effects(tmp_path: Path) -> Effects:
    """A recorder of what nodes do to the world, in the file `effects` of the test's `tmp_path`."""
    from milepost.testing.effects import Effects

    return Effects(tmp_path / "effects")


@pytest.fixture
def crash_everywhere(tmp_path: Path) -> Callable[..., CrashReport]:
    """The function of `milepost.testing`; `Life.folder` is the test's `tmp_path`."""
    from milepost.testing.everywhere import crash_everywhere

    return partial(crash_everywhere, folder=tmp_path)
