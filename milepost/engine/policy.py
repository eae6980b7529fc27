"""How a node is carried out: how often it is tried and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass

from milepost.engine.errors import WorkflowError


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try a node again when it fails.

    attempts: how many tries in all, 1 or more. wait: seconds before the second try; each later wait is `factor` times
    as long, at most `longest` seconds. on: the exceptions that are worth another try.

    >>> Retry(attempts=4, wait=1.0).pause(3)
    4.0
    """

    attempts: int = 3
    wait: float = 0.0
    factor: float = 2.0
    longest: float = 60.0
    on: tuple[type[Exception], ...] = (Exception,)

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise WorkflowError(f"Retry(attempts={self.attempts}) would never run the node. Give 1 or more.")
        if self.wait < 0 or self.longest < 0:
            raise WorkflowError("Retry cannot wait for a negative time. Give seconds of 0 or more.")

    def pause(self, failed: int) -> float:
        """Return the seconds to wait after `failed` tries (1 or more) have failed."""
        return min(self.wait * self.factor ** (failed - 1), self.longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a node's author declared about carrying it out.

    retry: None tries once. timeout: seconds for one attempt, None for no limit.
    """

    retry: Retry | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None and self.timeout <= 0:
            raise WorkflowError(f"A timeout of {self.timeout} seconds can never be met. Give a positive number.")
