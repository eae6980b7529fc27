"""Every twin is handed what runs its graph in every way."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.conformance.ways")

from tests.conformance.ways import Ways  # noqa: E402  (only what is imported later is rewritten)


@pytest.fixture
def ways(tmp_path: Path, anyio_backend_name: str) -> Ways:
    return Ways(tmp_path, in_order=anyio_backend_name == "asyncio")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every twin on both event loops."""
    backend: str = request.param
    return backend
