"""What became of a task that may run at most once and had begun when its process ended: a person says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Again:
    """It had no effect, or one that does no harm twice: run it again."""


@dataclass(frozen=True, slots=True)
class Done:
    """It had its effect: go on with this value as its output."""

    value: Any


Settlement = Again | Done

NOTHING_SETTLED: Final[Mapping[str, Settlement]] = {}
