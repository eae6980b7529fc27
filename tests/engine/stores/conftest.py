"""Every kind of store, for the tests that hold for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from milepost.engine.stores.sqlite_file import Durability
from tests.engine.stores.worlds import World, in_file, in_memory


@pytest.fixture(params=["memory", "power", "process", "none"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A new place for journals: in memory, or in a file with each durability."""
    if request.param == "memory":
        return in_memory()
    durability: Durability = request.param
    return in_file(tmp_path / "runs.db", durability)
