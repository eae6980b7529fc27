"""What two counts say about a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ALLOWED = 0.15
"""How much more work a step may be than before; two counts of one engine differ by about 1 %, as memory lies."""


@dataclass(frozen=True, slots=True)
class Change:
    """One job's instructions for each step or item. before: None for a job that was not counted then."""

    name: str
    before: float | None
    now: float

    @property
    def growth(self) -> float:
        """By how much of itself it has grown; below 0 it has become less."""
        return 0.0 if self.before is None else self.now / self.before - 1

    @property
    def is_loss(self) -> bool:
        """Whether it has grown by more than is allowed."""
        return self.growth > ALLOWED

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.name:<26}{'':>15}{self.now:>15,.0f}  new"
        mark = "  LOSS" if self.is_loss else ""
        return f"{self.name:<26}{self.before:>15,.0f}{self.now:>15,.0f}{self.growth:>+8.1%}{mark}"


def compare(before: Mapping[str, float], now: Mapping[str, float]) -> list[Change]:
    """Return the change of every job that is counted now."""
    return [Change(name, before.get(name), cost) for name, cost in now.items()]


def told(changes: list[Change], commit: str) -> str:
    """Return the table, and in the last line what it means."""
    lost = [change.name for change in changes if change.is_loss]
    lines = [f"{'instructions per step':<26}{commit:>15}{'now':>15}", *map(str, changes)]
    if lost:
        lines.append(
            f"More than {ALLOWED:.0%} more work than {commit}: {', '.join(lost)}. "
            "Find out where, e.g. with cProfile; if it is worth its price, say so in the commit."
        )
    else:
        lines.append(f"Nothing is more than {ALLOWED:.0%} more work than in {commit}.")
    return "\n".join(lines)
