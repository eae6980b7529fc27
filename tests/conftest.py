"""What every test stands on: the hypothesis profiles, the event loop of async tests, a PostgreSQL."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import postgres as postgres
from tests.postgres import schema as schema

pytest.register_assert_rewrite("milepost.testing.contract")

settings.register_profile("dev", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), max_examples=500, derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


@pytest.fixture
def anyio_backend() -> str:
    """Run a test marked `anyio` on asyncio; one that holds for trio too gives this parameter both names."""
    return "asyncio"
