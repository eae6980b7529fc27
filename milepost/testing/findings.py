"""What `crash_everywhere` has found: a difference that a crash made, or how it went when there was none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from milepost.engine.errors import MilepostError


class CrashFound(MilepostError, AssertionError):
    """A crash made a difference that it must not make.

    at: after how many records the process died, one number for each of its deaths. crashed: the same in words. finding:
    what is wrong then, in whole sentences.
    """

    def __init__(self, at: Sequence[int], crashed: str, finding: str) -> None:
        self.at = tuple(at)
        self.crashed = crashed
        self.finding = finding
        again = f" To see it again: crash_everywhere(..., at={list(at)})." if at else ""
        super().__init__(f"{crashed}: {finding}{again}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashReport:
    """How a workflow came through its crashes.

    output: of the run without a crash. records: how many that run has, those of the runs inside it included. crashes:
    how often the process died. ran: how often the body of each node began in the runs that were crashed, retries not
    counted. again: how many of those had begun before in the same run, and were not committed when the process died.
    """

    output: Any
    records: int
    crashes: int
    ran: Mapping[str, int]
    again: Mapping[str, int]

    def __str__(self) -> str:
        repeated = ", ".join(f"{node} {times}×" for node, times in sorted(self.again.items()))
        return (
            f"{self.records} records, {self.crashes} crashes, {sum(self.ran.values())} bodies begun; "
            f"begun again, as they were not committed: {repeated or 'none'}"
        )
