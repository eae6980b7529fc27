"""Failures that pass by themselves are told from those that last."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic_ai import exceptions

from milepost.engine.policy import Retry
from milepost.engine.retrying import next_wait
from milepost.nodes.transient import is_transient


def http(status: int) -> Exception:
    """An error as pydantic-ai raises it for a status that it puts into no category."""
    return exceptions.ModelHTTPError(status_code=status, model_name="m")


def categorized(category: Any, status: int) -> Exception:
    """An error as pydantic-ai raises it for a status of a known category."""
    return exceptions.ModelHTTPError.for_category(category, status_code=status, model_name="m")


def model(kind: Any) -> Exception:
    error: Exception = kind("m", "it failed")
    return error


PASSING = [
    model(exceptions.ModelRateLimitError),
    model(exceptions.ModelUnavailableError),
    model(exceptions.ModelOverloadedError),
    model(exceptions.ModelServerError),
    model(exceptions.ModelConnectionError),
    model(exceptions.ModelTimeoutError),
    exceptions.ModelRequestTimeout("m", 3.0),
    categorized(exceptions.ModelRateLimitError, 429),
    categorized(exceptions.ModelServerError, 502),
    http(408),
    http(429),
    http(500),
    http(529),
    TimeoutError(),
    ConnectionResetError(),
    exceptions.FallbackExceptionGroup("all failed", [http(401), http(503)]),
    ExceptionGroup("both", [ValueError(), ExceptionGroup("inner", [TimeoutError()])]),
]

LASTING = [
    model(exceptions.ModelRequestRejectedError),
    model(exceptions.ModelAuthenticationError),
    model(exceptions.ModelNotFoundError),
    model(exceptions.ModelContextWindowExceededError),
    model(exceptions.ModelQuotaExceededError),
    categorized(exceptions.ModelQuotaExceededError, 429),
    categorized(exceptions.ModelRequestRejectedError, 400),
    http(418),
    exceptions.UsageLimitExceeded("too many requests"),
    exceptions.UserError("wrong"),
    exceptions.UnexpectedModelBehavior("nonsense"),
    ValueError(),
    OSError(),
    exceptions.FallbackExceptionGroup("all failed", [http(401), http(404)]),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_passes_by_itself_is_worth_another_try(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_what_lasts_is_not(error: Exception) -> None:
    assert not is_transient(error)


def test_a_retry_takes_it() -> None:
    retry = Retry(wait=2.0, on=is_transient)
    assert next_wait(retry, 1, 0.0, http(503), 0.0) == 2.0
    assert next_wait(retry, 1, 0.0, http(418), 0.0) is None


def test_it_loads_no_agents() -> None:
    code = "import milepost, sys; assert not milepost.is_transient(ValueError()); print('pydantic_ai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
