"""Which failures pass by themselves, so that trying again may help: of models, of connections, and time limits."""

from __future__ import annotations

import sys
from typing import Any, Final, cast

PASSING_STATUS: Final = frozenset({408, 409, 425, 429})
"""The HTTP statuses below 500 that ask for another try: a timeout, a conflict, too early, too many requests."""


def is_transient(error: Exception) -> bool:
    """Tell whether a failure may pass by itself: `Retry(on=is_transient)`.

    It may when a model's provider is overloaded, unavailable, out of order, not reached in time or has had too many
    requests, or when a connection broke or a time limit ran out. It does not when the request itself was wrong, too
    long, not allowed or over budget, nor when an account is used up. Of several errors in a group, one is enough.

    >>> is_transient(TimeoutError()), is_transient(ValueError())
    (True, False)
    """
    if isinstance(error, ExceptionGroup):
        return any(map(is_transient, cast("ExceptionGroup[Exception]", error).exceptions))
    if isinstance(error, TimeoutError | ConnectionError):
        return True
    known: Any = sys.modules.get("pydantic_ai.exceptions")
    if known is None:  # nobody has imported it, so that the error cannot be one of its own
        return False
    passing = (
        known.ModelRateLimitError,
        known.ModelUnavailableError,
        known.ModelServerError,
        known.ModelConnectionError,
        known.ModelRequestTimeout,
    )
    if isinstance(error, passing):
        return True
    if isinstance(error, (known.ModelRequestRejectedError, known.ModelQuotaExceededError)):
        return False
    status: int = getattr(error, "status_code", 0) if isinstance(error, known.ModelHTTPError) else 0
    return status >= 500 or status in PASSING_STATUS
