"""What the processes of the demo are told, and the ledger in which they write down every call that costs money."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LEDGER: Final = "MILEPOST_METERED_LEDGER"
MODEL: Final = "MILEPOST_METERED_MODEL"
DIES_AT: Final = "MILEPOST_METERED_DIES_AT"
PAUSE: Final = "MILEPOST_METERED_PAUSE"


@dataclass(frozen=True, slots=True)
class Call:
    """One paid call of the model. process: the id of the process that made it. look: 1 or 2. clause: its number."""

    process: int
    look: int
    clause: int


class Ledger:
    """An append-only file with one line per call, written before the call is made, as a provider would count it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls = 0

    def add(self, look: int, clause: int) -> None:
        """Write one line that survives the death of this process."""
        self.calls += 1
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"process {os.getpid()} look {look} clause {clause}\n")

    def read(self) -> Iterator[Call]:
        """Yield all calls ever made, in order."""
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                process, look, clause = (int(number) for number in re.findall(r"\d+", line))
                yield Call(process, look, clause)
