"""The pytest plugin: with `--milepost`, every pydantic-graph graph that a test session runs, runs on Milepost.

pytest loads this module in every session of an environment that has Milepost, so it imports nothing of it until it is
asked to.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib.metadata import version

import pytest

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
