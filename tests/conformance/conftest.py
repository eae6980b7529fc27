"""Every twin is handed what runs its graph in every way."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.conformance.ways")

from tests.conformance.ways import Ways  # noqa: E402  (only what is imported later is rewritten)


@pytest.fixture
def ways(tmp_path: Path) -> Ways:
    return Ways(tmp_path)
